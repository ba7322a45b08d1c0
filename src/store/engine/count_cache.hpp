// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "store/rows.hpp"

namespace meridian::store {

/// Counts that were worth some work, each with what the store was like when it was taken: a count
/// is asked again far more often (by each page with a total, by each look at a dashboard) than what
/// it counts is written. Thread-safe.
class CountCache {
 public:
    /// `stamp` tells one state of what was counted from every other. Nothing when the count is not
    /// known for that state.
    std::optional<std::int64_t> find(const std::string& question,
                                     const std::vector<Position>& stamp);
    /// The newest that are asked stay: at most limits::counts_kept_max, and none whose question is
    /// longer than limits::counted_question_bytes_max.
    void keep(std::string question, std::vector<Position> stamp, std::int64_t count);

 private:
    struct Known {
        std::vector<Position> stamp;
        std::int64_t count;
    };
    void begin_anew_when_full();

    std::mutex mutex_;
    std::unordered_map<std::string, Known> recent_;
    std::unordered_map<std::string, Known> older_;  ///< not asked since recent_ began
};

}  // namespace meridian::store

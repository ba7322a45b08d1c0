// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/result.hpp"
#include "fhir/repository.hpp"

namespace meridian::server {

/// Loads many resources in large sorted batches: all cores parse, validate and extract, one batch
/// is written while the next is made ready, and the order in which resources were added is kept.
/// Memory is bounded by limits::load_batch_changes.
class Loader {
 public:
    struct Events {
        /// A resource that was refused, with the number it was added under and its text.
        std::function<Result<void>(std::int64_t number, const std::string& reason,
                                   const std::string& text)>
            rejected{};
        /// Everything up to this number is durable (or was rejected).
        std::function<Result<void>(std::int64_t number)> committed{};
    };
    /// `threads` 0 = one per core.
    Loader(fhir::Repository& repository, fhir::Caller caller, unsigned threads, Events events);
    ~Loader();

    /// Adds one resource as JSON text; `number` grows. May wait for earlier work. Errors: the
    /// store's, or those of the events.
    Result<void> add(std::string json, std::int64_t number);
    /// Waits until everything that was added is durable.
    Result<void> finish();
    /// Resources that are durable.
    std::int64_t count() const { return count_; }

 private:
    struct Prepared {
        std::int64_t number = 0;
        std::optional<store::Change> change;
        std::string reason{};
        std::string text{};  ///< of a rejected one
    };
    using Lines = std::vector<std::pair<std::int64_t, std::string>>;
    using Chunk = std::vector<Prepared>;

    Prepared prepare(std::int64_t number, std::string json) const;
    void submit_chunk();
    Result<void> take_chunk();
    Result<void> add_change(store::Change change);
    Result<void> flush();
    Result<void> wait_for_commit();

    fhir::Repository& repository_;
    fhir::Caller caller_;
    unsigned threads_;
    Events events_;
    Lines lines_;
    std::deque<std::future<Chunk>> in_work_;
    std::vector<store::Change> batch_;
    std::unordered_set<std::string> in_batch_;
    std::int64_t last_number_ = 0;
    std::future<Result<store::Receipt>> committing_;
    std::int64_t committing_count_ = 0;
    std::int64_t committing_number_ = 0;
    std::int64_t count_ = 0;
};

}  // namespace meridian::server

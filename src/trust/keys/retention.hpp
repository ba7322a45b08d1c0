// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.hpp"
#include "base/json.hpp"
#include "base/result.hpp"

namespace meridian::trust {

/// How long a record has to be kept whatever its person wants: retention.toml of the data folder,
/// or what the internet-hospital rules ask for where there is none (records 15 years, chat, sound
/// and pictures of consultations 3; a hospital's counsel confirms its own).
struct RetentionRules {
    std::int64_t record_years = 15;  ///< after the last entry
    std::int64_t media_years = 3;    ///< likewise, of the types below
    std::vector<std::string> media_types{"Media"};
    /// Security labels ("system|code") that forbid the erasure of whoever has a resource with one.
    std::vector<std::string> hold_labels{};
};
/// Errors: `incorrect` for a file that cannot be understood, and for fewer years than 1.
Result<RetentionRules> read_retention(const std::string& folder);

/// What is found out about one person's resources, one after the other.
class RetentionClock {
 public:
    explicit RetentionClock(RetentionRules rules) : rules_(std::move(rules)) {}
    void see(std::string_view type, Instant updated, const Json& resource);
    /// From when on everything seen may be erased; absent when nothing was seen.
    std::optional<Instant> allowed_from() const;
    /// The first resource with a label of a hold, and the label; empty when there is none.
    const std::string& hold() const { return hold_; }

 private:
    RetentionRules rules_;
    std::optional<Instant> last_record_{}, last_media_{};
    std::string hold_;
};

}  // namespace meridian::trust

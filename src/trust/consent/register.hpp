// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "fhir/repository.hpp"
#include "trust/consent/consent.hpp"

namespace meridian::trust::consent {

/// All consents in force, by the id of their Consent.
using Consents = std::map<std::string, std::shared_ptr<const Document>, std::less<>>;

/// What changed in the record since a decision was made.
struct Standing {
    std::shared_ptr<const Consents> consents{};
    store::Position consents_at = -1;   ///< when one of them last changed
    store::Position relations_at = -1;  ///< when a care team, assignment, guardian … last changed
};

/// Keeps the consents of the record at hand and knows when those and the relations between people
/// last changed: it reads the log from where it was, at each question, so that an answer is never
/// older than the snapshot it is for. Thread-safe.
class Register {
 public:
    explicit Register(fhir::Repository& repository) : repository_(repository) {}

    /// How things stand at the snapshot. Errors: the store's; `too_large` beyond
    /// limits::consents_max. Blocking: reads what was written since the last question; all consents
    /// at the first.
    Result<Standing> at(store::Snapshot& snapshot);

 private:
    Result<void> read_all(store::Snapshot& snapshot);
    Result<void> read_again(store::Snapshot& snapshot, const std::set<std::string>& ids);

    fhir::Repository& repository_;
    std::mutex mutex_;  ///< guards the rest
    bool is_read_ = false;
    store::Position next_ = 0;  ///< of the log
    Standing standing_{};
};

}  // namespace meridian::trust::consent

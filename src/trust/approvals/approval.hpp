// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "trust/role.hpp"

/// What one person may do only when another agrees ("four eyes").
namespace meridian::trust::approvals {

/// The terms of one kind of approval, as the policy files write them.
struct Kind {
    std::string name{};          ///< letters and dashes, e.g. "lower-label"
    std::vector<Role> ask{};     ///< who may ask
    std::vector<Role> decide{};  ///< who may agree or refuse
    std::chrono::minutes decide_within{72 * 60};
    std::chrono::minutes use_within{60};  ///< counted from the decision
    std::size_t reason_characters_min = 10;
    bool once = true;        ///< used up by its first use
    bool only_asker = true;  ///< nobody else may use it
    /// Only colleagues decide: whoever asks from within an organisation is answered from there.
    bool within_organisation = true;
};

enum class State : unsigned char {
    asked,
    approved,
    refused,
    used,    ///< up
    lapsed,  ///< nobody decided, or it was not used, in time
};
std::string_view name_of(State state);

/// Who took a step.
struct Party {
    std::string account{};
    std::string role{};          ///< as trust::name_of
    std::string person{};        ///< reference; may be empty
    std::string organisation{};  ///< reference; may be empty
};

/// One request and what became of it.
struct Approval {
    std::string id{};      ///< tells nothing; safe in an address
    std::string kind{};    ///< Kind::name
    std::string target{};  ///< what it is about, e.g. "Observation/7"
    std::string detail{};  ///< what exactly is to be done with it; the kind gives it its meaning
    std::string reason{};
    std::vector<std::string> patients{};  ///< ids, for the audit
    Party asked_by{};
    Instant asked_at{};
    Instant decide_by{};
    State state = State::asked;
    std::optional<Party> decided_by{};
    Instant decided_at{};
    std::string decision_reason{};
    Instant usable_until{};    ///< of an approved one
    std::string used_by{};     ///< account
    Instant used_at{};         ///< the first time
    std::int64_t version = 0;  ///< in the vault

    /// The state with the passing of time.
    State state_at(Instant at) const;
};

/// The stored form.
std::string to_json(const Approval& approval);
/// Errors: `fault` for another form.
Result<Approval> approval_of(std::string_view id, std::string_view json);

}  // namespace meridian::trust::approvals

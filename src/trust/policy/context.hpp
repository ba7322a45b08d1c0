// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "trust/consent/register.hpp"
#include "trust/policy/policy.hpp"
#include "trust/subject.hpp"

namespace meridian::trust::policy {

/// Code of the Task that stands for an emergency access; only the server writes such Tasks.
inline constexpr std::string_view break_glass_system = "urn:meridian:task-kind";
inline constexpr std::string_view break_glass_code = "break-glass";

/// What the record says about a caller at one moment. Logical ids of patients, sorted.
struct Context {
    std::set<std::string, std::less<>> selves{};  ///< the person and their active PractitionerRoles
    std::set<std::string, std::less<>> teams{};   ///< CareTeams in which they take part
    std::vector<std::string> care_team{};         ///< whose care team or general practitioner it is
    std::vector<std::string> assigned{};
    std::vector<std::string> own{};        ///< their own patient record, and those it replaced
    std::vector<std::string> guarded{};    ///< for whom they stand
    std::vector<std::string> emergency{};  ///< break-glass
    /// Of care_team, assigned and emergency: those that belong to the caller's organisation; only
    /// filled when a rule asks for it.
    std::set<std::string, std::less<>> of_organisation{};
    std::shared_ptr<const consent::Consents> consents{};
    store::Position position = -1;  ///< what was known when this was read
    Instant read_at{};
    Instant changes_at{std::numeric_limits<std::int64_t>::max()};  ///< by the passing of time
};

/// Reads the context of a subject on a snapshot, as far as the rules of their role need it. Errors:
/// the store's; `too_large` beyond limits::policy_patients_max. Blocking: reads the store.
Result<std::shared_ptr<const Context>> read_context(fhir::Repository& repository,
                                                    store::Snapshot& snapshot, const Policy& policy,
                                                    const Subject& subject,
                                                    const consent::Standing& standing, Instant now);

}  // namespace meridian::trust::policy

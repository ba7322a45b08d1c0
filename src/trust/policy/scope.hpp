// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "fhir/repository.hpp"

namespace meridian::trust::policy {

/// A SMART scope for resources, version 2: "patient/Observation.rs?category=laboratory"
/// (https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html).
struct Scope {
    enum class Level : unsigned char { patient, user, system };
    Level level = Level::patient;
    std::string type{};  ///< empty = "*"
    bool create = false, read = false, update = false, remove = false, search = false;
    fhir::QueryParameters query{};  ///< what the resource must match

    bool covers(std::string_view of_type) const { return type.empty() || type == of_type; }
};

/// Nothing for a scope that is not about resources ("openid", "launch/patient"). Errors:
/// `incorrect` for one that looks like a resource scope and is none. Blocking: never.
Result<std::optional<Scope>> parse_scope(std::string_view text);
/// The resource scopes among `texts`. Errors: as parse_scope; `too_large` beyond
/// limits::policy_scopes_max.
Result<std::vector<Scope>> parse_scopes(const std::vector<std::string>& texts);

}  // namespace meridian::trust::policy

// SPDX-License-Identifier: Apache-2.0
// Private to the folder: evaluating one constraint on one element.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "fhir/path/expression.hpp"

namespace meridian::fhir {

struct Constraint {
    std::string_view key, human, expression;
    bool is_error = true;
};

/// Where a constraint is evaluated: %resource, %rootResource and what member_of() and resolve()
/// ask.
struct ConstraintScope {
    const Json* resource = nullptr;
    const Json* root_resource = nullptr;
    const path::Environment* environment = nullptr;
};

/// Appends a finding when the constraint does not hold for `item`. A result that is empty holds. An
/// expression that cannot be evaluated is told as information: it is no fault of the resource.
/// Expressions are compiled once per process.
void check_constraint(const Constraint& constraint, const path::Item& item,
                      const ConstraintScope& scope, const std::string& place,
                      std::vector<Issue>& issues);

}  // namespace meridian::fhir

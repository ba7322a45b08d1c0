// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "fhir/path/syntax.hpp"

namespace meridian::fhir::path {

/// Checks an expression against the definitions, without data: an element that no possible type
/// has, a path that starts with another type's name, and functions that need an order after
/// children() or descendants(), are `incorrect`. What cannot be known (contained resources,
/// resolve(), variables) is let pass. Source: N1 §10 Type Safety and Strict Evaluation.
Result<void> check(const Node& root, const Type& context);

}  // namespace meridian::fhir::path

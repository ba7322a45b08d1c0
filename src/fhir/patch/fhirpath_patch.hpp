// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/json.hpp"
#include "base/result.hpp"

/// FHIRPath Patch: https://hl7.org/fhir/R4/fhirpatch.html
namespace meridian::fhir::patch {

/// Applies the operations of `patch` (a Parameters resource with `operation` parameters of type
/// add, insert, delete, replace, move) to the resource in `target`, in order.
///
/// A path must lead to exactly one element, only delete tolerates none. Values are a value[x], or
/// nested parts for a backbone or complex value; they are checked against the type of the place
/// they go to, and a choice element is named after its value's type. On an error `target` is in an
/// unspecified state: patch a copy. Errors name the operation's index and path: `incorrect` for
/// something that is no FHIRPath Patch; `unprocessable` for a path that does not lead to one
/// element or a value that does not fit; `too_large` beyond limits::patch_operations_max. Blocking:
/// never.
Result<void> apply_fhirpath_patch(JsonDocument& target, const Json& patch);

}  // namespace meridian::fhir::patch

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/json.hpp"
#include "base/result.hpp"

/// JSON Patch: https://www.rfc-editor.org/rfc/rfc6902
namespace meridian::fhir::patch {

/// Applies the operations of `patch` (an array of add, remove, replace, move, copy, test) to
/// `target` in order.
///
/// On an error `target` is in an unspecified state: patch a copy. Errors name the operation's index
/// and path: `incorrect` for something that is no JSON Patch; `unprocessable` for a path that does
/// not lead anywhere and for a failed test; `too_large` beyond limits::patch_operations_max or
/// limits::json_depth_max. Blocking: never.
Result<void> apply_json_patch(JsonDocument& target, const Json& patch);

}  // namespace meridian::fhir::patch

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "base/json.hpp"
#include "fhir/definitions/definitions.hpp"

namespace meridian::fhir {

/// Why a JSON value is no value of a primitive type: "expected …", or nullptr when it is one.
/// Source: FHIR R4 §2.24.0.1 (the regular expressions of the primitive types), §2.6.2 (JSON types).
const char* primitive_fault(const Type& type, const Json& value);

}  // namespace meridian::fhir

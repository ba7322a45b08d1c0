// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "base/result.hpp"
#include "fhir/path/syntax.hpp"

namespace meridian::fhir::path {

/// Parses an expression (N1 appendix B). Errors: `incorrect` with line and column, also for an
/// unknown function, a wrong number of arguments or an unknown type name; `too_large` beyond
/// limits::fhirpath_depth_max or limits::fhirpath_expression_bytes_max.
Result<Node> parse(std::string_view text);

}  // namespace meridian::fhir::path

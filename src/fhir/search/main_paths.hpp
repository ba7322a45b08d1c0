// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace meridian::fhir::search {

/// The parameters that the clinical access path (store::PatientRow) is keyed by. Empty = the type
/// has none.
struct MainPath {
    std::string_view code;  ///< token parameter: what was measured, diagnosed, done, given
    std::string_view date;  ///< date parameter: when it happened, as a clinician would sort a chart
};
MainPath main_path(std::string_view type);

/// An expression to use instead of the published one of `url`, where that one is missing or cannot
/// match R4 data; empty = none.
std::string_view corrected_expression(std::string_view type, std::string_view code);

}  // namespace meridian::fhir::search

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace meridian::fhir::path {

/// Whether a narrative keeps to the XHTML that FHIR allows: well-nested, only the listed elements
/// and attributes, and some text or an image (FHIR R4 §2.4.0 Narrative, txt-1 and txt-2). Elements
/// nested deeper than limits::xml_depth_max do not pass, nor do addresses that would run something
/// (javascript:) and styles that load something.
bool is_allowed_narrative(std::string_view xhtml);
/// The same for a narrative that may be empty: txt-1 alone.
bool is_allowed_markup(std::string_view xhtml);

}  // namespace meridian::fhir::path

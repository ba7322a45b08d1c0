// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/json.hpp"
#include "base/result.hpp"

/// The XML form of resources: https://hl7.org/fhir/R4/xml.html. Both directions keep everything:
/// decimals keep their digits, a narrative's XHTML its characters, primitives their ids and
/// extensions. Comments are dropped.
namespace meridian::fhir {

/// Reads one resource from XML text (UTF-8) into the JSON form of
/// https://hl7.org/fhir/R4/json.html, members in the order of the definition. Structure is checked
/// as far as the JSON form needs it (names, repetition, numbers); everything else is the
/// validator's part. Elements may stand in any order, since even published examples break the order
/// that R4 asks for.
///
/// Errors: `incorrect` with the place ("Patient.name[0]" or a line) for text that is no well-formed
/// XML in the FHIR namespace, an element or attribute that R4 does not know, a DOCTYPE or an entity
/// other than XML's own five, nesting deeper than limits::xml_depth_max; `too_large` beyond
/// limits::xml_bytes_max. Blocking: never.
Result<JsonDocument> from_xml(std::string_view text);

/// Appends `resource` as XML text with a declaration; indented by two spaces when `pretty`.
///
/// `resource` must have passed structural validation: members that R4 does not know are left out.
/// Characters that XML cannot hold (control characters but tab, line feed and carriage return;
/// U+FFFE, U+FFFF) become U+FFFD; a narrative that is no well-formed XML becomes one `div` that
/// shows its source. Blocking: never.
void to_xml(const Json& resource, std::string& out, bool pretty);

}  // namespace meridian::fhir

// SPDX-License-Identifier: Apache-2.0
// Private to the room: what is asked of XML text before and beside the parser.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace meridian::fhir::detail {

inline constexpr std::string_view fhir_namespace = "http://hl7.org/fhir";
inline constexpr std::string_view xhtml_namespace = "http://www.w3.org/1999/xhtml";

/// Refuses what the parser would let pass: invalid UTF-8, control characters, a DOCTYPE or other
/// declaration, references other than XML's five entities and characters that XML allows, comments
/// and CDATA sections without an end. Errors: `incorrect`, with line and column. Source: XML 1.0
/// (5th ed.) §2.2, §4.1.
Result<void> check_xml_text(std::string_view text);

/// The raw text of the element that starts with '<' at `start` in text that a parser has accepted,
/// up to and with its end tag.
std::string_view element_text(std::string_view text, std::size_t start);

/// True for text that is one well-formed XML element called `div` without a namespace prefix.
bool is_narrative(std::string_view text);

/// A narrative as it stands in a FHIR document of either form: its div with the XHTML namespace
/// declared on it.
std::string with_xhtml_namespace(std::string_view div);

/// Appends `value` so that it reads back the same as an attribute's value or (with the same
/// escapes) as text.
void append_escaped(std::string_view value, std::string& out);

}  // namespace meridian::fhir::detail

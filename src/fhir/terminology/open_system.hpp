// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace meridian::fhir::terminology {

/// Code systems that are grammars, not lists: UCUM units, BCP-47 languages, BCP-13 media types.
/// Their codes can be checked but not listed.
enum class OpenSystem : unsigned char { none, ucum, language, media_type };

/// Which of them a system's url stands for.
OpenSystem open_system(std::string_view url);

/// True when `code` follows the system's grammar.
/// Source: RFC 5646 §2.1 (language tags: well-formedness), RFC 6838 §4.2 (media type names),
/// ucum.org.
bool follows_grammar(OpenSystem system, std::string_view code);

}  // namespace meridian::fhir::terminology

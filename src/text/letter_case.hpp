// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace meridian::text {

/// `utf8` in upper or lower case by the rules of no particular language, accents and everything
/// else kept: "Straße" → "STRASSE". Bytes that are no UTF-8 become U+FFFD. Blocking: never. Source:
/// Unicode 15 §3.13 (default case conversion).
std::string to_upper(std::string_view utf8);
std::string to_lower(std::string_view utf8);

}  // namespace meridian::text

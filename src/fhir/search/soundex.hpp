// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace meridian::fhir::search {

/// American Soundex (US National Archives rules) of each Latin word of a folded text, joined by
/// spaces: "robert" and "rupert" are both "r163". Words in other scripts stay as they are. For the
/// search parameter `phonetic`.
std::string phonetic_key(std::string_view folded);

}  // namespace meridian::fhir::search

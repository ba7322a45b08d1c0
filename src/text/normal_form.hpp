// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace meridian::text {

/// `utf8` in Unicode's normal form KC: what looks or is typed alike (composed or decomposed
/// accents, full-width letters) becomes the same bytes. Bytes that are no UTF-8 become U+FFFD.
/// Blocking: never. Source: UAX #15.
std::string to_nfkc(std::string_view utf8);

}  // namespace meridian::text

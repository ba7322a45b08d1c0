// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "base/utf8.hpp"

namespace meridian::text {

/// True when `utf8` is well-formed UTF-8 (Unicode 15, table 3-7).
inline bool is_valid(std::string_view utf8) {
    return is_valid_utf8(utf8);
}

/// The longest start of `utf8` of at most `bytes_max` bytes that does not cut a code point in two.
std::string_view cut(std::string_view utf8, std::size_t bytes_max);

}  // namespace meridian::text

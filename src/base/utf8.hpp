// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace meridian {

/// Length in bytes of the longest valid UTF-8 start of `text`; text.size() when all of it is valid.
/// Overlong forms, surrogates and values above U+10FFFF are invalid (Unicode 15, table 3-7).
std::size_t valid_utf8_length(std::string_view text);
inline bool is_valid_utf8(std::string_view text) {
    return valid_utf8_length(text) == text.size();
}

/// Appends one code point; `code_point` must be a Unicode scalar value.
void append_utf8(std::string& out, char32_t code_point);
/// Writes one code point to `out` (room for 4 bytes) and returns the place after it.
char* write_utf8(char* out, char32_t code_point);

}  // namespace meridian

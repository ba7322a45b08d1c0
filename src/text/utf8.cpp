// SPDX-License-Identifier: Apache-2.0
#include "text/utf8.hpp"

namespace meridian::text {

std::string_view cut(std::string_view utf8, std::size_t bytes_max) {
    if (utf8.size() <= bytes_max) return utf8;
    std::size_t end = bytes_max;
    while (end > 0 && (static_cast<unsigned char>(utf8[end]) & 0xC0) == 0x80) --end;
    return utf8.substr(0, end);
}

}  // namespace meridian::text

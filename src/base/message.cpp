// SPDX-License-Identifier: Apache-2.0
#include "base/message.hpp"

#include <algorithm>

namespace meridian {

std::string shown_in_message(std::string_view text) {
    constexpr std::size_t shown_bytes_max = 40;
    std::string out(text.substr(0, shown_bytes_max));
    std::ranges::replace_if(out, [](char c) { return c < 0x20 || c >= 0x7F; }, '?');
    if (text.size() > shown_bytes_max) out.replace(shown_bytes_max - 3, 3, "...");
    return out;
}

}  // namespace meridian

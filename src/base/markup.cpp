// SPDX-License-Identifier: Apache-2.0
#include "base/markup.hpp"

namespace meridian {

std::string_view markup_escape(char c) {
    switch (c) {
        case '&':
            return "&amp;";
        case '<':
            return "&lt;";
        case '>':
            return "&gt;";
        case '"':
            return "&quot;";
        case '\'':
            return "&#39;";
        default:
            return {};
    }
}

std::string escaped_markup(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        const std::string_view escape = markup_escape(c);
        out += escape.empty() ? std::string_view(&c, 1) : escape;
    }
    return out;
}

}  // namespace meridian

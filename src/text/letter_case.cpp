// SPDX-License-Identifier: Apache-2.0
#include "text/letter_case.hpp"

#include <unicode/locid.h>
#include <unicode/unistr.h>

#include <algorithm>

namespace meridian::text {
namespace {

bool is_ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace

std::string to_upper(std::string_view utf8) {
    std::string out(utf8);
    if (is_ascii(utf8)) {
        for (char& c : out) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
        return out;
    }
    out.clear();
    auto piece = icu::StringPiece(utf8.data(), static_cast<std::int32_t>(utf8.size()));
    icu::UnicodeString::fromUTF8(piece).toUpper(icu::Locale::getRoot()).toUTF8String(out);
    return out;
}

std::string to_lower(std::string_view utf8) {
    std::string out(utf8);
    if (is_ascii(utf8)) {
        for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
        return out;
    }
    out.clear();
    auto piece = icu::StringPiece(utf8.data(), static_cast<std::int32_t>(utf8.size()));
    icu::UnicodeString::fromUTF8(piece).toLower(icu::Locale::getRoot()).toUTF8String(out);
    return out;
}

}  // namespace meridian::text

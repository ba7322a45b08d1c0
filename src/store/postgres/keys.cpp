// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/keys.hpp"

#include "base/hash.hpp"
#include "base/limits.hpp"
#include "base/utf8.hpp"

namespace meridian::store::postgres {

namespace {

std::string cut(std::string_view text) {
    if (text.size() <= limits::database_key_bytes_max) return std::string(text);
    // Not through the middle of a character.
    std::size_t end = limits::database_key_bytes_max;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
    return std::string(text.substr(0, end)) + " sha256:" + to_hex(sha256(text));
}

}  // namespace

std::string text_of(std::string_view text) {
    constexpr std::string_view not_a_character = "\xef\xbf\xbf";  // U+FFFF
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const std::size_t good = std::min(valid_utf8_length(text), text.find('\0'));
        out += text.substr(0, good);
        text.remove_prefix(good);
        if (text.empty()) break;
        out += not_a_character;
        text.remove_prefix(1);
    }
    return out;
}

std::string key_of(std::string_view text) {
    return cut(text_of(text));
}

std::string byte_key_of(std::string_view bytes) {
    return cut(bytes);
}

}  // namespace meridian::store::postgres

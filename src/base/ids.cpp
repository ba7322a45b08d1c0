// SPDX-License-Identifier: Apache-2.0
#include "base/ids.hpp"

#include <algorithm>
#include <atomic>

#include "base/hash.hpp"
#include "base/instant.hpp"

namespace meridian {

namespace {

bool is_digit_or_letter(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_hexadecimal(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/// 16 bytes as xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx with version and variant set (RFC 9562 §4).
std::string uuid_text(std::string bytes, unsigned version) {
    bytes[6] = static_cast<char>((static_cast<unsigned>(bytes[6]) & 0x0F) | (version << 4));
    bytes[8] = static_cast<char>((static_cast<unsigned>(bytes[8]) & 0x3F) | 0x80);
    std::string text = to_hex(std::string_view(bytes));
    for (const std::size_t place : {8, 13, 18, 23}) text.insert(place, 1, '-');
    return text;
}

}  // namespace

std::string new_uuid() {
    return uuid_text(random_bytes(16), 4);
}

std::string new_ordered_uuid() {
    // RFC 9562 §6.2, method 1: 48 bits of milliseconds followed by a 12-bit counter. The counter
    // may run into the milliseconds, so the order holds within this process also when the clock
    // stands still or goes back.
    static std::atomic<std::uint64_t> last{0};
    const auto clock = static_cast<std::uint64_t>(now().milliseconds) << 12;
    std::uint64_t before = last.load(std::memory_order_relaxed);
    std::uint64_t stamp;
    do {
        stamp = std::max(clock, before + 1);
    } while (!last.compare_exchange_weak(before, stamp, std::memory_order_relaxed));

    std::string bytes = random_bytes(16);
    const std::uint64_t milliseconds = stamp >> 12;
    for (std::size_t i = 0; i < 6; ++i) bytes[i] = static_cast<char>(milliseconds >> (40 - 8 * i));
    bytes[6] = static_cast<char>((stamp >> 8) & 0x0F);
    bytes[7] = static_cast<char>(stamp & 0xFF);
    return uuid_text(std::move(bytes), 7);
}

bool is_fhir_id(std::string_view text) {
    return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
        return is_digit_or_letter(c) || c == '-' || c == '.';
    });
}

bool is_uuid(std::string_view text) {
    if (text.size() != 36) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool is_dash_place = i == 8 || i == 13 || i == 18 || i == 23;
        if (is_dash_place ? text[i] != '-' : !is_hexadecimal(text[i])) return false;
    }
    return true;
}

}  // namespace meridian

// SPDX-License-Identifier: Apache-2.0
#include "store/dictionaries.hpp"

#include <charconv>

// CMake names the file and compiles this again when it changes.
#ifndef MERIDIAN_DICTIONARIES
#error "MERIDIAN_DICTIONARIES must name data/dictionaries/bodies.bin"
#endif

// clang-format off
__asm__(
    ".section .rodata\n"
    ".balign 16\n"
    ".global meridian_dictionaries_begin\n"
    "meridian_dictionaries_begin:\n"
    ".incbin \"" MERIDIAN_DICTIONARIES "\"\n"
    ".global meridian_dictionaries_end\n"
    "meridian_dictionaries_end:\n"
    ".byte 0\n"
    ".previous\n");
// clang-format on

extern "C" {
extern const char meridian_dictionaries_begin[];
extern const char meridian_dictionaries_end[];
}

namespace meridian::store {

namespace {

/// Takes what stands before `end` and leaves what comes behind it; nothing when it is not there.
std::string_view take_until(std::string_view& text, char end) {
    const std::size_t at = text.find(end);
    if (at == std::string_view::npos) return {};
    const std::string_view taken = text.substr(0, at);
    text.remove_prefix(at + 1);
    return taken;
}

template <class Number>
bool read(std::string_view text, Number& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::vector<ShippedDictionary> read_dictionaries(std::string_view file) {
    std::vector<ShippedDictionary> all;
    while (!file.empty()) {
        ShippedDictionary one{};
        std::size_t size = 0;
        const bool has_id = read(take_until(file, ' '), one.id);
        one.type = take_until(file, ' ');
        const bool has_size = read(take_until(file, '\n'), size);
        if (!has_id || one.type.empty() || !has_size || size > file.size()) return {};
        one.bytes = file.substr(0, size);
        file.remove_prefix(size);
        all.push_back(one);
    }
    return all;
}

std::vector<ShippedDictionary> shipped_dictionaries() {
    return read_dictionaries(
        {meridian_dictionaries_begin,
         static_cast<std::size_t>(meridian_dictionaries_end - meridian_dictionaries_begin)});
}

}  // namespace meridian::store

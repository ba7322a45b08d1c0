// SPDX-License-Identifier: Apache-2.0
#include "store/names.hpp"

namespace meridian::store {

namespace {

constexpr int code_bits = 48;
constexpr std::int64_t code_mask = (std::int64_t{1} << code_bits) - 1;

std::int64_t system_bits(Name system) {
    return static_cast<std::int64_t>(std::min(system, token_system_shared)) << code_bits;
}

}  // namespace

std::int64_t token_value(const Names& names, Name system, std::string_view system_text,
                         std::string_view code) {
    std::uint64_t hash = 0;
    if (system < token_system_shared) {
        hash = siphash(code, names.token_key());
    } else {
        // A length in front keeps ("ab", "c") and ("a", "bc") apart.
        std::string both = fmt::format("{}:", system_text.size());
        both.append(system_text).append(code);
        hash = siphash(both, names.token_key());
    }
    return system_bits(system) |
           static_cast<std::int64_t>(hash & static_cast<std::uint64_t>(code_mask));
}

TokenRange token_range(Name system) {
    return {system_bits(system), system_bits(system) | code_mask};
}

}  // namespace meridian::store

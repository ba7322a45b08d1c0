// SPDX-License-Identifier: Apache-2.0
// A configuration that is accepted writes itself as one that is accepted and means the same.
#include <cstdint>
#include <cstdlib>

#include "base/config.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using meridian::Config;
    using meridian::Option;
    static constexpr Option options[] = {
        {"a", Option::Kind::text, "x", "A text."},
        {"b.c", Option::Kind::integer, "1", "An integer.", 0, 10},
        {"b.d", Option::Kind::boolean, "true", "A flag."},
        {"e", Option::Kind::number, "0.5", "A number."},
        {"f", Option::Kind::list, "x,y", "A list."},
    };
    Config config(options);
    if (!config.read({reinterpret_cast<const char*>(data), size}, "input")) return 0;
    const std::string toml = config.to_toml();
    Config again(options);
    if (!again.read(toml, "again") || again.to_toml() != toml) std::abort();
    return 0;
}

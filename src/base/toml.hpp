// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace meridian {

/// A value of a TOML document (https://toml.io/en/v1.0.0) and the line where it stands, for rooms
/// whose files are richer than a list of settings (base/config.hpp).
struct Toml {
    enum class Kind : unsigned char { text, integer, boolean, list, table, other };

    Kind kind = Kind::other;
    std::string text{};
    std::int64_t integer = 0;
    bool boolean = false;
    std::vector<Toml> items{};                            ///< of a list
    std::vector<std::pair<std::string, Toml>> members{};  ///< of a table, in written order
    unsigned line = 0;                                    ///< from 1

    /// The member called `key`, or null.
    const Toml* find(std::string_view key) const;
};

/// The word for a kind in error texts: "a list".
std::string_view word_for(Toml::Kind kind);

/// The root table of a TOML text; `name` stands in messages. Errors: `incorrect` with file and
/// line; `too_large` beyond limits::config_bytes_max. Blocking: never.
Result<Toml> parse_toml(std::string_view text, std::string_view name);

}  // namespace meridian

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.hpp"

namespace meridian {

/// One setting that a program understands. A room declares its own in a table; the table is also
/// its documentation.
struct Option {
    enum class Kind : unsigned char { text, integer, number, boolean, list };

    std::string_view key;  ///< dotted, e.g. "http.workers": key `workers` of the TOML table [http]
    Kind kind = Kind::text;
    std::string_view fallback;  ///< the value when nothing is set, as on the command line; a list's
                                ///< items stand between commas
    std::string_view help;      ///< one sentence with the unit
    std::int64_t least = INT64_MIN;  ///< bounds of an integer
    std::int64_t most = INT64_MAX;
};

/// Settings from a TOML file and the command line, checked against the declared options: an unknown
/// key, a value of another kind or out of bounds is an error that names key and line. Immutable
/// after start; safe to read from many threads.
class Config {
 public:
    /// All fallbacks. `options` may be gathered from several tables; they are copied. A fallback
    /// that does not suit its own option, or a key declared twice, is a bug and throws
    /// std::logic_error.
    explicit Config(std::span<const Option> options);

    /// Reads a TOML text; `name` stands in messages. Errors: `incorrect` for invalid TOML, an
    /// unknown key, an unsuitable value; after an error nothing has changed.
    Result<void> read(std::string_view toml, std::string_view name);
    /// Reads a TOML file. Errors: those of read() and read_file().
    Result<void> read_file(const std::string& path);
    /// Sets one value from text, e.g. of the command line. Errors: as read().
    Result<void> set(std::string_view key, std::string_view value);

    // Asking for a key that is not declared, or of another kind, is a bug and throws
    // std::logic_error.
    const std::string& text(std::string_view key) const;
    std::int64_t integer(std::string_view key) const;
    double number(std::string_view key) const;
    bool boolean(std::string_view key) const;
    const std::vector<std::string>& list(std::string_view key) const;

    /// A TOML text of all options with help and fallback, the values in force uncommented: a
    /// configuration file to start from.
    std::string to_toml() const;

 private:
    using Value = std::variant<std::string, std::int64_t, double, bool, std::vector<std::string>>;
    struct Setting {
        Option option;
        Value value;
        bool is_set = false;
    };
    friend struct ConfigReader;
    static Result<Value> parsed(const Option& option, std::string_view text);
    static Result<void> check(const Option& option, const Value& value);
    template <class T>
    const T& value_of(std::string_view key) const;
    Result<Setting*> setting(std::string_view key);

    std::map<std::string, Setting, std::less<>> settings_;
};

}  // namespace meridian

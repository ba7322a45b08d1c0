// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace meridian::log {

enum class Level : unsigned char { debug, info, warning, error };

/// One field of a structured log line. Never put patient data into a value.
struct Field {
    Field(std::string_view called, std::string_view value) : name(called), text(value) {}
    Field(std::string_view called, const char* value) : name(called), text(value) {}
    Field(std::string_view called, const std::string& value) : name(called), text(value) {}
    Field(std::string_view called, std::int64_t value)
        : name(called), text(std::to_string(value)), bare(true) {}
    Field(std::string_view called, int value) : Field(called, static_cast<std::int64_t>(value)) {}
    Field(std::string_view called, std::uint64_t value)
        : name(called), text(std::to_string(value)), bare(true) {}
    Field(std::string_view called, unsigned value)
        : Field(called, static_cast<std::int64_t>(value)) {}
    Field(std::string_view called, bool value)
        : name(called), text(value ? "true" : "false"), bare(true) {}
    Field(std::string_view called, double value)
        : name(called), text(std::to_string(value)), bare(true) {}
    std::string_view name;
    std::string text;
    bool bare = false;  ///< written without quotes
};

/// Writes one JSON line to standard error: {"at":…,"level":…,"message":…, fields…}. Thread-safe;
/// never throws.
void write(Level level, std::string_view message, std::initializer_list<Field> fields = {});
inline void info(std::string_view message, std::initializer_list<Field> fields = {}) {
    write(Level::info, message, fields);
}
inline void warning(std::string_view message, std::initializer_list<Field> fields = {}) {
    write(Level::warning, message, fields);
}
inline void error(std::string_view message, std::initializer_list<Field> fields = {}) {
    write(Level::error, message, fields);
}
inline void debug(std::string_view message, std::initializer_list<Field> fields = {}) {
    write(Level::debug, message, fields);
}

/// Lines below this level are dropped. Default: info.
void set_level(Level level);

}  // namespace meridian::log

// SPDX-License-Identifier: Apache-2.0
#include "base/log.hpp"

#include <unistd.h>

#include <atomic>

#include "base/instant.hpp"
#include "base/json.hpp"
#include "base/utf8.hpp"

namespace meridian::log {

namespace {

std::atomic<Level> lowest{Level::info};

std::string_view name_of(Level level) {
    switch (level) {
        case Level::debug:
            return "debug";
        case Level::info:
            return "info";
        case Level::warning:
            return "warning";
        case Level::error:
            return "error";
    }
    return "error";
}

/// Writes a JSON string; bytes that are no UTF-8 (a file name can have some) become U+FFFD, so that
/// every line stays JSON.
void write_text(std::string_view text, std::string& out) {
    std::string sound;
    std::size_t valid = valid_utf8_length(text);
    if (valid == text.size()) return write_string(text, out);
    while (valid != text.size()) {
        sound.append(text.substr(0, valid)).append("\xEF\xBF\xBD");
        text.remove_prefix(valid + 1);
        valid = valid_utf8_length(text);
    }
    write_string(sound.append(text), out);
}

void write_member(std::string_view name, std::string_view value, bool bare, std::string& out) {
    out += ',';
    write_text(name, out);
    out += ':';
    if (bare && (is_json_number(value) || value == "true" || value == "false")) {
        out += value;
    } else {
        write_text(value, out);
    }
}

}  // namespace

void write(Level level, std::string_view message, std::initializer_list<Field> fields) {
    if (level < lowest.load(std::memory_order_relaxed)) return;
    try {
        std::string line = "{\"at\":\"" + to_text(now()) + '"';
        write_member("level", name_of(level), false, line);
        write_member("message", message, false, line);
        for (const Field& field : fields) write_member(field.name, field.text, field.bare, line);
        line += "}\n";
        // One write per line: the kernel keeps lines of several threads apart. A log that cannot be
        // written has nowhere to report that, so the result is dropped on purpose.
        [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
    } catch (...) {
        // No memory for a log line must not become the failure of what is logged.
    }
}

void set_level(Level level) {
    lowest.store(level, std::memory_order_relaxed);
}

}  // namespace meridian::log

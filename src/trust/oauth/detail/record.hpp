// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.hpp"
#include "base/json.hpp"
#include "base/result.hpp"

namespace meridian::trust::oauth::detail {

/// A flat JSON object: what lies in the vault, and what is answered.
class Record {
 public:
    Record() { document_.set_root(document_.object()); }

    /// Errors: `fault` for text that is no JSON object: nobody but us wrote it.
    static Result<Record> parse(std::string_view text);

    Record& set(std::string_view name, std::string_view value);
    Record& set(std::string_view name, const char* value) {
        return set(name, std::string_view(value));
    }
    Record& set(std::string_view name, const std::string& value) {
        return set(name, std::string_view(value));
    }
    Record& set(std::string_view name, std::int64_t value);
    Record& set(std::string_view name, bool value);
    Record& set(std::string_view name, Instant value) { return set(name, value.milliseconds); }
    Record& set(std::string_view name, const std::vector<std::string>& values);
    /// Only when it is not empty.
    Record& set_if(std::string_view name, std::string_view value);

    std::string string(std::string_view name) const;
    std::int64_t integer(std::string_view name) const;  ///< 0 when there is none
    Instant instant(std::string_view name) const { return {integer(name)}; }
    bool flag(std::string_view name) const;
    std::vector<std::string> strings(std::string_view name) const;
    std::string text() const { return to_text(document_.root()); }

 private:
    explicit Record(JsonDocument document) : document_(std::move(document)) {}
    JsonDocument document_{};
};

}  // namespace meridian::trust::oauth::detail

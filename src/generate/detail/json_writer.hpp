// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include "generate/detail/calendar.hpp"

namespace meridian::generate {

/// A code with its names. `zh` may be empty: then the English name serves both languages.
struct Code {
    std::string_view system;
    std::string_view code;
    std::string_view en;
    std::string_view zh = {};

    std::string_view name(bool english) const { return english || zh.empty() ? en : zh; }
};

/// Writes minified JSON straight into one buffer that is reused for every resource: no tree, no
/// allocation once warm. The caller opens and closes; commas are placed here.
class JsonWriter {
 public:
    JsonWriter() { out_.reserve(16u << 10); }

    std::string_view view() const { return out_; }
    void clear() {
        out_.clear();
        comma_ = false;
    }
    /// Starts a resource: {"resourceType":type,"id":id
    void begin(std::string_view type, std::string_view id) {
        clear();
        open();
        text("resourceType", type);
        text("id", id);
    }

    void open() { separate(), out_.push_back('{'), comma_ = false; }
    void open(std::string_view name) { key(name), out_.push_back('{'), comma_ = false; }
    void close() { out_.push_back('}'), comma_ = true; }
    void list(std::string_view name) { key(name), out_.push_back('['), comma_ = false; }
    void open_list() { separate(), out_.push_back('['), comma_ = false; }
    /// A member whose value is JSON already.
    void raw(std::string_view name, std::string_view json) {
        key(name);
        out_.append(json);
        comma_ = true;
    }
    void close_list() { out_.push_back(']'), comma_ = true; }
    /// "name":[{   … closed by close_only()
    void open_only(std::string_view name) { list(name), open(); }
    void close_only() { close(), close_list(); }

    void text(std::string_view name, std::string_view value) {
        key(name);
        quoted(value);
    }
    void text(std::string_view value) {
        separate();
        quoted(value);
    }
    void boolean(std::string_view name, bool value) {
        key(name);
        out_.append(value ? "true" : "false");
        comma_ = true;
    }
    void integer(std::string_view name, std::int64_t value) {
        key(name);
        digits(value);
        comma_ = true;
    }
    void integer(std::int64_t value) {
        separate();
        digits(value);
        comma_ = true;
    }
    /// A decimal with exactly `places` digits after the point: what a laboratory would print.
    void decimal(std::string_view name, double value, int places) {
        key(name);
        append_decimal(out_, value, places);
        comma_ = true;
    }
    void date(std::string_view name, Day day) {
        key(name);
        out_.push_back('"');
        append_date(out_, day);
        out_.push_back('"');
        comma_ = true;
    }
    void time(std::string_view name, Time at) {
        key(name);
        out_.push_back('"');
        append_time(out_, at);
        out_.push_back('"');
        comma_ = true;
    }
    void reference(std::string_view name, std::string_view target) {
        open(name);
        text("reference", target);
        close();
    }
    void reference(std::string_view name, std::string_view target, std::string_view display) {
        open(name);
        text("reference", target);
        text("display", display);
        close();
    }
    void reference_list(std::string_view name, std::string_view target) {
        open_only(name);
        text("reference", target);
        close_only();
    }
    void coding_fields(const Code& code) {
        text("system", code.system);
        text("code", code.code);
        text("display", code.en);
    }
    void coding(std::string_view name, const Code& code) {
        open(name);
        coding_fields(code);
        close();
    }
    /// A CodeableConcept with one or two codings and the wording of the record's language.
    void concept_fields(const Code& code, bool english, const Code* second = nullptr) {
        list("coding");
        open();
        coding_fields(code);
        close();
        if (second && !second->code.empty()) {
            open();
            coding_fields(*second);
            close();
        }
        close_list();
        text("text", code.name(english));
    }
    void codeable(std::string_view name, const Code& code, bool english,
                  const Code* second = nullptr) {
        open(name);
        concept_fields(code, english, second);
        close();
    }
    void codeable_list(std::string_view name, const Code& code, bool english,
                       const Code* second = nullptr) {
        open_only(name);
        concept_fields(code, english, second);
        close_only();
    }
    /// A CodeableConcept of one FHIR-defined code without wording.
    void plain(std::string_view name, std::string_view system, std::string_view code) {
        open(name);
        plain_fields(system, code);
        close();
    }
    void plain_list(std::string_view name, std::string_view system, std::string_view code) {
        open_only(name);
        plain_fields(system, code);
        close_only();
    }
    void plain_fields(std::string_view system, std::string_view code) {
        open_only("coding");
        text("system", system);
        text("code", code);
        close_only();
    }
    void quantity(std::string_view name, double value, int places, std::string_view unit) {
        open(name);
        decimal("value", value, places);
        text("unit", unit);
        text("system", "http://unitsofmeasure.org");
        text("code", unit);
        close();
    }
    void money(std::string_view name, std::int64_t fen) {
        open(name);
        key("value");
        append_decimal_scaled(out_, fen, 2);
        comma_ = true;
        text("currency", "CNY");
        close();
    }
    void period(std::string_view name, Time start, Time end) {
        open(name);
        time("start", start);
        time("end", end);
        close();
    }

    static void append_decimal(std::string& out, double value, int places) {
        static constexpr double power[] = {1, 10, 100, 1000, 10000};
        append_decimal_scaled(out, std::llround(value * power[places]), places);
    }
    static void append_decimal_scaled(std::string& out, std::int64_t scaled, int places) {
        char buffer[32];
        int at = 32;
        const bool negative = scaled < 0;
        std::uint64_t rest =
            negative ? static_cast<std::uint64_t>(-scaled) : static_cast<std::uint64_t>(scaled);
        for (int digit = 0; rest != 0 || digit <= places; ++digit) {
            if (digit == places && places > 0) buffer[--at] = '.';
            buffer[--at] = static_cast<char>('0' + rest % 10);
            rest /= 10;
        }
        if (negative) buffer[--at] = '-';
        out.append(buffer + at, static_cast<std::size_t>(32 - at));
    }

 private:
    void separate() {
        if (comma_) out_.push_back(',');
        comma_ = true;
    }
    void key(std::string_view name) {
        separate();
        out_.push_back('"');
        out_.append(name);
        out_.append("\":", 2);
    }
    void digits(std::int64_t value) { append_decimal_scaled(out_, value, 0); }
    void quoted(std::string_view value) {
        out_.push_back('"');
        std::size_t from = 0;
        for (std::size_t i = 0; i < value.size(); ++i) {
            const auto c = static_cast<unsigned char>(value[i]);
            if (c >= 0x20 && c != '"' && c != '\\') [[likely]]
                continue;
            out_.append(value, from, i - from);
            from = i + 1;
            escape(c);
        }
        out_.append(value, from, value.size() - from);
        out_.push_back('"');
        comma_ = true;
    }
    void escape(unsigned char c) {
        static constexpr char hex[] = "0123456789abcdef";
        switch (c) {
            case '"':
                out_.append("\\\"");
                break;
            case '\\':
                out_.append("\\\\");
                break;
            case '\n':
                out_.append("\\n");
                break;
            case '\t':
                out_.append("\\t");
                break;
            default:
                out_.append("\\u00");
                out_.push_back(hex[c >> 4]);
                out_.push_back(hex[c & 15]);
        }
    }

    std::string out_;
    bool comma_ = false;
};

}  // namespace meridian::generate

// SPDX-License-Identifier: Apache-2.0
#include "fhir/validate/primitive.hpp"

#include "base/ids.hpp"
#include "base/instant.hpp"

namespace meridian::fhir {

namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

const char* string_fault(const Json& value) {
    // [ \r\n\t\S]+ : not empty, no other control characters
    if (!value.is_string() || value.text().empty()) return "expected a string that is not empty";
    for (const char c : value.text()) {
        if (static_cast<unsigned char>(c) < 0x20 && !is_space(c))
            return "expected a string without control characters";
    }
    return nullptr;
}

const char* uri_fault(const Json& value) {
    if (!value.is_string() || value.text().empty()) return "expected a URI";
    for (const char c : value.text()) {
        if (is_space(c)) return "expected a URI without white space";
    }
    return nullptr;
}

const char* code_fault(const Json& value) {
    // [^\s]+(\s[^\s]+)* : no white space at the ends, single spaces inside
    constexpr const char* expected = "expected a code: no leading, trailing or doubled white space";
    if (!value.is_string() || value.text().empty()) return "expected a code";
    bool space_before = true;
    for (const char c : value.text()) {
        if (is_space(c) && space_before) return expected;
        space_before = is_space(c);
    }
    return space_before ? expected : nullptr;
}

const char* integer_fault(const Json& value, std::int64_t least) {
    const char* expected = least == 1   ? "expected a whole number from 1 to 2147483647"
                           : least == 0 ? "expected a whole number from 0 to 2147483647"
                                        : "expected a whole number from -2147483648 to 2147483647";
    if (!value.is_number()) return expected;
    const std::string_view text = value.text();
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number < least ||
        number > 2147483647)
        return expected;
    return nullptr;
}

/// How a date-like text must look: `time` and `zone` as its type asks.
const char* date_fault(const Json& value, std::string_view type) {
    const char* expected =
        type == "date" ? "expected YYYY, YYYY-MM or YYYY-MM-DD"
        : type == "instant"
            ? "expected YYYY-MM-DDThh:mm:ss with time zone"
            : "expected YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with time zone";
    if (!value.is_string()) return expected;
    const auto date = parse_date(value.text());
    if (!date) return expected;
    const bool has_time = date->precision > DatePrecision::day;
    if (type == "date") return has_time ? expected : nullptr;
    if (type == "instant" && !has_time) return expected;
    if (has_time && (date->precision < DatePrecision::second || !date->zone_minutes))
        return expected;
    return nullptr;
}

const char* time_fault(const Json& value) {
    constexpr const char* expected = "expected hh:mm:ss";
    if (!value.is_string()) return expected;
    const std::string_view text = value.text();
    if (text.size() < 8 || text[2] != ':' || text[5] != ':') return expected;
    for (const std::size_t i : {0, 1, 3, 4, 6, 7}) {
        if (!is_digit(text[i])) return expected;
    }
    if (text.substr(0, 2) > "23" || text[3] > '5' || text[6] > '5') return expected;
    if (text.size() == 8) return nullptr;
    if (text[8] != '.' || text.size() == 9) return expected;
    return std::all_of(text.begin() + 9, text.end(), is_digit) ? nullptr : expected;
}

const char* base64_fault(const Json& value) {
    constexpr const char* expected = "expected base64: groups of four characters";
    if (!value.is_string()) return expected;
    std::size_t count = 0;
    bool padded = false;
    for (const char c : value.text()) {
        if (is_space(c)) continue;
        const bool is_alphabet =
            is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '+' || c == '/';
        if (c == '=') {
            padded = true;
        } else if (!is_alphabet || padded) {
            return expected;
        }
        ++count;
    }
    return count % 4 == 0 ? nullptr : expected;
}

const char* oid_fault(const Json& value) {
    // urn:oid:[0-2](\.(0|[1-9][0-9]*))+
    constexpr const char* expected = "expected urn:oid:1.2.3";
    std::string_view text = value.text();
    if (!text.starts_with("urn:oid:")) return expected;
    text.remove_prefix(8);
    if (text.size() < 3 || text[0] < '0' || text[0] > '2' || text[1] != '.') return expected;
    bool at_start = true;
    for (std::size_t i = 2; i < text.size(); ++i) {
        if (text[i] == '.') {
            if (at_start) return expected;
            at_start = true;
        } else if (!is_digit(text[i]) ||
                   (at_start && text[i] == '0' && i + 1 < text.size() && text[i + 1] != '.')) {
            return expected;
        } else {
            at_start = false;
        }
    }
    return at_start ? expected : nullptr;
}

const char* xhtml_fault(const Json& value) {
    if (!value.is_string() || !value.text().starts_with("<div")) return "expected an XHTML <div>";
    return nullptr;
}

using Check = const char* (*)(const Json&);

/// One check per primitive type, found by the type's address.
const std::unordered_map<const Type*, Check>& checks() {
    static const std::unordered_map<const Type*, Check> table = [] {
        const std::pair<const char*, Check> rules[] = {
            {"boolean",
             [](const Json& v) -> const char* {
                 return v.is_boolean() ? nullptr : "expected true or false";
             }},
            {"integer", [](const Json& v) { return integer_fault(v, -2147483648LL); }},
            {"unsignedInt", [](const Json& v) { return integer_fault(v, 0); }},
            {"positiveInt", [](const Json& v) { return integer_fault(v, 1); }},
            {"decimal",
             [](const Json& v) -> const char* {
                 return v.is_number() ? nullptr : "expected a number";
             }},
            {"string", string_fault},
            {"markdown", string_fault},
            {"uri", uri_fault},
            {"url", uri_fault},
            {"canonical", uri_fault},
            {"oid", oid_fault},
            {"uuid",
             [](const Json& v) -> const char* {
                 return v.text().starts_with("urn:uuid:") && is_uuid(v.text().substr(9))
                            ? nullptr
                            : "expected urn:uuid: and a UUID";
             }},
            {"id",
             [](const Json& v) -> const char* {
                 return v.is_string() && is_fhir_id(v.text())
                            ? nullptr
                            : "expected an id: 1 to 64 of A-Z a-z 0-9 - .";
             }},
            {"code", code_fault},
            {"date", [](const Json& v) { return date_fault(v, "date"); }},
            {"dateTime", [](const Json& v) { return date_fault(v, "dateTime"); }},
            {"instant", [](const Json& v) { return date_fault(v, "instant"); }},
            {"time", time_fault},
            {"base64Binary", base64_fault},
            {"xhtml", xhtml_fault},
        };
        std::unordered_map<const Type*, Check> built;
        for (const auto& [name, check] : rules) {
            if (const Type* type = definitions().find(name)) built.emplace(type, check);
        }
        return built;
    }();
    return table;
}

}  // namespace

const char* primitive_fault(const Type& type, const Json& value) {
    if (value.is_object() || value.is_array())
        return "expected a single value, not an object or array";
    if (value.is_null()) return "expected a value, not null";
    const auto found = checks().find(&type);
    if (found != checks().end()) return found->second(value);
    return value.is_string()
               ? nullptr
               : "expected a string";  // e.g. http://hl7.org/fhirpath/System.String of Element.id
}

}  // namespace meridian::fhir

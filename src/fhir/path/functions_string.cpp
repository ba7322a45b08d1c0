// SPDX-License-Identifier: Apache-2.0
// Strings (N1 §5.6) with the additional functions of 2.1. Positions and lengths count characters
// (code points).
#include "base/hash.hpp"
#include "base/limits.hpp"
#include "base/markup.hpp"
#include "base/utf8.hpp"
#include "fhir/path/evaluator.hpp"
#include "fhir/path/regex.hpp"
#include "text/letter_case.hpp"

namespace meridian::fhir::path {
namespace {

bool starts_character(char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
}

std::int64_t count_characters(std::string_view text) {
    return std::count_if(text.begin(), text.end(), starts_character);
}

/// Byte offset of the character number `index`; nothing when the text has no more than that many.
std::optional<std::size_t> offset_of(std::string_view text, std::int64_t index) {
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (starts_character(text[at]) && index-- == 0) return at;
    }
    return std::nullopt;
}

Collection text_result(std::string text) {
    return single(Item::string(std::move(text)));
}

Result<void> check_length(const Call& call, std::size_t bytes) {
    if (bytes <= limits::fhirpath_string_bytes_max) return {};
    return fail(Category::too_large,
                fmt::format("{}(): a text has more than {} bytes", call.node.text,
                            limits::fhirpath_string_bytes_max));
}

Collection to_characters(std::string_view text) {
    Collection out;
    for (std::size_t start = 0; start < text.size();) {
        std::size_t end = start + 1;
        while (end < text.size() && !starts_character(text[end])) ++end;
        out.push_back(Item::string(std::string(text.substr(start, end - start))));
        start = end;
    }
    return out;
}

Result<Collection> substring(const Call& call, std::string_view text) {
    auto start = TRY(call.integer_argument(0));
    if (!start || *start < 0) return Collection();
    auto from = offset_of(text, *start);
    if (!from) return Collection();
    std::string_view rest = text.substr(*from);
    if (call.has_argument(1)) {
        auto length = TRY(call.integer_argument(1));
        if (length && *length <= 0) return text_result("");
        if (length) {
            if (auto end = offset_of(rest, *length)) rest = rest.substr(0, *end);
        }
    }
    return text_result(std::string(rest));
}

Result<Collection> replace(const Call& call, std::string_view text) {
    auto pattern = TRY(call.string_argument(0));
    auto substitution = TRY(call.string_argument(1));
    if (!pattern || !substitution) return Collection();
    std::string out;
    if (pattern->empty()) {
        // Every character is surrounded by the substitution: 'abc' → 'xaxbxcx'.
        TRY(check_length(call, text.size() + (text.size() + 1) * substitution->size()));
        out = *substitution;
        for (std::size_t i = 0; i < text.size(); ++i) {
            out += text[i];
            if (i + 1 == text.size() || starts_character(text[i + 1])) out += *substitution;
        }
        return text_result(std::move(out));
    }
    std::size_t at = 0;
    while (true) {
        auto found = text.find(*pattern, at);
        out += text.substr(at, found == std::string_view::npos ? found : found - at);
        if (found == std::string_view::npos) break;
        out += *substitution;
        TRY(check_length(call, out.size()));
        at = found + pattern->size();
    }
    return text_result(std::move(out));
}

/// The regular expression of argument 0 with the flags of argument `flags_at`; null when the
/// argument is empty.
Result<std::shared_ptr<const Regex>> regex_of(const Call& call, std::size_t flags_at) {
    if (call.node.prepared) return std::static_pointer_cast<const Regex>(call.node.prepared);
    auto pattern = TRY(call.string_argument(0));
    if (!pattern) return std::shared_ptr<const Regex>();
    std::optional<std::string> flags;
    if (call.has_argument(flags_at)) flags = TRY(call.string_argument(flags_at));
    auto regex = Regex::compile(*pattern, flags.value_or(""));
    if (!regex && regex.error().category == Category::incorrect)
        return call.wrong(regex.error().message);
    return regex;
}

Result<Collection> matched(const Call& call, std::string_view text) {
    auto regex = TRY(regex_of(call, call.node.function == Function::replace_matches ? 2 : 1));
    if (!regex) return Collection();
    if (call.node.function == Function::matches) return boolean(regex->matches(text));
    if (call.node.function == Function::matches_full) return boolean(regex->matches_full(text));
    auto substitution = TRY(call.string_argument(1));
    if (!substitution) return Collection();
    auto pattern = TRY(call.string_argument(0));
    if (!pattern || pattern->empty())
        return text_result(std::string(text));  // nothing is matched, nothing replaced
    TRY(check_length(call, text.size() + (text.size() + 1) * substitution->size()));
    return text_result(regex->replace(text, *substitution));
}

std::string padded(std::string text) {
    while (text.size() % 4 != 0) text += '=';
    return text;
}

Result<Collection> encode(const Call& call, std::string_view text) {
    auto format = TRY(call.string_argument(0));
    if (!format) return Collection();
    if (*format == "hex") return text_result(to_hex(text));
    if (*format == "base64") return text_result(base64_encode(text));
    if (*format == "urlbase64") return text_result(padded(base64url_encode(text)));
    return call.wrong(
        fmt::format("\"{}\" is no encoding (expected hex, base64 or urlbase64)", *format));
}

std::optional<std::string> from_hex(std::string_view text) {
    if (text.size() % 2 != 0) return std::nullopt;
    std::string out;
    for (std::size_t i = 0; i < text.size(); i += 2) {
        unsigned value = 0;
        auto [end, error] = std::from_chars(text.data() + i, text.data() + i + 2, value, 16);
        if (error != std::errc() || end != text.data() + i + 2) return std::nullopt;
        out += static_cast<char>(value);
    }
    return out;
}

Result<Collection> decode(const Call& call, std::string_view text) {
    auto format = TRY(call.string_argument(0));
    if (!format) return Collection();
    std::string out;
    bool decoded = false;
    if (*format == "hex") {
        auto bytes = from_hex(text);
        decoded = bytes.has_value();
        if (bytes) out = std::move(*bytes);
    } else if (*format == "base64") {
        decoded = base64_decode(text, out);
    } else if (*format == "urlbase64") {
        while (text.ends_with('=')) text.remove_suffix(1);
        decoded = base64url_decode(text, out);
    } else {
        return call.wrong(
            fmt::format("\"{}\" is no encoding (expected hex, base64 or urlbase64)", *format));
    }
    if (!decoded || !is_valid_utf8(out)) return Collection();
    return text_result(std::move(out));
}

/// The character that "amp", "#39" or "#x27" stands for; nothing for an unknown name.
std::optional<char32_t> entity(std::string_view name) {
    constexpr std::pair<std::string_view, char32_t> names[] = {
        {"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}, {"nbsp", 0xA0}};
    for (const auto& [known, code] : names) {
        if (known == name) return code;
    }
    if (!name.starts_with('#')) return std::nullopt;
    bool hexadecimal = name.size() > 1 && (name[1] == 'x' || name[1] == 'X');
    name.remove_prefix(hexadecimal ? 2 : 1);
    std::uint32_t code = 0;
    auto [end, error] =
        std::from_chars(name.data(), name.data() + name.size(), code, hexadecimal ? 16 : 10);
    bool valid = error == std::errc() && end == name.data() + name.size() && code != 0 &&
                 code <= 0x10FFFF && !(code >= 0xD800 && code <= 0xDFFF);
    return valid ? std::optional<char32_t>(code) : std::nullopt;
}

std::string unescaped_html(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        auto end = text[i] == '&' ? text.substr(i, 12).find(';') : std::string_view::npos;
        auto code =
            end != std::string_view::npos ? entity(text.substr(i + 1, end - 1)) : std::nullopt;
        if (!code) {
            out += text[i];
            continue;
        }
        append_utf8(out, *code);
        i += end;
    }
    return out;
}

std::string escaped_json(std::string_view text) {
    std::string out;
    write_string(text, out);
    return out.substr(1, out.size() - 2);
}

std::string unescaped_json(std::string_view text) {
    // A JSON string whose own quotes are escaped; bare quotes may stand in the input.
    std::string quoted = "\"";
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 1 < text.size()) {
            quoted += text[i];
            quoted += text[++i];
        } else if (text[i] == '"') {
            quoted += "\\\"";
        } else if (static_cast<unsigned char>(text[i]) < 0x20) {
            quoted += fmt::format("\\u{:04x}", static_cast<unsigned>(text[i]));
        } else {
            quoted += text[i];
        }
    }
    auto document = JsonDocument::parse(quoted + "\"");
    return document ? std::string(document->root().text()) : std::string(text);
}

Result<Collection> escape(const Call& call, std::string_view text) {
    auto target = TRY(call.string_argument(0));
    if (!target) return Collection();
    bool forth = call.node.function == Function::escape;
    TRY(check_length(call, text.size() * 6));
    if (*target == "html") return text_result(forth ? escaped_markup(text) : unescaped_html(text));
    if (*target == "json") return text_result(forth ? escaped_json(text) : unescaped_json(text));
    return call.wrong(fmt::format("\"{}\" is no target (expected html or json)", *target));
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view space = " \t\r\n\f\v";
    auto start = text.find_first_not_of(space);
    if (start == std::string_view::npos) return {};
    return text.substr(start, text.find_last_not_of(space) - start + 1);
}

Result<Collection> split(const Call& call, std::string_view text) {
    auto separator = TRY(call.string_argument(0));
    if (!separator) return Collection();
    if (separator->empty()) return to_characters(text);
    Collection out;
    while (true) {
        auto found = text.find(*separator);
        out.push_back(Item::string(std::string(text.substr(0, found))));
        if (found == std::string_view::npos) return out;
        text.remove_prefix(found + separator->size());
    }
}

Result<Collection> join(const Call& call) {
    std::optional<std::string> separator;
    if (call.has_argument(0)) separator = TRY(call.string_argument(0));
    if (call.input.empty()) return Collection();
    std::string out;
    bool first = true;
    for (const Item& item : call.input) {
        if (item.kind() != Kind::string)
            return call.wrong(fmt::format("a String was expected, not {}", item.type_name()));
        if (!first && separator) out += *separator;
        first = false;
        out += item.string().value_or("");
        TRY(check_length(call, out.size()));
    }
    return text_result(std::move(out));
}

Result<Collection> index_of(const Call& call, std::string_view text) {
    auto part = TRY(call.string_argument(0));
    if (!part) return Collection();
    auto found = call.node.function == Function::index_of ? text.find(*part) : text.rfind(*part);
    if (found == std::string_view::npos) return single(Item::integer(-1));
    return single(Item::integer(count_characters(text.substr(0, found))));
}

}  // namespace

Result<Collection> call_string(const Call& call) {
    if (call.node.function == Function::join) return join(call);
    auto input = TRY(call.input_string());
    if (!input) return Collection();
    std::string_view text = *input;
    switch (call.node.function) {
        case Function::index_of:
        case Function::last_index_of:
            return index_of(call, text);
        case Function::substring:
            return substring(call, text);
        case Function::starts_with:
        case Function::ends_with:
        case Function::contains: {
            auto part = TRY(call.string_argument(0));
            if (!part) return Collection();
            if (call.node.function == Function::starts_with)
                return boolean(text.starts_with(*part));
            if (call.node.function == Function::ends_with) return boolean(text.ends_with(*part));
            return boolean(text.find(*part) != std::string_view::npos);
        }
        case Function::upper:
            return text_result(text::to_upper(text));
        case Function::lower:
            return text_result(text::to_lower(text));
        case Function::replace:
            return replace(call, text);
        case Function::matches:
        case Function::matches_full:
        case Function::replace_matches:
            return matched(call, text);
        case Function::length:
            return single(Item::integer(count_characters(text)));
        case Function::to_chars:
            return to_characters(text);
        case Function::encode:
            return encode(call, text);
        case Function::decode:
            return decode(call, text);
        case Function::escape:
        case Function::unescape:
            return escape(call, text);
        case Function::trim:
            return text_result(std::string(trimmed(text)));
        default:
            return split(call, text);
    }
}

}  // namespace meridian::fhir::path

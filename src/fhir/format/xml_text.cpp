// SPDX-License-Identifier: Apache-2.0
#include "fhir/format/xml_text.hpp"

#include <pugixml.hpp>

#include "base/limits.hpp"
#include "base/markup.hpp"
#include "base/utf8.hpp"

namespace meridian::fhir::detail {

namespace {

std::string line_and_column(std::string_view text, std::size_t offset) {
    const std::string_view before = text.substr(0, offset);
    const auto lines = std::ranges::count(before, '\n');
    const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0: the first line
    const auto continuation = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; };
    const auto inside = std::ranges::count_if(before.substr(line_start), continuation);
    return fmt::format("line {}, column {}", lines + 1,
                       static_cast<std::ptrdiff_t>(offset - line_start) - inside + 1);
}

/// False at a control character other than white space and at U+FFFE and U+FFFF. `text` is valid
/// UTF-8.
bool is_xml_character(std::string_view text, std::size_t at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte < 0x20) return byte == '\t' || byte == '\n' || byte == '\r';
    return byte != 0xEF ||
           (text.substr(at, 3) != "\xEF\xBF\xBE" && text.substr(at, 3) != "\xEF\xBF\xBF");
}

/// Length of the reference that starts with '&' at the front of `text`; 0 when it is none that XML
/// knows by itself.
std::size_t reference_length(std::string_view text) {
    const std::size_t end = text.substr(0, 12).find(';');
    if (end == std::string_view::npos) return 0;
    std::string_view name = text.substr(1, end - 1);
    for (const std::string_view known : {"amp", "lt", "gt", "quot", "apos"}) {
        if (name == known) return end + 1;
    }
    if (!name.starts_with('#')) return 0;
    name.remove_prefix(1);
    int base = 10;
    if (name.starts_with('x')) {
        name.remove_prefix(1);
        base = 16;
    }
    std::uint32_t code = 0;
    const auto [rest, failure] =
        std::from_chars(name.data(), name.data() + name.size(), code, base);
    if (failure != std::errc() || rest != name.data() + name.size()) return 0;
    const bool is_character =
        code == '\t' || code == '\n' || code == '\r' || (code >= 0x20 && code < 0xD800) ||
        (code >= 0xE000 && code < 0xFFFE) || (code >= 0x10000 && code < 0x110000);
    return is_character ? end + 1 : 0;
}

/// The place behind the tag that starts with '<' at `at`: a '>' inside a quoted value does not end
/// it.
std::size_t tag_end(std::string_view text, std::size_t at) {
    char quote = '\0';
    for (; at < text.size(); ++at) {
        const char c = text[at];
        if (quote != '\0') {
            if (c == quote) quote = '\0';
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (c == '>') {
            return at + 1;
        }
    }
    return text.size();
}

/// The place behind a comment, CDATA section or processing instruction that starts at `at`; `at`
/// when none does; npos when it has no end.
std::size_t skip_special(std::string_view text, std::size_t at) {
    const auto behind = [&](std::string_view end, std::size_t from) {
        const std::size_t found = text.find(end, from);
        return found == std::string_view::npos ? found : found + end.size();
    };
    const std::string_view rest = text.substr(at, 9);
    if (rest.starts_with("<!--")) return behind("-->", at + 4);
    if (rest.starts_with("<![CDATA[")) return behind("]]>", at + 9);
    if (rest.starts_with("<?")) return behind("?>", at + 2);
    return at;
}

/// True when no element of the tree has an attribute twice or deeper nesting than allowed.
bool is_sound(const pugi::xml_node& node, unsigned depth) {
    if (depth > limits::xml_depth_max) return false;
    for (const pugi::xml_attribute attribute : node.attributes()) {
        for (pugi::xml_attribute other = attribute.next_attribute(); other;
             other = other.next_attribute()) {
            if (std::string_view(other.name()) == attribute.name()) return false;
        }
    }
    for (const pugi::xml_node child : node.children()) {
        if (!is_sound(child, depth + 1)) return false;
    }
    return true;
}

/// Checks references, declarations and the '<' that no quoted value may hold. Quotes have a meaning
/// inside of tags only.
Result<void> check_markup(std::string_view text) {
    const auto refuse = [&](std::string_view message, std::size_t at) {
        return fail(Category::incorrect, std::string(message), line_and_column(text, at));
    };
    bool is_in_tag = false;
    char quote = '\0';
    for (std::size_t at = 0; at < text.size();) {
        const char c = text[at];
        if (c == '&') {
            const std::size_t length = reference_length(text.substr(at));
            if (length == 0) {
                return refuse(
                    "FHIR allows no entities but &amp; &lt; &gt; &quot; &apos; and character "
                    "references: write the character.",
                    at);
            }
            at += length;
            continue;
        }
        if (c == '<') {
            if (is_in_tag)
                return refuse("A \"<\" stands inside of a tag: write &lt; in a value.", at);
            const std::size_t behind = skip_special(text, at);
            if (behind == std::string_view::npos)
                return refuse("A comment, CDATA section or instruction has no end.", at);
            if (behind == at && text.substr(at, 2) == "<!") {
                return refuse(
                    "A DOCTYPE or other declaration is not allowed in FHIR XML: remove it.", at);
            }
            // Inside of comments and CDATA sections '&' and '<' are plain characters.
            is_in_tag = behind == at;
            at = is_in_tag ? at + 1 : behind;
            continue;
        }
        if (quote != '\0') {
            if (c == quote) quote = '\0';
        } else if (is_in_tag && (c == '"' || c == '\'')) {
            quote = c;
        } else if (c == '>') {
            is_in_tag = false;
        }
        ++at;
    }
    return {};
}

}  // namespace

Result<void> check_xml_text(std::string_view text) {
    if (const std::size_t valid = valid_utf8_length(text); valid != text.size()) {
        return fail(Category::incorrect, "The XML is not valid UTF-8.",
                    line_and_column(text, valid));
    }
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (!is_xml_character(text, at)) {
            return fail(Category::incorrect,
                        "The XML holds a character that XML 1.0 does not allow.",
                        line_and_column(text, at));
        }
    }
    return check_markup(text);
}

std::string_view element_text(std::string_view text, std::size_t start) {
    std::size_t depth = 0;
    std::size_t at = start;
    while (at < text.size()) {
        if (text[at] != '<') {
            at = std::min(text.find('<', at), text.size());
            continue;
        }
        if (const std::size_t behind = skip_special(text, at); behind != at) {
            at = std::min(behind, text.size());
            continue;
        }
        const bool is_end = text.substr(at, 2) == "</";
        at = tag_end(text, at);
        const bool is_empty = text[at - 2] == '/';
        if (is_end) --depth;
        if (!is_end && !is_empty) ++depth;
        if (depth == 0) return text.substr(start, at - start);
    }
    return text.substr(start);
}

bool is_narrative(std::string_view text) {
    if (!text.starts_with("<div") || text.size() > limits::xml_bytes_max || !check_xml_text(text))
        return false;
    pugi::xml_document document;
    const auto outcome =
        document.load_buffer(text.data(), text.size(), pugi::parse_full, pugi::encoding_utf8);
    if (!outcome) return false;
    const pugi::xml_node root = document.first_child();
    return std::string_view(root.name()) == "div" && !root.next_sibling() &&
           element_text(text, 0).size() == text.size() && is_sound(root, 0);
}

std::string with_xhtml_namespace(std::string_view div) {
    constexpr std::string_view name = "<div";
    const std::string_view tag = div.substr(0, tag_end(div, 0));
    // Any white space may stand before an attribute, so the attribute is looked for, not one
    // spelling of it.
    for (std::size_t at = tag.find("xmlns"); at != std::string_view::npos;
         at = tag.find("xmlns", at + 1)) {
        const std::size_t next = tag.find_first_not_of(" \t\r\n", at + 5);
        const bool is_start = std::string_view(" \t\r\n").contains(tag[at - 1]);
        if (is_start && next != std::string_view::npos && tag[next] == '=') return std::string(div);
    }
    return fmt::format("{} xmlns=\"{}\"{}", name, xhtml_namespace, div.substr(name.size()));
}

void append_escaped(std::string_view value, std::string& out) {
    for (std::size_t at = 0; at < value.size(); ++at) {
        const char c = value[at];
        switch (c) {
            case '&':
            case '<':
            case '>':
            case '"':
                out += markup_escape(c);
                break;
            // A parser turns these into blanks when they stand in an attribute as they are (XML 1.0
            // §3.3.3).
            case '\t':
                out += "&#9;";
                break;
            case '\n':
                out += "&#10;";
                break;
            case '\r':
                out += "&#13;";
                break;
            default:
                if (is_xml_character(value, at)) {
                    out += c;
                } else {
                    out += "\xEF\xBF\xBD";
                    if (static_cast<unsigned char>(c) == 0xEF) at += 2;
                }
        }
    }
}

}  // namespace meridian::fhir::detail

// SPDX-License-Identifier: Apache-2.0
#include "fhir/path/html.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "base/limits.hpp"

namespace meridian::fhir::path {
namespace {

// HTML 4.0 chapters 7 to 11 (without 4 of 9) and 15, as the rule txt-1 names them; a and img
// beside.
constexpr std::string_view elements[] = {
    "a",      "abbr", "acronym", "b",        "big",   "blockquote", "br",    "caption",
    "cite",   "code", "col",     "colgroup", "dd",    "del",        "dfn",   "div",
    "dl",     "dt",   "em",      "h1",       "h2",    "h3",         "h4",    "h5",
    "h6",     "hr",   "i",       "img",      "ins",   "kbd",        "li",    "map",
    "area",   "ol",   "p",       "pre",      "q",     "samp",       "small", "span",
    "strong", "sub",  "sup",     "table",    "tbody", "td",         "tfoot", "th",
    "thead",  "tr",   "tt",      "ul",       "u",     "var",        "bdo",   "address",
};

constexpr std::string_view attributes[] = {
    "abbr",       "accesskey",   "align",       "alt",        "axis",   "bgcolor", "border",
    "cellhalign", "cellpadding", "cellspacing", "cellvalign", "char",   "charoff", "charset",
    "cite",       "class",       "colspan",     "compact",    "coords", "dir",     "frame",
    "headers",    "height",      "href",        "hreflang",   "hspace", "id",      "lang",
    "longdesc",   "name",        "nowrap",      "rel",        "rev",    "rowspan", "rules",
    "scope",      "shape",       "span",        "src",        "start",  "style",   "summary",
    "tabindex",   "title",       "type",        "valign",     "value",  "vspace",  "width",
    "xml:lang",   "xml:space",   "xmlns",
};

template <std::size_t count>
bool is_among(const std::string_view (&list)[count], std::string_view name) {
    return std::find(std::begin(list), std::end(list), name) != std::end(list);
}

constexpr std::string_view space = " \t\r\n";

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return out;
}

/// An address whose scheme is one that only leads somewhere, or that has none. What stands before
/// the colon must be plain: browsers pass over tabs and line feeds in it, and references to
/// characters would hide it.
bool is_harmless_address(std::string_view value, bool is_picture) {
    const std::size_t end = value.find_first_of(":/?#");
    if (end == std::string_view::npos || value[end] != ':')
        return value.find('&') >= std::min(end, value.size());
    const std::string scheme = lower(value.substr(0, end));
    if (is_picture && scheme == "data") return lower(value).starts_with("data:image/");
    return scheme == "http" || scheme == "https" || scheme == "mailto" || scheme == "tel" ||
           scheme == "urn" || scheme == "cid";
}

bool is_allowed_value(std::string_view name, std::string_view value) {
    if (name == "href" || name == "src" || name == "cite" || name == "longdesc")
        return is_harmless_address(value, name == "src");
    if (name != "style") return true;
    const std::string style = lower(value);
    for (const char* loading : {"url(", "expression(", "@import", "\\", "&#"}) {
        if (style.find(loading) != std::string::npos) return false;
    }
    return true;
}

class Scanner {
 public:
    explicit Scanner(std::string_view text) : text_(text) {}

    bool run(bool must_say_something) {
        while (at_ < text_.size()) {
            if (text_[at_] != '<') {
                if (space.find(text_[at_]) == std::string_view::npos) {
                    if (open_.empty()) return false;
                    has_content_ = true;
                }
                ++at_;
            } else if (text_.substr(at_).starts_with("<!--")) {
                auto end = text_.find("-->", at_);
                if (end == std::string_view::npos) return false;
                at_ = end + 3;
            } else if (!tag()) {
                return false;
            }
        }
        return open_.empty() && roots_ == 1 && (has_content_ || !must_say_something);
    }

 private:
    bool tag() {
        auto end = text_.find('>', at_);
        if (end == std::string_view::npos) return false;
        std::string_view inside = text_.substr(at_ + 1, end - at_ - 1);
        // A ">" inside a quoted attribute value does not end the tag.
        while (std::count(inside.begin(), inside.end(), '"') % 2 != 0) {
            end = text_.find('>', end + 1);
            if (end == std::string_view::npos) return false;
            inside = text_.substr(at_ + 1, end - at_ - 1);
        }
        at_ = end + 1;
        if (inside.starts_with('/')) return close(inside.substr(1));
        bool is_closed = inside.ends_with('/');
        if (is_closed) inside.remove_suffix(1);
        return open(inside, is_closed);
    }

    bool close(std::string_view name) {
        name = name.substr(0, name.find_last_not_of(space) + 1);
        if (open_.empty() || open_.back() != name) return false;
        open_.pop_back();
        return true;
    }

    bool open(std::string_view inside, bool is_closed) {
        auto end = inside.find_first_of(space);
        std::string_view name = inside.substr(0, end);
        if (!is_among(elements, name)) return false;
        if (open_.empty() && (name != "div" || roots_++ != 0)) return false;
        if (name == "img") has_content_ = true;
        if (end != std::string_view::npos && !attributes_of(inside.substr(end))) return false;
        if (is_closed) return true;
        if (open_.size() >= limits::xml_depth_max) return false;
        open_.push_back(name);
        return true;
    }

    static bool attributes_of(std::string_view text) {
        while (true) {
            auto start = text.find_first_not_of(space);
            if (start == std::string_view::npos) return true;
            text.remove_prefix(start);
            auto equals = text.find('=');
            if (equals == std::string_view::npos) return false;
            std::string_view name = text.substr(0, equals);
            name = name.substr(0, name.find_last_not_of(space) + 1);
            if (!is_among(attributes, name)) return false;
            text.remove_prefix(equals + 1);
            auto quote_at = text.find_first_not_of(space);
            if (quote_at == std::string_view::npos) return false;
            char quote = text[quote_at];
            if (quote != '"' && quote != '\'') return false;
            auto end = text.find(quote, quote_at + 1);
            if (end == std::string_view::npos) return false;
            if (!is_allowed_value(name, text.substr(quote_at + 1, end - quote_at - 1)))
                return false;
            text.remove_prefix(end + 1);
        }
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::vector<std::string_view> open_;
    int roots_ = 0;
    bool has_content_ = false;
};

}  // namespace

bool is_allowed_narrative(std::string_view xhtml) {
    return Scanner(xhtml).run(true);
}

bool is_allowed_markup(std::string_view xhtml) {
    return Scanner(xhtml).run(false);
}

}  // namespace meridian::fhir::path

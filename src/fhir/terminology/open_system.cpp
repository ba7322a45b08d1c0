// SPDX-License-Identifier: Apache-2.0
#include "fhir/terminology/open_system.hpp"

#include <algorithm>

#include "fhir/ucum/ucum.hpp"

namespace meridian::fhir::terminology {

namespace {

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_alphanumeric(char c) {
    return is_letter(c) || (c >= '0' && c <= '9');
}

/// A primary subtag of two to eight letters (or x, i), then subtags of one to eight letters and
/// digits.
bool is_language(std::string_view tag) {
    bool is_first = true;
    while (true) {
        const std::size_t end = std::min(tag.find('-'), tag.size());
        const std::string_view part = tag.substr(0, end);
        if (part.empty() || part.size() > 8 ||
            !std::ranges::all_of(part, is_first ? is_letter : is_alphanumeric))
            return false;
        if (is_first && part.size() == 1 && (part != "x" && part != "i")) return false;
        if (end == tag.size()) return !is_first || part.size() > 1;
        tag.remove_prefix(end + 1);
        is_first = false;
    }
}

bool is_restricted_name(std::string_view name) {
    return !name.empty() && name.size() <= 127 && is_alphanumeric(name.front()) &&
           std::ranges::all_of(name, [](char c) {
               return is_alphanumeric(c) ||
                      std::string_view("!#$&-^_.+").find(c) != std::string_view::npos;
           });
}

bool is_media_type(std::string_view text) {
    text = text.substr(0, text.find(';'));  // parameters may follow
    while (text.ends_with(' ')) text.remove_suffix(1);
    const std::size_t slash = text.find('/');
    return slash != std::string_view::npos && is_restricted_name(text.substr(0, slash)) &&
           is_restricted_name(text.substr(slash + 1));
}

}  // namespace

OpenSystem open_system(std::string_view url) {
    if (url == "http://unitsofmeasure.org") return OpenSystem::ucum;
    if (url == "urn:ietf:bcp:47") return OpenSystem::language;
    if (url == "urn:ietf:bcp:13" || url == "http://terminology.hl7.org/CodeSystem/mimetypes")
        return OpenSystem::media_type;
    return OpenSystem::none;
}

bool follows_grammar(OpenSystem system, std::string_view code) {
    switch (system) {
        case OpenSystem::none:
            return false;
        case OpenSystem::ucum:
            return !code.empty() && ucum::is_valid(code);
        case OpenSystem::language:
            return is_language(code);
        case OpenSystem::media_type:
            return is_media_type(code);
    }
    return false;
}

}  // namespace meridian::fhir::terminology

// SPDX-License-Identifier: Apache-2.0
#include "trust/scope.hpp"

#include <algorithm>
#include <array>

#include "base/message.hpp"
#include "base/query_string.hpp"
#include "fhir/definitions/definitions.hpp"
#include "trust/limits.hpp"

namespace meridian::trust {

namespace {

constexpr std::array<std::string_view, 7> words{
    "openid",           "fhirUser",       "launch",       "launch/patient",
    "launch/encounter", "offline_access", "online_access"};
constexpr std::array<std::string_view, 4> level_names{"", "patient", "user", "system"};
constexpr std::string_view letters = "cruds";

std::unexpected<Error> no_scope(std::string_view text, std::string_view why) {
    return fail(Category::incorrect,
                fmt::format("\"{}\" is no scope: {} (expected e.g. patient/Observation.rs)",
                            shown_in_message(text), why),
                "scope");
}

bool is_type(std::string_view text) {
    return text == "*" || fhir::definitions().resource(text) != nullptr;
}

/// The letters of v2 in their order, or a word of v1; 0 for anything else.
std::uint8_t operations_of(std::string_view text) {
    if (text == "read") return Scope::read | Scope::search;
    if (text == "write") return Scope::create | Scope::update | Scope::remove;
    if (text == "*")
        return Scope::create | Scope::read | Scope::update | Scope::remove | Scope::search;
    std::uint8_t operations = 0;
    std::size_t from = 0;
    for (const char c : text) {
        const std::size_t at = letters.find(c, from);  // SMART 2.2: in this order, each once
        if (at == std::string_view::npos) return 0;
        operations = static_cast<std::uint8_t>(operations | 1u << at);
        from = at + 1;
    }
    return operations;
}

/// The one scope that both give; `operations` is 0 when there is none.
Scope meet(const Scope& one, const Scope& other) {
    Scope both;
    if (one.level != other.level) return both;
    if (one.type != other.type && one.type != "*" && other.type != "*") return both;
    both = one;
    both.type = one.type == "*" ? other.type : one.type;
    both.operations = one.operations & other.operations;
    for (const auto& parameter : other.query)
        if (std::ranges::find(both.query, parameter) == both.query.end())
            both.query.push_back(parameter);
    std::ranges::sort(both.query);
    return both;
}

/// Whether `wide` alone gives all of `small`: its conditions are among those of `small`.
bool gives(const Scope& wide, const Scope& small) {
    if (wide.level != small.level) return false;
    if (wide.level == Scope::Level::word) return wide.word == small.word;
    return (wide.type == "*" || wide.type == small.type) &&
           (small.operations & ~wide.operations) == 0 &&
           std::ranges::includes(small.query, wide.query);
}

void add_unless_given(std::vector<Scope>& scopes, Scope scope) {
    if (scopes.size() >= limits::oauth_scopes_max) return;  // fewer is always allowed
    if (std::ranges::any_of(scopes, [&](const Scope& there) { return gives(there, scope); }))
        return;
    std::erase_if(scopes, [&](const Scope& there) { return gives(scope, there); });
    scopes.push_back(std::move(scope));
}

/// What follows the "?": parameters with values, each pair once, in order.
Result<std::vector<std::pair<std::string, std::string>>> read_query(std::string_view text,
                                                                    std::string_view query) {
    auto pairs = parse_query_string(query);
    if (!pairs || pairs->empty()) return no_scope(text, "no search follows the \"?\"");
    for (const auto& [name, value] : *pairs)
        if (name.empty() || value.empty())
            return no_scope(text, "a search parameter lacks its name or value");
    std::ranges::sort(*pairs);
    const auto twice = std::ranges::unique(*pairs);
    pairs->erase(twice.begin(), twice.end());
    return *std::move(pairs);
}

}  // namespace

Result<Scope> Scope::parse(std::string_view text) {
    Scope scope;
    if (std::ranges::find(words, text) != words.end()) {
        scope.word = text;
        return scope;
    }
    const std::size_t slash = text.find('/');
    const auto level = std::ranges::find(level_names, text.substr(0, slash));
    if (slash == std::string_view::npos || slash == 0 || level == level_names.end())
        return no_scope(text, "it begins with none of patient/, user/ and system/");
    scope.level = static_cast<Level>(level - level_names.begin());
    const std::size_t question = std::min(text.find('?', slash), text.size());
    const std::string_view what = text.substr(slash + 1, question - slash - 1);
    const std::size_t dot = what.find('.');
    if (dot == std::string_view::npos) return no_scope(text, "there is no \".\" after the type");
    scope.type = what.substr(0, dot);
    if (!is_type(scope.type)) return no_scope(text, "the type is no FHIR R4 resource type");
    scope.operations = operations_of(what.substr(dot + 1));
    if (scope.operations == 0)
        return no_scope(text, "the permissions are some of \"cruds\", in this order");
    if (question == text.size()) return scope;
    if (scope.type == "*") return no_scope(text, "a search needs one type");
    scope.query = TRY(read_query(text, text.substr(question + 1)));
    return scope;
}

std::string Scope::to_text() const {
    if (level == Level::word) return word;
    std::string text = fmt::format("{}/{}.", level_names[static_cast<std::size_t>(level)], type);
    for (std::size_t i = 0; i < letters.size(); ++i)
        if ((operations & 1u << i) != 0) text += letters[i];
    for (std::size_t i = 0; i < query.size(); ++i)
        text += fmt::format("{}{}={}", i == 0 ? '?' : '&', percent_encode(query[i].first, ":"),
                            percent_encode(query[i].second, ":/|,$"));
    return text;
}

Result<std::vector<Scope>> parse_scopes(std::string_view list) {
    std::vector<Scope> scopes;
    while (!list.empty()) {
        const std::size_t end = std::min(list.find(' '), list.size());
        if (auto scope = Scope::parse(list.substr(0, end));
            scope && std::ranges::find(scopes, *scope) == scopes.end())
            scopes.push_back(*std::move(scope));
        if (scopes.size() > limits::oauth_scopes_max)
            return fail(Category::too_large, "there are too many scopes");
        list.remove_prefix(std::min(end + 1, list.size()));
    }
    return scopes;
}

Result<std::vector<Scope>> resource_scopes(std::span<const std::string> texts) {
    if (texts.size() > limits::policy_scopes_max)
        return fail(Category::too_large,
                    fmt::format("at most {} scopes are understood", limits::policy_scopes_max));
    std::vector<Scope> scopes;
    for (const std::string& text : texts) {
        const std::size_t slash = text.find('/');
        const auto level = std::ranges::find(level_names, std::string_view(text).substr(0, slash));
        if (slash == std::string::npos || slash == 0 || level == level_names.end()) continue;
        scopes.push_back(TRY(Scope::parse(text)));
    }
    return scopes;
}

std::string to_text(std::span<const Scope> scopes) {
    std::string text;
    for (const Scope& scope : scopes) text += (text.empty() ? "" : " ") + scope.to_text();
    return text;
}

std::vector<std::string> to_texts(std::span<const Scope> scopes) {
    std::vector<std::string> texts;
    for (const Scope& scope : scopes) texts.push_back(scope.to_text());
    return texts;
}

std::vector<Scope> narrow(std::span<const Scope> requested, std::span<const Scope> granted) {
    std::vector<Scope> remaining;
    for (const Scope& wanted : requested) {
        for (const Scope& given : granted) {
            if (wanted.level == Scope::Level::word) {
                if (given == wanted) add_unless_given(remaining, wanted);
            } else if (Scope both = meet(wanted, given); both.operations != 0) {
                add_unless_given(remaining, std::move(both));
            }
        }
    }
    return remaining;
}

bool covers(std::span<const Scope> granted, std::span<const Scope> requested) {
    return std::ranges::all_of(requested, [&](const Scope& wanted) {
        if (wanted.level == Scope::Level::word)
            return std::ranges::find(granted, wanted) != granted.end();
        // The letters may come from several scopes, each without further conditions.
        std::uint8_t given = 0;
        for (const Scope& scope : granted) {
            Scope same = scope;
            same.operations = wanted.operations;
            if (gives(same, wanted)) given = static_cast<std::uint8_t>(given | scope.operations);
        }
        return (wanted.operations & ~given) == 0;
    });
}

bool has_word(std::span<const Scope> scopes, std::string_view word) {
    return std::ranges::any_of(scopes, [&](const Scope& scope) { return scope.word == word; });
}

bool has_level(std::span<const Scope> scopes, Scope::Level level) {
    return std::ranges::any_of(scopes, [&](const Scope& scope) { return scope.level == level; });
}

}  // namespace meridian::trust

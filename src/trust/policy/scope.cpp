// SPDX-License-Identifier: Apache-2.0
#include "trust/policy/scope.hpp"

#include "base/query_string.hpp"
#include "fhir/definitions/definitions.hpp"
#include "trust/limits.hpp"

namespace meridian::trust::policy {

namespace {

std::optional<Scope::Level> level_named(std::string_view name) {
    if (name == "patient") return Scope::Level::patient;
    if (name == "user") return Scope::Level::user;
    if (name == "system") return Scope::Level::system;
    return std::nullopt;
}

std::unexpected<Error> no_scope(std::string_view text, std::string_view why) {
    return fail(Category::incorrect,
                fmt::format("\"{}\" is no SMART scope: {} (expected e.g. patient/Observation.rs)",
                            text.substr(0, 120), why),
                "scope");
}

/// "cruds": at least one of them, each once, in this order.
bool take_permissions(std::string_view letters, Scope& scope) {
    constexpr std::string_view order = "cruds";
    bool* const places[] = {&scope.create, &scope.read, &scope.update, &scope.remove,
                            &scope.search};
    std::size_t next = 0;
    for (const char letter : letters) {
        const std::size_t at = order.find(letter, next);
        if (at == std::string_view::npos) return false;
        *places[at] = true;
        next = at + 1;
    }
    return !letters.empty();
}

}  // namespace

Result<std::optional<Scope>> parse_scope(std::string_view text) {
    const std::size_t slash = text.find('/');
    const auto level = level_named(text.substr(0, slash));
    if (slash == std::string_view::npos || !level) return std::nullopt;
    Scope scope;
    scope.level = *level;
    std::string_view rest = text.substr(slash + 1);
    const std::size_t question = rest.find('?');
    if (question != std::string_view::npos) {
        scope.query = TRY(parse_query_string(rest.substr(question + 1)));
        rest = rest.substr(0, question);
        if (scope.query.empty()) return no_scope(text, "nothing follows the \"?\"");
    }
    const std::size_t dot = rest.find('.');
    if (dot == std::string_view::npos) return no_scope(text, "there is no \".\" after the type");
    const std::string_view type = rest.substr(0, dot);
    if (type != "*") {
        if (fhir::definitions().resource(type) == nullptr)
            return no_scope(text, "the type is no FHIR R4 resource type");
        scope.type = type;
    } else if (!scope.query.empty()) {
        return no_scope(text, "a search needs one type");
    }
    if (!take_permissions(rest.substr(dot + 1), scope))
        return no_scope(text, "the permissions are some of \"cruds\", in this order");
    return scope;
}

Result<std::vector<Scope>> parse_scopes(const std::vector<std::string>& texts) {
    if (texts.size() > limits::policy_scopes_max)
        return fail(Category::too_large,
                    fmt::format("at most {} scopes are understood", limits::policy_scopes_max));
    std::vector<Scope> scopes;
    for (const std::string& text : texts) {
        if (auto scope = TRY(parse_scope(text))) scopes.push_back(*std::move(scope));
    }
    return scopes;
}

}  // namespace meridian::trust::policy

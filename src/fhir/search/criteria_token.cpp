// SPDX-License-Identifier: Apache-2.0
#include "fhir/search/criteria.hpp"
#include "fhir/search/extraction.hpp"
#include "text/fold.hpp"

/// Tokens: https://hl7.org/fhir/R4/search.html#token
namespace meridian::fhir::search {

using store::Condition;
using store::Conditions;

namespace {

bool has_type(const Parameter& parameter, std::string_view type) {
    const auto& types = parameter.element_types;
    return types.empty() || std::find(types.begin(), types.end(), type) != types.end();
}

/// Elements whose tokens carry a system of their own.
bool has_systems(const Parameter& parameter) {
    return has_type(parameter, "Coding") || has_type(parameter, "CodeableConcept") ||
           has_type(parameter, "Identifier");
}

/// The systems known to a store, with their case rule: a code without a system is one point in each
/// of them.
struct KnownSystems {
    SipKey store{};
    std::vector<store::Name> folded, exact;
    std::vector<std::string> shared;  ///< texts of systems beyond the last own number
    std::size_t count = 0;
};

const KnownSystems& known_systems(const store::Names& names) {
    thread_local KnownSystems known;
    const auto all = names.all(store::NameKind::system);
    if (known.store == names.token_key() && known.count == all.size()) return known;
    known = {names.token_key(), {}, {}, {}, all.size()};
    for (const store::Name name : all) {
        const std::string text = names.text(store::NameKind::system, name);
        if (name >= store::token_system_shared) known.shared.push_back(text);
        (is_folded_system(text) ? known.folded : known.exact).push_back(name);
    }
    return known;
}

void add_unique(std::vector<std::int64_t>& values, std::int64_t value) {
    if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
}

}  // namespace

void Criteria::add_code(const Parameter& parameter, std::string_view system, std::string_view code,
                        TokenValues& out) const {
    if (has_systems(parameter)) {
        const store::Name name = names_.find(store::NameKind::system, system);
        if (name != 0) {
            const std::string text =
                is_folded_system(system) ? fold_token(code) : std::string(code);
            out.values.push_back(store::token_value(names_, name, system, text));
        }
    }
    // A code element has no system of its own: its binding says which one is meant.
    if (!has_type(parameter, "code")) return;
    bool is_implied = parameter.value_sets.empty();
    for (const auto& value_set : parameter.value_sets) {
        is_implied = is_implied || definitions().in_value_set(value_set, system, code) !=
                                       Definitions::Membership::no;
    }
    if (is_implied) out.values.push_back(store::token_value(names_, 0, {}, code));
}

void Criteria::add_code_of_any_system(const Parameter& parameter, std::string_view code,
                                      TokenValues& out) const {
    const std::string folded = fold_token(code);
    out.values.push_back(store::token_value(names_, 0, {}, code));
    const bool is_as_written = parameter.is_plain_code();
    if (!is_as_written) add_unique(out.values, store::token_value(names_, 0, {}, folded));
    if (!has_systems(parameter)) return;
    const KnownSystems& known = known_systems(names_);
    for (const store::Name name : known.folded) {
        if (name < store::token_system_shared)
            out.values.push_back(store::token_value(names_, name, {}, folded));
    }
    for (const store::Name name : known.exact) {
        if (name < store::token_system_shared)
            out.values.push_back(store::token_value(names_, name, {}, code));
    }
    for (const auto& text : known.shared) {
        out.values.push_back(
            store::token_value(names_, store::token_system_shared, text,
                               is_folded_system(text) ? folded : std::string(code)));
    }
}

Result<void> Criteria::add_token(const Parameter& parameter, std::string_view value,
                                 TokenValues& out, std::string_view where) {
    const std::size_t bar = find_unescaped(value, '|');
    const auto& types = parameter.element_types;
    const bool is_boolean = types.size() == 1 && types.front() == "boolean";
    if (bar == std::string_view::npos) {
        const std::string code = TRY(unescape_value(value));
        if (is_boolean && code != "true" && code != "false") {
            return fail(Category::incorrect,
                        fmt::format("\"{}\" takes true or false, not \"{}\"", parameter.code,
                                    code.substr(0, 80)),
                        std::string(where));
        }
        add_code_of_any_system(parameter, code, out);
        return {};
    }
    if (!has_systems(parameter) && !has_type(parameter, "code")) {
        return fail(
            Category::incorrect,
            fmt::format("\"{}\" has no code system: write the value without \"|\"", parameter.code),
            std::string(where));
    }
    const std::string system = TRY(unescape_value(value.substr(0, bar)));
    const std::string code = TRY(unescape_value(value.substr(bar + 1)));
    if (find_unescaped(value.substr(bar + 1), '|') != std::string_view::npos) {
        return fail(Category::incorrect,
                    fmt::format("\"{}\" has one \"|\" too many: a token is system|code",
                                value.substr(0, 80)),
                    std::string(where));
    }
    if (system.empty() && code.empty())
        return fail(Category::incorrect, "\"|\" alone is no token: write system|code",
                    std::string(where));
    if (system.empty()) {
        add_unique(out.values, store::token_value(names_, 0, {}, code));
        if (!parameter.is_plain_code())
            add_unique(out.values, store::token_value(names_, 0, {}, fold_token(code)));
    } else if (code.empty()) {
        const store::Name name = names_.find(store::NameKind::system, system);
        if (name >= store::token_system_shared) {
            return fail(Category::unsupported,
                        "this store knows too many code systems to list all codes of that one",
                        std::string(where));
        }
        if (name != 0 && has_systems(parameter)) out.ranges.push_back(store::token_range(name));
        for (const auto& value_set : parameter.value_sets) {
            // All codes of the element are of its binding's systems.
            const std::string definition =
                definitions().conformance_resource("ValueSet", value_set);
            if (definition.find('"' + system + '"') != std::string::npos)
                out.any_of_parameter = true;
        }
    } else {
        add_code(parameter, system, code, out);
    }
    return {};
}

Result<Condition> Criteria::token_of_type(const Asked& asked, std::string_view value) {
    const auto parts = split_value(value, '|');
    if (parts.size() != 3 || parts[1].empty() || parts[2].empty()) {
        return fail(
            Category::incorrect,
            fmt::format("\":of-type\" takes system|code|value, not \"{}\"", value.substr(0, 80)),
            std::string(asked.name));
    }
    const std::string system = TRY(unescape_value(parts[0]));
    const std::string pair =
        fold_token(TRY(unescape_value(parts[1])) + "|" + TRY(unescape_value(parts[2])));
    const store::Name name = system.empty() ? 0 : names_.find(store::NameKind::system, system);
    if (name == 0 && !system.empty()) return store::Nothing{};
    return store::HasToken{asked.parameter->of_type_name,
                           {store::token_value(names_, name, system, pair)}};
}

Result<Condition> Criteria::token_terminology(const Asked& asked, std::string_view value) {
    if (options_.concepts == nullptr) {
        return fail(Category::unsupported,
                    fmt::format("\":{}\" needs the terminology service", asked.modifier),
                    std::string(asked.name));
    }
    std::vector<ConceptSource::Concept> concepts;
    if (asked.modifier == "in" || asked.modifier == "not-in") {
        concepts = TRY(options_.concepts->expand(TRY(unescape_value(value))));
    } else {
        const std::size_t bar = find_unescaped(value, '|');
        if (bar == std::string_view::npos || bar == 0) {
            return fail(Category::incorrect,
                        fmt::format("\":{}\" takes system|code, not \"{}\"", asked.modifier,
                                    value.substr(0, 80)),
                        std::string(asked.name));
        }
        const std::string system = TRY(unescape_value(value.substr(0, bar)));
        const std::string code = TRY(unescape_value(value.substr(bar + 1)));
        concepts = TRY(asked.modifier == "below" ? options_.concepts->below(system, code)
                                                 : options_.concepts->above(system, code));
    }
    const Parameter& parameter = *asked.parameter;
    store::HasToken any{parameter.name, {}};
    for (const auto& item : concepts) {
        if (has_systems(parameter)) {
            const store::Name name =
                item.system.empty() ? 0 : names_.find(store::NameKind::system, item.system);
            const std::string text =
                is_folded_system(item.system) ? fold_token(item.code) : item.code;
            if (name != 0 || item.system.empty())
                any.values.push_back(store::token_value(names_, name, item.system, text));
        }
        if (has_type(parameter, "code"))
            any.values.push_back(store::token_value(names_, 0, {}, item.code));
    }
    std::sort(any.values.begin(), any.values.end());
    any.values.erase(std::unique(any.values.begin(), any.values.end()), any.values.end());
    if (any.values.empty()) return store::Nothing{};
    return any;
}

Result<Condition> Criteria::token(const Asked& asked, const Values& values) {
    const Parameter& parameter = *asked.parameter;
    const std::string_view modifier = asked.modifier;
    const bool is_terminology =
        modifier == "in" || modifier == "not-in" || modifier == "above" || modifier == "below";
    Conditions any;
    if (modifier.empty() || modifier == "not") {
        TokenValues tokens;
        for (const auto value : values) TRY(add_token(parameter, value, tokens, asked.name));
        if (!tokens.values.empty())
            any.push_back(store::HasToken{parameter.name, std::move(tokens.values)});
        for (const auto& range : tokens.ranges)
            any.push_back(store::HasTokenIn{parameter.name, range.first, range.last});
        if (tokens.any_of_parameter) any.push_back(store::HasAny{parameter.name});
    } else if (modifier == "text" && parameter.text_name != 0) {
        for (const auto value : values) {
            const std::string folded = text::fold(TRY(unescape_value(value)));
            if (folded.empty())
                return fail(Category::incorrect, "\":text\" takes words", std::string(asked.name));
            any.push_back(
                store::HasString{parameter.text_name, store::StringMatch::starts, folded});
        }
    } else if (modifier == "of-type" && parameter.of_type_name != 0) {
        for (const auto value : values) any.push_back(TRY(token_of_type(asked, value)));
    } else if (is_terminology) {
        for (const auto value : values) any.push_back(TRY(token_terminology(asked, value)));
    } else {
        return no_modifier(asked);
    }
    Condition where = any_of(std::move(any));
    if (modifier == "not" || modifier == "not-in") return none_of(std::move(where));
    return where;
}

}  // namespace meridian::fhir::search

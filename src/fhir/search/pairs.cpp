// SPDX-License-Identifier: Apache-2.0
#include "fhir/search/pairs.hpp"

#include <cmath>

#include "store/plan.hpp"

namespace meridian::fhir::search {

namespace {

/// A main code with another token parameter, or with the absence of any parameter.
struct Pair {
    std::string_view type, key, second;
    bool absence;
    std::string_view name;  ///< in the dictionary
};

// What clinics ask of a population by diagnosis: who has it now.
constexpr std::array<Pair, 2> pairs{{
    {"Condition", "code", "clinical-status", false, "Condition.code+clinical-status"},
    {"Condition", "code", "abatement-date", true, "Condition.code-abatement-date"},
}};

/// More combinations than this are not looked up one by one.
constexpr std::size_t combinations_max = 64;

/// The part of a token that its code decides: store::token_value.
constexpr std::int64_t code_bits = (std::int64_t{1} << 48) - 1;

/// splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
std::uint64_t mixed(std::uint64_t value) {
    value += 0x9e3779b97f4a7c15u;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

std::int64_t pair_token(std::int64_t key_code, std::int64_t second_code) {
    const std::uint64_t second = mixed(static_cast<std::uint64_t>(second_code));
    return static_cast<std::int64_t>(mixed(static_cast<std::uint64_t>(key_code) ^ second) >> 1);
}

std::vector<std::int64_t> codes_of(const std::vector<std::int64_t>& tokens) {
    std::vector<std::int64_t> codes;
    for (const std::int64_t token : tokens) codes.push_back(token & code_bits);
    std::sort(codes.begin(), codes.end());
    codes.erase(std::unique(codes.begin(), codes.end()), codes.end());
    return codes;
}

std::vector<std::int64_t> codes_in(const store::Rows& rows, store::Name param) {
    std::vector<std::int64_t> tokens;
    for (const auto& row : rows.tokens) {
        if (row.param == param) tokens.push_back(row.value);
    }
    return codes_of(tokens);
}

/// The codes a plain criterion on `parameter` asks for; nothing when it is something else.
std::optional<std::vector<std::int64_t>> codes_asked(const std::vector<Criterion>& criteria,
                                                     const Parameter& parameter) {
    for (const Criterion& criterion : criteria) {
        if (criterion.parameter != &parameter) continue;
        const auto* token = std::get_if<store::HasToken>(&criterion.where.as_variant());
        if (token != nullptr && token->param == parameter.name) return codes_of(token->values);
    }
    return std::nullopt;
}

bool asks_absence(const std::vector<Criterion>& criteria, const Parameter& parameter) {
    return std::any_of(criteria.begin(), criteria.end(),
                       [&](const Criterion& criterion) { return criterion.missing == &parameter; });
}

/// The rows that :missing looks for.
bool has_any(const store::Rows& rows, const Parameter& parameter) {
    const auto names = [&](const auto& row) {
        return row.param == parameter.name ||
               (parameter.present_name != 0 && row.param == parameter.present_name);
    };
    return std::any_of(rows.dates.begin(), rows.dates.end(), names) ||
           std::any_of(rows.tokens.begin(), rows.tokens.end(), names) ||
           std::any_of(rows.strings.begin(), rows.strings.end(), names);
}

}  // namespace

void add_pair_rows(const Parameters& parameters, std::string_view type, store::Names& names,
                   store::Rows& rows) {
    for (const Pair& pair : pairs) {
        if (pair.type != type) continue;
        const Parameter* key = parameters.find(type, pair.key);
        const Parameter* second = parameters.find(type, pair.second);
        if (key == nullptr || second == nullptr) continue;
        std::vector<std::int64_t> seconds;
        if (!pair.absence) {
            seconds = codes_in(rows, second->name);
        } else if (!has_any(rows, *second)) {
            seconds = {0};
        }
        if (seconds.empty()) continue;
        const store::Name name = names.intern(store::NameKind::parameter, pair.name);
        for (const std::int64_t code : codes_in(rows, key->name)) {
            for (const std::int64_t other : seconds)
                rows.tokens.push_back({name, pair_token(code, other)});
        }
    }
}

store::Conditions pair_conditions(const Parameters& parameters, std::string_view type,
                                  const store::Names& names,
                                  const std::vector<Criterion>& criteria) {
    store::Conditions conditions;
    for (const Pair& pair : pairs) {
        if (pair.type != type) continue;
        const Parameter* key = parameters.find(type, pair.key);
        const Parameter* second = parameters.find(type, pair.second);
        const store::Name name = names.find(store::NameKind::parameter, pair.name);
        if (key == nullptr || second == nullptr || name == 0) continue;
        const auto codes = codes_asked(criteria, *key);
        if (!codes) continue;
        std::optional<std::vector<std::int64_t>> seconds;
        if (!pair.absence) {
            seconds = codes_asked(criteria, *second);
        } else if (asks_absence(criteria, *second)) {
            seconds.emplace(1, 0);
        }
        if (!seconds || codes->size() * seconds->size() > combinations_max) continue;
        store::HasToken both{name, {}};
        for (const std::int64_t code : *codes) {
            for (const std::int64_t other : *seconds)
                both.values.push_back(pair_token(code, other));
        }
        conditions.push_back(std::move(both));
    }
    return conditions;
}

namespace {

/// The plain quantity that a criterion asks for; null when it is something else.
const store::HasQuantity* quantity_asked(const Criterion& criterion) {
    const Parameter* parameter = criterion.parameter;
    if (parameter == nullptr || parameter->kind != SearchType::quantity) return nullptr;
    const auto* asked = std::get_if<store::HasQuantity>(&criterion.where.as_variant());
    const bool is_own =
        asked != nullptr && !asked->units.empty() &&
        (asked->param == parameter->name || asked->param == parameter->canonical_name);
    return is_own ? asked : nullptr;
}

/// The composite of the resource itself that joins these two; null when there is none.
const Parameter* composite_of(const Parameters& parameters, std::string_view type,
                              const Parameter& key, const Parameter& second) {
    for (const Parameter* parameter : parameters.list(type)) {
        const auto& components = parameter->components;
        if (parameter->ready && components.size() == 2 && parameter->expression == type &&
            components[0].parameter == &key && components[1].parameter == &second)
            return parameter;
    }
    return nullptr;
}

}  // namespace

std::string odd_quantity_marker(const Parameter& quantity) {
    return fmt::format("{}.{}#odd", quantity.type, quantity.code);
}

store::Conditions composite_conditions(const Parameters& parameters, std::string_view type,
                                       const store::Names& names,
                                       const std::vector<Criterion>& criteria) {
    store::Conditions conditions;
    for (const Criterion& second : criteria) {
        const store::HasQuantity* quantity = quantity_asked(second);
        if (quantity == nullptr ||
            names.find(store::NameKind::parameter, odd_quantity_marker(*second.parameter)) != 0)
            continue;
        for (const Criterion& key : criteria) {
            if (key.parameter == nullptr) continue;
            const auto* token = std::get_if<store::HasToken>(&key.where.as_variant());
            if (token == nullptr || token->param != key.parameter->name ||
                token->values.size() * quantity->units.size() > combinations_max)
                continue;
            const Parameter* both =
                composite_of(parameters, type, *key.parameter, *second.parameter);
            if (both == nullptr) continue;
            const bool is_canonical = quantity->param == second.parameter->canonical_name;
            const store::Name name = is_canonical ? both->canonical_name : both->name;
            if (name == 0) continue;
            store::NumberBox box = quantity->box;
            // A point above the bound begins above it: that makes the range short.
            if (box.hi_above && !box.lo_from) box.lo_from = std::nextafter(*box.hi_above, HUGE_VAL);
            conditions.push_back(store::HasComposite{
                name, token->values, {quantity->units.begin(), quantity->units.end()}, box});
        }
    }
    return conditions;
}

store::Identity everyone() {
    return {0, "urn:meridian:everyone"};
}

}  // namespace meridian::fhir::search

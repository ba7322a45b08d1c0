// SPDX-License-Identifier: Apache-2.0
#include "fhir/search/unions.hpp"

namespace meridian::fhir::search {

namespace {

struct Union {
    std::string_view type, code;
    std::array<std::string_view, 2> parts;
};

// Rows of their own would be a sixth of all index rows of a clinical store.
constexpr std::array<Union, 6> unions{{
    {"Observation", "combo-code", {"code", "component-code"}},
    {"Observation",
     "combo-code-value-concept",
     {"code-value-concept", "component-code-value-concept"}},
    {"Observation",
     "combo-code-value-quantity",
     {"code-value-quantity", "component-code-value-quantity"}},
    {"Observation",
     "combo-data-absent-reason",
     {"data-absent-reason", "component-data-absent-reason"}},
    {"Observation", "combo-value-concept", {"value-concept", "component-value-concept"}},
    {"Observation", "combo-value-quantity", {"value-quantity", "component-value-quantity"}},
}};

/// All names of a parameter that questions are put to, each in the same place for every parameter.
std::array<store::Name, 6> places(const Parameter& parameter) {
    return {parameter.name,           parameter.text_name,       parameter.of_type_name,
            parameter.canonical_name, parameter.identifier_name, parameter.present_name};
}

/// What stands for `name` of the whole with a part; 0 = nothing does.
store::Name counterpart(const Parameter& whole, store::Name name, const Parameter& part) {
    const auto own = places(whole);
    const auto found = std::find(own.begin(), own.end(), name);
    return found == own.end() ? 0 : places(part)[static_cast<std::size_t>(found - own.begin())];
}

store::Conditions ask_all(const Parameter& whole, store::Conditions conditions) {
    for (auto& condition : conditions) condition = ask_parts(whole, std::move(condition));
    return conditions;
}

}  // namespace

std::span<const std::string_view> union_parts(std::string_view type, std::string_view code) {
    for (const Union& known : unions) {
        if (known.type == type && known.code == code) return known.parts;
    }
    return {};
}

store::Condition ask_parts(const Parameter& whole, store::Condition condition) {
    if (whole.parts.empty()) return condition;
    return std::visit(
        [&]<class Kind>(Kind&& kind) -> store::Condition {
            using Plain = std::remove_cvref_t<Kind>;
            if constexpr (requires { Plain{ask_all(whole, std::move(kind.parts))}; }) {
                return Plain{ask_all(whole, std::move(kind.parts))};
            } else if constexpr (std::is_copy_constructible_v<Plain> && requires { kind.param; }) {
                store::AnyOf any;
                for (const Parameter* part : whole.parts) {
                    Plain asked = kind;
                    asked.param = counterpart(whole, kind.param, *part);
                    if (asked.param != 0) any.parts.push_back(std::move(asked));
                }
                if (any.parts.empty()) return std::forward<Kind>(kind);
                return any;
            } else {
                return std::forward<Kind>(kind);
            }
        },
        static_cast<store::Condition::variant&&>(condition));
}

}  // namespace meridian::fhir::search

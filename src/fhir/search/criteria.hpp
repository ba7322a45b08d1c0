// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fhir/search/query.hpp"
#include "fhir/search/values.hpp"

/// One filter of a search → a condition on index rows. Private to search/.
namespace meridian::fhir::search {

/// A parameter with its modifier: "code:not".
struct ParameterName {
    std::string_view code;
    std::string_view modifier;  ///< without ":", empty when there is none
};
ParameterName split_modifier(std::string_view name);

/// A condition and the parameter that it is directly about: what the planner looks at.
struct Criterion {
    store::Condition where;
    const Parameter* parameter = nullptr;  ///< null for chains, _has and the like
    const Parameter* missing = nullptr;    ///< of ":missing=true"
    std::vector<store::DateBox>
        dates{};  ///< of a date parameter without modifier: `where` is not set then
};

/// Builds conditions for one query; remembers what parse() reports about it.
class Criteria {
 public:
    Criteria(const Parameters& parameters, const store::Names& names, const ParseOptions& options)
        : parameters_(parameters), names_(names), options_(options) {}

    /// `name` "subject:Patient.name:exact", `value` with its commas and escapes.
    Result<Criterion> build(std::string_view type, std::string_view name, std::string_view value,
                            unsigned depth = 0);
    Result<store::Condition> condition(std::string_view type, std::string_view name,
                                       std::string_view value, unsigned depth = 0);
    /// _filter: https://hl7.org/fhir/R4/search_filter.html
    Result<store::Condition> filter(std::string_view type, std::string_view expression,
                                    unsigned depth);
    /// ANDs what the caller may see of `type`.
    store::Condition visible(std::string_view type, store::Condition where) const;
    Result<void> allow(std::string_view type, std::string_view code) const {
        return options_.access->allow_parameter(type, code);
    }

    /// Whom the search is about, before any condition is built.
    void set_patients(std::vector<store::Identity> patients) { patients_ = std::move(patients); }

    int zone_minutes() const { return options_.zone_minutes; }

    /// True when the last error of build() was an unknown parameter or modifier, which lenient
    /// handling skips.
    bool was_unknown() const { return was_unknown_; }
    void forget_unknown() { was_unknown_ = false; }
    std::vector<Query::Untyped>& untyped() { return untyped_; }
    std::unexpected<Error> unknown(std::string message, std::string_view where);

    /// A hop of a chain and its way into contained resources.
    Result<store::Condition> follow(const Parameter& reference, std::string_view target,
                                    store::Condition where) const;

 private:
    using Values = std::vector<std::string_view>;

    struct Asked {
        std::string_view type;
        const Parameter* parameter;
        std::string_view modifier;
        std::string_view name;  ///< as written, for error texts
        unsigned depth;
    };
    Result<Criterion> common(std::string_view type, ParameterName name, std::string_view value,
                             unsigned depth);
    Result<store::Condition> by_id(std::string_view type, ParameterName name, const Values& values);
    Result<store::Condition> by_update(std::string_view value);
    Result<store::Condition> by_list(std::string_view type, std::string_view value, unsigned depth);
    Result<store::Condition> by_functional_list(std::string_view type, std::string_view value,
                                                unsigned depth);
    Result<store::Condition> chain(std::string_view type, std::string_view name, std::size_t dot,
                                   std::string_view value, unsigned depth);
    Result<store::Condition> hop(const Parameter& reference, std::string_view target,
                                 store::Condition where) const;
    /// FHIR R4 §3.1.1.5.8: a chain is evaluated inside contained resources as well.
    Result<store::Conditions> contained_targets(const Parameter& reference, std::string_view target,
                                                const store::Condition& where) const;
    Result<store::Condition> follow_canonical(const Parameter& reference, std::string_view target,
                                              const store::Condition& where) const;
    Result<store::Condition> has_canonical(std::string_view type, std::string_view source,
                                           const Parameter& reference,
                                           const store::Condition& where) const;
    Result<std::vector<std::string>> chain_targets(const Parameter& reference,
                                                   std::string_view modifier,
                                                   std::string_view rest);
    Result<store::Condition> has(std::string_view type, std::string_view name,
                                 std::string_view value, unsigned depth);
    Result<const Parameter*> reference_parameter(std::string_view type, std::string_view code,
                                                 std::string_view where);

    Result<store::Condition> missing(const Asked& asked, std::string_view value);
    Result<Criterion> by_kind(const Asked& asked, const Values& values);
    Result<store::Condition> token(const Asked& asked, const Values& values);
    Result<store::Condition> token_terminology(const Asked& asked, std::string_view value);
    Result<store::Condition> token_of_type(const Asked& asked, std::string_view value);
    Result<store::Condition> string(const Asked& asked, const Values& values);
    Result<std::vector<store::DateBox>> date(const Asked& asked, const Values& values);
    Result<store::Condition> number(const Asked& asked, const Values& values);
    Result<store::Condition> quantity(const Asked& asked, const Values& values);
    Result<store::Condition> uri(const Asked& asked, const Values& values);
    Result<store::Condition> reference(const Asked& asked, const Values& values);
    Result<store::Condition> hierarchy(const Asked& asked, const Values& values);
    Result<store::Condition> composite(const Asked& asked, const Values& values);
    Result<store::Condition> near(const Asked& asked, const Values& values);
    Result<store::Condition> age(const Asked& asked, const Values& values);

    struct TokenValues {
        std::vector<std::int64_t> values;
        std::vector<store::TokenRange> ranges;
        bool any_of_parameter = false;  ///< "system|" of a code element whose system it is
    };
    Result<void> add_token(const Parameter& parameter, std::string_view value, TokenValues& out,
                           std::string_view where);
    void add_code(const Parameter& parameter, std::string_view system, std::string_view code,
                  TokenValues& out) const;
    void add_code_of_any_system(const Parameter& parameter, std::string_view code,
                                TokenValues& out) const;
    struct Amount {
        store::Name param = 0;
        std::vector<store::Name> units{};
        bool is_impossible = false;  ///< nothing stored has this unit
        std::vector<store::NumberBox> boxes{};
    };
    Result<Amount> amount(const Parameter& parameter, std::string_view value,
                          std::string_view where) const;
    Result<std::vector<store::Identity>> identities(const Asked& asked, std::string_view value);
    struct PartRows {
        std::vector<std::int64_t> seconds{};
        std::vector<store::NumberBox> boxes{};
        std::optional<std::string> starts{};
        bool is_canonical = false;
        bool is_impossible = false;
    };
    Result<PartRows> composite_part(const Component& component, std::string_view value,
                                    std::string_view where, const Parameter& owner);
    Result<store::Condition> composite_value(const Asked& asked, std::string_view value);
    std::unexpected<Error> no_modifier(const Asked& asked);

    const Parameters& parameters_;
    const store::Names& names_;
    const ParseOptions& options_;
    bool was_unknown_ = false;
    std::vector<store::Identity> patients_;
    bool in_filter_ = false;  ///< while a _filter is read
    std::vector<Query::Untyped> untyped_;
};

/// What the operator `ew` of _filter puts as a modifier; R4 has none for it in a plain search.
inline constexpr std::string_view filter_ends_with = " ends with";

/// _text and _content: words, "phrases", AND, OR, NOT and parentheses. Errors: `incorrect`.
Result<store::Condition> text_condition(store::Name param, std::string_view value,
                                        std::string_view where);

/// Patient.age, which has no rows: it is asked of the birth date.
bool is_age(const Parameter& parameter);

/// One condition, or all / any of several, without needless nesting.
store::Condition all_of(store::Conditions parts);
store::Condition any_of(store::Conditions parts);
store::Condition none_of(store::Condition part);

}  // namespace meridian::fhir::search

// SPDX-License-Identifier: Apache-2.0
#include "base/ids.hpp"
#include "base/limits.hpp"
#include "fhir/search/criteria.hpp"
#include "fhir/search/extract.hpp"
#include "fhir/search/extraction.hpp"
#include "text/fold.hpp"

/// References and composites.
namespace meridian::fhir::search {

using store::Condition;
using store::Conditions;

namespace {

bool holds(const std::vector<std::string>& values, std::string_view value) {
    return std::find(values.begin(), values.end(), value) != values.end();
}

}  // namespace

Result<std::vector<store::Identity>> Criteria::identities(const Asked& asked,
                                                          std::string_view value) {
    const Parameter& parameter = *asked.parameter;
    const std::string text = TRY(unescape_value(value));
    const bool is_type = !asked.modifier.empty() && parameters_.type_name(asked.modifier) != 0;
    if (is_fhir_id(text)) {
        if (is_type)
            return std::vector<store::Identity>{{parameters_.type_name(asked.modifier), text}};
        std::vector<store::Identity> candidates;
        const bool is_open = parameter.targets.empty() || holds(parameter.targets, "Resource");
        if (is_open) {
            for (const Type* type : definitions().resources())
                candidates.push_back({parameters_.type_name(type->name), text});
        } else {
            for (const auto& target : parameter.targets)
                candidates.push_back({parameters_.type_name(target), text});
        }
        if (candidates.size() > 1) untyped_.push_back({std::string(asked.name), candidates});
        return candidates;
    }
    auto identity = reference_identity(parameters_, text, options_.base_url);
    const bool is_url = identity && identity->type == 0 && text.find(':') != std::string::npos;
    const bool is_canonical =
        !parameter.element_types.empty() && !holds(parameter.element_types, "Reference");
    if (!identity || (identity->type == 0 && !is_url && !is_canonical)) {
        return fail(Category::incorrect,
                    fmt::format("\"{}\" is no reference: write an id, Type/id or an absolute URL",
                                text.substr(0, 80)),
                    std::string(asked.name));
    }
    if (is_type && identity->type != 0 && identity->type != parameters_.type_name(asked.modifier))
        return std::vector<store::Identity>{};
    return std::vector<store::Identity>{*std::move(identity)};
}

Result<Condition> Criteria::reference(const Asked& asked, const Values& values) {
    const Parameter& parameter = *asked.parameter;
    const std::string_view modifier = asked.modifier;
    if (modifier == "identifier") {
        if (parameter.identifier_name == 0) return no_modifier(asked);
        // What stands beside a reference repeats the identifier of its target.
        for (const Type* target : definitions().resources()) {
            if (parameter.can_lead_to(target->name) &&
                parameters_.find(target->name, "identifier") != nullptr)
                TRY(allow(target->name, "identifier"));
        }
        Parameter identifier;
        identifier.code = parameter.code;
        identifier.element_types = {"Identifier"};
        TokenValues tokens;
        for (const auto value : values) TRY(add_token(identifier, value, tokens, asked.name));
        Conditions any;
        if (!tokens.values.empty())
            any.push_back(store::HasToken{parameter.identifier_name, std::move(tokens.values)});
        for (const auto& range : tokens.ranges)
            any.push_back(store::HasTokenIn{parameter.identifier_name, range.first, range.last});
        return any_of(std::move(any));
    }
    if (modifier == "above" || modifier == "below") return hierarchy(asked, values);
    if (!modifier.empty()) {
        if (parameters_.type_name(modifier) == 0) return no_modifier(asked);
        if (!parameter.can_lead_to(modifier)) {
            return fail(
                Category::incorrect,
                fmt::format("\"{}\" of {} never refers to a {}; it refers to: {}", parameter.code,
                            parameter.type, modifier, fmt::join(parameter.targets, ", ")),
                std::string(asked.name));
        }
    }
    store::HasReference condition{parameter.name, {}};
    for (const auto value : values) {
        for (auto& identity : TRY(identities(asked, value)))
            condition.targets.push_back(std::move(identity));
    }
    if (condition.targets.empty()) return store::Nothing{};
    return condition;
}

/// `:below` and `:above`: versions of canonicals; otherwise the hierarchy that the target type
/// keeps in partof.
Result<Condition> Criteria::hierarchy(const Asked& asked, const Values& values) {
    const Parameter& parameter = *asked.parameter;
    const bool is_below = asked.modifier == "below";
    Conditions any;
    for (const auto value : values) {
        const std::string text = TRY(unescape_value(value));
        if (parameter.below_name != 0 && text.find(':') != std::string::npos) {
            const bool has_version = text.find('|') != std::string::npos;
            if (!is_below) {
                // The version itself and each version that it lies below: 1.2.3, 1.2, 1.
                store::HasReference above{parameter.name, {{0, text}}};
                const std::size_t bar = text.find('|');
                for (std::size_t dot = text.rfind('.');
                     has_version && dot != std::string::npos && dot > bar;
                     dot = text.rfind('.', dot - 1))
                    above.targets.push_back({0, text.substr(0, dot)});
                any.push_back(std::move(above));
                continue;
            }
            any.push_back(store::HasReference{has_version ? parameter.below_name : parameter.name,
                                              {{0, text}}});
            continue;
        }
        Asked plain = asked;
        plain.modifier = {};
        const auto targets = TRY(identities(plain, value));
        if (targets.size() != 1 || targets.front().type == 0) {
            return fail(Category::incorrect,
                        fmt::format("\":{}\" takes one Type/id, not \"{}\"", asked.modifier,
                                    text.substr(0, 80)),
                        std::string(asked.name));
        }
        const store::Name target_type = targets.front().type;
        const std::string_view target = parameters_.type_text(target_type);
        const Parameter* part_of = parameters_.find(target, "partof");
        if (part_of == nullptr) part_of = parameters_.find(target, "part-of");
        if (part_of == nullptr) {
            return fail(Category::incorrect,
                        fmt::format("{} has no hierarchy (no parameter \"partof\")", target),
                        std::string(asked.name));
        }
        TRY(allow(target, part_of->code));
        any.push_back(store::HasReference{parameter.name, {targets.front()}});
        for (unsigned depth = 1; depth <= limits::chain_depth_max; ++depth) {
            // The resources at most `depth` levels below (or above) the named one, named one level
            // at a time.
            Condition level =
                is_below ? Condition(store::HasReference{part_of->name, {targets.front()}})
                         : Condition(store::ReferredBy{
                               part_of->name, target_type,
                               std::make_unique<Condition>(visible(
                                   target, store::HasId{target_type, {targets.front().id}}))});
            for (unsigned i = 1; i < depth; ++i) {
                auto inner = std::make_unique<Condition>(visible(target, std::move(level)));
                level =
                    is_below
                        ? Condition(store::RefersTo{part_of->name, target_type, std::move(inner)})
                        : Condition(
                              store::ReferredBy{part_of->name, target_type, std::move(inner)});
            }
            any.push_back(TRY(hop(parameter, target, std::move(level))));
        }
    }
    return any_of(std::move(any));
}

// --- composites ---

Result<Criteria::PartRows> Criteria::composite_part(const Component& component,
                                                    std::string_view value, std::string_view where,
                                                    const Parameter& owner) {
    Parameter as;
    as.type = owner.type;
    as.code = owner.code;
    as.kind = component.kind;
    as.element_types = component.element_types;
    if (component.parameter != nullptr) as.value_sets = component.parameter->value_sets;
    as.name = owner.name;
    as.canonical_name = owner.canonical_name;
    PartRows rows;
    switch (component.kind) {
        case SearchType::token: {
            TokenValues tokens;
            TRY(add_token(as, value, tokens, where));
            if (!tokens.ranges.empty() || tokens.any_of_parameter) {
                return fail(Category::incorrect,
                            "a part of a composite needs a code, not a system alone",
                            std::string(where));
            }
            rows.seconds = std::move(tokens.values);
            rows.is_impossible = rows.seconds.empty();
            return rows;
        }
        case SearchType::string: {
            const std::string folded = text::fold(TRY(unescape_value(value)));
            rows.starts = folded;
            return rows;
        }
        case SearchType::date: {
            const Prefixed prefixed = split_prefix(value);
            const auto interval = date_interval(prefixed.rest, options_.zone_minutes);
            if (!interval)
                return fail(Category::incorrect, interval.error().message, std::string(where));
            for (const auto& box : date_boxes(prefixed.prefix, *interval, options_.now)) {
                const auto number = [](const std::optional<std::int64_t>& bound) {
                    return bound ? std::optional(static_cast<double>(*bound)) : std::nullopt;
                };
                rows.boxes.push_back({number(box.lo_from), number(box.lo_below),
                                      number(box.hi_above), number(box.hi_to)});
            }
            return rows;
        }
        case SearchType::number:
        case SearchType::quantity: {
            Amount asked = TRY(amount(as, value, where));
            rows.boxes = std::move(asked.boxes);
            rows.is_impossible = asked.is_impossible;
            rows.is_canonical = asked.param == owner.canonical_name && owner.canonical_name != 0;
            for (const store::Name unit : asked.units) rows.seconds.push_back(unit);
            return rows;
        }
        case SearchType::reference: {
            const Asked question{owner.type, &as, {}, where, 0};
            for (const auto& identity : TRY(identities(question, value))) {
                const std::string text =
                    identity.type == 0
                        ? identity.id
                        : fmt::format("{}/{}", parameters_.type_text(identity.type), identity.id);
                rows.seconds.push_back(store::token_value(names_, 0, {}, text));
            }
            return rows;
        }
        default:
            return fail(Category::unsupported, "this kind of composite part cannot be searched",
                        std::string(where));
    }
}

Result<Condition> Criteria::composite_value(const Asked& asked, std::string_view value) {
    const Parameter& parameter = *asked.parameter;
    const auto parts = split_value(value, '$');
    if (parts.size() != parameter.components.size()) {
        return fail(Category::incorrect,
                    fmt::format("\"{}\" has {} parts; \"{}\" takes {}, joined by \"$\"",
                                value.substr(0, 80), parts.size(), parameter.code,
                                parameter.components.size()),
                    std::string(asked.name));
    }
    const PartRows key =
        TRY(composite_part(parameter.components[0], parts[0], asked.name, parameter));
    PartRows second = TRY(composite_part(parameter.components[1], parts[1], asked.name, parameter));
    if (key.is_impossible || second.is_impossible) return store::Nothing{};
    if (parts.size() == 3) {
        // A start and an end: the first bounds the row's lo, the second its hi.
        const PartRows third =
            TRY(composite_part(parameter.components[2], parts[2], asked.name, parameter));
        std::vector<store::NumberBox> boxes;
        for (const auto& start : second.boxes) {
            for (const auto& end : third.boxes) {
                store::NumberBox box;
                box.lo_from = start.lo_from ? start.lo_from : start.hi_above;
                box.lo_below = start.lo_below ? start.lo_below : start.hi_to;
                box.hi_above = end.hi_above ? end.hi_above : end.lo_from;
                box.hi_to = end.hi_to ? end.hi_to : end.lo_below;
                boxes.push_back(box);
            }
        }
        second.boxes = std::move(boxes);
    }
    const store::Name name = second.is_canonical ? parameter.canonical_name : parameter.name;
    if (second.boxes.empty()) second.boxes.emplace_back();
    Conditions any;
    for (const auto& box : second.boxes)
        any.push_back(store::HasComposite{name, key.seconds, second.seconds, box, second.starts});
    return any_of(std::move(any));
}

Result<Condition> Criteria::composite(const Asked& asked, const Values& values) {
    if (!asked.modifier.empty()) return no_modifier(asked);
    Conditions any;
    for (const auto value : values) any.push_back(TRY(composite_value(asked, value)));
    return any_of(std::move(any));
}

}  // namespace meridian::fhir::search

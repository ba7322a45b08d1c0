// SPDX-License-Identifier: Apache-2.0
#include "fhir/search/criteria.hpp"

#include "base/ids.hpp"
#include "base/limits.hpp"
#include "fhir/search/charts.hpp"
#include "fhir/search/contained.hpp"
#include "fhir/search/run.hpp"
#include "fhir/search/unions.hpp"

namespace meridian::fhir::search {

using store::Condition;
using store::Conditions;

ParameterName split_modifier(std::string_view name) {
    const std::size_t colon = name.find(':');
    if (colon == std::string_view::npos) return {name, {}};
    return {name.substr(0, colon), name.substr(colon + 1)};
}

Condition all_of(Conditions parts) {
    std::erase_if(parts, [](const Condition& part) {
        return std::holds_alternative<store::Everything>(part.as_variant());
    });
    if (parts.empty()) return store::Everything{};
    if (parts.size() == 1) return std::move(parts.front());
    return store::AllOf{std::move(parts)};
}

Condition any_of(Conditions parts) {
    if (parts.empty()) return store::Nothing{};
    if (parts.size() == 1) return std::move(parts.front());
    return store::AnyOf{std::move(parts)};
}

Condition none_of(Condition part) {
    Conditions parts;
    parts.push_back(std::move(part));
    return store::NoneOf{std::move(parts)};
}

Condition names_canonical(const Parameter& parameter, const std::vector<Canonical>& canonicals) {
    store::HasReference by_version{parameter.name, {}};
    store::HasReference by_url{parameter.name, {}};
    for (const Canonical& canonical : canonicals) {
        by_url.targets.push_back({0, canonical.url});
        if (!canonical.version.empty())
            by_version.targets.push_back({0, canonical.url + "|" + canonical.version});
    }
    Conditions any;
    if (!by_version.targets.empty()) any.push_back(std::move(by_version));
    if (!by_url.targets.empty()) {
        // A reference with a version stands in the index by its URL alone as well, and is about
        // that version only.
        Conditions both;
        both.push_back(std::move(by_url));
        if (parameter.below_name != 0) both.push_back(none_of(store::HasAny{parameter.below_name}));
        any.push_back(all_of(std::move(both)));
    }
    return any_of(std::move(any));
}

Condition Criteria::visible(std::string_view type, Condition where) const {
    if (options_.access->sees_everything()) return where;
    return admitted_by(options_.access->searchable(parameters_.type_name(type)), std::move(where));
}

std::unexpected<Error> Criteria::unknown(std::string message, std::string_view where) {
    was_unknown_ = true;
    return fail(Category::incorrect, std::move(message), std::string(where));
}

Result<Condition> Criteria::condition(std::string_view type, std::string_view name,
                                      std::string_view value, unsigned depth) {
    Criterion criterion = TRY(build(type, name, value, depth));
    if (criterion.dates.empty()) return std::move(criterion.where);
    Conditions boxes;
    for (const auto& box : criterion.dates)
        boxes.push_back(store::HasDate{criterion.parameter->name, box});
    return any_of(std::move(boxes));
}

Result<Criterion> Criteria::build(std::string_view type, std::string_view name,
                                  std::string_view value, unsigned depth) {
    was_unknown_ = false;
    if (depth > limits::chain_depth_max) {
        return fail(Category::too_large,
                    fmt::format("a chain may have at most {} hops", limits::chain_depth_max),
                    std::string(name));
    }
    if (name.starts_with("_has:")) return Criterion{TRY(has(type, name, value, depth)), nullptr};
    if (const std::size_t dot = name.find('.'); dot != std::string_view::npos) {
        return Criterion{TRY(chain(type, name, dot, value, depth)), nullptr};
    }
    const ParameterName asked = split_modifier(name);
    if (asked.code.starts_with('_') &&
        (asked.code == "_id" || asked.code == "_lastUpdated" || asked.code == "_list" ||
         asked.code == "_filter" || asked.code == "_text" || asked.code == "_content" ||
         asked.code == "_query")) {
        return common(type, asked, value, depth);
    }
    const Parameter* parameter = parameters_.find(type, asked.code);
    if (parameter == nullptr) {
        return unknown(fmt::format("{} has no search parameter \"{}\"; it has: {}", type,
                                   asked.code.substr(0, 80), parameters_.known_codes(type)),
                       name);
    }
    TRY(allow(type, asked.code));
    if (!parameter->ready) {
        return fail(
            Category::unavailable,
            fmt::format("\"{}\" is still being indexed: try again when that is done", asked.code),
            std::string(name));
    }
    const Values values = [&] {
        Values all = split_value(value, ',');
        std::erase_if(all, [](std::string_view part) { return part.empty(); });
        return all;
    }();
    if (values.size() > limits::search_values_max) {
        return fail(Category::too_large,
                    fmt::format("a parameter takes at most {} values", limits::search_values_max),
                    std::string(name));
    }
    const Asked question{type, parameter, asked.modifier, name, depth};
    if (asked.modifier == "missing") {
        Criterion criterion{ask_parts(*parameter, TRY(missing(question, value)))};
        if (value == "true" && !is_age(*parameter)) criterion.missing = parameter;
        return criterion;
    }
    Criterion criterion = TRY(by_kind(question, values));
    criterion.where = ask_parts(*parameter, std::move(criterion.where));
    return criterion;
}

std::unexpected<Error> Criteria::no_modifier(const Asked& asked) {
    std::string_view known;
    switch (asked.parameter->kind) {
        case SearchType::token:
            known = ":missing, :not, :text, :in, :not-in, :above, :below, :of-type";
            break;
        case SearchType::string:
            known = ":missing, :exact, :contains, :text";
            break;
        case SearchType::reference:
            known = ":missing, :identifier, :above, :below, or a resource type";
            break;
        case SearchType::uri:
            known = ":missing, :above, :below";
            break;
        case SearchType::composite:
            known = "none";
            break;
        default:
            known = ":missing";
            break;
    }
    return unknown(fmt::format("the parameter \"{}\" has no modifier \":{}\"; it has: {}",
                               asked.parameter->code, asked.modifier.substr(0, 40), known),
                   asked.name);
}

Result<Criterion> Criteria::by_kind(const Asked& asked, const Values& values) {
    const Parameter& parameter = *asked.parameter;
    Criterion criterion;
    criterion.parameter = asked.modifier.empty() ? &parameter : nullptr;
    switch (parameter.kind) {
        case SearchType::token:
            criterion.where = TRY(token(asked, values));
            break;
        case SearchType::string:
            criterion.where = TRY(string(asked, values));
            break;
        case SearchType::date:
            criterion.dates = TRY(date(asked, values));
            criterion.parameter = &parameter;
            break;
        case SearchType::number:
            criterion.where = TRY(is_age(parameter) ? age(asked, values) : number(asked, values));
            break;
        case SearchType::quantity:
            criterion.where = TRY(quantity(asked, values));
            break;
        case SearchType::uri:
            criterion.where = TRY(uri(asked, values));
            break;
        case SearchType::reference:
            criterion.where = TRY(reference(asked, values));
            criterion.parameter =
                &parameter;  // `subject:Patient=7` is as plain as `subject=Patient/7`
            break;
        case SearchType::composite:
            criterion.where = TRY(composite(asked, values));
            break;
        case SearchType::special:
            criterion.where = TRY(near(asked, values));
            break;
    }
    return criterion;
}

Result<Condition> Criteria::missing(const Asked& asked, std::string_view value) {
    const Parameter& parameter =
        is_age(*asked.parameter) ? *parameters_.find(asked.type, "birthdate") : *asked.parameter;
    if (parameter.kind == SearchType::composite) return no_modifier(asked);
    if (value != "true" && value != "false") {
        return fail(
            Category::incorrect,
            fmt::format("\":missing\" takes true or false, not \"{}\"", value.substr(0, 40)),
            std::string(asked.name));
    }
    Conditions present;
    for (const store::Name name : {parameter.name, parameter.present_name}) {
        if (name != 0) present.push_back(store::HasAny{name});
    }
    Condition any = any_of(std::move(present));
    if (value == "false") return any;
    return none_of(std::move(any));
}

// --- parameters that every type has ---

Result<Criterion> Criteria::common(std::string_view type, ParameterName name,
                                   std::string_view value, unsigned depth) {
    TRY(allow(type, name.code));
    const std::string where(name.code);
    if (name.code == "_query")
        return fail(Category::unsupported, "this server has no named queries (_query)", where);
    const bool is_always_there = name.code == "_id" || name.code == "_lastUpdated";
    if (is_always_there && name.modifier == "missing") {
        if (value == "true") return Criterion{store::Nothing{}, nullptr};
        if (value == "false") return Criterion{store::Everything{}, nullptr};
        return fail(
            Category::incorrect,
            fmt::format("\":missing\" takes true or false, not \"{}\"", value.substr(0, 40)),
            where);
    }
    if (name.code == "_id") {
        return Criterion{TRY(by_id(type, name, split_value(value, ','))), nullptr};
    }
    if (!name.modifier.empty())
        return unknown(
            fmt::format("\"{}\" has no modifier \":{}\"", name.code, name.modifier.substr(0, 40)),
            where);
    if (name.code == "_lastUpdated") {
        Conditions any;
        for (const auto part : split_value(value, ',')) {
            if (!part.empty()) any.push_back(TRY(by_update(part)));
        }
        return Criterion{any_of(std::move(any)), nullptr};
    }
    if (name.code == "_list") {
        Conditions any;
        for (const auto part : split_value(value, ','))
            any.push_back(TRY(by_list(type, part, depth)));
        return Criterion{any_of(std::move(any)), nullptr};
    }
    if (name.code == "_filter") return Criterion{TRY(filter(type, value, depth)), nullptr};
    const Parameter* parameter = parameters_.find(type, name.code);
    if (parameter == nullptr) {
        return unknown(fmt::format("{} has no search parameter \"{}\"; it has: {}", type, name.code,
                                   parameters_.known_codes(type)),
                       where);
    }
    return Criterion{TRY(text_condition(parameter->name, value, name.code)), nullptr};
}

Result<Condition> Criteria::by_id(std::string_view type, ParameterName name, const Values& values) {
    store::HasId condition{parameters_.type_name(type), {}};
    for (const auto value : values) {
        const std::string id = TRY(unescape_value(value));
        if (is_fhir_id(id)) {
            condition.ids.push_back(id);
        } else if (!id.empty()) {
            return fail(
                Category::incorrect,
                fmt::format("\"{}\" is no id (1 to 64 of A-Z a-z 0-9 - .)", id.substr(0, 80)),
                "_id");
        }
    }
    if (name.modifier == "not") return none_of(std::move(condition));
    if (!name.modifier.empty())
        return unknown(fmt::format("\"_id\" has no modifier \":{}\"; it has: :not",
                                   name.modifier.substr(0, 40)),
                       "_id");
    return condition;
}

Result<Condition> Criteria::by_update(std::string_view value) {
    if (options_.timeline == nullptr)
        return fail(Category::unsupported, "_lastUpdated cannot be used here", "_lastUpdated");
    const Prefixed prefixed = split_prefix(value);
    auto interval = date_interval(TRY(unescape_value(prefixed.rest)), options_.zone_minutes);
    if (!interval) return fail(Category::incorrect, interval.error().message, "_lastUpdated");
    if (prefixed.prefix == Prefix::ap) {
        const std::int64_t gap = std::abs(options_.now.milliseconds - interval->lo) / 10;
        interval->lo -= gap;
        interval->hi += gap;
    }
    // A version is written at one instant, so each prefix is one range of the log.
    const auto from = TRY(options_.timeline->first_from(Instant{interval->lo}));
    const auto below = TRY(options_.timeline->first_from(Instant{interval->hi}));
    constexpr store::Position last = std::numeric_limits<store::Position>::max();
    switch (prefixed.prefix) {
        case Prefix::eq:
        case Prefix::ap:
            return store::ChangedWithin{from, below};
        case Prefix::ne:
            return none_of(store::ChangedWithin{from, below});
        case Prefix::gt:
        case Prefix::sa:
            return store::ChangedWithin{below, last};
        case Prefix::ge:
            return store::ChangedWithin{from, last};
        case Prefix::lt:
        case Prefix::eb:
            return store::ChangedWithin{0, from};
        case Prefix::le:
            return store::ChangedWithin{0, below};
    }
    return store::Nothing{};
}

namespace {

/// FHIR R4 lifecycle, "current resource lists": lists that a client names by what they are for.
struct FunctionalList {
    std::string_view name;
    std::string_view code;   ///< in the list-example-use-codes of R4
    std::string_view loinc;  ///< of the section that such a list stands in
    bool only_medication;    ///< of allergies: those to medications
};
constexpr std::array<FunctionalList, 4> functional_lists{
    {{"$current-problems", "problems", "11450-4", false},
     {"$current-medications", "medications", "10160-0", false},
     {"$current-allergies", "allergies", "48765-2", false},
     {"$current-drug-allergies", "allergies", "48765-2", true}}};

}  // namespace

/// The items of the patient's current lists of that kind.
Result<Condition> Criteria::by_functional_list(std::string_view type, std::string_view value,
                                               unsigned depth) {
    const auto known = std::find_if(functional_lists.begin(), functional_lists.end(),
                                    [&](const auto& list) { return list.name == value; });
    if (known == functional_lists.end()) {
        return fail(Category::unsupported,
                    fmt::format("there is no functional list \"{}\" here; there are: "
                                "$current-problems, $current-medications, $current-allergies, "
                                "$current-drug-allergies",
                                value.substr(0, 60)),
                    "_list");
    }
    if (patients_.empty()) {
        return fail(Category::incorrect,
                    fmt::format("\"{}\" is the list of a patient: add patient=ID", value), "_list");
    }
    for (const std::string_view code : {"item", "code", "status", "patient"})
        TRY(allow("List", code));
    TokenValues codes;
    const Parameter& code = *parameters_.find("List", "code");
    add_code(code, "http://terminology.hl7.org/CodeSystem/list-example-use-codes", known->code,
             codes);
    add_code(code, "http://loinc.org", known->loinc, codes);
    if (codes.values.empty()) return store::Nothing{};
    Conditions all;
    all.push_back(store::HasToken{code.name, std::move(codes.values)});
    all.push_back(TRY(condition("List", "status", "current", depth + 1)));
    all.push_back(store::HasReference{parameters_.find("List", "patient")->name, patients_});
    const store::Name list = parameters_.type_name("List");
    auto source = std::make_unique<Condition>(visible("List", all_of(std::move(all))));
    Condition items =
        store::ReferredBy{parameters_.find("List", "item")->name, list, std::move(source)};
    if (!known->only_medication) return items;
    if (type != "AllergyIntolerance") return store::Nothing{};
    Conditions both;
    both.push_back(std::move(items));
    both.push_back(TRY(condition(type, "category", "medication", depth + 1)));
    return all_of(std::move(both));
}

Result<Condition> Criteria::by_list(std::string_view type, std::string_view value, unsigned depth) {
    if (value.starts_with('$')) return by_functional_list(type, value, depth);
    std::string id = TRY(unescape_value(value));
    if (id.starts_with("List/")) id.erase(0, 5);
    const Parameter* item = parameters_.find("List", "item");
    if (item == nullptr || !is_fhir_id(id))
        return fail(Category::incorrect, fmt::format("\"{}\" is no id of a List", id.substr(0, 80)),
                    "_list");
    TRY(allow("List", "item"));
    const store::Name list = parameters_.type_name("List");
    auto source = std::make_unique<Condition>(visible("List", store::HasId{list, {id}}));
    return store::ReferredBy{item->name, list, std::move(source)};
}

// --- chains ---

Result<const Parameter*> Criteria::reference_parameter(std::string_view type, std::string_view code,
                                                       std::string_view where) {
    const Parameter* parameter = parameters_.find(type, code);
    if (parameter == nullptr) {
        return unknown(fmt::format("{} has no search parameter \"{}\"; it has: {}", type,
                                   code.substr(0, 80), parameters_.known_codes(type)),
                       where);
    }
    if (parameter->kind != SearchType::reference) {
        return fail(
            Category::incorrect,
            fmt::format("\"{}\" of {} is no reference: nothing can be chained to it", code, type),
            std::string(where));
    }
    if (!parameter->ready) {
        return fail(Category::unavailable,
                    fmt::format("\"{}\" is still being indexed: try again when that is done", code),
                    std::string(where));
    }
    TRY(allow(type, code));
    return parameter;
}

Result<std::vector<std::string>> Criteria::chain_targets(const Parameter& reference,
                                                         std::string_view modifier,
                                                         std::string_view rest) {
    if (!modifier.empty()) {
        if (parameters_.type_name(modifier) == 0) {
            return unknown(fmt::format("\"{}\" is no resource type", modifier.substr(0, 60)),
                           reference.code);
        }
        if (!reference.can_lead_to(modifier)) {
            return fail(
                Category::incorrect,
                fmt::format("\"{}\" of {} never refers to a {}; it refers to: {}", reference.code,
                            reference.type, modifier, fmt::join(reference.targets, ", ")),
                reference.code);
        }
        return std::vector<std::string>{std::string(modifier)};
    }
    const std::string_view next = rest.substr(0, rest.find_first_of(".:"));
    std::vector<std::string> types;
    std::vector<std::string> candidates = reference.targets;
    if (candidates.empty() ||
        std::find(candidates.begin(), candidates.end(), "Resource") != candidates.end()) {
        candidates.clear();
        for (const Type* type : definitions().resources()) candidates.emplace_back(type->name);
    }
    for (const auto& type : candidates) {
        if (next == "_has" || next == "_id" || next == "_lastUpdated" ||
            parameters_.find(type, next) != nullptr)
            types.push_back(type);
    }
    constexpr std::size_t types_max = 16;
    if (types.size() > types_max) {
        return fail(
            Category::incorrect,
            fmt::format(
                "\"{}\" can refer to {} types that have \"{}\": name one, as in \"{}:{}.{}\"",
                reference.code, types.size(), next, reference.code, types.front(), rest),
            reference.code);
    }
    if (types.empty()) {
        return unknown(
            fmt::format(
                "none of the types that \"{}\" of {} refers to ({}) has a search parameter \"{}\"",
                reference.code, reference.type, fmt::join(reference.targets, ", "),
                next.substr(0, 80)),
            reference.code);
    }
    return types;
}

Result<Condition> Criteria::hop(const Parameter& reference, std::string_view target,
                                Condition where) const {
    auto inner = std::make_unique<Condition>(visible(target, std::move(where)));
    return store::RefersTo{reference.name, parameters_.type_name(target), std::move(inner)};
}

Result<Conditions> Criteria::contained_targets(const Parameter& reference, std::string_view target,
                                               const Condition& where) const {
    // The container is visible where it is a match; a hidden type stays hidden inside it as well.
    if (!options_.access->sees_everything()) {
        const Condition visible = options_.access->searchable(parameters_.type_name(target));
        if (std::holds_alternative<store::Nothing>(visible.as_variant())) return Conditions{};
    }
    return refers_to_contained(parameters_, names_, reference.name, target, where);
}

namespace {

std::unexpected<Error> cannot_follow(const Parameter& reference) {
    return fail(Category::unsupported,
                fmt::format("\"{}\" of {} names its target by a canonical URL, which cannot be "
                            "followed here",
                            reference.code, reference.type),
                reference.code);
}

}  // namespace

/// A canonical names its target by URL, and the URL is an identity of its own in the index: the
/// targets are looked up first.
Result<Condition> Criteria::follow_canonical(const Parameter& reference, std::string_view target,
                                             const Condition& where) const {
    if (options_.canonicals == nullptr) return cannot_follow(reference);
    const Condition seen = visible(target, clone(where));
    return names_canonical(reference,
                           TRY(options_.canonicals->named(parameters_.type_name(target), seen)));
}

Result<Condition> Criteria::follow(const Parameter& reference, std::string_view target,
                                   Condition where) const {
    if (reference.is_only_canonical()) return follow_canonical(reference, target, where);
    Conditions any = TRY(contained_targets(reference, target, where));
    any.insert(any.begin(), TRY(hop(reference, target, std::move(where))));
    return any_of(std::move(any));
}

Result<Condition> Criteria::chain(std::string_view type, std::string_view name, std::size_t dot,
                                  std::string_view value, unsigned depth) {
    const ParameterName head = split_modifier(name.substr(0, dot));
    const std::string_view rest = name.substr(dot + 1);
    const Parameter* reference = TRY(reference_parameter(type, head.code, name));
    if (rest.empty())
        return fail(Category::incorrect, "a chain must end with a search parameter",
                    std::string(name));
    Conditions any;
    std::optional<Error> first_error;
    bool first_unknown = false;
    for (const auto& target : TRY(chain_targets(*reference, head.modifier, rest))) {
        auto inner = condition(target, rest, value, depth + 1);
        if (!inner) {
            // A value or a further hop may suit one target type and not another.
            if (inner.error().category == Category::forbidden)
                return std::unexpected(std::move(inner).error());
            if (!first_error) {
                first_error = std::move(inner).error();
                first_unknown = was_unknown_;
            }
            continue;
        }
        any.push_back(TRY(follow(*reference, target, *std::move(inner))));
    }
    if (any.empty() && first_error) {
        was_unknown_ = first_unknown;
        return std::unexpected(*std::move(first_error));
    }
    was_unknown_ = false;
    return any_of(std::move(any));
}

/// No row joins a canonical reference to the resource with that URL, and conformance resources are
/// few: each is asked whether a source names it.
Result<Condition> Criteria::has_canonical(std::string_view type, std::string_view source,
                                          const Parameter& reference,
                                          const Condition& where) const {
    if (options_.canonicals == nullptr) return cannot_follow(reference);
    const Parameter* url = parameters_.find(type, "url");
    if (url == nullptr) return store::Nothing{};
    store::HasId found{parameters_.type_name(type), {}};
    for (const Canonical& canonical :
         TRY(options_.canonicals->named(found.type, visible(type, store::HasAny{url->name})))) {
        Conditions both;
        both.push_back(names_canonical(reference, {canonical}));
        both.push_back(clone(where));
        if (TRY(options_.canonicals->any(parameters_.type_name(source), all_of(std::move(both)))))
            found.ids.push_back(canonical.id);
    }
    if (found.ids.empty()) return store::Nothing{};
    return found;
}

Result<Condition> Criteria::has(std::string_view type, std::string_view name,
                                std::string_view value, unsigned depth) {
    std::string_view rest = name.substr(5);
    const std::size_t first = rest.find(':');
    const std::size_t second = first == std::string_view::npos ? first : rest.find(':', first + 1);
    if (second == std::string_view::npos || second + 1 == rest.size()) {
        return fail(Category::incorrect, "_has is written _has:Type:reference-parameter:parameter",
                    std::string(name));
    }
    const std::string_view source = rest.substr(0, first);
    const std::string_view code = rest.substr(first + 1, second - first - 1);
    rest = rest.substr(second + 1);
    if (parameters_.type_name(source) == 0)
        return unknown(fmt::format("\"{}\" is no resource type", source.substr(0, 60)), name);
    const Parameter* reference = TRY(reference_parameter(source, code, name));
    if (!reference->can_lead_to(type)) {
        return fail(Category::incorrect,
                    fmt::format("\"{}\" of {} never refers to a {}; it refers to: {}", code, source,
                                type, fmt::join(reference->targets, ", ")),
                    std::string(name));
    }
    auto inner = std::make_unique<Condition>(
        visible(source, TRY(condition(source, rest, value, depth + 1))));
    if (reference->is_only_canonical()) return has_canonical(type, source, *reference, *inner);
    std::optional<store::ChartRange> chart;
    if (type == "Patient") chart = chart_range(parameters_, source, *reference, *inner);
    return store::ReferredBy{reference->name, parameters_.type_name(source), std::move(inner),
                             std::move(chart)};
}

}  // namespace meridian::fhir::search

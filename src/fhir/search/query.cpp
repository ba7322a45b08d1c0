// SPDX-License-Identifier: Apache-2.0
#include "fhir/search/query.hpp"

#include "base/ids.hpp"
#include "base/limits.hpp"
#include "base/query_string.hpp"
#include "fhir/search/charts.hpp"
#include "fhir/search/contained.hpp"
#include "fhir/search/criteria.hpp"
#include "fhir/search/pairs.hpp"
#include "fhir/search/run.hpp"
#include "fhir/search/score.hpp"

namespace meridian::fhir::search {
namespace {

using store::Condition;
using store::Conditions;

/// What a filter on the searched type itself came to, before it is planned.
struct TypePlan {
    std::string type;
    std::vector<Criterion> criteria;
};

bool is_presentation(std::string_view name) {
    return name == "_format" || name == "_pretty";
}

Result<std::size_t> count_of(std::string_view value) {
    std::size_t count = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), count);
    if (error != std::errc() || end != value.data() + value.size()) {
        return fail(Category::incorrect,
                    fmt::format("\"{}\" is no number of resources", value.substr(0, 40)), "_count");
    }
    return count;
}

class QueryBuilder {
 public:
    QueryBuilder(const Parameters& parameters, const store::Names& names,
                 const ParseOptions& options)
        : parameters_(parameters),
          names_(names),
          options_(options),
          criteria_(parameters, names, options) {}

    Result<Query> build(std::string_view type, const QueryParameters& given) {
        query_.type = type;
        query_.count = limits::page_size_default;
        query_.count_only = options_.count_only;
        query_.access = options_.access;
        if (given.size() > limits::search_parameters_max) {
            return fail(Category::too_large, fmt::format("a search takes at most {} parameters",
                                                         limits::search_parameters_max));
        }
        TRY(choose_types(type, given));
        criteria_.set_patients(patients_in(given));
        for (const auto& [name, value] : given) TRY(add(name, value));
        TRY(check_whole());
        TRY(resolve_sort());
        for (TypePlan& plan : plans_) TRY(add_types(plan));
        collapse_types();
        settle_ties();
        TRY(check_score());
        query_.untyped = std::move(criteria_.untyped());
        query_.self = query_string(used_);
        return std::move(query_);
    }

 private:
    std::vector<store::Identity> patients_in(const QueryParameters& given) const;
    Result<void> choose_types(std::string_view type, const QueryParameters& given);
    Result<void> add(const std::string& name, const std::string& value);
    Result<void> add_filter(const std::string& name, const std::string& value);
    /// True when `name` is a result parameter and was taken.
    Result<bool> add_result(std::string_view name, const std::string& value);
    Result<void> add_summary(const std::string& value);
    Result<void> add_contained(std::string_view code, std::string_view value);
    Result<void> add_include(bool reverse, std::string_view modifier, const std::string& value);
    Result<void> check_whole();
    Result<void> resolve_sort();
    Result<store::Order> order_of(const std::string& type, std::string_view key);
    Result<void> add_types(TypePlan& plan);
    Result<TypeFilter> finish(TypePlan& plan);
    Result<std::vector<TypeFilter>> contained_filters(const TypePlan& plan);
    Condition container_visible(std::string_view type) const;
    Result<Condition> compartment(const std::string& type);
    void use_patient_path(const TypePlan& plan, std::vector<Criterion>& criteria, Conditions& all);
    void add_charts_of_named(const TypePlan& plan, Conditions& all) const;
    void collapse_types();
    void settle_ties();
    Result<void> check_score() const;
    void warn(std::string message, std::string_view where) {
        query_.warnings.push_back(
            {Severity::warning, "not-supported", std::move(message), std::string(where)});
    }

    const Parameters& parameters_;
    const store::Names& names_;
    const ParseOptions& options_;
    Criteria criteria_;
    Query query_;
    std::vector<TypePlan> plans_;
    QueryParameters used_;
    std::string sort_;
    bool has_filter_ = false;
    enum class Contained : unsigned char { no, only, both } contained_ = Contained::no;
    bool gives_containers_ = true;  ///< _containedType
};

Result<void> QueryBuilder::choose_types(std::string_view type, const QueryParameters& given) {
    std::vector<std::string> types;
    if (!type.empty() && type != "*") {
        if (parameters_.type_name(type) == 0) {
            return fail(Category::not_found,
                        fmt::format("\"{}\" is no FHIR R4 resource type", type.substr(0, 80)));
        }
        types.emplace_back(type);
    } else {
        const auto named = std::find_if(given.begin(), given.end(), [](const auto& pair) {
            return pair.first == "_type" && !pair.second.empty();
        });
        if (named != given.end()) {
            for (const auto part : split_value(named->second, ',')) {
                if (parameters_.type_name(part) == 0) {
                    return fail(
                        Category::incorrect,
                        fmt::format("\"{}\" is no FHIR R4 resource type", part.substr(0, 80)),
                        "_type");
                }
                if (std::find(types.begin(), types.end(), part) == types.end())
                    types.emplace_back(part);
            }
        } else {
            const Compartment* compartment =
                options_.compartment_type.empty()
                    ? nullptr
                    : definitions().compartment(options_.compartment_type);
            for (const Type* known : definitions().resources()) {
                const CompartmentMember* member =
                    compartment == nullptr ? nullptr : compartment->find(known->name);
                const bool is_member = known->name == options_.compartment_type ||
                                       (member != nullptr && !member->params.empty());
                if (compartment == nullptr || is_member) types.emplace_back(known->name);
            }
        }
    }
    for (auto& name : types) plans_.push_back({std::move(name), {}});
    return {};
}

/// Whom the search is about: the patients of a functional list.
std::vector<store::Identity> QueryBuilder::patients_in(const QueryParameters& given) const {
    const store::Name patient = parameters_.type_name("Patient");
    std::vector<store::Identity> patients;
    if (options_.compartment_type == "Patient")
        patients.push_back({patient, options_.compartment_id});
    for (const auto& [name, value] : given) {
        if (name != "patient" && name != "subject" && name != "patient:Patient" &&
            name != "subject:Patient")
            continue;
        for (const auto part : split_value(value, ',')) {
            if (is_fhir_id(part)) {
                patients.push_back({patient, std::string(part)});
            } else if (const auto identity =
                           reference_identity(parameters_, part, options_.base_url);
                       identity && identity->type == patient) {
                patients.push_back(*identity);
            }
        }
    }
    return patients;
}

Result<void> QueryBuilder::add(const std::string& name, const std::string& value) {
    if (value.empty() || is_presentation(name))
        return {};  // R4: a parameter without a value is ignored
    // Each value of _id, _sort, _include … costs work too; a comma is at least a part's end.
    if (std::cmp_greater_equal(std::ranges::count(value, ','), limits::search_values_max) &&
        split_value(value, ',').size() > limits::search_values_max) {
        return fail(Category::too_large,
                    fmt::format("a parameter takes at most {} values", limits::search_values_max),
                    name.substr(0, 80));
    }
    if (name == "_type") {
        if (query_.type.empty() || query_.type == "*") {
            used_.emplace_back(name, value);
            return {};
        }
        if (value != query_.type)
            return fail(Category::incorrect,
                        fmt::format("_type={} contradicts a search of {}", value.substr(0, 80),
                                    query_.type),
                        "_type");
        return {};
    }
    criteria_.forget_unknown();
    const auto taken = add_result(name, value);
    if (!taken) {
        if (!criteria_.was_unknown() || !options_.lenient) return std::unexpected(taken.error());
        warn(fmt::format("the parameter \"{}\" was not used: {}", name, taken.error().message),
             name);
        return {};
    }
    if (!*taken) return add_filter(name, value);
    used_.emplace_back(name, value);
    return {};
}

Result<void> QueryBuilder::add_filter(const std::string& name, const std::string& value) {
    const bool is_many = plans_.size() > 1;
    std::vector<Criterion> built;
    for (TypePlan& plan : plans_) {
        auto criterion = criteria_.build(plan.type, name, value);
        if (criterion) {
            built.push_back(*std::move(criterion));
            continue;
        }
        if (criteria_.was_unknown() && options_.lenient &&
            criterion.error().category == Category::incorrect) {
            warn(fmt::format("the parameter \"{}\" was not used: {}", name,
                             criterion.error().message),
                 name);
            return {};
        }
        Error error = std::move(criterion).error();
        if (is_many && criteria_.was_unknown()) {
            error.message = fmt::format(
                "a search over several types takes only parameters that all of them have: {}",
                error.message);
        }
        if (error.where.empty()) error.where = name;
        return std::unexpected(std::move(error));
    }
    for (std::size_t i = 0; i < plans_.size(); ++i)
        plans_[i].criteria.push_back(std::move(built[i]));
    has_filter_ = true;
    used_.emplace_back(name, value);
    return {};
}

Result<bool> QueryBuilder::add_result(std::string_view name, const std::string& value) {
    const ParameterName asked = split_modifier(name);
    const std::string_view code = asked.code;
    static constexpr std::array<std::string_view, 10> known{
        "_sort",  "_count",    "_include",   "_revinclude",    "_summary",
        "_total", "_elements", "_contained", "_containedType", "_score"};
    if (std::find(known.begin(), known.end(), code) == known.end()) return false;
    if (options_.conditional) {
        return fail(Category::incorrect, fmt::format("\"{}\" has no place in a condition", code),
                    std::string(name));
    }
    if (code == "_include" || code == "_revinclude") {
        TRY(add_include(code == "_revinclude", asked.modifier, value));
        return true;
    }
    if (!asked.modifier.empty()) {
        return criteria_.unknown(
            fmt::format("\"{}\" has no modifier \":{}\"", code, asked.modifier.substr(0, 40)),
            name);
    }
    if (code == "_sort") {
        sort_ = value;
    } else if (code == "_count") {
        query_.count = std::min(TRY(count_of(value)), limits::page_size_max);
        if (query_.count == 0) query_.count_only = true;
    } else if (code == "_summary") {
        TRY(add_summary(value));
    } else if (code == "_total") {
        if (value == "none")
            query_.total = Total::none;
        else if (value == "estimate")
            query_.total = Total::estimate;
        else if (value == "accurate")
            query_.total = Total::accurate;
        else
            return fail(Category::incorrect,
                        fmt::format("_total takes none, estimate or accurate, not \"{}\"",
                                    value.substr(0, 40)),
                        "_total");
    } else if (code == "_elements") {
        for (const auto element : split_value(value, ',')) {
            if (!element.empty()) query_.elements.emplace_back(element);
        }
    } else if (code == "_contained" || code == "_containedType") {
        TRY(add_contained(code, value));
    } else if (code == "_score") {
        return false;
    }
    return true;
}

/// FHIR R4 §3.1.1.5.8.
Result<void> QueryBuilder::add_contained(std::string_view code, std::string_view value) {
    const bool is_type = code == "_containedType";
    if (is_type ? value != "container" && value != "contained"
                : value != "true" && value != "false" && value != "both") {
        return fail(Category::incorrect,
                    fmt::format("{} takes {}, not \"{}\"", code,
                                is_type ? "container or contained" : "true, false or both",
                                value.substr(0, 40)),
                    std::string(code));
    }
    if (is_type) {
        gives_containers_ = value == "container";
    } else if (value == "both") {
        contained_ = Contained::both;
    } else {
        contained_ = value == "true" ? Contained::only : Contained::no;
    }
    return {};
}

Result<void> QueryBuilder::add_summary(const std::string& value) {
    using Summary = Page::Summary;
    static constexpr std::array<std::pair<std::string_view, Summary>, 5> known{
        {{"true", Summary::on},
         {"false", Summary::off},
         {"text", Summary::text},
         {"data", Summary::data},
         {"count", Summary::count}}};
    for (const auto& [text, summary] : known) {
        if (text != value) continue;
        query_.summary = summary;
        if (summary == Summary::count) query_.count_only = true;
        return {};
    }
    return fail(Category::incorrect,
                fmt::format("_summary takes true, text, data, count or false, not \"{}\"",
                            value.substr(0, 40)),
                "_summary");
}

Result<void> QueryBuilder::add_include(bool reverse, std::string_view modifier,
                                       const std::string& value) {
    const std::string where = reverse ? "_revinclude" : "_include";
    if (!modifier.empty() && modifier != "iterate" && modifier != "recurse") {
        return criteria_.unknown(fmt::format("\"{}\" has no modifier \":{}\"; it has: :iterate",
                                             where, modifier.substr(0, 40)),
                                 where);
    }
    for (const auto part : split_value(value, ',')) {
        if (part.empty()) continue;
        Include include{reverse, !modifier.empty(), "*", "*", {}};
        if (part != "*") {
            const auto pieces = split_value(part, ':');
            if (pieces.size() < 2 || pieces.size() > 3) {
                return fail(Category::incorrect,
                            fmt::format("\"{}\" is no include: write Type:parameter, "
                                        "Type:parameter:Target or Type:*",
                                        part.substr(0, 120)),
                            where);
            }
            include.source_type = pieces[0];
            include.code = pieces[1];
            if (pieces.size() == 3) include.target_type = pieces[2];
            for (const std::string& type : {include.source_type, include.target_type}) {
                if (!type.empty() && parameters_.type_name(type) == 0) {
                    return fail(
                        Category::incorrect,
                        fmt::format("\"{}\" is no FHIR R4 resource type", type.substr(0, 80)),
                        where);
                }
            }
            if (include.code != "*") {
                const Parameter* parameter = parameters_.find(include.source_type, include.code);
                if (parameter == nullptr || parameter->kind != SearchType::reference) {
                    return criteria_.unknown(
                        fmt::format("{} has no reference parameter \"{}\" to include by",
                                    include.source_type, include.code.substr(0, 80)),
                        where);
                }
                TRY(criteria_.allow(include.source_type, include.code));
            }
        }
        query_.includes.push_back(std::move(include));
    }
    return {};
}

Result<void> QueryBuilder::check_whole() {
    if (query_.summary == Page::Summary::text && !query_.includes.empty()) {
        return fail(Category::incorrect, "_summary=text and includes exclude each other",
                    "_summary");
    }
    if (query_.summary != Page::Summary::off && !query_.elements.empty()) {
        return fail(Category::incorrect, "_summary and _elements exclude each other", "_elements");
    }
    return {};
}

Result<store::Order> QueryBuilder::order_of(const std::string& type, std::string_view key) {
    const bool is_descending = key.starts_with('-');
    const std::string_view code = is_descending ? key.substr(1) : key;
    if (code == "_id") return store::Order{store::SortKind::id, 0, is_descending};
    if (code == "_lastUpdated") {
        TRY(criteria_.allow(type, code));
        return store::Order{store::SortKind::updated, 0, is_descending};
    }
    const Parameter* parameter = parameters_.find(type, code);
    if (parameter == nullptr) {
        return criteria_.unknown(
            fmt::format("{} has no search parameter \"{}\" to sort by; it has: {}", type,
                        code.substr(0, 80), parameters_.known_codes(type)),
            "_sort");
    }
    TRY(criteria_.allow(type, code));
    if (is_age(*parameter)) {
        // The youngest were born last.
        return store::Order{store::SortKind::date, parameters_.find(type, "birthdate")->name,
                            !is_descending};
    }
    static constexpr std::array<std::pair<SearchType, store::SortKind>, 7> kinds{
        {{SearchType::number, store::SortKind::number},
         {SearchType::date, store::SortKind::date},
         {SearchType::string, store::SortKind::string},
         {SearchType::token, store::SortKind::token},
         {SearchType::reference, store::SortKind::reference},
         {SearchType::quantity, store::SortKind::quantity},
         {SearchType::uri, store::SortKind::uri}}};
    for (const auto& [kind, sort] : kinds) {
        if (kind != parameter->kind) continue;
        store::Order order{sort, parameter->name, is_descending};
        for (const Parameter* part : parameter->parts) order.also.push_back(part->name);
        return order;
    }
    return fail(Category::incorrect, fmt::format("\"{}\" has no order to sort by", code), "_sort");
}

Result<void> QueryBuilder::resolve_sort() {
    if (sort_.empty()) return {};
    std::string used;
    for (const auto key : split_value(sort_, ',')) {
        if (key.empty() || key == "-") continue;
        criteria_.forget_unknown();
        if (key == "_score" || key == "-_score") {
            // Nobody asks for the least relevant: either way the best match comes first.
            query_.by_score = true;
            (used += used.empty() ? "" : ",") += key;
            continue;
        }
        auto order = order_of(plans_.front().type, key);
        if (!order && criteria_.was_unknown() && options_.lenient &&
            order.error().category == Category::incorrect) {
            warn(fmt::format("not sorted by \"{}\": {}", key, order.error().message), "_sort");
            continue;
        }
        if (!order) return std::unexpected(std::move(order).error());
        if (contained_ != Contained::no && order->param != 0) {
            return fail(
                Category::unsupported,
                "contained resources are sorted by _id and _lastUpdated of their containers "
                "only",
                "_sort");
        }
        if (plans_.size() > 1 && order->param != 0) {
            return fail(Category::incorrect,
                        "a search over several types can be sorted by _id and _lastUpdated only",
                        "_sort");
        }
        query_.order.push_back(*order);
        (used += used.empty() ? "" : ",") += key;
    }
    if (query_.by_score && (!query_.order.empty() || contained_ != Contained::no)) {
        return fail(Category::incorrect,
                    "\"_score\" is sorted by alone, and not for contained resources", "_sort");
    }
    // The self link names what was really sorted by.
    std::erase_if(used_, [](const auto& pair) { return pair.first == "_sort"; });
    if (!used.empty()) used_.emplace_back("_sort", used);
    return {};
}

Result<Condition> QueryBuilder::compartment(const std::string& type) {
    if (options_.compartment_type.empty()) return store::Everything{};
    const std::string& owner = options_.compartment_type;
    const store::Identity identity{parameters_.type_name(owner), options_.compartment_id};
    const Compartment* definition = definitions().compartment(owner);
    if (definition == nullptr)
        return fail(Category::not_found,
                    fmt::format("there is no {} compartment", owner.substr(0, 80)));
    const CompartmentMember* member = definition->find(type);
    const bool is_owner = type == owner;
    if (!is_owner && (member == nullptr || member->params.empty())) {
        return fail(Category::incorrect,
                    fmt::format("{} is not part of the {} compartment", type, owner));
    }
    if (member != nullptr) {
        for (const auto code : member->params) {
            if (parameters_.find(type, code) != nullptr) TRY(criteria_.allow(type, code));
        }
    }
    // Of a type that a limited caller sees all of, whatever the patient: by its own references, as
    // the rows of a compartment are of all types.
    const bool is_by_references =
        !options_.access->sees_everything() && !is_owner &&
        std::holds_alternative<store::Everything>(
            options_.access->searchable(parameters_.type_name(type)).as_variant());
    if (owner == "Patient" && !is_by_references)
        return store::InCompartment{identity, parameters_.type_name(type)};
    Conditions any;
    if (is_owner) any.push_back(store::HasId{identity.type, {identity.id}});
    for (const auto code : member == nullptr ? std::vector<std::string_view>() : member->params) {
        const Parameter* parameter = parameters_.find(type, code);
        if (parameter != nullptr && parameter->kind == SearchType::reference)
            any.push_back(store::HasReference{parameter->name, {identity}});
    }
    return any_of(std::move(any));
}

/// The patients that a plain criterion on a patient path asks for; null when it is something else.
store::HasReference* patients_of(const Parameters& parameters, Criterion& criterion) {
    if (criterion.parameter == nullptr || !criterion.parameter->in_patient_compartment)
        return nullptr;
    auto* reference =
        std::get_if<store::HasReference>(static_cast<Condition::variant*>(&criterion.where));
    if (reference == nullptr || reference->param != criterion.parameter->name) return nullptr;
    const store::Name patient = parameters.type_name("Patient");
    const bool all_patients =
        std::all_of(reference->targets.begin(), reference->targets.end(),
                    [&](const auto& target) { return target.type == patient; });
    return all_patients ? reference : nullptr;
}

/// Whose rights name patients finds what has a code in these patients' charts: a condition on
/// everybody's charts, which says the same as the code does, tells engines of which ranges.
void QueryBuilder::add_charts_of_named(const TypePlan& plan, Conditions& all) const {
    const Parameter* main_code = parameters_.main_code(plan.type);
    const Parameter* main_date = parameters_.main_date(plan.type);
    // The types whose resources stand in everybody's charts.
    if (main_code == nullptr || main_date == nullptr || main_date->repeats ||
        !options_.has_derived_rows)
        return;
    for (const Criterion& criterion : plan.criteria) {
        if (criterion.parameter != main_code) continue;
        const auto* codes = std::get_if<store::HasToken>(&criterion.where.as_variant());
        // A code without a system stands for one in each system: so many ranges are no short cut.
        if (codes == nullptr || codes->values.empty() ||
            codes->values.size() > limits::search_streams_max)
            continue;
        all.push_back(
            store::OfPatient{parameters_.type_name(plan.type), {everyone()}, codes->values});
        return;
    }
}

/// A chart is one range of the clinical access path. The row there is weaker than the reference (it
/// stands for each patient concerned), so the reference stays as a test; code and start date are
/// the same values as the parameters' own rows.
void QueryBuilder::use_patient_path(const TypePlan& plan, std::vector<Criterion>& criteria,
                                    Conditions& all) {
    const store::HasReference* patients = nullptr;
    for (Criterion& criterion : criteria) {
        store::HasReference* const reference = patients_of(parameters_, criterion);
        if (reference == nullptr) continue;
        reference->concerns_targets = true;
        if (patients == nullptr) patients = reference;
    }
    if (patients == nullptr && !options_.has_derived_rows) return;
    const Parameter* main_code = parameters_.main_code(plan.type);
    const Parameter* main_date = parameters_.main_date(plan.type);
    // Newest first only: going up, resources without a date would come first on the path and last
    // in the sort.
    const bool is_chart_order = query_.order.size() == 1 && main_date != nullptr &&
                                !main_date->repeats &&
                                query_.order.front().kind == store::SortKind::date &&
                                query_.order.front().param == main_date->name &&
                                query_.order.front().descending && plans_.size() == 1;
    store::HasToken* codes = nullptr;
    std::size_t codes_at = 0;
    for (std::size_t i = 0; i < criteria.size() && codes == nullptr; ++i) {
        if (main_code == nullptr || criteria[i].parameter != main_code) continue;
        codes = std::get_if<store::HasToken>(static_cast<Condition::variant*>(&criteria[i].where));
        codes_at = i;
    }
    // The newest of everyone with a main code are a range too.
    if (patients == nullptr ? !is_chart_order || codes == nullptr
                            : !is_chart_order && codes == nullptr)
        return;
    store::OfPatient path;
    path.type = parameters_.type_name(plan.type);
    path.patients = patients == nullptr ? std::vector{everyone()} : patients->targets;
    if (codes != nullptr) {
        path.codes = codes->values;
        criteria.erase(criteria.begin() + static_cast<std::ptrdiff_t>(codes_at));
    }
    all.push_back(std::move(path));
    if (is_chart_order) query_.order.front() = {store::SortKind::patient_date, 0, true};
}

/// Several conditions on a date that a resource has only once are one:
/// birthdate=ge2000&birthdate=lt2001 is one range.
void merge_dates(std::vector<Criterion>& criteria) {
    constexpr std::size_t boxes_max = 16;
    for (std::size_t i = 0; i < criteria.size(); ++i) {
        Criterion& first = criteria[i];
        if (first.dates.empty() || first.parameter->repeats) continue;
        for (std::size_t j = i + 1; j < criteria.size();) {
            Criterion& second = criteria[j];
            if (second.dates.empty() || second.parameter != first.parameter ||
                first.dates.size() * second.dates.size() > boxes_max) {
                ++j;
                continue;
            }
            std::vector<store::DateBox> both;
            for (const auto& a : first.dates) {
                for (const auto& b : second.dates) {
                    if (auto box = intersect(a, b)) both.push_back(*box);
                }
            }
            if (both.empty()) {
                first.where = store::Nothing{};
                first.parameter = nullptr;
            }
            first.dates = std::move(both);
            criteria.erase(criteria.begin() + static_cast<std::ptrdiff_t>(j));
            if (first.dates.empty()) break;
        }
    }
}

Result<TypeFilter> QueryBuilder::finish(TypePlan& plan) {
    Conditions all;
    all.push_back(TRY(compartment(plan.type)));
    merge_dates(plan.criteria);
    if (options_.has_derived_rows) {
        for (Condition& both : pair_conditions(parameters_, plan.type, names_, plan.criteria))
            all.push_back(std::move(both));
    }
    for (Condition& both : composite_conditions(parameters_, plan.type, names_, plan.criteria))
        all.push_back(std::move(both));
    add_chart_ranges(parameters_, plan.type, plan.criteria);
    Condition access = options_.access->sees_everything()
                           ? Condition(store::Everything{})
                           : options_.access->searchable(parameters_.type_name(plan.type));
    if (is_of_named(access)) add_charts_of_named(plan, all);
    use_patient_path(plan, plan.criteria, all);
    for (Criterion& criterion : plan.criteria) {
        if (criterion.dates.empty()) {
            all.push_back(std::move(criterion.where));
            continue;
        }
        Conditions boxes;
        for (const auto& box : criterion.dates)
            boxes.push_back(store::HasDate{criterion.parameter->name, box});
        all.push_back(any_of(std::move(boxes)));
    }
    TypeFilter filter;
    filter.type = plan.type;
    filter.name = parameters_.type_name(plan.type);
    filter.where = admitted_by(std::move(access), all_of(std::move(all)));
    return filter;
}

/// What the caller may see of the containers of a contained `type`, which may be of any type.
Condition QueryBuilder::container_visible(std::string_view type) const {
    if (options_.access->sees_everything()) return store::Everything{};
    const auto is_nothing = [](const Condition& condition) {
        return std::holds_alternative<store::Nothing>(condition.as_variant());
    };
    Conditions any;
    if (is_nothing(options_.access->searchable(parameters_.type_name(type))))
        return store::Nothing{};
    const store::Name presence = contained_presence(names_, type, 0);
    for (const Type* container : definitions().resources()) {
        const store::Name name = parameters_.type_name(container->name);
        Condition visible = options_.access->searchable(name);
        if (is_nothing(visible)) continue;
        Conditions both;
        both.push_back(store::HasToken{presence, {name}});
        both.push_back(std::move(visible));
        any.push_back(all_of(std::move(both)));
    }
    return any_of(std::move(any));
}

/// One filter per place of contained resources of the type, or one for all of their containers.
/// Before finish(), which takes the criteria.
Result<std::vector<TypeFilter>> QueryBuilder::contained_filters(const TypePlan& plan) {
    Conditions all;
    all.push_back(TRY(compartment(plan.type)));
    for (const Criterion& criterion : plan.criteria) {
        if (criterion.dates.empty()) {
            all.push_back(clone(criterion.where));
            continue;
        }
        Conditions boxes;
        for (const auto& box : criterion.dates)
            boxes.push_back(store::HasDate{criterion.parameter->name, box});
        all.push_back(any_of(std::move(boxes)));
    }
    const Condition asked = all_of(std::move(all));
    std::vector<TypeFilter> filters;
    Conditions containers;
    const std::size_t slots = contained_slots(names_, plan.type);
    for (std::size_t slot = 0; slot < slots; ++slot) {
        Conditions both;
        both.push_back(TRY(in_place(parameters_, names_, asked, plan.type, slot)));
        if (std::holds_alternative<store::Nothing>(both.back().as_variant())) continue;
        both.push_back(store::HasTokenIn{contained_presence(names_, plan.type, slot), 0,
                                         std::numeric_limits<std::int64_t>::max()});
        if (gives_containers_) {
            containers.push_back(all_of(std::move(both)));
            continue;
        }
        filters.push_back({plan.type, 0,
                           admitted_by(container_visible(plan.type), all_of(std::move(both))),
                           slot});
    }
    if (!gives_containers_ || containers.empty()) return filters;
    filters.push_back({plan.type,
                       0,
                       admitted_by(container_visible(plan.type), any_of(std::move(containers))),
                       {}});
    return filters;
}

/// FHIR R4 §3.1.1.5.8: _contained.
Result<void> QueryBuilder::add_types(TypePlan& plan) {
    if (contained_ == Contained::no) {
        query_.types.push_back(TRY(finish(plan)));
        return {};
    }
    std::vector<TypeFilter> inside = TRY(contained_filters(plan));
    if (contained_ == Contained::both) {
        TypeFilter whole = TRY(finish(plan));
        for (TypeFilter& filter : inside) {
            if (filter.slot) continue;
            // A match that also contains one is given once.
            Conditions itself;
            itself.push_back(
                store::HasToken{contained_presence(names_, plan.type, 0), {whole.name}});
            itself.push_back(clone(whole.where));
            Conditions both;
            both.push_back(std::move(filter.where));
            both.push_back(none_of(all_of(std::move(itself))));
            filter.where = all_of(std::move(both));
        }
        query_.types.push_back(std::move(whole));
    }
    std::move(inside.begin(), inside.end(), std::back_inserter(query_.types));
    return {};
}

Result<void> QueryBuilder::check_score() const {
    if (!query_.by_score) return {};
    for (const TypeFilter& filter : query_.types) {
        if (text_terms(filter.where).empty()) {
            return fail(Category::incorrect,
                        "\"_score\" is the relevance of a full-text match: search by _content or "
                        "_text to sort by it",
                        "_sort");
        }
    }
    return {};
}

/// Row ids are given when a resource is first mentioned, and what mentions it may be hidden: what
/// such a caller finds is in the order of ids where no other order decides. Who sees a whole
/// organisation, or more, may page through too much of it for that (docs/adr/0033).
void QueryBuilder::settle_ties() {
    if (options_.access->sees_everything() || query_.by_score || options_.conditional ||
        contained_ != Contained::no)
        return;
    for (const TypeFilter& filter : query_.types) {
        if (!options_.compartment_type.empty()) break;  // that bounds it for everybody
        const auto* both = std::get_if<store::AllOf>(&filter.where.as_variant());
        if (both == nullptr || !both->first_admits || !is_of_named(both->parts.front())) return;
    }
    if (query_.order.empty() || query_.order.back().kind != store::SortKind::id)
        query_.order.push_back({store::SortKind::id, 0});
}

/// Without filters of their own, all types (of a patient's compartment) are one walk.
void QueryBuilder::collapse_types() {
    const bool is_whole = query_.type == "*" || query_.type.empty();
    const bool is_named = std::any_of(used_.begin(), used_.end(),
                                      [](const auto& pair) { return pair.first == "_type"; });
    if (contained_ != Contained::no) return;
    if (!is_whole || is_named || has_filter_ || !options_.access->sees_everything()) return;
    if (options_.compartment_type.empty()) {
        query_.types.clear();
        query_.types.push_back({"", 0, store::Everything{}});
    } else if (options_.compartment_type == "Patient") {
        query_.types.clear();
        query_.types.push_back(
            {"", 0,
             store::InCompartment{{parameters_.type_name("Patient"), options_.compartment_id}, 0}});
    }
}

}  // namespace

Result<Query> parse(const Parameters& parameters, const store::Names& names, std::string_view type,
                    const QueryParameters& query, const ParseOptions& options) {
    if (!options.compartment_id.empty() && !is_fhir_id(options.compartment_id)) {
        return fail(Category::incorrect,
                    fmt::format("\"{}\" is no id", options.compartment_id.substr(0, 80)));
    }
    return QueryBuilder(parameters, names, options).build(type, query);
}

}  // namespace meridian::fhir::search

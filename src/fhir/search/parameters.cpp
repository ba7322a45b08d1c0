// SPDX-License-Identifier: Apache-2.0
#include "fhir/search/parameters.hpp"

#include "fhir/search/main_paths.hpp"
#include "fhir/search/program.hpp"
#include "fhir/search/unions.hpp"

namespace meridian::fhir::search {
namespace {

using store::Name;
using store::NameKind;

/// A SearchParameter that was added at run time, kept with its own text.
struct CustomDefinition {
    std::string url, code, expression;
    SearchType type = SearchType::token;
    std::vector<std::string> bases, targets;
    std::vector<std::pair<std::string, std::string>> components;  ///< definition, expression
    bool ready = false;
};

/// All that is known of one resource type.
struct TypeEntry {
    std::string type;
    Name name = 0;
    std::vector<std::unique_ptr<Parameter>> owned;
    std::vector<const Parameter*> list;  ///< by code
    std::unordered_map<std::string_view, const Parameter*> by_code;
    std::vector<const Parameter*> patient_paths;
    Program program;
};

bool contains(const std::vector<std::string>& values, std::string_view value) {
    return std::find(values.begin(), values.end(), value) != values.end();
}

void add_unique(std::vector<std::string>& values, std::string_view value) {
    if (!contains(values, value)) values.emplace_back(value);
}

bool applies_to(std::string_view base, const Type& type) {
    for (const Type* t = &type; t != nullptr; t = t->base) {
        if (t->name == base) return true;
    }
    return false;
}

std::optional<SearchType> search_type(std::string_view text) {
    static constexpr std::array<std::pair<std::string_view, SearchType>, 9> known{
        {{"number", SearchType::number},
         {"date", SearchType::date},
         {"string", SearchType::string},
         {"token", SearchType::token},
         {"reference", SearchType::reference},
         {"composite", SearchType::composite},
         {"quantity", SearchType::quantity},
         {"uri", SearchType::uri},
         {"special", SearchType::special}}};
    for (const auto& [name, type] : known) {
        if (name == text) return type;
    }
    return std::nullopt;
}

/// The kind of parameter that takes values of this type; token when several do.
SearchType natural_kind(const Type& type) {
    for (const SearchType kind : {SearchType::token, SearchType::quantity, SearchType::reference,
                                  SearchType::date, SearchType::number}) {
        if (emitter_for(kind, {}, type) != Emitter::none) return kind;
    }
    return SearchType::token;
}

/// Narrows a reference's targets to what its element and the expression allow.
std::vector<std::string> narrowed_targets(const std::vector<Route>& routes,
                                          const std::vector<std::string>& declared) {
    std::vector<std::string> targets;
    for (const Route& route : routes) {
        if (route.type == nullptr) continue;
        if (!route.resolve_type.empty()) {
            add_unique(targets, route.resolve_type);
            continue;
        }
        const bool is_open =
            route.targets.empty() || (route.targets.size() == 1 && route.targets[0] == "Resource");
        if (is_open) return declared;
        for (const auto target : route.targets) {
            if (declared.empty() || contains(declared, target)) add_unique(targets, target);
        }
    }
    return targets.empty() ? declared : targets;
}

/// Several alternatives for one element that is not repeated cannot hold at once:
/// Observation.effective[x].
bool may_repeat(const std::vector<Route>& routes) {
    for (const Route& route : routes) {
        if (route.repeats || route.element_path != routes.front().element_path) return true;
    }
    return routes.empty();
}

void describe_values(Parameter& parameter, const Compiled& compiled) {
    std::vector<Route> used;
    for (const Route& route : compiled.routes) {
        if (emitter_for(parameter.kind, parameter.code, *route.type) == Emitter::none) continue;
        add_unique(parameter.element_types, route.type->name);
        if (route.element != nullptr && route.type->name == "code" &&
            route.element->binding == Binding::required) {
            add_unique(parameter.value_sets, route.element->value_set);
        }
        used.push_back(route);
    }
    if (parameter.kind == SearchType::reference)
        parameter.targets = narrowed_targets(used, parameter.targets);
    parameter.repeats = !compiled.is_simple || may_repeat(used);
}

}  // namespace

struct Parameters::State {
    const Definitions* definitions = nullptr;
    store::Names* store_names = nullptr;
    std::shared_ptr<const Prose> prose;
    std::map<std::string, CustomDefinition, std::less<>> customs;  ///< by url
    std::unordered_map<std::string_view, std::shared_ptr<const TypeEntry>> types;
    std::unordered_map<std::string_view, Name> names;  ///< of all resource types
    std::unordered_map<Name, std::string_view> texts;

    const TypeEntry* find(std::string_view type) const {
        const auto found = types.find(type);
        return found == types.end() ? nullptr : found->second.get();
    }
    Name type_name(std::string_view type) const {
        const auto found = names.find(type);
        return found == names.end() ? 0 : found->second;
    }
    SearchType kind_of(std::string_view url) const {
        for (const auto& definition : definitions->search_parameters()) {
            if (definition.url == url) return definition.type;
        }
        const auto custom = customs.find(url);
        return custom == customs.end() ? SearchType::token : custom->second.type;
    }

    void add_base_parameters(TypeEntry& entry, const Type& type) const;
    static void add_unwritten_parameters(TypeEntry& entry);
    void add_custom_parameters(TypeEntry& entry, const Type& type) const;
    void link_components(TypeEntry& entry, const Type& type) const;
    static void link_parts(TypeEntry& entry);
    void name_rows(TypeEntry& entry) const;
    void mark_compartment_paths(TypeEntry& entry, const Type& type) const;
    Result<std::shared_ptr<const TypeEntry>> build(const Type& type,
                                                   const Parameters& registry) const;
    Result<void> compile(TypeEntry& entry, const Type& type, const Parameters& registry) const;
    Result<CustomDefinition> read(const Json& resource) const;
};

Parameters::Parameters(std::shared_ptr<const State> state) : state_(std::move(state)) {}
Parameters::~Parameters() = default;

void Parameters::State::add_base_parameters(TypeEntry& entry, const Type& type) const {
    for (const auto& definition : definitions->search_parameters()) {
        if (!applies_to(definition.base, type)) continue;
        // _query, _filter, _has, _list and _type select nothing by themselves: the query parser
        // knows them.
        const bool is_text = definition.code == "_text" || definition.code == "_content";
        const auto correction = corrected_expression(type.name, definition.code);
        const std::string_view expression = correction.empty() ? definition.expression : correction;
        if (expression.empty() && !is_text) continue;
        if (std::any_of(entry.owned.begin(), entry.owned.end(),
                        [&](const auto& p) { return p->code == definition.code; }))
            continue;
        auto parameter = std::make_unique<Parameter>();
        parameter->type = type.name;
        parameter->code = definition.code;
        parameter->url = definition.url;
        parameter->kind = is_text ? SearchType::special : definition.type;
        parameter->expression = is_text ? std::string_view() : expression;
        parameter->targets.assign(definition.targets.begin(), definition.targets.end());
        for (const auto& component : definition.components) {
            Component part;
            part.kind = kind_of(component.definition);
            part.expression = component.expression;
            part.definition = component.definition;
            parameter->components.push_back(std::move(part));
        }
        entry.owned.push_back(std::move(parameter));
    }
}

/// Patient parameters that R4 lists without an expression: age is asked of the birth date,
/// birthOrderBoolean has its element. And one of this server, which access to a Binary is decided
/// by: its securityContext, for which R4 has none.
void Parameters::State::add_unwritten_parameters(TypeEntry& entry) {
    const auto add = [&](std::string_view code, SearchType kind, std::string url,
                         std::string_view expression) {
        if (std::any_of(entry.owned.begin(), entry.owned.end(),
                        [&](const auto& p) { return p->code == code; }))
            return;
        auto parameter = std::make_unique<Parameter>();
        parameter->type = entry.type;
        parameter->code = code;
        parameter->url = std::move(url);
        parameter->kind = kind;
        parameter->expression = expression;
        entry.owned.push_back(std::move(parameter));
    };
    if (entry.type == "Binary")
        add("security-context", SearchType::reference,
            "urn:meridian:search-parameter:Binary-security-context", "Binary.securityContext");
    if (entry.type != "Patient") return;
    for (const auto& [code, kind] :
         {std::pair("age", SearchType::number), std::pair("birthOrderBoolean", SearchType::token)})
        add(code, kind,
            fmt::format("http://hl7.org/fhir/SearchParameter/patient-extensions-Patient-{}", code),
            corrected_expression(entry.type, code));
}

void Parameters::State::add_custom_parameters(TypeEntry& entry, const Type& type) const {
    for (const auto& [url, custom] : customs) {
        if (!std::any_of(custom.bases.begin(), custom.bases.end(),
                         [&](const auto& base) { return applies_to(base, type); }))
            continue;
        auto parameter = std::make_unique<Parameter>();
        parameter->type = type.name;
        parameter->code = custom.code;
        parameter->url = url;
        parameter->kind = custom.type;
        parameter->expression = custom.expression;
        parameter->targets = custom.targets;
        parameter->custom = true;
        parameter->ready = custom.ready;
        for (const auto& [definition, expression] : custom.components) {
            Component part;
            part.kind = kind_of(definition);
            part.expression = expression;
            part.definition = definition;
            parameter->components.push_back(std::move(part));
        }
        entry.owned.push_back(std::move(parameter));
    }
}

void Parameters::State::link_components(TypeEntry& entry, const Type& type) const {
    for (auto& parameter : entry.owned) {
        if (parameter->components.empty()) continue;
        const Compiled bases = compile_routes(parameter->expression, type, *definitions);
        for (auto& component : parameter->components) {
            for (const auto& other : entry.owned) {
                if (other->url == component.definition) component.parameter = other.get();
            }
            const auto paths = parse_simple_paths(component.expression);
            if (!paths) continue;
            bool fits = false;
            SearchType natural = component.kind;
            for (const Route& base : bases.routes) {
                for (const SimplePath& path : *paths) {
                    for (const Route& route :
                         resolve_routes(path, path.root == "%resource" ? type : *base.type)) {
                        add_unique(component.element_types, route.type->name);
                        fits =
                            fits || emitter_for(component.kind, {}, *route.type) != Emitter::none;
                        natural = natural_kind(*route.type);
                    }
                }
            }
            // Some published components name a parameter of another kind than the element they lead
            // to.
            if (!fits) component.kind = natural;
        }
    }
}

void Parameters::State::link_parts(TypeEntry& entry) {
    for (const auto& whole : entry.owned) {
        for (const std::string_view code : union_parts(entry.type, whole->code)) {
            for (const auto& part : entry.owned) {
                if (part->code == code) whole->parts.push_back(part.get());
            }
        }
    }
}

void Parameters::State::name_rows(TypeEntry& entry) const {
    for (auto& p : entry.owned) {
        const bool has_no_rows = p->code == "_id" || p->code == "_lastUpdated" ||
                                 (p->kind == SearchType::number && p->expression.empty());
        if (has_no_rows) continue;
        const std::string base = p->type + "." + p->code;
        const auto intern = [&](std::string_view twin) {
            return store_names->intern(NameKind::parameter, base + std::string(twin));
        };
        p->name = intern("");
        const auto has = [&](std::string_view type) { return contains(p->element_types, type); };
        const bool is_foreign =
            p->element_types.empty();  // decided by FHIRPath at run time: anything may come
        switch (p->kind) {
            case SearchType::token:
                if (is_foreign || has("Coding") || has("CodeableConcept") || has("Identifier"))
                    p->text_name = intern("#text");
                if (is_foreign || has("Identifier")) p->of_type_name = intern("#of-type");
                break;
            case SearchType::reference:
                if (is_foreign || has("Reference")) p->identifier_name = intern("#identifier");
                if (is_foreign || has("canonical")) p->below_name = intern("#below");
                break;
            case SearchType::quantity:
                p->canonical_name = intern("#canonical");
                break;
            case SearchType::composite:
                for (const auto& component : p->components) {
                    if (component.kind == SearchType::quantity)
                        p->canonical_name = intern("#canonical");
                }
                break;
            case SearchType::special:
                if (p->code == "near") p->longitude_name = intern("#longitude");
                break;
            default:
                break;
        }
        if (p->kind != SearchType::composite && p->kind != SearchType::special)
            p->present_name = intern("#present");
    }
}

/// "patient" and "subject" read the same element; the CompartmentDefinition names only one of them.
void Parameters::State::mark_compartment_paths(TypeEntry& entry, const Type& type) const {
    const auto elements_of = [&](const Parameter& parameter) {
        std::set<std::string> paths;
        for (const Route& route : compile_routes(parameter.expression, type, *definitions).routes)
            paths.insert(route.element_path);
        return paths;
    };
    std::set<std::string> covered;
    for (const Parameter* path : entry.patient_paths) covered.merge(elements_of(*path));
    for (auto& parameter : entry.owned) {
        if (parameter->kind != SearchType::reference) continue;
        const auto own = elements_of(*parameter);
        parameter->in_patient_compartment =
            !own.empty() && std::includes(covered.begin(), covered.end(), own.begin(), own.end());
        if (!parameter->in_patient_compartment) continue;
        for (const Parameter* path : entry.patient_paths) {
            const auto elements = elements_of(*path);
            if (!std::includes(own.begin(), own.end(), elements.begin(), elements.end()))
                parameter->other_patient_paths.push_back(path->name);
        }
    }
}

Result<void> Parameters::State::compile(TypeEntry& entry, const Type& type,
                                        const Parameters& registry) const {
    Program& program = entry.program;
    program.type = entry.name;
    program.is_patient = entry.type == "Patient";
    program.prose = prose->find(entry.type);
    const MainPath main = main_path(entry.type);
    for (const auto& p : entry.owned) {
        if (p->code == "_text") program.text_param = p->name;
        if (p->code == "_content") program.content_param = p->name;
        if (p->code == main.code) program.main_code = p.get();
        if (p->code == main.date) program.main_date = p.get();
        if (p->name == 0 || !p->parts.empty()) continue;
        const auto rank =
            std::find(entry.patient_paths.begin(), entry.patient_paths.end(), p.get());
        const int patient_rank = rank == entry.patient_paths.end()
                                     ? -1
                                     : static_cast<int>(rank - entry.patient_paths.begin());
        TRY(add_to_program(program, *p, type, registry, *definitions, patient_rank));
    }
    finish_program(program);
    return {};
}

Result<std::shared_ptr<const TypeEntry>> Parameters::State::build(
    const Type& type, const Parameters& registry) const {
    auto entry = std::make_shared<TypeEntry>();
    entry->type = type.name;
    entry->name = type_name(type.name);
    add_base_parameters(*entry, type);
    add_unwritten_parameters(*entry);
    add_custom_parameters(*entry, type);
    for (auto& p : entry->owned)
        describe_values(*p, compile_routes(p->expression, type, *definitions));
    link_components(*entry, type);
    link_parts(*entry);
    name_rows(*entry);
    for (const auto& p : entry->owned) {
        entry->list.push_back(p.get());
        entry->by_code.emplace(p->code, p.get());
    }
    std::sort(entry->list.begin(), entry->list.end(),
              [](const auto* a, const auto* b) { return a->code < b->code; });

    const Compartment* compartment = definitions->compartment("Patient");
    const CompartmentMember* member =
        compartment == nullptr ? nullptr : compartment->find(type.name);
    if (member != nullptr) {
        // The home patient is whom the resource is about; authors and performers who are patients
        // come after.
        const auto add = [&](std::string_view code) {
            const auto found = entry->by_code.find(code);
            if (found == entry->by_code.end() || found->second->kind != SearchType::reference)
                return;
            auto& paths = entry->patient_paths;
            if (std::find(paths.begin(), paths.end(), found->second) == paths.end())
                paths.push_back(found->second);
        };
        for (const std::string_view first : {"patient", "subject", "beneficiary", "individual"}) {
            if (std::find(member->params.begin(), member->params.end(), first) !=
                member->params.end())
                add(first);
        }
        for (const auto code : member->params) add(code);
    }
    mark_compartment_paths(*entry, type);
    TRY(compile(*entry, type, registry));
    return entry;
}

std::shared_ptr<const Parameters> Parameters::make(const Definitions& definitions,
                                                   store::Names& names) {
    auto state = std::make_shared<State>();
    state->definitions = &definitions;
    state->store_names = &names;
    state->prose = std::make_shared<const Prose>(definitions);
    for (const Type* type : definitions.resources()) {
        const Name name = names.intern(NameKind::type, type->name);
        state->names.emplace(type->name, name);
        state->texts.emplace(name, type->name);
    }
    const auto registry = std::shared_ptr<const Parameters>(new Parameters(state));
    for (const Type* type : definitions.resources()) {
        auto entry = state->build(*type, *registry);
        // The published definitions compile; a test goes through all of them.
        if (entry) state->types.emplace(type->name, *std::move(entry));
    }
    return registry;
}

namespace {

/// Why a SearchParameter resource cannot be used.
std::unexpected<Error> unusable(std::string message, std::string where) {
    return fail(Category::unprocessable, std::move(message), std::move(where));
}

}  // namespace

Result<CustomDefinition> Parameters::State::read(const Json& resource) const {
    CustomDefinition custom;
    custom.url = resource.string_at("url");
    custom.code = resource.string_at("code");
    custom.expression = resource.string_at("expression");
    if (custom.url.empty()) return unusable("a SearchParameter needs a url", "SearchParameter.url");
    if (custom.code.empty() || custom.code.find_first_of(":.,|$&=_ ") == 0 ||
        custom.code.find_first_of(":.,|$&= ") != std::string::npos) {
        return unusable(
            "a SearchParameter needs a code without \":\", \".\", \",\", \"|\", \"$\" that does "
            "not start with \"_\"",
            "SearchParameter.code");
    }
    const auto type = search_type(resource.string_at("type"));
    if (!type || *type == SearchType::special) {
        return unusable(fmt::format("\"{}\" is no type of search parameter that can be added",
                                    resource.string_at("type")),
                        "SearchParameter.type");
    }
    custom.type = *type;
    if (custom.expression.empty())
        return unusable("a SearchParameter needs an expression to be indexed",
                        "SearchParameter.expression");
    for (const Json& base : resource["base"].items()) {
        const Type* known = definitions->find(base.text());
        if (known == nullptr || !known->is_resource()) {
            return unusable(fmt::format("\"{}\" is no resource type", base.text()),
                            "SearchParameter.base");
        }
        custom.bases.emplace_back(base.text());
    }
    if (custom.bases.empty())
        return unusable("a SearchParameter needs at least one base", "SearchParameter.base");
    for (const Json& target : resource["target"].items())
        custom.targets.emplace_back(target.text());
    for (const Json& component : resource["component"].items()) {
        custom.components.emplace_back(component.string_at("definition"),
                                       component.string_at("expression"));
    }
    if (custom.type == SearchType::composite && custom.components.size() < 2) {
        return unusable("a composite SearchParameter needs at least two components",
                        "SearchParameter.component");
    }
    return custom;
}

Result<Parameters::Change> Parameters::with(const Json& search_parameter,
                                            store::Names& names) const {
    const std::string_view status = search_parameter.string_at("status");
    const std::string_view given_url = search_parameter.string_at("url");
    if (!status.empty() && status != "active" && status != "draft") return without(given_url);
    CustomDefinition custom = TRY(state_->read(search_parameter));

    auto next = std::make_shared<State>(*state_);
    next->store_names = &names;
    Change change;
    change.parameters = std::shared_ptr<const Parameters>(new Parameters(next));
    next->customs[custom.url] = custom;
    for (const Type* type : state_->definitions->resources()) {
        const bool is_base = std::any_of(custom.bases.begin(), custom.bases.end(),
                                         [&](const auto& base) { return applies_to(base, *type); });
        const Parameter* before = find_url(type->name, custom.url);
        if (!is_base && (before == nullptr || !before->custom)) continue;
        const Parameter* same_code = find(type->name, custom.code);
        if (is_base && same_code != nullptr && same_code->url != custom.url) {
            return unusable(fmt::format("{} already has a parameter \"{}\" ({})", type->name,
                                        custom.code, same_code->url),
                            "SearchParameter.code");
        }
        if (before != nullptr && !before->custom) {
            return unusable(
                fmt::format("{} is a parameter of the base specification and cannot be replaced",
                            custom.url),
                "SearchParameter.url");
        }
        next->types[type->name] = TRY(next->build(*type, *change.parameters));
        const Parameter* after = change.parameters->find_url(type->name, custom.url);
        if (after != nullptr) change.changed.push_back(after);
        if (before != nullptr && (after == nullptr || after->name != before->name)) {
            for (const Name name : before->names()) change.removed.push_back(name);
        }
    }
    return change;
}

Parameters::Change Parameters::without(std::string_view url) const {
    Change change;
    auto next = std::make_shared<State>(*state_);
    change.parameters = std::shared_ptr<const Parameters>(new Parameters(next));
    const auto custom = next->customs.find(url);
    if (custom == next->customs.end()) return change;
    next->customs.erase(custom);
    for (const Type* type : state_->definitions->resources()) {
        const Parameter* before = find_url(type->name, url);
        if (before == nullptr) continue;
        for (const Name name : before->names()) change.removed.push_back(name);
        // What compiled before compiles again.
        auto entry = next->build(*type, *change.parameters);
        if (entry) next->types[type->name] = *std::move(entry);
    }
    return change;
}

std::shared_ptr<const Parameters> Parameters::ready(std::string_view url) const {
    auto next = std::make_shared<State>(*state_);
    const auto registry = std::shared_ptr<const Parameters>(new Parameters(next));
    const auto custom = next->customs.find(url);
    if (custom == next->customs.end()) return registry;
    custom->second.ready = true;
    for (const Type* type : state_->definitions->resources()) {
        if (find_url(type->name, url) == nullptr) continue;
        auto entry = next->build(*type, *registry);
        if (entry) next->types[type->name] = *std::move(entry);
    }
    return registry;
}

const Parameter* Parameters::find(std::string_view type, std::string_view code) const {
    const TypeEntry* entry = state_->find(type);
    if (entry == nullptr) return nullptr;
    const auto found = entry->by_code.find(code);
    return found == entry->by_code.end() ? nullptr : found->second;
}

std::span<const Parameter* const> Parameters::list(std::string_view type) const {
    const TypeEntry* entry = state_->find(type);
    return entry == nullptr ? std::span<const Parameter* const>()
                            : std::span<const Parameter* const>(entry->list);
}

const Parameter* Parameters::find_url(std::string_view type, std::string_view url) const {
    for (const Parameter* parameter : list(type)) {
        if (parameter->url == url) return parameter;
    }
    return nullptr;
}

std::string Parameters::known_codes(std::string_view type) const {
    std::string text = "_filter, _has, _list, _type";
    for (const Parameter* parameter : list(type)) {
        text += ", ";
        text += parameter->code;
    }
    return text;
}

Name Parameters::type_name(std::string_view type) const {
    return state_->type_name(type);
}

std::string_view Parameters::type_text(Name name) const {
    const auto found = state_->texts.find(name);
    return found == state_->texts.end() ? std::string_view() : found->second;
}

const Parameter* Parameters::main_code(std::string_view type) const {
    const TypeEntry* entry = state_->find(type);
    return entry == nullptr ? nullptr : entry->program.main_code;
}

const Parameter* Parameters::main_date(std::string_view type) const {
    const TypeEntry* entry = state_->find(type);
    return entry == nullptr ? nullptr : entry->program.main_date;
}

std::span<const Parameter* const> Parameters::patient_paths(std::string_view type) const {
    const TypeEntry* entry = state_->find(type);
    return entry == nullptr ? std::span<const Parameter* const>()
                            : std::span<const Parameter* const>(entry->patient_paths);
}

const Program* Parameters::program(std::string_view type) const {
    const TypeEntry* entry = state_->find(type);
    return entry == nullptr ? nullptr : &entry->program;
}

std::vector<Name> Parameter::names() const {
    std::vector<Name> all;
    for (const Name n : {name, text_name, of_type_name, identifier_name, canonical_name, below_name,
                         present_name, longitude_name}) {
        if (n != 0) all.push_back(n);
    }
    return all;
}

bool Parameter::is_plain_code() const {
    return !element_types.empty() &&
           std::all_of(element_types.begin(), element_types.end(), [](const std::string& element) {
               return element == "code" || element == "id";
           });
}

bool Parameter::may_be_canonical() const {
    return kind == SearchType::reference &&
           (contains(element_types, "canonical") || contains(element_types, "uri"));
}

bool Parameter::is_only_canonical() const {
    return may_be_canonical() && !contains(element_types, "Reference");
}

bool Parameter::can_lead_to(std::string_view target) const {
    return targets.empty() || contains(targets, target) || contains(targets, "Resource");
}

}  // namespace meridian::fhir::search

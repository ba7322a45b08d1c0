// SPDX-License-Identifier: Apache-2.0
#include "fhir/search/program.hpp"

namespace meridian::fhir::search {
namespace {

bool is_of(const Type& type, std::string_view wanted) {
    for (const Type* t = &type; t != nullptr; t = t->base) {
        if (t->name == wanted) return true;
    }
    return false;
}

Emitter token_emitter(const Type& type) {
    const std::string_view name = type.name;
    if (name == "Coding") return Emitter::token_coding;
    if (name == "CodeableConcept") return Emitter::token_concept;
    if (name == "Identifier") return Emitter::token_identifier;
    if (name == "ContactPoint") return Emitter::token_contact;
    if (name == "boolean") return Emitter::token_boolean;
    if (name == "code" || name == "id" || is_of(type, "uri")) return Emitter::token_code;
    if (is_of(type, "string") || name == "integer" || is_of(type, "integer"))
        return Emitter::token_string;
    return Emitter::none;
}

Emitter string_emitter(std::string_view code, const Type& type) {
    const bool is_phonetic = code == "phonetic";
    if (type.name == "HumanName")
        return is_phonetic ? Emitter::string_phonetic_name : Emitter::string_human_name;
    if (type.name == "Address") return Emitter::string_address;
    if (is_of(type, "string") || is_of(type, "uri"))
        return is_phonetic ? Emitter::string_phonetic : Emitter::string_plain;
    return Emitter::none;
}

Emitter date_emitter(const Type& type) {
    if (type.name == "date" || type.name == "dateTime" || type.name == "instant")
        return Emitter::date_plain;
    if (type.name == "Period") return Emitter::date_period;
    if (type.name == "Timing") return Emitter::date_timing;
    return Emitter::none;
}

Emitter quantity_emitter(const Type& type) {
    if (is_of(type, "Quantity")) return Emitter::quantity_plain;
    if (type.name == "Money") return Emitter::quantity_money;
    if (type.name == "Range") return Emitter::quantity_range;
    if (type.name == "SampledData") return Emitter::quantity_sampled;
    return Emitter::none;
}

Emitter reference_emitter(const Type& type) {
    if (type.name == "Reference") return Emitter::reference_plain;
    if (type.name == "canonical") return Emitter::reference_canonical;
    if (is_of(type, "uri")) return Emitter::reference_uri;
    if (is_of(type, "Resource")) return Emitter::reference_resource;
    return Emitter::none;
}

ProgramNode& follow(ProgramNode& node, const RouteStep& step) {
    for (auto& edge : node.edges) {
        if (edge.property == step.property && edge.filter == step.filter) return *edge.node;
    }
    node.edges.push_back({step.property, step.filter, std::make_unique<ProgramNode>()});
    return *node.edges.back().node;
}

void add_target(std::vector<EmitGroup>& groups, Emitter emitter, EmitTarget target) {
    for (auto& group : groups) {
        if (group.emitter != emitter) continue;
        for (const auto& known : group.targets) {
            // The same element reached by two alternatives of one expression gives its rows once.
            if (known.parameter == target.parameter && known.resolve_type == target.resolve_type)
                return;
        }
        group.targets.push_back(std::move(target));
        return;
    }
    groups.push_back({emitter, {std::move(target)}});
}

std::vector<EmitGroup>& groups_at(Program& program, const Route& route) {
    if (route.steps.empty()) return program.of_resource;
    ProgramNode* node = &program.root;
    for (const auto& step : route.steps) node = &follow(*node, step);
    return node->groups;
}

/// A component's value may be any type that its element allows: the type decides how it is indexed.
/// (Published definitions of some components name the wrong parameter, e.g.
/// DocumentReference.relationship.)
Emitter component_emitter(const Component& component, const Type& type) {
    const Emitter wanted = emitter_for(component.kind, {}, type);
    if (wanted != Emitter::none) return wanted;
    for (const SearchType kind : {SearchType::token, SearchType::quantity, SearchType::reference,
                                  SearchType::date, SearchType::number}) {
        const Emitter other = emitter_for(kind, {}, type);
        if (other != Emitter::none) return other;
    }
    return Emitter::none;
}

Result<std::shared_ptr<const CompositePlan>> composite_plan(const Parameter& parameter,
                                                            const Type& base,
                                                            const Type& resource) {
    auto plan = std::make_shared<CompositePlan>();
    for (const auto& component : parameter.components) {
        const auto paths = parse_simple_paths(component.expression);
        if (!paths) {
            return fail(Category::unprocessable,
                        fmt::format("the component expression \"{}\" of {} is no simple path",
                                    component.expression, parameter.code));
        }
        std::vector<CompositePart> parts;
        for (const auto& path : *paths) {
            const bool from_resource = path.root == "%resource";
            for (auto& route : resolve_routes(path, from_resource ? resource : base)) {
                const Emitter emitter = component_emitter(component, *route.type);
                if (emitter != Emitter::none)
                    parts.push_back({emitter, from_resource, std::move(route)});
            }
        }
        plan->components.push_back(std::move(parts));
    }
    return plan;
}

void finish(ProgramNode& node) {
    std::stable_sort(node.edges.begin(), node.edges.end(),
                     [](const auto& a, const auto& b) { return a.property < b.property; });
    std::vector<std::string_view> names;
    for (auto& edge : node.edges) {
        names.push_back(edge.property);
        finish(*edge.node);
    }
    node.table.build(names);
}

/// String elements that hold codes, versions, numbers and the like: no prose.
bool is_prose_name(std::string_view name) {
    static constexpr std::array<std::string_view, 24> others{"linkId",
                                                             "version",
                                                             "lotNumber",
                                                             "serialNumber",
                                                             "unit",
                                                             "number",
                                                             "display",
                                                             "id",
                                                             "prefix",
                                                             "abbreviation",
                                                             "hash",
                                                             "fhirVersion",
                                                             "minimumVersion",
                                                             "code",
                                                             "experimental",
                                                             "expression",
                                                             "sequence",
                                                             "path",
                                                             "distinctIdentifier",
                                                             "udi",
                                                             "deviceIdentifier",
                                                             "carrierHRF",
                                                             "preAuthRef",
                                                             "contactName"};
    return std::find(others.begin(), others.end(), name) == others.end();
}

ProseNode::Leaf prose_leaf(const Type& owner, const Element& element, const Type& type) {
    if (type.name == "Attachment") return ProseNode::Leaf::attachment;
    if (type.name == "markdown") return ProseNode::Leaf::text;
    if (type.name != "string") return ProseNode::Leaf::none;
    const bool is_data_type = owner.kind == TypeKind::complex;
    if (is_data_type && owner.name != "Annotation") return ProseNode::Leaf::none;
    return is_prose_name(element.name) ? ProseNode::Leaf::text : ProseNode::Leaf::none;
}

}  // namespace

Emitter emitter_for(SearchType kind, std::string_view code, const Type& type) {
    switch (kind) {
        case SearchType::token:
            return token_emitter(type);
        case SearchType::string:
            return string_emitter(code, type);
        case SearchType::date:
            return date_emitter(type);
        case SearchType::quantity:
            return quantity_emitter(type);
        case SearchType::reference:
            return reference_emitter(type);
        case SearchType::uri:
            return is_of(type, "uri") ? Emitter::uri_plain : Emitter::none;
        case SearchType::number:
            if (type.name == "decimal" || is_of(type, "integer")) return Emitter::number_plain;
            return type.name == "Range" ? Emitter::number_range : Emitter::none;
        case SearchType::special:
            return code == "near" ? Emitter::location_position : Emitter::none;
        case SearchType::composite:
            return Emitter::composite;
    }
    return Emitter::none;
}

void PropertyTable::build(const std::vector<std::string_view>& names) {
    std::size_t size = 4;
    while (size < names.size() * 4) size *= 2;
    slots_.assign(size, -1);
    names_.assign(names.begin(), names.end());
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (i > 0 && names[i] == names[i - 1]) continue;
        std::size_t slot = hash(names[i]) & (size - 1);
        while (slots_[slot] >= 0) slot = (slot + 1) & (size - 1);
        slots_[slot] = static_cast<std::int16_t>(i);
    }
}

int PropertyTable::find(std::string_view name) const {
    if (slots_.empty()) return -1;
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t slot = hash(name) & mask; slots_[slot] >= 0; slot = (slot + 1) & mask) {
        if (names_[static_cast<std::size_t>(slots_[slot])] == name) return slots_[slot];
    }
    return -1;
}

Prose::Prose(const Definitions& definitions) {
    for (const Type* type : definitions.resources()) {
        build(*type);
        by_name_.emplace(type->name, nodes_.at(type).get());
    }
}

bool Prose::build(const Type& type) {
    if (const auto known = nodes_.find(&type); known != nodes_.end())
        return true;  // may be under construction: keep the edge
    ProseNode& node = *nodes_.emplace(&type, std::make_unique<ProseNode>()).first->second;
    for (const Element* element : type.elements) {
        // The narrative and contained resources are read apart; extensions hold data, not the
        // author's prose.
        const std::string_view name = element->name;
        if (name == "text" && type.is_resource()) continue;
        if (name == "extension" || name == "modifierExtension" || name == "contained" ||
            name == "meta" || name == "id")
            continue;
        for (const ElementType& way : element->types) {
            if (way.type == nullptr || way.type->is_resource()) continue;
            ProseNode::Edge edge{std::string(way.property), prose_leaf(type, *element, *way.type),
                                 nullptr};
            if (edge.leaf == ProseNode::Leaf::none) {
                const bool is_deep = way.type->kind == TypeKind::backbone ||
                                     way.type->name == "Annotation" ||
                                     way.type->name == "RelatedArtifact";
                if (!is_deep || !build(*way.type)) continue;
                edge.node = nodes_.at(way.type).get();
            }
            node.edges.push_back(std::move(edge));
        }
    }
    std::sort(node.edges.begin(), node.edges.end(),
              [](const auto& a, const auto& b) { return a.property < b.property; });
    std::vector<std::string_view> names;
    for (const auto& edge : node.edges) names.push_back(edge.property);
    node.table.build(names);
    return !node.edges.empty();
}

const ProseNode* Prose::find(std::string_view type) const {
    const auto found = by_name_.find(type);
    return found == by_name_.end() ? nullptr : found->second;
}

Compiled compile_routes(std::string_view expression, const Type& type,
                        const Definitions& definitions) {
    Compiled compiled;
    const auto paths = parse_simple_paths(expression);
    if (!paths) return compiled;
    compiled.is_simple = true;
    for (const auto& path : *paths) {
        // A path without a type ("name | alias") starts at the resource as well.
        const bool is_here = path.root.empty() || path.root == "%resource";
        if (!is_here && (definitions.find(path.root) == nullptr || !is_of(type, path.root)))
            continue;
        auto routes = resolve_routes(path, type);
        compiled.routes.insert(compiled.routes.end(), std::make_move_iterator(routes.begin()),
                               std::make_move_iterator(routes.end()));
    }
    return compiled;
}

Result<void> add_to_program(Program& program, const Parameter& parameter, const Type& type,
                            const Parameters& parameters, const Definitions& definitions,
                            int patient_rank) {
    if (parameter.expression.empty()) return {};
    const Compiled compiled = compile_routes(parameter.expression, type, definitions);
    if (!compiled.is_simple) {
        auto expression = path::Expression::compile(parameter.expression);
        if (!expression) {
            return fail(Category::unprocessable,
                        fmt::format("the expression of {}.{} does not compile: {}", parameter.type,
                                    parameter.code, expression.error().message));
        }
        program.fallbacks.push_back({{&parameter, 0, patient_rank, {}}, *std::move(expression)});
        return {};
    }
    for (const auto& route : compiled.routes) {
        EmitTarget target{&parameter, 0, patient_rank, {}};
        const Emitter emitter = emitter_for(parameter.kind, parameter.code, *route.type);
        if (emitter == Emitter::none) continue;
        if (emitter == Emitter::composite)
            target.composite = TRY(composite_plan(parameter, *route.type, type));
        if (!route.resolve_type.empty()) {
            target.resolve_type = parameters.type_name(route.resolve_type);
            if (target.resolve_type == 0) {
                return fail(Category::unprocessable,
                            fmt::format("\"{}\" in the expression of {}.{} is no resource type",
                                        route.resolve_type, parameter.type, parameter.code));
            }
        }
        add_target(groups_at(program, route), emitter, std::move(target));
    }
    return {};
}

void finish_program(Program& program) {
    finish(program.root);
}

}  // namespace meridian::fhir::search

// SPDX-License-Identifier: Apache-2.0
// The functions that FHIR R4 adds: https://hl7.org/fhir/R4/fhirpath.html#functions
#include "fhir/path/compare.hpp"
#include "fhir/path/evaluator.hpp"
#include "fhir/path/html.hpp"

namespace meridian::fhir::path {
namespace {

constexpr std::string_view definition_prefix = "http://hl7.org/fhir/StructureDefinition/";

std::string_view url_of(const Item& extension) {
    return extension.node() != nullptr ? extension.node()->string_at("url") : std::string_view();
}

Result<Collection> extension(const Call& call) {
    auto url = TRY(call.string_argument(0));
    if (!url) return Collection();
    Collection out, all;
    for (const Item& item : call.input) {
        all.clear();
        navigate(item, "extension", all);
        for (Item& found : all) {
            if (url_of(found) == *url) out.push_back(std::move(found));
        }
    }
    return out;
}

Result<Collection> check_modifiers(const Call& call) {
    std::vector<std::string> known;
    for (std::size_t i = 0; i < call.node.arguments.size(); ++i) {
        if (auto url = TRY(call.string_argument(i))) known.push_back(std::move(*url));
    }
    Collection all;
    for (const Item& item : call.input) navigate(item, "modifierExtension", all);
    for (const Item& found : all) {
        if (std::find(known.begin(), known.end(), url_of(found)) == known.end()) {
            return call.wrong(fmt::format("the modifier extension {} is not known", url_of(found)));
        }
    }
    return call.input;
}

/// The contained resource called `id`; of an empty id the container itself.
const Json* find_contained(const Json* container, std::string_view id) {
    if (container == nullptr) return nullptr;
    if (id.empty()) return container;
    for (const Json& contained : (*container)["contained"].items()) {
        if (contained.string_at("id") == id) return &contained;
    }
    return nullptr;
}

/// The entry of a Bundle whose fullUrl is the reference, or ends with it.
const Json* find_in_bundle(const Json* bundle, std::string_view reference) {
    if (bundle == nullptr || bundle->string_at("resourceType") != "Bundle") return nullptr;
    for (const Json& entry : (*bundle)["entry"].items()) {
        const Json* resource = entry.find("resource");
        if (resource == nullptr) continue;
        std::string_view full_url = entry.string_at("fullUrl");
        bool same = full_url == reference ||
                    (full_url.size() > reference.size() && full_url.ends_with(reference) &&
                     full_url[full_url.size() - reference.size() - 1] == '/');
        if (same) return resource;
        std::string_view type = resource->string_at("resourceType"), id = resource->string_at("id");
        if (reference.size() == type.size() + 1 + id.size() && reference.starts_with(type) &&
            reference[type.size()] == '/' && reference.ends_with(id)) {
            return resource;
        }
    }
    return nullptr;
}

/// The type that a reference names: "Patient/1", "http://x/fhir/Patient/1/_history/2"; else
/// Reference.type.
const Type* type_of_reference(const Item& item, std::string_view reference) {
    auto history = reference.find("/_history/");
    if (history != std::string_view::npos) reference = reference.substr(0, history);
    auto last = reference.rfind('/');
    if (last != std::string_view::npos) {
        std::string_view before = reference.substr(0, last);
        auto start = before.rfind('/');
        if (const Type* type = definitions().resource(
                before.substr(start == std::string_view::npos ? 0 : start + 1)))
            return type;
    }
    return item.node() != nullptr && item.node()->is_object()
               ? definitions().resource(item.node()->string_at("type"))
               : nullptr;
}

/// A reference is a Reference, or a text of type uri, url, canonical or string. What cannot be
/// found is left out.
Collection resolve(const Call& call) {
    Collection out;
    const Evaluation& evaluation = call.engine.evaluation();
    for (const Item& item : call.input) {
        std::string_view reference;
        if (auto text = item.string()) {
            reference = *text;
        } else if (item.node() != nullptr) {
            reference = item.node()->string_at("reference");
        }
        const Json* found = nullptr;
        if (reference.starts_with('#')) {
            found = find_contained(evaluation.resource, reference.substr(1));
            if (found == nullptr)
                found = find_contained(call.engine.root_resource(), reference.substr(1));
        } else if (!reference.empty()) {
            found = find_in_bundle(call.engine.root_resource(), reference);
            if (found == nullptr && evaluation.environment != nullptr)
                found = evaluation.environment->resolve(reference);
        }
        if (found != nullptr) {
            out.push_back(Item::resource(*found));
        } else if (evaluation.resolve_to_type) {
            if (const Type* type = type_of_reference(item, reference))
                out.push_back(Item::element(nullptr, nullptr, type));
        }
    }
    return out;
}

std::optional<bool> coding_in(const Json& coding, std::string_view value_set) {
    switch (definitions().in_value_set(value_set, coding.string_at("system"),
                                       coding.string_at("code"))) {
        case Definitions::Membership::yes:
            return true;
        case Definitions::Membership::no:
            return false;
        default:
            return std::nullopt;
    }
}

/// By the value sets of the specification, when the environment does not know better.
std::optional<bool> in_base_value_set(const Item& item, std::string_view value_set) {
    if (auto code = item.string()) {
        switch (definitions().in_value_set(value_set, {}, *code)) {
            case Definitions::Membership::yes:
                return true;
            case Definitions::Membership::no:
                return false;
            default:
                return std::nullopt;
        }
    }
    if (item.node() == nullptr) return std::nullopt;
    const Json* codings = item.node()->find("coding");
    if (codings == nullptr) return coding_in(*item.node(), value_set);
    std::optional<bool> result = false;
    for (const Json& coding : codings->items()) {
        auto one = coding_in(coding, value_set);
        if (one == true) return true;
        if (!one) result = std::nullopt;
    }
    return result;
}

Result<Collection> member_of(const Call& call) {
    const Item* item = TRY(call.input_item());
    auto value_set = TRY(call.string_argument(0));
    if (item == nullptr || !value_set) return Collection();
    std::optional<bool> result;
    if (const Environment* environment = call.engine.evaluation().environment)
        result = environment->member_of(*item, *value_set);
    if (!result) result = in_base_value_set(*item, *value_set);
    return boolean(result);
}

Result<Collection> subsumes(const Call& call) {
    const Item* item = TRY(call.input_item());
    Collection other = TRY(call.argument(0));
    if (item == nullptr || other.empty()) return Collection();
    if (other.size() > 1)
        return call.wrong("the argument must be a single Coding or CodeableConcept");
    bool forth = call.node.function == Function::subsumes;
    const Item& ancestor = forth ? *item : other.front();
    const Item& descendant = forth ? other.front() : *item;
    if (equals(ancestor, descendant) == true) return boolean(true);
    const Environment* environment = call.engine.evaluation().environment;
    return boolean(environment != nullptr ? environment->subsumes(ancestor, descendant)
                                          : std::nullopt);
}

Result<Collection> conforms_to(const Call& call) {
    const Item* item = TRY(call.input_item());
    auto url = TRY(call.string_argument(0));
    if (item == nullptr || !url) return Collection();
    std::string_view name = *url;
    if (name.starts_with(definition_prefix)) {
        name.remove_prefix(definition_prefix.size());
        if (const Type* type = definitions().find(name))
            return boolean(item->type() != nullptr && item->type()->is_a(*type));
    }
    return call.wrong(fmt::format(
        "\"{}\" is no base type of FHIR R4; profiles are checked by validation, not by FHIRPath",
        *url));
}

}  // namespace

Result<Collection> call_fhir(const Call& call) {
    switch (call.node.function) {
        case Function::extension:
            return extension(call);
        case Function::has_value:
            return boolean(call.input.size() == 1 && call.input.front().has_value());
        case Function::get_value:
            if (call.input.size() != 1 || !call.input.front().has_value()) return Collection();
            return single(system_value(call.input.front()));
        case Function::resolve:
            return resolve(call);
        case Function::member_of:
            return member_of(call);
        case Function::conforms_to:
            return conforms_to(call);
        case Function::html_checks: {
            const Item* item = TRY(call.input_item());
            if (item == nullptr) return Collection();
            auto text = item->string();
            return boolean(text && is_allowed_narrative(*text));
        }
        case Function::subsumes:
        case Function::subsumed_by:
            return subsumes(call);
        default:
            return check_modifiers(call);
    }
}

}  // namespace meridian::fhir::path

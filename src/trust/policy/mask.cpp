// SPDX-License-Identifier: Apache-2.0
#include "trust/policy/mask.hpp"

#include "base/json.hpp"
#include "fhir/definitions/definitions.hpp"
#include "trust/policy/policy.hpp"

namespace meridian::trust::policy {

namespace {

std::vector<std::string> steps_of(std::string_view path) {
    std::vector<std::string> steps;
    while (!path.empty()) {
        const std::size_t dot = std::min(path.find('.'), path.size());
        steps.emplace_back(path.substr(0, dot));
        path.remove_prefix(std::min(dot + 1, path.size()));
    }
    return steps;
}

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// The elements that an expression begins to read after each "Type.": for
/// "Patient.name.family | Person.name" and Patient that is {name, family}. What is not a plain name
/// ends a path early, which makes it stand for more.
std::vector<std::vector<std::string>> paths_in(std::string_view expression, std::string_view type) {
    std::vector<std::vector<std::string>> paths;
    const std::string start = fmt::format("{}.", type);
    for (std::size_t at = expression.find(start); at != std::string_view::npos;
         at = expression.find(start, at + 1)) {
        if (at > 0 && is_letter(expression[at - 1])) continue;
        std::vector<std::string> steps;
        std::size_t from = at + start.size();
        while (true) {
            std::size_t to = from;
            while (to < expression.size() && is_letter(expression[to])) ++to;
            // A function such as where(…) narrows, and reads nothing that is named after it here.
            if (to == from || (to < expression.size() && expression[to] == '(')) break;
            steps.emplace_back(expression.substr(from, to - from));
            if (to >= expression.size() || expression[to] != '.') break;
            from = to + 1;
        }
        paths.push_back(std::move(steps));
    }
    return paths;
}

bool overlap(const std::vector<std::string>& a, const std::vector<std::string>& b) {
    const std::size_t shared = std::min(a.size(), b.size());
    return std::equal(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(shared), b.begin());
}

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

/// Whether values of a parameter come out of free text (Mask): by the types at the end of its
/// paths, unless those begin with an element that masks name, as Patient.name.
bool reads_free_text(const fhir::search::Parameter& parameter, std::string_view type) {
    if (parameter.expression.find("attachment.url") != std::string::npos) return true;
    const bool ends_in_text = std::any_of(
        parameter.element_types.begin(), parameter.element_types.end(),
        [](const std::string& name) {
            return is_one_of(name, {"string", "markdown", "Annotation", "Attachment", "Narrative"});
        });
    if (!ends_in_text) return false;
    const fhir::Type* resource = fhir::definitions().resource(type);
    const auto paths = paths_in(parameter.expression, type);
    return paths.empty() ||
           std::any_of(paths.begin(), paths.end(), [&](const std::vector<std::string>& path) {
               const fhir::Element* element =
                   resource == nullptr || path.empty() ? nullptr : resource->element(path.front());
               return element == nullptr || element->is_choice || element->types.empty() ||
                      element->types.front().type->kind != fhir::TypeKind::complex;
           });
}

}  // namespace

Mask::Mask(const std::vector<std::string>& paths, bool free_text) : free_text_(free_text) {
    for (const std::string& path : paths) {
        const std::size_t dot = path.find('.');
        Steps steps = steps_of(std::string_view(path).substr(dot + 1));
        if (path.starts_with("Patient.name")) hides_patient_name_ = true;
        if (path.starts_with("Patient.identifier")) hides_patient_identifier_ = true;
        paths_[path.substr(0, dot)].push_back(std::move(steps));
    }
}

bool Mask::covers(const fhir::search::Parameters& parameters, std::string_view type,
                  std::string_view code) const {
    if (is_empty()) return false;
    // Prose repeats everything, also of resources that this one contains.
    if (code == "_text" || code == "_content") return true;
    if (code.starts_with('_')) return false;
    const bool masks_text = free_text_ && is_about_patients(type);
    const auto found = paths_.find(type);
    if (found == paths_.end() && !masks_text) return false;
    const fhir::search::Parameter* parameter = parameters.find(type, code);
    if (parameter == nullptr) return true;
    for (const fhir::search::Component& part : parameter->components) {
        if (part.parameter == nullptr || covers(parameters, type, part.parameter->code))
            return true;
    }
    if (masks_text && reads_free_text(*parameter, type)) return true;
    for (const fhir::search::Parameter* part : parameter->parts) {
        if (covers(parameters, type, part->code)) return true;
    }
    if (found == paths_.end()) return false;
    const auto read = paths_in(parameter->expression, type);
    // An expression that names its elements in another way cannot be judged.
    if (read.empty()) return true;
    for (const auto& path : read) {
        for (const Steps& masked : found->second) {
            if (overlap(path, masked)) return true;
        }
    }
    return false;
}

/// Removes what is masked from one document. Depth is bounded by the parser
/// (limits::json_depth_max).
class Mask::Walk {
 public:
    Walk(const Mask& mask, JsonDocument& document) : mask_(mask), document_(document) {}

    void resource(Json& node) {
        const std::string_view type = node.string_at("resourceType");
        const bool had_changed = std::exchange(has_changed_, false);
        if (const auto paths = mask_.paths_.find(type); paths != mask_.paths_.end()) {
            for (const Steps& steps : paths->second) remove(node, steps, 0, type);
            if (document_.remove(node, "text")) has_changed_ = true;
        }
        const bool was_of_patient = is_of_patient_;
        if (mask_.free_text_) {
            is_of_patient_ = is_of_patient_ || is_about_patients(type);
            if (is_of_patient_) take_text(node, fhir::definitions().resource(type));
        }
        // A narrative about a patient names them.
        if (mask_.hides_patient_name_) has_changed_ |= document_.remove(node, "text");
        below(node);
        if (has_changed_) {
            // The narrative may tell what was taken away below it.
            document_.remove(node, "text");
            tag(node);
        }
        has_changed_ = has_changed_ || had_changed;
        is_of_patient_ = was_of_patient;
    }

    bool has_changed() const { return has_changed_; }

 private:
    /// Members that an element stands for: "value" is valueString, valueQuantity …; each with its
    /// "_" twin.
    static bool stands_for(std::string_view key, std::string_view step, const fhir::Type* type) {
        if (key.starts_with('_')) key.remove_prefix(1);
        if (key == step) return true;
        if (type == nullptr) return false;
        const auto property = type->find(key);
        return property.element != nullptr && property.element->is_choice &&
               property.element->name == step;
    }

    void remove(Json& node, const Steps& steps, std::size_t at, std::string_view root) {
        const fhir::Type* type = fhir::definitions().resource(root);
        for (std::size_t i = 0; i < at && type != nullptr; ++i) {
            const fhir::Element* element = type->element(steps[i]);
            type = element == nullptr || element->types.empty() ? nullptr
                                                                : element->types.front().type;
        }
        std::vector<std::string> gone;
        for (JsonMember& member : node.mutable_members()) {
            if (!stands_for(member.key, steps[at], type)) continue;
            if (at + 1 == steps.size()) {
                gone.emplace_back(member.key);
            } else if (member.value.is_array()) {
                for (Json& item : member.value.mutable_items()) remove(item, steps, at + 1, root);
            } else {
                remove(member.value, steps, at + 1, root);
            }
        }
        for (const std::string& key : gone) has_changed_ |= document_.remove(node, key);
    }

    // --- free text ---

    /// Takes the free text out of a node of this type, and of what it is made of. Resources that it
    /// contains are walked as such.
    void take_text(Json& node, const fhir::Type* type) {
        if (type == nullptr) return;
        std::vector<std::string> gone;
        std::vector<std::string> needed;
        for (JsonMember& member : node.mutable_members()) {
            const bool is_twin = member.key.starts_with('_');
            const auto property = type->find(member.key.substr(is_twin ? 1 : 0));
            if (property.element == nullptr || property.type == nullptr) continue;
            const fhir::Type* of = property.type->type;
            if (is_text(*type, *property.element, of)) {
                // An extension has a value (ext-1).
                const bool is_needed = of->is_primitive() && !property.element->is_array() &&
                                       (property.element->min > 0 || type->name == "Extension");
                (is_needed && !is_twin ? needed : gone).emplace_back(member.key);
            } else if (is_twin) {
                each(member.value, [this](Json& one) { take_text(one, extended()); });
            } else if (of != nullptr && of->name == "Attachment") {
                each(member.value, [this](Json& one) { empty_attachment(one); });
            } else if (of != nullptr && !of->is_primitive() && !of->is_resource()) {
                each(member.value, [&](Json& one) { take_text(one, of); });
            }
        }
        for (const std::string& key : gone) has_changed_ |= document_.remove(node, key);
        for (const std::string& key : needed) put_absent(node, key);
        say_why_empty(node);
    }

    /// What a primitive's twin has: id and extensions.
    static const fhir::Type* extended() { return fhir::definitions().find("Element"); }

    static bool is_text(const fhir::Type& owner, const fhir::Element& element,
                        const fhir::Type* of) {
        if (of == nullptr) return false;
        if (is_one_of(of->name, {"Narrative", "Annotation", "markdown"})) return true;
        if (of->name != "string") return false;
        // What joins an answer to its question is a key, and no text.
        if (element.name == "linkId" || element.name == "id") return false;
        if (owner.name == "Extension") return element.name == "value";
        return owner.is_resource() || owner.kind == fhir::TypeKind::backbone ||
               owner.name == "Dosage";
    }

    template <class Visit>
    static void each(Json& value, Visit visit) {
        if (!value.is_array()) return visit(value);
        for (Json& item : value.mutable_items()) visit(item);
    }

    void empty_attachment(Json& attachment) {
        for (const char* key :
             {"data", "_data", "url", "_url", "title", "_title", "hash", "_hash", "extension"})
            has_changed_ |= document_.remove(attachment, key);
        say_why_empty(attachment);
    }

    /// An element that R4 demands and that is not there, as its twin says.
    void put_absent(Json& node, const std::string& key) {
        Json twin = document_.object();
        document_.set(twin, "extension", reason());
        document_.remove(node, key);
        document_.set(node, "_" + key, twin);
        has_changed_ = true;
    }

    /// FHIR R4 §2.6.2: an element is never empty.
    void say_why_empty(Json& node) {
        if (node.is_object() && node.size() == 0) document_.set(node, "extension", reason());
    }

    /// https://hl7.org/fhir/R4/extension-data-absent-reason.html
    Json reason() {
        Json extension = document_.object();
        document_.set(
            extension, "url",
            document_.string("http://hl7.org/fhir/StructureDefinition/data-absent-reason"));
        document_.set(extension, "valueCode", document_.string("masked"));
        Json extensions = document_.array();
        document_.append(extensions, extension);
        return extensions;
    }

    void below(Json& node) {
        hide_beside_reference(node);
        for (JsonMember& member : node.mutable_members()) {
            if (member.value.is_array()) {
                for (Json& item : member.value.mutable_items()) value(item);
            } else {
                value(member.value);
            }
        }
    }

    void value(Json& node) {
        if (!node.is_object()) return;
        if (node.find("resourceType") != nullptr) {
            resource(node);
        } else {
            below(node);
        }
    }

    void hide_beside_reference(Json& node) {
        const std::string_view reference = node.string_at("reference");
        const bool is_patient = reference.starts_with("Patient/") ||
                                reference.find("/Patient/") != std::string_view::npos ||
                                node.string_at("type") == "Patient" ||
                                // A contained patient, or one that is named by identifier only.
                                reference.starts_with('#') ||
                                (reference.empty() && node.find("identifier") != nullptr &&
                                 node.find("display") != nullptr);
        if (!is_patient) return;
        for (const char* key : {"display", "_display"}) {
            if (mask_.hides_patient_name_) has_changed_ |= document_.remove(node, key);
        }
        if (mask_.hides_patient_identifier_ && (!reference.empty() || is_patient))
            has_changed_ |= node.find("reference") != nullptr || node.find("type") != nullptr
                                ? document_.remove(node, "identifier")
                                : false;
    }

    void tag(Json& node) {
        Json& meta = node.find("meta") != nullptr ? *node.find_mutable("meta")
                                                  : document_.set(node, "meta", document_.object());
        Json& tags = meta.find("tag") != nullptr ? *meta.find_mutable("tag")
                                                 : document_.set(meta, "tag", document_.array());
        for (const Json& one : tags.items()) {
            if (one.string_at("code") == "SUBSETTED") return;
        }
        // FHIR R4 §3.1.1.7: an incomplete resource is marked.
        Json subsetted = document_.object();
        document_.set(
            subsetted, "system",
            document_.string("http://terminology.hl7.org/CodeSystem/v3-ObservationValue"));
        document_.set(subsetted, "code", document_.string("SUBSETTED"));
        document_.append(tags, subsetted);
    }

    const Mask& mask_;
    JsonDocument& document_;
    bool has_changed_ = false;
    bool is_of_patient_ = false;  ///< also of what a patient's resource contains
};

Result<std::string> Mask::apply(std::string json) const {
    if (is_empty()) return json;
    JsonDocument document = TRY(JsonDocument::parse(json));
    Walk walk(*this, document);
    walk.resource(document.root());
    if (!walk.has_changed()) return json;
    return to_text(document.root());
}

}  // namespace meridian::trust::policy

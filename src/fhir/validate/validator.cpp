// SPDX-License-Identifier: Apache-2.0
#include "fhir/validate/validator.hpp"

#include <climits>

#include "base/hash.hpp"
#include "base/ids.hpp"
#include "base/instant.hpp"
#include "base/limits.hpp"
#include "fhir/definitions/definitions.hpp"
#include "fhir/path/html.hpp"
#include "fhir/validate/content.hpp"
#include "fhir/validate/primitive.hpp"

namespace meridian::fhir {

namespace {

/// Where the walk stands: a chain on the call stack, turned into text only when something is wrong.
struct Place {
    const Place* above;
    std::string_view name;
    std::ptrdiff_t index = -1;

    std::string text() const {
        std::string path = above != nullptr ? above->text() + "." : std::string();
        path += name;
        if (index >= 0) path += fmt::format("[{}]", index);
        return path;
    }
};

std::string_view shortened(std::string_view text) {
    return text.substr(0, 40);
}

class Walk {
 public:
    explicit Walk(std::vector<Issue>& issues) : issues_(issues) {}

    void resource(const Json& node, const Place* above, bool is_contained) {
        const std::string_view name = node.string_at("resourceType");
        const Type* type = definitions().resource(name);
        if (type == nullptr) {
            const Place place{above, "resourceType"};
            report("structure", place,
                   name.empty()
                       ? "a resource needs a resourceType"
                       : fmt::format("\"{}\" is no FHIR R4 resource type", shortened(name)));
            return;
        }
        const Json* outer = std::exchange(container_, is_contained ? container_ : &node);
        const Place place{above, above == nullptr ? type->name : std::string_view()};
        if (is_contained && node.find("contained") != nullptr) {
            report("structure", *above, "a contained resource may not contain others (dom-2)");
        }
        if (above == nullptr) {
            object(node, *type, place);
        } else {
            object(node, *type, *above);
        }
        container_ = outer;
    }

 private:
    void report(const char* code, const Place& place, std::string message,
                Severity severity = Severity::error) {
        if (issues_.size() >= limits::validation_issues_max) return;
        issues_.push_back({severity, code, std::move(message), place.text()});
    }

    void object(const Json& node, const Type& type, const Place& place) {
        if (node.size() == 0) report("structure", place, "an object may not be empty");
        std::array<const Element*, 96> seen;
        std::size_t seen_count = 0;
        for (const JsonMember& member : node.members()) {
            if (member.key == "resourceType" && type.is_resource()) continue;
            const bool is_companion = member.key.starts_with('_');
            const std::string_view property_name = is_companion ? member.key.substr(1) : member.key;
            const Place here{&place, member.key};
            const Type::Property property = type.find(property_name);
            if (property.element == nullptr) {
                report("structure", here,
                       fmt::format("{} has no element \"{}\"", type.name, shortened(member.key)));
                continue;
            }
            if (is_companion) {
                companion(member.value, property, here);
            } else {
                if (property.element->is_choice &&
                    already_seen(std::span(seen.data(), seen_count), property.element)) {
                    report("structure", here,
                           fmt::format("{} may have one type only", property.element->path));
                }
                element(member.value, property, node, here);
            }
            if (seen_count < seen.size()) seen[seen_count++] = property.element;
        }
        for (const Element* wanted : type.elements) {
            if (wanted->min > 0 && !already_seen(std::span(seen.data(), seen_count), wanted)) {
                const Place here{&place, wanted->name};
                report("required", here, fmt::format("{} is required", wanted->path));
            }
        }
        if (type.name == "Reference") reference_shape(node, place);
        if (type.name == "Attachment" || type.name == "Binary") content(node, place);
        if (type.name == "Period") period(node, place);
        if (type.name == "Narrative") narrative(node, place);
    }

    /// per-1, as far as both dates are precise enough to tell.
    void period(const Json& node, const Place& place) {
        const auto start = parse_date(node.string_at("start"));
        const auto end = parse_date(node.string_at("end"));
        if (start && end && end->upper() <= start->lower())
            report("invariant", place, "a period may not end before it starts (per-1)");
    }

    /// txt-1: whoever shows a record shows this as it is.
    void narrative(const Json& node, const Place& place) {
        const Json& div = node["div"];
        const Place here{&place, "div"};
        if (div.is_string() && div.text().starts_with("<div") &&
            !path::is_allowed_markup(div.text()))
            report("invariant", here,
                   "a narrative is well-formed XHTML that formats text only: no scripts, forms, "
                   "events or addresses that run something (txt-1)");
    }

    /// What an Attachment or a Binary holds is what its media type says.
    void content(const Json& node, const Place& place) {
        const std::string_view media_type = node.string_at("contentType");
        std::string data(node.string_at("data")), bytes;
        if (data.empty()) return;
        if (media_type.empty()) {
            const Place type{&place, "contentType"};
            return report("invariant", type, "data needs a media type (att-1)");
        }
        std::erase_if(data, [](unsigned char c) { return std::isspace(c) != 0; });
        if (!base64_decode(data, bytes)) return;  // told by the primitive's own check
        const Place here{&place, "data"};
        if (const char* fault = content_fault(media_type, bytes))
            report("value", here, fmt::format("is no {}: {}", shortened(media_type), fault));
    }

    static bool already_seen(std::span<const Element* const> seen, const Element* element) {
        return std::find(seen.begin(), seen.end(), element) != seen.end();
    }

    void element(const Json& value, const Type::Property& property, const Json& owner,
                 const Place& place) {
        const Element& definition = *property.element;
        if (!definition.is_array()) {
            if (value.is_array()) {
                report("structure", place,
                       fmt::format("{} is a single value, not an array", definition.path));
                return;
            }
            return single(value, property, place);
        }
        if (!value.is_array()) {
            report("structure", place, fmt::format("{} is an array", definition.path));
            return;
        }
        if (value.size() == 0) report("structure", place, "an array may not be empty");
        if (definition.max != UINT_MAX && value.size() > definition.max) {
            report("structure", place,
                   fmt::format("{} may have at most {} items, not {}", definition.path,
                               definition.max, value.size()));
        }
        for (std::size_t i = 0; i < value.size(); ++i) {
            const Place here{place.above, place.name, static_cast<std::ptrdiff_t>(i)};
            if (value.items()[i].is_null() && has_companion(owner, place.name, i)) continue;
            single(value.items()[i], property, here);
        }
    }

    /// FHIR R4 §2.6.2.3: null stands for a repetition that has only an id or extensions.
    static bool has_companion(const Json& owner, std::string_view property, std::size_t index) {
        const Json& companions = owner[std::string("_").append(property)];
        return index < companions.size() && companions.is_array() &&
               companions.items()[index].is_object();
    }

    void single(const Json& value, const Type::Property& property, const Place& place) {
        const Type& type = *property.type->type;
        if (type.is_primitive()) {
            if (const char* fault = primitive_fault(type, value)) {
                report(
                    "value", place,
                    fmt::format("\"{}\" is no {}: {}", shortened(value.text()), type.name, fault));
                return;
            }
            if (property.element->binding == Binding::required && type.name == "code")
                bound_code({}, value.text(), *property.element, place);
            return;
        }
        if (!value.is_object()) {
            report("structure", place, fmt::format("{} is an object", property.element->path));
            return;
        }
        if (type.is_resource())
            return resource(value, &place, property.element->name == "contained");
        object(value, type, place);
        if (property.element->binding == Binding::required)
            bound_concept(value, type, *property.element, place);
        if (type.name == "Reference") reference_target(value, *property.type, place);
    }

    /// `_name`: an object (or an array of objects and nulls) with id and extension only.
    void companion(const Json& value, const Type::Property& property, const Place& place) {
        if (property.type == nullptr || !property.type->type->is_primitive()) {
            report("structure", place, "only primitive elements have a companion with '_'");
            return;
        }
        static const Type* element_type = definitions().find("Element");
        const auto one = [&](const Json& node, const Place& here) {
            if (!node.is_object())
                return report("structure", here, "expected an object with id or extension");
            object(node, *element_type, here);
        };
        if (value.is_array() != property.element->is_array()) {
            return report("structure", place,
                          fmt::format("{} is {}", place.name,
                                      property.element->is_array() ? "an array" : "an object"));
        }
        if (!value.is_array()) return one(value, place);
        for (std::size_t i = 0; i < value.size(); ++i) {
            const Place here{place.above, place.name, static_cast<std::ptrdiff_t>(i)};
            if (!value.items()[i].is_null()) one(value.items()[i], here);
        }
    }

    void bound_code(std::string_view system, std::string_view code, const Element& element,
                    const Place& place) {
        if (definitions().in_value_set(element.value_set, system, code) !=
            Definitions::Membership::no)
            return;
        report("code-invalid", place,
               fmt::format("\"{}\" is not in the required value set {}", shortened(code),
                           element.value_set));
    }

    void bound_concept(const Json& value, const Type& type, const Element& element,
                       const Place& place) {
        if (type.name == "Coding") {
            if (const std::string_view code = value.string_at("code"); !code.empty())
                bound_code(value.string_at("system"), code, element, place);
            return;
        }
        if (type.name != "CodeableConcept") return;
        const auto codings = value["coding"].items();
        if (codings.empty()) return;  // text only: nothing to look up
        for (const Json& coding : codings) {
            if (definitions().in_value_set(element.value_set, coding.string_at("system"),
                                           coding.string_at("code")) != Definitions::Membership::no)
                return;
        }
        report("code-invalid", place,
               fmt::format("no coding is in the required value set {}", element.value_set));
    }

    /// Reference.reference: a relative or absolute URL, or '#' and the id of a contained resource
    /// (FHIR R4 §2.3.0).
    void reference_shape(const Json& node, const Place& place) {
        const std::string_view reference = node.string_at("reference");
        if (!reference.starts_with('#') || reference.size() == 1 || container_ == nullptr) return;
        for (const Json& contained : (*container_)["contained"].items()) {
            if (contained.string_at("id") == reference.substr(1)) return;
        }
        const Place here{&place, "reference"};
        report("not-found", here,
               fmt::format("\"{}\" names no contained resource", shortened(reference)));
    }

    void reference_target(const Json& node, const ElementType& type, const Place& place) {
        const std::string_view reference = node.string_at("reference");
        if (reference.empty() || reference.starts_with('#') ||
            reference.find(':') != std::string_view::npos)
            return;
        const Place here{&place, "reference"};
        const std::size_t slash = reference.find('/');
        const std::string_view target = reference.substr(0, slash);
        std::string_view id =
            slash == std::string_view::npos ? std::string_view() : reference.substr(slash + 1);
        id = id.substr(0, id.find("/_history/"));
        if (definitions().resource(target) == nullptr || !is_fhir_id(id)) {
            report(
                "value", here,
                fmt::format(
                    "\"{}\" is no reference: expected Type/id, an absolute URL, urn:uuid: or #id",
                    shortened(reference)));
            return;
        }
        if (type.targets.empty()) return;
        for (const std::string_view allowed : type.targets) {
            if (allowed == target || allowed == "Resource" || allowed == "Any") return;
        }
        report("value", here,
               fmt::format("a {} may not stand here: expected a reference to {}", target,
                           fmt::join(type.targets, ", ")));
    }

    std::vector<Issue>& issues_;
    const Json* container_ = nullptr;
};

}  // namespace

void validate_structure(const Json& resource, std::vector<Issue>& issues) {
    if (!resource.is_object()) {
        issues.push_back({Severity::fatal, "structure", "a resource is a JSON object", ""});
        return;
    }
    Walk(issues).resource(resource, nullptr, false);
}

bool has_errors(const std::vector<Issue>& issues) {
    return std::any_of(issues.begin(), issues.end(),
                       [](const Issue& issue) { return issue.severity <= Severity::error; });
}

}  // namespace meridian::fhir

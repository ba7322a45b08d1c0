// SPDX-License-Identifier: Apache-2.0
#include "base/limits.hpp"
#include "fhir/definitions/definitions.hpp"
#include "fhir/format/xml.hpp"
#include "fhir/format/xml_text.hpp"

namespace meridian::fhir {

namespace {

class XmlWriter {
 public:
    XmlWriter(std::string& out, bool pretty) : out_(out), is_pretty_(pretty) {}

    void write_resource(const Json& resource, unsigned depth) {
        const std::string_view name = resource.string_at("resourceType");
        const Type* type = definitions().resource(name);
        if (type == nullptr || depth > limits::json_depth_max) return;
        indent(depth);
        out_.append("<").append(name);
        if (depth == 0) out_.append(" xmlns=\"").append(detail::fhir_namespace).append("\"");
        out_ += '>';
        write_children(*type, resource, depth + 1);
        indent(depth);
        out_.append("</").append(name).append(">");
    }

 private:
    /// What stands in JSON for one XML name: the member and its companion "_name".
    struct Content {
        std::size_t order = 0;
        Type::Property property{};
        const Json* value = nullptr;
        const Json* companion = nullptr;
    };

    static bool is_attribute(const Type& type, const Element& element) {
        return (element.name == "id" && !type.is_resource()) ||
               (element.name == "url" && type.name == "Extension");
    }

    /// The members of `object` in the order of the definition.
    static std::vector<Content> contents_of(const Type& type, const Json& object) {
        std::vector<Content> contents;
        contents.reserve(object.size());
        for (const JsonMember& member : object.members()) {
            const bool is_companion = member.key.starts_with('_');
            const Type::Property property =
                type.find(is_companion ? member.key.substr(1) : member.key);
            if (property.element == nullptr || is_attribute(type, *property.element)) continue;
            const auto same = [&](const Content& content) {
                return content.property.type == property.type;
            };
            auto content = std::ranges::find_if(contents, same);
            if (content == contents.end()) {
                const auto order =
                    std::ranges::find(type.elements, property.element) - type.elements.begin();
                content = contents.insert(contents.end(),
                                          Content{static_cast<std::size_t>(order), property});
            }
            (is_companion ? content->companion : content->value) = &member.value;
        }
        std::ranges::sort(contents, {}, [](const Content& content) {
            return std::pair(content.order, content.property.type);
        });
        return contents;
    }

    void write_children(const Type& type, const Json& object, unsigned depth) {
        for (const Content& content : contents_of(type, object)) {
            const Json none{};
            const Json& value = content.value != nullptr ? *content.value : none;
            const Json& companion = content.companion != nullptr ? *content.companion : none;
            if (!value.is_array() && !companion.is_array()) {
                write_element(content.property, value, companion, depth);
                continue;
            }
            const std::size_t count = std::max(value.size(), companion.size());
            for (std::size_t index = 0; index < count; ++index) {
                write_element(
                    content.property,
                    value.is_array() && index < value.size() ? value.items()[index] : none,
                    companion.is_array() && index < companion.size() ? companion.items()[index]
                                                                     : none,
                    depth);
            }
        }
    }

    void write_element(const Type::Property& property, const Json& value, const Json& companion,
                       unsigned depth) {
        const Type& type = *property.type->type;
        const std::string_view name = property.type->property;
        if (value.is_null() && companion.is_null()) return;
        if (type.name == "xhtml") return write_narrative(value.text(), depth);
        indent(depth);
        out_.append("<").append(name);
        if (type.is_resource()) {
            out_ += '>';
            write_resource(value, depth + 1);
            indent(depth);
            out_.append("</").append(name).append(">");
            return;
        }
        const Json& object = type.is_primitive() ? companion : value;
        write_attribute("id", object.find("id"));
        if (type.name == "Extension") write_attribute("url", object.find("url"));
        if (type.is_primitive() && !value.is_null()) write_attribute("value", &value);
        const std::size_t start = out_.size();
        out_ += '>';
        write_children(type, object, depth + 1);
        if (out_.size() == start + 1) {
            out_.resize(start);
            out_ += "/>";
            return;
        }
        indent(depth);
        out_.append("</").append(name).append(">");
    }

    void write_attribute(std::string_view name, const Json* value) {
        if (value == nullptr) return;
        out_.append(" ").append(name).append("=\"");
        detail::append_escaped(
            value->is_boolean() ? (value->boolean() ? "true" : "false") : value->text(), out_);
        out_ += '"';
    }

    void write_narrative(std::string_view div, unsigned depth) {
        indent(depth);
        if (detail::is_narrative(div)) {
            out_ += detail::with_xhtml_namespace(div);
            return;
        }
        out_.append("<div xmlns=\"").append(detail::xhtml_namespace).append("\"><pre>");
        detail::append_escaped(div, out_);
        out_ += "</pre></div>";
    }

    void indent(unsigned depth) {
        if (!is_pretty_) return;
        out_ += '\n';
        out_.append(2 * static_cast<std::size_t>(depth), ' ');
    }

    std::string& out_;
    bool is_pretty_;
};

}  // namespace

void to_xml(const Json& resource, std::string& out, bool pretty) {
    out += R"(<?xml version="1.0" encoding="UTF-8"?>)";
    XmlWriter(out, pretty).write_resource(resource, 0);
    if (pretty) out += '\n';
}

}  // namespace meridian::fhir

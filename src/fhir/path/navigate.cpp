// SPDX-License-Identifier: Apache-2.0
// From an element to its children, by the R4 definitions.
#include "fhir/path/evaluator.hpp"

namespace meridian::fhir::path {
namespace {

void append_value(const Json* node, const Json* companion, const Type* type, Collection& out) {
    if (node != nullptr && node->is_null()) node = nullptr;
    if (companion != nullptr && companion->is_null()) companion = nullptr;
    if (node == nullptr && companion == nullptr) return;
    // What is declared as a Resource says itself which one it is.
    if (type != nullptr && type->is_resource() && node != nullptr) {
        if (const Type* actual = definitions().find(node->string_at("resourceType"))) type = actual;
    }
    out.push_back(Item::element(node, companion, type));
}

/// A property and its "_" twin, each an array or a single value.
void append_property(const Json* value, const Json* companion, const Type* type, Collection& out) {
    bool many =
        (value != nullptr && value->is_array()) || (companion != nullptr && companion->is_array());
    if (!many) {
        append_value(value, companion, type, out);
        return;
    }
    auto values = value != nullptr ? value->items() : std::span<const Json>();
    auto companions = companion != nullptr ? companion->items() : std::span<const Json>();
    std::size_t count = std::max(values.size(), companions.size());
    for (std::size_t i = 0; i < count; ++i) {
        append_value(i < values.size() ? &values[i] : nullptr,
                     i < companions.size() ? &companions[i] : nullptr, type, out);
    }
}

/// Finds "name" and "_name" in one pass.
void append_named(const Json& object, std::string_view name, const Type* type, Collection& out) {
    const Json* value = nullptr;
    const Json* companion = nullptr;
    for (const JsonMember& member : object.members()) {
        if (member.key == name) {
            value = &member.value;
        } else if (member.key.size() == name.size() + 1 && member.key[0] == '_' &&
                   member.key.substr(1) == name) {
            companion = &member.value;
        }
    }
    append_property(value, companion, type, out);
}

/// value[x]: the property that is there tells the type.
void append_choice(const Json& object, const Type& type, const Element& element, Collection& out) {
    for (const JsonMember& member : object.members()) {
        bool is_companion = member.key.starts_with('_');
        std::string_view property = is_companion ? member.key.substr(1) : member.key;
        if (!property.starts_with(element.name)) continue;
        auto found = type.find(property);
        if (found.element != &element) continue;
        if (is_companion && object.find(property) != nullptr) continue;  // comes with its twin
        append_named(object, property, found.type->type, out);
    }
}

void append_all(const Json& object, const Type* type, Collection& out) {
    for (const JsonMember& member : object.members()) {
        bool is_companion = member.key.starts_with('_');
        std::string_view property = is_companion ? member.key.substr(1) : member.key;
        if (property == "resourceType" || property == "fhir_comments") continue;
        if (is_companion && object.find(property) != nullptr) continue;
        auto found = type != nullptr ? type->find(property) : Type::Property{};
        append_named(object, property, found.type != nullptr ? found.type->type : nullptr, out);
    }
}

/// name and namespace of a type(), value and unit of a System.Quantity.
void append_computed_member(const Item& item, std::string_view name, Collection& out) {
    if (const TypeInfo* info = item.type_info()) {
        if (name == "namespace" || name.empty()) out.push_back(Item::string(info->space));
        if (name == "name" || name.empty()) out.push_back(Item::string(info->name));
    } else if (item.kind() == Kind::quantity) {
        auto quantity = *item.quantity();
        if (name == "value") out.push_back(Item::decimal(quantity.value));
        if (name == "unit" || name == "code") out.push_back(Item::string(quantity.unit));
    }
}

}  // namespace

void navigate(const Item& item, std::string_view name, Collection& out) {
    if (!item.is_node()) return append_computed_member(item, name, out);
    const Type* type = item.type();
    const Json* object =
        item.node() != nullptr && item.node()->is_object() ? item.node() : item.companion();
    if (name == "value" && type != nullptr && type->is_primitive()) {
        if (item.has_value()) out.push_back(system_value(item));
        return;
    }
    if (object == nullptr || !object->is_object()) return;
    if (name.empty()) return append_all(*object, type, out);
    if (type == nullptr) return append_named(*object, name, nullptr, out);
    const Element* element = type->element(name);
    if (element == nullptr) return;
    if (element->is_choice) return append_choice(*object, *type, *element, out);
    append_named(*object, name, element->types.empty() ? nullptr : element->types.front().type,
                 out);
}

bool is_of_type(const Item& item, const Node& node) {
    if (!item.is_node()) return node.system != Kind::none && item.kind() == node.system;
    if (node.type == nullptr) return false;
    if (item.type() != nullptr) return item.type()->is_a(*node.type);
    return item.type_name() == node.type->name;
}

Item system_value(const Item& item) {
    if (!item.is_node()) return item;
    switch (item.kind()) {
        case Kind::boolean:
            if (auto value = item.boolean()) return Item::boolean(*value);
            break;
        case Kind::integer:
            if (auto value = item.integer()) return Item::integer(*value);
            break;
        case Kind::decimal:
            if (auto value = item.decimal()) return Item::decimal(*value);
            break;
        case Kind::date:
        case Kind::date_time:
            if (auto value = item.date()) return Item::temporal(item.kind(), *value);
            break;
        case Kind::time:
            if (auto value = item.time()) return Item::temporal(Kind::time, *value);
            break;
        default:
            break;
    }
    return Item::string(item.to_text().value_or(""));
}

}  // namespace meridian::fhir::path

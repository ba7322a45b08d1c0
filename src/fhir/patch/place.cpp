// SPDX-License-Identifier: Apache-2.0
#include "fhir/patch/place.hpp"

#include <algorithm>

#include "base/limits.hpp"
#include "fhir/path/temporal.hpp"

namespace meridian::fhir::patch {
namespace {

std::string twin_of(std::string_view property) {
    return "_" + std::string(property);
}

/// The element's own object: of a resource, the type it says.
const Type* actual_type(const Json& node, const Type* declared) {
    if (declared == nullptr || !declared->is_resource()) return declared;
    const Type* type = definitions().find(node.string_at("resourceType"));
    return type != nullptr ? type : declared;
}

/// Depth-first search for a node by its address. The depth is bounded by limits::json_depth_max.
class Search {
 public:
    explicit Search(const path::Item& item) : node_(item.node()), companion_(item.companion()) {}

    bool in_object(Json& object, const Type* type) {
        for (JsonMember& member : object.mutable_members()) {
            bool is_twin = member.key.starts_with('_');
            std::string_view property = is_twin ? member.key.substr(1) : member.key;
            auto found = type != nullptr ? type->find(property) : Type::Property{};
            const Type* child_type = found.type != nullptr ? found.type->type : nullptr;
            Place here{&object, type, found.element, std::string(property), std::nullopt};
            if (member.value.is_array()) {
                auto items = member.value.mutable_items();
                for (std::size_t i = 0; i < items.size(); ++i) {
                    here.index = i;
                    if (visit(items[i], child_type, here, is_twin)) return true;
                }
            } else if (visit(member.value, child_type, here, is_twin)) {
                return true;
            }
        }
        return false;
    }

    bool is_it(const Json& node) const { return &node == node_ || &node == companion_; }
    const std::optional<Place>& place() const { return place_; }
    Json* object() const { return object_; }

 private:
    bool visit(Json& node, const Type* type, const Place& here, bool is_twin) {
        bool matches = is_twin ? &node == companion_ : &node == node_;
        if (matches) {
            place_ = here;
            // The value of a primitive may be found first; its twin holds the children.
            if (node.is_object()) {
                object_ = &node;
            } else if (companion_ != nullptr && here.parent != nullptr) {
                object_ = twin_object(here);
            }
            return true;
        }
        return node.is_object() && in_object(node, actual_type(node, type));
    }

    static Json* twin_object(const Place& here) {
        Json* twin = here.parent->find_mutable(twin_of(here.property));
        if (twin == nullptr) return nullptr;
        if (!here.index) return twin->is_object() ? twin : nullptr;
        auto items = twin->mutable_items();
        return *here.index < items.size() && items[*here.index].is_object() ? &items[*here.index]
                                                                            : nullptr;
    }

    const Json* node_;
    const Json* companion_;
    std::optional<Place> place_;
    Json* object_ = nullptr;
};

std::unexpected<Error> misfit(std::string message) {
    return fail(Category::unprocessable, std::move(message));
}

/// A written value of type `given` may stand where `wanted` is declared: the same type or a derived
/// one, or a primitive whose text is one of the other too (valueString for a code, valueDate for a
/// dateTime).
bool fits(const Type& given, const Type& wanted, const Json& value) {
    if (given.is_a(wanted)) return true;
    if (!given.is_primitive() || !wanted.is_primitive()) return false;
    path::Kind from = path::system_kind(&given), to = path::system_kind(&wanted);
    if (from == to && from != path::Kind::date_time) return true;
    bool is_date = to == path::Kind::date || to == path::Kind::date_time;
    bool was_text =
        from == path::Kind::date || from == path::Kind::date_time || from == path::Kind::string;
    return is_date && was_text && path::temporal::parse(to, value.text()).has_value();
}

std::string allowed_types(const Element& element) {
    std::string text;
    for (std::size_t i = 0; i < std::min<std::size_t>(element.types.size(), 6); ++i) {
        text += (i == 0 ? "" : ", ") + std::string(element.types[i].type->name);
    }
    return element.types.size() > 6 ? text + " …" : text;
}

/// value[x] of a parameter.
Result<Value> value_of_choice(JsonDocument& document, const Element& element, const Json& part) {
    const Type* parameter = definitions().find("Parameters.parameter");
    for (const JsonMember& member : part.members()) {
        bool is_twin = member.key.starts_with('_');
        std::string_view property = is_twin ? member.key.substr(1) : member.key;
        auto found = parameter->find(property);
        if (found.element == nullptr || found.element->name != "value") continue;
        const Json* json = part.find(property);
        const Json* companion = part.find(twin_of(property));
        const ElementType* chosen = nullptr;
        for (const ElementType& candidate :
             element.types) {  // the same type before a compatible one
            if (candidate.type == found.type->type) chosen = &candidate;
        }
        for (const ElementType& candidate : element.types) {
            if (chosen == nullptr &&
                fits(*found.type->type, *candidate.type, json != nullptr ? *json : Json()))
                chosen = &candidate;
        }
        if (chosen == nullptr) {
            return misfit(fmt::format("{} does not fit {} (expected {})", property, element.path,
                                      allowed_types(element)));
        }
        Value value{json != nullptr ? document.copy(*json) : document.null(), std::nullopt, chosen};
        if (companion != nullptr && chosen->type->is_primitive())
            value.companion = document.copy(*companion);
        return value;
    }
    return misfit(fmt::format("the value for {} is missing (expected value[x], resource or part)",
                              element.path));
}

Result<Value> value_of_resource(JsonDocument& document, const Element& element,
                                const Json& resource) {
    const Type* type = definitions().resource(resource.string_at("resourceType"));
    for (const ElementType& candidate : element.types) {
        if (type != nullptr && type->is_a(*candidate.type))
            return Value{document.copy(resource), std::nullopt, &candidate};
    }
    return misfit(fmt::format("a resource does not fit {} (expected {})", element.path,
                              allowed_types(element)));
}

/// Nested parts: each is a child element of the value.
Result<Value> value_of_parts(JsonDocument& document, const Element& element, const Json& parts,
                             unsigned depth) {
    if (element.types.size() != 1)
        return misfit(
            fmt::format("parts do not say which type {} has; give value[x]", element.path));
    const Type& type = *element.types.front().type;
    if (type.is_primitive())
        return misfit(fmt::format("{} has a single value, no parts", element.path));
    if (depth >= limits::json_depth_max)
        return fail(Category::too_large, "the value is nested too deeply");
    Value value{document.object(), std::nullopt, &element.types.front()};
    for (const Json& part : parts.items()) {
        std::string_view name = part.string_at("name");
        const Element* child = type.element(name);
        if (child == nullptr) child = type.find(name).element;
        if (child == nullptr)
            return misfit(fmt::format("{} has no element \"{}\"", type.name, name));
        Value made = TRY(make_value(document, *child, part, depth + 1));
        Place place{&value.json, &type, child, std::string(made.type->property), std::nullopt};
        if (child->is_array()) {
            place.index = list_size(place);
            TRY(insert_value(document, place, made));
        } else if (has_element(place)) {
            return misfit(fmt::format("{} does not repeat", child->path));
        } else {
            TRY(set_value(document, place, made));
        }
    }
    return value;
}

/// The array under `property`, made when it is not there.
Json& array_of(JsonDocument& document, Json& parent, std::string_view property) {
    Json* array = parent.find_mutable(property);
    if (array != nullptr && array->is_array()) return *array;
    return document.set(parent, property, document.array());
}

void pad(JsonDocument& document, Json& array, std::size_t size) {
    while (array.size() < size) document.append(array, document.null());
}

bool all_null(const Json& array) {
    return std::all_of(array.items().begin(), array.items().end(),
                       [](const Json& item) { return item.is_null(); });
}

/// A list without content is left out (FHIR R4 §2.6.2: arrays are not empty).
void drop_when_empty(JsonDocument& document, const Place& place) {
    std::string twin = twin_of(place.property);
    const Json* companions = place.parent->find(twin);
    if (companions != nullptr && companions->is_array() && all_null(*companions))
        document.remove(*place.parent, twin);
    const Json* values = place.parent->find(place.property);
    bool has_twin = place.parent->find(twin) != nullptr;
    if (values != nullptr && values->is_array() &&
        (values->size() == 0 || (has_twin && all_null(*values)))) {
        document.remove(*place.parent, place.property);
    }
}

}  // namespace

std::optional<Place> find_place(Json& root, const path::Item& item) {
    Search search(item);
    search.in_object(root, definitions().find(root.string_at("resourceType")));
    if (!search.place() || search.place()->element == nullptr) return std::nullopt;
    return search.place();
}

Json* find_object(Json& root, const path::Item& item) {
    Search search(item);
    if (search.is_it(root)) return &root;
    search.in_object(root, definitions().find(root.string_at("resourceType")));
    return search.object();
}

Result<Value> make_value(JsonDocument& document, const Element& element, const Json& part,
                         unsigned depth) {
    if (const Json* resource = part.find("resource"))
        return value_of_resource(document, element, *resource);
    const Json& parts = part["part"];
    if (parts.is_array()) return value_of_parts(document, element, parts, depth);
    return value_of_choice(document, element, part);
}

std::size_t list_size(const Place& place) {
    return std::max((*place.parent)[place.property].size(),
                    (*place.parent)[twin_of(place.property)].size());
}

bool has_element(const Place& place) {
    for (const ElementType& type : place.element->types) {
        if (place.parent->find(type.property) != nullptr ||
            place.parent->find(twin_of(type.property)) != nullptr)
            return true;
    }
    return false;
}

Result<void> set_value(JsonDocument& document, const Place& place, const Value& value) {
    if (place.element->is_array()) {
        Place first = place;
        first.index = 0;
        return insert_value(document, first, value);
    }
    if (!value.json.is_null()) document.set(*place.parent, place.property, value.json);
    if (value.companion) document.set(*place.parent, twin_of(place.property), *value.companion);
    return {};
}

Result<void> insert_value(JsonDocument& document, const Place& place, const Value& value) {
    std::size_t index = *place.index;
    std::string twin = twin_of(place.property);
    bool has_twin = value.companion.has_value() || place.parent->find(twin) != nullptr;
    Json& values = array_of(document, *place.parent, place.property);
    pad(document, values, index);
    document.insert(values, index, value.json);
    if (has_twin) {
        Json& companions = array_of(document, *place.parent, twin);
        pad(document, companions, index);
        document.insert(companions, index, value.companion ? *value.companion : document.null());
        drop_when_empty(document, place);
    }
    return {};
}

Result<void> replace_value(JsonDocument& document, const Place& place, const Value& value) {
    std::size_t index = *place.index;
    std::string twin = twin_of(place.property);
    Json& values = array_of(document, *place.parent, place.property);
    pad(document, values, index + 1);
    values.mutable_items()[index] = value.json;
    if (value.companion || place.parent->find(twin) != nullptr) {
        Json& companions = array_of(document, *place.parent, twin);
        pad(document, companions, index + 1);
        companions.mutable_items()[index] = value.companion ? *value.companion : document.null();
        drop_when_empty(document, place);
    }
    return {};
}

void erase_value(JsonDocument& document, const Place& place) {
    std::string twin = twin_of(place.property);
    if (!place.index) {
        document.remove(*place.parent, place.property);
        document.remove(*place.parent, twin);
        return;
    }
    for (std::string_view name : {std::string_view(place.property), std::string_view(twin)}) {
        Json* array = place.parent->find_mutable(name);
        if (array != nullptr && array->is_array() && *place.index < array->size())
            document.erase(*array, *place.index);
    }
    drop_when_empty(document, place);
}

void move_value(JsonDocument& document, const Place& place, std::size_t source,
                std::size_t destination) {
    std::size_t size = list_size(place);
    std::string twin = twin_of(place.property);
    for (std::string_view name : {std::string_view(place.property), std::string_view(twin)}) {
        Json* array = place.parent->find_mutable(name);
        if (array == nullptr || !array->is_array()) continue;
        pad(document, *array, size);
        auto items = array->mutable_items();
        auto begin = items.begin();
        auto from = begin + static_cast<std::ptrdiff_t>(source),
             to = begin + static_cast<std::ptrdiff_t>(destination);
        if (source < destination) {
            std::rotate(from, from + 1, to + 1);
        } else {
            std::rotate(to, from, from + 1);
        }
    }
}

Json* make_companion(JsonDocument& document, const Place& place) {
    std::string twin = twin_of(place.property);
    if (!place.index) return &document.set(*place.parent, twin, document.object());
    Json& companions = array_of(document, *place.parent, twin);
    pad(document, companions, *place.index + 1);
    Json& companion = companions.mutable_items()[*place.index];
    companion = document.object();
    return &companion;
}

}  // namespace meridian::fhir::patch

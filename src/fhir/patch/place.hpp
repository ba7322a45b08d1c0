// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "base/json.hpp"
#include "base/result.hpp"
#include "fhir/definitions/definitions.hpp"
#include "fhir/path/value.hpp"

/// Elements of a resource as places in its JSON document, with the twin ("_name") that a primitive
/// may have. Private to the patch.
namespace meridian::fhir::patch {

/// Where an element stands: in `parent`, under `property`, in an array when `index` is set.
struct Place {
    Json* parent = nullptr;
    const Type* parent_type = nullptr;
    const Element* element = nullptr;
    std::string property;
    std::optional<std::size_t> index;
};

/// A value to be placed: the JSON, the twin of a primitive (null when it has none), and the type it
/// has in its element.
struct Value {
    Json json;
    std::optional<Json> companion;
    const ElementType* type = nullptr;
};

/// The place of an element of `root`; nothing when it is not in there, or is `root` itself.
std::optional<Place> find_place(Json& root, const path::Item& item);
/// The JSON object that holds an element's children; null for a primitive without a twin.
Json* find_object(Json& root, const path::Item& item);

/// Builds what the `value` part of an operation says, for `element`: value[x], nested parts, or a
/// resource. All memory is `document`'s. Errors (without a place): `unprocessable` when it does not
/// fit the element's type.
Result<Value> make_value(JsonDocument& document, const Element& element, const Json& part,
                         unsigned depth = 0);

std::size_t list_size(const Place& place);
/// True when the element is there under any of its types.
bool has_element(const Place& place);

// --- editing; `place.parent` is a node of `document` and stays valid, what lies below it may move
// ---
Result<void> set_value(JsonDocument& document, const Place& place, const Value& value);
/// Before the element number place.index ≤ size of the list, which is made when it is not there.
Result<void> insert_value(JsonDocument& document, const Place& place, const Value& value);
Result<void> replace_value(JsonDocument& document, const Place& place, const Value& value);
void erase_value(JsonDocument& document, const Place& place);
void move_value(JsonDocument& document, const Place& place, std::size_t source,
                std::size_t destination);
/// The empty twin of a primitive, made.
Json* make_companion(JsonDocument& document, const Place& place);

}  // namespace meridian::fhir::patch

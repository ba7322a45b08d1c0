// SPDX-License-Identifier: Apache-2.0
#include "fhir/patch/fhirpath_patch.hpp"

#include <optional>
#include <string>
#include <string_view>

#include "base/limits.hpp"
#include "fhir/definitions/definitions.hpp"
#include "fhir/patch/place.hpp"
#include "fhir/path/expression.hpp"
#include "fhir/path/syntax.hpp"

namespace meridian::fhir::patch {
namespace {

const Json* part_called(const Json& parameter, std::string_view name) {
    for (const Json& part : parameter["part"].items()) {
        if (part.string_at("name") == name) return &part;
    }
    return nullptr;
}

/// One operation with what its errors need to say.
class Operation {
 public:
    Operation(JsonDocument& target, const Json& parameter, std::size_t index)
        : target_(target),
          parameter_(parameter),
          index_(index),
          verb_(text_of("type")),
          path_(text_of("path")) {}

    Result<void> run() {
        if (path_.empty()) return malformed("the part \"path\" is missing");
        auto expression = path::Expression::compile(path_);
        if (!expression) return malformed(expression.error().message);
        Result<void> result =
            verb_ == "add"       ? add(*expression)
            : verb_ == "insert"  ? insert(*expression)
            : verb_ == "delete"  ? remove(*expression)
            : verb_ == "replace" ? replace(*expression)
            : verb_ == "move"
                ? move(*expression)
                : malformed(fmt::format(
                      "\"{}\" is no type (expected add, insert, delete, replace or move)", verb_));
        if (!result && result.error().where.empty()) return refused(result.error().message);
        return result;
    }

 private:
    std::unexpected<Error> malformed(std::string_view why) const {
        return fail(Category::incorrect,
                    fmt::format("FHIRPath Patch operation {}: {}", index_, why),
                    fmt::format("operation {}", index_));
    }
    std::unexpected<Error> refused(std::string_view why) const {
        return fail(
            Category::unprocessable,
            fmt::format("FHIRPath Patch operation {} ({} {}): {}", index_, verb_, path_, why),
            fmt::format("operation {}", index_));
    }

    /// The text of a part with valueCode, valueString or the like.
    std::string_view text_of(std::string_view name) const {
        const Json* part = part_called(parameter_, name);
        if (part == nullptr) return {};
        for (const JsonMember& member : part->members()) {
            if (member.key.starts_with("value") && member.value.is_string())
                return member.value.text();
        }
        return {};
    }

    Result<std::size_t> index_of(std::string_view name) const {
        const Json* part = part_called(parameter_, name);
        const Json* value = part != nullptr ? part->find("valueInteger") : nullptr;
        auto number = value != nullptr && value->is_number() ? Decimal::parse(value->text())
                                                             : fail(Category::incorrect, "");
        auto index =
            number ? number->to_integer() : Result<std::int64_t>(fail(Category::incorrect, ""));
        if (!index || *index < 0)
            return malformed(
                fmt::format("the part \"{}\" must be a valueInteger of 0 or more", name));
        return static_cast<std::size_t>(*index);
    }

    Result<const Json*> value() const {
        const Json* part = part_called(parameter_, "value");
        if (part == nullptr) return malformed("the part \"value\" is missing");
        return part;
    }

    Result<path::Collection> evaluate(const path::Node& node) const {
        path::Evaluation evaluation;
        evaluation.resource = &target_.root();
        auto result = path::evaluate(node, evaluation);
        if (!result && result.error().category == Category::incorrect) {
            return malformed(result.error().message);
        }
        return result;
    }

    /// The one element that the path leads to; nothing when there is none.
    Result<std::optional<path::Item>> single(const path::Expression& expression) const {
        auto found = TRY(evaluate(expression.tree().root));
        if (found.size() > 1)
            return refused(fmt::format("the path leads to {} elements, not one", found.size()));
        if (found.empty()) return std::nullopt;
        if (!found.front().is_node())
            return refused("the path leads to a computed value, not to an element");
        return found.front();
    }

    Result<Place> place_of(const path::Expression& expression) const {
        auto item = TRY(single(expression));
        if (!item) return refused("the path leads to no element");
        return located(*item);
    }

    Result<Place> located(const path::Item& item) const {
        auto place = find_place(target_.root(), item);
        if (!place) return refused("the path does not lead into the resource");
        return *place;
    }

    /// The list that insert and move work on: the elements of the path; or, when there are none
    /// yet, the element that the path's last step names.
    Result<Place> list_of(const path::Expression& expression) const {
        auto found = TRY(evaluate(expression.tree().root));
        if (!found.empty()) {
            Place first = TRY(located(found.front()));
            for (const path::Item& item : found) {
                Place other = TRY(located(item));
                if (other.parent != first.parent || other.property != first.property) {
                    return refused("the path leads to elements of several lists");
                }
            }
            if (!first.index) return refused("the path leads to an element that does not repeat");
            return first;
        }
        const path::Node& root = expression.tree().root;
        if (root.kind != path::NodeKind::member || root.target == nullptr)
            return refused("the path leads to no element");
        auto owners = TRY(evaluate(*root.target));
        if (owners.size() != 1 || !owners.front().is_node())
            return refused("the path leads to no single list");
        Json* owner = find_object(target_.root(), owners.front());
        const Type* type = owners.front().type();
        const Element* element = type != nullptr ? type->element(root.text) : nullptr;
        if (owner == nullptr || element == nullptr) return refused("the path leads to no element");
        if (!element->is_array())
            return refused("the path leads to an element that does not repeat");
        return Place{owner, type, element, std::string(element->name), 0};
    }

    /// §3.1.0.7.1 add: the content becomes the element `name` of the one that the path leads to.
    Result<void> add(const path::Expression& expression) {
        std::string_view name = text_of("name");
        if (name.empty()) return malformed("the part \"name\" is missing");
        auto item = TRY(single(expression));
        if (!item) return refused("the path leads to no element");
        const Type* type = item->type();
        const Element* element = type != nullptr ? type->element(name) : nullptr;
        if (type != nullptr && element == nullptr) element = type->find(name).element;
        if (element == nullptr)
            return refused(fmt::format("{} has no element \"{}\"", item->type_name(), name));
        Value made = TRY(make_value(target_, *element, *TRY(value())));
        Json* object = TRY(object_of(*item));
        Place place{object, type, element, std::string(made.type->property), std::nullopt};
        if (element->is_array()) {
            place.index = list_size(place);
            return insert_value(target_, place, made);
        }
        if (has_element(place))
            return refused(
                fmt::format("{}.{} is there already; replace it", item->type_name(), name));
        return set_value(target_, place, made);
    }

    /// The JSON object that holds an element's children: of a primitive its "_" twin, which is made
    /// when it has none.
    Result<Json*> object_of(const path::Item& item) {
        if (Json* object = find_object(target_.root(), item)) return object;
        Place place = TRY(located(item));
        return make_companion(target_, place);
    }

    Result<void> insert(const path::Expression& expression) {
        std::size_t index = TRY(index_of("index"));
        Place place = TRY(list_of(expression));
        if (index > list_size(place)) {
            return refused(fmt::format("the index {} is beyond the list's {} elements", index,
                                       list_size(place)));
        }
        Value made = TRY(make_value(target_, *place.element, *TRY(value())));
        place.index = index;
        return insert_value(target_, place, made);
    }

    Result<void> remove(const path::Expression& expression) {
        auto item = TRY(single(expression));
        if (!item) return {};  // nothing there is as good as deleted
        erase_value(target_, TRY(located(*item)));
        return {};
    }

    Result<void> replace(const path::Expression& expression) {
        Place place = TRY(place_of(expression));
        Value made = TRY(make_value(target_, *place.element, *TRY(value())));
        if (place.index) return replace_value(target_, place, made);
        if (made.type->property == place.property && !made.json.is_null()) {
            target_.remove(*place.parent, "_" + place.property);
            return set_value(target_, place, made);
        }
        erase_value(target_, place);  // a choice changes its name with its type
        place.property = made.type->property;
        return set_value(target_, place, made);
    }

    Result<void> move(const path::Expression& expression) {
        std::size_t source = TRY(index_of("source"));
        std::size_t destination = TRY(index_of("destination"));
        Place place = TRY(list_of(expression));
        std::size_t size = list_size(place);
        if (source >= size || destination >= size)
            return refused(fmt::format("the list has only {} elements", size));
        move_value(target_, place, source, destination);
        return {};
    }

    JsonDocument& target_;
    const Json& parameter_;
    std::size_t index_;
    std::string_view verb_;
    std::string_view path_;
};

}  // namespace

Result<void> apply_fhirpath_patch(JsonDocument& target, const Json& patch) {
    if (patch.string_at("resourceType") != "Parameters")
        return fail(Category::incorrect, "a FHIRPath Patch is a Parameters resource");
    const Json& parameters = patch["parameter"];
    if (!parameters.is_array() && !parameters.is_null())
        return fail(Category::incorrect, "the operations are a list", "Parameters.parameter");
    if (parameters.size() > limits::patch_operations_max) {
        return fail(Category::too_large, fmt::format("a patch may have at most {} operations",
                                                     limits::patch_operations_max));
    }
    std::size_t index = 0;
    for (const Json& parameter : parameters.items()) {
        if (parameter.string_at("name") != "operation") {
            return fail(
                Category::incorrect,
                fmt::format("FHIRPath Patch: parameter {} is not called \"operation\"", index),
                fmt::format("operation {}", index));
        }
        TRY(Operation(target, parameter, index++).run());
        if (target.memory_bytes() > limits::json_bytes_max)
            return fail(Category::too_large, "the patched resource is too large");
    }
    return {};
}

}  // namespace meridian::fhir::patch

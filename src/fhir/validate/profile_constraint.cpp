// SPDX-License-Identifier: Apache-2.0
#include "fhir/validate/profile_constraint.hpp"

#include <mutex>
#include <shared_mutex>
#include <unordered_map>

#include "base/limits.hpp"
#include "fhir/validate/profile.hpp"

namespace meridian::fhir {

namespace {

using Compiled = std::shared_ptr<const Result<path::Expression>>;

Compiled compiled(std::string_view text) {
    static std::shared_mutex mutex;
    static std::unordered_map<std::string, Compiled> known;
    std::string key(text);
    {
        const std::shared_lock lock(mutex);
        if (const auto found = known.find(key); found != known.end()) return found->second;
    }
    auto made = std::make_shared<const Result<path::Expression>>(path::Expression::compile(text));
    const std::unique_lock lock(mutex);
    if (known.size() >= limits::terminology_entries_max) known.clear();
    return known.emplace(std::move(key), std::move(made)).first->second;
}

}  // namespace

void check_constraint(const Constraint& constraint, const path::Item& item,
                      const ConstraintScope& scope, const std::string& place,
                      std::vector<Issue>& issues) {
    // A bundle without narratives makes a warning for each entry: they must not crowd out the
    // errors.
    const std::size_t room =
        constraint.is_error ? limits::validation_issues_max : limits::validation_issues_max / 2;
    if (issues.size() >= room) return;
    const Compiled expression = compiled(constraint.expression);
    const auto cannot = [&](const Error& error) {
        issues.push_back(
            {Severity::information, "not-supported",
             fmt::format("{} could not be evaluated: {}", constraint.key, error.message), place});
    };
    if (!*expression) return cannot(expression->error());
    path::Evaluation evaluation;
    evaluation.resource = scope.resource;
    evaluation.root_resource = scope.root_resource;
    evaluation.environment = scope.environment;
    evaluation.focus.push_back(item);
    const auto holds = (*expression)->truth(evaluation);
    if (!holds) return cannot(holds.error());
    if (holds->value_or(true)) return;
    issues.push_back({constraint.is_error ? Severity::error : Severity::warning, "invariant",
                      fmt::format("{}: {}", constraint.key, constraint.human), place});
}

namespace {

/// One pass over a resource, from element to element with its type.
class InvariantWalk {
 public:
    explicit InvariantWalk(std::vector<Issue>& issues) : issues_(issues) {}

    void resource(const Json& node, const std::string& place, bool is_contained) {
        const Type* type = definitions().resource(node.string_at("resourceType"));
        if (type == nullptr) return;
        const ConstraintScope outer = scope_;
        scope_.resource = &node;
        if (!is_contained) scope_.root_resource = &node;
        check(type->invariants, {}, path::Item::resource(node), place,
              node.find("contained") != nullptr);
        members(node, *type, place);
        scope_ = outer;
    }

 private:
    /// ele-1 (an element has a value or children) is what the structural check finds too. dom-2 to
    /// dom-5 speak of contained resources.
    static bool is_idle(std::string_view key, bool has_contained) {
        return key == "ele-1" || (!has_contained && (key == "dom-2" || key == "dom-3" ||
                                                     key == "dom-4" || key == "dom-5"));
    }

    void check(std::span<const Invariant> invariants, std::span<const Invariant> already,
               const path::Item& item, const std::string& place, bool has_contained) {
        for (const Invariant& invariant : invariants) {
            if (is_idle(invariant.key, has_contained)) continue;
            if (std::any_of(already.begin(), already.end(),
                            [&](const Invariant& other) { return other.key == invariant.key; }))
                continue;
            check_constraint(
                {invariant.key, invariant.human, invariant.expression, invariant.is_error}, item,
                scope_, place, issues_);
        }
    }

    void members(const Json& node, const Type& type, const std::string& place) {
        for (const JsonMember& member : node.members()) {
            if (member.key == "resourceType" || member.key.starts_with('_')) continue;
            const Type::Property property = type.find(member.key);
            if (property.type == nullptr) continue;
            const std::string here = fmt::format("{}.{}", place, member.key);
            const Json* companion = node.find("_" + std::string(member.key));
            if (!member.value.is_array()) {
                element(member.value, companion, property, here);
                continue;
            }
            for (std::size_t i = 0; i < member.value.size(); ++i) {
                const Json* own = companion != nullptr && i < companion->items().size()
                                      ? &companion->items()[i]
                                      : nullptr;
                element(member.value.items()[i], own, property, fmt::format("{}[{}]", here, i));
            }
        }
    }

    void element(const Json& node, const Json* companion, const Type::Property& property,
                 const std::string& place) {
        if (node.is_null()) return;
        const Type& type = *property.type->type;
        if (type.is_resource()) {
            if (node.is_object()) resource(node, place, property.element->name == "contained");
            return;
        }
        if (type.is_primitive() ? !node.is_object() && !node.is_array() : node.is_object()) {
            const path::Item item = path::Item::element(&node, companion, &type);
            check(type.invariants, {}, item, place, false);
            check(property.element->invariants, type.invariants, item, place, false);
            if (node.is_object()) members(node, type, place);
        }
    }

    std::vector<Issue>& issues_;
    ConstraintScope scope_;
};

}  // namespace

void validate_invariants(const Json& resource, std::vector<Issue>& issues) {
    InvariantWalk(issues).resource(resource, std::string(resource.string_at("resourceType")),
                                   false);
}

}  // namespace meridian::fhir

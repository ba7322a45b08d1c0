// SPDX-License-Identifier: Apache-2.0
#include "fhir/validate/profile.hpp"

#include <algorithm>
#include <mutex>
#include <unordered_map>

#include "base/limits.hpp"
#include "fhir/definitions/definitions.hpp"
#include "fhir/terminology/terminology.hpp"
#include "fhir/validate/profile_constraint.hpp"
#include "fhir/validate/profile_definition.hpp"
#include "fhir/validate/validator.hpp"

namespace meridian::fhir {

namespace {

using terminology::Contained;
using terminology::Terminology;

constexpr std::string_view base_prefix = "http://hl7.org/fhir/StructureDefinition/";

/// The base type that a canonical of the specification names; null for a profile.
const Type* base_type(std::string_view canonical) {
    canonical = canonical.substr(0, canonical.find('|'));
    return canonical.starts_with(base_prefix)
               ? definitions().find(canonical.substr(base_prefix.size()))
               : nullptr;
}

/// pattern[x]: everything the pattern says stands in the value too
/// (https://hl7.org/fhir/R4/elementdefinition-definitions.html).
bool has_pattern(const Json& value, const Json& pattern) {
    if (pattern.is_object()) {
        return value.is_object() &&
               std::ranges::all_of(pattern.members(), [&](const JsonMember& member) {
                   const Json* found = value.find(member.key);
                   return found != nullptr && has_pattern(*found, member.value);
               });
    }
    if (pattern.is_array()) {
        return std::ranges::all_of(pattern.items(), [&](const Json& wanted) {
            return std::ranges::any_of(value.items(),
                                       [&](const Json& item) { return has_pattern(item, wanted); });
        });
    }
    return equal(value, pattern);
}

/// One value in the resource under test.
struct Value {
    const Json* node = nullptr;
    const Json* companion = nullptr;
    const Type* type = nullptr;
    std::string place{};
};

/// What FHIRPath constraints may ask: value sets.
class BindingEnvironment final : public path::Environment {
 public:
    explicit BindingEnvironment(const Terminology* terminology) : terminology_(terminology) {}
    std::optional<bool> member_of(const path::Item& item,
                                  std::string_view value_set) const override {
        if (terminology_ == nullptr) return std::nullopt;
        if (const auto code = item.string())
            return truth(terminology_->contains(value_set, {}, *code));
        if (item.node() == nullptr) return std::nullopt;
        const Json* codings = item.node()->find("coding");
        if (codings == nullptr)
            return truth(terminology_->contains(value_set, item.node()->string_at("system"),
                                                item.node()->string_at("code")));
        std::optional<bool> result = false;
        for (const Json& coding : codings->items()) {
            const auto one = truth(terminology_->contains(value_set, coding.string_at("system"),
                                                          coding.string_at("code")));
            if (one == true) return true;
            if (!one) result = std::nullopt;
        }
        return result;
    }

 private:
    static std::optional<bool> truth(Contained contained) {
        if (contained == Contained::unknown) return std::nullopt;
        return contained == Contained::yes;
    }
    const Terminology* terminology_;
};

}  // namespace

struct ProfileValidator::State {
    std::shared_ptr<const Terminology> terminology;
    struct Entry {
        std::int64_t generation;
        std::shared_ptr<const Profile> profile;
    };
    std::mutex mutex;
    std::unordered_map<std::string, Entry> profiles;

    Result<std::shared_ptr<const Profile>> find(std::string_view canonical) {
        if (terminology == nullptr)
            return fail(Category::not_found, fmt::format("there is no profile {} here", canonical));
        const std::string key(canonical);
        const std::int64_t generation = terminology->generation("StructureDefinition");
        {
            const std::lock_guard lock(mutex);
            if (const auto found = profiles.find(key);
                found != profiles.end() && found->second.generation == generation)
                return found->second.profile;
        }
        auto profile =
            TRY(Profile::load(TRY(terminology->resource("StructureDefinition", canonical))));
        const std::lock_guard lock(mutex);
        if (profiles.size() >= limits::profiles_kept_max) profiles.clear();
        profiles[key] = {generation, profile};
        return profile;
    }
};

namespace {

using Find = std::function<Result<std::shared_ptr<const Profile>>(std::string_view)>;

/// Checks one resource against one profile; and, for types with profiles of their own (extensions),
/// its parts against those.
class ProfileWalk {
 public:
    ProfileWalk(const Terminology* terminology, Find find, const Json& resource,
                std::vector<Issue>& issues)
        : terminology_(terminology),
          find_(std::move(find)),
          environment_(terminology),
          resource_(resource),
          issues_(&issues) {}

    void profile(const Profile& profile, const Value& value) {
        if (depth_ >= limits::profile_depth_max) return;
        ++depth_;
        const Profile* outer = std::exchange(profile_, &profile);
        element(profile.root, value, true);
        profile_ = outer;
        --depth_;
    }

 private:
    void report(Severity severity, const char* code, const std::string& place,
                std::string message) {
        if (issues_->size() < limits::validation_issues_max)
            issues_->push_back({severity, code, std::move(message), place});
    }
    void error(const char* code, const std::string& place, std::string message) {
        report(Severity::error, code, place, std::move(message));
    }

    /// Runs `check` with findings thrown away; true when there was no error.
    template <class Check>
    bool quietly(Check check) {
        std::vector<Issue> scratch;
        std::vector<Issue>* outer = std::exchange(issues_, &scratch);
        check();
        issues_ = outer;
        return !has_errors(scratch);
    }

    // --- one element ---

    void element(const ProfileElement& wanted, const Value& value, bool is_root) {
        if (value.node != nullptr) {
            if (const Json* fixed = wanted.prefixed("fixed");
                fixed != nullptr && !equal(*value.node, *fixed)) {
                error("value", value.place,
                      fmt::format("must be exactly {} (fixed by {})",
                                  to_text(*fixed).substr(0, 200), profile_->url));
            }
            if (const Json* pattern = wanted.prefixed("pattern");
                pattern != nullptr && !has_pattern(*value.node, *pattern)) {
                error("value", value.place,
                      fmt::format("must contain {} (pattern of {})",
                                  to_text(*pattern).substr(0, 200), profile_->url));
            }
        }
        if (!is_root) types(wanted, value);
        binding(wanted, value);
        constraints(wanted, value);
        const ProfileElement* parts = &wanted;
        if (const std::string_view reference = wanted.definition->string_at("contentReference");
            !reference.empty() && wanted.children.empty()) {
            if (const ProfileElement* other =
                    profile_->find(reference.substr(reference.find('#') + 1)))
                parts = other;
        }
        if (value.node != nullptr && value.node->is_object() && value.type != nullptr) {
            for (const auto& child : parts->children) child_element(*child, value);
        }
    }

    void types(const ProfileElement& wanted, const Value& value) {
        const Json& types = (*wanted.definition)["type"];
        if (types.size() == 0 || value.type == nullptr) return;
        const Json* type = nullptr;
        for (const Json& one : types.items()) {
            const Type* allowed = definitions().find(one.string_at("code"));
            if (allowed != nullptr && value.type->is_a(*allowed)) type = &one;
        }
        if (type == nullptr) {
            // Types such as http://hl7.org/fhirpath/System.String, and backbone elements, are the
            // structural check's business.
            const bool is_named = std::ranges::any_of(types.items(), [](const Json& one) {
                return definitions().find(one.string_at("code")) != nullptr;
            });
            if (wanted.is_choice && is_named)
                error("structure", value.place,
                      fmt::format("a {} may not stand here (types of {})", value.type->name,
                                  profile_->url));
            return;
        }
        if (const Json& profiles = (*type)["profile"]; profiles.size() > 0)
            any_profile(profiles, value);
        if (const Json& targets = (*type)["targetProfile"]; targets.size() > 0)
            target(targets, value);
    }

    /// The value conforms to at least one of the profiles.
    void any_profile(const Json& profiles, const Value& value) {
        std::vector<std::shared_ptr<const Profile>> known;
        for (const Json& canonical : profiles.items()) {
            if (base_type(canonical.text()) != nullptr) return;
            const auto found = find_(canonical.text());
            if (!found)
                return report(Severity::warning, "not-found", value.place,
                              fmt::format("the profile {} is not here, so it was not checked",
                                          canonical.text()));
            known.push_back(*found);
        }
        if (known.size() == 1) return profile(*known.front(), value);
        for (const auto& one : known) {
            if (quietly([&] { profile(*one, value); })) return;
        }
        error("structure", value.place, "conforms to none of the profiles that may stand here");
    }

    /// Type/id must name a type that one of the target profiles is about.
    void target(const Json& targets, const Value& value) {
        if (value.node == nullptr) return;
        const std::string_view reference = value.node->string_at("reference");
        const std::string_view type = reference.substr(0, reference.find('/'));
        if (definitions().resource(type) == nullptr) return;
        std::vector<std::string> allowed;
        for (const Json& canonical : targets.items()) {
            if (const Type* base = base_type(canonical.text())) {
                if (!base->is_resource() || base->is_abstract) return;
                allowed.emplace_back(base->name);
            } else if (const auto found = find_(canonical.text())) {
                allowed.push_back((*found)->type);
            } else {
                return;
            }
        }
        if (std::ranges::find(allowed, type) == allowed.end())
            error("value", value.place,
                  fmt::format("a {} may not stand here: expected a reference to {} ({})", type,
                              fmt::join(allowed, ", "), profile_->url));
    }

    // --- bindings ---

    void binding(const ProfileElement& wanted, const Value& value) {
        const Json& bound = (*wanted.definition)["binding"];
        const std::string_view strength = bound.string_at("strength"),
                               value_set = bound.string_at("valueSet");
        const bool is_required = strength == "required";
        if ((!is_required && strength != "extensible") || value_set.empty() ||
            value.node == nullptr || terminology_ == nullptr)
            return;
        std::vector<std::pair<std::string_view, std::string_view>> codes;
        if (value.node->is_string()) {
            codes.emplace_back(std::string_view(), value.node->text());
        } else if (const Json* codings = value.node->find("coding")) {
            for (const Json& coding : codings->items())
                codes.emplace_back(coding.string_at("system"), coding.string_at("code"));
        } else if (value.node->find("code") != nullptr) {
            codes.emplace_back(value.node->string_at("system"), value.node->string_at("code"));
        }
        Contained result = Contained::no;
        for (const auto& [system, code] : codes) {
            const Contained one = terminology_->contains(value_set, system, code);
            if (one == Contained::yes) return;
            if (one == Contained::unknown) result = one;
        }
        if (codes.empty()) {
            if (is_required)
                error("code-invalid", value.place,
                      fmt::format("needs a code of the required value set {}", value_set));
            return;
        }
        const std::string name =
            codes.front().first.empty()
                ? std::string(codes.front().second)
                : fmt::format("{}|{}", codes.front().first, codes.front().second);
        if (result == Contained::unknown) {
            report(Severity::warning, "code-invalid", value.place,
                   fmt::format("it could not be checked whether {} is in {}", name, value_set));
        } else {
            report(is_required ? Severity::error : Severity::warning, "code-invalid", value.place,
                   fmt::format("{} is not in the {} value set {}", name, strength, value_set));
        }
    }

    // --- constraints ---

    /// What the base definitions demand was checked already.
    static bool is_of_base(const Json& constraint, const Value& value) {
        if (base_type(constraint.string_at("source")) != nullptr) return true;
        const std::string_view key = constraint.string_at("key");
        return key == "ele-1" || key == "ext-1" ||
               (value.type != nullptr &&
                std::ranges::any_of(value.type->invariants, [&](const Invariant& invariant) {
                    return invariant.key == key;
                }));
    }

    void constraints(const ProfileElement& wanted, const Value& value) {
        for (const Json& constraint : (*wanted.definition)["constraint"].items()) {
            const std::string_view expression = constraint.string_at("expression");
            if (expression.empty() || is_of_base(constraint, value)) continue;
            const path::Item item =
                value.node == &resource_
                    ? path::Item::resource(resource_)
                    : path::Item::element(value.node, value.companion, value.type);
            check_constraint({constraint.string_at("key"), constraint.string_at("human"),
                              expression, constraint.string_at("severity") != "warning"},
                             item, {&resource_, &resource_, &environment_}, value.place, *issues_);
        }
    }

    // --- children and slices ---

    static void add_values(const Json& node, std::string_view key, const Json* found,
                           const Type* type, const std::string& place, std::vector<Value>& values) {
        const Json* companion = node.find("_" + std::string(key));
        const std::string here = fmt::format("{}.{}", place, key);
        // A single value beside a list of companions is faulty: the structural check says so.
        const Json* list = found != nullptr ? (found->is_array() ? found : nullptr)
                           : companion != nullptr && companion->is_array() ? companion
                                                                           : nullptr;
        if (list == nullptr) {
            values.push_back({found, companion, type, here});
            return;
        }
        for (std::size_t i = 0; i < list->size(); ++i) {
            const Json* one = found != nullptr ? &found->items()[i] : nullptr;
            const Json* own = companion != nullptr && i < companion->items().size()
                                  ? &companion->items()[i]
                                  : nullptr;
            values.push_back({one != nullptr && one->is_null() ? nullptr : one, own, type,
                              fmt::format("{}[{}]", here, i)});
        }
    }

    std::vector<Value> values_of(const std::string& name, const Value& above) const {
        std::vector<Value> values;
        const auto take = [&](std::string_view key, const Type* type) {
            const Json* found = above.node->find(key);
            if (found == nullptr && above.node->find("_" + std::string(key)) == nullptr) return;
            if (type != nullptr && type->is_resource() && found != nullptr && found->is_object()) {
                if (const Type* actual = definitions().resource(found->string_at("resourceType")))
                    type = actual;
            }
            add_values(*above.node, key, found, type, above.place, values);
        };
        const Element* element = above.type->element(name);
        if (element == nullptr) {
            // A snapshot may name one type of a choice: Observation.valueQuantity.
            const Type::Property property = above.type->find(name);
            if (property.type != nullptr) take(name, property.type->type);
            return values;
        }
        for (const ElementType& type : element->types) take(type.property, type.type);
        for (Value& value : values) {
            if (value.type != nullptr && value.type->is_resource() && value.node != nullptr) {
                if (const Type* actual =
                        definitions().resource(value.node->string_at("resourceType")))
                    value.type = actual;
            }
        }
        return values;
    }

    void count(const ProfileElement& wanted, std::size_t found, const std::string& place) {
        const std::string name =
            wanted.slice.empty() ? wanted.name : fmt::format("{}:{}", wanted.name, wanted.slice);
        if (found < wanted.min)
            error("required", place,
                  fmt::format("{} needs at least {} of {}, found {} ({})", place, wanted.min, name,
                              found, profile_->url));
        if (found > wanted.max)
            error("structure", place,
                  fmt::format("{} may have at most {} of {}, found {} ({})", place, wanted.max,
                              name, found, profile_->url));
    }

    void child_element(const ProfileElement& wanted, const Value& above) {
        const std::vector<Value> values = values_of(wanted.name, above);
        count(wanted, values.size(), above.place);
        for (const Value& value : values) element(wanted, value, false);
        if (wanted.slices.empty()) return;
        const Json& slicing = (*wanted.definition)["slicing"];
        std::vector<std::size_t> found(wanted.slices.size(), 0);
        for (const Value& value : values) {
            bool is_in_slice = false;
            for (std::size_t i = 0; i < wanted.slices.size(); ++i) {
                if (!is_slice(*wanted.slices[i], slicing, value)) continue;
                ++found[i];
                is_in_slice = true;
                element(*wanted.slices[i], value, false);
                // A slice of a slice ("a/b") is looked at beside the slice that it refines.
                if (wanted.slices[i]->slice.find('/') == std::string::npos) continue;
            }
            if (!is_in_slice && slicing.string_at("rules") == "closed")
                error("structure", value.place,
                      fmt::format("fits none of the slices of {}, and others may not stand here",
                                  profile_->url));
        }
        for (std::size_t i = 0; i < found.size(); ++i)
            count(*wanted.slices[i], found[i], above.place);
    }

    bool is_slice(const ProfileElement& slice, const Json& slicing, const Value& value) {
        const Json& discriminators = slicing["discriminator"];
        if (discriminators.size() == 0) {
            // Slices of a choice need no discriminator: they are told apart by type. Others without
            // one cannot be.
            return slice.is_choice && fits_type(slice, value);
        }
        return std::ranges::all_of(discriminators.items(), [&](const Json& discriminator) {
            return discriminates(slice, discriminator, value);
        });
    }

    static bool fits_type(const ProfileElement& slice, const Value& value) {
        return std::ranges::any_of((*slice.definition)["type"].items(), [&](const Json& one) {
            const Type* allowed = definitions().find(one.string_at("code"));
            return allowed != nullptr && value.type != nullptr && value.type->is_a(*allowed);
        });
    }

    /// The url of an extension slice: fixed in the slice, or the profile that the slice is typed
    /// by.
    static std::string_view extension_url(const ProfileElement& slice) {
        if (const ProfileElement* url = slice.child("url")) {
            if (const Json* fixed = url->prefixed("fixed")) return fixed->text();
        }
        for (const Json& type : (*slice.definition)["type"].items()) {
            for (const Json& profile : type["profile"].items())
                return profile.text().substr(0, profile.text().find('|'));
        }
        return {};
    }

    /// Walks a discriminator's path down the slice and the value at once. A path step is a name or
    /// extension('url').
    bool discriminates(const ProfileElement& slice, const Json& discriminator, const Value& value) {
        std::string_view path = discriminator.string_at("path");
        const std::string_view kind = discriminator.string_at("type");
        if (path == "url" && value.type != nullptr && value.type->name == "Extension")
            return value.node != nullptr && value.node->string_at("url") == extension_url(slice);
        if (path.starts_with("$this")) path.remove_prefix(path == "$this" ? 5 : 6);
        const ProfileElement* wanted = &slice;
        std::vector<Value> values{value};
        while (!path.empty()) {
            std::string_view step = path.substr(
                0, path.starts_with("extension('") ? path.find(')') + 1 : path.find('.'));
            path.remove_prefix(std::min(step.size() + 1, path.size()));
            if (step == "resolve()" || step.starts_with("ofType(")) continue;
            std::vector<Value> next;
            const bool is_extension = step.starts_with("extension('");
            for (const Value& one : values) {
                if (one.node == nullptr || !one.node->is_object() || one.type == nullptr) continue;
                for (Value& inner :
                     values_of(is_extension ? "extension" : std::string(step), one)) {
                    if (!is_extension ||
                        (inner.node != nullptr &&
                         step.find(fmt::format("'{}'", inner.node->string_at("url"))) !=
                             std::string_view::npos))
                        next.push_back(std::move(inner));
                }
            }
            values = std::move(next);
            const ProfileElement* below =
                wanted == nullptr ? nullptr : wanted->child(is_extension ? "extension" : step);
            if (below == nullptr && wanted != nullptr) {
                // Nothing more is said below: a fixed or pattern value of the element above
                // decides.
                return std::ranges::any_of(values, [](const Value&) { return true; }) &&
                       fits_value(*wanted, value);
            }
            wanted = below;
        }
        if (kind == "exists") return wanted->max == 0 ? values.empty() : !values.empty();
        return std::ranges::any_of(values, [&](const Value& one) {
            if (kind == "type") return fits_type(*wanted, one);
            if (kind == "profile") return quietly([&] { types(*wanted, one); });
            return fits_value(*wanted, one);
        });
    }

    /// The value satisfies what the slice fixes here or deeper. A slice that fixes nothing selects
    /// nothing.
    bool fits_value(const ProfileElement& wanted, const Value& value) {
        bool is_fixed = false;
        return satisfies(wanted, value, is_fixed) && is_fixed;
    }

    bool satisfies(const ProfileElement& wanted, const Value& value, bool& is_fixed) {
        if (const Json* fixed = wanted.prefixed("fixed")) {
            is_fixed = true;
            if (value.node == nullptr || !equal(*value.node, *fixed)) return false;
        }
        if (const Json* pattern = wanted.prefixed("pattern")) {
            is_fixed = true;
            if (value.node == nullptr || !has_pattern(*value.node, *pattern)) return false;
        }
        if (const Json& bound = (*wanted.definition)["binding"];
            bound.string_at("strength") == "required" && wanted.children.empty() && !is_fixed) {
            is_fixed = true;
            if (!quietly([&] { binding(wanted, value); })) return false;
        }
        if (value.node == nullptr || !value.node->is_object() || value.type == nullptr) return true;
        for (const auto& child : wanted.children) {
            bool child_fixed = false;
            const std::vector<Value> values = values_of(child->name, value);
            bool any = values.empty() && child->min == 0;
            for (const Value& one : values) any = satisfies(*child, one, child_fixed) || any;
            if (values.empty())
                child_fixed =
                    child->prefixed("fixed") != nullptr || child->prefixed("pattern") != nullptr;
            if (child_fixed && !any) return false;
            is_fixed = is_fixed || child_fixed;
        }
        return true;
    }

    const Terminology* terminology_;
    Find find_;
    BindingEnvironment environment_;
    const Json& resource_;
    std::vector<Issue>* issues_;
    const Profile* profile_ = nullptr;
    unsigned depth_ = 0;
};

}  // namespace

ProfileValidator::ProfileValidator(std::shared_ptr<const Terminology> terminology)
    : state_(std::make_unique<State>()) {
    state_->terminology = std::move(terminology);
}
ProfileValidator::~ProfileValidator() = default;

void ProfileValidator::validate(const Json& resource, std::span<const std::string> profiles,
                                std::vector<Issue>& issues) const {
    validate_structure(resource, issues);
    const Type* type = definitions().resource(resource.string_at("resourceType"));
    if (type == nullptr) return;
    validate_invariants(resource, issues);
    const auto find = [&](std::string_view canonical) { return state_->find(canonical); };
    const auto check = [&](std::string_view canonical, bool is_asked) {
        if (const Type* base = base_type(canonical)) {
            if (!type->is_a(*base))
                issues.push_back({Severity::error, "structure",
                                  fmt::format("a {} is no {}", type->name, base->name),
                                  std::string(type->name)});
            return;
        }
        const auto profile = find(canonical);
        if (!profile) {
            const bool is_unknown = profile.error().category == Category::not_found;
            const std::string message =
                is_unknown
                    ? fmt::format("the profile {} is not here, so it was not checked", canonical)
                    : profile.error().message;
            issues.push_back({is_asked ? Severity::error : Severity::warning,
                              is_unknown ? "not-found" : "not-supported", message,
                              fmt::format("{}.meta.profile", type->name)});
            return;
        }
        if ((*profile)->type != type->name) {
            issues.push_back({Severity::error, "structure",
                              fmt::format("the profile {} is about {}, not {}", canonical,
                                          (*profile)->type, type->name),
                              std::string(type->name)});
            return;
        }
        ProfileWalk(state_->terminology.get(), find, resource, issues)
            .profile(**profile, {&resource, nullptr, type, std::string(type->name)});
    };
    for (const std::string& canonical : profiles) check(canonical, true);
    for (const Json& canonical : resource["meta"]["profile"].items()) {
        if (std::ranges::find(profiles, canonical.text()) == profiles.end())
            check(canonical.text(), false);
    }
}

}  // namespace meridian::fhir

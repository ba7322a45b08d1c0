// SPDX-License-Identifier: Apache-2.0
#include "fhir/search/contained.hpp"

#include <map>

#include "base/limits.hpp"
#include "fhir/search/criteria.hpp"
#include "fhir/search/run.hpp"

namespace meridian::fhir::search {

using store::Condition;
using store::Conditions;
using store::Name;
using store::NameKind;

namespace {

constexpr std::string_view contained_prefix = "contained[";
constexpr std::string_view local_suffix = "#local";

std::string name_in_place(std::size_t slot, std::string_view name) {
    return fmt::format("{}{}].{}", contained_prefix, slot, name);
}

}  // namespace

ContainedResources::ContainedResources(const Parameters& parameters, const Json& container)
    : container_(container) {
    std::map<Name, std::size_t> counts;
    for (const Json& resource : container["contained"].items()) {
        if (members_.size() == limits::contained_indexed_max) return;
        const std::string_view type = resource.string_at("resourceType");
        const Name name = parameters.type_name(type);
        if (name == 0) continue;
        const ContainedPlace place{name, counts[name]++};
        members_.push_back({&resource, type, place});
        if (const std::string_view id = resource.string_at("id"); !id.empty())
            by_id_.emplace(id, place);
    }
}

std::optional<ContainedPlace> ContainedResources::find(std::string_view fragment) const {
    if (!fragment.starts_with('#')) return std::nullopt;
    const auto found = by_id_.find(fragment.substr(1));
    if (found == by_id_.end()) return std::nullopt;
    return found->second;
}

const Json* contained_at(const Parameters& parameters, const Json& container, std::string_view type,
                         std::size_t slot) {
    const Name name = parameters.type_name(type);
    const ContainedResources contained(parameters, container);
    for (const auto& member : contained.members()) {
        if (member.place.type == name && member.place.slot == slot) return member.resource;
    }
    return nullptr;
}

void add_contained_rows(store::Rows&& inner, const ContainedResources::Member& member,
                        std::string_view container_type, const Parameters& parameters,
                        store::Names& names, store::Rows& rows) {
    std::unordered_map<Name, Name> known;
    const auto move = [&](auto& from, auto& to) {
        for (auto& row : from) {
            Name& name = known[row.param];
            if (name == 0) {
                name = names.intern(
                    NameKind::parameter,
                    name_in_place(member.place.slot, names.text(NameKind::parameter, row.param)));
            }
            row.param = name;
            to.push_back(std::move(row));
        }
    };
    move(inner.tokens, rows.tokens);
    move(inner.strings, rows.strings);
    move(inner.dates, rows.dates);
    move(inner.numbers, rows.numbers);
    move(inner.quantities, rows.quantities);
    move(inner.references, rows.references);
    move(inner.uris, rows.uris);
    move(inner.composites, rows.composites);
    // Prose counts for the container's _content; compartments and charts are the container's own.
    const auto own = [&](std::string_view name) {
        return names.intern(NameKind::parameter, name_in_place(member.place.slot, name));
    };
    rows.tokens.push_back({own(member.type), parameters.type_name(container_type)});
    if (const std::string_view id = member.resource->string_at("id"); !id.empty()) {
        rows.tokens.push_back(
            {own(fmt::format("{}._id", member.type)), store::token_value(names, 0, {}, id)});
    }
}

Name contained_presence(const store::Names& names, std::string_view type, std::size_t slot) {
    return names.find(NameKind::parameter, name_in_place(slot, type));
}

std::size_t contained_slots(const store::Names& names, std::string_view type) {
    std::size_t slots = 0;
    while (slots < limits::contained_indexed_max && contained_presence(names, type, slots) != 0)
        ++slots;
    return slots;
}

std::vector<Name> names_in_places(store::Names& names, std::string_view type,
                                  std::span<const Name> params) {
    std::vector<Name> found;
    const std::size_t slots = contained_slots(names, type);
    for (std::size_t slot = 0; slot < slots; ++slot) {
        for (const Name param : params) {
            const std::string text = names.text(NameKind::parameter, param);
            found.push_back(names.intern(NameKind::parameter, name_in_place(slot, text)));
        }
    }
    return found;
}

Name local_twin(const store::Names& names, Name param) {
    return names.find(NameKind::parameter,
                      names.text(NameKind::parameter, param).append(local_suffix));
}

namespace {

/// Asks a condition of a contained resource instead of a whole one.
class InPlace {
 public:
    InPlace(const Parameters& parameters, const store::Names& names, std::string_view type,
            std::size_t slot)
        : parameters_(parameters), names_(names), type_(type), slot_(slot) {}

    Condition of(const Condition& condition) { return std::visit(*this, condition.as_variant()); }
    bool met_text() const { return met_text_; }

    Condition operator()(const store::AllOf& c) {
        Conditions parts;
        for (const auto& part : c.parts) {
            parts.push_back(of(part));
            if (is_nothing(parts.back())) return store::Nothing{};
        }
        return all_of(std::move(parts));
    }
    Condition operator()(const store::AnyOf& c) {
        Conditions parts;
        for (const auto& part : c.parts) {
            parts.push_back(of(part));
            if (is_nothing(parts.back())) parts.pop_back();
        }
        return any_of(std::move(parts));
    }
    Condition operator()(const store::NoneOf& c) {
        Conditions parts;
        for (const auto& part : c.parts) parts.push_back(of(part));
        return store::NoneOf{std::move(parts)};
    }
    Condition operator()(const store::HasId& c) {
        if (c.type != parameters_.type_name(type_)) return store::Nothing{};
        const Name name =
            names_.find(NameKind::parameter, name_in_place(slot_, fmt::format("{}._id", type_)));
        if (name == 0) return store::Nothing{};
        store::HasToken any{name, {}};
        for (const auto& id : c.ids) any.values.push_back(store::token_value(names_, 0, {}, id));
        return any;
    }
    Condition operator()(const store::HasText&) {
        met_text_ = true;
        return store::Nothing{};
    }
    Condition operator()(const store::RefersTo& c) {
        const Name name = here(c.param);
        if (name == 0) return store::Nothing{};
        return store::RefersTo{name, c.target_type, std::make_unique<Condition>(clone(*c.target))};
    }
    /// Only its container and its siblings can refer to a contained resource.
    Condition operator()(const store::ReferredBy& c) {
        const Name local = local_twin(names_, c.param);
        if (local == 0) return store::Nothing{};
        const std::int64_t place = ContainedPlace{parameters_.type_name(type_), slot_}.value();
        Conditions any;
        Conditions both;
        both.push_back(store::HasToken{local, {place}});
        both.push_back(clone(*c.source));
        any.push_back(all_of(std::move(both)));
        const std::string_view source = parameters_.type_text(c.source_type);
        for (std::size_t i = 0; i < contained_slots(names_, source); ++i) {
            InPlace sibling(parameters_, names_, source, i);
            const Name from = sibling.here(local);
            if (from == 0) continue;
            Conditions pair;
            pair.push_back(store::HasToken{from, {place}});
            pair.push_back(sibling.of(*c.source));
            met_text_ = met_text_ || sibling.met_text_;
            if (!is_nothing(pair.back())) any.push_back(all_of(std::move(pair)));
        }
        return any_of(std::move(any));
    }
    /// A contained resource is where its container is, and was written when it was.
    Condition operator()(const store::InCompartment& c) {
        return store::InCompartment{c.patient, 0};
    }
    Condition operator()(const store::ChangedWithin& c) { return store::ChangedWithin(c); }
    Condition operator()(const store::Everything&) { return store::Everything{}; }
    Condition operator()(const store::Nothing&) { return store::Nothing{}; }
    Condition operator()(const store::OfPatient&) { return store::Nothing{}; }
    template <class Rows>
    Condition operator()(const Rows& c) {
        const Name name = here(c.param);
        if (name == 0) return store::Nothing{};
        Rows asked(c);
        asked.param = name;
        return asked;
    }

 private:
    static bool is_nothing(const Condition& condition) {
        return std::holds_alternative<store::Nothing>(condition.as_variant());
    }
    /// The parameter's name at this place; what is about another place already stays so.
    Name here(Name param) const {
        const std::string text = names_.text(NameKind::parameter, param);
        if (text.starts_with(contained_prefix)) return param;
        return names_.find(NameKind::parameter, name_in_place(slot_, text));
    }

    const Parameters& parameters_;
    const store::Names& names_;
    std::string_view type_;
    std::size_t slot_;
    bool met_text_ = false;
};

std::size_t size_of(const Condition& condition) {
    const auto sum = [](const Conditions& parts) {
        std::size_t size = 1;
        for (const auto& part : parts) size += size_of(part);
        return size;
    };
    if (const auto* all = std::get_if<store::AllOf>(&condition.as_variant()))
        return sum(all->parts);
    if (const auto* any = std::get_if<store::AnyOf>(&condition.as_variant()))
        return sum(any->parts);
    if (const auto* none = std::get_if<store::NoneOf>(&condition.as_variant()))
        return sum(none->parts);
    return 1;
}

}  // namespace

Result<Condition> in_place(const Parameters& parameters, const store::Names& names,
                           const Condition& condition, std::string_view type, std::size_t slot) {
    InPlace place(parameters, names, type, slot);
    Condition moved = place.of(condition);
    if (place.met_text()) {
        return fail(Category::unsupported,
                    "_text and _content do not look into single contained resources: the _content "
                    "of a container holds their words");
    }
    return moved;
}

Result<Conditions> refers_to_contained(const Parameters& parameters, const store::Names& names,
                                       Name reference, std::string_view target,
                                       const Condition& condition) {
    Conditions any;
    const Name local = local_twin(names, reference);
    if (local == 0) return any;
    std::size_t size = 0;
    const std::size_t slots = contained_slots(names, target);
    for (std::size_t slot = 0; slot < slots; ++slot) {
        InPlace place_of(parameters, names, target, slot);
        Condition inner = place_of.of(condition);
        if (place_of.met_text()) return Conditions{};
        if (std::holds_alternative<store::Nothing>(inner.as_variant())) continue;
        size += 2 + size_of(inner);
        constexpr std::size_t conditions_max = 8 * limits::search_values_max;
        if (size > conditions_max) {
            return fail(Category::too_large,
                        "the chain leads into too many contained resources: name fewer hops");
        }
        Conditions both;
        const ContainedPlace place{parameters.type_name(target), slot};
        both.push_back(store::HasToken{local, {place.value()}});
        both.push_back(std::move(inner));
        any.push_back(all_of(std::move(both)));
    }
    return any;
}

}  // namespace meridian::fhir::search

// SPDX-License-Identifier: Apache-2.0
#include "fhir/terminology/concept_map.hpp"

#include <algorithm>

namespace meridian::fhir::terminology {

namespace {

std::string scope_of(const Json& resource, std::string_view side) {
    std::string_view scope = resource.string_at(std::string(side) + "Canonical");
    if (scope.empty()) scope = resource.string_at(std::string(side) + "Uri");
    return std::string(scope.substr(0, scope.find('|')));
}

/// The equivalence as the target sees the source
/// (https://hl7.org/fhir/R4/valueset-concept-map-equivalence.html).
std::string_view turned(std::string_view equivalence) {
    if (equivalence == "wider") return "narrower";
    if (equivalence == "narrower") return "wider";
    if (equivalence == "subsumes") return "specializes";
    if (equivalence == "specializes") return "subsumes";
    return equivalence;
}

}  // namespace

Result<std::shared_ptr<const ConceptMap>> ConceptMap::load(const Json& resource) {
    if (resource.string_at("resourceType") != "ConceptMap")
        return fail(Category::incorrect, "expected a ConceptMap");
    std::unique_ptr<ConceptMap> made(new ConceptMap);
    made->url_ = resource.string_at("url");
    made->version_ = resource.string_at("version");
    made->source_scope_ = scope_of(resource, "source");
    made->target_scope_ = scope_of(resource, "target");
    made->document_.set_root(made->document_.copy(resource));
    const ConceptMap& map = *made;
    for (const Json& group : map.document_.root()["group"].items()) made->add_group(group);
    made->backward_ = made->forward_;
    std::erase_if(made->backward_,
                  [](const Row& row) { return row.target == nullptr || row.to.empty(); });
    std::ranges::stable_sort(made->forward_, {}, &Row::from);
    std::ranges::stable_sort(made->backward_, {}, &Row::to);
    return std::shared_ptr<const ConceptMap>(std::move(made));
}

void ConceptMap::add_group(const Json& group) {
    const auto number = static_cast<std::uint32_t>(groups_.size());
    groups_.push_back({group.string_at("source"), group.string_at("sourceVersion"),
                       group.string_at("target"), group.string_at("targetVersion"),
                       group.find("unmapped")});
    for (const Json& element : group["element"].items()) {
        const std::string_view code = element.string_at("code");
        if (element["target"].size() == 0)
            forward_.push_back({number, &element, nullptr, code, {}});
        for (const Json& target : element["target"].items())
            forward_.push_back({number, &element, &target, code, target.string_at("code")});
    }
}

std::vector<ConceptMap::Match> ConceptMap::translate(std::string_view system, std::string_view code,
                                                     std::string_view target_system,
                                                     bool reverse) const {
    std::vector<Match> found;
    const auto add = [&](const Row& row) {
        const Group& group = groups_[row.group];
        const std::string_view here = reverse ? group.target : group.source,
                               there = reverse ? group.source : group.target;
        if (!system.empty() && system != here) return;
        if (!target_system.empty() && target_system != there) return;
        if (row.target == nullptr) return;
        const std::string_view equivalence = row.target->string_at("equivalence");
        if (reverse) {
            found.push_back({turned(equivalence), group.source, group.source_version, row.from,
                             row.element->string_at("display"), row.target->string_at("comment"),
                             row.target});
        } else {
            found.push_back({equivalence, group.target, group.target_version, row.to,
                             row.target->string_at("display"), row.target->string_at("comment"),
                             row.target});
        }
    };
    if (reverse) {
        for (const Row& row : std::ranges::equal_range(backward_, code, {}, &Row::to)) add(row);
        return found;
    }
    for (const Row& row : std::ranges::equal_range(forward_, code, {}, &Row::from)) add(row);
    add_unmapped(system, code, target_system, found);
    return found;
}

/// group.unmapped: what becomes of codes that no element of the group names. `other-map` is
/// followed by the caller's next question.
void ConceptMap::add_unmapped(std::string_view system, std::string_view code,
                              std::string_view target_system, std::vector<Match>& found) const {
    for (std::uint32_t i = 0; i < groups_.size(); ++i) {
        const Group& group = groups_[i];
        if (group.unmapped == nullptr || (!system.empty() && system != group.source) ||
            (!target_system.empty() && target_system != group.target))
            continue;
        const auto rows = std::ranges::equal_range(forward_, code, {}, &Row::from);
        if (std::ranges::any_of(rows, [&](const Row& row) { return row.group == i; })) continue;
        const std::string_view mode = group.unmapped->string_at("mode");
        if (mode == "provided")
            found.push_back({"equal", group.target, group.target_version, code, {}, {}, nullptr});
        if (mode == "fixed")
            found.push_back({"wider",
                             group.target,
                             group.target_version,
                             group.unmapped->string_at("code"),
                             group.unmapped->string_at("display"),
                             {},
                             nullptr});
    }
}

}  // namespace meridian::fhir::terminology

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "fhir/search/extract.hpp"
#include "fhir/search/parameters.hpp"
#include "store/plan.hpp"

/// Contained resources in the index (docs/adr/0013-contained.md).
///
/// A contained resource stands at a place: its type and the how-manieth of that type it is in its
/// container. Its rows lie under the container's row id, each parameter under a name of its own per
/// place ("contained[0].Patient.family"), so that plain searches never meet them and conditions on
/// one contained resource are conditions on one place. A reference "#p1" is a token that names the
/// place, under the parameter's twin "#local".
namespace meridian::fhir::search {

/// Where a contained resource stands.
struct ContainedPlace {
    store::Name type = 0;
    std::size_t slot = 0;  ///< counted from 0 among the contained resources of that type
    std::int64_t value() const { return (std::int64_t{type} << 20U) | static_cast<int>(slot); }
};

/// The contained resources of one container that searches can find: the first
/// limits::contained_indexed_max.
class ContainedResources {
 public:
    struct Member {
        const Json* resource;
        std::string_view type;
        ContainedPlace place;
    };
    ContainedResources(const Parameters& parameters, const Json& container);
    const std::vector<Member>& members() const { return members_; }
    /// The place that "#id" names; nothing for an unknown one.
    std::optional<ContainedPlace> find(std::string_view fragment) const;
    const Json& container() const { return container_; }

 private:
    const Json& container_;
    std::vector<Member> members_;
    std::unordered_map<std::string_view, ContainedPlace> by_id_;
};

/// The contained resource of `container` at a place; null when there is none.
const Json* contained_at(const Parameters& parameters, const Json& container, std::string_view type,
                         std::size_t slot);

/// Adds the rows of a contained resource, extracted by themselves, to those of its container.
void add_contained_rows(store::Rows&& inner, const ContainedResources::Member& member,
                        std::string_view container_type, const Parameters& parameters,
                        store::Names& names, store::Rows& rows);

/// Number of places that any stored container has of a contained `type`.
std::size_t contained_slots(const store::Names& names, std::string_view type);
/// The row that each contained resource of `type` at `slot` has, valued with its container's type;
/// 0 when there is none.
store::Name contained_presence(const store::Names& names, std::string_view type, std::size_t slot);
/// The names that rows of `params` of `type` have at all known places, made when they are new: for
/// the reindex of a parameter that was added.
std::vector<store::Name> names_in_places(store::Names& names, std::string_view type,
                                         std::span<const store::Name> params);
/// The twin of a reference parameter for references to contained resources; 0 when there are none.
store::Name local_twin(const store::Names& names, store::Name param);

/// `condition` on resources of `type`, asked of the contained one at `slot`: a condition on its
/// container. Errors: `unsupported` for full text, which has no rows of contained resources.
Result<store::Condition> in_place(const Parameters& parameters, const store::Names& names,
                                  const store::Condition& condition, std::string_view type,
                                  std::size_t slot);

/// The conditions under which a reference by `reference` leads to a contained resource of `target`
/// that satisfies `condition`: one per place. Empty when nothing stored has such references, and
/// for full text. Errors: `too_large` when there are too many places.
Result<store::Conditions> refers_to_contained(const Parameters& parameters,
                                              const store::Names& names, store::Name reference,
                                              std::string_view target,
                                              const store::Condition& condition);

}  // namespace meridian::fhir::search

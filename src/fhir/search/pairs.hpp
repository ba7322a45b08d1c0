// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "fhir/search/criteria.hpp"
#include "fhir/search/parameters.hpp"
#include "store/names.hpp"
#include "store/rows.hpp"

/// Pairs of parameters that are asked together over a whole population, and whose matches are few
/// although each of the two matches much: "which J06.9 is active". Neither row alone finds them
/// without walking all that the other finds, so such a resource has one token row for the pair.
///
/// A pair's token mixes the codes and leaves the systems out (a code without a system is one point
/// in every known system); it is therefore a condition beside the two it stands for, never instead
/// of them.
namespace meridian::fhir::search {

/// Adds the pair rows of a resource of `type` whose other rows are complete.
void add_pair_rows(const Parameters& parameters, std::string_view type, store::Names& names,
                   store::Rows& rows);

/// What the pairs among `criteria` on `type` add to a search: conditions that every match
/// satisfies.
store::Conditions pair_conditions(const Parameters& parameters, std::string_view type,
                                  const store::Names& names,
                                  const std::vector<Criterion>& criteria);

/// A code and a quantity of the same resource that a composite parameter holds together
/// (code-value-quantity): "potassium above 7" is then one range instead of a walk along all
/// potassium. Conditions beside the two, as above.
store::Conditions composite_conditions(const Parameters& parameters, std::string_view type,
                                       const store::Names& names,
                                       const std::vector<Criterion>& criteria);

/// The name that a store knows once `quantity` has found anything but a plain number with a unit: a
/// Range, SampledData, "below 5". Composites leave some of those out, and intervals above a bound
/// do not begin above it; so from then on only the two parts decide.
std::string odd_quantity_marker(const Parameter& quantity);

/// Stands for all patients on the clinical access path: "all resources with this main code, newest
/// first" is then one range, as it is for one patient.
store::Identity everyone();

}  // namespace meridian::fhir::search

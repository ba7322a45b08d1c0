// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "fhir/search/criteria.hpp"
#include "fhir/search/parameters.hpp"
#include "store/plan.hpp"

/// Where the clinical access path holds what a search links to a patient. A chain or a _has names a
/// patient by a condition and the patient's resources by a main code or date; each of the two may
/// match much, and the path finds the meeting of one patient with one code by one look-up.
namespace meridian::fhir::search {

/// The range of each patient's chart in which the sources lie that satisfy `where` and refer to the
/// patient by `reference`, a parameter of `source`. Nothing where the path does not help.
std::optional<store::ChartRange> chart_range(const Parameters& parameters, std::string_view source,
                                             const Parameter& reference,
                                             const store::Condition& where);

/// Gives the chains to patients among `criteria` on `type` the range that the other criteria leave
/// of each chart.
void add_chart_ranges(const Parameters& parameters, std::string_view type,
                      std::vector<Criterion>& criteria);

}  // namespace meridian::fhir::search

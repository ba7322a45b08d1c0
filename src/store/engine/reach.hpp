// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "store/plan.hpp"

/// What lies within a caller's reach: the charts of the patients whom their rights name, and
/// whatever else these name. docs/adr/0033 says why candidates come from there.
namespace meridian::store {

using Conjuncts = std::vector<const Condition*>;

/// Adds the parts of `condition` that all have to hold, of every depth.
void add_conjuncts(const Condition& condition, Conjuncts& into);

/// The conjunct that asks for patients within the reach of `access` only, so that candidates may
/// come from it: a chart before a reference, as it holds less. Null when there is none.
const Condition* narrowest(const Condition& access, const Conjuncts& asked);

/// Where a conjunct says of which codes and dates everybody's charts hold what is asked for: the
/// part of the charts within the reach of `access` that does, with what else its rights name. All
/// that `access` admits and that is asked for is among it. Nothing where that is not said, and
/// where the rights name no resources.
std::optional<Condition> in_charts(const Condition& access, const Conjuncts& asked);

}  // namespace meridian::store

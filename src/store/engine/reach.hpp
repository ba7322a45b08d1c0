// SPDX-License-Identifier: Apache-2.0
#pragma once

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

}  // namespace meridian::store

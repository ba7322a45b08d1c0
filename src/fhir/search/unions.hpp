// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

#include "fhir/search/parameters.hpp"
#include "store/plan.hpp"

/// Parameters that ask for what two others ask for: `combo-code` of Observation is its `code` and
/// its `component-code`. They have no rows; the rows of their parts answer (docs/adr/0017).
namespace meridian::fhir::search {

/// Codes of the parameters that `code` of `type` is the union of; empty for one with rows of its
/// own.
std::span<const std::string_view> union_parts(std::string_view type, std::string_view code);

/// The condition with every question to the rows of `whole` put to the rows of its parts. Returns
/// it as it is for a parameter without parts.
store::Condition ask_parts(const Parameter& whole, store::Condition condition);

}  // namespace meridian::fhir::search

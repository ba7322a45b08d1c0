// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "fhir/search/query.hpp"
#include "store/store.hpp"

/// The search inside a conditional create, update, patch or delete, and inside a conditional
/// reference.
namespace meridian::fhir::search {

/// Turns "identifier=urn:mrn|7" into a plan whose matches a commit can expect (store::Expectation).
///
/// `limit`: 2 suffices to tell none, one and many; a conditional delete of several takes
/// limits::conditional_matches_max + 1. Errors: as parse(); `incorrect` when no search parameter is
/// given (it would select everything) or a result parameter is.
Result<std::shared_ptr<const store::Plan>> conditional_plan(
    const Parameters& parameters, const store::Names& names, std::string_view type,
    const QueryParameters& query, ParseOptions options, std::size_t limit = 2);

/// Its matches now, ascending. Errors: the store's.
Result<std::vector<store::Rid>> conditional_matches(store::Snapshot& snapshot,
                                                    const store::Plan& plan);

/// "Patient?identifier=urn:mrn|7" as a conditional reference.
struct ConditionalReference {
    std::string type;
    QueryParameters query;
};
/// Nothing when `reference` is no conditional reference. Errors: `incorrect` for a bad query
/// string.
Result<std::optional<ConditionalReference>> parse_conditional_reference(std::string_view reference);

}  // namespace meridian::fhir::search

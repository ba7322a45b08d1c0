// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "store/plan.hpp"
#include "store/store.hpp"

namespace meridian::fhir::search {

/// One version of a resource with the index rows that it has, or had before it was replaced or
/// deleted.
struct Candidate {
    store::Identity identity;
    store::Position position = -1;
    store::Rows rows;
};

/// Whether `candidate` satisfies `condition`: the answer a search would have given while that
/// version was current.
///
/// Only chains and _has look into `snapshot`, at other resources as they are now. Errors: the
/// store's. Blocking: only then.
Result<bool> holds(const store::Condition& condition, const Candidate& candidate,
                   store::Snapshot& snapshot);

}  // namespace meridian::fhir::search

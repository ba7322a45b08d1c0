// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "store/plan.hpp"
#include "store/sqlite/search_scan.hpp"

/// Searches of callers with rights of their own (AllOf::first_admits): what they may see decides
/// first, and what they may not see makes no work (docs/adr/0033).
///
/// Candidates come from the keys of what the caller's rights name: their patients, themselves, what
/// their organisation is told by. Each is asked once whether it is admitted, at one price, and only
/// what is admitted is asked about the rest. Nothing else of the index is read: no list of who else
/// has a code, no probe whether a code occurs, no walk of a sort key.
namespace meridian::store::sqlite {

/// All matches, ascending; nothing when there is no list of what the caller may see, or going
/// through it costs more than allowances().reach: then the search is an open one, to be made as
/// anybody's. Failures: run.failed().
std::optional<std::vector<Rid>> admitted_matches(Run& run, const AllOf& all, Name type);

/// The same for what a chain or a _has leads through: where its condition admits, and while the run
/// is even. Nothing where it has to be found as anybody's.
std::optional<std::vector<Rid>> linked_matches(Run& run, const Condition& inner, Name type);

}  // namespace meridian::store::sqlite

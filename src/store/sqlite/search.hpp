// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/result.hpp"
#include "store/names.hpp"
#include "store/plan.hpp"
#include "store/sqlite/database.hpp"
#include "store/sqlite/search_scan.hpp"

/// Plans on SQLite. Every statement touches one table by a prefix of one key; how the scans are
/// combined is decided here and not by SQLite's planner (docs/adr/0005-plans-not-sql-planner.md).
/// Start reading at search_join.hpp.
namespace meridian::store::sqlite {

/// What a search cost: rows stepped over plus a fixed price for every look-up. About 0.2 µs each on
/// a warm cache.
struct SearchCost {
    std::uint64_t work = 0;
    /// Some part of it was found from what a caller may see alone (search_admitted.hpp).
    bool by_rights = false;
};

/// The first `plan.limit` matches in the plan's order, as the transaction that `database` is in
/// sees them.
///
/// Parameters imply their resource type, so a condition on a parameter of another type than the
/// plan's finds what that type has. A resource has one main date: rows of one resource in
/// idx_patient share it. Errors: those of the database; `fault` for damaged forward rows. Blocking:
/// reads the database.
Result<Matches> search(Database& database, const Plan& plan, const Names& names,
                       SearchCost* cost = nullptr, const SearchAllowances& allowances = {});

/// The number of matches, without regard to limit, after, exclude and order. Errors and blocking:
/// as search.
Result<std::int64_t> count(Database& database, const Plan& plan, const Names& names,
                           SearchCost* cost = nullptr, const SearchAllowances& allowances = {});

}  // namespace meridian::store::sqlite

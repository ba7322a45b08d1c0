// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/result.hpp"
#include "store/names.hpp"
#include "store/plan.hpp"
#include "store/postgres/connection.hpp"

/// Plans on PostgreSQL: each is one statement, planned for its values. Conditions become semi-joins
/// of index tables, which PostgreSQL's planner may order as its statistics tell
/// (docs/adr/0020).
namespace meridian::store::postgres {

/// The first `plan.limit` matches in the plan's order, as the transaction that `connection` is in
/// sees them. Errors: as Connection. Blocking: two round trips at most.
Result<Matches> search(Connection& connection, const Plan& plan, const Names& names);

/// The number of matches, without regard to limit, after, exclude and order.
Result<std::int64_t> count(Connection& connection, const Plan& plan, const Names& names);

/// The statement of a search, for a look at how PostgreSQL would go about it.
Result<std::string> explain(Connection& connection, const Plan& plan, const Names& names);

}  // namespace meridian::store::postgres

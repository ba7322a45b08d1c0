// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "base/result.hpp"
#include "store/names.hpp"
#include "store/plan.hpp"
#include "store/postgres/connection.hpp"
#include "store/postgres/layout.hpp"

/// Plans on PostgreSQL: one condition is walked in the order of an index and the others are asked
/// about each candidate, or, where none can be walked, PostgreSQL plans a join of sets
/// (docs/adr/0020).
namespace meridian::store::postgres {

/// Resources and where they lie.
using Homes = std::unordered_map<Rid, Rid>;

struct Found {
    Matches matches{};
    Homes homes{};  ///< of the matches at least
};

/// From where on a set is large. Answers do not depend on it, only how long they take.
struct Few {
    /// So many resources are collected by their rarest condition, then asked about the others.
    std::size_t to_collect = 5'000;
    /// So many are also sorted by looking each one's key up, rather than by walking the order's
    /// rows.
    std::size_t to_sort = 500;
    /// So many rows within the reach of a caller's rights are gone through, whatever is asked.
    std::size_t to_list = 1'000;
};

/// The first `plan.limit` matches in the plan's order, as the transaction that `connection` is in
/// sees them. Errors: as Connection. Blocking: a few round trips.
Result<Found> search(Connection& connection, const Plan& plan, const Names& names,
                     const Layout& layout, const Few& few = {});

/// The number of matches, without regard to limit, after, exclude and order.
Result<std::int64_t> count(Connection& connection, const Plan& plan, const Names& names,
                           const Layout& layout, const Few& few = {});

/// The statement of a search, for a look at how PostgreSQL would go about it.
Result<std::string> explain(Connection& connection, const Plan& plan, const Names& names,
                            const Layout& layout);

}  // namespace meridian::store::postgres

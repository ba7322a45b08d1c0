// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "store/names.hpp"
#include "store/plan.hpp"
#include "store/postgres/known.hpp"
#include "store/postgres/layout.hpp"
#include "store/postgres/render.hpp"

namespace meridian::store::postgres {

struct Statement {
    std::string sql;
    Parameters parameters;
};

/// The parts of a condition that "and" joins; itself when it is none of these.
std::span<const Condition> parts_of(const Condition& where);

/// Rows of index tables by which a plan's only order can be walked.
struct SortTable {
    std::string_view table;
    std::string_view column;
    std::string rows;  ///< which rows of the table, of the alias s
    std::string_view home = "patient";
};

/// The ways to answer a plan. Each statement gives rows of (rid, where the resource lies) in the
/// plan's order; which of them is quick, search.cpp decides. What it is made of must outlive it.
class Statements {
 public:
    Statements(const Plan& plan, const Names& names, const Known& known, const Layout& layout)
        : plan_(plan), names_(names), known_(known), layout_(layout) {}

    /// A page of matches and one more, in the way that PostgreSQL's planner takes for the best.
    Statement all() const;
    /// The number of matches, as the only row.
    Statement count() const;
    /// Where a caller's rights decide first, and name what is within their reach: how many rows
    /// lead there, counted up to `most`. Candidates can come from these alone then. Nothing
    /// elsewhere.
    std::optional<Statement> size_of_reach(std::size_t most) const;
    /// A page of matches and one more, of what lies within reach: each is asked once whether it is
    /// admitted, and only what is admitted is asked about the rest. Only where size_of_reach is.
    Statement admitted() const;
    /// The number of these matches, as the only row.
    Statement count_admitted() const;
    /// The first `count` candidates by row id that satisfy the rest of the plan: each is asked
    /// about, until there are enough. PostgreSQL would guess how many there are, and take the wrong
    /// way when the guess is off. Nothing for a plan with an order, in sharded layouts, and where
    /// no condition tells candidates.
    std::optional<Statement> rows_by_rid(std::size_t count) const;
    /// The part of a plan that is a range of the clinical access path, when that is also its order;
    /// null when it is not, when too many ranges would have to be merged, and on Citus when another
    /// condition is shown by rows of other shards.
    const Condition* chart() const;
    /// The first `count` rows of a chart whose resources match, newest first, those without a date
    /// last. Each patient and code is a range of one index that has this order, so as much of it is
    /// read as is asked for. A resource may come several times.
    Statement rows_of_chart(const Condition& path, std::size_t count) const;
    /// The table in whose rows the only order of a plan stands; nothing for several orders, and for
    /// those that stand elsewhere.
    std::optional<SortTable> sort_table() const;
    /// The first `count` rows of the order's parameter whose resources match, in order: PostgreSQL
    /// may walk the index until it has them, or collect what matches and sort it. A resource may
    /// come several times, and first by the row that counts.
    Statement rows_in_order(const SortTable& sort, std::size_t count) const;
    /// Matches without a row of the order's parameter, by rid.
    Statement rows_without_key(const SortTable& sort, std::size_t count) const;

 private:
    /// The condition whose matches are gone through one after the other: the rarest, or one of few
    /// patients, or where nothing is rare one whose matches need not be collected; null when there
    /// is none of these.
    const Condition* driver(Renderer& renderer) const;
    /// `sql`, which ends in conditions on the resources r, cut to the plan's page.
    Statement page(std::string sql, const std::string& keys, Renderer& renderer) const;
    /// The keys of what is within reach, as row ids.
    std::optional<std::string> reach(Renderer& renderer) const;
    /// What is admitted and satisfies the rest, as resources of the alias r: FROM … WHERE ….
    std::string from_admitted(Renderer& renderer, const std::string& joins) const;

    const Plan& plan_;
    const Names& names_;
    const Known& known_;
    const Layout& layout_;
};

}  // namespace meridian::store::postgres

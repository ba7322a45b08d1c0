// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/search.hpp"

#include "store/postgres/statements.hpp"

namespace meridian::store::postgres {

namespace {

/// Whether a page of resources to which one of `count` sources leads is found sooner by asking one
/// resource of the type after the other than by collecting what all sources lead to.
bool is_soon_found(std::int64_t count, std::int64_t of_type, std::int64_t few) {
    constexpr std::int64_t of_a_page = 32;
    return count > few || count * count > of_a_page * of_type;
}

/// Looks for the condition of a population search that the fewest resources satisfy, and for links
/// to which too much leads. A planner's statistics know of a range only how much of the whole table
/// it is, and not of the rows of its parameter; counting a few thousand keys takes a millisecond.
Result<void> look_for_rarest(Connection& connection, const Plan& plan, const Names& names,
                             const Layout& layout, std::size_t few_max, Known& known) {
    constexpr int of_one_patient = 1;
    if (layout.is_sharded() || Rank::of(plan.where) <= of_one_patient) return {};
    const auto parts = parts_of(plan.where);
    Renderer renderer(names, known, layout);
    // What lies in the order of row ids need not be collected, however much it is.
    if (parts.size() == 1 && renderer.streams_of(parts.front(), plan.type)) return {};
    const auto [sql, counted] = renderer.counting(parts, plan.type, few_max + 1);
    if (counted.empty()) return {};
    const Answer counts = TRY(connection.ask_once(sql, renderer.take_parameters()));
    const std::int64_t of_type = counts.integer(0, static_cast<int>(counted.size()));
    const auto few = static_cast<std::int64_t>(few_max);
    auto fewest = few + 1;
    for (std::size_t i = 0; i < counted.size(); ++i) {
        const std::int64_t count = counts.integer(0, static_cast<int>(i));
        if (std::holds_alternative<ReferredBy>(counted[i]->as_variant()) &&
            is_soon_found(count, of_type, few)) {
            known.frequent.push_back(counted[i]);
        } else if (count < fewest) {
            known.rarest = counted[i];
            fewest = count;
        }
    }
    return {};
}

Result<Answer> ask(Connection& connection, Statement statement) {
    return connection.ask_once(statement.sql, std::move(statement.parameters));
}

/// Whether what a caller may see is a list, and short enough to be gone through.
Result<bool> is_within_reach(Connection& connection, const Statements& statements,
                             std::size_t few) {
    auto counting = statements.size_of_reach(few + 1);
    if (!counting) return false;
    const std::int64_t rows = TRY(ask(connection, *std::move(counting))).integer(0, 0);
    return std::cmp_less_equal(rows, few);
}

/// Takes matches from rows of (rid, home) in the plan's order, in which a resource may come several
/// times, until there is one more than the plan asks for.
class Taker {
 public:
    explicit Taker(const Plan& plan) : plan_(plan) {}
    bool is_full() const { return rids_.size() > plan_.limit; }
    /// How many rows hold a page of matches at least, when each resource has one.
    std::size_t missing() const {
        return plan_.limit + 1 - rids_.size() + (plan_.exclude ? plan_.exclude->size() : 0);
    }
    void begin_anew() {
        rids_.clear();
        seen_.clear();
    }
    void take(const Answer& rows) {
        for (int row = 0; row < rows.size() && !is_full(); ++row) {
            const Rid rid = rows.integer(row, 0);
            if (!seen_.insert(rid).second || rid <= plan_.after) continue;
            if (plan_.exclude && plan_.exclude->contains(rid)) continue;
            rids_.push_back(rid);
            homes_[rid] = rows.integer(row, 1);
        }
    }
    Found found() {
        Matches matches;
        matches.more = is_full();
        if (matches.more) rids_.resize(plan_.limit);
        matches.rids = std::move(rids_);
        return {std::move(matches), std::move(homes_)};
    }

 private:
    const Plan& plan_;
    std::vector<Rid> rids_;
    std::unordered_set<Rid> seen_;
    Homes homes_;
};

/// Asks for more and more rows, `statement(count)`, until they hold a page of matches or are all.
template <class MakeStatement>
Result<void> take_rows(Connection& connection, Taker& taker, MakeStatement&& statement) {
    // Most resources have one row of a parameter that is sorted by.
    for (std::size_t count = taker.missing() + 8;; count *= 4) {
        taker.begin_anew();
        const Answer rows = TRY(ask(connection, statement(count)));
        taker.take(rows);
        if (taker.is_full() || static_cast<std::size_t>(rows.size()) < count) return {};
    }
}

}  // namespace

Result<Found> search(Connection& connection, const Plan& plan, const Names& names,
                     const Layout& layout, const Few& few) {
    Known known = TRY(ask_known(connection, plan, layout));
    const Statements statements(plan, names, known, layout);
    Taker taker(plan);
    if (TRY(is_within_reach(connection, statements, few.to_list))) {
        taker.take(TRY(ask(connection, statements.admitted())));
        return taker.found();
    }
    const auto sort = statements.sort_table();
    TRY(look_for_rarest(connection, plan, names, layout, sort ? few.to_sort : few.to_collect,
                        known));
    const auto take = [&](auto statement) { return take_rows(connection, taker, statement); };
    const bool looks_at_log = known.log_end != 0;
    const Condition* chart = looks_at_log ? nullptr : statements.chart();
    if (chart != nullptr && known.rarest == nullptr) {
        TRY(take([&](std::size_t count) { return statements.rows_of_chart(*chart, count); }));
    } else if (sort && known.rarest == nullptr) {
        TRY(take([&](std::size_t count) { return statements.rows_in_order(*sort, count); }));
        if (!taker.is_full())
            taker.take(TRY(ask(connection, statements.rows_without_key(*sort, taker.missing()))));
    } else if (statements.rows_by_rid(0)) {
        TRY(take([&](std::size_t count) { return *statements.rows_by_rid(count); }));
    } else {
        taker.take(TRY(ask(connection, statements.all())));
    }
    return taker.found();
}

Result<std::int64_t> count(Connection& connection, const Plan& plan, const Names& names,
                           const Layout& layout, const Few& few) {
    if (plan.type != 0 && std::holds_alternative<Everything>(plan.where.as_variant()))
        return connection.integer(
            "SELECT sum(resources)::bigint FROM meridian.type_count WHERE type = $1", 0,
            std::move(Parameters().small(plan.type)));
    Known known = TRY(ask_known(connection, plan, layout));
    const Statements statements(plan, names, known, layout);
    if (TRY(is_within_reach(connection, statements, few.to_list)))
        return TRY(ask(connection, statements.count_admitted())).integer(0, 0);
    TRY(look_for_rarest(connection, plan, names, layout, few.to_collect, known));
    return TRY(ask(connection, statements.count())).integer(0, 0);
}

Result<std::string> explain(Connection& connection, const Plan& plan, const Names& names,
                            const Layout& layout) {
    Known known = TRY(ask_known(connection, plan, layout));
    TRY(look_for_rarest(connection, plan, names, layout, Few().to_collect, known));
    const Statements statements(plan, names, known, layout);
    Statement statement = statements.rows_by_rid(plan.limit + 1).value_or(statements.all());
    std::string out = statement.sql + "\n";
    statement.sql.insert(0, "EXPLAIN (ANALYZE, BUFFERS) ");
    const Answer rows = TRY(ask(connection, std::move(statement)));
    for (int row = 0; row < rows.size(); ++row) out += std::string(rows.bytes(row, 0)) + "\n";
    return out;
}

}  // namespace meridian::store::postgres

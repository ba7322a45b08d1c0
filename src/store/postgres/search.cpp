// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/search.hpp"

#include "store/postgres/render.hpp"

namespace meridian::store::postgres {

namespace {

// --- order ---

struct Ordering {
    std::string joins;
    std::string keys;  ///< of ORDER BY, with a comma at the end
};

std::string params_of(const Order& order) {
    std::string out = std::to_string(order.param);
    for (const Name param : order.also) out += "," + std::to_string(param);
    return out;
}

Ordering ordering_of(const std::vector<Order>& orders, const Renderer& renderer) {
    Ordering out;
    // The first in the order's direction of a column of the resource's rows.
    const auto first_of = [&](const Order& order, std::string_view table, std::string_view column,
                              unsigned number) {
        return fmt::format(
            " LEFT JOIN LATERAL (SELECT {0}(x.{1}) AS key FROM meridian.{2} x WHERE {5} AND "
            "x.param IN ({3})) AS o{4} ON true",
            order.descending ? "max" : "min", column, table, params_of(order), number,
            renderer.same_resource("x", "r"));
    };
    unsigned number = 0;
    bool has_position = false;
    for (const Order& order : orders) {
        ++number;
        std::string key = fmt::format("o{}.key", number);
        switch (order.kind) {
            case SortKind::token:
                out.joins += first_of(order, "idx_token", "value", number);
                break;
            case SortKind::string:
                out.joins += first_of(order, "idx_string", "folded", number);
                break;
            case SortKind::date:
                out.joins += first_of(order, "idx_date", "lo", number);
                break;
            case SortKind::number:
                out.joins += first_of(order, "idx_number", "lo", number);
                break;
            case SortKind::quantity:
                out.joins += first_of(order, "idx_quantity", "lo", number);
                break;
            case SortKind::reference:
                out.joins += first_of(order, "idx_reference", "target", number);
                break;
            case SortKind::uri:
                out.joins += first_of(order, "idx_uri", "uri", number);
                break;
            case SortKind::id:
                key = "r.id";
                break;
            case SortKind::updated:
                // Later positions were written later, so they order as the times of writing do.
                if (!has_position) out.joins += " JOIN meridian.batch b ON b.id = r.batch";
                has_position = true;
                key = "coalesce(b.base + r.ordinal, 9223372036854775807)";
                break;
            case SortKind::patient_date:
                out.joins += fmt::format(
                    " LEFT JOIN LATERAL (SELECT {}(x.date) AS key FROM meridian.idx_patient x "
                    "WHERE {} AND x.date <> ('-9223372036854775808')) AS o{} ON true",
                    order.descending ? "max" : "min", renderer.same_resource("x", "r", "home"),
                    number);
                break;
        }
        out.keys += fmt::format("{} {} NULLS LAST, ", key, order.descending ? "DESC" : "ASC");
    }
    return out;
}

/// So many resources are collected by their rarest condition, then asked about the others.
constexpr std::size_t few_to_collect = 5'000;
/// So many are also sorted by looking each one's key up, rather than by walking the order's rows.
constexpr std::size_t few_to_sort = 500;

struct Statement {
    std::string sql;
    Parameters parameters;
};

std::string from_where(Renderer& renderer, const Plan& plan, const std::string& joins) {
    std::string sql = fmt::format(" FROM meridian.resource r{} WHERE r.verb <> 3", joins);
    if (plan.type != 0) sql += fmt::format(" AND r.type = {}", plan.type);
    sql += renderer.within_homes("r");
    if (!std::holds_alternative<Everything>(plan.where.as_variant()))
        sql += " AND " + renderer.conjunct(plan.where, "r", plan.type);
    return sql;
}

Statement statement_of(const Plan& plan, const Names& names, const Known& known,
                       const Layout& layout) {
    Renderer renderer(names, known, layout);
    const Ordering ordering = ordering_of(plan.order, renderer);
    std::string sql = "SELECT r.rid, r.patient" + from_where(renderer, plan, ordering.joins);
    if (plan.after > 0) sql += fmt::format(" AND r.rid > {}", plan.after);
    if (plan.exclude && !plan.exclude->empty()) {
        const std::vector<Rid> excluded(plan.exclude->begin(), plan.exclude->end());
        renderer.parameters().integers(excluded);
        sql += fmt::format(" AND r.rid <> ALL({}::bigint[])", renderer.parameter());
    }
    sql += fmt::format(" ORDER BY {}r.rid LIMIT {}", ordering.keys, plan.limit + 1);
    return {std::move(sql), renderer.take_parameters()};
}

// --- one order, by the rows of a parameter ---

struct SortTable {
    std::string_view table;
    std::string_view column;
    std::string rows;  ///< which rows of the table, of the alias s
    std::string_view home = "patient";
};

/// The table in whose rows the only order of a plan stands; nothing for several orders, and for
/// those that stand elsewhere.
std::optional<SortTable> sort_table(const Plan& plan) {
    if (plan.order.size() != 1 || !plan.order.front().also.empty()) return std::nullopt;
    const std::string of_param = fmt::format("s.param = {}", plan.order.front().param);
    switch (plan.order.front().kind) {
        case SortKind::token:
            return SortTable{"idx_token", "value", of_param};
        case SortKind::string:
            return SortTable{"idx_string", "folded", of_param};
        case SortKind::date:
            return SortTable{"idx_date", "lo", of_param};
        case SortKind::number:
            return SortTable{"idx_number", "lo", of_param};
        case SortKind::reference:
            return SortTable{"idx_reference", "target", of_param};
        case SortKind::uri:
            return SortTable{"idx_uri", "uri", of_param};
        case SortKind::patient_date:
            if (plan.type == 0) return std::nullopt;
            return SortTable{"idx_patient", "date",
                             fmt::format("s.type = {} AND s.code = 0 AND s.date <> "
                                         "('-9223372036854775808')",
                                         plan.type),
                             "home"};
        default:
            return std::nullopt;
    }
}

/// The first `count` rows of the order's parameter whose resources match, in order: PostgreSQL may
/// walk the index until it has them, or collect what matches and sort it. A resource may come
/// several times, and first by the row that counts.
Statement rows_in_order(const Plan& plan, const Names& names, const Known& known,
                        const Layout& layout, const SortTable& sort, std::size_t count) {
    Renderer renderer(names, known, layout);
    const Order& order = plan.order.front();
    const std::string_view direction = order.descending ? "DESC" : "ASC";
    const auto branch = [&](const std::string& further) {
        return fmt::format(
            "(SELECT s.rid, r.patient, s.{0} AS key{1} AND {6} AND {2}{3} "
            "ORDER BY s.{0} {4}, s.rid LIMIT {5})",
            sort.column, from_where(renderer, plan, fmt::format(", meridian.{} s", sort.table)),
            sort.rows, further, direction, count, renderer.same_resource("s", "r", sort.home));
    };
    std::string rows = order.kind == SortKind::date
                           ? branch(" AND s.span = 0") + " UNION ALL " + branch(" AND s.span = 1")
                           : branch("");
    std::string sql =
        fmt::format("SELECT u.rid, u.patient FROM ({}) u ORDER BY u.key {}, u.rid LIMIT {}", rows,
                    direction, count);
    return {std::move(sql), renderer.take_parameters()};
}

/// Matches without a row of the order's parameter, by rid.
Statement rows_without_key(const Plan& plan, const Names& names, const Known& known,
                           const Layout& layout, const SortTable& sort, std::size_t count) {
    Renderer renderer(names, known, layout);
    std::string sql = fmt::format(
        "SELECT r.rid, r.patient{} AND NOT EXISTS (SELECT FROM meridian.{} s WHERE {} AND {}) "
        "ORDER BY r.rid LIMIT {}",
        from_where(renderer, plan, ""), sort.table, renderer.same_resource("s", "r", sort.home),
        sort.rows, count);
    return {std::move(sql), renderer.take_parameters()};
}

/// Looks for the condition of a population search that the fewest resources satisfy. A planner's
/// statistics know of a range only how much of the whole table it is, and not of the rows of its
/// parameter; counting a few thousand keys takes a millisecond.
Result<const Condition*> rarest_part(Connection& connection, const Plan& plan, const Names& names,
                                     const Known& known, const Layout& layout,
                                     std::size_t few_max) {
    const auto* all = std::get_if<AllOf>(&plan.where.as_variant());
    constexpr int of_one_patient = 1;
    if (layout.is_sharded() || all == nullptr || Rank::of(plan.where) <= of_one_patient)
        return nullptr;
    Renderer renderer(names, known, layout);
    const auto [sql, parts] = renderer.counting(all->parts, plan.type, few_max + 1);
    if (parts.empty()) return nullptr;
    const Answer counts = TRY(connection.ask_once(sql, renderer.take_parameters()));
    const Condition* rarest = nullptr;
    auto fewest = static_cast<std::int64_t>(few_max) + 1;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const std::int64_t count = counts.integer(0, static_cast<int>(i));
        if (count < fewest) rarest = parts[i], fewest = count;
    }
    return rarest;
}

Result<Found> search_in_order(Connection& connection, const Plan& plan, const Names& names,
                              const Known& known, const Layout& layout, const SortTable& sort) {
    const std::size_t excluded = plan.exclude ? plan.exclude->size() : 0;
    std::vector<Rid> found;
    std::unordered_set<Rid> seen;
    Homes homes;
    const auto take = [&](const Answer& rows) {
        for (int row = 0; row < rows.size() && found.size() <= plan.limit; ++row) {
            const Rid rid = rows.integer(row, 0);
            if (!seen.insert(rid).second || rid <= plan.after) continue;
            if (plan.exclude && plan.exclude->contains(rid)) continue;
            found.push_back(rid);
            homes[rid] = rows.integer(row, 1);
        }
    };
    const auto ask = [&](Statement statement) {
        return connection.ask_once(statement.sql, std::move(statement.parameters));
    };
    // Most resources have one row of a parameter that is sorted by.
    for (std::size_t count = plan.limit + excluded + 9;; count *= 4) {
        found.clear();
        seen.clear();
        const Answer rows = TRY(ask(rows_in_order(plan, names, known, layout, sort, count)));
        take(rows);
        if (found.size() > plan.limit || static_cast<std::size_t>(rows.size()) < count) break;
    }
    if (found.size() <= plan.limit) {
        const std::size_t missing = plan.limit + 1 - found.size() + excluded;
        take(TRY(ask(rows_without_key(plan, names, known, layout, sort, missing))));
    }
    Matches matches;
    matches.more = found.size() > plan.limit;
    if (matches.more) found.resize(plan.limit);
    matches.rids = std::move(found);
    return Found{std::move(matches), std::move(homes)};
}

}  // namespace

Result<Found> search(Connection& connection, const Plan& plan, const Names& names,
                     const Layout& layout) {
    Known known = TRY(ask_known(connection, plan, layout));
    const auto sort = sort_table(plan);
    known.rarest = TRY(
        rarest_part(connection, plan, names, known, layout, sort ? few_to_sort : few_to_collect));
    if (sort && known.rarest == nullptr)
        return search_in_order(connection, plan, names, known, layout, *sort);
    Statement statement = statement_of(plan, names, known, layout);
    const Answer rows = TRY(connection.ask_once(statement.sql, std::move(statement.parameters)));
    Found found;
    Matches& matches = found.matches;
    for (int row = 0; row < rows.size(); ++row) {
        matches.rids.push_back(rows.integer(row, 0));
        found.homes[matches.rids.back()] = rows.integer(row, 1);
    }
    matches.more = matches.rids.size() > plan.limit;
    if (matches.more) matches.rids.resize(plan.limit);
    return found;
}

Result<std::int64_t> count(Connection& connection, const Plan& plan, const Names& names,
                           const Layout& layout) {
    if (plan.type != 0 && std::holds_alternative<Everything>(plan.where.as_variant()))
        return connection.integer(
            "SELECT sum(resources)::bigint FROM meridian.type_count WHERE type = $1", 0,
            std::move(Parameters().small(plan.type)));
    Known known = TRY(ask_known(connection, plan, layout));
    known.rarest = TRY(rarest_part(connection, plan, names, known, layout, few_to_collect));
    Renderer renderer(names, known, layout);
    const std::string sql = "SELECT count(*)" + from_where(renderer, plan, "");
    const Answer rows = TRY(connection.ask_once(sql, renderer.take_parameters()));
    return rows.integer(0, 0);
}

Result<std::string> explain(Connection& connection, const Plan& plan, const Names& names,
                            const Layout& layout) {
    Known known = TRY(ask_known(connection, plan, layout));
    known.rarest = TRY(rarest_part(connection, plan, names, known, layout, few_to_collect));
    Statement statement = statement_of(plan, names, known, layout);
    const Answer rows = TRY(connection.ask_once("EXPLAIN (ANALYZE, BUFFERS) " + statement.sql,
                                                std::move(statement.parameters)));
    std::string out = statement.sql + "\n";
    for (int row = 0; row < rows.size(); ++row) out += std::string(rows.bytes(row, 0)) + "\n";
    return out;
}

}  // namespace meridian::store::postgres

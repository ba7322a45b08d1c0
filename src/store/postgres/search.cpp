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

/// What a condition joins by "and".
std::span<const Condition> parts_of(const Condition& where) {
    if (const auto* all = std::get_if<AllOf>(&where.as_variant())) return all->parts;
    return {&where, 1};
}

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
    if (parts.size() == 1 && !std::holds_alternative<ReferredBy>(parts.front().as_variant()))
        return {};
    Renderer renderer(names, known, layout);
    const auto [sql, counted] = renderer.counting(parts, plan.type, few_max + 1);
    if (counted.empty()) return {};
    const Answer counts = TRY(connection.ask_once(sql, renderer.take_parameters()));
    const std::int64_t of_type = counts.integer(0, static_cast<int>(counted.size()));
    const auto few = static_cast<std::int64_t>(few_max);
    auto fewest = few + 1;
    for (std::size_t i = 0; i < counted.size(); ++i) {
        const auto [part, weight] = counted[i];
        const std::int64_t count = counts.integer(0, static_cast<int>(i));
        if (std::holds_alternative<ReferredBy>(part->as_variant()) &&
            is_soon_found(count, of_type, few)) {
            known.frequent.push_back(part);
        } else if (count * weight < fewest) {
            known.rarest = part;
            fewest = count * weight;
        }
    }
    return {};
}

// --- by row id ---

/// The condition whose matches are gone through one after the other: the rarest, or one of few
/// patients, or where nothing is rare one whose matches need not be collected; null when there is
/// none of these.
const Condition* driver_of(const Plan& plan, const Known& known, Renderer& renderer) {
    if (known.rarest != nullptr) return known.rarest;
    constexpr int of_one_patient = 1;
    const auto is_chart = [](const Condition& part) {
        return std::holds_alternative<OfPatient>(part.as_variant());
    };
    const Condition* driver = nullptr;
    for (const Condition& part : parts_of(plan.where)) {
        if (Rank::of(part) > of_one_patient) continue;
        // A chart holds one kind of what refers to the patient.
        if (driver == nullptr || (is_chart(part) && !is_chart(*driver))) driver = &part;
    }
    if (driver != nullptr) return driver;
    for (const Condition& part : parts_of(plan.where)) {
        if (renderer.streams_of(part)) return &part;
    }
    return nullptr;
}

/// The first `count` candidates by row id that satisfy the rest of the plan: each is asked about,
/// until there are enough. PostgreSQL would guess how many there are, and take the wrong way when
/// the guess is off. Nothing where that cannot be done.
std::optional<Statement> rows_by_rid(const Plan& plan, const Names& names, const Known& known,
                                     const Layout& layout, std::size_t count) {
    Renderer renderer(names, known, layout);
    const Condition* driver = driver_of(plan, known, renderer);
    if (driver == nullptr) return std::nullopt;
    const auto candidates = renderer.candidates(*driver, plan.type, plan.after);
    if (!candidates) return std::nullopt;
    std::string sql = fmt::format(
        "SELECT c.rid, 0::bigint FROM {} WHERE {}{} ORDER BY c.rid LIMIT {}", candidates->from,
        candidates->where, renderer.others_about(plan.where, *driver, "c", plan.type), count);
    return Statement{std::move(sql), renderer.take_parameters()};
}

// --- charts, newest first ---

/// The part of a plan that is a range of the clinical access path, when that is also its order;
/// null when it is not, or when too many ranges would have to be merged.
const Condition* chart_in_order(const Plan& plan, const Known& known) {
    if (plan.order.size() != 1 || plan.order.front().kind != SortKind::patient_date ||
        !plan.order.front().descending)
        return nullptr;
    for (const Condition& part : parts_of(plan.where)) {
        const auto* path = std::get_if<OfPatient>(&part.as_variant());
        if (path == nullptr || (plan.type != 0 && path->type != plan.type)) continue;
        const auto occurring = known.occurring.find(&path->codes);
        const std::size_t codes =
            occurring == known.occurring.end() ? path->codes.size() : occurring->second.size();
        constexpr std::size_t ranges_max = 16;
        if (path->patients.size() * std::max<std::size_t>(codes, 1) <= ranges_max) return &part;
    }
    return nullptr;
}

/// The first `count` rows of a chart whose resources match, newest first, those without a date
/// last. Each patient and code is a range of one index that has this order, so as much of it is
/// read as is asked for. A resource may come several times.
Statement rows_of_chart(const Plan& plan, const Condition& path, const Names& names,
                        const Known& known, const Layout& layout, std::size_t count) {
    Renderer renderer(names, known, layout);
    const std::string further =
        renderer.others_about(plan.where, path, "c", plan.type) + renderer.within_homes("c");
    std::string ranges;
    for (const std::string& range : renderer.chart_ranges(std::get<OfPatient>(path.as_variant()))) {
        ranges += fmt::format(
            "{}(SELECT c.rid, c.patient, c.date FROM ({}) AS c WHERE true{} "
            "ORDER BY c.date DESC, c.rid LIMIT {})",
            ranges.empty() ? "" : " UNION ALL ", range, further, count);
    }
    if (ranges.empty())  // of nobody whom the store knows
        ranges = "SELECT 0::bigint AS rid, 0::bigint AS patient, 0::bigint AS date WHERE false";
    std::string sql = fmt::format(
        "SELECT u.rid, u.patient FROM ({}) u ORDER BY u.date DESC, u.rid LIMIT {}", ranges, count);
    return {std::move(sql), renderer.take_parameters()};
}

// --- answers ---

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
        Statement asked = statement(count);
        const Answer rows = TRY(connection.ask_once(asked.sql, std::move(asked.parameters)));
        taker.take(rows);
        if (taker.is_full() || static_cast<std::size_t>(rows.size()) < count) return {};
    }
}

Result<Found> search_in_order(Connection& connection, const Plan& plan, const Names& names,
                              const Known& known, const Layout& layout, const SortTable& sort) {
    Taker taker(plan);
    TRY(take_rows(connection, taker, [&](std::size_t count) {
        return rows_in_order(plan, names, known, layout, sort, count);
    }));
    if (!taker.is_full()) {
        Statement rest = rows_without_key(plan, names, known, layout, sort, taker.missing());
        taker.take(TRY(connection.ask_once(rest.sql, std::move(rest.parameters))));
    }
    return taker.found();
}

/// Nothing where the plan is no walk over the matches of one of its conditions.
Result<std::optional<Found>> search_by_rid(Connection& connection, const Plan& plan,
                                           const Names& names, const Known& known,
                                           const Layout& layout) {
    if (!plan.order.empty() || layout.is_sharded()) return std::nullopt;
    const bool can_be_walked = rows_by_rid(plan, names, known, layout, 0).has_value();
    if (!can_be_walked) return std::nullopt;
    Taker taker(plan);
    TRY(take_rows(connection, taker, [&](std::size_t count) {
        return *rows_by_rid(plan, names, known, layout, count);
    }));
    return taker.found();
}

Result<Found> search_chart(Connection& connection, const Plan& plan, const Names& names,
                           const Known& known, const Layout& layout, const Condition& path) {
    Taker taker(plan);
    TRY(take_rows(connection, taker, [&](std::size_t count) {
        return rows_of_chart(plan, path, names, known, layout, count);
    }));
    return taker.found();
}

}  // namespace

Result<Found> search(Connection& connection, const Plan& plan, const Names& names,
                     const Layout& layout, const Few& few) {
    Known known = TRY(ask_known(connection, plan, layout));
    const auto sort = sort_table(plan);
    TRY(look_for_rarest(connection, plan, names, layout, sort ? few.to_sort : few.to_collect,
                        known));
    if (known.rarest == nullptr) {
        const bool looks_at_log = known.log_end != 0;
        const Condition* path = chart_in_order(plan, known);
        // Citus joins rows with those of their own shard only, and a chart tells of others too.
        if (path != nullptr && !looks_at_log && !layout.is_distributed())
            return search_chart(connection, plan, names, known, layout, *path);
        if (sort) return search_in_order(connection, plan, names, known, layout, *sort);
    }
    if (auto found = TRY(search_by_rid(connection, plan, names, known, layout)))
        return *std::move(found);
    Statement statement = statement_of(plan, names, known, layout);
    Taker taker(plan);
    taker.take(TRY(connection.ask_once(statement.sql, std::move(statement.parameters))));
    return taker.found();
}

Result<std::int64_t> count(Connection& connection, const Plan& plan, const Names& names,
                           const Layout& layout, const Few& few) {
    if (plan.type != 0 && std::holds_alternative<Everything>(plan.where.as_variant()))
        return connection.integer(
            "SELECT sum(resources)::bigint FROM meridian.type_count WHERE type = $1", 0,
            std::move(Parameters().small(plan.type)));
    Known known = TRY(ask_known(connection, plan, layout));
    TRY(look_for_rarest(connection, plan, names, layout, few.to_collect, known));
    Renderer renderer(names, known, layout);
    std::string sql;
    // Index rows of the living alone are counted without a look at each resource.
    if (const auto rows = renderer.living_rows(plan.where, plan.type)) {
        sql = fmt::format("SELECT count(DISTINCT rid) FROM ({}) AS r(rid)", *rows);
    } else {
        sql = "SELECT count(*)" + from_where(renderer, plan, "");
    }
    const Answer rows = TRY(connection.ask_once(sql, renderer.take_parameters()));
    return rows.integer(0, 0);
}

Result<std::string> explain(Connection& connection, const Plan& plan, const Names& names,
                            const Layout& layout) {
    Known known = TRY(ask_known(connection, plan, layout));
    TRY(look_for_rarest(connection, plan, names, layout, Few().to_collect, known));
    Statement statement = statement_of(plan, names, known, layout);
    const Answer rows = TRY(connection.ask_once("EXPLAIN (ANALYZE, BUFFERS) " + statement.sql,
                                                std::move(statement.parameters)));
    std::string out = statement.sql + "\n";
    for (int row = 0; row < rows.size(); ++row) out += std::string(rows.bytes(row, 0)) + "\n";
    return out;
}

}  // namespace meridian::store::postgres

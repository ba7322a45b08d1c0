// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/statements.hpp"

#include <algorithm>

#include "store/engine/reach.hpp"

namespace meridian::store::postgres {

namespace {

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

std::string from_where(Renderer& renderer, const Plan& plan, const std::string& joins) {
    std::string sql = fmt::format(" FROM meridian.resource r{} WHERE r.verb <> 3", joins);
    if (plan.type != 0) sql += fmt::format(" AND r.type = {}", plan.type);
    sql += renderer.within_homes("r");
    if (!std::holds_alternative<Everything>(plan.where.as_variant()))
        sql += " AND " + renderer.conjunct(plan.where, "r", plan.type);
    return sql;
}

/// Whether what shows a condition to hold lies beside the resource: Citus looks nowhere else for
/// one resource after the other.
bool lies_in_its_shard(const Condition& condition) {
    return Renderer::is_of_own_rows(condition) &&
           !std::holds_alternative<HasId>(condition.as_variant()) &&
           !std::holds_alternative<InCompartment>(condition.as_variant());
}

}  // namespace

std::span<const Condition> parts_of(const Condition& where) {
    if (const auto* all = std::get_if<AllOf>(&where.as_variant())) return all->parts;
    return {&where, 1};
}

Statement Statements::all() const {
    Renderer renderer(names_, known_, layout_);
    const Ordering ordering = ordering_of(plan_.order, renderer);
    std::string sql = "SELECT r.rid, r.patient" + from_where(renderer, plan_, ordering.joins);
    return page(std::move(sql), ordering.keys, renderer);
}

Statement Statements::page(std::string sql, const std::string& keys, Renderer& renderer) const {
    if (plan_.after > 0) sql += fmt::format(" AND r.rid > {}", plan_.after);
    if (plan_.exclude && !plan_.exclude->empty()) {
        const std::vector<Rid> excluded(plan_.exclude->begin(), plan_.exclude->end());
        renderer.parameters().integers(excluded);
        sql += fmt::format(" AND r.rid <> ALL({}::bigint[])", renderer.parameter());
    }
    sql += fmt::format(" ORDER BY {}r.rid LIMIT {}", keys, plan_.limit + 1);
    return {std::move(sql), renderer.take_parameters()};
}

Statement Statements::count() const {
    Renderer renderer(names_, known_, layout_);
    std::string sql;
    // Index rows of the living alone are counted without a look at each resource.
    if (const auto rows = renderer.living_rows(plan_.where, plan_.type)) {
        sql = fmt::format("SELECT count(DISTINCT rid) FROM ({}) AS r(rid)", *rows);
    } else {
        sql = "SELECT count(*)" + from_where(renderer, plan_, "");
    }
    return {std::move(sql), renderer.take_parameters()};
}

// --- what a caller may see, first ---

std::optional<std::string> Statements::reach(Renderer& renderer) const {
    const auto* all = std::get_if<AllOf>(&plan_.where.as_variant());
    if (all == nullptr || !all->first_admits) return std::nullopt;
    Conjuncts asked;
    for (std::size_t i = 1; i < all->parts.size(); ++i) add_conjuncts(all->parts[i], asked);
    const Condition* narrow = narrowest(all->parts.front(), asked);
    if (narrow != nullptr) return renderer.reach_of(*narrow, plan_.type);
    const auto charts = in_charts(all->parts.front(), asked);
    return renderer.reach_of(charts ? *charts : all->parts.front(), plan_.type);
}

std::optional<Statement> Statements::size_of_reach(std::size_t most) const {
    Renderer renderer(names_, known_, layout_);
    const auto rows = reach(renderer);
    if (!rows) return std::nullopt;
    return Statement{
        fmt::format("SELECT count(*) FROM (SELECT FROM ({}) AS q LIMIT {}) AS l", *rows, most),
        renderer.take_parameters()};
}

std::string Statements::from_admitted(Renderer& renderer, const std::string& joins) const {
    // With OFFSET each step is done before the next: no guess of the planner's puts another
    // condition, which hidden resources might satisfy, before the caller's rights.
    const Condition& access = std::get<AllOf>(plan_.where.as_variant()).parts.front();
    std::string sql = fmt::format(
        " FROM (SELECT c.rid FROM (SELECT DISTINCT q.rid FROM ({}) AS q(rid) OFFSET 0) AS c WHERE "
        "{} OFFSET 0) AS a CROSS JOIN LATERAL (SELECT x.* FROM meridian.resource x WHERE x.rid = "
        "a.rid OFFSET 0) AS r{} WHERE r.verb <> 3",
        *reach(renderer), renderer.predicate(access, "c", plan_.type), joins);
    if (plan_.type != 0) sql += fmt::format(" AND r.type = {}", plan_.type);
    return sql + renderer.others_about(plan_.where, access, "r", plan_.type);
}

Statement Statements::admitted() const {
    Renderer renderer(names_, known_, layout_);
    const Ordering ordering = ordering_of(plan_.order, renderer);
    std::string sql = "SELECT r.rid, r.patient" + from_admitted(renderer, ordering.joins);
    return page(std::move(sql), ordering.keys, renderer);
}

Statement Statements::count_admitted() const {
    Renderer renderer(names_, known_, layout_);
    std::string sql = "SELECT count(*)" + from_admitted(renderer, "");
    return {std::move(sql), renderer.take_parameters()};
}

// --- by row id ---

const Condition* Statements::driver(Renderer& renderer) const {
    if (known_.rarest != nullptr) return known_.rarest;
    constexpr int of_one_patient = 1;
    const auto is_chart = [](const Condition& part) {
        return std::holds_alternative<OfPatient>(part.as_variant());
    };
    const Condition* driver = nullptr;
    for (const Condition& part : parts_of(plan_.where)) {
        if (Rank::of(part) > of_one_patient) continue;
        // A chart holds one kind of what refers to the patient.
        if (driver == nullptr || (is_chart(part) && !is_chart(*driver))) driver = &part;
    }
    if (driver != nullptr) return driver;
    for (const Condition& part : parts_of(plan_.where)) {
        if (renderer.streams_of(part, plan_.type)) return &part;
    }
    return nullptr;
}

std::optional<Statement> Statements::rows_by_rid(std::size_t count) const {
    if (!plan_.order.empty() || layout_.is_sharded()) return std::nullopt;
    Renderer renderer(names_, known_, layout_);
    const Condition* driver = this->driver(renderer);
    if (driver == nullptr) return std::nullopt;
    const auto candidates = renderer.candidates(*driver, plan_.type, plan_.after);
    if (!candidates) return std::nullopt;
    std::string sql = fmt::format(
        "SELECT c.rid, 0::bigint FROM {} WHERE {}{} ORDER BY c.rid LIMIT {}", candidates->from,
        candidates->where, renderer.others_about(plan_.where, *driver, "c", plan_.type), count);
    return Statement{std::move(sql), renderer.take_parameters()};
}

// --- charts, newest first ---

const Condition* Statements::chart() const {
    if (plan_.order.size() != 1 || plan_.order.front().kind != SortKind::patient_date ||
        !plan_.order.front().descending)
        return nullptr;
    if (layout_.is_distributed() && !std::ranges::all_of(parts_of(plan_.where), lies_in_its_shard))
        return nullptr;
    for (const Condition& part : parts_of(plan_.where)) {
        const auto* path = std::get_if<OfPatient>(&part.as_variant());
        if (path == nullptr || (plan_.type != 0 && path->type != plan_.type)) continue;
        const auto occurring = known_.occurring.find(&path->codes);
        const std::size_t codes =
            occurring == known_.occurring.end() ? path->codes.size() : occurring->second.size();
        constexpr std::size_t ranges_max = 16;
        if (path->patients.size() * std::max<std::size_t>(codes, 1) <= ranges_max) return &part;
    }
    return nullptr;
}

Statement Statements::rows_of_chart(const Condition& path, std::size_t count) const {
    Renderer renderer(names_, known_, layout_);
    const std::string further =
        renderer.others_about(plan_.where, path, "c", plan_.type) + renderer.within_homes("c");
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

// --- one order, by the rows of a parameter ---

std::optional<SortTable> Statements::sort_table() const {
    if (plan_.order.size() != 1 || !plan_.order.front().also.empty()) return std::nullopt;
    const std::string of_param = fmt::format("s.param = {}", plan_.order.front().param);
    switch (plan_.order.front().kind) {
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
            if (plan_.type == 0) return std::nullopt;
            return SortTable{"idx_patient", "date",
                             fmt::format("s.type = {} AND s.code = 0 AND s.date <> "
                                         "('-9223372036854775808')",
                                         plan_.type),
                             "home"};
        default:
            return std::nullopt;
    }
}

Statement Statements::rows_in_order(const SortTable& sort, std::size_t count) const {
    Renderer renderer(names_, known_, layout_);
    const Order& order = plan_.order.front();
    const std::string_view direction = order.descending ? "DESC" : "ASC";
    const auto branch = [&](const std::string& further) {
        return fmt::format(
            "(SELECT s.rid, r.patient, s.{0} AS key{1} AND {6} AND {2}{3} "
            "ORDER BY s.{0} {4}, s.rid LIMIT {5})",
            sort.column, from_where(renderer, plan_, fmt::format(", meridian.{} s", sort.table)),
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

Statement Statements::rows_without_key(const SortTable& sort, std::size_t count) const {
    Renderer renderer(names_, known_, layout_);
    std::string sql = fmt::format(
        "SELECT r.rid, r.patient{} AND NOT EXISTS (SELECT FROM meridian.{} s WHERE {} AND {}) "
        "ORDER BY r.rid LIMIT {}",
        from_where(renderer, plan_, ""), sort.table, renderer.same_resource("s", "r", sort.home),
        sort.rows, count);
    return {std::move(sql), renderer.take_parameters()};
}

}  // namespace meridian::store::postgres

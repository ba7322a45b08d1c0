// SPDX-License-Identifier: Apache-2.0
// What is gone through one after the other: candidates, charts, counts.
#include "store/postgres/render.hpp"

#include <algorithm>

namespace meridian::store::postgres {

namespace {

/// How many there are, as an expression.
std::string resources_of(Name type) {
    return fmt::format(
        "(SELECT coalesce(sum(resources), 0)::bigint FROM meridian.type_count WHERE type = {})",
        type);
}

}  // namespace

std::pair<std::string, std::vector<const Condition*>> Renderer::counting(
    std::span<const Condition> parts, Name type, std::size_t count_max) {
    // What is rarer by its kind comes first: of each of the others no more is counted than of
    // those before it.
    std::vector<const Condition*> ranked;
    for (const Condition& part : parts) ranked.push_back(&part);
    std::ranges::stable_sort(ranked, {}, [](const Condition* part) { return Rank::of(*part); });
    std::string columns, from;
    std::string limit = std::to_string(count_max);
    std::vector<const Condition*> counted;
    const std::string of_all = resources_of(type);
    for (const Condition* part : ranked) {
        const auto [condition, of_type] = counted_by(*part, type);
        if (condition == nullptr || !is_of_own_rows(*condition)) continue;
        const auto set = set_of(*condition, of_type, Columns::rid);
        if (!set) continue;
        const std::string name = alias();
        from += fmt::format(
            "{0}(SELECT count(*) AS n FROM (SELECT FROM ({1}) AS s LIMIT {2}) AS l) AS {3}",
            from.empty() ? "" : " CROSS JOIN LATERAL ", *set, limit, name);
        const bool is_chain = std::holds_alternative<RefersTo>(part->as_variant());
        columns += is_chain ? fmt::format("{}.n * greatest(1, {} / greatest(1, {})), ", name,
                                          of_all, resources_of(of_type))
                            : name + ".n, ";
        if (!is_chain) limit = fmt::format("least({}, {}.n + 1)", limit, name);
        counted.push_back(part);
    }
    return {fmt::format("SELECT {}{} FROM {}", columns, of_all, from), std::move(counted)};
}

std::vector<std::string> Renderer::chart_ranges(const OfPatient& path) {
    std::vector<std::string> ranges;
    const std::vector<std::int64_t> any{0};
    for (const Rid patient : known(path.patients)) {
        for (const std::int64_t code : path.codes.empty() ? any : occurring(path.codes)) {
            const Leaf leaf = chart_rows(path.type, {code}, path.date_from, path.date_below);
            const std::string name = name_in(leaf);
            ranges.push_back(fmt::format(
                "SELECT {0}.rid, {0}.home AS patient, {0}.date FROM {1} WHERE {0}.patient = "
                "{2} AND {3}",
                name, leaf.from, literal(patient), leaf.where));
        }
    }
    return ranges;
}

std::optional<std::string> Renderer::living_rows(const Condition& condition, Name type) {
    if (is_sharded_ || !Living::implied_by(condition)) return std::nullopt;
    return set_of(condition, type, Columns::rid);
}

std::optional<Renderer::Candidates> Renderer::candidates(const Condition& driver, Name type,
                                                         Rid after) {
    const std::string name = alias();
    std::string rows;
    if (const auto streams = streams_of(driver, type)) {
        // The rows of each lie in this order: they are merged as far as they are asked for.
        for (const Leaf& leaf : *streams)
            rows += fmt::format("{}SELECT {} FROM {} WHERE {} AND {} > {}",
                                rows.empty() ? "" : " UNION ALL ", leaf.rid, leaf.from, leaf.where,
                                leaf.rid, after);
        rows = fmt::format("SELECT {0}.rid FROM ({1}) AS {0}(rid)", name, rows);
    } else if (const auto set = set_of(driver, type, Columns::rid)) {
        rows = fmt::format("SELECT DISTINCT {0}.rid FROM ({1}) AS {0}(rid) WHERE {0}.rid > {2}",
                           name, *set, after);
    } else {
        return std::nullopt;
    }
    std::string where = "true";
    const bool are_current =
        Living::implied_by(driver) || std::holds_alternative<OfPatient>(driver.as_variant());
    if (!are_current)
        where = fmt::format(
            "EXISTS (SELECT FROM meridian.resource t WHERE t.rid = c.rid AND t.verb <> 3{} "
            "OFFSET 0)",
            type == 0 ? "" : fmt::format(" AND t.type = {}", type));
    return Candidates{fmt::format("({} ORDER BY {}.rid OFFSET 0) AS c", rows, name), where};
}

std::optional<Leaves> Renderer::streams_of(const Condition& condition, Name type) {
    constexpr std::size_t merged_max = 16;
    Leaves streams;
    if (const auto* token = std::get_if<HasToken>(&condition.as_variant())) {
        const auto& values = occurring(token->values);
        if (values.size() > merged_max) return std::nullopt;
        for (const std::int64_t value : values) {
            Leaf& leaf = streams.emplace_back(rows_of("idx_token", token->param));
            leaf.where += fmt::format(" AND {}.value = {}", name_in(leaf), literal(value));
        }
    } else if (const auto* reference = std::get_if<HasReference>(&condition.as_variant())) {
        const auto targets = known(reference->targets);
        if (targets.size() > merged_max) return std::nullopt;
        for (const Rid target : targets) {
            Leaf& leaf = streams.emplace_back(rows_of("idx_reference", reference->param));
            leaf.where += fmt::format(" AND {}.target = {}", name_in(leaf), target);
        }
    } else if (const auto* member = std::get_if<InCompartment>(&condition.as_variant());
               member != nullptr && (member->type == 0 || member->type == type)) {
        streams = leaves(*member, type);
    }
    if (streams.empty()) return std::nullopt;
    return streams;
}

std::optional<std::string> Renderer::reach_of(const Condition& access, Name type) {
    if (is_sharded_) return std::nullopt;
    constexpr std::string_view nobody = "SELECT 0::bigint WHERE false";
    if (const auto* any = std::get_if<AnyOf>(&access.as_variant())) {
        std::string out(nobody);
        for (const Condition& part : any->parts) {
            const auto rows = reach_of(part, type);
            if (!rows) return std::nullopt;
            out += " UNION ALL " + *rows;
        }
        return out;
    }
    if (const auto* all = std::get_if<AllOf>(&access.as_variant())) {
        for (const Condition& part : all->parts) {
            if (auto rows = reach_of(part, type)) return rows;
        }
        return std::nullopt;
    }
    const bool is_of_named = std::holds_alternative<HasId>(access.as_variant()) ||
                             std::holds_alternative<HasReference>(access.as_variant()) ||
                             std::holds_alternative<OfPatient>(access.as_variant());
    if (!is_of_named) return std::nullopt;
    // Where the store knows none of them there is nothing.
    return set_of(access, type, Columns::rid).value_or(std::string(nobody));
}

std::string Renderer::others_about(const Condition& where, const Condition& driver,
                                   const std::string& alias, Name type) {
    std::string out;
    if (&where == &driver) return out;
    for (const Condition& part : std::get<AllOf>(where.as_variant()).parts) {
        if (&part != &driver) out += " AND " + conjunct(part, alias, type, no_sets);
    }
    return out;
}

bool Renderer::is_of_own_rows(const Condition& condition) {
    if (const auto* any = std::get_if<AnyOf>(&condition.as_variant()))
        return std::ranges::all_of(any->parts, is_of_own_rows);
    if (std::holds_alternative<RefersTo>(condition.as_variant()) ||
        std::holds_alternative<ReferredBy>(condition.as_variant()) ||
        std::holds_alternative<ChangedWithin>(condition.as_variant()) ||
        std::holds_alternative<AllOf>(condition.as_variant()))
        return false;
    constexpr int by_a_range = 5;
    return Rank::of(condition) <= by_a_range;
}

Renderer::CountedBy Renderer::counted_by(const Condition& part, Name type) {
    if (const auto* link = std::get_if<ReferredBy>(&part.as_variant()))
        return {link->source.get(), link->source_type};
    if (const auto* link = std::get_if<RefersTo>(&part.as_variant()))
        return {link->target.get(), link->target_type};
    return {&part, type};
}

}  // namespace meridian::store::postgres

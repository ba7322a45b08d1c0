// SPDX-License-Identifier: Apache-2.0
// Which index rows show a condition to hold.
#include "store/postgres/render.hpp"

#include <limits>

#include "store/engine/index_rows.hpp"
#include "store/postgres/keys.hpp"
#include "store/postgres/text_search.hpp"

namespace meridian::store::postgres {

Leaf Renderer::rows_of(std::string_view table, Name param) {
    const std::string name = alias();
    return {fmt::format("meridian.{} {}", table, name), fmt::format("{}.param = {}", name, param),
            name + ".rid", name + ".patient"};
}

Leaves Renderer::leaves(const HasToken& condition, Name) {
    const auto& values = occurring(condition.values);
    if (values.empty()) return {};
    Leaf leaf = rows_of("idx_token", condition.param);
    leaf.where += fmt::format(" AND {}.value = {}", name_in(leaf), integers(values));
    return {leaf};
}

Leaves Renderer::leaves(const HasTokenIn& condition, Name) {
    Leaf leaf = rows_of("idx_token", condition.param);
    leaf.where += fmt::format(" AND {}.value BETWEEN {} AND {}", name_in(leaf),
                              literal(condition.first), literal(condition.last));
    return {leaf};
}

Leaves Renderer::leaves(const HasString& condition, Name) {
    Leaf leaf = rows_of("idx_string", condition.param);
    const std::string name = name_in(leaf);
    const std::string asked = text(text_of(condition.text));
    switch (condition.match) {
        case StringMatch::starts:
            leaf.where += fmt::format(" AND {}.folded ^@ {}", name, asked);
            break;
        case StringMatch::exact:
            leaf.where += fmt::format(
                " AND CASE WHEN {0}.exact = '' THEN {0}.folded ELSE {0}.exact END = {1}", name,
                asked);
            break;
        case StringMatch::contains:
            leaf.where += fmt::format(" AND strpos({}.folded, {}) > 0", name, asked);
            break;
        case StringMatch::ends:
            leaf.where += fmt::format(" AND right({0}.folded, length({1})) = {1}", name, asked);
            break;
    }
    return {leaf};
}

Leaves Renderer::leaves(const HasDate& condition, Name) {
    Leaves both;
    for (const int span : {1, 0}) {
        Leaf leaf = rows_of("idx_date", condition.param);
        const std::string name = name_in(leaf);
        const DateBox& box = condition.box;
        if (!is_probing_) leaf.where += fmt::format(" AND {}.span = {}", name, span);
        if (box.lo_from) leaf.where += fmt::format(" AND {}.lo >= {}", name, literal(*box.lo_from));
        if (box.lo_below)
            leaf.where += fmt::format(" AND {}.lo < {}", name, literal(*box.lo_below));
        if (box.hi_above) {
            leaf.where += fmt::format(" AND {}.hi > {}", name, literal(*box.hi_above));
            // Of short rows, only those that start at most 32 days before can end after it.
            constexpr std::int64_t first = std::numeric_limits<std::int64_t>::min();
            if (!is_probing_ && span == 0 && *box.hi_above > first + short_span_milliseconds)
                leaf.where += fmt::format(" AND {}.lo >= {}", name,
                                          literal(*box.hi_above - short_span_milliseconds));
        }
        if (box.hi_to)  // lo is at most hi
            leaf.where +=
                fmt::format(" AND {0}.hi <= {1} AND {0}.lo <= {1}", name, literal(*box.hi_to));
        both.push_back(std::move(leaf));
        if (is_probing_) break;  // the rows of one resource are few: no key is walked
    }
    return both;
}

std::string Renderer::inside(const NumberBox& box, const std::string& name) {
    std::string out;
    if (box.lo_from) out += fmt::format(" AND {}.lo >= {}", name, real(*box.lo_from));
    if (box.lo_below) out += fmt::format(" AND {}.lo < {}", name, real(*box.lo_below));
    if (box.hi_above) out += fmt::format(" AND {}.hi > {}", name, real(*box.hi_above));
    if (box.hi_to) {
        const std::string to = real(*box.hi_to);
        out += fmt::format(" AND {0}.hi <= {1} AND {0}.lo <= {1}", name, to);
    }
    return out;
}

Leaves Renderer::leaves(const HasNumber& condition, Name) {
    Leaf leaf = rows_of("idx_number", condition.param);
    leaf.where += inside(condition.box, name_in(leaf));
    return {leaf};
}

Leaves Renderer::leaves(const HasQuantity& condition, Name) {
    Leaf leaf = rows_of("idx_quantity", condition.param);
    const std::string name = name_in(leaf);
    if (!condition.units.empty())
        leaf.where += fmt::format(" AND {}.unit IN ({})", name, fmt::join(condition.units, ","));
    leaf.where += inside(condition.box, name);
    return {leaf};
}

Leaves Renderer::leaves(const HasUri& condition, Name) {
    Leaf leaf = rows_of("idx_uri", condition.param);
    const std::string name = name_in(leaf);
    leaf.where += fmt::format(" AND {}.uri = {}", name, text(key_of(condition.uri)));
    if (!condition.below) return {leaf};
    Leaf under = rows_of("idx_uri", condition.param);
    under.where +=
        fmt::format(" AND {}.uri ^@ {}", name_in(under), text(key_of(condition.uri + "/")));
    return {leaf, under};
}

Leaves Renderer::leaves(const HasReference& condition, Name) {
    const auto targets = known(condition.targets);
    if (targets.empty()) return {};
    Leaf leaf = rows_of("idx_reference", condition.param);
    leaf.where += fmt::format(" AND {}.target = {}", name_in(leaf), integers(targets));
    return {leaf};
}

Leaves Renderer::leaves(const HasComposite& condition, Name) {
    const auto& keys = occurring(condition.keys);
    if (keys.empty()) return {};
    Leaf leaf = rows_of("idx_composite", condition.param);
    const std::string name = name_in(leaf);
    leaf.where += fmt::format(" AND {}.key = {}", name, integers(keys));
    if (!condition.seconds.empty())
        leaf.where += fmt::format(" AND {}.second = {}", name, integers(condition.seconds));
    leaf.where += inside(condition.box, name);
    if (condition.starts)
        leaf.where += fmt::format(" AND {}.folded ^@ {}", name, text(text_of(*condition.starts)));
    return {leaf};
}

Leaves Renderer::leaves(const HasText& condition, Name) {
    const std::string query = text_query(condition);
    if (query.empty()) return {};
    const std::string name = alias();
    parameters_.text(query);
    const bool content = names_.text(NameKind::parameter, condition.param).ends_with("_content");
    return {{fmt::format("meridian.idx_text {}", name),
             fmt::format("{}.words @@ {}::text::tsquery AND {}.field = {}", name, parameter(), name,
                         content ? 1 : 0),
             name + ".rid", name + ".patient"}};
}

Leaves Renderer::leaves(const HasAny& condition, Name) {
    Leaves all;
    const auto holds = known_.tables.find(condition.param);
    for (std::size_t i = 0; i < parameter_tables.size(); ++i) {
        if (holds == known_.tables.end() || holds->second[i])
            all.push_back(rows_of(parameter_tables[i].name, condition.param));
    }
    const std::string name = names_.text(NameKind::parameter, condition.param);
    if (name.ends_with("_text") || name.ends_with("_content"))
        all.push_back(rows_of("idx_text", condition.param));
    return all;
}

Leaves Renderer::leaves(const HasId& condition, Name type) {
    if (type != 0 && condition.type != type) return {};
    std::vector<Rid> rids;
    std::vector<Rid> homes;
    for (const std::string& id : condition.ids) {
        const auto found = known_.places.find({condition.type, id});
        if (found == known_.places.end()) continue;
        rids.push_back(found->second.rid);
        if (found->second.home) homes.push_back(*found->second.home);
    }
    if (rids.empty()) return {};
    const std::string name = alias();
    parameters_.integers(rids);
    const std::string list = parameter();
    if (!is_sharded_ || homes.size() != rids.size())
        return {{fmt::format("unnest({}::bigint[]) AS {}(rid)", list, name), "true", name + ".rid",
                 ""}};
    parameters_.integers(homes);
    return {{fmt::format("unnest({}::bigint[], {}::bigint[]) AS {}(rid, home)", list, parameter(),
                         name),
             "true", name + ".rid", name + ".home"}};
}

Leaves Renderer::to_targets(const RefersTo& condition) {
    const std::string name = alias();
    std::string target = predicate(*condition.target, name, condition.target_type);
    if (!Living::implied_by(*condition.target)) {
        const std::string resource = "t" + alias();
        target = fmt::format(
            "EXISTS (SELECT FROM meridian.resource {0} WHERE {0}.rid = {1}.rid AND {0}.verb <> "
            "3 AND {0}.type = {2} AND {3} OFFSET 0)",
            resource, name, condition.target_type,
            predicate(*condition.target, resource, condition.target_type));
    }
    return {{fmt::format("(SELECT f.rid AS source, f.target AS rid FROM meridian.idx_reference "
                         "f WHERE f.param = {}) AS {}",
                         condition.param, name),
             target, name + ".source", ""}};
}

Leaves Renderer::leaves(const RefersTo& condition, Name) {
    if (!condition.target) return {};
    if (is_probing_ && !is_sharded_) return to_targets(condition);
    Leaf leaf = rows_of("idx_reference", condition.param);
    leaf.where += fmt::format(" AND {}.target IN ({})", name_in(leaf),
                              living(*condition.target, condition.target_type, Columns::rid));
    return {leaf};
}

Leaves Renderer::in_chart(const ReferredBy& condition) {
    const ChartRange& chart = *condition.chart;
    const auto& codes = occurring(chart.codes);
    if (codes.empty() != chart.codes.empty()) return {};
    Leaf leaf = chart_rows(chart.type, codes, chart.date_from, chart.date_below);
    const std::string name = name_in(leaf);
    Leaf reference = rows_of("idx_reference", condition.param);
    reference.where += fmt::format(" AND {}.target = {}.patient", name_in(reference), name);
    leaf.where += " AND " + exists(reference, name) + " AND " +
                  predicate(*condition.source, name, condition.source_type);
    leaf.rid = name + ".patient";
    return {std::move(leaf)};
}

Leaves Renderer::leaves(const ReferredBy& condition, Name) {
    if (!condition.source) return {};
    if (is_probing_ && !is_sharded_ && condition.chart) return in_chart(condition);
    Leaf leaf = rows_of("idx_reference", condition.param);
    const std::string name = name_in(leaf);
    leaf.where +=
        is_sharded_ ? fmt::format(" AND ({0}.patient, {0}.rid) IN ({1})", name,
                                  living(*condition.source, condition.source_type, Columns::place))
                    : fmt::format(" AND {}.rid IN ({})", name,
                                  living(*condition.source, condition.source_type, Columns::rid));
    leaf.rid = name + ".target";
    leaf.home.clear();  // that of the source is another's
    return {leaf};
}

Leaves Renderer::leaves(const OfPatient& condition, Name type) {
    if (type != 0 && condition.type != type) return {};
    const auto patients = known(condition.patients);
    if (patients.empty()) return {};
    Leaf leaf =
        chart_rows(condition.type, condition.codes, condition.date_from, condition.date_below);
    leaf.where =
        fmt::format("{}.patient = {} AND {}", name_in(leaf), integers(patients), leaf.where);
    return {std::move(leaf)};
}

Leaf Renderer::chart_rows(Name type, std::vector<std::int64_t> codes, std::int64_t date_from,
                          std::int64_t date_below) {
    const std::string name = alias();
    if (codes.empty()) codes.push_back(0);
    std::string where =
        fmt::format("{0}.type = {1} AND {0}.code = {2}", name, type, integers(codes));
    if (date_from != std::numeric_limits<std::int64_t>::min())
        where += fmt::format(" AND {}.date >= {}", name, literal(date_from));
    if (date_below != std::numeric_limits<std::int64_t>::max())
        where += fmt::format(" AND {}.date < {}", name, literal(date_below));
    return {fmt::format("meridian.idx_patient {}", name), where, name + ".rid", name + ".home"};
}

Leaves Renderer::leaves(const InCompartment& condition, Name type) {
    if (type != 0 && condition.type != 0 && condition.type != type) return {};
    const auto patient = known({condition.patient});
    if (patient.empty()) return {};
    const std::string member = alias();
    const std::string self = alias();
    Leaf in{fmt::format("meridian.compartment {}", member),
            fmt::format("{}.patient = {}", member, patient.front()), member + ".rid",
            member + ".home", true};
    if (condition.type != 0 && type == 0) in = of_type(in, condition.type);
    Leaves both{std::move(in)};
    if (condition.type == 0 || condition.type == condition.patient.type)
        both.push_back({fmt::format("(VALUES ({}::bigint, {}::bigint)) AS {}(rid, home)",
                                    patient.front(), home_of(condition.patient), self),
                        "true", self + ".rid", self + ".home"});
    return both;
}

Leaf Renderer::of_type(const Leaf& leaf, Name type) {
    const std::string name = alias();
    return {fmt::format("meridian.resource {}", name),
            fmt::format("{0}.type = {1} AND {2} IN ({3})", name, type,
                        is_sharded_ ? fmt::format("({0}.patient, {0}.rid)", name) : name + ".rid",
                        *rows_as(leaf, is_sharded_ ? Columns::place : Columns::rid)),
            name + ".rid", name + ".patient"};
}

Leaves Renderer::leaves(const ChangedWithin& condition, Name type) {
    if (condition.below <= condition.from) return {};
    const std::string entry = alias();
    const std::string current = alias();
    std::string where = fmt::format("{0}.kind = 0 AND {0}.position >= {1} AND {0}.position < {2}",
                                    entry, literal(condition.from), literal(condition.below));
    if (type != 0) where += fmt::format(" AND {}.type = {}", entry, type);
    return {{fmt::format("meridian.log {0} JOIN meridian.resource {1} ON {1}.rid = {0}.rid AND "
                         "{1}.version = {0}.version",
                         entry, current),
             where, entry + ".rid", current + ".patient", true}};
}

}  // namespace meridian::store::postgres

// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/known.hpp"

#include <algorithm>

#include "store/postgres/directory.hpp"
#include "store/postgres/keys.hpp"

namespace meridian::store::postgres {

namespace {

struct Mentions {
    std::vector<Identity> found{};
    bool looks_at_log = false;
    /// Lists of codes: of a parameter's tokens or composites, or of charts.
    struct Codes {
        Name param;
        const std::vector<std::int64_t>* values;
    };
    std::vector<Codes> tokens{}, composites{};
    std::vector<const OfPatient*> charts{};
    std::vector<Name> any_of_parameters{};

    static bool is_worth_asking(const std::vector<std::int64_t>& values) {
        constexpr std::size_t values_max = 256;  // more are a value set, of which many occur
        return values.size() > 1 && values.size() <= values_max;
    }
    void chart(const std::optional<ChartRange>& range) {
        if (range && is_worth_asking(range->codes))
            tokens.push_back({range->code_param, &range->codes});
    }

    void parts(const Conditions& conditions) {
        for (const Condition& part : conditions) visit(part);
    }
    void operator()(const AllOf& condition) { parts(condition.parts); }
    void operator()(const AnyOf& condition) { parts(condition.parts); }
    void operator()(const NoneOf& condition) { parts(condition.parts); }
    void operator()(const HasId& condition) {
        for (const std::string& id : condition.ids) found.push_back({condition.type, id});
    }
    void operator()(const HasReference& condition) {
        found.insert(found.end(), condition.targets.begin(), condition.targets.end());
    }
    void operator()(const HasToken& condition) {
        if (is_worth_asking(condition.values))
            tokens.push_back({condition.param, &condition.values});
    }
    void operator()(const HasComposite& condition) {
        if (is_worth_asking(condition.keys))
            composites.push_back({condition.param, &condition.keys});
    }
    void operator()(const OfPatient& condition) {
        if (is_worth_asking(condition.codes)) charts.push_back(&condition);
        found.insert(found.end(), condition.patients.begin(), condition.patients.end());
    }
    void operator()(const HasAny& condition) { any_of_parameters.push_back(condition.param); }
    void operator()(const InCompartment& condition) { found.push_back(condition.patient); }
    void operator()(const ChangedWithin&) { looks_at_log = true; }
    void operator()(const RefersTo& condition) {
        chart(condition.chart);
        if (condition.target) visit(*condition.target);
    }
    void operator()(const ReferredBy& condition) {
        chart(condition.chart);
        if (condition.source) visit(*condition.source);
    }
    template <class Other>
    void operator()(const Other&) {}

    void visit(const Condition& condition) { std::visit(*this, condition.as_variant()); }
};

/// The patients that every match of a condition concerns one of; nothing when that is not said.
struct Concerned {
    std::optional<std::vector<Identity>> operator()(const OfPatient& condition) const {
        // A chart may be kept for what is no resource, which has no compartment.
        const auto is_resource = [](const Identity& patient) { return patient.type != 0; };
        if (!std::ranges::all_of(condition.patients, is_resource)) return std::nullopt;
        return condition.patients;
    }
    std::optional<std::vector<Identity>> operator()(const HasReference& condition) const {
        if (!condition.concerns_targets) return std::nullopt;
        return condition.targets;
    }
    std::optional<std::vector<Identity>> operator()(const InCompartment& condition) const {
        return std::vector<Identity>{condition.patient};
    }
    std::optional<std::vector<Identity>> operator()(const AllOf& condition) const {
        for (const Condition& part : condition.parts) {
            if (auto patients = std::visit(*this, part.as_variant())) return patients;
        }
        return std::nullopt;
    }
    std::optional<std::vector<Identity>> operator()(const AnyOf& condition) const {
        std::vector<Identity> all;
        for (const Condition& part : condition.parts) {
            const auto patients = std::visit(*this, part.as_variant());
            if (!patients) return std::nullopt;
            all.insert(all.end(), patients->begin(), patients->end());
        }
        return all;
    }
    template <class Other>
    std::optional<std::vector<Identity>> operator()(const Other&) const {
        return std::nullopt;
    }
};

/// What concerns a patient lies with that patient, but for what others are concerned by too.
Result<void> ask_homes(Connection& connection, const Plan& plan, Known& known) {
    const auto patients = std::visit(Concerned(), plan.where.as_variant());
    constexpr std::size_t patients_max = 100;  // beyond it is a question to all shards
    if (!patients || patients->size() > patients_max) return {};
    std::vector<Rid> homes;
    std::vector<Rid> own;  // a patient mostly lies with itself
    for (const Identity& patient : *patients) {
        const auto found = known.places.find({patient.type, patient.id});
        if (found == known.places.end()) continue;
        homes.push_back(found->second.rid);
        if (const auto home = found->second.home; home && *home != found->second.rid)
            own.push_back(*home);
    }
    if (!homes.empty()) {
        const Answer elsewhere =
            TRY(connection.ask("SELECT DISTINCT home FROM meridian.compartment "
                               "WHERE patient = ANY($1::bigint[]) AND home <> patient",
                               std::move(Parameters().integers(homes))));
        for (int row = 0; row < elsewhere.size(); ++row) homes.push_back(elsewhere.integer(row, 0));
    }
    homes.insert(homes.end(), own.begin(), own.end());
    known.homes = std::move(homes);
    return {};
}

/// Which pairs of (param, code) a table has rows of.
void send_codes(Connection& connection, const std::vector<Mentions::Codes>& lists,
                std::string_view table, std::string_view column) {
    std::vector<Name> params;
    std::vector<std::int64_t> values;
    for (const auto& list : lists) {
        params.insert(params.end(), list.values->size(), list.param);
        values.insert(values.end(), list.values->begin(), list.values->end());
    }
    connection.send(
        fmt::format("SELECT EXISTS (SELECT FROM meridian.{} i WHERE i.param = w.param "
                    "AND i.{} = w.code OFFSET 0) FROM unnest($1::integer[], $2::bigint[]) "
                    "WITH ORDINALITY AS w(param, code, place) ORDER BY w.place",
                    table, column),
        std::move(Parameters().smalls(params).integers(values)));
}

/// Takes an answer to it: a row for each code of each list.
void take_codes(const Answer& rows, const std::vector<Mentions::Codes>& lists, Known& known) {
    int row = 0;
    for (const auto& list : lists) {
        auto& occurring = known.occurring[list.values];
        occurring.clear();
        for (const std::int64_t value : *list.values) {
            if (rows.integer(row++, 0) != 0) occurring.push_back(value);
        }
    }
}

void send_tables(Connection& connection, const std::vector<Name>& params) {
    std::string columns;
    // In the order of an index: PostgreSQL would read all of a table for the first of many rows,
    // of which there may be none.
    for (const ParameterTable& table : parameter_tables)
        columns += fmt::format(
            "{}EXISTS (SELECT FROM meridian.{} i WHERE i.param = w.param ORDER BY i.{} OFFSET 0)",
            columns.empty() ? "" : ", ", table.name, table.column);
    connection.send(fmt::format("SELECT {} FROM unnest($1::integer[]) WITH ORDINALITY AS w(param, "
                                "place) ORDER BY w.place",
                                columns),
                    std::move(Parameters().smalls(params)));
}

void take_tables(const Answer& rows, const std::vector<Name>& params, Known& known) {
    for (std::size_t row = 0; row < params.size(); ++row) {
        auto& holds = known.tables[params[row]];
        holds.assign(parameter_tables.size(), false);
        for (std::size_t i = 0; i < holds.size(); ++i)
            holds[i] = rows.integer(static_cast<int>(row), static_cast<int>(i)) != 0;
    }
}

/// Which codes a chart has, of all its patients.
Result<void> ask_chart_codes(Connection& connection, const OfPatient& chart, Known& known) {
    std::vector<Rid> patients;
    for (const Identity& patient : chart.patients) {
        const auto place = known.places.find({patient.type, patient.id});
        if (place != known.places.end()) patients.push_back(place->second.rid);
    }
    constexpr std::size_t look_ups_max = 2'000;
    if (patients.empty() || patients.size() * chart.codes.size() > look_ups_max) return {};
    const Answer rows = TRY(connection.ask(
        "SELECT c.code FROM unnest($3::bigint[]) AS c(code) WHERE EXISTS (SELECT FROM "
        "meridian.idx_patient i WHERE i.patient = ANY($1::bigint[]) AND i.type = $2 AND "
        "i.code = c.code OFFSET 0)",
        std::move(Parameters().integers(patients).small(chart.type).integers(chart.codes))));
    auto& occurring = known.occurring[&chart.codes];
    for (int row = 0; row < rows.size(); ++row) occurring.push_back(rows.integer(row, 0));
    return {};
}

/// What of the lists of codes occurs. In sharded layouts that would ask all shards, so only charts
/// are asked, which lie with their patients; and Citus does not take such a question.
Result<void> ask_occurring(Connection& connection, const Mentions& mentions, const Layout& layout,
                           Known& known) {
    if (layout.is_distributed()) return {};
    for (const OfPatient* chart : mentions.charts) TRY(ask_chart_codes(connection, *chart, known));
    if (layout.is_sharded()) return {};
    if (!mentions.tokens.empty()) send_codes(connection, mentions.tokens, "idx_token", "value");
    if (!mentions.composites.empty())
        send_codes(connection, mentions.composites, "idx_composite", "key");
    if (!mentions.any_of_parameters.empty()) send_tables(connection, mentions.any_of_parameters);
    if (!connection.has_queued()) return {};
    const auto answers = TRY(connection.flush());
    auto answer = answers.begin();
    if (!mentions.tokens.empty()) take_codes(*answer++, mentions.tokens, known);
    if (!mentions.composites.empty()) take_codes(*answer++, mentions.composites, known);
    if (!mentions.any_of_parameters.empty())
        take_tables(*answer, mentions.any_of_parameters, known);
    return {};
}

/// Where the identities stand that a plan mentions.
Result<void> ask_places(Connection& connection, const std::vector<Identity>& identities,
                        const Layout& layout, Known& known) {
    if (identities.empty()) return {};
    std::vector<std::string> keys;
    keys.reserve(identities.size());
    for (const Identity& identity : identities) keys.push_back(byte_key_of(identity.id));
    const Answer rows = TRY(connection.ask(
        fmt::format("SELECT w.place, d.rid, d.home "
                    "FROM unnest($1::integer[], $2::bytea[]) WITH ORDINALITY "
                    "AS w(type, key, place) JOIN meridian.directory d "
                    "ON d.type = w.type AND d.key = w.key{}",
                    Directory::only_shards_of_keys(layout)),
        std::move(Parameters()
                      .column(identities, [](const Identity& i) { return i.type; })
                      .column(keys, [](const std::string& k) { return Parameters::Bytes{k}; }))));
    for (int row = 0; row < rows.size(); ++row) {
        const Identity& identity = identities[static_cast<std::size_t>(rows.integer(row, 0)) - 1];
        Place& place = known.places[{identity.type, identity.id}];
        place.rid = rows.integer(row, 1);
        if (!rows.is_null(row, 2)) place.home = rows.integer(row, 2);
    }
    return {};
}

}  // namespace

Result<Known> ask_known(Connection& connection, const Plan& plan, const Layout& layout) {
    Known known;
    Mentions mentions;
    mentions.visit(plan.where);
    if (mentions.looks_at_log)
        known.log_end = TRY(connection.integer("SELECT max(position) + 1 FROM meridian.log", 0));
    TRY(ask_places(connection, mentions.found, layout, known));
    TRY(ask_occurring(connection, mentions, layout, known));
    if (layout.is_sharded() && !mentions.found.empty()) TRY(ask_homes(connection, plan, known));
    return known;
}

}  // namespace meridian::store::postgres

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
    void operator()(const OfPatient& condition) {
        found.insert(found.end(), condition.patients.begin(), condition.patients.end());
    }
    void operator()(const InCompartment& condition) { found.push_back(condition.patient); }
    void operator()(const ChangedWithin&) { looks_at_log = true; }
    void operator()(const RefersTo& condition) {
        if (condition.target) visit(*condition.target);
    }
    void operator()(const ReferredBy& condition) {
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

}  // namespace

Result<Known> ask_known(Connection& connection, const Plan& plan, const Layout& layout) {
    Known known;
    Mentions mentions;
    mentions.visit(plan.where);
    if (mentions.looks_at_log)
        known.log_end = TRY(connection.integer("SELECT max(position) + 1 FROM meridian.log", 0));
    if (mentions.found.empty()) return known;
    std::vector<std::string> keys;
    keys.reserve(mentions.found.size());
    for (const Identity& identity : mentions.found) keys.push_back(byte_key_of(identity.id));
    const Answer rows = TRY(connection.ask(
        fmt::format("SELECT w.place, d.rid, d.home "
                    "FROM unnest($1::integer[], $2::bytea[]) WITH ORDINALITY "
                    "AS w(type, key, place) JOIN meridian.directory d "
                    "ON d.type = w.type AND d.key = w.key{}",
                    Directory::only_shards_of_keys(layout)),
        std::move(Parameters()
                      .column(mentions.found, [](const Identity& i) { return i.type; })
                      .column(keys, [](const std::string& k) { return Parameters::Bytes{k}; }))));
    for (int row = 0; row < rows.size(); ++row) {
        const Identity& identity =
            mentions.found[static_cast<std::size_t>(rows.integer(row, 0)) - 1];
        Place& place = known.places[{identity.type, identity.id}];
        place.rid = rows.integer(row, 1);
        if (!rows.is_null(row, 2)) place.home = rows.integer(row, 2);
    }
    if (layout.is_sharded()) TRY(ask_homes(connection, plan, known));
    return known;
}

}  // namespace meridian::store::postgres

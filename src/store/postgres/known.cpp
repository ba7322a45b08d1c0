// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/known.hpp"

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

}  // namespace

Result<Known> ask_known(Connection& connection, const Plan& plan) {
    Known known;
    Rids& rids = known.rids;
    Mentions mentions;
    mentions.visit(plan.where);
    if (mentions.looks_at_log)
        known.log_end = TRY(connection.integer("SELECT max(position) + 1 FROM meridian.log", 0));
    if (mentions.found.empty()) return known;
    std::vector<std::string> keys;
    keys.reserve(mentions.found.size());
    for (const Identity& identity : mentions.found) keys.push_back(byte_key_of(identity.id));
    const Answer rows = TRY(connection.ask(
        "SELECT w.place, d.rid FROM unnest($1::integer[], $2::bytea[]) WITH ORDINALITY "
        "AS w(type, key, place) JOIN meridian.directory d ON d.type = w.type AND d.key = w.key",
        std::move(Parameters()
                      .column(mentions.found, [](const Identity& i) { return i.type; })
                      .column(keys, [](const std::string& k) { return Parameters::Bytes{k}; }))));
    for (int row = 0; row < rows.size(); ++row) {
        const Identity& identity =
            mentions.found[static_cast<std::size_t>(rows.integer(row, 0)) - 1];
        rids[{identity.type, identity.id}] = rows.integer(row, 1);
    }
    return known;
}

}  // namespace meridian::store::postgres

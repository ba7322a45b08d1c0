// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/directory.hpp"

#include "store/postgres/keys.hpp"

namespace meridian::store::postgres {

namespace {

constexpr Rid rids_of_a_block = 4'096;

bool by_key(const Identity& left, const Identity& right) {
    return std::tie(left.type, left.id) < std::tie(right.type, right.id);
}

}  // namespace

void Directory::want(const Identity& identity) {
    if (known_.emplace(identity, 0).second) wanted_.push_back(identity);
}

void Directory::want_new(const Identity& identity) {
    // 0 stands for a rid to come: whoever wants it from now on need not look it up.
    if (known_.emplace(identity, 0).second) added_.push_back(identity);
}

Result<void> Directory::reserve(Connection& connection, std::size_t count) {
    std::size_t free = 0;
    for (const auto& [first, below] : blocks_) free += static_cast<std::size_t>(below - first);
    if (free >= count) return {};
    const auto blocks =
        static_cast<std::int64_t>((count - free + rids_of_a_block - 1) / rids_of_a_block);
    const Answer rows = TRY(
        connection.ask("SELECT nextval('meridian.rid_block') FROM generate_series(1, $1::bigint)",
                       std::move(Parameters().integer(blocks))));
    for (int row = 0; row < rows.size(); ++row) {
        const Rid first = (rows.integer(row, 0) - 1) * rids_of_a_block + 1;
        blocks_.emplace_back(first, first + rids_of_a_block);
    }
    return {};
}

Rid Directory::next_rid() {
    auto& [first, below] = blocks_.front();
    const Rid rid = first++;
    if (first == below) blocks_.erase(blocks_.begin());
    return rid;
}

Result<void> Directory::prefetch(Connection& connection) {
    if (wanted_.empty() && added_.empty()) return {};
    TRY(reserve(connection, wanted_.size() + added_.size()));
    // In the order in which they came, so that what was written together lies together.
    for (const Identity& identity : added_) known_[identity] = next_rid();
    // Another server that writes the same identity at the same moment wins or waits: then the
    // statement neither adds nor sees it, and the next one does.
    while (!wanted_.empty()) TRY(look_up(connection));
    return {};
}

Result<void> Directory::look_up(Connection& connection) {
    // Always in the same order: two servers that write the same identities wait for one another at
    // most once.
    std::sort(wanted_.begin(), wanted_.end(), by_key);
    std::vector<std::string> keys;
    std::vector<Rid> rids;
    keys.reserve(wanted_.size());
    for (const Identity& identity : wanted_) {
        keys.push_back(byte_key_of(identity.id));
        rids.push_back(next_rid());
    }
    const Answer rows = TRY(connection.ask(
        "WITH wanted AS MATERIALIZED ("
        "SELECT w.type, w.key, w.rid, w.place, d.rid AS known "
        "FROM unnest($1::integer[], $2::bytea[], $3::bigint[]) "
        "WITH ORDINALITY AS w(type, key, rid, place) "
        "LEFT JOIN meridian.directory d ON d.type = w.type AND d.key = w.key), "
        "added AS (INSERT INTO meridian.directory(type, key, rid) "
        "SELECT type, key, rid FROM wanted WHERE known IS NULL ORDER BY place "
        "ON CONFLICT DO NOTHING RETURNING type, key, rid) "
        "SELECT w.place, coalesce(w.known, a.rid) FROM wanted w "
        "LEFT JOIN added a ON a.type = w.type AND a.key = w.key",
        std::move(Parameters()
                      .column(wanted_, [](const Identity& i) { return i.type; })
                      .column(keys, [](const std::string& k) { return Parameters::Bytes{k}; })
                      .integers(rids))));
    std::vector<Identity> missed;
    for (int row = 0; row < rows.size(); ++row) {
        const Identity& identity = wanted_[static_cast<std::size_t>(rows.integer(row, 0)) - 1];
        if (rows.is_null(row, 1)) {
            missed.push_back(identity);
        } else {
            known_[identity] = rows.integer(row, 1);
        }
    }
    wanted_ = std::move(missed);
    return wanted_.empty() ? Result<void>() : reserve(connection, wanted_.size());
}

void Directory::send_added(Connection& connection) {
    if (added_.empty()) return;
    std::sort(added_.begin(), added_.end(), by_key);
    std::vector<std::string> keys;
    keys.reserve(added_.size());
    for (const Identity& identity : added_) keys.push_back(byte_key_of(identity.id));
    connection.send(
        "INSERT INTO meridian.directory(type, key, rid) "
        "SELECT * FROM unnest($1::integer[], $2::bytea[], $3::bigint[])",
        std::move(Parameters()
                      .column(added_, [](const Identity& i) { return i.type; })
                      .column(keys, [](const std::string& k) { return Parameters::Bytes{k}; })
                      .column(added_, [this](const Identity& i) { return known_.at(i); })));
}

void Directory::finish(bool committed) {
    if (!committed) {
        for (const Identity& identity : added_) known_.erase(identity);
        for (const Identity& identity : wanted_) known_.erase(identity);
    }
    added_.clear();
    wanted_.clear();
    // Rarely, and all at once: what is used often is soon known again.
    if (known_.size() > remembered_max_) known_.clear();
}

}  // namespace meridian::store::postgres

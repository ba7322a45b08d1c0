// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/directory.hpp"

#include "store/postgres/keys.hpp"

namespace meridian::store::postgres {

namespace {

constexpr Rid rids_of_a_block = 4'096;

/// Identities as the arrays of a statement: types, then keys.
struct Columns {
    const std::vector<Identity>& identities;
    std::vector<std::string> keys;

    Parameters parameters() const {
        return std::move(
            Parameters()
                .column(identities, [](const Identity& identity) { return identity.type; })
                .column(keys, [](const std::string& key) { return Parameters::Bytes{key}; }));
    }
};

Columns columns_of(const std::vector<Identity>& identities) {
    Columns columns{identities, {}};
    columns.keys.reserve(identities.size());
    for (const Identity& identity : identities) columns.keys.push_back(byte_key_of(identity.id));
    return columns;
}

bool by_key(const Identity& left, const Identity& right) {
    return std::tie(left.type, left.id) < std::tie(right.type, right.id);
}

}  // namespace

void Directory::want(const Identity& identity) {
    if (known_.emplace(identity, 0).second) wanted_.push_back(identity);
}

void Directory::ask(const Identity& identity) {
    if (!known_.contains(identity)) asked_.push_back(identity);
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
    if (!asked_.empty()) {
        TRY(read_known(connection, asked_));
        asked_.clear();
    }
    if (wanted_.empty() && added_.empty()) return {};
    TRY(reserve(connection, added_.size()));
    // In the order in which they came, so that what was written together lies together.
    for (const Identity& identity : added_) known_[identity] = next_rid();
    // Another server that writes the same identity at the same moment wins or waits: then the
    // statement neither adds nor sees it, and the next one does.
    while (!wanted_.empty()) TRY(look_up(connection));
    return {};
}

Result<void> Directory::read_known(Connection& connection,
                                   const std::vector<Identity>& identities) {
    const Columns columns = columns_of(identities);
    const Answer rows = TRY(connection.ask(
        fmt::format("SELECT w.place, d.rid FROM unnest($1::integer[], $2::bytea[]) WITH ORDINALITY "
                    "AS w(type, key, place) JOIN meridian.directory d "
                    "ON d.type = w.type AND d.key = w.key{}",
                    only_shards_of_keys(layout_)),
        columns.parameters()));
    for (int row = 0; row < rows.size(); ++row)
        known_[identities[static_cast<std::size_t>(rows.integer(row, 0)) - 1]] =
            rows.integer(row, 1);
    return {};
}

Result<void> Directory::look_up(Connection& connection) {
    // Always in the same order: two servers that write the same identities wait for one another at
    // most once.
    std::sort(wanted_.begin(), wanted_.end(), by_key);
    TRY(read_known(connection, wanted_));
    std::erase_if(wanted_, [this](const Identity& identity) { return known_.at(identity) != 0; });
    return wanted_.empty() ? Result<void>() : add_missing(connection);
}

Result<void> Directory::add_missing(Connection& connection) {
    TRY(reserve(connection, wanted_.size()));
    std::vector<Rid> rids;
    rids.reserve(wanted_.size());
    for (std::size_t i = 0; i < wanted_.size(); ++i) rids.push_back(next_rid());
    const Columns columns = columns_of(wanted_);
    const Answer added =
        TRY(connection.ask("INSERT INTO meridian.directory(type, key, rid) "
                           "SELECT * FROM unnest($1::integer[], $2::bytea[], $3::bigint[]) "
                           "ON CONFLICT DO NOTHING RETURNING rid",
                           std::move(columns.parameters().integers(rids))));
    std::unordered_map<Rid, const Identity*> by_rid;
    for (std::size_t i = 0; i < wanted_.size(); ++i) by_rid[rids[i]] = &wanted_[i];
    for (int row = 0; row < added.size(); ++row)
        known_[*by_rid.at(added.integer(row, 0))] = added.integer(row, 0);
    std::erase_if(wanted_, [this](const Identity& identity) { return known_.at(identity) != 0; });
    return {};
}

Result<std::vector<std::optional<Rid>>> Directory::homes(
    Connection& connection, const std::vector<const Identity*>& identities) const {
    std::vector<std::optional<Rid>> homes(identities.size());
    if (identities.empty()) return homes;
    std::vector<std::string> keys;
    keys.reserve(identities.size());
    for (const Identity* identity : identities) keys.push_back(byte_key_of(identity->id));
    const Answer rows = TRY(connection.ask(
        fmt::format(
            "SELECT w.place, d.home FROM unnest($1::integer[], $2::bytea[]) WITH ORDINALITY "
            "AS w(type, key, place) JOIN meridian.directory d "
            "ON d.type = w.type AND d.key = w.key{} WHERE d.home IS NOT NULL",
            only_shards_of_keys(layout_)),
        std::move(Parameters()
                      .column(identities, [](const Identity* i) { return i->type; })
                      .column(keys, [](const std::string& k) { return Parameters::Bytes{k}; }))));
    for (int row = 0; row < rows.size(); ++row)
        homes[static_cast<std::size_t>(rows.integer(row, 0)) - 1] = rows.integer(row, 1);
    return homes;
}

void Directory::send_changes(Connection& connection) {
    send_added(connection);
    send_homes(connection);
}

void Directory::send_added(Connection& connection) {
    if (added_.empty()) return;
    std::sort(added_.begin(), added_.end(), by_key);
    constexpr Rid nowhere = -1;
    std::vector<Rid> homes;
    homes.reserve(added_.size());
    for (const Identity& identity : added_) {
        const auto home = homes_.extract(identity);
        homes.push_back(home.empty() ? nowhere : home.mapped());
    }
    connection.send(
        "INSERT INTO meridian.directory(type, key, rid, home) "
        "SELECT a.type, a.key, a.rid, nullif(a.home, -1) FROM "
        "unnest($1::integer[], $2::bytea[], $3::bigint[], $4::bigint[]) AS a(type, key, rid, home)",
        std::move(columns_of(added_)
                      .parameters()
                      .column(added_, [this](const Identity& i) { return known_.at(i); })
                      .integers(homes)));
}

void Directory::send_homes(Connection& connection) {
    if (homes_.empty()) return;
    std::vector<Identity> moved;
    moved.reserve(homes_.size());
    for (const auto& [identity, home] : homes_) moved.push_back(identity);
    std::sort(moved.begin(), moved.end(), by_key);
    connection.send(
        fmt::format("UPDATE meridian.directory d SET home = u.home "
                    "FROM unnest($1::integer[], $2::bytea[], $3::bigint[]) AS u(type, key, home) "
                    "WHERE d.type = u.type AND d.key = u.key{}",
                    only_shards_of_keys(layout_)),
        std::move(columns_of(moved).parameters().column(
            moved, [this](const Identity& i) { return homes_.at(i); })));
    homes_.clear();
}

void Directory::forget() {
    known_.clear();
    blocks_.clear();
    homes_.clear();
    added_.clear();
    wanted_.clear();
    asked_.clear();
}

void Directory::finish(bool committed) {
    if (!committed) {
        for (const Identity& identity : added_) known_.erase(identity);
        for (const Identity& identity : wanted_) known_.erase(identity);
    }
    added_.clear();
    wanted_.clear();
    asked_.clear();
    // Rarely, and all at once: what is used often is soon known again.
    if (known_.size() > remembered_max_) known_.clear();
}

}  // namespace meridian::store::postgres

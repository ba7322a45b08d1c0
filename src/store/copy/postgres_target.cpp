// SPDX-License-Identifier: Apache-2.0
// All that a migration writes into PostgreSQL stands in this file.
#include <chrono>
#include <filesystem>
#include <thread>

#include "base/hash.hpp"
#include "base/limits.hpp"
#include "base/log.hpp"
#include "store/copy/index_states.hpp"
#include "store/copy/sides.hpp"
#include "store/engine/audit_rows.hpp"
#include "store/engine/unfinished.hpp"
#include "store/postgres/index_writer.hpp"
#include "store/postgres/keys.hpp"
#include "store/postgres/migrations.hpp"
#include "store/postgres/moves.hpp"
#include "store/postgres/private_rows.hpp"
#include "store/sqlite/folder.hpp"

namespace meridian::store::copy {

namespace {

using postgres::Answer;
using postgres::Connection;
using postgres::Parameters;

constexpr std::string_view identities_mark = "migration_identities";
/// The part of type_count that no server adds to.
constexpr std::int64_t counted_by_migration = 0;

template <class Array>
std::string_view bytes_of(const Array& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <class T>
std::int32_t small_of(T value) {
    return static_cast<std::int32_t>(value);
}

/// Where an entry lies among those that were committed together: a batch is known by the position
/// of its first entry, so a batch that is written again gets the same number.
struct Place {
    std::int64_t batch;
    int ordinal;
};
struct BatchRow {
    std::int64_t id;
    Position base;
    std::int32_t entries;
    std::int64_t at;
};

class PostgresTarget final : public Target {
 public:
    PostgresTarget(std::string url, std::string folder, const Names& names)
        : url_(std::move(url)), folder_(std::move(folder)), names_(names) {}

    Result<void> start();
    Result<Progress> begin(const SipKey& token_key) override;
    Result<void> add_names(const std::vector<KnownName>& names) override;
    Result<void> add_identities(std::vector<KnownIdentity>& identities) override;
    Result<void> save_identities_upto(Rid rid) override {
        send_mark(identities_mark, rid);
        TRY(connection_->flush());
        return {};
    }
    Result<void> write(std::vector<Carried>& batch) override;
    Result<void> replace_rows(std::vector<Carried>& batch) override;
    Result<std::vector<IndexState>> index_states(Rid after) override {
        return copy::index_states(*connection_, after);
    }
    Result<void> put_belongings(const Belongings& belongings, Rid last_rid) override;
    std::string blobs_folder() const override { return sqlite::blobs_path(folder_); }
    Result<std::unique_ptr<Store>> open() override {
        return store::open({.folder = folder_,
                            .database = url_,
                            .create = false,
                            .read_only = true,
                            .unfinished = true});
    }
    Result<void> finish() override;

 private:
    /// A newest version that was copied before.
    struct Before {
        Rid rid;
        Rid home;
        Version version;
        std::string forward;
    };
    Result<void> connect();
    Result<void> take_lock();
    Result<Progress> begin_anew(std::string_view token_key);
    template <class Work>
    Result<void> in_transaction(Work work);
    void send_mark(std::string_view key, std::int64_t value);
    Result<void> settle_homes(const std::vector<Before>& before,
                              const std::vector<const Carried*>& newest);
    Result<std::vector<Before>> read_before(const std::vector<const Carried*>& newest);
    void send_supersession(const std::vector<Before>& before,
                           const std::vector<const Carried*>& newest);
    Result<void> send_row_removals(const std::vector<Before>& before,
                                   const std::vector<const Carried*>& newest);
    Result<void> send_newest(const std::vector<const Carried*>& newest,
                             const std::vector<Place>& places);
    std::vector<Place> send_batches(const std::vector<Carried>& batch);
    void send_log(const std::vector<Carried>& batch);
    Result<void> send_audits(const std::vector<Carried>& batch);
    void send_history(const std::vector<const Carried*>& past, const std::vector<Place>& places);
    void send_resources(const std::vector<const Carried*>& newest,
                        const std::vector<Place>& places);
    void send_index_rows(const std::vector<const Carried*>& newest);
    void analyze();

    std::string url_, folder_;
    const Names& names_;
    std::unique_ptr<sqlite::FolderLock> lock_;
    std::unique_ptr<Connection> connection_;
    postgres::Layout layout_;
    postgres::IndexWriter index_{layout_};
};

// --- begin ---

Result<void> PostgresTarget::connect() {
    connection_ =
        TRY(Connection::open({.url = url_,
                              .application_name = "meridian migrate",
                              .setup = "SET jit = off; SET plan_cache_mode = force_generic_plan; "
                                       "SET synchronous_commit = on"}));
    layout_ = TRY(postgres::prepare_schema(*connection_, true));
    index_ = postgres::IndexWriter(layout_);
    // As for a server's writing connection.
    if (layout_.is_distributed())
        TRY(
            connection_->execute("SET plan_cache_mode = force_custom_plan; "
                                 "SET citus.multi_shard_modify_mode = 'sequential'"));
    return take_lock();
}

/// Waits a while: the database ends what a migration that was killed had begun before it lets go of
/// its lock.
Result<void> PostgresTarget::take_lock() {
    constexpr std::chrono::milliseconds pause{200};
    const auto give_up_at =
        std::chrono::steady_clock::now() + std::chrono::seconds(limits::migration_lock_seconds);
    for (;;) {
        const Answer alone = TRY(connection_->ask("SELECT pg_try_advisory_lock(1297240403, 3)"));
        if (alone.integer(0, 0) != 0) return {};
        if (std::chrono::steady_clock::now() >= give_up_at) break;
        std::this_thread::sleep_for(pause);
    }
    return fail(Category::unavailable, "another migration is at work in this database");
}

Result<void> PostgresTarget::start() {
    std::error_code ignored;
    std::filesystem::create_directories(folder_, ignored);
    lock_ = TRY(sqlite::FolderLock::take(folder_));
    auto connected = connect();
    if (connected) return {};
    Error error = connected.error();
    error.where = database_option;
    return std::unexpected(std::move(error));
}

template <class Work>
Result<void> PostgresTarget::in_transaction(Work work) {
    connection_->send("BEGIN");
    Result<void> done = work();
    if (done) {
        connection_->send("COMMIT");
        auto flushed = connection_->flush();
        if (!flushed) done = std::unexpected(flushed.error());
    }
    if (!done) {
        index_.clear();
        connection_->roll_back();
    }
    return done;
}

void PostgresTarget::send_mark(std::string_view key, std::int64_t value) {
    connection_->send(
        "INSERT INTO meridian.setting(key, value) VALUES($1, int8send($2)) "
        "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        std::move(Parameters().text(key).integer(value)));
}

Result<Progress> PostgresTarget::begin(const SipKey& token_key) {
    const std::string_view key = bytes_of(token_key);
    const Answer mark = TRY(connection_->ask(
        "SELECT ('x' || encode(m.value, 'hex'))::bit(64)::bigint, k.value = $1, "
        "coalesce((SELECT ('x' || encode(i.value, 'hex'))::bit(64)::bigint "
        "FROM meridian.setting i WHERE i.key = $2), 0) "
        "FROM meridian.setting m JOIN meridian.setting k ON k.key = 'token_key' "
        "WHERE m.key = $3",
        std::move(Parameters().bytes(key).text(identities_mark).text(migration_mark))));
    if (mark.empty()) return begin_anew(key);
    if (mark.integer(0, 1) != 0) return Progress{mark.integer(0, 0), mark.integer(0, 2)};
    return fail(Category::conflict,
                "another store is being moved into this database; name an "
                "empty one",
                database_option);
}

Result<Progress> PostgresTarget::begin_anew(std::string_view token_key) {
    if (auto room = postgres::require_room(*connection_); !room) {
        Error error = room.error();
        error.where = database_option;
        return std::unexpected(std::move(error));
    }
    TRY(in_transaction([&]() -> Result<void> {
        connection_->send("UPDATE meridian.setting SET value = $1 WHERE key = 'token_key'",
                          std::move(Parameters().bytes(token_key)));
        send_mark(migration_mark, 0);
        return {};
    }));
    return Progress{};
}

// --- names, identities ---

Result<void> PostgresTarget::add_names(const std::vector<KnownName>& names) {
    std::vector<std::string> hashes;
    std::vector<std::string> texts;
    for (const KnownName& name : names) {
        hashes.emplace_back(bytes_of(sha256(name.text)));
        texts.push_back(postgres::text_of(name.text));
    }
    return in_transaction([&]() -> Result<void> {
        connection_->send(
            "INSERT INTO meridian.name(kind, id, hash, text) SELECT * FROM "
            "unnest($1::integer[], $2::integer[], $3::bytea[], $4::text[]) "
            "ON CONFLICT (kind, id) DO NOTHING",
            std::move(
                Parameters()
                    .column(names, [](const KnownName& n) { return small_of(n.kind); })
                    .column(names, [](const KnownName& n) { return n.id; })
                    .column(hashes, [](const std::string& h) { return Parameters::Bytes{h}; })
                    .column(texts, [](const std::string& t) { return std::string_view(t); })));
        return {};
    });
}

Result<void> PostgresTarget::add_identities(std::vector<KnownIdentity>& identities) {
    std::vector<std::string> keys;
    std::sort(identities.begin(), identities.end(), [](const auto& left, const auto& right) {
        return std::tie(left.identity.type, left.identity.id) <
               std::tie(right.identity.type, right.identity.id);
    });
    for (const KnownIdentity& known : identities)
        keys.push_back(postgres::byte_key_of(known.identity.id));
    return in_transaction([&]() -> Result<void> {
        connection_->send(
            "INSERT INTO meridian.directory(type, key, rid) "
            "SELECT * FROM unnest($1::integer[], $2::bytea[], $3::bigint[]) "
            "ON CONFLICT DO NOTHING",
            std::move(
                Parameters()
                    .column(identities, [](const KnownIdentity& k) { return k.identity.type; })
                    .column(keys, [](const std::string& k) { return Parameters::Bytes{k}; })
                    .column(identities, [](const KnownIdentity& k) { return k.rid; })));
        return {};
    });
}

// --- batches ---

Result<void> PostgresTarget::write(std::vector<Carried>& batch) {
    return in_transaction([&]() -> Result<void> {
        const std::vector<Place> all = send_batches(batch);
        send_log(batch);
        TRY(send_audits(batch));
        std::vector<const Carried*> newest, past;
        std::vector<Place> newest_places, past_places;
        for (std::size_t i = 0; i < batch.size(); ++i) {
            if (batch[i].entry.kind != 0) continue;
            (batch[i].is_newest ? newest : past).push_back(&batch[i]);
            (batch[i].is_newest ? newest_places : past_places).push_back(all[i]);
        }
        send_history(past, past_places);
        TRY(send_newest(newest, newest_places));
        send_mark(migration_mark, batch.back().entry.position + 1);
        // Nobody reads yet, so it may be told with what it tells of.
        connection_->send(
            "INSERT INTO meridian.sequencer(server, process, beat, published) "
            "VALUES(0, 0, '-infinity', $1) ON CONFLICT (one) DO UPDATE SET published = $1",
            std::move(Parameters().integer(batch.back().entry.position)));
        return {};
    });
}

/// Entries of one moment were committed together, or may be told as if they had been.
std::vector<Place> PostgresTarget::send_batches(const std::vector<Carried>& batch) {
    std::vector<Place> places;
    std::vector<BatchRow> rows;
    for (const Carried& carried : batch) {
        const LogEntry& entry = carried.entry;
        if (rows.empty() || rows.back().at != entry.at.milliseconds)
            rows.push_back({entry.position + 1, entry.position, 0, entry.at.milliseconds});
        places.push_back({rows.back().id, rows.back().entries++});
    }
    connection_->send(
        "INSERT INTO meridian.batch(id, base, entries, at) SELECT * FROM "
        "unnest($1::bigint[], $2::bigint[], $3::integer[], $4::bigint[])",
        std::move(Parameters()
                      .column(rows, [](const BatchRow& r) { return r.id; })
                      .column(rows, [](const BatchRow& r) { return r.base; })
                      .column(rows, [](const BatchRow& r) { return r.entries; })
                      .column(rows, [](const BatchRow& r) { return r.at; })));
    return places;
}

void PostgresTarget::send_log(const std::vector<Carried>& batch) {
    std::vector<std::string> ids;
    ids.reserve(batch.size());
    for (const Carried& carried : batch) ids.push_back(postgres::text_of(carried.entry.id));
    using C = const Carried&;
    connection_->send(
        "INSERT INTO meridian.log(position, at, rid, kind, verb, type, version, actor, "
        "organisation, id, salt, body_hash, patient) SELECT * FROM "
        "unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::integer[], $5::integer[], "
        "$6::integer[], $7::integer[], $8::integer[], $9::integer[], $10::text[], $11::bytea[], "
        "$12::bytea[], $13::bigint[])",
        std::move(
            Parameters()
                .column(batch, [](C c) { return c.entry.position; })
                .column(batch, [](C c) { return c.entry.at.milliseconds; })
                .column(batch, [](C c) { return c.entry.rid; })
                .column(batch, [](C c) { return small_of(c.entry.kind); })
                .column(batch, [](C c) { return small_of(c.entry.verb); })
                .column(batch, [](C c) { return c.entry.type; })
                .column(batch, [](C c) { return small_of(c.entry.version); })
                .column(batch, [](C c) { return c.entry.actor; })
                .column(batch, [](C c) { return c.entry.organisation; })
                .column(ids, [](const std::string& id) { return std::string_view(id); })
                .column(batch, [](C c) { return Parameters::Bytes{bytes_of(c.entry.salt)}; })
                .column(batch, [](C c) { return Parameters::Bytes{bytes_of(c.entry.body_hash)}; })
                .column(batch, [](C c) { return c.home; })));
}

Result<void> PostgresTarget::send_audits(const std::vector<Carried>& batch) {
    struct Row {
        const Carried* carried;
        std::string patients;
    };
    std::vector<Row> rows;
    std::vector<std::pair<Rid, Position>> found_by;
    for (const Carried& carried : batch) {
        if (!carried.entry.is_audit()) continue;
        for (const Rid patient : TRY(parse_rid_list(carried.forward)))
            found_by.emplace_back(patient, carried.entry.position);
        rows.push_back({&carried, "{" + carried.forward + "}"});
    }
    if (rows.empty()) return {};
    using R = const Row&;
    connection_->send(
        "INSERT INTO meridian.audit(position, actor, patients, bytes) "
        "SELECT u.position, u.actor, u.patients::bigint[], u.bytes "
        "FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::bytea[]) "
        "AS u(position, actor, patients, bytes)",
        std::move(Parameters()
                      .column(rows, [](R r) { return r.carried->entry.position; })
                      .column(rows, [](R r) { return r.carried->entry.actor; })
                      .column(rows, [](R r) { return std::string_view(r.patients); })
                      .column(rows, [](R r) { return Parameters::Bytes{r.carried->body}; })));
    connection_->send(
        "INSERT INTO meridian.audit_patient(patient, position) "
        "SELECT * FROM unnest($1::bigint[], $2::bigint[])",
        std::move(Parameters()
                      .column(found_by, [](const auto& row) { return row.first; })
                      .column(found_by, [](const auto& row) { return row.second; })));
    return {};
}

void PostgresTarget::send_history(const std::vector<const Carried*>& past,
                                  const std::vector<Place>& places) {
    if (past.empty()) return;
    using C = const Carried*;
    connection_->send(
        "INSERT INTO meridian.history(rid, patient, batch, ordinal, version, verb, body) "
        "SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::integer[], "
        "$5::integer[], $6::integer[], $7::bytea[]) AS h(rid, patient, batch, ordinal, version, "
        "verb, body) ORDER BY rid, version",
        std::move(Parameters()
                      .column(past, [](C c) { return c->entry.rid; })
                      .column(past, [](C c) { return c->home; })
                      .column(places, [](const Place& p) { return p.batch; })
                      .column(places, [](const Place& p) { return std::int32_t{p.ordinal}; })
                      .column(past, [](C c) { return small_of(c->entry.version); })
                      .column(past, [](C c) { return small_of(c->entry.verb); })
                      .column(past, [](C c) { return Parameters::Bytes{c->body}; })));
}

Result<std::vector<PostgresTarget::Before>> PostgresTarget::read_before(
    const std::vector<const Carried*>& newest) {
    connection_->send(
        "SELECT rid, patient, version, forward FROM meridian.resource WHERE rid = "
        "ANY($1::bigint[])",
        std::move(Parameters().column(newest, [](const Carried* c) { return c->entry.rid; })));
    const auto answers = TRY(connection_->flush());
    const Answer& rows = answers.back();
    std::vector<Before> before;
    for (int row = 0; row < rows.size(); ++row) {
        before.push_back({rows.integer(row, 0), rows.integer(row, 1), rows.integer(row, 2),
                          std::string(rows.bytes(row, 3))});
    }
    return before;
}

Result<void> PostgresTarget::send_newest(const std::vector<const Carried*>& newest,
                                         const std::vector<Place>& places) {
    if (newest.empty()) return {};
    const std::vector<Before> before = TRY(read_before(newest));
    if (layout_.is_sharded()) TRY(settle_homes(before, newest));
    send_supersession(before, newest);
    TRY(send_row_removals(before, newest));
    send_resources(newest, places);
    send_index_rows(newest);
    return {};
}

/// Brings all versions of what is written to where the newest lies: those that were copied before
/// may stand where an older one had them.
Result<void> PostgresTarget::settle_homes(const std::vector<Before>& before,
                                          const std::vector<const Carried*>& newest) {
    std::vector<Rid> rids, homes;
    std::vector<std::string> keys;
    std::unordered_map<Rid, Rid> home_of;
    for (const Carried* carried : newest) {
        rids.push_back(carried->entry.rid);
        homes.push_back(carried->home);
        keys.push_back(postgres::byte_key_of(carried->entry.id));
        home_of[carried->entry.rid] = carried->home;
    }
    std::set<std::pair<Rid, Rid>> elsewhere;
    for (const Before& each : before) elsewhere.emplace(each.rid, each.home);
    connection_->send(
        "SELECT DISTINCT rid, patient FROM meridian.history WHERE rid = ANY($1::bigint[])",
        std::move(Parameters().integers(rids)));
    const auto answers = TRY(connection_->flush());
    for (int row = 0; row < answers.back().size(); ++row)
        elsewhere.emplace(answers.back().integer(row, 0), answers.back().integer(row, 1));
    std::vector<postgres::Move> moves;
    for (const auto& [rid, home] : elsewhere) {
        if (home != home_of.at(rid)) moves.push_back({rid, home, home_of.at(rid)});
    }
    postgres::send_moves(*connection_, layout_, moves);
    // Their identities may come later than they do.
    connection_->send(
        "INSERT INTO meridian.directory(type, key, rid, home) "
        "SELECT * FROM unnest($1::integer[], $2::bytea[], $3::bigint[], $4::bigint[]) "
        "ON CONFLICT (type, key) DO UPDATE SET home = excluded.home",
        std::move(Parameters()
                      .column(newest, [](const Carried* c) { return c->entry.type; })
                      .column(keys, [](const std::string& k) { return Parameters::Bytes{k}; })
                      .integers(rids)
                      .integers(homes)));
    return {};
}

/// What was the newest version when it was copied before goes to the history.
void PostgresTarget::send_supersession(const std::vector<Before>& before,
                                       const std::vector<const Carried*>& newest) {
    if (before.empty()) return;
    std::unordered_map<Rid, Version> versions;
    for (const Carried* carried : newest) versions[carried->entry.rid] = carried->entry.version;
    std::vector<Rid> rids, superseded;
    for (const Before& each : before) {
        rids.push_back(each.rid);
        if (each.version < versions.at(each.rid)) superseded.push_back(each.rid);
    }
    connection_->send(
        "INSERT INTO meridian.history(rid, patient, batch, ordinal, version, verb, body) "
        "SELECT rid, patient, batch, ordinal, version, verb, body FROM meridian.resource "
        "WHERE rid = ANY($1::bigint[])",
        std::move(Parameters().integers(superseded)));
    connection_->send("DELETE FROM meridian.resource WHERE rid = ANY($1::bigint[])",
                      std::move(Parameters().integers(rids)));
}

/// The index rows of what was copied before, and the keys that it held.
Result<void> PostgresTarget::send_row_removals(const std::vector<Before>& before,
                                               const std::vector<const Carried*>& newest) {
    std::unordered_map<Rid, Name> types;
    for (const Carried* carried : newest) types[carried->entry.rid] = carried->entry.type;
    std::vector<std::pair<std::string, Rid>> keys;
    for (const Before& each : before) {
        if (each.forward.empty()) continue;
        const ResolvedRows rows = TRY(unpack(each.forward));
        std::vector<int> fields;
        for (const Name param : rows.texts) fields.push_back(text_field_of(names_, param));
        index_.remove({each.rid, each.home, types.at(each.rid)}, rows, fields);
        for (const std::string& key : rows.unique_keys)
            keys.emplace_back(postgres::byte_key_of(key), each.rid);
    }
    if (keys.empty()) return {};
    connection_->send(
        "DELETE FROM meridian.unique_key k USING unnest($1::bytea[], $2::bigint[]) AS d(key, rid) "
        "WHERE k.key = d.key AND k.rid = d.rid",
        std::move(Parameters()
                      .column(keys, [](const auto& k) { return Parameters::Bytes{k.first}; })
                      .column(keys, [](const auto& k) { return k.second; })));
    return {};
}

void PostgresTarget::send_resources(const std::vector<const Carried*>& newest,
                                    const std::vector<Place>& places) {
    std::vector<std::string> ids;
    for (const Carried* carried : newest) ids.push_back(postgres::text_of(carried->entry.id));
    using C = const Carried*;
    connection_->send(
        "INSERT INTO meridian.resource(rid, patient, batch, ordinal, type, version, organisation, "
        "verb, id, body, forward) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], "
        "$4::integer[], $5::integer[], $6::integer[], $7::integer[], $8::integer[], $9::text[], "
        "$10::bytea[], $11::bytea[]) AS r(rid, patient, batch, ordinal, type, version, "
        "organisation, verb, id, body, forward) ORDER BY rid",
        std::move(Parameters()
                      .column(newest, [](C c) { return c->entry.rid; })
                      .column(newest, [](C c) { return c->home; })
                      .column(places, [](const Place& p) { return p.batch; })
                      .column(places, [](const Place& p) { return std::int32_t{p.ordinal}; })
                      .column(newest, [](C c) { return c->entry.type; })
                      .column(newest, [](C c) { return small_of(c->entry.version); })
                      .column(newest, [](C c) { return c->entry.organisation; })
                      .column(newest, [](C c) { return small_of(c->entry.verb); })
                      .column(ids, [](const std::string& id) { return std::string_view(id); })
                      .column(newest, [](C c) { return Parameters::Bytes{c->body}; })
                      .column(newest, [](C c) { return Parameters::Bytes{c->forward}; })));
}

void PostgresTarget::send_index_rows(const std::vector<const Carried*>& newest) {
    std::map<std::string, Rid> keys;
    for (const Carried* carried : newest) {
        if (!carried->is_current()) continue;
        index_.add({carried->entry.rid, carried->home, carried->entry.type}, carried->rows,
                   carried->texts);
        for (const std::string& key : carried->rows.unique_keys)
            keys[postgres::byte_key_of(key)] = carried->entry.rid;
    }
    index_.send(*connection_);
    if (keys.empty()) return;
    // Who held a key before may not have been copied anew yet: the newest holder is the right one.
    connection_->send(
        "INSERT INTO meridian.unique_key(key, rid) "
        "SELECT * FROM unnest($1::bytea[], $2::bigint[]) "
        "ON CONFLICT (key) DO UPDATE SET rid = excluded.rid",
        std::move(Parameters()
                      .column(keys, [](const auto& k) { return Parameters::Bytes{k.first}; })
                      .column(keys, [](const auto& k) { return k.second; })));
}

Result<void> PostgresTarget::replace_rows(std::vector<Carried>& batch) {
    return in_transaction([&]() -> Result<void> {
        std::vector<const Carried*> newest;
        for (const Carried& carried : batch) newest.push_back(&carried);
        const std::vector<Before> before = TRY(read_before(newest));
        if (layout_.is_sharded()) TRY(settle_homes(before, newest));
        TRY(send_row_removals(before, newest));
        connection_->send(
            layout_.is_sharded()
                ? "UPDATE meridian.resource r SET forward = u.forward FROM "
                  "unnest($1::bigint[], $2::bigint[], $3::bytea[]) AS u(rid, patient, forward) "
                  "WHERE r.rid = u.rid AND r.patient = u.patient"
                : "UPDATE meridian.resource r SET forward = u.forward, patient = u.patient FROM "
                  "unnest($1::bigint[], $2::bigint[], $3::bytea[]) AS u(rid, patient, forward) "
                  "WHERE r.rid = u.rid",
            std::move(Parameters()
                          .column(newest, [](const Carried* c) { return c->entry.rid; })
                          .column(newest, [](const Carried* c) { return c->home; })
                          .column(newest,
                                  [](const Carried* c) { return Parameters::Bytes{c->forward}; })));
        send_index_rows(newest);
        return {};
    });
}

// --- the end ---

Result<void> PostgresTarget::put_belongings(const Belongings& belongings, Rid last_rid) {
    const auto& [settings, cursors, counts, private_rows] = belongings;
    return in_transaction([&]() -> Result<void> {
        connection_->send("DELETE FROM meridian.setting WHERE key LIKE 'server/%'");
        connection_->send("DELETE FROM meridian.cursor");
        connection_->send("DELETE FROM meridian.type_count");
        connection_->send(
            "INSERT INTO meridian.setting(key, value) SELECT * FROM unnest($1::text[], "
            "$2::bytea[])",
            std::move(
                Parameters()
                    .column(settings, [](const auto& s) { return std::string_view(s.first); })
                    .column(settings, [](const auto& s) { return Parameters::Bytes{s.second}; })));
        connection_->send(
            "INSERT INTO meridian.cursor(view, next, owner, beat) "
            "SELECT view, next, 0, '-infinity' FROM unnest($1::text[], $2::bigint[]) AS c(view, "
            "next)",
            std::move(Parameters()
                          .column(cursors, [](const auto& c) { return std::string_view(c.first); })
                          .column(cursors, [](const auto& c) { return c.second; })));
        connection_->send(
            "INSERT INTO meridian.type_count(type, server, resources) "
            "SELECT type, $1, resources FROM unnest($2::integer[], $3::bigint[]) AS c(type, "
            "resources)",
            std::move(Parameters()
                          .integer(counted_by_migration)
                          .column(counts, [](const TypeCount& c) { return c.type; })
                          .column(counts, [](const TypeCount& c) { return c.resources; })));
        connection_->send("DELETE FROM meridian.private_row");
        postgres::send_private_rows(*connection_, private_rows);
        // The next block begins above, and so does the next batch.
        connection_->send(
            "SELECT setval('meridian.rid_block', ($1::bigint + 4095) / 4096 + 1, false)",
            std::move(Parameters().integer(last_rid)));
        connection_->send(
            "SELECT setval('meridian.batch_number', "
            "(SELECT coalesce(max(id), 0) + 1 FROM meridian.batch), false)");
        return {};
    });
}

/// Plans are as good as what the planner knows, and it knows nothing yet.
void PostgresTarget::analyze() {
    const auto tables =
        connection_->ask("SELECT tablename::text FROM pg_tables WHERE schemaname = 'meridian'");
    if (!tables) return;
    for (int row = 0; row < tables->size(); ++row) {
        const auto counted =
            connection_->execute(fmt::format("ANALYZE meridian.{}", tables->bytes(row, 0)));
        if (!counted)
            log::warning("searches are slow until the database has analyzed what was moved",
                         {{"reason", counted.error().message}});
    }
}

Result<void> PostgresTarget::finish() {
    TRY(connection_->ask("DELETE FROM meridian.setting WHERE key = ANY($1::text[])",
                         std::move(Parameters().column(
                             std::vector<std::string_view>{migration_mark, identities_mark},
                             [](std::string_view key) { return key; }))));
    analyze();
    return {};
}

}  // namespace

Result<std::unique_ptr<Target>> postgres_target(const std::string& url, const std::string& folder,
                                                const Names& names) {
    auto target = std::make_unique<PostgresTarget>(url, folder, names);
    TRY(target->start());
    return target;
}

}  // namespace meridian::store::copy

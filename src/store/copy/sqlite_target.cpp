// SPDX-License-Identifier: Apache-2.0
#include <filesystem>

#include "base/limits.hpp"
#include "store/copy/index_states.hpp"
#include "store/copy/sides.hpp"
#include "store/copy/sqlite_writing.hpp"
#include "store/engine/unfinished.hpp"
#include "store/sqlite/database.hpp"
#include "store/sqlite/folder.hpp"
#include "store/sqlite/index_writer.hpp"
#include "store/sqlite/migrations.hpp"
#include "store/sqlite/schema.hpp"

namespace meridian::store::copy {

namespace {

using sqlite::Cell;
using sqlite::Database;
using sqlite::ItemSource;

constexpr std::int64_t cache_bytes = 256LL << 20;
// What is not yet on the disk when the machine stops is copied again: the mark of how far it went
// is part of the same transactions.
constexpr const char* load_settings =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=20000; "
    "PRAGMA secure_delete=OFF; PRAGMA temp_store=MEMORY; PRAGMA journal_size_limit=268435456;";
constexpr std::string_view identities_mark = "migration_identities";

class SqliteTarget final : public Target {
 public:
    SqliteTarget(std::string folder, const Names& names)
        : folder_(std::move(folder)), names_(names) {}

    Result<void> start();
    Result<Progress> begin(const SipKey& token_key) override;
    Result<void> add_names(const std::vector<KnownName>& names) override {
        return in_transaction([&] { return write_names(*database_, names); });
    }
    Result<void> add_identities(std::vector<KnownIdentity>& identities) override {
        return in_transaction([&] { return write_identities(*database_, identities); });
    }
    Result<void> save_identities_upto(Rid rid) override {
        return write_setting(*database_, identities_mark, rid);
    }
    Result<void> write(std::vector<Carried>& batch) override {
        return in_transaction([&] { return write_batch(batch); });
    }
    Result<void> replace_rows(std::vector<Carried>& batch) override {
        return in_transaction([&] { return write_newest(batch); });
    }
    Result<std::vector<IndexState>> index_states(Rid after) override {
        return copy::index_states(*database_, after);
    }
    Result<void> put_belongings(const Belongings& belongings, Rid last_rid) override {
        return in_transaction([&] { return write_belongings(*database_, belongings, last_rid); });
    }
    std::string blobs_folder() const override { return sqlite::blobs_path(folder_); }
    Result<std::unique_ptr<Store>> open() override {
        return store::open(
            {.folder = folder_, .create = false, .read_only = true, .unfinished = true});
    }
    Result<void> finish() override;

 private:
    template <class Work>
    Result<void> in_transaction(Work work) {
        TRY(database_->run("BEGIN IMMEDIATE"));
        Result<void> done = work();
        if (done) done = database_->run("COMMIT");
        if (!done) {
            index_.clear();
            if (!database_->in_autocommit()) TRY(database_->run("ROLLBACK"));
        }
        return done;
    }
    Result<void> write_batch(std::vector<Carried>& batch);
    Result<void> write_newest(std::vector<Carried>& batch);
    Result<void> make_room(const Carried& carried, std::vector<std::string>& keys_before);
    Result<void> write_unique_keys(const std::vector<const Carried*>& newest);

    std::string folder_;
    const Names& names_;
    std::unique_ptr<sqlite::FolderLock> lock_;
    std::unique_ptr<Database> database_;
    sqlite::IndexWriter index_;
};

Result<void> SqliteTarget::start() {
    std::error_code ignored;
    std::filesystem::create_directories(folder_, ignored);
    lock_ = TRY(sqlite::FolderLock::take(folder_));
    database_ = TRY(Database::open(sqlite::database_path(folder_),
                                   {.create = true, .cache_bytes = cache_bytes}));
    TRY(database_->execute("PRAGMA page_size=8192;"));
    TRY(database_->execute(load_settings));
    TRY(sqlite::prepare_schema(*database_, sqlite::schema_version, sqlite::migrations()));
    return sqlite::sync_folder(folder_);
}

Result<Progress> SqliteTarget::begin(const SipKey& token_key) {
    const std::string_view key = bytes_of(token_key);
    auto mark = TRY(
        database_->prepare("SELECT m.value, k.value = ?, coalesce(i.value, 0) FROM setting m "
                           "JOIN setting k ON k.key = 'token_key' LEFT JOIN setting i ON i.key = ? "
                           "WHERE m.key = ?"));
    mark.bind_blob(1, key).bind_text(2, identities_mark).bind_text(3, migration_mark);
    if (TRY(mark.step())) {
        if (mark.integer(1) != 0) return Progress{mark.integer(0), mark.integer(2)};
        return fail(Category::conflict,
                    fmt::format("another store is being moved to {}; name a new folder", folder_),
                    "--to");
    }
    mark =
        TRY(database_->prepare("SELECT (SELECT count(*) FROM name) + (SELECT count(*) FROM log)"));
    if (TRY(mark.step()) && mark.integer(0) != 0) {
        return fail(Category::conflict,
                    fmt::format("{} holds a store already; name a new folder", folder_), "--to");
    }
    mark.reset();
    TRY(in_transaction([&]() -> Result<void> {
        TRY(write_token_key(*database_, key));
        return write_setting(*database_, migration_mark, 0);
    }));
    return Progress{};
}

// --- batches ---

Result<void> SqliteTarget::write_batch(std::vector<Carried>& batch) {
    TRY(write_log(*database_, batch));
    TRY(write_audits(*database_, batch, true));
    std::vector<const Carried*> past;
    for (const Carried& carried : batch) {
        if (!carried.is_newest && carried.entry.kind == 0) past.push_back(&carried);
    }
    TRY(write_history(*database_, std::move(past)));
    const Position next = batch.back().entry.position + 1;
    TRY(write_newest(batch));
    return write_setting(*database_, migration_mark, next);
}

/// Takes away what stands for a resource that was the newest when it was copied before: its rows,
/// and the version itself when there is a newer one now.
Result<void> SqliteTarget::make_room(const Carried& carried,
                                     std::vector<std::string>& keys_before) {
    const Rid rid = carried.entry.rid;
    const Version before =
        TRY(database_->integer("SELECT version FROM resource WHERE rid = ?", 0, rid));
    if (before == 0) return {};
    auto forward = TRY(database_->prepare("SELECT rows FROM forward WHERE rid = ?"));
    forward.bind(1, rid);
    if (TRY(forward.step())) {
        ResolvedRows rows = TRY(unpack(forward.blob(0)));
        std::vector<int> fields;
        for (const Name param : rows.texts) fields.push_back(text_field_of(names_, param));
        keys_before.insert(keys_before.end(), rows.unique_keys.begin(), rows.unique_keys.end());
        index_.remove(rid, carried.entry.type, std::move(rows), fields);
    }
    forward.reset();
    if (before < carried.entry.version) {
        TRY(database_->run(
            "INSERT INTO history(rid, version, position, updated, verb, body) SELECT rid, version, "
            "position, updated, verb, body FROM resource WHERE rid = ?",
            rid));
    }
    TRY(database_->run("DELETE FROM forward WHERE rid = ?", rid));
    return database_->run("DELETE FROM resource WHERE rid = ?", rid);
}

Result<void> SqliteTarget::write_newest(std::vector<Carried>& batch) {
    std::vector<const Carried*> newest, current;
    for (Carried& carried : batch) {
        if (!carried.is_newest || carried.entry.kind != 0) continue;
        std::vector<std::string> keys_before;
        TRY(make_room(carried, keys_before));
        for (const std::string& key : keys_before)
            TRY(database_->run("DELETE FROM unique_key WHERE key = ? AND rid = ?", key,
                               carried.entry.rid));
        newest.push_back(&carried);
        if (carried.is_current()) current.push_back(&carried);
    }
    const auto by_rid = [](const Carried* left, const Carried* right) {
        return left->entry.rid < right->entry.rid;
    };
    std::sort(current.begin(), current.end(), by_rid);
    TRY(write_resources(*database_, newest));
    const auto put_forward = [](const Carried* carried, int column, Cell& cell) {
        column == 0 ? cell.integer(carried->entry.rid) : cell.blob(carried->forward);
    };
    TRY(database_->run_on_rows("INSERT OR FAIL INTO forward(rid, rows) SELECT c0, c1 FROM row_feed",
                               ItemSource(current, put_forward)));
    TRY(write_unique_keys(current));
    // Their rows last: they are moved out of the batch.
    for (Carried& carried : batch) {
        if (carried.is_current())
            index_.add(carried.entry.rid, carried.entry.type, std::move(carried.rows),
                       std::move(carried.texts));
    }
    return index_.flush(*database_);
}

Result<void> SqliteTarget::write_unique_keys(const std::vector<const Carried*>& newest) {
    // Who held a key before may not have been copied anew yet: the newest holder is the right one.
    for (const Carried* carried : newest) {
        for (const std::string& key : carried->rows.unique_keys)
            TRY(database_->run("INSERT OR REPLACE INTO unique_key(key, rid) VALUES(?, ?)", key,
                               carried->entry.rid));
    }
    return {};
}

// --- the end ---

Result<void> SqliteTarget::finish() {
    // All of it on the disk before the mark goes.
    TRY(database_->execute("PRAGMA synchronous=FULL; PRAGMA wal_checkpoint(TRUNCATE);"));
    TRY(in_transaction([&]() -> Result<void> {
        TRY(database_->run("DELETE FROM setting WHERE key = ?", identities_mark));
        return database_->run("DELETE FROM setting WHERE key = ?", migration_mark);
    }));
    return database_->execute("PRAGMA wal_checkpoint(TRUNCATE);");
}

}  // namespace

Result<std::unique_ptr<Target>> sqlite_target(const std::string& folder, const Names& names) {
    auto target = std::make_unique<SqliteTarget>(folder, names);
    TRY(target->start());
    return target;
}

}  // namespace meridian::store::copy

// SPDX-License-Identifier: Apache-2.0
#include "store/copy/backup.hpp"

#include <filesystem>
#include <future>
#include <thread>
#include <unordered_set>

#include "base/limits.hpp"
#include "store/copy/postgres_reading.hpp"
#include "store/copy/sqlite_writing.hpp"
#include "store/engine/unfinished.hpp"
#include "store/postgres/migrations.hpp"
#include "store/postgres/sequencer.hpp"
#include "store/sqlite/backup.hpp"
#include "store/sqlite/blobs.hpp"
#include "store/sqlite/folder.hpp"
#include "store/sqlite/migrations.hpp"
#include "store/sqlite/schema.hpp"

namespace meridian::store::copy {

namespace {

using postgres::Answer;
using postgres::Connection;
using postgres::Parameters;
using Batch = Result<std::vector<Carried>>;

/// A store in PostgreSQL on its way into a backup. What the log says up to the last position never
/// changes again, so it is read part by part and not in one transaction; whatever else changes
/// meanwhile is read at once when it begins, or may be younger than the log.
class DatabaseBackup {
 public:
    DatabaseBackup(std::string from, const BackupOptions& options)
        : from_(std::move(from)), options_(options) {}

    /// Errors: each at database_option.
    Result<void> connect();
    Result<Position> write(const std::string& to);

 private:
    void tell(std::string_view part, std::int64_t done, std::int64_t total) {
        if (options_.progress) options_.progress(part, done, total);
    }
    Result<void> open();
    Result<void> read_start();
    Result<void> write_record(sqlite::Database& database);
    Result<void> copy_log(sqlite::Database& database);
    Batch read(Position from);
    Result<void> find_bodies(std::vector<Carried>& batch);
    Result<void> write_batch(sqlite::Database& database, const std::vector<Carried>& batch);
    Result<void> copy_identities(sqlite::Database& database);
    Result<void> write_end(sqlite::Database& database);

    std::string from_;
    const BackupOptions& options_;
    std::unique_ptr<Connection> connection_;
    postgres::Layout layout_;
    Position last_ = -1;  ///< of the backup
    Belongings belongings_;
    std::string token_key_;
};

template <class Work>
Result<void> in_transaction(sqlite::Database& database, Work work) {
    // A failure needs no rollback: the whole file is thrown away then.
    TRY(database.run("BEGIN"));
    TRY(work());
    return database.run("COMMIT");
}

// --- begin ---

Result<void> DatabaseBackup::connect() {
    auto opened = open();
    if (opened) return {};
    Error error = opened.error();
    error.where = database_option;
    return std::unexpected(std::move(error));
}

Result<void> DatabaseBackup::open() {
    // A batch is looked up by its keys however large the tables are.
    connection_ =
        TRY(Connection::open({.url = options_.database,
                              .application_name = "meridian backup",
                              .setup = "SET jit = off; SET plan_cache_mode = force_generic_plan"}));
    layout_ = TRY(postgres::prepare_schema(*connection_, false));
    // As for a server's writing connection.
    if (layout_.is_distributed())
        TRY(connection_->execute("SET plan_cache_mode = force_custom_plan"));
    const Answer mark = TRY(connection_->ask("SELECT 1 FROM meridian.setting WHERE key = $1",
                                             std::move(Parameters().text(migration_mark))));
    if (mark.empty()) return {};
    return unfinished(database_option);
}

/// Where the log ends, and how far those who follow it have come by then: what they keep may not
/// tell of entries that a restored log does not have.
Result<void> DatabaseBackup::read_start() {
    TRY(connection_->ask("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"));
    const auto read = [&]() -> Result<void> {
        last_ = TRY(connection_->integer(postgres::last_position_sql(layout_), -1));
        belongings_ = TRY(read_belongings(*connection_));
        const Answer key =
            TRY(connection_->ask("SELECT value FROM meridian.setting WHERE key = 'token_key'"));
        if (key.empty())
            return fail(Category::fault,
                        "the store has lost the key of its token hashes (setting token_key)");
        token_key_ = key.bytes(0, 0);
        return {};
    };
    auto done = read();
    connection_->roll_back();
    for (auto& [view, next] : belongings_.cursors) next = std::min(next, last_ + 1);
    return done;
}

Result<Position> DatabaseBackup::write(const std::string& to) {
    const auto folder = TRY(sqlite::BackupFolder::make(to));
    TRY(read_start());
    auto database = TRY(folder->open_database());
    TRY(write_record(*database));
    database.reset();
    const std::string blobs_folder = sqlite::blobs_path(from_);
    const auto blobs = TRY(sqlite::Blobs::open({.folder = blobs_folder, .read_only = true}));
    TRY(folder->finish(blobs_folder, TRY(blobs->packs()), options_.progress));
    return last_;
}

Result<void> DatabaseBackup::write_record(sqlite::Database& database) {
    TRY(sqlite::prepare_schema(database, sqlite::schema_version, sqlite::migrations()));
    TRY(copy_log(database));
    // What the entries mention was there before them.
    const auto names = TRY(read_names(*connection_));
    TRY(in_transaction(database, [&] { return write_names(database, names); }));
    TRY(copy_identities(database));
    return in_transaction(database, [&] { return write_end(database); });
}

// --- the log and its versions ---

Result<void> DatabaseBackup::copy_log(sqlite::Database& database) {
    // While one batch is written the next one is read.
    const auto read_later = [&](Position from) {
        return std::async(std::launch::async, [this, from] { return read(from); });
    };
    std::future<Batch> coming = read_later(0);
    for (Position next = 0; next <= last_;) {
        const auto batch = TRY(coming.get());
        if (!is_dense(batch, next)) {
            return fail(Category::fault,
                        fmt::format("an entry is missing in the log, at position {} or behind it; "
                                    "run `meridian check`",
                                    next));
        }
        next = batch.back().entry.position + 1;
        coming = read_later(next);
        TRY(in_transaction(database, [&] { return write_batch(database, batch); }));
        tell("log", next, last_ + 1);
    }
    return {};
}

Batch DatabaseBackup::read(Position from) {
    if (from > last_) return std::vector<Carried>();
    auto batch = TRY(read_log(*connection_, from, last_ + 1, options_.batch_entries));
    TRY(read_audits(*connection_, batch));
    TRY(find_bodies(batch));
    return batch;
}

/// A version goes from one table to the other when it is no longer the newest, and in sharded
/// layouts from one node to another: one that is in neither place was on its way, and is looked for
/// again.
Result<void> DatabaseBackup::find_bodies(std::vector<Carried>& batch) {
    std::vector<Carried*> wanted;
    for (Carried& carried : batch) {
        if (carried.entry.kind == 0) wanted.push_back(&carried);
    }
    for (unsigned looks = 1;; ++looks) {
        wanted = TRY(read_bodies(*connection_, "resource", wanted));
        wanted = TRY(read_bodies(*connection_, "history", wanted));
        if (wanted.empty()) return {};
        if (looks == limits::backup_looks_max) break;
        std::this_thread::sleep_for(
            std::chrono::milliseconds(limits::backup_look_pause_milliseconds));
    }
    const LogEntry& entry = wanted.front()->entry;
    return fail(Category::fault,
                fmt::format("version {} of the resource {} is missing; run `meridian check`",
                            entry.version, entry.rid));
}

/// Each resource's last version up to here is its newest one, whatever the database calls so by
/// now: the one that was so before goes to the history.
Result<void> DatabaseBackup::write_batch(sqlite::Database& database,
                                         const std::vector<Carried>& batch) {
    TRY(write_log(database, batch));
    TRY(write_audits(database, batch, false));
    std::vector<const Carried*> newest, past;
    std::unordered_set<Rid> seen;
    for (auto carried = batch.rbegin(); carried != batch.rend(); ++carried) {
        if (carried->entry.kind != 0) continue;
        (seen.insert(carried->entry.rid).second ? newest : past).push_back(&*carried);
    }
    const auto put_rid = [](const Carried* carried, int, sqlite::Cell& cell) {
        cell.integer(carried->entry.rid);
    };
    TRY(database.run_on_rows(
        "INSERT OR FAIL INTO history(rid, version, position, updated, verb, body) "
        "SELECT r.rid, r.version, r.position, r.updated, r.verb, r.body "
        "FROM row_feed CROSS JOIN resource r ON r.rid = c0",
        sqlite::ItemSource(newest, put_rid)));
    TRY(database.run_on_rows("DELETE FROM resource WHERE rid IN (SELECT c0 FROM row_feed)",
                             sqlite::ItemSource(newest, put_rid)));
    TRY(write_history(database, std::move(past)));
    return write_resources(database, std::move(newest));
}

// --- what is not in the log ---

/// Long identities stand in the database cut. They are left out: all of them are of things outside
/// of the record, and whoever mentions one gives it a rid when its rows are made again.
Result<void> DatabaseBackup::copy_identities(sqlite::Database& database) {
    std::int64_t count = 0;
    return read_identities(*connection_, [&](std::vector<KnownIdentity> part) {
        std::erase_if(part, [](const KnownIdentity& known) {
            return known.identity.id.size() > limits::database_key_bytes_max;
        });
        count += static_cast<std::int64_t>(part.size());
        tell("identities", count, 0);
        return in_transaction(database, [&] { return write_identities(database, part); });
    });
}

Result<void> DatabaseBackup::write_end(sqlite::Database& database) {
    std::erase_if(belongings_.private_rows,
                  [](const PrivateRow& row) { return row.space == space_of_keys; });
    belongings_.counts.clear();
    TRY(write_belongings(database, belongings_, TRY(read_last_rid(*connection_))));
    TRY(
        database.run("INSERT INTO type_count(type, resources) "
                     "SELECT type, count(*) FROM resource WHERE verb <> ? GROUP BY type",
                     Verb::remove));
    return write_token_key(database, token_key_);
}

}  // namespace

Result<Position> backup(const std::string& from, const std::string& to,
                        const BackupOptions& options) {
    std::error_code ignored;
    if (!std::filesystem::is_directory(from, ignored)) {
        return fail(Category::not_found,
                    fmt::format("there is no folder {}; name the one beside the database, which "
                                "keeps its blobs",
                                from),
                    folder_option);
    }
    DatabaseBackup backup(from, options);
    TRY(backup.connect());
    return backup.write(to);
}

}  // namespace meridian::store::copy

// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/sqlite_store.hpp"

#include <filesystem>

#include "base/limits.hpp"
#include "store/sqlite/folder.hpp"
#include "store/sqlite/migrations.hpp"
#include "store/sqlite/private_rows.hpp"
#include "store/sqlite/schema.hpp"

namespace meridian::store::sqlite {

namespace {

// synchronous=FULL: a commit is answered after an fsync of the log. secure_delete: what was removed
// is overwritten, not only unlinked. The log file is cut back to 256 MB after it was long.
constexpr const char* writer_settings =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0; PRAGMA "
    "secure_delete=ON; "
    "PRAGMA foreign_keys=OFF; PRAGMA temp_store=MEMORY; PRAGMA journal_size_limit=268435456;";

/// The server's settings live beside the store's own (token_key, rid_last) and cannot be mistaken
/// for them.
std::string setting_name(std::string_view key) {
    return "server/" + std::string(key);
}

}  // namespace

Result<std::unique_ptr<Store>> SqliteStore::open(OpenOptions options) {
    std::unique_ptr<SqliteStore> store(new SqliteStore(std::move(options)));
    TRY(store->start());
    return store;
}

DatabaseOptions SqliteStore::reader_options() const {
    DatabaseOptions reader;
    reader.read_only = true;
    reader.vfs = vfs_->name();
    reader.cache_bytes = options_.reader_cache_bytes;
    reader.mapped_bytes = options_.mapped_bytes;
    return reader;
}

Result<void> SqliteStore::start() {
    const std::string path = database_path(options_.folder);
    std::error_code ignored;
    const bool exists = std::filesystem::exists(path, ignored);
    if (!exists && (!options_.create || options_.read_only)) {
        return fail(Category::not_found, fmt::format("there is no store in {}", options_.folder));
    }
    vfs_ = TRY(Vfs::make(options_.mapped_bytes, !options_.read_only, options_.faults));
    readers_ = std::make_unique<Readers>(path, reader_options());
    DatabaseOptions scanner = reader_options();
    scanner.mapped_bytes = 0;
    scanners_ = std::make_unique<Readers>(path, scanner);
    if (options_.read_only) {
        auto database = TRY(readers_->take());
        TRY(require_schema(*database));
        if (!options_.unfinished) TRY(refuse_unfinished(*database));
        TRY(names_.load(*database));
        readers_->give_back(std::move(database));
        blobs_ = TRY(Blobs::open({.folder = blobs_path(options_.folder), .read_only = true}));
        return {};
    }
    std::filesystem::create_directories(options_.folder, ignored);
    lock_ = TRY(FolderLock::take(options_.folder));
    DatabaseOptions writer_options;
    writer_options.create = true;
    writer_options.vfs = vfs_->name();
    writer_options.cache_bytes = options_.cache_bytes;
    auto database = TRY(Database::open(path, writer_options));
    // The page size counts only until the first page is written.
    TRY(database->execute("PRAGMA page_size=8192;"));
    TRY(database->execute(writer_settings));
    TRY(prepare_schema(*database, schema_version, migrations()));
    TRY(refuse_unfinished(*database));
    if (!exists) TRY(sync_folder(options_.folder));
    TRY(names_.load(*database));
    blobs_ = TRY(Blobs::open({.folder = blobs_path(options_.folder), .faults = options_.faults}));
    DatabaseOptions checkpoint_options;
    checkpoint_options.vfs = vfs_->name();
    checkpoint_options.cache_bytes = 1 << 20;
    auto checkpointer = TRY(Database::open(path, checkpoint_options));
    TRY(checkpointer->execute("PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;"));
    auto writer = TRY(Writer::make(std::move(database), names_, options_.audit_index_batch));
    readers_->use(writer->unindexed_audits());
    committer_ =
        std::make_unique<Committer>(std::move(writer), std::move(checkpointer),
                                    options_.bulk ? limits::wal_pages_before_checkpoint_bulk
                                                  : limits::wal_pages_before_checkpoint);
    return {};
}

SqliteStore::~SqliteStore() = default;

Result<Committer*> SqliteStore::writing() {
    if (committer_) return committer_.get();
    return fail(Category::unavailable, "the store is open for reading only");
}

Result<Receipt> SqliteStore::commit(Commit commit) {
    Committer* committer = TRY(writing());
    return committer->queue().submit_and_wait(std::move(commit));
}

void SqliteStore::commit_later(Commit commit, std::function<void(Result<Receipt>)> done) {
    auto committer = writing();
    if (!committer) {
        done(std::unexpected(committer.error()));
        return;
    }
    auto task = std::make_shared<Task>();
    task->commit = std::move(commit);
    task->done = std::move(done);
    (*committer)->queue().submit(task);
}

void SqliteStore::on_commit(std::function<void(Position)> listener) {
    if (committer_) committer_->on_commit(std::move(listener));
}

Result<void> SqliteStore::reindex(Rid rid, Version version, std::span<const Name> params,
                                  Rows rows) {
    Committer* committer = TRY(writing());
    TRY(committer->queue().take_deferred_error());
    committer->run_later([rid, version, params = std::vector<Name>(params.begin(), params.end()),
                          rows = std::make_shared<Rows>(std::move(rows))](Writer& writer) {
        return writer.reindex(rid, version, params, std::move(*rows));
    });
    return {};
}

Result<Position> SqliteStore::cursor(std::string_view view) {
    auto reader = TRY(readers_->take());
    auto next = reader->integer("SELECT next FROM cursor WHERE view = ?", 0, view);
    readers_->give_back(std::move(reader));
    return next;
}

Result<void> SqliteStore::save_cursor(std::string_view view, Position next) {
    Committer* committer = TRY(writing());
    TRY(committer->run_and_wait([view = std::string(view), next](Writer& writer) {
        return writer.database().run("INSERT OR REPLACE INTO cursor(view, next) VALUES(?, ?)", view,
                                     next);
    }));
    return committer->queue().take_deferred_error();
}

Result<std::optional<std::string>> SqliteStore::setting(std::string_view key) {
    auto reader = TRY(readers_->take());
    auto found = [&]() -> Result<std::optional<std::string>> {
        auto row = TRY(reader->prepare("SELECT value FROM setting WHERE key = ?"));
        const std::string name = setting_name(key);
        row.bind_all(name);
        if (!TRY(row.step())) return std::optional<std::string>();
        return std::optional<std::string>(row.blob(0));
    }();
    readers_->give_back(std::move(reader));
    return found;
}

Result<void> SqliteStore::save_setting(std::string_view key, std::string_view value) {
    Committer* committer = TRY(writing());
    TRY(committer->run_and_wait([key = setting_name(key),
                                 value = std::string(value)](Writer& writer) -> Result<void> {
        auto insert = TRY(
            writer.database().prepare("INSERT OR REPLACE INTO setting(key, value) VALUES(?, ?)"));
        return insert.bind_text(1, key).bind_blob(2, value).run();
    }));
    return committer->queue().take_deferred_error();
}

Result<std::optional<PrivateRow>> SqliteStore::private_row(std::string_view space,
                                                           std::string_view key) {
    auto reader = TRY(readers_->take());
    auto found = sqlite::private_row(*reader, space, key, now());
    readers_->give_back(std::move(reader));
    return found;
}

Result<std::vector<PrivateRow>> SqliteStore::private_rows(std::string_view space,
                                                          std::string_view after,
                                                          std::size_t limit) {
    auto reader = TRY(readers_->take());
    auto found = sqlite::private_rows(*reader, space, after, limit, now());
    readers_->give_back(std::move(reader));
    return found;
}

Result<bool> SqliteStore::save_private(std::vector<PrivateRow> rows) {
    Committer* committer = TRY(writing());
    // Shared with the job, which may outlive the wait.
    auto saved = std::make_shared<std::atomic<bool>>(false);
    TRY(committer->run_and_wait([saved, rows = std::move(rows)](Writer& writer) -> Result<void> {
        *saved = TRY(sqlite::save_private(writer.database(), rows, now()));
        return {};
    }));
    return saved->load();
}

namespace {

/// FTS5 marks the words of a removed text and keeps them until their segments are merged
/// (https://sqlite.org/fts5.html#the_optimize_command). In steps, so that others write in between;
/// true when a step found nothing more to do.
Result<bool> merge_words(Writer& writer, bool is_first) {
    constexpr std::int64_t pages_at_once = 500;
    Database& database = writer.database();
    const std::int64_t before = TRY(database.integer("SELECT total_changes()", 0));
    // A negative number merges all segments into one, whatever their sizes; later steps go on.
    TRY(database.run("INSERT INTO idx_text(idx_text, rank) VALUES('merge', ?)",
                     is_first ? -pages_at_once : pages_at_once));
    // Of a merge that did nothing, only the INSERT itself counts.
    return TRY(database.integer("SELECT total_changes()", 0)) - before < 2;
}

}  // namespace

Result<void> SqliteStore::scrub() {
    Committer* committer = TRY(writing());
    auto is_merged = std::make_shared<std::atomic<bool>>(false);
    for (bool is_first = true; !*is_merged; is_first = false) {
        TRY(committer->run_and_wait([is_merged, is_first](Writer& writer) -> Result<void> {
            *is_merged = TRY(merge_words(writer, is_first));
            return {};
        }));
    }
    DatabaseOptions options;
    options.vfs = vfs_->name();
    auto database = TRY(Database::open(database_path(options_.folder), options));
    TRY(database->execute("PRAGMA synchronous=FULL; PRAGMA busy_timeout=5000;"));
    if (TRY(database->integer("PRAGMA wal_checkpoint(TRUNCATE)", 1)) == 0) return {};
    return fail(Category::busy,
                "a long read still needs the write-ahead log, which holds what was removed; try "
                "again later");
}

Result<void> SqliteStore::exchange_bodies(std::vector<BodyExchange> bodies) {
    Committer* committer = TRY(writing());
    // Kept by the job, which may outlive the wait.
    return committer->run_and_wait([bodies = std::make_shared<const std::vector<BodyExchange>>(
                                        std::move(bodies))](Writer& writer) -> Result<void> {
        Database& database = writer.database();
        for (const BodyExchange& each : *bodies) {
            for (const std::string_view sql :
                 {"UPDATE resource SET body = ?1 WHERE rid = ?2 AND version = ?3 AND body = ?4",
                  "UPDATE history SET body = ?1 WHERE rid = ?2 AND version = ?3 AND body = ?4"}) {
                auto update = TRY(database.prepare(sql));
                TRY(update.bind_blob(1, each.after)
                        .bind(2, each.rid)
                        .bind(3, std::int64_t{each.version})
                        .bind_blob(4, each.before)
                        .run());
            }
        }
        return {};
    });
}

Result<Sha256> SqliteStore::put_blob(std::string_view data) {
    return blobs_->put(data);
}
Result<std::optional<std::string>> SqliteStore::blob(const Sha256& hash) {
    return blobs_->get(hash);
}

}  // namespace meridian::store::sqlite

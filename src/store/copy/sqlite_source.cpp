// SPDX-License-Identifier: Apache-2.0
#include <filesystem>

#include "base/limits.hpp"
#include "store/copy/index_states.hpp"
#include "store/copy/sides.hpp"
#include "store/engine/unfinished.hpp"
#include "store/sqlite/database.hpp"
#include "store/sqlite/dictionary.hpp"
#include "store/sqlite/folder.hpp"
#include "store/sqlite/index_writer.hpp"
#include "store/sqlite/log_rows.hpp"
#include "store/sqlite/migrations.hpp"
#include "store/sqlite/private_rows.hpp"
#include "store/sqlite/vfs.hpp"

namespace meridian::store::copy {

namespace {

using sqlite::Database;

constexpr std::int64_t cache_bytes = 64LL << 20;

class SqliteSource final : public Source {
 public:
    static Result<std::unique_ptr<Source>> make(const std::string& folder) {
        const std::string path = sqlite::database_path(folder);
        std::error_code ignored;
        if (!std::filesystem::exists(path, ignored))
            return fail(Category::not_found, fmt::format("there is no store in {}", folder));
        std::unique_ptr<SqliteSource> source(new SqliteSource(folder));
        source->vfs_ = TRY(sqlite::Vfs::make(1LL << 30, false, nullptr));
        source->database_ = TRY(Database::open(path, {.read_only = true,
                                                      .vfs = source->vfs_->name(),
                                                      .cache_bytes = cache_bytes,
                                                      .mapped_bytes = 1}));
        TRY(sqlite::require_schema(*source->database_));
        TRY(sqlite::refuse_unfinished(*source->database_));
        TRY(source->names_.load(*source->database_));
        return source;
    }

    const Names& names() const override { return names_; }
    Result<bool> is_at_rest() override {
        if (lock_) return true;
        auto lock = sqlite::FolderLock::take(folder_);
        if (lock) lock_ = std::move(*lock);
        return lock_ != nullptr;
    }
    Result<Position> end() override {
        return TRY(database_->integer("SELECT max(position) FROM log", -1)) + 1;
    }
    Result<std::vector<Carried>> read(Position from, Position below, std::size_t count) override {
        return in_transaction([&]() -> Result<std::vector<Carried>> {
            std::vector<Carried> batch;
            std::size_t bytes = 0;
            auto row = TRY(database_->prepare(entries_sql));
            row.bind_all(from, below);
            while (batch.size() < count && bytes < limits::migrate_batch_bytes && TRY(row.step())) {
                batch.push_back(TRY(read_entry(row)));
                bytes += batch.back().bytes();
            }
            TRY(complete(batch));
            return batch;
        });
    }
    Result<std::vector<Carried>> read_newest(const std::vector<Rid>& rids) override {
        return in_transaction([&]() -> Result<std::vector<Carried>> {
            std::vector<Carried> batch;
            for (const Rid rid : rids) {
                const Position position =
                    TRY(database_->integer("SELECT position FROM resource WHERE rid = ?", -1, rid));
                auto row = TRY(database_->prepare(entries_sql));
                row.bind_all(position, position + 1);
                if (TRY(row.step())) batch.push_back(TRY(read_entry(row)));
            }
            TRY(complete(batch));
            return batch;
        });
    }
    Result<std::vector<IndexState>> index_states(Rid after) override {
        return copy::index_states(*database_, after);
    }
    Result<std::vector<KnownName>> all_names() override {
        std::vector<KnownName> names;
        auto row = TRY(database_->prepare("SELECT kind, id, text FROM name ORDER BY kind, id"));
        while (TRY(row.step())) {
            names.push_back({static_cast<NameKind>(row.integer(0)),
                             static_cast<Name>(row.integer(1)), std::string(row.text(2))});
        }
        return names;
    }
    Result<Rid> last_rid() override {
        return database_->integer("SELECT value FROM setting WHERE key = 'rid_last'", 0);
    }
    Result<void> identities(
        Rid above, const std::function<Result<void>(std::vector<KnownIdentity>)>& take) override;
    Result<Belongings> belongings() override;
    std::string blobs_folder() const override { return sqlite::blobs_path(folder_); }
    Result<std::unique_ptr<Store>> open() override {
        return store::open({.folder = folder_, .create = false, .read_only = true});
    }

 private:
    explicit SqliteSource(std::string folder) : folder_(std::move(folder)) {}

    /// One transaction for each batch: the write-ahead log of a server that writes meanwhile could
    /// not be cut back behind a longer one.
    template <class Work>
    auto in_transaction(Work work) -> decltype(work()) {
        TRY(database_->run("BEGIN"));
        auto done = work();
        TRY(database_->run("COMMIT"));
        return done;
    }

    static constexpr std::string_view entries_sql =
        "SELECT " MERIDIAN_LOG_COLUMNS_OF_JOIN
        ", r.version = l.version, r.patient, "
        "CASE WHEN r.version = l.version THEN r.body ELSE h.body END, f.rows, "
        "a.bytes, a.patients FROM log l LEFT JOIN audit a ON a.position = l.position "
        "LEFT JOIN resource r ON r.rid = l.rid "
        "LEFT JOIN history h ON h.rid = l.rid AND h.version = l.version "
        "LEFT JOIN forward f ON f.rid = l.rid AND r.version = l.version "
        "WHERE l.position >= ? AND l.position < ? ORDER BY l.position";
    static Result<Carried> read_entry(const sqlite::Statement& row);
    /// What stands in other tables: words, values of views.
    Result<void> complete(std::vector<Carried>& batch);
    Result<void> complete(Carried& carried);

    std::string folder_;
    std::unique_ptr<sqlite::Vfs> vfs_;  ///< before the connection: it must be gone first
    std::unique_ptr<Database> database_;
    std::unique_ptr<sqlite::FolderLock> lock_;
    sqlite::Dictionary names_;
};

Result<Carried> SqliteSource::read_entry(const sqlite::Statement& row) {
    Carried carried;
    carried.entry = sqlite::read_log_entry(row);
    if (carried.entry.is_audit()) {
        if (row.is_null(16)) return no_such_audit(carried.entry.position);
        carried.body = row.blob(16);
        carried.forward = row.text(17);
        return carried;
    }
    carried.is_newest = row.integer(12) != 0;
    carried.home = row.integer(13);
    carried.body = row.blob(14);
    carried.forward = row.blob(15);
    return carried;
}

Result<void> SqliteSource::complete(std::vector<Carried>& batch) {
    for (Carried& carried : batch) {
        if (carried.is_current()) TRY(complete(carried));
    }
    return {};
}

Result<void> SqliteSource::complete(Carried& carried) {
    carried.rows = TRY(unpack(carried.forward));
    for (const Name param : carried.rows.texts) {
        // A server that serves this store may have given a name just now.
        if (names_.text(NameKind::parameter, param).empty()) TRY(names_.load(*database_));
        const int field = text_field_of(names_, param);
        auto words = TRY(database_->prepare("SELECT words FROM idx_text WHERE rowid = ?"));
        words.bind(1, sqlite::text_rowid(carried.entry.rid, field));
        const bool there = TRY(words.step());
        carried.texts.push_back({field, there ? std::string(words.text(0)) : std::string()});
    }
    for (ViewRow& view : carried.rows.views) {
        auto value = TRY(database_->prepare(
            "SELECT value FROM view_row WHERE view = ? AND key = ? AND rid = ?"));
        value.bind_all(view.view, view.key, carried.entry.rid);
        if (TRY(value.step())) view.value = value.blob(0);
    }
    return {};
}

Result<void> SqliteSource::identities(
    Rid above, const std::function<Result<void>(std::vector<KnownIdentity>)>& take) {
    // Rids ascend as they are given, so those above the last one that was copied are new.
    std::vector<KnownIdentity> part;
    auto row = TRY(database_->prepare("SELECT type, id, rid FROM directory WHERE rid > ?"));
    row.bind(1, above);
    while (TRY(row.step())) {
        part.push_back(
            {{static_cast<Name>(row.integer(0)), std::string(row.text(1))}, row.integer(2)});
        if (part.size() < limits::migrate_identities_at_once) continue;
        TRY(take(std::move(part)));
        part.clear();
    }
    return part.empty() ? Result<void>() : take(std::move(part));
}

Result<Belongings> SqliteSource::belongings() {
    Belongings all;
    auto setting =
        TRY(database_->prepare("SELECT key, value FROM setting WHERE key GLOB 'server/*'"));
    while (TRY(setting.step())) all.settings.emplace_back(setting.text(0), setting.blob(1));
    auto cursor = TRY(database_->prepare("SELECT view, next FROM cursor"));
    while (TRY(cursor.step())) all.cursors.emplace_back(cursor.text(0), cursor.integer(1));
    auto count = TRY(database_->prepare("SELECT type, resources FROM type_count"));
    while (TRY(count.step()))
        all.counts.push_back({static_cast<Name>(count.integer(0)), count.integer(1)});
    all.private_rows = TRY(sqlite::all_private_rows(*database_));
    return all;
}

}  // namespace

Result<std::unique_ptr<Source>> sqlite_source(const std::string& folder) {
    return SqliteSource::make(folder);
}

}  // namespace meridian::store::copy

// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/backup.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/limits.hpp"
#include "store/engine/audit_rows.hpp"
#include "store/sqlite/folder.hpp"
#include "store/sqlite/migrations.hpp"
#include "store/sqlite/schema.hpp"
#include "store/sqlite/sqlite_store.hpp"

namespace meridian::store {

namespace sqlite {
namespace {

namespace fs = std::filesystem;

/// What a backup holds. Everything else is made from it again.
constexpr const char* base_tables[] = {"setting",  "name",    "cursor", "type_count", "directory",
                                       "resource", "history", "log",    "audit"};

Result<void> sync_file(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return fail(Category::unavailable,
                    fmt::format("cannot open {}: {}", path, std::strerror(errno)));
    const int code = ::fsync(file);
    const int reason = errno;
    ::close(file);
    if (code != 0)
        return fail(Category::unavailable,
                    fmt::format("cannot sync {}: {}", path, std::strerror(reason)));
    return {};
}

/// Copies the first `bytes` of a file and makes them durable.
Result<void> copy_start(const std::string& from, const std::string& to, std::int64_t bytes) {
    const auto source = TRY(AppendFile::open(from, true, nullptr));
    const auto target = TRY(AppendFile::open(to, false, nullptr));
    constexpr std::int64_t step = 4 << 20;
    for (std::int64_t at = 0; at < bytes;) {
        const std::string part =
            TRY(source->read(at, static_cast<std::size_t>(std::min(step, bytes - at))));
        if (part.empty())
            return fail(Category::fault,
                        fmt::format("{} ends after {} bytes of {}", from, at, bytes));
        TRY(target->write(at, part));
        at += static_cast<std::int64_t>(part.size());
    }
    return target->sync();
}

std::string sql_literal(std::string_view text) {
    std::string out = "'";
    for (const char letter : text) out.append(letter == '\'' ? 2 : 1, letter);
    return out + "'";
}

/// A path as a SQLite URI that opens it for reading only.
std::string reading_uri(const std::string& path) {
    std::string uri = "file:";
    for (const char letter : fs::absolute(path).string()) {
        if (letter == '?' || letter == '#' || letter == '%')
            uri += fmt::format("%{:02X}", static_cast<unsigned char>(letter));
        else
            uri.push_back(letter);
    }
    return uri + "?mode=ro";
}

/// Copies the base tables of the database at `from` into a new one, in one read transaction.
/// Returns its last position.
Result<Position> copy_tables(const std::string& from, Database& copy,
                             const CheckProgress& progress) {
    TRY(copy.execute("ATTACH " + sql_literal(reading_uri(from)) + " AS source"));
    TRY(copy.execute("BEGIN"));
    const Position last = TRY(copy.integer("SELECT max(position) FROM source.log", -1));
    TRY(copy.execute(schema));
    std::int64_t done = 0;
    for (const char* table : base_tables) {
        if (progress) progress(table, done++, std::size(base_tables));
        TRY(copy.execute(fmt::format("INSERT INTO main.{0} SELECT * FROM source.{0}", table)));
    }
    TRY(copy.run("INSERT INTO main.private_row SELECT * FROM source.private_row WHERE space <> ?",
                 space_of_keys));
    const std::int64_t id = TRY(copy.integer("PRAGMA source.application_id", 0));
    const std::int64_t version = TRY(copy.integer("PRAGMA source.user_version", 0));
    if (version != schema_version) {
        return fail(
            Category::unsupported,
            fmt::format(
                "the store has schema version {}, not {}; open it for writing once to migrate it, "
                "then back it up",
                version, schema_version));
    }
    TRY(copy.execute(
        fmt::format("PRAGMA application_id={}; PRAGMA user_version={};", id, version)));
    TRY(copy.execute("COMMIT"));
    return last;
}

/// Makes all index rows of the database at `path` again.
Result<Position> rebuild(const std::string& path, const BodyReader& reader,
                         const std::function<void(std::int64_t, std::int64_t)>& progress) {
    auto database = TRY(Database::open(path, {.cache_bytes = 512LL << 20}));
    TRY(
        database->execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA "
                          "wal_autocheckpoint=20000; PRAGMA temp_store=MEMORY;"));
    TRY(prepare_schema(*database, schema_version, migrations()));
    // The writer finds that all of them wait.
    TRY(AuditIndex::note_indexed(*database, 0));
    Dictionary names;
    TRY(names.load(*database));
    const std::int64_t total =
        TRY(database->integer("SELECT count(*) FROM resource WHERE verb <> 3", 0));
    auto reading = TRY(Database::open(path, {.read_only = true}));
    auto writer = TRY(Writer::make(std::move(database), names, OpenOptions().audit_index_batch));
    std::int64_t done = 0;
    Rid last = 0;
    for (bool more = true; more;) {
        const auto job = [&](Writer& to) -> Result<void> {
            auto row = TRY(reading->prepare(
                "SELECT rid, type, id, version, position, updated, verb, body FROM resource "
                "WHERE rid > ? AND verb <> 3 ORDER BY rid LIMIT ?"));
            row.bind_all(last, limits::load_batch_changes);
            more = false;
            while (TRY(row.step())) {
                Stored stored;
                stored.rid = last = row.integer(0);
                stored.type = static_cast<Name>(row.integer(1));
                stored.id = row.text(2);
                stored.version = row.integer(3);
                stored.position = row.integer(4);
                stored.updated.milliseconds = row.integer(5);
                stored.verb = static_cast<Verb>(row.integer(6));
                stored.current = true;
                stored.body = row.blob(7);
                TRY(to.reindex(stored.rid, stored.version, {}, TRY(reader.rows(stored, names))));
                more = true;
                ++done;
            }
            return {};
        };
        const auto task = std::make_shared<Task>();
        task->job = [&] { return job(*writer); };
        writer->write_group({&task, 1});
        TRY(task->outcome);
        if (progress) progress(done, total);
    }
    const Position position = writer->last_position();
    TRY(writer->database().execute("PRAGMA wal_checkpoint(TRUNCATE)"));
    return position;
}

}  // namespace

std::string backup_path(const std::string& folder) {
    return folder + "/backup.db";
}

std::string BackupFolder::partial_path() const {
    return backup_path(folder_) + ".partial";
}

Result<std::unique_ptr<BackupFolder>> BackupFolder::make(const std::string& folder) {
    std::error_code code;
    fs::create_directories(folder, code);
    if (code)
        return fail(Category::unavailable,
                    fmt::format("cannot make the folder {}: {}", folder, code.message()));
    std::unique_ptr<BackupFolder> made(new BackupFolder(folder));
    made->is_finished_ = true;  // nothing in it is ours yet
    if (fs::exists(made->partial_path(), code))
        return fail(Category::conflict,
                    fmt::format("{} holds a backup that was stopped before it was complete; remove "
                                "that folder, or name a new one",
                                folder));
    if (!fs::is_empty(folder, code))
        return fail(Category::conflict,
                    fmt::format("{} is not empty; name a new folder for the backup", folder));
    made->is_finished_ = false;
    return made;
}

BackupFolder::~BackupFolder() {
    if (is_finished_) return;
    std::error_code ignored;
    fs::remove(partial_path(), ignored);
    fs::remove_all(blobs_path(folder_), ignored);
}

Result<std::unique_ptr<Database>> BackupFolder::open_database() const {
    auto database =
        TRY(Database::open(partial_path(), {.create = true, .cache_bytes = 64LL << 20}));
    // No journal: a half-made copy is thrown away, and the whole of it is synced before it gets its
    // name.
    TRY(
        database->execute("PRAGMA page_size=8192; PRAGMA journal_mode=OFF; "
                          "PRAGMA synchronous=OFF;"));
    return database;
}

Result<void> BackupFolder::finish(const std::string& blobs,
                                  const std::map<std::int64_t, std::int64_t>& packs,
                                  const CheckProgress& progress) {
    TRY(sync_file(partial_path()));
    std::error_code code;
    if (!packs.empty()) fs::create_directories(blobs_path(folder_), code);
    std::int64_t done = 0;
    for (const auto& [pack, bytes] : packs) {
        if (progress) progress("packs of blobs", done++, static_cast<std::int64_t>(packs.size()));
        TRY(copy_start(Blobs::pack_path(blobs, pack), Blobs::pack_path(blobs_path(folder_), pack),
                       bytes));
    }
    if (!packs.empty()) TRY(sync_folder(blobs_path(folder_)));
    // Only a complete backup has the name that restore looks for.
    fs::rename(partial_path(), backup_path(folder_), code);
    if (code)
        return fail(Category::unavailable,
                    fmt::format("cannot rename {}: {}", partial_path(), code.message()));
    is_finished_ = true;
    return sync_folder(folder_);
}

Result<Position> backup(const std::string& from, const std::string& to,
                        const CheckProgress& progress) {
    std::error_code ignored;
    if (!fs::exists(database_path(from), ignored))
        return fail(Category::not_found, fmt::format("there is no store in {}", from));
    TRY(refuse_unfinished(*TRY(Database::open(database_path(from), {.read_only = true}))));
    const auto folder = TRY(BackupFolder::make(to));
    auto copy = TRY(folder->open_database());
    const Position last = TRY(copy_tables(database_path(from), *copy, progress));
    copy.reset();
    const auto blobs = TRY(Blobs::open({.folder = blobs_path(from), .read_only = true}));
    TRY(folder->finish(blobs_path(from), TRY(blobs->packs()), progress));
    return last;
}

}  // namespace sqlite

Result<Position> restore(
    const std::string& backup, const std::string& folder, const BodyReader& reader,
    const std::function<void(std::int64_t done, std::int64_t total)>& progress) {
    namespace fs = std::filesystem;
    std::error_code code;
    const std::string source = sqlite::backup_path(backup);
    const std::string target = sqlite::database_path(folder);
    if (!reader.rows)
        return fail(Category::fault, "restore needs a way to extract index rows from bodies");
    if (!fs::exists(source, code))
        return fail(Category::not_found, fmt::format("there is no complete backup in {}", backup));
    if (fs::exists(target, code))
        return fail(Category::conflict,
                    fmt::format("{} holds a store already; restore into a new folder", folder));
    fs::create_directories(folder, code);
    const auto lock = TRY(sqlite::FolderLock::take(folder));
    const std::string partial = target + ".partial";
    for (const char* suffix : {"", "-wal", "-shm"}) fs::remove(partial + suffix, code);
    TRY(sqlite::copy_start(source, partial,
                           static_cast<std::int64_t>(fs::file_size(source, code))));
    if (fs::exists(sqlite::blobs_path(backup), code)) {
        fs::create_directories(sqlite::blobs_path(folder), code);
        for (const auto& pack : fs::directory_iterator(sqlite::blobs_path(backup), code)) {
            if (pack.path().extension() != ".pack") continue;
            TRY(sqlite::copy_start(
                pack.path().string(),
                sqlite::blobs_path(folder) + "/" + pack.path().filename().string(),
                static_cast<std::int64_t>(pack.file_size())));
        }
        TRY(sqlite::sync_folder(sqlite::blobs_path(folder)));
        TRY(sqlite::Blobs::open(
            {.folder = sqlite::blobs_path(folder)}));  // makes the index of the packs
    }
    const Position last = TRY(sqlite::rebuild(partial, reader, progress));
    for (const char* suffix : {"-wal", "-shm"}) fs::remove(partial + suffix, code);
    TRY(sqlite::sync_file(partial));
    fs::rename(partial, target, code);
    if (code)
        return fail(Category::unavailable,
                    fmt::format("cannot rename {}: {}", partial, code.message()));
    TRY(sqlite::sync_folder(folder));
    return last;
}

}  // namespace meridian::store

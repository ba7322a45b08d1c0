// SPDX-License-Identifier: Apache-2.0
#include "store/copy/restore.hpp"

#include <filesystem>

#include "store/open.hpp"
#include "store/postgres/migrations.hpp"
#include "store/sqlite/backup.hpp"
#include "store/sqlite/folder.hpp"

namespace meridian::store::copy {

namespace {

namespace fs = std::filesystem;

/// Where the record is a store in a folder before it is moved. One that a killed restore has left
/// is removed too.
class WorkFolder {
 public:
    explicit WorkFolder(const std::string& parent) : path_(parent + "/restoring") { remove(); }
    ~WorkFolder() { remove(); }
    WorkFolder(const WorkFolder&) = delete;
    WorkFolder& operator=(const WorkFolder&) = delete;
    const std::string& path() const { return path_; }

 private:
    void remove() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    std::string path_;
};

Result<void> require_room_in_database(const std::string& url) {
    const auto looked = [&]() -> Result<void> {
        const auto connection =
            TRY(postgres::Connection::open({.url = url, .application_name = "meridian restore"}));
        return postgres::require_room(*connection);
    }();
    if (looked) return {};
    Error error = looked.error();
    error.where = database_option;
    return std::unexpected(std::move(error));
}

/// Packs of another store could not be told from those that are restored, and a store in the folder
/// would be found by who forgets the database.
Result<void> require_room_in_folder(const std::string& folder) {
    std::error_code ignored;
    const auto refuse = [&folder](std::string_view what) {
        return fail(Category::conflict, fmt::format("{} holds {}; name a new folder", folder, what),
                    folder_option);
    };
    if (fs::exists(sqlite::database_path(folder), ignored)) return refuse("a store of its own");
    for (const auto& file : fs::directory_iterator(sqlite::blobs_path(folder), ignored)) {
        if (file.path().extension() == ".pack") return refuse("the blobs of another store");
    }
    return {};
}

}  // namespace

Result<LogSum> restore(const std::string& backup, const Place& to, const BodyReader& reader,
                       const RestoreOptions& options) {
    std::error_code code;
    TRY(require_room_in_database(to.database));
    if (!fs::exists(sqlite::backup_path(backup), code))
        return fail(Category::not_found, fmt::format("there is no complete backup in {}", backup));
    TRY(require_room_in_folder(to.folder));
    fs::create_directories(to.folder, code);
    // Whoever holds the folder is a server, or a restore of another process.
    auto lock = TRY(sqlite::FolderLock::take(to.folder));
    const WorkFolder work(to.folder);
    const auto tell = [&options](std::int64_t done, std::int64_t total) {
        if (options.progress) options.progress("index", done, total);
    };
    TRY(store::restore(backup, work.path(), reader, tell));
    if (options.complete) TRY(options.complete(work.path()));
    lock.reset();  // the migration takes it
    const auto moved =
        TRY(migrate({.folder = work.path()}, to, reader, {.progress = options.progress}));
    if (!moved.is_finished)
        return fail(Category::unavailable,
                    fmt::format("{} is used by another process; nothing else may be done in it "
                                "while a backup is restored there",
                                work.path()));
    return moved.target;
}

}  // namespace meridian::store::copy

// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/vfs.hpp"

#include <sqlite3.h>

#include <new>

#include "store/disk.hpp"
#include "store/sqlite/database.hpp"
#include "store/sqlite/file_map.hpp"
#include "store/sqlite/shared_locks.hpp"

namespace meridian::store::sqlite {

struct Vfs::Part {
    sqlite3_vfs vfs{};
    sqlite3_vfs* platform = nullptr;
    std::string name;
    std::int64_t mapped_bytes = 0;
    bool keep_read_locks = false;
    std::shared_ptr<FileFaults> faults;
    std::mutex locks_mutex;
    std::map<std::string, std::weak_ptr<SharedLocks>> locks;  ///< by path of the database

    /// The read locks kept for a database, made when its first connection uses its log.
    std::shared_ptr<SharedLocks> locks_of(const char* path) {
        const std::lock_guard guard(locks_mutex);
        std::weak_ptr<SharedLocks>& place = locks[path];
        if (auto known = place.lock()) return known;
        std::shared_ptr<SharedLocks> made = SharedLocks::of(platform, path);
        place = made;
        return made;
    }
};

namespace {

/// What the write-ahead log gathers before it goes to the system: SQLite hands over 24 bytes of
/// frame header and one page at a time, and a call for each costs more than the copy.
constexpr std::size_t gathered_bytes_max = 1u << 20;
/// SQLite's Unix VFS cuts a write to 17 bits of length.
constexpr std::size_t handed_piece_bytes = 64u << 10;
/// With faults: the disk sees pieces of this size, so that tests lose and tear what a disk would.
constexpr std::size_t faulty_piece_bytes = 4096;

/// SQLite allocates szOsFile bytes and hands them to xOpen; the platform's file lies right behind
/// ours.
struct File {
    sqlite3_file base;
    Vfs::Part* part;
    sqlite3_file* real;
    const char* path;  ///< SQLite keeps it as long as the file is open; null for temporary files
    std::shared_ptr<FileMap> map;
    std::shared_ptr<SharedLocks> locks;
    /// Written by SQLite, not yet handed to the system; contiguous, from gathered_at on. Only of a
    /// write-ahead log: others read a log no further than its last synced commit, and a sync hands
    /// everything over.
    std::string gathered;
    sqlite3_int64 gathered_at;
    bool is_log;
    bool is_database;
    bool keeps_locks;  ///< not for a store that another process may be writing
};

File* ours(sqlite3_file* file) {
    return reinterpret_cast<File*>(file);
}
sqlite3_file* real(sqlite3_file* file) {
    return ours(file)->real;
}
Vfs::Part* part(sqlite3_vfs* vfs) {
    return static_cast<Vfs::Part*>(vfs->pAppData);
}
sqlite3_vfs* platform(sqlite3_vfs* vfs) {
    return part(vfs)->platform;
}

/// The bytes that a write of `size` bytes at `offset` replaces; shorter when the file ends before.
std::string bytes_before(sqlite3_file* file, std::size_t size, sqlite3_int64 offset) {
    sqlite3_int64 length = 0;
    if (real(file)->pMethods->xFileSize(real(file), &length) != SQLITE_OK || length <= offset)
        return {};
    std::string bytes(static_cast<std::size_t>(std::min<sqlite3_int64>(
                          length - offset, static_cast<sqlite3_int64>(size))),
                      '\0');
    if (real(file)->pMethods->xRead(real(file), bytes.data(), static_cast<int>(bytes.size()),
                                    offset) != SQLITE_OK)
        return {};
    return bytes;
}

/// Hands one write to the system, or to the faults that a test wants.
int write_through(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 offset) {
    File* mine = ours(file);
    FileFaults* faults = mine->part->faults.get();
    if (faults == nullptr || mine->path == nullptr)
        return mine->real->pMethods->xWrite(mine->real, bytes, size, offset);
    const auto length = static_cast<std::size_t>(size);
    switch (faults->before({FileOperation::write, mine->path, offset, length})) {
        case Fault::none:
            break;
        case Fault::full:
            return SQLITE_FULL;
        case Fault::torn:
            mine->real->pMethods->xWrite(mine->real, bytes, size / 2, offset);
            return SQLITE_IOERR_WRITE;
        case Fault::fail:
            return SQLITE_IOERR_WRITE;
    }
    if (faults->remembers_writes()) {
        note_write(*faults, mine->path, offset, {static_cast<const char*>(bytes), length},
                   bytes_before(file, length, offset));
    }
    return mine->real->pMethods->xWrite(mine->real, bytes, size, offset);
}

/// Hands over what was gathered. It is forgotten even when that fails: SQLite then takes the
/// transaction back and never looks at those bytes again.
int hand_over(sqlite3_file* file) {
    File* mine = ours(file);
    const std::size_t piece =
        mine->part->faults == nullptr ? handed_piece_bytes : faulty_piece_bytes;
    int code = SQLITE_OK;
    for (std::size_t at = 0; at < mine->gathered.size() && code == SQLITE_OK; at += piece) {
        const std::size_t size = std::min(piece, mine->gathered.size() - at);
        code = write_through(file, mine->gathered.data() + at, static_cast<int>(size),
                             mine->gathered_at + static_cast<sqlite3_int64>(at));
    }
    mine->gathered.clear();
    return code;
}

int write_file(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 offset) {
    File* mine = ours(file);
    if (!mine->is_log) return write_through(file, bytes, size, offset);
    const auto end = mine->gathered_at + static_cast<sqlite3_int64>(mine->gathered.size());
    if (!mine->gathered.empty() && (offset != end || mine->gathered.size() >= gathered_bytes_max)) {
        if (const int code = hand_over(file); code != SQLITE_OK) return code;
    }
    if (mine->gathered.empty()) mine->gathered_at = offset;
    mine->gathered.append(static_cast<const char*>(bytes), static_cast<std::size_t>(size));
    return SQLITE_OK;
}

int read_file(sqlite3_file* file, void* bytes, int size, sqlite3_int64 offset) {
    File* mine = ours(file);
    if (!mine->gathered.empty() && offset + size > mine->gathered_at) {
        if (const int code = hand_over(file); code != SQLITE_OK) return code;
    }
    return mine->real->pMethods->xRead(mine->real, bytes, size, offset);
}

int close_file(sqlite3_file* file) {
    File* mine = ours(file);
    const int handed = hand_over(file);
    const int code = mine->real->pMethods->xClose(mine->real);
    mine->~File();
    return handed != SQLITE_OK ? handed : code;
}

int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
    File* mine = ours(file);
    if (const int code = hand_over(file); code != SQLITE_OK) return code;
    FileFaults* faults = mine->part->faults.get();
    if (faults != nullptr && mine->path != nullptr) {
        if (faults->before({FileOperation::truncate, mine->path, size, 0}) != Fault::none)
            return SQLITE_IOERR_TRUNCATE;
        if (faults->remembers_writes()) note_truncate(*faults, mine->path, size);
    }
    return mine->real->pMethods->xTruncate(mine->real, size);
}

int sync_file(sqlite3_file* file, int flags) {
    File* mine = ours(file);
    if (const int code = hand_over(file); code != SQLITE_OK) return code;
    FileFaults* faults = mine->part->faults.get();
    if (faults != nullptr && mine->path != nullptr) {
        if (faults->before({FileOperation::sync, mine->path, 0, 0}) != Fault::none)
            return SQLITE_IOERR_FSYNC;
    }
    const int code = mine->real->pMethods->xSync(mine->real, flags);
    if (code == SQLITE_OK && faults != nullptr && mine->path != nullptr &&
        faults->remembers_writes()) {
        note_sync(*faults, mine->path);
    }
    return code;
}

int file_size(sqlite3_file* file, sqlite3_int64* size) {
    if (const int code = hand_over(file); code != SQLITE_OK) return code;
    return real(file)->pMethods->xFileSize(real(file), size);
}
int lock_file(sqlite3_file* file, int level) {
    return real(file)->pMethods->xLock(real(file), level);
}
int unlock_file(sqlite3_file* file, int level) {
    return real(file)->pMethods->xUnlock(real(file), level);
}
int check_reserved(sqlite3_file* file, int* answer) {
    return real(file)->pMethods->xCheckReservedLock(real(file), answer);
}

int control_file(sqlite3_file* file, int operation, void* argument) {
    File* mine = ours(file);
    if (operation == SQLITE_FCNTL_MMAP_SIZE && mine->is_database) {
        // Not passed on: the platform would make a map for every connection.
        auto* limit = static_cast<sqlite3_int64*>(argument);
        if (*limit > 0 && mine->path != nullptr)
            mine->map = FileMap::of(mine->path, mine->part->mapped_bytes);
        if (*limit == 0) mine->map.reset();
        *limit = mine->map ? mine->part->mapped_bytes : 0;
        return SQLITE_OK;
    }
    if (operation == SQLITE_FCNTL_SIZE_HINT) return SQLITE_OK;  // growth must go through write_file
    return mine->real->pMethods->xFileControl(mine->real, operation, argument);
}

int sector_size(sqlite3_file* file) {
    return real(file)->pMethods->xSectorSize(real(file));
}
int characteristics(sqlite3_file* file) {
    return real(file)->pMethods->xDeviceCharacteristics(real(file));
}
int map_shared(sqlite3_file* file, int region, int size, int extend, void volatile** memory) {
    File* mine = ours(file);
    const int code = mine->real->pMethods->xShmMap(mine->real, region, size, extend, memory);
    if (code == SQLITE_OK && mine->locks == nullptr && mine->keeps_locks)
        mine->locks = mine->part->locks_of(mine->path);
    return code;
}
int lock_shared(sqlite3_file* file, int offset, int count, int flags) {
    File* mine = ours(file);
    if (mine->locks) return mine->locks->lock(mine->real, offset, count, flags);
    return mine->real->pMethods->xShmLock(mine->real, offset, count, flags);
}
void barrier(sqlite3_file* file) {
    real(file)->pMethods->xShmBarrier(real(file));
}
int unmap_shared(sqlite3_file* file, int remove) {
    ours(file)->locks.reset();
    return real(file)->pMethods->xShmUnmap(real(file), remove);
}

int fetch(sqlite3_file* file, sqlite3_int64 offset, int size, void** bytes) {
    File* mine = ours(file);
    *bytes = mine->map ? mine->map->at(offset, size) : nullptr;
    return SQLITE_OK;
}
int unfetch(sqlite3_file*, sqlite3_int64, void*) {
    return SQLITE_OK;
}

const sqlite3_io_methods methods = {
    3,
    close_file,
    read_file,
    write_file,
    truncate_file,
    sync_file,
    file_size,
    lock_file,
    unlock_file,
    check_reserved,
    control_file,
    sector_size,
    characteristics,
    map_shared,
    lock_shared,
    barrier,
    unmap_shared,
    fetch,
    unfetch,
};

int open_file(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* flags_out) {
    auto* real_file = reinterpret_cast<sqlite3_file*>(reinterpret_cast<char*>(file) + sizeof(File));
    file->pMethods = nullptr;
    const int code = platform(vfs)->xOpen(platform(vfs), path, real_file, flags, flags_out);
    if (code != SQLITE_OK) return code;
    auto* mine = new (file) File{};
    mine->part = part(vfs);
    mine->real = real_file;
    mine->path = path;
    mine->is_log = (flags & SQLITE_OPEN_WAL) != 0;
    mine->is_database = (flags & SQLITE_OPEN_MAIN_DB) != 0;
    mine->keeps_locks = mine->is_database && path != nullptr && mine->part->keep_read_locks;
    mine->base.pMethods = &methods;
    return SQLITE_OK;
}

int delete_file(sqlite3_vfs* vfs, const char* path, int sync_folder) {
    FileFaults* faults = part(vfs)->faults.get();
    if (faults != nullptr) {
        if (faults->before({FileOperation::truncate, path, 0, 0}) != Fault::none)
            return SQLITE_IOERR_DELETE;
        if (faults->remembers_writes()) note_sync(*faults, path);
    }
    return platform(vfs)->xDelete(platform(vfs), path, sync_folder);
}
int access_file(sqlite3_vfs* vfs, const char* path, int flags, int* answer) {
    return platform(vfs)->xAccess(platform(vfs), path, flags, answer);
}
int full_path(sqlite3_vfs* vfs, const char* path, int size, char* out) {
    return platform(vfs)->xFullPathname(platform(vfs), path, size, out);
}
int randomness(sqlite3_vfs* vfs, int size, char* out) {
    return platform(vfs)->xRandomness(platform(vfs), size, out);
}
int sleep_microseconds(sqlite3_vfs* vfs, int count) {
    return platform(vfs)->xSleep(platform(vfs), count);
}
int current_time(sqlite3_vfs* vfs, double* out) {
    return platform(vfs)->xCurrentTime(platform(vfs), out);
}
int last_error(sqlite3_vfs* vfs, int size, char* out) {
    return platform(vfs)->xGetLastError(platform(vfs), size, out);
}

}  // namespace

Vfs::Vfs(std::unique_ptr<Part> own) : part_(std::move(own)) {}

Result<std::unique_ptr<Vfs>> Vfs::make(std::int64_t mapped_bytes, bool keep_read_locks,
                                       std::shared_ptr<FileFaults> faults) {
    static std::atomic<unsigned> made{0};
    configure_sqlite();
    sqlite3_vfs* below = sqlite3_vfs_find(nullptr);
    if (below == nullptr) return fail(Category::fault, "SQLite has no VFS for this platform");
    auto own = std::make_unique<Part>();
    own->platform = below;
    own->name = fmt::format("meridian-{}", ++made);
    own->mapped_bytes = mapped_bytes;
    own->keep_read_locks = keep_read_locks;
    own->faults = std::move(faults);
    sqlite3_vfs& vfs = own->vfs;
    vfs.iVersion = 1;
    vfs.szOsFile = static_cast<int>(sizeof(File)) + below->szOsFile;
    vfs.mxPathname = below->mxPathname;
    vfs.zName = own->name.c_str();
    vfs.pAppData = own.get();
    vfs.xOpen = open_file;
    vfs.xDelete = delete_file;
    vfs.xAccess = access_file;
    vfs.xFullPathname = full_path;
    vfs.xRandomness = randomness;
    vfs.xSleep = sleep_microseconds;
    vfs.xCurrentTime = current_time;
    vfs.xGetLastError = last_error;
    if (sqlite3_vfs_register(&vfs, 0) != SQLITE_OK)
        return fail(Category::fault, "SQLite did not take the store's VFS");
    return std::unique_ptr<Vfs>(new Vfs(std::move(own)));
}

Vfs::~Vfs() {
    sqlite3_vfs_unregister(&part_->vfs);
}

const std::string& Vfs::name() const {
    return part_->name;
}

}  // namespace meridian::store::sqlite

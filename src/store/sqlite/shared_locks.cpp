// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/shared_locks.hpp"

#include <sqlite3.h>

namespace meridian::store::sqlite {

std::unique_ptr<SharedLocks> SharedLocks::of(sqlite3_vfs* platform, const char* path) {
    std::unique_ptr<SharedLocks> locks(new SharedLocks());
    locks->memory_ = std::make_unique<std::byte[]>(static_cast<std::size_t>(platform->szOsFile));
    auto* file = reinterpret_cast<sqlite3_file*>(locks->memory_.get());
    // The platform keeps the pointer, and `path` goes with the connection that gave it.
    const std::string name(path);
    locks->path_ = sqlite3_create_filename(name.c_str(), (name + "-journal").c_str(),
                                           (name + "-wal").c_str(), 0, nullptr);
    if (locks->path_ == nullptr ||
        platform->xOpen(platform, locks->path_, file, SQLITE_OPEN_READWRITE | SQLITE_OPEN_MAIN_DB,
                        nullptr) != SQLITE_OK)
        return nullptr;
    locks->holder_ = file;
    void volatile* region = nullptr;
    constexpr int region_bytes =
        32 * 1024;  // SQLite maps the index of the log in regions of this size
    if (file->pMethods->xShmMap(file, 0, region_bytes, 1, &region) != SQLITE_OK) return nullptr;
    return locks;
}

SharedLocks::~SharedLocks() {
    close_holder();
    sqlite3_free_filename(path_);
}

void SharedLocks::close_holder() {
    if (holder_ == nullptr || holder_->pMethods == nullptr) return;
    for (int slot = first_read_slot; slot < slots; ++slot) {
        if (held_[slot])
            holder_->pMethods->xShmLock(holder_, slot, 1, SQLITE_SHM_UNLOCK | SQLITE_SHM_SHARED);
    }
    holder_->pMethods->xShmUnmap(holder_, 0);
    holder_->pMethods->xClose(holder_);
}

int SharedLocks::lock(sqlite3_file* file, int offset, int count, int flags) {
    const bool locks = (flags & SQLITE_SHM_LOCK) != 0;
    if (locks && (flags & SQLITE_SHM_EXCLUSIVE) != 0 && offset + count > first_read_slot) {
        const std::lock_guard guard(mutex_);
        for (int slot = std::max(offset, first_read_slot); slot < offset + count; ++slot) {
            if (!held_[slot]) continue;
            holder_->pMethods->xShmLock(holder_, slot, 1, SQLITE_SHM_UNLOCK | SQLITE_SHM_SHARED);
            held_[slot] = false;
        }
        return file->pMethods->xShmLock(file, offset, count, flags);
    }
    const int code = file->pMethods->xShmLock(file, offset, count, flags);
    if (code != SQLITE_OK || !locks || (flags & SQLITE_SHM_SHARED) == 0 ||
        offset < first_read_slot || held_[offset])
        return code;
    const std::lock_guard guard(mutex_);
    if (!held_[offset] &&
        holder_->pMethods->xShmLock(holder_, offset, 1, SQLITE_SHM_LOCK | SQLITE_SHM_SHARED) ==
            SQLITE_OK) {
        held_[offset] = true;
    }
    return code;
}

}  // namespace meridian::store::sqlite

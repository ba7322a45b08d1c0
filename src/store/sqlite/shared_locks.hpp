// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>

struct sqlite3_file;
struct sqlite3_vfs;

namespace meridian::store::sqlite {

/// Keeps the read locks of a write-ahead log after their last reader in this process has gone, so
/// that the next reader takes them without a system call: two such calls would be the larger part
/// of a short snapshot's cost. They are given up as soon as anybody in the process wants one of
/// them exclusively (a checkpoint, a new read mark). Thread-safe.
class SharedLocks {
 public:
    /// Null when the database file cannot be opened a second time: then nothing is kept.
    static std::unique_ptr<SharedLocks> of(sqlite3_vfs* platform, const char* path);
    ~SharedLocks();
    SharedLocks(const SharedLocks&) = delete;
    SharedLocks& operator=(const SharedLocks&) = delete;

    /// xShmLock of `file`, with the same meaning.
    int lock(sqlite3_file* file, int offset, int count, int flags);

 private:
    static constexpr int slots = 8;  ///< SQLITE_SHM_NLOCK
    static constexpr int first_read_slot =
        3;  ///< after the writer's, the checkpoint's and the recovery's
    SharedLocks() = default;
    void close_holder();

    const char* path_ = nullptr;           ///< SQLite's own form; ours to free
    std::unique_ptr<std::byte[]> memory_;  ///< of holder_
    sqlite3_file* holder_ =
        nullptr;  ///< a file of its own, so that its locks count as another reader's
    std::mutex mutex_;
    std::atomic<bool> held_[slots] = {};
};

}  // namespace meridian::store::sqlite

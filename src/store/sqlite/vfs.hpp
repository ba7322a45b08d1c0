// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "store/faults.hpp"

namespace meridian::store::sqlite {

/// The store's own SQLite VFS over the platform's. It does three things:
/// all connections of the process see one file through one memory map, which is counted once in the
/// process's memory and bounded; the frames of the write-ahead log go to the system in large
/// pieces, at the latest when it is synced; and tests can make writes, syncs and truncations fail.
/// One object per opened store; it must outlive all connections.
class Vfs {
 public:
    /// `keep_read_locks` for the one process that writes (store/sqlite/shared_locks.hpp);
    /// `mapped_bytes` bounds the memory map; `faults` may be null. Errors: `fault` when SQLite has
    /// no platform VFS.
    static Result<std::unique_ptr<Vfs>> make(std::int64_t mapped_bytes, bool keep_read_locks,
                                             std::shared_ptr<FileFaults> faults);
    ~Vfs();
    Vfs(const Vfs&) = delete;
    Vfs& operator=(const Vfs&) = delete;

    /// For DatabaseOptions::vfs.
    const std::string& name() const;

    struct Part;

 private:
    explicit Vfs(std::unique_ptr<Part> part);
    std::unique_ptr<Part> part_;
};

}  // namespace meridian::store::sqlite

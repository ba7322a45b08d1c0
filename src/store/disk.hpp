// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "store/faults.hpp"

namespace meridian::store {

/// What a disk that remembers (FileFaults::remembers_writes) is told: the bytes that are about to
/// be written and those they replace (shorter when the file ends there), that a file is about to be
/// cut, that a sync has succeeded.
void note_write(FileFaults& faults, std::string_view path, std::int64_t offset,
                std::string_view bytes, std::string before);
void note_truncate(FileFaults& faults, std::string_view path, std::int64_t size);
void note_sync(FileFaults& faults, std::string_view path);

/// A file that is only appended to and read, under the same faults as the database. Not thread-safe
/// for appends; reads may run beside them.
class AppendFile {
 public:
    /// Opens or makes a file. Errors: `unavailable`.
    static Result<std::unique_ptr<AppendFile>> open(const std::string& path, bool read_only,
                                                    std::shared_ptr<FileFaults> faults);
    ~AppendFile();
    AppendFile(const AppendFile&) = delete;
    AppendFile& operator=(const AppendFile&) = delete;

    /// Writes at `offset`. Errors: `storage_full`; `unavailable` for I/O errors.
    Result<void> write(std::int64_t offset, std::string_view bytes);
    /// Errors: `unavailable`; after that the state of the file is unknown and a second sync proves
    /// nothing.
    Result<void> sync();
    Result<void> truncate(std::int64_t size);
    /// Up to `size` bytes from `offset`; fewer at the end of the file.
    Result<std::string> read(std::int64_t offset, std::size_t size) const;
    Result<std::int64_t> size() const;

 private:
    AppendFile(int file, std::string path, std::shared_ptr<FileFaults> faults)
        : file_(file), path_(std::move(path)), faults_(std::move(faults)) {}
    std::unexpected<Error> failure(const char* what, int code) const;
    int file_;
    std::string path_;
    std::shared_ptr<FileFaults> faults_;
};

}  // namespace meridian::store

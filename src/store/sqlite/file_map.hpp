// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

namespace meridian::store::sqlite {

/// A read-only memory map of a file that may grow, shared by everybody in the process who asks for
/// the same file.
///
/// The map is as long as its bound from the start; only the part that the file has reached is given
/// out. POSIX drops all of a process's locks on a file when any of its descriptors is closed: the
/// descriptor here therefore stays open as long as anybody uses the file through this class.
class FileMap {
 public:
    /// Null when the file cannot be opened or mapped: then it is read in the ordinary way.
    static std::shared_ptr<FileMap> of(const std::string& path, std::int64_t bytes_max);
    ~FileMap();
    FileMap(const FileMap&) = delete;
    FileMap& operator=(const FileMap&) = delete;

    /// The bytes [offset, offset + size), or null when they lie beyond the bound or the end of the
    /// file.
    void* at(std::int64_t offset, std::int64_t size);

 private:
    FileMap(int file, char* base, std::int64_t bytes) : file_(file), base_(base), bytes_(bytes) {}
    int file_;
    char* base_;
    std::int64_t bytes_;
    std::atomic<std::int64_t> reached_{
        0};  ///< length of the file when last looked at; it never shrinks
};

}  // namespace meridian::store::sqlite

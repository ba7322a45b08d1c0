// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

namespace meridian::store::sqlite {

/// A read-only memory map of a file that may grow, shared by everybody in the process who asks for
/// the same file.
///
/// The map is longer than any file from the start; only the part that the file has reached is given
/// out. Pages that were looked at belong to the process until they are given back: once they are
/// more than the bound, parts of the map are, one after the other. What is still needed of them
/// comes back from the system's page cache without reading the disk.
///
/// POSIX drops all of a process's locks on a file when any of its descriptors is closed: the
/// descriptor here therefore stays open as long as anybody uses the file through this class.
class FileMap {
 public:
    /// Null when the file cannot be opened or mapped: then it is read in the ordinary way.
    /// `resident_max` bounds the bytes of mapped files that stay in the process, roughly; 0 = no
    /// map.
    static std::shared_ptr<FileMap> of(const std::string& path, std::int64_t resident_max);
    ~FileMap();
    FileMap(const FileMap&) = delete;
    FileMap& operator=(const FileMap&) = delete;

    /// The bytes [offset, offset + size), or null when they lie beyond the end of the file. They
    /// stay valid as long as the map.
    void* at(std::int64_t offset, std::int64_t size);

 private:
    FileMap(int file, char* base, std::int64_t resident_max)
        : file_(file), base_(base), resident_max_(resident_max) {}
    void give_back();

    int file_;
    char* base_;
    std::int64_t resident_max_;
    std::mutex giving_back_;
    std::int64_t next_to_give_ = 0;  ///< where in the map the next part begins
    std::atomic<std::int64_t> reached_{
        0};  ///< length of the file when last looked at; it never shrinks
};

}  // namespace meridian::store::sqlite

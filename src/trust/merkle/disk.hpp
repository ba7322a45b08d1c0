// SPDX-License-Identifier: Apache-2.0
// Not part of the contract: files that are durable before anybody hears of them.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace meridian::trust::merkle::disk {

/// Closes a file descriptor when its scope ends.
class Descriptor {
 public:
    explicit Descriptor(int number = -1) : number_(number) {}
    Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }
    ~Descriptor();
    int number() const { return number_; }

 private:
    int number_;
};

/// Errors of all: `not_found`, `storage_full`, `unavailable`, with the path.
std::unexpected<Error> failed(std::string_view action, const std::string& path);
Result<Descriptor> open(const std::string& path, int flags, mode_t mode = 0644);
Result<void> write_all(int descriptor, std::string_view content, const std::string& path);
/// The folder and those above it, each with `mode`.
Result<void> make_folders(const std::string& path, mode_t mode = 0755);
/// A whole new content under `path` or the old one, whatever happens; durable only after `sync` of
/// the file and of its folder.
Result<void> replace(const std::string& path, std::string_view content, mode_t mode = 0644);
/// Waits until a file or folder is on the disk.
Result<void> sync(const std::string& path);
/// Waits until everything in the file system of `path` is on the disk.
Result<void> sync_file_system(const std::string& path);
/// The size of a file; -1 when there is none.
std::int64_t size_of(const std::string& path);
/// `folder` without what follows the last slash.
std::string folder_of(const std::string& path);

/// An exclusive lock on a file, held while this lives and lost with the process.
class Lock {
 public:
    /// Errors: `unavailable` when another process has it.
    static Result<Lock> take(const std::string& path);

 private:
    Descriptor file_;
};

}  // namespace meridian::trust::merkle::disk

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "base/result.hpp"

namespace meridian::store::sqlite {

/// Names of the files in a store's folder.
std::string database_path(const std::string& folder);
std::string blobs_path(const std::string& folder);

/// The right to write to a folder: held by one process at a time, given up when it ends, however it
/// ends.
class FolderLock {
 public:
    /// Errors: `unavailable` when somebody else holds it or the folder cannot be written.
    static Result<std::unique_ptr<FolderLock>> take(const std::string& folder);
    ~FolderLock();
    FolderLock(const FolderLock&) = delete;
    FolderLock& operator=(const FolderLock&) = delete;

 private:
    explicit FolderLock(int file) : file_(file) {}
    int file_;
};

/// Makes the names of new files in a folder durable. Errors: `unavailable`.
Result<void> sync_folder(const std::string& folder);

}  // namespace meridian::store::sqlite

// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace meridian::store::sqlite {

std::string database_path(const std::string& folder) {
    return folder + "/record.db";
}
std::string blobs_path(const std::string& folder) {
    return folder + "/blobs";
}

Result<std::unique_ptr<FolderLock>> FolderLock::take(const std::string& folder) {
    const std::string path = folder + "/lock";
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0)
        return fail(Category::unavailable,
                    fmt::format("cannot write to {}: {}", path, std::strerror(errno)));
    std::unique_ptr<FolderLock> lock(new FolderLock(file));
    if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
        char holder[32] = {};
        const ssize_t length = ::pread(file, holder, sizeof(holder) - 1, 0);
        return fail(
            Category::unavailable,
            fmt::format(
                "{} is in use by another process{}{}; stop it first, or use another --data folder",
                folder, length > 0 ? " with the id " : "", length > 0 ? holder : ""));
    }
    const std::string id = std::to_string(::getpid());
    if (::ftruncate(file, 0) != 0 || ::pwrite(file, id.data(), id.size(), 0) < 0) {
        // The number only makes a message clearer; a full disk must not keep the store from
        // opening.
    }
    return lock;
}

FolderLock::~FolderLock() {
    ::close(file_);
}

Result<void> sync_folder(const std::string& folder) {
    const int file = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0)
        return fail(Category::unavailable,
                    fmt::format("cannot open {}: {}", folder, std::strerror(errno)));
    const int code = ::fsync(file);
    const int reason = errno;
    ::close(file);
    if (code != 0)
        return fail(Category::unavailable,
                    fmt::format("cannot sync {}: {}", folder, std::strerror(reason)));
    return {};
}

}  // namespace meridian::store::sqlite

// SPDX-License-Identifier: Apache-2.0
#include "trust/merkle/disk.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/hash.hpp"

namespace meridian::trust::merkle::disk {

Descriptor::~Descriptor() {
    if (number_ >= 0) ::close(number_);
}

std::unexpected<Error> failed(std::string_view action, const std::string& path) {
    const int code = errno;
    const Category category = code == ENOENT                     ? Category::not_found
                              : code == ENOSPC || code == EDQUOT ? Category::storage_full
                                                                 : Category::unavailable;
    return fail(category, fmt::format("cannot {} {}: {}", action, path, std::strerror(code)), path);
}

Result<Descriptor> open(const std::string& path, int flags, mode_t mode) {
    Descriptor file(::open(path.c_str(), flags | O_CLOEXEC, mode));
    if (file.number() < 0) return failed("open", path);
    return file;
}

Result<void> write_all(int descriptor, std::string_view content, const std::string& path) {
    while (!content.empty()) {
        const ssize_t written = ::write(descriptor, content.data(), content.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return failed("write", path);
        content.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
}

Result<void> make_folders(const std::string& path, mode_t mode) {
    if (path.empty() || ::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
    if (errno != ENOENT) return failed("make", path);
    const std::string parent = folder_of(path);
    if (parent == path) return failed("make", path);
    TRY(make_folders(parent, mode));
    if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) return failed("make", path);
    return {};
}

Result<void> replace(const std::string& path, std::string_view content, mode_t mode) {
    const std::string temporary = path + ".new-" + to_hex(random_bytes(6));
    const auto written = [&]() -> Result<void> {
        const Descriptor file = TRY(open(temporary, O_WRONLY | O_CREAT | O_EXCL, mode));
        TRY(write_all(file.number(), content, temporary));
        // A key file must not be wider open for a moment, whatever the umask.
        if (::fchmod(file.number(), mode) != 0) return failed("protect", temporary);
        return {};
    }();
    if (!written || ::rename(temporary.c_str(), path.c_str()) != 0) {
        auto error = written ? Result<void>(failed("rename to", path)) : written;
        ::unlink(temporary.c_str());
        return error;
    }
    return {};
}

Result<void> sync(const std::string& path) {
    const Descriptor file = TRY(open(path, O_RDONLY));
    if (::fsync(file.number()) != 0) return failed("flush", path);
    return {};
}

Result<void> sync_file_system(const std::string& path) {
    const Descriptor folder = TRY(open(path, O_RDONLY | O_DIRECTORY));
    if (::syncfs(folder.number()) != 0) return failed("flush", path);
    return {};
}

std::int64_t size_of(const std::string& path) {
    struct stat status{};
    return ::stat(path.c_str(), &status) == 0 ? status.st_size : -1;
}

std::string folder_of(const std::string& path) {
    return std::filesystem::path(path).parent_path().string();
}

Result<Lock> Lock::take(const std::string& path) {
    Lock lock;
    lock.file_ = TRY(open(path, O_RDWR | O_CREAT));
    if (::flock(lock.file_.number(), LOCK_EX | LOCK_NB) != 0) {
        return fail(Category::unavailable,
                    "another process keeps this tree: is a server running on the folder?", path);
    }
    return lock;
}

}  // namespace meridian::trust::merkle::disk

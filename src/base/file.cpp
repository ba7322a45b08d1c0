// SPDX-License-Identifier: Apache-2.0
#include "base/file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/hash.hpp"

namespace meridian {

namespace {

/// Closes a file descriptor when its scope ends.
class Descriptor {
 public:
    explicit Descriptor(int number) : number_(number) {}
    ~Descriptor() {
        if (number_ >= 0) ::close(number_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int number() const { return number_; }
    bool is_open() const { return number_ >= 0; }

 private:
    int number_;
};

std::unexpected<Error> failed(std::string_view action, const std::string& path) {
    const int code = errno;
    const Category category = code == ENOENT                     ? Category::not_found
                              : code == ENOSPC || code == EDQUOT ? Category::storage_full
                                                                 : Category::unavailable;
    return fail(category, fmt::format("cannot {} {}: {}", action, path, std::strerror(code)), path);
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

Result<void> write_and_rename(const std::string& temporary, const std::string& path,
                              std::string_view content) {
    {
        const Descriptor file(
            ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
        if (!file.is_open()) return failed("create", temporary);
        TRY(write_all(file.number(), content, temporary));
        if (::fsync(file.number()) != 0) return failed("flush", temporary);
    }
    if (::rename(temporary.c_str(), path.c_str()) != 0) return failed("rename to", path);
    return {};
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.is_open()) return failed("open", path);
    struct stat status{};
    if (::fstat(file.number(), &status) != 0) return failed("read", path);
    std::string content;
    // The size is a hint only: special files say 0, and a file may grow while it is read.
    std::size_t room = static_cast<std::size_t>(std::max<off_t>(status.st_size, 0)) + 1;
    constexpr std::size_t step_bytes = 64u << 10;
    while (true) {
        if (content.size() > bytes_max || room > bytes_max + step_bytes) {
            return fail(Category::too_large,
                        fmt::format("{} has more than {} bytes", path, bytes_max), path);
        }
        const std::size_t used = content.size();
        content.resize(used + room);
        const ssize_t got = ::read(file.number(), content.data() + used, room);
        content.resize(used + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
        if (got < 0 && errno != EINTR) return failed("read", path);
        if (got == 0) return content;
        room = std::max(room - static_cast<std::size_t>(std::max<ssize_t>(got, 0)), step_bytes);
    }
}

Result<void> write_file_atomically(const std::string& path, std::string_view content) {
    const std::string temporary = path + ".new-" + to_hex(random_bytes(6));
    if (auto written = write_and_rename(temporary, path, content); !written) {
        ::unlink(temporary.c_str());
        return written;
    }
    const auto slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    const Descriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory.is_open() || ::fsync(directory.number()) != 0) return failed("flush", folder);
    return {};
}

}  // namespace meridian

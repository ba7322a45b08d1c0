// SPDX-License-Identifier: Apache-2.0
#include "net/detail/local_socket.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace meridian::net::detail {

namespace {

sockaddr_un address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

int new_socket() {
    return ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/// Whether a server listens at `path`. One whose queue is full (EAGAIN) does, too.
bool is_answered(const std::string& path) {
    const int descriptor = new_socket();
    const sockaddr_un address = address_of(path);
    const bool is_refused =
        ::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
        (errno == ECONNREFUSED || errno == ENOENT);
    ::close(descriptor);
    return !is_refused;
}

/// Makes room for our own file.
Result<void> clear_place(const std::string& path) {
    struct stat status{};
    if (::lstat(path.c_str(), &status) != 0) return {};
    if (!S_ISSOCK(status.st_mode))
        return fail(Category::incorrect,
                    fmt::format("{} is no socket and stays: name another path", path));
    if (is_answered(path))
        return fail(Category::unavailable, fmt::format("another server answers at {}", path));
    ::unlink(path.c_str());
    return {};
}

}  // namespace

LocalSocket::LocalSocket(std::string path, int descriptor)
    : path_(std::move(path)), descriptor_(descriptor) {}

LocalSocket::LocalSocket(LocalSocket&& other) noexcept
    : path_(std::exchange(other.path_, {})),
      descriptor_(std::exchange(other.descriptor_, -1)),
      device_(other.device_),
      inode_(other.inode_) {}

LocalSocket::~LocalSocket() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (path_.empty() || inode_ == 0) return;
    struct stat status{};
    const bool is_ours =
        ::lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_;
    if (is_ours) ::unlink(path_.c_str());
}

Result<LocalSocket> LocalSocket::listen(const std::string& path) {
    if (path.size() >= sizeof(sockaddr_un::sun_path)) {
        return fail(Category::incorrect,
                    fmt::format("the path {} is too long for a socket (at most {} bytes)", path,
                                sizeof(sockaddr_un::sun_path) - 1));
    }
    TRY(clear_place(path));
    LocalSocket made(path, new_socket());
    const sockaddr_un address = address_of(path);
    struct stat status{};
    // Between bind and listen nobody can connect: the rights are right before anybody may.
    const bool is_bound = ::bind(made.descriptor_, reinterpret_cast<const sockaddr*>(&address),
                                 sizeof address) == 0 &&
                          ::lstat(path.c_str(), &status) == 0;
    if (is_bound) {
        made.device_ = status.st_dev;
        made.inode_ = status.st_ino;
    }
    if (is_bound && ::chmod(path.c_str(), 0600) == 0 && ::listen(made.descriptor_, SOMAXCONN) == 0)
        return made;
    return fail(Category::unavailable,
                fmt::format("cannot listen at {}: {}", path, std::strerror(errno)));
}

int LocalSocket::release() {
    return std::exchange(descriptor_, -1);
}

std::string local_peer(int descriptor) {
    ucred credentials{};
    socklen_t size = sizeof credentials;
    if (::getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
        return "local:";
    return fmt::format("local:uid={}", credentials.uid);
}

}  // namespace meridian::net::detail

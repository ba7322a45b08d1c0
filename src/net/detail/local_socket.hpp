// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.hpp"

namespace meridian::net::detail {

/// A listening Unix socket that only its owner may open; its file goes with it.
class LocalSocket {
 public:
    /// Errors: `incorrect` for a path that is too long or names something else than a socket;
    /// `unavailable` when another server answers there, or the folder cannot be written to.
    /// Blocking: for the file only.
    static Result<LocalSocket> listen(const std::string& path);

    LocalSocket(LocalSocket&& other) noexcept;
    LocalSocket& operator=(LocalSocket&&) = delete;
    /// Removes the file, unless somebody has put another in its place.
    ~LocalSocket();

    /// The listening socket; whoever takes it closes it.
    int release();

 private:
    LocalSocket(std::string path, int descriptor);
    std::string path_;
    int descriptor_ = -1;
    dev_t device_ = 0;
    ino_t inode_ = 0;
};

/// "local:uid=1000" of the process at the other end (SO_PEERCRED).
std::string local_peer(int descriptor);

}  // namespace meridian::net::detail

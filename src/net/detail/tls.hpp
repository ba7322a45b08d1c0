// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>

#include "net/server.hpp"

namespace meridian::net::detail {

/// The TLS of one accepted connection, over its non-blocking socket: what leaves and enters goes
/// straight to the socket, nothing here waits. The handshake happens inside the first calls. For
/// one thread at a time: whoever has the connection's turn.
class TlsSession {
 public:
    enum class Outcome : unsigned char {
        done,          ///< `count` bytes were read or written
        wants_input,   ///< call again when the socket is readable
        wants_output,  ///< call again, with the same bytes, when the socket is writable
        ended,         ///< the client has closed its side in order
        failed         ///< the connection cannot go on; nothing more may be asked of it
    };
    struct Progress {
        Outcome outcome = Outcome::failed;
        std::size_t count = 0;
    };

    struct Implementation;
    explicit TlsSession(std::unique_ptr<Implementation> implementation);
    ~TlsSession();
    TlsSession(const TlsSession&) = delete;
    TlsSession& operator=(const TlsSession&) = delete;

    /// Reads up to `size` (> 0) bytes of plain text.
    Progress read(char* data, std::size_t size);
    /// Writes the front of `data` (not empty): `count` bytes of it have then left or will.
    Progress write(std::string_view data);
    /// Whether bytes that the socket has given already wait in here: then nobody may wait for the
    /// socket.
    bool has_pending() const;
    /// Tells the client that nothing more comes (RFC 8446 §6.1), if that can be done without
    /// waiting: so that it can tell an answer's end from an attacker's cut.
    void send_close_notify();
    /// After `failed`: the client spoke plain HTTP to this port.
    bool was_plain_http() const;

 private:
    std::unique_ptr<Implementation> implementation_;
};

/// The certificate, its key and what is spoken with them; shared by all connections of a server.
/// Thread-safe.
class TlsContext {
 public:
    /// Errors: `incorrect`, `not_found` or `forbidden` with a sentence for the operator: a file
    /// that cannot be read, a key that others may read, a key that does not belong to the
    /// certificate, a certificate that has ended. Blocking: for the files.
    static Result<std::unique_ptr<TlsContext>> make(TlsOptions options);
    ~TlsContext();
    TlsContext(const TlsContext&) = delete;
    TlsContext& operator=(const TlsContext&) = delete;

    /// A session for the connected non-blocking socket `descriptor`, which it does not own. nullptr
    /// when there is no memory.
    std::unique_ptr<TlsSession> accept(int descriptor) const;
    /// Reads the files again; new connections use what they say. Errors: as make, and then
    /// everything stays as it was. Blocking: for the files.
    Result<void> reload();
    /// Reloads when the files have changed and then rested for one call, or when the keys of
    /// session tickets are a day old; a refusal is logged once for each change. Blocking: for the
    /// files.
    void watch();

 private:
    struct Loaded;
    struct Stamp {
        std::int64_t device = 0, inode = 0, size = 0, changed = 0;
        bool operator==(const Stamp&) const = default;
    };
    struct Stamps {
        Stamp certificate, key;
        bool operator==(const Stamps&) const = default;
    };
    explicit TlsContext(TlsOptions options);
    static Stamp stamp_of(const std::string& file);
    Stamps stamps() const;
    static Result<std::shared_ptr<const Loaded>> load(const TlsOptions& options);
    Result<void> take_in(const Stamps& seen);

    const TlsOptions options_;
    mutable std::mutex mutex_{};  ///< for loaded_
    std::shared_ptr<const Loaded> loaded_{};
    std::mutex reload_mutex_{};  ///< for what follows: one reload at a time
    Stamps tried_{};             ///< the files as they were when they were last read
    Stamps last_seen_{};
    std::chrono::steady_clock::time_point loaded_at_{};
};

}  // namespace meridian::net::detail

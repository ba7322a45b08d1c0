// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>

#include "base/result.hpp"

namespace meridian::store::postgres {

class Connection;

/// Which past a database has. PostgreSQL begins a timeline with a higher number when a standby is
/// promoted, and when a backup is recovered: what the timeline before had not handed over is gone.
struct Timeline {
    std::int64_t system = 0;  ///< PostgreSQL's identifier of the cluster, the same on a standby
    std::int64_t number = 0;
    bool operator==(const Timeline&) const = default;
};

/// The way to a database that many connections share. When it is found to be silent all that were
/// made before are given up, by whoever waits on them: on a way that swallows everything nothing
/// else ends such a wait but the longest time that a statement may take. And when it leads to
/// another timeline than before, no connection is used until it is known that what this server
/// remembers is there too. Thread-safe.
class Line {
 public:
    /// Which line a connection that is made now belongs to.
    std::uint64_t number() const { return number_.load(std::memory_order_relaxed); }
    /// Gives up every connection that was made before.
    void cut() {
        is_silent_ = true;
        number_.fetch_add(1);
    }
    /// The database has answered.
    void heard() { is_silent_ = false; }
    /// Whether it is no use to try now.
    bool is_silent() const { return is_silent_.load(std::memory_order_relaxed); }

    /// `examine` fails with `conflict` when a database lacks what this server remembers of it, and
    /// with anything else when that could not be found out. `on_break` is called once if it does,
    /// on any thread; it must not block. Takes the place of what was given before, which is called
    /// no more when this returns.
    void watch(std::function<Result<void>(Connection&)> examine, std::function<void()> on_break);
    /// Lets a new connection in: the era that it belongs to. One to a new timeline begins an era,
    /// if the examination agrees, and what comes by older connections counts no more. Errors:
    /// `unavailable` for a timeline older than the one known, as that of a primary that was
    /// replaced and came back; for every connection once an examination has disagreed; those of
    /// the examination. Blocking: while one is going on.
    Result<std::uint64_t> admit(Connection& connection, const Timeline& timeline);
    std::uint64_t era() const { return era_.load(std::memory_order_relaxed); }
    /// Whether the database has turned out to lack what this server remembers.
    bool is_broken() const { return is_broken_.load(std::memory_order_relaxed); }

 private:
    std::unexpected<Error> break_off(const Error& reason);

    std::atomic<std::uint64_t> number_ = 0;
    std::atomic<bool> is_silent_ = false;

    std::mutex mutex_;  ///< guards what follows; held by examinations
    std::function<Result<void>(Connection&)> examine_{};
    std::function<void()> on_break_{};
    Timeline timeline_{};
    std::atomic<std::uint64_t> era_ = 0;  ///< 0 = none has begun
    std::atomic<bool> is_broken_ = false;
};

}  // namespace meridian::store::postgres

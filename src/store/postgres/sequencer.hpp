// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <vector>

#include "base/instant.hpp"
#include "base/result.hpp"
#include "store/postgres/connection.hpp"
#include "store/postgres/layout.hpp"
#include "store/rows.hpp"

namespace meridian::store::postgres {

/// The statement that asks for the last position that readers may see, NULL when there is none: of
/// a transaction on several nodes each shows its part when it comes to it, and the log may say more
/// than the others show yet.
inline std::string_view last_position_sql(const Layout& layout) {
    return layout.is_distributed() ? "SELECT nullif(max(published), -1) FROM meridian.sequencer"
                                   : "SELECT max(position) FROM meridian.log";
}

/// The last entry of a log, or of the part that is known. Two logs that differ before it have other
/// times there, mostly: it tells whether one has been replaced by the other.
struct LogEnd {
    Position position = -1;  ///< -1 = there is none
    Instant at{};
};
/// The statement that asks for the position and the time of the last entry that readers may see.
std::string last_entry_sql(const Layout& layout);

/// Gives the positions of the log. Of all servers on a database one is elected: it holds an
/// advisory lock on the connection by which it also writes, so that losing the connection is losing
/// the office, and nothing that it still believes can reach the database. Its own groups get their
/// positions as they are written; those of other servers wait in log_waiting until they are
/// committed and it has seen them. Belongs to the committer's thread.
class Sequencer {
 public:
    Sequencer(std::int64_t server, Layout layout) : server_(server), layout_(layout) {}

    /// May be asked from any thread.
    bool is_elected() const { return elected_; }
    /// Takes the office when it is free, or when its holder has given no sign of life for
    /// `silence_of_a_holder`: that one's connection is ended then. Errors: as Connection.
    Result<void> stand(Connection& connection);
    /// Gives a sign of life, at most every `beat_pause`.
    Result<void> beat(Connection& connection);
    /// The connection is gone, and the office with it.
    void resign() { elected_ = false; }

    struct Waiting {
        std::int64_t batch;
        std::int64_t entries;
        Instant at;
    };
    /// What is committed and waits, in the order in which it depends on one another.
    static constexpr std::string_view waiting_sql =
        "SELECT id, entries, at FROM meridian.batch WHERE base IS NULL ORDER BY id LIMIT 1000";
    static std::vector<Waiting> read_waiting(const Answer& rows);
    /// Queues, in the open transaction, the giving of positions to `waiting`.
    void send_positions(Connection& connection, const std::vector<Waiting>& waiting);

    /// Queues, behind a commit that has returned and so shows on all nodes of a distributed store,
    /// the saying so.
    void send_published(Connection& connection);

    /// The next position that is free, and the time that its entry may have at the earliest: times
    /// never go back along the log, even when a machine's clock does.
    Position next() const { return next_; }
    Instant time() const { return std::max(at_, now()); }
    LogEnd end() const { return {next_ - 1, at_}; }
    /// Takes `count` positions as of `at`.
    void take(std::int64_t count, Instant at) {
        next_ += count;
        at_ = std::max(at_, at);
    }
    /// The transaction of the last takes was committed, or not.
    void finish(bool committed);

 private:
    struct Placed {
        std::int64_t batch;
        Position base;
    };
    /// Queues the giving of positions to the audit entries of batches that have theirs.
    static void send_audits(Connection& connection, const std::vector<Placed>& batches);
    /// The same for what a holder has left that knew of no audit, as a server of the version
    /// before.
    static Result<void> place_audits_left(Connection& connection);
    Result<void> take_office(Connection& connection);
    Result<void> publish_what_was_left(Connection& connection);
    Result<void> end_silent_holder(Connection& connection);

    std::int64_t server_;
    Layout layout_;
    std::atomic<bool> elected_ = false;
    Position next_ = 0;
    Position next_before_ = 0;
    Instant at_{};
    Instant at_before_{};
    std::chrono::steady_clock::time_point stood_{};
    std::chrono::steady_clock::time_point beaten_{};
};

}  // namespace meridian::store::postgres

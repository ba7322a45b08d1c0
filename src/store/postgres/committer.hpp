// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "store/engine/commit_queue.hpp"
#include "store/postgres/writer.hpp"

namespace meridian::store::postgres {

/// The thread that writes this server's commits, and the one that listens to what all servers on
/// the database have written. A commit of a server that gives no positions itself is answered when
/// the sequencer has given them.
class Committer {
 public:
    Committer(std::unique_ptr<Writer> writer, Connection::Options listening, std::int64_t server,
              Layout layout);
    /// Writes everything that is queued, then stops.
    ~Committer();

    CommitQueue& queue() { return queue_; }
    /// As CommitQueue's, for work on the writing connection.
    void run_later(std::function<Result<void>(Writer&)> job, std::vector<Identity> mentions);
    /// Takes the place of the listener before: when this returns, that one is called no more.
    void on_commit(std::function<void(Position)> listener);
    /// The last entry of the log that this server has told anybody of.
    LogEnd seen() const;

 private:
    void write();
    /// Answers a group that was written, or puts it where it waits for its positions or for the
    /// database.
    void hand_on(Group group, const Writer::Written& written);
    /// Asks what became of groups whose connection was lost during their commit.
    void settle_doubts();
    void listen();
    Result<void> listen_on(Connection& connection);
    /// Gives those their positions that wait for them.
    Result<void> answer_waiting(Connection& connection);
    /// Answers those with `error` that have waited so long.
    void give_up_waiting(std::chrono::seconds patience, const Error& error);
    bool has_waiting();
    void announce(const LogEnd& last);
    Result<LogEnd> last_entry(Connection& connection) const;
    /// Shows that this server lives: the views that it follows stay its own.
    Result<void> beat(Connection& connection);

    std::unique_ptr<Writer> writer_;
    Connection::Options listening_;
    std::int64_t server_;
    Layout layout_;
    CommitQueue queue_;

    mutable std::mutex listener_mutex_;
    std::function<void(Position)> listener_ = [](Position) {};
    LogEnd announced_{};
    std::chrono::steady_clock::time_point beaten_{};

    struct Waiting {
        Group group;
        std::chrono::steady_clock::time_point since;
    };
    struct Doubt {
        Group group;
        Writer::Written written;
        std::chrono::steady_clock::time_point since;
    };
    std::vector<Doubt> doubts_;  ///< of the writing thread
    std::mutex waiting_mutex_;
    std::unordered_map<std::int64_t, Waiting> waiting_;  ///< by batch
    std::atomic<bool> stopping_ = false;
    int wake_;  ///< an eventfd that ends the listening thread's wait
    std::thread listening_thread_;
    std::thread writing_thread_;
};

}  // namespace meridian::store::postgres

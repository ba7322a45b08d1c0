// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "base/result.hpp"
#include "store/engine/commit_queue.hpp"
#include "store/sqlite/database.hpp"
#include "store/sqlite/writer.hpp"
#include "store/store.hpp"

namespace meridian::store::sqlite {

/// The one thread that writes. It gathers what waits, writes it as one group and answers all of it
/// after one fsync.
class Committer {
 public:
    /// `checkpointer` is a second connection that copies the write-ahead log back while the
    /// committer goes on.
    Committer(std::unique_ptr<Writer> writer, std::unique_ptr<Database> checkpointer,
              unsigned checkpoint_pages);
    /// Writes everything that is queued, then stops.
    ~Committer();

    /// Where commits are handed in.
    CommitQueue& queue() { return queue_; }
    /// As CommitQueue's, for work on the writing connection.
    Result<void> run_and_wait(std::function<Result<void>(Writer&)> job);
    void run_later(std::function<Result<void>(Writer&)> job);
    /// Takes the place of the listener before: when this returns, that one is called no more.
    void on_commit(std::function<void(Position)> listener);

 private:
    void work();
    /// Starts a checkpoint in the background when the write-ahead log is long, and completes one
    /// that has been started.
    void tend_log();
    void complete_checkpoint(int background);
    /// The checkpoint's thread: copies the log back when it is wanted, and when writers rest.
    void checkpoint();
    /// Copies what no reader needs any more; SQLite's code.
    int run_checkpoint();

    std::unique_ptr<Writer> writer_;
    std::unique_ptr<Database> checkpointer_;
    unsigned checkpoint_pages_;
    int checkpoint_at_pages_;  ///< length of the log at which the next one starts
    std::atomic<int> log_pages_{0};

    CommitQueue queue_;
    std::mutex listener_mutex_;
    std::function<void(Position)> listener_ = [](Position) {};

    enum class Checkpoint : unsigned char { idle, wanted, running, completing };
    std::mutex checkpoint_mutex_;
    std::condition_variable checkpoint_wanted_;
    Checkpoint checkpoint_ = Checkpoint::idle;
    int checkpoint_code_ = 0;  ///< SQLite's answer to the last one in the background
    bool checkpoint_stopping_ = false;
    std::thread checkpoint_thread_;
    std::thread thread_;
};

}  // namespace meridian::store::sqlite

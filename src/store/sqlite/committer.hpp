// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/result.hpp"
#include "store/sqlite/database.hpp"
#include "store/sqlite/writer.hpp"
#include "store/store.hpp"

namespace meridian::store::sqlite {

/// The one thread that writes. It gathers what waits, writes it as one group and answers all of it
/// after one fsync; while it writes, the next group gathers. Full queue: `busy`.
class Committer {
 public:
    /// `checkpointer` is a second connection that copies the write-ahead log back while the
    /// committer goes on.
    Committer(std::unique_ptr<Writer> writer, std::unique_ptr<Database> checkpointer,
              unsigned checkpoint_pages);
    /// Writes everything that is queued, then stops.
    ~Committer();

    void submit(const std::shared_ptr<Task>& task);
    /// Submits and waits. Errors: `fault` when called on the committer's own thread, which would
    /// wait for itself.
    Result<Receipt> submit_and_wait(Commit commit);
    Result<void> run_and_wait(std::function<Result<void>(Writer&)> job);
    /// Runs `job` in order with everything else; its error is kept for the next call of
    /// take_deferred_error. Blocks while the queue is full.
    void run_later(std::function<Result<void>(Writer&)> job);
    Result<void> take_deferred_error();
    /// Takes the place of the listener before: when this returns, that one is called no more.
    void on_commit(std::function<void(Position)> listener);

 private:
    void work();
    std::vector<std::shared_ptr<Task>> gather();
    /// Submits and waits for the answer on the task's round.
    Result<Receipt> wait_for(const std::shared_ptr<Task>& task);
    static void answer_one(Task& task);
    static void answer(const std::vector<std::shared_ptr<Task>>& group);
    /// Starts a checkpoint in the background when the write-ahead log is long, and completes one
    /// that has been started.
    void tend_log();
    void complete_checkpoint(int background);
    /// The checkpoint's thread: copies the log back when it is wanted, and when writers rest.
    void checkpoint();
    /// Copies what no reader needs any more; SQLite's code.
    int run_checkpoint();
    bool on_own_thread() const { return std::this_thread::get_id() == thread_.get_id(); }

    std::unique_ptr<Writer> writer_;
    std::unique_ptr<Database> checkpointer_;
    unsigned checkpoint_pages_;
    int checkpoint_at_pages_;  ///< length of the log at which the next one starts
    std::atomic<int> log_pages_{0};

    std::mutex mutex_;
    std::condition_variable waiting_;
    std::condition_variable room_;
    std::deque<std::shared_ptr<Task>> queue_;
    std::shared_ptr<Round> round_ = std::make_shared<Round>();  ///< of tasks that come now
    bool stopping_ = false;
    std::mutex listener_mutex_;
    std::function<void(Position)> listener_ = [](Position) {};
    std::mutex deferred_mutex_;
    std::optional<Error> deferred_;

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

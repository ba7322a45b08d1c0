// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/result.hpp"
#include "store/store.hpp"

namespace meridian::store {

/// Where the threads of tasks that came at about the same time wait together.
class Round {
 public:
    /// What `wait` is to be given, read before looking whether there is anything to wait for.
    int seen() const { return answers_.load(std::memory_order_acquire); }
    /// Blocks until wake_all is called after `seen` was read; may return for nothing.
    void wait(int seen);
    void wake_all();

 private:
    std::atomic<int> answers_{0};
};

/// What waits for the committer: a commit, or another small piece of work on its thread.
struct Task {
    Commit commit;
    /// Called with the outcome; without it, somebody waits for is_answered on the round.
    std::function<void(Result<Receipt>)> done{};
    std::shared_ptr<Round> round{};
    std::atomic<bool> is_answered{false};
    std::chrono::steady_clock::time_point since{};  ///< when it was queued
    std::function<Result<void>()> job{};            ///< instead of the commit
    std::vector<Identity> mentions{};               ///< identities that the job will ask for
    Result<Receipt> outcome{};
};
using Group = std::vector<std::shared_ptr<Task>>;

/// What waits for the one thread of an engine that writes. While that thread writes a group, the
/// next one gathers here; a full queue answers `busy`. Thread-safe.
class CommitQueue {
 public:
    /// Queues a task, which is answered later, or at once with `busy` or `unavailable`.
    void submit(const std::shared_ptr<Task>& task);
    /// Submits and waits. Errors: `fault` when called on the committer's own thread, which would
    /// wait for itself.
    Result<Receipt> submit_and_wait(Commit commit);
    Result<void> run_and_wait(std::function<Result<void>()> job);
    /// Runs `job` in order with everything else; its error is kept for the next call of
    /// take_deferred_error. Blocks while the queue is full.
    void run_later(std::function<Result<void>()> job, std::vector<Identity> mentions = {});
    Result<void> take_deferred_error();

    // For the committer's thread:
    /// Tells who answers, so that it is never made to wait for itself.
    void serve_from_this_thread() { server_ = std::this_thread::get_id(); }
    /// The tasks of the next group. Blocks until there is one; nothing once `stop` was called and
    /// all is done.
    Group gather();
    /// The same, but gives up after `patience`: `nothing` then.
    std::optional<Group> gather_within(std::chrono::milliseconds patience);
    /// Makes gather_within give up at once: there is something else to do.
    void nudge();
    static void answer(const Group& group);
    /// What comes from now on is refused; what is queued is still to be gathered.
    void stop();

 private:
    Group take_group();
    Result<Receipt> wait_for(const std::shared_ptr<Task>& task);
    static void answer_one(Task& task);
    bool on_own_thread() const { return std::this_thread::get_id() == server_.load(); }

    std::mutex mutex_;
    std::condition_variable waiting_;
    std::condition_variable room_;
    std::deque<std::shared_ptr<Task>> queue_;
    std::shared_ptr<Round> round_ = std::make_shared<Round>();  ///< of tasks that come now
    bool stopping_ = false;
    bool nudged_ = false;
    std::atomic<std::thread::id> server_{};
    std::mutex deferred_mutex_;
    std::optional<Error> deferred_;
};

}  // namespace meridian::store

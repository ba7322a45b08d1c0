// SPDX-License-Identifier: Apache-2.0
#include "store/engine/commit_queue.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>

#include "base/limits.hpp"
#include "store/engine/measures.hpp"

namespace meridian::store {

// std::atomic::wait of libstdc++ gives its processor time away several times before it sleeps. With
// hundreds of threads that wait for a disk this was a seventh of the server's work, so the system's
// call is made directly: futex(2).
static_assert(sizeof(std::atomic<int>) == sizeof(int));

void Round::wait(int seen) {
    syscall(SYS_futex, &answers_, FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr, 0);
}

void Round::wake_all() {
    answers_.fetch_add(1, std::memory_order_release);
    syscall(SYS_futex, &answers_, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

void CommitQueue::submit(const std::shared_ptr<Task>& task) {
    task->since = std::chrono::steady_clock::now();
    {
        const std::lock_guard lock(mutex_);
        task->round = round_;
        if (!stopping_ && queue_.size() < limits::commit_queue_max) {
            queue_.push_back(task);
            measures::commit_queue_length().set(static_cast<std::int64_t>(queue_.size()));
            waiting_.notify_one();
            return;
        }
        if (stopping_) {
            task->outcome = fail(Category::unavailable, "the store is closing");
        } else {
            task->outcome = fail(
                Category::busy, "too many commits are waiting for the disk; try again in a second");
        }
    }
    answer_one(*task);
}

Result<Receipt> CommitQueue::submit_and_wait(Commit commit) {
    if (on_own_thread())
        return fail(Category::fault,
                    "a commit listener called commit, which would wait for itself");
    auto task = std::make_shared<Task>();
    task->commit = std::move(commit);
    return wait_for(task);
}

Result<Receipt> CommitQueue::wait_for(const std::shared_ptr<Task>& task) {
    // Keeping the task until the answer is there lets this thread free its rows, not the
    // committer's.
    submit(task);
    while (!task->is_answered.load(std::memory_order_acquire)) {
        const int seen = task->round->seen();
        if (!task->is_answered.load(std::memory_order_acquire)) task->round->wait(seen);
    }
    // NOLINTNEXTLINE(clang-analyzer-cplusplus.Move): only a task with `done` is moved from before.
    return std::move(task->outcome);
}

Result<void> CommitQueue::run_and_wait(std::function<Result<void>()> job) {
    if (on_own_thread())
        return fail(Category::fault,
                    "a commit listener called the store, which would wait for itself");
    auto task = std::make_shared<Task>();
    task->job = std::move(job);
    TRY(wait_for(task));
    return {};
}

void CommitQueue::run_later(std::function<Result<void>()> job, std::vector<Identity> mentions) {
    auto task = std::make_shared<Task>();
    task->job = std::move(job);
    task->mentions = std::move(mentions);
    task->done = [this](Result<Receipt> outcome) {
        if (outcome) return;
        const std::lock_guard lock(deferred_mutex_);
        if (!deferred_) deferred_ = outcome.error();
    };
    {
        std::unique_lock lock(mutex_);
        room_.wait(lock,
                   [this] { return stopping_ || queue_.size() < limits::commit_queue_max / 2; });
    }
    submit(task);
}

Result<void> CommitQueue::take_deferred_error() {
    const std::lock_guard lock(deferred_mutex_);
    if (!deferred_) return {};
    Error error = *deferred_;
    deferred_.reset();
    return std::unexpected(std::move(error));
}

Group CommitQueue::take_group() {
    Group group;
    std::size_t room = 0;
    std::size_t changes = 0;
    while (!queue_.empty()) {
        const Commit& commit = queue_.front()->commit;
        const std::size_t own = commit.changes.size() + commit.audit.size();
        const std::size_t more = std::max<std::size_t>(own, 1);
        if (!group.empty() && room + more > limits::commit_group_changes_max) break;
        room += more;
        changes += own;
        group.push_back(std::move(queue_.front()));
        queue_.pop_front();
    }
    round_ = std::make_shared<Round>();
    room_.notify_all();
    measures::commit_queue_length().set(static_cast<std::int64_t>(queue_.size()));
    if (!group.empty()) measures::note_group(changes);
    return group;
}

Group CommitQueue::gather() {
    std::unique_lock lock(mutex_);
    waiting_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    return take_group();
}

std::optional<Group> CommitQueue::gather_within(std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    waiting_.wait_for(lock, patience, [this] { return stopping_ || nudged_ || !queue_.empty(); });
    nudged_ = false;
    if (queue_.empty() && !stopping_) return std::nullopt;
    return take_group();
}

void CommitQueue::nudge() {
    const std::lock_guard lock(mutex_);
    nudged_ = true;
    waiting_.notify_all();
}

void CommitQueue::answer_one(Task& task) {
    if (!task.job) {
        const auto outcome = !task.outcome         ? measures::Outcome::failed
                             : task.outcome->stale ? measures::Outcome::stale
                                                   : measures::Outcome::written;
        measures::note_commit(outcome, task.since);
    }
    if (task.done) {
        task.done(std::move(task.outcome));
    } else {
        task.is_answered.store(true, std::memory_order_release);
    }
}

void CommitQueue::answer(const Group& group) {
    std::vector<std::shared_ptr<Round>> rounds;
    for (const auto& task : group) {
        if (rounds.empty() || rounds.back() != task->round) rounds.push_back(task->round);
        answer_one(*task);
    }
    // One call to the system wakes all threads of a round. A call for each of them would take as
    // long as half the group's writing, and those woken last would wait for those woken first.
    for (const auto& round : rounds) round->wake_all();
}

void CommitQueue::stop() {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    waiting_.notify_all();
}

}  // namespace meridian::store

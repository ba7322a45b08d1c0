// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <semaphore.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace meridian::net::detail {

/// Work for a WorkerPool. The pool links jobs through `next_job`, so a submit allocates nothing; a
/// job is in one pool once at a time and lives until run() has begun (run() may end its life).
class Job {
 public:
    virtual void run() noexcept = 0;

 protected:
    ~Job() = default;

 private:
    friend class WorkerPool;
    Job* next_job_ = nullptr;
};

/// Threads that run jobs in the order they come.
///
/// Each worker sleeps on its own semaphore; the last to fall asleep is woken first (its caches are
/// warm), and at most one worker is on its way from sleep to work at any time: it wakes the next
/// one if work is left. So a burst of short jobs wakes few threads, and workers that block in a job
/// are still replaced at once.
class WorkerPool {
 public:
    /// `waiting_max`: jobs that may wait beside those that run.
    WorkerPool(unsigned workers, std::size_t waiting_max);
    /// Runs what still waits, then joins.
    ~WorkerPool();
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;

    /// False when the queue is full; `job` is then untouched. Thread-safe, never blocks for long.
    [[nodiscard]] bool submit(Job& job);
    /// For the next step of work that was admitted before: no bound.
    void submit_admitted(Job& job);
    /// Jobs that no worker has taken yet.
    std::size_t waiting();
    /// Runs what still waits, then joins all workers. Nothing may be submitted any more.
    void stop();

 private:
    struct Worker {
        sem_t wake;
        std::thread thread;
    };
    void push(Job& job, std::unique_lock<std::mutex>& lock);
    Worker* take_sleeper();
    void work(Worker& self);

    std::mutex mutex_;
    Job* first_ = nullptr;
    Job* last_ = nullptr;
    std::size_t waiting_ = 0;
    std::size_t busy_ = 0;  ///< workers that run a job
    const std::size_t waiting_max_;
    const std::size_t worker_count_;
    bool is_waking_ = false;  ///< a worker was woken and has not yet looked at the queue
    bool is_stopping_ = false;
    std::vector<Worker*> sleepers_;
    std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace meridian::net::detail

// SPDX-License-Identifier: Apache-2.0
#include "net/detail/worker_pool.hpp"

#include <cerrno>

namespace meridian::net::detail {

WorkerPool::WorkerPool(unsigned workers, std::size_t waiting_max)
    : waiting_max_(waiting_max), worker_count_(workers) {
    sleepers_.reserve(workers);
    for (unsigned i = 0; i < workers; ++i) {
        auto worker = std::make_unique<Worker>();
        sem_init(&worker->wake, 0, 0);
        workers_.push_back(std::move(worker));
    }
    for (const auto& worker : workers_)
        worker->thread = std::thread([this, self = worker.get()] { work(*self); });
}

WorkerPool::~WorkerPool() {
    stop();
    for (const auto& worker : workers_) sem_destroy(&worker->wake);
}

bool WorkerPool::submit(Job& job) {
    std::unique_lock lock(mutex_);
    // A job that a free worker will take at once does not wait: the bound is on what is left beyond
    // them.
    if (waiting_ >= waiting_max_ + worker_count_ - busy_) return false;
    push(job, lock);
    return true;
}

void WorkerPool::submit_admitted(Job& job) {
    std::unique_lock lock(mutex_);
    push(job, lock);
}

std::size_t WorkerPool::waiting() {
    const std::lock_guard lock(mutex_);
    return waiting_;
}

void WorkerPool::push(Job& job, std::unique_lock<std::mutex>& lock) {
    job.next_job_ = nullptr;
    if (last_ != nullptr) {
        last_->next_job_ = &job;
    } else {
        first_ = &job;
    }
    last_ = &job;
    ++waiting_;
    Worker* const sleeper = take_sleeper();
    lock.unlock();
    if (sleeper != nullptr) sem_post(&sleeper->wake);
}

/// The worker to wake now, if there is work, none is on its way, and one sleeps.
WorkerPool::Worker* WorkerPool::take_sleeper() {
    if (is_waking_ || first_ == nullptr || sleepers_.empty()) return nullptr;
    Worker* const sleeper = sleepers_.back();
    sleepers_.pop_back();
    is_waking_ = true;
    return sleeper;
}

void WorkerPool::work(Worker& self) {
    std::unique_lock lock(mutex_);
    bool was_woken = false;
    while (true) {
        if (was_woken) {
            is_waking_ = false;
            was_woken = false;
        }
        if (Job* const job = first_) {
            first_ = job->next_job_;
            if (first_ == nullptr) last_ = nullptr;
            --waiting_;
            ++busy_;
            Worker* const sleeper = take_sleeper();
            lock.unlock();
            if (sleeper != nullptr) sem_post(&sleeper->wake);
            job->run();
            lock.lock();
            --busy_;
            continue;
        }
        if (is_stopping_) return;
        sleepers_.push_back(&self);
        lock.unlock();
        while (sem_wait(&self.wake) != 0 && errno == EINTR) {
        }
        lock.lock();
        was_woken = true;
    }
}

void WorkerPool::stop() {
    std::vector<Worker*> sleepers;
    {
        const std::lock_guard lock(mutex_);
        is_stopping_ = true;
        sleepers.swap(sleepers_);
    }
    for (Worker* const sleeper : sleepers) sem_post(&sleeper->wake);
    for (const auto& worker : workers_) {
        if (worker->thread.joinable()) worker->thread.join();
    }
}

}  // namespace meridian::net::detail

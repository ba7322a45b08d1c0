// SPDX-License-Identifier: Apache-2.0
#include "net/detail/worker_pool.hpp"

#include <gtest/gtest.h>

#include <latch>

namespace meridian::net::detail {
namespace {

struct Task final : Job {
    std::function<void()> work;
    void run() noexcept override { work(); }
};

TEST(WorkerPool, RunsEveryJobOnce) {
    constexpr int jobs = 10'000;
    std::vector<Task> tasks(jobs);
    std::atomic<int> count = 0;
    {
        WorkerPool pool(4, jobs);
        std::vector<std::thread> threads;
        for (int part = 0; part < 4; ++part) {
            threads.emplace_back([&, part] {
                for (int i = part; i < jobs; i += 4) {
                    tasks[static_cast<std::size_t>(i)].work = [&] { ++count; };
                    ASSERT_TRUE(pool.submit(tasks[static_cast<std::size_t>(i)]));
                }
            });
        }
        for (std::thread& thread : threads) thread.join();
    }
    EXPECT_EQ(count, jobs);
}

TEST(WorkerPool, BlockedWorkersAreReplacedAndTheQueueIsBounded) {
    constexpr unsigned workers = 3;
    WorkerPool pool(workers, 2);
    std::latch all_run(workers), release(1);
    std::vector<Task> tasks(6);
    std::atomic<int> finished = 0;
    for (Task& task : tasks) {
        task.work = [&] {
            all_run.count_down();
            release.wait();
            ++finished;
        };
    }
    for (unsigned i = 0; i < workers; ++i) ASSERT_TRUE(pool.submit(tasks[i]));
    all_run.wait();  // three jobs that block run at the same time
    tasks[3].work = tasks[4].work = [&] { ++finished; };
    EXPECT_TRUE(pool.submit(tasks[3]));
    EXPECT_TRUE(pool.submit(tasks[4]));
    EXPECT_FALSE(pool.submit(tasks[5])) << "two wait already";
    EXPECT_EQ(pool.waiting(), 2u);
    release.count_down();
    pool.stop();
    EXPECT_EQ(finished, 5);
}

}  // namespace
}  // namespace meridian::net::detail

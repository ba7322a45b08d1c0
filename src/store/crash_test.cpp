// SPDX-License-Identifier: Apache-2.0
// Processes that are killed in the middle of writing. MERIDIAN_KILLS sets how many (20 when it is
// not set).
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>
#include <thread>

#include "store/store_test_support.hpp"

namespace meridian::store {
namespace {

constexpr int writers = 4;

/// One writer's life, deterministic by its step: each step is one commit that writes a counter and
/// two resources which must always agree, removes both in every seventh, and makes one new resource
/// in every third.
Commit step_of(Store& store, int writer, std::int64_t step) {
    const std::string name = std::to_string(writer);
    Commit commit;
    commit.changes.push_back(make_change(store, "Basic", "counter-" + name, std::to_string(step)));
    for (const char* twin : {"left-", "right-"}) {
        commit.changes.push_back(
            step % 7 == 6 ? make_removal(store, "Basic", twin + name)
                          : make_change(store, "Basic", twin + name, std::to_string(step)));
    }
    if (step % 3 == 0)
        commit.changes.push_back(
            make_change(store, "Patient", "made-" + name + "-" + std::to_string(step), "x"));
    return commit;
}

std::optional<std::string> value_of(Store& store, const std::string& type, const std::string& id) {
    auto snapshot = must(store.snapshot());
    const auto stored = must(snapshot->find({store.names().intern(NameKind::type, type), id}));
    if (!stored || stored->deleted()) return std::nullopt;
    const std::string json = must(decode(stored->body)).json;
    const std::size_t from = json.rfind(R"("value":")") + 9;
    return json.substr(from, json.size() - 2 - from);
}

std::int64_t last_step(Store& store, int writer) {
    const auto value = value_of(store, "Basic", "counter-" + std::to_string(writer));
    return value ? std::stoll(*value) : 0;
}

/// Runs in the process that will be killed: writes until then, and tells each acknowledged step
/// through standard output.
TEST(CrashChild, WritesUntilItIsKilled) {
    const char* folder = std::getenv("MERIDIAN_CRASH_FOLDER");
    if (folder == nullptr)
        GTEST_SKIP() << "only a part of Crash.KilledWritersLoseNothingAcknowledged";
    auto store = must_open(folder);
    std::vector<std::thread> threads;
    for (int writer = 0; writer < writers; ++writer) {
        threads.emplace_back([&store, writer] {
            for (std::int64_t step = last_step(*store, writer) + 1;; ++step) {
                must(store->commit(step_of(*store, writer, step)));
                const std::string line = fmt::format("{} {}\n", writer, step);
                if (::write(3, line.data(), line.size()) != static_cast<ssize_t>(line.size()))
                    std::abort();
            }
        });
    }
    for (auto& thread : threads) thread.join();
}

/// Starts a writing process, kills it `milliseconds` after its start, or, `when_it_writes`, after
/// its first acknowledged commit, and gives the last acknowledged step of each writer.
std::vector<std::int64_t> run_and_kill(const std::string& folder, int milliseconds,
                                       bool when_it_writes) {
    int ends[2];
    if (::pipe(ends) != 0) std::abort();
    const pid_t child = ::fork();
    if (child == 0) {
        ::dup2(ends[1], 3);
        ::setenv("MERIDIAN_CRASH_FOLDER", folder.c_str(), 1);
        ::execl("/proc/self/exe", "store_test", "--gtest_brief=1", "--gtest_filter=CrashChild.*",
                nullptr);
        ::_exit(127);
    }
    ::close(ends[1]);
    std::vector<std::int64_t> acknowledged(writers, 0);
    std::atomic<bool> has_begun{!when_it_writes};
    std::thread killer([child, milliseconds, &has_begun] {
        has_begun.wait(false);
        std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
        ::kill(child, SIGKILL);
    });
    std::string text;
    char buffer[4096];
    const auto begin = [&has_begun] {
        has_begun = true;
        has_begun.notify_all();
    };
    for (ssize_t got = 0; (got = ::read(ends[0], buffer, sizeof buffer)) > 0; begin())
        text.append(buffer, static_cast<std::size_t>(got));
    begin();  // also when it ended by itself
    killer.join();
    ::close(ends[0]);
    ::waitpid(child, nullptr, 0);
    std::size_t from = 0;
    for (std::size_t end = 0; (end = text.find('\n', from)) != std::string::npos; from = end + 1) {
        const std::size_t space = text.find(' ', from);
        auto& last = acknowledged[std::stoul(text.substr(from, space - from))];
        last = std::max<std::int64_t>(last, std::stoll(text.substr(space + 1, end - space - 1)));
    }
    return acknowledged;
}

TEST(Crash, KilledWritersLoseNothingAcknowledged) {
    const char* wanted = std::getenv("MERIDIAN_KILLS");
    const int kills = wanted == nullptr ? 20 : std::atoi(wanted);
    const TestFolder folder;
    std::mt19937 random(7);
    std::vector<std::int64_t> checked(writers, 0);
    std::int64_t steps = 0;
    for (int kill = 0; kill < kills; ++kill) {
        // Every third is killed early, while it may still recover what the last one left; the
        // others while they write, however slow the machine is.
        const bool when_it_writes = kill % 3 != 0;
        const auto acknowledged = run_and_kill(
            folder.path(), (when_it_writes ? 10 : 60) + static_cast<int>(random() % 150),
            when_it_writes);
        auto store = must_open(folder.path());
        for (int writer = 0; writer < writers; ++writer) {
            const std::int64_t step = last_step(*store, writer);
            const std::string name = std::to_string(writer);
            if (acknowledged[writer] > 0) {
                ASSERT_GE(step, acknowledged[writer]) << "an acknowledged commit is gone";
                ASSERT_LE(step, acknowledged[writer] + 1)
                    << "only the commit in flight may be there without an answer";
            }
            const std::optional<std::string> twins =
                step == 0 || step % 7 == 6 ? std::nullopt : std::optional(std::to_string(step));
            ASSERT_EQ(value_of(*store, "Basic", "left-" + name), twins) << "half a transaction";
            ASSERT_EQ(value_of(*store, "Basic", "right-" + name), twins) << "half a transaction";
            for (std::int64_t made = checked[writer] + 1; made <= step; ++made) {
                if (made % 3 != 0) continue;
                ASSERT_TRUE(
                    value_of(*store, "Patient", "made-" + name + "-" + std::to_string(made)));
            }
            steps += step - checked[writer];
            checked[writer] = step;
        }
        // Every fifth check reads the log that the killed process left, the others a store that was
        // closed in order.
        if (kill % 5 != 0) store.reset();
        expect_clean(folder.path());
        if (HasFailure()) return;
    }
    EXPECT_GT(steps, kills) << "the children never came to write";
}

}  // namespace
}  // namespace meridian::store

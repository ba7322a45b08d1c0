// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "base/limits.hpp"
#include "store/store_test_support.hpp"

namespace meridian::store {
namespace {

/// Runs `work(number)` in `count` threads at once.
void in_threads(int count, const std::function<void(int)>& work) {
    std::vector<std::thread> threads;
    std::atomic<int> ready{0};
    for (int number = 0; number < count; ++number) {
        threads.emplace_back([&, number] {
            ++ready;
            while (ready < count) std::this_thread::yield();
            work(number);
        });
    }
    for (auto& thread : threads) thread.join();
}

/// A conditional create: writes `id` only while nothing has `value`. Decides again when the commit
/// is stale.
bool create_if_none(Store& store, const std::string& id, const std::string& value) {
    const auto plan = std::make_shared<const Plan>(token_plan(store, "Patient", value, 2));
    for (unsigned attempt = 0; attempt < limits::commit_retries_max; ++attempt) {
        Commit commit;
        {
            auto snapshot = must(store.snapshot());
            commit.seen = snapshot->position();
            commit.codings_seen = store.names().coding_count();
            if (!must(snapshot->search(*plan)).rids.empty()) return false;
        }
        commit.expectations.push_back({plan, {}});
        commit.changes.push_back(make_change(store, "Patient", id, value));
        if (!must(store.commit(std::move(commit))).stale) return true;
    }
    ADD_FAILURE() << "stale for ever";
    return false;
}

TEST(Concurrency, OneOfSixtyFourConditionalCreatesWins) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    for (int round = 0; round < 5; ++round) {
        std::atomic<int> winners{0};
        const std::string value = "mrn-" + std::to_string(round);
        in_threads(64, [&](int number) {
            if (create_if_none(*store, value + "-" + std::to_string(number), value)) ++winners;
        });
        EXPECT_EQ(winners, 1);
        EXPECT_EQ(
            must(must(store->snapshot())->search(token_plan(*store, "Patient", value))).rids.size(),
            1u);
    }
    store.reset();
    expect_clean(folder.path());
}

TEST(Concurrency, ExpectationsOfOneGroupSeeEachOther) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    const auto plan = std::make_shared<const Plan>(token_plan(*store, "Patient", "same", 2));
    // All decided on the empty store; queued together, so most share a transaction.
    std::atomic<int> written{0};
    std::atomic<int> stale{0};
    std::atomic<int> open_answers{100};
    for (int number = 0; number < 100; ++number) {
        Commit commit = make_commit(make_change(*store, "Patient", std::to_string(number), "same"));
        commit.codings_seen = store->names().coding_count();
        commit.expectations.push_back({plan, {}});
        store->commit_later(std::move(commit), [&](Result<Receipt> receipt) {
            (must(std::move(receipt)).stale ? stale : written)++;
            --open_answers;
        });
    }
    while (open_answers > 0) std::this_thread::yield();
    EXPECT_EQ(written, 1);
    EXPECT_EQ(stale, 99);
}

TEST(Concurrency, NoUpdateIsLostWithIfVersion) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    must(store->commit(make_commit(make_change(*store, "Patient", "counter", "0"))));
    const Identity identity{store->names().find(NameKind::type, "Patient"), "counter"};
    constexpr int threads = 8;
    constexpr int rounds = 20;
    in_threads(threads, [&](int) {
        for (int done = 0; done < rounds;) {
            Stored now = *must(must(store->snapshot())->find(identity));
            const std::string json = must(decode(now.body)).json;
            const std::size_t from = json.rfind(R"("value":")") + 9;
            const int value = std::stoi(json.substr(from, json.size() - 2 - from));
            Commit commit =
                make_commit(make_change(*store, "Patient", "counter", std::to_string(value + 1)));
            commit.changes[0].if_version = now.version;
            if (!must(store->commit(std::move(commit))).stale) ++done;
        }
    });
    auto snapshot = must(store->snapshot());
    EXPECT_EQ(must(snapshot->find(identity))->version, threads * rounds + 1);
    EXPECT_EQ(
        must(snapshot->search(token_plan(*store, "Patient", std::to_string(threads * rounds))))
            .rids.size(),
        1u);
}

TEST(Concurrency, UniqueKeysAreHeldOnce) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    std::atomic<int> winners{0};
    std::atomic<int> conflicts{0};
    in_threads(16, [&](int number) {
        Commit commit = make_commit(make_change(*store, "Patient", std::to_string(number), "1"));
        commit.changes[0].rows.unique_keys.push_back("licence|7");
        const auto receipt = store->commit(std::move(commit));
        if (receipt)
            ++winners;
        else if (receipt.error().category == Category::conflict)
            ++conflicts;
    });
    EXPECT_EQ(winners, 1);
    EXPECT_EQ(conflicts, 15);
}

TEST(Concurrency, SnapshotsSeeWholeCommitsAndStandStill) {
    if (shows_node_by_node())
        GTEST_SKIP() << "each node of a Citus cluster shows a commit when it comes to it";
    const TestFolder folder;
    auto store = must_open(folder.path());
    std::atomic<bool> stop{false};
    const auto write_both = [&](int value) {
        Commit commit;
        commit.changes.push_back(make_change(*store, "Patient", "left", std::to_string(value)));
        commit.changes.push_back(make_change(*store, "Patient", "right", std::to_string(value)));
        must(store->commit(std::move(commit)));
    };
    write_both(0);
    const Name type = store->names().find(NameKind::type, "Patient");
    std::thread writer([&] {
        for (int value = 1; !stop; ++value) write_both(value);
    });
    in_threads(4, [&](int) {
        for (int round = 0; round < 100; ++round) {
            auto snapshot = must(store->snapshot());
            const Position position = snapshot->position();
            const Stored left = *must(snapshot->find({type, "left"}));
            std::this_thread::yield();
            const Stored right = *must(snapshot->find({type, "right"}));
            EXPECT_EQ(left.version, right.version) << "half a commit was seen";
            EXPECT_EQ(right.position, position);
            EXPECT_EQ(static_cast<Position>(must(snapshot->log(0, 1'000'000)).size()), position + 1)
                << "positions are not dense";
        }
    });
    stop = true;
    writer.join();
}

TEST(Concurrency, AWalkSeesEachResourceAsItWasOnce) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    constexpr int resources = 200;
    for (int number = 0; number < resources; ++number) {
        must(store->commit(
            make_commit(make_change(*store, "Patient", std::to_string(number), "old"))));
    }
    must(store->commit(make_commit(make_removal(*store, "Patient", "0"))));
    const Name type = store->names().find(NameKind::type, "Patient");
    const Position at = must(store->snapshot())->position();
    // Meanwhile: updates, deletions, revivals of what was deleted before and new resources.
    std::atomic<bool> stop{false};
    std::thread writer([&] {
        for (int number = 0; !stop; ++number) {
            const std::string id = std::to_string(number % resources);
            must(store->commit(make_commit(number % 3 == 1
                                               ? make_removal(*store, "Patient", id)
                                               : make_change(*store, "Patient", id, "new"))));
            must(store->commit(make_commit(
                make_change(*store, "Patient", "later-" + std::to_string(number), "new"))));
        }
    });
    for (int round = 0; round < 10; ++round) {
        std::set<std::string> seen;
        Rid after = 0;
        for (;;) {
            const auto page = must(must(store->snapshot())->walk(type, at, after, 7));
            for (const Stored& stored : page) {
                EXPECT_TRUE(seen.insert(stored.id).second) << stored.id << " twice";
                EXPECT_LE(stored.position, at);
                EXPECT_NE(must(decode(stored.body)).json.find("old"), std::string::npos);
                EXPECT_GT(stored.rid, after);
                after = stored.rid;
            }
            if (page.size() < 7) break;
        }
        EXPECT_EQ(seen.size(), static_cast<std::size_t>(resources - 1));
        EXPECT_FALSE(seen.contains("0"));
    }
    stop = true;
    writer.join();
    store.reset();
    expect_clean(folder.path());
}

TEST(Concurrency, ListenersHearEveryPositionInOrder) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    std::atomic<Position> heard{-1};
    std::atomic<bool> in_order{true};
    store->on_commit([&](Position position) {
        if (position <= heard) in_order = false;
        heard = position;
        // Waiting for itself would hang: the store says so instead.
        if (store->commit({})) in_order = false;
    });
    in_threads(4, [&](int number) {
        for (int i = 0; i < 25; ++i)
            must(store->commit(make_commit(
                make_change(*store, "Patient", std::to_string(number), std::to_string(i)))));
    });
    while (heard < 99) std::this_thread::yield();
    EXPECT_TRUE(in_order);
    EXPECT_EQ(heard, 99);
}

TEST(Concurrency, AListenerThatWasReplacedIsCalledNoMore) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    const auto write = [&](const char* text) {
        must(store->commit(make_commit(make_change(*store, "Patient", "p", text))));
    };
    std::atomic<int> second{0};
    {
        // Gone after this block: a call would be one into freed memory.
        const auto first = std::make_unique<std::atomic<int>>(0);
        store->on_commit([counter = first.get()](Position) { ++*counter; });
        write("1");
        while (*first == 0) std::this_thread::yield();
        store->on_commit([&](Position) { ++second; });
        write("2");
        while (second == 0) std::this_thread::yield();
        EXPECT_EQ(*first, 1);
    }
    write("3");
    while (second < 2) std::this_thread::yield();
    store->on_commit([](Position) {});
}

/// Each of ten refers to a patient of its own; some of them write nothing.
TEST(Concurrency, ThoseBehindAStaleOrRefusedCommitOfTheirGroupKeepTheirReferences) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    const Name patient = store->names().intern(NameKind::type, "Patient");
    const Name subject = store->names().intern(NameKind::parameter, "Basic.subject");
    // The listener holds the committer up until all ten wait, so that they are one group.
    std::atomic<bool> hold{true};
    std::atomic<bool> holding{false};
    store->on_commit([&](Position) {
        holding = true;
        while (hold) std::this_thread::yield();
    });
    must(store->commit(make_commit(make_change(*store, "Basic", "first", "1"))));
    while (!holding) std::this_thread::yield();
    const auto is_stale = [](int number) { return number == 2 || number == 6; };
    const auto is_refused = [](int number) { return number == 4; };
    std::vector<Rid> written(10, 0);
    std::atomic<int> answers{0};
    for (int number = 0; number < 10; ++number) {
        Change change = make_change(*store, "Basic", std::to_string(number), "1");
        change.rows.references = {{subject, {patient, fmt::format("of-{}", number)}}};
        if (is_stale(number)) change.if_version = 9;
        if (is_refused(number)) change.body.resize(limits::resource_bytes_max + 1);
        store->commit_later(make_commit(std::move(change)), [&, number](Result<Receipt> receipt) {
            if (receipt && !receipt->stale)
                written[static_cast<std::size_t>(number)] = receipt->written[0].rid;
            ++answers;
        });
    }
    hold = false;
    while (answers < 10) std::this_thread::yield();
    auto snapshot = must(store->snapshot());
    for (int number = 0; number < 10; ++number) {
        const Rid target = must(snapshot->rid_of({patient, fmt::format("of-{}", number)}));
        const Rid source = written[static_cast<std::size_t>(number)];
        EXPECT_EQ(source == 0, is_stale(number) || is_refused(number)) << number;
        if (source == 0) continue;
        EXPECT_EQ(must(snapshot->sources(std::vector<Rid>{target}, subject, 10)),
                  std::vector<Rid>{source})
            << number;
    }
}

TEST(Concurrency, AFullQueueAnswersBusy) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    // The listener holds the committer up while the queue fills.
    std::atomic<bool> hold{true};
    std::atomic<bool> holding{false};
    store->on_commit([&](Position) {
        holding = true;
        while (hold) std::this_thread::yield();
    });
    std::atomic<int> busy{0};
    std::atomic<int> answers{0};
    must(store->commit(make_commit(make_change(*store, "Patient", "first", "1"))));
    while (!holding) std::this_thread::yield();
    const int total = static_cast<int>(limits::commit_queue_max) + 10;
    for (int number = 0; number < total; ++number) {
        store->commit_later(
            make_commit(make_change(*store, "Patient", std::to_string(number), "1")),
            [&](Result<Receipt> receipt) {
                if (!receipt && receipt.error().category == Category::busy) ++busy;
                ++answers;
            });
    }
    EXPECT_EQ(busy, 10);
    hold = false;
    while (answers < total) std::this_thread::yield();
    EXPECT_EQ(busy, 10) << "everything that was queued is written";
    EXPECT_EQ(must(store->snapshot())->position(), static_cast<Position>(limits::commit_queue_max));
}

TEST(Concurrency, TooManySnapshotsAreRefusedClearly) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    std::vector<std::unique_ptr<Snapshot>> held;
    for (std::size_t i = 0; i < limits::snapshots_max; ++i) held.push_back(must(store->snapshot()));
    EXPECT_EQ(store->snapshot().error().category, Category::unavailable);
    held.pop_back();
    EXPECT_TRUE(store->snapshot());
}

TEST(Concurrency, AClosingStoreWritesWhatIsQueued) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    std::atomic<int> written{0};
    for (int number = 0; number < 500; ++number) {
        store->commit_later(
            make_commit(make_change(*store, "Patient", std::to_string(number), "1")),
            [&](Result<Receipt> receipt) {
                if (receipt) ++written;
            });
    }
    store.reset();
    EXPECT_EQ(written, 500);
    EXPECT_EQ(must(must_open(folder.path())->snapshot())->position(), 499);
}

}  // namespace
}  // namespace meridian::store

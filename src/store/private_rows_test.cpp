// SPDX-License-Identifier: Apache-2.0
// Small documents beside the record, on the engine of the run.
#include <gtest/gtest.h>

#include <thread>

#include "store/store_test_support.hpp"

namespace meridian::store {
namespace {

PrivateRow row(std::string key, std::string value, std::int64_t version = 0) {
    return {.space = "t", .key = std::move(key), .value = std::move(value), .version = version};
}
PrivateRow removal(std::string key, std::int64_t version) {
    return {.space = "t", .key = std::move(key), .version = version, .removed = true};
}

TEST(PrivateRows, ReplaceOnlyTheVersionThatTheyName) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    EXPECT_FALSE(must(store->private_row("t", "a")));
    EXPECT_TRUE(must(store->save_private({row("a", std::string("one\0zero", 8))})));
    EXPECT_EQ(must(store->private_row("t", "a"))->value, std::string("one\0zero", 8));
    EXPECT_EQ(must(store->private_row("t", "a"))->version, 1);
    EXPECT_FALSE(must(store->save_private({row("a", "again")}))) << "there is one";
    EXPECT_TRUE(must(store->save_private({row("a", "two", 1)})));
    EXPECT_FALSE(must(store->save_private({row("a", "three", 1)}))) << "it is the second by now";
    EXPECT_FALSE(must(store->save_private({removal("a", 1)})));
    EXPECT_EQ(must(store->private_row("t", "a"))->value, "two");
    EXPECT_TRUE(must(store->save_private({removal("a", 2)})));
    EXPECT_FALSE(must(store->private_row("t", "a")));
    EXPECT_FALSE(must(store->save_private({row("a", "of nothing", 2)})));
}

TEST(PrivateRows, AreWrittenAllOrNone) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    ASSERT_TRUE(must(store->save_private({row("b", "there")})));
    EXPECT_FALSE(must(store->save_private({row("a", "new"), row("b", "new"), row("c", "new")})));
    EXPECT_FALSE(must(store->private_row("t", "a")));
    EXPECT_FALSE(must(store->private_row("t", "c")));
    EXPECT_TRUE(must(store->save_private({row("c", "new"), removal("b", 1), row("a", "new")})));
    const auto all = must(store->private_rows("t", "", 10));
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[0].key, "a");
    EXPECT_EQ(all[1].key, "c");
    EXPECT_EQ(must(store->private_rows("t", "a", 10)).size(), 1u);
    EXPECT_EQ(must(store->private_rows("t", "", 1)).size(), 1u);
    EXPECT_TRUE(must(store->private_rows("other", "", 10)).empty());
}

TEST(PrivateRows, AreGoneWhenTheirTimeIsOver) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    PrivateRow over = row("a", "old");
    over.expires = now().milliseconds - 1;
    EXPECT_TRUE(must(store->save_private({over})));
    EXPECT_FALSE(must(store->private_row("t", "a")));
    EXPECT_TRUE(must(store->private_rows("t", "", 10)).empty());
    PrivateRow later = row("b", "kept");
    later.expires = now().milliseconds + 60'000;
    EXPECT_TRUE(must(store->save_private({later, row("a", "another")})));
    EXPECT_EQ(must(store->private_row("t", "a"))->value, "another");
    EXPECT_EQ(must(store->private_row("t", "b"))->expires, later.expires);
}

TEST(PrivateRows, SurviveTheirServer) {
    const TestFolder folder;
    must(must_open(folder.path())->save_private({row("a", "kept")}));
    EXPECT_EQ(must(must_open(folder.path())->private_row("t", "a"))->value, "kept");
    expect_clean(folder.path());
}

Commit with_row(Store& store, std::string id, PrivateRow private_row) {
    Commit commit;
    Change change;
    change.identity = {store.names().intern(NameKind::type, "Patient"), std::move(id)};
    change.body = "body";
    commit.changes.push_back(std::move(change));
    commit.private_rows.push_back(std::move(private_row));
    return commit;
}

TEST(PrivateRows, AreWrittenWithTheChangesOrNotAtAll) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    const auto patient = store->names().intern(NameKind::type, "Patient");
    EXPECT_FALSE(must(store->commit(with_row(*store, "1", row("k", "wrapped")))).stale);
    EXPECT_EQ(must(store->private_row("t", "k"))->value, "wrapped");
    EXPECT_EQ(must(store->private_row("t", "k"))->version, 1);
    // The same new row by another commit is no contradiction, another one is.
    EXPECT_FALSE(must(store->commit(with_row(*store, "2", row("k", "wrapped")))).stale);
    EXPECT_EQ(must(store->private_row("t", "k"))->version, 1);
    EXPECT_TRUE(must(store->commit(with_row(*store, "3", row("k", "another")))).stale);
    EXPECT_FALSE(must(store->find({patient, "3"}))) << "nothing of a stale commit is written";
    EXPECT_FALSE(must(store->commit(with_row(*store, "3", row("k", "second", 1)))).stale);
    EXPECT_EQ(must(store->private_row("t", "k"))->version, 2);
    EXPECT_TRUE(must(store->commit(with_row(*store, "4", removal("k", 1)))).stale);
    EXPECT_FALSE(must(store->commit(with_row(*store, "4", removal("k", 2)))).stale);
    EXPECT_FALSE(must(store->private_row("t", "k")));
    // What is stale for another reason brings no row.
    Commit stale = with_row(*store, "1", row("new", "x"));
    stale.changes[0].if_version = 7;
    EXPECT_TRUE(must(store->commit(std::move(stale))).stale);
    EXPECT_FALSE(must(store->private_row("t", "new")));
}

TEST(PrivateRows, OfManyCommitsAtOnceTheFirstWins) {
    constexpr int writers = 8, keys = 50;
    const TestFolder folder;
    auto store = must_open(folder.path());
    std::atomic<int> written = 0;
    const auto write = [&](int writer) {
        for (int key = 0; key < keys; ++key) {
            auto receipt = must(store->commit(
                with_row(*store, fmt::format("{}-{}", writer, key),
                         row(fmt::format("k{}", key), fmt::format("of {}", writer)))));
            if (!receipt.stale) ++written;
        }
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < writers; ++i) threads.emplace_back(write, i);
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(written, keys);
    EXPECT_EQ(must(store->private_rows("t", "", 1'000)).size(), std::size_t{keys});
}

TEST(PrivateRows, OneOfManyWritersIsFirst) {
    constexpr int writers = 8;
    const TestFolder folder;
    auto store = must_open(folder.path());
    ASSERT_TRUE(must(store->save_private({row("counter", "0")})));
    std::atomic<int> refused = 0;
    const auto count_up = [&] {
        for (int done = 0; done < 20;) {
            const auto before = must(store->private_row("t", "counter"));
            PrivateRow next = *before;
            next.value = std::to_string(std::stoi(before->value) + 1);
            // Beside another row, in either order of the two.
            const bool saved = must(store->save_private({next}));
            saved ? ++done : ++refused;
        }
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < writers; ++i) threads.emplace_back(count_up);
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(must(store->private_row("t", "counter"))->value, std::to_string(writers * 20));
    EXPECT_EQ(must(store->private_row("t", "counter"))->version, 1 + writers * 20);
}

}  // namespace
}  // namespace meridian::store

// SPDX-License-Identifier: Apache-2.0
#include "store/store.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "store/store_test_support.hpp"

namespace meridian::store {
namespace {

TEST(Store, FirstCommitIsReadBack) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    const Receipt receipt =
        must(store->commit(make_commit(make_change(*store, "Patient", "a", "1"))));
    EXPECT_FALSE(receipt.stale);
    EXPECT_EQ(receipt.position, 0);
    ASSERT_EQ(receipt.written.size(), 1u);
    EXPECT_EQ(receipt.written[0].version, 1);
    EXPECT_TRUE(receipt.written[0].created);

    auto snapshot = must(store->snapshot());
    EXPECT_EQ(snapshot->position(), 0);
    const auto found = must(snapshot->find({store->names().find(NameKind::type, "Patient"), "a"}));
    ASSERT_TRUE(found);
    EXPECT_TRUE(found->current);
    EXPECT_EQ(found->updated, receipt.at);
    EXPECT_EQ(must(decode(found->body)).json, plain_json("Patient", "a", "1"));
    EXPECT_FALSE(must(snapshot->find({store->names().find(NameKind::type, "Patient"), "b"})));
}

TEST(Store, PositionsAreDenseAndVersionsCount) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    for (int round = 0; round < 5; ++round) {
        Commit commit;
        for (int number = 0; number < 3; ++number) {
            commit.changes.push_back(
                make_change(*store, "Patient", std::to_string(number), std::to_string(round)));
        }
        const Receipt receipt = must(store->commit(std::move(commit)));
        EXPECT_EQ(receipt.position, round * 3 + 2);
        for (const Written& written : receipt.written) EXPECT_EQ(written.version, round + 1);
    }
    auto snapshot = must(store->snapshot());
    const auto log = must(snapshot->log(0, 100));
    ASSERT_EQ(log.size(), 15u);
    for (std::size_t index = 0; index < log.size(); ++index) {
        EXPECT_EQ(log[index].position, static_cast<Position>(index));
        EXPECT_EQ(log[index].id, std::to_string(index % 3));
        EXPECT_EQ(log[index].version, static_cast<Version>(index / 3 + 1));
    }
}

TEST(Store, DeletionLeavesATombstoneAndRevivingCountsOn) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    const Name type = store->names().intern(NameKind::type, "Patient");
    must(store->commit(make_commit(make_change(*store, "Patient", "a", "1"))));
    const Receipt removed = must(store->commit(make_commit(make_removal(*store, "Patient", "a"))));
    EXPECT_TRUE(removed.written[0].existed);
    EXPECT_EQ(removed.written[0].version, 2);
    const Receipt again = must(store->commit(make_commit(make_removal(*store, "Patient", "a"))));
    EXPECT_FALSE(again.written[0].existed);
    EXPECT_EQ(again.position, 1) << "a deletion of nothing writes nothing";
    {
        auto snapshot = must(store->snapshot());
        const auto found = must(snapshot->find({type, "a"}));
        ASSERT_TRUE(found);
        EXPECT_TRUE(found->deleted());
        EXPECT_TRUE(found->body.empty());
        EXPECT_TRUE(must(snapshot->search(token_plan(*store, "Patient", "1"))).rids.empty());
        EXPECT_TRUE(must(snapshot->counts()).empty());
    }
    const Receipt revived =
        must(store->commit(make_commit(make_change(*store, "Patient", "a", "2"))));
    EXPECT_EQ(revived.written[0].version, 3);
    EXPECT_TRUE(revived.written[0].created);
    auto snapshot = must(store->snapshot());
    EXPECT_EQ(must(decode(must(snapshot->find_version({type, "a"}, 1))->body)).json,
              plain_json("Patient", "a", "1"));
    EXPECT_TRUE(must(snapshot->find_version({type, "a"}, 2))->deleted());
    EXPECT_TRUE(must(snapshot->find_version({type, "a"}, 3))->current);
    EXPECT_FALSE(must(snapshot->find_version({type, "a"}, 4)));
    const auto history = must(snapshot->history({.type = type, .id = "a"}));
    ASSERT_EQ(history.size(), 3u);
    EXPECT_EQ(history[0].version, 3);
    EXPECT_EQ(history[2].version, 1);
}

TEST(Store, UpdateMovesIndexRows) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    const Receipt first =
        must(store->commit(make_commit(make_change(*store, "Patient", "a", "1"))));
    must(store->commit(make_commit(make_change(*store, "Patient", "a", "2"))));
    auto snapshot = must(store->snapshot());
    EXPECT_TRUE(must(snapshot->search(token_plan(*store, "Patient", "1"))).rids.empty());
    EXPECT_EQ(must(snapshot->search(token_plan(*store, "Patient", "2"))).rids,
              std::vector<Rid>{first.written[0].rid});
}

TEST(Store, StaleVersionWritesNothing) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    must(store->commit(make_commit(make_change(*store, "Patient", "a", "1"))));
    Commit commit;
    commit.changes.push_back(make_change(*store, "Patient", "b", "1"));
    commit.changes.push_back(make_change(*store, "Patient", "a", "2"));
    commit.changes.back().if_version = 7;
    EXPECT_TRUE(must(store->commit(std::move(commit))).stale);
    auto snapshot = must(store->snapshot());
    EXPECT_EQ(snapshot->position(), 0);
    EXPECT_FALSE(must(snapshot->find({store->names().find(NameKind::type, "Patient"), "b"})));
}

}  // namespace
}  // namespace meridian::store

// SPDX-License-Identifier: Apache-2.0
// What is particular to snapshots of a database that several servers write.
#include "store/postgres/snapshot.hpp"

#include <gtest/gtest.h>

#include "base/limits.hpp"
#include "store/postgres/connection.hpp"
#include "store/postgres/test_cluster.hpp"
#include "store/store_test_support.hpp"

namespace meridian::store::postgres {
namespace {

TEST(PostgresSnapshot, WhatAnotherServerWroteCountsBeforeItHasAPosition) {
    const TestFolder folder;
    const std::string url = TestCluster::instance().database_for(folder.path());
    auto store = must(store::open({.folder = folder.path(), .database = url}));
    Commit two;
    two.changes.push_back(make_change(*store, "Basic", "a", "same"));
    two.changes.push_back(make_change(*store, "Basic", "b", "same"));
    must(store->commit(std::move(two)));
    const Plan plan = token_plan(*store, "Basic", "same");
    const auto count = [&] { return must(must(store->snapshot())->count(plan)); };
    EXPECT_EQ(count(), 2);

    // Another server's group shows when it is committed, and the log tells of it a moment later:
    // here one that takes away what makes b a match, held in the moment between.
    auto other = must(Connection::open({.url = url}));
    must(other->execute(
        "BEGIN; INSERT INTO meridian.log_waiting(batch, ordinal, rid, kind, verb, type, version, "
        "actor, organisation, id, salt, body_hash) VALUES (1000000, 0, 0, 0, 1, 0, 1, 0, 0, '', "
        "'', ''); DELETE FROM meridian.idx_token WHERE rid = (SELECT max(rid) FROM "
        "meridian.resource); COMMIT"));
    EXPECT_EQ(count(), 1);
    must(other->execute("DELETE FROM meridian.log_waiting WHERE batch = 1000000"));
}

TEST(PostgresSnapshot, WhoHoldsOneNeverWaitsForTheOthersToAskASmallQuestion) {
    const TestFolder folder;
    const std::string url = TestCluster::instance().database_for(folder.path());
    auto store = must(store::open({.folder = folder.path(), .database = url}));
    std::vector<std::unique_ptr<Snapshot>> held;
    while (held.size() < limits::database_connections_max) held.push_back(must(store->snapshot()));
    // A key of a body, a setting, a name: requests ask for them in the middle of their reading.
    EXPECT_FALSE(must(store->private_row("key", "none")));
    EXPECT_FALSE(must(store->setting("none")));
    must(store->save_setting("some", "value"));
    EXPECT_GT(store->names().intern(NameKind::parameter, "new-name"), 0);
}

}  // namespace
}  // namespace meridian::store::postgres

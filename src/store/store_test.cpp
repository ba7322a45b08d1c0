// SPDX-License-Identifier: Apache-2.0
#include "store/store.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "base/limits.hpp"
#include "store/sqlite/database.hpp"
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

TEST(Store, IfVersionZeroMeansNoCurrentVersion) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    const auto write_if = [&](Version version, bool removal = false) {
        Commit commit = make_commit(removal ? make_removal(*store, "Patient", "a")
                                            : make_change(*store, "Patient", "a", "1"));
        commit.changes[0].if_version = version;
        return must(store->commit(std::move(commit)));
    };
    EXPECT_FALSE(write_if(0).stale);
    EXPECT_TRUE(write_if(0).stale);
    EXPECT_TRUE(write_if(2, true).stale);
    EXPECT_FALSE(write_if(1, true).stale);
    EXPECT_TRUE(write_if(2).stale) << "a deletion is not a current version";
    EXPECT_EQ(write_if(0).written[0].version, 3);
}

TEST(Store, TheSameResourceTwiceInOneCommitAndInOneGroup) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    Commit commit;
    commit.changes.push_back(make_change(*store, "Patient", "a", "1"));
    commit.changes.push_back(make_change(*store, "Patient", "a", "2"));
    commit.changes.push_back(make_removal(*store, "Patient", "a"));
    commit.changes.push_back(make_change(*store, "Patient", "a", "3"));
    commit.changes.back().if_version = 0;
    const Receipt receipt = must(store->commit(std::move(commit)));
    ASSERT_FALSE(receipt.stale);
    EXPECT_EQ(receipt.written.back().version, 4);
    auto snapshot = must(store->snapshot());
    for (const char* gone : {"1", "2"})
        EXPECT_TRUE(must(snapshot->search(token_plan(*store, "Patient", gone))).rids.empty());
    EXPECT_EQ(must(snapshot->search(token_plan(*store, "Patient", "3"))).rids.size(), 1u);
    EXPECT_EQ(must(snapshot->counts()).at(0).resources, 1);
    snapshot.reset();
    store.reset();
    expect_clean(folder.path());
}

TEST(Store, UniqueKeysMoveWithinACommit) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    const auto with_key = [&](const std::string& id, const std::string& key) {
        Change change = make_change(*store, "Patient", id, "1");
        if (!key.empty()) change.rows.unique_keys.push_back(key);
        return change;
    };
    must(store->commit(make_commit(with_key("a", "k"))));
    EXPECT_EQ(store->commit(make_commit(with_key("b", "k"))).error().category, Category::conflict);
    must(store->commit(make_commit(with_key("a", "k"))));  // its own
    Commit swap;
    swap.changes.push_back(with_key("b", "k"));
    swap.changes.push_back(with_key("a", ""));
    must(store->commit(std::move(swap)));
    EXPECT_EQ(store->commit(make_commit(with_key("a", "k"))).error().category, Category::conflict);
    must(store->commit(make_commit(make_removal(*store, "Patient", "b"))));
    must(store->commit(make_commit(with_key("a", "k"))));
    Commit twice;
    twice.changes.push_back(with_key("c", "new"));
    twice.changes.push_back(with_key("d", "new"));
    EXPECT_EQ(store->commit(std::move(twice)).error().category, Category::conflict);
    store.reset();
    if (postgres::tests_use_postgres()) return;
    // Without the bodies: these keys do not stand in them.
    EXPECT_TRUE(must(check(folder.path(), {})).clean());
}

TEST(Store, ExpectationsAreSkippedOnlyWhileNothingRelevantWasWritten) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    const auto plan = std::make_shared<const Plan>(token_plan(*store, "Patient", "1", 5));
    const Receipt first =
        must(store->commit(make_commit(make_change(*store, "Patient", "a", "1"))));
    const auto decide = [&](Position seen, std::vector<Rid> expected) {
        Commit commit = make_commit(make_change(*store, "Basic", "x", "1"));
        commit.expectations.push_back({plan, std::move(expected)});
        commit.codings_seen = store->names().coding_count();
        commit.seen = seen;
        return must(store->commit(std::move(commit))).stale;
    };
    EXPECT_TRUE(decide(-1, {})) << "decided before the patient was there";
    EXPECT_FALSE(decide(-1, {first.written[0].rid})) << "decided early, but still true";
    EXPECT_FALSE(decide(must(store->snapshot())->position(), {first.written[0].rid}));
}

TEST(Store, APlanMadeBeforeASystemHadItsIdIsStale) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    Commit commit = make_commit(make_change(*store, "Patient", "a", "1"));
    commit.codings_seen = store->names().coding_count();
    Plan nothing;  // what a search for a code of an unknown system comes to
    nothing.type = store->names().intern(NameKind::type, "Patient");
    nothing.where = Nothing{};
    commit.expectations.push_back({std::make_shared<const Plan>(std::move(nothing)), {}});
    Commit again = commit;
    // Somebody else writes the first resource that names the system.
    store->names().intern(NameKind::system, "urn:new");
    EXPECT_TRUE(must(store->commit(std::move(commit))).stale);
    again.codings_seen = store->names().coding_count();
    EXPECT_FALSE(must(store->commit(std::move(again))).stale);
}

TEST(Store, HistoryOfInstanceTypeAndSystem) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    for (int i = 0; i < 4; ++i) {
        must(store->commit(
            make_commit(make_change(*store, "Patient", std::to_string(i % 2), std::to_string(i)))));
        must(store->commit(make_commit(make_change(*store, "Basic", "b", std::to_string(i)))));
    }
    must(store->commit(make_commit(make_removal(*store, "Patient", "1"))));
    const Name patient = store->names().find(NameKind::type, "Patient");
    auto snapshot = must(store->snapshot());
    const auto positions = [&](const HistoryScope& scope) {
        std::vector<Position> out;
        for (const Stored& stored : must(snapshot->history(scope))) out.push_back(stored.position);
        return out;
    };
    EXPECT_EQ(positions({}), (std::vector<Position>{8, 7, 6, 5, 4, 3, 2, 1, 0}));
    EXPECT_EQ(positions({.type = patient}), (std::vector<Position>{8, 6, 4, 2, 0}));
    EXPECT_EQ(positions({.type = patient, .id = "1"}), (std::vector<Position>{8, 6, 2}));
    EXPECT_EQ(positions({.type = patient, .before = 6, .limit = 2}), (std::vector<Position>{4, 2}));
    EXPECT_EQ(positions({.type = patient, .id = "1", .before = 8, .limit = 1}),
              (std::vector<Position>{6}));
    EXPECT_TRUE(positions({.type = patient, .id = "nobody"}).empty());
    EXPECT_EQ(must(snapshot->history_count({})), 9);
    EXPECT_EQ(must(snapshot->history_count({.type = patient})), 5);
    EXPECT_EQ(must(snapshot->history_count({.type = patient, .id = "1"})), 3);
    const auto log = must(snapshot->log(0, 100));
    for (const LogEntry& entry : log) {
        std::size_t since = 0;
        std::size_t until = 0;
        for (const LogEntry& other : log) {
            if (other.at >= entry.at) ++since;
            if (other.at <= entry.at) ++until;
        }
        EXPECT_EQ(positions({.since = entry.at}).size(), since);
        EXPECT_EQ(must(snapshot->history_count({.since = entry.at})),
                  static_cast<std::int64_t>(since));
        EXPECT_EQ(positions({.at_or_before = entry.at}).size(), until);
    }
}

TEST(Store, LastUpdatedNeverGoesBack) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    Instant before{};
    for (int i = 0; i < 10; ++i) {
        const Receipt receipt = must(
            store->commit(make_commit(make_change(*store, "Patient", "a", std::to_string(i)))));
        EXPECT_GE(receipt.at, before);
        before = receipt.at;
    }
    store.reset();
    // A log whose end lies in the future: what comes next must not lie before it.
    const Instant future{before.milliseconds + 86'400'000};
    must(must(sqlite::Database::open(folder.path() + "/record.db", {}))
             ->run("UPDATE log SET at = ? WHERE position = 9", future.milliseconds));
    store = must_open(folder.path());
    EXPECT_GE(must(store->commit(make_commit(make_change(*store, "Patient", "a", "x")))).at,
              future);
}

TEST(Store, ReferencesBothWaysAndViews) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    const Name patient = store->names().intern(NameKind::type, "Patient");
    const Name basic = store->names().intern(NameKind::type, "Basic");
    const Name subject = store->names().intern(NameKind::parameter, "Basic.subject");
    const Rid a =
        must(store->commit(make_commit(make_change(*store, "Basic", "a", "1")))).written[0].rid;
    {
        auto snapshot = must(store->snapshot());
        EXPECT_NE(must(snapshot->rid_of({patient, "p"})), 0) << "mentioned only";
        EXPECT_FALSE(must(snapshot->find({patient, "p"})));
        EXPECT_TRUE(must(snapshot->targets(std::vector<Rid>{a}, subject, 0)).empty())
            << "not there yet";
        EXPECT_EQ(must(snapshot->rid_of({patient, "nobody"})), 0);
    }
    const Rid p =
        must(store->commit(make_commit(make_change(*store, "Patient", "p", "1")))).written[0].rid;
    auto snapshot = must(store->snapshot());
    EXPECT_EQ(must(snapshot->rid_of({patient, "p"})), p);
    EXPECT_EQ(must(snapshot->targets(std::vector<Rid>{a}, subject, 0)), std::vector<Rid>{p});
    EXPECT_EQ(must(snapshot->targets(std::vector<Rid>{a}, 0, patient)), std::vector<Rid>{p});
    EXPECT_TRUE(must(snapshot->targets(std::vector<Rid>{a}, 0, basic)).empty());
    EXPECT_EQ(must(snapshot->sources(std::vector<Rid>{p}, subject, 10)), std::vector<Rid>{a});
    EXPECT_EQ(must(snapshot->sources(std::vector<Rid>{p}, 0, 10)).size(), 2u)
        << "p refers to itself by another parameter";
    const auto rows = must(snapshot->view(store->names().find(NameKind::view, "test"), "key"));
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_EQ(rows[0].value, "1");
}

/// As many as make counting worth remembering.
constexpr int counted = 600;

TEST(Store, ACountIsRememberedOnlyWhileNothingThatItLooksAtChanged) {
    if (shows_node_by_node())
        GTEST_SKIP() << "each node of a Citus cluster shows a commit when it comes to it";
    const TestFolder folder;
    auto store = must_open(folder.path());
    Commit all;
    for (int i = 0; i < counted; ++i)
        all.changes.push_back(make_change(*store, "Basic", std::to_string(i), "same"));
    must(store->commit(std::move(all)));
    const Plan plan = token_plan(*store, "Basic", "same");
    const auto count = [&] { return must(must(store->snapshot())->count(plan)); };
    auto before = must(store->snapshot());
    EXPECT_EQ(count(), counted);
    must(store->commit(make_commit(make_change(*store, "Patient", "p", "same"))));
    EXPECT_EQ(count(), counted) << "another type";
    must(store->commit(make_commit(make_change(*store, "Basic", "one more", "same"))));
    EXPECT_EQ(count(), counted + 1);
    EXPECT_EQ(must(before->count(plan)), counted) << "an older snapshot counts what it sees";
    EXPECT_EQ(count(), counted + 1);
    must(store->commit(make_commit(make_removal(*store, "Basic", "7"))));
    EXPECT_EQ(count(), counted);
    // Rows made anew for the same version: the log knows nothing of it.
    const auto stored = must(store->find({plan.type, "8"}));
    must(store->reindex(stored->rid, stored->version, {},
                        rows_of(store->names(), "Basic", "other")));
    must(store->save_setting("reindex", "done"));  // an answer to this comes after it
    EXPECT_EQ(count(), counted - 1);
}

TEST(Store, ReindexReplacesTheRowsOfOneParameter) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    const Rid rid =
        must(store->commit(make_commit(make_change(*store, "Patient", "a", "1")))).written[0].rid;
    const Name added = store->names().intern(NameKind::parameter, "Patient.added");
    Rows rows;
    rows.tokens.push_back({added, 5});
    must(store->reindex(rid, 1, std::vector<Name>{added}, rows));
    rows.tokens = {{added, 6}};
    must(store->reindex(rid, 1, std::vector<Name>{added}, rows));
    rows.tokens = {{added, 7}};
    must(store->reindex(rid, 9, std::vector<Name>{added},
                        rows));                    // of a version that is not current
    must(store->save_setting("reindex", "done"));  // an answer to this comes after all of them
    auto snapshot = must(store->snapshot());
    const auto matches = [&](std::int64_t value) {
        Plan plan;
        plan.type = store->names().find(NameKind::type, "Patient");
        plan.where = HasToken{added, {value}};
        return must(snapshot->search(plan)).rids.size();
    };
    EXPECT_EQ(matches(5), 0u);
    EXPECT_EQ(matches(6), 1u);
    EXPECT_EQ(matches(7), 0u);
    EXPECT_EQ(must(snapshot->search(token_plan(*store, "Patient", "1"))).rids.size(), 1u)
        << "other parameters stay";
    // The whole of it back to what the body says.
    must(store->reindex(rid, 1, {}, rows_of(store->names(), "Patient", "1")));
    must(store->save_setting("reindex", "done"));
    snapshot.reset();
    store.reset();
    expect_clean(folder.path());
}

TEST(Store, ASecondWriterIsRefusedAReaderIsNot) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    must(store->commit(make_commit(make_change(*store, "Patient", "a", "1"))));
    const auto second = open({.folder = folder.path()});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().category, Category::unavailable);
    EXPECT_NE(second.error().message.find("in use"), std::string::npos);
    auto reader = must(open({.folder = folder.path(), .read_only = true}));
    EXPECT_EQ(must(reader->snapshot())->position(), 0);
    EXPECT_EQ(reader->commit({}).error().category, Category::unavailable);
    must(store->commit(make_commit(make_change(*store, "Patient", "b", "1"))));
    EXPECT_EQ(must(reader->snapshot())->position(), 1);
}

TEST(Store, AMissingStoreIsNotMadeWhenNobodyAskedForIt) {
    const TestFolder folder;
    EXPECT_EQ(open({.folder = folder.path(), .create = false}).error().category,
              Category::not_found);
    EXPECT_EQ(open({.folder = folder.path(), .read_only = true}).error().category,
              Category::not_found);
}

TEST(Store, CursorsAreKept) {
    const TestFolder folder;
    {
        auto store = must_open(folder.path());
        EXPECT_EQ(must(store->cursor("cohorts")), 0);
        must(store->save_cursor("cohorts", 17));
    }
    EXPECT_EQ(must(must_open(folder.path())->cursor("cohorts")), 17);
}

TEST(Store, ALargeGroupEqualsManySmallOnes) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    Commit commit;
    for (int i = 0; i < 3'000; ++i)
        commit.changes.push_back(make_change(*store, "Patient", std::to_string(i * 7919 % 3'000),
                                             std::to_string(i % 50)));
    must(store->commit(std::move(commit)));
    Commit again;
    for (int i = 0; i < 3'000; i += 2)
        again.changes.push_back(make_change(*store, "Patient", std::to_string(i), "moved"));
    must(store->commit(std::move(again)));
    EXPECT_EQ(must(must(store->snapshot())->count(token_plan(*store, "Patient", "moved"))), 1'500);
    store.reset();
    expect_clean(folder.path());
}

TEST(Store, TooLargeBodiesAndTooManyRowsAreRefused) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    Change large = make_change(*store, "Patient", "a", "1");
    large.body.assign(limits::resource_bytes_max + 1, 'x');
    EXPECT_EQ(store->commit(make_commit(std::move(large))).error().category, Category::too_large);
    Change many = make_change(*store, "Patient", "a", "1");
    many.rows.tokens.assign(limits::index_rows_per_resource_max + 1, {1, 2});
    EXPECT_EQ(store->commit(make_commit(std::move(many))).error().category, Category::too_large);
    EXPECT_EQ(must(store->snapshot())->position(), -1);
}

}  // namespace
}  // namespace meridian::store

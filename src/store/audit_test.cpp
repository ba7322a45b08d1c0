// SPDX-License-Identifier: Apache-2.0
// Audit entries in the log, and that nothing which reads the log is disturbed by them.
#include <gtest/gtest.h>

#include <latch>
#include <random>
#include <thread>

#include "store/copy/copy_test_support.hpp"
#include "store/sqlite/database.hpp"
#include "store/store_test_support.hpp"

namespace meridian::store {
namespace {

AuditEntry entry_of(Store& store, const std::string& bytes, const std::string& actor = "Device/d",
                    const std::vector<std::string>& patients = {}) {
    AuditEntry entry;
    entry.bytes = bytes;
    entry.actor = store.names().intern(NameKind::actor, actor);
    const Name type = store.names().intern(NameKind::type, "Patient");
    for (const std::string& id : patients) entry.patients.push_back({type, id});
    return entry;
}

void record(Store& store, const std::string& bytes, const std::string& actor = "Device/d",
            const std::vector<std::string>& patients = {}) {
    must(store.record({entry_of(store, bytes, actor, patients)}));
}

std::vector<std::string> texts(const std::vector<KeptAudit>& kept) {
    std::vector<std::string> all;
    for (const KeptAudit& each : kept) all.push_back(each.bytes);
    return all;
}

std::vector<std::string> found(Store& store, AuditQuery scope) {
    return texts(must(must(store.snapshot())->audit(scope)));
}

using Texts = std::vector<std::string>;

AuditQuery of_patients(Store& store, const std::vector<std::string>& ids) {
    AuditQuery scope;
    scope.patients.emplace();
    const Name type = store.names().find(NameKind::type, "Patient");
    for (const std::string& id : ids) scope.patients->push_back({type, id});
    return scope;
}

TEST(Store, AnAuditEntryIsAnEntryOfTheLogLikeAnyOther) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    must(store->commit(make_commit(make_change(*store, "Patient", "a", "1"))));
    record(*store, "read it", "Practitioner/1", {"a"});
    must(store->commit(make_commit(make_change(*store, "Patient", "a", "2"))));
    auto snapshot = must(store->snapshot());
    EXPECT_EQ(snapshot->position(), 2);
    const auto log = must(snapshot->log(0, 10));
    ASSERT_EQ(log.size(), 3u);
    EXPECT_TRUE(log[1].is_audit());
    EXPECT_EQ(log[1].position, 1);
    EXPECT_EQ(log[1].body_hash, sha256("read it"));
    EXPECT_EQ(log[1].rid, 0);
    EXPECT_EQ(log[1].type, 0);
    EXPECT_EQ(log[1].id, "");
    EXPECT_EQ(store->names().text(NameKind::actor, log[1].actor), "Practitioner/1");
    EXPECT_NE(log[1].salt, log[0].salt);
    const auto kept = must(snapshot->audit({}));
    ASSERT_EQ(kept.size(), 1u);
    EXPECT_EQ(kept[0].bytes, "read it");
    EXPECT_EQ(kept[0].entry.position, 1);
    EXPECT_EQ(kept[0].entry.at, log[1].at);
    snapshot.reset();
    store.reset();
    expect_clean(folder.path());
}

TEST(Store, AuditEntriesAreFoundByPatientAndByActor) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    for (const char* id : {"a", "b"})
        must(store->commit(make_commit(make_change(*store, "Patient", id, "1"))));
    record(*store, "0", "Practitioner/1", {"a"});
    record(*store, "1", "Practitioner/2", {"a", "b", "a"});
    record(*store, "2", "Practitioner/1", {"b"});
    record(*store, "3", "Practitioner/1", {});
    record(*store, "4", "Practitioner/1", {"a", "nobody has ever mentioned"});
    EXPECT_EQ(found(*store, {}), (Texts{"4", "3", "2", "1", "0"}));
    EXPECT_EQ(found(*store, of_patients(*store, {"a"})), (Texts{"4", "1", "0"}));
    EXPECT_EQ(found(*store, of_patients(*store, {"a", "b"})), (Texts{"4", "2", "1", "0"}));
    EXPECT_EQ(found(*store, of_patients(*store, {})), Texts{});
    EXPECT_EQ(found(*store, of_patients(*store, {"never written"})), Texts{});
    AuditQuery scope = of_patients(*store, {"a", "b"});
    scope.actor = store->names().find(NameKind::actor, "Practitioner/1");
    EXPECT_EQ(found(*store, scope), (Texts{"4", "2", "0"}));
    scope.limit = 2;
    EXPECT_EQ(found(*store, scope), (Texts{"4", "2"}));
    scope.before = 4;  // the entry "2" stands at 4
    EXPECT_EQ(found(*store, scope), (Texts{"0"}));
    scope.patients.reset();
    scope.before = 6;
    EXPECT_EQ(found(*store, scope), (Texts{"3", "2"}));
    scope.from = 5;
    EXPECT_EQ(found(*store, scope), (Texts{"3"}));
}

TEST(Store, AChangeAndItsAuditStandOrFallTogether) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    const auto write = [&](const std::string& value, Version if_version) {
        Commit commit = make_commit(make_change(*store, "Patient", "a", value));
        commit.changes[0].if_version = if_version;
        commit.audit.push_back(entry_of(*store, "wrote " + value));
        commit.audit.back().change = 0;
        return must(store->commit(std::move(commit)));
    };
    const Receipt first = write("1", 0);
    EXPECT_EQ(first.written[0].position, 0);
    EXPECT_EQ(first.position, 1);
    EXPECT_TRUE(write("2", 7).stale);
    EXPECT_FALSE(write("3", 1).stale);
    EXPECT_EQ(found(*store, {}), (Texts{"wrote 3", "wrote 1"}));
    const auto kept = must(must(store->snapshot())->audit({}));
    EXPECT_EQ(kept[0].entry.version, 2) << "the version that was written";
    EXPECT_EQ(kept[1].entry.version, 1);
}

TEST(Store, WhoLeavesAPatientsChartIsStillFoundThere) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    const auto of = [&](const std::string& patient) {
        Change change = make_change(*store, "Basic", "x", "1");
        change.rows.compartments = {{store->names().intern(NameKind::type, "Patient"), patient}};
        return change;
    };
    must(store->commit(make_commit(of("old"))));
    Commit commit = make_commit(of("new"));
    commit.audit.push_back(entry_of(*store, "moved", "Device/d", {"new"}));
    commit.audit.back().change = 0;
    must(store->commit(std::move(commit)));
    Commit removal = make_commit(make_removal(*store, "Basic", "x"));
    removal.audit.push_back(entry_of(*store, "removed"));
    removal.audit.back().change = 0;
    must(store->commit(std::move(removal)));
    EXPECT_EQ(found(*store, of_patients(*store, {"old"})), (Texts{"moved"}));
    EXPECT_EQ(found(*store, of_patients(*store, {"new"})), (Texts{"removed", "moved"}));
    store.reset();
    expect_clean(folder.path());
}

TEST(Store, AuditEntriesDisturbNoReaderOfTheLog) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    const Name type = store->names().intern(NameKind::type, "Patient");
    for (int i = 0; i < 4; ++i) {
        must(store->commit(
            make_commit(make_change(*store, i % 2 ? "Basic" : "Patient", std::to_string(i), "1"))));
        for (int n = 0; n < 30; ++n) record(*store, "r", "Device/d", {"p"});
    }
    auto snapshot = must(store->snapshot());
    EXPECT_EQ(snapshot->position(), 123);
    const auto all = must(snapshot->history({.limit = 3}));
    ASSERT_EQ(all.size(), 3u);
    EXPECT_EQ(all[0].id, "3");
    EXPECT_EQ(all[0].position, 93);
    EXPECT_EQ(all[2].id, "1");
    const auto patients = must(snapshot->history({.type = type}));
    ASSERT_EQ(patients.size(), 2u);
    EXPECT_EQ(patients[0].id, "2");
    EXPECT_EQ(must(snapshot->history_count({})), 4);
    EXPECT_EQ(must(snapshot->history_count({.before = 93})), 3);
    EXPECT_EQ(must(snapshot->history_count({.before = 10})), 1);
    EXPECT_EQ(must(snapshot->history_count({.type = type})), 2);
    EXPECT_EQ(must(snapshot->walk(type, 1, 0, 10)).size(), 1u);
    EXPECT_EQ(must(snapshot->walk(type, 100, 0, 10)).size(), 2u);
    Plan plan;
    plan.type = type;
    plan.where = ChangedWithin{.from = 1, .below = 124};
    plan.limit = 10;
    EXPECT_EQ(must(snapshot->search(plan)).rids.size(), 1u);
    plan.where = ChangedWithin{.from = 0, .below = 62};
    EXPECT_EQ(must(snapshot->search(plan)).rids.size(), 1u);
    EXPECT_EQ(must(snapshot->count(token_plan(*store, "Patient", "1"))), 2);
}

TEST(Store, ReadsMakeNoConditionStale) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    must(store->commit(make_commit(make_change(*store, "Patient", "a", "1"))));
    for (int round = 0; round < 3; ++round) {
        auto snapshot = must(store->snapshot());
        auto plan = std::make_shared<Plan>(token_plan(*store, "Patient", "1"));
        Expectation expectation{plan, must(snapshot->search(*plan)).rids};
        const Position seen = snapshot->position();
        snapshot.reset();
        record(*store, "read");
        Commit commit = make_commit(make_change(*store, "Basic", std::to_string(round), "1"));
        commit.expectations.push_back(std::move(expectation));
        commit.seen = seen;
        commit.codings_seen = store->names().coding_count();
        EXPECT_FALSE(must(store->commit(std::move(commit))).stale);
    }
}

TEST(Store, AuditEntriesOfManyThreadsShareGroups) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    must(store->commit(make_commit(make_change(*store, "Patient", "a", "1"))));
    constexpr int threads = 8, each = 50;
    std::vector<std::thread> all;
    for (int t = 0; t < threads; ++t) {
        all.emplace_back([&, t] {
            for (int i = 0; i < each; ++i)
                record(*store, fmt::format("{} {}", t, i), fmt::format("Device/{}", t), {"a"});
        });
    }
    for (auto& thread : all) thread.join();
    auto snapshot = must(store->snapshot());
    EXPECT_EQ(snapshot->position(), threads * each);
    AuditQuery scope = of_patients(*store, {"a"});
    scope.limit = 1'000;
    EXPECT_EQ(must(snapshot->audit(scope)).size(), 400u);
    scope.actor = store->names().find(NameKind::actor, "Device/3");
    const auto mine = must(snapshot->audit(scope));
    ASSERT_EQ(mine.size(), 50u);
    for (int i = 0; i < each; ++i)
        EXPECT_EQ(mine[static_cast<std::size_t>(i)].bytes, fmt::format("3 {}", each - 1 - i));
    snapshot.reset();
    store.reset();
    expect_clean(folder.path());
}

TEST(Store, RecordLaterTellsWhenItIsDurable) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    std::latch done(2);
    store->record_later({entry_of(*store, "later")}, [&](Result<void> outcome) {
        EXPECT_TRUE(outcome);
        done.count_down();
    });
    store->record_later({}, [&](Result<void> outcome) {
        EXPECT_TRUE(outcome);
        done.count_down();
    });
    done.wait();
    EXPECT_EQ(found(*store, {}), Texts{"later"});
}

TEST(Store, AnAuditEntryBeyondItsLimitIsRefused) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    const auto refused = store->record(
        {entry_of(*store, "fits"), entry_of(*store, std::string(audit_entry_bytes_max + 1, 'x'))});
    EXPECT_EQ(refused.error().category, Category::fault);
    Commit commit;
    commit.audit.push_back(entry_of(*store, "of no change"));
    commit.audit.back().change = 0;
    EXPECT_EQ(store->commit(std::move(commit)).error().category, Category::fault);
    EXPECT_EQ(must(store->snapshot())->position(), -1);
    record(*store, "goes on");
    EXPECT_EQ(found(*store, {}), Texts{"goes on"});
}

TEST(Store, AuditEntriesAreThereAfterANewStart) {
    const TestFolder folder;
    {
        auto store = must_open(folder.path());
        must(store->commit(make_commit(make_change(*store, "Patient", "a", "1"))));
        record(*store, "before", "Device/d", {"a"});
    }
    auto store = must_open(folder.path());
    record(*store, "after", "Device/d", {"a"});
    EXPECT_EQ(found(*store, of_patients(*store, {"a"})), (Texts{"after", "before"}));
    EXPECT_EQ(must(store->snapshot())->position(), 2);
    store.reset();
    expect_clean(folder.path());
}

TEST(Check, NamesAnAlteredAuditEntry) {
    const TestFolder folder;
    const auto damage = [&](const char* sql) {
        const TestFolder own;
        {
            auto store = must_open(own.path(), 1);
            must(store->commit(make_commit(make_change(*store, "Patient", "a", "1"))));
            record(*store, "one", "Device/d", {"a"});
            record(*store, "two", "Device/e", {"a"});
        }
        must(must(sqlite::Database::open(own.path() + "/record.db", {}))->execute(sql));
        return must(check(own.path(), test_reader())).first_problem;
    };
    if (postgres::tests_use_postgres()) GTEST_SKIP() << "the file is SQLite's";
    EXPECT_EQ(damage("UPDATE audit SET bytes = x'00' WHERE position = 2"),
              "audit entry 2: it is not what the log's hash says");
    EXPECT_EQ(damage("DELETE FROM audit WHERE position = 2"),
              "the log tells of 2 audit entries, the store has 1");
    EXPECT_EQ(damage("UPDATE audit SET actor = 1 WHERE position = 2"),
              "audit entry 2: it is indexed under another actor than the log's");
    EXPECT_EQ(damage("DELETE FROM audit_patient WHERE position = 1"),
              "audit entry 1: audit_patient lacks rows of it");
    EXPECT_EQ(damage("INSERT INTO audit_patient VALUES(77, 1)"),
              "audit_patient has 3 rows, the audit entries name 2");
    EXPECT_EQ(damage("UPDATE audit SET number = 5 WHERE position = 2"),
              "audit entry 2: its number is 5, expected is 1");
    EXPECT_EQ(damage("UPDATE log SET kind = 7 WHERE position = 2"),
              "log entry 2: it is of no kind that is known");
}

/// The newest entries of patients, from all that were told.
Texts expected_of(const std::vector<std::pair<std::string, Texts>>& told, const Texts& patients,
                  std::size_t limit) {
    Texts expected;
    for (auto entry = told.rbegin(); entry != told.rend() && expected.size() < limit; ++entry) {
        const auto concerns = [&](const std::string& patient) {
            return std::find(patients.begin(), patients.end(), patient) != patients.end();
        };
        if (std::any_of(entry->second.begin(), entry->second.end(), concerns))
            expected.push_back(entry->first);
    }
    return expected;
}

TEST(Store, AnEntryIsFoundByItsPatientsWhetherTheirRowsAreWrittenOrWait) {
    const TestFolder folder;
    std::mt19937 random(4);
    std::vector<std::pair<std::string, Texts>> told;
    auto store = must_open(folder.path(), 20);
    for (const char* id : {"a", "b", "c", "d"})
        must(store->commit(make_commit(make_change(*store, "Patient", id, "1"))));
    for (int round = 0; round < 300; ++round) {
        Texts patients;
        for (const char* id : {"a", "b", "c", "d"})
            if (random() % 3 == 0) patients.emplace_back(id);
        told.emplace_back(std::to_string(round), patients);
        record(*store, told.back().first, "Device/d", patients);
        for (const Texts& asked : {Texts{"a"}, Texts{"b", "d"}}) {
            AuditQuery scope = of_patients(*store, asked);
            scope.limit = 1 + random() % 40;
            ASSERT_EQ(found(*store, scope), expected_of(told, asked, scope.limit)) << round;
        }
        if (round % 40 != 39 || postgres::tests_use_postgres()) continue;
        // What waits is made of the entries again.
        store.reset();
        EXPECT_EQ(must(check(folder.path(), test_reader())).first_problem, "");
        store = must_open(folder.path(), 20);
    }
}

TEST(Store, AnOldSnapshotAndAnotherProcessFindEntriesAlike) {
    if (postgres::tests_use_postgres()) GTEST_SKIP() << "only a folder's rows wait";
    const TestFolder folder;
    auto store = must_open(folder.path(), 4);
    must(store->commit(make_commit(make_change(*store, "Patient", "a", "1"))));
    Texts expected;
    for (int n = 0; n < 6; ++n) {
        record(*store, std::to_string(n), "Device/d", {"a"});
        expected.insert(expected.begin(), std::to_string(n));
    }
    const auto old = must(store->snapshot());
    const auto other = must(open_for_test({.folder = folder.path(), .read_only = true}));
    EXPECT_EQ(found(*other, of_patients(*store, {"a"})), expected);
    for (int n = 0; n < 40; ++n) record(*store, "later", "Device/d", {"a"});
    EXPECT_EQ(texts(must(old->audit(of_patients(*store, {"a"})))), expected);
    AuditQuery all = of_patients(*store, {"a"});
    all.limit = 100;
    EXPECT_EQ(found(*other, all).size(), 46u);
    EXPECT_EQ(found(*other, all), found(*store, all));
}

TEST(Store, RowsOfAnOlderStoreAreThereAlready) {
    if (postgres::tests_use_postgres()) GTEST_SKIP() << "only a folder's rows wait";
    const TestFolder folder;
    {
        auto store = must_open(folder.path(), 1);
        must(store->commit(make_commit(make_change(*store, "Patient", "a", "1"))));
        for (int n = 0; n < 4; ++n) record(*store, std::to_string(n), "Device/d", {"a"});
    }
    const std::string path = folder.path() + "/record.db";
    must(must(sqlite::Database::open(path, {}))
             ->execute("INSERT OR IGNORE INTO audit_patient SELECT patient, "
                       "(SELECT max(position) FROM audit) FROM audit_patient;"
                       "DELETE FROM cursor WHERE view = 'audit_patient'"));
    EXPECT_EQ(must(check(folder.path(), test_reader())).first_problem, "");
    auto store = must_open(folder.path());
    record(*store, "4", "Device/d", {"a"});
    EXPECT_EQ(found(*store, of_patients(*store, {"a"})), (Texts{"4", "3", "2", "1", "0"}));
}

TEST(Backup, HoldsTheAuditWithoutItsIndex) {
    if (postgres::tests_use_postgres()) GTEST_SKIP() << "see Backups";
    const TestFolder folder;
    const std::string from = folder.path() + "/store", to = folder.path() + "/backup",
                      again = folder.path() + "/again";
    {
        auto store = must_open(from);
        must(store->commit(make_commit(make_change(*store, "Patient", "a", "1"))));
        record(*store, "one", "Device/d", {"a"});
        record(*store, "two", "Device/e", {"a"});
    }
    must(backup(from, to));
    {
        auto database = must(sqlite::Database::open(to + "/backup.db", {.read_only = true}));
        EXPECT_EQ(must(database->integer("SELECT count(*) FROM audit", 0)), 2);
        EXPECT_EQ(must(database->integer("SELECT count(*) FROM audit_patient", 0)), 0);
    }
    must(restore(to, again, test_reader()));
    auto store = must_open(again);
    EXPECT_EQ(found(*store, of_patients(*store, {"a"})), (Texts{"two", "one"}));
    record(*store, "three", "Device/e", {"a"});
    store.reset();
    expect_clean(again);
}

/// A store in `from`, moved to the other engine and back, has the same log and answers alike.
TEST(Migrate, CarriesTheAuditBothWays) {
    const TestFolder folder;
    const copy::Place first = copy::in_folder(folder.path() + "/first");
    const copy::Place second = copy::in_database(folder.path() + "/second");
    const copy::Place third = copy::in_folder(folder.path() + "/third");
    {
        auto store = copy::open_at(first);
        must(store->commit(make_commit(make_change(*store, "Patient", "a", "1"))));
        for (int i = 0; i < 30; ++i)
            record(*store, fmt::format("{}", i), fmt::format("Device/{}", i % 3),
                   i % 2 ? std::vector<std::string>{"a"} : std::vector<std::string>{});
        must(store->commit(make_commit(make_change(*store, "Patient", "a", "2"))));
    }
    const auto move = [&](const copy::Place& from, const copy::Place& to) {
        return must(copy::migrate(from, to, copy::reader(), {.batch_entries = 7}));
    };
    EXPECT_TRUE(move(first, second).is_finished);
    EXPECT_TRUE(move(second, third).is_finished);
    auto a = copy::open_at(first), b = copy::open_at(second), c = copy::open_at(third);
    EXPECT_EQ(must(log_sum(*a)).hash, must(log_sum(*b)).hash);
    EXPECT_EQ(must(log_sum(*a)).hash, must(log_sum(*c)).hash);
    AuditQuery scope = of_patients(*a, {"a"});
    scope.limit = 100;
    EXPECT_EQ(found(*a, scope).size(), 15u);
    EXPECT_EQ(found(*a, scope), found(*b, scope));
    EXPECT_EQ(found(*a, scope), found(*c, scope));
    scope.patients.reset();
    scope.actor = a->names().find(NameKind::actor, "Device/1");
    EXPECT_EQ(found(*a, scope).size(), 10u);
    EXPECT_EQ(found(*a, scope), found(*b, scope));
    EXPECT_EQ(found(*a, scope), found(*c, scope));
    record(*c, "goes on", "Device/1", {"a"});
    EXPECT_EQ(found(*c, scope).front(), "goes on");
    a.reset(), b.reset(), c.reset();
    for (const auto& place : {first, second, third}) {
        CheckOptions options;
        options.database = place.database;
        const CheckReport report = must(check(place.folder, copy::reader(), options));
        EXPECT_EQ(report.problems, 0) << report.first_problem;
    }
}

/// Two servers on one database: one gives the positions, the other's entries wait for theirs.
TEST(Store, TwoServersOnOneDatabaseAudit) {
    if (!postgres::tests_use_postgres()) GTEST_SKIP() << "a folder has one server";
    const TestFolder folder;
    const copy::Place one = copy::in_database(folder.path());
    const copy::Place other{folder.path() + "/other", one.database};
    {
        auto first = copy::open_at(one);
        must(first->commit(make_commit(make_change(*first, "Patient", "a", "1"))));
        auto second = copy::open_at(other);
        std::vector<std::thread> threads;
        for (Store* store : {first.get(), second.get()}) {
            threads.emplace_back([store] {
                for (int i = 0; i < 20; ++i) {
                    record(*store, fmt::format("{}", i), "Device/d", {"a"});
                    Commit commit =
                        make_commit(make_change(*store, "Basic", fmt::format("{}", i), "1"));
                    commit.audit.push_back(entry_of(*store, "wrote", "Device/d", {"a"}));
                    commit.audit.back().change = 0;
                    const Receipt receipt = must(store->commit(std::move(commit)));
                    EXPECT_EQ(receipt.position, receipt.written[0].position + 1);
                }
            });
        }
        for (auto& thread : threads) thread.join();
        AuditQuery scope = of_patients(*first, {"a"});
        scope.limit = 1'000;
        const auto here = must(must(first->snapshot())->audit(scope));
        EXPECT_EQ(here.size(), 80u);
        for (std::size_t i = 1; i < here.size(); ++i)
            EXPECT_LT(here[i].entry.position, here[i - 1].entry.position);
        EXPECT_EQ(must(first->snapshot())->position(), 120);
    }
    expect_clean(folder.path());
}

}  // namespace
}  // namespace meridian::store

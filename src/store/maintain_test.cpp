// SPDX-License-Identifier: Apache-2.0
#include "store/maintain.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "store/sqlite/database.hpp"
#include "store/sqlite/migrations.hpp"
#include "store/sqlite/schema.hpp"
#include "store/store_test_support.hpp"

namespace meridian::store {
namespace {

/// Some resources with updates, a deletion, a revival and a blob.
void fill(Store& store) {
    for (int i = 0; i < 20; ++i)
        must(store.commit(make_commit(make_change(store, "Patient", std::to_string(i), "1"))));
    for (int i = 0; i < 10; ++i)
        must(store.commit(make_commit(make_change(store, "Patient", std::to_string(i), "2"))));
    for (int i = 0; i < 5; ++i)
        must(store.commit(make_commit(make_removal(store, "Patient", std::to_string(i)))));
    must(store.commit(make_commit(make_change(store, "Patient", "0", "3"))));
    must(store.put_blob("a document"));
    must(store.save_cursor("cohorts", 7));
}

/// Runs `sql` on a closed store and gives what check then says.
std::string first_problem_after(const std::string& sql) {
    const TestFolder folder;
    {
        auto store = must_open(folder.path());
        fill(*store);
    }
    {
        auto database = must(sqlite::Database::open(folder.path() + "/record.db", {}));
        must(database->execute(sql));
    }
    const CheckReport report = must(check(folder.path(), test_reader()));
    EXPECT_GT(report.problems, 0) << sql;
    return report.first_problem;
}

TEST(Check, IsCleanOnASoundStoreAndCounts) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    fill(*store);
    const CheckReport report = must(check(folder.path(), test_reader()));  // beside the open store
    EXPECT_TRUE(report.clean()) << report.first_problem;
    EXPECT_EQ(report.resources, 16);
    EXPECT_EQ(report.versions, 36);
    EXPECT_EQ(report.log_entries, 36);
    EXPECT_EQ(report.index_rows, 16 * 8);
    EXPECT_EQ(report.blobs, 1);
}

TEST(Check, NamesTheFirstBadRecord) {
    EXPECT_NE(
        first_problem_after("DELETE FROM log WHERE position = 4").find("position 4 is missing"),
        std::string::npos);
    EXPECT_NE(first_problem_after("UPDATE log SET body_hash = zeroblob(32) WHERE position = 19")
                  .find("Patient/19 version 1"),
              std::string::npos);
    EXPECT_NE(first_problem_after("UPDATE log SET at = at + 1000000 WHERE position = 3")
                  .find("log entry 4"),
              std::string::npos);
    EXPECT_NE(first_problem_after("DELETE FROM history WHERE version = 1 AND position = 7")
                  .find("Patient/7"),
              std::string::npos);
    EXPECT_NE(first_problem_after("DELETE FROM directory WHERE id = '8'").find("Patient/8"),
              std::string::npos);
    EXPECT_NE(first_problem_after(
                  "DELETE FROM idx_token WHERE rid = (SELECT rid FROM resource WHERE id = '9')")
                  .find("Patient/9"),
              std::string::npos);
    EXPECT_NE(first_problem_after("INSERT INTO idx_token VALUES(1, 2, 12345)").find("12345"),
              std::string::npos);
    EXPECT_NE(first_problem_after(
                  "INSERT INTO compartment VALUES(99, (SELECT rid FROM resource WHERE id = '9'))")
                  .find("compartment"),
              std::string::npos);
    EXPECT_NE(first_problem_after(
                  "DELETE FROM forward WHERE rid = (SELECT rid FROM resource WHERE id = '11')")
                  .find("Patient/11"),
              std::string::npos);
    EXPECT_NE(first_problem_after("UPDATE forward SET rows = x'01' WHERE rid = (SELECT rid FROM "
                                  "resource WHERE id = '12')")
                  .find("Patient/12"),
              std::string::npos);
    EXPECT_NE(
        first_problem_after(
            "DELETE FROM idx_text WHERE rowid / 2 = (SELECT rid FROM resource WHERE id = '13')")
            .find("Patient/13"),
        std::string::npos);
    EXPECT_NE(
        first_problem_after("UPDATE resource SET body = x'00' WHERE id = '14'").find("Patient/14"),
        std::string::npos);
    EXPECT_NE(
        first_problem_after("UPDATE type_count SET resources = resources + 1").find("type_count"),
        std::string::npos);
    EXPECT_NE(first_problem_after("DELETE FROM idx_patient_code").find("idx_patient_code"),
              std::string::npos);
    EXPECT_NE(first_problem_after("INSERT INTO idx_patient_code VALUES(1, 2, 3)")
                  .find("idx_patient_code: the patient 3"),
              std::string::npos);
    EXPECT_NE(first_problem_after("DELETE FROM resource WHERE id = '15'").find("log tells of"),
              std::string::npos);
}

TEST(Check, NamesADamagedBlobAndADamagedPage) {
    const TestFolder folder;
    {
        auto store = must_open(folder.path());
        fill(*store);
    }
    const auto damage = [](const std::string& path, std::streamoff at) {
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(at);
        file.write("damage!!", 8);
    };
    damage(folder.path() + "/blobs/000001.pack", 50);
    EXPECT_NE(must(check(folder.path(), test_reader())).first_problem.find("000001.pack"),
              std::string::npos);
    damage(folder.path() + "/record.db", 3 * 8192 + 4);
    const auto report = check(folder.path(), test_reader());
    if (report)
        EXPECT_NE(report->first_problem.find("record.db"), std::string::npos);
    else
        EXPECT_EQ(report.error().category, Category::fault);
}

TEST(Check, SaysThatThereIsNoStore) {
    const TestFolder folder;
    EXPECT_EQ(check(folder.path(), {}).error().category, Category::not_found);
}

void expect_same_content(Store& left, Store& right) {
    auto a = must(left.snapshot());
    auto b = must(right.snapshot());
    ASSERT_EQ(a->position(), b->position());
    const auto log_a = must(a->log(0, 1'000));
    const auto log_b = must(b->log(0, 1'000));
    ASSERT_EQ(log_a.size(), log_b.size());
    for (std::size_t i = 0; i < log_a.size(); ++i) {
        EXPECT_EQ(log_a[i].salt, log_b[i].salt);
        EXPECT_EQ(log_a[i].at, log_b[i].at);
        const auto version_a =
            must(a->find_version({log_a[i].type, log_a[i].id}, log_a[i].version));
        const auto version_b =
            must(b->find_version({log_b[i].type, log_b[i].id}, log_b[i].version));
        ASSERT_TRUE(version_a && version_b);
        EXPECT_EQ(version_a->body, version_b->body);
    }
    for (const char* value : {"1", "2", "3", "4"}) {
        EXPECT_EQ(must(a->search(token_plan(left, "Patient", value))).rids,
                  must(b->search(token_plan(right, "Patient", value))).rids);
    }
}

TEST(Backup, RestoresToTheSameStoreWithIndexRowsMadeAgain) {
    const TestFolder folder;
    auto store = must_open(folder.path() + "/store");
    fill(*store);
    EXPECT_EQ(must(backup(folder.path() + "/store", folder.path() + "/backup")), 35);
    EXPECT_EQ(backup(folder.path() + "/store", folder.path() + "/backup").error().category,
              Category::conflict)
        << "a backup is not written over";
    EXPECT_EQ(open({.folder = folder.path() + "/backup", .create = false}).error().category,
              Category::not_found)
        << "a backup is not opened by mistake";
    EXPECT_EQ(must(restore(folder.path() + "/backup", folder.path() + "/again", test_reader())),
              35);
    expect_clean(folder.path() + "/again");
    auto again = must_open(folder.path() + "/again");
    expect_same_content(*store, *again);
    EXPECT_EQ(must(again->blob(sha256("a document"))), "a document");
    EXPECT_EQ(must(again->cursor("cohorts")), 7);
    EXPECT_EQ(again->names().token_key(), store->names().token_key());
    must(again->commit(make_commit(make_change(*again, "Patient", "new", "1"))));
    EXPECT_EQ(restore(folder.path() + "/backup", folder.path() + "/again", test_reader())
                  .error()
                  .category,
              Category::conflict);
    EXPECT_EQ(
        restore(folder.path() + "/store", folder.path() + "/x", test_reader()).error().category,
        Category::not_found);
}

TEST(Backup, IsConsistentWhileOthersWrite) {
    const TestFolder folder;
    auto store = must_open(folder.path() + "/store");
    fill(*store);
    std::atomic<bool> stop{false};
    std::thread writer([&] {
        for (int i = 0; !stop; ++i) {
            Commit commit;
            commit.changes.push_back(make_change(*store, "Basic", "left", std::to_string(i)));
            commit.changes.push_back(make_change(*store, "Basic", "right", std::to_string(i)));
            must(store->commit(std::move(commit)));
        }
    });
    for (int round = 0; round < 5; ++round) {
        const std::string to = folder.path() + "/backup" + std::to_string(round);
        must(backup(folder.path() + "/store", to));
        must(restore(to, to + "-restored", test_reader()));
        expect_clean(to + "-restored");
    }
    stop = true;
    writer.join();
}

TEST(Migration, OlderStoresAreBroughtForwardStepByStep) {
    const TestFolder folder;
    const std::string path = folder.path() + "/record.db";
    auto database = must(sqlite::Database::open(path, {.create = true}));
    must(sqlite::prepare_schema(*database, 1, {}));
    // Fabricated newer versions: 2 adds a table, 3 fills it.
    int runs = 0;
    const std::vector<sqlite::Migration> steps = {
        {1,
         [&](sqlite::Database& db) { return ++runs, db.execute("CREATE TABLE added(x INTEGER)"); }},
        {2,
         [&](sqlite::Database& db) { return ++runs, db.execute("INSERT INTO added VALUES(42)"); }},
    };
    must(sqlite::prepare_schema(*database, 3, steps));
    EXPECT_EQ(runs, 2);
    EXPECT_EQ(must(database->integer("SELECT x FROM added", 0)), 42);
    EXPECT_EQ(must(database->integer("PRAGMA user_version", 0)), 3);
    must(sqlite::prepare_schema(*database, 3, steps));
    EXPECT_EQ(runs, 2) << "a step runs once";
    EXPECT_EQ(sqlite::prepare_schema(*database, 2, steps).error().category, Category::unsupported)
        << "newer than the program";
    EXPECT_EQ(sqlite::prepare_schema(*database, 5, steps).error().category, Category::unsupported)
        << "no step from 3";
    must(database->execute(fmt::format("PRAGMA user_version={};", sqlite::schema_version + 1)));
    database.reset();
    EXPECT_EQ(open({.folder = folder.path()}).error().category, Category::unsupported);
}

std::int64_t patient_codes(const std::string& folder) {
    auto database = must(sqlite::Database::open(folder + "/record.db", {.read_only = true}));
    return must(database->integer("SELECT count(*) FROM idx_patient_code", -1));
}

TEST(PatientCodes, EndWithTheLastResourceThatHasTheCode) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    must(store->commit(make_commit(make_change(*store, "Observation", "a", "1"))));
    must(store->commit(make_commit(make_change(*store, "Observation", "b", "1"))));
    must(store->commit(make_commit(make_change(*store, "Observation", "c", "2"))));
    EXPECT_EQ(patient_codes(folder.path()), 2);
    must(store->commit(make_commit(make_removal(*store, "Observation", "a"))));
    EXPECT_EQ(patient_codes(folder.path()), 2) << "b has it";
    must(store->commit(make_commit(make_change(*store, "Observation", "b", "2"))));
    EXPECT_EQ(patient_codes(folder.path()), 1);
    must(store->commit(make_commit(make_removal(*store, "Observation", "b"))));
    must(store->commit(make_commit(make_removal(*store, "Observation", "c"))));
    EXPECT_EQ(patient_codes(folder.path()), 0);
    expect_clean(folder.path());
}

TEST(Migration, TheCodesOfPatientsAreTakenFromTheirCharts) {
    const TestFolder folder;
    {
        auto store = must_open(folder.path());
        fill(*store);
    }
    {
        // As version 1 left it.
        auto database = must(sqlite::Database::open(folder.path() + "/record.db", {}));
        must(
            database->execute("DROP TABLE idx_patient_code; DROP TABLE private_row; "
                              "DROP TABLE audit; DROP TABLE audit_patient; "
                              "PRAGMA user_version=1;"));
    }
    must_open(folder.path()).reset();
    EXPECT_EQ(patient_codes(folder.path()), 3);
    expect_clean(folder.path());
}

TEST(Migration, AFailedStepLeavesTheVersionBefore) {
    const TestFolder folder;
    auto database = must(sqlite::Database::open(folder.path() + "/record.db", {.create = true}));
    must(sqlite::prepare_schema(*database, 1, {}));
    const std::vector<sqlite::Migration> steps = {
        {1, [](sqlite::Database& db) -> Result<void> {
             TRY(db.execute("CREATE TABLE added(x INTEGER)"));
             return db.execute("INSERT INTO nowhere VALUES(1)");
         }}};
    EXPECT_FALSE(sqlite::prepare_schema(*database, 2, steps));
    EXPECT_EQ(must(database->integer("PRAGMA user_version", 0)), 1);
    EXPECT_EQ(must(database->integer("SELECT count(*) FROM sqlite_schema WHERE name = 'added'", 0)),
              0);
}

TEST(Migration, AForeignDatabaseIsRefused) {
    const TestFolder folder;
    must(must(sqlite::Database::open(folder.path() + "/record.db", {.create = true}))
             ->execute("CREATE TABLE theirs(x)"));
    EXPECT_EQ(open({.folder = folder.path()}).error().category, Category::fault);
}

}  // namespace
}  // namespace meridian::store

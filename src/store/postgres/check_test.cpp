// SPDX-License-Identifier: Apache-2.0
// check on PostgreSQL: every kind of damage is named.
#include "store/postgres/check.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "store/postgres/connection.hpp"
#include "store/postgres/test_cluster.hpp"
#include "store/store_test_support.hpp"

namespace meridian::store::postgres {
namespace {

std::unique_ptr<Store> open_in(const TestFolder& folder) {
    return must(store::open({.folder = folder.path(),
                             .database = TestCluster::instance().database_for(folder.path())}));
}

CheckReport check_in(const TestFolder& folder, const BodyReader& reader = test_reader()) {
    CheckOptions options;
    options.database = TestCluster::instance().database_for(folder.path());
    return must(store::check(folder.path(), reader, options));
}

Change keyed_change(Store& store, const std::string& id, const std::string& value) {
    Change change = make_change(store, "Patient", id, value);
    change.rows.unique_keys.push_back("key of " + id);
    return change;
}

/// Reads what keyed_change writes, too.
BodyReader keyed_reader() {
    BodyReader reader = test_reader();
    const auto plain = reader.rows;
    reader.rows = [plain](const Stored& stored, Names& names) -> Result<Rows> {
        Rows rows = TRY(plain(stored, names));
        if (stored.id.starts_with("k")) rows.unique_keys.push_back("key of " + stored.id);
        return rows;
    };
    return reader;
}

/// Some resources with updates, a deletion, a revival and a blob.
void fill(Store& store) {
    for (int i = 0; i < 20; ++i)
        must(store.commit(make_commit(make_change(store, "Patient", std::to_string(i), "1"))));
    for (int i = 0; i < 10; ++i)
        must(store.commit(make_commit(make_change(store, "Patient", std::to_string(i), "2"))));
    for (int i = 0; i < 5; ++i)
        must(store.commit(make_commit(make_removal(store, "Patient", std::to_string(i)))));
    must(store.commit(make_commit(make_change(store, "Patient", "0", "3"))));
    must(store.commit(make_commit(keyed_change(store, "k", "1"))));
    must(store.put_blob("a document"));
}

/// One filled store for all damages: each is undone after it was looked at.
class PostgresCheck : public ::testing::Test {
 protected:
    static void SetUpTestSuite() {
        folder_ = new TestFolder();
        fill(*open_in(*folder_));
    }
    static void TearDownTestSuite() {
        delete folder_;
        folder_ = nullptr;
    }
    /// Runs `sql` on a copy of the store's database and gives what check then says.
    static std::string first_problem_after(const std::string& sql) {
        auto& cluster = TestCluster::instance();
        static int copies = 0;
        const std::string copy = fmt::format("check_copy_{}_{}", ::getpid(), ++copies);
        const std::string original = cluster.database_for(folder_->path());
        const std::size_t at = original.find("/t") + 1;
        const std::string name = original.substr(at, original.find('?') - at);
        auto admin = must(Connection::open({.url = cluster.database("check_admin")}));
        must(admin->execute(fmt::format("CREATE DATABASE {} TEMPLATE \"{}\"", copy, name)));
        std::string url = original;
        url.replace(at, name.size(), copy);
        {
            auto connection = must(Connection::open({.url = url}));
            must(connection->execute(sql));
        }
        CheckOptions options;
        options.database = url;
        const CheckReport report = must(store::check(folder_->path(), keyed_reader(), options));
        EXPECT_GT(report.problems, 0) << sql;
        must(admin->execute("DROP DATABASE " + copy));
        return report.first_problem;
    }
    static void expect_named(const std::string& sql, const std::string& words) {
        const std::string problem = first_problem_after(sql);
        EXPECT_NE(problem.find(words), std::string::npos) << sql << "\n  says: " << problem;
    }
    static TestFolder* folder_;
};
TestFolder* PostgresCheck::folder_ = nullptr;

TEST_F(PostgresCheck, IsCleanOnASoundStoreAndCounts) {
    const CheckReport report = check_in(*folder_, keyed_reader());
    EXPECT_TRUE(report.clean()) << report.first_problem;
    EXPECT_EQ(report.resources, 17);
    EXPECT_EQ(report.versions, 37);
    EXPECT_EQ(report.log_entries, 37);
    EXPECT_EQ(report.index_rows, 17 * 8 + 1);
    EXPECT_EQ(report.blobs, 1);
}

TEST_F(PostgresCheck, ChangesNothing) {
    auto connection =
        must(Connection::open({.url = TestCluster::instance().database_for(folder_->path())}));
    const auto names = [&] {
        return must(connection->integer("SELECT count(*) FROM meridian.name", -1));
    };
    const std::int64_t before = names();
    BodyReader reader = keyed_reader();
    const auto rows = reader.rows;
    reader.rows = [rows](const Stored& stored, Names& store_names) -> Result<Rows> {
        store_names.intern(NameKind::system, "http://never.heard.of");
        return rows(stored, store_names);
    };
    check_in(*folder_, reader);
    EXPECT_EQ(names(), before);
}

TEST_F(PostgresCheck, NamesDamageOfTheLog) {
    expect_named("DELETE FROM meridian.log WHERE position = 4", "position 4 is missing");
    expect_named("UPDATE meridian.log SET at = at + 1000000 WHERE position = 3", "log entry 4");
    expect_named("UPDATE meridian.log SET salt = '' WHERE position = 3", "log entry 3: its salt");
    expect_named(
        "UPDATE meridian.log SET body_hash = decode(repeat('00', 32), 'hex') "
        "WHERE position = 19",
        "Patient/19 version 1");
    expect_named("UPDATE meridian.log SET verb = 2 WHERE position = 18",
                 "Patient/18 version 1: the log entry 18 tells of something else");
    expect_named("UPDATE meridian.batch SET entries = 2 WHERE base = 5", "batch");
    expect_named("DELETE FROM meridian.batch WHERE base = 6", "expected is the position 6");
    expect_named("DELETE FROM meridian.batch WHERE base = 36", "the batches end at position 36");
    expect_named(
        "INSERT INTO meridian.log_waiting SELECT 999, 0, rid, kind, verb, type, version, "
        "actor, organisation, id, salt, body_hash FROM meridian.log WHERE position = 1",
        "batch 999");
}

TEST_F(PostgresCheck, NamesDamageOfVersions) {
    const std::string rid = "(SELECT rid FROM meridian.resource WHERE id = ";
    expect_named("DELETE FROM meridian.history WHERE version = 1 AND rid = " + rid + "'7')",
                 "Patient/7");
    expect_named(
        "UPDATE meridian.history SET version = 9 WHERE version = 1 AND rid = " + rid + "'8')",
        "Patient/8");
    expect_named("UPDATE meridian.history SET body = '\\x00' WHERE rid = " + rid + "'6')",
                 "Patient/6 version 1: its body");
    expect_named("UPDATE meridian.resource SET body = '\\x00' WHERE id = '14'", "Patient/14");
    expect_named("UPDATE meridian.resource SET ordinal = 5 WHERE id = '16'", "Patient/16");
    expect_named("DELETE FROM meridian.resource WHERE id = '5'", "its newest version is not");
    expect_named("DELETE FROM meridian.resource WHERE id = '15'", "which has no forward rows");
}

TEST_F(PostgresCheck, NamesDamageOfTheDirectoryAndOfCounts) {
    expect_named("DELETE FROM meridian.directory WHERE key = '8'",
                 "Patient/8 does not lead to its resource");
    expect_named(
        "INSERT INTO meridian.directory SELECT type, 'twin', rid FROM meridian.directory "
        "WHERE key = '9'",
        "with another");
    expect_named(
        "INSERT INTO meridian.directory SELECT type, 'far', 99999999 "
        "FROM meridian.directory WHERE key = '9'",
        "Patient/far has the impossible rid 99999999");
    expect_named("UPDATE meridian.type_count SET resources = resources + 1", "type_count");
}

TEST_F(PostgresCheck, NamesDamageOfIndexRows) {
    const std::string rid = "(SELECT rid FROM meridian.resource WHERE id = '9')";
    for (const char* table : {"idx_token", "idx_string", "idx_reference", "idx_patient",
                              "compartment", "idx_text", "view_row"}) {
        expect_named(
            fmt::format("DELETE FROM meridian.{} WHERE rid = {}", table, rid),
            fmt::format("Patient/9 version 2: a row of its forward rows is missing in {}", table));
    }
    expect_named("UPDATE meridian.idx_token SET value = value + 1 WHERE rid = " + rid,
                 "Patient/9 version 2: a row of its forward rows is missing in idx_token");
    expect_named("UPDATE meridian.idx_token SET patient = 77 WHERE rid = " + rid,
                 "Patient/9 version 2");
    expect_named(
        "INSERT INTO meridian.idx_token SELECT * FROM meridian.idx_token WHERE rid = " + rid,
        "Patient/9 version 2: a row in idx_token is not in its forward rows");
    expect_named(
        "INSERT INTO meridian.idx_token(value, rid, patient, param) VALUES(1, 12345, 0, 2)",
        "idx_token: a row belongs to the resource 12345");
    expect_named("INSERT INTO meridian.idx_date VALUES(1, 2, -3, 0, 2, 0)",
                 "idx_date: a row belongs to the resource -3");
    expect_named("UPDATE meridian.idx_text SET words = 'other:1' WHERE rid = " + rid,
                 "Patient/9 version 2: its words");
    expect_named("UPDATE meridian.resource SET forward = '' WHERE id = '11'",
                 "Patient/11 version 1: its forward rows are missing");
    expect_named("UPDATE meridian.resource SET forward = '\\x0102' WHERE id = '12'",
                 "Patient/12 version 1: its forward rows are damaged");
    expect_named("UPDATE meridian.resource SET forward = '\\x01' WHERE id = '13'", "Patient/13");
}

TEST_F(PostgresCheck, NamesDamageOfKeysAndViews) {
    expect_named("DELETE FROM meridian.unique_key", "Patient/k version 1");
    expect_named("UPDATE meridian.unique_key SET rid = rid + 1", "Patient/k version 1");
    expect_named("INSERT INTO meridian.unique_key VALUES('other', 1)",
                 "the resource 1 holds a key");
    expect_named("INSERT INTO meridian.view_row VALUES(1, 'k', 12345, '')",
                 "view_row: a row belongs to the resource 12345");
}

TEST_F(PostgresCheck, NamesADamagedBlob) {
    const TestFolder other;
    std::filesystem::create_directories(other.path() + "/blobs");
    std::filesystem::copy(folder_->path() + "/blobs", other.path() + "/blobs",
                          std::filesystem::copy_options::recursive);
    {
        std::fstream file(other.path() + "/blobs/000001.pack",
                          std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(50);
        file.write("damage!!", 8);
    }
    CheckOptions options;
    options.database = TestCluster::instance().database_for(folder_->path());
    const auto report = must(store::check(other.path(), keyed_reader(), options));
    EXPECT_NE(report.first_problem.find("000001.pack"), std::string::npos);
}

TEST_F(PostgresCheck, SaysThatThereIsNoStore) {
    CheckOptions options;
    options.database = TestCluster::instance().database("check_nothing");
    const auto report = store::check(folder_->path(), {}, options);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().category, Category::not_found);
    EXPECT_EQ(report.error().where, database_option);
}

TEST(PostgresCheckBesideWriters, SeesOneConsistentState) {
    const TestFolder folder;
    auto store = open_in(folder);
    auto second_folder = TestFolder();
    // A second server, whose entries wait for their positions now and then.
    auto second =
        must(store::open({.folder = second_folder.path(),
                          .database = TestCluster::instance().database_for(folder.path())}));
    std::atomic<bool> stop{false};
    const auto write = [&stop](Store& to, const std::string& type) {
        for (int i = 0; !stop; ++i) {
            Commit commit;
            for (int j = 0; j < 10; ++j)
                commit.changes.push_back(
                    make_change(to, type, std::to_string((i + j) % 40), std::to_string(i)));
            must(to.commit(std::move(commit)));
            if (i % 7 == 0)
                must(to.commit(make_commit(make_removal(to, type, std::to_string(i % 40)))));
        }
    };
    std::thread one([&] { write(*store, "Basic"); });
    std::thread two([&] { write(*second, "Group"); });
    for (int round = 0; round < 5; ++round) {
        const CheckReport report = check_in(folder);
        EXPECT_TRUE(report.clean()) << report.first_problem;
    }
    stop = true;
    one.join();
    two.join();
    EXPECT_TRUE(check_in(folder).clean());
}

}  // namespace
}  // namespace meridian::store::postgres

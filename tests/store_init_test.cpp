// SPDX-License-Identifier: Apache-2.0
// `meridian store init`: what it makes, and what it refuses.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/limits.hpp"
#include "store/postgres/connection.hpp"
#include "store/postgres/test_cluster.hpp"
#include "tests/server_process.hpp"

namespace meridian::tests {
namespace {

using store::postgres::Connection;
using store::postgres::TestCluster;

void execute(const std::string& url, const std::string& script) {
    const auto connection = Connection::open({.url = url, .application_name = "test"});
    ASSERT_TRUE(connection) << connection.error().message;
    const auto done = (*connection)->execute(script);
    ASSERT_TRUE(done) << done.error().message << " in " << script;
}

std::int64_t ask(const std::string& url, const std::string& sql) {
    const auto connection = Connection::open({.url = url, .application_name = "test"});
    if (!connection) return -1;
    return (*connection)->integer(sql, -1).value_or(-1);
}

/// Changes with every relation, schema and setting of a store that is made or removed.
std::int64_t fingerprint(const std::string& url) {
    const std::int64_t relations = ask(
        url,
        "SELECT hashtext(string_agg(c.oid::text || relname, ',' ORDER BY c.oid)) FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname NOT LIKE 'pg\\_%'");
    const std::int64_t schemas =
        ask(url,
            "SELECT hashtext(string_agg(nspname, ',' ORDER BY nspname)) FROM pg_namespace "
            "WHERE nspname NOT LIKE 'pg\\_%'");
    const std::int64_t has_settings =
        ask(url, "SELECT count(*) FROM pg_tables WHERE tablename = 'setting'");
    const std::int64_t settings =
        has_settings != 1 ? 0
                          : ask(url,
                                "SELECT hashtext(string_agg(key || encode(value, 'hex'), ',' "
                                "ORDER BY key)) FROM meridian.setting");
    return relations ^ schemas << 1 ^ settings << 2;
}

int init(const std::string& url, const std::vector<std::string>& options, std::string& output) {
    std::vector<std::string> words{"store", "init", "--store", url};
    words.insert(words.end(), options.begin(), options.end());
    return run_program(words, &output);
}

/// That it is refused in one sentence, which says `part`, with exit code 2.
void expect_refusal(const std::string& url, const std::vector<std::string>& options,
                    const std::string& part) {
    std::string output;
    EXPECT_EQ(init(url, options, output), 2) << output;
    EXPECT_NE(output.find(part), std::string::npos) << output << "lacks: " << part;
    EXPECT_EQ(std::count(output.begin(), output.end(), '\n'), 1) << output;
    EXPECT_TRUE(output.starts_with("meridian: ")) << output;
}

/// The same, and that the database is what it was before.
void expect_untouched(const std::string& url, const std::vector<std::string>& options,
                      const std::string& part) {
    const std::int64_t before = fingerprint(url);
    expect_refusal(url, options, part);
    EXPECT_EQ(fingerprint(url), before) << "it changed something";
}

std::string with(std::string url, const std::string& old, const std::string& replacement) {
    return url.replace(url.find(old), old.size(), replacement);
}

TEST(StoreInit, MakesAStoreOnce) {
    TestCluster& cluster = TestCluster::instance();
    for (const std::vector<std::string>& options :
         {std::vector<std::string>{}, {"--partitions", "2"}}) {
        const std::string url = cluster.database(options.empty() ? "init_whole" : "init_parts");
        std::string output;
        ASSERT_EQ(init(url, options, output), 0) << output;
        EXPECT_EQ(output,
                  options.empty() ? "made a store: whole\n" : "made a store: partitions 2\n");
        expect_untouched(url, options, "--store: the database holds a store already");
        expect_untouched(url, {"--partitions", "8"}, "the database holds a store already");
    }
    EXPECT_EQ(ask(cluster.database("init_parts"),
                  "SELECT count(*) FROM pg_inherits WHERE inhparent = "
                  "'meridian.resource'::regclass"),
              2);
}

TEST(StoreInit, LeavesWhatIsSomebodyElsesAlone) {
    TestCluster& cluster = TestCluster::instance();
    const std::string url = cluster.database("init_foreign");
    execute(url, "CREATE TABLE somebody_elses(x integer)");
    expect_untouched(url, {}, "the database holds 1 table(s) of something else; name an empty");
    const std::string named = cluster.database("init_named");
    execute(named, "CREATE SCHEMA meridian");
    expect_untouched(named, {}, "has a schema \"meridian\" that is none of ours");
    execute(named, "CREATE TABLE meridian.things(x integer)");
    expect_untouched(named, {}, "has a schema \"meridian\" that is none of ours");
}

TEST(StoreInit, RefusesLayoutsThatAreNone) {
    const std::string url = TestCluster::instance().database("init_layouts");
    const std::string most = std::to_string(limits::database_shards_max);
    const std::string more = std::to_string(limits::database_shards_max + 1);
    for (const std::string value : {"0", "1", "-4", more.c_str(), "99999999999999999999"})
        expect_untouched(url, {"--partitions", value}, "--partitions");
    expect_untouched(url, {"--partitions", "0"}, "not in range 2 to " + most);
    expect_untouched(url, {"--partitions", "eight"}, "--partitions");
    expect_untouched(url, {"--partitions", "8.5"}, "--partitions");
    expect_untouched(url, {"--partitions"}, "--partitions");
    expect_untouched(url, {"--citus", "--partitions", "8"}, "--partitions excludes --citus");
    expect_untouched(url, {"--shards", "8"}, "--shards requires --citus");
    expect_untouched(url, {"--citus", "--shards", "0"}, "not in range 1 to " + most);
    expect_untouched(url, {"--sharded"}, "--sharded");
    expect_untouched(url, {"--sharded"}, "`meridian store init --help`");
    std::string output;
    EXPECT_EQ(run_program({"store", "init"}, &output), 2);
    EXPECT_NE(output.find("--store is required"), std::string::npos) << output;
}

TEST(StoreInit, RefusesDatabasesThatCannotBeUsed) {
    TestCluster& cluster = TestCluster::instance();
    const std::string url = cluster.database("init_rights");
    expect_refusal("nonsense", {}, "expected postgres://user@host:port/database");
    expect_refusal("postgres://meridian@127.0.0.1:1/x", {}, "the database cannot be reached");
    expect_refusal(with(url, "/init_rights?", "/init_nowhere?"), {}, "does not exist");
    execute(url,
            "DO $$ BEGIN CREATE ROLE locked LOGIN PASSWORD 'right'; "
            "EXCEPTION WHEN duplicate_object THEN NULL; END $$; "
            "DO $$ BEGIN CREATE ROLE weak LOGIN; "
            "EXCEPTION WHEN duplicate_object THEN NULL; END $$");
    const std::int64_t before = fingerprint(url);
    expect_refusal(with(url, "meridian@", "locked:wrong@"), {}, "password authentication failed");
    expect_refusal(with(url, "meridian@", "weak@"), {},
                   "the role \"weak\" lacks a right: GRANT CREATE ON DATABASE \"init_rights\" TO "
                   "\"weak\"");
    execute(url, "ALTER ROLE weak SET default_transaction_read_only = on");
    expect_refusal(with(url, "meridian@", "weak@"), {}, "read-only");
    execute(url, "ALTER ROLE weak RESET default_transaction_read_only");
    EXPECT_EQ(fingerprint(url), before);
}

TEST(StoreInit, NeedsTheExtensionForACluster) {
    expect_untouched(TestCluster::instance().database("init_bare"), {"--citus"},
                     "the database has no extension citus; run CREATE EXTENSION citus");
}

TEST(StoreInit, NeedsAClusterThatKnowsItsWorkersAndItsCoordinator) {
    if (!store::postgres::layout_of_tests().is_distributed())
        GTEST_SKIP() << "this run has no Citus cluster (MERIDIAN_TEST_LAYOUT)";
    TestCluster& cluster = TestCluster::instance();
    const std::string url = cluster.database("init_citus");
    const std::string worker = url + "&port=5433";
    execute(with(worker, "/init_citus?", "/postgres?"), "CREATE DATABASE init_citus");
    execute(worker, "CREATE EXTENSION citus");
    execute(url, "CREATE EXTENSION citus");
    expect_untouched(url, {"--citus", "--shards", "2"}, "the Citus cluster has no workers; name");
    execute(url, fmt::format("SELECT citus_set_coordinator_host('{0}', 5432); "
                             "SELECT citus_add_node('{0}', 5433)",
                             cluster.folder()));
    execute(url, "UPDATE pg_dist_node SET groupid = 77 WHERE groupid = 0");
    expect_untouched(url, {"--citus", "--shards", "2"}, "does not know its coordinator; name it");
    execute(url, "UPDATE pg_dist_node SET groupid = 0 WHERE groupid = 77");
    std::string output;
    EXPECT_EQ(init(url, {"--citus", "--shards", "2"}, output), 0) << output;
    EXPECT_EQ(output, "made a store: citus 2\n");
    expect_untouched(url, {"--citus"}, "the database holds a store already");
}

}  // namespace
}  // namespace meridian::tests

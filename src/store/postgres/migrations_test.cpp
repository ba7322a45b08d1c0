// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/migrations.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "store/postgres/schema.hpp"
#include "store/postgres/test_cluster.hpp"
#include "store/store_test_support.hpp"

namespace meridian::store::postgres {
namespace {

/// Takes a store back to what version 1 of the schema was.
constexpr const char* to_version_1 =
    "ALTER TABLE meridian.directory DROP COLUMN home; "
    "ALTER TABLE meridian.log DROP COLUMN patient; "
    "ALTER TABLE meridian.log_waiting DROP COLUMN patient; "
    "ALTER TABLE meridian.view_row DROP COLUMN patient; "
    "DROP TABLE meridian.private_row; "
    "DROP STATISTICS meridian.idx_composite_pairs, meridian.idx_quantity_pairs, "
    "meridian.idx_date_pairs; "
    "ALTER TABLE meridian.sequencer DROP COLUMN published; "
    "DELETE FROM meridian.setting WHERE key = 'layout'; "
    "DROP TABLE meridian.audit; DROP TABLE meridian.audit_patient; "
    "DROP TABLE meridian.audit_waiting; "
    "UPDATE meridian.setting SET value = int8send(1) WHERE key = 'schema_version'";

std::unique_ptr<Connection> connect(const std::string& url) {
    return must(Connection::open({.url = url, .application_name = "test"}));
}

TEST(PostgresMigrations, AnOlderStoreIsBroughtForwardBesideServersOfItsVersion) {
    const TestFolder folder;
    OpenOptions options;
    options.folder = folder.path();
    options.database = TestCluster::instance().database("older_schema");
    {
        auto store = must(store::open(options));
        Commit commit;
        commit.changes.push_back(make_change(*store, "Basic", "old", "body"));
        must(store->commit(std::move(commit)));
    }
    must(connect(options.database)->execute(to_version_1));

    // A server of version 1 is in the middle of a write, so the step has to wait, but not for ever.
    auto older = connect(options.database);
    must(older->ask("BEGIN"));
    must(
        older->ask("INSERT INTO meridian.log(position, at, rid, kind, verb, type, version, actor, "
                   "organisation, id, salt, body_hash) SELECT position + 1, at, rid, 1, verb, "
                   "type, version, actor, organisation, id, salt, body_hash FROM meridian.log"));
    std::thread ends([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(1'200));
        must(older->ask("COMMIT"));
    });
    auto store = must(store::open(options));
    ends.join();

    EXPECT_EQ(must(connect(options.database)
                       ->integer("SELECT ('x' || encode(value, 'hex'))::bit(64)::bigint "
                                 "FROM meridian.setting WHERE key = 'schema_version'",
                                 0)),
              schema_version);
    EXPECT_TRUE(
        must(must(store->snapshot())->find({store->names().find(NameKind::type, "Basic"), "old"})));
    // That server goes on with what it knows.
    must(
        older->ask("INSERT INTO meridian.log_waiting(batch, ordinal, rid, kind, verb, type, "
                   "version, actor, organisation, id, salt, body_hash) "
                   "VALUES(9, 0, 1, 0, 1, 1, 1, 0, 0, 'x', '', '')"));
}

TEST(PostgresMigrations, AStepThatFailsLeavesTheStoreAsItWas) {
    const TestFolder folder;
    OpenOptions options;
    options.folder = folder.path();
    options.database = TestCluster::instance().database("half_schema");
    must(store::open(options)).reset();
    must(connect(options.database)->execute(to_version_1));
    // One of the columns is there already, as after a step that somebody made by hand.
    must(connect(options.database)
             ->execute("ALTER TABLE meridian.log ADD COLUMN patient bigint NOT NULL DEFAULT 0"));
    const auto refused = store::open(options);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().where, database_option);
    EXPECT_EQ(must(connect(options.database)
                       ->integer("SELECT count(*) FROM information_schema.columns WHERE "
                                 "table_schema = 'meridian' AND column_name = 'home' "
                                 "AND table_name = 'directory'",
                                 -1)),
              0);
}

}  // namespace
}  // namespace meridian::store::postgres

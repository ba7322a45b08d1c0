// SPDX-License-Identifier: Apache-2.0
#include "store/copy/migrate.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <filesystem>
#include <thread>

#include "store/copy/copy_test_support.hpp"
#include "store/sqlite/database.hpp"

namespace meridian::store::copy {
namespace {

void expect_same_entry(const LogEntry& a, const LogEntry& b) {
    EXPECT_EQ(a.rid, b.rid);
    EXPECT_EQ(a.at, b.at);
    EXPECT_EQ(a.id, b.id);
    EXPECT_EQ(a.salt, b.salt);
    EXPECT_EQ(a.body_hash, b.body_hash);
    EXPECT_EQ(a.actor, b.actor);
    EXPECT_EQ(a.organisation, b.organisation);
}

/// The same record, to the last rid.
void expect_same(const Place& left_place, const Place& right_place) {
    auto left = open_at(left_place);
    auto right = open_at(right_place);
    auto a = must(left->snapshot());
    auto b = must(right->snapshot());
    ASSERT_EQ(a->position(), b->position());
    EXPECT_EQ(must(log_sum(*left)).hash, must(log_sum(*right)).hash);
    const auto log_a = must(a->log(0, 10'000));
    const auto log_b = must(b->log(0, 10'000));
    ASSERT_EQ(log_a.size(), log_b.size());
    for (std::size_t i = 0; i < log_a.size(); ++i) {
        expect_same_entry(log_a[i], log_b[i]);
        const Identity identity{log_a[i].type, log_a[i].id};
        const auto version_a = must(a->find_version(identity, log_a[i].version));
        const auto version_b = must(b->find_version(identity, log_a[i].version));
        ASSERT_TRUE(version_a && version_b);
        EXPECT_EQ(version_a->body, version_b->body);
        EXPECT_EQ(version_a->position, version_b->position);
        EXPECT_EQ(version_a->updated, version_b->updated);
        EXPECT_EQ(version_a->current, version_b->current);
    }
    for (const char* type : {"Patient", "Basic", "Group"}) {
        for (const char* value : {"1", "2", "3", "holder", "second", "long"}) {
            EXPECT_EQ(must(a->search(token_plan(*left, type, value))).rids,
                      must(b->search(token_plan(*right, type, value))).rids);
        }
    }
    const Name view = left->names().find(NameKind::view, "test");
    const auto views_a = must(a->view(view, "key"));
    const auto views_b = must(b->view(view, "key"));
    ASSERT_EQ(views_a.size(), views_b.size());
    for (std::size_t i = 0; i < views_a.size(); ++i) EXPECT_EQ(views_a[i].value, views_b[i].value);
    EXPECT_EQ(must(a->rid_of({0, long_url})), must(b->rid_of({0, long_url})));
    for (int kind = 0; kind <= static_cast<int>(NameKind::actor); ++kind) {
        const auto all = left->names().all(static_cast<NameKind>(kind));
        ASSERT_EQ(all, right->names().all(static_cast<NameKind>(kind)));
        for (const Name name : all)
            EXPECT_EQ(left->names().text(static_cast<NameKind>(kind), name),
                      right->names().text(static_cast<NameKind>(kind), name));
    }
    EXPECT_EQ(left->names().token_key(), right->names().token_key());
    EXPECT_EQ(must(right->setting("a/setting")), std::string("with\0zero", 9));
    EXPECT_EQ(must(right->private_row("account", "a"))->value, "sealed");
    EXPECT_EQ(must(right->private_row(space_of_keys, "k"))->version, 1);
    EXPECT_EQ(must(right->cursor("cohorts")), 7);
    EXPECT_EQ(must(right->blob(sha256("a document"))), "a document");
}

/// What can be written afterwards: new rids are new, keys hold.
void expect_usable(const Place& place) {
    auto store = open_at(place);
    Position before = must(store->snapshot())->position();
    put(*store, "Patient", "new", "1");
    put(*store, "Patient", "7", "2");
    put(*store, "Patient", "8", "1");
    EXPECT_EQ(must(store->snapshot())->position(), before + 3);
    EXPECT_EQ(
        store->commit(make_commit(change_of(*store, "Group", "thief", "holder"))).error().category,
        Category::conflict);
    store.reset();
    expect_sound(place);
}

class Migrate : public ::testing::TestWithParam<bool> {
 protected:
    /// Where the store is, and where it goes; the parameter says whether that is PostgreSQL.
    Place from() const {
        return GetParam() ? in_folder(folder_.path() + "/from")
                          : in_database(folder_.path() + "/from");
    }
    Place to() const {
        return GetParam() ? in_database(folder_.path() + "/to") : in_folder(folder_.path() + "/to");
    }
    Result<MigrateReport> run(const MigrateOptions& options = {}) const {
        return migrate(from(), to(), reader(), options);
    }
    Error refusal(const Place& place) const {
        const auto store =
            store::open({.folder = place.folder, .database = place.database, .create = false});
        return store ? Error{} : store.error();
    }
    TestFolder folder_;
};

TEST_P(Migrate, KeepsEverything) {
    fill(*open_at(from()));
    const auto report = must(run());
    EXPECT_TRUE(report.is_finished);
    EXPECT_EQ(report.source.hash, report.target.hash);
    expect_sound(to());
    expect_same(from(), to());
    expect_usable(to());
    EXPECT_EQ(run().error().category, Category::conflict) << "it is a store of its own now";
}

TEST_P(Migrate, AnEmptyStoreMovesToo) {
    open_at(from()).reset();
    EXPECT_TRUE(must(run()).is_finished);
    expect_sound(to());
    put(*open_at(to()), "Patient", "first", "1");
    expect_sound(to());
}

TEST_P(Migrate, ALiveStoreIsCaughtUpWithAndFinishedWhenItRests) {
    auto store = open_at(from());
    fill(*store, 60);
    MigrateOptions options;
    options.batch_entries = 7;
    auto report = must(run(options));
    EXPECT_FALSE(report.is_finished);
    EXPECT_EQ(report.position, must(store->snapshot())->position());

    const Error refused = refusal(to());
    EXPECT_EQ(refused.category, Category::conflict);
    EXPECT_EQ(refused.where, to().database.empty() ? folder_option : database_option);
    EXPECT_NE(refused.message.find("not complete"), std::string::npos) << refused.message;
    CheckOptions check_options;
    check_options.database = to().database;
    EXPECT_EQ(check(to().folder, reader(), check_options).error().category, Category::conflict);
    const std::string backup_of_it = folder_.path() + "/backup";
    EXPECT_EQ(backup(to().folder, backup_of_it, {.database = to().database}).error().category,
              Category::conflict);

    // New versions of what was copied, a key that changes hands, a deletion, a name, a blob.
    for (int i = 30; i < 50; ++i) put(*store, "Patient", std::to_string(i), "3");
    put(*store, "Patient", "30", "1");
    must(store->commit(make_commit(make_removal(*store, "Patient", "31"))));
    put(*store, "Group", "heir", "1");
    put(*store, "Group", "g", "2");
    put(*store, "Group", "h", "2");  // its key is nobody's now
    put(*store, "Group", "heir", "holder");
    must(store->put_blob("another document"));
    EXPECT_FALSE(must(run(options)).is_finished);
    put(*store, "Patient", "32", "2");
    // A reindex leaves nothing in the log.
    const auto stored = must(store->find({store->names().find(NameKind::type, "Patient"), "33"}));
    must(store->reindex(stored->rid, stored->version, {},
                        rows_of(store->names(), "Patient", "reindexed")));
    must(store->save_cursor("cohorts", 7));
    store.reset();

    report = must(run(options));
    EXPECT_TRUE(report.is_finished);
    {
        auto moved = open_at(to());
        auto snapshot = must(moved->snapshot());
        EXPECT_EQ(must(snapshot->search(token_plan(*moved, "Patient", "reindexed"))).rids.size(),
                  1u);
        EXPECT_EQ(must(moved->blob(sha256("another document"))), "another document");
        must(moved->reindex(stored->rid, stored->version, {},
                            rows_of(moved->names(), "Patient", "3")));
        must(moved->save_cursor("cohorts", 7));
    }
    expect_sound(to());
    {
        auto original = open_at(from());
        must(original->reindex(stored->rid, stored->version, {},
                               rows_of(original->names(), "Patient", "3")));
        must(original->save_cursor("cohorts", 7));
    }
    expect_same(from(), to());
}

/// A process that moves the store, killed after `delay`; true when it came to its end before.
bool migrate_killed_after(const Place& from, const Place& to, std::chrono::microseconds delay) {
    const pid_t child = ::fork();
    if (child == 0) {
        const auto done = migrate(from, to, reader(), {.batch_entries = 3});
        ::_exit(done && done->is_finished ? 0 : 1);
    }
    std::this_thread::sleep_for(delay);
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status);
}

TEST_P(Migrate, GoesOnWhereverItWasKilled) {
    fill(*open_at(from()), 200);
    to();  // its database is made before the first fork
    int kills = 0;
    for (bool has_ended = false; !has_ended && kills < 1'000; ++kills)
        has_ended = migrate_killed_after(from(), to(), std::chrono::milliseconds(10 + 5 * kills));
    EXPECT_GT(kills, 1) << "it was over before it was killed";
    if (refusal(to()).category == Category::conflict) {
        EXPECT_TRUE(must(run()).is_finished);
    }
    expect_sound(to());
    expect_same(from(), to());
}

TEST_P(Migrate, RefusesATargetThatHoldsSomethingElse) {
    fill(*open_at(from()));
    put(*open_at(to()), "Patient", "other", "1");
    EXPECT_EQ(run().error().category, Category::conflict);
    expect_sound(to());
    EXPECT_EQ(must(open_at(to())->snapshot())->position(), 0);
}

TEST_P(Migrate, RefusesToGoOnWithAnotherSource) {
    auto store = open_at(from());
    fill(*store);
    EXPECT_FALSE(must(run()).is_finished);
    const Place other =
        GetParam() ? in_folder(folder_.path() + "/other") : in_database(folder_.path() + "/other");
    fill(*open_at(other));
    EXPECT_EQ(migrate(other, to(), reader()).error().category, Category::conflict);
}

TEST_P(Migrate, SaysThatThereIsNoSource) {
    EXPECT_EQ(run().error().category, Category::not_found);
}

TEST_P(Migrate, AStoreThatIsDamagedOnTheWayStaysClosed) {
    auto store = open_at(from());
    fill(*store);
    EXPECT_FALSE(must(run()).is_finished);
    store.reset();
    const std::string damage = "UPDATE {}log SET actor = actor + 1 WHERE position = 3";
    if (GetParam()) {
        auto connection = must(postgres::Connection::open({.url = to().database}));
        must(connection->execute(fmt::format(fmt::runtime(damage), "meridian.")));
    } else {
        auto database =
            must(sqlite::Database::open(to().folder + "/record.db", {.cache_bytes = 1 << 20}));
        must(database->execute(fmt::format(fmt::runtime(damage), "")));
    }
    const auto report = run();
    ASSERT_FALSE(report);
    EXPECT_NE(report.error().message.find("the logs differ"), std::string::npos);
    EXPECT_EQ(refusal(to()).category, Category::conflict);
}

INSTANTIATE_TEST_SUITE_P(To, Migrate, ::testing::Bool(), [](const auto& to_postgres) {
    return to_postgres.param ? std::string("Postgres") : std::string("Sqlite");
});

TEST(MigrateFromPostgres, WaitsForEntriesThatHaveNoPosition) {
    const TestFolder folder;
    const Place from = in_database(folder.path() + "/from");
    fill(*open_at(from));
    auto connection = must(postgres::Connection::open({.url = from.database}));
    must(
        connection->execute("INSERT INTO meridian.batch(id, base, entries, at) "
                            "VALUES(999999, NULL, 1, 1)"));
    const auto report = migrate(from, in_folder(folder.path() + "/to"), reader());
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().category, Category::conflict);
    EXPECT_NE(report.error().message.find("1 group(s)"), std::string::npos);
}

TEST(MigrateFromPostgres, DoesNotFinishWhenAServerIsStartedMeanwhile) {
    const TestFolder folder;
    const Place from = in_database(folder.path() + "/from");
    const Place to = in_folder(folder.path() + "/to");
    fill(*open_at(from));
    std::unique_ptr<Store> server;
    MigrateOptions options;
    options.progress = [&](std::string_view part, std::int64_t, std::int64_t) {
        if (server || part != "hash of the source") return;
        server = open_at(from);
        auto connection = must(postgres::Connection::open({.url = from.database}));
        const auto is_there = [&] {
            return must(connection->integer("SELECT count(*) FROM pg_stat_activity WHERE datname = "
                                            "current_database() AND application_name LIKE "
                                            "'meridian writer %'",
                                            0)) > 0;
        };
        while (!is_there()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    };
    const auto report = migrate(from, to, reader(), options);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().category, Category::conflict);
    put(*server, "Patient", "late", "1");
    server.reset();
    EXPECT_TRUE(must(migrate(from, to, reader())).is_finished);
    expect_sound(to);
    expect_same(from, to);
}

TEST(MigrateOnOneEngine, IsRefused) {
    const TestFolder folder;
    EXPECT_EQ(migrate(in_folder(folder.path() + "/a"), in_folder(folder.path() + "/b"), reader())
                  .error()
                  .category,
              Category::incorrect);
}

}  // namespace
}  // namespace meridian::store::copy

// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "store/copy/copy_test_support.hpp"
#include "store/copy/restore.hpp"
#include "store/sqlite/database.hpp"

namespace meridian::store::copy {
namespace {

namespace fs = std::filesystem;
using postgres::TestCluster;

Position back_up(const Place& from, const std::string& to, std::size_t batch_entries = 7) {
    return must(
        backup(from.folder, to, {.database = from.database, .batch_entries = batch_entries}));
}

void restore_to(const std::string& from, const Place& to) {
    if (to.database.empty())
        must(store::restore(from, to.folder, reader()));
    else
        must(copy::restore(from, to, reader()));
}

/// Whether there was something in the database before it was tried to restore into it.
bool is_empty(const std::string& url) {
    const auto connection = must(postgres::Connection::open({.url = url}));
    return must(connection->integer(
               "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
               "WHERE n.nspname IN ('meridian', 'public')",
               -1)) == 0;
}

std::string layout_in(const std::string& url) {
    const auto connection = must(postgres::Connection::open({.url = url}));
    return std::string(
        must(connection->ask("SELECT value FROM meridian.setting WHERE key = 'layout'"))
            .bytes(0, 0));
}

/// What was current at a position, by type.
std::vector<Stored> state_at(Store& store, const std::string& type, Position at) {
    return must(
        must(store.snapshot())->walk(store.names().find(NameKind::type, type), at, 0, 100'000));
}

/// Whether the backup that is under way keeps the database from cleaning up.
bool is_in_transaction(const Place& place) {
    const auto connection = must(postgres::Connection::open({.url = place.database}));
    const postgres::Answer state = must(
        connection->ask("SELECT state FROM pg_stat_activity WHERE datname = current_database() "
                        "AND application_name = 'meridian backup'"));
    EXPECT_EQ(state.size(), 1);
    return state.empty() || state.bytes(0, 0) != "idle";
}

/// The restored store is what the source was at `position`.
void expect_as_of(const Place& source, const Place& restored, Position position) {
    auto before = open_at(source);
    auto after = open_at(restored);
    EXPECT_EQ(must(after->snapshot())->position(), position);
    const LogSum sum = must(log_sum(*before, position));
    EXPECT_EQ(to_hex(must(log_sum(*after)).hash), to_hex(sum.hash));
    for (const char* type : {"Patient", "Basic", "Group"}) {
        const auto then = state_at(*before, type, position);
        const auto now = state_at(*after, type, position);
        ASSERT_EQ(then.size(), now.size()) << type;
        for (std::size_t i = 0; i < then.size(); ++i) {
            EXPECT_EQ(then[i].rid, now[i].rid);
            EXPECT_EQ(then[i].id, now[i].id);
            EXPECT_EQ(then[i].version, now[i].version);
            EXPECT_EQ(then[i].position, now[i].position);
            EXPECT_EQ(then[i].body, now[i].body);
            EXPECT_TRUE(now[i].current);
        }
    }
}

/// Three clients, on two servers where two can share the record: new resources, versions,
/// deletions, revivals, and resources that change hands, in single commits and in common ones.
class Load {
 public:
    explicit Load(const Place& place) : first_(open_at(place)) {
        if (!place.database.empty())
            second_ = open_at({.folder = place.folder + "-second", .database = place.database});
        for (int client = 0; client < 3; ++client)
            threads_.emplace_back([this, client] { write(client); });
    }
    ~Load() {
        stop_ = true;
        for (auto& thread : threads_) thread.join();
    }
    void wait_for(int commits) const {
        while (commits_ < commits) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    int commits() const { return commits_; }

 private:
    void write(int client) {
        Store& store = second_ && client == 2 ? *second_ : *first_;
        const std::string mine = std::to_string(client) + "-";
        for (int i = 0; !stop_; ++i) {
            Commit commit;
            commit.changes.push_back(
                change_of(store, "Basic", "left" + mine, std::to_string(i % 5)));
            commit.changes.push_back(
                change_of(store, "Basic", "right" + mine, std::to_string(i % 5)));
            commit.changes.push_back(change_of(store, "Patient", mine + std::to_string(i), "1"));
            must(store.commit(std::move(commit)));
            put(store, "Group", mine + std::to_string(i % 3), "of " + std::to_string(i % 7));
            const std::string known = std::to_string(i % 10);
            if (i % 2 == 0)
                must(store.commit(make_commit(make_removal(store, "Patient", mine + known))));
            else
                put(store, "Patient", mine + known, "2");
            commits_ += 3;
        }
    }

    std::unique_ptr<Store> first_, second_;
    std::atomic<bool> stop_ = false;
    std::atomic<int> commits_ = 0;
    std::vector<std::thread> threads_;
};

/// The parameter says whether the store lies in PostgreSQL.
class Backups : public ::testing::TestWithParam<bool> {
 protected:
    Place from() const {
        return GetParam() ? in_database(folder_.path() + "/from")
                          : in_folder(folder_.path() + "/from");
    }
    std::string backup_folder() const { return folder_.path() + "/backup"; }
    Place to_folder() const { return in_folder(folder_.path() + "/restored"); }
    Place to_database() const { return in_database(folder_.path() + "/restored-beside"); }
    Result<Position> run(const BackupOptions& options = {}) const {
        BackupOptions all = options;
        all.database = from().database;
        return backup(from().folder, backup_folder(), all);
    }
    TestFolder folder_;
};

TEST_P(Backups, HoldWhatWasThereWhenTheyBegan) {
    auto store = open_at(from());
    fill(*store);
    put(*store, "Patient", "given away", "of q");
    const Position last = must(store->snapshot())->position();
    bool has_written = false;
    BackupOptions options;
    options.batch_entries = 3;
    options.progress = [&](std::string_view part, std::int64_t, std::int64_t) {
        if (part == "identities") EXPECT_FALSE(is_in_transaction(from()));
        if (std::exchange(has_written, true)) return;
        // What is read when this is told, and what comes later, is of the time before.
        put(*store, "Patient", "15", "4");
        put(*store, "Patient", "15", "5");
        put(*store, "Patient", "given away", "of r");
        must(store->commit(make_commit(make_removal(*store, "Patient", "16"))));
        must(store->commit(make_commit(make_removal(*store, "Group", "g"))));
        put(*store, "Patient", "1", "revived");
        put(*store, "Basic", "later", "1");
        must(store->save_cursor("cohorts", 11));
        must(store->put_blob("a later document"));
    };
    EXPECT_EQ(must(run(options)), last);
    ASSERT_TRUE(has_written);
    store.reset();
    for (const Place& place : {to_folder(), to_database()}) {
        restore_to(backup_folder(), place);
        expect_sound(place);
        expect_as_of(from(), place, last);
        auto restored = open_at(place);
        auto snapshot = must(restored->snapshot());
        const auto patient = [&](const std::string& id) {
            return must(snapshot->find({restored->names().find(NameKind::type, "Patient"), id}));
        };
        EXPECT_EQ(patient("15")->version, 1);
        EXPECT_TRUE(patient("16")->current);
        EXPECT_FALSE(patient("1")->current);
        EXPECT_EQ(must(restored->private_row("account", "a"))->value, "sealed");
        EXPECT_FALSE(must(restored->private_row(space_of_keys, "k"))) << "a backup holds no keys";
        EXPECT_EQ(must(restored->cursor("cohorts")), 7);
        EXPECT_EQ(must(restored->setting("a/setting")), std::string("with\0zero", 9));
        EXPECT_EQ(must(restored->blob(sha256("a document"))), "a document");
        EXPECT_EQ(must(snapshot->search(token_plan(*restored, "Group", "holder"))).rids.size(), 1u);
        EXPECT_NE(must(snapshot->rid_of({0, long_url})), 0);
        EXPECT_EQ(restored->names().token_key(), open_at(from())->names().token_key());
    }
}

TEST_P(Backups, CanBeWrittenToWhenRestored) {
    fill(*open_at(from()));
    back_up(from(), backup_folder());
    for (const Place& place : {to_folder(), to_database()}) {
        restore_to(backup_folder(), place);
        auto store = open_at(place);
        const Position last = must(store->snapshot())->position();
        put(*store, "Patient", "new", "1");
        put(*store, "Patient", "7", "3");
        EXPECT_EQ(must(store->snapshot())->position(), last + 2);
        EXPECT_EQ(store->commit(make_commit(change_of(*store, "Group", "thief", "holder")))
                      .error()
                      .category,
                  Category::conflict);
        store.reset();
        expect_sound(place);
    }
}

TEST_P(Backups, OfAnEmptyStoreAreEmptyStores) {
    open_at(from()).reset();
    EXPECT_EQ(back_up(from(), backup_folder()), -1);
    for (const Place& place : {to_folder(), to_database()}) {
        restore_to(backup_folder(), place);
        put(*open_at(place), "Patient", "first", "1");
        expect_sound(place);
    }
}

TEST_P(Backups, AreConsistentUnderLoad) {
    constexpr int rounds = 3;
    std::vector<std::pair<std::string, Position>> made;
    {
        fill(*open_at(from()), 60);
        const Load load(from());
        load.wait_for(150);
        for (int round = 0; round < rounds; ++round) {
            const std::string to = backup_folder() + std::to_string(round);
            BackupOptions options{.database = from().database, .batch_entries = 20};
            // What is written while each part is read is of after the backup's position.
            options.progress = [&](std::string_view, std::int64_t, std::int64_t) {
                load.wait_for(load.commits() + 9);
            };
            made.emplace_back(to, must(backup(from().folder, to, options)));
        }
    }
    expect_sound(from());
    for (const auto& [to, position] : made) {
        for (const Place& place : {in_folder(to + "-restored"), in_database(to + "-beside")}) {
            restore_to(to, place);
            expect_sound(place);
            expect_as_of(from(), place, position);
        }
    }
}

/// A process that backs up `from` and is killed when it tells of its progress for the `calls`th
/// time; true when it came to its end before.
bool backup_killed_at(const Place& from, const std::string& to, int calls) {
    const pid_t child = ::fork();
    if (child == 0) {
        BackupOptions options{.database = from.database, .batch_entries = 10};
        options.progress = [&calls](std::string_view, std::int64_t, std::int64_t) {
            if (--calls == 0) ::raise(SIGKILL);
        };
        ::_exit(backup(from.folder, to, options) ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFEXITED(status);
}

TEST_P(Backups, AreNoneWhereverTheyWereKilled) {
    const Place source = from();
    fill(*open_at(source));
    int kills = 0;
    for (;; ++kills) {
        const std::string to = backup_folder() + std::to_string(kills);
        if (backup_killed_at(source, to, kills + 1)) break;
        EXPECT_EQ(store::restore(to, to + "-restored", reader()).error().category,
                  Category::not_found);
        EXPECT_FALSE(fs::exists(to + "-restored"));
        const auto again = backup(source.folder, to, {.database = source.database});
        ASSERT_FALSE(again);
        EXPECT_EQ(again.error().category, Category::conflict);
        EXPECT_NE(again.error().message.find("stopped before it was complete"), std::string::npos)
            << again.error().message;
    }
    EXPECT_GT(kills, 5);
    const Place restored = to_folder();
    restore_to(backup_folder() + std::to_string(kills), restored);
    expect_sound(restored);
}

TEST_P(Backups, ThatFailLeaveNothing) {
    auto store = open_at(from());
    fill(*store);
    store.reset();
    if (GetParam()) {
        auto connection = must(postgres::Connection::open({.url = from().database}));
        must(connection->execute("DELETE FROM meridian.log WHERE position = 11"));
    } else {
        auto database =
            must(sqlite::Database::open(from().folder + "/record.db", {.cache_bytes = 1 << 20}));
        must(database->execute("DROP TABLE history"));
    }
    EXPECT_FALSE(run({.batch_entries = 4}));
    EXPECT_TRUE(fs::is_empty(backup_folder()));
}

TEST_P(Backups, GoIntoNewFoldersOnly) {
    fill(*open_at(from()));
    back_up(from(), backup_folder());
    const auto again = run();
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().category, Category::conflict);
    EXPECT_NE(again.error().message.find("not empty"), std::string::npos);
    restore_to(backup_folder(), to_folder());
    expect_sound(to_folder());
}

INSTANTIATE_TEST_SUITE_P(Of, Backups, ::testing::Bool(), [](const auto& in_postgres) {
    return in_postgres.param ? std::string("Postgres") : std::string("Sqlite");
});

TEST(BackupOfADatabase, NeedsAStoreAndItsFolder) {
    const TestFolder folder;
    const std::string url = TestCluster::instance().database("nothing_to_back_up");
    const auto refused = [&](const std::string& from, const std::string& database) {
        const auto made = backup(from, folder.path() + "/backup", {.database = database});
        EXPECT_FALSE(made);
        EXPECT_FALSE(fs::exists(folder.path() + "/backup"));
        return made ? Error{} : made.error();
    };
    EXPECT_EQ(refused(folder.path(), url).category, Category::not_found);
    EXPECT_EQ(refused(folder.path(), url).where, database_option);
    EXPECT_EQ(refused(folder.path() + "/typo", url).where, folder_option);
    EXPECT_EQ(refused(folder.path(), url + "_typo").where, database_option);
}

TEST(BackupOfADatabase, LooksAgainForAVersionThatIsOnItsWay) {
    const TestFolder folder;
    const Place from = in_database(folder.path() + "/from");
    {
        auto store = open_at(from);
        fill(*store);
        put(*store, "Patient", "on its way", "1");
    }
    auto connection = must(postgres::Connection::open({.url = from.database}));
    std::thread mover;
    BackupOptions options{.database = from.database, .batch_entries = 5};
    options.progress = [&](std::string_view, std::int64_t, std::int64_t) {
        if (mover.joinable()) return;
        must(connection->execute(
            "CREATE TEMP TABLE away AS SELECT * FROM meridian.resource WHERE id = 'on its way'; "
            "DELETE FROM meridian.resource WHERE id = 'on its way'"));
        mover = std::thread([&] {
            std::this_thread::sleep_for(std::chrono::milliseconds(500));
            must(connection->execute("INSERT INTO meridian.resource SELECT * FROM away"));
        });
    };
    must(backup(from.folder, folder.path() + "/backup", options));
    mover.join();
    restore_to(folder.path() + "/backup", in_folder(folder.path() + "/restored"));
    expect_sound(in_folder(folder.path() + "/restored"));
}

// --- restore into a database ---

class RestoreIntoADatabase : public ::testing::Test {
 protected:
    void SetUp() override {
        const Place source = in_folder(folder_.path() + "/from");
        fill(*open_at(source));
        back_up(source, backup_folder());
    }
    std::string backup_folder() const { return folder_.path() + "/backup"; }
    std::string work_folder() const { return to_.folder + "/restoring"; }
    Error refusal(const Place& to) const {
        const auto restored = copy::restore(backup_folder(), to, reader());
        EXPECT_FALSE(restored);
        return restored ? Error{} : restored.error();
    }
    TestFolder folder_;
    Place to_ = {.folder = folder_.path() + "/to",
                 .database = TestCluster::instance().database_for(folder_.path() + "/to")};
};

TEST_F(RestoreIntoADatabase, RefusesOneThatHoldsARecord) {
    put(*open_at({.folder = folder_.path() + "/others", .database = to_.database}), "Patient",
        "other", "1");
    const Error refused = refusal(to_);
    EXPECT_EQ(refused.category, Category::conflict);
    EXPECT_EQ(refused.where, database_option);
    EXPECT_FALSE(fs::exists(to_.folder)) << "nothing was begun";
    expect_sound({.folder = folder_.path() + "/others", .database = to_.database});
}

TEST_F(RestoreIntoADatabase, RefusesOneOfSomethingElse) {
    to_.database = TestCluster::instance().database("restore_of_others");
    auto connection = must(postgres::Connection::open({.url = to_.database}));
    must(connection->execute("CREATE TABLE theirs(x integer)"));
    EXPECT_EQ(refusal(to_).where, database_option);
    EXPECT_FALSE(fs::exists(to_.folder));
    must(connection->execute("DROP TABLE theirs; CREATE SCHEMA meridian"));
    EXPECT_EQ(refusal(to_).where, database_option);
    EXPECT_FALSE(fs::exists(to_.folder));
}

TEST_F(RestoreIntoADatabase, RefusesOneThatIsNotThere) {
    to_.database += "_typo";
    EXPECT_EQ(refusal(to_).where, database_option);
    EXPECT_FALSE(fs::exists(to_.folder));
}

TEST_F(RestoreIntoADatabase, RefusesAFolderWithAStoreOrOtherBlobs) {
    to_.database = TestCluster::instance().database("restore_beside_others");
    must(must(store::open({.folder = to_.folder}))->put_blob("of another store"));
    const auto expect_refusal = [&] {
        const Error refused = refusal(to_);
        EXPECT_EQ(refused.category, Category::conflict);
        EXPECT_EQ(refused.where, folder_option);
        EXPECT_TRUE(is_empty(to_.database));
    };
    expect_refusal();
    fs::remove(to_.folder + "/record.db");
    expect_refusal();
    fs::remove_all(to_.folder + "/blobs");
    must(copy::restore(backup_folder(), to_, reader()));
    expect_sound(to_);
}

TEST_F(RestoreIntoADatabase, KeepsTheLayout) {
    to_.database = TestCluster::instance().database("restore_into_partitions");
    must(make_in_database(to_.database, {.partitions = 3}));
    must(copy::restore(backup_folder(), to_, reader()));
    EXPECT_EQ(layout_in(to_.database), "partitions 3");
    expect_sound(to_);
    EXPECT_FALSE(fs::exists(work_folder()));
}

TEST_F(RestoreIntoADatabase, LeavesNothingBehindWhenItFailsBeforeTheMove) {
    to_.database = TestCluster::instance().database("restore_that_fails");
    BodyReader unable = reader();
    unable.rows = [](const Stored&, Names&) -> Result<Rows> {
        return fail(Category::fault, "no rows today");
    };
    EXPECT_FALSE(copy::restore(backup_folder(), to_, unable));
    EXPECT_FALSE(fs::exists(work_folder()));
    RestoreOptions options;
    options.complete = [&](const std::string& folder) -> Result<void> {
        EXPECT_EQ(folder, work_folder());
        EXPECT_TRUE(must(store::open({.folder = folder, .create = false}))->snapshot());
        return fail(Category::fault, "no more rows today");
    };
    EXPECT_FALSE(copy::restore(backup_folder(), to_, reader(), options));
    EXPECT_FALSE(fs::exists(work_folder()));
    EXPECT_TRUE(is_empty(to_.database));
    // Such a one may also have been left by one that was killed.
    fs::create_directories(work_folder() + "/blobs");
    EXPECT_EQ(copy::restore(folder_.path() + "/no backup", to_, reader()).error().category,
              Category::not_found);
    must(copy::restore(backup_folder(), to_, reader()));
    expect_sound(to_);
}

TEST_F(RestoreIntoADatabase, IsNoStoreWhenItWasKilled) {
    const pid_t child = ::fork();
    if (child == 0) {
        RestoreOptions options;
        options.progress = [](std::string_view part, std::int64_t, std::int64_t) {
            if (part == "identities") ::raise(SIGKILL);
        };
        ::_exit(copy::restore(backup_folder(), to_, reader(), options) ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status));
    const auto opened =
        store::open({.folder = to_.folder, .database = to_.database, .create = false});
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().category, Category::conflict);
    EXPECT_EQ(refusal(to_).where, database_option) << "it is not mixed with another one";
    EXPECT_EQ(backup(to_.folder, folder_.path() + "/of half", {.database = to_.database})
                  .error()
                  .category,
              Category::conflict);
}

}  // namespace
}  // namespace meridian::store::copy

// SPDX-License-Identifier: Apache-2.0
// Servers whose database is a primary with a streaming standby, which takes over.
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <thread>

#include "store/names.hpp"
#include "store/postgres/connection.hpp"
#include "store/postgres/line.hpp"
#include "store/postgres/test_cluster.hpp"
#include "tests/region.hpp"
#include "tests/replicated_cluster.hpp"

namespace meridian::tests {
namespace {

using std::chrono::seconds;
using store::postgres::Connection;

TEST(Failover, ToASynchronousStandbyLosesNothingThatWasAcknowledged) {
    ReplicatedCluster cluster(/*is_synchronous=*/true);
    Region region(cluster.either(), {3, cluster.either()});
    Load load(region, 2);
    for (std::size_t i = 0; i < region.size(); ++i)
        EXPECT_LT(load.time_until_next(i, seconds(20)), seconds(20));
    std::this_thread::sleep_for(seconds(2));
    cluster.kill_primary();
    std::this_thread::sleep_for(seconds(1));
    EXPECT_EQ(status_of(create(region.at(0).base_url(), "refused", false)), 503)
        << "a standby takes no writes";
    cluster.promote();
    for (std::size_t i = 0; i < region.size(); ++i)
        EXPECT_LT(load.time_until_next(i, takeover_max()), takeover_max()) << "after the promotion";
    std::this_thread::sleep_for(seconds(1));
    load.expect_kept();
    expect_dense_log(region);
    EXPECT_LT(region.sequencer(), region.size());
    EXPECT_EQ(region.ask("SELECT count(*) FROM meridian.sequencer WHERE beat > "
                         "clock_timestamp() - interval '6 seconds'"),
              1)
        << "somebody gives positions on the new primary";
}

/// A primary, an asynchronous standby of it that lacks the last writes, and a server that knows
/// them.
class BehindFailover : public testing::Test {
 protected:
    void SetUp() override {
        for (int i = 0; i < 5; ++i) write(fmt::format("kept-{}", i));
        std::this_thread::sleep_for(seconds(2));
        cluster_.stop_standby();
    }
    void write(const std::string& value) {
        ASSERT_EQ(status_of(create(region_.at(0).base_url(), value, false)), 201);
    }
    void fail_over() {
        cluster_.kill_primary();
        cluster_.start_standby();
        cluster_.promote();
    }
    /// The server ends by itself, with one sentence and an exit code of its own; started again it
    /// serves what is there now.
    void expect_end() {
        EXPECT_EQ(region_.at(0).wait_for_end(takeover_max()), std::optional(5));
        const std::string output = region_.at(0).output();
        const std::string sentence = "goes on without what this server has seen";
        const std::size_t at = output.find(sentence);
        EXPECT_NE(at, std::string::npos) << output;
        EXPECT_EQ(output.find(sentence, at + 1), std::string::npos) << "said once: " << output;
        region_.start(0);
        const auto patience = takeover_max();
        EXPECT_LT(time_until(create(region_.at(0).base_url(), "after", false), 201, patience),
                  patience);
        EXPECT_EQ(total(region_.at(0).base_url(), "Basic?_summary=count&identifier=kept-4"), 1);
        EXPECT_EQ(total(region_.at(0).base_url(), "Basic?_summary=count&identifier=lost-0"), 0);
        expect_dense_log(region_);
    }

    ReplicatedCluster cluster_{/*is_synchronous=*/false};
    Region region_{cluster_.either(), {cluster_.either()}};
};

TEST_F(BehindFailover, AServerThatKnowsWhatWasLostEnds) {
    for (int i = 0; i < 5; ++i) write(fmt::format("lost-{}", i));
    fail_over();
    expect_end();
}

TEST_F(BehindFailover, AServerThatKnowsNamesThatWereLostEnds) {
    // A name that another server gives, and that this one hears of by a search; the log has no part
    // in it.
    const auto primary = Connection::open({.url = cluster_.primary()});
    ASSERT_TRUE(primary) << primary.error().message;
    ASSERT_TRUE((*primary)->execute(fmt::format(
        "INSERT INTO meridian.name(kind, id, hash, text) SELECT {0}, coalesce(max(id), 0) + 1, "
        "sha256('urn:lost'), 'urn:lost' FROM meridian.name WHERE kind = {0}",
        static_cast<int>(store::NameKind::system))));
    EXPECT_EQ(total(region_.at(0).base_url(), "Basic?_summary=count&identifier=urn:lost|x"), 0);
    fail_over();
    expect_end();
}

TEST_F(BehindFailover, AServerEndsAlsoWhenOthersHaveWrittenPastWhatItKnows) {
    for (int i = 0; i < 5; ++i) write(fmt::format("lost-{}", i));
    ASSERT_EQ(::kill(region_.at(0).process(), SIGSTOP), 0);
    fail_over();
    {
        Region others(cluster_.either(), {cluster_.either()});
        for (int i = 0; i < 20; ++i)
            ASSERT_EQ(status_of(create(others.at(0).base_url(), fmt::format("new-{}", i), false)),
                      201);
    }
    ::kill(region_.at(0).process(), SIGCONT);
    expect_end();
}

TEST_F(BehindFailover, AServerThatKnowsNothingElseGoesOn) {
    fail_over();
    EXPECT_LT(time_until(create(region_.at(0).base_url(), "after", false), 201, takeover_max()),
              takeover_max());
    EXPECT_NE(region_.at(0).output().find("all that this server knows is there"),
              std::string::npos);
    expect_dense_log(region_);
}

TEST(Failover, APrimaryThatWasReplacedIsRefusedAndWhatIsInDoubtIsLookedAtAgain) {
    using store::postgres::Line;
    const auto connection =
        Connection::open({.url = store::postgres::TestCluster::instance().database("timelines")});
    ASSERT_TRUE(connection) << connection.error().message;
    Line line;
    int looks = 0, ends = 0;
    std::optional<Category> verdict;
    line.watch(
        [&](Connection&) -> Result<void> {
            ++looks;
            if (verdict) return fail(*verdict, "as the test says");
            return {};
        },
        [&] { ++ends; });
    const auto admit = [&](std::int64_t timeline) {
        return line.admit(**connection, {.system = 7, .number = timeline});
    };
    EXPECT_EQ(admit(1).value_or(0), 1u);
    EXPECT_EQ(admit(1).value_or(0), 1u);
    EXPECT_EQ(looks, 0) << "nothing has changed";
    // A look that fails decides nothing: the next connection looks again.
    verdict = Category::unavailable;
    EXPECT_FALSE(admit(2));
    verdict.reset();
    const std::uint64_t era = admit(2).value_or(0);
    EXPECT_GT(era, 1u) << "what came by older connections counts no more";
    EXPECT_EQ(admit(2).value_or(0), era);
    EXPECT_EQ(looks, 2);
    const auto old = admit(1);
    ASSERT_FALSE(old);
    EXPECT_EQ(old.error().category, Category::unavailable);
    EXPECT_NE(old.error().message.find("was replaced by one on timeline 2"), std::string::npos);
    EXPECT_FALSE(line.is_broken());
    verdict = Category::conflict;
    EXPECT_FALSE(admit(3));
    EXPECT_TRUE(line.is_broken());
    verdict.reset();
    EXPECT_FALSE(admit(3)) << "once is enough";
    EXPECT_FALSE(admit(2));
    EXPECT_EQ(looks, 3);
    EXPECT_EQ(ends, 1);
}

TEST(Failover, ACommitThatWaitsForItsStandbyIsNotAcknowledged) {
    ReplicatedCluster cluster(/*is_synchronous=*/true);
    Region region(cluster.either(), {1, cluster.either()});
    ASSERT_EQ(status_of(create(region.at(0).base_url(), "before", false)), 201);
    cluster.stop_standby();
    // The primary has it and waits; then the server's connections are ended, as an administrator
    // or a proxy may do it. What was only written there must not count.
    std::atomic<int> status = -1;
    std::thread writer(
        [&] { status = status_of(create(region.at(0).base_url(), "waits", false)); });
    std::this_thread::sleep_for(seconds(1));
    const auto admin = Connection::open({.url = cluster.primary()});
    ASSERT_TRUE(admin) << admin.error().message;
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(
            (*admin)->execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                              "WHERE application_name LIKE 'meridian writer%'"));
        std::this_thread::sleep_for(seconds(1));
    }
    EXPECT_EQ(status, -1) << "answered while the standby was away";
    cluster.start_standby();
    writer.join();
    EXPECT_EQ(status, 201);
    EXPECT_EQ(total(region.at(0).base_url(), "Basic?_summary=count&identifier=waits"), 1);
    expect_dense_log(region);
}

TEST(Failover, AServerThatIsLedToAStandbySaysSoAndReturns) {
    ReplicatedCluster cluster(/*is_synchronous=*/false);
    Region region(cluster.either(), {1, cluster.either()});
    // A primary that takes no writes for a while: existing connections find out by an error.
    const auto admin = Connection::open({.url = cluster.primary()});
    ASSERT_TRUE(admin) << admin.error().message;
    const auto set = [&](const char* value) {
        EXPECT_TRUE((*admin)->execute(
            fmt::format("ALTER SYSTEM SET default_transaction_read_only = {}", value)));
        EXPECT_TRUE((*admin)->execute("SELECT pg_reload_conf()"));
    };
    set("on");
    EXPECT_LT(time_until(create(region.at(0).base_url(), "x", false), 503, takeover_max()),
              takeover_max());
    set("off");
    EXPECT_LT(time_until(create(region.at(0).base_url(), "y", false), 201, takeover_max()),
              takeover_max());
    // And one that is not offered as such: nothing is looked up, let alone written, there.
    std::string output;
    const std::string folder = make_temporary_folder();
    EXPECT_EQ(run_program({"serve", "--data", folder, "--listen", "127.0.0.1:0", "--store",
                           cluster.standby() + "?target_session_attrs=any"},
                          &output),
              2);
    EXPECT_NE(output.find("the database is a standby"), std::string::npos) << output;
    EXPECT_EQ(run_program({"serve", "--data", folder, "--listen", "127.0.0.1:0", "--store",
                           cluster.standby()},
                          &output),
              2);
    EXPECT_NE(output.find("read-only"), std::string::npos) << output;
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace meridian::tests

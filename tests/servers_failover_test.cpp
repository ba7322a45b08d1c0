// SPDX-License-Identifier: Apache-2.0
// Servers whose database is a primary with a streaming standby, which takes over.
#include <gtest/gtest.h>

#include <filesystem>

#include "store/postgres/connection.hpp"
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

// SPDX-License-Identifier: Apache-2.0
// Servers whose way to the database is disturbed, and a database that is away.
#include <gtest/gtest.h>

#include <filesystem>

#include "store/postgres/test_cluster.hpp"
#include "tests/proxy.hpp"
#include "tests/region.hpp"

namespace meridian::tests {
namespace {

using std::chrono::seconds;
using store::postgres::TestCluster;

bool runs_on_a_foreign_database() {
    return std::getenv("MERIDIAN_TEST_DATABASE") != nullptr;
}

void pause(std::chrono::milliseconds time) {
    std::this_thread::sleep_for(time);
}

/// Three servers of which each reaches the database by a way of its own.
class Disturbed {
 public:
    Disturbed()
        : url_(TestCluster::instance().database_for(name_)),
          region_(url_, {way_to(0), way_to(1), way_to(2)}) {}
    ~Disturbed() { std::filesystem::remove_all(name_); }
    Disturbed(const Disturbed&) = delete;
    Disturbed& operator=(const Disturbed&) = delete;

    Region& region() { return region_; }
    Proxy& way(std::size_t i) { return ways_[i]; }
    /// The server that gives the positions, or one that does not.
    std::size_t victim(bool is_sequencer) {
        const std::size_t sequencer = region_.sequencer();
        return is_sequencer ? sequencer : (sequencer + 1) % region_.size();
    }

 private:
    std::string way_to(std::size_t i) {
        std::string url = url_.substr(0, url_.find("?host="));
        const std::string user = "meridian@";
        return url.insert(url.find(user) + user.size(),
                          fmt::format("127.0.0.1:{}", ways_[i].port()));
    }
    std::string name_ = make_temporary_folder();
    std::string url_;
    std::string socket_ = TestCluster::instance().folder() + "/.s.PGSQL.5432";
    Proxy ways_[3] = {Proxy(socket_), Proxy(socket_), Proxy(socket_)};
    Region region_;
};

class CutOff : public testing::TestWithParam<bool> {
 protected:
    void SetUp() override {
        if (runs_on_a_foreign_database()) GTEST_SKIP() << "the cluster's socket is not known";
    }
    /// Reads that nobody answers keep nobody from being told that the server lives.
    void expect_life(const std::string& base) {
        std::vector<std::thread> readers;
        readers.reserve(8);
        for (int i = 0; i < 8; ++i)
            readers.emplace_back([&] { EXPECT_EQ(status_of(read_of(base, "Basic/none")), 503); });
        pause(std::chrono::milliseconds(300));
        const auto asked = std::chrono::steady_clock::now();
        net::ClientRequest health;
        health.url = base + "/healthz";
        EXPECT_EQ(status_of(health), 200);
        EXPECT_LT(std::chrono::steady_clock::now() - asked, seconds(3));
        for (std::thread& reader : readers) reader.join();
    }
    void expect_others_write(Load& load, std::size_t victim) {
        for (const std::size_t other : {(victim + 1) % 3, (victim + 2) % 3})
            EXPECT_LT(load.time_until_next(other, takeover_max()), takeover_max()) << "of another";
    }
    /// All three write again, the views go on, and nothing was lost or done twice.
    void expect_recovery(Disturbed& world, Load& load, std::size_t victim, seconds patience) {
        EXPECT_LT(load.time_until_next(victim, patience), patience) << "the one that was cut off";
        const std::string base = world.region().at(victim).base_url();
        EXPECT_LT(time_until(read_of(base, "Basic?_count=1"), 200, patience), patience);
        load.expect_kept();
        expect_dense_log(world.region());
        expect_views_go_on(world.region());
    }
    /// Each view has a living owner who follows the log to its end.
    void expect_views_go_on(Region& region) {
        EXPECT_EQ(status_of(create(region.at(0).base_url(), "for the views", false)), 201);
        const auto behind = [&] {
            return region.ask(
                "SELECT count(*) FROM meridian.cursor WHERE next <= (SELECT max(position) FROM "
                "meridian.log) OR beat < clock_timestamp() - interval '6 seconds'");
        };
        for (int i = 0; i < 200 && behind() != 0; ++i) pause(std::chrono::milliseconds(100));
        EXPECT_EQ(behind(), 0);
        EXPECT_GT(region.ask("SELECT count(*) FROM meridian.cursor"), 0);
    }
};

INSTANTIATE_TEST_SUITE_P(Servers, CutOff, testing::Values(true, false),
                         [](const auto& of) { return of.param ? "TheSequencer" : "Another"; });

TEST_P(CutOff, ByAWayThatSwallowsEverythingForFifteenSeconds) {
    Disturbed world;
    Load load(world.region(), 2);
    pause(seconds(2));
    const std::size_t victim = world.victim(GetParam());
    ASSERT_LT(victim, world.region().size());
    world.way(victim).drop(true);
    const auto begun = std::chrono::steady_clock::now();
    expect_life(world.region().at(victim).base_url());
    expect_others_write(load, victim);
    pause(seconds(8) - (std::chrono::steady_clock::now() - begun < seconds(8)
                            ? std::chrono::duration_cast<std::chrono::milliseconds>(
                                  std::chrono::steady_clock::now() - begun)
                            : seconds(8)));
    // It knows by now, and says so at once.
    const std::string base = world.region().at(victim).base_url();
    const auto asked = std::chrono::steady_clock::now();
    EXPECT_EQ(status_of(read_of(base, "Basic/none")), 503);
    EXPECT_EQ(status_of(read_of(base, "Basic?_count=1")), 503);
    EXPECT_LT(std::chrono::steady_clock::now() - asked, seconds(2)) << "nobody waits for nothing";
    while (std::chrono::steady_clock::now() - begun < seconds(15)) pause(seconds(1));
    world.way(victim).drop(false);
    expect_recovery(world, load, victim, takeover_max());
}

TEST_P(CutOff, ByAWayThatLosesWhatTheDatabaseAnswers) {
    Disturbed world;
    Load load(world.region(), 2);
    pause(seconds(2));
    const std::size_t victim = world.victim(GetParam());
    ASSERT_LT(victim, world.region().size());
    // Commits arrive, their acknowledgements do not: each is in doubt.
    world.way(victim).drop(Proxy::Way::to_client, true);
    pause(std::chrono::milliseconds(300));
    expect_others_write(load, victim);
    world.way(victim).drop(Proxy::Way::to_client, false);
    expect_recovery(world, load, victim, takeover_max());
}

TEST_P(CutOff, ByAWayThatTakesThreeHundredMilliseconds) {
    Disturbed world;
    Load load(world.region(), 2);
    pause(seconds(2));
    const std::size_t victim = world.victim(GetParam());
    ASSERT_LT(victim, world.region().size());
    world.way(victim).delay(Proxy::Way::to_server, std::chrono::milliseconds(150));
    world.way(victim).delay(Proxy::Way::to_client, std::chrono::milliseconds(150));
    // Slow is not away: nobody is given up, and it writes too.
    for (int i = 0; i < 3; ++i) {
        for (std::size_t server = 0; server < 3; ++server)
            EXPECT_LT(load.time_until_next(server, takeover_max()), takeover_max()) << server;
    }
    world.way(victim).delay(Proxy::Way::to_server, std::chrono::milliseconds(0));
    world.way(victim).delay(Proxy::Way::to_client, std::chrono::milliseconds(0));
    expect_recovery(world, load, victim, takeover_max());
}

TEST_P(CutOff, ByAWayThatBreaksAgainAndAgain) {
    Disturbed world;
    Load load(world.region(), 2);
    pause(seconds(2));
    const std::size_t victim = world.victim(GetParam());
    ASSERT_LT(victim, world.region().size());
    for (int i = 0; i < 20; ++i) {
        world.way(victim).cut();
        pause(std::chrono::milliseconds(137 + i * 11));
    }
    expect_others_write(load, victim);
    expect_recovery(world, load, victim, takeover_max());
}

// --- a database that is away ---

/// How long it is away: MERIDIAN_TEST_AWAY_SECONDS, e.g. 60; else a short while.
seconds time_away() {
    const char* wanted = std::getenv("MERIDIAN_TEST_AWAY_SECONDS");
    return seconds(wanted == nullptr ? 8 : std::atoi(wanted));
}

void expect_refusals(ServerProcess& server) {
    net::Client client;
    const auto written = client.send(create(server.base_url(), "refused", false));
    ASSERT_TRUE(written) << written.error().message;
    EXPECT_EQ(written->status, 503) << written->body;
    EXPECT_TRUE(written->headers.has("Retry-After")) << "of a refused write";
    // A code system that nobody has named before must be looked up in the database.
    auto unknown = create(server.base_url(), "refused", false);
    unknown.body.insert(unknown.body.find(R"("value")"), R"("system":"urn:test:never-seen",)");
    EXPECT_EQ(status_of(unknown), 503);
    for (const char* what : {"Basic/none", "Basic?_count=1", "Basic?identifier=urn:test:other|1"})
        EXPECT_EQ(status_of(read_of(server.base_url(), what)), 503) << what;
    net::ClientRequest request;
    request.url = server.base_url() + "/healthz";
    EXPECT_EQ(status_of(request), 200);
    request.url = server.base_url() + "/readyz";
    const auto ready = client.send(request);
    ASSERT_TRUE(ready) << ready.error().message;
    EXPECT_EQ(ready->status, 503);
    EXPECT_NE(ready->body.find("not ready: "), std::string::npos) << ready->body;
    EXPECT_NE(ready->body.find("database"), std::string::npos) << ready->body;
}

/// All write again, and nothing was lost or done twice.
void expect_return(Region& region, Load& load) {
    for (std::size_t i = 0; i < region.size(); ++i)
        EXPECT_LT(load.time_until_next(i, takeover_max()), takeover_max()) << "after the return";
    EXPECT_GT(load.refused(), 0u);
    load.expect_kept();
    expect_dense_log(region);
}

TEST(Database, ThatIsAwayForAWhileCostsNothingThatWasAcknowledged) {
    if (runs_on_a_foreign_database()) GTEST_SKIP() << "the database is not ours to stop";
    Region region(2);
    Load load(region, 3);
    TestCluster& cluster = TestCluster::instance();
    pause(seconds(1));
    cluster.crash();
    const auto begun = std::chrono::steady_clock::now();
    pause(seconds(1));
    for (std::size_t i = 0; i < region.size(); ++i) expect_refusals(region.at(i));
    while (std::chrono::steady_clock::now() - begun < time_away()) pause(seconds(1));
    expect_refusals(region.at(0));
    cluster.launch();
    expect_return(region, load);
}

TEST(Database, ThatCrashesAgainAndAgainCostsNothingThatWasAcknowledged) {
    if (runs_on_a_foreign_database()) GTEST_SKIP() << "the database is not ours to stop";
    Region region(2);
    Load load(region, 3);
    TestCluster& cluster = TestCluster::instance();
    for (int round = 0; round < 3; ++round) {
        pause(std::chrono::milliseconds(1'000 + 130 * round));
        cluster.crash();
        pause(std::chrono::milliseconds(1'500));
        cluster.launch();
    }
    expect_return(region, load);
}

TEST(Database, ACrashTakesBackNoNameThatAServerUses) {
    if (runs_on_a_foreign_database()) GTEST_SKIP() << "the database is not ours to stop";
    Region region(2);
    const auto named = [&](std::size_t server, const std::string& system) {
        auto request = create(region.at(server).base_url(), "x", false);
        request.body.insert(request.body.find(R"("value")"),
                            fmt::format(R"("system":"{}",)", system));
        return request;
    };
    TestCluster& cluster = TestCluster::instance();
    for (int round = 0; round < 4; ++round) {
        const std::string first = fmt::format("urn:test:first-{}", round);
        const std::string second = fmt::format("urn:test:second-{}", round);
        // The name is given while the commit is on its way; then the database is gone.
        std::thread writer([&] { status_of(named(0, first)); });
        pause(std::chrono::milliseconds(2 + round * 2));
        cluster.crash();
        writer.join();
        cluster.launch();
        // The other gives a name; had the first been taken back, it would be the same number.
        EXPECT_LT(time_until(named(1, second), 201, takeover_max()), takeover_max());
        EXPECT_LT(time_until(named(0, first), 201, takeover_max()), takeover_max());
        EXPECT_EQ(total(region.at(1).base_url(),
                        fmt::format("Basic?_summary=count&identifier={}|x", second)),
                  1);
    }
}

}  // namespace
}  // namespace meridian::tests

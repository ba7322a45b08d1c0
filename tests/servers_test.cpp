// SPDX-License-Identifier: Apache-2.0
// Several servers on one PostgreSQL database, killed without warning while clients write.
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <thread>

#include "net/client.hpp"
#include "store/postgres/connection.hpp"
#include "store/postgres/test_cluster.hpp"
#include "tests/region.hpp"

namespace meridian::tests {
namespace {

using store::postgres::Connection;
using store::postgres::TestCluster;
using Clock = std::chrono::steady_clock;

TEST(Servers, AConditionalCreateMakesOneResourceHoweverManyServersAreAsked) {
    Region region(3);
    for (int round = 0; round < 5; ++round) {
        const std::string value = fmt::format("one-{}", round);
        std::atomic<int> made = 0, found = 0, other = 0;
        std::vector<std::thread> threads;
        threads.reserve(24);
        for (std::size_t i = 0; i < 24; ++i) {
            threads.emplace_back([&, i] {
                net::Client client;
                const auto answer =
                    client.send(create(region.at(i % region.size()).base_url(), value, true));
                const int status = answer ? answer->status : 0;
                ++(status == 201 ? made : status == 200 ? found : other);
            });
        }
        for (std::thread& thread : threads) thread.join();
        EXPECT_EQ(made, 1);
        EXPECT_EQ(found, 23);
        EXPECT_EQ(other, 0);
        for (std::size_t i = 0; i < region.size(); ++i) {
            EXPECT_EQ(total(region.at(i).base_url(), "Basic?_summary=count&identifier=" + value),
                      1);
        }
    }
    expect_dense_log(region);
}

TEST(Servers, WhatWasAcknowledgedSurvivesTheKillOfAnyServerAndOthersTakeOver) {
    Region region(3);
    constexpr unsigned clients = 6;
    std::array<std::vector<std::string>, clients> acknowledged;
    std::atomic<bool> stopping = false;
    std::vector<std::thread> threads;
    threads.reserve(clients);
    // Each client goes to the next server when its own does not answer.
    std::mutex servers;
    for (unsigned number = 0; number < clients; ++number) {
        threads.emplace_back([&, number] {
            std::size_t at = number % region.size();
            for (int i = 0; !stopping; ++i) {
                const std::string value = fmt::format("w{}-{}", number, i);
                std::string base;
                {
                    const std::lock_guard lock(servers);
                    base = region.at(at).base_url();
                }
                net::Client client;
                const auto answer = client.send(create(base, value, false));
                if (answer && answer->status == 201) {
                    acknowledged[number].push_back(value);
                } else {
                    at = (at + 1) % region.size();
                }
            }
        });
    }
    for (std::size_t round = 0; round < 6; ++round) {
        std::this_thread::sleep_for(std::chrono::milliseconds(700));
        // The one that gives the positions, and then each in turn.
        std::size_t victim = round / 2;
        if (round % 2 == 0) {
            victim = region.sequencer();
            ASSERT_LT(victim, region.size());
        }
        region.at(victim).kill();
        // Another one must answer a write within ten seconds.
        const auto begun = Clock::now();
        net::Client client;
        const auto answer =
            client.send(create(region.at((victim + 1) % region.size()).base_url(), "after", false));
        ASSERT_TRUE(answer) << answer.error().message;
        EXPECT_EQ(answer->status, 201) << answer->body;
        EXPECT_LT(Clock::now() - begun, takeover_max());
        const std::lock_guard lock(servers);
        region.start(victim);
    }
    stopping = true;
    for (std::thread& thread : threads) thread.join();
    std::size_t told = 0;
    for (const auto& values : acknowledged) {
        for (const std::string& value : values) {
            ++told;
            ASSERT_EQ(total(region.at(told % region.size()).base_url(),
                            "Basic?_summary=count&identifier=" + value),
                      1)
                << value << " was acknowledged";
        }
    }
    EXPECT_GT(told, 50u);
    expect_dense_log(region);
}

TEST(Servers, OneThatHangsLosesTheOfficeOfGivingPositions) {
    Region region(2);
    const std::size_t victim = region.sequencer();
    ASSERT_LT(victim, region.size());
    ASSERT_EQ(::kill(region.at(victim).process(), SIGSTOP), 0);
    const auto begun = Clock::now();
    net::Client client;
    const auto answer = client.send(create(region.at(1 - victim).base_url(), "x", false));
    EXPECT_LT(Clock::now() - begun, takeover_max());
    ::kill(region.at(victim).process(), SIGCONT);
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->status, 201) << answer->body;
    // What it still believes does no harm: it writes as one of the others now.
    int status = 0;
    for (int i = 0; i < 100 && status != 201; ++i) {
        const auto later = client.send(create(region.at(victim).base_url(), "y", false));
        status = later ? later->status : 0;
    }
    EXPECT_EQ(status, 201);
    expect_dense_log(region);
}

TEST(Servers, AFollowingViewIsFollowedByOneServerAndTakenOver) {
    Region region(2);
    const auto owner = [&] { return region.ask("SELECT owner FROM meridian.cursor LIMIT 1"); };
    for (int i = 0; i < 100 && owner() < 0; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    const std::int64_t first = owner();
    ASSERT_GT(first, 0);
    const std::size_t victim = region.with_number(first);
    ASSERT_LT(victim, region.size());
    const std::size_t other = 1 - victim;
    region.at(victim).kill();
    const auto begun = Clock::now();
    net::Client client;
    ASSERT_TRUE(client.send(create(region.at(other).base_url(), "x", false)));
    while (owner() == first && Clock::now() - begun < takeover_max())
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_NE(owner(), first);
    EXPECT_LT(Clock::now() - begun, takeover_max());
}

/// What `meridian serve` says of a database, and that it says so with the exit code 2.
std::string refusal(const std::string& url) {
    const std::string folder = make_temporary_folder();
    std::string output;
    const int code = run_program(
        {"serve", "--data", folder, "--store", url, "--listen", "127.0.0.1:0"}, &output);
    EXPECT_EQ(code, 2) << url << ": " << output;
    EXPECT_EQ(std::count(output.begin(), output.end(), '\n'), 1) << output;
    std::filesystem::remove_all(folder);
    return output;
}

void run(const std::string& url, const std::string& script) {
    const auto connection = Connection::open({.url = url});
    ASSERT_TRUE(connection) << connection.error().message;
    const auto done = (*connection)->execute(script);
    ASSERT_TRUE(done) << done.error().message;
}

TEST(StoreOption, ADatabaseThatCannotBeUsedIsRefusedInOneSentence) {
    TestCluster& cluster = TestCluster::instance();
    const auto has = [](const std::string& text, const char* part) {
        EXPECT_NE(text.find(part), std::string::npos) << text << " lacks " << part;
    };
    const std::string good = cluster.database("refused");
    has(refusal("nonsense"), "expected postgres://user@host:port/database");
    has(refusal("postgres://meridian@127.0.0.1:1/x"), "cannot be reached");
    std::string nowhere = good;
    has(refusal(nowhere.replace(nowhere.find("/refused?"), 9, "/nowhere?")), "does not exist");
    run(good, "CREATE ROLE locked LOGIN PASSWORD 'right'; CREATE ROLE weak LOGIN");
    std::string locked = good;
    has(refusal(locked.replace(locked.find("meridian@"), 9, "locked:wrong@")),
        "password authentication failed");
    std::string weak = good;
    has(refusal(weak.replace(weak.find("meridian@"), 9, "weak@")), "lacks a right");
    run(good, "CREATE TABLE somebody_elses(x integer)");
    has(refusal(good), "holds 1 table(s) of something else");
    run(good, "CREATE SCHEMA meridian");
    has(refusal(good), "none of ours");
    run(good,
        "CREATE TABLE meridian.setting(key text PRIMARY KEY, value bytea); "
        "INSERT INTO meridian.setting VALUES('schema_version', int8send(99))");
    has(refusal(good), "use a newer program");
    run(good, "UPDATE meridian.setting SET value = int8send(0)");
    has(refusal(good), "there is no way from it");
    const auto connection = Connection::open({.url = good});
    ASSERT_TRUE(connection);
    EXPECT_EQ((*connection)
                  ->integer("SELECT count(*) FROM pg_tables WHERE schemaname = 'meridian'", -1)
                  .value_or(-1),
              1)
        << "nothing was changed";
}

}  // namespace
}  // namespace meridian::tests

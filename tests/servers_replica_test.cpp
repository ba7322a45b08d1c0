// SPDX-License-Identifier: Apache-2.0
// Reads that may be stale, answered by a standby.
#include <gtest/gtest.h>

#include <fstream>

#include "base/json.hpp"
#include "store/postgres/test_cluster.hpp"
#include "tests/region.hpp"
#include "tests/replicated_cluster.hpp"

namespace meridian::tests {
namespace {

using std::chrono::seconds;

struct StaleAnswer {
    int status = 0;
    std::int64_t total = -1;
    std::string body{};
    /// The header Age; -1 when the primary has answered.
    int age = -1;
};

StaleAnswer ask(const std::string& url, const std::string& cache_control) {
    net::ClientRequest request;
    request.url = url;
    if (!cache_control.empty()) request.headers.add("Cache-Control", cache_control);
    net::Client client;
    const auto answer = client.send(request);
    if (!answer) return {};
    StaleAnswer got{.status = answer->status, .body = answer->body};
    if (const auto age = answer->headers.find("Age")) got.age = std::stoi(std::string(*age));
    if (const auto document = JsonDocument::parse(answer->body)) {
        const auto text = document->root()["total"].text();
        if (!text.empty()) got.total = std::stoll(std::string(text));
    }
    return got;
}

class Replicated : public testing::Test {
 protected:
    std::string base() { return region_.at(0).base_url(); }
    StaleAnswer count(const std::string& cache_control) {
        return ask(base() + "/fhir/Basic?_summary=count", cache_control);
    }
    /// Waits until the replica answers what may be so stale.
    StaleAnswer from_replica(const std::string& cache_control) {
        StaleAnswer got;
        for (int i = 0; i < 200; ++i) {
            got = count(cache_control);
            if (got.age >= 0) break;
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
        }
        return got;
    }
    void write(const std::string& value) {
        ASSERT_EQ(status_of(create(base(), value, false)), 201);
    }

    ReplicatedCluster cluster_{/*is_synchronous=*/false};
    Region region_{cluster_.primary(), {cluster_.primary()}, {"--replica", cluster_.standby()}};
};

TEST_F(Replicated, AnswersOnlyWhatMayBeStaleAndNeverStalerThanThat) {
    write("one");
    ASSERT_GE(from_replica("max-stale=10").age, 0) << region_.at(0).output();
    for (int i = 0; i < 100 && from_replica("max-stale=10").total != 1; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    cluster_.pause_replay(true);
    const auto paused_at = std::chrono::steady_clock::now();
    write("two");
    // Who does not ask for it gets what is; so does who takes it back.
    EXPECT_EQ(count("").age, -1);
    EXPECT_EQ(count("").total, 2);
    EXPECT_EQ(count("max-stale=60, no-cache").age, -1);
    EXPECT_EQ(count("max-stale=none").age, -1);
    const StaleAnswer stale = count("Max-Stale=\"60\"");
    EXPECT_GE(stale.age, 0);
    EXPECT_EQ(stale.total, 1);
    EXPECT_EQ(count("max-stale").total, 1) << "any age";
    // While nothing arrives there, the age grows, and the bound is kept.
    int last = 0;
    for (bool is_over = false; !is_over;) {
        const auto waited = std::chrono::steady_clock::now() - paused_at;
        ASSERT_LT(waited, seconds(30));
        const StaleAnswer got = count("max-stale=5");
        is_over = got.age < 0;
        if (is_over) {
            EXPECT_EQ(got.total, 2) << "of the primary";
            EXPECT_GE(last, 4) << "it was given up too early";
        } else {
            EXPECT_EQ(got.total, 1);
            EXPECT_LE(got.age, 5);
            EXPECT_GE(got.age, last);
            // It cannot show what came after the pause, so it is at least so old.
            EXPECT_GE(seconds(got.age) + seconds(1), waited);
            last = got.age;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
    const StaleAnswer old = count("max-stale=3600");
    EXPECT_GE(old.age, 5);
    EXPECT_EQ(old.total, 1);
    cluster_.pause_replay(false);
    EXPECT_GE(from_replica("max-stale=5").age, 0) << "it has caught up";
    EXPECT_EQ(count("max-stale=5").total, 2);
}

TEST_F(Replicated, WhatIsNotThereYetIsAskedOfThePrimary) {
    write("one");
    ASSERT_GE(from_replica("max-stale=60").age, 0);
    cluster_.pause_replay(true);
    auto made = create(base(), "two", false);
    made.method = net::Method::put;
    made.url += "/late";
    made.body.insert(1, R"("id":"late",)");
    ASSERT_EQ(status_of(made), 201);
    const StaleAnswer late = ask(base() + "/fhir/Basic/late", "max-stale=60");
    EXPECT_EQ(late.status, 200);
    EXPECT_EQ(late.age, -1);
    // Writes never decide on what is stale.
    net::ClientRequest conditional = create(base(), "two", true);
    conditional.headers.add("Cache-Control", "max-stale=60");
    EXPECT_EQ(status_of(conditional), 200);
}

TEST_F(Replicated, PagesMayComeFromElsewhereAndGiveEachMatchOnce) {
    constexpr int matches = 9;
    for (int i = 0; i < matches; ++i) write(fmt::format("p{}", i));
    for (int i = 0; i < 100 && from_replica("max-stale=10").total != matches; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    for (const char* sort : {"", "&_sort=identifier", "&_sort=-_lastUpdated"}) {
        std::set<std::string> seen;
        std::size_t given = 0;
        int replicas = 0;
        std::string url = fmt::format("{}/fhir/Basic?_count=2{}", base(), sort);
        for (int page = 0; !url.empty() && page < 20; ++page) {
            const StaleAnswer got = ask(url, page % 2 == 0 ? "max-stale=60" : "");
            ASSERT_EQ(got.status, 200) << got.body;
            replicas += got.age >= 0;
            const auto document = JsonDocument::parse(got.body);
            ASSERT_TRUE(document);
            url.clear();
            for (const Json& entry : document->root()["entry"].items()) {
                seen.insert(std::string(entry["resource"].string_at("id")));
                ++given;
            }
            for (const Json& link : document->root()["link"].items())
                if (link.string_at("relation") == "next") url = link.string_at("url");
        }
        EXPECT_EQ(seen.size(), static_cast<std::size_t>(matches)) << sort;
        EXPECT_EQ(given, seen.size()) << sort;
        EXPECT_GE(replicas, 2) << sort;
    }
}

TEST_F(Replicated, ReadsThatMayBeStaleGoOnWithoutThePrimaryAndWithoutTheReplica) {
    write("one");
    for (int i = 0; i < 100 && from_replica("max-stale=30").total != 1; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    cluster_.stop_standby();
    EXPECT_EQ(count("max-stale=30").total, 1);
    EXPECT_EQ(count("max-stale=30").age, -1) << "of the primary";
    cluster_.start_standby();
    ASSERT_GE(from_replica("max-stale=30").age, 0) << "it is taken up again by itself";
    cluster_.kill_primary();
    const StaleAnswer stale = count("max-stale=30");
    EXPECT_EQ(stale.status, 200) << stale.body;
    EXPECT_GE(stale.age, 0);
    EXPECT_EQ(count("").status, 503);
}

TEST(ReplicaOption, AReplicaThatCannotBeUsedIsRefusedInOneSentence) {
    auto& cluster = store::postgres::TestCluster::instance();
    const std::string folder = make_temporary_folder();
    const std::string store = cluster.database("replicated");
    const auto refusal = [&](std::vector<std::string> further) {
        std::vector<std::string> words{"serve", "--unprotected", "--data",
                                       folder,  "--listen",      "127.0.0.1:0"};
        words.insert(words.end(), further.begin(), further.end());
        std::string output;
        EXPECT_EQ(run_program(words, &output), 2) << output;
        EXPECT_NE(output.find("meridian: --replica: "), std::string::npos) << output;
        return output.substr(output.find("meridian: "));
    };
    const auto has = [](const std::string& text, const char* part) {
        EXPECT_NE(text.find(part), std::string::npos) << text << " lacks " << part;
        EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
    };
    has(refusal({"--replica", store}), "give --store too");
    has(refusal({"--store", store, "--replica", "nonsense"}),
        "expected postgres://user@host:port/database");
    has(refusal({"--store", store, "--replica", cluster.database("empty")}), "there is no store");
    {
        Region other(cluster.database("other"), {cluster.database("other")});
    }
    has(refusal({"--store", store, "--replica", cluster.database("other")}), "another record");
    std::string nowhere = store;
    nowhere.replace(nowhere.find("/replicated?"), 12, "/nowhere?");
    has(refusal({"--store", store, "--replica", nowhere}), "does not exist");
    std::vector<std::string> many{"--store", store};
    for (int i = 0; i < 17; ++i) many.insert(many.end(), {"--replica", store});
    has(refusal(many), "at most 16");
    // In the configuration file it is the same.
    const std::string config = folder + "/meridian.toml";
    std::ofstream(config) << "replica = [\"nonsense\"]\n";
    has(refusal({"--store", store, "--config", config}), "expected postgres://");
    // One that is only away is none of that.
    Region region(store, {store}, {"--replica", "postgres://meridian@127.0.0.1:1/x"});
    EXPECT_TRUE(region.at(0).is_running());
    EXPECT_NE(region.at(0).output().find("a replica cannot be used yet"), std::string::npos);
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace meridian::tests

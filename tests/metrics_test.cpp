// SPDX-License-Identifier: Apache-2.0
// What /metrics of a real server tells its operator, on both engines.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <thread>

#include "net/client.hpp"
#include "store/postgres/test_cluster.hpp"
#include "tests/server_process.hpp"

namespace meridian::tests {
namespace {

using store::postgres::TestCluster;

/// The value behind a name with its labels; nothing when /metrics does not know it.
std::optional<double> metric(const ServerProcess& server, const std::string& name) {
    net::Client client;
    net::ClientRequest request;
    request.url = server.base_url() + "/metrics";
    const auto answer = client.send(request);
    if (!answer || answer->status != 200) return std::nullopt;
    const std::string text = "\n" + std::string(answer->body);
    const std::size_t place = text.find("\n" + name + " ");
    if (place == std::string::npos) return std::nullopt;
    return std::stod(text.substr(place + name.size() + 2));
}

/// Waits until a metric has a value that `is_right`: gauges are brought up to date twice a second.
template <class IsRight>
bool becomes(const ServerProcess& server, const std::string& name, IsRight is_right) {
    for (int i = 0; i < 3'000; ++i) {
        if (const auto value = metric(server, name); value && is_right(*value)) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
}

int send(const ServerProcess& server, net::Method method, const std::string& path,
         const std::string& body = {}) {
    net::Client client;
    net::ClientRequest request;
    request.method = method;
    request.url = server.base_url() + "/fhir/" + path;
    request.headers.add("Content-Type", "application/fhir+json");
    request.body = body;
    const auto answer = client.send(request);
    return answer ? answer->status : 0;
}

constexpr const char* basic = R"({"resourceType":"Basic","id":"b","code":{"text":"x"}})";

TEST(MetricsOfAServer, TellOfCommitsInteractionsAndViews) {
    ServerProcess server;
    ASSERT_TRUE(server.is_running()) << server.output();
    ASSERT_EQ(send(server, net::Method::put, "Basic/b", basic), 201);
    ASSERT_EQ(send(server, net::Method::get, "Basic/b"), 200);
    ASSERT_EQ(send(server, net::Method::get, "Basic?_id=b"), 200);
    for (const char* interaction : {"update", "read", "search"}) {
        const std::string name =
            fmt::format("meridian_interaction_seconds_count{{interaction=\"{}\"}}", interaction);
        EXPECT_EQ(metric(server, name).value_or(-1), 1) << interaction;
    }
    EXPECT_GE(metric(server, "meridian_commit_seconds_count{outcome=\"written\"}").value_or(0), 1);
    EXPECT_GE(metric(server, "meridian_commit_groups_total").value_or(0), 1);
    EXPECT_GE(metric(server, "meridian_commit_changes_total").value_or(0), 1);
    EXPECT_EQ(metric(server, "meridian_commit_queue_length").value_or(-1), 0);
    EXPECT_TRUE(becomes(server, "meridian_log_position", [](double at) { return at >= 0; }));
    for (const char* view : {"search-parameters", "subscriptions"}) {
        const std::string label = fmt::format("{{view=\"{}\"}}", view);
        EXPECT_TRUE(
            becomes(server, "meridian_view_followed" + label, [](double is) { return is == 1; }));
        EXPECT_TRUE(becomes(server, "meridian_view_lag_entries" + label,
                            [](double lag) { return lag == 0; }));
    }
    EXPECT_TRUE(becomes(server, "meridian_store_unavailable_since_seconds",
                        [](double since) { return since == 0; }));
    EXPECT_GT(metric(server, "meridian_data_free_bytes").value_or(0), 0);
    EXPECT_GT(metric(server, "process_start_time_seconds").value_or(0), 1.5e9);
    EXPECT_GT(metric(server, "process_resident_memory_bytes").value_or(0), 1e6);
    EXPECT_GT(metric(server, "process_open_fds").value_or(0), 3);
}

TEST(MetricsOfAServer, TellWhoGivesPositionsAndSinceWhenTheDatabaseIsAway) {
    if (std::getenv("MERIDIAN_TEST_DATABASE") != nullptr)
        GTEST_SKIP() << "only a cluster of the tests can be stopped";
    const std::string folder = make_temporary_folder();
    auto& cluster = TestCluster::instance();
    const std::string url = cluster.database_for(folder);
    for (const char* name : {"/0", "/1"}) std::filesystem::create_directories(folder + name);
    {
        ServerProcess first(folder + "/0", {"--store", url});
        ASSERT_TRUE(becomes(first, "meridian_sequencer", [](double is) { return is == 1; }));
        ServerProcess second(folder + "/1", {"--store", url});
        ASSERT_EQ(send(second, net::Method::put, "Basic/b", basic), 201);
        EXPECT_EQ(metric(second, "meridian_sequencer").value_or(-1), 0);
        EXPECT_TRUE(becomes(second, "meridian_commit_groups_without_position",
                            [](double groups) { return groups == 0; }));
        EXPECT_EQ(metric(second, "meridian_database_connections_refused_total").value_or(-1), 0);
        // One of the two follows each view.
        const std::string followed = "meridian_view_followed{view=\"subscriptions\"}";
        EXPECT_EQ(metric(first, followed).value_or(9) + metric(second, followed).value_or(9), 1);

        cluster.crash();
        const std::string since = "meridian_store_unavailable_since_seconds";
        EXPECT_TRUE(becomes(second, since, [](double time) { return time > 1.5e9; }));
        EXPECT_TRUE(becomes(first, "meridian_sequencer", [](double is) { return is == 0; }));
        cluster.launch();
        EXPECT_TRUE(becomes(second, since, [](double time) { return time == 0; }));

        first.kill();
        EXPECT_TRUE(becomes(second, "meridian_sequencer", [](double is) { return is == 1; }));
    }
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace meridian::tests

// SPDX-License-Identifier: Apache-2.0
// Clients that hold connections and hardly say anything. What good clients notice of five thousand
// of them is measured by bench/slow_clients_bench.cpp.
#include <gtest/gtest.h>

#include "base/limits.hpp"
#include "net/client.hpp"
#include "net/testing/slow_clients.hpp"
#include "tests/server_process.hpp"

namespace meridian::tests {
namespace {

TEST(SlowClients, AreCutInTimeWhileOthersAreAnswered) {
    ServerProcess server;
    ASSERT_TRUE(server.is_running()) << server.output();
    constexpr unsigned count = 300;
    const net::testing::SlowClients slow({.port = server.port(), .count = count, .reopens = false});
    slow.wait_until_open(std::chrono::seconds(60));
    net::Client client({.total_timeout = std::chrono::seconds(10)});
    // Heads and bodies have run out of time by then, with generous bounds for a machine that works;
    // whoever does not read has the whole answer in its system's buffers, and idles.
    const auto patience = std::chrono::steady_clock::now() +
                          std::chrono::seconds(limits::http_body_grace_seconds + 60);
    unsigned answered = 0;
    while (slow.cut_count() < count / 3 * 2 && std::chrono::steady_clock::now() < patience) {
        const auto answer = client.send({.url = server.base_url() + "/fhir/Patient?_count=1"});
        ASSERT_TRUE(answer.has_value()) << answer.error().message;
        ASSERT_EQ(answer->status, 200) << answer->body;
        ++answered;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    EXPECT_GE(slow.cut_count(), count / 3 * 2);
    EXPECT_GT(answered, 10u);
    EXPECT_EQ(server.stop(), 0);
}

}  // namespace
}  // namespace meridian::tests

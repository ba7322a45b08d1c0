// SPDX-License-Identifier: Apache-2.0
// Subscriptions' WebSockets where several servers share a database: one server opens them.
#include <gtest/gtest.h>
#include <signal.h>

#include <thread>

#include "base/json.hpp"
#include "net/testing/websocket_client.hpp"
#include "tests/region.hpp"

namespace meridian::tests {
namespace {

using net::testing::RawAnswer;
using net::testing::WebSocketClient;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr const char* path = "/fhir/ws";

WebSocketClient connect(Region& region, std::size_t i) {
    return WebSocketClient(region.at(i).port(), path);
}

/// The servers that open a WebSocket; those that do not must say why, and when to come again.
std::vector<std::size_t> accepting(Region& region, const std::vector<std::size_t>& asked) {
    std::vector<std::size_t> accept;
    for (const std::size_t i : asked) {
        const RawAnswer answer = connect(region, i).handshake();
        if (answer.status == 101) {
            accept.push_back(i);
            continue;
        }
        EXPECT_EQ(answer.status, 503);
        EXPECT_TRUE(answer.has("Retry-After: 1")) << answer.head;
        const auto outcome = JsonDocument::parse(answer.body);
        if (!outcome) {
            ADD_FAILURE() << answer.body;
            continue;
        }
        EXPECT_EQ(outcome->root().string_at("resourceType"), "OperationOutcome");
        EXPECT_NE(answer.body.find("another one of this record does"), std::string::npos);
    }
    return accept;
}

/// The one of `asked` that opens WebSockets, waited for; size() when there is none in time.
std::size_t wait_for_one(Region& region, const std::vector<std::size_t>& asked) {
    const auto begun = Clock::now();
    while (Clock::now() - begun < takeover_max()) {
        const auto accept = accepting(region, asked);
        EXPECT_LE(accept.size(), 1u);
        if (!accept.empty()) return accept.front();
        std::this_thread::sleep_for(milliseconds(100));
    }
    return region.size();
}

/// A subscription to every Basic, asked for at server `i`; waits until it is active.
void subscribe(Region& region, std::size_t i) {
    net::ClientRequest request;
    request.method = net::Method::put;
    request.url = region.at(i).base_url() + "/fhir/Subscription/s";
    request.headers.add("Content-Type", "application/fhir+json");
    request.body =
        R"({"resourceType":"Subscription","id":"s","status":"requested","reason":"test",)"
        R"("criteria":"Basic?code:text=x","channel":{"type":"websocket"}})";
    ASSERT_EQ(status_of(request), 201);
    const auto begun = Clock::now();
    net::Client client;
    while (Clock::now() - begun < takeover_max()) {
        const auto answer = client.send(read_of(region.at(i).base_url(), "Subscription/s"));
        if (answer && answer->body.find(R"("status":"active")") != std::string::npos) return;
        std::this_thread::sleep_for(milliseconds(50));
    }
    FAIL() << "the subscription never became active";
}

/// A socket at server `i` that is bound to the subscription. What everybody can read already, the
/// one that follows the log sees in a moment.
std::unique_ptr<WebSocketClient> bound(Region& region, std::size_t i, const std::string& by) {
    for (int tries = 0; tries < 100; ++tries) {
        auto socket = std::make_unique<WebSocketClient>(region.at(i).port(), path);
        EXPECT_EQ(socket->handshake().status, 101);
        socket->send(by);
        // Nothing at all is said of a token whose subscription is not active there yet.
        if (socket->is_readable(2'000)) {
            const std::string said = socket->receive();
            if (!said.starts_with("closed") && said != "broken") return socket;
        }
        std::this_thread::sleep_for(milliseconds(100));
    }
    ADD_FAILURE() << "server " << i << " binds nothing";
    return nullptr;
}

std::string token_of(Region& region, std::size_t i) {
    net::Client client;
    const auto answer =
        client.send(read_of(region.at(i).base_url(), "Subscription/s/$get-ws-binding-token"));
    if (!answer || answer->status != 200) return "none";
    const auto document = JsonDocument::parse(answer->body);
    for (const Json& parameter : document->root()["parameter"].items()) {
        if (parameter.string_at("name") == "token")
            return std::string(parameter.string_at("valueString"));
    }
    return "none";
}

TEST(Servers, OneOpensWebSocketsAndWhenItIsKilledAnotherDoes) {
    Region region(3);
    const std::size_t first = wait_for_one(region, {0, 1, 2});
    ASSERT_LT(first, region.size());
    const std::size_t second = (first + 1) % 3, third = (first + 2) % 3;
    subscribe(region, second);
    const auto socket = bound(region, first, "bind s");
    ASSERT_TRUE(socket);
    ASSERT_EQ(status_of(create(region.at(third).base_url(), "one", false)), 201);
    EXPECT_EQ(socket->receive(), "ping s") << "what was written at another server";

    region.at(first).kill();
    const auto begun = Clock::now();
    const std::size_t next = wait_for_one(region, {second, third});
    ASSERT_LT(next, region.size());
    EXPECT_LT(Clock::now() - begun, takeover_max());
    EXPECT_EQ(socket->receive(), "broken");
    // A token of one server is worth as much at the other.
    const std::size_t giver = next == second ? third : second;
    const auto again = bound(region, next, "bind-with-token " + token_of(region, giver));
    ASSERT_TRUE(again);
    ASSERT_EQ(status_of(create(region.at(giver).base_url(), "two", false)), 201);
    const std::string told = again->receive();
    EXPECT_NE(told.find("event-notification"), std::string::npos) << told;
    EXPECT_EQ(accepting(region, {second, third}), std::vector<std::size_t>{next});
}

TEST(Servers, OneThatHungAndLostTheSubscriptionsSendsItsWebSocketsAway) {
    Region region(2);
    const std::size_t first = wait_for_one(region, {0, 1});
    ASSERT_LT(first, region.size());
    WebSocketClient socket = connect(region, first);
    ASSERT_EQ(socket.handshake().status, 101);
    ASSERT_EQ(::kill(region.at(first).process(), SIGSTOP), 0);
    const std::size_t other = wait_for_one(region, {1 - first});
    ::kill(region.at(first).process(), SIGCONT);
    ASSERT_EQ(other, 1 - first);
    // Nothing is written, so that nothing but its own looking tells it.
    EXPECT_TRUE(socket.receive().starts_with("closed 1012 ")) << "service restart";
    EXPECT_EQ(accepting(region, {0, 1}), std::vector<std::size_t>{other});
}

TEST(Servers, OneThatNobodySharesTheRecordWithOpensWebSockets) {
    ServerProcess server;
    ASSERT_TRUE(server.is_running()) << server.output();
    int status = 0;
    for (int i = 0; i < 100 && status != 101; ++i) {
        status = WebSocketClient(server.port(), path).handshake().status;
        std::this_thread::sleep_for(milliseconds(50));
    }
    EXPECT_EQ(status, 101);
}

}  // namespace
}  // namespace meridian::tests

// SPDX-License-Identifier: Apache-2.0
// Many clients at once: a transaction is seen whole or not at all, and no update is lost.
#include <gtest/gtest.h>

#include <thread>

#include "base/json.hpp"
#include "net/client.hpp"
#include "tests/server_process.hpp"

namespace meridian::tests {
namespace {

constexpr int accounts = 8;

net::ClientRequest request_of(net::Method method, std::string url, std::string body = {}) {
    net::ClientRequest request;
    request.method = method;
    request.url = std::move(url);
    request.body = std::move(body);
    if (!request.body.empty()) request.headers.add("Content-Type", "application/fhir+json");
    return request;
}

std::string counter(const std::string& id, std::int64_t value) {
    return fmt::format(
        R"({{"resourceType":"Basic","id":"{}","code":{{"text":"{}"}},"identifier":[{{"system":"urn:group","value":"all"}}]}})",
        id, value);
}

/// All counters set to one value in one transaction.
std::string all_at(std::int64_t value) {
    std::string bundle = R"({"resourceType":"Bundle","type":"transaction","entry":[)";
    for (int i = 0; i < accounts; ++i) {
        bundle +=
            fmt::format(R"({}{{"resource":{},"request":{{"method":"PUT","url":"Basic/a{}"}}}})",
                        i == 0 ? "" : ",", counter(fmt::format("a{}", i), value), i);
    }
    return bundle + "]}";
}

class Isolation : public ::testing::Test {
 protected:
    void SetUp() override {
        ASSERT_TRUE(server_.is_running()) << server_.output();
        net::Client client;
        ASSERT_EQ(client.send(request_of(net::Method::post, base_ + "/fhir", all_at(0)))->status,
                  200);
    }
    ServerProcess server_;
    std::string base_ = server_.base_url();
};

TEST_F(Isolation, ATransactionIsSeenWholeOrNotAtAll) {
    std::atomic<bool> done{false};
    std::atomic<std::int64_t> next{1};
    std::vector<std::thread> writers;
    for (int i = 0; i < 3; ++i) {
        writers.emplace_back([&] {
            net::Client client;
            for (int turn = 0; turn < 2'000 && !done; ++turn) {
                const auto answer =
                    client.send(request_of(net::Method::post, base_ + "/fhir", all_at(next++)));
                EXPECT_TRUE(answer && answer->status == 200);
            }
        });
    }
    net::Client reader;
    std::set<std::string> states;
    // A fast reader may be through before the first writer: it looks until it has seen some change.
    constexpr int looks_max = 20'000;
    for (int look = 0; look < 200 || (states.size() <= 2 && look < looks_max); ++look) {
        // A page is of one moment.
        const auto answer =
            reader.send({.url = base_ + "/fhir/Basic?identifier=urn:group|all&_count=50"});
        ASSERT_TRUE(answer && answer->status == 200);
        const auto document = JsonDocument::parse(answer->body);
        ASSERT_TRUE(document);
        const auto entries = document->root()["entry"].items();
        ASSERT_EQ(entries.size(), static_cast<std::size_t>(accounts));
        const std::string value(entries[0]["resource"]["code"].string_at("text"));
        for (const Json& entry : entries)
            ASSERT_EQ(entry["resource"]["code"].string_at("text"), value) << answer->body;
        states.insert(value);
    }
    done = true;
    for (std::thread& writer : writers) writer.join();
    EXPECT_GT(states.size(), 2u) << "nothing was written while the reader looked";
}

TEST_F(Isolation, NoUpdateIsLostWithIfMatch) {
    constexpr int clients = 8, turns = 20;
    std::vector<std::thread> threads;
    std::atomic<int> refused{0};
    for (int i = 0; i < clients; ++i) {
        threads.emplace_back([&] {
            net::Client client;
            for (int turn = 0; turn < turns;) {
                const auto read = client.send({.url = base_ + "/fhir/Basic/a0"});
                ASSERT_TRUE(read && read->status == 200);
                const auto document = JsonDocument::parse(read->body);
                const std::int64_t value =
                    std::stoll(std::string(document->root()["code"].string_at("text")));
                auto update = request_of(net::Method::put, base_ + "/fhir/Basic/a0",
                                         counter("a0", value + 1));
                update.headers.add("If-Match", std::string(read->headers.get("ETag")));
                const auto written = client.send(update);
                ASSERT_TRUE(written);
                ASSERT_TRUE(written->status == 200 || written->status == 412) << written->body;
                written->status == 200 ? ++turn : ++refused;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    net::Client client;
    const auto last = client.send({.url = base_ + "/fhir/Basic/a0"});
    ASSERT_TRUE(last);
    EXPECT_NE(last->body.find(fmt::format(R"("text":"{}")", clients * turns)), std::string::npos)
        << last->body;
    EXPECT_GT(refused.load(), 0) << "the clients never met";
}

}  // namespace
}  // namespace meridian::tests

// SPDX-License-Identifier: Apache-2.0
#include "bench/load/load.hpp"

#include <gtest/gtest.h>

#include "bench/load/reply.hpp"
#include "net/server.hpp"

namespace meridian::load {
namespace {

TEST(Histogram, PercentilesAreWithinOnePercent) {
    Histogram histogram;
    for (std::int64_t value = 1; value <= 100'000; ++value) histogram.record(value * 1000);
    EXPECT_EQ(histogram.count(), 100'000u);
    EXPECT_EQ(histogram.max(), 100'000'000);
    EXPECT_NEAR(static_cast<double>(histogram.percentile(0.5)), 50e6, 0.5e6);
    EXPECT_NEAR(static_cast<double>(histogram.percentile(0.99)), 99e6, 1e6);
    EXPECT_EQ(histogram.percentile(1), 100'000'000);
    EXPECT_NEAR(histogram.mean_ms(), 50.0005, 0.001);
}

TEST(Histogram, KeepsTheLargestValues) {
    Histogram histogram;
    histogram.record(INT64_MAX);
    histogram.record(0);
    EXPECT_EQ(histogram.percentile(1), INT64_MAX);
    EXPECT_EQ(histogram.percentile(0.1), 0);
}

ReplyReader::Status feed(ReplyReader& reader, std::string_view bytes) {
    std::memcpy(reader.room(bytes.size()), bytes.data(), bytes.size());
    reader.received(bytes.size());
    return reader.advance();
}

TEST(ReplyReader, ReadsLengthsChunksAndNoBodyInAnyPieces) {
    const std::string answer =
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        "HTTP/1.1 204 No Content\r\nETag: W/\"1\"\r\n\r\n";
    for (const std::size_t piece :
         {std::size_t{1}, std::size_t{2}, std::size_t{7}, answer.size()}) {
        ReplyReader reader;
        std::vector<std::string> bodies;
        reader.start(false);
        for (std::size_t at = 0; at < answer.size(); at += piece) {
            auto status = feed(reader, std::string_view(answer).substr(at, piece));
            while (status == ReplyReader::Status::complete) {
                bodies.emplace_back(reader.reply().body);
                if (bodies.size() == 3) break;
                reader.start(false);
                status = reader.advance();
            }
        }
        ASSERT_EQ(bodies, (std::vector<std::string>{"hello", "abcde", ""})) << piece;
        EXPECT_EQ(reader.reply().header("etag"), "W/\"1\"");
    }
}

std::unique_ptr<net::Server> serve(net::Handler handler) {
    net::ServerOptions options;
    options.handler = std::move(handler);
    auto server = net::Server::start(std::move(options));
    EXPECT_TRUE(server.has_value());
    return std::move(*server);
}

TEST(Load, ClosedLoopSendsWhatTheSourceGivesAndCountsByKind) {
    const auto server = serve([](const net::Request& request) {
        return net::Response::text(request.path() == "/missing" ? 404 : 200,
                                   std::string(request.body));
    });
    Options options;
    options.port = server->port();
    options.connections = 4;
    options.kinds = 2;
    std::array<int, 4> sent{};
    std::atomic<int> echoed = 0;
    const auto report = run(
        options,
        [&](unsigned connection, Call& call) {
            if (sent[connection] == 100) return false;
            const bool is_missing = ++sent[connection] % 10 == 0;
            call.method = "POST";
            call.target = is_missing ? "/missing" : "/echo";
            call.body = "body";
            call.kind = is_missing ? 1 : 0;
            return true;
        },
        [&](unsigned, const Call& call, const Reply& reply) {
            if (reply.body == call.body) ++echoed;
        });
    ASSERT_TRUE(report.has_value()) << report.error().message;
    EXPECT_EQ(report->kinds[0].latency.count(), 360u);
    EXPECT_EQ(report->kinds[1].failed, 40u);
    EXPECT_EQ(report->kinds[1].statuses.at(404), 40u);
    EXPECT_NE(report->kinds[1].first_failure.find("404"), std::string::npos);
    EXPECT_EQ(echoed, 400);
}

TEST(Load, OpenLoopChargesAStallToAllCallsItDelayed) {
    // One connection, one call that takes 200 ms: the calls due in that time wait, and their
    // latency says so.
    std::atomic<int> count = 0;
    const auto server = serve([&](const net::Request&) {
        if (++count == 10) std::this_thread::sleep_for(std::chrono::milliseconds(200));
        return net::Response::text(200, "x");
    });
    Options options;
    options.port = server->port();
    options.connections = 1;
    options.calls_per_second = 200;
    options.duration = std::chrono::milliseconds(500);
    const auto report = run(options, [](unsigned, Call&) { return true; });
    ASSERT_TRUE(report.has_value());
    EXPECT_EQ(report->succeeded() + report->unsent, 100u);
    EXPECT_GE(report->backlog_max, 20u);
    // 40 calls fell into the stall; a quarter of all waited at least 80 ms. A generator that omits
    // them would see one slow call.
    EXPECT_GE(report->latency().percentile_ms(0.85), 40.0);
}

TEST(Load, ReconnectsWhenTheServerCloses) {
    const auto server = serve([](const net::Request&) {
        net::Response response = net::Response::text(200, "x");
        response.close_connection = true;
        return response;
    });
    Options options;
    options.port = server->port();
    options.connections = 2;
    int sent = 0;
    const auto report = run(options, [&](unsigned, Call&) { return ++sent <= 20; });
    ASSERT_TRUE(report.has_value());
    EXPECT_EQ(report->succeeded(), 20u);
    EXPECT_EQ(report->failed(), 0u);
}

TEST(Load, SaysWhenThereIsNoServer) {
    Options options;
    options.port = 1;
    const auto report = run(options, [](unsigned, Call&) { return true; });
    ASSERT_FALSE(report.has_value());
    EXPECT_EQ(report.error().category, Category::unavailable);
}

}  // namespace
}  // namespace meridian::load

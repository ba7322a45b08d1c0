// SPDX-License-Identifier: Apache-2.0
#include "net/detail/request_parser.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace meridian::net::detail {
namespace {

using Event = RequestParser::Event;
constexpr RequestParser::Bounds small{
    .header_bytes_max = 400, .url_bytes_max = 100, .body_bytes_max = 50};

/// Gives `bytes` to the parser in pieces of `piece` bytes, as a connection does, and stops at the
/// first whole or refused request.
Event feed(RequestParser& parser, std::string_view bytes, std::size_t piece = 1 << 20) {
    std::string unread;
    Event event = Event::need_more;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
        unread += bytes.substr(at, piece);
        do {
            unread.erase(0, parser.put(unread, event));
            if (event == Event::complete || event == Event::refused) return event;
        } while (event == Event::head);
    }
    return event;
}

int refused_status(std::string_view bytes) {
    RequestParser parser(small);
    Request request;
    parser.start(request);
    return feed(parser, bytes) == Event::refused ? parser.refusal().status : 0;
}

TEST(RequestParser, ReadsARequestInPiecesOfAnySize) {
    const std::string bytes =
        "POST /a?b=c HTTP/1.1\r\nHost: h\r\nContent-Type: text/plain\r\nTransfer-Encoding: "
        "chunked\r\n\r\n"
        "5;x=1\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: dropped\r\n\r\n";
    for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
        RequestParser parser(small);
        Request request;
        parser.start(request);
        ASSERT_EQ(feed(parser, bytes, piece), Event::complete)
            << piece << ": " << parser.refusal().message;
        EXPECT_EQ(request.method, Method::post);
        EXPECT_EQ(request.target, "/a?b=c");
        EXPECT_EQ(request.body, "hello world");
        EXPECT_EQ(request.headers.get("content-type"), "text/plain");
        EXPECT_FALSE(request.headers.has("Trailer"));
        EXPECT_TRUE(parser.keep_alive());
    }
}

TEST(RequestParser, ReducesAbsoluteTargets) {
    for (const auto& [written, read] : std::vector<std::pair<std::string, std::string>>{
             {"http://h/x?y", "/x?y"}, {"http://h", "/"}, {"http://h?q", "/?q"}, {"*", "*"}}) {
        RequestParser parser(small);
        Request request;
        parser.start(request);
        ASSERT_EQ(feed(parser, "GET " + written + " HTTP/1.1\r\nHost: h\r\n\r\n"), Event::complete);
        EXPECT_EQ(request.target, read);
    }
}

TEST(RequestParser, RefusesFramingThatCouldBeReadInTwoWays) {
    const std::string head = "POST / HTTP/1.1\r\nHost: h\r\n";
    EXPECT_EQ(refused_status(head + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"), 400);
    EXPECT_EQ(
        refused_status(head + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        400);
    EXPECT_EQ(
        refused_status(head + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"),
        400);
    EXPECT_EQ(refused_status(head + "Transfer-Encoding: gzip\r\n\r\nabc"), 501);
    EXPECT_EQ(refused_status(head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 501);
    EXPECT_EQ(refused_status(head + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), 501);
    EXPECT_EQ(refused_status(head + "Content-Length: -1\r\n\r\n"), 400);
    EXPECT_EQ(refused_status(head + "Content-Length: 1x\r\n\r\na"), 400);
    EXPECT_EQ(refused_status(head + "Content-Length : 1\r\n\r\na"), 400);
    EXPECT_EQ(refused_status("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
              400);
    EXPECT_EQ(refused_status("GET / HTTP/1.1\r\n\r\n"), 400);                        // no Host
    EXPECT_EQ(refused_status("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400);  // two
}

TEST(RequestParser, RefusesWhatIsNoRequest) {
    for (const char* bytes :
         {"nonsense\r\n\r\n", "GET /\r\n\r\n", "GET / HTTP/2.0\r\nHost: h\r\n\r\n",
          "GET / HTTP/1.1\nHost: h\n\n", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
          "GET / HTTP/1.1\r\nHost h\r\n\r\n", "GET / HTTP/1.1\r\nHo st: h\r\n\r\n",
          "GET relative HTTP/1.1\r\nHost: h\r\n\r\n", "CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n",
          "\x16\x03\x01\x02\r\n\r\n"}) {
        EXPECT_EQ(refused_status(bytes), 400) << bytes;
    }
    EXPECT_EQ(
        refused_status("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc"),
        400);
    EXPECT_EQ(refused_status("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
                             "chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n"),
              400);
}

TEST(RequestParser, KeepsItsBoundsHoweverTheBytesArrive) {
    const std::string long_url = "GET /" + std::string(150, 'x') + " HTTP/1.1\r\nHost: h\r\n\r\n";
    const std::string endless_url = "GET /" + std::string(1000, 'x');
    const std::string long_header =
        "GET / HTTP/1.1\r\nHost: h\r\nA: " + std::string(500, 'x') + "\r\n\r\n";
    std::string many_headers = "GET / HTTP/1.1\r\nHost: h\r\n";
    for (int i = 0; i < 60; ++i) many_headers += "Abcdef: x\r\n";
    const std::string long_body = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 51\r\n\r\n";
    const std::string chunks =
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n28\r\n" +
        std::string(40, 'x') + "\r\n28\r\n";
    const std::string endless_extension =
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;" +
        std::string(1000, 'x');
    std::string endless_trailer =
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
    for (int i = 0; i < 100; ++i) endless_trailer += "Abcdef: x\r\n";
    for (const auto& [bytes, status] :
         std::vector<std::pair<std::string, int>>{{long_url, 414},
                                                  {endless_url, 414},
                                                  {long_header, 431},
                                                  {many_headers, 431},
                                                  {long_body, 413},
                                                  {chunks, 413},
                                                  {endless_extension, 431},
                                                  {endless_trailer, 431}}) {
        for (const std::size_t piece : {std::size_t{1}, std::size_t{13}, std::size_t{10'000}}) {
            RequestParser parser(small);
            Request request;
            parser.start(request);
            ASSERT_EQ(feed(parser, bytes, piece), Event::refused) << bytes << " in " << piece;
            EXPECT_EQ(parser.refusal().status, status)
                << bytes << " in " << piece << ": " << parser.refusal().message;
        }
    }
}

TEST(RequestParser, NeverFailsOnAnyBytes) {
    rc::check([](const std::string& bytes, bool with_head) {
        RequestParser parser(small);
        Request request;
        parser.start(request);
        const std::string all =
            (with_head ? "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" : "") +
            bytes;
        feed(parser, all, 3);
        RC_ASSERT(request.body.size() <= small.body_bytes_max);
    });
}

}  // namespace
}  // namespace meridian::net::detail

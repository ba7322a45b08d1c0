// SPDX-License-Identifier: Apache-2.0
// What holds for every address of the served program, whatever stands behind it.
#include <gtest/gtest.h>

#include <filesystem>

#include "net/client.hpp"
#include "net/testing/raw_client.hpp"
#include "tests/server_process.hpp"

namespace meridian::tests {
namespace {

class WebService : public ::testing::Test {
 protected:
    void SetUp() override { ASSERT_TRUE(server_.is_running()) << server_.output(); }

    net::ClientAnswer ask(const std::string& path, const std::string& accept = "*/*") {
        net::ClientRequest request{.url = server_.base_url() + path};
        request.headers.add("Accept", accept);
        if (path.starts_with("/fhir"))
            request.headers.add("Authorization", "Bearer " + server_.token());
        net::Client client;
        auto answer = client.send(request);
        EXPECT_TRUE(answer) << path;
        return answer ? *std::move(answer) : net::ClientAnswer{};
    }
    /// The status of a request as it is written here.
    int status_of(const std::string& request) {
        net::testing::RawClient client(server_.port());
        client.send(request);
        return client.answer(true).status;
    }
    std::string host() const { return fmt::format("127.0.0.1:{}", server_.port()); }

    ServerProcess server_{{}, {}, Trust::on};
};

TEST_F(WebService, EveryAnswerSaysWhatItIs) {
    const std::pair<const char*, const char*> asked[] = {
        {"/", "text/html"},
        {"/sign-in", "text/html"},
        {"/sign-in/style.css", "*/*"},
        {"/sign-in/passkeys.js", "*/*"},
        {"/oauth/authorize", "text/html"},
        {"/oauth/token", "*/*"},
        {"/oauth/jwks", "application/json"},
        {"/.well-known/openid-configuration", "application/json"},
        {"/fhir/.well-known/smart-configuration", "application/json"},
        {"/fhir/metadata", "application/fhir+json"},
        {"/fhir/metadata", "application/fhir+xml"},
        {"/fhir/Patient", "application/fhir+json"},
        {"/fhir/Patient/none", "application/fhir+xml"},
        {"/nowhere", "*/*"},
        {"/healthz", "*/*"},
        {"/readyz", "*/*"},
        {"/metrics", "*/*"},
        {"/log/checkpoint", "*/*"},
    };
    for (const auto& [path, accept] : asked) {
        const auto answer = ask(path, accept);
        const std::string_view type = answer.headers.get("Content-Type");
        if (answer.body.empty()) {
            EXPECT_EQ(answer.status, 303) << path << ": to sign in";
            continue;
        }
        EXPECT_FALSE(type.empty()) << path;
        // RFC 8259 §8.1: JSON is UTF-8, and has no such parameter.
        const bool says_charset = type.find("charset=utf-8") != std::string_view::npos ||
                                  type.find("charset=UTF-8") != std::string_view::npos;
        EXPECT_TRUE(says_charset || type.find("json") != std::string_view::npos)
            << path << ": " << type;
        const bool looks_like_json = answer.body.starts_with('{');
        const bool looks_like_html = answer.body.starts_with("<!doctype html");
        EXPECT_EQ(looks_like_json, type.find("json") != std::string_view::npos)
            << path << ": " << type;
        EXPECT_EQ(looks_like_html, type.starts_with("text/html")) << path << ": " << type;
    }
}

TEST_F(WebService, OtherMethodsAreRefused) {
    const auto with = [&](const std::string& method, const std::string& path) {
        return status_of(fmt::format(
            "{} {} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Length: 0\r\n\r\n",
            method, path, host(), server_.token()));
    };
    for (const char* path :
         {"/sign-in", "/oauth/token", "/oauth/jwks", "/account/apps", "/fhir/metadata",
          "/fhir/Patient/none", "/.well-known/smart-configuration"}) {
        for (const char* method : {"TRACE", "CONNECT", "PROPFIND", "LOCK", "get"}) {
            const int status = with(method, path);
            EXPECT_TRUE(status == 400 || status == 405 || status == 501)
                << method << " " << path << ": " << status;
        }
    }
    EXPECT_EQ(with("PUT", "/sign-in"), 405);
    EXPECT_EQ(with("DELETE", "/oauth/token"), 405);
    EXPECT_EQ(with("POST", "/oauth/jwks"), 405);
    EXPECT_EQ(with("DELETE", "/account/apps"), 405);
    EXPECT_EQ(with("DELETE", "/fhir/metadata"), 405);
}

TEST_F(WebService, WebSocketsOfOtherPagesAreNotOpened) {
    const auto opened = [&](const std::string& origin) {
        return status_of(fmt::format(
            "GET /fhir/ws HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{}\r\n",
            host(), origin));
    };
    EXPECT_EQ(opened(""), 101) << "a program";
    EXPECT_EQ(opened(fmt::format("Origin: http://{}\r\n", host())), 101) << "a page of ours";
    for (const char* origin :
         {"https://evil.example", "null", "http://127.0.0.1:1", "http://localhost"})
        EXPECT_NE(opened(fmt::format("Origin: {}\r\n", origin)), 101) << origin;
}

TEST(WebServiceOfApps, PagesThatAreAllowedOpenWebSockets) {
    const ServerProcess server({}, {"--cors-origin", "https://app.example"}, Trust::on);
    ASSERT_TRUE(server.is_running()) << server.output();
    net::testing::RawClient client(server.port());
    client.send(fmt::format(
        "GET /fhir/ws HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: Upgrade\r\nUpgrade: "
        "websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
        "dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: https://app.example\r\n\r\n",
        server.port()));
    EXPECT_EQ(client.answer(true).status, 101);
}

}  // namespace
}  // namespace meridian::tests

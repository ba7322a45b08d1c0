// SPDX-License-Identifier: Apache-2.0
// What a browser, or somebody in the place of one, meets at the doors of the real program.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/json.hpp"
#include "base/query_string.hpp"
#include "net/client.hpp"
#include "net/testing/raw_client.hpp"
#include "tests/server_process.hpp"

namespace meridian::tests {
namespace {

using net::testing::RawAnswer;
using net::testing::RawClient;

/// Keeps cookies as a browser does, and nothing else.
class Browser {
 public:
    explicit Browser(const ServerProcess& server) : origin_(server.base_url()) {}

    net::ClientAnswer send(net::Method method, const std::string& target, std::string body = {},
                           const net::Headers& further = {}) {
        net::ClientRequest request{.method = method, .url = origin_ + target};
        std::string cookies;
        for (const auto& [name, value] : jar_)
            cookies += fmt::format("{}{}={}", cookies.empty() ? "" : "; ", name, value);
        if (!cookies.empty()) request.headers.add("Cookie", cookies);
        for (std::size_t i = 0; i < further.size(); ++i)
            request.headers.add(further[i].name, further[i].value);
        request.body = std::move(body);
        auto sent = client_.send(request);
        if (!sent) {
            ADD_FAILURE() << target << ": " << sent.error().message;
            return {};
        }
        for (std::size_t i = 0; i < sent->headers.size(); ++i) {
            if (sent->headers[i].name != "Set-Cookie") continue;
            const std::string set(sent->headers[i].value);
            set_cookies.push_back(set);
            const std::size_t equals = set.find('=');
            jar_[set.substr(0, equals)] = set.substr(equals + 1, set.find(';') - equals - 1);
        }
        return *std::move(sent);
    }
    net::ClientAnswer get(const std::string& target) { return send(net::Method::get, target); }

    /// The token of the page at `target`.
    std::string csrf_of(const std::string& target) {
        const std::string page = get(target).body;
        constexpr std::string_view meta = R"(<meta name="csrf" content=")";
        const std::size_t at = page.find(meta);
        if (at == std::string::npos) return {};
        const std::size_t begin = at + meta.size();
        return page.substr(begin, page.find('"', begin) - begin);
    }
    int sign_in(const std::string& name, const std::string& password) {
        const std::string form = query_string({{"name", name},
                                               {"password", password},
                                               {"return_to", "/"},
                                               {"csrf", csrf_of("/sign-in")}});
        return send(net::Method::post, "/sign-in", form,
                    {{"Content-Type", "application/x-www-form-urlencoded"}, {"Origin", origin_}})
            .status;
    }
    const std::string& origin() const { return origin_; }
    /// The value of a cookie that begins with the name.
    std::string cookie(const std::string& name) const {
        const auto found = jar_.find(name);
        return found == jar_.end() ? std::string() : found->second;
    }

    std::vector<std::string> set_cookies{};

 private:
    std::string origin_;
    net::Client client_;
    std::map<std::string, std::string> jar_;
};

/// A server that asks nobody: for what does not depend on who asks.
class OpenFront : public ::testing::Test {
 protected:
    int put(const std::string& path, const std::string& body) {
        return browser_
            .send(net::Method::put, "/fhir/" + path, body,
                  {{"Content-Type", "application/fhir+json"}})
            .status;
    }
    /// How many resources a search finds, or minus the status.
    std::int64_t total(const std::string& type, const net::Parameters& query) {
        const auto answer =
            browser_.get(fmt::format("/fhir/{}?{}&_total=accurate", type, query_string(query)));
        const auto document = JsonDocument::parse(answer.body);
        if (answer.status != 200 || !document) return -answer.status;
        const std::string counted(document->root()["total"].text());
        EXPECT_FALSE(counted.empty()) << answer.body;
        return counted.empty() ? 1'000'000 : std::stoll(counted);
    }
    ServerProcess server_;
    Browser browser_{server_};
};

TEST(FrontOfAServer, EveryAnswerForbidsBrowsersWhatItDoesNotNeed) {
    ServerProcess server({}, {}, Trust::on);
    ASSERT_TRUE(server.is_running()) << server.output();
    for (const char* target : {"/",
                               "/sign-in",
                               "/sign-in/style.css",
                               "/sign-in/passkeys.js",
                               "/account",
                               "/setup?key=x",
                               "/docs/",
                               "/docs/security.md",
                               "/search?q=x",
                               "/none",
                               "/healthz",
                               "/readyz",
                               "/metrics",
                               "/fhir/metadata",
                               "/fhir/Patient",
                               "/fhir/%zz",
                               "/fhir/ws",
                               "/oauth/authorize",
                               "/oauth/jwks",
                               "/oauth/token",
                               "/.well-known/smart-configuration",
                               "/log/checkpoint"}) {
        RawClient client(server.port());
        client.send(fmt::format("GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", target));
        const RawAnswer answer = client.answer();
        EXPECT_NE(answer.status, 0) << target;
        const auto value = [&](std::string_view name) {
            const std::size_t at = answer.head.find(fmt::format("\r\n{}: ", name));
            if (at == std::string::npos) return std::string();
            const std::size_t begin = at + name.size() + 4;
            return answer.head.substr(begin, answer.head.find("\r\n", begin) - begin);
        };
        const std::string policy = value("Content-Security-Policy");
        for (const char* directive :
             {"default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'", "form-action '"})
            EXPECT_NE(policy.find(directive), std::string::npos) << target << ": " << policy;
        EXPECT_EQ(policy.find("unsafe-eval"), std::string::npos) << target;
        EXPECT_EQ(policy.find("script-src 'unsafe"), std::string::npos) << target;
        EXPECT_EQ(value("X-Content-Type-Options"), "nosniff") << target;
        EXPECT_EQ(value("Cross-Origin-Opener-Policy"), "same-origin") << target;
        // What is published for everybody is for the pages of everybody; nothing else is.
        const bool is_published = value("Access-Control-Allow-Origin") == "*";
        EXPECT_EQ(value("Cross-Origin-Resource-Policy"), is_published ? "" : "same-origin")
            << target;
        EXPECT_EQ(is_published, std::string_view(target) == "/oauth/jwks" ||
                                    std::string_view(target) == "/log/checkpoint" ||
                                    std::string_view(target) == "/.well-known/smart-configuration")
            << target;
        const std::string referrer = value("Referrer-Policy");
        EXPECT_TRUE(referrer == "no-referrer" || referrer == "same-origin") << target << referrer;
        EXPECT_EQ(value("Server"), "") << target;
        const std::string type = value("Content-Type");
        EXPECT_TRUE(answer.body.empty() || !type.empty()) << target << " has no type";
        if (type.starts_with("text/") || type.find("xml") != std::string::npos)
            EXPECT_NE(type.find("charset=utf-8"), std::string::npos) << target << ": " << type;
    }
}

TEST(FrontOfAServer, CookiesAreOfOneHostAndOutOfScriptsReach) {
    ServerProcess server({}, {"--demo"}, Trust::on);
    ASSERT_TRUE(server.is_running()) << server.output();
    Browser browser(server);
    browser.get("/sign-in?lang=en");
    EXPECT_EQ(browser.sign_in("demo.doctor", "only-a-demo-doctor"), 303);
    const std::string inside = browser.get("/account").body + browser.get("/?lang=zh").body;
    ASSERT_GE(browser.set_cookies.size(), 4u);  // sign-in, language, session, device
    for (const std::string& set : browser.set_cookies) {
        EXPECT_TRUE(set.starts_with("__Host-")) << set;
        for (const char* attribute : {"; Path=/", "; Secure", "; HttpOnly", "; SameSite=Lax"})
            EXPECT_NE(set.find(attribute), std::string::npos) << set;
        EXPECT_EQ(set.find("Domain="), std::string::npos) << set;
    }
    const std::string secret = browser.cookie("__Host-meridian");
    ASSERT_GE(secret.size(), 43u);
    EXPECT_EQ(inside.find(secret), std::string::npos) << "no page shows it to its scripts";
    EXPECT_NE(browser.get("/account").body.find("lang=\"zh-CN\""), std::string::npos) << "is kept";
    EXPECT_EQ(server.output().find(secret), std::string::npos);
}

TEST(FrontOfAServer, APageOfAnotherSiteChangesNothing) {
    ServerProcess server({}, {"--demo"}, Trust::on);
    ASSERT_TRUE(server.is_running()) << server.output();
    Browser browser(server);
    ASSERT_EQ(browser.sign_in("demo.doctor", "only-a-demo-doctor"), 303);
    ASSERT_EQ(browser.get("/fhir/Practitioner").status, 200) << "the session is good";
    const std::string token = browser.csrf_of("/account");
    ASSERT_FALSE(token.empty());
    const auto search = [&](net::Headers headers) {
        return browser.send(net::Method::post, "/fhir/Practitioner/_search", "_count=1", headers)
            .status;
    };
    constexpr const char* form = "application/x-www-form-urlencoded";
    EXPECT_EQ(search({{"Content-Type", form}, {"X-CSRF-Token", token}}), 200) << "a page of ours";
    EXPECT_EQ(search({{"Content-Type", form}}), 401);
    EXPECT_EQ(search({{"Content-Type", form}, {"X-CSRF-Token", "guessed"}}), 401);
    EXPECT_EQ(
        search(
            {{"Content-Type", form}, {"X-CSRF-Token", token}, {"Origin", "https://evil.example"}}),
        401);
    EXPECT_EQ(
        search({{"Content-Type", form}, {"X-CSRF-Token", token}, {"Sec-Fetch-Site", "cross-site"}}),
        401);
    // What a form or a script sends without asking before (CORS safelists), and what it would ask
    // for: neither does anything by a cookie alone.
    for (const char* type : {form, "text/plain", "multipart/form-data", "application/fhir+json"}) {
        for (const net::Method method :
             {net::Method::post, net::Method::put, net::Method::delete_, net::Method::patch})
            EXPECT_EQ(browser
                          .send(method, "/fhir/Observation/o", R"({"resourceType":"Observation"})",
                                {{"Content-Type", type}})
                          .status,
                      401)
                << type;
    }
    // And nothing that changes something is done by a link or a picture.
    for (const char* target : {"/sign-out", "/account/codes", "/account/password",
                               "/fhir/Patient/p/$break-glass?reason=because-of-it"}) {
        const int status = browser.get(target).status;
        EXPECT_TRUE(status == 405 || status == 404 || status == 303) << target << " " << status;
    }
    EXPECT_EQ(browser.get("/fhir/Patient/p/$meta-add").status, 405);
    EXPECT_EQ(browser.get("/fhir/Practitioner").status, 200) << "still signed in";
    // No origin is let to read, but those that the operator names.
    RawClient client(server.port());
    client.send("GET /fhir/metadata HTTP/1.1\r\nHost: h\r\nOrigin: https://evil.example\r\n\r\n");
    EXPECT_FALSE(client.answer().has("Access-Control-Allow-Origin"));
}

TEST(FrontOfAServer, PagesOfOtherOriginsOpenNoWebSockets) {
    ServerProcess server({}, {"--cors-origin", "https://app.example"}, Trust::on);
    ASSERT_TRUE(server.is_running()) << server.output();
    const auto upgrade = [&](const std::string& further) {
        RawClient client(server.port());
        client.send(fmt::format(
            "GET /fhir/ws HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nUpgrade: websocket\r\nConnection: "
            "Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
            "dGhlIHNhbXBsZSBub25jZQ==\r\n{}\r\n",
            server.port(), further));
        return client.answer().status;
    };
    for (int i = 0; i < 100 && upgrade("") == 503; ++i)  // until it looks after subscriptions
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    EXPECT_EQ(upgrade(""), 101) << "a program";
    EXPECT_EQ(upgrade(fmt::format("Origin: {}\r\n", server.base_url())), 101) << "our own page";
    EXPECT_EQ(upgrade("Origin: https://app.example\r\n"), 101) << "named by the operator";
    for (const char* origin :
         {"https://evil.example", "http://127.0.0.1", "null", "https://app.example:8443"})
        EXPECT_EQ(upgrade(fmt::format("Origin: {}\r\n", origin)), 403) << origin;
}

TEST(FrontOfAServer, AnAccountThatAsksTooOftenIsToldToWait) {
    ServerProcess server({}, {}, Trust::on);
    ASSERT_TRUE(server.is_running()) << server.output();
    const std::string token = token_for(server.folder(), "pharmacist", "quick");
    RawClient client(server.port());
    const std::string ask = fmt::format(
        "GET /fhir/Nonsense HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\n\r\n", token);
    RawAnswer answer;
    unsigned count = 0;
    do {
        client.send(ask);
        answer = client.answer();
    } while (answer.status == 404 && ++count < 20'000);
    EXPECT_EQ(answer.status, 429) << "after " << count;
    EXPECT_GE(count, 1'000u) << "the burst";
    EXPECT_TRUE(answer.has("Retry-After: 1\r\n")) << answer.head;
    EXPECT_NE(answer.body.find("throttled"), std::string::npos);
    client.send(
        fmt::format("GET /fhir/Patient HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\n\r\n",
                    server.token()));
    EXPECT_EQ(client.answer().status, 200) << "others are served";
}

TEST_F(OpenFront, WhatIsStoredIsShownAsText) {
    const std::string evil = R"(<script>alert(1)</script>\"'><img src=x onerror=alert(1)>)";
    ASSERT_EQ(
        put("Patient/x", fmt::format(R"({{"resourceType":"Patient","id":"x","name":[{{"text":)"
                                     R"("{0}"}}],"identifier":[{{"value":"{0}"}}],"link":[{{)"
                                     R"("other":{{"reference":"javascript:alert(1)/x",)"
                                     R"("display":"{0}"}},"type":"seealso"}}]}})",
                                     evil)),
        201);
    ASSERT_EQ(put("Observation/o",
                  fmt::format(R"({{"resourceType":"Observation","id":"o","status":"final","code":)"
                              R"({{"text":"{0}"}},"subject":{{"reference":"Patient/x"}},)"
                              R"("valueQuantity":{{"value":1,"unit":"{0}"}}}})",
                              evil)),
              201);
    ASSERT_EQ(
        put("DocumentReference/d",
            R"({"resourceType":"DocumentReference","id":"d","status":"current","content":[{)"
            R"("attachment":{"contentType":"text/plain","data":"PHNjcmlwdD54PC9zY3JpcHQ+"}}]})"),
        201);
    for (const std::string& target :
         {std::string("/"), std::string("/record/Patient/x"), std::string("/record/Observation/o"),
          std::string("/record/DocumentReference/d"), std::string("/browse/Patient"),
          std::string("/browse/Observation"), "/search?q=" + percent_encode(evil),
          "/none?a=" + percent_encode(evil), "/" + percent_encode("<script>x")}) {
        const net::ClientAnswer page = browser_.get(target);
        EXPECT_TRUE(page.headers.get("Content-Type").starts_with("text/html")) << target;
        for (const char* never :
             {"<script", "<img", "onerror=alert(1)>", "href=\"javascript:", "value=\"<", "\"'>"})
            EXPECT_EQ(page.body.find(never), std::string::npos) << target << " has " << never;
    }
    EXPECT_NE(browser_.get("/record/Patient/x").body.find("&lt;script&gt;"), std::string::npos);
    // The same text as JSON and as XML comes back as it was.
    for (const char* format : {"json", "xml"}) {
        const auto answer = browser_.get(fmt::format("/fhir/Patient/x?_format={}", format));
        EXPECT_EQ(answer.status, 200);
        if (std::string_view(format) == "json") {
            const auto document = JsonDocument::parse(answer.body);
            ASSERT_TRUE(document);
            EXPECT_EQ(document->root()["name"].items()[0].string_at("text"),
                      R"(<script>alert(1)</script>"'><img src=x onerror=alert(1)>)");
        } else {
            EXPECT_EQ(answer.body.find("<script"), std::string::npos);
        }
    }
    // Links are made of addresses of this record alone.
    const net::ClientAnswer away = browser_.get("/record/Patient/x");
    for (std::size_t at = 0; (at = away.body.find("href=\"", at)) != std::string::npos; at += 6) {
        const std::string_view link = std::string_view(away.body).substr(at + 6, 2);
        EXPECT_TRUE(link.starts_with('/') && link != "//") << link;
    }
}

TEST_F(OpenFront, InputIsDecodedOnce) {
    ASSERT_EQ(put("Patient/a", R"({"resourceType":"Patient","id":"a","identifier":[{"value":)"
                               R"("50%25x"}],"name":[{"family":"A&amp;B"}]})"),
              201);
    EXPECT_EQ(total("Patient", {{"identifier", "50%25x"}}), 1) << "encoded once, decoded once";
    EXPECT_EQ(total("Patient", {{"identifier", "50%x"}}), 0);
    EXPECT_EQ(total("Patient", {{"identifier", "50%2525x"}}), 0);
    EXPECT_EQ(total("Patient", {{"family:exact", "A&amp;B"}}), 1);
    EXPECT_EQ(total("Patient", {{"family:exact", "A&B"}}), 0) << "markup is no encoding of JSON";
    EXPECT_EQ(browser_.get("/fhir/Patient/%61").status, 200) << "a";
    EXPECT_NE(browser_.get("/fhir/Patient/%2561").status, 200) << "%61";
    EXPECT_NE(browser_.get("/fhir/%252e%252e/Patient/a").status, 200);
    EXPECT_EQ(browser_.get("/fhir/x/..%2f..%2fetc").status / 100, 4);
    const auto answer = browser_.get("/fhir/Patient/a?_format=xml");
    EXPECT_NE(answer.body.find("A&amp;amp;B"), std::string::npos) << answer.body;
}

TEST_F(OpenFront, ValuesOfSearchesAreNothingElse) {
    for (const char* id : {"a", "b"})
        ASSERT_EQ(
            put(fmt::format("Patient/{}", id),
                fmt::format(R"({{"resourceType":"Patient","id":"{0}","birthDate":"1980-01-01",)"
                            R"("gender":"male","name":[{{"family":"{0}a"}}],"identifier":[{{)"
                            R"("system":"urn:s","value":"{0}"}}]}})",
                            id)),
            201);
    for (const char* attack :
         {"x' OR '1'='1", "x\" OR \"1\"=\"1", "x'); DROP TABLE versions; --",
          "x') UNION SELECT 1 --", "x' || (SELECT 1) || '", "%", "_", "x%", "*", "?", "$1", "\\",
          "x\\' OR 1=1 --", "1; SELECT pg_sleep(9)", "{\"$ne\":1}", "${jndi:ldap://x}", "{{7*7}}",
          "%s%n", "x\nSet-Cookie: y"}) {
        for (const char* parameter :
             {"family:exact", "identifier", "_id", "gender", "_tag", "general-practitioner",
              "organization.name", "_has:Observation:patient:code", "language", "link"})
            EXPECT_LE(total("Patient", {{parameter, attack}}), 0) << parameter << " " << attack;
        for (const char* parameter :
             {"birthdate", "_sort", "_count", "_elements", "_summary", "_include", "_lastUpdated",
              "_cursor", "_filter", "_type", "_profile", "_format"}) {
            const int status =
                browser_.get("/fhir/Patient?" + query_string({{parameter, attack}})).status;
            EXPECT_TRUE(status == 200 || (status >= 400 && status < 500))
                << parameter << " " << attack << " " << status;
        }
        // As names of parameters, types and ids too.
        EXPECT_EQ(browser_.get("/fhir/Patient?" + percent_encode(attack) + "=1").status / 100, 4);
        EXPECT_EQ(browser_.get("/fhir/" + percent_encode(attack)).status / 100, 4);
        EXPECT_EQ(browser_.get("/fhir/Patient/" + percent_encode(attack)).status / 100, 4);
    }
    EXPECT_EQ(total("Patient", {{"gender", "male"}}), 2) << "nothing is lost";
}

}  // namespace
}  // namespace meridian::tests

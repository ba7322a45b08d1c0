// SPDX-License-Identifier: Apache-2.0
// Requests that a client hands in before the browser comes (RFC 9126).
#include <gtest/gtest.h>

#include "base/hash.hpp"
#include "trust/limits.hpp"
#include "trust/oauth/testing/oauth_server.hpp"

namespace meridian::trust::oauth {

using meridian::testing::must;
using testing::issuer;
using testing::verifier;

class Pushed : public testing::OauthServer {
 protected:
    Pushed() {
        Client strict;
        strict.id = "strict";
        strict.name = "Strict";
        strict.authentication = ClientAuthentication::secret;
        strict.redirect_uris = {"https://app.example/callback"};
        strict.scopes = {"openid", "patient/*.rs"};
        strict.pushes = true;
        strict_secret = must(server->clients().add(strict)).secret;
    }
    static net::Parameters request_of(const std::string& client, const net::Parameters& change) {
        net::Parameters parameters{{"client_id", client},
                                   {"response_type", "code"},
                                   {"redirect_uri", "https://app.example/callback"},
                                   {"scope", "openid patient/*.rs"},
                                   {"aud", issuer + "/fhir"},
                                   {"state", "s"},
                                   {"code_challenge", detail::hashed(verifier)},
                                   {"code_challenge_method", "S256"}};
        for (const auto& [name, value] : change) {
            std::erase_if(parameters, [&](const auto& pair) { return pair.first == name; });
            if (!value.empty()) parameters.emplace_back(name, value);
        }
        return parameters;
    }
    net::Response push(const net::Parameters& change = {}, const std::string& secret_shown = "") {
        return send(
            net::Method::post, "/oauth/par", query_string(request_of("strict", change)),
            {{"Authorization",
              "Basic " + base64_encode("strict:" +
                                       (secret_shown.empty() ? strict_secret : secret_shown))}});
    }
    net::Response come(const std::string& name, const std::string& client = "strict",
                       const std::string& more = "") {
        return send(net::Method::get,
                    "/oauth/authorize?" +
                        query_string({{"client_id", client}, {"request_uri", name}}) + more,
                    "", {{"Cookie", session}});
    }
    std::string strict_secret;
};

TEST_F(Pushed, ARequestIsHandedInAndGoodForOneCode) {
    const net::Response handed = push();
    ASSERT_EQ(handed.status, 201) << handed.body;
    EXPECT_EQ(handed.headers.get("Cache-Control"), "no-store");
    const std::string name = member(handed, "request_uri");
    EXPECT_TRUE(name.starts_with("urn:ietf:params:oauth:request_uri:")) << name;
    const net::Response page = come(name, "strict", "&scope=openid%20user%2F%2A.cruds&state=evil");
    ASSERT_EQ(page.status, 200) << "the consent page";
    EXPECT_EQ(page.body.find("Add"), std::string::npos) << "what the browser brings does not count";
    const net::Response back = decide(form_of(page), "allow");
    EXPECT_EQ(parameter(back, "state"), "s");
    const net::Response tokens =
        send(net::Method::post, "/oauth/token",
             "grant_type=authorization_code&redirect_uri=https%3A%2F%2Fapp.example%2Fcallback"
             "&code_verifier=" +
                 verifier + "&code=" + parameter(back, "code"),
             {{"Authorization", "Basic " + base64_encode("strict:" + strict_secret)}});
    EXPECT_EQ(tokens.status, 200) << tokens.body;
    EXPECT_EQ(come(name).status, 400) << "once";
}

TEST_F(Pushed, SigningInOnTheWayDoesNotMakeItAnother) {
    const std::string name = member(push(), "request_uri");
    const std::string own = session;
    session = "session=nobody";
    const std::string back = parameter(come(name), "return_to");
    EXPECT_EQ(back.find("code_challenge"), std::string::npos) << "the name alone goes along";
    session = own;
    EXPECT_EQ(send(net::Method::get, back, "", {{"Cookie", session}}).status, 200);
}

TEST_F(Pushed, AnAppThatPushesGetsNothingOtherwise) {
    const net::Response plain =
        send(net::Method::get, "/oauth/authorize?" + query_string(request_of("strict", {})), "",
             {{"Cookie", session}});
    EXPECT_EQ(parameter(plain, "error"), "invalid_request");
    EXPECT_TRUE(parameter(plain, "code").empty());
}

TEST_F(Pushed, ItIsOfItsClientAndMoment) {
    const std::string name = member(push(), "request_uri");
    EXPECT_EQ(come(name, "app").status, 400);
    EXPECT_EQ(come(name + "x").status, 400);
    EXPECT_EQ(come("urn:ietf:params:oauth:request_uri:").status, 400);
    EXPECT_EQ(come("https://evil.example/request").status, 400);
    surroundings.ahead_seconds = limits::oauth_pushed_seconds + 1;
    EXPECT_EQ(come(name).status, 400);
}

TEST_F(Pushed, BadRequestsAreRefusedWhereTheyAreHandedIn) {
    EXPECT_EQ(push({}, "wrong").status, 401);
    EXPECT_EQ(member(push({{"code_challenge", ""}}), "error"), "invalid_request");
    EXPECT_EQ(member(push({{"redirect_uri", "https://evil.example/"}}), "error"),
              "invalid_request");
    EXPECT_EQ(member(push({{"response_type", "token"}}), "error"), "unsupported_response_type");
    EXPECT_EQ(member(push({{"request_uri", "urn:x"}}), "error"), "invalid_request");
    EXPECT_EQ(member(push({{"scope", "system/*.rs"}}), "error"), "invalid_scope");
    EXPECT_EQ(push({{"client_id", "app"}}).status, 401) << "in somebody else's name";
    EXPECT_GE(surroundings.audited("oauth.pushed", false), 5);
    EXPECT_EQ(send(net::Method::get, "/oauth/par").status, 405);
}

}  // namespace meridian::trust::oauth

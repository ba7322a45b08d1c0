// SPDX-License-Identifier: Apache-2.0
// Everything that must be refused: with the status and code of its RFC, in words that tell an
// attacker nothing, and with an entry of the audit that says from where. Those of federation are in
// federation_test.cpp, those of cookies in tests/refusals_test.cpp.
#include <gtest/gtest.h>

#include "base/hash.hpp"
#include "trust/jose/jwt.hpp"
#include "trust/limits.hpp"
#include "trust/oauth/testing/oauth_server.hpp"

namespace meridian::trust::oauth {

using meridian::testing::must;
using testing::issuer;
using testing::verifier;

class BadInput : public testing::OauthServer {
 protected:
    BadInput() {
        Client system;
        system.id = "system";
        system.name = "Loader";
        system.authentication = ClientAuthentication::private_key;
        system.account = "loader";
        system.scopes = {"system/*.rs"};
        system.jwks = jose::KeySet({key}).to_text();
        must(server->clients().add(system));
    }
    /// The one answer for every token, code or refresh token that is not good.
    void expect_invalid_grant(const net::Response& response, std::string_view audited) {
        EXPECT_EQ(response.status, 400);
        EXPECT_EQ(response.body, R"({"error":"invalid_grant"})");
        EXPECT_EQ(response.headers.get("Cache-Control"), "no-store");
        expect_audited(audited);
    }
    void expect_audited(std::string_view what) {
        const auto trail = surroundings.audit_trail();
        const std::string wanted = fmt::format("{} 192.0.2.7:5000 false", what);
        EXPECT_NE(std::ranges::find(trail, wanted), trail.end())
            << wanted << "\nin\n"
            << fmt::format("{}", fmt::join(trail, "\n"));
    }
    net::Response with_assertion(const std::string& assertion) {
        return token(
            "grant_type=client_credentials&scope=system%2F%2A.rs&client_assertion_type=urn%3Aietf%"
            "3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=" +
            assertion);
    }
    std::string claims(const std::string& audience, std::int64_t expires_in,
                       const std::string& jti) const {
        const std::int64_t seconds = surroundings.clock().milliseconds / 1000;
        return fmt::format(
            R"({{"iss":"system","sub":"system","aud":"{}","jti":"{}","iat":{},"exp":{}}})",
            audience, jti, seconds, seconds + expires_in);
    }
    std::string assertion(const std::string& audience = issuer, std::int64_t expires_in = 60,
                          const std::string& jti = "1") const {
        return must(jose::sign(key, claims(audience, expires_in, jti)));
    }
    void expect_invalid_client(const net::Response& response, const std::string& why) {
        EXPECT_EQ(response.status, 401) << why;
        EXPECT_EQ(
            response.body,
            R"({"error":"invalid_client","error_description":"the client could not be authenticated"})")
            << why;
        EXPECT_EQ(response.headers.get("WWW-Authenticate"), "Basic realm=\"meridian\"") << why;
        EXPECT_EQ(surroundings.audit_trail().back(),
                  "oauth.client-authentication - 192.0.2.7:5000 false")
            << why;
    }

    jose::Key key = must(jose::Key::generate(jose::Algorithm::es256));
};

TEST_F(BadInput, ACodeIsGoodForAMinute) {
    static_assert(limits::oauth_code_seconds <= 60, "ASVS 5.0 V10.4.3, level 3");
    const std::string in_time = code();
    surroundings.ahead_seconds = limits::oauth_code_seconds - 1;
    EXPECT_EQ(exchange(in_time).status, 200);
    const std::string late = code();
    surroundings.ahead_seconds += limits::oauth_code_seconds;
    expect_invalid_grant(exchange(late), "oauth.token.code -");
}

TEST_F(BadInput, AReplayedCodeEndsWhatItGave) {
    const std::string one = code();
    const net::Response tokens = exchange(one);
    ASSERT_TRUE(is_active(member(tokens, "access_token")));
    expect_invalid_grant(exchange(one), "oauth.code-replayed patient");
    EXPECT_FALSE(is_active(member(tokens, "access_token")));
    EXPECT_EQ(refresh(member(tokens, "refresh_token")).status, 400);
}

TEST_F(BadInput, AReusedRefreshTokenEndsItsFamily) {
    const net::Response first = exchange(code());
    const net::Response second = refresh(member(first, "refresh_token"));
    ASSERT_TRUE(is_active(member(second, "access_token")));
    expect_invalid_grant(refresh(member(first, "refresh_token")), "oauth.refresh-reused patient");
    EXPECT_FALSE(is_active(member(second, "access_token")));
    expect_invalid_grant(refresh(member(second, "refresh_token")), "oauth.token.refresh -");
}

TEST_F(BadInput, AnExpiredOrAlteredRefreshTokenGivesNothing) {
    const std::string good = member(exchange(code()), "refresh_token");
    expect_invalid_grant(refresh("x" + good), "oauth.token.refresh -");
    expect_invalid_grant(token("grant_type=refresh_token&refresh_token=x" + good),
                         "oauth.token.refresh -");
    surroundings.ahead_seconds = 90 * 86'400 + 1;
    expect_invalid_grant(refresh(good), "oauth.token.refresh -");
}

TEST_F(BadInput, ACodeNeedsItsVerifierAddressAndClient) {
    const std::string one = code();
    const auto with = [&](const std::string& redirect, const std::string& proof,
                          const std::string& client) {
        return token(
            fmt::format("grant_type=authorization_code&client_id={}&redirect_uri={}"
                        "&code_verifier={}&code={}",
                        client, redirect, proof, one));
    };
    const std::string there = "https%3A%2F%2Fapp.example%2Fcallback";
    expect_invalid_grant(with(there, std::string(43, 'w'), "app"), "oauth.token.code -");
    expect_invalid_grant(with("https%3A%2F%2Fapp.example%2F", verifier, "app"),
                         "oauth.token.code -");
    EXPECT_EQ(with(there, "", "app").body,
              R"({"error":"invalid_request","error_description":"code_verifier is missing"})");
    EXPECT_EQ(with(there, verifier, "confidential").status, 401) << "it has to prove who it is";
    EXPECT_EQ(with(there, verifier, "app").status, 200);
}

TEST_F(BadInput, PkceIsNeededAndPlainIsNone) {
    EXPECT_EQ(parameter(authorize({{"code_challenge", ""}}), "error"), "invalid_request");
    EXPECT_EQ(parameter(authorize({{"code_challenge_method", "plain"}}), "error"),
              "invalid_request");
    EXPECT_EQ(parameter(authorize({{"code_challenge_method", ""}}), "error"), "invalid_request");
    EXPECT_EQ(parameter(authorize({{"code_challenge", "short"}}), "error"), "invalid_request");
    expect_audited("oauth.authorize -");
}

TEST_F(BadInput, OnlyTheCodeIsGivenAndOnlyInTheQuery) {
    for (const char* type : {"token", "id_token", "code token", "code id_token", "none"})
        EXPECT_EQ(parameter(authorize({{"response_type", type}}), "error"),
                  "unsupported_response_type")
            << type;
    for (const char* mode : {"fragment", "form_post", "jwt", "query.jwt"})
        EXPECT_EQ(parameter(authorize({{"response_mode", mode}}), "error"), "invalid_request")
            << mode;
    EXPECT_EQ(authorize({{"response_mode", "query"}}).status, 200);
    expect_audited("oauth.authorize -");
}

TEST_F(BadInput, AClientHasOnlyTheGrantsThatItNeeds) {
    EXPECT_EQ(token("grant_type=password&client_id=app&username=a&password=b").body,
              R"({"error":"unsupported_grant_type"})");
    EXPECT_EQ(token("grant_type=client_credentials&client_id=app&scope=system%2F%2A.rs").body,
              R"({"error":"unauthorized_client"})");
    // One that acts by itself has no address for codes, and nobody is sent anywhere.
    EXPECT_EQ(authorize({{"client_id", "system"}}).status, 400);
    const net::Response tokens = with_assertion(assertion());
    EXPECT_EQ(tokens.status, 200) << tokens.body;
    EXPECT_TRUE(member(tokens, "refresh_token").empty());
    expect_audited("oauth.token.client -");
}

TEST_F(BadInput, AWrongAudienceIsToldToTheAppOnly) {
    const net::Response response = authorize({{"aud", "https://evil.example/fhir"}});
    EXPECT_EQ(parameter(response, "error"), "invalid_request");
    EXPECT_TRUE(response.headers.get("Location").starts_with("https://app.example/callback?"));
    expect_audited("oauth.authorize -");
    EXPECT_EQ(parameter(authorize({{"aud", ""}}), "error"), "invalid_request");
}

TEST_F(BadInput, AnUnknownAppOrAddressIsSentNowhere) {
    for (const auto& change :
         {net::Parameters{{"client_id", "nobody"}},
          net::Parameters{{"redirect_uri", "https://app.example/callback/"}},
          net::Parameters{{"redirect_uri", "https://evil.example/callback"}}}) {
        const net::Response response = authorize(change);
        EXPECT_EQ(response.status, 400);
        EXPECT_FALSE(response.headers.has("Location"));
    }
    expect_audited("oauth.authorize -");
}

TEST_F(BadInput, AssertionsThatProveNothingAreAllOneToWhoSendsThem) {
    expect_invalid_client(with_assertion(assertion("https://evil.example", 60)), "wrong audience");
    expect_invalid_client(with_assertion(assertion(issuer, -120)), "expired");
    expect_invalid_client(with_assertion(assertion(issuer, 4000)), "lives too long");
    const jose::Key foreign = must(jose::Key::generate(jose::Algorithm::es256));
    expect_invalid_client(with_assertion(must(jose::sign(foreign, claims(issuer, 60, "2")))),
                          "wrong key");
    expect_invalid_client(with_assertion(base64url_encode(R"({"alg":"none","typ":"JWT"})") + "." +
                                         base64url_encode(claims(issuer, 60, "3")) + "."),
                          "alg none");
    const std::string good = assertion();
    EXPECT_EQ(with_assertion(good).status, 200);
    expect_invalid_client(with_assertion(good), "replayed");
    std::string altered = assertion(issuer, 60, "4");
    altered[altered.rfind('.') + 5] = altered[altered.rfind('.') + 5] == 'A' ? 'B' : 'A';
    expect_invalid_client(with_assertion(altered), "altered");
    expect_invalid_client(with_assertion("x"), "no assertion at all");
}

TEST_F(BadInput, EndpointsBehindTheScenesWantToKnowTheClient) {
    const std::string wrong = "Basic " + base64_encode("confidential:wrong");
    for (const char* path : {"/oauth/introspect", "/oauth/revoke", "/oauth/token"}) {
        const net::Response response =
            send(net::Method::post, path, "token=x&grant_type=refresh_token",
                 {{"Authorization", wrong}});
        EXPECT_EQ(response.status, 401) << path;
        EXPECT_EQ(response.body, R"({"error":"invalid_client"})") << path;
        EXPECT_EQ(surroundings.audit_trail().back(),
                  "oauth.client-authentication - 192.0.2.7:5000 false");
        EXPECT_EQ(
            send(net::Method::post, path, "token=x&grant_type=refresh_token&client_id=confidential")
                .status,
            401)
            << path << ": its bare name proves nothing";
    }
}

TEST_F(BadInput, AnExpiredOrRevokedAccessTokenIsNotActiveAndNoMoreIsSaid) {
    const std::string access = member(exchange(code()), "access_token");
    const auto info = [&](const std::string& bearer) {
        return send(net::Method::get, "/oauth/userinfo", "",
                    {{"Authorization", "Bearer " + bearer}});
    };
    const auto said = [&](const std::string& bearer) {
        return send(net::Method::post, "/oauth/introspect", "token=" + bearer,
                    {{"Authorization", "Basic " + base64_encode("confidential:" + secret)}})
            .body;
    };
    EXPECT_EQ(info(access).status, 200);
    for (const std::string& bad : {"x" + access, std::string("x")}) {
        EXPECT_EQ(info(bad).status, 401);
        EXPECT_EQ(info(bad).body, R"({"error":"invalid_token"})");
        EXPECT_EQ(said(bad), R"({"active":false})");
    }
    surroundings.ahead_seconds = 601;
    EXPECT_EQ(info(access).status, 401);
    EXPECT_EQ(info(access).headers.get("WWW-Authenticate"),
              "Bearer realm=\"meridian\", error=\"invalid_token\"");
    EXPECT_EQ(said(access), R"({"active":false})");
    expect_audited("oauth.userinfo -");
    expect_audited("oauth.introspect -");
}

TEST_F(BadInput, IntrospectionSaysWhatATokenIsAlsoOfOneThatNoAppGot) {
    const Instant until{surroundings.clock().milliseconds + 3'600'000};
    const std::string host = surroundings.host_token("doctor", until);
    const auto said = [&](const std::string& one) {
        return must(JsonDocument::parse(
            send(net::Method::post, "/oauth/introspect", "token=" + one,
                 {{"Authorization", "Basic " + base64_encode("confidential:" + secret)}})
                .body));
    };
    const JsonDocument of_host = said(host);
    EXPECT_TRUE(of_host.root()["active"].boolean());
    EXPECT_EQ(of_host.root()["exp"].text(), std::to_string(until.milliseconds / 1000));
    EXPECT_FALSE(of_host.root()["iat"].text().empty());
    EXPECT_EQ(of_host.root().string_at("fhirUser"), issuer + "/fhir/Practitioner/d1");
    EXPECT_EQ(of_host.root().string_at("sub").size(), 43u);
    EXPECT_EQ(of_host.root().find("client_id"), nullptr);
    EXPECT_EQ(of_host.root().find("scope"), nullptr) << "none narrows it";
    const JsonDocument of_app = said(member(exchange(code()), "access_token"));
    EXPECT_EQ(of_app.root().string_at("client_id"), "app");
    EXPECT_EQ(of_app.root().string_at("scope"), "openid offline_access patient/*.rs");
    EXPECT_EQ(of_app.root().string_at("fhirUser"), issuer + "/fhir/Patient/p1");
    const auto seconds = [&](const char* claim) {
        return static_cast<double>(std::stoll(std::string(of_app.root()[claim].text())));
    };
    EXPECT_NEAR(seconds("exp") - seconds("iat"), 600, 1);
}

}  // namespace meridian::trust::oauth

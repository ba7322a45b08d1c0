// SPDX-License-Identifier: Apache-2.0
// Signing in by an outside provider: an own small one over HTTP, which also says what no honest one
// would. tests/oauth has npm's oidc-provider, and a browser.
#include <gtest/gtest.h>

#include "base/hash.hpp"
#include "net/server.hpp"
#include "trust/jose/jwt.hpp"
#include "trust/limits.hpp"
#include "trust/oauth/detail/answer.hpp"
#include "trust/oauth/detail/record.hpp"
#include "trust/oauth/testing/oauth_server.hpp"

namespace meridian::trust::oauth {

using meridian::testing::must;
using testing::issuer;

/// An OpenID provider that answers what it is told to.
class OutsideServer {
 public:
    OutsideServer() {
        net::ServerOptions options;
        options.handler = [this](const net::Request& request) { return answer(request); };
        http_ = must(net::Server::start(std::move(options)));
    }
    std::string issuer() const { return fmt::format("http://127.0.0.1:{}", http_->port()); }

    jose::Key key = must(jose::Key::generate(jose::Algorithm::es256));
    std::string called{};         ///< what it calls itself, when that is not its issuer
    bool sends_issuer = true;     ///< RFC 9207
    std::string id_token{};       ///< what the token endpoint gives
    net::Parameters asked{};      ///< the last form at the token endpoint
    std::string authorization{};  ///< and its header
    std::atomic<int> token_requests{0};

 private:
    net::Response answer(const net::Request& request) {
        detail::Record record;
        if (request.path() == "/.well-known/openid-configuration") {
            record.set("issuer", called.empty() ? issuer() : called)
                .set("authorization_endpoint", issuer() + "/authorize")
                .set("token_endpoint", issuer() + "/token")
                .set("jwks_uri", issuer() + "/jwks")
                .set("authorization_response_iss_parameter_supported", sends_issuer);
        } else if (request.path() == "/token") {
            ++token_requests;
            asked = must(request.form());
            authorization = request.headers.get("Authorization");
            record.set("access_token", "outside-access")
                .set("token_type", "Bearer")
                .set("id_token", id_token);
        } else {
            return net::Response::text(200, jose::KeySet({key}).to_text(), "application/json");
        }
        return net::Response::text(200, record.text(), "application/json");
    }
    std::unique_ptr<net::Server> http_;  // last: stops first
};

class Federation : public testing::OauthServer {
 protected:
    Federation() {
        must(server->providers().add({.name = "outside",
                                      .issuer = outside.issuer(),
                                      .client_id = "meridian",
                                      .client_secret = "s3cret&"}));
        must(server->providers().add(
            {.name = "other", .issuer = outside.issuer(), .client_id = "other"}));
    }
    net::Response start(const std::string& query = "", const std::string& name = "outside",
                        const std::string& site = "same-origin") {
        const net::Response response =
            send(net::Method::get, fmt::format("/oauth/federated/{}/start?{}", name, query), "",
                 {{"Cookie", session}, {"Sec-Fetch-Site", site}});
        const std::string cookie(response.headers.get("Set-Cookie"));
        if (response.status == 302) browser = cookie.substr(0, cookie.find(';'));
        return response;
    }
    /// Comes back from the provider with a good answer, but for `change`.
    net::Response back(const net::Response& begun, const net::Parameters& change = {},
                       const std::string& name = "outside") {
        net::Parameters answer{
            {"code", "c"}, {"state", parameter(begun, "state")}, {"iss", outside.issuer()}};
        for (const auto& [one, value] : change) {
            std::erase_if(answer, [&](const auto& pair) { return pair.first == one; });
            if (!value.empty()) answer.emplace_back(one, value);
        }
        return send(net::Method::get,
                    fmt::format("/oauth/federated/{}/callback?{}", name, query_string(answer)), "",
                    {{"Cookie", browser + "; " + session}});
    }
    /// Has the provider say these claims, on top of good ones; an empty value takes one away.
    void say(const net::Response& begun, const net::Parameters& change = {},
             const jose::Key* with = nullptr) {
        const std::int64_t seconds = surroundings.clock().milliseconds / 1000;
        std::map<std::string, std::string> claims{
            {"iss", quoted(outside.issuer())},
            {"aud", quoted("meridian")},
            {"sub", quoted("person-7")},
            {"nonce", quoted(parameter(begun, "nonce"))},
            {"iat", std::to_string(seconds)},
            {"exp", std::to_string(seconds + 60)},
            {"auth_time", std::to_string(seconds)},
        };
        for (const auto& [name, value] : change) {
            claims.erase(name);
            if (!value.empty()) claims[name] = value;
        }
        std::string payload = "{";
        for (const auto& [name, value] : claims)
            payload += fmt::format("{}{}:{}", payload.size() > 1 ? "," : "", quoted(name), value);
        payload += "}";
        outside.id_token = must(jose::sign(with == nullptr ? outside.key : *with, payload));
    }
    static std::string quoted(const std::string& text) { return '"' + text + '"'; }
    /// What comes of an ID token with these claims.
    int outcome(const net::Parameters& change, const jose::Key* with = nullptr) {
        const net::Response begun = start();
        say(begun, change, with);
        return back(begun).status;
    }
    void expect_refused(const net::Response& response, const std::string& why) {
        EXPECT_EQ(response.status, 400) << why;
        EXPECT_NE(response.body.find("You could not be signed in. Please begin again."),
                  std::string::npos)
            << why << ": one text for all reasons";
        EXPECT_EQ(surroundings.audit_trail().back(), "sign-in.federated - 192.0.2.7:5000 false")
            << why;
    }

    OutsideServer outside;
    std::string browser;
};

TEST_F(Federation, OnlyWhatIsNeededIsAskedForAndNothingCanBeGuessed) {
    const net::Response begun = start("return_to=/chart");
    ASSERT_EQ(begun.status, 302);
    const std::string url(begun.headers.get("Location"));
    std::map<std::string, std::string> asked;
    for (const auto& [name, value] : must(parse_query_string(url.substr(url.find('?') + 1))))
        asked[name] = value;
    EXPECT_EQ(asked["scope"], "openid");
    EXPECT_EQ(asked["code_challenge_method"], "S256");
    EXPECT_EQ(asked["code_challenge"].size(), 43u);
    EXPECT_EQ(asked["redirect_uri"], issuer + "/oauth/federated/outside/callback");
    EXPECT_EQ(asked.size(), 9u) << url;
    const net::Response again = start("return_to=/chart");
    for (const char* name : {"state", "nonce", "code_challenge"})
        EXPECT_NE(parameter(again, name), asked[name]) << name;
    const std::string cookie(begun.headers.get("Set-Cookie"));
    EXPECT_TRUE(cookie.starts_with("__Host-meridian-federation=")) << cookie;
    EXPECT_NE(cookie.find("; Path=/; HttpOnly; SameSite=Lax; Max-Age=900; Secure"),
              std::string::npos)
        << cookie;
}

TEST_F(Federation, ThePersonIsHandedOnAndTheTokensStayHere) {
    const net::Response begun = start("return_to=/chart%3Fx=1");
    say(begun, {{"email", quoted("li@clinic.example")}});
    const net::Response end = back(begun);
    EXPECT_EQ(end.status, 303);
    ASSERT_EQ(surroundings.federated.size(), 1u);
    const Federated& person = surroundings.federated[0];
    EXPECT_EQ(person.identity, (FederatedIdentity{outside.issuer(), "person-7"}));
    EXPECT_EQ(person.shown, "li@clinic.example");
    EXPECT_EQ(person.return_to, "/chart?x=1");
    EXPECT_EQ(person.purpose, Federated::Purpose::sign_in);
    ASSERT_TRUE(person.proved);
    std::string all = end.body;
    for (std::size_t i = 0; i < end.headers.size(); ++i) all += std::string(end.headers[i].value);
    EXPECT_EQ(all.find("outside-access"), std::string::npos);
    EXPECT_EQ(all.find(outside.id_token), std::string::npos);
    EXPECT_NE(all.find("__Host-meridian-federation=; "), std::string::npos) << "it is used up";
    for (const char* space : {"oauth-provider", "oauth-app", "oauth-grant"})
        for (const Vault::Entry& entry : must(vault.list(space, "", 100)))
            EXPECT_EQ(entry.value.find("outside-access"), std::string::npos);
}

TEST_F(Federation, ATripBelongsToItsBrowserProviderAndMoment) {
    const net::Response begun = start();
    say(begun);
    const std::string state = parameter(begun, "state");
    const std::string own = browser;
    expect_refused(back(begun, {{"state", ""}}), "no state");
    expect_refused(back(begun, {{"state", "x" + state}}), "altered state");
    expect_refused(back(begun, {{"state", state.substr(0, state.size() - 1) +
                                              (state.back() == 'A' ? 'B' : 'A')}}),
                   "altered tag");
    browser = "x=y";
    expect_refused(back(begun), "no cookie: another browser");
    browser = own.substr(0, own.size() - 1) + (own.back() == 'A' ? "E" : "A");
    expect_refused(back(begun), "a tampered cookie");
    start();
    expect_refused(back(begun), "the cookie of another beginning");
    browser = own;
    expect_refused(back(begun, {}, "other"), "another provider's way back");
    EXPECT_EQ(outside.token_requests, 0) << "the code was shown to nobody";
    surroundings.ahead_seconds = limits::oauth_federation_seconds + 1;
    expect_refused(back(begun), "too late");
    surroundings.ahead_seconds = 0;
    EXPECT_EQ(back(begun).status, 303);
}

TEST_F(Federation, AnswersOfAnotherProviderAreNotTaken) {
    const net::Response begun = start();
    say(begun);
    expect_refused(back(begun, {{"iss", "https://evil.example"}}), "mixed up");
    expect_refused(back(begun, {{"iss", outside.issuer() + "/"}}), "letter by letter");
    expect_refused(back(begun, {{"iss", ""}}), "it says that it sends one");
    expect_refused(back(begun, {{"code", ""}, {"error", "access_denied"}}), "refused there");
    EXPECT_EQ(outside.token_requests, 0) << "the code goes to nobody";
}

TEST_F(Federation, TheIdTokenIsOfThisTrip) {
    EXPECT_EQ(outcome({}), 303);
    EXPECT_EQ(outcome({{"nonce", quoted("other")}}), 400);
    EXPECT_EQ(outcome({{"nonce", ""}}), 400);
    const net::Response first = start();
    say(first);
    const std::string replayed = outside.id_token;
    EXPECT_EQ(back(first).status, 303);
    const net::Response second = start();
    outside.id_token = replayed;
    expect_refused(back(second), "the ID token of another trip");
}

TEST_F(Federation, TheIdTokenIsForUs) {
    EXPECT_EQ(outcome({{"aud", quoted("somebody-else")}}), 400);
    EXPECT_EQ(outcome({{"aud", ""}}), 400);
    EXPECT_EQ(outcome({{"aud", R"(["meridian","somebody-else"])"}}), 400) << "azp is missing";
    EXPECT_EQ(outcome({{"azp", quoted("somebody-else")}}), 400);
    EXPECT_EQ(outcome({{"aud", R"(["meridian","x"])"}, {"azp", quoted("meridian")}}), 303);
    EXPECT_EQ(outcome({{"iss", quoted("https://evil.example")}}), 400);
    EXPECT_EQ(outcome({{"sub", ""}}), 400);
}

TEST_F(Federation, TheIdTokenIsSignedAndInTime) {
    const std::int64_t seconds = now().milliseconds / 1000;
    EXPECT_EQ(outcome({{"exp", std::to_string(seconds - 100)}}), 400);
    EXPECT_EQ(outcome({{"exp", ""}}), 400);
    EXPECT_EQ(outcome({{"iat", std::to_string(seconds - 3600)}}), 400);
    EXPECT_EQ(outcome({{"auth_time", std::to_string(seconds - 13 * 3600)}}), 400)
        << "longer ago than was asked for";
    const jose::Key foreign = must(jose::Key::generate(jose::Algorithm::es256));
    EXPECT_EQ(outcome({}, &foreign), 400);
    const net::Response begun = start();
    say(begun);
    const std::size_t dot = outside.id_token.find('.');
    const std::string payload = outside.id_token.substr(dot, outside.id_token.rfind('.') - dot + 1);
    outside.id_token = base64url_encode(R"({"alg":"none"})") + payload;
    expect_refused(back(begun), "alg none");
    outside.id_token = "";
    expect_refused(back(begun), "no ID token");
}

TEST_F(Federation, MetadataOfAnotherIssuerIsNotBelieved) {
    outside.called = "https://evil.example";
    EXPECT_EQ(start().status, 503);
    EXPECT_EQ(surroundings.audit_trail().back(), "sign-in.federated - 192.0.2.7:5000 false");
}

TEST_F(Federation, WeProveWhoWeAreInTheRegisteredWay) {
    net::Response begun = start();
    say(begun);
    EXPECT_EQ(back(begun).status, 303);
    EXPECT_EQ(outside.authorization, "Basic " + base64_encode("meridian:s3cret%26"));

    begun = start("", "other");
    say(begun, {{"aud", quoted("other")}});
    EXPECT_EQ(back(begun, {}, "other").status, 303);
    EXPECT_EQ(outside.authorization, "");
    EXPECT_EQ(detail::value_of(outside.asked, "client_id"), "other");
    EXPECT_EQ(detail::value_of(outside.asked, "code_verifier").size(), 43u);

    const jose::Key key = must(jose::Key::generate(jose::Algorithm::es256));
    must(server->providers().add({.name = "keyed",
                                  .issuer = outside.issuer(),
                                  .client_id = "keyed",
                                  .key = must(key.private_jwk())}));
    begun = start("", "keyed");
    say(begun, {{"aud", quoted("keyed")}});
    EXPECT_EQ(back(begun, {}, "keyed").status, 303);
    const net::Response keys = send(net::Method::get, "/oauth/federated/keyed/jwks");
    EXPECT_EQ(keys.body.find("\"d\""), std::string::npos);
    jose::ClaimRules rules;
    rules.issuer = "keyed";
    rules.audiences = {outside.issuer()};
    rules.audience_alone = true;
    rules.needs_identifier = true;
    rules.life_max = std::chrono::seconds(60);
    EXPECT_TRUE(jose::verify_jwt(detail::value_of(outside.asked, "client_assertion"),
                                 must(jose::KeySet::parse(keys.body)), rules, now()));
}

TEST_F(Federation, AStepUpNeedsAFreshProofAndItsOwnSession) {
    const net::Response begun = start("purpose=step-up&return_to=/chart");
    ASSERT_EQ(begun.status, 302);
    EXPECT_EQ(parameter(begun, "prompt"), "login");
    EXPECT_EQ(parameter(begun, "max_age"), "0");
    const std::int64_t seconds = now().milliseconds / 1000;
    say(begun, {{"auth_time", std::to_string(seconds - 600)}});
    expect_refused(back(begun), "proved before it was asked for");
    say(begun, {{"auth_time", ""}});
    expect_refused(back(begun), "not said when");
    say(begun);
    const std::string own = session;
    session = "session=" + surroundings.sign_in("doctor");
    expect_refused(back(begun), "another session came back");
    session = "session=nobody";
    expect_refused(back(begun), "nobody came back");
    session = own;
    EXPECT_EQ(back(begun).status, 303);
    EXPECT_EQ(surroundings.federated.back().purpose, Federated::Purpose::step_up);
}

TEST_F(Federation, APageOfOthersBeginsNoLink) {
    EXPECT_EQ(start("purpose=link", "outside", "cross-site").status, 400);
    EXPECT_EQ(start("purpose=link", "outside", "same-site").status, 400);
    EXPECT_EQ(start("purpose=nonsense").status, 400);
    const std::string own = session;
    session = "session=nobody";
    EXPECT_EQ(start("purpose=link").status, 400) << "nobody is signed in";
    session = own;
    const net::Response begun = start("purpose=link");
    say(begun);
    EXPECT_EQ(back(begun).status, 303);
    EXPECT_EQ(surroundings.federated.back().purpose, Federated::Purpose::link);
    EXPECT_EQ(start("", "outside", "cross-site").status, 302) << "signing in is for everybody";
}

TEST_F(Federation, WayBackLeadsToOurOwnPagesOnly) {
    for (const char* path : {"//evil.example", "/%5Cevil.example", "https://evil.example/"}) {
        const net::Response begun = start(fmt::format("return_to={}", path));
        say(begun);
        EXPECT_EQ(back(begun).headers.get("Location"), "/") << path;
    }
}

TEST_F(Federation, ARemovedProviderIsGoneAtOnce) {
    const net::Response begun = start();
    say(begun);
    must(server->providers().remove("outside"));
    EXPECT_EQ(back(begun).status, 404);
    EXPECT_EQ(start().status, 404);
    EXPECT_TRUE(surroundings.federated.empty());
}

TEST(Provider, WhatCannotWorkIsRefused) {
    const auto is_good = [](auto change) {
        Provider provider{.name = "x", .issuer = "https://x.example", .client_id = "id"};
        change(provider);
        return validate(provider).has_value();
    };
    EXPECT_TRUE(is_good([](Provider&) {}));
    EXPECT_TRUE(is_good([](Provider& p) { p.creates = "patient"; }));
    EXPECT_TRUE(is_good([](Provider& p) { p.scope = "openid email"; }));
    EXPECT_FALSE(is_good([](Provider& p) { p.name = "a/b"; }));
    EXPECT_FALSE(is_good([](Provider& p) { p.issuer = "http://x.example"; }));
    EXPECT_FALSE(is_good([](Provider& p) { p.issuer = "https://x.example?y"; }));
    EXPECT_FALSE(is_good([](Provider& p) { p.client_id = ""; }));
    EXPECT_FALSE(is_good([](Provider& p) { p.scope = "email"; }));
    EXPECT_FALSE(is_good([](Provider& p) { p.key = "{}"; }));
    EXPECT_FALSE(is_good([](Provider& p) { p.creates = "security-admin"; }));
    EXPECT_FALSE(is_good([](Provider& p) { p.creates = "system-client"; }));
    EXPECT_FALSE(is_good([](Provider& p) { p.creates = "king"; }));
    const jose::Key key = must(jose::Key::generate(jose::Algorithm::es256));
    EXPECT_FALSE(is_good([&](Provider& p) {
        p.key = must(key.private_jwk());
        p.client_secret = "both";
    }));
    JsonDocument document;
    EXPECT_FALSE(is_good([&](Provider& p) { p.key = to_text(key.public_jwk(document)); }));
}

}  // namespace meridian::trust::oauth

// SPDX-License-Identifier: Apache-2.0
// What an attacker, a race or a broken vault does to the endpoints, without a network. The whole
// ways of honest clients are in tests/oauth, with clients that others have written.
#include "trust/oauth/server.hpp"

#include <gtest/gtest.h>

#include <latch>

#include "trust/jose/jwt.hpp"
#include "trust/limits.hpp"
#include "trust/oauth/detail/pages.hpp"
#include "trust/oauth/detail/secret.hpp"
#include "trust/oauth/testing/oauth_server.hpp"

namespace meridian::trust::oauth {

using meridian::testing::must;
using testing::issuer;
using testing::OauthServer;
using testing::verifier;

TEST_F(OauthServer, OptionsThatCannotWorkAreRefused) {
    const auto is_made = [&](auto change) {
        Options options = surroundings.options(issuer);
        change(options);
        return Server::make(vault, std::move(options)).has_value();
    };
    EXPECT_TRUE(is_made([](Options&) {}));
    EXPECT_TRUE(is_made([](Options& o) { o.issuer = "http://127.0.0.1:8080"; }));
    EXPECT_FALSE(is_made([](Options& o) { o.issuer = "http://record.example"; }));
    EXPECT_FALSE(is_made([](Options& o) { o.issuer = "https://record.example/"; }));
    EXPECT_FALSE(is_made([](Options& o) { o.issuer = "https://record.example/x"; }));
    EXPECT_FALSE(is_made([](Options& o) { o.fhir_base = "https://record.example/fhir/"; }));
    EXPECT_FALSE(is_made([](Options& o) { o.audit = nullptr; }));
    EXPECT_FALSE(is_made([](Options& o) { o.id_token_algorithm = jose::Algorithm::eddsa; }));
    EXPECT_FALSE(is_made([](Options& o) { o.csrf_token = nullptr; }));
}

TEST_F(OauthServer, OtherPathsAreNotIts) {
    net::Request request;
    for (const char* path :
         {"/", "/oauth", "/oauth/", "/oauth/tokens", "/fhir/metadata", "/.well-known/x"}) {
        request.target = path;
        EXPECT_FALSE(server->handle(request)) << path;
    }
    request.target = "/fhir/.well-known/smart-configuration";
    EXPECT_TRUE(server->handle(request));
}

TEST_F(OauthServer, WithoutASessionItAsksToSignInAndComesBack) {
    const net::Response response = authorize({}, "session=nobody");
    EXPECT_EQ(response.status, 302);
    const std::string location(response.headers.get("Location"));
    EXPECT_TRUE(location.starts_with("/sign-in?return_to=/oauth/authorize%3Fclient_id%3Dapp%26"))
        << location;
    EXPECT_EQ(location.find("again="), std::string::npos);
    EXPECT_TRUE(parameter(authorize({{"prompt", "login"}}), "again") == "1");
    EXPECT_EQ(parameter(authorize({{"prompt", "none"}}, "session=nobody"), "error"),
              "login_required");
}

TEST_F(OauthServer, AForgedProofOfANewSignInIsNotBelieved) {
    const auto asked = [&](const std::string& mark) {
        return authorize({{"prompt", "login"}, {"asked_at", mark}})
            .headers.get("Location")
            .starts_with("/sign-in");
    };
    EXPECT_TRUE(asked("1." + detail::hashed("x")));
    EXPECT_TRUE(asked("1."));
    const std::string back = parameter(authorize({{"prompt", "login"}}), "return_to");
    session = "session=" + surroundings.sign_in("patient");
    const net::Response good = send(net::Method::get, back, "", {{"Cookie", session}});
    EXPECT_EQ(good.status, 200) << "the consent page";
    std::string other = back;
    other.replace(other.find("state=s"), 7, "state=t");
    EXPECT_EQ(send(net::Method::get, other, "", {{"Cookie", session}}).status, 302)
        << "the mark is for that request only";
}

TEST_F(OauthServer, ThePageEscapesWhatItShowsAndLoadsNothing) {
    session = "session=" + surroundings.sign_in("doctor");
    const net::Response page = authorize();
    ASSERT_EQ(page.status, 200);
    EXPECT_EQ(page.body.find("<app>"), std::string::npos);
    EXPECT_NE(page.body.find("An &lt;app&gt;"), std::string::npos);
    EXPECT_NE(page.body.find("Li &lt;Wei&gt;"), std::string::npos);
    EXPECT_EQ(page.body.find("<script"), std::string::npos);
    const std::string policy(page.headers.get("Content-Security-Policy"));
    EXPECT_NE(policy.find("default-src 'none'"), std::string::npos);
    EXPECT_NE(policy.find("form-action 'self' https://app.example;"), std::string::npos) << policy;
    EXPECT_NE(policy.find("frame-ancestors 'none'"), std::string::npos);
    EXPECT_EQ(page.headers.get("X-Frame-Options"), "DENY");
    EXPECT_EQ(page.headers.get("Cache-Control"), "no-store");
}

TEST_F(OauthServer, ThePageSpeaksTheLanguageOfTheBrowser) {
    net::Request request;
    const auto language = [&](std::string_view header) {
        request.headers.set("Accept-Language", header);
        return detail::language_of(request);
    };
    EXPECT_EQ(language("zh-CN,zh;q=0.9,en;q=0.8"), detail::Language::chinese);
    EXPECT_EQ(language("en-GB,zh;q=0.5"), detail::Language::english);
    EXPECT_EQ(language("de"), detail::Language::english);
    EXPECT_EQ(language(""), detail::Language::english);
    EXPECT_EQ(language("en;q=0.1, zh;q=0.2"), detail::Language::chinese);
    const Scope scope = must(Scope::parse("patient/Observation.rs?category=laboratory"));
    EXPECT_EQ(detail::in_words(scope, detail::Language::english),
              "Read, search: test results and measurements, only category = laboratory");
    EXPECT_EQ(detail::in_words(scope, detail::Language::chinese),
              "读取、检索：检验结果与测量值，仅限 category = laboratory");
}

TEST_F(OauthServer, AFormIsGoodOnceAndInItsSessionOnly) {
    const std::string form = form_of(authorize());
    ASSERT_EQ(form.size(), 43u);
    const std::string other = "session=" + surroundings.sign_in("doctor");
    const std::string same_person = "session=" + surroundings.sign_in("patient");
    EXPECT_EQ(decide(form, "allow", "", other).status, 400);
    EXPECT_EQ(decide(form, "allow", "", same_person).status, 400);
    EXPECT_EQ(decide(form, "allow", "", "session=nobody").status, 400);
    EXPECT_EQ(decide(std::string(43, 'A'), "allow").status, 400);
    EXPECT_EQ(decide(form, "allow").status, 303);
    EXPECT_EQ(decide(form, "allow").status, 400);
    const std::string late = form_of(authorize({{"prompt", "consent"}}));
    surroundings.ahead_seconds = limits::oauth_form_seconds + 1;
    EXPECT_EQ(decide(late, "allow").status, 400);
}

TEST_F(OauthServer, OnlyAPatientThatWasShownCanBeChosen) {
    session = "session=" + surroundings.sign_in("doctor");
    EXPECT_EQ(decide(form_of(authorize()), "allow", "&patient=Patient%2Fp9").status, 400);
    EXPECT_EQ(decide(form_of(authorize()), "allow").status, 400);
    const net::Response found = decide(form_of(authorize()), "search", "&search=Chen");
    ASSERT_EQ(found.status, 200);
    EXPECT_EQ(found.body.find("Patient/p2"), std::string::npos);
    EXPECT_EQ(decide(form_of(found), "allow", "&patient=Patient%2Fp2").status, 400);
    const net::Response again = decide(form_of(authorize()), "search", "&search=Chen");
    const net::Response chosen = decide(form_of(again), "allow", "&patient=Patient%2Fp1");
    EXPECT_EQ(member(exchange(parameter(chosen, "code")), "patient"), "p1");
}

TEST_F(OauthServer, ManyAtOnceWithOneCodeGetNothingThatLasts) {
    const std::string one = code();
    constexpr int count = 8;
    std::latch together(count);
    std::vector<net::Response> answers(count);
    {
        std::vector<std::jthread> threads;
        for (net::Response& answer : answers)
            threads.emplace_back([&] {
                together.arrive_and_wait();
                answer = exchange(one);
            });
    }
    int good = 0;
    for (const net::Response& answer : answers) {
        if (answer.status != 200) continue;
        ++good;
        EXPECT_FALSE(is_active(member(answer, "access_token")));
        EXPECT_EQ(refresh(member(answer, "refresh_token")).status, 400);
    }
    EXPECT_EQ(good, 1);
    EXPECT_EQ(surroundings.audited("oauth.code-replayed", false), count - 1);
}

TEST_F(OauthServer, ManyAtOnceWithOneRefreshTokenEndTheFamily) {
    const std::string one = member(exchange(code()), "refresh_token");
    ASSERT_FALSE(one.empty());
    constexpr int count = 8;
    std::latch together(count);
    std::vector<net::Response> answers(count);
    {
        std::vector<std::jthread> threads;
        for (net::Response& answer : answers)
            threads.emplace_back([&] {
                together.arrive_and_wait();
                answer = refresh(one);
            });
    }
    int good = 0;
    for (const net::Response& answer : answers) {
        if (answer.status != 200) continue;
        ++good;
        EXPECT_FALSE(is_active(member(answer, "access_token")));
        EXPECT_EQ(refresh(member(answer, "refresh_token")).status, 400);
    }
    EXPECT_LE(good, 1);
}

TEST_F(OauthServer, AGuessedRefreshTokenEndsNothing) {
    const net::Response tokens = exchange(code());
    const std::string good = member(tokens, "refresh_token");
    const Subject subject = must(surroundings.open(member(tokens, "access_token"))).subject;
    EXPECT_EQ(refresh(subject.session + ".x").status, 400) << "the family's name is no secret";
    EXPECT_EQ(refresh("x.y").status, 400);
    EXPECT_EQ(refresh("x").status, 400);
    EXPECT_EQ(refresh(good).status, 200);
}

TEST_F(OauthServer, OnlyPublicClientsRefreshWithoutANameOfTheirs) {
    const std::string good = member(exchange(code()), "refresh_token");
    EXPECT_EQ(token("grant_type=refresh_token&refresh_token=" + good).status, 200);
    EXPECT_EQ(token("grant_type=refresh_token&refresh_token=x.y").status, 400);
    const std::string one = code({{"client_id", "confidential"}});
    const net::Response tokens =
        send(net::Method::post, "/oauth/token",
             "grant_type=authorization_code&redirect_uri=https%3A%2F%2Fapp.example%2Fcallback"
             "&code_verifier=" +
                 verifier + "&code=" + one,
             {{"Authorization", "Basic " + base64_encode("confidential:" + secret)}});
    const std::string stolen = member(tokens, "refresh_token");
    ASSERT_FALSE(stolen.empty());
    EXPECT_EQ(token("grant_type=refresh_token&refresh_token=" + stolen).status, 400);
    EXPECT_EQ(
        token("grant_type=refresh_token&client_id=confidential&refresh_token=" + stolen).status,
        401);
    EXPECT_TRUE(is_active(member(tokens, "access_token")));
}

TEST_F(OauthServer, TheVaultHoldsNoTokenInItsKeysOrValues) {
    const std::string one = code();
    const net::Response tokens = exchange(one);
    const std::string access = member(tokens, "access_token");
    const std::string refresh_token = member(tokens, "refresh_token");
    for (const char* space : {"oauth-code", "oauth-grant", "oauth-app", "oauth-form", "client"})
        for (const Vault::Entry& entry : must(vault.list(space, "", 100)))
            for (const std::string& held :
                 {one, access, refresh_token.substr(0, 43), refresh_token.substr(44), secret})
                EXPECT_EQ((entry.key + entry.value).find(held), std::string::npos) << space;
}

TEST_F(OauthServer, WhoIsDisabledGetsNoMore) {
    const std::string waiting = code();
    const std::string good = member(exchange(code()), "refresh_token");
    surroundings.disable("patient");
    EXPECT_EQ(member(exchange(waiting), "error"), "invalid_grant");
    EXPECT_EQ(member(refresh(good), "error"), "invalid_grant");
}

TEST_F(OauthServer, ADisabledClientGetsNoMore) {
    const net::Response tokens = exchange(code());
    EXPECT_TRUE(is_active(member(tokens, "access_token")));
    must(server->clients().set_disabled("app", true));
    EXPECT_FALSE(is_active(member(tokens, "access_token")));
    EXPECT_EQ(refresh(member(tokens, "refresh_token")).status, 401);
    EXPECT_EQ(authorize().status, 400);
}

TEST_F(OauthServer, OnlineAccessEndsWithTheSession) {
    const std::string scope = "openid online_access patient/*.rs";
    const net::Response tokens = exchange(code({{"scope", scope}}));
    const net::Response next = refresh(member(tokens, "refresh_token"));
    EXPECT_EQ(next.status, 200);
    must(vault.put({{.space = "revoked", .key = session.substr(8), .value = "{}"}}));
    EXPECT_EQ(refresh(member(next, "refresh_token")).status, 400);
    EXPECT_FALSE(is_active(member(next, "access_token")));
}

TEST_F(OauthServer, ARefreshTokenEndsWithItsLife) {
    const std::string good = member(exchange(code()), "refresh_token");
    surroundings.ahead_seconds = 90 * 24 * 3600 + 1;
    EXPECT_EQ(refresh(good).status, 400);
}

TEST_F(OauthServer, WithoutOfflineOrOnlineAccessThereIsNoRefreshToken) {
    EXPECT_TRUE(member(exchange(code({{"scope", "patient/*.rs"}})), "refresh_token").empty());
}

TEST_F(OauthServer, ALaunchIsForItsClientAccountAndMoment) {
    const auto with = [&](const std::string& launch) {
        return code({{"scope", "launch patient/*.rs"}, {"launch", launch}});
    };
    const auto error = [&](const std::string& launch) {
        return parameter(authorize({{"scope", "launch patient/*.rs"}, {"launch", launch}}),
                         "error");
    };
    const auto made = [&](std::string_view client, std::string_view account = {}) {
        return must(server->make_launch("Patient/p7", "Encounter/e7", client, account));
    };
    const std::string launch = made("app", "patient");
    const net::Response tokens = exchange(with(launch));
    EXPECT_EQ(member(tokens, "patient"), "p7");
    EXPECT_EQ(member(tokens, "encounter"), "e7");
    EXPECT_EQ(must(surroundings.open(member(tokens, "access_token"))).subject.patient,
              "Patient/p7");
    EXPECT_EQ(error(launch), "invalid_request") << "once";
    EXPECT_EQ(error(made("confidential")), "invalid_request");
    EXPECT_EQ(error(made("app", "doctor")), "invalid_request");
    EXPECT_EQ(error("x"), "invalid_request");
    EXPECT_EQ(error(""), "invalid_request");
    EXPECT_FALSE(server->make_launch("Patient/p7", "", "nobody"));
    const std::string late = made("app");
    surroundings.ahead_seconds = limits::oauth_launch_seconds + 1;
    EXPECT_EQ(error(late), "invalid_request");
}

TEST_F(OauthServer, TheIdTokenSaysWhatOpenIdConnectAsksFor) {
    session = "session=" + surroundings.sign_in("patient", {"pwd", "hwk"});
    const net::Response tokens =
        exchange(code({{"scope", "openid fhirUser patient/*.rs"}, {"nonce", "n"}}));
    const net::Response keys = send(net::Method::get, "/oauth/jwks");
    EXPECT_EQ(keys.body.find("\"d\""), std::string::npos);
    jose::ClaimRules rules;
    rules.issuer = issuer;
    rules.audiences = {"app"};
    const jose::Claims claims = must(jose::verify_jwt(
        member(tokens, "id_token"), must(jose::KeySet::parse(keys.body)), rules, now()));
    EXPECT_EQ(claims.json().string_at("nonce"), "n");
    EXPECT_EQ(claims.json().string_at("acr"), "phr");
    EXPECT_EQ(claims.json().string_at("fhirUser"), issuer + "/fhir/Patient/p1");
    EXPECT_EQ(claims.json().find("at_hash")->text().size(), 22u);
    EXPECT_NE(claims.subject, "patient") << "the account's name stays here";
}

TEST_F(OauthServer, ARetiredSigningKeyIsPublishedUntilItsTokensAreOver) {
    const auto key_count = [&] {
        return must(jose::KeySet::parse(send(net::Method::get, "/oauth/jwks").body)).keys().size();
    };
    EXPECT_EQ(key_count(), 1u);
    must(server->rotate_signing_key());
    EXPECT_EQ(key_count(), 2u);
    surroundings.ahead_seconds = 600;
    EXPECT_EQ(key_count(), 2u);
    surroundings.ahead_seconds = 600 + 121;
    EXPECT_EQ(key_count(), 1u);
    surroundings.ahead_seconds = 31 * 24 * 3600;
    EXPECT_EQ(key_count(), 2u) << "too old: a new one signs";
}

TEST_F(OauthServer, TwoServersOnOneVaultAreOne) {
    const auto second = must(Server::make(vault, surroundings.options(issuer)));
    const net::Response first_keys = send(net::Method::get, "/oauth/jwks");
    const std::string one = code();
    std::swap(server, const_cast<std::unique_ptr<Server>&>(second));
    EXPECT_EQ(send(net::Method::get, "/oauth/jwks").body, first_keys.body);
    EXPECT_EQ(exchange(one).status, 200);
    EXPECT_EQ(exchange(one).status, 400);
}

TEST_F(OauthServer, ABrokenVaultGivesNothing) {
    const std::string one = code();
    const net::Response tokens = exchange(code());
    vault.is_broken = true;
    EXPECT_EQ(authorize().status, 503);
    EXPECT_EQ(exchange(one).status, 503);
    EXPECT_EQ(refresh(member(tokens, "refresh_token")).status, 503);
    const net::Response info =
        send(net::Method::get, "/oauth/userinfo", "",
             {{"Authorization", "Bearer " + member(tokens, "access_token")}});
    EXPECT_EQ(info.status, 503) << "not known whether it is revoked: not believed";
    vault.is_broken = false;
    EXPECT_EQ(exchange(one).status, 200) << "a failed attempt uses nothing up";
}

TEST_F(OauthServer, APublicAppOnALoopbackAddressIsAlwaysAskedFor) {
    Client native;
    native.id = "native";
    native.name = "Native";
    native.redirect_uris = {"http://127.0.0.1/cb"};
    native.scopes = {"openid", "patient/*.rs"};
    native.first_party = true;
    must(server->clients().add(native));
    const net::Parameters change{{"client_id", "native"},
                                 {"redirect_uri", "http://127.0.0.1:7000/cb"}};
    EXPECT_EQ(decide(form_of(authorize(change)), "allow").status, 303);
    EXPECT_EQ(authorize(change).status, 200) << "any program on that machine could be it";
    native.id = "web";
    native.redirect_uris = {"https://web.example/cb"};
    must(server->clients().add(native));
    EXPECT_EQ(authorize({{"client_id", "web"}, {"redirect_uri", "https://web.example/cb"}}).status,
              302)
        << "ours: not asked";
}

TEST_F(OauthServer, AnswersTellAnAttackerNothing) {
    const std::string unknown = exchange(std::string(43, 'x')).body;
    const std::string one = code();
    const std::string wrong_verifier =
        token(
            "grant_type=authorization_code&client_id=app&redirect_uri=https%3A%2F%2Fapp.example%2F"
            "callback&code_verifier=" +
            std::string(43, 'w') + "&code=" + one)
            .body;
    EXPECT_EQ(unknown, wrong_verifier);
    EXPECT_EQ(unknown, R"({"error":"invalid_grant"})");
    const auto client = [&](const std::string& id) {
        return send(net::Method::post, "/oauth/introspect", "token=x",
                    {{"Authorization", "Basic " + base64_encode(id + ":wrong")}})
            .body;
    };
    EXPECT_EQ(client("confidential"), client("nobody"));
    EXPECT_GE(surroundings.audited("oauth.client-authentication", false), 2);
}

TEST_F(OauthServer, ARequestMayComeAsAForm) {
    const std::string back = parameter(authorize({}, "session=nobody"), "return_to");
    const std::string form = back.substr(back.find('?') + 1);
    EXPECT_EQ(
        form_of(send(net::Method::post, "/oauth/authorize", form, {{"Cookie", session}})).size(),
        43u);
    EXPECT_EQ(send(net::Method::post, "/oauth/authorize", form + "&state=t", {{"Cookie", session}})
                  .status,
              400)
        << "a parameter twice";
    EXPECT_EQ(send(net::Method::post, "/oauth/authorize", form).status, 303) << "to sign in";
}

TEST_F(OauthServer, FormsAreFormsAndOtherMethodsAreRefused) {
    EXPECT_EQ(send(net::Method::get, "/oauth/token").status, 405);
    EXPECT_EQ(send(net::Method::put, "/oauth/authorize").status, 405);
    net::Request request;
    request.method = net::Method::post;
    request.target = "/oauth/token";
    request.body = "{}";
    request.headers.add("Content-Type", "application/json");
    EXPECT_EQ(server->handle(request)->status, 400);
    EXPECT_EQ(send(net::Method::post, "/oauth/token?client_id=app", "grant_type=x").status, 400)
        << "parameters belong into the body";
    EXPECT_EQ(send(net::Method::options, "/oauth/token").status, 204);
}

}  // namespace meridian::trust::oauth

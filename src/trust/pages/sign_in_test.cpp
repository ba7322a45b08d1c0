// SPDX-License-Identifier: Apache-2.0
// The pages without a browser; tests/e2e/sign_in.mjs has them with one.
#include "trust/pages/sign_in.hpp"

#include <gtest/gtest.h>

#include "base/json.hpp"
#include "base/query_string.hpp"
#include "trust/accounts/setup.hpp"
#include "trust/pages/html.hpp"
#include "trust/sessions/cookie.hpp"
#include "trust/testing/memory_vault.hpp"
#include "trust/webauthn/testing/software_authenticator.hpp"

namespace meridian::trust {
namespace {

constexpr std::string_view good = "lavendel zieht nach westen";

struct SignInTest : ::testing::Test {
    testing::MemoryVault vault;
    Instant at = now();
    std::vector<std::string> audit;
    Accounts accounts{vault, {.argon2_operations = 1, .argon2_memory_bytes = 8192, .clock = [this] {
                                  return at;
                              }}};
    Sessions sessions{
        vault, accounts, {.origins = {"https://example.org"}, .clock = [this] { return at; }}};
    SignIn sign_in{
        vault,
        accounts,
        sessions,
        {.make_person = [](const NewAccount&) -> Result<std::string> { return "Practitioner/9"; },
         .audit =
             [this](std::string_view what, std::string_view account, bool ok, const net::Request&) {
                 audit.push_back(fmt::format("{} {} {}", what, account, ok));
             },
         .clock = [this] { return at; }}};
    std::map<std::string, std::string> jar;

    void SetUp() override {
        ASSERT_TRUE(accounts.add({.name = "wang",
                                  .role = Role::doctor,
                                  .person = "Practitioner/1",
                                  .password = std::string(good)}));
    }
    net::Request request(net::Method method, std::string target) {
        net::Request out;
        out.method = method;
        out.target = std::move(target);
        out.peer = "192.0.2.1:5000";
        out.headers.add("Host", "example.org");
        std::string cookies;
        for (const auto& [name, value] : jar)
            cookies += fmt::format("{}{}={}", cookies.empty() ? "" : "; ", name, value);
        if (!cookies.empty()) out.headers.add("Cookie", cookies);
        return out;
    }
    net::Response sent(const net::Request& from) {
        net::Response response = *sign_in.handle(from);
        for (std::size_t i = 0; i < response.headers.size(); ++i) {
            if (response.headers[i].name != "Set-Cookie") continue;
            const std::string_view pair =
                response.headers[i].value.substr(0, response.headers[i].value.find(';'));
            const std::size_t equals = pair.find('=');
            jar[std::string(pair.substr(0, equals))] = pair.substr(equals + 1);
            if (equals + 1 == pair.size()) jar.erase(std::string(pair.substr(0, equals)));
        }
        return response;
    }
    net::Response get(std::string target) {
        return sent(request(net::Method::get, std::move(target)));
    }
    net::Response post(std::string target, net::Parameters form) {
        net::Request out = request(net::Method::post, std::move(target));
        form.emplace_back("csrf", Sessions::csrf_token(out));
        out.headers.add("Content-Type", "application/x-www-form-urlencoded");
        out.body = query_string(form);
        return sent(out);
    }
    net::Response post_json(std::string target, std::string body) {
        net::Request out = request(net::Method::post, std::move(target));
        out.headers.add("X-CSRF-Token", Sessions::csrf_token(out));
        out.headers.add("Content-Type", "application/json");
        out.body = std::move(body);
        return sent(out);
    }
    net::Response enter(std::string_view password = good) {
        get("/sign-in");
        return post(
            "/sign-in",
            {{"name", "wang"}, {"password", std::string(password)}, {"return_to", "/chart"}});
    }
    bool signed_in() { return sessions.find(request(net::Method::get, "/")).has_value(); }
};

TEST_F(SignInTest, OtherPathsAreNotItsOwn) {
    for (const char* path : {"/", "/fhir/Patient", "/sign-inn", "/sign-in/", "/accounts"})
        EXPECT_FALSE(sign_in.handle(request(net::Method::get, path))) << path;
    const net::Response other = get("/sign-out");
    EXPECT_EQ(other.status, 405);
    EXPECT_EQ(other.headers.get("Allow"), "POST");
}

TEST_F(SignInTest, PagesForbidWhatTheyDoNotNeed) {
    const net::Response page = get("/sign-in");
    const std::string_view policy = page.headers.get("Content-Security-Policy");
    EXPECT_NE(policy.find("default-src 'none'"), std::string_view::npos);
    EXPECT_EQ(policy.find("unsafe"), std::string_view::npos);
    EXPECT_EQ(page.headers.get("Cache-Control"), "no-store");
    EXPECT_EQ(page.body.find("<script>"), std::string::npos);
    EXPECT_EQ(page.body.find("onclick"), std::string::npos);
}

TEST_F(SignInTest, WhatIsTypedIsShownEscaped) {
    get("/sign-in");
    const net::Response page =
        post("/sign-in",
             {{"name", "\"><script>x</script>"}, {"password", "x"}, {"return_to", "/\"><b>"}});
    EXPECT_EQ(page.status, 403);
    EXPECT_EQ(page.body.find("<script>x"), std::string::npos);
    EXPECT_EQ(page.body.find("<b>"), std::string::npos);
}

TEST_F(SignInTest, PasswordAndOut) {
    const net::Response in = enter();
    EXPECT_EQ(in.status, 303);
    EXPECT_EQ(in.headers.get("Location"), "/chart");
    EXPECT_TRUE(signed_in());
    const net::Response out = post("/sign-out", {});
    EXPECT_EQ(out.status, 303);
    EXPECT_EQ(out.headers.get("Clear-Site-Data"), "\"cache\", \"storage\"");
    EXPECT_FALSE(signed_in());
    EXPECT_EQ(audit, (std::vector<std::string>{"sign-in.password wang true", "sign-in wang true",
                                               "sign-out wang true"}));
}

TEST_F(SignInTest, AOneTimeLinkSetsAPasswordAndEndsSessions) {
    enter();
    ASSERT_TRUE(signed_in());
    const auto signed_in_jar = jar;
    jar.clear();
    const std::string link = *make_account_link(vault, accounts, "wang", [this] { return at; });
    const std::string key = link.substr(link.rfind('=') + 1);
    EXPECT_EQ(get("/setup/account?name=wang&key=guessed").status, 403);
    const net::Response page = get(link);
    EXPECT_EQ(page.status, 200);
    EXPECT_NE(page.body.find("wang"), std::string::npos);
    EXPECT_EQ(page.headers.get("Cache-Control"), "no-store");
    const auto choose = [&](std::string_view with, std::string_view password) {
        return post(
            "/setup/account",
            {{"name", "wang"}, {"key", std::string(with)}, {"password", std::string(password)}});
    };
    EXPECT_EQ(choose("guessed", "a new heron flies").status, 403);
    EXPECT_EQ(choose(key, "short").status, 400);
    net::Request forged = request(net::Method::post, "/setup/account");
    forged.headers.add("Content-Type", "application/x-www-form-urlencoded");
    forged.body = "name=wang&password=a new heron flies&key=" + key;
    EXPECT_EQ(sent(forged).status, 403) << "without the form's token";
    const net::Response set = choose(key, "a new heron flies");
    EXPECT_EQ(set.headers.get("Location"), "/sign-in?done=password");
    EXPECT_EQ(choose(key, "another heron flies").status, 403) << "once";
    EXPECT_TRUE(accounts.verify_password("wang", "a new heron flies"));
    jar = signed_in_jar;
    EXPECT_FALSE(signed_in()) << "whoever was in before is out";
    EXPECT_NE(std::find(audit.begin(), audit.end(), "setup.account wang true"), audit.end());
    for (const std::string& line : audit) EXPECT_EQ(line.find(key), std::string::npos);
}

TEST_F(SignInTest, AfterAChangeOfFactorsOthersCanBeSignedOut) {
    enter();
    const auto first = jar;
    jar.clear();
    enter();
    for (const char* done : {"codes", "passkey", "recovery"})
        EXPECT_NE(get(fmt::format("/account?done={}", done))
                      .body.find(R"(<p>How you sign in has changed)"),
                  std::string::npos)
            << done;
    EXPECT_EQ(get("/account").body.find("How you sign in has changed"), std::string::npos);
    EXPECT_EQ(post("/account/sessions/revoke-others", {}).status, 303);
    EXPECT_TRUE(signed_in());
    jar = first;
    EXPECT_FALSE(signed_in());
}

TEST_F(SignInTest, NeitherAnswerNorAuditTellsWhetherANameExists) {
    const net::Response wrong = enter("wrong");
    get("/sign-in");
    net::Response unknown =
        post("/sign-in", {{"name", "wong"}, {"password", "wrong"}, {"return_to", "/chart"}});
    EXPECT_EQ(wrong.status, 403);
    EXPECT_EQ(unknown.status, 403);
    std::string body = unknown.body;
    for (std::size_t at_name; (at_name = body.find("wong")) != std::string::npos;)
        body.replace(at_name, 4, "wang");
    EXPECT_EQ(body, wrong.body);
    // A password that was typed as the name stays out of the audit.
    post("/sign-in", {{"name", std::string(good)}, {"password", "wang"}});
    EXPECT_EQ(audit.back(), "sign-in.password  false");
}

TEST_F(SignInTest, WithoutItsTokenNothingChanges) {
    get("/sign-in");
    net::Request forged = request(net::Method::post, "/sign-in");
    forged.headers.add("Content-Type", "application/x-www-form-urlencoded");
    forged.body = query_string({{"name", "wang"}, {"password", std::string(good)}});
    EXPECT_EQ(sent(forged).status, 403);
    EXPECT_FALSE(signed_in());
}

TEST_F(SignInTest, AFreshProofIsAskedForBeforeSignInChanges) {
    enter();
    EXPECT_EQ(post("/account/codes", {}).status, 200);
    at.milliseconds += 11 * 60'000;
    EXPECT_EQ(post("/account/codes", {}).headers.get("Location"), "/step-up?return_to=%2Faccount");
    EXPECT_EQ(post("/step-up", {{"code", std::string(good)}, {"return_to", "//evil.example"}})
                  .headers.get("Location"),
              "/");
    EXPECT_EQ(post("/account/codes", {}).status, 200);
}

TEST_F(SignInTest, PasskeyOfEdDsaSignsIn) {
    enter();
    testing::SoftwareAuthenticator device(cose_eddsa);
    const net::Response options = post_json("/account/passkeys/options", "{}");
    ASSERT_EQ(options.status, 200);
    ASSERT_EQ(post_json("/account/passkeys", device.registration_answer(options.body)).status, 200);
    EXPECT_EQ(post_json("/account/passkeys", device.registration_answer(options.body)).status, 403)
        << "once";
    post("/sign-out", {});
    get("/sign-in");
    device.user_handle = (*accounts.find("wang"))->user_handle;
    device.counter = 7;
    const net::Response asked = post_json("/sign-in/passkey/options", "{}");
    const std::string answer = device.assertion_answer(asked.body);
    const net::Response in = post_json("/sign-in/passkey", answer);
    EXPECT_EQ(in.status, 200) << in.body;
    EXPECT_TRUE(signed_in());
    // Played again, by somebody who saw it.
    jar.clear();
    get("/sign-in");
    EXPECT_EQ(post_json("/sign-in/passkey", answer).status, 403);
    // Not verified, not touched, another's handle, a counter that went back.
    const auto tries = [&](auto alter) {
        testing::SoftwareAuthenticator& one = device;
        one.user_present = one.user_verified = true;
        one.user_handle = (*accounts.find("wang"))->user_handle;
        one.counter += 1;
        alter(one);
        return post_json("/sign-in/passkey",
                         one.assertion_answer(post_json("/sign-in/passkey/options", "{}").body))
            .status;
    };
    EXPECT_EQ(tries([](auto& one) { one.user_verified = false; }), 403);
    EXPECT_EQ(tries([](auto& one) { one.user_present = false; }), 403);
    EXPECT_EQ(tries([](auto& one) { one.user_handle = "somebody"; }), 403);
    EXPECT_EQ(tries([](auto& one) { one.user_handle.clear(); }), 403);
    EXPECT_EQ(tries([](auto& one) { one.counter = 3; }), 403);
    device.counter = 20;
    EXPECT_EQ(tries([](auto&) {}), 200);
}

TEST_F(SignInTest, APasswordIsChangedByWhoKnowsTheOldOne) {
    constexpr std::string_view other = "die kraniche bleiben noch";
    const auto change = [&](std::string_view current, std::string_view wanted) {
        return post("/account/password",
                    {{"current", std::string(current)}, {"new", std::string(wanted)}});
    };
    enter();
    const auto elsewhere = jar;
    jar.clear();
    enter();
    EXPECT_EQ(change("not this", other).status, 403);
    EXPECT_EQ(change(good, "baseball").status, 400) << "one that everybody tries";
    EXPECT_TRUE(accounts.verify_password("wang", good)) << "nothing changed so far";
    const net::Response changed = change(good, other);
    EXPECT_EQ(changed.headers.get("Location"), "/account?done=password") << changed.body;
    EXPECT_TRUE(signed_in());
    EXPECT_FALSE(accounts.verify_password("wang", good));
    jar = elsewhere;
    EXPECT_FALSE(signed_in()) << "whoever is signed in elsewhere is out";
    jar.clear();
    EXPECT_EQ(enter(good).status, 403);
    EXPECT_EQ(enter(other).status, 303);
    EXPECT_EQ(std::ranges::count(audit, "account.password wang true"), 1);
}

/// The tags of a page that begin like `begin`.
std::vector<std::string> tags(std::string_view page, std::string_view begin) {
    std::vector<std::string> found;
    for (std::size_t at = 0; (at = page.find(begin, at)) != std::string_view::npos; ++at)
        found.emplace_back(page.substr(at, page.find('>', at) + 1 - at));
    return found;
}

TEST_F(SignInTest, FieldsOfPasswordsHideThemAndLetManagersFillThem) {
    const std::string link = *make_setup_link(vault, accounts);
    std::vector<std::string> pages{get("/sign-in").body, get(link).body};
    enter();
    pages.push_back(get("/account").body);
    pages.push_back(get("/step-up").body);
    std::size_t hidden = 0;
    for (const std::string& page : pages) {
        ASSERT_NE(page.find("<form"), std::string::npos) << page;
        for (const std::string& input : tags(page, "<input")) {
            const bool is_hidden = input.find("type=\"password\"") != std::string::npos;
            hidden += is_hidden ? 1 : 0;
            // What a manager is to fill in as a password is one, and the other way round.
            const bool is_secret =
                input.find("autocomplete=\"current-password\"") != std::string::npos ||
                input.find("autocomplete=\"new-password\"") != std::string::npos;
            EXPECT_EQ(is_hidden, is_secret) << input;
            for (const char* name : {"\"password\"", "\"current\"", "\"new\""}) {
                const bool is_named = input.find(fmt::format("name={}", name)) != std::string::npos;
                EXPECT_TRUE(is_hidden || !is_named) << input;
            }
            for (const char* hinders : {"onpaste", "readonly", "oncopy", "maxlength=\"64\""}) {
                EXPECT_TRUE(!is_hidden || input.find(hinders) == std::string::npos) << input;
            }
        }
    }
    EXPECT_EQ(hidden, 5u) << "sign-in, set-up, the old and the new one, step-up";
    const std::string script = get(std::string(script_path)).body;
    for (const char* hinders : {"'paste'", "'keydown'", "'beforeinput'", "clipboard"})
        EXPECT_EQ(script.find(hinders), std::string::npos) << hinders;
}

TEST_F(SignInTest, OnlyOwnPaths) {
    EXPECT_EQ(own_path("/fhir/Patient?name=a%20b&x=1#y"), "/fhir/Patient?name=a%20b&x=1#y");
    for (const char* evil : {"", "//evil", "/\\evil", "https://evil", "javascript:x", "/a b",
                             "/a\r\nb", "evil", "/a\tb", "/\x7f"})
        EXPECT_EQ(own_path(evil), "/") << evil;
    EXPECT_EQ(own_path("/" + std::string(limits::return_to_bytes_max, 'a')), "/");
}

}  // namespace
}  // namespace meridian::trust

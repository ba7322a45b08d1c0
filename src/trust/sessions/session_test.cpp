// SPDX-License-Identifier: Apache-2.0
#include "trust/sessions/session.hpp"

#include <gtest/gtest.h>

#include "base/hash.hpp"
#include "trust/sessions/cookie.hpp"
#include "trust/testing/memory_vault.hpp"

namespace meridian::trust {
namespace {

std::string pair_of(std::string_view set_cookie) {
    return std::string(set_cookie.substr(0, set_cookie.find(';')));
}

net::Request with_cookie(std::string_view pair, net::Method method = net::Method::get) {
    net::Request request;
    request.method = method;
    request.peer = "192.0.2.1:1000";
    request.headers.add("Host", "record.example.org");
    request.headers.add("User-Agent", "Browser/1");
    if (!pair.empty()) request.headers.add("Cookie", pair);
    return request;
}

struct SessionTest : ::testing::Test {
    testing::MemoryVault vault;
    Instant at = now();
    Accounts accounts{vault, {.argon2_operations = 1, .argon2_memory_bytes = 8192}};
    Sessions sessions{vault, accounts, {.clock = [this] { return at; }}};
    Account wang = *accounts.add({.name = "wang",
                                  .role = Role::doctor,
                                  .person = "Practitioner/1",
                                  .organisation = "Organization/1"});

    std::string start(std::string_view pair = {}) {
        return pair_of(*sessions.start(with_cookie(pair), wang, {"pwd"}));
    }
    void pass(std::chrono::seconds time) {
        at.milliseconds += std::chrono::milliseconds(time).count();
    }
};

TEST_F(SessionTest, ACookieStandsForASubject) {
    const std::string header = *sessions.start(with_cookie(""), wang, {"pwd", "otp"});
    EXPECT_TRUE(header.starts_with("__Host-meridian="));
    EXPECT_NE(header.find("; Path=/; Secure; HttpOnly; SameSite=Lax"), std::string::npos);
    const auto subject = sessions.find(with_cookie(pair_of(header)));
    ASSERT_TRUE(subject);
    EXPECT_EQ(subject->account, "wang");
    EXPECT_EQ(subject->role, Role::doctor);
    EXPECT_EQ(subject->person, "Practitioner/1");
    EXPECT_EQ(subject->methods, (std::vector<std::string>{"pwd", "otp"}));
    EXPECT_EQ(subject->authenticated_at, at);
    EXPECT_FALSE(sessions.find(with_cookie("")));
    EXPECT_FALSE(sessions.find(with_cookie("__Host-meridian=" + std::string(43, 'A'))));
    EXPECT_FALSE(sessions.find(with_cookie(pair_of(header) + "; __Host-meridian=x")))
        << "two cookies";
    // The vault knows the secret's hash only.
    const std::string secret = pair_of(header).substr(16);
    EXPECT_EQ(vault.list("session", "", 10)->front().key, to_hex(sha256(secret)));
}

TEST_F(SessionTest, EndsWhenIdleAndInAnyCase) {
    const std::string pair = start();
    for (int i = 0; i < 20; ++i) {
        pass(std::chrono::minutes(29));
        EXPECT_TRUE(sessions.find(with_cookie(pair))) << i;
    }
    pass(std::chrono::minutes(31));
    EXPECT_FALSE(sessions.find(with_cookie(pair))) << "idle";
    const std::string busy = start();
    int minutes = 0;
    for (; minutes < 24 * 60 && sessions.find(with_cookie(busy)); minutes += 20)
        pass(std::chrono::minutes(20));
    EXPECT_EQ(minutes, 12 * 60) << "absolute";
}

TEST_F(SessionTest, SignInAndStepUpGiveANewSecret) {
    const std::string first = start();
    const std::string second = start(first);
    EXPECT_NE(first, second);
    EXPECT_FALSE(sessions.find(with_cookie(first)));
    const std::string id = sessions.find(with_cookie(second))->session;
    pass(std::chrono::minutes(10));
    const std::string third = pair_of(*sessions.renew(with_cookie(second), {"hwk"}));
    EXPECT_FALSE(sessions.find(with_cookie(second)));
    const auto subject = sessions.find(with_cookie(third));
    ASSERT_TRUE(subject);
    EXPECT_EQ(subject->session, id) << "it is revoked as one";
    EXPECT_EQ(subject->authenticated_at, at);
    EXPECT_EQ(subject->methods, std::vector<std::string>{"hwk"});
    EXPECT_EQ(sessions.list("wang")->size(), 1u);
}

TEST_F(SessionTest, OfAnAdministratorStaysInItsNetwork) {
    const Account root =
        *accounts.add({.name = "root", .role = Role::security_admin, .person = "Practitioner/2"});
    const std::string admin = pair_of(*sessions.start(with_cookie(""), root, {"pwd", "otp"}));
    const std::string doctor = start();
    const auto elsewhere = [](std::string_view pair) {
        net::Request request = with_cookie(pair);
        request.peer = "198.51.100.7:1000";
        return request;
    };
    EXPECT_TRUE(sessions.find(with_cookie(admin)));
    EXPECT_FALSE(sessions.find(elsewhere(admin)));
    EXPECT_FALSE(sessions.renew(elsewhere(admin), {"otp"})) << "no proof brings it along";
    EXPECT_TRUE(sessions.find(with_cookie(admin))) << "who was there from the start stays";
    EXPECT_TRUE(sessions.find(elsewhere(doctor)));
}

TEST_F(SessionTest, RequireRecent) {
    const std::string pair = start();
    EXPECT_TRUE(
        sessions.require_recent(*sessions.find(with_cookie(pair)), std::chrono::minutes(5)));
    EXPECT_FALSE(sessions.require_recent(*sessions.find(with_cookie(pair)), std::chrono::minutes(5),
                                         {"otp", "hwk"}));
    pass(std::chrono::minutes(6));
    const auto refused =
        sessions.require_recent(*sessions.find(with_cookie(pair)), std::chrono::minutes(5));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().category, Category::unauthenticated);
    EXPECT_EQ(refused.error().where, "step-up;max_age=300");
    const std::string renewed = pair_of(*sessions.renew(with_cookie(pair), {"otp"}));
    EXPECT_TRUE(sessions.require_recent(*sessions.find(with_cookie(renewed)),
                                        std::chrono::minutes(5), {"otp", "hwk"}));
}

TEST_F(SessionTest, ListAndRevoke) {
    const std::string first = start();
    pass(std::chrono::seconds(1));
    const std::string second = start();
    const auto list = sessions.list("wang");
    ASSERT_EQ(list->size(), 2u);
    EXPECT_EQ((*list)[0].device, "Browser/1");
    EXPECT_EQ((*list)[0].network, "192.0.2.1");
    EXPECT_EQ((*list)[0].id, sessions.find(with_cookie(second))->session);
    EXPECT_FALSE(sessions.revoke("li", (*list)[1].id));
    ASSERT_TRUE(sessions.revoke("wang", (*list)[1].id));
    EXPECT_FALSE(sessions.find(with_cookie(first)));
    EXPECT_TRUE(sessions.find(with_cookie(second)));
    const std::string third = start();
    ASSERT_TRUE(sessions.revoke_all("wang", sessions.find(with_cookie(third))->session));
    EXPECT_FALSE(sessions.find(with_cookie(second)));
    EXPECT_TRUE(sessions.find(with_cookie(third)));
    ASSERT_TRUE(sessions.revoke_all("WANG"));
    EXPECT_FALSE(sessions.find(with_cookie(third)));
}

TEST_F(SessionTest, EverybodysEndButOne) {
    const Account li = *accounts.add({.name = "li", .role = Role::nurse});
    const std::string own = start();
    const std::string other = pair_of(*sessions.start(with_cookie(""), li, {"pwd"}));
    EXPECT_EQ(*sessions.revoke_everybody("wang"), 1u);
    EXPECT_TRUE(sessions.find(with_cookie(own)));
    EXPECT_FALSE(sessions.find(with_cookie(other)));
    EXPECT_EQ(*sessions.revoke_everybody(), 2u);
    EXPECT_FALSE(sessions.find(with_cookie(own)));
}

TEST_F(SessionTest, ADisabledAccountHasNone) {
    const std::string pair = start();
    ASSERT_TRUE(accounts.set_disabled("wang", true));
    EXPECT_FALSE(sessions.find(with_cookie(pair)));
}

TEST_F(SessionTest, RoleIsTheAccountsPresentOne) {
    const std::string pair = start();
    ASSERT_TRUE(accounts.change_role("wang", Role::researcher));
    EXPECT_EQ(sessions.find(with_cookie(pair))->role, Role::researcher);
}

TEST_F(SessionTest, TheNumberPerAccountIsBounded) {
    const std::string first = start();
    for (std::size_t i = 0; i < limits::sessions_per_account_max; ++i) {
        pass(std::chrono::seconds(1));
        start();
    }
    EXPECT_FALSE(sessions.find(with_cookie(first)));
    EXPECT_EQ(sessions.list("wang")->size(), limits::sessions_per_account_max);
}

TEST_F(SessionTest, OneThatMustEnrolOpensNothing) {
    const std::string pair = pair_of(*sessions.start(with_cookie(""), wang, {"pwd"}, true));
    EXPECT_FALSE(sessions.find(with_cookie(pair)));
    const auto found = sessions.look_up(with_cookie(pair));
    ASSERT_TRUE(found && *found);
    EXPECT_TRUE((*found)->must_enrol);
    const std::string still = pair_of(*sessions.renew(with_cookie(pair), {"pwd"}));
    EXPECT_FALSE(sessions.find(with_cookie(still))) << "the password again is no second factor";
    ASSERT_TRUE(accounts.add_passkey("wang", {.id = "k"}));
    const std::string renewed = pair_of(*sessions.renew(with_cookie(still), {"pwd", "hwk"}));
    EXPECT_TRUE(sessions.find(with_cookie(renewed)));
}

TEST_F(SessionTest, ForgedRequestsAreRefused) {
    const std::string pair = start();
    const std::string token = Sessions::csrf_token(with_cookie(pair));
    const auto check = [&](std::initializer_list<net::Headers::Field> fields,
                           net::Method method = net::Method::post) {
        net::Request request = with_cookie(pair, method);
        for (const auto& field : fields) request.headers.add(field.name, field.value);
        return sessions.check_csrf(request).has_value();
    };
    EXPECT_TRUE(check({}, net::Method::get));
    EXPECT_FALSE(check({}));
    EXPECT_TRUE(check({{"X-CSRF-Token", token}}));
    EXPECT_TRUE(check({{"X-CSRF-Token", token},
                       {"Origin", "https://record.example.org"},
                       {"Sec-Fetch-Site", "same-origin"}}));
    EXPECT_FALSE(check({{"X-CSRF-Token", token}, {"Origin", "https://evil.example"}}));
    EXPECT_FALSE(check({{"X-CSRF-Token", token}, {"Origin", "null"}}));
    EXPECT_FALSE(check({{"X-CSRF-Token", token}, {"Origin", "http://record.example.org"}}))
        << "not by http";
    EXPECT_FALSE(check({{"X-CSRF-Token", token}, {"Sec-Fetch-Site", "cross-site"}}));
    EXPECT_FALSE(check({{"X-CSRF-Token", token}, {"Sec-Fetch-Site", "same-site"}}));
    EXPECT_FALSE(check({{"X-CSRF-Token", Sessions::csrf_token_for("other")}}));
    EXPECT_FALSE(check({{"X-CSRF-Token", ""}}));
    for (const net::Method method :
         {net::Method::put, net::Method::patch, net::Method::delete_, net::Method::other})
        EXPECT_FALSE(check({}, method));
    net::Request form = with_cookie(pair, net::Method::post);
    form.headers.add("Content-Type", "application/x-www-form-urlencoded");
    form.body = "a=1&csrf=" + token;
    EXPECT_TRUE(sessions.check_csrf(form));
    form.body = "a=1";
    EXPECT_FALSE(sessions.check_csrf(form));
    net::Request without = with_cookie("", net::Method::post);
    without.headers.add("X-CSRF-Token", Sessions::csrf_token_for(""));
    EXPECT_FALSE(sessions.check_csrf(without));
}

}  // namespace
}  // namespace meridian::trust

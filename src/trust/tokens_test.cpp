// SPDX-License-Identifier: Apache-2.0
#include "trust/tokens.hpp"

#include <gtest/gtest.h>

#include "base/testing.hpp"

namespace meridian::trust {
namespace {

using meridian::testing::must;

SecretKey key_of(unsigned char fill) {
    SecretKey key;
    key.fill(fill);
    return key;
}

Subject doctor() {
    return {.account = "li",
            .role = Role::doctor,
            .person = "Practitioner/7",
            .organisation = "Organization/1",
            .scopes = {"user/Observation.rs?category=laboratory", "openid"},
            .patient = "Patient/3",
            .client = "app",
            .session = "s1",
            .authenticated_at = Instant{1'700'000'000'000},
            .methods = {"pwd", "otp"}};
}

constexpr std::int64_t hour = 3'600'000;

TEST(Tokens, ATokenSaysWhoItWasIssuedTo) {
    const Tokens tokens(key_of(1));
    const Instant later{now().milliseconds + hour};
    const auto opened = must(tokens.open(tokens.issue(doctor(), later), now()));
    EXPECT_EQ(to_json(opened.subject), to_json(doctor()));
    EXPECT_EQ(opened.expires, later);
    EXPECT_FALSE(opened.id.empty());
    const std::string token = tokens.issue(doctor(), later);
    EXPECT_EQ(token.find("Practitioner"), std::string::npos);
    EXPECT_NE(token, tokens.issue(doctor(), later));
}

TEST(Tokens, WhatWasNotIssuedHereIsRefusedInTheSameWords) {
    const Tokens tokens(key_of(1));
    const Instant later{now().milliseconds + hour};
    const std::string token = tokens.issue(doctor(), later);
    const std::string words = tokens.open("", now()).error().message;
    const auto expect_refused = [&](const Tokens& by, const std::string& what, Instant at) {
        const auto opened = by.open(what, at);
        ASSERT_FALSE(opened) << what;
        EXPECT_EQ(opened.error().category, Category::unauthenticated);
        EXPECT_EQ(opened.error().message, words);
    };
    expect_refused(tokens, token, later);
    expect_refused(tokens, token, Instant{later.milliseconds + 1});
    expect_refused(Tokens(key_of(2)), token, now());
    expect_refused(tokens, "mrd1.", now());
    expect_refused(tokens, "mrd1.!!!!", now());
    expect_refused(tokens, "eyJhbGciOiJub25lIn0.eyJzdWIiOiJsaSJ9.", now());
    expect_refused(tokens, token + "A", now());
    expect_refused(tokens, std::string(1u << 20, 'A'), now());
    for (std::size_t at = 0; at < token.size(); ++at) {
        std::string altered = token;
        altered[at] = altered[at] == 'A' ? 'B' : 'A';
        expect_refused(tokens, altered, now());
    }
}

TEST(Tokens, OnlyTheHeaderOfRfc6750CarriesOne) {
    EXPECT_EQ(bearer_token("Bearer abc"), "abc");
    EXPECT_EQ(bearer_token("bEARER  abc"), "abc");
    EXPECT_FALSE(bearer_token("Basic abc"));
    EXPECT_FALSE(bearer_token("Bearer"));
    EXPECT_FALSE(bearer_token(""));
}

TEST(Subject, AStoredFormOfAnotherKindIsRefused) {
    for (const char* text : {"{}", R"({"role":"doctor"})", R"({"role":"king","at":1})",
                             R"({"role":"doctor","at":"1x"})", "[]", "1"}) {
        const auto document = must(JsonDocument::parse(text));
        EXPECT_FALSE(subject_of(document.root())) << text;
    }
}

}  // namespace
}  // namespace meridian::trust

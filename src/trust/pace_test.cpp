// SPDX-License-Identifier: Apache-2.0
#include "trust/pace.hpp"

#include <gtest/gtest.h>

#include "trust/limits.hpp"

namespace meridian::trust {
namespace {

struct PaceTest : ::testing::Test {
    Pace::Clock::time_point at{};
    Pace pace{[this] { return at; }};

    static Subject subject(std::string account, Role role = Role::doctor) {
        Subject made;
        made.account = std::move(account);
        made.role = role;
        return made;
    }
    unsigned taken(const Subject& who, unsigned tries) {
        unsigned count = 0;
        for (unsigned i = 0; i < tries; ++i) count += pace.take(who) ? 1 : 0;
        return count;
    }
};

TEST_F(PaceTest, ABurstIsGivenAndComesBackAtARate) {
    const Subject wang = subject("wang");
    EXPECT_EQ(taken(wang, 5'000), limits::account_requests_burst);
    const auto refused = pace.take(wang);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().category, Category::busy);
    EXPECT_EQ(refused.error().where, "1") << "the seconds to wait";
    for (int second = 0; second < 3; ++second) {
        at += std::chrono::seconds(1);
        EXPECT_EQ(taken(wang, 5'000), limits::account_requests_a_second);
    }
    at += std::chrono::hours(1);
    EXPECT_EQ(taken(wang, 5'000), limits::account_requests_burst) << "and no more than that";
}

TEST_F(PaceTest, EachAccountHasItsOwnAndSessionsShareIt) {
    Subject app = subject("wang");
    app.session = "another";
    EXPECT_EQ(taken(subject("wang"), 5'000), limits::account_requests_burst);
    EXPECT_EQ(taken(app, 10), 0u);
    EXPECT_EQ(taken(subject("li", Role::patient), 10), 10u);
    EXPECT_EQ(taken(subject("bridge", Role::system_client), 5'000), 5'000u) << "a program by role";
}

TEST_F(PaceTest, WhatIsRememberedIsBounded) {
    const Subject wang = subject("wang");
    taken(wang, 5'000);
    for (std::size_t i = 1; i < limits::accounts_paced_max; ++i)
        ASSERT_TRUE(pace.take(subject(std::to_string(i))));
    at += std::chrono::seconds(2);  // all but the busy one have rested
    ASSERT_TRUE(pace.take(subject("one more")));
    EXPECT_EQ(pace.size(), 2u);
    EXPECT_EQ(taken(wang, 5'000), 2 * limits::account_requests_a_second) << "it is still known";
    for (std::size_t i = 0; i < 2 * limits::accounts_paced_max; ++i)
        ASSERT_TRUE(pace.take(subject(std::to_string(i))));
    EXPECT_LE(pace.size(), limits::accounts_paced_max);
}

}  // namespace
}  // namespace meridian::trust

// SPDX-License-Identifier: Apache-2.0
#include "trust/accounts/throttle.hpp"

#include <gtest/gtest.h>

#include "trust/accounts/device.hpp"
#include "trust/sessions/cookie.hpp"
#include "trust/testing/memory_vault.hpp"

namespace meridian::trust {
namespace {

struct ThrottleTest : ::testing::Test {
    testing::MemoryVault vault;
    Instant at = now();
    Throttle throttle{vault, [this] { return at; }};

    bool may(std::string_view network, std::string_view device = {},
             std::string_view account = "victim", Proof proof = Proof::password) {
        return throttle.begin({proof, account, network, device}).has_value();
    }
    /// Guesses heard while somebody tries each second as often as `tries`, from ever new networks.
    int heard_in(std::chrono::seconds duration, Proof proof, bool same_network, bool same_account,
                 std::string device = {}) {
        int heard = 0;
        for (std::int64_t second = 0; second < duration.count(); ++second) {
            const std::string network =
                same_network ? "192.0.2.1"
                             : fmt::format("198.51.{}.{}", second / 250 % 250, second % 250);
            const std::string account = same_account ? "victim" : fmt::format("account{}", second);
            if (may(network, device, account, proof)) ++heard;
            at.milliseconds += 1000;
        }
        return heard;
    }
};

TEST_F(ThrottleTest, AnUnlockedAccountStartsAnewAndNetworksDoNot) {
    while (may("192.0.2.1")) continue;
    while (may("", "device")) continue;
    while (may("192.0.2.1", {}, "another")) continue;
    ASSERT_TRUE(throttle.unlock("victim"));
    EXPECT_TRUE(may("192.0.2.1"));
    EXPECT_TRUE(may("", "device"));
    EXPECT_FALSE(may("192.0.2.1", {}, "another"));
    while (may("192.0.2.1")) continue;
    ASSERT_TRUE(throttle.unlock("victim"));
    EXPECT_TRUE(may("192.0.2.1")) << "again";
    // Guessing at ever new names from one network stays slow, whoever is unlocked.
    int heard = 0;
    while (may("192.0.2.9", {}, fmt::format("name{}", heard))) ++heard;
    ASSERT_TRUE(throttle.unlock("victim"));
    EXPECT_FALSE(may("192.0.2.9"));
}

TEST_F(ThrottleTest, AttackersElsewhereDoNotLockOutAKnownDevice) {
    const int guesses = heard_in(std::chrono::hours(2), Proof::password, false, true);
    EXPECT_GT(guesses, 5);
    EXPECT_FALSE(may("203.0.113.9")) << "a stranger has to wait";
    // The owner mistypes, and gets in at once.
    EXPECT_TRUE(may("203.0.113.9", "known"));
    EXPECT_TRUE(may("203.0.113.9", "known"));
    ASSERT_TRUE(throttle.succeeded({Proof::password, "victim", "203.0.113.9", "known"}));
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(may("203.0.113.9", "known"));
}

TEST_F(ThrottleTest, GuessesPerHourStayBelowWhatTheHeaderStates) {
    EXPECT_LT(heard_in(std::chrono::hours(1), Proof::password, false, true), 30);
    EXPECT_LT(heard_in(std::chrono::hours(1), Proof::password, false, true), 30);
}
TEST_F(ThrottleTest, GuessesPerDay) {
    EXPECT_LT(heard_in(std::chrono::hours(24), Proof::password, false, true), 140);
}
TEST_F(ThrottleTest, GuessesOfAStolenDevice) {
    EXPECT_LT(heard_in(std::chrono::hours(1), Proof::password, true, true, "stolen"), 30);
}
TEST_F(ThrottleTest, GuessesOfOneNetwork) {
    EXPECT_LT(heard_in(std::chrono::hours(1), Proof::password, true, false), 120);
}
TEST_F(ThrottleTest, GuessesAtCodes) {
    EXPECT_LT(heard_in(std::chrono::hours(1), Proof::code, false, true), 30);
}

TEST_F(ThrottleTest, ADelayIsStatedAndARefusedAttemptDoesNotProlongIt) {
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(may("192.0.2.1"));
    const auto refused = throttle.begin({Proof::password, "victim", "192.0.2.1", ""});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().category, Category::busy);
    EXPECT_EQ(refused.error().where, "5");
    for (int i = 0; i < 100; ++i) EXPECT_FALSE(may("192.0.2.1"));
    at.milliseconds += 5000;
    EXPECT_TRUE(may("192.0.2.1"));
}

TEST_F(ThrottleTest, SuccessStartsAnew) {
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(may("192.0.2.1"));
    ASSERT_TRUE(throttle.succeeded({Proof::password, "victim", "192.0.2.1", ""}));
    EXPECT_TRUE(may("192.0.2.1"));
}

TEST_F(ThrottleTest, ManyAtOnceAreCountedBeforeTheyAreHeard) {
    int heard = 0;
    std::vector<std::thread> threads;
    std::mutex mutex;
    for (int i = 0; i < 16; ++i) {
        threads.emplace_back([&] {
            if (may("192.0.2.1")) {
                const std::lock_guard lock(mutex);
                ++heard;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_LE(heard, 5);
}

TEST_F(ThrottleTest, TwoServersCountTogether) {
    Throttle other(vault, [this] { return at; });
    for (int i = 0; i < 5; ++i)
        EXPECT_TRUE(
            (i % 2 == 0 ? throttle : other).begin({Proof::password, "victim", "192.0.2.1", ""}));
    EXPECT_FALSE(throttle.begin({Proof::password, "victim", "192.0.2.1", ""}));
    EXPECT_FALSE(other.begin({Proof::password, "victim", "192.0.2.1", ""}));
}

TEST(Network, IsAnAddressOrAPrefix) {
    EXPECT_EQ(network_of("192.0.2.7:51234"), "192.0.2.7");
    EXPECT_EQ(network_of("192.0.2.7"), "192.0.2.7");
    EXPECT_EQ(network_of("[2001:db8:1:2:3:4:5:6]:443"), "2001:db8:1:2::/64");
    EXPECT_EQ(network_of("2001:db8:1:2:ffff::1"), "2001:db8:1:2::/64");
    EXPECT_EQ(network_of("[::ffff:192.0.2.7]:80"), "192.0.2.7");
    EXPECT_EQ(network_of(""), "");
}

net::Request with_cookie(std::string_view set_cookie) {
    net::Request request;
    request.headers.add("Cookie", set_cookie.substr(0, set_cookie.find(';')));
    return request;
}

TEST(Device, ACookieIsKnownForItsAccountAlone) {
    testing::MemoryVault vault;
    Instant at = now();
    Devices devices(vault, [&] { return at; });
    const std::string first = *devices.remember({}, "wang");
    const net::Request request = with_cookie(first);
    const std::string number = *devices.known(request, "wang", {});
    EXPECT_FALSE(number.empty());
    EXPECT_EQ(*devices.known(request, "li", {}), "");
    EXPECT_EQ(*devices.known({}, "wang", {}), "");
    EXPECT_EQ(first.find("wang"), std::string::npos);
    // A second account on the same computer leaves the first one known.
    const net::Request both = with_cookie(*devices.remember(request, "li"));
    EXPECT_EQ(*devices.known(both, "wang", {}), number);
    EXPECT_NE(*devices.known(both, "li", {}), "");
    // Forgotten by the owner, or too old.
    EXPECT_EQ(*devices.known(both, "wang", {at.milliseconds + 1}), "");
    at.milliseconds += 366LL * 86'400'000;
    EXPECT_EQ(*devices.known(both, "wang", {}), "");
}

TEST(Device, AnAlteredCookieIsAStranger) {
    testing::MemoryVault vault;
    Devices devices(vault);
    const std::string header = *devices.remember({}, "wang");
    const std::string pair = header.substr(0, header.find(';'));
    for (std::size_t at = device_cookie.size() + 1; at < pair.size(); ++at) {
        std::string altered = pair;
        altered[at] = altered[at] == 'A' ? 'B' : 'A';
        EXPECT_EQ(*devices.known(with_cookie(altered), "wang", {}), "") << at;
    }
    testing::MemoryVault elsewhere;
    EXPECT_EQ(*Devices(elsewhere).known(with_cookie(header), "wang", {}), "");
}

TEST(Device, ABoundedNumberOfAccounts) {
    testing::MemoryVault vault;
    Devices devices(vault);
    net::Request request;
    for (int i = 0; i < 20; ++i)
        request = with_cookie(*devices.remember(request, fmt::format("account{}", i)));
    EXPECT_NE(*devices.known(request, "account12", {}), "");
    EXPECT_EQ(*devices.known(request, "account11", {}), "");
    EXPECT_LT(request.headers.get("Cookie").size(), 1500u);
}

}  // namespace
}  // namespace meridian::trust

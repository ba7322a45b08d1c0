// SPDX-License-Identifier: Apache-2.0
#include "net/detail/peers.hpp"

#include <gtest/gtest.h>

namespace meridian::net::detail {
namespace {

AddressRanges ranges(const std::vector<std::string>& texts) {
    return AddressRanges::parse(texts).value();
}

TEST(Address, IsOneForBothFamilies) {
    EXPECT_EQ(Address::parse("192.0.2.7"), Address::parse("::ffff:192.0.2.7"));
    EXPECT_EQ(Address::parse("::ffff:192.0.2.7")->to_text(), "192.0.2.7");
    EXPECT_EQ(Address::parse("2001:DB8::0:7")->to_text(), "2001:db8::7");
    EXPECT_TRUE(Address::parse("127.8.9.1")->is_loopback());
    EXPECT_TRUE(Address::parse("::1")->is_loopback());
    EXPECT_FALSE(Address::parse("::2")->is_loopback());
    EXPECT_FALSE(Address::parse("128.0.0.1")->is_loopback());
    for (const char* bad : {"", "localhost", "1.2.3", "1.2.3.4:80", "[::1]", "fe80::1%eth0",
                            "1.2.3.4.5", "01.2.3.4", "::1 "})
        EXPECT_EQ(Address::parse(bad), std::nullopt) << bad;
}

TEST(Address, HasTheNetworkOfOneCustomer) {
    const auto network = [](const char* text) { return Address::parse(text)->network(); };
    EXPECT_EQ(network("2001:db8:1:2::7"), network("2001:db8:1:2:ffff::9"));
    EXPECT_NE(network("2001:db8:1:2::7"), network("2001:db8:1:3::7"));
    EXPECT_NE(network("192.0.2.7"), network("192.0.2.8"));
}

TEST(AddressRanges, ContainWhatTheirPrefixSays) {
    const AddressRanges all = ranges({"10.1.0.0/16", "192.0.2.7", "2001:db8::/33"});
    const auto contains = [&](const char* text) { return all.contains(*Address::parse(text)); };
    EXPECT_TRUE(contains("10.1.255.255"));
    EXPECT_FALSE(contains("10.2.0.0"));
    EXPECT_TRUE(contains("::ffff:10.1.0.9"));
    EXPECT_TRUE(contains("192.0.2.7"));
    EXPECT_FALSE(contains("192.0.2.6"));
    EXPECT_TRUE(contains("2001:db8:7fff::1"));
    EXPECT_FALSE(contains("2001:db8:8000::1"));
    EXPECT_FALSE(ranges({"0.0.0.0/0"}).contains(*Address::parse("::1"))) << "all of IPv4, no more";
    EXPECT_FALSE(AddressRanges().contains(*Address::parse("127.0.0.1")));
    for (const char* bad : {"", "10.1.0.0/33", "10.1.2.0/16", "10.1.0.0/", "10.1.0.0/x", "::/129",
                            "proxy.example", "10.1.0.0/16/8", "10.1.0.0/-1"})
        EXPECT_FALSE(AddressRanges::parse({bad}).has_value()) << bad;
}

Request request(std::initializer_list<Headers::Field> headers) {
    Request made;
    made.headers = headers;
    made.headers.add("Host", "inside:8080");
    made.peer = "10.1.0.1:999";
    return made;
}

struct Settled {
    std::string peer;
    bool is_secure;
    std::string host;
    bool operator==(const Settled&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Settled& one) {
    return out << one.peer << ' ' << one.is_secure << ' ' << one.host;
}

Settled settled(std::initializer_list<Headers::Field> headers) {
    Request made = request(headers);
    const auto told = believe_forwarded(made, ranges({"10.1.0.0/16"}));
    if (!told) return {told.error().message, false, ""};
    EXPECT_EQ(made.headers.size(), 1u) << "only Host is left";
    return {made.peer, made.is_secure, std::string(made.headers.get("Host"))};
}

TEST(Forwarded, TellsClientSchemeAndHost) {
    EXPECT_EQ(settled({}), (Settled{"10.1.0.1:999", false, "inside:8080"}));
    EXPECT_EQ(settled({{"X-Forwarded-For", "203.0.113.9"},
                       {"X-Forwarded-Proto", "https"},
                       {"X-Forwarded-Host", "record.example:8443"}}),
              (Settled{"203.0.113.9", true, "record.example:8443"}));
    EXPECT_EQ(
        settled({{"Forwarded", "for=\"[2001:db8::9]:4711\";Proto=HTTPS;host=record.example"}}),
        (Settled{"[2001:db8::9]:4711", true, "record.example"}));
    EXPECT_EQ(settled({{"X-Forwarded-Proto", "http"}}),
              (Settled{"10.1.0.1:999", false, "inside:8080"}));
}

TEST(Forwarded, BelievesNobodyBeforeTheLastUnknownHop) {
    // The client wrote the first entry itself; our own second proxy the last but one.
    EXPECT_EQ(settled({{"X-Forwarded-For", "198.51.100.1, 203.0.113.9, 10.1.0.7"}}).peer,
              "203.0.113.9");
    EXPECT_EQ(
        settled({{"X-Forwarded-For", "198.51.100.1"}, {"X-Forwarded-For", "203.0.113.9"}}).peer,
        "203.0.113.9");
    EXPECT_EQ(settled({{"X-Forwarded-For", "10.1.0.9, 10.1.0.7"}}).peer, "10.1.0.9");
    EXPECT_EQ(settled({{"X-Forwarded-For", "203.0.113.9, unknown"}}).peer, "10.1.0.1:999");
    EXPECT_EQ(settled({{"Forwarded", "for=203.0.113.9, for=_hidden, for=10.1.0.7"}}).peer,
              "10.1.0.7");
    EXPECT_EQ(settled({{"Forwarded", "for=\"203.0.113.9, for=10.1.0.7\""}}).peer, "10.1.0.1:999")
        << "a comma in quotes parts nothing";
    EXPECT_EQ(settled({{"X-Forwarded-Proto", "https, http"}}).is_secure, false);
}

TEST(Forwarded, WhatCannotBeTrustedIsRefused) {
    EXPECT_NE(settled({{"X-Forwarded-For", "203.0.113.9"}, {"Forwarded", "for=198.51.100.1"}})
                  .peer.find("both"),
              std::string::npos);
    EXPECT_NE(settled({{"X-Forwarded-Host", "a.example/path"}}).peer.find("host"),
              std::string::npos);
    std::string many = "203.0.113.9";
    for (int i = 0; i < 40; ++i) many += ", 10.1.0.7";
    EXPECT_NE(settled({{"X-Forwarded-For", many}}).peer.find("more than"), std::string::npos);
}

TEST(Forwarded, IsForgottenOfAnybodyElse) {
    Request made = request({{"x-forwarded-for", "1.2.3.4"},
                            {"X-Forwarded-Proto", "https"},
                            {"X-FORWARDED-HOST", "evil.example"},
                            {"Forwarded", "for=1.2.3.4"}});
    forget_forwarded(made.headers);
    EXPECT_EQ(made.headers.size(), 1u);
    EXPECT_EQ(made.headers.get("Host"), "inside:8080");
}

}  // namespace
}  // namespace meridian::net::detail

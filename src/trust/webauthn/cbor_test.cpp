// SPDX-License-Identifier: Apache-2.0
#include "trust/webauthn/cbor.hpp"

#include <gtest/gtest.h>

#include "trust/limits.hpp"

namespace meridian::trust {
namespace {

std::string from_hex(std::string_view hex) {
    std::string out;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
        out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
    return out;
}

TEST(Cbor, ExamplesOfTheStandard) {  // RFC 8949, appendix A
    EXPECT_EQ(read_whole_cbor(from_hex("00"))->number, 0);
    EXPECT_EQ(read_whole_cbor(from_hex("17"))->number, 23);
    EXPECT_EQ(read_whole_cbor(from_hex("1818"))->number, 24);
    EXPECT_EQ(read_whole_cbor(from_hex("1903e8"))->number, 1000);
    EXPECT_EQ(read_whole_cbor(from_hex("1b000000e8d4a51000"))->number, 1000000000000);
    EXPECT_EQ(read_whole_cbor(from_hex("3903e7"))->number, -1000);
    EXPECT_EQ(read_whole_cbor(from_hex("3b7fffffffffffffff"))->number, INT64_MIN);
    EXPECT_TRUE(read_whole_cbor(from_hex("f5"))->flag);
    EXPECT_TRUE(read_whole_cbor(from_hex("f6"))->is(Cbor::Kind::null));
    EXPECT_EQ(read_whole_cbor(from_hex("4401020304"))->string, "\x01\x02\x03\x04");
    EXPECT_EQ(read_whole_cbor(from_hex("63e6b0b4"))->string, "水");
    EXPECT_EQ(read_whole_cbor(from_hex("8301820203820405"))->items[1].items[1].number, 3);
    const auto map = read_whole_cbor(from_hex("a26161016162820203"));
    ASSERT_TRUE(map);
    EXPECT_EQ(map->find("a")->number, 1);
    EXPECT_EQ(map->find("b")->items.size(), 2u);
    EXPECT_EQ(map->find("c"), nullptr);
}

TEST(Cbor, WhatAuthenticatorsMayNotSendIsRefused) {
    const struct {
        const char* hex;
        const char* why;
    } cases[] = {
        {"", "nothing"},
        {"1817", "23 in two bytes"},
        {"1900ff", "255 in three bytes"},
        {"1a0000ffff", "65535 in five bytes"},
        {"1b00000000ffffffff", "four bytes in nine"},
        {"5801ff", "a length in two bytes"},
        {"3817", "-24 in two bytes"},
        {"1bffffffffffffffff", "beyond 64 bits with sign"},
        {"3bffffffffffffffff", "below 64 bits with sign"},
        {"5f42010243030405ff", "bytes of no definite length"},
        {"7f6161ff", "text of no definite length"},
        {"9f01ff", "array of no definite length"},
        {"bf616101ff", "map of no definite length"},
        {"c074323031332d30332d32315432303a30343a30305a", "a tag"},
        {"f90000", "a float"},
        {"fb3ff199999999999a", "a double"},
        {"f7", "undefined"},
        {"ff", "a break"},
        {"f818", "a simple value"},
        {"1c", "reserved"},
        {"a2616101616102", "a key twice"},
        {"a201020103", "a number as key twice"},
        {"a14001", "bytes as a key"},
        {"a18001", "an array as a key"},
        {"61ff", "text that is no UTF-8"},
        {"8201", "a cut array"},
        {"a161", "a cut map"},
        {"42ff", "cut bytes"},
        {"9bffffffffffffffff", "an array without end"},
        {"bb7fffffffffffffff", "a map without end"},
        {"5b7fffffffffffffff00", "bytes without end"},
        {"0000", "something behind"},
    };
    for (const auto& one : cases)
        EXPECT_FALSE(read_whole_cbor(from_hex(one.hex))) << one.why << ": " << one.hex;
}

TEST(Cbor, Bounds) {
    const auto nested = [](unsigned depth) { return std::string(depth - 1, '\x81') + '\x01'; };
    EXPECT_TRUE(read_whole_cbor(nested(limits::cbor_depth_max)));
    EXPECT_FALSE(read_whole_cbor(nested(limits::cbor_depth_max + 1)));
    const auto array = [](std::size_t count) {
        return std::string("\x99") + static_cast<char>(count >> 8) + static_cast<char>(count) +
               std::string(count, '\0');
    };
    EXPECT_TRUE(read_whole_cbor(array(limits::cbor_items_max - 1)));
    EXPECT_FALSE(read_whole_cbor(array(limits::cbor_items_max)));
    EXPECT_FALSE(read_whole_cbor(std::string("\x5a\x00\x01\x00\x00", 5) + std::string(65536, 'x')));
}

TEST(Cbor, AnItemSaysWhereItEnds) {
    std::size_t used = 0;
    ASSERT_TRUE(read_cbor(from_hex("82010203"), used));
    EXPECT_EQ(used, 3u);
}

}  // namespace
}  // namespace meridian::trust

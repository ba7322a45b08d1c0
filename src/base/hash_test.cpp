// SPDX-License-Identifier: Apache-2.0
#include "base/hash.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <numeric>
#include <set>

#include "base/ids.hpp"

namespace meridian {
namespace {

TEST(Hash, KnownAnswers) {
    // FIPS 180-4 example: "abc".
    EXPECT_EQ(to_hex(sha256("abc")),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(to_hex(sha256("")),
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    // RFC 4231, test case 2.
    EXPECT_EQ(to_hex(hmac_sha256("Jefe", "what do ya want for nothing?")),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    // The SipHash paper's appendix A: key 00…0f, message 00…0e.
    SipKey key;
    std::iota(key.begin(), key.end(), static_cast<unsigned char>(0));
    std::string message(15, '\0');
    std::iota(message.begin(), message.end(), '\0');
    EXPECT_EQ(siphash(message, key), 0xa129ca6149be45e5u);
}

TEST(Base64, KnownAnswers) {
    // RFC 4648 §10.
    const std::pair<const char*, const char*> cases[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
    for (const auto& [bytes, text] : cases) {
        EXPECT_EQ(base64_encode(bytes), text);
        std::string decoded = "old";
        EXPECT_TRUE(base64_decode(text, decoded));
        EXPECT_EQ(decoded, bytes);
    }
    EXPECT_EQ(base64url_encode("\xFB\xFF"), "-_8");
    std::string decoded;
    for (const char* text :
         {"Zg", "Zg=", "Z", "Zg==x", "Zm9v\n", "Zm 9v", "-_8=", "Zh==", "===="}) {
        EXPECT_FALSE(base64_decode(text, decoded)) << text;
    }
    for (const char* text : {"Zg==", "+/8", "A"})
        EXPECT_FALSE(base64url_decode(text, decoded)) << text;
    for (int byte = 0x80; byte <= 0xFF; ++byte) {
        const std::string text = std::string("Zm9") + static_cast<char>(byte);
        EXPECT_FALSE(base64_decode(text, decoded)) << byte;
        EXPECT_FALSE(base64url_decode(text, decoded)) << byte;
    }
}

RC_GTEST_PROP(Base64Property, RoundTrips, (std::string bytes)) {
    std::string decoded;
    RC_ASSERT(base64_decode(base64_encode(bytes), decoded));
    RC_ASSERT(decoded == bytes);
    RC_ASSERT(base64url_decode(base64url_encode(bytes), decoded));
    RC_ASSERT(decoded == bytes);
}

TEST(Ids, UuidsHaveTheirVersionAndDiffer) {
    std::set<std::string> seen;
    std::string last;
    for (int i = 0; i < 10'000; ++i) {
        const std::string random = new_uuid();
        const std::string ordered = new_ordered_uuid();
        ASSERT_TRUE(is_uuid(random) && is_uuid(ordered) && is_fhir_id(ordered));
        ASSERT_EQ(random[14], '4');
        ASSERT_EQ(ordered[14], '7');
        ASSERT_NE(std::string_view("89ab").find(random[19]), std::string_view::npos);
        ASSERT_NE(std::string_view("89ab").find(ordered[19]), std::string_view::npos);
        ASSERT_GT(ordered, last);
        last = ordered;
        ASSERT_TRUE(seen.insert(random).second && seen.insert(ordered).second);
    }
}

TEST(Ids, Grammar) {
    EXPECT_TRUE(is_fhir_id("a-B.9"));
    EXPECT_TRUE(is_fhir_id(std::string(64, 'x')));
    for (const std::string& text :
         {std::string(), std::string(65, 'x'), std::string("a b"), std::string("a_b"),
          std::string("é"), std::string("a/b"), std::string("a\0", 2)}) {
        EXPECT_FALSE(is_fhir_id(text)) << text;
    }
    EXPECT_TRUE(is_uuid("123e4567-e89b-12d3-A456-426614174000"));
    EXPECT_FALSE(is_uuid("123e4567-e89b-12d3-a456-42661417400"));
    EXPECT_FALSE(is_uuid("123e4567-e89b-12d3-a456-42661417400g"));
    EXPECT_FALSE(is_uuid("123e4567ae89b-12d3-a456-426614174000"));
}

}  // namespace
}  // namespace meridian

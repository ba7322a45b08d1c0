// SPDX-License-Identifier: Apache-2.0
#include "store/codec.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace meridian::store {
namespace {

const std::string example =
    R"({"resourceType":"Patient","id":"a","meta":{"profile":["http://example.org/p"]},"active":true})";

TEST(Codec, StampsBeforeOtherMetaMembers) {
    const std::size_t stamp_at = example.find("\"profile\"");
    const std::string stored = encode("Patient", example, stamp_at);
    const auto stamped = decode_stamped(stored, 7, Instant{1'714'552'200'123});
    ASSERT_TRUE(stamped);
    EXPECT_EQ(
        *stamped,
        R"({"resourceType":"Patient","id":"a","meta":{"versionId":"7","lastUpdated":"2024-05-01T08:30:00.123Z",)"
        R"("profile":["http://example.org/p"]},"active":true})");
}

TEST(Codec, StampsAnEmptyMetaWithoutAComma) {
    const std::string json = R"({"resourceType":"Patient","meta":{}})";
    std::string composed;
    compose(json, json.size() - 2, 1, Instant{0}, composed);
    EXPECT_EQ(
        composed,
        R"({"resourceType":"Patient","meta":{"versionId":"1","lastUpdated":"1970-01-01T00:00:00.000Z"}})");
    EXPECT_EQ(*decode_stamped(encode("Patient", json, json.size() - 2), 1, Instant{0}), composed);
}

TEST(Codec, EveryBodyComesBack) {
    rc::check("decode(encode(x)) = x", [](const std::string& json) {
        const std::size_t stamp_at = *rc::gen::inRange<std::size_t>(0, json.size() + 1);
        const auto body = decode(encode("Patient", json, stamp_at));
        RC_ASSERT(body.has_value());
        RC_ASSERT(body->json == json);
        RC_ASSERT(body->stamp_at == stamp_at);
        std::string composed;
        compose(json, stamp_at, 3, Instant{5}, composed);
        RC_ASSERT(*decode_stamped(encode("Patient", json, stamp_at), 3, Instant{5}) == composed);
    });
}

TEST(Codec, LongBodiesGetSmaller) {
    std::string json;
    for (int i = 0; i < 200; ++i) json += example;
    EXPECT_LT(encode("Patient", json, 3).size(), json.size() / 10);
}

TEST(Codec, DamageIsAnErrorAndNeverACrash) {
    rc::check("decode of any bytes", [](const std::string& bytes) {
        const auto body = decode(bytes);
        if (!body)
            RC_ASSERT(body.error().category == Category::fault ||
                      body.error().category == Category::too_large);
    });
    const std::string stored = encode("Patient", std::string(1000, 'a') + example, 5);
    for (std::size_t at = 0; at < stored.size(); ++at) {
        EXPECT_FALSE(decode(stored.substr(0, at)) &&
                     decode(stored.substr(0, at))->json.size() == 1000 + example.size())
            << at;
        std::string changed = stored;
        changed[at] = static_cast<char>(changed[at] ^ 0x40);
        static_cast<void>(decode(changed));
    }
}

TEST(Codec, DictionariesAreKnownByTheirId) {
    std::string dictionary;
    for (int i = 0; i < 20; ++i) dictionary += example;
    ASSERT_TRUE(register_dictionary(77, "CodecTest", dictionary));
    const std::string stored = encode("CodecTest", example, 3);
    EXPECT_LT(stored.size(), encode("Patient", example, 3).size());
    EXPECT_EQ(decode(stored)->json, example);
    EXPECT_TRUE(register_dictionary(77, "CodecTest", dictionary));
    EXPECT_EQ(register_dictionary(77, "CodecTest", "other").error().category, Category::incorrect);
    EXPECT_EQ(register_dictionary(0, "CodecTest", "x").error().category, Category::incorrect);
    std::string unknown = stored;
    unknown[2] = 78;  // tag, stamp_at, id
    EXPECT_EQ(decode(unknown).error().category, Category::fault);
}

}  // namespace
}  // namespace meridian::store

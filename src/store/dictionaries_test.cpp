// SPDX-License-Identifier: Apache-2.0
#include "store/dictionaries.hpp"

#include <gtest/gtest.h>

#include "base/hash.hpp"
#include "store/codec.hpp"

namespace meridian::store {
namespace {

TEST(Dictionaries, AreReadFromTheirList) {
    const auto two = read_dictionaries("1 Patient 3\nabc7 List 2\n\n\n");
    ASSERT_EQ(two.size(), 2U);
    EXPECT_EQ(two[0].type, "Patient");
    EXPECT_EQ(two[0].bytes, "abc");
    EXPECT_EQ(two[1].id, 7U);
    EXPECT_EQ(two[1].bytes, "\n\n");
    for (const std::string_view damaged :
         {"1 Patient 4\nabc", "x Patient 1\na", "1 Patient\n", "1"})
        EXPECT_TRUE(read_dictionaries(damaged).empty()) << damaged;
}

/// A stored body names its dictionary by its number, so what was shipped once must not change. When
/// this fails, put the old file back and give the new dictionaries new numbers.
TEST(Dictionaries, AreForEver) {
    const auto all = shipped_dictionaries();
    ASSERT_EQ(all.size(), 13U);
    std::string bytes;
    for (std::size_t i = 0; i < all.size(); ++i) {
        EXPECT_EQ(all[i].id, i + 1);
        bytes += all[i].bytes;
    }
    EXPECT_EQ(to_hex(sha256(bytes)),
              "82ecb70ffa904daf0c02429fd7d949e277944f185346a1a986f05b54536c4437");
}

TEST(Dictionaries, MakeABodySmaller) {
    const std::string observation =
        R"({"resourceType":"Observation","id":"o1","meta":{},"status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"2160-0"}]},"subject":{"reference":"Patient/p7"},"effectiveDateTime":"2024-03-01T08:00:00Z","valueQuantity":{"value":81.5,"unit":"umol/L","system":"http://unitsofmeasure.org","code":"umol/L"}})";
    const std::string stored = encode("Observation", observation, 8);
    EXPECT_LT(stored.size() * 2, encode("Basic", observation, 8).size())
        << "a type without a dictionary";
    const auto plain = decode(stored);
    ASSERT_TRUE(plain);
    EXPECT_EQ(plain->json, observation);
}

}  // namespace
}  // namespace meridian::store

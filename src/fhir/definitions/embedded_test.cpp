// SPDX-License-Identifier: Apache-2.0
#include "fhir/definitions/embedded.hpp"

#include <gtest/gtest.h>

#include "base/limits.hpp"

namespace meridian::fhir::detail {
namespace {

TEST(Definitions, ADamagedFrameIsAFault) {
    const std::string_view packed = embedded_definitions();
    const std::size_t size = unpacked_size(packed);
    ASSERT_GT(size, 1'000'000u);
    EXPECT_TRUE(unpack(packed, size));

    std::string damaged(packed);
    damaged[0] = 'x';
    EXPECT_EQ(unpacked_size(damaged), 0u);
    EXPECT_EQ(unpack(damaged, size).error().category, Category::fault);
    EXPECT_FALSE(unpack(packed.substr(0, packed.size() / 2), size));
    EXPECT_FALSE(unpack(packed, size + 1)) << "another length than the index says";
    EXPECT_FALSE(unpack(packed, limits::definitions_frame_bytes_max + 1));
}

}  // namespace
}  // namespace meridian::fhir::detail

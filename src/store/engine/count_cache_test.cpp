// SPDX-License-Identifier: Apache-2.0
#include "store/engine/count_cache.hpp"

#include <gtest/gtest.h>

#include "base/limits.hpp"

namespace meridian::store {
namespace {

using Stamp = std::vector<Position>;

TEST(CountCache, KnowsACountForTheStateItWasTakenIn) {
    CountCache cache;
    EXPECT_FALSE(cache.find("a", Stamp{0, 5}));
    cache.keep("a", {0, 5}, 42);
    EXPECT_EQ(cache.find("a", Stamp{0, 5}), 42);
    EXPECT_FALSE(cache.find("a", Stamp{0, 6}));
    EXPECT_FALSE(cache.find("a", Stamp{1, 5}));
    EXPECT_FALSE(cache.find("b", Stamp{0, 5}));
    cache.keep("a", {0, 6}, 43);
    EXPECT_FALSE(cache.find("a", Stamp{0, 5}));
    EXPECT_EQ(cache.find("a", Stamp{0, 6}), 43);
}

TEST(CountCache, ForgetsWhatWasNotAskedForLongest) {
    CountCache cache;
    cache.keep("asked", {1}, 1);
    cache.keep("not asked", {1}, 1);
    for (std::size_t i = 0; i < 2 * limits::counts_kept_max; ++i) {
        cache.keep(std::to_string(i), {1}, 1);
        ASSERT_TRUE(cache.find("asked", Stamp{1})) << i;
    }
    EXPECT_FALSE(cache.find("not asked", Stamp{1}));
    EXPECT_FALSE(cache.find("0", Stamp{1}));
}

TEST(CountCache, DoesNotKeepLongQuestions) {
    CountCache cache;
    const std::string longest(limits::counted_question_bytes_max, 'q');
    cache.keep(longest, {1}, 1);
    cache.keep(longest + "q", {1}, 1);
    EXPECT_TRUE(cache.find(longest, Stamp{1}));
    EXPECT_FALSE(cache.find(longest + "q", Stamp{1}));
}

}  // namespace
}  // namespace meridian::store

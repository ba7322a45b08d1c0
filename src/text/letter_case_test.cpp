// SPDX-License-Identifier: Apache-2.0
#include "text/letter_case.hpp"

#include <gtest/gtest.h>

namespace meridian::text {
namespace {

TEST(LetterCase, ChangesOnlyTheCase) {
    EXPECT_EQ(to_upper("abc-1 Straße"), "ABC-1 STRASSE");
    EXPECT_EQ(to_lower("ÄÖÜ É АБВ"), "äöü é абв");
    EXPECT_EQ(to_upper("肺癌 ａ"), "肺癌 Ａ");
    EXPECT_EQ(to_lower(""), "");
    EXPECT_EQ(to_lower("plain ASCII 42"), "plain ascii 42");
}

TEST(LetterCase, BrokenUtf8BecomesReplacementCharacters) {
    EXPECT_EQ(to_lower("A\xFF"), "a\xEF\xBF\xBD");
}

}  // namespace
}  // namespace meridian::text

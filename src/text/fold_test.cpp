// SPDX-License-Identifier: Apache-2.0
#include "text/fold.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/utf8.hpp"

namespace meridian::text {
namespace {

TEST(Fold, DropsCaseAccentsAndPunctuation) {
    EXPECT_EQ(fold("Müller–Lüdenscheidt, Anna "), "muller ludenscheidt anna");
    EXPECT_EQ(fold("  O'Brien\t\n (Jr.) "), "o brien jr");
    EXPECT_EQ(fold("JOSÉ MARÍA"), "jose maria");
    EXPECT_EQ(fold("Straße"), "strasse");
    EXPECT_EQ(fold("Łódź Ærøskøbing Œuvre"), "lodz aeroskobing oeuvre");
    EXPECT_EQ(fold("Nguyễn Thị Minh Khai"), "nguyen thi minh khai");
    EXPECT_EQ(fold("İstanbul"), "istanbul");
    EXPECT_EQ(fold("ΑΘΗΝΆΣ"), fold("αθηνάς"));
    EXPECT_EQ(fold(""), "");
    EXPECT_EQ(fold(" -- ,"), "");
}

TEST(Fold, MakesFullWidthHalfWidth) {
    EXPECT_EQ(fold("ＡＢＣ１２３　（x）"), "abc123 x");
    EXPECT_EQ(fold("ﾊﾝｶｸ"), "ハンカク");
    EXPECT_EQ(fold("①²㎎"), "12mg");
}

TEST(Fold, KeepsChineseKanaAndHangul) {
    EXPECT_EQ(fold("张三，右上肺癌。T2N0"), "张三 右上肺癌 t2n0");
    EXPECT_EQ(fold("がん"), "がん");  // without its voicing mark が would be another syllable
    EXPECT_EQ(fold("김철수"), "김철수");
    EXPECT_EQ(fold("é张"),
              "e张");  // a character that needs tables makes no difference to its neighbours
}

TEST(Fold, BothWaysOfWritingAnAccentAreOne) {
    EXPECT_EQ(fold("e\u0301"), fold("\u00E9"));
}

TEST(Fold, BytesThatAreNoTextArePunctuation) {
    EXPECT_EQ(fold("a\xFF"
                   "b\xC3"),
              "a b");
}

RC_GTEST_PROP(FoldProperty, TwiceIsOnce, ()) {
    std::string text;
    for (const auto c : *rc::gen::container<std::vector<std::uint32_t>>(
             rc::gen::inRange<std::uint32_t>(1, 0x30000))) {
        if (c < 0xD800 || c > 0xDFFF) append_utf8(text, c);
    }
    const std::string once = fold(text);
    RC_ASSERT(fold(once) == once);
    RC_ASSERT(is_valid_utf8(once));
    RC_ASSERT(once.find("  ") == std::string::npos);
}

TEST(Fold, EveryCharacterFoldsToSomethingStable) {
    for (char32_t c = 1; c < 0x32000; ++c) {
        if (c >= 0xD800 && c <= 0xDFFF) continue;
        std::string text;
        append_utf8(text, c);
        const std::string once = fold(text);
        ASSERT_EQ(fold(once), once) << "U+" << std::hex << static_cast<std::uint32_t>(c);
    }
}

}  // namespace
}  // namespace meridian::text

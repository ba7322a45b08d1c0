// SPDX-License-Identifier: Apache-2.0
#include "text/words.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "text/utf8.hpp"

namespace meridian::text {
namespace {

/// True when `phrase` stands in `text` word by word.
bool holds_phrase(const std::string& text, const std::string& phrase) {
    return !phrase.empty() && (" " + text + " ").find(" " + phrase + " ") != std::string::npos;
}

TEST(Words, SpacedScriptsKeepTheirWords) {
    EXPECT_EQ(words("Adenocarcinoma, stage IIIa (T2)"), "adenocarcinoma stage iiia t2");
    EXPECT_EQ(words(""), "");
}

TEST(Words, UnspacedRunsBecomePairs) {
    EXPECT_EQ(words("右上肺癌 T2"), "右上 上肺 肺癌 癌 t2");
    EXPECT_EQ(words("癌"), "癌");
    EXPECT_EQ(words("第3期ab"), "第 3 期 ab");
    EXPECT_EQ(words("肺癌，早期"), "肺癌 癌 早期 期");
    EXPECT_EQ(words("レントゲン"), "レン ント トゲ ゲン ン");
}

TEST(Words, QueryIsAPhraseOfTheText) {
    const std::string text = words("患者诊断为右上肺癌stage 2，术后第3天 recovered well。");
    for (const char* query : {"肺癌", "诊断", "右上肺癌", "肺癌stage", "第3天", "天 recovered",
                              "Recovered Well", "术后第3"}) {
        EXPECT_TRUE(holds_phrase(text, query_words(query))) << query << " → " << query_words(query);
    }
    for (const char* query : {"肺炎", "左上", "stage 3", "cover", "癌肺"}) {
        EXPECT_FALSE(holds_phrase(text, query_words(query))) << query;
    }
}

TEST(Words, PhraseForTheFullTextIndex) {
    EXPECT_EQ(match_phrase("右上肺"), "\"右上 上肺\"");
    EXPECT_EQ(match_phrase("癌"), "\"癌\" *");
    EXPECT_EQ(match_phrase("Stage \"IV\""), "\"stage iv\"");
    EXPECT_EQ(match_phrase("stage 癌"), "\"stage 癌\" *");
    EXPECT_EQ(match_phrase(" ,"), "");
}

RC_GTEST_PROP(WordsProperty, EveryPartOfARunOfTwoOrMoreIsFound, ()) {
    const auto letters = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 6));
    RC_PRE(letters.size() >= 2);
    std::vector<std::string> characters;
    for (const int letter : letters)
        append_utf8(characters.emplace_back(), static_cast<char32_t>(0x4E00 + letter));
    const auto start = *rc::gen::inRange<std::size_t>(0, characters.size() - 1);
    const auto end = *rc::gen::inRange<std::size_t>(start + 2, characters.size() + 1);
    std::string text, part;
    for (std::size_t i = 0; i < characters.size(); ++i) {
        text += characters[i];
        if (i >= start && i < end) part += characters[i];
    }
    RC_ASSERT(holds_phrase(words(text), query_words(part)));
}

TEST(Utf8, CutsBetweenCodePoints) {
    EXPECT_EQ(cut("abc", 3), "abc");
    EXPECT_EQ(cut("abc", 2), "ab");
    EXPECT_EQ(cut("a张", 3), "a");
    EXPECT_EQ(cut("a张", 4), "a张");
    EXPECT_EQ(cut("张", 0), "");
    EXPECT_TRUE(is_valid("a张"));
    EXPECT_FALSE(is_valid("\xC0\x80"));          // overlong
    EXPECT_FALSE(is_valid("\xED\xA0\x80"));      // a surrogate
    EXPECT_FALSE(is_valid("\xF4\x90\x80\x80"));  // beyond U+10FFFF
}

}  // namespace
}  // namespace meridian::text

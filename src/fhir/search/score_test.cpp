// SPDX-License-Identifier: Apache-2.0
#include "fhir/search/score.hpp"

#include <gtest/gtest.h>

namespace meridian::fhir::search {
namespace {

constexpr store::Name content = 7;

store::HasText term(std::string words, bool prefix = false, store::Name param = content) {
    store::HasText made{};
    made.param = param;
    made.words = std::move(words);
    made.prefix = prefix;
    return made;
}

double score(const std::vector<store::HasText>& terms, std::string words) {
    store::Rows rows;
    rows.texts.push_back({content, std::move(words)});
    return score_of(terms, rows);
}

TEST(SearchScore, GrowsWithEachMentionAndShrinksWithLength) {
    EXPECT_GT(score({term("fever")}, "fever fever today"),
              score({term("fever")}, "fever on today"));
    EXPECT_GT(score({term("fever")}, "fever today"),
              score({term("fever")}, "fever today and a cough"));
    EXPECT_EQ(score({term("fever")}, "no complaints"), 0);
    EXPECT_EQ(score({}, "fever"), 0);
}

TEST(SearchScore, IsTheMeanOfItsTerms) {
    const double one = score({term("fever")}, "fever today");
    EXPECT_GT(one, 0);
    EXPECT_LT(one, 1);
    EXPECT_DOUBLE_EQ(score({term("fever"), term("cough")}, "fever today"), one / 2);
}

TEST(SearchScore, CountsWholeWordsUnlessTheStartIsMeant) {
    EXPECT_EQ(score({term("fev")}, "fever today"), 0);
    EXPECT_GT(score({term("fev", true)}, "fever today"), 0);
    EXPECT_EQ(score({term("ever", true)}, "fever today"), 0);
}

TEST(SearchScore, LooksOnlyAtTheTextThatWasAsked) {
    EXPECT_EQ(score({term("fever", false, content + 1)}, "fever today"), 0);
}

}  // namespace
}  // namespace meridian::fhir::search

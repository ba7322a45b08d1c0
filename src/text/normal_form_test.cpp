// SPDX-License-Identifier: Apache-2.0
#include "text/normal_form.hpp"

#include <gtest/gtest.h>

namespace meridian::text {
namespace {

TEST(NormalForm, WhatLooksAlikeBecomesTheSameBytes) {
    EXPECT_EQ(to_nfkc("plain ASCII ~"), "plain ASCII ~");
    EXPECT_EQ(to_nfkc("e\u0301"), "\u00e9");
    EXPECT_EQ(to_nfkc("ＡＢｃ１２"), "ABc12");
    EXPECT_EQ(to_nfkc("ﬁ"), "fi");
    EXPECT_EQ(to_nfkc("患者"), "患者");
    EXPECT_EQ(to_nfkc("a\xff"), "a\ufffd");
}

}  // namespace
}  // namespace meridian::text

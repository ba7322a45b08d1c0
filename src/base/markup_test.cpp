// SPDX-License-Identifier: Apache-2.0
#include "base/markup.hpp"

#include <gtest/gtest.h>

namespace meridian {
namespace {

TEST(Markup, FiveCharactersAreEscapedAndNothingElse) {
    EXPECT_EQ(escaped_markup("<a href=\"x\">'b' & c</a>"),
              "&lt;a href=&quot;x&quot;&gt;&#39;b&#39; &amp; c&lt;/a&gt;");
    EXPECT_EQ(escaped_markup("右上肺\t\n"), "右上肺\t\n");
    EXPECT_EQ(escaped_markup(""), "");
}

}  // namespace
}  // namespace meridian

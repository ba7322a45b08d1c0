// SPDX-License-Identifier: Apache-2.0
#include "base/json.hpp"

#include <gtest/gtest.h>

namespace meridian {
namespace {

std::string rewritten(std::string_view text) {
    auto document = JsonDocument::parse(text);
    return document ? to_text(document->root())
                    : "error: " + document.error().message + " @" + document.error().where;
}

TEST(Json, ReadsEveryKind) {
    EXPECT_EQ(
        rewritten(
            R"( { "a" : [ 1 , -0.50 , 1E+2 ] , "b" : { } , "c" : [ ] , "d" : null , "e" : true , "f" : false } )"),
        R"({"a":[1,-0.50,1E+2],"b":{},"c":[],"d":null,"e":true,"f":false})");
    EXPECT_EQ(rewritten("\"x\""), "\"x\"");
}

}  // namespace
}  // namespace meridian

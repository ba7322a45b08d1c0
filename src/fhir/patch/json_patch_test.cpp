// SPDX-License-Identifier: Apache-2.0
#include "fhir/patch/json_patch.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "base/limits.hpp"

namespace meridian::fhir::patch {
namespace {

/// The patched document, or "category: message".
std::string patched(std::string_view document, std::string_view patch) {
    auto target = *JsonDocument::parse(document);
    auto operations = *JsonDocument::parse(patch);
    auto result = apply_json_patch(target, operations.root());
    if (!result)
        return std::string(name_of(result.error().category)) + ": " + result.error().message;
    return to_text(target.root());
}

// The operations of RFC 6902, each with its cases.
TEST(JsonPatch, Add) {
    EXPECT_EQ(patched(R"({"a":1})", R"([{"op":"add","path":"/b","value":2}])"), R"({"a":1,"b":2})");
    EXPECT_EQ(patched(R"({"a":1})", R"([{"op":"add","path":"/a","value":2}])"), R"({"a":2})");
    EXPECT_EQ(patched(R"({"a":[1,3]})", R"([{"op":"add","path":"/a/1","value":2}])"),
              R"({"a":[1,2,3]})");
    EXPECT_EQ(patched(R"({"a":[1]})", R"([{"op":"add","path":"/a/-","value":2}])"),
              R"({"a":[1,2]})");
    EXPECT_EQ(patched(R"({"a":[1]})", R"([{"op":"add","path":"/a/1","value":2}])"),
              R"({"a":[1,2]})");
    EXPECT_EQ(patched(R"({"a":1})", R"([{"op":"add","path":"","value":{"b":1.50}}])"),
              R"({"b":1.50})");
    EXPECT_EQ(patched(R"({})", R"([{"op":"add","path":"/","value":1}])"), R"({"":1})");
    EXPECT_EQ(patched(R"({})", R"([{"op":"add","path":"/a~1b~0c","value":1}])"), R"({"a/b~c":1})");
    EXPECT_EQ(
        patched(R"({})", R"([{"op":"add","path":"/a/b","value":1}])"),
        "unprocessable: JSON Patch operation 0 (add /a/b): the parent of this path does not exist");
    for (std::string_view index : {"2", "01", "-1", "x", "", "99999999999999999999"}) {
        EXPECT_TRUE(patched(R"({"a":[1]})",
                            fmt::format(R"([{{"op":"add","path":"/a/{}","value":2}}])", index))
                        .starts_with("unprocessable"))
            << index;
    }
}

TEST(JsonPatch, Remove) {
    EXPECT_EQ(patched(R"({"a":1,"b":2})", R"([{"op":"remove","path":"/a"}])"), R"({"b":2})");
    EXPECT_EQ(patched(R"({"a":[1,2,3]})", R"([{"op":"remove","path":"/a/1"}])"), R"({"a":[1,3]})");
    EXPECT_TRUE(patched(R"({"a":1})", R"([{"op":"remove","path":"/b"}])")
                    .starts_with("unprocessable: JSON Patch operation 0 (remove /b)"));
    EXPECT_TRUE(
        patched(R"({"a":[]})", R"([{"op":"remove","path":"/a/-"}])").starts_with("unprocessable"));
    EXPECT_TRUE(
        patched(R"({"a":1})", R"([{"op":"remove","path":""}])").starts_with("unprocessable"));
}

TEST(JsonPatch, Replace) {
    EXPECT_EQ(
        patched(R"({"a":[1,{"b":2}]})", R"([{"op":"replace","path":"/a/1/b","value":{"c":null}}])"),
        R"({"a":[1,{"b":{"c":null}}]})");
    EXPECT_TRUE(patched(R"({"a":1})", R"([{"op":"replace","path":"/b","value":1}])")
                    .starts_with("unprocessable"));
}

TEST(JsonPatch, MoveAndCopy) {
    EXPECT_EQ(patched(R"({"a":{"b":1},"c":{}})", R"([{"op":"move","from":"/a/b","path":"/c/d"}])"),
              R"({"a":{},"c":{"d":1}})");
    EXPECT_EQ(patched(R"({"a":[1,2,3,4]})", R"([{"op":"move","from":"/a/1","path":"/a/3"}])"),
              R"({"a":[1,3,4,2]})");
    EXPECT_EQ(
        patched(
            R"({"a":{"b":[1]}})",
            R"([{"op":"copy","from":"/a","path":"/c"},{"op":"add","path":"/c/b/-","value":2}])"),
        R"({"a":{"b":[1]},"c":{"b":[1,2]}})")
        << "the copy is independent";
    EXPECT_EQ(patched(R"({"a":1})", R"([{"op":"move","from":"/a","path":"/a"}])"), R"({"a":1})");
    EXPECT_TRUE(patched(R"({"a":{"b":1}})", R"([{"op":"move","from":"/a","path":"/a/b"}])")
                    .starts_with("unprocessable"));
    EXPECT_TRUE(patched(R"({"a":1})", R"([{"op":"copy","from":"/x","path":"/b"}])")
                    .starts_with("unprocessable"));
}

TEST(JsonPatch, Test) {
    EXPECT_EQ(patched(R"({"a":{"x":1,"y":[1.0,"s"]}})",
                      R"([{"op":"test","path":"/a","value":{"y":[1,"s"],"x":1.00}}])"),
              R"({"a":{"x":1,"y":[1.0,"s"]}})")
        << "numbers by value, members in any order";
    EXPECT_EQ(
        patched(R"({"a":"1"})", R"([{"op":"test","path":"/a","value":1}])"),
        "unprocessable: JSON Patch operation 0 (test /a): the test failed: the value is another");
    EXPECT_TRUE(patched(R"({"a":null})", R"([{"op":"test","path":"/b","value":null}])")
                    .starts_with("unprocessable"));
    EXPECT_EQ(patched(R"({"a":null})", R"([{"op":"test","path":"/a","value":null}])"),
              R"({"a":null})");
}

TEST(JsonPatch, ErrorsNameTheOperation) {
    EXPECT_EQ(
        patched("{}",
                R"([{"op":"add","path":"/a","value":1},{"op":"jump","path":"/a","value":1}])"),
        "incorrect: JSON Patch operation 1: \"jump\" is no operation (expected add, remove, "
        "replace, move, copy or test)");
    for (std::string_view patch :
         {"{}", "[1]", R"([{"path":"/a"}])", R"([{"op":"add","value":1}])",
          R"([{"op":"add","path":"/a"}])", R"([{"op":"add","path":"a","value":1}])",
          R"([{"op":"add","path":"/~2","value":1}])", R"([{"op":"copy","path":"/a"}])"}) {
        EXPECT_TRUE(patched("{}", patch).starts_with("incorrect")) << patch;
    }
}

TEST(JsonPatch, EndsAtItsLimits) {
    std::string many = "[";
    for (std::size_t i = 0; i <= limits::patch_operations_max; ++i)
        many += R"({"op":"test","path":"","value":1},)";
    many.back() = ']';
    EXPECT_TRUE(patched("1", many).starts_with("too_large"));
    // Copies of copies: deeper and deeper, wider and wider.
    std::string deep = "[", wide = "[";
    for (int i = 0; i < 200; ++i) deep += R"({"op":"copy","from":"","path":"/a"},)";
    for (int i = 0; i < 60; ++i) wide += R"({"op":"copy","from":"/a","path":"/a/-"},)";
    deep.back() = wide.back() = ']';
    EXPECT_TRUE(patched("{}", deep).starts_with("too_large"));
    EXPECT_TRUE(patched(R"({"a":[1,2,3]})", wide).starts_with("too_large"));
}

// Law: add and remove of the same place leave the document as it was.
TEST(JsonPatch, RemoveUndoesAdd) {
    rc::check([] {
        auto numbers = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 100));
        auto index = *rc::gen::inRange<std::size_t>(0, numbers.size() + 1);
        std::string document = "[";
        for (int number : numbers) document += std::to_string(number) + ",";
        if (!numbers.empty()) document.pop_back();
        document += "]";
        std::string patch = fmt::format(
            R"([{{"op":"add","path":"/{}","value":{{"x":[]}}}},{{"op":"remove","path":"/{}"}}])",
            index, index);
        RC_ASSERT(patched(document, patch) == document);
    });
}

}  // namespace
}  // namespace meridian::fhir::patch

// SPDX-License-Identifier: Apache-2.0
#include "base/json.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <random>

#include "base/limits.hpp"
#include "base/utf8.hpp"

namespace meridian {
namespace {

std::string rewritten(std::string_view text) {
    auto document = JsonDocument::parse(text);
    return document ? to_text(document->root()) : "error: " + document.error().message;
}

JsonDocument parsed(std::string_view text) {
    auto document = JsonDocument::parse(text);
    EXPECT_TRUE(document) << text << ": " << document.error().message;
    return document ? std::move(*document) : JsonDocument();
}

TEST(Json, ReadsEveryKind) {
    EXPECT_EQ(
        rewritten(
            R"( { "a" : [ 1 , -0.50 , 1E+2 ] , "b" : { } , "c" : [ ] , "d" : null , "e" : true , "f" : false } )"),
        R"({"a":[1,-0.50,1E+2],"b":{},"c":[],"d":null,"e":true,"f":false})");
    for (const char* text : {"\"x\"", "\"\"", "0", "-0", "1.50", "1e-7", "true", "false", "null",
                             "[]", "{}", "[[],[[]]]"}) {
        EXPECT_EQ(rewritten(text), text);
        EXPECT_EQ(rewritten(std::string("\xEF\xBB\xBF \t\r\n") + text + " \t\r\n"), text);
    }
    const std::string large = "123456789012345678901234567890.123456789e99999";
    EXPECT_EQ(rewritten(large), large);
}

TEST(Json, LooksUpMembers) {
    const JsonDocument document =
        parsed(R"({"resourceType":"Patient","active":true,"name":[{"given":["A","B"]}],"n":7})");
    const Json& root = document.root();
    EXPECT_EQ(root.string_at("resourceType"), "Patient");
    EXPECT_EQ(root.string_at("active", "otherwise"), "otherwise");
    EXPECT_TRUE(root["active"].boolean());
    EXPECT_EQ(root["name"].items()[0]["given"].items()[1].text(), "B");
    EXPECT_EQ(root["n"].text(), "7");
    EXPECT_EQ(root.find("none"), nullptr);
    EXPECT_TRUE(root["none"]["deeper"].is_null());
    EXPECT_EQ(root.size(), 4u);
    EXPECT_EQ(root["n"].size(), 0u);
    EXPECT_EQ(root.members()[2].key, "name");
}

TEST(Json, UnescapesAndEscapes) {
    EXPECT_EQ(parsed(R"("a\"\\\/\b\f\n\r\tz")").root().text(), "a\"\\/\b\f\n\r\tz");
    EXPECT_EQ(parsed(R"("\u0041\u00e9\u5f20\uD83D\uDE00")").root().text(), "Aé张😀");
    EXPECT_EQ(parsed(R"(["\\","\"","x\\\\","plain"])").root().items()[3].text(), "plain");
    EXPECT_EQ(rewritten(R"({"\u0061\n":"\u001f\u0000\/"})"), R"({"a\n":"\u001f\u0000/"})");
    EXPECT_EQ(parsed(R"("a\u0000b")").root().text(), std::string_view("a\0b", 3));
    std::string out;
    write_string(std::string(100, '"') +
                     "\x7F"
                     "é",
                 out);
    EXPECT_EQ(parsed(out).root().text(), std::string(100, '"') +
                                             "\x7F"
                                             "é");
}

struct Fault {
    std::string text;
    std::string message;  ///< part of it
    std::string where;
};

TEST(Json, NamesThePlaceOfAFault) {
    const std::vector<Fault> faults = {
        {"", "empty", ""},
        {"   ", "empty", ""},
        {"{", "expected a key in double quotes, found the end of the text (line 1, column 2)", ""},
        {R"({"resourceType":"Patient","name":[{"given":["A",]}]})",
         "expected a value, found ']' (line 1, column 49)", "Patient.name[0].given[1]"},
        {"{\"resourceType\":\"Patient\",\n\"birthDate\": 1987-13}",
         "a malformed number (line 2, column 14)", "Patient.birthDate"},
        {R"({"a":1,"b":2,"a":3})", "the key \"a\" stands twice in one object (line 1, column 14)",
         ""},
        {R"({"x":{"a":1,"\u0061":3}})", "the key \"a\" stands twice", "x"},
        {R"({"a":tru})", "expected a value, found \"tru\"", "a"},
        {R"({"a":trueish})", "expected a value, found \"trueish\"", "a"},
        {R"({"a":nul l})", "expected a value", "a"},
        {R"([1 2])", "expected ',' or ']' after an item, found \"2\"", "[0]"},
        {R"(["a" "b"])", "expected ',' or ']' after an item", "[0]"},
        {R"(["a"b])", "expected ',' or ']' after an item", "[0]"},
        {R"({"a" 1})", "expected ':' after a key, found \"1\"", "a"},
        {R"({"a":1 "b":2})", "expected ',' or '}' after a member", "a"},
        {R"({"a":1,})", "expected a key", ""},
        {R"({a:1})", "expected a key in double quotes, found \"a\"", ""},
        {R"({"a":1]})", "expected ',' or '}'", "a"},
        {R"({} {})", "the text goes on after its end: '{' (line 1, column 4)", ""},
        {R"(1 x)", "the text goes on after its end", ""},
        {R"("abc)", "has no closing", ""},
        {R"({"a":"x\"})", "has no closing", "a"},
        {R"({"a":["\x"]})", "an unknown escape", "a[0]"},
        {R"(["\ud800"])", "names no character", "[0]"},
        {R"(["\ud800\u0041"])", "names no character", "[0]"},
        {R"(["\udc00"])", "names no character", "[0]"},
        {R"(["\u12g4"])", "names no character", "[0]"},
        {R"(["\u12"])", "names no character", "[0]"},
        {"{\"a\":\"x\ny\"}", "control character in a string", "a"},
        {"{\"a\":\"x\xFFy\"}", "not UTF-8", "a"},
        {"{\"a\":\"\xC0\x80\"}", "not UTF-8", "a"},
        {"{\"a\":\"\xED\xA0\x80\"}", "not UTF-8", "a"},
        {"[\x01]", "expected a value, found byte 0x01", "[0]"},
        {"[1\x0C,2]", "", "[0]"},
        {std::string("[1,\0]", 5), "expected a value", "[1]"},
        {"'a'", "expected a value", ""},
    };
    for (const Fault& fault : faults) {
        const auto document = JsonDocument::parse(fault.text);
        ASSERT_FALSE(document) << fault.text;
        EXPECT_EQ(document.error().category, Category::incorrect) << fault.text;
        EXPECT_NE(document.error().message.find(fault.message), std::string::npos)
            << fault.text << ": " << document.error().message;
        EXPECT_EQ(document.error().where, fault.where)
            << fault.text << ": " << document.error().message;
    }
}

TEST(Json, RefusesNumbersOutsideTheGrammar) {
    for (const char* text :
         {"+1", "01", "-", "-a", "1.", ".5", "1.e1", "1e", "1e+", "0x1", "1_0", "--1", "1.2.3",
          "NaN", "1\"2\"", "Infinity", "-Infinity", "00", "-01"}) {
        EXPECT_FALSE(JsonDocument::parse(text)) << text;
        EXPECT_FALSE(is_json_number(text)) << text;
    }
    for (const char* text : {"0", "-0", "10", "0.0", "1E5", "1e+05", "1.25e-3", "-9"}) {
        EXPECT_TRUE(is_json_number(text)) << text;
    }
    EXPECT_FALSE(is_json_number(""));
}

TEST(Json, Limits) {
    const auto nested = [](std::size_t depth) {
        return std::string(depth, '[') + std::string(depth, ']');
    };
    EXPECT_TRUE(JsonDocument::parse(nested(limits::json_depth_max)));
    EXPECT_NE(rewritten(nested(limits::json_depth_max + 1)).find("deeper than 128"),
              std::string::npos);
    EXPECT_NE(rewritten(std::string(1'000'000, '[')).find("deeper than 128"), std::string::npos);

    EXPECT_TRUE(JsonDocument::parse(std::string(limits::number_length_max, '1')));
    EXPECT_NE(rewritten(std::string(limits::number_length_max + 1, '1')).find("longer than 64"),
              std::string::npos);
    EXPECT_NE(rewritten(std::string(10'000'000, '1')).find("longer than 64"), std::string::npos);

    // Never read: its length alone is refused.
    const auto too_large = JsonDocument::parse(std::string_view("[]", limits::json_bytes_max + 1));
    ASSERT_FALSE(too_large);
    EXPECT_EQ(too_large.error().category, Category::too_large);
}

TEST(Json, MessagesEchoLittle) {
    const std::string name(100'000, 'k');
    const auto twice = JsonDocument::parse("{\"" + name + "\":1,\"" + name + "\":2}");
    ASSERT_FALSE(twice);
    EXPECT_LT(twice.error().message.size(), 120u);
    std::string deep;
    for (int i = 0; i < 100; ++i) deep += "{\"" + name.substr(0, 200) + "\":";
    EXPECT_LT(JsonDocument::parse(deep).error().where.size(), 300u);
    EXPECT_LT(rewritten(std::string(100'000, 'x')).size(), 120u);
}

TEST(Json, FindsATwinAmongManyKeys) {
    for (const int count : {2, 10, 63, 64, 65, 66, 67, 1000, 20'000}) {
        std::string text = "{";
        for (int i = 0; i < count; ++i)
            text += fmt::format("{}\"key{}\":{}", i == 0 ? "" : ",", i, i);
        EXPECT_TRUE(JsonDocument::parse(text + "}")) << count;
        for (const int twin : {0, count / 2, count - 1}) {
            const auto document = JsonDocument::parse(text + fmt::format(",\"key{}\":0}}", twin));
            ASSERT_FALSE(document) << count << " " << twin;
            EXPECT_NE(document.error().message.find(fmt::format("\"key{}\" stands twice", twin)),
                      std::string::npos);
        }
    }
}

TEST(Json, ComparesContent) {
    const auto are_equal = [](std::string_view left, std::string_view right) {
        return equal(parsed(left).root(), parsed(right).root());
    };
    EXPECT_TRUE(are_equal(R"({"a":1,"b":[true,null,"x"]})", R"({"b":[true,null,"\u0078"],"a":1})"));
    EXPECT_FALSE(are_equal("1.0", "1.00"));
    EXPECT_FALSE(are_equal("[1,2]", "[2,1]"));
    EXPECT_FALSE(are_equal(R"({"a":1})", R"({"a":1,"b":1})"));
    EXPECT_FALSE(are_equal(R"({"a":1,"b":1})", R"({"a":1,"c":1})"));
    EXPECT_FALSE(are_equal("true", "false"));
    EXPECT_FALSE(are_equal("null", "false"));
    std::string up = "{", down = "{";
    for (int i = 0; i < 100; ++i) {
        up += fmt::format("{}\"{}\":{}", i == 0 ? "" : ",", i, i);
        down += fmt::format("{}\"{}\":{}", i == 0 ? "" : ",", 99 - i, 99 - i);
    }
    EXPECT_TRUE(are_equal(up + "}", down + "}"));
    EXPECT_FALSE(are_equal(up + "}", down.replace(down.size() - 1, 1, "9") + "}"));
}

TEST(Json, WritesPretty) {
    EXPECT_EQ(to_text(parsed(R"({"a":[1,{"b":[]}],"c":{}})").root(), true),
              "{\n  \"a\": [\n    1,\n    {\n      \"b\": []\n    }\n  ],\n  \"c\": {}\n}");
    std::string out = "before ";
    write(parsed("[1]").root(), out);
    EXPECT_EQ(out, "before [1]");
}

TEST(JsonDocument, OutlivesTheParsedText) {
    auto text = std::make_unique<std::string>(R"({"key":"value","n":1.50})");
    JsonDocument document = parsed(*text);
    text->assign(text->size(), '#');
    text.reset();
    JsonDocument moved = std::move(document);
    EXPECT_EQ(to_text(moved.root()), R"({"key":"value","n":1.50})");
}

TEST(JsonDocument, Edits) {
    JsonDocument document = parsed(R"({"a":1,"c":[1,2,3]})");
    Json& root = document.root();
    document.set(root, "b", document.string("x\ny"));
    document.set(root, "a", document.number("1.00"));
    document.set_first(root, "resourceType", document.string("Patient"));
    Json& items = *root.find_mutable("c");
    document.append(items, document.null());
    document.insert(items, 0, document.boolean(true));
    document.insert(items, 2, document.number(std::int64_t{-5}));
    document.erase(items, 1);
    EXPECT_EQ(to_text(root),
              R"({"resourceType":"Patient","a":1.00,"c":[true,-5,2,3,null],"b":"x\ny"})");
    EXPECT_TRUE(document.remove(root, "a"));
    EXPECT_FALSE(document.remove(root, "a"));
    while (root.find("c")->size() != 0) document.erase(*root.find_mutable("c"), 0);
    EXPECT_EQ(to_text(root), R"({"resourceType":"Patient","c":[],"b":"x\ny"})");

    JsonDocument other;
    other.set_root(other.copy(root));
    document = JsonDocument();
    EXPECT_EQ(to_text(other.root()), R"({"resourceType":"Patient","c":[],"b":"x\ny"})");
}

TEST(JsonDocument, GrowsWithoutLosingNodes) {
    JsonDocument document;
    document.set_root(document.object());
    for (int i = 0; i < 1000; ++i) {
        document.set(document.root(), std::to_string(i), document.array());
        Json& list = *document.root().find_mutable(std::to_string(i % 7));
        document.append(list, document.number(std::int64_t{i}));
    }
    std::size_t items = 0;
    for (const JsonMember& member : document.root().members()) items += member.value.size();
    EXPECT_EQ(document.root().size(), 1000u);
    EXPECT_EQ(items, 1000u);
    EXPECT_GT(document.memory_bytes(), 1000 * sizeof(JsonMember));
}

RC_GTEST_PROP(JsonDocumentProperty, EditsLikeAVector, (std::vector<std::uint16_t> steps)) {
    JsonDocument document = parsed("[0,1,2]");
    std::vector<std::string> model = {"0", "1", "2"};
    for (const std::uint16_t step : steps) {
        const std::size_t place = step / 4 % (model.size() + 1);
        if (step % 4 == 0 && place < model.size()) {
            document.erase(document.root(), place);
            model.erase(model.begin() + static_cast<std::ptrdiff_t>(place));
        } else {
            document.insert(document.root(), place, document.number(std::int64_t{step}));
            model.insert(model.begin() + static_cast<std::ptrdiff_t>(place), std::to_string(step));
        }
    }
    RC_ASSERT(to_text(document.root()) == fmt::format("[{}]", fmt::join(model, ",")));
}

/// Grows a random tree out of a seed.
class TreeMaker {
 public:
    TreeMaker(JsonDocument& document, std::uint32_t seed) : document_(document), chance_(seed) {}

    Json make(unsigned depth) {
        switch (pick(depth == 0 ? 4 : 6)) {
            case 0:
                return document_.null();
            case 1:
                return document_.boolean(pick(2) == 0);
            case 2:
                return document_.number(number());
            case 3:
                return document_.string(text());
            case 4: {
                Json array = document_.array();
                for (unsigned i = pick(8); i > 0; --i) document_.append(array, make(depth - 1));
                return array;
            }
            default: {
                Json object = document_.object();
                for (unsigned i = pick(pick(20) == 0 ? 150 : 8); i > 0; --i)
                    document_.set(object, text(), make(depth - 1));
                return object;
            }
        }
    }

 private:
    unsigned pick(unsigned count) { return static_cast<unsigned>(chance_() % count); }
    std::string number() {
        std::string out = pick(2) != 0 ? "-" : "";
        out += std::to_string(pick(1'000'000));
        if (pick(2) != 0) out += "." + std::to_string(pick(10'000));
        if (pick(4) == 0) out += "e-" + std::to_string(pick(100));
        return out;
    }
    std::string text() {
        std::string out;
        for (unsigned i = pick(pick(10) == 0 ? 200 : 12); i > 0; --i) {
            constexpr char32_t ends[] = {0x20, 0x80, 0x800, 0xD800, 0x10000, 0x110000};
            char32_t c = static_cast<char32_t>(pick(ends[pick(6)]));
            if (c >= 0xD800 && c < 0xE000) c = '\\';
            append_utf8(out, c);
        }
        return out;
    }

    JsonDocument& document_;
    std::mt19937 chance_;
};

RC_GTEST_PROP(JsonProperty, WritingAndParsingAreInverse, (std::uint32_t seed, bool pretty)) {
    JsonDocument document;
    document.set_root(TreeMaker(document, seed).make(5));
    const std::string text = to_text(document.root(), pretty);
    const auto again = JsonDocument::parse(text);
    RC_ASSERT(again.has_value());
    RC_ASSERT(equal(document.root(), again->root()));
    RC_ASSERT(to_text(again->root(), pretty) == text);
    JsonDocument copy;
    copy.set_root(copy.copy(again->root()));
    RC_ASSERT(to_text(copy.root(), pretty) == text);
}

RC_GTEST_PROP(JsonProperty, EveryCutOrChangedByteIsReadOrRefused, (std::uint32_t seed)) {
    JsonDocument document;
    document.set_root(TreeMaker(document, seed).make(3));
    const std::string text = to_text(document.root());
    const std::size_t place = *rc::gen::inRange<std::size_t>(0, text.size());
    (void)JsonDocument::parse(std::string_view(text).substr(0, place));
    std::string changed = text;
    changed[place] = static_cast<char>(*rc::gen::arbitrary<unsigned char>());
    if (const auto read = JsonDocument::parse(changed)) {
        const auto again = JsonDocument::parse(to_text(read->root()));
        RC_ASSERT(again.has_value());
        RC_ASSERT(equal(read->root(), again->root()));
    }
}

}  // namespace
}  // namespace meridian

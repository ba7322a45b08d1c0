// SPDX-License-Identifier: Apache-2.0
// What this program does without, read from its source: no shell, no texts that become code or
// formats, no copying without a length.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

namespace meridian::tests {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& file) {
    std::ostringstream text;
    text << std::ifstream(file).rdbuf();
    return std::move(text).str();
}

/// Every line of the program that `pattern` is found in, tests and comments apart, as "file:line:
/// …", but those that one of `known` is found in.
std::vector<std::string> lines_with(const std::string& pattern,
                                    const std::vector<std::string>& known = {}) {
    const std::regex wanted(pattern, std::regex::optimize);
    std::vector<std::string> found;
    unsigned files = 0;
    for (const auto& entry : fs::recursive_directory_iterator(MERIDIAN_SOURCE_DIR "/src")) {
        const std::string name = entry.path().filename().string();
        const std::string path = entry.path().string().substr(sizeof MERIDIAN_SOURCE_DIR);
        const bool is_source = name.ends_with(".cpp") || name.ends_with(".hpp");
        const bool is_test = name.ends_with("_test.cpp") || name.starts_with("test_") ||
                             path.find("/testing") != std::string::npos;
        if (!entry.is_regular_file() || !is_source || is_test) continue;
        ++files;
        std::istringstream lines(text_of(entry.path()));
        unsigned number = 0;
        for (std::string line; std::getline(lines, line);) {
            ++number;
            const std::size_t comment = line.find("//");
            const bool is_address =
                comment != std::string::npos && comment > 0 && line[comment - 1] == ':';
            if (!is_address) line = line.substr(0, comment);
            if (!std::regex_search(line, wanted)) continue;
            const std::string place = path + ":" + std::to_string(number) + ": " + line;
            const bool is_known = std::any_of(
                known.begin(), known.end(),
                [&](const std::string& one) { return place.find(one) != std::string::npos; });
            if (!is_known) found.push_back(place);
        }
    }
    EXPECT_GT(files, 300u) << "the source was not found";
    return found;
}

std::string listed(const std::vector<std::string>& found) {
    std::string text;
    for (const std::string& one : found) text += one + "\n";
    return text;
}

TEST(Sources, StartNoOtherProgram) {
    const auto found =
        lines_with(R"((^|[^\w.>])(system|popen|exec[lv]\w*|posix_spawn\w*|v?fork)\s*\()",
                   {"static Caller system(", "Caller::system(",
                    // `meridian bench` becomes the bench's own program, found beside it.
                    "src/cli/bench.cpp",
                    // Words of a sentence.
                    "by its file system (fscrypt)"});
    EXPECT_TRUE(found.empty()) << listed(found);
}

TEST(Sources, MakeNoFormatsOrTemplatesOfInput) {
    // fmt reads its formats while the program is compiled, unless it is asked not to: that is done
    // only to choose between two literals.
    const auto chosen = lines_with(R"(fmt::runtime|vformat)",
                                   {R"(fmt::runtime(say({")", R"(? "{}:{}" : "[{}]:{}"))",
                                    "fmt::runtime(purpose == Federated::Purpose::step_up"});
    EXPECT_TRUE(chosen.empty()) << listed(chosen);
    const auto printed = lines_with(
        R"([^\w](printf\(\s*[^"\s]|v?fprintf\([^,]*,\s*[^"\s]|v?snprintf\([^,]*,[^,]*,\s*[^"\s]))");
    EXPECT_TRUE(printed.empty()) << listed(printed);
}

TEST(Sources, CopyNothingWithoutItsLength) {
    const auto found = lines_with(
        R"([^\w](strcpy|strcat|sprintf|vsprintf|gets|alloca|strncpy|strncat|strtok|realloc)\s*\(|scanf\([^)]*%\[?s)");
    EXPECT_TRUE(found.empty()) << listed(found);
}

TEST(Sources, GiveBackWhatTheyTake) {
    // Memory and handles belong to types that give them back; what is made by hand goes into such a
    // type in the same breath. The asan preset, which runs all tests, watches the rest.
    const auto found = lines_with(
        R"((^|[^\w.>:"])(std::)?(free|realloc)\s*\(|(^|[=(\s,&])(new|delete)(\[\])?\s+[A-Za-z_:])",
        {// A private constructor, straight into its owner; the owner may stand on the line before.
         "_ptr<", "made_(new ", "return std::unique_ptr<", "        new Connection(",
         "        new Guard(", "        new PostgresSnapshot(", "        new SqliteSnapshot(",
         // SQLite's virtual tables and the arena of JSON give back in their own functions, the
         // registry of metrics lives as long as the program, liboath's text is given to us.
         "src/store/sqlite/row_feed.cpp", "src/base/json_arena.hpp", "src/base/metrics.cpp",
         "src/trust/accounts/one_time_code.cpp",
         // A script's; a function that says whether somebody is free; words of sentences.
         "src/trust/pages/assets.cpp", "src/generate/detail/visits.cpp", "\""});
    EXPECT_TRUE(found.empty()) << listed(found);
}

TEST(Sources, BuildNoRegularExpressionsOfInput) {
    // RE2 alone, for the patterns that an expression's author writes; no value goes into one.
    const auto found = lines_with(R"(std::w?regex|<regex>|<regex\.h>|pcre|boost/regex|re2::|RE2::)",
                                  {"src/fhir/path/regex.cpp", "src/fhir/path/regex.hpp"});
    EXPECT_TRUE(found.empty()) << listed(found);
}

TEST(Sources, OfPagesRunNoTextAsCode) {
    const auto found = lines_with(
        R"(innerHTML|outerHTML|insertAdjacentHTML|document\.write|[^\w.]eval\s*\(|new Function|setTimeout\s*\(\s*['"]|setInterval\s*\(\s*['"]|postMessage|onmessage|addEventListener\(\s*'message'|localStorage|sessionStorage|document\.cookie|createContextualFragment|javascript:|importScripts|<object|<embed|<applet|<iframe)");
    EXPECT_TRUE(found.empty()) << listed(found);
    const auto handlers =
        lines_with(R"(<\w+[^>]* on(click|load|error|submit|change|input|focus)=)");
    EXPECT_TRUE(handlers.empty()) << listed(handlers);
}

TEST(Sources, ReadNoFormsThatMakeObjects) {
    // What comes in is JSON, XML, CBOR, forms and NDJSON, each read into values of a fixed kind;
    // no library turns bytes into objects of a type that they name themselves.
    const auto found = lines_with(
        R"(boost/(archive|serialization)|cereal/|yaml-cpp|msgpack|dlopen\s*\(|XML_PARSE_NOENT|XML_PARSE_DTDLOAD|libxml/|<expat)",
        // The PKCS#11 module that the operator names in keys/.
        {"src/trust/keys/token_keks.cpp"});
    EXPECT_TRUE(found.empty()) << listed(found);
}

}  // namespace
}  // namespace meridian::tests

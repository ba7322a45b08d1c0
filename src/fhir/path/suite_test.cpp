// SPDX-License-Identifier: Apache-2.0
// The FHIRPath R4 suite of FHIR/fhir-test-cases (../shared/data/fhirpath, a half of its groups).
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <pugixml.hpp>
#include <sstream>

#include "fhir/format/xml.hpp"
#include "fhir/path/expression.hpp"
#include "fhir/path/temporal.hpp"

namespace meridian::fhir::path {
namespace {

const std::filesystem::path data =
    std::filesystem::path(MERIDIAN_SOURCE_DIR) / ".." / "shared" / "data" / "fhirpath";

/// Tests that this engine does not pass, each with its reason in docs/conformance-fhirpath.md.
const std::map<std::string, std::string> exceptions = {};

std::string read_file(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

/// Inputs by file name, parsed once; `use_json` takes the JSON twin of an XML file where there is
/// one.
const JsonDocument* input(const std::string& name, bool use_json) {
    static std::map<std::pair<std::string, bool>, JsonDocument> documents;
    auto key = std::pair(name, use_json);
    auto it = documents.find(key);
    if (it != documents.end()) return &it->second;
    std::filesystem::path path = data / "input" / name;
    std::filesystem::path twin =
        data / "input-json" / std::filesystem::path(name).replace_extension(".json");
    if (use_json && path.extension() == ".xml") {
        if (!std::filesystem::exists(twin)) return nullptr;
        path = twin;
    }
    auto document = path.extension() == ".xml" ? from_xml(read_file(path))
                                               : JsonDocument::parse(read_file(path));
    if (!document) {
        ADD_FAILURE() << path << ": " << document.error().message;
        return nullptr;
    }
    return &documents.emplace(key, std::move(*document)).first->second;
}

/// Text of an item as the suite writes it: dates with "@", times with "@T".
std::string shown(const Item& item) {
    std::string text = item.to_text().value_or("(" + std::string(item.type_name()) + ")");
    if (item.kind() == Kind::date || item.kind() == Kind::date_time) return "@" + text;
    if (item.kind() == Kind::time) return "@T" + text;
    return text;
}

bool same_output(const Item& item, std::string_view type, const std::string& expected) {
    if (!type.empty()) {
        std::string lower(item.type_name());
        std::string wanted(type);
        if (!item.is_node() && !lower.empty()) lower[0] = static_cast<char>(std::tolower(lower[0]));
        if (!wanted.empty() && wanted != "Quantity")
            wanted[0] = static_cast<char>(std::tolower(wanted[0]));
        if (lower == "quantity") lower = "Quantity";
        // The suite calls what has a FHIR primitive type by the name of its System type.
        bool fits = lower == wanted || (wanted == "string" && item.kind() == Kind::string) ||
                    (wanted == "date" && item.kind() == Kind::date) ||
                    (wanted == "boolean" && item.kind() == Kind::boolean);
        if (!fits) return false;
    }
    if (item.kind() == Kind::decimal) {
        auto number = Decimal::parse(expected);
        return number && item.decimal() == *number;
    }
    if (expected.starts_with("@")) return shown(item) == expected;
    return item.to_text().value_or("") == expected;
}

struct Outcome {
    bool passed = false;
    std::string detail;
};

Outcome run(const pugi::xml_node& test, bool use_json) {
    std::string text = test.child("expression").child_value();
    std::string invalid = test.child("expression").attribute("invalid").value();
    std::string input_name = test.attribute("inputfile").value();
    const JsonDocument* document = input_name.empty() ? nullptr : input(input_name, use_json);
    std::string context =
        document != nullptr ? std::string(document->root().string_at("resourceType")) : "";
    auto expression = Expression::compile(text, context);
    if (!expression) return {!invalid.empty(), "does not compile: " + expression.error().message};
    if (invalid == "syntax") return {false, "compiles, but should not"};
    Evaluation evaluation;
    evaluation.resource = document != nullptr ? &document->root() : nullptr;
    evaluation.as_filters = false;
    auto result = expression->evaluate(evaluation);
    if (!result) return {!invalid.empty(), "fails: " + result.error().message};
    std::string got;
    for (const Item& item : *result)
        got += "[" + shown(item) + " " + std::string(item.type_name()) + "]";
    if (!invalid.empty()) return {false, "should fail, but gives " + got};
    std::vector<pugi::xml_node> outputs;
    for (const auto& output : test.children("output")) outputs.push_back(output);
    if (outputs.size() != result->size()) return {false, "gives " + got};
    for (std::size_t i = 0; i < outputs.size(); ++i) {
        if (!same_output((*result)[i], outputs[i].attribute("type").value(),
                         outputs[i].child_value()))
            return {false, "gives " + got};
    }
    return {true, ""};
}

void run_suite(bool use_json) {
    if (!std::filesystem::exists(data))
        GTEST_SKIP() << "no " << data << ": the FHIRPath suite is not here";
    pugi::xml_document suite;
    ASSERT_TRUE(suite.load_file((data / "tests-fhir-r4.reduced.xml").c_str(),
                                pugi::parse_default | pugi::parse_ws_pcdata_single));
    int total = 0, passed = 0;
    for (const auto& group : suite.child("tests").children("group")) {
        for (const auto& test : group.children("test")) {
            std::string input_name = test.attribute("inputfile").value();
            if (use_json && !input_name.empty() && input(input_name, true) == nullptr)
                continue;  // no JSON twin
            std::string name = test.attribute("name").value();
            ++total;
            Outcome outcome = run(test, use_json);
            bool excepted = exceptions.contains(name);
            if (outcome.passed) ++passed;
            EXPECT_NE(outcome.passed, excepted)
                << group.attribute("name").value() << " / " << name << ": "
                << test.child("expression").child_value() << "\n  " << outcome.detail;
        }
    }
    std::cout << "FHIRPath suite, " << (use_json ? "JSON twins" : "inputs as named") << ": "
              << passed << " of " << total << " pass\n";
    EXPECT_GE(passed * 100, total * 98);
    EXPECT_GT(total, use_json ? 480 : 520);
}

TEST(PathSuite, PassesOnTheNamedInputs) {
    run_suite(false);
}

TEST(PathSuite, PassesOnTheJsonTwins) {
    run_suite(true);
}

}  // namespace
}  // namespace meridian::fhir::path

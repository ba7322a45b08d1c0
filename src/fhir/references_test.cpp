// SPDX-License-Identifier: Apache-2.0
#include "fhir/references.hpp"

#include <gtest/gtest.h>

namespace meridian::fhir {
namespace {

std::string made_relative(std::string_view json, std::string_view base_url) {
    auto document = JsonDocument::parse(json);
    EXPECT_TRUE(document);
    make_relative(*document, document->root(), base_url);
    return to_text(document->root());
}

TEST(References, BelowAnotherServersBaseBecomeRelative) {
    const std::string base = "https://a.example/fhir";
    const auto observation = [](std::string_view subject, std::string_view member) {
        return fmt::format(
            R"({{"resourceType":"Observation","subject":{{"reference":"{}"}},)"
            R"("hasMember":[{{"reference":"{}"}}],)"
            R"("contained":[{{"resourceType":"Device","owner":{{"reference":"{}"}}}}],)"
            R"("extension":[{{"url":"https://a.example/fhir/Patient/7","valueUri":"https://a.example/fhir/Patient/7"}}]}})",
            subject, member, subject);
    };
    EXPECT_EQ(made_relative(observation("https://a.example/fhir/Patient/7", "Observation/1"), base),
              observation("Patient/7", "Observation/1"));
    EXPECT_EQ(made_relative(observation("https://a.example/fhir/Patient/7", "#x"), base + "/"),
              observation("Patient/7", "#x"));
    // What is not exactly a resource below it stays as it is.
    for (const char* other :
         {"https://a.example/fhir/Patient/7/_history/2", "https://a.example/fhir2/Patient/7",
          "https://a.example/fhir/Unknown/7", "https://a.example/fhir/Patient",
          "https://a.example/fhir/Patient/", "https://a.example/fhir/Patient?identifier=7",
          "https://b.example/fhir/Patient/7", "urn:uuid:11111111-1111-4111-8111-111111111111"}) {
        EXPECT_EQ(made_relative(observation(other, other), base), observation(other, other));
    }
    EXPECT_EQ(made_relative(observation("/Patient/7", "x"), ""), observation("/Patient/7", "x"));
}

TEST(References, TheFirstOneMeantIsFound) {
    const auto document = JsonDocument::parse(
        R"({"reference":"top","a":[{"reference":{"reference":"deep"}},"reference",{"reference":"last"}]})");
    ASSERT_TRUE(document);
    const auto first = [&](std::string_view wanted) {
        return first_reference_to(document->root(),
                                  [&](std::string_view text) { return text == wanted; });
    };
    EXPECT_EQ(first("top"), "top");
    EXPECT_EQ(first("deep"), "deep");
    EXPECT_EQ(first("last"), "last");
    EXPECT_EQ(first("reference"), "");
}

}  // namespace
}  // namespace meridian::fhir

// SPDX-License-Identifier: Apache-2.0
#include "fhir/format/subset.hpp"

#include <gtest/gtest.h>

namespace meridian::fhir {
namespace {

constexpr std::string_view tag =
    R"({"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED","display":"Resource encoded in summary mode"})";

std::string cut(std::string_view json, Page::Summary summary,
                const std::vector<std::string>& elements = {}) {
    const auto result = subset(json, summary, elements);
    EXPECT_TRUE(result) << (result ? "" : result.error().message);
    return result.value_or("");
}

std::string with_tag(std::string_view pattern) {
    return fmt::format(fmt::runtime(pattern), fmt::arg("tag", tag));
}

constexpr std::string_view observation =
    R"({"resourceType":"Observation","id":"7","meta":{"versionId":"2","tag":[{"code":"x"}]},"text":{"status":"empty","div":"<div/>"},)"
    R"("modifierExtension":[{"url":"urn:m","extension":[{"url":"n","valueCode":"c"}]}],"status":"final","code":{"text":"weight","extension":[{"url":"e"}]},)"
    R"("valueQuantity":{"value":1.50},"_valueQuantity":null,"note":[{"text":"n"}],"referenceRange":[{"text":"r"}],)"
    R"("component":[{"code":{"text":"c"},"valueInteger":1,"interpretation":[{"text":"i"}]}]})";

TEST(Subset, SummaryKeepsWhatIsMarkedAtEveryLevel) {
    EXPECT_EQ(
        cut(observation, Page::Summary::on),
        with_tag(
            R"({{"resourceType":"Observation","id":"7","meta":{{"versionId":"2","tag":[{{"code":"x"}},{tag}]}},)"
            R"("modifierExtension":[{{"url":"urn:m","extension":[{{"url":"n","valueCode":"c"}}]}}],"status":"final","code":{{"text":"weight"}},)"
            R"("valueQuantity":{{"value":1.50}},"_valueQuantity":null,"component":[{{"code":{{"text":"c"}},"valueInteger":1}}]}})"));
}

TEST(Subset, TextKeepsNarrativeAndMandatoryRootElements) {
    EXPECT_EQ(
        cut(observation, Page::Summary::text),
        with_tag(
            R"({{"resourceType":"Observation","id":"7","meta":{{"versionId":"2","tag":[{{"code":"x"}},{tag}]}},"text":{{"status":"empty","div":"<div/>"}},)"
            R"("status":"final","code":{{"text":"weight","extension":[{{"url":"e"}}]}}}})"));
}

TEST(Subset, DataDropsOnlyTheNarrative) {
    EXPECT_EQ(
        cut(R"({"resourceType":"Patient","text":{"status":"empty"},"birthDate":"1970","_birthDate":{"id":"b"},"photo":[{"data":"AA=="}]})",
            Page::Summary::data),
        with_tag(
            R"({{"resourceType":"Patient","meta":{{"tag":[{tag}]}},"birthDate":"1970","_birthDate":{{"id":"b"}},"photo":[{{"data":"AA=="}}]}})"));
}

TEST(Subset, ElementsKeepMandatoryAndModifierElements) {
    EXPECT_EQ(
        cut(observation, Page::Summary::off, {"value"}),
        with_tag(
            R"({{"resourceType":"Observation","id":"7","meta":{{"versionId":"2","tag":[{{"code":"x"}},{tag}]}},)"
            R"("modifierExtension":[{{"url":"urn:m","extension":[{{"url":"n","valueCode":"c"}}]}}],"status":"final",)"
            R"("code":{{"text":"weight","extension":[{{"url":"e"}}]}},"valueQuantity":{{"value":1.50}},"_valueQuantity":null}})"));
    const std::string both =
        cut(observation, Page::Summary::off, {"valueQuantity", "Observation.note", "nonsense"});
    EXPECT_TRUE(both.contains("\"note\""));
    EXPECT_TRUE(both.contains("\"valueQuantity\""));
    EXPECT_FALSE(both.contains("\"component\""));
    EXPECT_FALSE(both.contains("\"text\":{"));
}

TEST(Subset, ElementsGoBeforeSummary) {
    EXPECT_EQ(cut(R"({"resourceType":"Patient","gender":"male","photo":[{}]})", Page::Summary::on,
                  {"photo"}),
              with_tag(R"({{"resourceType":"Patient","meta":{{"tag":[{tag}]}},"photo":[{{}}]}})"));
}

TEST(Subset, TheTagStandsOnceAndMetaBehindTheId) {
    const std::string once =
        cut(R"({"resourceType":"Patient","id":"7","gender":"male"})", Page::Summary::on);
    EXPECT_EQ(
        once,
        with_tag(
            R"({{"resourceType":"Patient","id":"7","meta":{{"tag":[{tag}]}},"gender":"male"}})"));
    EXPECT_EQ(cut(once, Page::Summary::on), once);
    EXPECT_EQ(cut(R"({"resourceType":"Patient"})", Page::Summary::on),
              with_tag(R"({{"resourceType":"Patient","meta":{{"tag":[{tag}]}}}})"));
}

TEST(Subset, WholeResourcesStayAsTheyAre) {
    EXPECT_EQ(cut(observation, Page::Summary::off), observation);
    EXPECT_EQ(cut(R"({"resourceType":"Unknown","x":1})", Page::Summary::on),
              R"({"resourceType":"Unknown","x":1})");
    EXPECT_FALSE(subset("{", Page::Summary::on, {}));
}

TEST(Subset, AnElementThatLivesInItsExtensionIsNotEmptied) {
    EXPECT_EQ(
        cut(R"({"resourceType":"Patient","identifier":[{"extension":[{"url":"u"}]}]})",
            Page::Summary::on),
        with_tag(
            R"({{"resourceType":"Patient","meta":{{"tag":[{tag}]}},"identifier":[{{"extension":[{{"url":"u"}}]}}]}})"));
}

TEST(Subset, ResourcesInsideAreReducedByTheirOwnType) {
    EXPECT_EQ(
        cut(R"({"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","gender":"male","photo":[{}]}}]})",
            Page::Summary::on),
        with_tag(
            R"({{"resourceType":"Bundle","meta":{{"tag":[{tag}]}},"type":"collection","entry":[{{"resource":{{"resourceType":"Patient","gender":"male"}}}}]}})"));
}

}  // namespace
}  // namespace meridian::fhir

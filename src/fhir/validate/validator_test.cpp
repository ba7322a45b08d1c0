// SPDX-License-Identifier: Apache-2.0
#include "fhir/validate/validator.hpp"

#include <gtest/gtest.h>

#include "fhir/testing/synthea.hpp"

namespace meridian::fhir {
namespace {

std::vector<Issue> findings(std::string_view json) {
    const auto document = JsonDocument::parse(json);
    EXPECT_TRUE(document) << document.error().message;
    std::vector<Issue> issues;
    validate_structure(document->root(), issues);
    return issues;
}

/// "path: message" of the only finding.
std::string only_finding(std::string_view json) {
    const auto issues = findings(json);
    EXPECT_EQ(issues.size(), 1u) << json;
    return issues.empty() ? "" : issues.front().path + ": " + issues.front().message;
}

TEST(Validator, AcceptsAPatient) {
    EXPECT_TRUE(
        findings(
            R"({"resourceType":"Patient","id":"a","name":[{"family":"王","given":["小明"]}],"birthDate":"1987-03","gender":"female",
        "_birthDate":{"extension":[{"url":"http://example.org/x","valueString":"y"}]},"deceasedBoolean":false})")
            .empty());
}

TEST(Validator, NamesPlaceAndExpectation) {
    EXPECT_EQ(only_finding(R"({"resourceType":"Patient","birthDate":"1987-13-02"})"),
              "Patient.birthDate: \"1987-13-02\" is no date: expected YYYY, YYYY-MM or YYYY-MM-DD");
    EXPECT_EQ(only_finding(R"({"resourceType":"Patient","name":[{"given":["a",7]}]})"),
              "Patient.name[0].given[1]: \"7\" is no string: expected a string that is not empty");
    EXPECT_EQ(only_finding(R"({"resourceType":"Patient","nome":1})"),
              "Patient.nome: Patient has no element \"nome\"");
    EXPECT_EQ(only_finding(R"({"resourceType":"Patient","gender":"unsure"})"),
              "Patient.gender: \"unsure\" is not in the required value set "
              "http://hl7.org/fhir/ValueSet/administrative-gender");
    EXPECT_EQ(only_finding(R"({"resourceType":"Nothing"})"),
              "resourceType: \"Nothing\" is no FHIR R4 resource type");
}

TEST(Validator, ChecksCardinalityAndShape) {
    EXPECT_EQ(findings(R"({"resourceType":"Observation","code":{"text":"x"}})").size(),
              1u);  // status is required
    EXPECT_EQ(findings(R"({"resourceType":"Patient","name":{"family":"x"}})").size(),
              1u);  // an array
    EXPECT_EQ(findings(R"({"resourceType":"Patient","birthDate":["1987"]})").size(),
              1u);                                                                  // not an array
    EXPECT_EQ(findings(R"({"resourceType":"Patient","name":[]})").size(), 1u);      // empty array
    EXPECT_EQ(findings(R"({"resourceType":"Patient","name":[{}]})").size(), 1u);    // empty object
    EXPECT_EQ(findings(R"({"resourceType":"Patient","active":null})").size(), 1u);  // null
    EXPECT_EQ(findings(R"({"resourceType":"Patient","active":"true"})").size(),
              1u);  // a boolean as text
    EXPECT_EQ(
        findings(R"({"resourceType":"Patient","deceasedBoolean":true,"deceasedDateTime":"2020"})")
            .size(),
        1u);
}

TEST(Validator, NullStandsForARepetitionWithACompanion) {
    EXPECT_TRUE(
        findings(
            R"({"resourceType":"Patient","name":[{"given":["a",null],"_given":[null,{"id":"x"}]}]})")
            .empty());
    EXPECT_EQ(findings(R"({"resourceType":"Patient","name":[{"given":["a",null]}]})").size(), 1u);
}

TEST(Validator, ChecksReferences) {
    const auto with = [](std::string_view reference) {
        return fmt::format(
            R"({{"resourceType":"Observation","status":"final","code":{{"text":"x"}},"subject":{{"reference":"{}"}}}})",
            reference);
    };
    for (const char* fine : {"Patient/1", "Patient/1/_history/2", "urn:uuid:0a-1",
                             "http://other.example/fhir/Patient/1", "Group/7"}) {
        EXPECT_TRUE(findings(with(fine)).empty()) << fine;
    }
    for (const char* wrong :
         {"Patient", "Patient/", "Pationt/1", "Encounter/1", "#nothing", "Patient/a b"}) {
        EXPECT_EQ(findings(with(wrong)).size(), 1u) << wrong;
    }
}

TEST(Validator, ContainedResourcesAreChecked) {
    EXPECT_EQ(
        findings(
            R"({"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o","active":"x"}],
        "managingOrganization":{"reference":"#o"}})")
            .size(),
        1u);
}

TEST(Validator, SyntheaIsValid) {
    const auto bundles = testing::synthea_bundles();
    if (bundles.empty()) GTEST_SKIP() << "../shared/data/synthea is not here";
    std::size_t resources = 0;
    for (const auto& bundle : bundles) {
        const auto document = JsonDocument::parse(bundle.text);
        ASSERT_TRUE(document) << bundle.name << document.error().message;
        for (const Json& entry : document->root()["entry"].items()) {
            std::vector<Issue> issues;
            validate_structure(entry["resource"], issues);
            ASSERT_TRUE(issues.empty())
                << bundle.name << ": " << issues.front().path << ": " << issues.front().message;
            ++resources;
        }
    }
    EXPECT_GT(resources, 10'000u);
}

TEST(Validator, RelatedItemsFitTogether) {
    const auto fault = [](std::string_view json) {
        const auto document = JsonDocument::parse(json);
        std::vector<Issue> issues;
        validate_structure(document->root(), issues);
        return issues.empty() ? std::string() : issues.front().path;
    };
    const auto period = [&](std::string_view start, std::string_view end) {
        return fault(
            fmt::format(R"({{"resourceType":"EpisodeOfCare","status":"active","patient":{{)"
                        R"("reference":"Patient/p"}},"period":{{"start":"{}","end":"{}"}}}})",
                        start, end));
    };
    EXPECT_EQ(period("2020-01-01", "2020-01-01"), "");
    EXPECT_EQ(period("2020-05", "2020"), "") << "it may be";
    EXPECT_EQ(period("2020-01-01T10:00:00+08:00", "2020-01-01T03:00:00Z"), "");
    EXPECT_EQ(period("2020-01-02", "2020-01-01"), "EpisodeOfCare.period");
    EXPECT_EQ(period("2021", "2020-12-31"), "EpisodeOfCare.period");
    EXPECT_EQ(period("2020-01-01T10:00:00+08:00", "2020-01-01T01:59:59Z"), "EpisodeOfCare.period");
    EXPECT_EQ(fault(R"({"resourceType":"Patient","photo":[{"data":"AAAA"}]})"),
              "Patient.photo[0].contentType");
    EXPECT_EQ(
        fault(R"({"resourceType":"Patient","deceasedBoolean":true,"deceasedDateTime":"2020"})"),
        "Patient.deceasedDateTime");
}

TEST(Validator, ANarrativeOnlyFormatsText) {
    const auto is_taken = [](std::string_view inside) {
        std::string json = R"({"resourceType":"Patient","text":{"status":"generated","div":)";
        write_string(fmt::format(R"(<div xmlns="http://www.w3.org/1999/xhtml">{}</div>)", inside),
                     json);
        const auto document = JsonDocument::parse(json + "}}");
        std::vector<Issue> issues;
        validate_structure(document->root(), issues);
        return issues.empty();
    };
    for (const char* good :
         {"", "<p class=\"a\" style=\"color:red\">x &lt; y</p>", "<a href=\"#b\">x</a><br/>",
          "<a href='https://example.org/a:b?c=d&amp;e'>x</a>", "<a href=\"Patient/1\">x</a>",
          "<img src=\"data:image/png;base64,AAAA\" alt=\"x\"/>",
          "<table><tr><td>1</td></tr></table>"})
        EXPECT_TRUE(is_taken(good)) << good;
    for (const char* bad : {"<script>x</script>",
                            "<SCRIPT>x</SCRIPT>",
                            "<p onclick=\"x\">y</p>",
                            "<iframe src=\"x\"/>",
                            "<form action=\"x\"><input/></form>",
                            "<a href=\"javascript:x\">y</a>",
                            "<a href=\" JavaScript:x\">y</a>",
                            "<a href=\"java&#115;cript:x\">y</a>",
                            "<a href=\"java\nscript:x\">y</a>",
                            "<a href=\"data:text/html,x\">y</a>",
                            "<img src=\"data:text/html,x\"/>",
                            "<a href=\"vbscript:x\">y</a>",
                            "<p style=\"background:url(http://evil/x)\">y</p>",
                            "<p style=\"width:expression(x)\">y</p>",
                            "<style>@import 'x'</style>",
                            "<svg onload=\"x\"/>",
                            "<object data=\"x\"/>",
                            "<meta http-equiv=\"refresh\" content=\"0;url=x\"/>",
                            "<p>",
                            "</div><div>"})
        EXPECT_FALSE(is_taken(bad)) << bad;
}

}  // namespace
}  // namespace meridian::fhir

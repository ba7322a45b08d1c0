// SPDX-License-Identifier: Apache-2.0
#include "fhir/validate/profile.hpp"

#include <gtest/gtest.h>

#include <chrono>

#include "fhir/terminology/terminology.hpp"
#include "fhir/testing/synthea.hpp"
#include "fhir/validate/profile_definition.hpp"
#include "fhir/validate/validator.hpp"

namespace meridian::fhir {
namespace {

std::shared_ptr<const terminology::Terminology> specification() {
    static const auto terminology = std::make_shared<const terminology::Terminology>(nullptr);
    return terminology;
}

/// "severity path: message" of every finding but the missing narrative.
std::string findings(std::string_view json, const std::vector<std::string>& profiles = {}) {
    const JsonDocument document = *JsonDocument::parse(json);
    std::vector<Issue> issues;
    ProfileValidator(specification()).validate(document.root(), profiles, issues);
    std::string all;
    for (const Issue& issue : issues) {
        if (issue.message.starts_with("dom-6")) continue;
        all += fmt::format("{}{} {}: {}", all.empty() ? "" : "\n",
                           issue.severity == Severity::error ? "error" : "note", issue.path,
                           issue.message);
    }
    return all;
}

TEST(Invariants, HoldOrAreNamed) {
    EXPECT_EQ(findings(R"({"resourceType":"Patient","contact":[{"name":{"family":"Li"}}]})"), "");
    EXPECT_EQ(findings(R"({"resourceType":"Patient","contact":[{"gender":"male"}]})"),
              "error Patient.contact[0]: pat-1: SHALL at least contain a contact's details or a "
              "reference to an organization");
    EXPECT_NE(
        findings(
            R"({"resourceType":"Observation","status":"final","code":{"text":"x"},"valueString":"a","dataAbsentReason":{"text":"b"}})")
            .find("obs-6"),
        std::string::npos);
    EXPECT_NE(
        findings(
            R"({"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1,"code":"mg"}})")
            .find("error Observation.valueQuantity: qty-3"),
        std::string::npos);
    EXPECT_NE(
        findings(
            R"({"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o","name":"x"}]})")
            .find("dom-3"),
        std::string::npos);
    EXPECT_EQ(
        findings(
            R"({"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o","name":"x"}],"managingOrganization":{"reference":"#o"}})"),
        "");
}

TEST(Invariants, AMissingNarrativeIsAWarning) {
    const JsonDocument document = *JsonDocument::parse(R"({"resourceType":"Patient"})");
    std::vector<Issue> issues;
    validate_invariants(document.root(), issues);
    ASSERT_EQ(issues.size(), 1u);
    EXPECT_EQ(issues[0].severity, Severity::warning);
    EXPECT_TRUE(issues[0].message.starts_with("dom-6"));
}

TEST(Invariants, WarningsLeaveRoomForErrors) {
    std::string entries;
    for (int i = 0; i < 300; ++i) entries += R"({"resource":{"resourceType":"Patient"}},)";
    const JsonDocument document = *JsonDocument::parse(
        R"({"resourceType":"Bundle","type":"collection","entry":[)" + entries +
        R"({"resource":{"resourceType":"Patient","contact":[{"gender":"male"}]}}]})");
    std::vector<Issue> issues;
    validate_invariants(document.root(), issues);
    EXPECT_TRUE(has_errors(issues));
}

TEST(Invariants, HoldOnSynthea) {
    const auto bundles = testing::synthea_bundles(4);
    if (bundles.empty()) GTEST_SKIP() << "the Synthea bundles are not beside the project";
    for (const auto& bundle : bundles) {
        const JsonDocument document = *JsonDocument::parse(bundle.text);
        const auto start = std::chrono::steady_clock::now();
        std::size_t resources = 0;
        for (const Json& entry : document.root()["entry"].items()) {
            std::vector<Issue> issues;
            validate_invariants(entry["resource"], issues);
            ++resources;
            for (const Issue& issue : issues) {
                EXPECT_GE(issue.severity, Severity::warning)
                    << bundle.name << ": " << issue.path << ": " << issue.message;
                EXPECT_NE(issue.code, "not-supported") << issue.message;
            }
        }
        fmt::print(
            "{}: {} resources, {:.1f} ms\n", bundle.name, resources,
            std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
                .count());
    }
}

constexpr const char* body_weight = "http://hl7.org/fhir/StructureDefinition/bodyweight";

std::string weight(std::string_view unit, std::string_view rest) {
    return fmt::format(
        R"({{"resourceType":"Observation","status":"final","category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs"}}]}}],
        "code":{{"coding":[{{"system":"http://loinc.org","code":"29463-7"}}]}},"subject":{{"reference":"Patient/1"}},"valueQuantity":{{"value":70,"unit":"kg","system":"http://unitsofmeasure.org","code":"{}"}}{}}})",
        unit, rest);
}

TEST(Profile, BodyWeightOfTheSpecification) {
    EXPECT_EQ(findings(weight("kg", R"(,"effectiveDateTime":"2024-01-02")"), {body_weight}), "");
    EXPECT_NE(findings(weight("kg", ""), {body_weight}).find("effective"), std::string::npos);
    EXPECT_NE(findings(weight("mm", R"(,"effectiveDateTime":"2024-01-02")"), {body_weight})
                  .find("error Observation.valueQuantity"),
              std::string::npos);
    EXPECT_NE(findings(R"({"resourceType":"Patient"})", {body_weight}).find("is about Observation"),
              std::string::npos);
}

TEST(Profile, AnUnknownOneIsAnErrorOnlyWhenAskedFor) {
    EXPECT_TRUE(findings(R"({"resourceType":"Patient"})", {"urn:none"})
                    .starts_with("error Patient.meta.profile"));
    EXPECT_TRUE(findings(R"({"resourceType":"Patient","meta":{"profile":["urn:none"]}})")
                    .starts_with("note Patient.meta.profile"));
}

TEST(Profile, ASnapshotThatIsNoTreeIsRefused) {
    const auto load = [](std::string_view json) {
        return Profile::load(*JsonDocument::parse(json));
    };
    EXPECT_FALSE(load(R"({"resourceType":"StructureDefinition","url":"u","type":"Patient"})"));
    EXPECT_FALSE(load(
        R"({"url":"u","type":"Patient","snapshot":{"element":[{"id":"Patient"},{"id":"Patient.a.b"}]}})"));
    EXPECT_FALSE(load(
        R"({"url":"u","type":"Patient","snapshot":{"element":[{"id":"Patient"},{"id":"Patient.a:x"}]}})"));
    EXPECT_TRUE(load(
        R"({"url":"u","type":"Patient","snapshot":{"element":[{"id":"Patient"},{"id":"Patient.name"},{"id":"Patient.name:x"}]}})"));
}

}  // namespace
}  // namespace meridian::fhir

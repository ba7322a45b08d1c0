// SPDX-License-Identifier: Apache-2.0
#include "fhir/patch/fhirpath_patch.hpp"

#include <gtest/gtest.h>

#include "base/limits.hpp"

namespace meridian::fhir::patch {
namespace {

/// The patched resource without its head, or "category: message". `operations` are the parts of
/// each operation.
std::string patched(std::string_view resource, std::vector<std::string> operations) {
    auto target = *JsonDocument::parse(resource);
    std::string patch = R"({"resourceType":"Parameters","parameter":[)";
    for (const std::string& parts : operations)
        patch += R"({"name":"operation","part":[)" + parts + "]},";
    if (!operations.empty()) patch.pop_back();
    auto parameters = JsonDocument::parse(patch + "]}");
    EXPECT_TRUE(parameters.has_value()) << patch;
    auto result = apply_fhirpath_patch(target, parameters->root());
    if (!result)
        return std::string(name_of(result.error().category)) + ": " + result.error().message;
    target.remove(target.root(), "resourceType");
    return to_text(target.root());
}

std::string operation(std::string_view type, std::string_view path, std::string_view rest = {}) {
    return fmt::format(
        R"({{"name":"type","valueCode":"{}"}},{{"name":"path","valueString":"{}"}}{}{})", type,
        path, rest.empty() ? "" : ",", rest);
}
std::string named(std::string_view name) {
    return fmt::format(R"({{"name":"name","valueString":"{}"}})", name);
}
std::string number(std::string_view name, int value) {
    return fmt::format(R"({{"name":"{}","valueInteger":{}}})", name, value);
}

constexpr std::string_view patient =
    R"({"resourceType":"Patient","birthDate":"1920-01-01","contact":[{"name":{"text":"a name"},"gender":"male"}],)"
    R"("identifier":[{"system":"s","value":"1"},{"system":"s","value":"2"},{"system":"s","value":"3"}]})";

TEST(FhirPathPatch, AddSetsASingleElement) {
    EXPECT_EQ(
        patched(R"({"resourceType":"Patient"})",
                {operation("add", "Patient",
                           named("birthDate") + R"(,{"name":"value","valueDate":"1930-01-01"})")}),
        R"({"birthDate":"1930-01-01"})");
    EXPECT_EQ(patched(R"({"resourceType":"Patient","contact":[{"name":{"text":"a"}}]})",
                      {operation("add", "Patient.contact[0]",
                                 named("gender") + R"(,{"name":"value","valueCode":"male"})")}),
              R"({"contact":[{"name":{"text":"a"},"gender":"male"}]})");
}

TEST(FhirPathPatch, AddAppendsToAList) {
    EXPECT_EQ(patched(R"({"resourceType":"Patient","name":[{"given":["A"]}]})",
                      {operation("add", "Patient.name[0]",
                                 named("given") + R"(,{"name":"value","valueString":"B"})"),
                       operation("add", "Patient",
                                 named("name") +
                                     R"(,{"name":"value","valueHumanName":{"family":"C"}})")}),
              R"({"name":[{"given":["A","B"]},{"family":"C"}]})");
}

TEST(FhirPathPatch, AddBuildsABackboneFromParts) {
    EXPECT_EQ(
        patched(
            R"({"resourceType":"Patient"})",
            {operation(
                "add", "Patient",
                named("contact") +
                    R"(,{"name":"value","part":[{"name":"name","valueHumanName":{"text":"a name"}},
                                   {"name":"telecom","part":[{"name":"value","valueString":"555"}]},{"name":"telecom","part":[{"name":"value","valueString":"666"}]}]})")}),
        R"({"contact":[{"name":{"text":"a name"},"telecom":[{"value":"555"},{"value":"666"}]}]})");
}

TEST(FhirPathPatch, AChoiceIsNamedAfterItsValue) {
    EXPECT_EQ(
        patched(R"({"resourceType":"Observation","status":"final"})",
                {operation("add", "Observation",
                           named("value") +
                               R"(,{"name":"value","valueQuantity":{"value":1.50,"unit":"mg"}})")}),
        R"({"status":"final","valueQuantity":{"value":1.50,"unit":"mg"}})");
    EXPECT_EQ(patched(R"({"resourceType":"Observation","valueQuantity":{"value":1}})",
                      {operation("replace", "Observation.value",
                                 R"({"name":"value","valueString":"high"})")}),
              R"({"valueString":"high"})");
    EXPECT_EQ(
        patched(
            R"({"resourceType":"Patient","extension":[{"url":"u","valueString":"x"}]})",
            {operation(
                "add", "Patient",
                named("extension") +
                    R"(,{"name":"value","part":[{"name":"url","valueUri":"v"},{"name":"value","valueBoolean":true}]})")}),
        R"({"extension":[{"url":"u","valueString":"x"},{"url":"v","valueBoolean":true}]})");
    EXPECT_EQ(patched(R"({"resourceType":"Observation","valueQuantity":{"value":1}})",
                      {operation("add", "Observation",
                                 named("value") + R"(,{"name":"value","valueString":"x"})")}),
              "unprocessable: FHIRPath Patch operation 0 (add Observation): Observation.value is "
              "there already; replace it");
}

TEST(FhirPathPatch, Insert) {
    auto insert = [](int index) {
        return patched(
            R"({"resourceType":"Patient","name":[{"given":["A","C"]}]})",
            {operation("insert", "Patient.name.given",
                       number("index", index) + R"(,{"name":"value","valueString":"B"})")});
    };
    EXPECT_EQ(insert(0), R"({"name":[{"given":["B","A","C"]}]})");
    EXPECT_EQ(insert(1), R"({"name":[{"given":["A","B","C"]}]})");
    EXPECT_EQ(insert(2), R"({"name":[{"given":["A","C","B"]}]})");
    EXPECT_EQ(insert(3),
              "unprocessable: FHIRPath Patch operation 0 (insert Patient.name.given): the index 3 "
              "is beyond the list's 2 elements");
    EXPECT_EQ(patched(R"({"resourceType":"Patient"})",
                      {operation("insert", "Patient.name",
                                 number("index", 0) +
                                     R"(,{"name":"value","valueHumanName":{"text":"N"}})")}),
              R"({"name":[{"text":"N"}]})")
        << "a list that is not there yet";
    EXPECT_TRUE(patched(patient,
                        {operation("insert", "Patient.birthDate",
                                   number("index", 0) + R"(,{"name":"value","valueDate":"2000"})")})
                    .starts_with("unprocessable"));
}

TEST(FhirPathPatch, Delete) {
    EXPECT_EQ(
        patched(patient, {operation("delete", "Patient.contact"),
                          operation("delete", "Patient.identifier.where(value = '2')")}),
        R"({"birthDate":"1920-01-01","identifier":[{"system":"s","value":"1"},{"system":"s","value":"3"}]})");
    EXPECT_EQ(patched(R"({"resourceType":"Patient","active":true})",
                      {operation("delete", "Patient.birthDate")}),
              R"({"active":true})")
        << "nothing to delete is no error";
    EXPECT_EQ(patched(patient, {operation("delete", "Patient.identifier")}),
              "unprocessable: FHIRPath Patch operation 0 (delete Patient.identifier): the path "
              "leads to 3 elements, not one");
    EXPECT_TRUE(patched(patient, {operation("delete", "Patient")}).starts_with("unprocessable"));
}

TEST(FhirPathPatch, Replace) {
    EXPECT_EQ(
        patched(R"({"resourceType":"Patient","birthDate":"1920-01-01","_birthDate":{"id":"b"}})",
                {operation("replace", "Patient.birthDate",
                           R"({"name":"value","valueDate":"1930-01-01"})")}),
        R"({"birthDate":"1930-01-01"})");
    EXPECT_EQ(
        patched(
            R"({"resourceType":"Patient","name":[{"given":["A","B"],"_given":[null,{"id":"b"}]}]})",
            {operation("replace", "Patient.name.given[1]",
                       R"({"name":"value","valueString":"C"})")}),
        R"({"name":[{"given":["A","C"]}]})")
        << "the twin of what was replaced goes with it";
    EXPECT_TRUE(patched(patient, {operation("replace", "Patient.gender",
                                            R"({"name":"value","valueCode":"male"})")})
                    .starts_with("unprocessable: FHIRPath Patch operation 0 (replace "
                                 "Patient.gender): the path leads to no element"));
}

TEST(FhirPathPatch, Move) {
    auto move = [](int source, int destination) {
        return patched(
            R"({"resourceType":"Patient","name":[{"given":["A","B","C"],"_given":[{"id":"a"}]}]})",
            {operation("move", "Patient.name.given",
                       number("source", source) + "," + number("destination", destination))});
    };
    EXPECT_EQ(move(0, 2), R"({"name":[{"given":["B","C","A"],"_given":[null,null,{"id":"a"}]}]})");
    EXPECT_EQ(move(2, 0), R"({"name":[{"given":["C","A","B"],"_given":[null,{"id":"a"},null]}]})");
    EXPECT_TRUE(move(0, 3).starts_with("unprocessable"));
    EXPECT_TRUE(move(-1, 0).starts_with("incorrect"));
}

TEST(FhirPathPatch, PrimitivesKeepTheirTwins) {
    EXPECT_EQ(
        patched(
            R"({"resourceType":"Patient","name":[{"given":["A","B"],"_given":[null,{"id":"b"}]}]})",
            {operation("delete", "Patient.name.given[0]")}),
        R"({"name":[{"given":["B"],"_given":[{"id":"b"}]}]})");
    EXPECT_EQ(patched(R"({"resourceType":"Patient","birthDate":"1920"})",
                      {operation(
                          "add", "Patient.birthDate",
                          named("extension") +
                              R"(,{"name":"value","valueExtension":{"url":"u","valueCode":"x"}})")})
                  .substr(0, 13),
              "unprocessable")
        << "value[x] of a parameter has no Extension";
    EXPECT_EQ(
        patched(
            R"({"resourceType":"Patient","birthDate":"1920"})",
            {operation(
                "add", "Patient.birthDate",
                named("extension") +
                    R"(,{"name":"value","part":[{"name":"url","valueUri":"u"},{"name":"value","valueCode":"x"}]})")}),
        R"({"birthDate":"1920","_birthDate":{"extension":[{"url":"u","valueCode":"x"}]}})");
    EXPECT_EQ(
        patched(R"({"resourceType":"Patient"})",
                {operation("add", "Patient",
                           named("birthDate") +
                               R"(,{"name":"value","_valueDate":{"id":"q"},"valueDate":"1920"})")}),
        R"({"birthDate":"1920","_birthDate":{"id":"q"}})");
}

TEST(FhirPathPatch, OperationsSeeTheOnesBefore) {
    EXPECT_EQ(
        patched(
            R"({"resourceType":"Patient"})",
            {operation("add", "Patient",
                       named("contact") +
                           R"(,{"name":"value","part":[{"name":"gender","valueCode":"male"}]})"),
             operation("add", "Patient.contact",
                       named("name") + R"(,{"name":"value","valueHumanName":{"text":"x"}})"),
             operation("replace", "Patient.contact.gender",
                       R"({"name":"value","valueCode":"female"})")}),
        R"({"contact":[{"gender":"female","name":{"text":"x"}}]})");
}

TEST(FhirPathPatch, ContainedResources) {
    EXPECT_EQ(
        patched(
            R"({"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o","name":"A"}],"managingOrganization":{"reference":"#o"}})",
            {operation("replace", "Patient.managingOrganization.resolve().name",
                       R"({"name":"value","valueString":"B"})")}),
        R"({"contained":[{"resourceType":"Organization","id":"o","name":"B"}],"managingOrganization":{"reference":"#o"}})");
    EXPECT_EQ(
        patched(
            R"({"resourceType":"Patient"})",
            {operation(
                "add", "Patient",
                named("contained") +
                    R"(,{"name":"value","resource":{"resourceType":"Organization","id":"o"}})")}),
        R"({"contained":[{"resourceType":"Organization","id":"o"}]})");
}

TEST(FhirPathPatch, ValuesAreChecked) {
    for (std::string_view value :
         {R"("valueQuantity":{"value":1})", R"("valueString":"not a date")",
          R"("valueBoolean":true)", R"("part":[])", R"("resource":{"resourceType":"Patient"})",
          R"("x":1)"}) {
        std::string got =
            patched(patient, {operation("replace", "Patient.birthDate",
                                        fmt::format(R"({{"name":"value",{}}})", value))});
        EXPECT_TRUE(got.starts_with(
            "unprocessable: FHIRPath Patch operation 0 (replace Patient.birthDate): "))
            << value << ": " << got;
    }
    EXPECT_TRUE(
        patched(patient, {operation("add", "Patient",
                                    named("nothing") + R"(,{"name":"value","valueString":"x"})")})
            .starts_with("unprocessable"));
    EXPECT_TRUE(
        patched(patient,
                {operation("add", "Patient",
                           named("contact") +
                               R"(,{"name":"value","part":[{"name":"x","valueString":"x"}]})")})
            .starts_with("unprocessable"));
    EXPECT_TRUE(
        patched(
            patient,
            {operation(
                "add", "Patient",
                named("contact") +
                    R"(,{"name":"value","part":[{"name":"gender","valueCode":"male"},{"name":"gender","valueCode":"male"}]})")})
            .starts_with("unprocessable"));
}

TEST(FhirPathPatch, MalformedPatches) {
    auto apply = [](std::string_view text) {
        auto target = *JsonDocument::parse(patient);
        auto result = apply_fhirpath_patch(target, JsonDocument::parse(text)->root());
        return result ? std::string("applied") : std::string(name_of(result.error().category));
    };
    EXPECT_EQ(apply(R"({"resourceType":"Parameters"})"), "applied");
    EXPECT_EQ(apply("[]"), "incorrect");
    EXPECT_EQ(apply(R"({"resourceType":"Parameters","parameter":{"name":"operation"}})"),
              "incorrect");
    EXPECT_EQ(apply(R"({"resourceType":"Parameters","parameter":[{"name":"other"}]})"),
              "incorrect");
    EXPECT_EQ(
        apply(R"({"resourceType":"Parameters","parameter":[{"name":"operation","part":[]}]})"),
        "incorrect");
    EXPECT_EQ(patched(patient, {operation("jump", "Patient")}).substr(0, 9), "incorrect");
    EXPECT_EQ(patched(patient, {operation("delete", "Patient..x")}).substr(0, 9), "incorrect");
    EXPECT_EQ(patched(patient, {operation("add", "Patient", named("birthDate"))}).substr(0, 9),
              "incorrect");
    EXPECT_EQ(patched(patient, {operation("delete", "1 + 1")}).substr(0, 13), "unprocessable");
    EXPECT_EQ(patched(patient, {operation("delete", "(1|2) + 1")}).substr(0, 9), "incorrect");
    std::vector<std::string> many(limits::patch_operations_max + 1,
                                  operation("delete", "Patient.photo"));
    EXPECT_EQ(patched(patient, many).substr(0, 9), "too_large");
}

}  // namespace
}  // namespace meridian::fhir::patch

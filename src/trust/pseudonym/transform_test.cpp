// SPDX-License-Identifier: Apache-2.0
#include "trust/pseudonym/transform.hpp"

#include <gtest/gtest.h>

#include <set>

#include "base/instant.hpp"
#include "base/testing.hpp"

namespace meridian::trust::pseudonym {
namespace {

using meridian::testing::must;

SecretKey secret_of(unsigned char byte) {
    SecretKey secret{};
    secret.fill(byte);
    return secret;
}

Transformation transformation(unsigned char project = 1) {
    return Transformation(ProjectKey(secret_of(project)),
                          {.project = fmt::format("project-{}", project),
                           .reference_day = "2026-06-30",
                           .base_url = "https://record.example/fhir"});
}

constexpr const char* patient_json =
    R"({"resourceType":"Patient","id":"li-mei","active":true,)"
    R"("identifier":[{"system":"urn:id","value":"110101199003070011"}],)"
    R"("name":[{"family":"Whitfield","given":["Mei"],"text":"李美"}],"gender":"female",)"
    R"("birthDate":"1990-03-07","telecom":[{"system":"phone","value":"13912345678"}],)"
    R"("address":[{"line":["Harbour Road 7"],"city":"Yunting","state":"浙江省","country":"CN"}],)"
    R"("extension":[{"url":"urn:hospital:vip","valueString":"the mayor"}],)"
    R"("text":{"status":"generated","div":"<div>Whitfield</div>"}})";

Person li_mei() {
    return person_of(must(JsonDocument::parse(patient_json)).root());
}

JsonDocument copied_of(std::string_view json, unsigned char project = 1) {
    const JsonDocument in = must(JsonDocument::parse(json));
    return must(JsonDocument::parse(must(transformation(project).of(in.root(), li_mei()))));
}

TEST(Shifted, KeepsPrecisionTimeAndZone) {
    EXPECT_EQ(shifted("2024-02-28", 2), "2024-03-01");
    EXPECT_EQ(shifted("2024-01-01T08:30:00.123+08:00", -1), "2023-12-31T08:30:00.123+08:00");
    EXPECT_EQ(shifted("2024-01", -30), "2023-12");
    EXPECT_EQ(shifted("2024", 100), "2024");
    EXPECT_EQ(shifted("yesterday", 1), std::nullopt);
    EXPECT_EQ(shifted("9999-12-31", 1), std::nullopt);
}

TEST(AgeBand, IsOfFiveYearsAndOneFromNinety) {
    EXPECT_EQ(age_band(0), "0-4");
    EXPECT_EQ(age_band(39), "35-39");
    EXPECT_EQ(age_band(89), "85-89");
    EXPECT_EQ(age_band(90), "90+");
    EXPECT_EQ(age_band(104), "90+");
    EXPECT_EQ(years_between("1990-07-01", "2026-06-30"), 35);
    EXPECT_EQ(years_between("1990-06-30", "2026-06-30"), 36);
}

// Whatever the secret: never 0, never further than the limit, and not one shift for all.
TEST(ProjectKeys, ShiftEachPatientByDaysOfTheirOwn) {
    const ProjectKey key(secret_of(7));
    std::set<int> seen;
    for (int i = 0; i < 5'000; ++i) {
        const int days = key.shift_days(fmt::format("p{}", i));
        EXPECT_NE(days, 0);
        EXPECT_LE(std::abs(days), 183);
        seen.insert(days);
    }
    EXPECT_EQ(seen.size(), 366u);
}

TEST(ProjectKeys, OfTwoProjectsHaveNothingInCommon) {
    const ProjectKey one(secret_of(1)), other(secret_of(2));
    std::set<std::string> pseudonyms;
    int equal_shifts = 0;
    for (int i = 0; i < 1'000; ++i) {
        const std::string id = fmt::format("p{}", i);
        EXPECT_EQ(one.pseudonym("Patient", id), ProjectKey(secret_of(1)).pseudonym("Patient", id));
        pseudonyms.insert(one.pseudonym("Patient", id));
        pseudonyms.insert(other.pseudonym("Patient", id));
        equal_shifts += one.shift_days(id) == other.shift_days(id) ? 1 : 0;
    }
    EXPECT_EQ(pseudonyms.size(), 2'000u);
    EXPECT_LT(equal_shifts, 20) << "as many as chance gives: 1 in 366";
}

TEST(Transformation, LeavesOfAPatientBandSexAndProvince) {
    const JsonDocument copy = copied_of(patient_json);
    const Json& root = copy.root();
    std::set<std::string> members;
    for (const JsonMember& member : root.members()) members.emplace(member.key);
    EXPECT_EQ(members, (std::set<std::string>{"resourceType", "id", "meta", "active", "gender",
                                              "birthDate", "extension", "address"}));
    EXPECT_EQ(root.string_at("birthDate"), "1989") << "the middle of 35-39 at the project's day";
    EXPECT_EQ(root["extension"].items()[0].string_at("valueCode"), "35-39");
    EXPECT_EQ(to_text(root["address"]), R"([{"state":"浙江省","country":"CN"}])");
    EXPECT_EQ(root["meta"]["security"].items()[0].string_at("code"), "PSEUDED");
}

TEST(Transformation, KeepsCodesNumbersAndMovedDatesOfAnObservation) {
    const JsonDocument copy = copied_of(
        R"({"resourceType":"Observation","id":"o1","status":"final",)"
        R"("identifier":[{"value":"LAB-778899"}],)"
        R"("category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory"}]}],)"
        R"("code":{"coding":[{"system":"http://loinc.org","code":"2039-6","display":"CEA of Whitfield"}],"text":"CEA"},)"
        R"("subject":{"reference":"Patient/li-mei","display":"Mei Whitfield"},)"
        R"("encounter":{"reference":"https://record.example/fhir/Encounter/e1/_history/2"},)"
        R"("performer":[{"reference":"Practitioner/dr-wang"},{"reference":"RelatedPerson/mother"}],)"
        R"("effectiveDateTime":"2024-05-01T08:30:00+08:00","issued":"2024-05-02T09:00:00.000+08:00",)"
        R"("valueQuantity":{"value":4.20,"unit":"Nanogramm je Milliliter","system":"http://unitsofmeasure.org","code":"ng/mL"},)"
        R"("note":[{"text":"seen with her mother"}]})");
    const Json& root = copy.root();
    const ProjectKey key(secret_of(1));
    EXPECT_EQ(root["code"].size(), 1u) << "no text";
    EXPECT_EQ(to_text(root["code"]["coding"]),
              R"([{"system":"http://loinc.org","code":"2039-6"}])");
    EXPECT_EQ(root["subject"].string_at("reference"),
              "Patient/" + key.pseudonym("Patient", "li-mei"));
    EXPECT_EQ(root["encounter"].string_at("reference"),
              "Encounter/" + key.pseudonym("Encounter", "e1"));
    EXPECT_EQ(root["performer"].size(), 1u) << "of the mother nothing is said";
    EXPECT_EQ(
        to_text(root["valueQuantity"]),
        R"({"value":4.20,"unit":"ng/mL","system":"http://unitsofmeasure.org","code":"ng/mL"})");
    EXPECT_EQ(root["note"].size() + root["identifier"].size(), 0u);
    // Time of day and zone as they were; the interval between the two as it was.
    const auto taken = must(parse_date(root.string_at("effectiveDateTime")));
    const auto issued = must(parse_date(root.string_at("issued")));
    EXPECT_EQ(issued.lower().milliseconds - taken.lower().milliseconds, (24 * 60 + 30) * 60'000LL);
    EXPECT_EQ(root.string_at("effectiveDateTime"),
              shifted("2024-05-01T08:30:00+08:00", key.shift_days("li-mei")));
}

TEST(Transformation, SaysThatAValueInWordsWasMasked) {
    const JsonDocument copy = copied_of(
        R"({"resourceType":"Observation","id":"o2","status":"final","code":{"text":"smokes?"},)"
        R"("subject":{"reference":"Patient/li-mei"},"valueString":"Mei smokes",)"
        R"("component":[{"code":{"coding":[{"system":"urn:c","code":"x"}]},"valueString":"no"}]})");
    const Json& root = copy.root();
    EXPECT_EQ(root["dataAbsentReason"]["coding"].items()[0].string_at("code"), "masked");
    EXPECT_EQ(root["code"]["extension"].items()[0].string_at("valueCode"), "masked");
    EXPECT_EQ(
        root["component"].items()[0]["dataAbsentReason"]["coding"].items()[0].string_at("code"),
        "masked");
}

TEST(Transformation, LeavesOutWhatAModifierMayTurnAround) {
    const JsonDocument in = must(JsonDocument::parse(
        R"({"resourceType":"Condition","id":"c","modifierExtension":[{"url":"urn:not","valueBoolean":true}],)"
        R"("subject":{"reference":"Patient/li-mei"}})"));
    EXPECT_FALSE(transformation().of(in.root(), li_mei()));
}

TEST(Transformation, LeavesOutACodeThatHoldsThePersonsName) {
    const JsonDocument copy = copied_of(
        R"({"resourceType":"Condition","id":"c2","subject":{"reference":"Patient/li-mei"},)"
        R"("code":{"coding":[{"system":"urn:hospital","code":"whitfield-1"},{"code":"bare"},{"system":"urn:hospital","code":"K12"}]},)"
        R"("onsetAge":{"value":97,"unit":"years","system":"http://unitsofmeasure.org","code":"a"}})");
    EXPECT_EQ(to_text(copy.root()["code"]["coding"]),
              R"([{"system":"urn:hospital","code":"K12"}])");
    EXPECT_EQ(copy.root()["onsetAge"]["value"].text(), "90");
    EXPECT_EQ(copy.root()["onsetAge"].string_at("comparator"), ">=");
}

TEST(Transformation, KeepsContainedThingsAndNoContainedPeople) {
    const JsonDocument copy = copied_of(
        R"({"resourceType":"MedicationRequest","id":"m","status":"active","intent":"order",)"
        R"("contained":[{"resourceType":"Medication","id":"pills","code":{"coding":[{"system":"urn:atc","code":"C07"}]}},)"
        R"({"resourceType":"Practitioner","id":"doc","name":[{"family":"Wang"}]}],)"
        R"("medicationReference":{"reference":"#pills"},"requester":{"reference":"#doc"},)"
        R"("subject":{"reference":"Patient/li-mei"},"dosageInstruction":[{"text":"for Mei","sequence":1}]})");
    const Json& root = copy.root();
    ASSERT_EQ(root["contained"].size(), 1u);
    EXPECT_EQ(root["medicationReference"].string_at("reference"),
              "#" + std::string(root["contained"].items()[0].string_at("id")));
    EXPECT_EQ(root.find("requester"), nullptr);
    EXPECT_EQ(to_text(root["dosageInstruction"]), R"([{"sequence":1}])");
}

}  // namespace
}  // namespace meridian::trust::pseudonym

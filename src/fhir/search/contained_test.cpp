// SPDX-License-Identifier: Apache-2.0
#include "fhir/search/contained.hpp"

#include <gtest/gtest.h>

#include "base/limits.hpp"
#include "fhir/search/store_fixture.hpp"

/// Searches for contained resources and chains into them, on the embedded store.
namespace meridian::fhir::search {
namespace {

using Ids = std::vector<std::string>;

class SearchContained : public testing::StoreFixture {
 protected:
    void put_all() {
        put(R"({"resourceType":"Medication","id":"whole","code":{"coding":[{"system":"urn:drugs","code":"abc"}]}})");
        put(R"({"resourceType":"MedicationRequest","id":"r1","status":"active","intent":"order","subject":{"reference":"Patient/p1"},
            "contained":[{"resourceType":"Medication","id":"m1","code":{"coding":[{"system":"urn:drugs","code":"abc"}]},"status":"active"},
                         {"resourceType":"Medication","id":"m2","code":{"coding":[{"system":"urn:drugs","code":"def"}]},"status":"inactive"}],
            "medicationReference":{"reference":"#m1"}})");
        put(R"({"resourceType":"MedicationRequest","id":"r2","status":"active","intent":"order","subject":{"reference":"Patient/p1"},
            "contained":[{"resourceType":"Patient","id":"x","name":[{"family":"Other"}]},
                         {"resourceType":"Medication","id":"m1","code":{"coding":[{"system":"urn:drugs","code":"def"}]}}],
            "medicationReference":{"reference":"#m1"}})");
        put(R"({"resourceType":"Organization","id":"o1","name":"General"})");
        put(R"({"resourceType":"DiagnosticReport","id":"d1","status":"final","code":{"text":"x"},
            "contained":[{"resourceType":"Observation","id":"o","status":"final","code":{"coding":[{"system":"urn:codes","code":"hb"}]},"subject":{"reference":"#p"}},
                         {"resourceType":"Patient","id":"p","birthDate":"1980-01-01","name":[{"family":"Inner","given":["Ann"]}],"managingOrganization":{"reference":"Organization/o1"}},
                         {"resourceType":"Patient","id":"q","birthDate":"1990-01-01","name":[{"family":"Second","given":["Bob"]}]}],
            "subject":{"reference":"#p"},"result":[{"reference":"#o"}]})");
    }
    /// "r1#0": what the container r1 holds at the first place.
    Ids find_places(std::string_view type, std::string_view text) {
        const auto found = answer(type, text);
        if (!found) return {"error: " + found.error().message};
        Ids ids;
        for (const auto& entry : found->entries) {
            ids.push_back(entry.stored.id + (entry.contained_type.empty()
                                                 ? std::string()
                                                 : fmt::format("#{}", entry.contained_slot)));
        }
        if (text.find("_sort") == std::string_view::npos) std::sort(ids.begin(), ids.end());
        return ids;
    }
};

TEST_F(SearchContained, TheyAreFoundOnlyWhenAskedFor) {
    put_all();
    EXPECT_EQ(find("Medication", "code=abc"), Ids{"whole"});
    EXPECT_EQ(find("Medication", "code=abc&_contained=false"), Ids{"whole"});
    EXPECT_EQ(find("Medication", "code=abc&_contained=true"), Ids{"r1"});
    EXPECT_EQ(find("Medication", "code=abc&_contained=both"), (Ids{"r1", "whole"}));
    EXPECT_EQ(find_places("Medication", "code=def&_contained=true&_containedType=contained"),
              (Ids{"r1#1", "r2#0"}));
    EXPECT_EQ(find_places("Medication", "_contained=both&_containedType=contained"),
              (Ids{"r1#0", "r1#1", "r2#0", "whole"}));
    EXPECT_EQ(find("Patient", "_contained=true"), (Ids{"d1", "r2"}));
    EXPECT_EQ(find("Patient", ""), Ids{});
    EXPECT_EQ(find("Encounter", "_contained=true"), Ids{});
    EXPECT_EQ(find("Medication", "_contained=maybe"),
              Ids{"error: _contained takes true, false or both, not \"maybe\""});
    EXPECT_EQ(find("Medication", "_containedType=x"),
              Ids{"error: _containedType takes container or contained, not \"x\""});
}

TEST_F(SearchContained, AllConditionsHoldForTheSameOne) {
    put_all();
    EXPECT_EQ(find("Medication", "code=abc&status=active&_contained=true"), Ids{"r1"});
    EXPECT_EQ(find("Medication", "code=abc&status=inactive&_contained=true"), Ids{});
    EXPECT_EQ(find("Patient", "family=inner&given=bob&_contained=true"), Ids{});
    EXPECT_EQ(find("Patient", "family=inner&birthdate=lt1985&_contained=true"), Ids{"d1"});
    EXPECT_EQ(find("Patient", "family=second&birthdate=lt1985&_contained=true"), Ids{});
    // A negation is about the one resource, and not about its siblings.
    EXPECT_EQ(find_places("Medication", "code:not=abc&_contained=true&_containedType=contained"),
              (Ids{"r1#1", "r2#0"}));
    EXPECT_EQ(find_places("Medication", "status:missing=true&_contained=true"), Ids{"r2"});
    EXPECT_EQ(find_places("Patient", "_id=q&_contained=true&_containedType=contained"),
              Ids{"d1#1"});
    EXPECT_EQ(find("Patient", "organization.name=general&_contained=true"), Ids{"d1"});
    EXPECT_EQ(find("Patient", "_has:DiagnosticReport:subject:status=final&_contained=true"),
              Ids{"d1"});
    EXPECT_EQ(find("Patient", "_has:Observation:subject:code=hb&_contained=true"), Ids{"d1"});
    EXPECT_EQ(find("Patient", "_has:Observation:subject:code=xx&_contained=true"), Ids{});
}

TEST_F(SearchContained, ChainsLookInside) {
    put_all();
    EXPECT_EQ(find("MedicationRequest", "medication.code=abc"), Ids{"r1"});
    EXPECT_EQ(find("MedicationRequest", "medication.code=def"), Ids{"r2"});
    EXPECT_EQ(find("DiagnosticReport", "subject:Patient.family=inner"), Ids{"d1"});
    EXPECT_EQ(find("DiagnosticReport", "subject:Patient.family=second"), Ids{});
    EXPECT_EQ(find("DiagnosticReport", "result.subject:Patient.given=ann"), Ids{"d1"});
    EXPECT_EQ(find("DiagnosticReport", "result.subject:Patient.given=bob"), Ids{});
    EXPECT_EQ(find("DiagnosticReport", "subject:Patient.organization.name=general"), Ids{"d1"});
    EXPECT_EQ(find("DiagnosticReport", "_filter=subject:Patient[family eq Inner].given eq Ann"),
              Ids{"d1"});
    EXPECT_EQ(find("DiagnosticReport", "_filter=subject:Patient[family eq Inner].given eq Bob"),
              Ids{});
}

TEST_F(SearchContained, RowsFollowTheContainer) {
    put_all();
    put(R"({"resourceType":"MedicationRequest","id":"r1","status":"active","intent":"order","subject":{"reference":"Patient/p1"},
        "contained":[{"resourceType":"Medication","id":"m2","code":{"coding":[{"system":"urn:drugs","code":"ghi"}]}}],
        "medicationReference":{"reference":"#m2"}})");
    EXPECT_EQ(find("Medication", "code=abc&_contained=true"), Ids{});
    EXPECT_EQ(find("MedicationRequest", "medication.code=abc"), Ids{});
    EXPECT_EQ(find("MedicationRequest", "medication.code=ghi"), Ids{"r1"});
    remove("MedicationRequest", "r1");
    EXPECT_EQ(find("MedicationRequest", "medication.code=ghi"), Ids{});
    EXPECT_EQ(find("Medication", "_contained=true"), Ids{"r2"});
}

TEST_F(SearchContained, PagesAndTotalsCountEachOnce) {
    put_all();
    for (const std::string_view sort : {"", "&_sort=-_id", "&_sort=_lastUpdated"}) {
        auto found =
            answer("Medication", fmt::format("_contained=both&_containedType=contained&_count=1"
                                             "&_total=accurate{}",
                                             sort));
        ASSERT_TRUE(found) << found.error().message;
        EXPECT_EQ(found->total, 4);
        std::set<std::string> all;
        std::size_t pages = 1;
        while (true) {
            for (const auto& entry : found->entries)
                all.insert(fmt::format("{}{}{}", entry.stored.id, entry.contained_type,
                                       entry.contained_slot));
            if (found->next.empty() || ++pages > 10) break;
            found = page(found->next);
            ASSERT_TRUE(found) << found.error().message;
        }
        EXPECT_EQ(all.size(), 4) << sort;
        EXPECT_EQ(pages, 4) << sort;
    }
    // A match that holds another one is given once, as itself.
    put(R"({"resourceType":"Medication","id":"kit","code":{"coding":[{"system":"urn:drugs","code":"abc"}]},
        "contained":[{"resourceType":"Medication","id":"part","code":{"coding":[{"system":"urn:drugs","code":"abc"}]}}],
        "ingredient":[{"itemReference":{"reference":"#part"}}]})");
    EXPECT_EQ(find("Medication", "code=abc&_contained=both"), (Ids{"kit", "r1", "whole"}));
    EXPECT_EQ(find("Medication", "_contained=true&_sort=code").front().substr(0, 40),
              "error: contained resources are sorted by");
    EXPECT_EQ(find("Medication", "_contained=true&_content=x").front().substr(0, 26),
              "error: _text and _content ");
}

TEST_F(SearchContained, WhatTheCallerMayNotSeeStaysHidden) {
    put_all();
    EXPECT_EQ(find("Medication", "_contained=true", std::make_shared<testing::AllBut>("r1")),
              Ids{"r2"});
    const auto no_requests =
        std::make_shared<testing::AllButType>(parameters_->type_name("MedicationRequest"));
    EXPECT_EQ(find("Medication", "_contained=true", no_requests), Ids{});
    const auto no_patients =
        std::make_shared<testing::AllButType>(parameters_->type_name("Patient"));
    EXPECT_EQ(find("Patient", "_contained=true", no_patients), Ids{});
    EXPECT_EQ(find("DiagnosticReport", "subject:Patient.family=inner", no_patients), Ids{});
    EXPECT_EQ(find("DiagnosticReport", "subject:Patient.family=inner",
                   std::make_shared<testing::AllBut>("nobody")),
              Ids{"d1"});
}

TEST_F(SearchContained, PlainPlansStayAsTheyWere) {
    // Nothing that is stored has a reference to a contained patient: a chain is one hop.
    put(R"({"resourceType":"Patient","id":"p1","name":[{"family":"Plain"}]})");
    const auto has_alternatives = [&](std::string_view text) {
        const auto snapshot = *store_->snapshot();
        ParseOptions options;
        const auto query = parse(*parameters_, store_->names(), "DiagnosticReport",
                                 *parse_query_string(text), options);
        return std::holds_alternative<store::AnyOf>(query->types.front().where.as_variant());
    };
    EXPECT_FALSE(has_alternatives("subject:Patient.family=inner"));
    put_all();
    EXPECT_TRUE(has_alternatives("subject:Patient.family=inner"));
    EXPECT_FALSE(has_alternatives("encounter.status=finished"));
}

TEST_F(SearchContained, EveryKindOfConditionAnswersAsForWholeResources) {
    const std::vector<std::pair<std::string_view, std::string_view>> resources{
        {"Observation",
         R"("id":"b1","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"2339-0","display":"Glucose"}]},
            "subject":{"reference":"Patient/p1"},"effectiveDateTime":"2021-03-01","performer":[{"reference":"Practitioner/d1"}],
            "valueQuantity":{"value":90.5,"unit":"mg/dL","system":"http://unitsofmeasure.org","code":"mg/dL"})"},
        {"Observation",
         R"("id":"b2","status":"amended","code":{"text":"pressure","coding":[{"system":"http://loinc.org","code":"85354-9"}]},
            "subject":{"reference":"Patient/p2","identifier":{"system":"urn:mrn","value":"7"}},"effectivePeriod":{"start":"2022-01-01"},
            "component":[{"code":{"coding":[{"code":"8480-6"}]},"valueQuantity":{"value":140,"code":"mm[Hg]","system":"http://unitsofmeasure.org"}}])"},
        {"Patient",
         R"("id":"p1","birthDate":"1980-05-01","name":[{"family":"von Müller","given":["Hans"]}],"generalPractitioner":[{"reference":"Practitioner/d1"}],
            "identifier":[{"system":"urn:mrn","value":"A7","type":{"coding":[{"system":"urn:kinds","code":"MR"}]}}])"},
        {"Location", R"("id":"l1","name":"Ward","position":{"latitude":31.2,"longitude":121.5})"},
        {"ValueSet", R"("id":"v1","url":"http://x/a/b","version":"1.0","status":"active")"},
        {"RiskAssessment",
         R"("id":"k1","status":"final","prediction":[{"probabilityDecimal":0.3}])"},
        {"PlanDefinition", R"("id":"t1","status":"active","library":["http://x/lib|1.2.3"])"}};
    put(R"({"resourceType":"Practitioner","id":"d1","name":[{"family":"House"}]})");
    for (const auto& [type, members] : resources) {
        const std::string json = fmt::format(R"({{"resourceType":"{}",{}}})", type, members);
        put(json);
        put(fmt::format(R"({{"resourceType":"Basic","id":"in-{}","contained":[{}]}})",
                        JsonDocument::parse(json)->root().string_at("id"), json));
    }
    std::size_t found_any = 0;
    for (const auto& [type, text] : std::vector<std::pair<std::string_view, std::string_view>>{
             {"Observation", "code=2339-0"},
             {"Observation", "code=http://loinc.org|"},
             {"Observation", "code:text=glu"},
             {"Observation", "code:not=2339-0"},
             {"Observation", "status=final,amended"},
             {"Observation", "date=2021-03"},
             {"Observation", "date=gt2021-06-01"},
             {"Observation", "date=ge2021-01-01&date=le2021-12-31"},
             {"Observation", "value-quantity=gt80|http://unitsofmeasure.org|mg/dL"},
             {"Observation", "value-quantity=905|http://unitsofmeasure.org|mg/L"},
             {"Observation", "component-code-value-quantity=8480-6$140"},
             {"Observation", "code-value-quantity=2339-0$gt90"},
             {"Observation", "subject=Patient/p1"},
             {"Observation", "patient=p1&code=2339-0"},
             {"Observation", "patient:identifier=urn:mrn|7"},
             {"Observation", "performer:Practitioner.family=house"},
             {"Observation", "performer:missing=true"},
             {"Observation", "value-quantity:missing=false"},
             {"Observation", "_filter=code eq 2339-0 or date gt 2021-12-31"},
             {"Patient", "family=müller"},
             {"Patient", "family:exact=von Müller"},
             {"Patient", "name:contains=ans"},
             {"Patient", "identifier:of-type=urn:kinds|MR|A7"},
             {"Patient", "birthdate=1980"},
             {"Patient", "phonetic=mueler"},
             {"Patient", "_id=p1"},
             {"Patient", "_id=p2"},
             {"Location", "near=31.2|121.5|1|km"},
             {"ValueSet", "url=http://x/a/b"},
             {"ValueSet", "url:below=http://x/a"},
             {"RiskAssessment", "probability=gt0.2"},
             {"PlanDefinition", "depends-on=http://x/lib"},
             {"PlanDefinition", "depends-on:below=http://x/lib|1.2"}}) {
        Ids whole = find(type, text);
        for (std::string& id : whole) id = "in-" + id;
        EXPECT_EQ(find(type, fmt::format("{}&_contained=true", text)), whole)
            << type << "?" << text;
        found_any += whole.empty() ? 0 : 1;
    }
    EXPECT_GE(found_any, 30U);
}

TEST_F(SearchContained, OnlySoManyAreIndexed) {
    std::string many;
    for (std::size_t i = 0; i <= limits::contained_indexed_max; ++i) {
        many += fmt::format(R"({}{{"resourceType":"Medication","id":"m{}","status":"active"}})",
                            i == 0 ? "" : ",", i);
    }
    put(R"({"resourceType":"MedicationRequest","id":"big","status":"active","contained":[)" + many +
        "]}");
    const auto found = answer(
        "Medication", "status=active&_contained=true&_containedType=contained&_summary=count");
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ(found->total, limits::contained_indexed_max);

    // The bound is the container's, whatever the types.
    const std::size_t devices = 10;
    many.clear();
    for (std::size_t i = 0; i < devices; ++i)
        many += fmt::format(R"({{"resourceType":"Device","id":"d{}","status":"inactive"}},)", i);
    for (std::size_t i = 0; i < limits::contained_indexed_max; ++i) {
        many += fmt::format(R"({}{{"resourceType":"Medication","id":"n{}","status":"inactive"}})",
                            i == 0 ? "" : ",", i);
    }
    put(R"({"resourceType":"MedicationRequest","id":"mixed","status":"active","contained":[)" +
        many + "]}");
    const auto count = [&](const char* type) {
        const auto one =
            answer(type, "status=inactive&_contained=true&_containedType=contained&_summary=count");
        return one ? one->total.value_or(0) : -1;
    };
    EXPECT_EQ(count("Device"), devices);
    EXPECT_EQ(count("Medication"), limits::contained_indexed_max - devices);
}

TEST_F(SearchContained, AChainIntoTooManyIsRefused) {
    std::string many;
    for (std::size_t i = 0; i < limits::contained_indexed_max; ++i) {
        many +=
            fmt::format(R"({}{{"resourceType":"Patient","id":"p{}","name":[{{"family":"f{}"}}]}})",
                        i == 0 ? "" : ",", i, i);
    }
    put(R"({"resourceType":"Observation","id":"big","status":"final","code":{"text":"x"},)"
        R"("subject":{"reference":"#p7"},"contained":[)" +
        many + "]}");
    EXPECT_EQ(find("Observation", "subject:Patient.name=f7"), Ids{"big"});
    const auto refused = answer("Observation", "subject:Patient.name=a,b,c,d,e,f,g,h,i,j,k,l");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().category, Category::too_large);
    EXPECT_NE(refused.error().message.find("too many contained resources"), std::string::npos)
        << refused.error().message;
}

}  // namespace
}  // namespace meridian::fhir::search

// SPDX-License-Identifier: Apache-2.0
#include "fhir/search/extract.hpp"
#include "fhir/search/pairs.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <ctime>

#include "fhir/search/program.hpp"
#include "fhir/search/test_support.hpp"

namespace meridian::fhir::search {
namespace {

using testing::World;

store::Rows extract_text(std::string_view type, std::string_view json,
                         const ExtractOptions& options = {}) {
    auto document = JsonDocument::parse(json);
    EXPECT_TRUE(document.has_value());
    return extract(*World::get().parameters, type, document->root(), World::get().names, options);
}

bool has_token(const store::Rows& rows, std::string_view param, std::string_view system,
               std::string_view code) {
    const store::Name name = World::get().param(param);
    const std::int64_t value = World::get().token(system, code);
    return std::any_of(rows.tokens.begin(), rows.tokens.end(),
                       [&](const auto& row) { return row.param == name && row.value == value; });
}

std::vector<std::string> strings_of(const store::Rows& rows, std::string_view param) {
    std::vector<std::string> found;
    for (const auto& row : rows.strings) {
        if (row.param == World::get().param(param)) found.push_back(row.folded);
    }
    return found;
}

std::vector<store::Identity> references_of(const store::Rows& rows, std::string_view param) {
    std::vector<store::Identity> found;
    for (const auto& row : rows.references) {
        if (row.param == World::get().param(param)) found.push_back(row.target);
    }
    return found;
}

std::int64_t ms(std::string_view text) {
    return parse_date(text)->lower().milliseconds;
}

TEST(SearchParameters, EveryPublishedExpressionLeadsSomewhere) {
    const auto& world = World::get();
    std::vector<std::string> lost;
    for (const Type* type : definitions().resources()) {
        const Program* program = world.parameters->program(type->name);
        ASSERT_NE(program, nullptr) << type->name;
        for (const Parameter* parameter : world.parameters->list(type->name)) {
            if (parameter->expression.empty() || parameter->kind == SearchType::composite) continue;
            const bool is_fallback =
                std::any_of(program->fallbacks.begin(), program->fallbacks.end(),
                            [&](const auto& rule) { return rule.target.parameter == parameter; });
            if (parameter->element_types.empty() && !is_fallback)
                lost.push_back(parameter->type + "." + parameter->code);
        }
    }
    EXPECT_EQ(lost, std::vector<std::string>{});
}

TEST(SearchParameters, OnlyOddExpressionsNeedTheFhirPathEngine) {
    std::set<std::string> expressions;
    for (const Type* type : definitions().resources()) {
        for (const auto& rule : World::get().parameters->program(type->name)->fallbacks)
            expressions.insert(rule.expression.text());
    }
    EXPECT_EQ(expressions,
              std::set<std::string>{"Patient.deceased.exists() and Patient.deceased != false"});
}
struct Range {
    double lo, hi;
    bool operator==(const Range&) const = default;
};
std::vector<Range> quantities_of(const store::Rows& rows, std::string_view param,
                                 std::string_view unit) {
    std::vector<Range> found;
    for (const auto& row : rows.quantities) {
        if (row.param == World::get().param(param) &&
            World::get().names.text(store::NameKind::unit, row.unit) == unit)
            found.push_back({row.lo, row.hi});
    }
    return found;
}
std::vector<std::pair<std::int64_t, std::int64_t>> dates_of(const store::Rows& rows,
                                                            std::string_view param) {
    std::vector<std::pair<std::int64_t, std::int64_t>> found;
    for (const auto& row : rows.dates) {
        if (row.param == World::get().param(param)) found.emplace_back(row.lo, row.hi);
    }
    return found;
}
bool is_present(const store::Rows& rows, std::string_view param) {
    const store::Name name = World::get().param(std::string(param) + "#present");
    return std::any_of(rows.tokens.begin(), rows.tokens.end(),
                       [&](const auto& row) { return row.param == name; });
}
using Strings = std::vector<std::string>;

TEST(SearchExtract, Patient) {
    const auto rows = extract_text(
        "Patient",
        R"({"resourceType":"Patient","id":"7","active":true,"gender":"male","birthDate":"1980-05",
        "identifier":[{"system":"urn:mrn","value":"A7","type":{"text":"Medical record","coding":[{"system":"urn:types","code":"MR"}]}}],
        "name":[{"family":"von Müller","given":["Hans","Peter"],"suffix":["Dr."]}],
        "telecom":[{"system":"phone","value":"555"},{"system":"email","value":"A@B.org"}],
        "address":[{"line":["1 High St"],"city":"Bonn","country":"DE"}],
        "generalPractitioner":[{"reference":"Practitioner/9"},{"display":"someone"}],
        "managingOrganization":{"identifier":{"system":"urn:org","value":"H1"}},
        "deceasedBoolean":false})");
    EXPECT_TRUE(has_token(rows, "Patient.active", "", "true"));
    EXPECT_TRUE(has_token(rows, "Patient.gender", "", "male"));
    EXPECT_TRUE(has_token(rows, "Patient.identifier", "urn:mrn", "a7"));
    EXPECT_TRUE(has_token(rows, "Patient.identifier#of-type", "urn:types", "mr|a7"));
    EXPECT_EQ(strings_of(rows, "Patient.identifier#text"), Strings{"medical record"});
    EXPECT_EQ(strings_of(rows, "Patient.family"), (Strings{"von muller", "muller"}));
    EXPECT_EQ(strings_of(rows, "Patient.name"),
              (Strings{"von muller", "muller", "hans", "peter", "dr"}));
    EXPECT_EQ(strings_of(rows, "Patient.given"), (Strings{"hans", "peter"}));
    EXPECT_EQ(strings_of(rows, "Patient.address"), (Strings{"1 high st", "bonn", "de"}));
    EXPECT_EQ(strings_of(rows, "Patient.address-city"), Strings{"bonn"});
    EXPECT_TRUE(has_token(rows, "Patient.phone", "", "555"));
    EXPECT_FALSE(has_token(rows, "Patient.phone", "", "a@b.org"));
    EXPECT_TRUE(has_token(rows, "Patient.email", "", "a@b.org"));
    EXPECT_TRUE(has_token(rows, "Patient.telecom", "", "a@b.org"));
    EXPECT_TRUE(has_token(rows, "Patient.deceased", "", "false"));
    EXPECT_EQ(dates_of(rows, "Patient.birthdate").front(),
              std::pair(ms("1980-05-01"), ms("1980-06-01")));
    EXPECT_EQ(references_of(rows, "Patient.general-practitioner").size(), 1U);
    EXPECT_TRUE(is_present(rows, "Patient.general-practitioner"));
    EXPECT_TRUE(has_token(rows, "Patient.organization#identifier", "urn:org", "h1"));
    EXPECT_TRUE(is_present(rows, "Patient.organization"));
    EXPECT_FALSE(is_present(rows, "Patient.family"));
    ASSERT_EQ(rows.compartments.size(), 1U);
    EXPECT_EQ(rows.compartments.front().id, "7");
    ASSERT_EQ(rows.patients.size(), 1U);
    EXPECT_EQ(rows.patients.front().date, std::numeric_limits<std::int64_t>::min());
}

TEST(SearchExtract, ObservationWithComponents) {
    const auto rows =
        extract_text("Observation", R"({"resourceType":"Observation","id":"o","status":"final",
        "code":{"coding":[{"system":"http://loinc.org","code":"85354-9","display":"Blood pressure"}],"text":"blood pressure"},
        "subject":{"reference":"Patient/7"},"performer":[{"reference":"Patient/8"},{"reference":"Practitioner/1"}],
        "encounter":{"reference":"http://here/fhir/Encounter/3/_history/2"},
        "effectivePeriod":{"start":"2020-01-01"},
        "component":[
          {"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},"valueQuantity":{"value":92.5,"unit":"mg per dl","system":"http://unitsofmeasure.org","code":"mg/dL"}},
          {"code":{"coding":[{"system":"http://loinc.org","code":"8462-4"}]},"valueQuantity":{"value":5,"comparator":"<","unit":"x"}}]})",
                     {"http://here/fhir"});
    const double infinity = std::numeric_limits<double>::infinity();
    EXPECT_EQ(quantities_of(rows, "Observation.component-value-quantity",
                            "http://unitsofmeasure.org|mg/dL"),
              (std::vector<Range>{{92.5, 92.5}}));
    EXPECT_EQ(quantities_of(rows, "Observation.component-value-quantity", "|mg per dl"),
              (std::vector<Range>{{92.5, 92.5}}));
    EXPECT_EQ(quantities_of(rows, "Observation.component-value-quantity#canonical", "m-3.g"),
              (std::vector<Range>{{925, 925}}));
    EXPECT_TRUE(quantities_of(rows, "Observation.combo-value-quantity#canonical", "m-3.g").empty());
    EXPECT_EQ(quantities_of(rows, "Observation.component-value-quantity", "|x"),
              (std::vector<Range>{{-infinity, std::nextafter(5.0, 0.0)}}));
    EXPECT_TRUE(quantities_of(rows, "Observation.value-quantity", "|x").empty());
    EXPECT_EQ(dates_of(rows, "Observation.date").front(),
              std::pair(ms("2020-01-01"), std::numeric_limits<std::int64_t>::max()));
    EXPECT_EQ(references_of(rows, "Observation.patient").size(), 1U);
    EXPECT_EQ(references_of(rows, "Observation.encounter").front().id, "3");
    EXPECT_EQ(strings_of(rows, "Observation.code#text"), Strings{"blood pressure"});
    const auto composites =
        std::count_if(rows.composites.begin(), rows.composites.end(), [&](const auto& row) {
            return row.param == World::get().param("Observation.component-code-value-quantity");
        });
    EXPECT_EQ(composites, 3);  // two units of one component, one of the other
    EXPECT_EQ(rows.compartments.size(), 2U);
    EXPECT_EQ(rows.compartments.front().id, "7");
    // Itself and its code, for both patients, and its code for everyone.
    EXPECT_EQ(rows.patients.size(), 5U);
    EXPECT_EQ(rows.patients.back().patient, everyone());
    EXPECT_EQ(rows.patients.front().date, ms("2020-01-01"));
}

TEST(SearchExtract, ResolveConditionsReadTheReferenceText) {
    const auto rows =
        extract_text("Observation",
                     R"({"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},
        "contained":[{"resourceType":"Patient","id":"in"}],"subject":{"reference":"Group/1"}})");
    EXPECT_EQ(references_of(rows, "Observation.subject").size(), 1U);
    EXPECT_TRUE(references_of(rows, "Observation.patient").empty());
    EXPECT_FALSE(is_present(rows, "Observation.patient"));
    EXPECT_TRUE(is_present(rows, "Observation.code"));
    EXPECT_TRUE(rows.compartments.empty());
    const auto inside = extract_text(
        "Observation",
        R"({"resourceType":"Observation","id":"o","contained":[{"resourceType":"Patient","id":"in"}],"subject":{"reference":"#in"}})");
    EXPECT_TRUE(is_present(inside, "Observation.patient"));
    const auto outside = extract_text(
        "Observation",
        R"({"resourceType":"Observation","id":"o","subject":{"reference":"https://else.org/fhir/Patient/1"}})");
    ASSERT_EQ(references_of(outside, "Observation.patient").size(), 1U);
    EXPECT_EQ(references_of(outside, "Observation.patient").front().type, 0);
    EXPECT_TRUE(outside.compartments.empty());
}

TEST(SearchExtract, TimingHasOuterLimits) {
    const auto rows = extract_text(
        "ServiceRequest",
        R"({"resourceType":"ServiceRequest","occurrenceTiming":{"event":["2020-03-01","2020-01-05"],
        "repeat":{"boundsPeriod":{"start":"2020-02-01","end":"2020-06-30"}}}})");
    EXPECT_EQ(dates_of(rows, "ServiceRequest.occurrence").front(),
              std::pair(ms("2020-01-05"), ms("2020-07-01")));
}

TEST(SearchExtract, CanonicalsHaveVersions) {
    const auto rows = extract_text(
        "QuestionnaireResponse",
        R"({"resourceType":"QuestionnaireResponse","questionnaire":"http://q.org/a|1.2.3"})");
    const auto plain = references_of(rows, "QuestionnaireResponse.questionnaire");
    ASSERT_EQ(plain.size(), 2U);
    EXPECT_EQ(plain[0].id, "http://q.org/a");
    EXPECT_EQ(plain[1].id, "http://q.org/a|1.2.3");
    const auto below = references_of(rows, "QuestionnaireResponse.questionnaire#below");
    ASSERT_EQ(below.size(), 3U);
    EXPECT_EQ(below[0].id, "http://q.org/a|1");
    EXPECT_EQ(below[1].id, "http://q.org/a|1.2");
}

TEST(SearchExtract, OddOnes) {
    const auto genomics = extract_text(
        "MolecularSequence",
        R"({"resourceType":"MolecularSequence","referenceSeq":{"chromosome":{"coding":[{"system":"urn:c","code":"1"}]},
        "windowStart":100,"windowEnd":200}})");
    ASSERT_EQ(std::count_if(genomics.composites.begin(), genomics.composites.end(),
                            [](const auto& row) { return row.lo == 100 && row.hi == 200; }),
              1);
    const auto place = extract_text(
        "Location", R"({"resourceType":"Location","position":{"longitude":7.1,"latitude":50.7}})");
    EXPECT_EQ(place.numbers.size(), 2U);
    const auto bundle = extract_text(
        "Bundle",
        R"({"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Composition","id":"c"}},{"resource":{"resourceType":"Composition","id":"d"}}]})");
    ASSERT_EQ(references_of(bundle, "Bundle.composition").size(), 1U);
    EXPECT_EQ(references_of(bundle, "Bundle.composition").front().id, "c");
    EXPECT_TRUE(references_of(bundle, "Bundle.message").empty());
    const auto maiden = extract_text(
        "Patient",
        R"({"resourceType":"Patient","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName","valueString":"Noether"}]})");
    EXPECT_EQ(strings_of(maiden, "Patient.mothersMaidenName"), Strings{"noether"});
    const auto money = extract_text(
        "Invoice", R"({"resourceType":"Invoice","totalGross":{"value":12.50,"currency":"EUR"}})");
    EXPECT_EQ(quantities_of(money, "Invoice.totalgross", "urn:iso:std:iso:4217|EUR"),
              (std::vector<Range>{{12.5, 12.5}}));
    const auto risk = extract_text(
        "RiskAssessment",
        R"({"resourceType":"RiskAssessment","prediction":[{"probabilityDecimal":0.7},{"probabilityRange":{"low":{"value":1},"high":{"value":5}}}]})");
    EXPECT_EQ(risk.numbers.size(), 2U);
    const auto meta = extract_text(
        "Basic",
        R"({"resourceType":"Basic","meta":{"profile":["http://p.org/x|2"],"tag":[{"system":"urn:t","code":"Hot"}],"security":[{"code":"R"}],"source":"urn:src"}})");
    EXPECT_TRUE(has_token(meta, "Basic._tag", "urn:t", "hot"));
    EXPECT_EQ(meta.uris.size(), 3U);  // the source, the profile with and without its version
    EXPECT_TRUE(extract_text("Nope", "{}").size() == 0);
    EXPECT_EQ(
        extract_text("Patient", R"({"birthDate":"soon","_gender":{"extension":[]},"active":"yes"})")
            .dates.size(),
        0U);
}

TEST(SearchExtract, TextIsNarrativeAndProse) {
    const auto rows = extract_text(
        "DiagnosticReport",
        R"({"resourceType":"DiagnosticReport","conclusion":"Squamous carcinoma","code":{"coding":[{"display":"hidden"}]},
        "text":{"div":"<div><p>no &lt;b&gt; <i>fever</i></p></div>"},"presentedForm":[{"contentType":"text/plain","data":"Y2xlYXIgbHVuZ3M=","title":"Letter"}]})");
    ASSERT_EQ(rows.texts.size(), 2U);
    EXPECT_EQ(rows.texts[0].words, "no b fever");
    EXPECT_EQ(rows.texts[1].words, "no b fever squamous carcinoma letter clear lungs");
}

/// Processor time of this thread: other programs on the machine do not count.
std::chrono::nanoseconds cpu_now() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

TEST(SearchExtract, SyntheaRowsAndSpeed) {
    const auto bundles = testing::synthea_bundles(8);
    if (bundles.empty()) GTEST_SKIP() << "no Synthea bundles on this machine";
    auto& world = World::get();
    std::size_t resources = 0, rows = 0, bytes = 0;
    std::chrono::nanoseconds spent{};
    std::map<std::string, std::array<double, 4>> per_type;
    for (const auto& text : bundles) {
        auto document = JsonDocument::parse(text);
        ASSERT_TRUE(document.has_value());
        bytes += text.size();
        for (const Json& entry : document->root()["entry"].items()) {
            const Json& resource = entry["resource"];
            const std::string_view type = resource.string_at("resourceType");
            const auto start = cpu_now();
            const store::Rows extracted = extract(*world.parameters, type, resource, world.names);
            const auto took = cpu_now() - start;
            spent += took;
            auto& row = per_type[std::string(type)];
            row[0] += 1;
            row[1] += static_cast<double>(took.count()) / 1e3;
            row[2] += static_cast<double>(extracted.size());
            EXPECT_GT(extracted.size(), 0U) << type;
            rows += extracted.size();
            ++resources;
        }
    }
    // The first pass has learned units and systems; the second one is what a running server sees.
    std::chrono::nanoseconds second{};
    for (const auto& text : bundles) {
        auto document = JsonDocument::parse(text);
        for (const Json& entry : document->root()["entry"].items()) {
            const std::string_view type = entry["resource"].string_at("resourceType");
            const auto start = cpu_now();
            const store::Rows extracted =
                extract(*world.parameters, type, entry["resource"], world.names);
            const auto took = cpu_now() - start;
            second += took;
            auto& row = per_type[std::string(type)];
            row[3] += static_cast<double>(took.count()) / 1e3;
        }
    }
    fmt::print("second pass: {:.2f} µs each\n",
               static_cast<double>(second.count()) / 1e3 / static_cast<double>(resources));
    fmt::print("{} resources, {} bytes each, {:.1f} rows each, {:.2f} µs each\n", resources,
               bytes / resources, static_cast<double>(rows) / static_cast<double>(resources),
               static_cast<double>(spent.count()) / 1e3 / static_cast<double>(resources));
    for (const auto& [type, row] : per_type)
        fmt::print("  {:28} {:6} × {:7.2f} µs, again {:7.2f} µs {:6.1f} rows\n", type, row[0],
                   row[1] / row[0], row[3] / row[0], row[2] / row[0]);
}

}  // namespace
}  // namespace meridian::fhir::search

// SPDX-License-Identifier: Apache-2.0
#include "fhir/search/run.hpp"

#include <gtest/gtest.h>
#include "base/limits.hpp"
#include "base/query_string.hpp"
#include "fhir/search/conditional.hpp"
#include "fhir/search/store_fixture.hpp"

/// Whole searches on the embedded store.
namespace meridian::fhir::search {
namespace {

using testing::AllBut;
using testing::AllButType;
using Ids = std::vector<std::string>;

class SearchRun : public testing::StoreFixture {
 protected:
    void put_ward() {
        put(R"({"resourceType":"Organization","id":"o1","name":"General Hospital","partOf":{"reference":"Organization/o0"}})");
        put(R"({"resourceType":"Organization","id":"o0","name":"Region"})");
        put(R"({"resourceType":"Patient","id":"p1","active":true,"gender":"male","birthDate":"1980-05-01",
            "identifier":[{"system":"urn:mrn","value":"A7","type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}]}}],
            "name":[{"family":"von Müller","given":["Hans","Peter"]},{"text":"汉斯"}],"telecom":[{"system":"phone","value":"555 1"}],
            "managingOrganization":{"reference":"Organization/o1"}})");
        put(R"({"resourceType":"Patient","id":"p2","gender":"female","birthDate":"1980","name":[{"family":"Zhang","given":["Wei"]}],
            "deceasedDateTime":"2020-01-01","managingOrganization":{"reference":"http://here/fhir/Organization/o1"}})");
        put(R"({"resourceType":"Practitioner","id":"d1","name":[{"family":"House"}]})");
        for (int i = 0; i < 6; ++i) {
            put(fmt::format(
                R"({{"resourceType":"Observation","id":"g{}","status":"final","code":{{"coding":[{{"system":"http://loinc.org","code":"2339-0","display":"Glucose"}}],"text":"blood sugar"}},
                "category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory"}}]}}],
                "subject":{{"reference":"Patient/p{}"}},"effectiveDateTime":"202{}-03-01","performer":[{{"reference":"Practitioner/d1"}}],
                "valueQuantity":{{"value":{}.5,"unit":"mg/dL","system":"http://unitsofmeasure.org","code":"mg/dL"}}}})",
                i, i % 2 + 1, i, 90 + i));
        }
        put(R"({"resourceType":"Observation","id":"bp","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"85354-9"}]},
            "subject":{"reference":"Patient/p1"},"effectivePeriod":{"start":"2021-01-01","end":"2021-12-31"},
            "component":[{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},"valueQuantity":{"value":140,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}},
                         {"code":{"coding":[{"system":"http://loinc.org","code":"8462-4"}]},"valueQuantity":{"value":90,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}}]})");
        put(R"({"resourceType":"Condition","id":"c1","code":{"coding":[{"system":"http://snomed.info/sct","code":"44054006","display":"Diabetes mellitus type 2"}]},
            "clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}]},
            "subject":{"reference":"Patient/p1"},"onsetDateTime":"2015-02","note":[{"text":"Poorly controlled, 右上肺癌 suspected"}]})");
        put(R"({"resourceType":"Condition","id":"c2","code":{"text":"cough"},"subject":{"reference":"Patient/p2"},"abatementDateTime":"2016",
            "text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>dry <b>cough</b> &amp; fever</p></div>"}})");
        put(R"({"resourceType":"List","id":"l1","status":"current","mode":"working","entry":[{"item":{"reference":"Patient/p2"}}]})");
    }
};

TEST_F(SearchRun, EveryKindOfFilterFindsWhatItShould) {
    put_ward();
    struct Row {
        std::string_view type, query;
        Ids found;
    };
    const Ids all_glucose{"g0", "g1", "g2", "g3", "g4", "g5"};
    const Ids with_pressure{"bp", "g0", "g1", "g2", "g3", "g4", "g5"};
    const std::vector<Row> table{
        {"Patient", "_id=p1", {"p1"}},
        {"Patient", "_id:not=p1", {"p2"}},
        {"Patient", "identifier=urn:mrn|A7", {"p1"}},
        {"Patient", "identifier=urn:mrn|a7", {"p1"}},
        {"Patient", "identifier=a7", {"p1"}},
        {"Patient", "identifier=|A7", {}},
        {"Patient", "identifier=urn:mrn|", {"p1"}},
        {"Patient",
         "identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|A7",
         {"p1"}},
        {"Patient", "name=mull", {"p1"}},
        {"Patient", "name=uller", {}},
        {"Patient", "name=muller", {"p1"}},
        {"Patient", "name=VON", {"p1"}},
        {"Patient", "name=汉", {"p1"}},
        {"Patient", "name:contains=uell,ulle", {"p1"}},
        {"Patient", "family:exact=Zhang", {"p2"}},
        {"Patient", "family:exact=zhang", {}},
        {"Patient", "given=wei&gender=female", {"p2"}},
        {"Patient", "phonetic=House", {}},
        {"Patient", "active:missing=true", {"p2"}},
        {"Patient", "deceased=true", {"p2"}},
        {"Patient", "deceased=false", {"p1"}},
        {"Patient", "phone=555 1", {"p1"}},
        {"Patient", "birthdate=1980-05-01", {"p1"}},
        {"Patient", "birthdate=1980", {"p1", "p2"}},
        {"Patient", "birthdate=ge1980-05-01&birthdate=lt1980-06-01", {"p1", "p2"}},
        {"Patient", "birthdate=sa1980", {}},
        {"Patient", "organization=Organization/o1", {"p1", "p2"}},
        {"Patient", "organization=http://here/fhir/Organization/o1", {"p1", "p2"}},
        {"Patient", "organization.name=general", {"p1", "p2"}},
        {"Patient", "organization.partof.name=region", {"p1", "p2"}},
        {"Patient", "organization:below=Organization/o0", {"p1", "p2"}},
        {"Patient", "_has:Condition:patient:code=44054006", {"p1"}},
        {"Patient", "_has:Observation:patient:component-code-value-quantity=8480-6$gt130", {"p1"}},
        {"Patient", "_list=l1", {"p2"}},
        {"Patient", "_filter=gender eq male or family sw \"zh\"", {"p1", "p2"}},
        {"Patient", "_lastUpdated=gt2000", {"p1", "p2"}},
        {"Patient", "_lastUpdated=lt2000", {}},
        {"Observation", "code=http://loinc.org|2339-0", all_glucose},
        {"Observation", "code=2339-0&patient=p1", {"g0", "g2", "g4"}},
        {"Observation", "code:not=2339-0", {"bp"}},
        {"Observation", "code:text=blood", all_glucose},
        {"Observation", "patient=Patient/p2&category=laboratory", {"g1", "g3", "g5"}},
        {"Observation", "value-quantity=gt93", {"g3", "g4", "g5"}},
        {"Observation", "value-quantity=92.5|http://unitsofmeasure.org|mg/dL", {"g2"}},
        {"Observation", "value-quantity=0.925|http://unitsofmeasure.org|g/L", {"g2"}},
        {"Observation", "value-quantity=92.5||mg/dL", {"g2"}},
        {"Observation", "value-quantity=92.5|http://unitsofmeasure.org|mmol/L", {}},
        {"Observation", "code-value-quantity=http://loinc.org|2339-0$gt94.5", {"g5"}},
        {"Observation", "code-value-quantity=2339-0$0.945|http://unitsofmeasure.org|g/L", {"g4"}},
        {"Observation", "component-code-value-quantity=8480-6$gt130", {"bp"}},
        {"Observation", "component-code-value-quantity=8462-4$gt130", {}},
        {"Observation", "combo-code-value-quantity=8462-4$lt100", {"bp"}},
        {"Observation", "combo-code-value-quantity=2339-0$gt94.5", {"g5"}},
        {"Observation", "combo-code=8480-6,2339-0&date=2021", {"bp", "g1"}},
        {"Observation", "combo-code=http://loinc.org|", with_pressure},
        {"Observation", "combo-code:not=8480-6", all_glucose},
        {"Observation", "combo-code:text=blood", all_glucose},
        {"Observation", "combo-code:missing=false", with_pressure},
        {"Observation", "combo-value-quantity:missing=true", {}},
        {"Observation", "combo-value-concept:missing=true", with_pressure},
        {"Observation", "combo-value-quantity=gt94", {"bp", "g4", "g5"}},
        {"Observation", "combo-value-quantity=90|http://unitsofmeasure.org|mm[Hg]", {"bp"}},
        {"Observation", "combo-value-quantity=0.925|http://unitsofmeasure.org|g/L", {"g2"}},
        {"Observation", "_filter=combo-code eq 8480-6 and not (status eq final)", {}},
        {"Observation", "_filter=combo-code eq 8480-6", {"bp"}},
        {"Patient", "_has:Observation:patient:combo-code=8480-6", {"p1"}},
        {"Observation", "date=2021-06", {}},
        {"Observation", "date=2021", {"bp", "g1"}},
        {"Observation", "date=ap2021-06-15", {"bp", "g1"}},
        {"Observation", "date=gt2024", {"g5"}},
        {"Observation", "performer.name=house", all_glucose},
        {"Observation", "subject:Patient.identifier=urn:mrn|A7", {"bp", "g0", "g2", "g4"}},
        {"Observation", "subject.gender=female", {"g1", "g3", "g5"}},
        {"Condition", "code:missing=true", {}},
        {"Condition", "abatement-date:missing=true", {"c1"}},
        {"Condition", "clinical-status=active", {"c1"}},
        {"Condition",
         "clinical-status=http://terminology.hl7.org/CodeSystem/condition-clinical|active",
         {"c1"}},
        {"Condition", "_content=controlled", {"c1"}},
        {"Condition", "_content=肺癌", {"c1"}},
        {"Condition", "_content=上", {"c1"}},
        {"Condition", "_content=癌", {"c1"}},
        {"Condition", "_content=腺", {}},
        {"Patient", "_filter=family ew üller", {"p1"}},
        {"Patient", "_filter=family ew mull", {}},
        {"Patient", "family:exact=von Müller", {"p1"}},
        {"Patient", "family:exact=Müller", {}},
        {"Condition", "_content=fever AND NOT poorly", {"c2"}},
        {"Condition", "_text=cough fever", {"c2"}},
        {"Condition", "_text=\"fever cough\"", {}},
        {"Condition", "onset-date=2015", {"c1"}},
        {"Condition", "subject=p1", {"c1"}},
    };
    for (const auto& row : table)
        EXPECT_EQ(find(row.type, row.query), row.found) << row.type << "?" << row.query;
}

TEST_F(SearchRun, SortsByAnyParameter) {
    put_ward();
    EXPECT_EQ(find("Observation", "patient=p1&_sort=-date"), (Ids{"g4", "g2", "bp", "g0"}));
    EXPECT_EQ(find("Observation", "patient=p1&_sort=date"), (Ids{"g0", "bp", "g2", "g4"}));
    EXPECT_EQ(find("Observation", "code=2339-0&_sort=-value-quantity&_count=2"), (Ids{"g5", "g4"}));
    EXPECT_EQ(find("Observation", "_sort=-combo-value-quantity&_count=3"), (Ids{"bp", "g5", "g4"}));
    EXPECT_EQ(find("Observation", "_sort=combo-value-quantity&_count=2"), (Ids{"bp", "g0"}));
    EXPECT_EQ(find("Patient", "_sort=family"), (Ids{"p1", "p2"}));
    EXPECT_EQ(find("Patient", "_sort=-_id"), (Ids{"p2", "p1"}));
    EXPECT_EQ(find("Patient", "_sort=phone"), (Ids{"p1", "p2"}));   // without a phone comes last
    EXPECT_EQ(find("Patient", "_sort=-phone"), (Ids{"p1", "p2"}));  // in either direction
    EXPECT_EQ(find("Patient", "_sort=_lastUpdated"), (Ids{"p1", "p2"}));
    EXPECT_EQ(find("", "_type=Patient,Practitioner&_sort=-_id"), (Ids{"p2", "p1", "d1"}));
}

TEST_F(SearchRun, IncludesFollowReferences) {
    put_ward();
    EXPECT_EQ(included_by("Observation", "_id=g0&_include=Observation:subject"), Ids{"p1"});
    EXPECT_EQ(included_by("Observation", "_id=g0&_include=*"), (Ids{"d1", "p1"}));
    EXPECT_EQ(included_by("Observation", "_id=g0&_include=Observation:*"), (Ids{"d1", "p1"}));
    EXPECT_EQ(included_by("Observation",
                          "_id=g0&_include=Observation:subject&_include=Patient:organization"),
              Ids{"p1"});
    EXPECT_EQ(included_by("Observation",
                          "_id=g0&_include=Observation:subject&_include:iterate=Patient:"
                          "organization&_include:iterate=Organization:partof"),
              (Ids{"o0", "o1", "p1"}));
    EXPECT_EQ(included_by("Observation", "_id=g0&_include=Observation:subject:Group"), Ids{});
    EXPECT_EQ(included_by("Patient",
                          "_id=p1&_revinclude=Condition:subject&_revinclude=Observation:patient"),
              (Ids{"bp", "c1", "g0", "g2", "g4"}));
    EXPECT_EQ(included_by("Patient", "_id=p2&_revinclude=*"), (Ids{"c2", "g1", "g3", "g5", "l1"}));
    EXPECT_EQ(included_by(
                  "Organization",
                  "_id=o1&_revinclude=Patient:organization&_revinclude:iterate=Condition:patient"),
              (Ids{"c1", "c2", "p1", "p2"}));
    // Each resource once, and none that is a match already.
    EXPECT_EQ(included_by("Patient", "_revinclude=Condition:subject&_revinclude=Condition:patient"),
              (Ids{"c1", "c2"}));
    EXPECT_EQ(included_by("Organization", "_include=Organization:partof"), Ids{});
}

TEST_F(SearchRun, TotalsAndCounts) {
    put_ward();
    EXPECT_EQ(answer("Observation", "_summary=count")->total, 7);
    EXPECT_EQ(answer("Observation", "_count=0")->total, 7);
    EXPECT_EQ(answer("Observation", "_count=2")->total, std::nullopt);
    EXPECT_EQ(answer("Observation", "_count=2&_total=accurate")->total, 7);
    EXPECT_EQ(answer("Observation", "code=2339-0")->total, 6);
    EXPECT_EQ(answer("Observation", "_total=none")->total, std::nullopt);
    EXPECT_EQ(answer("", "_type=Patient,Condition&_summary=count")->total, 4);
    EXPECT_EQ(answer("", "_summary=count")->total, 15);
}

TEST_F(SearchRun, CompartmentsHoldWhatConcernsThePatient) {
    put_ward();
    options_.compartment_type = "Patient";
    options_.compartment_id = "p1";
    EXPECT_EQ(find("Observation", ""), (Ids{"bp", "g0", "g2", "g4"}));
    EXPECT_EQ(find("*", ""), (Ids{"bp", "c1", "g0", "g2", "g4", "p1"}));
    EXPECT_EQ(find("*", "_type=Condition,Patient"), (Ids{"c1", "p1"}));
    EXPECT_EQ(find("Observation", "code=85354-9"), Ids{"bp"});
    options_.compartment_type = "Practitioner";
    options_.compartment_id = "d1";
    EXPECT_EQ(find("Observation", "patient=p1"), (Ids{"g0", "g2", "g4"}));
}

TEST_F(SearchRun, TheCallersFilterHidesEverywhere) {
    put_ward();
    const auto no_p1 = std::make_shared<AllBut>("p1");
    EXPECT_EQ(find("Patient", "", no_p1), Ids{"p2"});
    EXPECT_EQ(find("Patient", "_id=p1", no_p1), Ids{});
    EXPECT_EQ(find("Observation", "subject:Patient.identifier=urn:mrn|A7", no_p1), Ids{});
    EXPECT_EQ(ids_of(answer("Observation", "_id=g0&_include=Observation:subject", no_p1),
                     Page::Entry::Mode::include),
              Ids{});
    EXPECT_EQ(answer("Patient", "_total=accurate", no_p1)->total, 1);
    const auto no_c1 = std::make_shared<AllBut>("c1");
    EXPECT_EQ(find("Patient", "_has:Condition:patient:code=44054006", no_c1), Ids{});
    EXPECT_EQ(ids_of(answer("Patient", "_id=p1&_revinclude=Condition:subject", no_c1),
                     Page::Entry::Mode::include),
              Ids{});
}

TEST_F(SearchRun, AnIdOfTwoTypesIsAmbiguous) {
    put(R"({"resourceType":"Patient","id":"x"})");
    put(R"({"resourceType":"Observation","id":"o","status":"final","code":{"text":"t"},"subject":{"reference":"Patient/x"}})");
    EXPECT_EQ(find("Observation", "subject=x"), Ids{"o"});
    put(R"({"resourceType":"Group","id":"x","type":"person","actual":true})");
    EXPECT_EQ(find("Observation", "subject=x"),
              Ids{"error: \"subject\" could mean Patient/x or Group/x: write the type"});
    const auto hides_groups = std::make_shared<AllButType>(parameters_->type_name("Group"));
    EXPECT_EQ(find("Observation", "subject=x", hides_groups), Ids{"o"});
    EXPECT_EQ(find("Observation", "subject:Patient=x"), Ids{"o"});
}

TEST_F(SearchRun, WalksGiveEachMatchOnceWhileOthersWrite) {
    for (const std::string_view sort : {"", "&_sort=-date", "&_sort=_lastUpdated"}) {
        for (int i = 0; i < 60; ++i) {
            put(fmt::format(
                R"({{"resourceType":"Encounter","id":"e{:03}","status":"finished","class":{{"code":"AMB"}},"period":{{"start":"2020-{:02}-{:02}"}}}})",
                i, i % 12 + 1, i % 28 + 1));
        }
        std::map<std::string, int> seen;
        auto current = answer("Encounter", fmt::format("status=finished&_count=7{}", sort));
        ASSERT_TRUE(current.has_value()) << current.error().message;
        int step = 0;
        std::vector<std::string> first_page = ids_of(current);
        for (;;) {
            for (const auto& id : ids_of(current)) ++seen[id];
            if (current->next.empty()) break;
            // Between pages one is rewritten (new date, so it moves), one that matched is new, one
            // vanishes.
            put(fmt::format(
                R"({{"resourceType":"Encounter","id":"e{:03}","status":"finished","class":{{"code":"AMB"}},"period":{{"start":"2021-01-{:02}"}}}})",
                step * 3, step + 1));
            put(fmt::format(
                R"({{"resourceType":"Encounter","id":"new{}{}","status":"planned","class":{{"code":"AMB"}}}})",
                step, sort.size()));
            current = page(current->next);
            ASSERT_TRUE(current.has_value()) << current.error().message;
            EXPECT_FALSE(current->previous.empty());
            ++step;
        }
        EXPECT_EQ(seen.size(), 60U) << sort;
        for (const auto& [id, times] : seen) EXPECT_EQ(times, 1) << id << sort;
        // The way back leads to the same results.
        while (!current->previous.empty()) current = page(current->previous);
        EXPECT_EQ(ids_of(current), first_page) << sort;
        for (int i = 0; i < 60; ++i) remove("Encounter", fmt::format("e{:03}", i));
    }
}

TEST_F(SearchRun, CursorsAreBoundSignedAndExpire) {
    for (int i = 0; i < 5; ++i) put(fmt::format(R"({{"resourceType":"Patient","id":"p{}"}})", i));
    const auto first = answer("Patient", "_count=2");
    ASSERT_TRUE(first.has_value());
    ASSERT_FALSE(first->next.empty());
    EXPECT_EQ(ids_of(page(first->next)), (Ids{"p2", "p3"}));
    EXPECT_EQ(page(first->next, "somebody else").error().category, Category::gone);
    std::string forged = first->next;
    forged[4] = forged[4] == 'A' ? 'B' : 'A';
    EXPECT_EQ(page(forged).error().category, Category::gone);
    EXPECT_EQ(page("s.x.y").error().category, Category::gone);
    EXPECT_EQ(page("").error().category, Category::gone);
    // Who may see less now gets less.
    EXPECT_EQ(ids_of(page(first->next, "me", std::make_shared<AllBut>("p3"))), Ids{"p2"});
    cursors_.expire(Instant{now().milliseconds + 1000});
    EXPECT_EQ(cursors_.size(), 0U);
    EXPECT_EQ(page(first->next).error().category, Category::gone);
}

TEST_F(SearchRun, TheOldestWalkEndsWhenThereAreTooMany) {
    for (int i = 0; i < 2; ++i) put(fmt::format(R"({{"resourceType":"Patient","id":"p{}"}})", i));
    const auto oldest = answer("Patient", "_count=1&_sort=_id");
    ASSERT_TRUE(oldest.has_value());
    EXPECT_EQ(ids_of(page(oldest->next)), Ids{"p1"});
    for (std::size_t i = 0; i < limits::cursors_max; ++i)
        ASSERT_TRUE(answer("Patient", "_count=1&_sort=_id").has_value());
    EXPECT_EQ(cursors_.size(), limits::cursors_max);
    const auto gone = page(oldest->next);
    ASSERT_FALSE(gone.has_value());
    EXPECT_EQ(gone.error().category, Category::gone) << gone.error().message;
}

TEST_F(SearchRun, IncludesAreBoundedAndThatIsTold) {
    put(R"({"resourceType":"Patient","id":"p"})");
    constexpr std::size_t batch = 1'000;
    for (std::size_t from = 0; from <= limits::includes_max; from += batch) {
        std::vector<std::string> many;
        for (std::size_t i = from; i < from + batch; ++i)
            many.push_back(fmt::format(
                R"({{"resourceType":"Basic","id":"b{}","code":{{"text":"x"}},"subject":{{"reference":"Patient/p"}}}})",
                i));
        put_all(many);
    }
    const auto found = answer("Patient", "_revinclude=Basic:patient");
    ASSERT_TRUE(found.has_value()) << found.error().message;
    EXPECT_EQ(ids_of(found, Page::Entry::Mode::include).size(), limits::includes_max);
    ASSERT_EQ(found->warnings.size(), 1U);
    EXPECT_NE(found->warnings.front().message.find("was left out"), std::string::npos);
}

TEST_F(SearchRun, IterationEndsAfterItsRounds) {
    std::vector<std::string> chain;
    for (unsigned i = 0; i < limits::include_depth_max + 5; ++i)
        chain.push_back(fmt::format(
            R"({{"resourceType":"Organization","id":"o{}","partOf":{{"reference":"Organization/o{}"}}}})",
            i, i + 1));
    put_all(chain);
    EXPECT_EQ(ids_of(answer("Organization", "_id=o0&_include:iterate=Organization:partof"),
                     Page::Entry::Mode::include)
                  .size(),
              limits::include_depth_max + 1);
}

/// The benchmark's query mix on Synthea patients, compared with what a look at every resource
/// gives.
TEST_F(SearchRun, TheQueryMixAgreesWithACountByHand) {
    const auto bundles = testing::synthea_bundles(6);
    if (bundles.empty()) GTEST_SKIP() << "no Synthea bundles on this machine";
    std::vector<JsonDocument> documents;
    std::vector<const Json*> resources;
    for (std::string text : bundles) {
        const auto first = JsonDocument::parse(text);
        for (const Json& entry : first->root()["entry"].items()) {
            const std::string from = '"' + std::string(entry.string_at("fullUrl")) + '"';
            const std::string to =
                fmt::format("\"{}/{}\"", entry["resource"].string_at("resourceType"),
                            entry["resource"].string_at("id"));
            for (std::size_t at = text.find(from); at != std::string::npos;
                 at = text.find(from, at + 1))
                text.replace(at, from.size(), to);
        }
        documents.push_back(*JsonDocument::parse(text));
    }
    store::Commit commit;
    std::set<std::string> known;
    for (const JsonDocument& document : documents) {
        for (const Json& entry : document.root()["entry"].items()) {
            const Json& resource = entry["resource"];
            const std::string type(resource.string_at("resourceType"));
            if (!known.insert(fmt::format("{}/{}", type, resource.string_at("id"))).second)
                continue;
            resources.push_back(&resource);
            store::Change change;
            change.identity = {parameters_->type_name(type), std::string(resource.string_at("id"))};
            change.body = "{}";
            change.rows = extract(*parameters_, type, resource, store_->names());
            commit.changes.push_back(std::move(change));
        }
    }
    ASSERT_TRUE(store_->commit(std::move(commit)).has_value());

    const Json* patient = nullptr;
    for (const Json* resource : resources) {
        if (patient == nullptr && resource->string_at("resourceType") == "Patient")
            patient = resource;
    }
    ASSERT_NE(patient, nullptr);
    const std::string id(patient->string_at("id"));
    const std::string self = "Patient/" + id;
    using Probe = std::function<bool(const Json&)>;
    const auto by_hand = [&](std::string_view type, const Probe& test) {
        Ids ids;
        for (const Json* resource : resources) {
            if (resource->string_at("resourceType") == type && test(*resource))
                ids.emplace_back(resource->string_at("id"));
        }
        std::sort(ids.begin(), ids.end());
        return ids;
    };
    const auto is_subject = [&](const Json& r) {
        return r["subject"].string_at("reference") == self;
    };
    const auto has_code = [](const Json& r, std::string_view code) {
        const auto codings = r["code"]["coding"].items();
        return std::any_of(codings.begin(), codings.end(),
                           [&](const Json& coding) { return coding.string_at("code") == code; });
    };
    struct Row {
        std::string type, query;
        Probe test;
    };
    const std::string family(patient->find("name")->items()[0].string_at("family"));
    const std::string value(patient->find("identifier")->items()[0].string_at("value"));
    const std::string system(patient->find("identifier")->items()[0].string_at("system"));
    const std::vector<Row> table{
        {"Patient", "identifier=" + system + "|" + value,
         [&](const Json& r) { return r.string_at("id") == id; }},
        {"Patient", "family:exact=" + family,
         [&](const Json& r) { return r["name"].items()[0].string_at("family") == family; }},
        {"Patient", "birthdate=ge1950-01-01&birthdate=lt1980-01-01",
         [](const Json& r) {
             return r.string_at("birthDate") >= "1950" && r.string_at("birthDate") < "1980";
         }},
        {"Observation", "patient=" + id, is_subject},
        {"Observation", "patient=" + id + "&_sort=-date", is_subject},
        {"Observation", "patient=" + id + "&code=http://loinc.org|29463-7&_sort=-date",
         [&](const Json& r) { return is_subject(r) && has_code(r, "29463-7"); }},
        {"Observation", "patient=" + id + "&code=29463-7&date=ge2010-01-01&date=le2018-12-31",
         [&](const Json& r) {
             return is_subject(r) && has_code(r, "29463-7") &&
                    r.string_at("effectiveDateTime") >= "2010" &&
                    r.string_at("effectiveDateTime") < "2019";
         }},
        {"Observation", "patient=" + id + "&code-value-quantity=29463-7$gt80",
         [&](const Json& r) {
             return is_subject(r) && has_code(r, "29463-7") &&
                    std::stod(std::string(r["valueQuantity"]["value"].text())) > 80;
         }},
        {"Observation", "code=29463-7&value-quantity=gt80|http://unitsofmeasure.org|kg",
         [&](const Json& r) {
             return has_code(r, "29463-7") &&
                    std::stod(std::string(r["valueQuantity"]["value"].text())) > 80;
         }},
        {"Condition", "code=44054006,38341003,59621000&clinical-status=active",
         [&](const Json& r) {
             return (has_code(r, "44054006") || has_code(r, "38341003") ||
                     has_code(r, "59621000")) &&
                    r["clinicalStatus"]["coding"].items()[0].string_at("code") == "active";
         }},
        {"Condition", "subject:Patient.family=" + family,
         [&](const Json& r) { return is_subject(r); }},
        {"Condition", "abatement-date:missing=true",
         [](const Json& r) { return r.find("abatementDateTime") == nullptr; }},
        {"Encounter", "patient=" + id + "&status:not=finished",
         [&](const Json& r) { return is_subject(r) && r.string_at("status") != "finished"; }},
        {"Encounter", "date=ge2015-01-01&date=lt2016-01-01",
         [](const Json& r) {
             return r["period"].string_at("end") >= "2015" &&
                    r["period"].string_at("start") < "2016";
         }},
    };
    for (const Row& row : table) {
        const auto given = parse_query_string(row.query + "&_count=1000");
        const auto start = std::chrono::steady_clock::now();
        Ids ids = ids_of(answer(row.type, row.query + "&_count=1000"));
        const auto took = std::chrono::steady_clock::now() - start;
        std::sort(ids.begin(), ids.end());
        Ids expected = by_hand(row.type, row.test);
        if (expected.size() > limits::page_size_max) expected.resize(limits::page_size_max);
        EXPECT_EQ(ids, expected) << row.type << "?" << row.query;
        fmt::print("{:5} of {:5} {:7.2f} ms  {}?{}\n", ids.size(), resources.size(),
                   static_cast<double>(took.count()) / 1e6, row.type, row.query);
    }
}

TEST_F(SearchRun, ConditionalPlansCanBeExpected) {
    put_ward();
    const auto plan = conditional_plan(*parameters_, store_->names(), "Patient",
                                       {{"identifier", "urn:mrn|A7"}}, {});
    ASSERT_TRUE(plan.has_value());
    auto snapshot = store_->snapshot();
    ASSERT_TRUE(snapshot.has_value());
    EXPECT_EQ(conditional_matches(**snapshot, **plan)->size(), 1U);
}

TEST_F(SearchRun, CustomParametersAreIndexedAndThenSearchable) {
    put(R"({"resourceType":"Patient","id":"p1","extension":[{"url":"http://x.org/eye","valueCode":"blue"}]})");
    const auto definition = JsonDocument::parse(
        R"({"resourceType":"SearchParameter","url":"http://x.org/sp/eye","code":"eye","status":"active",
        "base":["Patient"],"type":"token","expression":"Patient.extension('http://x.org/eye').value"})");
    auto change = parameters_->with(definition->root(), store_->names());
    ASSERT_TRUE(change.has_value()) << change.error().message;
    ASSERT_EQ(change->changed.size(), 1U);
    parameters_ = change->parameters;
    EXPECT_EQ(find("Patient", "eye=blue"),
              Ids{"error: \"eye\" is still being indexed: try again when that is done"});
    // Written from now on: indexed at once. What was there is indexed by reindex().
    put(R"({"resourceType":"Patient","id":"p2","extension":[{"url":"http://x.org/eye","valueCode":"blue"}]})");
    auto snapshot = store_->snapshot();
    const auto stored = (*snapshot)->find({parameters_->type_name("Patient"), "p1"});
    const auto document = JsonDocument::parse((*stored)->body);
    const auto names = change->changed.front()->names();
    store::Rows rows =
        extract_only(*parameters_, "Patient", document->root(), store_->names(), names);
    EXPECT_EQ(rows.size(), 1U);
    ASSERT_TRUE(
        store_->reindex((*stored)->rid, (*stored)->version, names, std::move(rows)).has_value());
    ASSERT_TRUE(store_->save_cursor("test", 0)
                    .has_value());  // waits for the committer, which indexes in the background
    parameters_ = parameters_->ready("http://x.org/sp/eye");
    EXPECT_EQ(find("Patient", "eye=blue"), (Ids{"p1", "p2"}));
    EXPECT_EQ(find("Patient", "_sort=eye&_count=5"), (Ids{"p1", "p2"}));
    const auto gone = parameters_->without("http://x.org/sp/eye");
    EXPECT_EQ(gone.removed, names);
    EXPECT_EQ(gone.parameters->find("Patient", "eye"), nullptr);
    const auto refused = [&](std::string_view json) {
        const auto document_of = JsonDocument::parse(json);
        const auto result = parameters_->with(document_of->root(), store_->names());
        return result ? std::string("accepted") : result.error().message;
    };
    EXPECT_EQ(
        refused(
            R"({"url":"u","code":"name","base":["Patient"],"type":"string","expression":"Patient.name"})"),
        "Patient already has a parameter \"name\" "
        "(http://hl7.org/fhir/SearchParameter/Patient-name)");
    EXPECT_EQ(
        refused(
            R"({"url":"u","code":"x","base":["Nope"],"type":"string","expression":"Patient.name"})"),
        "\"Nope\" is no resource type");
    EXPECT_NE(
        refused(
            R"({"url":"u","code":"x","base":["Patient"],"type":"string","expression":"Patient.name.("})"),
        "accepted");
    EXPECT_NE(
        refused(
            R"({"url":"u","code":"x","base":["Patient"],"type":"strange","expression":"Patient.name"})"),
        "accepted");
    EXPECT_NE(
        refused(R"({"code":"x","base":["Patient"],"type":"string","expression":"Patient.name"})"),
        "accepted");
}

TEST_F(SearchRun, AnIncludeBringsTheVersionThatIsAskedFor) {
    put(R"({"resourceType":"Patient","id":"p","gender":"male","managingOrganization":{"reference":"Organization/o"}})");
    put(R"({"resourceType":"Patient","id":"p","gender":"female"})");
    put(R"({"resourceType":"Patient","id":"p","gender":"other"})");
    put(R"({"resourceType":"Organization","id":"o"})");
    const auto versions = [&](std::string_view text) {
        const auto found = answer("Observation", text);
        Ids all;
        if (!found) return Ids{found.error().message};
        for (const auto& entry : found->entries) {
            if (entry.mode == Page::Entry::Mode::include)
                all.push_back(fmt::format("{}/{}", entry.stored.id, entry.stored.version));
        }
        std::sort(all.begin(), all.end());
        return all;
    };
    const auto put_observation = [&](std::string_view id, std::string_view reference) {
        put(fmt::format(
            R"({{"resourceType":"Observation","id":"{}","status":"final","code":{{"text":"x"}},"subject":{{"reference":"{}"}}}})",
            id, reference));
    };
    put_observation("a", "Patient/p");
    EXPECT_EQ(versions("_include=Observation:subject"), Ids{"p/3"});
    put_observation("b", "Patient/p/_history/1");
    EXPECT_EQ(versions("_id=b&_include=Observation:subject"), Ids{"p/1"});
    EXPECT_EQ(versions("_id=b&_include=Observation:subject:Group"), Ids{});
    EXPECT_EQ(versions("_id=b&_include=*"), Ids{"p/1"});
    EXPECT_EQ(versions("_include=Observation:subject"), (Ids{"p/1", "p/3"}));
    // The old version's own references are followed from there.
    EXPECT_EQ(versions("_id=b&_include=Observation:subject&_include:iterate=Patient:organization"),
              (Ids{"o/1", "p/1"}));
    put_observation("c", "http://here/fhir/Patient/p/_history/3");
    put_observation("d", "Patient/p/_history/9");
    EXPECT_EQ(versions("_id=c&_include=Observation:subject"), Ids{"p/3"});
    EXPECT_EQ(versions("_id=d&_include=Observation:subject"), Ids{});
    EXPECT_EQ(find("Observation", "subject=Patient/p"), (Ids{"a", "b", "c", "d"}));
}

TEST_F(SearchRun, CanonicalReferencesAreFollowed) {
    put(R"({"resourceType":"Questionnaire","id":"q1","url":"http://x/q","version":"1.0","status":"active","title":"Sleep"})");
    put(R"({"resourceType":"Questionnaire","id":"q2","url":"http://x/q","version":"2.0","status":"active","title":"Sleep better"})");
    put(R"({"resourceType":"Questionnaire","id":"other","url":"http://x/other","status":"active","title":"Food"})");
    const auto put_response = [&](std::string_view id, std::string_view questionnaire) {
        put(fmt::format(
            R"({{"resourceType":"QuestionnaireResponse","id":"{}","status":"completed","questionnaire":"{}"}})",
            id, questionnaire));
    };
    put_response("r1", "http://x/q|1.0");
    put_response("r2", "http://x/q|2.0");
    put_response("r3", "http://x/q");
    put_response("r4", "http://x/other");
    EXPECT_EQ(find("QuestionnaireResponse", "questionnaire.title=sleep"), (Ids{"r1", "r2", "r3"}));
    EXPECT_EQ(find("QuestionnaireResponse", "questionnaire.title=sleep better"), (Ids{"r2", "r3"}));
    EXPECT_EQ(find("QuestionnaireResponse", "questionnaire.version=1.0"), (Ids{"r1", "r3"}));
    EXPECT_EQ(find("QuestionnaireResponse", "questionnaire.title=nothing"), Ids{});
    EXPECT_EQ(
        find("QuestionnaireResponse", "questionnaire.title=sleep", std::make_shared<AllBut>("q2")),
        (Ids{"r1", "r3"}));
    EXPECT_EQ(
        included_by("QuestionnaireResponse", "_id=r1&_include=QuestionnaireResponse:questionnaire"),
        Ids{"q1"});
    EXPECT_EQ(
        included_by("QuestionnaireResponse", "_id=r3&_include=QuestionnaireResponse:questionnaire"),
        (Ids{"q1", "q2"}));
    EXPECT_EQ(
        included_by("Questionnaire", "_id=q1&_revinclude=QuestionnaireResponse:questionnaire"),
        (Ids{"r1", "r3"}));
    EXPECT_EQ(find("QuestionnaireResponse", "questionnaire:below=http://x/q|2"), Ids{"r2"});
    put_response("r5", "http://x/q|2");
    EXPECT_EQ(find("QuestionnaireResponse", "questionnaire:above=http://x/q|2.0.1"),
              (Ids{"r2", "r5"}));
    // Backwards: who is named by a source, by its version or by the url alone.
    EXPECT_EQ(find("Questionnaire", "_has:QuestionnaireResponse:questionnaire:_id=r1"), Ids{"q1"});
    EXPECT_EQ(find("Questionnaire", "_has:QuestionnaireResponse:questionnaire:_id=r2"), Ids{"q2"});
    EXPECT_EQ(find("Questionnaire", "_has:QuestionnaireResponse:questionnaire:_id=r3"),
              (Ids{"q1", "q2"}));
    EXPECT_EQ(find("Questionnaire", "_has:QuestionnaireResponse:questionnaire:_id=r5"), Ids{});
    EXPECT_EQ(find("Questionnaire", "_has:QuestionnaireResponse:questionnaire:_id=r1,r2"),
              (Ids{"q1", "q2"}));
    EXPECT_EQ(find("Questionnaire", "version=2.0&_has:QuestionnaireResponse:questionnaire:_id=r3"),
              Ids{"q2"});
    EXPECT_EQ(find("Questionnaire", "_has:QuestionnaireResponse:questionnaire:_id=r1",
                   std::make_shared<AllBut>("r1")),
              Ids{});
    EXPECT_EQ(find("Questionnaire", "_has:QuestionnaireResponse:questionnaire:_id=r3",
                   std::make_shared<AllBut>("q1")),
              Ids{"q2"});
}

TEST_F(SearchRun, FunctionalListsAreThePatientsCurrentOnes) {
    const auto put_list = [&](std::string_view id, std::string_view patient,
                              std::string_view status, std::string_view code,
                              std::string_view item) {
        put(fmt::format(
            R"({{"resourceType":"List","id":"{}","status":"{}","mode":"working","subject":{{"reference":"Patient/{}"}},"code":{{"coding":[{{{}}}]}},"entry":[{{"item":{{"reference":"{}"}}}}]}})",
            id, status, patient, code, item));
    };
    constexpr std::string_view problems =
        R"("system":"http://terminology.hl7.org/CodeSystem/list-example-use-codes","code":"problems")";
    constexpr std::string_view allergies = R"("system":"http://loinc.org","code":"48765-2")";
    for (const std::string_view id : {"c1", "c2", "c3", "c4"}) {
        put(fmt::format(
            R"({{"resourceType":"Condition","id":"{}","subject":{{"reference":"Patient/{}"}}}})",
            id, id == "c3" ? "2" : "1"));
    }
    EXPECT_EQ(find("Condition", "patient=1&_list=$current-problems"), Ids{});
    put_list("l1", "1", "current", problems, "Condition/c1");
    put_list("l2", "1", "retired", problems, "Condition/c2");
    put_list("l3", "2", "current", problems, "Condition/c3");
    EXPECT_EQ(find("Condition", "patient=1&_list=$current-problems"), Ids{"c1"});
    EXPECT_EQ(find("Condition", "subject=Patient/2&_list=$current-problems"), Ids{"c3"});
    EXPECT_EQ(find("Condition", "patient=1&_list=$current-medications"), Ids{});
    for (const std::string_view id : {"a1", "a2"}) {
        put(fmt::format(
            R"({{"resourceType":"AllergyIntolerance","id":"{}","category":["{}"],"patient":{{"reference":"Patient/1"}}}})",
            id, id == "a1" ? "food" : "medication"));
        put_list(fmt::format("l{}", id), "1", "current", allergies,
                 fmt::format("AllergyIntolerance/{}", id));
    }
    EXPECT_EQ(find("AllergyIntolerance", "patient=1&_list=$current-allergies"), (Ids{"a1", "a2"}));
    EXPECT_EQ(find("AllergyIntolerance", "patient=1&_list=$current-drug-allergies"), Ids{"a2"});
    EXPECT_EQ(find("AllergyIntolerance", "patient=1&_list=$current-allergies",
                   std::make_shared<AllBut>("la1")),
              Ids{"a2"});
    EXPECT_EQ(find("Immunization", "patient=1&_list=$current-drug-allergies"), Ids{});
    // What only another patient's list names is on no list of this one.
    put_list("l4", "2", "current", problems, "Condition/c4");
    EXPECT_EQ(find("Condition", "patient=1&_list=$current-problems"), Ids{"c1"});
    // Nobody looks through a list that is hidden, or by parameters that are not allowed.
    EXPECT_EQ(find("Condition", "_list=l1"), Ids{"c1"});
    EXPECT_EQ(find("Condition", "_list=l1", std::make_shared<AllBut>("l1")), Ids{});
    class NoListParameters : public AllBut {
     public:
        NoListParameters() : AllBut("") {}
        Result<void> allow_parameter(std::string_view type, std::string_view code) const override {
            return type == "List" && code == "item" ? fail(Category::forbidden, "not by lists")
                                                    : Result<void>();
        }
    };
    for (const char* query : {"_list=l1", "patient=1&_list=$current-problems"}) {
        const auto refused = answer("Condition", query, std::make_shared<NoListParameters>());
        ASSERT_FALSE(refused) << query;
        EXPECT_EQ(refused.error().category, Category::forbidden) << query;
    }
}

TEST_F(SearchRun, OnlySoManyAreSortedByRelevance) {
    std::vector<std::string> many;
    for (std::size_t i = 0; i <= limits::page_window_ids_max; ++i)
        many.push_back(fmt::format(
            R"({{"resourceType":"Condition","id":"f{}","subject":{{"reference":"Patient/1"}},"note":[{{"text":"fever"}}]}})",
            i));
    put_all(many);
    const auto refused = answer("Condition", "_content=fever&_sort=_score");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().category, Category::too_large);
    EXPECT_EQ(refused.error().where, "_sort");
}

TEST_F(SearchRun, FullTextMatchesAreScored) {
    const auto put_note = [&](std::string_view id, std::string_view text) {
        put(fmt::format(
            R"({{"resourceType":"Condition","id":"{}","subject":{{"reference":"Patient/1"}},"note":[{{"text":"{}"}}]}})",
            id, text));
    };
    put_note("once", "fever since monday with some cough and a very sore throat for days");
    put_note("often", "fever fever fever with cough");
    put_note(
        "long", "fever " + std::string(3000, 'x') + " and more" + [] {
            std::string words;
            for (int i = 0; i < 500; ++i) words += fmt::format(" word{}", i);
            return words;
        }());
    put_note("none", "no complaints");
    EXPECT_EQ(find("Condition", "_content=fever&_sort=_score"), (Ids{"often", "once", "long"}));
    EXPECT_EQ(find("Condition", "_content=fever&_sort=-_score"), (Ids{"often", "once", "long"}));
    EXPECT_EQ(find("Condition", "_content=fever OR complaints&_sort=_score").back(), "long");
    EXPECT_EQ(find("Condition", "_content=fever NOT cough&_sort=_score"), Ids{"long"});
    auto found = answer("Condition", "_content=fever&_sort=_score&_count=1");
    ASSERT_TRUE(found) << found.error().message;
    Ids order;
    double last = 1;
    while (true) {
        ASSERT_EQ(found->entries.size(), 1U);
        order.push_back(found->entries.front().stored.id);
        ASSERT_TRUE(found->entries.front().score.has_value());
        EXPECT_LT(*found->entries.front().score, last);
        EXPECT_GT(*found->entries.front().score, 0);
        last = *found->entries.front().score;
        if (found->next.empty()) break;
        found = page(found->next);
        ASSERT_TRUE(found) << found.error().message;
    }
    EXPECT_EQ(order, (Ids{"often", "once", "long"}));
    EXPECT_TRUE(answer("Condition", "_content=fever")->entries.front().score.has_value());
    EXPECT_FALSE(answer("Condition", "patient=1")->entries.front().score.has_value());
}

}  // namespace
}  // namespace meridian::fhir::search

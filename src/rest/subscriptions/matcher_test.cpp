// SPDX-License-Identifier: Apache-2.0
#include "fhir/search/holds.hpp"

#include <gtest/gtest.h>

#include <set>

#include "base/limits.hpp"
#include "base/query_string.hpp"
#include "fhir/search/conditional.hpp"
#include "fhir/search/extract.hpp"
#include "fhir/search/run.hpp"
#include "rest/subscriptions/event_numbers.hpp"
#include "rest/subscriptions/testing.hpp"

namespace meridian::rest::subscriptions {
namespace {

using fhir::search::Candidate;
using fhir::search::holds;
using testing::must;

/// Resources that differ in what the queries below ask for.
constexpr std::string_view resources[] = {
    R"({"resourceType":"Patient","id":"p1","name":[{"family":"Li","given":["Anna"]}],"gender":"female","birthDate":"1987-03-02","active":true})",
    R"({"resourceType":"Patient","id":"p2","name":[{"family":"Lindqvist"}],"gender":"male","birthDate":"1950","identifier":[{"system":"urn:mrn","value":"7"}]})",
    R"({"resourceType":"Patient","id":"p3","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">acute renal failure</div>"}})",
    R"({"resourceType":"Observation","id":"o1","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"718-7"}],"text":"Haemoglobin"},"subject":{"reference":"Patient/p1"},"effectiveDateTime":"2024-05-01T08:00:00Z","valueQuantity":{"value":7.2,"unit":"g/dL","system":"http://unitsofmeasure.org","code":"g/dL"}})",
    R"({"resourceType":"Observation","id":"o2","status":"preliminary","code":{"coding":[{"system":"http://loinc.org","code":"718-7"}]},"subject":{"reference":"Patient/p2"},"effectiveDateTime":"2023-01-01","valueQuantity":{"value":130,"unit":"g/L","system":"http://unitsofmeasure.org","code":"g/L"}})",
    R"({"resourceType":"Observation","id":"o3","status":"final","code":{"coding":[{"system":"urn:local","code":"718-7"}]},"subject":{"reference":"Patient/p1"},"valueString":"positive"})",
    R"({"resourceType":"ValueSet","id":"v1","status":"active","url":"http://example.org/sets/a"})",
    R"({"resourceType":"ValueSet","id":"v2","status":"active","url":"http://example.org/sets/a/b"})",
    R"({"resourceType":"RiskAssessment","id":"r1","status":"final","subject":{"reference":"Patient/p1"},"prediction":[{"probabilityDecimal":0.8}]})",
    R"({"resourceType":"RiskAssessment","id":"r2","status":"final","subject":{"reference":"Patient/p2"},"prediction":[{"probabilityDecimal":0.1}]})"};

constexpr std::string_view queries[] = {
    "Patient?name=li",
    "Patient?name:exact=Li",
    "Patient?family:contains=qv",
    "Patient?gender=female",
    "Patient?gender:not=female",
    "Patient?gender:missing=true",
    "Patient?birthdate=1987",
    "Patient?birthdate=lt1980",
    "Patient?birthdate=ge1950-06",
    "Patient?identifier=urn:mrn|7",
    "Patient?identifier=urn:mrn|",
    "Patient?identifier=7",
    "Patient?_id=p1,p3",
    "Patient?_has:Observation:subject:status=preliminary",
    "Patient?_text=renal",
    "Patient?_text=\"acute renal\"",
    "Patient?_text=renal acute",
    "Patient?active=true,false",
    "Observation?code=718-7",
    "Observation?code=http://loinc.org|718-7",
    "Observation?code:text=haemo",
    "Observation?status=final&code=urn:local|718-7",
    "Observation?subject=Patient/p1",
    "Observation?patient=p2",
    "Observation?subject:Patient.family=lindqvist",
    "Observation?subject:Patient.name=li&status=final",
    "Observation?date=2024-05-01",
    "Observation?date=le2023-12-31",
    "Observation?date:missing=true",
    "Observation?value-quantity=gt100",
    "Observation?value-quantity=lt80|http://unitsofmeasure.org|g/L",
    "Observation?value-quantity=7.2||g/dL",
    "Observation?code-value-quantity=718-7$lt100",
    "Observation?value-string=pos",
    "Observation?_lastUpdated=ge2020",
    "Observation?_lastUpdated=lt2020",
    "ValueSet?url=http://example.org/sets/a",
    "ValueSet?url:below=http://example.org/sets",
    "RiskAssessment?probability=gt0.5",
    "RiskAssessment?probability=0.1",
    "RiskAssessment?subject:missing=false"};

class MatcherTest : public ::testing::Test {
 protected:
    testing::Folder folder_;
    std::unique_ptr<store::Store> store_ = testing::must_open(folder_.path());
    std::unique_ptr<fhir::Repository> repository_ = must(fhir::Repository::open(*store_, {}));
};

TEST_F(MatcherTest, SaysWhatASearchSays) {
    for (const std::string_view text : resources) testing::write(*repository_, text);
    const fhir::Caller caller = fhir::Caller::system("test");
    auto snapshot = must(store_->snapshot());
    const auto log = must(snapshot->log(0, 1000));
    const auto parameters = repository_->parameters();
    const fhir::search::SnapshotTimeline timeline(*snapshot);
    std::size_t matches = 0;
    for (const std::string_view query : queries) {
        const auto parsed = must(fhir::search::parse_conditional_reference(query));
        ASSERT_TRUE(parsed) << query;
        std::set<std::string> searched;
        for (const auto& entry :
             must(repository_->search(caller, parsed->type, parsed->query, {})).entries)
            searched.insert(entry.resource.id);
        fhir::search::ParseOptions options;
        options.now = now();
        options.timeline = &timeline;
        const auto plan = must(fhir::search::conditional_plan(
            *parameters, store_->names(), parsed->type, parsed->query, options));
        std::set<std::string> matched;
        for (const store::LogEntry& entry : log) {
            if (entry.type != parameters->type_name(parsed->type)) continue;
            const fhir::Resource resource = must(repository_->read(caller, parsed->type, entry.id));
            const JsonDocument document = must(JsonDocument::parse(resource.json));
            const Candidate candidate{
                {entry.type, entry.id},
                entry.position,
                fhir::search::extract(*parameters, parsed->type, document.root(), store_->names())};
            if (must(holds(plan->where, candidate, *snapshot))) matched.insert(entry.id);
        }
        EXPECT_EQ(matched, searched) << query;
        matches += matched.size();
    }
    EXPECT_GT(matches, std::size(queries));  // most queries find something, or nothing was compared
}

TEST_F(MatcherTest, NumbersAreKeptInChunksAndFoundAgain) {
    EventNumbers numbers = must(EventNumbers::load(*store_, "s"));
    EXPECT_EQ(numbers.last_number(), 0);
    EXPECT_EQ(numbers.last_position(), -1);
    store::Position next = 10;
    for (const std::size_t count : {1u, 62u, 1u, 1u, 300u, 7u, 64u}) {
        std::vector<store::Position> positions;
        for (std::size_t i = 0; i < count; ++i) positions.push_back(next += 3);
        must(save_all(*store_, {numbers.with(positions)}));
        const std::int64_t before = must(EventNumbers::load(*store_, "s")).last_number();
        numbers.append(positions);
        EXPECT_EQ(before, numbers.last_number());
        EXPECT_EQ(must(EventNumbers::load(*store_, "s")).last_position(), next);
    }
    EXPECT_EQ(numbers.last_number(), 436);
    for (const EventNumbers& kept : {numbers, must(EventNumbers::load(*store_, "s"))}) {
        const auto all = must(kept.positions(*store_, 1, 436));
        ASSERT_EQ(all.size(), 436u);
        for (std::size_t i = 0; i < all.size(); ++i)
            EXPECT_EQ(all[i], 13 + 3 * static_cast<store::Position>(i));
        EXPECT_EQ(must(kept.positions(*store_, 64, 65)),
                  (std::vector<store::Position>{13 + 3 * 63, 13 + 3 * 64}));
    }
    EXPECT_EQ(must(EventNumbers::load(*store_, "other")).last_number(), 0);
}

TEST_F(MatcherTest, ManyListsAreSavedSideBySide) {
    std::vector<std::vector<std::pair<std::string, std::string>>> lists;
    for (int i = 0; i < 100; ++i)
        lists.push_back({{fmt::format("k{}", i), "first"}, {fmt::format("k{}", i), "second"}});
    must(save_all(*store_, lists));
    for (int i = 0; i < 100; ++i) EXPECT_EQ(must(store_->setting(fmt::format("k{}", i))), "second");
}

}  // namespace
}  // namespace meridian::rest::subscriptions

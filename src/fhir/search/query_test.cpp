// SPDX-License-Identifier: Apache-2.0
#include "fhir/search/query.hpp"

#include <gtest/gtest.h>

#include "base/limits.hpp"
#include "base/query_string.hpp"
#include "fhir/search/conditional.hpp"
#include "fhir/search/extract.hpp"
#include "fhir/search/pairs.hpp"
#include "fhir/search/run.hpp"
#include "fhir/search/test_support.hpp"

namespace meridian::fhir::search {
namespace {

using store::Condition;
using testing::World;

/// A condition as text: what the tables below compare.
struct Printer {
    const World& world;

    std::string param(store::Name name) const {
        return world.names.text(store::NameKind::parameter, name);
    }
    std::string type(store::Name name) const {
        return world.names.text(store::NameKind::type, name);
    }
    std::string all(const store::Conditions& parts) const {
        std::string text;
        for (const auto& part : parts) text += (text.empty() ? "" : " ") + print(part);
        return text;
    }
    template <class T>
    static std::string box(const store::Box<T>& box) {
        std::string text;
        const auto add = [&](std::string_view name, const std::optional<T>& value) {
            if (value) text += fmt::format(" {}{}", name, *value);
        };
        add("lo>=", box.lo_from);
        add("lo<", box.lo_below);
        add("hi>", box.hi_above);
        add("hi<=", box.hi_to);
        return text;
    }
    std::string identities(const std::vector<store::Identity>& targets) const {
        std::string text;
        for (const auto& target : targets) {
            text += " " + (target.type == 0 ? target.id : type(target.type) + "/" + target.id);
        }
        return text;
    }

    std::string operator()(const store::Everything&) const { return "everything"; }
    std::string operator()(const store::Nothing&) const { return "nothing"; }
    std::string operator()(const store::AllOf& c) const { return "all(" + all(c.parts) + ")"; }
    std::string operator()(const store::AnyOf& c) const { return "any(" + all(c.parts) + ")"; }
    std::string operator()(const store::NoneOf& c) const { return "none(" + all(c.parts) + ")"; }
    std::string operator()(const store::HasId& c) const {
        return fmt::format("id({} {})", type(c.type), fmt::join(c.ids, " "));
    }
    std::string operator()(const store::HasToken& c) const {
        return fmt::format("token({} {})", param(c.param), c.values.size());
    }
    std::string operator()(const store::HasTokenIn& c) const {
        return fmt::format("system({})", param(c.param));
    }
    std::string operator()(const store::HasString& c) const {
        static constexpr std::array<std::string_view, 4> words{"starts", "exact", "contains",
                                                               "ends"};
        return fmt::format("{}({} '{}')", words[static_cast<std::size_t>(c.match)], param(c.param),
                           c.text);
    }
    std::string operator()(const store::HasDate& c) const {
        return fmt::format("date({}{})", param(c.param), box(c.box));
    }
    std::string operator()(const store::HasNumber& c) const {
        return fmt::format("number({}{})", param(c.param), box(c.box));
    }
    std::string operator()(const store::HasQuantity& c) const {
        return fmt::format("quantity({} {}{})", param(c.param), c.units.size(), box(c.box));
    }
    std::string operator()(const store::HasUri& c) const {
        return fmt::format("{}({} {})", c.below ? "below" : "uri", param(c.param), c.uri);
    }
    std::string operator()(const store::HasReference& c) const {
        return fmt::format("reference({}{})", param(c.param), identities(c.targets));
    }
    std::string operator()(const store::HasComposite& c) const {
        return fmt::format("composite({} {}/{}{}{})", param(c.param), c.keys.size(),
                           c.seconds.size(), box(c.box), c.starts ? " '" + *c.starts + "'" : "");
    }
    std::string operator()(const store::HasText& c) const {
        return fmt::format("text({} '{}'{})", param(c.param), c.words, c.prefix ? "*" : "");
    }
    std::string operator()(const store::HasAny& c) const {
        return fmt::format("has({})", param(c.param));
    }
    std::string operator()(const store::RefersTo& c) const {
        return fmt::format("to({} {} {}{})", param(c.param), type(c.target_type), print(*c.target),
                           chart(c.chart));
    }
    std::string operator()(const store::ReferredBy& c) const {
        return fmt::format("from({} {}{})", param(c.param), print(*c.source), chart(c.chart));
    }
    std::string chart(const std::optional<store::ChartRange>& range) const {
        if (!range) return {};
        std::string text = fmt::format(" in {} {}", type(range->type), range->codes.size());
        if (range->date_from != std::numeric_limits<std::int64_t>::min())
            text += fmt::format(" from {}", range->date_from);
        if (range->date_below != std::numeric_limits<std::int64_t>::max())
            text += fmt::format(" below {}", range->date_below);
        return text;
    }
    std::string operator()(const store::OfPatient& c) const {
        return fmt::format("chart({}{} codes {})", type(c.type), identities(c.patients),
                           c.codes.size());
    }
    std::string operator()(const store::InCompartment& c) const {
        return fmt::format("compartment({} {})", c.patient.id, type(c.type));
    }
    std::string operator()(const store::ChangedWithin& c) const {
        return fmt::format("changed({} {})", c.from, c.below);
    }
    std::string print(const Condition& condition) const {
        return std::visit(*this, condition.as_variant());
    }
};

/// A log with one entry per second from 2024-01-01 on.
class SecondsTimeline : public Timeline {
 public:
    Result<store::Position> first_from(Instant instant) const override {
        const std::int64_t start = parse_date("2024-01-01T00:00:00Z")->lower().milliseconds;
        return std::max<std::int64_t>(0, (instant.milliseconds - start + 999) / 1000);
    }
};

class TwoConcepts : public ConceptSource {
 public:
    Result<std::vector<Concept>> expand(std::string_view value_set) const override {
        if (value_set != "http://example.org/two") return fail(Category::not_found, "no such set");
        return std::vector<Concept>{{"http://loinc.org", "1-8"}, {"http://loinc.org", "2-6"}};
    }
    Result<std::vector<Concept>> below(std::string_view system,
                                       std::string_view code) const override {
        return std::vector<Concept>{{std::string(system), std::string(code)},
                                    {"http://loinc.org", "1-8"}};
    }
    Result<std::vector<Concept>> above(std::string_view system,
                                       std::string_view code) const override {
        return std::vector<Concept>{{std::string(system), std::string(code)}};
    }
};

class SearchQuery : public ::testing::Test {
 protected:
    static void SetUpTestSuite() {
        auto& names = World::get().names;
        for (const auto* system : {"http://loinc.org", "urn:mrn", "http://snomed.info/sct"}) {
            names.intern(store::NameKind::system, system);
        }
        names.intern(store::NameKind::unit, "http://unitsofmeasure.org|mg");
        names.intern(store::NameKind::unit, "|mg");
        names.intern(store::NameKind::unit, "g");
    }
    static ParseOptions options() {
        static const SecondsTimeline timeline;
        static const TwoConcepts concepts;
        ParseOptions options;
        options.base_url = "http://here/fhir";
        options.now = Instant{parse_date("2025-01-01")->lower().milliseconds};
        options.timeline = &timeline;
        options.concepts = &concepts;
        return options;
    }
    static Result<Query> parse_text(std::string_view type, std::string_view text,
                                    const ParseOptions& with) {
        const auto given = parse_query_string(text);
        EXPECT_TRUE(given.has_value()) << text;
        return parse(*World::get().parameters, World::get().names, type, *given, with);
    }
    static std::string planned(std::string_view type, std::string_view text,
                               const ParseOptions& with) {
        const auto query = parse_text(type, text, with);
        if (!query) return "error: " + query.error().message;
        std::string printed;
        for (const auto& filter : query->types) {
            printed += (printed.empty() ? "" : "; ") + Printer{World::get()}.print(filter.where);
        }
        return printed;
    }
    static std::string planned(std::string_view type, std::string_view text) {
        return planned(type, text, options());
    }
};

TEST_F(SearchQuery, StringsFoldAndTakeModifiers) {
    EXPECT_EQ(planned("Patient", "family=M%C3%BCller"), "starts(Patient.family 'muller')");
    EXPECT_EQ(planned("Patient", "family:exact=M%C3%BCller"),
              "all(starts(Patient.family 'muller') exact(Patient.family 'Müller'))");
    // What was cut before it was stored folds to something else at its end.
    EXPECT_TRUE(planned("Patient", "family:exact=" + std::string(300, 'a')).starts_with("exact("));
    EXPECT_EQ(planned("Patient", "name:contains=O'B"), "contains(Patient.name 'o b')");
    EXPECT_EQ(planned("Patient", "name=a,b"),
              "any(starts(Patient.name 'a') starts(Patient.name 'b'))");
    EXPECT_EQ(planned("Patient", "name=a%5C,b"), "starts(Patient.name 'a b')");
    EXPECT_EQ(planned("Patient", "phonetic=Rupert"), planned("Patient", "phonetic=Robert"));
    EXPECT_EQ(planned("Patient", "name=---"),
              "error: \"---\" holds no letter or digit to search for");
}

TEST_F(SearchQuery, TokensKnowSystems) {
    EXPECT_EQ(planned("Patient", "identifier=urn:mrn|7"), "token(Patient.identifier 1)");
    EXPECT_EQ(planned("Patient", "identifier=urn:none|7"), "nothing");
    EXPECT_EQ(planned("Patient", "identifier=urn:mrn|"), "system(Patient.identifier)");
    EXPECT_EQ(planned("Patient", "gender=male"), "token(Patient.gender 1)");
    EXPECT_EQ(planned("Patient", "gender=http://hl7.org/fhir/administrative-gender|male"),
              "token(Patient.gender 1)");
    EXPECT_EQ(planned("Patient", "gender=urn:mrn|male"), "nothing");
    EXPECT_EQ(planned("Encounter", "status:not=finished"), "none(token(Encounter.status 1))");
    EXPECT_EQ(planned("Condition", "code:text=heart"), "starts(Condition.code#text 'heart')");
    EXPECT_EQ(planned("Condition", "code:in=http://example.org/two"), "token(Condition.code 2)");
    EXPECT_EQ(planned("Condition", "code:not-in=http://example.org/two"),
              "none(token(Condition.code 2))");
    EXPECT_EQ(planned("Condition", "code:below=http://loinc.org|2-6"), "token(Condition.code 2)");
    EXPECT_EQ(planned("Condition", "code:missing=true"),
              "none(any(has(Condition.code) has(Condition.code#present)))");
    EXPECT_EQ(planned("Patient", "active=yes"),
              "error: \"active\" takes true or false, not \"yes\"");
    EXPECT_EQ(planned("Patient", "phone=a|b"),
              "error: \"phone\" has no code system: write the value without \"|\"");
    EXPECT_EQ(planned("Patient", "_id=1,2"), "id(Patient 1 2)");
    EXPECT_EQ(planned("Patient", "_id=a/b"),
              "error: \"a/b\" is no id (1 to 64 of A-Z a-z 0-9 - .)");
}

TEST_F(SearchQuery, ReferencesInEveryForm) {
    const auto one = "reference(Observation.subject Patient/7)";
    EXPECT_EQ(planned("Observation", "subject=Patient/7"), one);
    EXPECT_EQ(planned("Observation", "subject:Patient=7"), one);
    EXPECT_EQ(planned("Observation", "subject=http://here/fhir/Patient/7"), one);
    EXPECT_EQ(planned("Observation", "subject=Patient/7/_history/3"), one);
    EXPECT_EQ(planned("Observation", "patient=7"), "reference(Observation.patient Patient/7)");
    EXPECT_EQ(planned("Observation", "subject=http://else/Patient/7"),
              "reference(Observation.subject http://else/Patient/7)");
    EXPECT_EQ(planned("Observation", "subject:identifier=urn:mrn|7"),
              "token(Observation.subject#identifier 1)");
    EXPECT_EQ(planned("Observation", "subject=a b"),
              "error: \"a b\" is no reference: write an id, Type/id or an absolute URL");
    const auto untyped = parse_text("Observation", "subject=7", options());
    ASSERT_TRUE(untyped.has_value());
    EXPECT_EQ(untyped->untyped.size(), 1U);
    EXPECT_EQ(planned("QuestionnaireResponse", "questionnaire=http://q.org/a%7C1.2"),
              "reference(QuestionnaireResponse.questionnaire http://q.org/a|1.2)");
}

TEST_F(SearchQuery, ChainsAndReverseChains) {
    EXPECT_EQ(planned("Observation", "subject:Patient.identifier=urn:mrn|7"),
              "to(Observation.subject Patient token(Patient.identifier 1))");
    EXPECT_EQ(planned("Observation", "patient.organization.name=x"),
              "to(Observation.patient Patient to(Patient.organization Organization "
              "starts(Organization.name 'x')))");
    EXPECT_EQ(planned("Observation", "subject.gender=male"),
              "to(Observation.subject Patient token(Patient.gender 1))");
    EXPECT_EQ(planned("Patient", "_has:Condition:patient:code=http://loinc.org|1-8"),
              "from(Condition.patient token(Condition.code 1) in Condition 1)");
    EXPECT_EQ(
        planned("Patient", "_has:Observation:patient:_has:Provenance:target:agent=Practitioner/1"),
        "from(Observation.patient from(Provenance.target reference(Provenance.agent "
        "Practitioner/1)))");
    EXPECT_EQ(planned("Encounter", "patient._has:Condition:patient:code=http://loinc.org|1-8"),
              "to(Encounter.patient Patient from(Condition.patient token(Condition.code 1) in "
              "Condition 1))");
    // What the other criteria leave of each chart.
    EXPECT_EQ(planned("Condition", "subject:Patient.name=x&code=http://loinc.org|1-8"),
              "all(to(Condition.subject Patient starts(Patient.name 'x') in Condition 1) "
              "token(Condition.code 1))");
    EXPECT_EQ(planned("Observation", "patient.name=x&date=ge1970-01-02&date=lt1970-01-03"),
              "all(to(Observation.patient Patient starts(Patient.name 'x') in Observation 0 below "
              "172800000) any(date(Observation.date lo>=86400000 lo<172800000) "
              "date(Observation.date lo<86400000 hi>172800000)))");
    EXPECT_EQ(
        planned("Observation", "device:Device.status=active&code=http://loinc.org|1-8"),
        "all(to(Observation.device Device token(Device.status 1)) token(Observation.code 1))");
    EXPECT_EQ(planned("Patient", "_has:Observation:patient:date=sa1970-01-01"),
              "from(Observation.patient date(Observation.date lo>=86400000) in Observation 0 from "
              "86400000)");
    EXPECT_EQ(planned("Patient", "_has:Observation:patient:code:not=http://loinc.org|1-8"),
              "from(Observation.patient none(token(Observation.code 1)))");
    EXPECT_EQ(planned("Patient", "_has:Observation:patient:status=final"),
              "from(Observation.patient token(Observation.status 1))");
    EXPECT_EQ(planned("Device", "_has:Observation:device:code=http://loinc.org|1-8"),
              "from(Observation.device token(Observation.code 1))");
    EXPECT_EQ(planned("Observation", "code.name=x"),
              "error: \"code\" of Observation is no reference: nothing can be chained to it");
    EXPECT_EQ(planned("Patient", "_list=42"), "from(List.item id(List 42))");
    std::string deep = "partof";
    for (int i = 0; i < 6; ++i) deep += ".partof";
    EXPECT_EQ(planned("Location", deep + "=1"), "error: a chain may have at most 5 hops");
}

TEST_F(SearchQuery, DatesMergeWhereTheyCannotRepeat) {
    const auto day = [](std::string_view text) { return parse_date(text)->lower().milliseconds; };
    EXPECT_EQ(
        planned("Patient", "birthdate=ge2000-01-01&birthdate=lt2001-01-01"),
        fmt::format("any(date(Patient.birthdate lo>={} lo<{}) date(Patient.birthdate lo<{} hi>{}))",
                    day("2000-01-01"), day("2001-01-01"), day("2000-01-01"), day("2000-01-02")));
    EXPECT_EQ(planned("Patient", "birthdate=2000&birthdate=2001"), "nothing");
    EXPECT_EQ(planned("Patient", "birthdate=2000-13"),
              "error: " + parse_date("2000-13").error().message);
    EXPECT_EQ(planned("Patient", "_lastUpdated=ge2024-01-01T00:00:10Z"),
              fmt::format("changed(10 {})", std::numeric_limits<std::int64_t>::max()));
    EXPECT_EQ(planned("Patient", "_lastUpdated=2024-01-01T00:00:10Z"), "changed(10 11)");
}

TEST_F(SearchQuery, QuantitiesInCanonicalUnits) {
    EXPECT_EQ(planned("Observation", "value-quantity=gt5.4||mg"),
              "quantity(Observation.value-quantity 2 hi>5.4)");
    EXPECT_EQ(planned("Observation", "value-quantity=gt5.4|http://unitsofmeasure.org|mg"),
              "quantity(Observation.value-quantity#canonical 1 hi>0.0054)");
    EXPECT_EQ(planned("Observation", "value-quantity=gt5.4|http://unitsofmeasure.org|furlong"),
              "nothing");
    EXPECT_EQ(planned("Observation", "value-quantity=5.4|mg"),
              "error: \"5.4|mg\" is no quantity: write number, number|system|code or number||code");
    EXPECT_EQ(planned("Observation", "value-quantity=x"), "error: \"x\" is no number");
    EXPECT_EQ(planned("Observation", "code-value-quantity=http://loinc.org|1-8$gt5.4"),
              "composite(Observation.code-value-quantity 1/0 hi>5.4)");
    EXPECT_EQ(planned("Observation", "code-value-quantity=1-8"),
              "error: \"1-8\" has 1 parts; \"code-value-quantity\" takes 2, joined by \"$\"");
}

TEST_F(SearchQuery, AgeIsAskedOfTheBirthDate) {
    const auto day = [](std::string_view text) { return parse_date(text)->lower().milliseconds; };
    EXPECT_EQ(
        planned("Patient", "age=30"),
        fmt::format("all(date(Patient.birthdate lo>={} lo<{}) none(token(Patient.deceased 1)))",
                    day("1994-01-02"), day("1995-01-02")));
    EXPECT_EQ(
        planned("Patient", "age=ge30,lt18"),
        fmt::format("all(any(date(Patient.birthdate lo>={0} lo<{1}) date(Patient.birthdate lo<{0}) "
                    "date(Patient.birthdate lo>={2})) none(token(Patient.deceased 1)))",
                    day("1994-01-02"), day("1995-01-02"), day("2007-01-02")));
    EXPECT_EQ(planned("Patient", "age=young"), "error: \"young\" is no age in whole years");
    EXPECT_EQ(parse_text("Patient", "_sort=age", options())->order.front().descending, true);
}

TEST_F(SearchQuery, LimitsAreNamed) {
    std::string many;
    for (std::size_t i = 0; i <= limits::search_values_max; ++i) many += "x,";
    EXPECT_EQ(planned("Patient", "name=" + many),
              fmt::format("error: a parameter takes at most {} values", limits::search_values_max));
    QueryParameters parameters(limits::search_parameters_max + 1, {"name", "x"});
    const auto refused =
        parse(*World::get().parameters, World::get().names, "Patient", parameters, options());
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().category, Category::too_large);
    EXPECT_EQ(planned("Patient", "_filter=" + std::string(200, '(')),
              "error: the filter is nested too deep");
    EXPECT_EQ(planned("Condition", "_content=" + std::string(200, '(')),
              "error: parentheses are nested too deep");
    EXPECT_EQ(planned("QuestionnaireResponse", "questionnaire.title=x"),
              "error: \"questionnaire\" of QuestionnaireResponse names its target by a canonical "
              "URL, which cannot be followed here");
    EXPECT_EQ(planned("Patient", "_id:missing=true"), "nothing");
}

TEST_F(SearchQuery, UrisHaveLevels) {
    EXPECT_EQ(planned("ValueSet", "url=http://a.org/b"), "uri(ValueSet.url http://a.org/b)");
    EXPECT_EQ(planned("ValueSet", "url:below=http://a.org/b/"),
              "below(ValueSet.url http://a.org/b)");
    EXPECT_EQ(planned("ValueSet", "url:above=http://a.org/b"),
              "any(uri(ValueSet.url http://a.org/b) uri(ValueSet.url http://a.org) "
              "uri(ValueSet.url http://a.org/))");
    EXPECT_EQ(planned("ValueSet", "url:below=urn:oid:1.2"),
              "error: \":below\" takes a URL: \"urn:oid:1.2\" has no levels");
}

TEST_F(SearchQuery, ChartsUseThePatientPath) {
    const auto sorted =
        parse_text("Observation", "patient=7&code=http://loinc.org|1-8&_sort=-date", options());
    ASSERT_TRUE(sorted.has_value());
    EXPECT_EQ(Printer{World::get()}.print(sorted->types.front().where),
              "all(chart(Observation Patient/7 codes 1) reference(Observation.patient Patient/7))");
    EXPECT_EQ(sorted->order.front().kind, store::SortKind::patient_date);
    const auto ascending = parse_text("Observation", "patient=7&_sort=date", options());
    ASSERT_TRUE(ascending.has_value());
    EXPECT_EQ(ascending->order.front().kind, store::SortKind::date);
    EXPECT_EQ(planned("Observation", "patient=7"), "reference(Observation.patient Patient/7)");
    EXPECT_EQ(planned("Encounter", "subject=Patient/7&_sort=-date"),
              "all(chart(Encounter Patient/7 codes 0) reference(Encounter.subject Patient/7))");
    EXPECT_EQ(planned("Observation", "code:not=http://loinc.org|1-8&patient=7"),
              "all(none(token(Observation.code 1)) reference(Observation.patient Patient/7))");
}

TEST_F(SearchQuery, TheNewestOfEveryoneAreARangeToo) {
    const auto sorted = parse_text("Encounter", "type=http://loinc.org|x&_sort=-date", options());
    ASSERT_TRUE(sorted.has_value());
    EXPECT_EQ(Printer{World::get()}.print(sorted->types.front().where),
              "chart(Encounter urn:meridian:everyone codes 1)");
    EXPECT_EQ(sorted->order.front().kind, store::SortKind::patient_date);
    EXPECT_EQ(planned("Encounter", "type=http://loinc.org|x"), "token(Encounter.type 1)");
    ParseOptions older = options();
    older.has_derived_rows = false;
    const auto before = parse_text("Encounter", "type=http://loinc.org|x&_sort=-date", older);
    ASSERT_TRUE(before.has_value());
    EXPECT_EQ(before->order.front().kind, store::SortKind::date);
}

TEST_F(SearchQuery, PairsStandBesideTheirParts) {
    const auto known = JsonDocument::parse(
        R"({"resourceType":"Condition","clinicalStatus":{"coding":[{"system":"http://s.org","code":"active"}]},
            "code":{"coding":[{"system":"http://a.org","code":"x"}]}})");
    ASSERT_TRUE(known.has_value());
    extract(*World::get().parameters, "Condition", known->root(), World::get().names);
    EXPECT_EQ(planned("Condition", "code=http://a.org|x&clinical-status=http://s.org|active"),
              "all(token(Condition.code+clinical-status 1) token(Condition.code 1) "
              "token(Condition.clinical-status 1))");
    EXPECT_EQ(
        planned("Condition", "code=http://a.org|x,http://a.org|y&abatement-date:missing=true"),
        "all(token(Condition.code-abatement-date 2) token(Condition.code 2) "
        "none(any(has(Condition.abatement-date) has(Condition.abatement-date#present))))");
    EXPECT_EQ(planned("Condition", "code=http://a.org|x&abatement-date:missing=false"),
              "all(token(Condition.code 1) any(has(Condition.abatement-date) "
              "has(Condition.abatement-date#present)))");
    ParseOptions older = options();
    older.has_derived_rows = false;
    const auto before =
        parse_text("Condition", "code=http://a.org|x&abatement-date:missing=true", older);
    ASSERT_TRUE(before.has_value());
    EXPECT_EQ(Printer{World::get()}.print(before->types.front().where),
              "all(token(Condition.code 1) none(any(has(Condition.abatement-date) "
              "has(Condition.abatement-date#present))))");
}

TEST_F(SearchQuery, ACodeAndAQuantityAreOneRangeOfTheirComposite) {
    const std::string where =
        planned("Observation",
                "code=http://loinc.org|1-8&value-quantity=gt5.4|http://unitsofmeasure.org|mg");
    EXPECT_NE(where.find("composite(Observation.code-value-quantity"), std::string::npos) << where;
    EXPECT_NE(where.find("token(Observation.code 1)"), std::string::npos) << where;
    EXPECT_NE(where.find("quantity(Observation.value-quantity"), std::string::npos) << where;
    const std::string alone =
        planned("Observation", "value-quantity=gt5.4|http://unitsofmeasure.org|mg");
    EXPECT_EQ(alone.find("composite"), std::string::npos) << alone;
    // Composites know no SampledData, and what is "below 5" does not begin above 3: from the first
    // such value on, only the parts decide.
    testing::MemoryNames names;
    const auto parameters = Parameters::make(definitions(), names);
    const auto with = [&](const char* json) {
        const auto observation = JsonDocument::parse(json);
        extract(*parameters, "Observation", observation->root(), names);
        const Parameter* quantity = parameters->find("Observation", "value-quantity");
        return names.find(store::NameKind::parameter, odd_quantity_marker(*quantity));
    };
    EXPECT_EQ(with(R"({"resourceType":"Observation","valueQuantity":{"value":7,"unit":"mmol/L"}})"),
              0);
    EXPECT_NE(
        with(
            R"({"resourceType":"Observation","valueQuantity":{"value":7,"comparator":"<","unit":"mmol/L"}})"),
        0);
    EXPECT_NE(
        with(R"({"resourceType":"Observation","valueSampledData":{"origin":{"value":0},"period":1,
                       "dimensions":1,"lowerLimit":1,"upperLimit":9,"data":"1 2"}})"),
        0);
}

TEST_F(SearchQuery, FullTextHasOperators) {
    EXPECT_EQ(planned("Condition", "_content=bone liver"),
              "all(text(Condition._content 'bone') text(Condition._content 'liver'))");
    EXPECT_EQ(planned("Condition", "_text=(bone OR liver) and NOT \"lung cancer\""),
              "all(any(text(Condition._text 'bone') text(Condition._text 'liver')) "
              "none(text(Condition._text 'lung cancer')))");
    EXPECT_EQ(planned("Condition", "_text=癌 T2"),
              "all(text(Condition._text '癌'*) text(Condition._text 't2'))");
    EXPECT_EQ(planned("Condition", "_text=肺癌"), "text(Condition._text '肺癌')");
    EXPECT_EQ(planned("Condition", "_text=(bone"), "error: a \")\" is missing at character 6");
}

TEST_F(SearchQuery, FilterLanguage) {
    EXPECT_EQ(planned("Patient", "_filter=given eq \"peter\" and birthdate ge 2014-10-10"),
              planned("Patient", "given:exact=peter&birthdate=ge2014-10-10"));
    EXPECT_EQ(planned("Patient", "_filter=name co \"pet\" or not (gender eq male)"),
              "any(contains(Patient.name 'pet') none(token(Patient.gender 1)))");
    EXPECT_EQ(planned("Patient", "_filter=name sw pet"), "starts(Patient.name 'pet')");
    EXPECT_EQ(planned("Patient", "_filter=name ew PET"), "ends(Patient.name 'pet')");
    EXPECT_TRUE(
        planned("Patient", "_filter=gender ew x").starts_with("error: \"ew\" takes a string"));
    EXPECT_TRUE(planned("Patient", "name:%20ends%20with=x").starts_with("error: the parameter"));
    EXPECT_EQ(planned("Patient", "_filter=name ne pet"),
              "none(all(starts(Patient.name 'pet') exact(Patient.name 'pet')))");
    EXPECT_EQ(planned("Patient", "_filter=birthdate pr false"),
              "none(any(has(Patient.birthdate) has(Patient.birthdate#present)))");
    EXPECT_EQ(planned("Observation", "_filter=patient[gender eq male].birthdate lt 1980"),
              fmt::format("to(Observation.patient Patient all(token(Patient.gender 1) "
                          "date(Patient.birthdate lo<{})))",
                          parse_date("1980")->lower().milliseconds));
    EXPECT_EQ(planned("Observation", "_filter=subject:Patient.name eq x"),
              "to(Observation.subject Patient all(starts(Patient.name 'x') exact(Patient.name "
              "'x')))");
    EXPECT_TRUE(
        planned("Patient", "_filter=name xx pet").starts_with("error: \"xx\" is no operator"));
    EXPECT_TRUE(planned("Patient", "_filter=(name eq x").starts_with("error: a \")\" is missing"));
}

TEST_F(SearchQuery, UnknownParametersAreRefusedWithTheKnownOnes) {
    const auto refused = planned("Patient", "nme=x");
    EXPECT_TRUE(refused.starts_with("error: Patient has no search parameter \"nme\"; it has: "))
        << refused;
    EXPECT_NE(refused.find("birthdate"), std::string::npos);
    EXPECT_NE(refused.find("_lastUpdated"), std::string::npos);
    EXPECT_EQ(planned("Patient", "name:nope=x"),
              "error: the parameter \"name\" has no modifier \":nope\"; it has: :missing, :exact, "
              ":contains, :text");
    auto lenient = options();
    lenient.lenient = true;
    const auto query = parse_text("Patient", "nme=x&gender=male&name:nope=y&_sort=nix", lenient);
    ASSERT_TRUE(query.has_value());
    EXPECT_EQ(query->self, "gender=male");
    EXPECT_EQ(query->warnings.size(), 3U);
    EXPECT_EQ(planned("Patient", "_query=x"), "error: this server has no named queries (_query)");
    EXPECT_EQ(planned("Patient", "_query=x", lenient),
              "error: this server has no named queries (_query)");
    EXPECT_EQ(planned("Patient", "name=&gender="), "everything");
}

TEST_F(SearchQuery, ResultParameters) {
    const auto query =
        parse_text("Patient",
                   "_count=5&_sort=-birthdate,family&_total=accurate&_elements=id,name&"
                   "_include=Patient:organization&_revinclude:iterate=Observation:subject:Patient",
                   options());
    ASSERT_TRUE(query.has_value()) << query.error().message;
    EXPECT_EQ(query->count, 5U);
    ASSERT_EQ(query->order.size(), 2U);
    EXPECT_TRUE(query->order[0].descending);
    EXPECT_EQ(query->total, Total::accurate);
    EXPECT_EQ(query->elements, (std::vector<std::string>{"id", "name"}));
    ASSERT_EQ(query->includes.size(), 2U);
    EXPECT_TRUE(query->includes[1].reverse && query->includes[1].iterate);
    EXPECT_TRUE(parse_text("Patient", "_count=0", options())->count_only);
    EXPECT_EQ(parse_text("Patient", "_count=99999", options())->count, limits::page_size_max);
    EXPECT_EQ(planned("Patient", "_count=x"), "error: \"x\" is no number of resources");
    EXPECT_EQ(planned("Patient", "_summary=text&_include=*"),
              "error: _summary=text and includes exclude each other");
    EXPECT_EQ(planned("Patient", "_include=Patient:name"),
              "error: Patient has no reference parameter \"name\" to include by");
    EXPECT_TRUE(
        planned("Patient", "_sort=_score").starts_with("error: \"_score\" is the relevance"));
    EXPECT_TRUE(planned("Patient", "_content=x&_sort=_score,name")
                    .starts_with("error: \"_score\" is sorted by alone"));
    EXPECT_EQ(planned("Condition", "_list=$current-problems"),
              "error: \"$current-problems\" is the list of a patient: add patient=ID");
    EXPECT_TRUE(planned("Condition", "patient=1&_list=$past-problems")
                    .starts_with("error: there is no functional list \"$past-problems\" here"));
    EXPECT_EQ(planned("Patient", "_contained=maybe"),
              "error: _contained takes true, false or both, not \"maybe\"");
}

TEST_F(SearchQuery, CompartmentsAndSystemSearch) {
    auto patient = options();
    patient.compartment_type = "Patient";
    patient.compartment_id = "7";
    EXPECT_EQ(planned("Observation", "", patient), "compartment(7 Observation)");
    EXPECT_EQ(planned("*", "", patient), "compartment(7 )");
    EXPECT_EQ(planned("*", "_type=Observation,Condition", patient),
              "compartment(7 Observation); compartment(7 Condition)");
    EXPECT_EQ(planned("Organization", "", patient),
              "error: Organization is not part of the Patient compartment");
    auto encounter = options();
    encounter.compartment_type = "Encounter";
    encounter.compartment_id = "3";
    EXPECT_EQ(planned("Observation", "", encounter),
              "reference(Observation.encounter Encounter/3)");
    EXPECT_EQ(planned("", "_type=Patient,Practitioner&name=x"),
              "starts(Patient.name 'x'); starts(Practitioner.name 'x')");
    EXPECT_EQ(planned("", ""), "everything");
    EXPECT_EQ(planned("", "_type=Nope"), "error: \"Nope\" is no FHIR R4 resource type");
}

/// Sees only active patients, and may not search by phone.
class OnlyActive : public AccessFilter {
 public:
    Condition visible(store::Name type) const override {
        if (type != World::get().parameters->type_name("Patient")) return store::Everything{};
        return store::HasAny{World::get().param("Patient.active")};
    }
    bool sees_everything() const override { return false; }
    Result<void> allow_write(store::Verb, std::string_view, const Json*) const override {
        return {};
    }
    Result<void> allow_parameter(std::string_view, std::string_view code) const override {
        if (code == "phone") return fail(Category::forbidden, "not searchable");
        return {};
    }
};

TEST_F(SearchQuery, TheCallersFilterStandsInEveryHop) {
    auto guarded = options();
    guarded.access = std::make_shared<OnlyActive>();
    EXPECT_EQ(planned("Patient", "gender=male", guarded),
              "all(has(Patient.active) token(Patient.gender 1))");
    EXPECT_EQ(planned("Observation", "patient.gender=male", guarded),
              "to(Observation.patient Patient all(has(Patient.active) token(Patient.gender 1)))");
    EXPECT_EQ(planned("Organization", "_has:Patient:organization:gender=male", guarded),
              "from(Patient.organization all(has(Patient.active) token(Patient.gender 1)))");
    EXPECT_EQ(planned("Patient", "phone=1", guarded), "error: not searchable");
    EXPECT_EQ(planned("Observation", "patient.phone=1", guarded), "error: not searchable");
    EXPECT_EQ(planned("Patient", "_sort=phone", guarded), "error: not searchable");
    EXPECT_EQ(planned("Patient", "_filter=phone eq 1", guarded), "error: not searchable");
}

TEST_F(SearchQuery, ConditionsMustSelect) {
    const auto plan = [&](std::string_view text) -> std::string {
        const auto made = conditional_plan(*World::get().parameters, World::get().names, "Patient",
                                           *parse_query_string(text), options());
        return made ? Printer{World::get()}.print((*made)->where)
                    : "error: " + made.error().message;
    };
    EXPECT_EQ(plan("identifier=urn:mrn|7"), "token(Patient.identifier 1)");
    EXPECT_TRUE(plan("identifier=").starts_with("error: a condition needs"));
    EXPECT_TRUE(
        plan("identifier=urn:mrn|7&_sort=name").starts_with("error: \"_sort\" has no place"));
    EXPECT_EQ(parse_conditional_reference("Patient?identifier=1")->value().type, "Patient");
    EXPECT_FALSE(parse_conditional_reference("Patient/7")->has_value());
    EXPECT_FALSE(parse_conditional_reference("http://x/?a=b")->has_value());
}

TEST_F(SearchQuery, EveryParameterOfEveryTypeTakesAValue) {
    static const std::map<SearchType, std::string> values{{SearchType::number, "1"},
                                                          {SearchType::date, "2020"},
                                                          {SearchType::string, "x"},
                                                          {SearchType::token, "true"},
                                                          {SearchType::reference, "http://x.org/a"},
                                                          {SearchType::quantity, "1"},
                                                          {SearchType::uri, "http://x.org/a"}};
    for (const Type* type : definitions().resources()) {
        for (const Parameter* parameter : World::get().parameters->list(type->name)) {
            const auto value = values.find(parameter->kind);
            if (value == values.end() || parameter->code == "_id") continue;
            const auto printed = planned(type->name, parameter->code + "=" + value->second);
            EXPECT_FALSE(printed.starts_with("error"))
                << type->name << "." << parameter->code << " " << printed;
            const auto missing = planned(type->name, parameter->code + ":missing=false");
            if (parameter->name == 0) continue;
            EXPECT_FALSE(missing.starts_with("error"))
                << type->name << "." << parameter->code << " " << missing;
        }
    }
}

}  // namespace
}  // namespace meridian::fhir::search

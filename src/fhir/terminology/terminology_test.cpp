// SPDX-License-Identifier: Apache-2.0
#include "fhir/terminology/terminology.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <map>

#include "base/limits.hpp"

namespace meridian::fhir::terminology {
namespace {

/// Resources of a test by canonical, in place of a store.
class Shelf : public Library {
 public:
    void add(std::string_view json) {
        JsonDocument document = *JsonDocument::parse(json);
        const std::string url(document.root().string_at("url"));
        if (document.root().string_at("resourceType") == "CodeSystem") {
            systems_[url] = *CodeSystem::load(document.root());
        } else {
            sets_.emplace(url, std::move(document));
        }
    }
    Result<std::shared_ptr<const CodeSystem>> code_system(std::string_view url,
                                                          std::string_view) const override {
        const auto found = systems_.find(url);
        if (found == systems_.end()) return fail(Category::not_found, "no such system");
        return found->second;
    }
    Result<std::shared_ptr<const ValueSet>> import(std::string_view canonical,
                                                   std::vector<std::string>& path) const override {
        if (path.size() > limits::value_set_imports_max)
            return fail(Category::unprocessable, "circle");
        const auto found = sets_.find(canonical);
        if (found == sets_.end()) return fail(Category::not_found, "no such set");
        path.emplace_back(canonical);
        auto made = ValueSet::compile(found->second.root(), *this, path);
        path.pop_back();
        return made;
    }
    /// Codes of a compose, separated by spaces; the error's word when it cannot be expanded.
    std::string codes(std::string_view compose, const ValueSet::Filter& filter = {}) const {
        const JsonDocument document = *JsonDocument::parse(
            fmt::format(R"({{"resourceType":"ValueSet","compose":{}}})", compose));
        std::vector<std::string> path;
        const auto set = ValueSet::compile(document.root(), *this, path);
        if (!set) return name_of(set.error().category);
        std::string all;
        std::size_t count = 0;
        const auto done = (*set)->each(filter, [&](const Member& member) {
            all += (all.empty() ? "" : " ") + std::string(member.code);
            ++count;
            EXPECT_EQ((*set)->contains(member.system, {}, member.code), Contained::yes)
                << member.code;
            return true;
        });
        if (!done) return name_of(done.error().category);
        EXPECT_EQ((*set)->count(filter).value(), count);
        return all;
    }

 private:
    std::map<std::string, std::shared_ptr<const CodeSystem>, std::less<>> systems_;
    std::map<std::string, JsonDocument, std::less<>> sets_;
};

/// A heart is an organ with two chambers; the left one has two parents; "old" is retired.
Shelf organs() {
    Shelf shelf;
    shelf.add(
        R"({"resourceType":"CodeSystem","url":"urn:organs","version":"2","content":"complete","caseSensitive":true,
      "property":[{"code":"size","type":"integer"},{"code":"parent","uri":"http://hl7.org/fhir/concept-properties#parent","type":"code"}],
      "concept":[{"code":"organ","display":"Organ","property":[{"code":"notSelectable","valueBoolean":true}],"concept":[
        {"code":"heart","display":"Heart muscle","designation":[{"language":"zh","value":"心脏"}],"property":[{"code":"size","valueInteger":3}],
         "concept":[{"code":"left","display":"Left chamber","property":[{"code":"parent","valueCode":"side"}]},{"code":"right","display":"Right chamber"}]},
        {"code":"lung","display":"Lung","property":[{"code":"size","valueInteger":9}]}]},
        {"code":"side","display":"Left side"},{"code":"old","display":"Old organ","property":[{"code":"inactive","valueBoolean":true}]}]})");
    shelf.add(
        R"({"resourceType":"ValueSet","url":"urn:vs:heart","compose":{"include":[{"system":"urn:organs","filter":[{"property":"concept","op":"is-a","value":"heart"}]}]}})");
    return shelf;
}

constexpr std::string_view whole = R"({"include":[{"system":"urn:organs"}]})";

std::string filtered(const Shelf& shelf, std::string_view property, std::string_view op,
                     std::string_view value) {
    return shelf.codes(fmt::format(
        R"({{"include":[{{"system":"urn:organs","filter":[{{"property":"{}","op":"{}","value":"{}"}}]}}]}})",
        property, op, value));
}

TEST(CodeSystem, FindsAndDescribes) {
    const auto codes = *organs().code_system("urn:organs", {});
    ASSERT_EQ(codes->size(), 7u);
    const ConceptIndex heart = codes->find("heart");
    ASSERT_NE(heart, no_concept);
    EXPECT_EQ(codes->find("Heart"), no_concept);
    EXPECT_EQ(codes->display(heart), "Heart muscle");
    EXPECT_EQ(codes->designations(heart).at(0).value, "心脏");
    EXPECT_EQ(codes->properties(heart).at(0).kind, "Integer");
    EXPECT_TRUE(codes->is_display(heart, "heart  MUSCLE"));
    EXPECT_FALSE(codes->is_display(heart, "lung"));
    EXPECT_TRUE(codes->is_abstract(codes->find("organ")));
    EXPECT_TRUE(codes->is_inactive(codes->find("old")));
}

TEST(CodeSystem, SubsumesOverSeveralParents) {
    const auto codes = *organs().code_system("urn:organs", {});
    EXPECT_TRUE(codes->subsumes(codes->find("organ"), codes->find("left")));
    EXPECT_TRUE(codes->subsumes(codes->find("side"), codes->find("left")));
    EXPECT_FALSE(codes->subsumes(codes->find("left"), codes->find("organ")));
    EXPECT_FALSE(codes->subsumes(codes->find("side"), codes->find("right")));
    EXPECT_EQ(codes->above(codes->find("left")).count(), 4u);
}

TEST(CodeSystem, IgnoresCaseOnlyWhereTheSystemSaysSo) {
    const JsonDocument document = *JsonDocument::parse(
        R"({"resourceType":"CodeSystem","url":"urn:c","content":"complete","caseSensitive":false,"concept":[{"code":"Ab"},{"code":"aa"}]})");
    const auto codes = *CodeSystem::load(document.root());
    EXPECT_EQ(codes->code(codes->find("aB")), "Ab");
    EXPECT_EQ(codes->find("ac"), no_concept);
}

TEST(CodeSystem, ACircleEnds) {
    const JsonDocument document = *JsonDocument::parse(
        R"({"resourceType":"CodeSystem","url":"urn:c","content":"complete","concept":[
        {"code":"a","property":[{"code":"parent","valueCode":"b"}]},{"code":"b","property":[{"code":"parent","valueCode":"a"}]}]})");
    const auto codes = *CodeSystem::load(document.root());
    EXPECT_EQ(codes->below(0).count(), 2u);
    EXPECT_TRUE(codes->subsumes(0, 1));
}

TEST(ValueSet, Filters) {
    const Shelf shelf = organs();
    EXPECT_EQ(filtered(shelf, "concept", "is-a", "heart"), "heart left right");
    EXPECT_EQ(filtered(shelf, "concept", "descendent-of", "heart"), "left right");
    EXPECT_EQ(filtered(shelf, "concept", "is-not-a", "heart"), "organ lung side old");
    EXPECT_EQ(filtered(shelf, "concept", "generalizes", "left"), "organ heart left side");
    EXPECT_EQ(filtered(shelf, "concept", "in", "lung, side,none"), "lung side");
    EXPECT_EQ(filtered(shelf, "concept", "not-in", "organ,heart,left,right"), "lung side old");
    EXPECT_EQ(filtered(shelf, "size", "=", "9"), "lung");
    EXPECT_EQ(filtered(shelf, "size", "exists", "true"), "heart lung");
    EXPECT_EQ(filtered(shelf, "size", "exists", "false"), "organ left right side old");
    EXPECT_EQ(filtered(shelf, "display", "regex", "L.*r"), "left");
    EXPECT_EQ(filtered(shelf, "parent", "=", "side"), "left");
    EXPECT_EQ(filtered(shelf, "concept", "is-a", "none"), "unprocessable");
    EXPECT_EQ(filtered(shelf, "colour", "=", "red"), "unsupported");
    EXPECT_EQ(filtered(shelf, "size", "about", "9"), "unsupported");
    EXPECT_EQ(filtered(shelf, "display", "regex", std::string(limits::regex_bytes_max + 1, 'x')),
              "unprocessable");
}

TEST(ValueSet, IncludesExcludesAndImports) {
    const Shelf shelf = organs();
    EXPECT_EQ(shelf.codes(whole), "organ heart left right lung side old");
    EXPECT_EQ(shelf.codes(R"({"inactive":false,"include":[{"system":"urn:organs"}]})"),
              "organ heart left right lung side");
    EXPECT_EQ(
        shelf.codes(
            R"({"include":[{"system":"urn:organs","concept":[{"code":"side"},{"code":"heart"}]},{"valueSet":["urn:vs:heart"]}]})"),
        "side heart left right");
    EXPECT_EQ(
        shelf.codes(
            R"({"include":[{"system":"urn:organs"}],"exclude":[{"valueSet":["urn:vs:heart"]},{"system":"urn:organs","concept":[{"code":"old"}]}]})"),
        "organ lung side");
    EXPECT_EQ(
        shelf.codes(
            R"({"include":[{"system":"urn:organs","concept":[{"code":"lung"},{"code":"left"}],"valueSet":["urn:vs:heart"]}]})"),
        "left");
    EXPECT_EQ(shelf.codes(R"({"include":[{"system":"urn:elsewhere","concept":[{"code":"x"}]}]})"),
              "x");
    EXPECT_EQ(shelf.codes(R"({"include":[{"system":"urn:elsewhere"}]})"), "not_found");
    EXPECT_EQ(shelf.codes(R"({"include":[{"system":"http://unitsofmeasure.org"}]})"), "too_large");
    EXPECT_EQ(shelf.codes(R"({"include":[{"valueSet":["urn:vs:none"]}]})"), "not_found");
}

TEST(ValueSet, FiltersByWords) {
    const Shelf shelf = organs();
    EXPECT_EQ(shelf.codes(whole, {"cham"}), "left right");
    EXPECT_EQ(shelf.codes(whole, {"chamber lef"}), "left");
    EXPECT_EQ(shelf.codes(whole, {"心"}), "heart");
    EXPECT_EQ(shelf.codes(whole, {"organ", true}), "organ");
    EXPECT_EQ(shelf.codes(whole, {"eart"}), "");
    EXPECT_EQ(shelf.codes(whole, {.selectable_only = true}), "heart left right lung side old");
}

TEST(ValueSet, SaysWhenItCannotKnow) {
    const JsonDocument document = *JsonDocument::parse(
        R"({"resourceType":"ValueSet","compose":{"include":[{"system":"urn:elsewhere"},{"system":"urn:ietf:bcp:47"}]}})");
    std::vector<std::string> path;
    const auto set = *ValueSet::compile(document.root(), Shelf(), path);
    EXPECT_EQ(set->contains("urn:elsewhere", {}, "x"), Contained::unknown);
    EXPECT_EQ(set->contains("urn:other", {}, "x"), Contained::no);
    EXPECT_EQ(set->contains("urn:ietf:bcp:47", {}, "zh-Hans-CN"), Contained::yes);
    EXPECT_EQ(set->contains("urn:ietf:bcp:47", {}, "zh_CN"), Contained::no);
}

TEST(OpenSystem, ChecksGrammars) {
    EXPECT_TRUE(follows_grammar(open_system("http://unitsofmeasure.org"), "mg/dL"));
    EXPECT_FALSE(follows_grammar(open_system("http://unitsofmeasure.org"), "mgs"));
    EXPECT_TRUE(follows_grammar(open_system("urn:ietf:bcp:13"), "text/plain; charset=utf-8"));
    EXPECT_FALSE(follows_grammar(open_system("urn:ietf:bcp:13"), "plain"));
    EXPECT_EQ(open_system("http://loinc.org"), OpenSystem::none);
}

TEST(ConceptMap, TranslatesBothWays) {
    const JsonDocument document = *JsonDocument::parse(
        R"({"resourceType":"ConceptMap","url":"urn:cm","group":[{"source":"urn:a","target":"urn:b",
        "element":[{"code":"1","target":[{"code":"x","equivalence":"wider"},{"code":"y","equivalence":"equal"}]},{"code":"2","target":[{"code":"x","equivalence":"unmatched"}]}],
        "unmapped":{"mode":"fixed","code":"other"}}]})");
    const auto map = *ConceptMap::load(document.root());
    const auto forth = map->translate("urn:a", "1", {}, false);
    ASSERT_EQ(forth.size(), 2u);
    EXPECT_EQ(forth[0].equivalence, "wider");
    const auto back = map->translate("urn:b", "x", {}, true);
    ASSERT_EQ(back.size(), 2u);
    EXPECT_EQ(back[0].code, "1");
    EXPECT_EQ(back[0].equivalence, "narrower");
    EXPECT_FALSE(back[1].is_mapped());
    ASSERT_EQ(map->translate("urn:a", "3", {}, false).size(), 1u);
    EXPECT_EQ(map->translate("urn:a", "3", {}, false)[0].code, "other");
    EXPECT_TRUE(map->translate("urn:c", "1", {}, false).empty());
}

TEST(Terminology, KnowsTheSpecification) {
    const Terminology terminology(nullptr);
    EXPECT_EQ(
        terminology.contains("http://hl7.org/fhir/ValueSet/administrative-gender", {}, "female"),
        Contained::yes);
    EXPECT_EQ(terminology.contains("http://hl7.org/fhir/ValueSet/administrative-gender|4.0.1",
                                   "http://hl7.org/fhir/administrative-gender", "f"),
              Contained::no);
    EXPECT_EQ(terminology.expand("http://hl7.org/fhir/ValueSet/administrative-gender")->size(), 4u);
    EXPECT_EQ(terminology.value_set("urn:none").error().category, Category::not_found);
    EXPECT_EQ(terminology.value_set("http://hl7.org/fhir/ValueSet/administrative-gender|3")
                  .error()
                  .category,
              Category::not_found);
    EXPECT_EQ(terminology.below("http://hl7.org/fhir/administrative-gender", "male")->size(), 1u);
    EXPECT_GT(terminology
                  .below("http://terminology.hl7.org/CodeSystem/v3-ActCode", "_ActCoverageTypeCode")
                  ->size(),
              5u);
    EXPECT_FALSE(terminology.concept_maps()->empty());
}

/// Every value set of the specification compiles; those whose systems are here expand.
TEST(Terminology, CompilesAllOfTheSpecification) {
    const Terminology terminology(nullptr);
    std::size_t failed = 0, expanded = 0;
    for (const std::string_view url : definitions().conformance_urls("ValueSet")) {
        const auto set = terminology.value_set(url);
        if (!set) {
            ++failed;
            EXPECT_NE(set.error().category, Category::fault) << url << ": " << set.error().message;
            continue;
        }
        expanded += terminology.expand(url).has_value() ? 1 : 0;
    }
    EXPECT_LT(failed, 30u);
    EXPECT_GT(expanded, 1000u);
}

/// 400,000 concepts in a tree of eight children each: 19 words of display text in five.
std::string big_system() {
    constexpr std::size_t count = 400'000;
    constexpr std::array<const char*, 8> words = {"acute",     "chronic",  "renal",     "pulmonary",
                                                  "carcinoma", "syndrome", "infection", "fracture"};
    std::string json =
        R"({"resourceType":"CodeSystem","url":"urn:big","content":"complete","property":[{"code":"parent","uri":"http://hl7.org/fhir/concept-properties#parent","type":"code"}],"concept":[)";
    for (std::size_t i = 0; i < count; ++i) {
        json += fmt::format(
            R"({}{{"code":"c{}","display":"{} {} of site {}","property":[{{"code":"parent","valueCode":"c{}"}}]}})",
            i == 0 ? "" : ",", i, words[i % 8], words[i / 8 % 8], i % 5'000, i / 8);
    }
    return json + "]}";
}

TEST(Terminology, ServesASystemOf400000Concepts) {
    using Clock = std::chrono::steady_clock;
    const auto milliseconds = [](Clock::time_point from) {
        return std::chrono::duration<double, std::milli>(Clock::now() - from).count();
    };
    Shelf shelf;
    auto start = Clock::now();
    shelf.add(big_system());
    fmt::print("load {:.0f} ms", milliseconds(start));
    const auto codes = *shelf.code_system("urn:big", {});
    start = Clock::now();
    const ConceptIndex last = codes->find("c399999");
    ASSERT_NE(last, no_concept);
    EXPECT_EQ(codes->properties(last).size(), 1u);
    fmt::print(", lookup {:.3f} ms", milliseconds(start));
    start = Clock::now();
    EXPECT_TRUE(codes->subsumes(codes->find("c1"), codes->find("c100000")) ||
                codes->subsumes(codes->find("c3"), codes->find("c100000")));
    fmt::print(", subsumes {:.3f} ms", milliseconds(start));
    const JsonDocument document = *JsonDocument::parse(
        R"({"resourceType":"ValueSet","compose":{"include":[{"system":"urn:big"}],"exclude":[{"system":"urn:big","concept":[{"code":"c7"}]}]}})");
    std::vector<std::string> path;
    const auto set = *ValueSet::compile(document.root(), shelf, path);
    EXPECT_EQ(set->count({}).value(), 399'999u);
    start = Clock::now();
    static_cast<void>(codes->with_words("x"));
    fmt::print(", word index {:.0f} ms", milliseconds(start));
    start = Clock::now();
    std::size_t shown = 0;
    ASSERT_TRUE(set->each({"carcin sit 49"}, [&](const Member&) { return ++shown < 20; }));
    EXPECT_EQ(shown, 20u);
    const std::size_t total = set->count({"carcin sit 49"}).value();
    fmt::print(", expand 20 of {} {:.3f} ms", total, milliseconds(start));
    EXPECT_GT(total, 20u);
    start = Clock::now();
    EXPECT_EQ(set->contains("urn:big", {}, "c123456"), Contained::yes);
    EXPECT_EQ(set->contains("urn:big", {}, "c7"), Contained::no);
    fmt::print(", validate-code {:.3f} ms\n", milliseconds(start));
}

}  // namespace
}  // namespace meridian::fhir::terminology

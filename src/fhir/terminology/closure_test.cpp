// SPDX-License-Identifier: Apache-2.0
#include "fhir/terminology/closure.hpp"

#include <gtest/gtest.h>

#include <random>

#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/testing.hpp"
#include "store/testing.hpp"

namespace meridian::fhir::terminology {
namespace {

/// One code system and nothing else.
class OneSystem : public Library {
 public:
    explicit OneSystem(const std::string& concepts) {
        const auto document = JsonDocument::parse(
            R"({"resourceType":"CodeSystem","url":"urn:c","status":"active","content":"complete","concept":)" +
            concepts + "}");
        codes_ = *CodeSystem::load(document->root());
    }
    Result<std::shared_ptr<const CodeSystem>> code_system(std::string_view url,
                                                          std::string_view) const override {
        if (url == "urn:c") return codes_;
        return fail(Category::not_found, "no such system");
    }
    Result<std::shared_ptr<const ValueSet>> import(std::string_view,
                                                   std::vector<std::string>&) const override {
        return fail(Category::not_found, "no such set");
    }
    const CodeSystem& codes() const { return *codes_; }

 private:
    std::shared_ptr<const CodeSystem> codes_;
};

class ClosuresTest : public ::testing::Test {
 protected:
    ClosuresTest() {
        store::OpenOptions options;
        options.folder = folder_.path();
        options.cache_bytes = 16 << 20;
        store_ = *store::open_for_test(options);
    }
    meridian::testing::Folder folder_;
    std::unique_ptr<store::Store> store_;
};

std::vector<ClosureConcept> concepts(std::initializer_list<const char*> codes) {
    std::vector<ClosureConcept> all;
    for (const char* code : codes) all.push_back({"urn:c", "", code});
    return all;
}

std::string text_of(const ClosureAnswer& answer) {
    std::string text = std::to_string(answer.version) + ":";
    for (const ClosureEntry& entry : answer.entries)
        text += fmt::format(" {}<{}", entry.code, entry.ancestor);
    return text;
}

const char* const organs =
    R"([{"code":"organ","concept":[{"code":"heart","concept":[{"code":"valve"}]},{"code":"lung"}]}])";

TEST_F(ClosuresTest, TablesOutliveTheProcess) {
    const auto library = std::make_shared<OneSystem>(organs);
    {
        Closures closures(*store_, library);
        ASSERT_TRUE(closures.start("a"));
        ASSERT_TRUE(closures.start("b"));
        EXPECT_EQ(text_of(closures.add("a", concepts({"valve", "lung"})).value()), "1:");
        EXPECT_EQ(text_of(closures.add("a", concepts({"organ"})).value()),
                  "2: lung<organ valve<organ");
    }
    Closures closures(*store_, library);
    EXPECT_EQ(text_of(closures.add("a", concepts({"heart", "organ"})).value()),
              "3: heart<organ valve<heart");
    EXPECT_EQ(text_of(closures.since("a", "0").value()),
              "3: heart<organ lung<organ valve<heart valve<organ");
    EXPECT_EQ(text_of(closures.since("a", "2").value()), "3: heart<organ valve<heart");
    EXPECT_EQ(text_of(closures.since("a", "3").value()), "3:");
    EXPECT_EQ(text_of(closures.since("b", "0").value()), "0:");
    EXPECT_EQ(text_of(closures.start("a").value()), "4:");
    for (const char* version : {"1", "3", "5", "-1", "x", ""})
        EXPECT_EQ(closures.since("a", version).error().category, Category::unprocessable)
            << version;
    EXPECT_EQ(text_of(closures.since("a", "0").value()), "4:");
    EXPECT_EQ(text_of(closures.add("a", concepts({"heart", "valve"})).value()), "5: valve<heart");
    EXPECT_EQ(text_of(Closures(*store_, library).since("a", "4").value()), "5: valve<heart");
}

TEST_F(ClosuresTest, AFaultyCallAddsNothing) {
    Closures closures(*store_, std::make_shared<OneSystem>(organs));
    EXPECT_EQ(closures.add("a", concepts({"heart"})).error().category, Category::unprocessable);
    ASSERT_TRUE(closures.start("a"));
    EXPECT_EQ(closures.add("a", concepts({"organ", "none"})).error().category,
              Category::unprocessable);
    const std::vector<ClosureConcept> foreign{{"urn:other", "", "x"}};
    EXPECT_EQ(closures.add("a", foreign).error().category, Category::unprocessable);
    EXPECT_EQ(text_of(closures.add("a", concepts({"heart"})).value()), "1:");
    EXPECT_EQ(closures.start("").error().category, Category::incorrect);
    EXPECT_EQ(closures.start(std::string(1000, 'x')).error().category, Category::incorrect);
}

/// However concepts come in, the rows together are all pairs of which one subsumes the other.
TEST_F(ClosuresTest, RowsAreAllPairsOfAnyHierarchy) {
    std::mt19937 random(7);
    for (int round = 0; round < 8; ++round) {
        const int size = 200;
        std::string json = "[";
        for (int i = 0; i < size; ++i) {
            json += fmt::format(R"({}{{"code":"c{}")", i == 0 ? "" : ",", i);
            std::string parents;
            for (int k = 0; i > 0 && k < 2; ++k)
                parents +=
                    fmt::format(R"({}{{"code":"subsumedBy","valueCode":"c{}"}})", k == 0 ? "" : ",",
                                std::uniform_int_distribution(k == 0 ? 0 : i / 2, i - 1)(random));
            json += parents.empty() ? "}" : R"(,"property":[)" + parents + "]}";
        }
        const auto library = std::make_shared<OneSystem>(json + "]");
        Closures closures(*store_, library);
        const std::string name = fmt::format("round {}", round);
        ASSERT_TRUE(closures.start(name));
        std::set<ConceptIndex> added;
        std::set<ClosureEntry> rows;
        for (int call = 0; call < 6; ++call) {
            std::vector<ClosureConcept> batch;
            const int count = call == 3 ? 90 : 7;  // one large batch
            for (int i = 0; i < count; ++i) {
                const int at = std::uniform_int_distribution(0, size - 1)(random);
                batch.push_back({"urn:c", "", fmt::format("c{}", at)});
                added.insert(library->codes().find(batch.back().code));
            }
            const ClosureAnswer answer = closures.add(name, batch).value();
            for (const ClosureEntry& row : answer.entries)
                EXPECT_TRUE(rows.insert(row).second) << "told twice: " << row.code;
        }
        std::set<ClosureEntry> expected;
        for (const ConceptIndex low : added) {
            for (const ConceptIndex high : added) {
                if (low != high && library->codes().subsumes(high, low))
                    expected.insert({"urn:c", std::string(library->codes().code(low)),
                                     std::string(library->codes().code(high))});
            }
        }
        EXPECT_GT(expected.size(), 100u);
        EXPECT_EQ(rows, expected);
        const auto replayed = closures.since(name, "0").value().entries;
        EXPECT_EQ(std::set<ClosureEntry>(replayed.begin(), replayed.end()), expected);
    }
}

TEST_F(ClosuresTest, HaveBounds) {
    std::string json = "[";
    std::vector<ClosureConcept> all;
    for (std::size_t i = 0; i <= limits::closure_concepts_max; ++i) {
        json += fmt::format(R"({}{{"code":"c{}"}})", i == 0 ? "" : ",", i);
        all.push_back({"urn:c", "", fmt::format("c{}", i)});
    }
    Closures closures(*store_, std::make_shared<OneSystem>(json + "]"));
    ASSERT_TRUE(closures.start("a"));
    EXPECT_EQ(closures.add("a", all).error().category, Category::too_large);
    const ClosureConcept last = all.back();
    all.pop_back();
    EXPECT_EQ(closures.add("a", all).value().version, 1);
    EXPECT_EQ(closures.add("a", {&last, 1}).error().category, Category::too_large);
    // As after many calls: the list of names is one setting, a line each.
    std::string list = *store_->setting("closures").value();
    for (std::size_t i = 1; i < limits::closures_max; ++i) list += fmt::format("{:04x}\n", i);
    ASSERT_TRUE(store_->save_setting("closures", list));
    EXPECT_EQ(closures.start("one more").error().category, Category::busy);
    EXPECT_TRUE(closures.start("a")) << "one that is there may begin anew";
}

}  // namespace
}  // namespace meridian::fhir::terminology

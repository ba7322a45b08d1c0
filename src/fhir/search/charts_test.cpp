// SPDX-License-Identifier: Apache-2.0
// Chains and _has that take the clinical access path, against an evaluation of the resources
// themselves.
#include "fhir/search/charts.hpp"

#include <random>

#include "fhir/search/store_fixture.hpp"

namespace meridian::fhir::search {
namespace {

using testing::Ids;

struct Seen {
    std::string id, code, other_code, day, subject, performer;
    bool is_alive = true;
};
struct Person {
    std::string id, family, born;
    bool is_alive = true;
};

class SearchCharts : public testing::StoreFixture {
 protected:
    using Random = std::mt19937_64;
    static std::string one_of(Random& random, std::initializer_list<std::string_view> texts) {
        return std::string(*(texts.begin() + random() % texts.size()));
    }
    static std::string to_json(const Person& person) {
        return fmt::format(
            R"({{"resourceType":"Patient","id":"{}","name":[{{"family":"{}"}}],"birthDate":"{}"}})",
            person.id, person.family, person.born);
    }
    static std::string to_json(const Seen& seen) {
        const std::string second =
            seen.other_code.empty()
                ? std::string()
                : fmt::format(R"(,{{"system":"urn:b","code":"{}"}})", seen.other_code);
        const std::string date = seen.day.empty()
                                     ? std::string()
                                     : fmt::format(R"("effectiveDateTime":"{}",)", seen.day);
        const std::string performer =
            seen.performer.empty()
                ? std::string()
                : fmt::format(R"("performer":[{{"reference":"Patient/{}"}}],)", seen.performer);
        return fmt::format(
            R"({{"resourceType":"Observation","id":"{}",{}{}"status":"final","code":{{"coding":[{{"system":"urn:a","code":"{}"}}{}]}},"subject":{{"reference":"Patient/{}"}}}})",
            seen.id, date, performer, seen.code, second, seen.subject);
    }

    void fill(Random& random) {
        std::vector<std::string> texts;
        for (int i = 0; i < 60; ++i) {
            people_.push_back({fmt::format("p{:02}", i),
                               one_of(random, {"Wang", "Wangari", "Li", "Liu", "Zhao", "Sun"}),
                               fmt::format("19{:02}-05-01", random() % 100)});
            texts.push_back(to_json(people_.back()));
        }
        const auto somebody = [&] { return people_[random() % people_.size()].id; };
        for (int i = 0; i < 500; ++i) {
            seen_.push_back({fmt::format("o{:03}", i), one_of(random, {"x", "x", "x", "y", "z"}),
                             one_of(random, {"", "", "x", "y"}),
                             random() % 5 == 0 ? std::string()
                                               : fmt::format("2024-{:02}-{:02}", 1 + random() % 12,
                                                             1 + random() % 28),
                             somebody(), random() % 4 == 0 ? somebody() : std::string()});
            texts.push_back(to_json(seen_.back()));
        }
        put_all(texts);
        // Some change hands and some go.
        for (int i = 0; i < 40; ++i) {
            Seen& seen = seen_[random() % seen_.size()];
            if (!seen.is_alive) continue;
            if (i % 3 == 0) {
                remove("Observation", seen.id);
                seen.is_alive = false;
                continue;
            }
            seen.subject = somebody();
            seen.code = one_of(random, {"x", "y", "z"});
            put(to_json(seen));
        }
        remove("Patient", people_[7].id);
        people_[7].is_alive = false;
    }

    Ids people(const std::function<bool(const Person&)>& wanted) const {
        Ids ids;
        for (const Person& person : people_) {
            if (person.is_alive && wanted(person)) ids.push_back(person.id);
        }
        return ids;
    }
    Ids seen(const std::function<bool(const Seen&, const Person&)>& wanted) const {
        Ids ids;
        for (const Seen& one : seen_) {
            const auto subject = std::find_if(people_.begin(), people_.end(),
                                              [&](const Person& p) { return p.id == one.subject; });
            if (one.is_alive && subject->is_alive && wanted(one, *subject)) ids.push_back(one.id);
        }
        return ids;
    }
    bool has(const Person& person, const std::function<bool(const Seen&)>& wanted) const {
        return std::any_of(seen_.begin(), seen_.end(), [&](const Seen& one) {
            return one.is_alive && one.subject == person.id && wanted(one);
        });
    }

    std::vector<Person> people_;
    std::vector<Seen> seen_;
};

bool has_code(const Seen& seen, std::string_view code) {
    return seen.code == code || seen.other_code == code;
}

TEST_F(SearchCharts, AnswersAreThoseOfTheResources) {
    Random random(3);
    fill(random);
    for (const std::string code : {"x", "y", "z"}) {
        SCOPED_TRACE(code);
        EXPECT_EQ(find("Patient", "_count=100&_has:Observation:patient:code=" + code),
                  people([&](const Person& p) {
                      return has(p, [&](const Seen& s) { return has_code(s, code); });
                  }));
        EXPECT_EQ(find("Patient", "_count=100&_has:Observation:subject:code=urn:a|" + code +
                                      "&birthdate=lt1950-01-01"),
                  people([&](const Person& p) {
                      return p.born < "1950" &&
                             has(p, [&](const Seen& s) { return s.code == code; });
                  }));
        // The chart also holds what the patient performed and what concerns somebody else.
        EXPECT_EQ(find("Patient", "_count=100&_has:Observation:performer:code=" + code),
                  people([&](const Person& p) {
                      return std::any_of(seen_.begin(), seen_.end(), [&](const Seen& s) {
                          return s.is_alive && s.performer == p.id && has_code(s, code);
                      });
                  }));
        for (const std::string family : {"Wang", "Li", "Zhao", "Nobody"}) {
            SCOPED_TRACE(family);
            EXPECT_EQ(
                find("Observation", "_count=600&subject:Patient.name=" + family + "&code=" + code),
                seen([&](const Seen& s, const Person& p) {
                    return has_code(s, code) && p.family.starts_with(family);
                }));
            EXPECT_EQ(find("Observation", "_count=600&patient.family:exact=" + family +
                                              "&date=ge2024-06-01&date=lt2024-09-01"),
                      seen([&](const Seen& s, const Person& p) {
                          return s.day >= "2024-06-01" && s.day < "2024-09-01" &&
                                 p.family == family;
                      }));
        }
    }
    EXPECT_EQ(find("Patient", "_count=100&_has:Observation:patient:date=sa2024-11-20"),
              people([&](const Person& p) {
                  return has(p, [](const Seen& s) { return s.day > "2024-11-20"; });
              }));
    EXPECT_EQ(find("Patient", "_count=100&_has:Observation:patient:code=x,z"),
              people([&](const Person& p) {
                  return has(p, [](const Seen& s) { return has_code(s, "x") || has_code(s, "z"); });
              }));
}

/// Pages end within the walk, and a page's end must not lose or repeat anybody.
TEST_F(SearchCharts, PagesGiveEachMatchOnce) {
    Random random(5);
    fill(random);
    const Ids all = people(
        [&](const Person& p) { return has(p, [](const Seen& s) { return has_code(s, "y"); }); });
    Ids walked;
    auto given = answer("Patient", "_count=7&_has:Observation:patient:code=y");
    while (true) {
        ASSERT_TRUE(given.has_value()) << given.error().message;
        const Ids ids = ids_of(given);
        walked.insert(walked.end(), ids.begin(), ids.end());
        if (given->next.empty()) break;
        given = page(given->next);
    }
    std::sort(walked.begin(), walked.end());
    EXPECT_EQ(walked, all);
}

/// Who may see one observation less does not find its patient by it.
TEST_F(SearchCharts, WhatIsHiddenFindsNobody) {
    put_all({to_json(Person{"p1", "Wang", "1950-01-01"}),
             to_json(Seen{"o1", "x", "", "2024-01-01", "p1", ""})});
    EXPECT_EQ(find("Patient", "_has:Observation:patient:code=x"), Ids{"p1"});
    EXPECT_EQ(
        find("Patient", "_has:Observation:patient:code=x", std::make_shared<testing::AllBut>("o1")),
        Ids{});
}

}  // namespace
}  // namespace meridian::fhir::search

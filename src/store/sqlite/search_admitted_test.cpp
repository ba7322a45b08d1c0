// SPDX-License-Identifier: Apache-2.0
// Where a caller's rights decide first, what they may not see makes no work: two stores that differ
// in it alone are asked the same, and the visits are counted.
#include "store/sqlite/search_admitted.hpp"

#include <gtest/gtest.h>

#include "store/engine/visits.hpp"
#include "store/store_test_support.hpp"

namespace meridian::store::sqlite {
namespace {

/// A store with observations of two patients, of whom the caller sees "mine".
class Ward {
 public:
    explicit Ward(bool has_others) : store_(must_open(folder_.path())) {
        write_patient("mine");
        for (int i = 0; i < 6; ++i) write(fmt::format("m{}", i), "mine", i);
        if (!has_others) return;
        write_patient("other");
        for (int i = 0; i < 40; ++i) write(fmt::format("o{}", i), "other", i);
    }

    /// One more of the caller's patient, which a label withholds.
    void write_labelled(const std::string& id) { write(id, "mine", 1, true); }

    Name type(const char* text) { return store_->names().intern(NameKind::type, text); }
    Name param(const char* text) { return store_->names().intern(NameKind::parameter, text); }
    std::int64_t token(const std::string& code) {
        return token_value(store_->names(), 0, {}, code);
    }
    Condition access() {
        Conditions labelled;
        labelled.push_back(HasToken{param("Observation._security"), {token("V")}});
        Conditions both;
        both.push_back(
            HasReference{param("Observation.subject"), {{type("Patient"), "mine"}}, true});
        both.push_back(NoneOf{std::move(labelled)});
        return AllOf{std::move(both)};
    }
    Condition seen(Condition asked) {
        AllOf both;
        both.first_admits = true;
        both.parts.push_back(access());
        both.parts.push_back(std::move(asked));
        return both;
    }
    struct Cost {
        Matches matches;
        Visits visits;
    };
    Cost ask(Plan plan) {
        const Visits before = visits();
        const auto snapshot = must(store_->snapshot());
        Matches matches = must(snapshot->search(plan));
        EXPECT_EQ(must(snapshot->count(plan)) > 0, !matches.rids.empty());
        const Visits& after = visits();
        return {
            std::move(matches),
            {after.work - before.work, after.withheld - before.withheld, after.open - before.open}};
    }
    Cost ask(Condition asked, std::vector<Order> order = {}) {
        Plan plan;
        plan.type = type("Observation");
        plan.where = seen(std::move(asked));
        plan.order = std::move(order);
        return ask(std::move(plan));
    }

 private:
    void write_patient(const std::string& id) {
        Change change;
        change.identity = {type("Patient"), id};
        change.rows.strings.push_back({param("Patient.family"), id, id});
        change.rows.references.push_back(
            {param("Patient.organization"), {type("Organization"), "ours"}});
        must(store_->commit(make_commit(std::move(change))));
    }
    void write(const std::string& id, const std::string& patient, int number, bool label = false) {
        Change change;
        change.identity = {type("Observation"), id};
        Rows& rows = change.rows;
        const Identity subject{type("Patient"), patient};
        rows.references.push_back({param("Observation.subject"), subject});
        rows.references.push_back(
            {param("Observation.derived"), {type("Observation"), fmt::format("o{}", number)}});
        rows.tokens.push_back({param("Observation.code"), token(fmt::format("c{}", number % 3))});
        if (label) rows.tokens.push_back({param("Observation._security"), token("V")});
        rows.dates.push_back({param("Observation.date"), number * 1'000, number * 1'000 + 1});
        rows.strings.push_back({param("Observation.name"), fmt::format("n{}", number), "x"});
        rows.texts.push_back({param("Observation._content"), "word"});
        const Identity everybody{0, "everybody"};
        rows.patients.push_back({subject, 0, number * 1'000});
        rows.patients.push_back({subject, rows.tokens.front().value, number * 1'000});
        rows.patients.push_back({everybody, rows.tokens.front().value, number * 1'000});
        rows.compartments.push_back(subject);
        must(store_->commit(make_commit(std::move(change))));
    }

    TestFolder folder_;
    std::unique_ptr<Store> store_;
};

/// What is asked of both, for a caller who sees "mine" only.
std::vector<std::function<Condition(Ward&)>> questions() {
    const auto boxed = [](Condition condition) {
        return std::make_unique<Condition>(std::move(condition));
    };
    return {
        [](Ward&) -> Condition { return Everything{}; },
        [](Ward&) -> Condition { return Nothing{}; },
        [](Ward& w) -> Condition { return HasToken{w.param("Observation.code"), {w.token("c1")}}; },
        [](Ward& w) -> Condition {
            return HasToken{w.param("Observation.code"), {w.token("c1"), w.token("never")}};
        },
        [](Ward& w) -> Condition {
            return HasDate{w.param("Observation.date"), {.lo_from = 3'000}};
        },
        [](Ward& w) -> Condition {
            return HasString{w.param("Observation.name"), StringMatch::starts, "n"};
        },
        [](Ward& w) -> Condition {
            return HasText{w.param("Observation._content"), "word", false};
        },
        [](Ward& w) -> Condition { return HasAny{w.param("Observation.code")}; },
        [](Ward& w) -> Condition { return HasId{w.type("Observation"), {"o3", "m1", "nobody"}}; },
        [](Ward& w) -> Condition {
            return HasReference{
                w.param("Observation.subject"), {{w.type("Patient"), "other"}}, true};
        },
        [](Ward& w) -> Condition {
            return HasReference{
                w.param("Observation.subject"), {{w.type("Patient"), "mine"}}, true};
        },
        [](Ward& w) -> Condition { return InCompartment{{w.type("Patient"), "other"}}; },
        [](Ward& w) -> Condition {
            return OfPatient{w.type("Observation"), {{w.type("Patient"), "mine"}}};
        },
        [](Ward& w) -> Condition {
            Conditions both;
            both.push_back(HasToken{w.param("Observation.code"), {w.token("c1")}});
            both.push_back(OfPatient{w.type("Observation"), {{0, "everybody"}}, {w.token("c1")}});
            return AllOf{std::move(both)};
        },
        [=](Ward& w) -> Condition {
            return RefersTo{w.param("Observation.derived"), w.type("Observation"),
                            boxed(w.seen(HasToken{w.param("Observation.code"), {w.token("c1")}}))};
        },
        [=](Ward& w) -> Condition {
            return ReferredBy{w.param("Observation.derived"), w.type("Observation"),
                              boxed(w.seen(Everything{}))};
        },
    };
}

TEST(AdmittedSearch, OthersResourcesMakeNoWork) {
    if (postgres::tests_use_postgres()) GTEST_SKIP() << "of the folder's engine";
    Ward without(false);
    Ward with(true);
    const std::vector<Order> orders[] = {{},
                                         {{SortKind::id, 0}},
                                         {{SortKind::date, with.param("Observation.date"), true}},
                                         {{SortKind::updated, 0}}};
    std::size_t found = 0;
    for (std::size_t i = 0; i < questions().size(); ++i) {
        for (const auto& order : orders) {
            const auto few = without.ask(questions()[i](without), order);
            const auto many = with.ask(questions()[i](with), order);
            EXPECT_EQ(few.visits.work, many.visits.work) << "question " << i;
            EXPECT_EQ(few.visits.withheld, many.visits.withheld) << "question " << i;
            EXPECT_EQ(few.visits.open + many.visits.open, 0u) << "question " << i;
            EXPECT_EQ(few.matches.rids.size(), many.matches.rids.size()) << "question " << i;
            found += many.matches.rids.size();
        }
    }
    EXPECT_GT(found, 100u);
}

// A label within the caller's own patient's chart: each costs one row of each key that leads there
// and one look-up, for the search and for the count, and that is told apart.
TEST(AdmittedSearch, WhatIsWithheldWithinReachCostsOneLookUpEach) {
    if (postgres::tests_use_postgres()) GTEST_SKIP() << "of the folder's engine";
    Ward plain(false);
    Ward labelled(false);
    for (int i = 0; i < 3; ++i) labelled.write_labelled(fmt::format("l{}", i));
    for (const auto& question : questions()) {
        const auto less = plain.ask(question(plain));
        const auto more = labelled.ask(question(labelled));
        EXPECT_EQ(less.visits.work - less.visits.withheld, more.visits.work - more.visits.withheld);
        EXPECT_EQ(less.matches.rids.size(), more.matches.rids.size());
    }
    const auto all = labelled.ask(Everything{});
    constexpr std::uint64_t row_and_look_up = 8;
    EXPECT_EQ(all.visits.withheld, 2 * 3 * row_and_look_up);
}

// A code is looked up in the charts of the caller's patients, and not asked about all they hold.
TEST(AdmittedSearch, ACodeIsFoundInTheCharts) {
    if (postgres::tests_use_postgres()) GTEST_SKIP() << "of the folder's engine";
    Ward ward(true);
    Conditions both;
    both.push_back(HasToken{ward.param("Observation.code"), {ward.token("c1")}});
    const auto whole = ward.ask(HasToken{ward.param("Observation.code"), {ward.token("c1")}});
    both.push_back(OfPatient{ward.type("Observation"), {{0, "everybody"}}, {ward.token("c1")}});
    const auto by_chart = ward.ask(AllOf{std::move(both)});
    EXPECT_EQ(by_chart.matches.rids, whole.matches.rids);
    EXPECT_EQ(by_chart.matches.rids.size(), 2u);
    EXPECT_LT(by_chart.visits.work, whole.visits.work);
}

TEST(AdmittedSearch, WhoseRightsAreNoListSearchesAsAnybody) {
    if (postgres::tests_use_postgres()) GTEST_SKIP() << "of the folder's engine";
    Ward ward(true);
    Conditions labelled;
    labelled.push_back(HasToken{ward.param("Observation._security"), {ward.token("V")}});
    AllOf both;
    both.first_admits = true;
    both.parts.push_back(NoneOf{std::move(labelled)});
    both.parts.push_back(HasToken{ward.param("Observation.code"), {ward.token("c1")}});
    Plan plan;
    plan.type = ward.type("Observation");
    plan.where = std::move(both);
    const auto asked = ward.ask(std::move(plan));
    EXPECT_EQ(asked.visits.open, 2u);
    EXPECT_EQ(asked.matches.rids.size(), 15u);
}

}  // namespace
}  // namespace meridian::store::sqlite

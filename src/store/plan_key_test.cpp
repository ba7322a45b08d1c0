// SPDX-License-Identifier: Apache-2.0
#include "store/plan_key.hpp"

#include <gtest/gtest.h>

namespace meridian::store {
namespace {

Conditions parts(auto... conditions) {
    Conditions all;
    (all.push_back(std::move(conditions)), ...);
    return all;
}

Condition chain(Name param, Name code) {
    return RefersTo{param, 3, std::make_unique<Condition>(HasToken{code, {1}})};
}

/// One of each kind, and neighbours that differ in one thing.
std::vector<Condition> different() {
    std::vector<Condition> all;
    all.emplace_back(Everything{});
    all.emplace_back(Nothing{});
    all.emplace_back(AllOf{parts(HasToken{1, {2}}, HasToken{1, {3}})});
    all.emplace_back(AnyOf{parts(HasToken{1, {2}}, HasToken{1, {3}})});
    all.emplace_back(NoneOf{parts(HasToken{1, {2}}, HasToken{1, {3}})});
    all.emplace_back(AllOf{parts(HasToken{1, {2, 3}})});
    all.emplace_back(HasId{1, {"a", "b"}});
    all.emplace_back(HasId{1, {"ab"}});
    all.emplace_back(HasToken{1, {2}});
    all.emplace_back(HasToken{2, {1}});
    all.emplace_back(HasTokenIn{1, 2, 3});
    all.emplace_back(HasString{1, StringMatch::starts, "x"});
    all.emplace_back(HasString{1, StringMatch::exact, "x"});
    all.emplace_back(HasDate{1, {.lo_from = 5}});
    all.emplace_back(HasDate{1, {.lo_below = 5}});
    all.emplace_back(HasNumber{1, {.hi_above = 5.0}});
    all.emplace_back(HasQuantity{1, {7}, {.hi_above = 5.0}});
    all.emplace_back(HasQuantity{1, {}, {.hi_above = 5.0}});
    all.emplace_back(HasUri{1, false, "u"});
    all.emplace_back(HasUri{1, true, "u"});
    all.emplace_back(HasReference{1, {{2, "a"}}});
    all.emplace_back(HasReference{1, {{0, "a"}}});
    all.emplace_back(HasComposite{1, {2}, {3}, {.lo_from = 1.0}, {}});
    all.emplace_back(HasComposite{1, {2}, {3}, {.lo_from = 1.0}, "s"});
    all.emplace_back(HasText{1, "w", false});
    all.emplace_back(HasText{1, "w", true});
    all.emplace_back(HasText{1, "w", false, true});
    all.emplace_back(HasAny{1});
    all.push_back(chain(1, 2));
    all.push_back(chain(1, 3));
    all.emplace_back(ReferredBy{1, 3, std::make_unique<Condition>(HasToken{2, {1}})});
    all.emplace_back(OfPatient{1, {{2, "p"}}, {4}});
    all.emplace_back(OfPatient{1, {{2, "p"}}, {4}, 1});
    all.emplace_back(InCompartment{{2, "p"}, 1});
    all.emplace_back(ChangedWithin{1, 2});
    return all;
}

TEST(PlanKey, IsTheSameForTheSameAndForNothingElse) {
    const auto once = different(), again = different();
    for (std::size_t i = 0; i < once.size(); ++i) {
        for (std::size_t j = 0; j < again.size(); ++j) {
            EXPECT_EQ(condition_key(once[i]) == condition_key(again[j]), i == j) << i << " " << j;
        }
    }
}

}  // namespace
}  // namespace meridian::store

// SPDX-License-Identifier: Apache-2.0
#include "fhir/home.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace meridian::fhir {
namespace {

using People = std::vector<store::Identity>;

TEST(Home, IsTheSubjectWhoeverElseIsMentioned) {
    EXPECT_EQ(home_of("Observation", "o", People{}), "");
    EXPECT_EQ(home_of("Observation", "o", People{{1, "wang"}, {1, "li"}}), "Patient/wang");
    EXPECT_EQ(home_of("Group", "g", People{{1, "li"}}), "Patient/li");
}

TEST(Home, OfSeveralAlikeIsTheResourceWithExactlyThesePeople) {
    const std::string both = home_of("Group", "g", People{{1, "li"}, {1, "wang"}});
    EXPECT_TRUE(is_shared_home(both));
    EXPECT_FALSE(is_shared_home("Patient/several"));
    EXPECT_EQ(home_of("Group", "g", People{{1, "wang"}, {1, "li"}}), both) << "in any order";
    EXPECT_NE(home_of("Group", "g2", People{{1, "li"}, {1, "wang"}}), both);
    EXPECT_NE(home_of("Group", "g", People{{1, "li"}, {1, "wang"}, {1, "zhao"}}), both);
    for (const char* type : {"Account", "Appointment"})
        EXPECT_TRUE(is_shared_home(home_of(type, "g", People{{1, "li"}, {1, "wang"}}))) << type;
}

}  // namespace
}  // namespace meridian::fhir

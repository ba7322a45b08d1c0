// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "trust/role.hpp"

namespace meridian::trust {
namespace {

TEST(Role, EveryOneHasANameOfItsOwn) {
    EXPECT_EQ(all_roles().size(), 14u);
    for (const Role role : all_roles()) EXPECT_EQ(role_named(name_of(role)), role);
    EXPECT_EQ(name_of(Role::follow_up), "follow-up");
    EXPECT_EQ(name_of(Role::system_client), "system-client");
    EXPECT_FALSE(role_named("Doctor"));
    EXPECT_FALSE(role_named(""));
}

TEST(Role, ThereAreThreeAdministrators) {
    EXPECT_EQ(std::count_if(all_roles().begin(), all_roles().end(), is_administrator), 3);
}

}  // namespace
}  // namespace meridian::trust

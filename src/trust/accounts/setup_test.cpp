// SPDX-License-Identifier: Apache-2.0
#include "trust/accounts/setup.hpp"

#include <gtest/gtest.h>

#include "trust/testing/memory_vault.hpp"

namespace meridian::trust {
namespace {

struct SetupTest : ::testing::Test {
    testing::MemoryVault vault;
    Accounts accounts{vault, {.argon2_operations = 1, .argon2_memory_bytes = 8192}};
    static std::string key_of(const std::string& link) { return link.substr(link.find('=') + 1); }
    const NewAccount admin{
        .name = "zhao", .person = "Practitioner/1", .password = "lavendel zieht nach westen"};
};

TEST_F(SetupTest, ALinkMakesTheFirstSecurityAdministratorOnce) {
    const auto link = make_setup_link(vault, accounts);
    ASSERT_TRUE(link);
    EXPECT_TRUE(link->starts_with("/setup?key="));
    const std::string key = key_of(*link);
    EXPECT_TRUE(*is_setup_key(vault, accounts, key));
    EXPECT_FALSE(*is_setup_key(vault, accounts, key + "x"));
    EXPECT_FALSE(use_setup_key(vault, accounts, "", admin));
    NewAccount weak = admin;
    weak.password = "password";
    EXPECT_FALSE(use_setup_key(vault, accounts, key, weak)) << "the key stays good";
    const auto made = use_setup_key(vault, accounts, key, admin);
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(made->role, Role::security_admin);
    EXPECT_TRUE(accounts.verify_password("zhao", admin.password));
    NewAccount second = admin;
    second.name = "qian";
    second.person = "Practitioner/2";
    EXPECT_FALSE(use_setup_key(vault, accounts, key, second));
    EXPECT_FALSE(make_setup_link(vault, accounts)) << "there is an administrator";
}

TEST_F(SetupTest, ANewLinkEndsTheOneBeforeAndEachEndsByItself) {
    Instant at = now();
    const auto clock = [&] { return at; };
    const std::string first = key_of(*make_setup_link(vault, accounts, clock));
    const std::string second = key_of(*make_setup_link(vault, accounts, clock));
    EXPECT_FALSE(*is_setup_key(vault, accounts, first, clock));
    EXPECT_TRUE(*is_setup_key(vault, accounts, second, clock));
    at.milliseconds += 24LL * 3'600'000;
    EXPECT_FALSE(*is_setup_key(vault, accounts, second, clock));
}

TEST_F(SetupTest, AnAccountsLinkSetsItsPasswordOnce) {
    Instant at = now();
    const auto clock = [&] { return at; };
    const auto key = [](const std::string& link) { return link.substr(link.rfind('=') + 1); };
    ASSERT_TRUE(
        accounts.add({.name = "li.na", .role = Role::nurse, .password = "old herons sleep"}));
    ASSERT_TRUE(accounts.add({.name = "engine", .role = Role::system_client}));
    EXPECT_EQ(make_account_link(vault, accounts, "none", clock).error().category,
              Category::not_found);
    EXPECT_EQ(make_account_link(vault, accounts, "engine", clock).error().category,
              Category::incorrect);
    const std::string first = *make_account_link(vault, accounts, "LI.NA", clock);
    EXPECT_TRUE(first.starts_with("/setup/account?name=li.na&key=")) << first;
    const std::string second = *make_account_link(vault, accounts, "li.na", clock);
    EXPECT_FALSE(*account_of_link(vault, accounts, "li.na", key(first), clock)) << "a newer one";
    EXPECT_TRUE(*account_of_link(vault, accounts, "li.na", key(second), clock));
    EXPECT_FALSE(*account_of_link(vault, accounts, "engine", key(second), clock));
    EXPECT_TRUE(accounts.verify_password("li.na", "old herons sleep")) << "not used yet";
    EXPECT_FALSE(use_account_link(vault, accounts, "li.na", key(second), "password", clock))
        << "the key stays good";
    ASSERT_TRUE(use_account_link(vault, accounts, "li.na", key(second), "new herons wake", clock));
    EXPECT_TRUE(accounts.verify_password("li.na", "new herons wake"));
    EXPECT_FALSE(accounts.verify_password("li.na", "old herons sleep"));
    EXPECT_EQ(use_account_link(vault, accounts, "li.na", key(second), "third herons", clock)
                  .error()
                  .category,
              Category::forbidden);
    const std::string late = key(*make_account_link(vault, accounts, "li.na", clock));
    ASSERT_TRUE(accounts.set_disabled("li.na", true));
    EXPECT_FALSE(*account_of_link(vault, accounts, "li.na", late, clock));
    EXPECT_EQ(make_account_link(vault, accounts, "li.na", clock).error().category,
              Category::forbidden);
    ASSERT_TRUE(accounts.set_disabled("li.na", false));
    EXPECT_TRUE(*account_of_link(vault, accounts, "li.na", late, clock));
    at.milliseconds += 24LL * 3'600'000;
    EXPECT_FALSE(*account_of_link(vault, accounts, "li.na", late, clock));
    for (const auto& entry : *vault.list("setup-account", "", 10))
        EXPECT_EQ(entry.value.find(late), std::string::npos) << "the hash only";
}

TEST_F(SetupTest, TheDemoHasAnAccountForEachRole) {
    int persons = 0;
    const auto person_for = [&](Role role) -> Result<NewAccount> {
        return NewAccount{.person = fmt::format("Practitioner/{}", ++persons),
                          .display_name = std::string(name_of(role))};
    };
    const auto table = seed_demo(accounts, person_for);
    ASSERT_TRUE(table) << table.error().message;
    EXPECT_EQ(table->size(), all_roles().size());
    for (const DemoAccount& demo : *table) {
        const auto account = accounts.verify_password(demo.name, demo.password);
        ASSERT_TRUE(account) << demo.name;
        EXPECT_EQ(account->role, demo.role);
    }
    const int before = persons;
    ASSERT_TRUE(seed_demo(accounts, person_for));
    EXPECT_EQ(persons, before) << "a second start makes nobody";
}

}  // namespace
}  // namespace meridian::trust

// SPDX-License-Identifier: Apache-2.0
#include "trust/accounts/refused_passwords.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "base/testing.hpp"
#include "trust/accounts/account.hpp"
#include "trust/testing/memory_vault.hpp"

namespace meridian::trust {
namespace {

using meridian::testing::Folder;
using meridian::testing::must;

struct RefusedPasswordsTest : ::testing::Test {
    Folder folder;
    std::string path = folder.path() + "/refused.txt";

    Result<std::shared_ptr<const RefusedPasswords>> read(std::string_view content) {
        std::ofstream(path, std::ios::binary) << content;
        return RefusedPasswords::read(path);
    }
};

TEST_F(RefusedPasswordsTest, WordsAndPublishedHashesAreRefused) {
    const auto list =
        must(read("# words of the house\r\nSt Anne's Hospital\r\n\r\nＦｕｌｌ ｗｉｄｔｈ\n"
                  "d1a2f3b6cdce4b1cbf33a9f0ee16c7bb4c4b7b4a:12\nlast line without an end"));
    EXPECT_EQ(list->size(), 4u);
    EXPECT_TRUE(list->contains("St Anne's Hospital"));
    EXPECT_TRUE(list->contains("st anne's hospital"));
    EXPECT_TRUE(list->contains("Full width")) << "NFKC";
    EXPECT_TRUE(list->contains("last line without an end"));
    EXPECT_FALSE(list->contains("st anne's"));
    EXPECT_FALSE(list->contains("d1a2f3b6cdce4b1cbf33a9f0ee16c7bb4c4b7b4a:12"));
    EXPECT_FALSE(list->contains(""));
    // RFC 3174 §7.3: SHA-1 of "abc".
    EXPECT_TRUE(must(read("A9993E364706816ABA3E25717850C26C9CD0D89D:7\n"))->contains("abc"));
    EXPECT_EQ(must(read(""))->size(), 0u);
}

TEST_F(RefusedPasswordsTest, WhatCannotBeReadNamesItsLineAndNotItsText) {
    const auto broken = read("fine\nsecret-\xff-here\n");
    ASSERT_FALSE(broken);
    EXPECT_EQ(broken.error().category, Category::incorrect);
    EXPECT_NE(broken.error().message.find("refused.txt:2:"), std::string::npos)
        << broken.error().message;
    EXPECT_EQ(broken.error().message.find("secret"), std::string::npos);
    const auto endless = read("a\nb\n" + std::string(5'000, 'x') + "\nc\n");
    ASSERT_FALSE(endless);
    EXPECT_NE(endless.error().message.find("refused.txt:3: longer than 1000 bytes"),
              std::string::npos)
        << endless.error().message;
    EXPECT_TRUE(read(std::string(1'000, 'x') + "\r\n"));
    EXPECT_EQ(RefusedPasswords::read(path + ".none").error().category, Category::not_found);
    EXPECT_EQ(RefusedPasswords::read(folder.path()).error().category, Category::unavailable);
}

TEST_F(RefusedPasswordsTest, AnAccountCannotChooseOne) {
    const auto list = must(read("seven herons over tin\n"));
    testing::MemoryVault vault;
    Accounts accounts(vault, {.argon2_operations = 1,
                              .argon2_memory_bytes = 8192,
                              .also_refused = [list](std::string_view normal) {
                                  return list->contains(normal);
                              }});
    must(accounts.add({.name = "li", .role = Role::nurse, .password = "eight herons over tin"}));
    const auto refused = accounts.set_password("li", "Seven herons over tin");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().where, "common");
}

}  // namespace
}  // namespace meridian::trust

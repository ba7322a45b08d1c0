// SPDX-License-Identifier: Apache-2.0
#include "trust/store_vault.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "base/testing.hpp"
#include "store/testing.hpp"
#include "trust/limits.hpp"
#include "trust/master_key.hpp"

namespace meridian::trust {
namespace {

using meridian::testing::Folder;
using meridian::testing::must;

class StoreVaultTest : public ::testing::Test {
 protected:
    Folder folder_;
    std::unique_ptr<store::Store> store_ =
        must(store::open_for_test({.folder = folder_.path(), .cache_bytes = 16 << 20}));
};

TEST_F(StoreVaultTest, ADocumentIsReadOnlyWhereItWasWritten) {
    const SecretKey master = must(open_master_key(*store_, folder_.path()));
    const auto vault = store_vault(*store_, master);
    ASSERT_TRUE(must(vault->put({{.space = "account", .key = "li", .value = "a secret"}})));
    EXPECT_EQ(must(vault->get("account", "li"))->value, "a secret");
    EXPECT_FALSE(must(vault->get("account", "wang")));
    auto row = *must(store_->private_row("account", "li"));
    EXPECT_EQ(row.value.find("secret"), std::string::npos) << "it lies sealed";
    // Somebody with access to the database gives one account the credentials of another.
    row.key = "wang";
    row.version = 0;
    ASSERT_TRUE(must(store_->save_private({row})));
    EXPECT_EQ(vault->get("account", "wang").error().category, Category::fault);
    EXPECT_FALSE(vault->list("account", "", 10));
}

TEST_F(StoreVaultTest, VersionsAndTimesAreKept) {
    const auto vault = store_vault(*store_, must(open_master_key(*store_, folder_.path())));
    const Instant later{now().milliseconds + 60'000};
    ASSERT_TRUE(must(vault->put({{.space = "s", .key = "k", .value = "1", .expires = later}})));
    auto entry = *must(vault->get("s", "k"));
    EXPECT_EQ(entry.version, 1);
    EXPECT_EQ(entry.expires, later);
    entry.value = "2";
    EXPECT_TRUE(must(vault->put({entry})));
    EXPECT_FALSE(must(vault->put({entry}))) << "of the version before";
    entry.version = 2;
    entry.removed = true;
    EXPECT_TRUE(must(vault->put({entry})));
    EXPECT_FALSE(must(vault->get("s", "k")));
    EXPECT_FALSE(
        vault->put({{.space = "s", .key = std::string(limits::vault_key_bytes_max + 1, 'k')}}));
    EXPECT_FALSE(vault->put({{.space = "s",
                              .key = "k",
                              .value = std::string(limits::vault_value_bytes_max + 1, 'v')}}));
}

TEST_F(StoreVaultTest, TheKeyIsMadeOnceAndKeptToItsOwner) {
    const std::string path = master_key_path(folder_.path());
    const SecretKey made = must(open_master_key(*store_, folder_.path()));
    EXPECT_EQ(must(open_master_key(*store_, folder_.path())), made);
    struct stat status{};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    ::chmod(path.c_str(), 0640);
    EXPECT_EQ(open_master_key(*store_, folder_.path()).error().category, Category::forbidden);
    ::chmod(path.c_str(), 0600);
    std::ofstream(path) << "no key";
    EXPECT_EQ(open_master_key(*store_, folder_.path()).error().category, Category::incorrect);
}

TEST_F(StoreVaultTest, AnotherKeyIsRefusedBeforeItDoesHarm) {
    must(open_master_key(*store_, folder_.path()));
    const Folder other;
    const auto missing = open_master_key(*store_, other.path());
    EXPECT_EQ(missing.error().category, Category::conflict);
    EXPECT_EQ(missing.error().where, master_key_path(other.path()));
    EXPECT_FALSE(std::filesystem::exists(master_key_path(other.path())));
    std::ofstream(master_key_path(folder_.path())) << std::string(64, '7') << "\n";
    EXPECT_EQ(open_master_key(*store_, folder_.path()).error().category, Category::conflict);
}

}  // namespace
}  // namespace meridian::trust

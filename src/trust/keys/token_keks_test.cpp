// SPDX-License-Identifier: Apache-2.0
// Key-encryption keys on a PKCS#11 token: SoftHSM2, a program of Debian that stands for one.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>

#include "base/testing.hpp"
#include "store/testing.hpp"
#include "trust/key_file.hpp"
#include "trust/keys/kek.hpp"
#include "trust/keys/key_ring.hpp"

namespace meridian::trust {
namespace {

using meridian::testing::Folder;
using meridian::testing::must;

std::string module_path() {
    for (const char* path :
         {"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
          "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so"}) {
        std::error_code ignored;
        if (std::filesystem::exists(path, ignored)) return path;
    }
    return {};
}

/// One token for all tests of the process: the library reads its configuration once.
struct Token {
    Folder folder;
    TokenPlace place;
    bool works = false;

    Token() {
        const std::string& path = folder.path();
        std::filesystem::create_directories(path + "/tokens");
        std::ofstream(path + "/softhsm2.conf")
            << "directories.tokendir = " << path << "/tokens\nobjectstore.backend = file\n"
            << "log.level = ERROR\n";
        ::setenv("SOFTHSM2_CONF", (path + "/softhsm2.conf").c_str(), 1);
        place = {.module = module_path(), .token = "meridian test", .pin_file = path + "/pin"};
        must(write_secret_file(place.pin_file, "1234\n"));
        const int code = std::system(
            "softhsm2-util --init-token --free --label 'meridian test' --pin 1234 --so-pin 5678 "
            ">/dev/null 2>&1");
        works = !place.module.empty() && WIFEXITED(code) && WEXITSTATUS(code) == 0;
    }
};

class TokenTest : public ::testing::Test {
 protected:
    static Token& token() {
        static Token made;
        return made;
    }
    void SetUp() override {
        if (!token().works) GTEST_SKIP() << "SoftHSM2 (package softhsm2) is not installed";
    }
};

TEST_F(TokenTest, WrapsAndUnwrapsWithoutShowingItsKey) {
    const auto keks = must(token_keks(token().place));
    const std::size_t before = must(keks->numbers()).size();
    must(keks->make(41));
    EXPECT_EQ(keks->make(41).error().category, Category::conflict);
    EXPECT_EQ(must(keks->numbers()).size(), before + 1);
    const std::string secret(32, 's');
    const std::string wrapped = must(keks->wrap(41, Suite::aes, "row", secret));
    EXPECT_EQ(wrapped.find("sss"), std::string::npos);
    EXPECT_NE(wrapped, must(keks->wrap(41, Suite::aes, "row", secret)));
    EXPECT_EQ(must(keks->unwrap(41, Suite::aes, "row", wrapped)), secret);
    EXPECT_FALSE(keks->unwrap(41, Suite::aes, "another row", wrapped));
    std::string altered = wrapped;
    altered.back() = static_cast<char>(altered.back() ^ 1);
    EXPECT_FALSE(keks->unwrap(41, Suite::aes, "row", altered));
    EXPECT_FALSE(keks->unwrap(41, Suite::aes, "row", wrapped.substr(0, 5)));
    EXPECT_EQ(keks->wrap(99, Suite::aes, "row", secret).error().category, Category::conflict);
    EXPECT_EQ(keks->wrap(41, Suite::sm, "row", secret).error().category, Category::unsupported);
    must(keks->destroy(41));
    EXPECT_FALSE(keks->unwrap(41, Suite::aes, "row", wrapped));
    EXPECT_EQ(must(keks->numbers()).size(), before);
}

TEST_F(TokenTest, SaysWhatIsWrong) {
    TokenPlace place = token().place;
    place.token = "another";
    EXPECT_EQ(token_keks(place).error().category, Category::unavailable);
    place = token().place;
    place.module = "/nowhere.so";
    EXPECT_EQ(token_keks(place).error().category, Category::unavailable);
    place = token().place;
    place.pin_file = token().folder.path() + "/open-pin";
    std::ofstream(place.pin_file) << "1234\n";
    std::filesystem::permissions(place.pin_file, std::filesystem::perms::others_read,
                                 std::filesystem::perm_options::add);
    EXPECT_EQ(token_keks(place).error().category, Category::forbidden);
}

TEST_F(TokenTest, IsTheRootOfARecordThatNamesIt) {
    const Folder folder;
    must(write_secret_file(
        folder.path() + "/keys/pkcs11.toml",
        fmt::format("module = \"{}\"\ntoken = \"{}\"\npin_file = \"{}\"\n", token().place.module,
                    token().place.token, token().place.pin_file)));
    const auto store = must(store::open_for_test({.folder = folder.path()}));
    const auto ring = must(open_keys(*store, folder.path(), {}));
    const auto key = must(ring->key_for("Patient/li", {}));
    ASSERT_TRUE(must(ring->rows().save({must(ring->row_to_store(*key))})));
    const auto other = must(open_keys(*store, folder.path(), {}));
    EXPECT_EQ(must(other->key_with(key->id))->owner, "Patient/li");
    EXPECT_EQ(must(other->status()).provider, "pkcs11");
    must(other->rotate([](std::int64_t) { return true; }));
    EXPECT_EQ(must(other->status()).old, 0);
    EXPECT_EQ(must(must(open_keys(*store, folder.path(), {}))->key_with(key->id))->owner,
              "Patient/li");
    EXPECT_FALSE(std::filesystem::exists(kek_path(folder.path(), 1)));
}

}  // namespace
}  // namespace meridian::trust

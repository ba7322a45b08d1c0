// SPDX-License-Identifier: Apache-2.0
// The cryptographic inventory of docs/security.md against the sources.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <regex>
#include <set>
#include <thread>

#include "base/file.hpp"
#include "base/hash.hpp"
#include "base/testing.hpp"

namespace meridian::trust {
namespace {

namespace fs = std::filesystem;
using meridian::testing::must;

const std::string root = MERIDIAN_SOURCE_DIR;

std::string document() {
    return must(read_file(root + "/docs/security.md", 1 << 20));
}

struct Source {
    std::string path;  ///< from the root
    std::string text;
};

/// What is built into the program: no tests, nothing for tests.
const std::vector<Source>& sources() {
    static const std::vector<Source> all = [] {
        std::vector<Source> found;
        for (const auto& entry : fs::recursive_directory_iterator(root + "/src")) {
            const std::string path = fs::relative(entry.path(), root).string();
            const bool is_source = path.ends_with(".cpp") || path.ends_with(".hpp");
            if (!is_source || path.find("_test") != std::string::npos ||
                path.find("test") != std::string::npos)
                continue;
            found.push_back({path, must(read_file(entry.path().string(), 4 << 20))});
        }
        return found;
    }();
    return all;
}

/// Sources in which `pattern` is found.
std::set<std::string> with(const std::string& pattern) {
    const std::regex wanted(pattern);
    std::set<std::string> found;
    for (const Source& source : sources()) {
        if (std::regex_search(source.text, wanted)) found.insert(source.path);
    }
    return found;
}

std::set<std::string> matches_of(const std::string& pattern) {
    const std::regex wanted(pattern);
    std::set<std::string> found;
    for (const Source& source : sources()) {
        for (std::sregex_iterator at(source.text.begin(), source.text.end(), wanted), end;
             at != end; ++at)
            found.insert((*at)[1].str());
    }
    return found;
}

TEST(CryptographicInventory, KnowsEveryFileThatCallsALibrary) {
    const auto callers = with(R"(#include <(openssl/|sodium|fido|cbor|liboath|curl/|libpq-fe))");
    EXPECT_GE(callers.size(), 15u) << "the search itself finds things";
    const std::string text = document();
    for (const std::string& path : callers) {
        // Headers of the log's digest and the like are looked for by their sources.
        EXPECT_NE(text.find(path), std::string::npos)
            << path << " calls a library of cryptography and is not in docs/security.md";
    }
}

TEST(CryptographicInventory, UsesNothingThatIsWeak) {
    const std::string list = "src/trust/accounts/refused_passwords.";
    EXPECT_EQ(with(R"(\b(MD5|MD4|RC4|Blowfish|EVP_(md5|md4|sha1|des|des_ede3|rc4|bf)\w*)\b)"),
              std::set<std::string>{list + "cpp"})
        << "published lists of breached passwords are of SHA-1";
    EXPECT_TRUE(with(R"(-CBC"|_cbc\(|RSA_PKCS1_OAEP|RSA_public_encrypt|EVP_PKEY_encrypt)").empty())
        << "no block mode without authentication, no encryption by RSA";
    EXPECT_EQ(with(R"(-ECB"|_ecb\()"), std::set<std::string>{"src/trust/keys/message_key.cpp"})
        << "one block of a derived key, as XAES-256-GCM has it";
    for (const std::string& path : with(R"(SHA-?1\b)"))
        EXPECT_TRUE(path.starts_with("src/trust/accounts/one_time_code.") ||
                    path.starts_with(list) || path == "src/cli/serve.cpp" ||
                    path == "src/net/detail/tls.cpp")
            << path
            << ": one-time codes are made with it, lists of breached passwords are read and "
               "described, certificates with it are refused";
}

TEST(CryptographicInventory, HasOneSourceOfRandomness) {
    const auto simple = with(R"(mt19937|minstd|random_device|\bs?rand\()");
    for (const std::string& path : simple) {
        EXPECT_TRUE(path.starts_with("src/generate/") || path == "src/store/disk.cpp" ||
                    path == "src/store/search_world.hpp" || path == "src/cli/bench.cpp")
            << path << " draws numbers that can be guessed";
    }
    EXPECT_EQ(with(R"(randombytes|RAND_bytes|getrandom|/dev/u?random)"),
              std::set<std::string>{"src/base/hash.cpp"});
}

TEST(CryptographicInventory, RandomBytesOfManyThreadsNeverRepeat) {
    constexpr int threads = 16, draws = 20'000;
    std::vector<std::vector<std::string>> drawn(threads);
    std::vector<std::thread> all;
    for (int i = 0; i < threads; ++i) {
        all.emplace_back([&mine = drawn[static_cast<std::size_t>(i)]] {
            for (int draw = 0; draw < draws; ++draw) mine.push_back(random_bytes(16));
        });
    }
    for (std::thread& thread : all) thread.join();
    std::set<std::string> different;
    std::array<int, 256> counts{};
    for (const auto& mine : drawn) {
        for (const std::string& bytes : mine) {
            different.insert(bytes);
            for (const char byte : bytes) ++counts[static_cast<unsigned char>(byte)];
        }
    }
    EXPECT_EQ(different.size(), static_cast<std::size_t>(threads) * draws);
    // 20,000 of each expected: seven standard deviations on either side.
    for (const int count : counts) EXPECT_NEAR(count, threads * draws * 16 / 256, 1'000);
}

TEST(CryptographicInventory, ComparesSecretsInConstantTime) {
    const auto constant = with(R"((sodium|CRYPTO)_memcmp)");
    for (const char* path :
         {"src/trust/oauth/detail/secret.cpp", "src/trust/sessions/session.cpp",
          "src/trust/keys/message_key.cpp", "src/trust/accounts/one_time_code.cpp"})
        EXPECT_TRUE(constant.contains(path)) << path;
    for (const std::string& path : with(R"([^_]\b(memcmp|strcmp|strncmp|bcmp)\()"))
        EXPECT_FALSE(path.starts_with("src/trust/")) << path;
}

TEST(CryptographicInventory, TellsTheLifeOfEveryKey) {
    const std::string text = document();
    for (const std::string& purpose : matches_of(R"#(derive_key\([^()"]*"([^"]+)")#"))
        EXPECT_NE(text.find('"' + purpose + '"'), std::string::npos) << purpose;
    for (const std::string& purpose : matches_of(R"#(keyed_hash\("([^"]+)")#"))
        EXPECT_NE(text.find('"' + purpose + '"'), std::string::npos) << purpose;
    // Files of keys: whatever the sources call so.
    const auto files = matches_of(R"#("/?(?:keys/)?([a-z]+\.key)")#");
    EXPECT_TRUE(files.contains("master.key"));
    for (const std::string& file : files)
        EXPECT_NE(text.find("`keys/" + file + "`"), std::string::npos) << file;
    // Each row of the table tells all seven things.
    const std::size_t table = text.find("### Keys: how they live");
    ASSERT_NE(table, std::string::npos);
    int rows = 0;
    for (std::size_t at = text.find("\n|", table); at != std::string::npos && at < text.size();
         at = text[text.find('\n', at + 1) + 1] == '|' ? text.find('\n', at + 1)
                                                       : std::string::npos) {
        const std::string row = text.substr(at + 1, text.find('\n', at + 1) - at - 1);
        EXPECT_EQ(std::count(row.begin(), row.end(), '|'), 8) << row;
        EXPECT_EQ(row.find("|  |"), std::string::npos) << row;
        ++rows;
    }
    EXPECT_GT(rows, 10);
    EXPECT_NE(text.find("withstand a quantum computer"), std::string::npos);
}

TEST(DataClasses, TellHowEveryTableIsProtected) {
    const std::string text = document();
    const auto tables = matches_of(R"(CREATE (?:VIRTUAL )?TABLE (?:IF NOT EXISTS )?([a-z_]+)[ (])");
    EXPECT_TRUE(tables.contains("resource") && tables.contains("private_row"));
    for (const std::string& table : tables) {
        if (table == "meridian") continue;  // the schema of the other engine, in front of its names
        EXPECT_NE(text.find('`' + table + '`'), std::string::npos) << table;
    }
}

TEST(DataClasses, NothingIsKeptInABrowserButCookies) {
    const std::regex wanted("localStorage|sessionStorage|indexedDB|serviceWorker|caches\\.open");
    int files = 0;
    for (const char* folder : {"/src", "/data"}) {
        for (const auto& entry : fs::recursive_directory_iterator(root + folder)) {
            const std::string path = entry.path().string();
            const bool is_page = path.ends_with(".js") || path.ends_with(".html") ||
                                 path.ends_with(".cpp") || path.ends_with(".hpp");
            if (!is_page || path.find("_test") != std::string::npos) continue;
            ++files;
            EXPECT_FALSE(std::regex_search(must(read_file(path, 16 << 20)), wanted)) << path;
        }
    }
    EXPECT_GT(files, 200);
}

}  // namespace
}  // namespace meridian::trust

// SPDX-License-Identifier: Apache-2.0
#include "trust/keys/message_key.hpp"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <thread>
#include <unordered_set>

#include "base/hash.hpp"
#include "base/testing.hpp"

namespace meridian::trust {
namespace {

using meridian::testing::must;

constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWX";

SecretKey filled(unsigned char byte) {
    SecretKey key;
    key.fill(byte);
    return key;
}

/// The first `count` bytes of a SHAKE-128 over `input`.
std::string shake(std::string_view input, std::size_t count) {
    std::string out(count, '\0');
    EVP_MD_CTX* const context = EVP_MD_CTX_new();
    EVP_DigestInit_ex(context, EVP_shake128(), nullptr);
    EVP_DigestUpdate(context, input.data(), input.size());
    EVP_DigestFinalXOF(context, reinterpret_cast<unsigned char*>(out.data()), count);
    EVP_MD_CTX_free(context);
    return out;
}

// https://c2sp.org/XAES-256-GCM, "Test vectors".
TEST(MessageKey, IsXaesOfItsSpecification) {
    const MessageKey first(Suite::aes, filled(1));
    EXPECT_EQ(to_hex(first.seal_under(letters, "", "XAES-256-GCM")),
              "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271");
    const MessageKey second(Suite::aes, filled(3));
    EXPECT_EQ(to_hex(second.seal_under(letters, "c2sp.org/XAES-256-GCM", "XAES-256-GCM")),
              "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d");
}

// The same, "Accumulated randomized tests".
TEST(MessageKey, IsXaesOfItsSpecificationTenThousandTimes) {
    constexpr int rounds = 10'000;
    const std::string random = shake("", std::size_t{rounds} * (32 + 24 + 2 * 256));
    ASSERT_TRUE(to_hex(random).starts_with("7f9c2ba4e88f827d616045507605853e"));
    std::size_t at = 0;
    const auto next = [&](std::size_t count) {
        at += count;
        return std::string_view(random).substr(at - count, count);
    };
    const auto next_opaque = [&] { return next(static_cast<unsigned char>(next(1)[0])); };
    std::string sealed;
    for (int i = 0; i < rounds; ++i) {
        SecretKey key;
        std::memcpy(key.data(), next(key.size()).data(), key.size());
        const std::string_view nonce = next(MessageKey::nonce_bytes);
        const std::string_view plain = next_opaque();
        const std::string_view context = next_opaque();
        const MessageKey message_key(Suite::aes, key);
        sealed += message_key.seal_under(nonce, context, plain);
    }
    EXPECT_EQ(to_hex(shake(sealed, 32)),
              "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939");
}

// The block cipher itself is OpenSSL's: that it is the standard's says GB/T 32907-2016, A.1.
TEST(MessageKey, Sm4IsThatOfTheStandard) {
    const std::string key = "\x01\x23\x45\x67\x89\xab\xcd\xef\xfe\xdc\xba\x98\x76\x54\x32\x10";
    EVP_CIPHER_CTX* const context = EVP_CIPHER_CTX_new();
    const auto* bytes = reinterpret_cast<const unsigned char*>(key.data());
    std::string out(32, '\0');
    int length = 0;
    EVP_EncryptInit_ex(context, EVP_sm4_ecb(), nullptr, bytes, nullptr);
    EVP_EncryptUpdate(context, reinterpret_cast<unsigned char*>(out.data()), &length, bytes, 16);
    EVP_CIPHER_CTX_free(context);
    EXPECT_EQ(to_hex(std::string_view(out).substr(0, 16)), "681edf34d206965e86b3e94f536e4246");
}

class EachSuite : public ::testing::TestWithParam<Suite> {};

TEST_P(EachSuite, OpensOnlyWhatItSealedForTheSamePlace) {
    const MessageKey key(GetParam(), filled(7));
    const std::string plain = "what the doctor wrote";
    std::string sealed;
    key.seal("Patient/1", plain, sealed);
    EXPECT_EQ(sealed.size(), plain.size() + MessageKey::nonce_bytes + MessageKey::tag_bytes);
    EXPECT_EQ(sealed.find("doctor"), std::string::npos);
    EXPECT_EQ(must(key.open("Patient/1", sealed)), plain);
    EXPECT_EQ(key.open("Patient/2", sealed).error().category, Category::fault);
    const MessageKey other(GetParam(), filled(8));
    EXPECT_EQ(other.open("Patient/1", sealed).error().category, Category::fault);
    const Suite another = GetParam() == Suite::aes ? Suite::sm : Suite::aes;
    EXPECT_FALSE(MessageKey(another, filled(7)).open("Patient/1", sealed));
}

TEST_P(EachSuite, RefusesEveryFlippedBitAndEveryCut) {
    const MessageKey key(GetParam(), filled(7));
    std::string sealed;
    key.seal("place", "a short body", sealed);
    for (std::size_t bit = 0; bit < 8 * sealed.size(); ++bit) {
        std::string flipped = sealed;
        flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
        ASSERT_FALSE(key.open("place", flipped)) << "bit " << bit;
    }
    for (std::size_t length = 0; length < sealed.size(); ++length)
        ASSERT_FALSE(key.open("place", std::string_view(sealed).substr(0, length))) << length;
    EXPECT_FALSE(key.open("place", sealed + "x"));
    EXPECT_TRUE(key.open("place", sealed));
}

TEST_P(EachSuite, SealsTheEmptyAndTheLarge) {
    const MessageKey key(GetParam(), filled(7));
    for (const std::size_t size : {0u, 1u, 15u, 16u, 17u, 1'000'000u}) {
        const std::string plain(size, 'x');
        std::string sealed;
        key.seal("", plain, sealed);
        EXPECT_EQ(must(key.open("", sealed)), plain);
    }
}

TEST_P(EachSuite, SealsEqualMessagesAlikeWhereThatIsAskedFor) {
    const MessageKey key(GetParam(), filled(7)), other(GetParam(), filled(8));
    const auto sealed = [](const MessageKey& with, std::string_view context,
                           std::string_view text) {
        std::string out;
        with.seal_equal(context, text, out);
        return out;
    };
    EXPECT_EQ(sealed(key, "c", "text"), sealed(key, "c", "text"));
    EXPECT_EQ(must(key.open("c", sealed(key, "c", "text"))), "text");
    const auto nonce = [](const std::string& text) {
        return text.substr(0, MessageKey::nonce_bytes);
    };
    EXPECT_NE(nonce(sealed(key, "c", "text")), nonce(sealed(key, "c", "texu")));
    EXPECT_NE(nonce(sealed(key, "c", "text")), nonce(sealed(key, "d", "text")));
    EXPECT_NE(nonce(sealed(key, "c", "text")), nonce(sealed(other, "c", "text")));
}

TEST_P(EachSuite, NeverUsesANonceTwice) {
    constexpr int threads = 8, each = 50'000;
    const MessageKey key(GetParam(), filled(7));
    std::vector<std::vector<std::string>> nonces(threads);
    std::vector<std::thread> running;
    for (int i = 0; i < threads; ++i) {
        running.emplace_back([&, i] {
            for (int n = 0; n < each; ++n) {
                std::string sealed;
                key.seal("", "", sealed);
                nonces[i].push_back(sealed.substr(0, MessageKey::nonce_bytes));
            }
        });
    }
    for (std::thread& thread : running) thread.join();
    std::unordered_set<std::string> all;
    for (const auto& some : nonces) {
        for (const std::string& nonce : some) ASSERT_TRUE(all.insert(nonce).second);
    }
    EXPECT_EQ(all.size(), std::size_t{threads} * each);
}

INSTANTIATE_TEST_SUITE_P(Suites, EachSuite, ::testing::Values(Suite::aes, Suite::sm),
                         [](const auto& each) { return std::string(name_of(each.param)); });

}  // namespace
}  // namespace meridian::trust

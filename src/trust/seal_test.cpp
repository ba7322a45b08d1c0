// SPDX-License-Identifier: Apache-2.0
#include "trust/seal.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/hash.hpp"

namespace meridian::trust {
namespace {

SecretKey key_of(unsigned char fill) {
    SecretKey key;
    key.fill(fill);
    return key;
}

RC_GTEST_PROP(Seal, WhatIsSealedComesBack, (const std::string& context, const std::string& bytes)) {
    const auto opened = unseal(key_of(1), context, seal(key_of(1), context, bytes));
    RC_ASSERT(opened && *opened == bytes);
}

TEST(Seal, NoOtherKeyContextOrBytesOpenIt) {
    const std::string sealed = seal(key_of(1), "account/li", "secret");
    ASSERT_TRUE(unseal(key_of(1), "account/li", sealed));
    EXPECT_FALSE(unseal(key_of(2), "account/li", sealed));
    EXPECT_FALSE(unseal(key_of(1), "account/wang", sealed));
    for (std::size_t at = 0; at < sealed.size(); ++at) {
        for (int bit = 0; bit < 8; ++bit) {
            std::string altered = sealed;
            altered[at] = static_cast<char>(altered[at] ^ 1 << bit);
            EXPECT_FALSE(unseal(key_of(1), "account/li", altered)) << at << "." << bit;
        }
        EXPECT_FALSE(unseal(key_of(1), "account/li", sealed.substr(0, at)));
    }
    EXPECT_FALSE(unseal(key_of(1), "account/li", sealed + "x"));
}

TEST(Seal, TheSameBytesAreNeverSealedAlike) {
    EXPECT_NE(seal(key_of(1), "", "secret"), seal(key_of(1), "", "secret"));
}

TEST(Seal, KeysOfPurposesDiffer) {
    EXPECT_NE(derive_key(key_of(1), "vault"), derive_key(key_of(1), "token"));
    EXPECT_NE(derive_key(key_of(1), "vault"), derive_key(key_of(2), "vault"));
    EXPECT_EQ(derive_key(key_of(1), "vault"), derive_key(key_of(1), "vault"));
    // RFC 5869 A.1, the first block of its OKM: PRK and info as given there.
    SecretKey prk{};
    const std::string_view prk_hex =
        "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5";
    for (std::size_t i = 0; i < prk.size(); ++i)
        prk[i] = static_cast<unsigned char>(
            std::stoi(std::string(prk_hex.substr(2 * i, 2)), nullptr, 16));
    EXPECT_EQ(to_hex(derive_key(prk, "\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9")),
              "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
}

}  // namespace
}  // namespace meridian::trust

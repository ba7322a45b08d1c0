// SPDX-License-Identifier: Apache-2.0
#include "trust/oauth/detail/secret.hpp"

#include <sodium.h>

#include "base/hash.hpp"

namespace meridian::trust::oauth::detail {

namespace {

std::string encoded(const Sha256& hash) {
    return base64url_encode({reinterpret_cast<const char*>(hash.data()), hash.size()});
}

}  // namespace

std::string new_secret() {
    return base64url_encode(random_bytes(32));
}

std::string hashed(std::string_view secret) {
    return encoded(sha256(secret));
}

std::string authenticated(std::string_view key, std::string_view text) {
    return encoded(hmac_sha256(key, text));
}

bool equal_secrets(std::string_view one, std::string_view other) {
    return one.size() == other.size() && sodium_memcmp(one.data(), other.data(), one.size()) == 0;
}

}  // namespace meridian::trust::oauth::detail

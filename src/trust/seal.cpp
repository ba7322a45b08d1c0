// SPDX-License-Identifier: Apache-2.0
#include "trust/seal.hpp"

#include <sodium.h>

#include "base/hash.hpp"

namespace meridian::trust {

namespace {

constexpr std::size_t nonce_bytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t tag_bytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;
static_assert(std::tuple_size_v<SecretKey> == crypto_aead_xchacha20poly1305_ietf_KEYBYTES);

const unsigned char* bytes_of(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes_of(std::string& text) {
    return reinterpret_cast<unsigned char*>(text.data());
}

}  // namespace

SecretKey derive_key(const SecretKey& from, std::string_view purpose) {
    // RFC 5869 §2.3: T(1) = HMAC-Hash(PRK, T(0) | info | 0x01), with T(0) empty.
    std::string info(purpose);
    info.push_back(1);
    return hmac_sha256({reinterpret_cast<const char*>(from.data()), from.size()}, info);
}

std::string seal(const SecretKey& key, std::string_view context, std::string_view bytes) {
    std::string sealed = random_bytes(nonce_bytes);
    sealed.resize(nonce_bytes + bytes.size() + tag_bytes);
    unsigned long long length = 0;
    crypto_aead_xchacha20poly1305_ietf_encrypt(
        bytes_of(sealed) + nonce_bytes, &length, bytes_of(bytes), bytes.size(), bytes_of(context),
        context.size(), nullptr, bytes_of(sealed), key.data());
    return sealed;
}

Result<std::string> unseal(const SecretKey& key, std::string_view context,
                           std::string_view sealed) {
    const auto refused = [] {
        return fail(Category::fault, "a sealed document was altered, or sealed with another key");
    };
    if (sealed.size() < nonce_bytes + tag_bytes) return refused();
    std::string bytes(sealed.size() - nonce_bytes - tag_bytes, '\0');
    unsigned long long length = 0;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            bytes_of(bytes), &length, nullptr, bytes_of(sealed) + nonce_bytes,
            sealed.size() - nonce_bytes, bytes_of(context), context.size(), bytes_of(sealed),
            key.data()) != 0)
        return refused();
    return bytes;
}

}  // namespace meridian::trust

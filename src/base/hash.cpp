// SPDX-License-Identifier: Apache-2.0
#include "base/hash.hpp"

#include <openssl/evp.h>
#include <sodium.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace meridian {

namespace {

const unsigned char* bytes_of(std::string_view data) {
    return reinterpret_cast<const unsigned char*>(data.data());
}

/// libsodium picks its implementations once; without that its random generator is not safe to share
/// between threads.
void prepare_sodium() {
    static const bool ready = sodium_init() >= 0;
    if (!ready) throw std::runtime_error("libsodium cannot start: no random source");
}

std::string encode(std::string_view bytes, int variant) {
    std::string out(sodium_base64_encoded_len(bytes.size(), variant), '\0');
    sodium_bin2base64(out.data(), out.size(), bytes_of(bytes), bytes.size(), variant);
    out.pop_back();  // the terminating zero
    return out;
}

bool decode(std::string_view text, int variant, std::string& out) {
    // libsodium takes some bytes above 127 for characters of the alphabet; then two texts would be
    // one value.
    if (std::any_of(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; })) {
        out.clear();
        return false;
    }
    out.resize(text.size() / 4 * 3 + 3);
    std::size_t length = 0;
    // Without an end pointer libsodium refuses anything behind the last character it understands.
    if (sodium_base642bin(reinterpret_cast<unsigned char*>(out.data()), out.size(), text.data(),
                          text.size(), nullptr, &length, nullptr, variant) != 0) {
        out.clear();
        return false;
    }
    out.resize(length);
    return true;
}

}  // namespace

Sha256 sha256(std::string_view data) {
    // OpenSSL uses the processor's own instructions for it, libsodium does not: a factor of five on
    // every body that is written. Fetching the algorithm is slow, so it is done once.
    static EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    Sha256 hash;
    if (EVP_Digest(data.data(), data.size(), hash.data(), nullptr, algorithm, nullptr) != 1)
        throw std::runtime_error("OpenSSL cannot make a SHA-256");
    return hash;
}

std::string to_hex(std::string_view bytes) {
    constexpr char digits[] = "0123456789abcdef";
    std::string out;
    out.reserve(2 * bytes.size());
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        out += digits[byte >> 4];
        out += digits[byte & 0xF];
    }
    return out;
}

std::uint64_t siphash(std::string_view data, const SipKey& key) {
    static_assert(crypto_shorthash_siphash24_BYTES == sizeof(std::uint64_t));
    static_assert(crypto_shorthash_siphash24_KEYBYTES == std::tuple_size_v<SipKey>);
    unsigned char hash[sizeof(std::uint64_t)];
    crypto_shorthash_siphash24(hash, bytes_of(data), data.size(), key.data());
    std::uint64_t value = 0;
    for (std::size_t i = sizeof(hash); i-- > 0;) value = value << 8 | hash[i];
    return value;
}

std::string random_bytes(std::size_t count) {
    prepare_sodium();
    std::string out(count, '\0');
    randombytes_buf(out.data(), out.size());
    return out;
}

Sha256 hmac_sha256(std::string_view key, std::string_view data) {
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, bytes_of(key), key.size());
    crypto_auth_hmacsha256_update(&state, bytes_of(data), data.size());
    Sha256 hash;
    crypto_auth_hmacsha256_final(&state, hash.data());
    return hash;
}

std::string base64_encode(std::string_view bytes) {
    return encode(bytes, sodium_base64_VARIANT_ORIGINAL);
}

std::string base64url_encode(std::string_view bytes) {
    return encode(bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

bool base64_decode(std::string_view text, std::string& out) {
    return decode(text, sodium_base64_VARIANT_ORIGINAL, out);
}

bool base64url_decode(std::string_view text, std::string& out) {
    return decode(text, sodium_base64_VARIANT_URLSAFE_NO_PADDING, out);
}

}  // namespace meridian

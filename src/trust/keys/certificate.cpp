// SPDX-License-Identifier: Apache-2.0
#include "trust/keys/certificate.hpp"

#include <sodium.h>

#include <filesystem>

#include "base/hash.hpp"
#include "base/json.hpp"
#include "trust/key_file.hpp"

namespace meridian::trust {

namespace {

std::string path_in(const std::string& folder) {
    return folder + "/keys/erasure.key";
}

/// What is signed: nothing else that this key ever signs begins like it.
std::string signed_text(std::string_view statement) {
    return fmt::format("meridian certificate of erasure\n{}", statement);
}

const unsigned char* bytes_of(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

struct KeyPair {
    std::string public_key = std::string(crypto_sign_PUBLICKEYBYTES, '\0');
    std::string secret_key = std::string(crypto_sign_SECRETKEYBYTES, '\0');

    explicit KeyPair(const SecretKey& seed) {
        crypto_sign_seed_keypair(reinterpret_cast<unsigned char*>(public_key.data()),
                                 reinterpret_cast<unsigned char*>(secret_key.data()), seed.data());
    }
    ~KeyPair() { sodium_memzero(secret_key.data(), secret_key.size()); }
    KeyPair(const KeyPair&) = delete;
    KeyPair& operator=(const KeyPair&) = delete;
};

Result<SecretKey> seed_of(const std::string& folder, bool make) {
    const std::string path = path_in(folder);
    std::error_code ignored;
    if (make && !std::filesystem::exists(path, ignored)) TRY(write_key_file(path, random_key()));
    auto seed = read_key_file(path);
    if (!seed) return fail(seed.error().category, seed.error().message, path);
    return seed;
}

}  // namespace

Result<std::string> sign_certificate(const std::string& folder, std::string_view statement) {
    const KeyPair keys(TRY(seed_of(folder, true)));
    const std::string text = signed_text(statement);
    std::string signature(crypto_sign_BYTES, '\0');
    crypto_sign_detached(reinterpret_cast<unsigned char*>(signature.data()), nullptr,
                         bytes_of(text), text.size(), bytes_of(keys.secret_key));
    return fmt::format(R"({{"erasure":{},"key":"{}","signature":"{}"}})", statement,
                       base64_encode(keys.public_key), base64_encode(signature));
}

Result<CheckedCertificate> check_certificate(std::string_view certificate, std::string_view key) {
    const JsonDocument document = TRY(JsonDocument::parse(certificate));
    const Json& root = document.root();
    std::string public_key, signature;
    if (!root["erasure"].is_object() || !base64_decode(root.string_at("key"), public_key) ||
        !base64_decode(root.string_at("signature"), signature) ||
        public_key.size() != crypto_sign_PUBLICKEYBYTES || signature.size() != crypto_sign_BYTES)
        return fail(Category::incorrect, "this is no certificate of an erasure");
    if (!key.empty() && key != root.string_at("key"))
        return fail(Category::forbidden,
                    "the certificate was signed with another key than this record's");
    CheckedCertificate checked{to_text(root["erasure"]), std::string(root.string_at("key"))};
    const std::string text = signed_text(checked.statement);
    if (crypto_sign_verify_detached(bytes_of(signature), bytes_of(text), text.size(),
                                    bytes_of(public_key)) != 0)
        return fail(Category::forbidden, "the certificate was altered: its signature does not fit");
    return checked;
}

Result<std::string> certificate_key(const std::string& folder) {
    return base64_encode(KeyPair(TRY(seed_of(folder, false))).public_key);
}

}  // namespace meridian::trust

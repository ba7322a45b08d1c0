// SPDX-License-Identifier: Apache-2.0
// For tests: an authenticator in software that holds one passkey, on OpenSSL. It speaks for a
// browser at a given origin too.
#pragma once

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/hash.hpp"
#include "base/json.hpp"
#include "trust/webauthn/credential.hpp"

namespace meridian::trust::testing {

class SoftwareAuthenticator {
 public:
    explicit SoftwareAuthenticator(std::int64_t algorithm,
                                   std::string origin = "https://example.org",
                                   std::string relying_party = "example.org")
        : algorithm_(algorithm),
          origin_(std::move(origin)),
          relying_party_(std::move(relying_party)) {
        EVP_PKEY* made = algorithm == cose_es256   ? EVP_EC_gen("P-256")
                         : algorithm == cose_eddsa ? EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")
                                                   : EVP_RSA_gen(2048);
        if (made == nullptr) throw std::runtime_error("no key");
        key_.reset(made);
    }

    const std::string& id() const { return id_; }
    bool user_present = true;
    bool user_verified = true;
    std::uint32_t counter = 0;  ///< of the next signature
    std::string user_handle{};

    std::string client_data(std::string_view type, std::string_view challenge) const {
        return fmt::format(R"({{"type":"{}","challenge":"{}","origin":"{}","crossOrigin":false}})",
                           type, base64url_encode(challenge), origin_);
    }
    std::string authenticator_data(bool with_credential) const {
        const Sha256 hash = sha256(relying_party_);
        std::string out(reinterpret_cast<const char*>(hash.data()), hash.size());
        out += static_cast<char>((user_present ? 1 : 0) | (user_verified ? 4 : 0) |
                                 (with_credential ? 0x40 : 0));
        for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(counter >> shift);
        if (with_credential) {
            out += std::string(16, '\0');
            out += static_cast<char>(id_.size() >> 8);
            out += static_cast<char>(id_.size());
            out += id_ + cose_key();
        }
        return out;
    }
    std::string attestation(std::string_view format = "none") const {
        return "\xa3" + text("fmt") + text(format) + text("attStmt") + "\xa0" + text("authData") +
               bytes(authenticator_data(true));
    }
    std::string signature(std::string_view data, std::string_view client) const {
        const Sha256 hash = sha256(client);
        std::string message(data);
        message.append(reinterpret_cast<const char*>(hash.data()), hash.size());
        const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                              EVP_MD_CTX_free);
        const EVP_MD* const digest = algorithm_ == cose_eddsa ? nullptr : EVP_sha256();
        std::string out(512, '\0');
        std::size_t size = out.size();
        if (EVP_DigestSignInit(context.get(), nullptr, digest, nullptr, key_.get()) != 1 ||
            EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size,
                           reinterpret_cast<const unsigned char*>(message.data()),
                           message.size()) != 1)
            throw std::runtime_error("cannot sign");
        out.resize(size);
        return out;
    }

    /// What a page sends for options that begin_registration or begin_assertion made.
    std::string registration_answer(std::string_view options) const {
        const std::string client = client_data("webauthn.create", challenge_in(options));
        return fmt::format(R"({{"label":"test","clientDataJSON":"{}","attestationObject":"{}"}})",
                           base64url_encode(client), base64url_encode(attestation()));
    }
    std::string assertion_answer(std::string_view options) {
        const std::string client = client_data("webauthn.get", challenge_in(options));
        const std::string data = authenticator_data(false);
        const std::string answer = fmt::format(
            R"({{"id":"{}","clientDataJSON":"{}","authenticatorData":"{}","signature":"{}","userHandle":"{}"}})",
            base64url_encode(id_), base64url_encode(client), base64url_encode(data),
            base64url_encode(signature(data, client)), base64url_encode(user_handle));
        return answer;
    }

    std::string cose_key() const {
        if (algorithm_ == cose_es256) {
            const std::string point = octets(OSSL_PKEY_PARAM_PUB_KEY);  // 0x04, x, y
            return std::string("\xa5\x01\x02\x03\x26\x20\x01\x21", 8) + bytes(point.substr(1, 32)) +
                   "\x22" + bytes(point.substr(33, 32));
        }
        if (algorithm_ == cose_eddsa)
            return std::string("\xa4\x01\x01\x03\x27\x20\x06\x21", 8) +
                   bytes(octets(OSSL_PKEY_PARAM_PUB_KEY));
        return std::string("\xa4\x01\x03\x03\x39\x01\x00\x20", 8) +
               bytes(number(OSSL_PKEY_PARAM_RSA_N)) + "\x21" +
               bytes(std::string("\x01\x00\x01", 3));
    }

    static std::string text(std::string_view value) {
        return head(0x60, value.size()) + std::string(value);
    }
    static std::string bytes(std::string_view value) {
        return head(0x40, value.size()) + std::string(value);
    }

 private:
    struct FreeKey {
        void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    };
    static std::string challenge_in(std::string_view options) {
        const auto document = JsonDocument::parse(options);
        std::string challenge;
        if (!document || !base64url_decode(document->root().string_at("challenge"), challenge))
            throw std::runtime_error("no challenge");
        return challenge;
    }
    static std::string head(unsigned major, std::size_t size) {
        std::string out;
        if (size < 24) {
            out += static_cast<char>(major | size);
        } else if (size < 256) {
            out += static_cast<char>(major | 24);
            out += static_cast<char>(size);
        } else {
            out += static_cast<char>(major | 25);
            out += static_cast<char>(size >> 8);
            out += static_cast<char>(size);
        }
        return out;
    }
    std::string octets(const char* name) const {
        std::string out(200, '\0');
        std::size_t size = 0;
        if (EVP_PKEY_get_octet_string_param(key_.get(), name,
                                            reinterpret_cast<unsigned char*>(out.data()),
                                            out.size(), &size) != 1)
            throw std::runtime_error("no public key");
        out.resize(size);
        return out;
    }
    std::string number(const char* name) const {
        BIGNUM* value = nullptr;
        EVP_PKEY_get_bn_param(key_.get(), name, &value);
        std::string out(static_cast<std::size_t>(BN_num_bytes(value)), '\0');
        BN_bn2bin(value, reinterpret_cast<unsigned char*>(out.data()));
        BN_free(value);
        return out;
    }

    std::int64_t algorithm_;
    std::string origin_;
    std::string relying_party_;
    std::string id_ = random_bytes(32);
    std::unique_ptr<EVP_PKEY, FreeKey> key_;
};

}  // namespace meridian::trust::testing

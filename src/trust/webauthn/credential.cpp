// SPDX-License-Identifier: Apache-2.0
#include "trust/webauthn/credential.hpp"

#include <fido.h>
#include <fido/eddsa.h>
#include <fido/es256.h>
#include <fido/rs256.h>
#include <openssl/evp.h>
#include <sodium.h>

#include <memory>

#include "base/hash.hpp"
#include "base/json.hpp"
#include "trust/limits.hpp"
#include "trust/webauthn/cbor.hpp"

namespace meridian::trust {

namespace {

std::unexpected<Error> bad(std::string message) {
    return fail(Category::incorrect, std::move(message), "passkey");
}
std::unexpected<Error> refused(std::string message) {
    return fail(Category::unauthenticated, std::move(message), "passkey");
}

const unsigned char* bytes_of(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

template <class Key, void (*free_key)(Key**)>
struct FreeKey {
    void operator()(Key* key) const { free_key(&key); }
};
using Es256 = std::unique_ptr<es256_pk_t, FreeKey<es256_pk_t, es256_pk_free>>;
using Eddsa = std::unique_ptr<eddsa_pk_t, FreeKey<eddsa_pk_t, eddsa_pk_free>>;
using Rs256 = std::unique_ptr<rs256_pk_t, FreeKey<rs256_pk_t, rs256_pk_free>>;
struct FreeEvp {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Evp = std::unique_ptr<EVP_PKEY, FreeEvp>;
struct FreeAssertion {
    void operator()(fido_assert_t* assertion) const { fido_assert_free(&assertion); }
};
using Assertion = std::unique_ptr<fido_assert_t, FreeAssertion>;

/// The byte-string member of a COSE key of exactly `size` bytes.
Result<std::string> parameter(const Cbor& key, std::int64_t label, std::size_t size) {
    const Cbor* const value = key.find(label);
    if (value == nullptr || !value->is(Cbor::Kind::bytes) || value->string.size() != size)
        return bad("the public key lacks a part or has one of another length");
    return value->string;
}

bool has_number(const Cbor& key, std::int64_t label, std::int64_t wanted) {
    const Cbor* const value = key.find(label);
    return value != nullptr && value->is(Cbor::Kind::integer) && value->number == wanted;
}

/// COSE_Key labels and values: 1 kty (1 OKP, 2 EC2, 3 RSA), -1 crv (1 P-256, 6 Ed25519) or n, -2 x
/// or e, -3 y.
Result<CredentialKey> es256_key(const Cbor& key) {
    if (!has_number(key, 1, 2) || !has_number(key, -1, 1))
        return bad("the public key is no P-256 key");
    CredentialKey out{cose_es256, TRY(parameter(key, -2, 32)) + TRY(parameter(key, -3, 32))};
    const Es256 point(es256_pk_new());
    if (!point ||
        es256_pk_from_ptr(point.get(), out.material.data(), out.material.size()) != FIDO_OK)
        return bad("the public key cannot be used");
    const Evp usable(es256_pk_to_EVP_PKEY(point.get()));
    if (!usable) return bad("the public key is no point of P-256");
    return out;
}

Result<CredentialKey> eddsa_key(const Cbor& key) {
    if (!has_number(key, 1, 1) || !has_number(key, -1, 6))
        return bad("the public key is no Ed25519 key");
    CredentialKey out{cose_eddsa, TRY(parameter(key, -2, 32))};
    if (crypto_core_ed25519_is_valid_point(bytes_of(out.material)) != 1)
        return bad("the public key is no point of Ed25519");
    return out;
}

Result<CredentialKey> rs256_key(const Cbor& key) {
    if (!has_number(key, 1, 3)) return bad("the public key is no RSA key");
    std::string modulus = TRY(parameter(key, -1, 256));
    const std::string exponent = TRY(parameter(key, -2, 3));
    const bool has_2048_bits = (static_cast<unsigned char>(modulus[0]) & 0x80) != 0;
    if (!has_2048_bits || exponent != std::string_view("\x01\x00\x01", 3))
        return bad("the public key is no RSA key of 2048 bits with exponent 65537");
    modulus += exponent;
    return CredentialKey{cose_rs256, std::move(modulus)};
}

}  // namespace

Result<CredentialKey> read_cose_key(std::string_view bytes) {
    const Cbor key = TRY(read_whole_cbor(bytes));
    if (!key.is(Cbor::Kind::map)) return bad("the public key is no map");
    if (has_number(key, 3, cose_es256)) return es256_key(key);
    if (has_number(key, 3, cose_eddsa)) return eddsa_key(key);
    if (has_number(key, 3, cose_rs256)) return rs256_key(key);
    return bad("the public key is for another algorithm than ES256, EdDSA and RS256");
}

Result<AuthenticatorData> read_authenticator_data(std::string_view bytes) {
    constexpr std::size_t head_bytes = 37;
    constexpr unsigned flag_present = 0x01, flag_verified = 0x04, flag_attested = 0x40,
                       flag_extensions = 0x80;
    if (bytes.size() < head_bytes || bytes.size() > limits::cbor_bytes_max)
        return bad("authenticator data has another length");
    const auto flags = static_cast<unsigned char>(bytes[32]);
    AuthenticatorData data{.relying_party_hash = std::string(bytes.substr(0, 32)),
                           .user_present = (flags & flag_present) != 0,
                           .user_verified = (flags & flag_verified) != 0};
    for (std::size_t at = 33; at < head_bytes; ++at)
        data.signature_counter =
            data.signature_counter << 8 | static_cast<unsigned char>(bytes[at]);
    std::string_view rest = bytes.substr(head_bytes);
    if ((flags & flag_attested) != 0) {
        constexpr std::size_t id_at = 18;  // behind 16 bytes of AAGUID and 2 of length
        if (rest.size() < id_at) return bad("attested credential data is cut");
        const std::size_t id_size = static_cast<std::size_t>(static_cast<unsigned char>(rest[16]))
                                        << 8 |
                                    static_cast<unsigned char>(rest[17]);
        if (id_size == 0 || id_size > limits::credential_id_bytes_max ||
            rest.size() < id_at + id_size)
            return bad("a credential id has another length");
        data.credential_id = rest.substr(id_at, id_size);
        rest.remove_prefix(id_at + id_size);
        std::size_t used = 0;
        TRY(read_cbor(rest, used));
        data.public_key = rest.substr(0, used);
        rest.remove_prefix(used);
    }
    if ((flags & flag_extensions) != 0) {
        std::size_t used = 0;
        const Cbor extensions = TRY(read_cbor(rest, used));
        if (!extensions.is(Cbor::Kind::map)) return bad("extensions are no map");
        rest.remove_prefix(used);
    }
    if (!rest.empty()) return bad("something follows authenticator data");
    return data;
}

Result<AuthenticatorData> read_attestation(std::string_view bytes) {
    const Cbor object = TRY(read_whole_cbor(bytes));
    const Cbor* const format = object.find("fmt");
    const Cbor* const statement = object.find("attStmt");
    const Cbor* const data = object.find("authData");
    if (!object.is(Cbor::Kind::map) || format == nullptr || statement == nullptr ||
        data == nullptr || !format->is(Cbor::Kind::text) || !statement->is(Cbor::Kind::map) ||
        !data->is(Cbor::Kind::bytes))
        return bad("an attestation object has fmt, attStmt and authData");
    // WebAuthn level 2 §8.7: the statement of "none" is an empty map.
    if (format->string == "none" && !statement->members.empty())
        return bad("an attestation of format none has a statement");
    AuthenticatorData read = TRY(read_authenticator_data(data->string));
    if (read.credential_id.empty()) return bad("the attestation holds no credential");
    TRY(read_cose_key(read.public_key));
    return read;
}

// --- what the browser says about where it was asked ---

namespace {

Result<JsonDocument> client_data_document(std::string_view client_data) {
    if (client_data.size() > limits::client_data_bytes_max) return bad("client data is too large");
    auto document = JsonDocument::parse(client_data);
    if (!document || !document->root().is_object()) return bad("client data is no JSON object");
    return document;
}

/// WebAuthn level 2 §7.1 steps 7 to 10, §7.2 steps 11 to 14.
Result<void> check_client_data(const Expected& expected, std::string_view client_data) {
    const JsonDocument document = TRY(client_data_document(client_data));
    const Json& data = document.root();
    if (data.string_at("type") != expected.type) return refused("the ceremony is another one");
    std::string challenge;
    if (!base64url_decode(data.string_at("challenge"), challenge) || challenge.empty() ||
        challenge != expected.challenge)
        return refused("the challenge is another one");
    const std::string_view origin = data.string_at("origin");
    if (std::find(expected.origins.begin(), expected.origins.end(), origin) ==
        expected.origins.end())
        return refused("the passkey was used at another origin");
    // None of our pages is ever framed by another origin's.
    if (data["crossOrigin"].boolean() || data.find("topOrigin") != nullptr)
        return refused("the passkey was used inside another site's page");
    return {};
}

Result<void> check_authenticator_data(const Expected& expected, const AuthenticatorData& data) {
    const Sha256 hash = sha256(expected.relying_party);
    if (data.relying_party_hash !=
        std::string_view(reinterpret_cast<const char*>(hash.data()), hash.size()))
        return refused("the passkey is for another site");
    if (!data.user_present) return refused("nobody touched the authenticator");
    if (expected.user_verification && !data.user_verified)
        return refused("the authenticator did not verify its user");
    return {};
}

/// Has libfido2 check the signature, and once more the hash and the flags.
bool is_signed(const Expected& expected, const CredentialKey& key, std::string_view client_data,
               std::string_view authenticator_data, std::string_view signature) {
    thread_local const bool is_ready = (fido_init(0), true);
    (void)is_ready;
    const Assertion assertion(fido_assert_new());
    if (!assertion || fido_assert_set_count(assertion.get(), 1) != FIDO_OK ||
        fido_assert_set_rp(assertion.get(), expected.relying_party.c_str()) != FIDO_OK ||
        fido_assert_set_clientdata(assertion.get(), bytes_of(client_data), client_data.size()) !=
            FIDO_OK ||
        fido_assert_set_authdata_raw(assertion.get(), 0, bytes_of(authenticator_data),
                                     authenticator_data.size()) != FIDO_OK ||
        fido_assert_set_sig(assertion.get(), 0, bytes_of(signature), signature.size()) != FIDO_OK ||
        fido_assert_set_up(assertion.get(), FIDO_OPT_TRUE) != FIDO_OK ||
        (expected.user_verification &&
         fido_assert_set_uv(assertion.get(), FIDO_OPT_TRUE) != FIDO_OK))
        return false;
    const void* const material = key.material.data();
    const std::size_t size = key.material.size();
    if (key.algorithm == cose_es256) {
        const Es256 point(es256_pk_new());
        return point && es256_pk_from_ptr(point.get(), material, size) == FIDO_OK &&
               fido_assert_verify(assertion.get(), 0, COSE_ES256, point.get()) == FIDO_OK;
    }
    if (key.algorithm == cose_eddsa) {
        const Eddsa point(eddsa_pk_new());
        return point && eddsa_pk_from_ptr(point.get(), material, size) == FIDO_OK &&
               fido_assert_verify(assertion.get(), 0, COSE_EDDSA, point.get()) == FIDO_OK;
    }
    const Rs256 number(rs256_pk_new());
    return number && rs256_pk_from_ptr(number.get(), material, size) == FIDO_OK &&
           fido_assert_verify(assertion.get(), 0, COSE_RS256, number.get()) == FIDO_OK;
}

}  // namespace

Result<std::string> challenge_of(std::string_view client_data) {
    const JsonDocument document = TRY(client_data_document(client_data));
    std::string challenge;
    if (!base64url_decode(document.root().string_at("challenge"), challenge) || challenge.empty())
        return bad("client data has no challenge");
    return challenge;
}

Result<AuthenticatorData> check_registration(const Expected& expected, std::string_view client_data,
                                             std::string_view attestation) {
    TRY(check_client_data(expected, client_data));
    AuthenticatorData data = TRY(read_attestation(attestation));
    TRY(check_authenticator_data(expected, data));
    return data;
}

Result<AuthenticatorData> check_assertion(const Expected& expected, std::string_view public_key,
                                          std::string_view client_data,
                                          std::string_view authenticator_data,
                                          std::string_view signature) {
    TRY(check_client_data(expected, client_data));
    const CredentialKey key = TRY(read_cose_key(public_key));
    AuthenticatorData data = TRY(read_authenticator_data(authenticator_data));
    TRY(check_authenticator_data(expected, data));
    if (signature.size() > 1024 ||
        !is_signed(expected, key, client_data, authenticator_data, signature))
        return refused("the signature does not fit");
    return data;
}

}  // namespace meridian::trust

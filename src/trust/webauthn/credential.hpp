// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace meridian::trust {

/// COSE algorithm numbers (IANA registry), those that are taken.
inline constexpr std::int64_t cose_es256 = -7;
inline constexpr std::int64_t cose_eddsa = -8;
inline constexpr std::int64_t cose_rs256 = -257;

/// A public key as signatures are checked with.
struct CredentialKey {
    std::int64_t algorithm = 0;
    std::string material{};  ///< ES256: x, y; EdDSA: x; RS256: n (256 bytes), e (3 bytes)
};

/// Reads a COSE_Key (RFC 9052 §7, RFC 9053 §7, RFC 8230 §4). Errors: `incorrect` for other
/// algorithms and curves, a point that is not on its curve or (Ed25519) of small order, an RSA key
/// that has not 2048 bits.
Result<CredentialKey> read_cose_key(std::string_view bytes);

/// Authenticator data (WebAuthn level 2 §6.1).
struct AuthenticatorData {
    std::string relying_party_hash{};  ///< 32 bytes
    bool user_present = false;
    bool user_verified = false;
    std::uint32_t signature_counter = 0;
    /// Of a registration: attested credential data.
    std::string credential_id{};
    std::string public_key{};  ///< COSE_Key, raw
};
/// Errors: `incorrect` for data that is cut, has bytes behind it, or has flags that its content
/// belies.
Result<AuthenticatorData> read_authenticator_data(std::string_view bytes);

/// An attestation object (WebAuthn level 2 §6.5): its authenticator data. Statements of any format
/// are read over: all count as "none", for nobody here decides by makers of authenticators. Errors:
/// `incorrect`, also for format "none" with a statement that is not empty.
Result<AuthenticatorData> read_attestation(std::string_view bytes);

/// What the page sends (JSON of an AuthenticatorAttestationResponse), and what must hold.
struct Expected {
    std::string type{};       ///< "webauthn.create" or "webauthn.get"
    std::string challenge{};  ///< raw bytes
    std::vector<std::string> origins{};
    std::string relying_party{};  ///< its id, a host name
    bool user_verification = false;
};

/// The challenge that client data names, before anything about it is believed. Errors: `incorrect`.
Result<std::string> challenge_of(std::string_view client_data);

/// WebAuthn level 2 §7.1 for what a browser returned. The result's signature counter, id and key
/// are to be kept. Errors: `unauthenticated` where a check fails; `incorrect` for what cannot be
/// read.
Result<AuthenticatorData> check_registration(const Expected& expected, std::string_view client_data,
                                             std::string_view attestation);

/// WebAuthn level 2 §7.2, steps 11 to 20; libfido2 checks the signature, the relying party's hash
/// and the flags. The counter is the caller's to compare. Errors: as check_registration.
Result<AuthenticatorData> check_assertion(const Expected& expected, std::string_view public_key,
                                          std::string_view client_data,
                                          std::string_view authenticator_data,
                                          std::string_view signature);

}  // namespace meridian::trust

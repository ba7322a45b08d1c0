// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "trust/jose/algorithm.hpp"

namespace meridian::trust::jose {

/// A public key, or a key pair, of a JWK (RFC 7517): RSA of 2048 to 4096 bits, P-256, P-384,
/// Ed25519. Immutable, cheap to copy, safe to share between threads.
///
/// The key says which algorithms it is for, by its kind and by its "alg"; what a token's header
/// names is checked against that and never decides by itself (RFC 8725 §3.1).
class Key {
 public:
    /// A new key pair for one algorithm, named by its thumbprint. Errors: `fault` when OpenSSL
    /// cannot make it. Blocking: some 100 ms for RSA (3072 bits), less than 1 ms for the others.
    static Result<Key> generate(Algorithm algorithm);

    /// Reads a JWK. Private members make it a pair, which must fit together.
    /// Errors: `unsupported` for another kind of key (also symmetric ones) or another use than
    /// signatures; `incorrect` for members that are missing, of wrong length, or no point of the
    /// curve, and for RSA keys that are too short, too long or have an even exponent.
    static Result<Key> from_jwk(const Json& jwk);
    static Result<Key> from_jwk(std::string_view text);

    /// The "kid", or the thumbprint when the JWK had none.
    const std::string& id() const;
    bool is_pair() const;
    /// Whether a signature of that algorithm may be made or believed with it.
    bool allows(Algorithm algorithm) const;
    /// What it allows, the first being the one to sign with.
    const std::vector<Algorithm>& algorithms() const;
    /// SHA-256 of the required members in lexical order, base64url. Source: RFC 7638 §3.
    std::string thumbprint() const;
    /// The public members with kid, use and (for a key of one algorithm) alg.
    Json public_jwk(JsonDocument& document) const;
    /// The whole pair as JSON text. It is a secret. Errors: `incorrect` when this is no pair.
    Result<std::string> private_jwk() const;

    /// The JWS signature of `data`: r‖s of fixed length for ECDSA (RFC 7518 §3.4). Errors:
    /// `incorrect` when this is no pair or not for that algorithm.
    Result<std::string> sign(Algorithm algorithm, std::string_view data) const;
    /// False for every signature that does not fit, whatever the reason.
    bool verify(Algorithm algorithm, std::string_view data, std::string_view signature) const;

 private:
    struct State;
    explicit Key(std::shared_ptr<const State> state) : state_(std::move(state)) {}
    static Result<Key> finish(State state);
    std::shared_ptr<const State> state_;
};

/// A JWK set (RFC 7517 §5).
class KeySet {
 public:
    KeySet() = default;
    explicit KeySet(std::vector<Key> keys) : keys_(std::move(keys)) {}

    /// Keys of kinds that are not known here, or that cannot be read, are passed over, as RFC 7517
    /// §5 asks; so are symmetric ones. Errors: `incorrect` for text that is no JWK set, and for
    /// one that holds private members; `too_large` beyond limits::jwks_bytes_max or jwks_keys_max.
    static Result<KeySet> parse(std::string_view text);

    const std::vector<Key>& keys() const { return keys_; }
    /// The keys that may have signed: those of that id (all of them when the token names none) that
    /// allow the algorithm.
    std::vector<Key> candidates(std::string_view key_id, Algorithm algorithm) const;
    bool has(std::string_view key_id) const;
    /// The public halves as a JWK set.
    std::string to_text() const;

 private:
    std::vector<Key> keys_{};
};

}  // namespace meridian::trust::jose

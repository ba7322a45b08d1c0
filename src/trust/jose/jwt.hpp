// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "trust/jose/jws.hpp"

namespace meridian::trust::jose {

/// What a token must say to be believed. Source: RFC 7519 §4.1, RFC 8725 §3.
struct ClaimRules {
    std::string issuer{};                  ///< equal to iss
    std::vector<std::string> audiences{};  ///< aud holds one of them
    bool audience_alone =
        false;  ///< and nothing else (RFC 7523bis §2: one audience for assertions)
    std::vector<std::string> types{"JWT"};  ///< "typ" is absent or one of them, in any case
    std::chrono::seconds skew{30};          ///< at most limits::jwt_clock_skew_seconds_max
    /// exp may lie at most so far ahead; unbounded when not set.
    std::optional<std::chrono::seconds> life_max{};
    /// iat must be there, and not be older.
    std::optional<std::chrono::seconds> age_max{};
    bool needs_identifier = false;  ///< jti must be there
};

/// The claims of a token that was believed.
struct Claims {
    JsonDocument document{};
    std::string issuer{};
    std::string subject{};
    std::string identifier{};  ///< jti; may be empty
    Instant expires{};
    std::optional<Instant> issued{};
    const Json& json() const { return document.root(); }
};

/// Checks signature, then claims: exp always; nbf and iat when they are there; the rules above.
/// Errors: `unauthenticated`, with one text for all reasons. Blocking: never.
Result<Claims> verify_jwt(std::string_view token, const KeySet& keys, const ClaimRules& rules,
                          Instant at);

/// The claims alone, of a payload whose signature was checked.
Result<Claims> check_claims(std::string_view payload, const ClaimRules& rules, Instant at);

/// NumericDate (RFC 7519 §2), fractions cut off. Nothing when it is no number or beyond year 9999.
std::optional<Instant> numeric_date(const Json& value);

}  // namespace meridian::trust::jose

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/json.hpp"
#include "base/result.hpp"
#include "trust/jose/key.hpp"

namespace meridian::trust::jose {

/// What a JWS in compact form says about itself; nothing of it is proven.
struct Header {
    Algorithm algorithm = Algorithm::es256;
    std::string key_id{};  ///< "kid"; may be empty
    std::string type{};    ///< "typ"; may be empty
};

/// A JWS whose signature was checked.
struct Verified {
    Header header{};
    std::string payload{};
    std::string key_id{};  ///< of the key that fitted
};

/// Reads the header only, to find the keys to check with. Errors: `unauthenticated` for text that
/// is no JWS in compact form, is longer than limits::jwt_bytes_max, names an algorithm that is not
/// believed here ("none" and HMAC among them), or has "crit", "b64" or another key inside
/// ("jwk", "x5c", "jku" and "x5u" are never followed). One text for all. Source: RFC 7515 §5.2,
/// RFC 8725.
Result<Header> read_header(std::string_view token);

/// The compact form, signed with the key's first algorithm. Errors: as Key::sign.
Result<std::string> sign(const Key& key, std::string_view payload, std::string_view type = "JWT");

/// Checks a compact JWS with the keys that the caller trusts for it. Errors: `unauthenticated`,
/// with one text for all reasons. Source: RFC 7515 §5.2.
Result<Verified> verify(std::string_view token, const KeySet& keys);

}  // namespace meridian::trust::jose

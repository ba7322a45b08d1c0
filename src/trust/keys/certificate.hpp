// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace meridian::trust {

/// Signs a JSON object: {"erasure":…,"key":…,"signature":…}, with the Ed25519 key (RFC 8032) of the
/// data folder, keys/erasure.key, which is made when it is not there. `statement` is minified JSON
/// as base/json.hpp writes it. Errors: as read_key_file. Blocking: disk.
Result<std::string> sign_certificate(const std::string& folder, std::string_view statement);

struct CheckedCertificate {
    std::string statement;  ///< JSON
    std::string key;        ///< public key that signed it, base64
};
/// What a certificate states. Any white space between its members is fine. Errors: `incorrect` for
/// what is no certificate; `forbidden` when the signature does not fit, or when it was signed with
/// another key than `key` (base64, empty = whichever the certificate names).
Result<CheckedCertificate> check_certificate(std::string_view certificate, std::string_view key);

/// The public key of a data folder. Errors: `not_found` when it has none; as read_key_file.
Result<std::string> certificate_key(const std::string& folder);

}  // namespace meridian::trust

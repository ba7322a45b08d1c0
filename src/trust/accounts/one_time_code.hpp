// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.hpp"

namespace meridian::trust {

/// The code for a counter: HMAC-SHA-1, as authenticator apps compute it whatever a URI asks for
/// (RFC 4226 §5.3; the collisions of SHA-1 do not weaken an HMAC). `secret` is raw bytes.
std::string one_time_code(std::string_view secret, std::uint64_t counter, unsigned digits);

/// The step of RFC 6238 that an instant lies in.
std::int64_t totp_step(Instant at);

/// The step whose code this is: one of limits::totp_window_steps either side of `at` that is later
/// than `last_step`, since a code counts once (RFC 6238 §5.2). Spaces in `code` are ignored. All
/// steps are compared, in constant time.
std::optional<std::int64_t> matching_totp_step(std::string_view secret, std::string_view code,
                                               Instant at, std::int64_t last_step);

/// Base32 without padding (RFC 4648 §6), as apps take it.
std::string base32(std::string_view bytes);

/// otpauth://totp/ISSUER:NAME?secret=…&issuer=… (the Key URI format of authenticator apps).
std::string totp_uri(std::string_view issuer, std::string_view name, std::string_view secret);

/// Fresh recovery codes, four letters and digits at a time: "abcd-efgh-…".
std::vector<std::string> new_recovery_codes();
/// What is stored of one: SHA-256 in hex. A code has 120 bits, so nothing slower is needed (ASVS
/// 5.0 V6.5.2: from 112 bits on). Case, spaces and hyphens do not count.
std::string recovery_code_hash(std::string_view code);

}  // namespace meridian::trust

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace meridian {

using Sha256 = std::array<unsigned char, 32>;

/// SHA-256 (FIPS 180-4).
Sha256 sha256(std::string_view data);
std::string to_hex(std::string_view bytes);
inline std::string to_hex(const Sha256& hash) {
    return to_hex({reinterpret_cast<const char*>(hash.data()), hash.size()});
}

/// SipHash-2-4 with a 128-bit key: a short keyed hash that an outsider cannot steer into
/// collisions.
using SipKey = std::array<unsigned char, 16>;
std::uint64_t siphash(std::string_view data, const SipKey& key);

/// `count` bytes from the system's random generator.
std::string random_bytes(std::size_t count);
/// HMAC-SHA-256 (truncated use is the caller's choice).
Sha256 hmac_sha256(std::string_view key, std::string_view data);

std::string base64_encode(std::string_view bytes);
std::string base64url_encode(std::string_view bytes);  ///< without padding (RFC 4648 §5)
/// False when `text` is not base64 in the given alphabet; white space is not accepted.
bool base64_decode(std::string_view text, std::string& out);
bool base64url_decode(std::string_view text, std::string& out);

}  // namespace meridian

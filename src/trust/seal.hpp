// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace meridian::trust {

/// 256 bits that only this deployment knows.
using SecretKey = std::array<unsigned char, 32>;

/// A key for one purpose out of another: who has it learns nothing of the others (HMAC-SHA-256 of
/// the purpose's name, as HKDF-Expand of RFC 5869 §2.3 with one block).
SecretKey derive_key(const SecretKey& from, std::string_view purpose);

/// `bytes` under `key`, readable only together with the same `context` (associated data). Nonce of
/// 24 random bytes, ciphertext, tag: XChaCha20-Poly1305, whose nonces are long enough to be drawn
/// at random however many there are.
std::string seal(const SecretKey& key, std::string_view context, std::string_view bytes);
/// Errors: `fault` when it was altered, cut, or sealed with another key or context. The message
/// does not say which.
Result<std::string> unseal(const SecretKey& key, std::string_view context, std::string_view sealed);

}  // namespace meridian::trust

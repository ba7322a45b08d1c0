// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace meridian::limits {

// --- trust: the vault ---
inline constexpr std::size_t vault_key_bytes_max = 400;
inline constexpr std::size_t vault_value_bytes_max = 1u << 20;

// --- trust: tokens and the gate ---
inline constexpr std::size_t token_bytes_max = 16u << 10;  ///< of a bearer token
inline constexpr unsigned standing_milliseconds =
    500;  ///< what is known of a token's standing counts for so long
inline constexpr std::size_t tokens_remembered_max = 20'000;
inline constexpr std::int64_t host_token_seconds_max =
    400 * 86'400;  ///< of a token that a script on the server's machine asks for

// --- trust: jose and oauth ---

// --- trust: accounts, sessions, passkeys ---

// --- trust: policy and consent ---

// --- trust: audit and its tree ---

// --- trust: keys ---

}  // namespace meridian::limits

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace meridian::limits {

// --- trust: the vault ---
inline constexpr std::size_t vault_key_bytes_max = 400;
inline constexpr std::size_t vault_value_bytes_max = 1u << 20;

// --- trust: jose and oauth ---

// --- trust: accounts, sessions, passkeys ---

// --- trust: policy and consent ---

// --- trust: audit and its tree ---

// --- trust: keys ---

}  // namespace meridian::limits

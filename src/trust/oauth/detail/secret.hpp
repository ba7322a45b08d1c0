// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace meridian::trust::oauth::detail {

/// 256 random bits, base64url: codes, tokens, client secrets. Nobody guesses one, so one round of
/// SHA-256 keeps it: there is no dictionary to try.
std::string new_secret();
/// SHA-256, base64url: what is kept of a secret, and where it is looked up.
std::string hashed(std::string_view secret);
/// HMAC-SHA-256, base64url.
std::string authenticated(std::string_view key, std::string_view text);
/// Takes equally long wherever the first difference is.
bool equal_secrets(std::string_view one, std::string_view other);

}  // namespace meridian::trust::oauth::detail

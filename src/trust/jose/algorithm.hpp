// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

namespace meridian::trust::jose {

/// The signatures that are made and believed here (RFC 7518 §3.1, RFC 8037 §3.1). There is no
/// "none" and no HMAC: a token that names one names nothing.
enum class Algorithm : unsigned char { es256, es384, rs256, rs384, ps256, eddsa };

/// "ES256" …
std::string_view name_of(Algorithm algorithm);
/// Nothing for a word that is none of ours. The names are case-sensitive (RFC 7515 §4.1.1).
std::optional<Algorithm> algorithm_named(std::string_view name);

}  // namespace meridian::trust::jose

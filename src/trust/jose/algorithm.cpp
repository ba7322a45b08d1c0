// SPDX-License-Identifier: Apache-2.0
#include "trust/jose/algorithm.hpp"

#include <array>
#include <utility>

namespace meridian::trust::jose {

namespace {

constexpr std::array<std::string_view, 6> names{"ES256", "ES384", "RS256",
                                                "RS384", "PS256", "EdDSA"};

}  // namespace

std::string_view name_of(Algorithm algorithm) {
    return names[static_cast<std::size_t>(algorithm)];
}

std::optional<Algorithm> algorithm_named(std::string_view name) {
    // RFC 9864 §2.2: the new name of the only EdDSA that is believed here.
    if (name == "Ed25519") return Algorithm::eddsa;
    for (std::size_t i = 0; i < names.size(); ++i)
        if (names[i] == name) return static_cast<Algorithm>(i);
    return std::nullopt;
}

}  // namespace meridian::trust::jose

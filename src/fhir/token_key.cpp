// SPDX-License-Identifier: Apache-2.0
#include "fhir/token_key.hpp"

#include "store/token_keyed.hpp"

namespace meridian::fhir {

std::optional<SipKey> token_key_of(const Cipher& cipher) {
    const auto* source = dynamic_cast<const TokenKeySource*>(&cipher);
    return source == nullptr ? std::nullopt : source->token_key();
}

void use_token_key(store::Names& names, const Cipher& cipher) {
    const auto key = token_key_of(cipher);
    auto* keyed = dynamic_cast<store::TokenKeyed*>(&names);
    if (key && keyed != nullptr) keyed->use_token_key(*key);
}

}  // namespace meridian::fhir

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "fhir/caller.hpp"
#include "trust/keys/key_ring.hpp"

namespace meridian::trust {

/// Bodies under the keys of a ring. A sealed body begins with a byte that no stored form begins
/// with, so bodies from before encryption was switched on stay readable beside it:
///
///     0xE0 + suite | id of the key (10) | mark of the key (4) | nonce (24) | ciphertext | tag (16)
///
/// Associated data are the first three, the owner of the key and the resource's identity.
std::shared_ptr<const fhir::Cipher> body_cipher(std::shared_ptr<KeyRing> ring);

/// Of a record whose keys are not here: plain bodies can be read, sealed ones answer `conflict`.
std::shared_ptr<const fhir::Cipher> locked_cipher();

/// Whether a stored body is sealed, and the id of the key that it lies under.
bool is_sealed(std::string_view body);
std::string_view key_id_of(std::string_view sealed);

}  // namespace meridian::trust

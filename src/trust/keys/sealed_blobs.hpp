// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/hash.hpp"
#include "base/result.hpp"
#include "fhir/caller.hpp"
#include "trust/keys/key_ring.hpp"

namespace meridian::trust {

/// Blobs under their patients' keys, in a store's packs. A blob's address is the hash of its sealed
/// form: the same file of one patient is stored once, equal files of two patients share nothing,
/// not even an address, and the store's own check needs no key. Thread-safe.
class SealedBlobs {
 public:
    /// `store` must outlive it.
    SealedBlobs(store::Store& store, std::shared_ptr<KeyRing> ring)
        : store_(store), ring_(std::move(ring)) {}
    /// Its address; durable when it returns. Errors: `gone` when the patient was erased; as
    /// store::Store::put_blob. Blocking: disk.
    Result<Sha256> put(const fhir::Cipher::Home& home, std::string_view data);
    /// Errors: `not_found`; `gone` when its patient was erased; `fault` when it was altered.
    Result<std::string> get(const Sha256& address);

 private:
    Result<DataKeyPointer> stored_key(const fhir::Cipher::Home& home);

    store::Store& store_;
    std::shared_ptr<KeyRing> ring_;
};

}  // namespace meridian::trust

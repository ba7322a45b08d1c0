// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "store/store.hpp"
#include "trust/seal.hpp"
#include "trust/vault.hpp"

namespace meridian::trust {

/// The vault in the private rows of a store, on either engine. `store` must outlive it.
std::unique_ptr<Vault> store_vault(store::Store& store, const SecretKey& master);

}  // namespace meridian::trust

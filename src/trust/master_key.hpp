// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.hpp"
#include "store/store.hpp"
#include "trust/seal.hpp"

namespace meridian::trust {

/// Where the key of a data folder lies: 64 hexadecimal digits, readable by its owner only.
std::string master_key_path(const std::string& folder);

/// The key from which all others of this deployment are derived. Made when neither the folder nor
/// the store knows one; the store keeps its fingerprint, so that a server with another key is told
/// so before it does harm. A copy of the file belongs into a safe: without it accounts, sessions
/// and whatever is encrypted are lost.
///
/// Errors, each at `master_key_path`: `conflict` when the store's documents are sealed with another
/// key, or the file is missing (a server of several, or a restored folder: copy it there);
/// `forbidden` when others than the owner can read it; `incorrect` when it holds no key;
/// `unavailable`. Blocking: disk, one look-up and at first one commit.
Result<SecretKey> open_master_key(store::Store& store, const std::string& folder);

}  // namespace meridian::trust

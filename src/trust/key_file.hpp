// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.hpp"
#include "trust/seal.hpp"

namespace meridian::trust {

/// A secret in a file: 64 hexadecimal digits, readable by its owner only.
///
/// Errors: `not_found`; `forbidden` when others than the owner may read it; `incorrect` when it
/// holds no key; `unavailable`. Blocking: disk.
Result<SecretKey> read_key_file(const std::string& path);
/// Written under the mode that it is to have, so that it is never readable by others; its folder is
/// made. Errors: `storage_full`, `unavailable`. Blocking: disk, with two fsyncs.
Result<void> write_key_file(const std::string& path, const SecretKey& key);
/// Likewise for other secret texts.
Result<void> write_secret_file(const std::string& path, std::string_view content);
/// Errors: `forbidden` when others than its owner may read `path`; `not_found`; `unavailable`.
Result<void> require_private(const std::string& path);

/// A new random key.
SecretKey random_key();

}  // namespace meridian::trust

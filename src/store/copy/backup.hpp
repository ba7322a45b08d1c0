// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "store/maintain.hpp"

namespace meridian::store::copy {

/// Backs up the store in `options.database`, with its blobs in the folder `from`, into the new
/// folder `to`. Errors and blocking: as store::backup; `not_found` too when `from` is not there.
Result<Position> backup(const std::string& from, const std::string& to,
                        const BackupOptions& options);

}  // namespace meridian::store::copy

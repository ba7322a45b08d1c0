// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>

#include "base/result.hpp"
#include "fhir/repository.hpp"

namespace meridian::trust {

/// How far the sealing of a record is that was written before encryption was switched on.
struct SealingProgress {
    std::int64_t looked_at = 0;  ///< positions of the log, from the newest to the oldest
    std::int64_t total = 0;
    std::int64_t sealed = 0;  ///< versions, by this call
    bool is_done = false;     ///< every version lies sealed
};

/// Seals bodies that lie open in their places, current ones and history, under the keys of those
/// whom they concern: for about `time`, then it is to be called again until `is_done`. Others read
/// and write meanwhile. How far it is lies in the store, and a body is exchanged only for one that
/// says the same, so that it may be killed at any time and goes on. In the end what lay open leaves
/// the files (Store::scrub); backups from before stay as they are, and are to be destroyed.
///
/// `cipher` is the one that `repository` seals with. Errors: `unsupported` for a store that cannot;
/// `gone` for a body of somebody who was erased; `busy` when others hold the rows or need the old
/// log: to be called again; the store's. Blocking: `time`, and at the end as long as scrub.
Result<SealingProgress> seal_some(fhir::Repository& repository, const fhir::Cipher& cipher,
                                  std::chrono::milliseconds time);

}  // namespace meridian::trust

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>

#include "base/result.hpp"
#include "store/store.hpp"
#include "trust/keys/key_ring.hpp"

namespace meridian::trust {

/// Makes the index rows of every resource anew with the hashes of tokens under the ring's key, for
/// a record that began under its store's own. Nobody else may use the record meanwhile: on a
/// database stop all its servers. Killed, the same call goes on; until it is done open_keys refuses
/// everybody else. `go_on(done)` returns false to stop. How many resources were done by this call.
/// Errors: `unavailable` when it was stopped; the store's. Blocking: reads and writes all.
Result<std::int64_t> move_token_hashes(store::Store& store, std::shared_ptr<KeyRing> ring,
                                       const std::function<bool(std::int64_t done)>& go_on);

}  // namespace meridian::trust

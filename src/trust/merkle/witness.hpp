// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "net/client.hpp"
#include "trust/merkle/checkpoint.hpp"

namespace meridian::trust::merkle {

/// Somebody elsewhere who signs a checkpoint only when it continues the one that they signed
/// before: https://c2sp.org/tlog-witness.
struct Witness {
    std::string url;  ///< submission prefix, http or https, without a slash at its end
    VerifierKey key;

    /// Reads "URL VKEY", as a setting has it. Errors: `incorrect`; `unsupported` for a key that
    /// does not make cosignatures.
    static Result<Witness> parse(std::string_view setting);
};

/// The body of add-checkpoint: that the tree of `old_size` is the beginning of `now`. `nodes`: of
/// the tree of `now`. Errors: `incorrect` when the old tree is the larger one; those of `nodes`.
Result<std::string> add_checkpoint_body(const SignedCheckpoint& now, std::uint64_t old_size,
                                        const NodeSource& nodes);

/// Sends a checkpoint to a witness. `old_size`: the size that it has signed last as far as is known
/// (0: unknown); set to what it says, and to the checkpoint's when it signs. Its cosignature,
/// verified. Errors: `conflict` when it has seen a larger or another tree; `forbidden` when it
/// refuses, or its signature does not verify; `unavailable`. Blocking: one or two requests.
Result<NoteSignature> ask_witness(const Witness& witness, const SignedCheckpoint& now,
                                  std::uint64_t& old_size, const NodeSource& nodes);

}  // namespace meridian::trust::merkle

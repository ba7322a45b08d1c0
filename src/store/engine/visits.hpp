// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace meridian::store {

/// What the searches of one thread have looked at so far. Tests compare it: what a caller may not
/// see is to make no difference (docs/adr/0033).
struct Visits {
    /// Index rows that were stepped over, and look-ups of keys. A look-up has one price, whether it
    /// finds something or not.
    std::uint64_t work = 0;
    /// What of this was spent on resources within the caller's reach (of a patient of theirs, say)
    /// that a label, a consent or another rule withholds: one row for each key that leads there,
    /// and one look-up.
    std::uint64_t withheld = 0;
    /// Searches whose candidates did not come from what the caller may see alone, because that is
    /// no list or too long a one.
    std::uint64_t open = 0;
};

/// Those of the calling thread.
inline Visits& visits() {
    thread_local Visits all;
    return all;
}

}  // namespace meridian::store

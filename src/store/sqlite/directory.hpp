// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "store/engine/identity_hash.hpp"
#include "store/rows.hpp"
#include "store/sqlite/database.hpp"

namespace meridian::store::sqlite {

/// Identities ↔ rids on the committer's connection: a bounded memory of what was used lately before
/// the table `directory`, and the identities that the open transaction adds. Belongs to the
/// committer's thread.
class Directory {
 public:
    explicit Directory(std::size_t remembered_max) : remembered_max_(remembered_max) {}

    /// Reads the highest rid in use.
    Result<void> load(Database& database);

    /// An identity that somebody asked for, and its rid: 0 = it has none yet.
    using Mention = std::pair<const Identity, Rid>*;
    /// Asks that `identity` be looked up by the next prefetch. The answer stands in the mention,
    /// which is valid until the transaction is over.
    Mention want(const Identity& identity);
    /// Looks up all that is wanted in key order, which touches each page of the table once. Later
    /// calls answer from memory.
    Result<void> prefetch(Database& database);
    /// Says that nobody has used `identity` before this transaction: it is not looked up.
    void note_new(const Identity& identity) { add(identity, 0); }
    /// The rid, or 0 when the identity was never written nor mentioned.
    Result<Rid> find(Database& database, const Identity& identity);
    /// The rid, given now when there is none.
    Result<Rid> resolve(Database& database, const Identity& identity);
    /// The same for one that was wanted before the last prefetch.
    Rid resolve(Mention mention);

    /// Writes the identities added since the last flush, in key order.
    Result<void> flush(Database& database);
    /// The transaction is over: its identities stay, or are forgotten and their rids given again.
    void finish(bool committed);

 private:
    using Map = std::unordered_map<Identity, Rid, IdentityHash>;
    Mention recall(const Identity& identity);
    Mention recall_from_maps(const Identity& identity);
    /// Remembers an identity that is not remembered yet; 0 = it has no rid.
    Mention add(const Identity& identity, Rid rid);
    Result<Rid> look_up(Database& database, const Identity& identity);

    std::size_t remembered_max_;
    // Two generations instead of an exact order of use: a hit in the old one moves to the young
    // one; when that is half full it becomes the old one. No list to maintain, and the memory stays
    // bounded.
    Map young_, old_;
    // A resource names its patient and encounter several times in a row: these few answer most
    // calls without hashing.
    static constexpr std::size_t recent_size = 4;
    Mention recent_[recent_size] = {};
    std::size_t recent_next_ = 0;
    std::vector<Mention> seen_;    ///< added to young_ by this transaction
    std::vector<Mention> wanted_;  ///< of these, not yet looked up
    std::vector<Mention> given_;   ///< of these, new and not yet flushed
    Rid next_ = 1;
    Rid next_before_ = 1;
};

}  // namespace meridian::store::sqlite

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "store/rows.hpp"
#include "store/sqlite/database.hpp"

namespace meridian::store::sqlite {

struct IdentityHash {
    std::size_t operator()(const Identity& identity) const {
        return std::hash<std::string_view>{}(identity.id) ^
               (static_cast<std::size_t>(identity.type) * 0x9e3779b97f4a7c15u);
    }
};

/// Identities ↔ rids on the committer's connection: a bounded memory of what was used lately before
/// the table `directory`, and the identities that the open transaction adds. Belongs to the
/// committer's thread.
class Directory {
 public:
    explicit Directory(std::size_t remembered_max) : remembered_max_(remembered_max) {}

    /// Reads the highest rid in use.
    Result<void> load(Database& database);

    /// Asks that `identity` be looked up by the next prefetch.
    void want(const Identity& identity);
    /// Looks up all that is wanted in key order, which touches each page of the table once. Later
    /// calls answer from memory.
    Result<void> prefetch(Database& database);
    /// Says that nobody has used `identity` before this transaction: it is not looked up.
    void note_new(const Identity& identity) { group_.emplace(identity, 0); }
    /// The rid, or 0 when the identity was never written nor mentioned.
    Result<Rid> find(Database& database, const Identity& identity);
    /// The rid, given now when there is none.
    Result<Rid> resolve(Database& database, const Identity& identity);

    /// Writes the identities added since the last flush, in key order.
    Result<void> flush(Database& database);
    /// The transaction is over: its identities stay, or are forgotten and their rids given again.
    void finish(bool committed);

 private:
    using Map = std::unordered_map<Identity, Rid, IdentityHash>;
    Map::value_type* recall(const Identity& identity);
    Map::value_type* recall_from_maps(const Identity& identity);
    void remember(Identity identity, Rid rid);
    Result<Rid> look_up(Database& database, const Identity& identity);

    std::size_t remembered_max_;
    // Two generations instead of an exact order of use: a hit in the old one moves to the young
    // one; when that is half full it becomes the old one. No list to maintain, and the memory stays
    // bounded.
    Map young_, old_;
    // A resource names its patient and encounter several times in a row: these few answer most
    // calls without hashing.
    static constexpr std::size_t recent_size = 4;
    Map::value_type* recent_[recent_size] = {};
    std::size_t recent_next_ = 0;
    Map group_;                             ///< seen in this transaction; 0 = looked up and absent
    std::vector<Map::value_type*> wanted_;  ///< of group_, not yet looked up
    std::vector<const Map::value_type*> added_;  ///< of group_, not yet flushed
    Rid next_ = 1;
    Rid next_before_ = 1;
};

}  // namespace meridian::store::sqlite

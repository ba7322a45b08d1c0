// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "store/engine/identity_hash.hpp"
#include "store/postgres/connection.hpp"
#include "store/postgres/layout.hpp"
#include "store/rows.hpp"

namespace meridian::store::postgres {

/// Identities → rids on the committer's connection, with a bounded memory of what was used lately.
/// A rid, once given, stays for ever, so identities are written in a transaction of their own
/// before the group that mentions them: what that group locks, it locks for a shorter time, and a
/// group that fails leaves no more behind than an identity that nobody has written. Belongs to the
/// committer's thread.
class Directory {
 public:
    /// What a statement that joins `d` with the keys of its parameter 2 says beside, so that Citus
    /// asks the shards of these only. Others find the partition of each row by themselves, and
    /// would compare each with all keys.
    static std::string_view only_shards_of_keys(const Layout& layout) {
        return layout.is_distributed() ? " AND d.key = ANY($2::bytea[])" : "";
    }

    Directory(std::size_t remembered_max, const Layout& layout)
        : remembered_max_(remembered_max), layout_(layout) {}

    /// Asks that `identity` be known after the next prefetch.
    void want(const Identity& identity);
    /// Says that this server has just made the id: it gets a rid without a look-up, and stands in
    /// `added` until the group is written.
    void want_new(const Identity& identity);
    /// Asks that `identity` be known after the next prefetch if it has a rid; it gets none.
    void ask(const Identity& identity);
    /// The rid of one that was asked for or wanted before the last prefetch; 0 = it has none.
    Rid find(const Identity& identity) const {
        const auto known = known_.find(identity);
        return known == known_.end() ? 0 : known->second;
    }
    /// Looks up all that is wanted and gives rids to the rest: one statement. Errors: as
    /// Connection; no transaction may be open.
    Result<void> prefetch(Connection& connection);
    /// Forgets all that the database has said, and the rids that it has left to this server to
    /// give.
    void forget();
    /// The rid of an identity that was wanted before the last prefetch.
    Rid rid_of(const Identity& identity) const { return known_.at(identity); }

    /// Where those of `identities` lie that were ever written, by their place in the list. Errors:
    /// as Connection. Only in sharded layouts.
    Result<std::vector<std::optional<Rid>>> homes(
        Connection& connection, const std::vector<const Identity*>& identities) const;
    /// Says where the resource of an identity lies from now on. Only in sharded layouts.
    void set_home(const Identity& identity, Rid home) { homes_[identity] = home; }

    /// Queues the writing of the identities of want_new, and of where others lie now, into the open
    /// transaction.
    void send_changes(Connection& connection);
    /// The attempt is over: where identities lie is said anew in the next one.
    void forget_homes() { homes_.clear(); }
    /// The group is over: its new identities stay when it was committed, else they are looked up
    /// the next time.
    void finish(bool committed);

 private:
    /// Of `identities`, keeps those that have a rid.
    Result<void> read_known(Connection& connection, const std::vector<Identity>& identities);
    Result<void> look_up(Connection& connection);
    Result<void> add_missing(Connection& connection);
    void send_added(Connection& connection);
    void send_homes(Connection& connection);
    Result<void> reserve(Connection& connection, std::size_t count);
    Rid next_rid();

    std::size_t remembered_max_;
    Layout layout_;
    std::unordered_map<Identity, Rid, IdentityHash> known_;
    std::vector<Identity> wanted_;
    std::vector<Identity> asked_;
    std::vector<Identity> added_;
    std::unordered_map<Identity, Rid, IdentityHash> homes_;
    /// Rids that this server may give: blocks of the sequence rid_block.
    std::vector<std::pair<Rid, Rid>> blocks_;  ///< [first, below)
};

}  // namespace meridian::store::postgres

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.hpp"
#include "base/result.hpp"
#include "store/store.hpp"

namespace meridian::trust {

/// Small documents that are no part of the record: accounts, sessions, grants, clients, keys. They
/// have no history and are in no log; what is done with them is audited by whoever does it. Every
/// value lies sealed under a key of the data folder, bound to its space and key, so that neither
/// the database nor a copy of it tells a secret. Thread-safe; shared by all servers on
/// one store.
class Vault {
 public:
    struct Entry {
        std::string space{};  ///< what kind of document, e.g. "account"; one writer each
        std::string key{};    ///< unique in its space, at most limits::vault_key_bytes_max
        std::string value{};  ///< e.g. JSON, at most limits::vault_value_bytes_max
        /// Of what was read; 0 = there is none. In `put`: what the caller expects to replace.
        std::int64_t version = 0;
        std::optional<Instant> expires{};  ///< not found from then on, and removed some time later
        bool removed = false;              ///< in `put`: take the entry away
    };
    virtual ~Vault() = default;

    /// Errors: `unavailable`; `fault` for a value that was altered or sealed with another key.
    /// Blocking: one look-up.
    virtual Result<std::optional<Entry>> get(std::string_view space, std::string_view key) = 0;
    /// Writes all of `entries` or none, durable when it returns. False when one of them has another
    /// version by now than it names: somebody else was faster, read again. So a code is used once
    /// and a counter never goes back, on one server as on many. Errors: `incorrect` for a key or
    /// value beyond its limit, `unavailable`. Blocking: one commit.
    virtual Result<bool> put(std::vector<Entry> entries) = 0;
    /// Entries of a space in the order of their keys, those after `after`, at most `limit`.
    virtual Result<std::vector<Entry>> list(std::string_view space, std::string_view after,
                                            std::size_t limit) = 0;
    /// The row that `put` would write, for a change of the record that is to be made together with
    /// it: store::Commit::private_rows. Errors: `incorrect` as put; `unsupported` of a vault that
    /// does not lie in the record's store. Blocking: never.
    virtual Result<store::PrivateRow> sealed(const Entry& entry) const {
        (void)entry;
        return fail(Category::unsupported, "this vault is not in the store of the record");
    }
};

}  // namespace meridian::trust

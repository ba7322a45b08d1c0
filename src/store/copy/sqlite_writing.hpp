// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "store/copy/sides.hpp"
#include "store/sqlite/database.hpp"

/// What a migration and a backup write into a SQLite database, one statement a table. All belong
/// into a transaction, which must be rolled back after an error. Errors of all: as Database.
namespace meridian::store::copy {

/// The bytes of a key, a salt or a hash.
template <class Array>
std::string_view bytes_of(const Array& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Result<void> write_log(sqlite::Database& database, const std::vector<Carried>& batch);
/// What the audit entries among them say. `by_patient`: with the rows by which they are found by
/// patient, which a backup leaves out.
Result<void> write_audits(sqlite::Database& database, const std::vector<Carried>& batch,
                          bool by_patient);
/// Rows of `history`; sorts them.
Result<void> write_history(sqlite::Database& database, std::vector<const Carried*> past);
/// Rows of `resource`, none of which is there; sorts them.
Result<void> write_resources(sqlite::Database& database, std::vector<const Carried*> newest);

/// Adds those that are not there.
Result<void> write_names(sqlite::Database& database, const std::vector<KnownName>& names);
/// Adds those that are not there; sorts them.
Result<void> write_identities(sqlite::Database& database, std::vector<KnownIdentity>& identities);
/// In the place of what is there, and that new rids begin above `last_rid`.
Result<void> write_belongings(sqlite::Database& database, const Belongings& belongings,
                              Rid last_rid);
/// The key of token hashes, in the place of the one that a new store gets.
Result<void> write_token_key(sqlite::Database& database, std::string_view key);
/// A setting of the store itself.
Result<void> write_setting(sqlite::Database& database, std::string_view key, std::int64_t value);

}  // namespace meridian::store::copy

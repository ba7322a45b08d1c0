// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "store/sqlite/database.hpp"
#include "store/store.hpp"

/// The table private_row: small documents beside the record. `at` is the time now.
namespace meridian::store::sqlite {

Result<std::optional<PrivateRow>> private_row(Database& database, std::string_view space,
                                              std::string_view key, Instant at);
Result<std::vector<PrivateRow>> private_rows(Database& database, std::string_view space,
                                             std::string_view after, std::size_t limit, Instant at);
/// Within the open transaction: writes all, or nothing and says false. Takes away some that are
/// over, too.
Result<bool> save_private(Database& database, const std::vector<PrivateRow>& rows, Instant at);
/// Whether `row` may be written: what it is to replace has the version that it names, or it is new
/// and already there with the same value.
Result<bool> is_writable(Database& database, const PrivateRow& row, Instant at);
/// Within the open transaction: writes rows that are writable.
Result<void> write_private(Database& database, const std::vector<PrivateRow>& rows, Instant at);
/// All of them as they are, for a store that moves.
Result<std::vector<PrivateRow>> all_private_rows(Database& database);
Result<void> put_private_row(Database& database, const PrivateRow& row);

}  // namespace meridian::store::sqlite

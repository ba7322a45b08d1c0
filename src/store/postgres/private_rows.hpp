// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "store/postgres/connection.hpp"
#include "store/store.hpp"

/// The table private_row: small documents beside the record. `at` is the time now.
namespace meridian::store::postgres {

Result<std::optional<PrivateRow>> private_row(Connection& connection, std::string_view space,
                                              std::string_view key, Instant at);
Result<std::vector<PrivateRow>> private_rows(Connection& connection, std::string_view space,
                                             std::string_view after, std::size_t limit, Instant at);
/// In a transaction of its own: writes all, or nothing and says false. Takes away some that are
/// over, too.
Result<bool> save_private(Connection& connection, std::vector<PrivateRow> rows, Instant at);
/// Queues the question for those of `keys` (ascending) that are there, locked until the transaction
/// ends; rows_of_answer reads what comes back.
void ask_private_rows(Connection& connection, std::string_view space,
                      const std::vector<std::string_view>& keys, Instant at);
std::vector<PrivateRow> rows_of_answer(const Answer& answer);
/// Queues the writing of rows whose versions were found right while they were locked. A new row
/// that another server brings first makes it fail with `busy`.
void send_private_changes(Connection& connection, const std::vector<PrivateRow>& rows, Instant at);
/// All of them as they are, for a store that moves.
Result<std::vector<PrivateRow>> all_private_rows(Connection& connection);
/// Queues the writing of rows that are not there yet.
void send_private_rows(Connection& connection, const std::vector<PrivateRow>& rows);

}  // namespace meridian::store::postgres

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "store/copy/sides.hpp"
#include "store/postgres/connection.hpp"
#include "store/sqlite/database.hpp"

namespace meridian::store::copy {

/// Rows of `resource` by rid, behind `after`: at most limits::check_rows_at_once.
Result<std::vector<IndexState>> index_states(sqlite::Database& database, Rid after);
Result<std::vector<IndexState>> index_states(postgres::Connection& connection, Rid after);

}  // namespace meridian::store::copy

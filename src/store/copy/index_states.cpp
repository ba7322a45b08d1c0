// SPDX-License-Identifier: Apache-2.0
#include "store/copy/index_states.hpp"

#include "base/limits.hpp"

namespace meridian::store::copy {

Result<std::vector<IndexState>> index_states(sqlite::Database& database, Rid after) {
    std::vector<IndexState> states;
    auto row = TRY(database.prepare(
        "SELECT r.rid, r.version, f.rows FROM resource r LEFT JOIN forward f ON f.rid = r.rid "
        "WHERE r.rid > ? ORDER BY r.rid LIMIT ?"));
    row.bind_all(after, limits::check_rows_at_once);
    while (TRY(row.step()))
        states.push_back({row.integer(0), row.integer(1), std::string(row.blob(2))});
    return states;
}

Result<std::vector<IndexState>> index_states(postgres::Connection& connection, Rid after) {
    std::vector<IndexState> states;
    const postgres::Answer rows = TRY(connection.ask(
        "SELECT rid, version, forward FROM meridian.resource WHERE rid > $1 ORDER BY rid LIMIT $2",
        std::move(postgres::Parameters().integer(after).integer(
            static_cast<std::int64_t>(limits::check_rows_at_once)))));
    states.reserve(static_cast<std::size_t>(rows.size()));
    for (int row = 0; row < rows.size(); ++row)
        states.push_back(
            {rows.integer(row, 0), rows.integer(row, 1), std::string(rows.bytes(row, 2))});
    return states;
}

}  // namespace meridian::store::copy

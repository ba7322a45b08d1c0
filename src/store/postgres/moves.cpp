// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/moves.hpp"

namespace meridian::store::postgres {

void send_moves(Connection& connection, const Layout& layout, const std::vector<Move>& moves) {
    if (moves.empty()) return;
    // A copy and a removal: Citus forbids to change a shard key.
    constexpr std::string_view tables_and_columns[][2] = {
        {"resource",
         "batch, ordinal, type, version, organisation, sensitivity, verb, id, body, forward"},
        {"history", "batch, ordinal, version, verb, body"}};
    const auto before = [&] {
        return std::move(Parameters()
                             .column(moves, [](const Move& move) { return move.rid; })
                             .column(moves, [](const Move& move) { return move.before; }));
    };
    const std::string_view only_shards =
        layout.is_distributed() ? " AND i.patient = ANY($2::bigint[])" : "";
    for (const auto& [table, columns] : tables_and_columns) {
        connection.send(
            fmt::format("INSERT INTO meridian.{0}(rid, patient, {1}) SELECT i.rid, u.after, {1} "
                        "FROM meridian.{0} i JOIN unnest($1::bigint[], $2::bigint[], "
                        "$3::bigint[]) AS u(rid, before, after) ON i.rid = u.rid "
                        "AND i.patient = u.before{2}",
                        table, columns, only_shards),
            std::move(before().column(moves, [](const Move& move) { return move.after; })));
        connection.send(
            fmt::format("DELETE FROM meridian.{0} i USING unnest($1::bigint[], $2::bigint[]) "
                        "AS u(rid, before) WHERE i.rid = u.rid AND i.patient = u.before{1}",
                        table, only_shards),
            before());
    }
}

}  // namespace meridian::store::postgres

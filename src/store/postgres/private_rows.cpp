// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/private_rows.hpp"

namespace meridian::store::postgres {

namespace {

std::vector<PrivateRow> rows_of(const Answer& answer) {
    std::vector<PrivateRow> rows;
    rows.reserve(static_cast<std::size_t>(answer.size()));
    for (int row = 0; row < answer.size(); ++row) {
        PrivateRow& read = rows.emplace_back();
        read.space = answer.bytes(row, 0);
        read.key = answer.bytes(row, 1);
        read.version = answer.integer(row, 2);
        read.expires = answer.integer(row, 3);
        read.value = answer.bytes(row, 4);
    }
    return rows;
}

/// Each statement changes one row, or none when the row has not the version that it names.
void send_change(Connection& connection, const PrivateRow& row, Instant at) {
    Parameters parameters;
    parameters.text(row.space).text(row.key);
    if (row.removed) {
        parameters.integer(row.version).integer(at.milliseconds);
        connection.send(
            "DELETE FROM meridian.private_row WHERE space = $1 AND key = $2 AND version = $3 AND "
            "expires > $4",
            std::move(parameters));
        return;
    }
    parameters.integer(row.version + 1)
        .integer(row.expires)
        .bytes(row.value)
        .integer(at.milliseconds);
    if (row.version == 0) {
        connection.send(
            "INSERT INTO meridian.private_row AS p(space, key, version, expires, value) "
            "VALUES($1, $2, $3, $4, $5) ON CONFLICT (space, key) DO UPDATE SET "
            "version = excluded.version, expires = excluded.expires, value = excluded.value "
            "WHERE p.expires <= $6",
            std::move(parameters));
        return;
    }
    connection.send(
        "UPDATE meridian.private_row SET version = $3, expires = $4, value = $5 "
        "WHERE space = $1 AND key = $2 AND version = $3 - 1 AND expires > $6",
        std::move(parameters));
}

}  // namespace

Result<std::optional<PrivateRow>> private_row(Connection& connection, std::string_view space,
                                              std::string_view key, Instant at) {
    auto rows = rows_of(TRY(
        connection.ask("SELECT space, key, version, expires, value FROM meridian.private_row "
                       "WHERE space = $1 AND key = $2 AND expires > $3",
                       std::move(Parameters().text(space).text(key).integer(at.milliseconds)))));
    if (rows.empty()) return std::optional<PrivateRow>();
    return std::optional(std::move(rows.front()));
}

Result<std::vector<PrivateRow>> private_rows(Connection& connection, std::string_view space,
                                             std::string_view after, std::size_t limit,
                                             Instant at) {
    return rows_of(
        TRY(connection.ask("SELECT space, key, version, expires, value FROM meridian.private_row "
                           "WHERE space = $1 AND key > $2 AND expires > $3 ORDER BY key LIMIT $4",
                           std::move(Parameters()
                                         .text(space)
                                         .text(after)
                                         .integer(at.milliseconds)
                                         .integer(static_cast<std::int64_t>(limit))))));
}

Result<bool> save_private(Connection& connection, std::vector<PrivateRow> rows, Instant at) {
    // In one order everywhere, so that two servers never wait for one another.
    std::sort(rows.begin(), rows.end(), [](const PrivateRow& left, const PrivateRow& right) {
        return std::tie(left.space, left.key) < std::tie(right.space, right.key);
    });
    connection.send("BEGIN");
    for (const PrivateRow& row : rows) send_change(connection, row, at);
    const auto changed = connection.flush();
    const bool all = changed && std::all_of(changed->begin() + 1, changed->end(),
                                            [](const Answer& one) { return one.changed() == 1; });
    if (!all) {
        connection.roll_back();
        if (!changed) return std::unexpected(changed.error());
        return false;
    }
    constexpr std::string_view remove_some =
        "DELETE FROM meridian.private_row WHERE (space, key) IN (SELECT space, key FROM "
        "meridian.private_row WHERE expires <= $1 LIMIT 64 FOR UPDATE SKIP LOCKED)";
    connection.send(remove_some, std::move(Parameters().integer(at.milliseconds)));
    connection.send("COMMIT");
    const auto committed = connection.flush();
    if (committed) return true;
    connection.roll_back();
    return std::unexpected(committed.error());
}

void ask_private_rows(Connection& connection, std::string_view space,
                      const std::vector<std::string_view>& keys, Instant at) {
    connection.send(
        "SELECT space, key, version, expires, value FROM meridian.private_row WHERE space = $1 AND "
        "key = ANY($2::text[]) AND expires > $3 ORDER BY key FOR UPDATE",
        std::move(Parameters()
                      .text(space)
                      .column(keys, [](std::string_view key) { return key; })
                      .integer(at.milliseconds)));
}

std::vector<PrivateRow> rows_of_answer(const Answer& answer) {
    return rows_of(answer);
}

void send_private_changes(Connection& connection, const std::vector<PrivateRow>& rows, Instant at) {
    std::vector<PrivateRow> fresh;
    for (const PrivateRow& row : rows) {
        if (row.version != 0 || row.removed) {
            send_change(connection, row, at);
            continue;
        }
        fresh.push_back(row);
        fresh.back().version = 1;
    }
    send_private_rows(connection, fresh);
}

Result<std::vector<PrivateRow>> all_private_rows(Connection& connection) {
    return rows_of(TRY(
        connection.ask("SELECT space, key, version, expires, value FROM meridian.private_row")));
}

void send_private_rows(Connection& connection, const std::vector<PrivateRow>& rows) {
    if (rows.empty()) return;
    connection.send(
        "INSERT INTO meridian.private_row(space, key, version, expires, value) SELECT * FROM "
        "unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bytea[])",
        std::move(
            Parameters()
                .column(rows, [](const PrivateRow& row) { return std::string_view(row.space); })
                .column(rows, [](const PrivateRow& row) { return std::string_view(row.key); })
                .column(rows, [](const PrivateRow& row) { return row.version; })
                .column(rows, [](const PrivateRow& row) { return row.expires; })
                .column(rows, [](const PrivateRow& row) { return Parameters::Bytes{row.value}; })));
}

}  // namespace meridian::store::postgres

// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/private_rows.hpp"

#include "base/limits.hpp"

namespace meridian::store::sqlite {

namespace {

/// Rows that are over leave with later writes, a few at a time.
constexpr std::int64_t removed_at_once = 64;

PrivateRow row_of(Statement& statement) {
    PrivateRow row;
    row.space = statement.text(0);
    row.key = statement.text(1);
    row.version = statement.integer(2);
    row.expires = statement.integer(3);
    row.value = statement.blob(4);
    return row;
}

Result<bool> is_as_expected(Database& database, const PrivateRow& row, Instant at) {
    const auto now_there = TRY(private_row(database, row.space, row.key, at));
    return (now_there ? now_there->version : 0) == row.version;
}

/// Several commits may bring the same new row: the first of them writes it.
bool is_there_already(const PrivateRow& there, const PrivateRow& row) {
    return row.version == 0 && !row.removed && there.value == row.value;
}

Result<void> write_one(Database& database, const PrivateRow& row) {
    if (row.removed)
        return database.run("DELETE FROM private_row WHERE space = ? AND key = ?",
                            std::string_view(row.space), std::string_view(row.key));
    PrivateRow next = row;
    ++next.version;
    return put_private_row(database, next);
}

}  // namespace

Result<std::optional<PrivateRow>> private_row(Database& database, std::string_view space,
                                              std::string_view key, Instant at) {
    auto select =
        TRY(database.prepare("SELECT space, key, version, expires, value FROM private_row "
                             "WHERE space = ? AND key = ? AND expires > ?"));
    select.bind_all(space, key, at.milliseconds);
    if (!TRY(select.step())) return std::optional<PrivateRow>();
    return std::optional(row_of(select));
}

Result<std::vector<PrivateRow>> private_rows(Database& database, std::string_view space,
                                             std::string_view after, std::size_t limit,
                                             Instant at) {
    auto select =
        TRY(database.prepare("SELECT space, key, version, expires, value FROM private_row "
                             "WHERE space = ? AND key > ? AND expires > ? ORDER BY key LIMIT ?"));
    select.bind_all(space, after, at.milliseconds, static_cast<std::int64_t>(limit));
    std::vector<PrivateRow> rows;
    while (TRY(select.step())) rows.push_back(row_of(select));
    return rows;
}

Result<bool> is_writable(Database& database, const PrivateRow& row, Instant at) {
    const auto now_there = TRY(private_row(database, row.space, row.key, at));
    if (!now_there) return row.version == 0;
    return now_there->version == row.version || is_there_already(*now_there, row);
}

Result<void> write_private(Database& database, const std::vector<PrivateRow>& rows, Instant at) {
    for (const PrivateRow& row : rows) {
        const auto now_there = TRY(private_row(database, row.space, row.key, at));
        if (now_there && is_there_already(*now_there, row)) continue;
        TRY(write_one(database, row));
    }
    return {};
}

Result<bool> save_private(Database& database, const std::vector<PrivateRow>& rows, Instant at) {
    for (const PrivateRow& row : rows) {
        if (!TRY(is_as_expected(database, row, at))) return false;
    }
    for (const PrivateRow& row : rows) TRY(write_one(database, row));
    TRY(
        database.run("DELETE FROM private_row WHERE (space, key) IN (SELECT space, key FROM "
                     "private_row WHERE expires <= ? LIMIT ?)",
                     at.milliseconds, removed_at_once));
    return true;
}

Result<std::vector<PrivateRow>> all_private_rows(Database& database) {
    auto select =
        TRY(database.prepare("SELECT space, key, version, expires, value FROM private_row"));
    std::vector<PrivateRow> rows;
    while (TRY(select.step())) rows.push_back(row_of(select));
    return rows;
}

Result<void> put_private_row(Database& database, const PrivateRow& row) {
    auto insert = TRY(
        database.prepare("INSERT OR REPLACE INTO private_row(space, key, version, expires, value) "
                         "VALUES(?, ?, ?, ?, ?)"));
    return insert.bind_text(1, row.space)
        .bind_text(2, row.key)
        .bind(3, row.version)
        .bind(4, row.expires)
        .bind_blob(5, row.value)
        .run();
}

}  // namespace meridian::store::sqlite

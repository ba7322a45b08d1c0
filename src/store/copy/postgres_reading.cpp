// SPDX-License-Identifier: Apache-2.0
#include "store/copy/postgres_reading.hpp"

#include "base/limits.hpp"
#include "store/postgres/log_rows.hpp"
#include "store/postgres/private_rows.hpp"

namespace meridian::store::copy {

using postgres::Answer;
using postgres::Connection;
using postgres::Parameters;

namespace {

/// How many of the first entries fit into a batch.
Result<std::size_t> count_that_fits(Connection& connection, const std::vector<Carried>& batch) {
    // A version's body is in one of the two tables; lengths are read without reading bodies.
    const Answer rows = TRY(connection.ask(
        "SELECT e.place, octet_length(r.body) + octet_length(r.forward) "
        "FROM unnest($1::bigint[], $2::integer[]) WITH ORDINALITY AS e(rid, version, place) "
        "JOIN meridian.resource r ON r.rid = e.rid AND r.version = e.version UNION ALL "
        "SELECT e.place, octet_length(h.body) "
        "FROM unnest($1::bigint[], $2::integer[]) WITH ORDINALITY AS e(rid, version, place) "
        "JOIN meridian.history h ON h.rid = e.rid AND h.version = e.version",
        std::move(Parameters()
                      .column(batch, [](const Carried& c) { return c.entry.rid; })
                      .column(batch, [](const Carried& c) {
                          return static_cast<std::int32_t>(c.entry.version);
                      }))));
    std::vector<std::size_t> bytes(batch.size(), 0);
    for (int row = 0; row < rows.size(); ++row)
        bytes[static_cast<std::size_t>(rows.integer(row, 0)) - 1] =
            static_cast<std::size_t>(rows.integer(row, 1));
    std::size_t sum = 0, count = 0;
    while (count < batch.size() && sum < limits::migrate_batch_bytes) sum += bytes[count++];
    return count;
}

}  // namespace

Result<std::vector<Carried>> read_log(Connection& connection, Position from, Position below,
                                      std::size_t count) {
    const Answer rows = TRY(connection.ask(
        "SELECT " MERIDIAN_LOG_COLUMNS
        ", patient FROM meridian.log WHERE position >= $1 AND position < $2 ORDER BY position "
        "LIMIT $3",
        std::move(
            Parameters().integer(from).integer(below).integer(static_cast<std::int64_t>(count)))));
    std::vector<Carried> batch(static_cast<std::size_t>(rows.size()));
    for (int row = 0; row < rows.size(); ++row) {
        Carried& carried = batch[static_cast<std::size_t>(row)];
        carried.entry = postgres::read_log_entry(rows, row);
        carried.home = rows.integer(row, 12);
    }
    batch.resize(TRY(count_that_fits(connection, batch)));
    return batch;
}

Result<void> read_audits(Connection& connection, std::vector<Carried>& batch) {
    std::vector<Carried*> audits;
    for (Carried& carried : batch) {
        if (carried.entry.is_audit()) audits.push_back(&carried);
    }
    if (audits.empty()) return {};
    const Answer rows =
        TRY(connection.ask("SELECT e.place, a.bytes, array_to_string(a.patients, ',') "
                           "FROM unnest($1::bigint[]) WITH ORDINALITY AS e(position, place) "
                           "JOIN meridian.audit a ON a.position = e.position ORDER BY e.place",
                           std::move(Parameters().column(
                               audits, [](const Carried* c) { return c->entry.position; }))));
    for (int row = 0; row < rows.size(); ++row) {
        const auto place = static_cast<std::size_t>(rows.integer(row, 0)) - 1;
        if (place != static_cast<std::size_t>(row))
            return no_such_audit(audits[static_cast<std::size_t>(row)]->entry.position);
        audits[place]->body = rows.bytes(row, 1);
        audits[place]->forward = rows.bytes(row, 2);
    }
    const auto found = static_cast<std::size_t>(rows.size());
    if (found != audits.size()) return no_such_audit(audits[found]->entry.position);
    return {};
}

Result<std::vector<Carried*>> read_bodies(Connection& connection, std::string_view table,
                                          const std::vector<Carried*>& wanted) {
    std::vector<Carried*> missing;
    if (wanted.empty()) return missing;
    const Answer rows = TRY(connection.ask(
        fmt::format(
            "SELECT e.place, v.body "
            "FROM unnest($1::bigint[], $2::integer[]) WITH ORDINALITY AS e(rid, version, place) "
            "JOIN meridian.{} v ON v.rid = e.rid AND v.version = e.version",
            table),
        std::move(Parameters()
                      .column(wanted, [](const Carried* c) { return c->entry.rid; })
                      .column(wanted, [](const Carried* c) {
                          return static_cast<std::int32_t>(c->entry.version);
                      }))));
    std::vector<bool> is_read(wanted.size(), false);
    for (int row = 0; row < rows.size(); ++row) {
        const auto place = static_cast<std::size_t>(rows.integer(row, 0)) - 1;
        wanted[place]->body = rows.bytes(row, 1);
        is_read[place] = true;
    }
    for (std::size_t place = 0; place < wanted.size(); ++place) {
        if (!is_read[place]) missing.push_back(wanted[place]);
    }
    return missing;
}

Result<std::vector<KnownName>> read_names(Connection& connection) {
    std::vector<KnownName> names;
    for (int kind = 0; kind <= static_cast<int>(NameKind::actor); ++kind) {
        Name after = 0;
        for (bool more = true; more;) {
            const Answer rows = TRY(connection.ask(
                "SELECT id, text FROM meridian.name WHERE kind = $1::integer AND id > $2 "
                "ORDER BY id LIMIT 10000",
                std::move(Parameters().small(kind).small(after))));
            for (int row = 0; row < rows.size(); ++row) {
                after = static_cast<Name>(rows.integer(row, 0));
                names.push_back(
                    {static_cast<NameKind>(kind), after, std::string(rows.bytes(row, 1))});
            }
            more = !rows.empty();
        }
    }
    return names;
}

Result<Rid> read_last_rid(Connection& connection) {
    // The end of the last block that was taken.
    return connection.integer(
        "SELECT (CASE WHEN is_called THEN last_value ELSE last_value - 1 END) * 4096 "
        "FROM meridian.rid_block",
        0);
}

Result<void> read_identities(Connection& connection,
                             const std::function<Result<void>(std::vector<KnownIdentity>)>& take) {
    Name type = -1;
    std::string key;
    for (;;) {
        const Answer rows = TRY(connection.ask(
            "SELECT type, key, rid FROM meridian.directory WHERE (type, key) > ($1, $2) "
            "ORDER BY type, key LIMIT $3",
            std::move(Parameters().small(type).bytes(key).integer(
                static_cast<std::int64_t>(limits::migrate_identities_at_once)))));
        if (rows.empty()) return {};
        std::vector<KnownIdentity> part;
        part.reserve(static_cast<std::size_t>(rows.size()));
        for (int row = 0; row < rows.size(); ++row) {
            part.push_back(
                {{static_cast<Name>(rows.integer(row, 0)), std::string(rows.bytes(row, 1))},
                 rows.integer(row, 2)});
        }
        type = part.back().identity.type;
        key = part.back().identity.id;
        TRY(take(std::move(part)));
    }
}

Result<Belongings> read_belongings(Connection& connection) {
    Belongings all;
    const Answer settings =
        TRY(connection.ask("SELECT key, value FROM meridian.setting WHERE key LIKE 'server/%'"));
    for (int row = 0; row < settings.size(); ++row)
        all.settings.emplace_back(settings.bytes(row, 0), settings.bytes(row, 1));
    const Answer cursors = TRY(connection.ask("SELECT view, next FROM meridian.cursor"));
    for (int row = 0; row < cursors.size(); ++row)
        all.cursors.emplace_back(cursors.bytes(row, 0), cursors.integer(row, 1));
    const Answer counts = TRY(connection.ask(
        "SELECT type, sum(resources)::bigint FROM meridian.type_count GROUP BY type"));
    for (int row = 0; row < counts.size(); ++row)
        all.counts.push_back({static_cast<Name>(counts.integer(row, 0)), counts.integer(row, 1)});
    all.private_rows = TRY(postgres::all_private_rows(connection));
    return all;
}

}  // namespace meridian::store::copy

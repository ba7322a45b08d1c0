// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/snapshot.hpp"

#include <unordered_map>

#include "store/postgres/keys.hpp"
#include "store/postgres/search.hpp"

namespace meridian::store::postgres {

namespace {

/// The columns of a Stored, of a current version `r` in the batch `b`.
#define NEWEST_COLUMNS "r.rid, r.type, r.id, r.version, b.base + r.ordinal, b.at, r.verb, r.body "

constexpr Position not_placed = std::numeric_limits<Position>::max();

/// Reads NEWEST_COLUMNS from `column` on.
Stored read_stored(const Answer& rows, int row, bool is_newest) {
    Stored stored;
    stored.rid = rows.integer(row, 0);
    stored.type = static_cast<Name>(rows.integer(row, 1));
    stored.id = rows.bytes(row, 2);
    stored.version = rows.integer(row, 3);
    stored.position = rows.is_null(row, 4) ? not_placed : rows.integer(row, 4);
    stored.updated.milliseconds = rows.integer(row, 5);
    stored.verb = static_cast<Verb>(rows.integer(row, 6));
    stored.body = rows.bytes(row, 7);
    stored.current = is_newest && stored.verb != Verb::remove;
    return stored;
}

Parameters key_parameters(const Identity& identity) {
    Parameters parameters;
    parameters.small(identity.type).bytes(byte_key_of(identity.id));
    return parameters;
}

}  // namespace

Result<std::optional<Stored>> newest_version(Connection& connection, const Identity& identity) {
    const Answer rows = TRY(
        connection.ask("SELECT " NEWEST_COLUMNS
                       "FROM meridian.directory d JOIN meridian.resource r ON r.rid = d.rid "
                       "JOIN meridian.batch b ON b.id = r.batch WHERE d.type = $1 AND d.key = $2",
                       key_parameters(identity)));
    if (rows.empty()) return std::optional<Stored>();
    return std::optional<Stored>(read_stored(rows, 0, true));
}

Result<std::unique_ptr<Snapshot>> PostgresSnapshot::begin(Pool& pool, const Dictionary& names) {
    Position position = -1;
    const auto open = [&](Connection& connection) -> Result<void> {
        connection.send("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
        // The first statement fixes what the transaction sees.
        connection.send("SELECT max(position) FROM meridian.log");
        const auto answers = TRY(connection.flush());
        position = answers[1].is_null(0, 0) ? -1 : answers[1].integer(0, 0);
        return {};
    };
    auto loan = TRY(pool.take());
    if (auto opened = open(*loan); !opened) {
        if (!loan->lost()) return std::unexpected(opened.error());
        // Lost while it was idle, and the others with it: one that is made now is not.
        pool.drop_idle();
        loan = TRY(pool.take());
        TRY(open(*loan));
    }
    std::unique_ptr<PostgresSnapshot> snapshot(new PostgresSnapshot(std::move(loan), names));
    snapshot->position_ = position;
    return snapshot;
}

Result<std::optional<Stored>> PostgresSnapshot::find(const Identity& identity) {
    return newest_version(*connection_, identity);
}

Result<std::optional<Stored>> PostgresSnapshot::find_version(const Identity& identity,
                                                             Version version) {
    Parameters parameters = key_parameters(identity);
    parameters.integer(version);
    const Answer rows = TRY(connection_->ask(
        "WITH known AS (SELECT rid FROM meridian.directory WHERE type = $1 AND key = $2) "
        "SELECT " NEWEST_COLUMNS
        ", true FROM known k JOIN meridian.resource r ON r.rid = k.rid AND r.version = $3 "
        "JOIN meridian.batch b ON b.id = r.batch "
        "UNION ALL SELECT h.rid, r.type, r.id, h.version, b.base + h.ordinal, b.at, h.verb, "
        "h.body, false FROM known k JOIN meridian.history h ON h.rid = k.rid AND h.version = $3 "
        "JOIN meridian.resource r ON r.rid = k.rid JOIN meridian.batch b ON b.id = h.batch",
        std::move(parameters)));
    if (rows.empty()) return std::optional<Stored>();
    return std::optional<Stored>(read_stored(rows, 0, rows.integer(0, 8) != 0));
}

Result<std::vector<Stored>> PostgresSnapshot::fetch(std::span<const Rid> rids) {
    std::vector<Stored> found;
    if (rids.empty()) return found;
    const Answer rows =
        TRY(connection_->ask("SELECT " NEWEST_COLUMNS
                             "FROM unnest($1::bigint[]) WITH ORDINALITY AS w(rid, place) "
                             "JOIN meridian.resource r ON r.rid = w.rid AND r.verb <> 3 "
                             "JOIN meridian.batch b ON b.id = r.batch ORDER BY w.place",
                             std::move(Parameters().integers(rids))));
    found.reserve(static_cast<std::size_t>(rows.size()));
    for (int row = 0; row < rows.size(); ++row) found.push_back(read_stored(rows, row, true));
    return found;
}

Result<Rid> PostgresSnapshot::rid_of(const Identity& identity) {
    return connection_->integer("SELECT rid FROM meridian.directory WHERE type = $1 AND key = $2",
                                0, key_parameters(identity));
}

// --- history ---

Result<Position> PostgresSnapshot::first_position_at(Instant time) {
    // Times never go back along the log, so batches lie in the same order by either.
    return connection_->integer(
        "SELECT base FROM meridian.batch WHERE at >= $1 AND base IS NOT NULL ORDER BY at, base "
        "LIMIT 1",
        position_ + 1, std::move(Parameters().integer(time.milliseconds)));
}

Result<PostgresSnapshot::Window> PostgresSnapshot::window(const HistoryScope& scope) {
    Window window{0, std::min(scope.before, position_ + 1)};
    if (scope.since) window.first = TRY(first_position_at(*scope.since));
    if (scope.at_or_before) {
        window.below = std::min(
            window.below, TRY(first_position_at(Instant{scope.at_or_before->milliseconds + 1})));
    }
    return window;
}

Result<std::vector<Stored>> PostgresSnapshot::history(const HistoryScope& scope) {
    const Window range = TRY(window(scope));
    Parameters parameters;
    parameters.integer(range.first)
        .integer(range.below)
        .integer(static_cast<std::int64_t>(scope.limit));
    std::string_view entries;
    if (!scope.id.empty()) {
        entries =
            "SELECT p.position, p.at, v.rid, v.version, r.type, r.id, v.verb, v.body, v.newest "
            "FROM meridian.directory d JOIN meridian.resource r ON r.rid = d.rid "
            "CROSS JOIN LATERAL (SELECT r.rid, r.version, r.batch, r.ordinal, r.verb, r.body, true "
            "AS newest UNION ALL SELECT h.rid, h.version, h.batch, h.ordinal, h.verb, h.body, "
            "false FROM meridian.history h WHERE h.rid = r.rid) v "
            "JOIN meridian.batch b ON b.id = v.batch "
            "CROSS JOIN LATERAL (SELECT b.base + v.ordinal AS position, b.at AS at) p "
            "WHERE d.type = $4 AND d.key = $5 AND p.position >= $1 AND p.position < $2 "
            "ORDER BY v.version DESC LIMIT $3";
        parameters.small(scope.type).bytes(byte_key_of(scope.id));
    } else if (scope.type != 0) {
        entries =
            "SELECT e.position, e.at, e.rid, e.version, e.type, e.id, e.verb, "
            "coalesce(h.body, r.body), h.rid IS NULL FROM (SELECT * FROM meridian.log "
            "WHERE type = $4 AND position >= $1 AND position < $2 ORDER BY position DESC LIMIT $3) "
            "e LEFT JOIN meridian.history h ON h.rid = e.rid AND h.version = e.version "
            "LEFT JOIN meridian.resource r ON r.rid = e.rid AND r.version = e.version "
            "ORDER BY e.position DESC";
        parameters.small(scope.type);
    } else {
        entries =
            "SELECT e.position, e.at, e.rid, e.version, e.type, e.id, e.verb, "
            "coalesce(h.body, r.body), h.rid IS NULL FROM (SELECT * FROM meridian.log "
            "WHERE kind = 0 AND position >= $1 AND position < $2 ORDER BY position DESC LIMIT $3) "
            "e LEFT JOIN meridian.history h ON h.rid = e.rid AND h.version = e.version "
            "LEFT JOIN meridian.resource r ON r.rid = e.rid AND r.version = e.version "
            "ORDER BY e.position DESC";
    }
    const Answer rows = TRY(connection_->ask(entries, std::move(parameters)));
    std::vector<Stored> found;
    for (int row = 0; row < rows.size(); ++row) {
        Stored stored;
        stored.position = rows.integer(row, 0);
        stored.updated.milliseconds = rows.integer(row, 1);
        stored.rid = rows.integer(row, 2);
        stored.version = rows.integer(row, 3);
        stored.type = static_cast<Name>(rows.integer(row, 4));
        stored.id = rows.bytes(row, 5);
        stored.verb = static_cast<Verb>(rows.integer(row, 6));
        if (rows.is_null(row, 7))
            return fail(Category::fault, fmt::format("version {} of the resource {} is missing",
                                                     stored.version, stored.rid));
        stored.body = rows.bytes(row, 7);
        stored.current = rows.integer(row, 8) != 0 && stored.verb != Verb::remove;
        found.push_back(std::move(stored));
    }
    return found;
}

Result<std::int64_t> PostgresSnapshot::history_count(const HistoryScope& scope) {
    const Window range = TRY(window(scope));
    Parameters parameters;
    parameters.integer(range.first).integer(range.below);
    if (!scope.id.empty()) {
        parameters.small(scope.type).bytes(byte_key_of(scope.id));
        return connection_->integer(
            "SELECT count(*) FROM meridian.directory d JOIN ("
            "SELECT rid, batch, ordinal FROM meridian.resource UNION ALL "
            "SELECT rid, batch, ordinal FROM meridian.history) v ON v.rid = d.rid "
            "JOIN meridian.batch b ON b.id = v.batch "
            "WHERE d.type = $3 AND d.key = $4 AND b.base + v.ordinal >= $1 "
            "AND b.base + v.ordinal < $2",
            0, std::move(parameters));
    }
    if (scope.type == 0) {
        return connection_->integer(
            "SELECT count(*) FROM meridian.log WHERE kind = 0 AND position >= $1 AND position < $2",
            0, std::move(parameters));
    }
    parameters.small(scope.type);
    return connection_->integer(
        "SELECT count(*) FROM meridian.log WHERE type = $3 AND position >= $1 AND position < $2", 0,
        std::move(parameters));
}

// --- search ---

Result<Matches> PostgresSnapshot::search(const Plan& plan) {
    return postgres::search(*connection_, plan, names_);
}
Result<std::int64_t> PostgresSnapshot::count(const Plan& plan) {
    return postgres::count(*connection_, plan, names_);
}

namespace {

std::vector<Rid> read_rids(const Answer& rows) {
    std::vector<Rid> rids;
    rids.reserve(static_cast<std::size_t>(rows.size()));
    for (int row = 0; row < rows.size(); ++row) rids.push_back(rows.integer(row, 0));
    return rids;
}

}  // namespace

Result<std::vector<Rid>> PostgresSnapshot::targets(std::span<const Rid> rids, Name param,
                                                   Name target_type) {
    return read_rids(TRY(connection_->ask(
        "SELECT DISTINCT f.target FROM meridian.idx_reference f "
        "JOIN meridian.resource t ON t.rid = f.target AND t.verb <> 3 "
        "WHERE f.rid = ANY($1::bigint[]) AND ($2 = 0 OR f.param = $2) AND ($3 = 0 OR t.type = $3) "
        "ORDER BY f.target",
        std::move(Parameters().integers(rids).small(param).small(target_type)))));
}

Result<std::vector<Rid>> PostgresSnapshot::sources(std::span<const Rid> rids, Name param,
                                                   std::size_t limit) {
    std::vector<Name> params{param};
    if (param == 0) params = names_.all(NameKind::parameter);
    auto found = read_rids(TRY(connection_->ask(
        "SELECT DISTINCT f.rid FROM meridian.idx_reference f "
        "WHERE f.param = ANY($1::integer[]) AND f.target = ANY($2::bigint[]) LIMIT $3",
        std::move(Parameters().smalls(params).integers(rids).integer(
            static_cast<std::int64_t>(limit))))));
    std::sort(found.begin(), found.end());
    return found;
}

// --- log, export, views ---

Result<std::vector<LogEntry>> PostgresSnapshot::log(Position from, std::size_t limit) {
    const Answer rows = TRY(connection_->ask(
        "SELECT position, at, kind, rid, type, id, version, verb, actor, organisation, salt, "
        "body_hash FROM meridian.log WHERE position >= $1 ORDER BY position LIMIT $2",
        std::move(Parameters().integer(from).integer(static_cast<std::int64_t>(limit)))));
    std::vector<LogEntry> entries;
    for (int row = 0; row < rows.size(); ++row) {
        LogEntry entry;
        entry.position = rows.integer(row, 0);
        entry.at.milliseconds = rows.integer(row, 1);
        entry.kind = static_cast<unsigned>(rows.integer(row, 2));
        entry.rid = rows.integer(row, 3);
        entry.type = static_cast<Name>(rows.integer(row, 4));
        entry.id = rows.bytes(row, 5);
        entry.version = rows.integer(row, 6);
        entry.verb = static_cast<Verb>(rows.integer(row, 7));
        entry.actor = static_cast<Name>(rows.integer(row, 8));
        entry.organisation = static_cast<Name>(rows.integer(row, 9));
        const std::string_view salt = rows.bytes(row, 10);
        std::memcpy(entry.salt.data(), salt.data(), std::min(salt.size(), entry.salt.size()));
        const std::string_view hash = rows.bytes(row, 11);
        std::memcpy(entry.body_hash.data(), hash.data(),
                    std::min(hash.size(), entry.body_hash.size()));
        entries.push_back(std::move(entry));
    }
    return entries;
}

Result<std::vector<Stored>> PostgresSnapshot::walk(Name type, Position at, Rid after,
                                                   std::size_t limit) {
    // Of what changed after `at`, the version that was current then; a deletion counts as none.
    constexpr std::string_view sql =
        "SELECT " NEWEST_COLUMNS
        ", h.version, h.position, h.at, h.verb, h.body FROM meridian.resource r "
        "JOIN meridian.batch b ON b.id = r.batch "
        "LEFT JOIN LATERAL (SELECT v.version, p.base + v.ordinal AS position, p.at, v.verb, v.body "
        "FROM meridian.history v JOIN meridian.batch p ON p.id = v.batch "
        "WHERE v.rid = r.rid AND p.base + v.ordinal <= $2 "
        "AND coalesce(b.base + r.ordinal > $2, true) ORDER BY v.version DESC LIMIT 1) h ON true "
        "WHERE r.type = $1 AND r.rid > $3 "
        "AND (r.verb <> 3 OR coalesce(b.base + r.ordinal > $2, true)) ORDER BY r.rid LIMIT $4";
    std::vector<Stored> found;
    while (found.size() < limit) {
        const auto wanted = static_cast<std::int64_t>(limit - found.size());
        const Answer rows = TRY(connection_->ask(
            sql, std::move(Parameters().small(type).integer(at).integer(after).integer(wanted))));
        for (int row = 0; row < rows.size(); ++row) {
            Stored stored = read_stored(rows, row, true);
            after = stored.rid;
            if (stored.position > at) {
                if (rows.is_null(row, 8)) continue;  // made later
                stored.version = rows.integer(row, 8);
                stored.position = rows.integer(row, 9);
                stored.updated.milliseconds = rows.integer(row, 10);
                stored.verb = static_cast<Verb>(rows.integer(row, 11));
                stored.body = rows.bytes(row, 12);
                stored.current = false;
            }
            if (stored.verb != Verb::remove) found.push_back(std::move(stored));
        }
        if (rows.size() < wanted) break;
    }
    return found;
}

Result<std::vector<ViewRow>> PostgresSnapshot::view(Name view, std::string_view key) {
    const Answer rows = TRY(connection_->ask(
        "SELECT value FROM meridian.view_row WHERE view = $1 AND key = $2 ORDER BY rid",
        std::move(Parameters().small(view).bytes(byte_key_of(key)))));
    std::vector<ViewRow> found;
    found.reserve(static_cast<std::size_t>(rows.size()));
    for (int row = 0; row < rows.size(); ++row)
        found.push_back({view, std::string(key), std::string(rows.bytes(row, 0))});
    return found;
}

Result<std::optional<std::int64_t>> PostgresSnapshot::next_token(Name param, std::int64_t from) {
    const Answer rows = TRY(
        connection_->ask("SELECT value FROM meridian.idx_token WHERE param = $1 AND value >= $2 "
                         "ORDER BY param, value LIMIT 1",
                         std::move(Parameters().small(param).integer(from))));
    if (rows.empty()) return std::nullopt;
    return rows.integer(0, 0);
}

Result<std::optional<std::string>> PostgresSnapshot::next_uri(Name param, std::string_view after) {
    const Answer rows = TRY(connection_->ask(
        "SELECT uri FROM meridian.idx_uri WHERE param = $1 AND uri > $2 COLLATE \"C\" "
        "ORDER BY param, uri LIMIT 1",
        std::move(Parameters().small(param).text(key_of(after)))));
    if (rows.empty()) return std::nullopt;
    return std::string(rows.bytes(0, 0));
}

Result<std::vector<TypeCount>> PostgresSnapshot::counts() {
    const Answer rows = TRY(connection_->ask(
        "SELECT type, sum(resources)::bigint FROM meridian.type_count GROUP BY type "
        "HAVING sum(resources) > 0 ORDER BY type"));
    std::vector<TypeCount> counts;
    counts.reserve(static_cast<std::size_t>(rows.size()));
    for (int row = 0; row < rows.size(); ++row)
        counts.push_back({static_cast<Name>(rows.integer(row, 0)), rows.integer(row, 1)});
    return counts;
}

}  // namespace meridian::store::postgres

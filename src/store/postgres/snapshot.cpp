// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/snapshot.hpp"

#include <unordered_map>
#include <unordered_set>

#include "store/engine/audit_rows.hpp"
#include "store/engine/relevance.hpp"
#include "store/plan_key.hpp"
#include "store/postgres/keys.hpp"
#include "store/postgres/known.hpp"
#include "store/postgres/log_rows.hpp"
#include "store/postgres/pulse.hpp"
#include "store/postgres/search.hpp"
#include "store/postgres/sequencer.hpp"

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

/// Where an identity stands; nothing when nobody has mentioned it.
Result<std::optional<Place>> place_of(Connection& connection, const Identity& identity) {
    const Answer rows =
        TRY(connection.ask("SELECT rid, home FROM meridian.directory WHERE type = $1 AND key = $2",
                           key_parameters(identity)));
    if (rows.empty()) return std::optional<Place>();
    Place place{.rid = rows.integer(0, 0)};
    if (!rows.is_null(0, 1)) place.home = rows.integer(0, 1);
    return std::optional(place);
}

}  // namespace

Result<std::optional<Stored>> newest_version(Connection& connection, const Identity& identity,
                                             const Layout& layout) {
    Answer rows;
    if (layout.is_sharded()) {
        const auto place = TRY(place_of(connection, identity));
        if (!place || !place->home) return std::optional<Stored>();
        rows =
            TRY(connection.ask("SELECT " NEWEST_COLUMNS
                               "FROM meridian.resource r JOIN meridian.batch b ON b.id = r.batch "
                               "WHERE r.rid = $1 AND r.patient = $2",
                               std::move(Parameters().integer(place->rid).integer(*place->home))));
    } else {
        rows = TRY(connection.ask(
            "SELECT " NEWEST_COLUMNS
            "FROM meridian.directory d JOIN meridian.resource r ON r.rid = d.rid "
            "JOIN meridian.batch b ON b.id = r.batch WHERE d.type = $1 AND d.key = $2",
            key_parameters(identity)));
    }
    if (rows.empty()) return std::optional<Stored>();
    return std::optional<Stored>(read_stored(rows, 0, true));
}

Result<std::unique_ptr<PostgresSnapshot>> PostgresSnapshot::begin(Pool& pool,
                                                                  const Dictionary& names,
                                                                  const Layout& layout,
                                                                  CountCache& counts,
                                                                  bool of_replica) {
    Position position = -1;
    std::int64_t beat = 0;
    const auto open = [&](Connection& connection) -> Result<void> {
        connection.send("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
        // The first statement fixes what the transaction sees.
        connection.send(last_position_sql(layout));
        if (of_replica) connection.send(Pulse::sign_sql);
        const auto answers = TRY(connection.flush());
        if (of_replica) beat = answers[2].integer(0, 0);
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
    std::unique_ptr<PostgresSnapshot> snapshot(
        new PostgresSnapshot(std::move(loan), names, layout, counts));
    snapshot->position_ = position;
    snapshot->beat_ = beat;
    return snapshot;
}

std::string PostgresSnapshot::lies_at(std::string_view alias, int number) const {
    return layout_.is_sharded() ? fmt::format(" AND {}.patient = ${}", alias, number) : "";
}
std::string PostgresSnapshot::lies_among(std::string_view alias, int number) const {
    return layout_.is_sharded() ? fmt::format(" AND {}.patient = ANY(${}::bigint[])", alias, number)
                                : "";
}

Result<std::optional<Stored>> PostgresSnapshot::find(const Identity& identity) {
    return newest_version(*connection_, identity, layout_);
}

Result<std::optional<Stored>> PostgresSnapshot::find_version(const Identity& identity,
                                                             Version version) {
    const auto place = TRY(place_of(*connection_, identity));
    if (!place) return std::optional<Stored>();
    const Answer rows = TRY(connection_->ask(
        fmt::format("SELECT b.base + v.ordinal, b.at, v.verb, v.body, v.newest FROM ("
                    "SELECT r.batch, r.ordinal, r.verb, r.body, true AS newest "
                    "FROM meridian.resource r WHERE r.rid = $1 AND r.version = $2{} UNION ALL "
                    "SELECT h.batch, h.ordinal, h.verb, h.body, false "
                    "FROM meridian.history h WHERE h.rid = $1 AND h.version = $2{}) v "
                    "JOIN meridian.batch b ON b.id = v.batch",
                    lies_at("r", 3), lies_at("h", 3)),
        std::move(Parameters()
                      .integer(place->rid)
                      .small(static_cast<std::int32_t>(version))
                      .integer(place->home.value_or(0)))));
    if (rows.empty()) return std::optional<Stored>();
    Stored stored;
    stored.rid = place->rid;
    stored.type = identity.type;
    stored.id = identity.id;
    stored.version = version;
    stored.position = rows.is_null(0, 0) ? not_placed : rows.integer(0, 0);
    stored.updated.milliseconds = rows.integer(0, 1);
    stored.verb = static_cast<Verb>(rows.integer(0, 2));
    stored.body = rows.bytes(0, 3);
    stored.current = rows.integer(0, 4) != 0 && stored.verb != Verb::remove;
    return std::optional(std::move(stored));
}

Result<std::vector<Stored>> PostgresSnapshot::fetch(std::span<const Rid> rids) {
    std::vector<Stored> found;
    if (rids.empty()) return found;
    if (layout_.is_sharded()) return fetch_in_shards(rids);
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

Result<std::vector<Stored>> PostgresSnapshot::fetch_in_shards(std::span<const Rid> rids) {
    std::vector<Rid> placed, homes, anywhere;
    for (const Rid rid : rids) {
        if (const auto home = homes_.find(rid); home != homes_.end()) {
            placed.push_back(rid);
            homes.push_back(home->second);
        } else {
            anywhere.push_back(rid);
        }
    }
    std::unordered_map<Rid, Stored> by_rid;
    const auto read = [&](const Answer& rows) {
        for (int row = 0; row < rows.size(); ++row) {
            Stored stored = read_stored(rows, row, true);
            by_rid.emplace(stored.rid, std::move(stored));
        }
    };
    if (!placed.empty())
        read(TRY(connection_->ask(
            "SELECT " NEWEST_COLUMNS
            "FROM unnest($1::bigint[], $2::bigint[]) AS w(rid, home) JOIN meridian.resource r "
            "ON r.rid = w.rid AND r.patient = w.home AND r.patient = ANY($2::bigint[]) "
            "AND r.verb <> 3 JOIN meridian.batch b ON b.id = r.batch",
            std::move(Parameters().integers(placed).integers(homes)))));
    if (!anywhere.empty())
        read(
            TRY(connection_->ask("SELECT " NEWEST_COLUMNS
                                 "FROM meridian.resource r JOIN meridian.batch b ON b.id = r.batch "
                                 "WHERE r.rid = ANY($1::bigint[]) AND r.verb <> 3",
                                 std::move(Parameters().integers(anywhere)))));
    std::vector<Stored> found;
    for (const Rid rid : rids) {
        // The same resource may be asked for twice.
        if (const auto stored = by_rid.find(rid); stored != by_rid.end())
            found.push_back(stored->second);
    }
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
    return scope.id.empty() ? history_of_many(scope, range) : history_of_one(scope, range);
}

Result<std::vector<Stored>> PostgresSnapshot::history_of_one(const HistoryScope& scope,
                                                             const Window& range) {
    std::vector<Stored> found;
    const auto place = TRY(place_of(*connection_, {scope.type, scope.id}));
    if (!place) return found;
    const Answer rows = TRY(connection_->ask(
        fmt::format("SELECT b.base + v.ordinal, b.at, v.version, v.verb, v.body, v.newest FROM ("
                    "SELECT r.version, r.batch, r.ordinal, r.verb, r.body, true AS newest "
                    "FROM meridian.resource r WHERE r.rid = $1{} UNION ALL "
                    "SELECT h.version, h.batch, h.ordinal, h.verb, h.body, false "
                    "FROM meridian.history h WHERE h.rid = $1{}) v "
                    "JOIN meridian.batch b ON b.id = v.batch "
                    "WHERE b.base + v.ordinal >= $3 AND b.base + v.ordinal < $4 "
                    "ORDER BY v.version DESC LIMIT $5",
                    lies_at("r", 2), lies_at("h", 2)),
        std::move(Parameters()
                      .integer(place->rid)
                      .integer(place->home.value_or(0))
                      .integer(range.first)
                      .integer(range.below)
                      .integer(static_cast<std::int64_t>(scope.limit)))));
    for (int row = 0; row < rows.size(); ++row) {
        Stored& stored = found.emplace_back();
        stored.position = rows.integer(row, 0);
        stored.updated.milliseconds = rows.integer(row, 1);
        stored.rid = place->rid;
        stored.version = rows.integer(row, 2);
        stored.type = scope.type;
        stored.id = scope.id;
        stored.verb = static_cast<Verb>(rows.integer(row, 3));
        stored.body = rows.bytes(row, 4);
        stored.current = rows.integer(row, 5) != 0 && stored.verb != Verb::remove;
    }
    return found;
}

namespace {

/// The types that were ever written, a look-up each. The newest versions of all types are looked
/// for type by type: of all that was written the audit may be most, and lies between the rest.
constexpr std::string_view types_in_log =
    "WITH RECURSIVE types(type) AS ("
    "SELECT (SELECT min(type) FROM meridian.log WHERE type > 0) UNION ALL "
    "SELECT (SELECT min(l.type) FROM meridian.log l WHERE l.type > t.type) "
    "FROM types t WHERE t.type IS NOT NULL) ";

}  // namespace

Result<std::vector<Stored>> PostgresSnapshot::history_of_many(const HistoryScope& scope,
                                                              const Window& range) {
    Parameters parameters;
    parameters.integer(range.first)
        .integer(range.below)
        .integer(static_cast<std::int64_t>(scope.limit));
    if (scope.type != 0) parameters.small(scope.type);
    const Answer rows = TRY(connection_->ask(
        fmt::format("{}SELECT l.* FROM {} AS t(type) CROSS JOIN LATERAL ("
                    "SELECT position, at, rid, version, type, id, verb, patient FROM meridian.log "
                    "WHERE type = t.type AND position >= $1 AND position < $2 "
                    "ORDER BY position DESC LIMIT $3) l ORDER BY l.position DESC LIMIT $3",
                    scope.type != 0 ? "" : types_in_log,
                    scope.type != 0 ? "(VALUES ($4))" : "(SELECT type FROM types)"),
        std::move(parameters)));
    std::vector<Stored> found;
    std::vector<std::size_t> places;
    std::vector<Rid> homes;
    for (int row = 0; row < rows.size(); ++row) {
        Stored& stored = found.emplace_back();
        stored.position = rows.integer(row, 0);
        stored.updated.milliseconds = rows.integer(row, 1);
        stored.rid = rows.integer(row, 2);
        stored.version = rows.integer(row, 3);
        stored.type = static_cast<Name>(rows.integer(row, 4));
        stored.id = rows.bytes(row, 5);
        stored.verb = static_cast<Verb>(rows.integer(row, 6));
        homes.push_back(rows.integer(row, 7));
        places.push_back(places.size());
    }
    auto missing =
        TRY(read_bodies(found, places, layout_.is_sharded() ? homes : std::vector<Rid>()));
    // What has moved since it was written lies elsewhere.
    if (!missing.empty() && layout_.is_sharded()) missing = TRY(read_bodies(found, missing, {}));
    if (missing.empty()) return found;
    const Stored& first = found[missing.front()];
    return fail(Category::fault,
                fmt::format("version {} of the resource {} is missing", first.version, first.rid));
}

Result<std::vector<std::size_t>> PostgresSnapshot::read_bodies(
    std::vector<Stored>& versions, const std::vector<std::size_t>& places,
    const std::vector<Rid>& homes) {
    if (places.empty()) return places;
    const bool is_placed = !homes.empty();
    const auto wanted = [&] {
        Parameters parameters;
        parameters.column(places, [&](std::size_t place) { return versions[place].rid; })
            .column(places, [&](std::size_t place) {
                return static_cast<std::int32_t>(versions[place].version);
            });
        if (is_placed) parameters.column(places, [&](std::size_t place) { return homes[place]; });
        return parameters;
    };
    for (const std::string_view table : {"resource", "history"}) {
        connection_->send(
            fmt::format(
                "SELECT w.place, v.body FROM unnest($1::bigint[], $2::integer[]{}) "
                "WITH ORDINALITY AS w(rid, version{}, place) JOIN meridian.{} v "
                "ON v.rid = w.rid AND v.version = w.version{}",
                is_placed ? ", $3::bigint[]" : "", is_placed ? ", home" : "", table,
                is_placed ? " AND v.patient = w.home AND v.patient = ANY($3::bigint[])" : ""),
            wanted());
    }
    const auto answers = TRY(connection_->flush());
    std::vector<bool> is_read(places.size());
    for (std::size_t part = 0; part < answers.size(); ++part) {
        const Answer& rows = answers[part];
        for (int row = 0; row < rows.size(); ++row) {
            const auto index = static_cast<std::size_t>(rows.integer(row, 0)) - 1;
            Stored& stored = versions[places[index]];
            stored.body = rows.bytes(row, 1);
            stored.current = part == 0 && stored.verb != Verb::remove;
            is_read[index] = true;
        }
    }
    std::vector<std::size_t> missing;
    for (std::size_t index = 0; index < places.size(); ++index) {
        if (!is_read[index]) missing.push_back(places[index]);
    }
    return missing;
}

Result<std::int64_t> PostgresSnapshot::history_count(const HistoryScope& scope) {
    const Window range = TRY(window(scope));
    Parameters parameters;
    parameters.integer(range.first).integer(range.below);
    if (!scope.id.empty()) {
        const auto place = TRY(place_of(*connection_, {scope.type, scope.id}));
        if (!place) return 0;
        parameters.integer(place->rid).integer(place->home.value_or(0));
        return connection_->integer(
            fmt::format("SELECT count(*) FROM ("
                        "SELECT r.batch, r.ordinal FROM meridian.resource r WHERE r.rid = $3{} "
                        "UNION ALL "
                        "SELECT h.batch, h.ordinal FROM meridian.history h WHERE h.rid = $3{}) v "
                        "JOIN meridian.batch b ON b.id = v.batch "
                        "WHERE b.base + v.ordinal >= $1 AND b.base + v.ordinal < $2",
                        lies_at("r", 4), lies_at("h", 4)),
            0, std::move(parameters));
    }
    if (scope.type == 0) {
        return connection_->integer(
            "SELECT count(*) FROM meridian.log WHERE type > 0 AND position >= $1 AND position < $2",
            0, std::move(parameters));
    }
    parameters.small(scope.type);
    return connection_->integer(
        "SELECT count(*) FROM meridian.log WHERE type = $3 AND position >= $1 AND position < $2", 0,
        std::move(parameters));
}

// --- search ---

Result<Matches> PostgresSnapshot::search(const Plan& plan) {
    Found found = TRY(postgres::search(*connection_, plan, names_, layout_));
    if (layout_.is_sharded()) homes_.merge(found.homes);
    return std::move(found.matches);
}
Result<std::int64_t> PostgresSnapshot::count(const Plan& plan) {
    const auto stamp = TRY(stamp_of(plan));
    if (!stamp) return postgres::count(*connection_, plan, names_, layout_);
    std::string question = fmt::format("{} {}", plan.type, condition_key(plan.where));
    if (const auto known = counts_.find(question, *stamp)) return *known;
    const std::int64_t count = TRY(postgres::count(*connection_, plan, names_, layout_));
    counts_.keep(std::move(question), *stamp, count);
    return count;
}

Result<std::optional<std::vector<Position>>> PostgresSnapshot::stamp_of(const Plan& plan) {
    std::optional<std::vector<Position>> stamp;
    const auto types = types_looked_at(plan);
    if (!types) return stamp;
    // What waits for its position shows already, and the log does not tell of it. Rows made anew by
    // a reindex have no entry in the log, but a generation.
    const Answer rows = TRY(connection_->ask(
        "SELECT EXISTS (SELECT FROM meridian.log_waiting WHERE kind = 0), coalesce((SELECT "
        "('x' || encode(value, 'hex'))::bit(64)::bigint FROM meridian.setting "
        "WHERE key = 'index_generation'), 0), coalesce((SELECT max(l.position) FROM meridian.log l "
        "WHERE l.type = w.type AND l.position <= $2), -1) FROM unnest($1::integer[]) AS w(type)",
        std::move(Parameters().smalls(*types).integer(position_))));
    stamp.emplace();
    for (int row = 0; row < rows.size(); ++row) {
        if (rows.integer(row, 0) != 0) return std::optional<std::vector<Position>>();
        if (row == 0) stamp->push_back(rows.integer(row, 1));
        stamp->push_back(rows.integer(row, 2));
    }
    return stamp;
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
    if (layout_.is_sharded()) return targets_in_shards(rids, param, target_type);
    return read_rids(TRY(connection_->ask(
        "SELECT DISTINCT f.target FROM meridian.idx_reference f "
        "JOIN meridian.resource t ON t.rid = f.target AND t.verb <> 3 "
        "WHERE f.rid = ANY($1::bigint[]) AND ($2 = 0 OR f.param = $2) AND ($3 = 0 OR t.type = $3) "
        "ORDER BY f.target",
        std::move(Parameters().integers(rids).small(param).small(target_type)))));
}

Result<std::vector<Rid>> PostgresSnapshot::targets_in_shards(std::span<const Rid> rids, Name param,
                                                             Name target_type) {
    std::vector<Rid> homes;
    for (const Rid rid : rids) {
        if (const auto home = homes_.find(rid); home != homes_.end()) homes.push_back(home->second);
    }
    const bool are_placed = homes.size() == rids.size();
    std::vector<Rid> wanted = read_rids(TRY(connection_->ask(
        fmt::format("SELECT DISTINCT f.target FROM meridian.idx_reference f "
                    "WHERE f.rid = ANY($1::bigint[]) AND ($2 = 0 OR f.param = $2){}",
                    are_placed ? lies_among("f", 3) : ""),
        std::move(Parameters().integers(rids).small(param).integers(homes)))));
    std::vector<Rid> found;
    const auto look = [&](const std::vector<Rid>& places) -> Result<void> {
        if (wanted.empty()) return {};
        const Answer rows =
            TRY(connection_->ask("SELECT t.rid, t.patient, t.type, t.verb FROM meridian.resource t "
                                 "WHERE t.rid = ANY($1::bigint[])" +
                                     (places.empty() ? "" : lies_among("t", 2)),
                                 std::move(Parameters().integers(wanted).integers(places))));
        std::unordered_set<Rid> seen;
        for (int row = 0; row < rows.size(); ++row) {
            const Rid rid = rows.integer(row, 0);
            seen.insert(rid);
            homes_[rid] = rows.integer(row, 1);
            const bool is_current = rows.integer(row, 3) != static_cast<int>(Verb::remove);
            if (is_current && (target_type == 0 || rows.integer(row, 2) == target_type))
                found.push_back(rid);
        }
        std::erase_if(wanted, [&](Rid rid) { return seen.contains(rid); });
        return {};
    };
    // What is referred to mostly lies with the same patient or with none, or is another patient,
    // who lies with itself.
    constexpr Rid nobody = 0;
    homes.push_back(nobody);
    TRY(look(homes));
    TRY(look(std::vector(wanted)));
    TRY(look({}));
    std::sort(found.begin(), found.end());
    return found;
}

Result<std::vector<Rid>> PostgresSnapshot::sources(std::span<const Rid> rids, Name param,
                                                   std::size_t limit) {
    std::vector<Name> params{param};
    if (param == 0) params = names_.all(NameKind::parameter);
    const Answer rows = TRY(connection_->ask(
        "SELECT DISTINCT f.rid, f.patient FROM meridian.idx_reference f "
        "WHERE f.param = ANY($1::integer[]) AND f.target = ANY($2::bigint[]) LIMIT $3",
        std::move(
            Parameters().smalls(params).integers(rids).integer(static_cast<std::int64_t>(limit)))));
    std::vector<Rid> found = read_rids(rows);
    if (layout_.is_sharded()) {
        for (int row = 0; row < rows.size(); ++row)
            homes_[rows.integer(row, 0)] = rows.integer(row, 1);
    }
    std::sort(found.begin(), found.end());
    return found;
}

// --- log, export, views ---

Result<std::vector<LogEntry>> PostgresSnapshot::log(Position from, std::size_t limit) {
    const Answer rows =
        TRY(connection_->ask("SELECT " MERIDIAN_LOG_COLUMNS " FROM meridian.log "
                             "WHERE position >= $1 AND position <= $3 ORDER BY position LIMIT $2",
                             std::move(Parameters()
                                           .integer(from)
                                           .integer(static_cast<std::int64_t>(limit))
                                           .integer(position_))));
    std::vector<LogEntry> entries;
    for (int row = 0; row < rows.size(); ++row) entries.push_back(read_log_entry(rows, row));
    return entries;
}

Result<std::vector<KeptAudit>> PostgresSnapshot::audit(const AuditQuery& scope) {
    std::vector<KeptAudit> found;
    const auto take = [&](std::string_view tables, std::string_view key,
                          std::int64_t patient) -> Result<void> {
        const Answer rows = TRY(connection_->ask(
            fmt::format("SELECT " MERIDIAN_LOG_COLUMNS_OF_AUDIT
                        ", a.bytes FROM {0} JOIN meridian.log l ON l.position = a.position "
                        "WHERE {1} AND a.position >= $2 AND a.position < $3{2} "
                        "ORDER BY {3}.position DESC LIMIT $5",
                        tables, key, scope.actor ? " AND a.actor = $4" : " AND $4 = 0",
                        patient == 0 ? "a" : "p"),
            std::move(Parameters()
                          .integer(patient)
                          .integer(scope.from)
                          .integer(std::min(scope.before, position_ + 1))
                          .small(scope.actor.value_or(0))
                          .integer(static_cast<std::int64_t>(scope.limit)))));
        for (int row = 0; row < rows.size(); ++row)
            found.push_back({read_log_entry(rows, row), std::string(rows.bytes(row, 12))});
        return {};
    };
    if (!scope.patients) {
        TRY(take("meridian.audit a", "$1 = 0", 0));
        return found;
    }
    for (const Identity& patient : *scope.patients) {
        if (const Rid rid = TRY(rid_of(patient)); rid != 0)
            TRY(take("meridian.audit_patient p JOIN meridian.audit a ON a.position = p.position",
                     "p.patient = $1", rid));
    }
    merge_newest(found, scope.limit);
    return found;
}

Result<std::vector<Stored>> PostgresSnapshot::walk(Name type, Position at, Rid after,
                                                   std::size_t limit) {
    // A deletion after `at` counts: something may have been current before it.
    constexpr std::string_view sql =
        "SELECT " NEWEST_COLUMNS
        ", r.patient FROM meridian.resource r JOIN meridian.batch b ON b.id = r.batch "
        "WHERE r.type = $1 AND r.rid > $3 "
        "AND (r.verb <> 3 OR coalesce(b.base + r.ordinal > $2, true)) ORDER BY r.rid LIMIT $4";
    std::vector<Stored> found;
    while (found.size() < limit) {
        const auto wanted = static_cast<std::int64_t>(limit - found.size());
        const Answer rows = TRY(connection_->ask(
            sql, std::move(Parameters().small(type).integer(at).integer(after).integer(wanted))));
        std::vector<Stored> page;
        std::vector<Rid> homes;
        for (int row = 0; row < rows.size(); ++row) {
            page.push_back(read_stored(rows, row, true));
            homes.push_back(rows.integer(row, 8));
        }
        TRY(turn_back(page, homes, at));
        if (rows.size() > 0) after = rows.integer(rows.size() - 1, 0);
        for (Stored& stored : page) {
            // What was made later has no version then.
            if (stored.position <= at && stored.verb != Verb::remove)
                found.push_back(std::move(stored));
        }
        if (rows.size() < wanted) break;
    }
    return found;
}

Result<void> PostgresSnapshot::turn_back(std::vector<Stored>& page, const std::vector<Rid>& homes,
                                         Position at) {
    std::unordered_map<Rid, Stored*> later;
    std::vector<Rid> rids, where;
    for (std::size_t i = 0; i < page.size(); ++i) {
        if (page[i].position <= at) continue;
        later[page[i].rid] = &page[i];
        rids.push_back(page[i].rid);
        where.push_back(homes[i]);
    }
    if (rids.empty()) return {};
    const Answer rows = TRY(connection_->ask(
        fmt::format(
            "SELECT DISTINCT ON (h.rid) h.rid, h.version, b.base + h.ordinal, b.at, "
            "h.verb, h.body FROM meridian.history h JOIN meridian.batch b ON b.id = h.batch "
            "WHERE h.rid = ANY($1::bigint[]) AND b.base + h.ordinal <= $3{} "
            "ORDER BY h.rid, h.version DESC",
            lies_among("h", 2)),
        std::move(Parameters().integers(rids).integers(where).integer(at))));
    for (int row = 0; row < rows.size(); ++row) {
        Stored& stored = *later.at(rows.integer(row, 0));
        stored.version = rows.integer(row, 1);
        stored.position = rows.integer(row, 2);
        stored.updated.milliseconds = rows.integer(row, 3);
        stored.verb = static_cast<Verb>(rows.integer(row, 4));
        stored.body = rows.bytes(row, 5);
        stored.current = false;
    }
    return {};
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

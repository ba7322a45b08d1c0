// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/readers.hpp"

#include "base/limits.hpp"
#include "store/engine/audit_rows.hpp"
#include "store/engine/forward.hpp"
#include "store/engine/forward_view.hpp"
#include "store/engine/relevance.hpp"
#include "store/plan_key.hpp"
#include "store/sqlite/log_rows.hpp"
#include "store/sqlite/search.hpp"

namespace meridian::store::sqlite {

namespace {

constexpr std::string_view find_newest =
    "SELECT r.rid, r.type, r.id, r.version, r.position, r.updated, r.verb, r.body FROM directory d "
    "JOIN resource r ON r.rid = d.rid "
    "WHERE d.type = ? AND d.id = ?";
constexpr std::string_view newest_of_rid =
    "SELECT rid, type, id, version, position, updated, verb, body FROM resource WHERE rid = ?";

Stored read_newest(const Statement& row) {
    Stored stored;
    stored.rid = row.integer(0);
    stored.type = static_cast<Name>(row.integer(1));
    stored.id = row.text(2);
    stored.version = row.integer(3);
    stored.position = row.integer(4);
    stored.updated.milliseconds = row.integer(5);
    stored.verb = static_cast<Verb>(row.integer(6));
    stored.body = row.blob(7);
    stored.current = stored.verb != Verb::remove;
    return stored;
}

Result<std::optional<Stored>> newest_version(Database& database, const Identity& identity) {
    auto row = TRY(database.prepare(find_newest));
    row.bind_all(identity.type, identity.id);
    if (!TRY(row.step())) return std::optional<Stored>();
    return std::optional<Stored>(read_newest(row));
}

/// A row of history: version, position, updated, verb, body.
Stored read_past(const Statement& row, Rid rid, Name type, std::string_view id) {
    Stored stored;
    stored.rid = rid;
    stored.type = type;
    stored.id = id;
    stored.version = row.integer(0);
    stored.position = row.integer(1);
    stored.updated.milliseconds = row.integer(2);
    stored.verb = static_cast<Verb>(row.integer(3));
    stored.body = row.blob(4);
    return stored;
}

}  // namespace

// --- connections ---

Result<std::unique_ptr<Database>> Readers::take() {
    {
        const std::lock_guard lock(mutex_);
        if (in_use_ >= limits::snapshots_max) {
            return fail(Category::unavailable,
                        "too many snapshots of the store are open at the same time "
                        "(limits::snapshots_max)");
        }
        ++in_use_;
        if (!idle_.empty()) {
            auto database = std::move(idle_.back());
            idle_.pop_back();
            return database;
        }
    }
    auto database = Database::open(path_, options_);
    if (!database) {
        const std::lock_guard lock(mutex_);
        --in_use_;
    }
    return database;
}

void Readers::give_back(std::unique_ptr<Database> database) {
    const std::lock_guard lock(mutex_);
    --in_use_;
    if (database && idle_.size() < limits::snapshots_idle_max) idle_.push_back(std::move(database));
}

Result<std::optional<Stored>> Readers::find(const Identity& identity) {
    auto database = TRY(take());
    auto found = newest_version(*database, identity);
    give_back(std::move(database));
    return found;
}

// --- one snapshot ---

Result<std::unique_ptr<Snapshot>> SqliteSnapshot::begin(Readers& readers, const Dictionary& names) {
    // Taken first: a TRY that returns from within the new-expression would lose its memory.
    auto database = TRY(readers.take());
    std::unique_ptr<SqliteSnapshot> snapshot(
        new SqliteSnapshot(readers, names, std::move(database)));
    TRY(snapshot->database_->run("BEGIN"));
    // BEGIN alone reads nothing; the first SELECT fixes what the transaction sees.
    snapshot->position_ = TRY(snapshot->database_->integer("SELECT max(position) FROM log", -1));
    return snapshot;
}

SqliteSnapshot::~SqliteSnapshot() {
    // A connection whose transaction cannot be ended is not used again.
    if (!database_->in_autocommit() && !database_->run("COMMIT")) database_.reset();
    readers_.give_back(std::move(database_));
}

Result<std::optional<Stored>> SqliteSnapshot::find(const Identity& identity) {
    return newest_version(*database_, identity);
}

Result<std::optional<Stored>> SqliteSnapshot::find_version(const Identity& identity,
                                                           Version version) {
    const Rid rid = TRY(rid_of(identity));
    if (rid == 0) return std::optional<Stored>();
    return version_of(rid, identity.type, identity.id, version);
}

Result<std::optional<Stored>> SqliteSnapshot::version_of(Rid rid, Name type, std::string_view id,
                                                         Version version) {
    auto past =
        TRY(database_->prepare("SELECT version, position, updated, verb, body FROM history WHERE "
                               "rid = ? AND version = ?"));
    past.bind_all(rid, version);
    if (TRY(past.step())) return std::optional<Stored>(read_past(past, rid, type, id));
    auto newest = TRY(database_->prepare(newest_of_rid));
    newest.bind(1, rid);
    if (!TRY(newest.step()) || newest.integer(3) != version) return std::optional<Stored>();
    return std::optional<Stored>(read_newest(newest));
}

Result<std::vector<Stored>> SqliteSnapshot::fetch(std::span<const Rid> rids) {
    std::vector<Stored> found;
    found.reserve(rids.size());
    auto row = TRY(database_->prepare(newest_of_rid));
    for (const Rid rid : rids) {
        row.bind(1, rid);
        if (TRY(row.step()) && static_cast<Verb>(row.integer(6)) != Verb::remove)
            found.push_back(read_newest(row));
        row.reset();
    }
    return found;
}

Result<Rid> SqliteSnapshot::rid_of(const Identity& identity) {
    return database_->integer("SELECT rid FROM directory WHERE type = ? AND id = ?", 0,
                              identity.type, identity.id);
}

// --- history ---

Result<Position> SqliteSnapshot::first_position_at(Instant time) {
    // Times never go back along the log, so the first entry at or after `time` is found by halving.
    Position low = 0;
    Position high = position_ + 1;
    while (low < high) {
        const Position middle = low + (high - low) / 2;
        const std::int64_t at =
            TRY(database_->integer("SELECT at FROM log WHERE position = ?", 0, middle));
        if (at < time.milliseconds)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

Result<SqliteSnapshot::Window> SqliteSnapshot::window(const HistoryScope& scope) {
    Window window{0, std::min(scope.before, position_ + 1)};
    if (scope.since) window.first = TRY(first_position_at(*scope.since));
    if (scope.at_or_before) {
        window.below = std::min(
            window.below, TRY(first_position_at(Instant{scope.at_or_before->milliseconds + 1})));
    }
    return window;
}

Result<std::vector<Stored>> SqliteSnapshot::instance_history(const HistoryScope& scope,
                                                             const Window& window) {
    std::vector<Stored> found;
    const auto newest = TRY(find({scope.type, scope.id}));
    if (!newest) return found;
    if (newest->position >= window.first && newest->position < window.below)
        found.push_back(*newest);
    auto past = TRY(database_->prepare(
        "SELECT version, position, updated, verb, body FROM history WHERE rid = ? "
        "ORDER BY version DESC"));
    past.bind(1, newest->rid);
    while (found.size() < scope.limit && TRY(past.step())) {
        if (past.integer(1) >= window.below) continue;
        if (past.integer(1) < window.first) break;
        found.push_back(read_past(past, newest->rid, scope.type, scope.id));
    }
    return found;
}

Result<std::vector<SqliteSnapshot::Place>> SqliteSnapshot::newest_entries(const HistoryScope& scope,
                                                                          const Window& range) {
    // Type by type: of all that was written the audit may be most, and lies between the rest.
    std::vector<Name> types;
    if (scope.type != 0) types.push_back(scope.type);
    for (std::int64_t type = 0; scope.type == 0;) {
        type = TRY(database_->integer("SELECT min(type) FROM log WHERE type > ?", 0, type));
        if (type == 0) break;
        types.push_back(static_cast<Name>(type));
    }
    std::vector<Place> places;
    for (const Name type : types) {
        auto entries = TRY(database_->prepare(
            "SELECT position, rid, version FROM log INDEXED BY log_type WHERE type = ? AND "
            "position >= ? AND position < ? ORDER BY position DESC LIMIT ?"));
        entries.bind_all(type, range.first, range.below, scope.limit);
        while (TRY(entries.step()))
            places.push_back({entries.integer(0), entries.integer(1), entries.integer(2)});
    }
    std::ranges::sort(places, std::greater(), &Place::position);
    if (places.size() > scope.limit) places.resize(scope.limit);
    return places;
}

Result<std::vector<Stored>> SqliteSnapshot::history(const HistoryScope& scope) {
    const Window range = TRY(window(scope));
    if (!scope.id.empty()) return instance_history(scope, range);
    std::vector<Stored> found;
    for (const auto& [position, rid, version_number] : TRY(newest_entries(scope, range))) {
        auto names = TRY(database_->prepare("SELECT type, id FROM resource WHERE rid = ?"));
        names.bind(1, rid);
        if (!TRY(names.step()))
            return fail(Category::fault,
                        fmt::format("the log names the resource {} that is not there", rid));
        auto version = TRY(
            version_of(rid, static_cast<Name>(names.integer(0)), names.text(1), version_number));
        if (!version) {
            return fail(Category::fault, fmt::format("version {} of the resource {} is missing",
                                                     version_number, rid));
        }
        found.push_back(std::move(*version));
    }
    return found;
}

Result<std::int64_t> SqliteSnapshot::history_count(const HistoryScope& scope) {
    const Window range = TRY(window(scope));
    if (!scope.id.empty()) {
        const Rid rid = TRY(rid_of({scope.type, scope.id}));
        return database_->integer(
            "SELECT (SELECT count(*) FROM history WHERE rid = ?1 AND position >= ?2 AND position < "
            "?3) + "
            "(SELECT count(*) FROM resource WHERE rid = ?1 AND position >= ?2 AND position < ?3)",
            0, rid, range.first, range.below);
    }
    if (scope.type == 0) {
        // Positions are dense, and so are the numbers of the audit entries among them.
        const std::int64_t entries = std::max<std::int64_t>(range.below - range.first, 0);
        if (entries == 0) return 0;
        return entries - TRY(audits_below(range.below)) + TRY(audits_below(range.first));
    }
    return database_->integer(
        "SELECT count(*) FROM log WHERE type = ? AND position >= ? AND position < ?", 0, scope.type,
        range.first, range.below);
}

// --- search ---

Result<Matches> SqliteSnapshot::search(const Plan& plan) {
    return sqlite::search(*database_, plan, names_);
}
Result<std::int64_t> SqliteSnapshot::count(const Plan& plan) {
    // A count changes only with what it looks at: then it is known by the last log entries of those
    // types. Rows made anew by a reindex have no entry in the log, but a generation.
    constexpr std::uint64_t worth_keeping = 500;  // steps, or rows
    std::vector<Position> stamp;
    std::string question;
    if (const auto types = types_looked_at(plan)) {
        stamp.push_back(
            TRY(database_->integer("SELECT value FROM setting WHERE key = 'index_generation'", 0)));
        for (const Name type : *types) {
            stamp.push_back(TRY(database_->integer(
                "SELECT max(position) FROM log INDEXED BY log_type WHERE type = ?", -1, type)));
        }
        question = fmt::format("{} {}", plan.type, condition_key(plan.where));
        if (const auto known = readers_.counts().find(question, stamp)) return *known;
    }
    SearchCost cost;
    const std::int64_t count = TRY(sqlite::count(*database_, plan, names_, &cost));
    const std::uint64_t effort = std::max(cost.work, static_cast<std::uint64_t>(count));
    // What a caller's rights are asked for is counted anew: whether a count is remembered depends
    // on when others wrote.
    if (!stamp.empty() && effort >= worth_keeping && !cost.by_rights)
        readers_.counts().keep(std::move(question), std::move(stamp), count);
    return count;
}

Result<std::vector<Rid>> SqliteSnapshot::targets(std::span<const Rid> rids, Name param,
                                                 Name target_type) {
    std::vector<Rid> found;
    auto forward = TRY(database_->prepare("SELECT rows FROM forward WHERE rid = ?"));
    for (const Rid rid : rids) {
        forward.bind(1, rid);
        if (TRY(forward.step())) {
            const ForwardView rows(forward.blob(0));
            ReferenceWalker row = rows.references();
            while (row.next()) {
                if (param == 0 || row.param == param) found.push_back(row.target);
            }
            if (rows.damaged() || row.in.damaged()) TRY(unpack(forward.blob(0)));
        }
        forward.reset();
    }
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    // Only what is current now, and of the wanted type.
    auto check = TRY(database_->prepare("SELECT type, verb FROM resource WHERE rid = ?"));
    std::vector<Rid> current;
    for (const Rid rid : found) {
        check.bind(1, rid);
        const bool there = TRY(check.step()) && static_cast<Verb>(check.integer(1)) != Verb::remove;
        if (there && (target_type == 0 || check.integer(0) == target_type)) current.push_back(rid);
        check.reset();
    }
    return current;
}

Result<std::vector<Rid>> SqliteSnapshot::sources(std::span<const Rid> rids, Name param,
                                                 std::size_t limit) {
    std::vector<Name> params{param};
    if (param == 0) params = names_.all(NameKind::parameter);
    std::vector<Rid> found;
    std::unordered_set<Rid> seen;
    auto rows =
        TRY(database_->prepare("SELECT rid FROM idx_reference WHERE param = ? AND target = ?"));
    for (const Name each : params) {
        for (const Rid target : rids) {
            rows.bind_all(each, target);
            while (found.size() < limit && TRY(rows.step())) {
                if (seen.insert(rows.integer(0)).second) found.push_back(rows.integer(0));
            }
            rows.reset();
        }
    }
    std::sort(found.begin(), found.end());
    return found;
}

// --- log, export, views ---

Result<std::vector<LogEntry>> SqliteSnapshot::log(Position from, std::size_t limit) {
    auto row = TRY(database_->prepare("SELECT " MERIDIAN_LOG_COLUMNS_OF_JOIN
                                      " FROM log l LEFT JOIN resource r ON r.rid = l.rid "
                                      "WHERE l.position >= ? ORDER BY l.position LIMIT ?"));
    row.bind_all(from, limit);
    std::vector<LogEntry> entries;
    while (TRY(row.step())) entries.push_back(read_log_entry(row));
    return entries;
}

Result<std::int64_t> SqliteSnapshot::audits_below(Position position) {
    return TRY(database_->integer(
               "SELECT number FROM audit WHERE position < ? ORDER BY position DESC LIMIT 1", -1,
               position)) +
           1;
}

Result<std::vector<KeptAudit>> SqliteSnapshot::audit(const AuditQuery& scope) {
    const Position below = std::min(scope.before, position_ + 1);
    const Name anybody = -1;
    std::vector<KeptAudit> found;
    const auto take = [&](std::string_view sql, std::int64_t key) -> Result<void> {
        auto row = TRY(database_->prepare(sql));
        row.bind_all(key, scope.from, below, scope.actor.value_or(anybody), scope.limit);
        while (TRY(row.step())) found.push_back({read_log_entry(row), std::string(row.blob(12))});
        return {};
    };
    constexpr std::string_view all =
        "SELECT " MERIDIAN_LOG_COLUMNS_OF_AUDIT
        ", a.bytes FROM audit a JOIN log l ON l.position = a.position WHERE ?1 = 0 AND "
        "a.position >= ?2 AND a.position < ?3 AND (?4 = -1 OR a.actor = ?4) "
        "ORDER BY a.position DESC LIMIT ?5";
    constexpr std::string_view of_actor =
        "SELECT " MERIDIAN_LOG_COLUMNS_OF_AUDIT
        ", a.bytes FROM audit a INDEXED BY audit_actor JOIN log l ON l.position = a.position "
        "WHERE ?1 = 0 AND a.actor = ?4 AND a.position >= ?2 AND a.position < ?3 "
        "ORDER BY a.position DESC LIMIT ?5";
    constexpr std::string_view of_patient =
        "SELECT " MERIDIAN_LOG_COLUMNS_OF_AUDIT
        ", a.bytes FROM audit_patient p CROSS JOIN audit a ON a.position = p.position "
        "JOIN log l ON l.position = a.position WHERE p.patient = ?1 AND p.position >= ?2 AND "
        "p.position < ?3 AND (?4 = -1 OR a.actor = ?4) ORDER BY p.position DESC LIMIT ?5";
    if (!scope.patients) {
        TRY(take(scope.actor ? of_actor : all, 0));
        return found;
    }
    std::vector<Rid> patients;
    for (const Identity& patient : *scope.patients) {
        if (const Rid rid = TRY(rid_of(patient)); rid != 0) patients.push_back(rid);
    }
    for (const Rid rid : patients) TRY(take(of_patient, rid));
    TRY(add_unindexed(scope, patients, below, found));
    merge_newest(found, scope.limit);
    return found;
}

Result<void> SqliteSnapshot::add_unindexed(const AuditQuery& scope, std::span<const Rid> patients,
                                           Position below, std::vector<KeptAudit>& found) {
    const Position from = std::max(scope.from, TRY(AuditIndex::indexed_below(*database_)));
    if (from >= below) return {};
    const UnindexedAudits* const unindexed = readers_.unindexed_audits();
    auto known = unindexed != nullptr ? unindexed->find(patients, from) : std::nullopt;
    std::vector<Position> positions =
        known ? *std::move(known) : TRY(scan_audits(patients, from, below));
    std::erase_if(positions, [below](Position position) { return position >= below; });
    std::sort(positions.begin(), positions.end(), std::greater());
    // An entry may concern several of them.
    positions.erase(std::unique(positions.begin(), positions.end()), positions.end());
    auto row = TRY(database_->prepare("SELECT " MERIDIAN_LOG_COLUMNS_OF_AUDIT
                                      ", a.bytes FROM audit a JOIN log l ON l.position = "
                                      "a.position WHERE a.position = ?1 AND "
                                      "(?2 = -1 OR a.actor = ?2)"));
    std::size_t count = 0;
    for (const Position position : positions) {
        if (count == scope.limit) break;
        row.bind_all(position, scope.actor.value_or(Name{-1}));
        if (TRY(row.step())) {
            found.push_back({read_log_entry(row), std::string(row.blob(12))});
            ++count;
        }
        row.reset();
    }
    return {};
}

/// Where another process writes, or this snapshot is older than what is kept in memory.
Result<std::vector<Position>> SqliteSnapshot::scan_audits(std::span<const Rid> patients,
                                                          Position from, Position below) {
    const std::unordered_set<Rid> wanted(patients.begin(), patients.end());
    std::vector<Position> found;
    auto row = TRY(database_->prepare(
        "SELECT position, patients FROM audit WHERE position >= ? AND position < ?"));
    row.bind_all(from, below);
    while (TRY(row.step())) {
        const auto all = TRY(parse_rid_list(row.text(1)));
        const auto is_wanted = [&](Rid patient) { return wanted.contains(patient); };
        if (std::any_of(all.begin(), all.end(), is_wanted)) found.push_back(row.integer(0));
    }
    return found;
}

Result<std::optional<Stored>> SqliteSnapshot::version_at(const Stored& newest, Position at) {
    auto past =
        TRY(database_->prepare("SELECT version, position, updated, verb, body FROM history WHERE "
                               "rid = ? AND position <= ? "
                               "ORDER BY version DESC LIMIT 1"));
    past.bind_all(newest.rid, at);
    if (!TRY(past.step()) || static_cast<Verb>(past.integer(3)) == Verb::remove)
        return std::optional<Stored>();
    return std::optional<Stored>(read_past(past, newest.rid, newest.type, newest.id));
}

Result<std::vector<Stored>> SqliteSnapshot::walk(Name type, Position at, Rid after,
                                                 std::size_t limit) {
    // Two streams in rid order: what is current now, and what has been deleted since `at`. Each
    // uses an index of its own.
    auto living = TRY(database_->prepare(
        "SELECT rid, type, id, version, position, updated, verb, body FROM resource "
        "WHERE type = ? AND verb <> 3 AND rid > ? ORDER BY rid"));
    auto deleted = TRY(database_->prepare(
        "SELECT rid, type, id, version, position, updated, verb, body FROM resource "
        "WHERE type = ? AND verb = 3 AND rid > ? AND position > ? ORDER BY rid"));
    living.bind_all(type, after);
    deleted.bind_all(type, after, at);
    bool has_living = TRY(living.step());
    bool has_deleted = TRY(deleted.step());
    std::vector<Stored> found;
    while (found.size() < limit && (has_living || has_deleted)) {
        const bool from_living =
            has_living && (!has_deleted || living.integer(0) < deleted.integer(0));
        Stored newest = read_newest(from_living ? living : deleted);
        if (newest.position <= at) {
            found.push_back(std::move(newest));
        } else if (auto version = TRY(version_at(newest, at))) {
            found.push_back(std::move(*version));
        }
        if (from_living)
            has_living = TRY(living.step());
        else
            has_deleted = TRY(deleted.step());
    }
    return found;
}

Result<std::vector<ViewRow>> SqliteSnapshot::view(Name view, std::string_view key) {
    auto row =
        TRY(database_->prepare("SELECT key, value FROM view_row WHERE view = ? AND key = ?"));
    row.bind_all(view, key);
    std::vector<ViewRow> rows;
    while (TRY(row.step()))
        rows.push_back({view, std::string(row.text(0)), std::string(row.blob(1))});
    return rows;
}

Result<std::optional<std::int64_t>> SqliteSnapshot::next_token(Name param, std::int64_t from) {
    auto row = TRY(database_->prepare(
        "SELECT value FROM idx_token WHERE param = ? AND value >= ? ORDER BY value LIMIT 1"));
    row.bind_all(param, from);
    if (!TRY(row.step())) return std::nullopt;
    return row.integer(0);
}

Result<std::optional<std::string>> SqliteSnapshot::next_uri(Name param, std::string_view after) {
    auto row = TRY(database_->prepare(
        "SELECT uri FROM idx_uri WHERE param = ? AND uri > ? ORDER BY uri LIMIT 1"));
    row.bind_all(param, after);
    if (!TRY(row.step())) return std::nullopt;
    return std::string(row.text(0));
}

Result<std::vector<TypeCount>> SqliteSnapshot::counts() {
    auto row = TRY(database_->prepare(
        "SELECT type, resources FROM type_count WHERE resources > 0 ORDER BY type"));
    std::vector<TypeCount> counts;
    while (TRY(row.step())) counts.push_back({static_cast<Name>(row.integer(0)), row.integer(1)});
    return counts;
}

}  // namespace meridian::store::sqlite

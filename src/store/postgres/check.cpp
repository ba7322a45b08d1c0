// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/check.hpp"

#include <map>
#include <set>

#include "base/limits.hpp"
#include "store/engine/findings.hpp"
#include "store/engine/unfinished.hpp"
#include "store/postgres/check_rows.hpp"
#include "store/postgres/dictionary.hpp"
#include "store/postgres/frozen_names.hpp"
#include "store/postgres/keys.hpp"
#include "store/postgres/migrations.hpp"
#include "store/sqlite/blobs.hpp"
#include "store/sqlite/folder.hpp"

namespace meridian::store::postgres {

namespace {

constexpr auto rows_at_once = static_cast<std::int64_t>(limits::check_rows_at_once);

/// Versions that have no position yet lie behind the log, in the order of their batches.
constexpr Position waiting_from = Position{1} << 61;
constexpr int waiting_ordinal_bits = 20;

/// Where a version stands, as its row says.
struct Place {
    std::int64_t batch;
    std::int64_t ordinal;
    Position position;  ///< -1: its batch is not there
    bool is_waiting;
};

/// Reads "batch, ordinal, b.base, b.at, b.id IS NULL" from `column` on.
Place read_place(const Answer& rows, int row, int column) {
    Place place{rows.integer(row, column), rows.integer(row, column + 1), -1, false};
    if (rows.integer(row, column + 4) != 0) return place;
    place.is_waiting = rows.is_null(row, column + 2);
    place.position = place.is_waiting
                         ? waiting_from + (place.batch << waiting_ordinal_bits) + place.ordinal
                         : rows.integer(row, column + 2) + place.ordinal;
    return place;
}

/// One check of one store, in one read transaction.
class Checker {
 public:
    Checker(Connection& connection, const Layout& layout, FrozenNames& names,
            const BodyReader& reader, const CheckOptions& options, CheckReport& report)
        : connection_(connection),
          layout_(layout),
          names_(names),
          reader_(reader),
          report_(report),
          findings_(report, options, names),
          rows_(connection, names, reader, findings_) {}

    Result<void> run() {
        TRY(connection_.ask("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"));
        TRY(check_log());
        TRY(check_batches());
        TRY(check_history());
        TRY(check_resources());
        TRY(check_directory());
        TRY(rows_.check_keys());
        TRY(check_counts());
        TRY(connection_.ask("COMMIT"));
        return {};
    }

 private:
    /// A version with the place where its entry stands.
    struct Version {
        Stored stored;
        Place place;
        Rid home = 0;
    };
    /// The newest version of a resource, for the checks of older ones.
    struct Newest {
        Name type;
        std::string id;
        store::Version version;
        Position position;
        Rid home;
    };
    Result<std::map<Rid, Newest>> newest_of(const std::set<Rid>& rids);
    void check_home(const Stored& stored, Rid home, Rid expected);
    struct Entry {
        EntryFacts facts;
        std::string body_hash;
    };

    Result<void> check_log();
    Result<void> check_batches();
    Result<void> check_waiting();
    Result<void> check_history();
    Result<void> check_resources();
    Result<Rid> last_that_fits(std::string_view lengths_sql, Rid after);
    Result<void> check_part(Rid after, Rid last);
    Result<void> check_identities(const std::vector<Version>& versions);
    Result<void> check_history_counts(const std::vector<Version>& versions);
    Result<void> check_versions(const std::vector<Version>& versions);
    Result<std::vector<std::optional<Entry>>> entries_of(const std::vector<Version>& versions);
    Result<void> check_audit();
    Result<void> check_directory();
    Result<void> check_counts();
    bool enough() const { return findings_.enough(); }

    Connection& connection_;
    Layout layout_;
    FrozenNames& names_;
    const BodyReader& reader_;
    CheckReport& report_;
    Findings findings_;
    RowCheck rows_;
    Position log_end_ = 0;
    std::int64_t versions_ = 0;  ///< that the log and what waits for it tell of
    std::int64_t audits_ = 0;
    std::int64_t resources_ = 0;
    std::map<Name, std::int64_t> types_;
};

// --- the log ---

Result<void> Checker::check_log() {
    log_end_ = TRY(connection_.integer("SELECT max(position) FROM meridian.log", -1)) + 1;
    LogCheck log(findings_);
    for (Position next = -1; !enough();) {
        const Answer rows = TRY(connection_.ask(
            "SELECT position, at, kind, octet_length(salt), octet_length(body_hash) "
            "FROM meridian.log WHERE position > $1 ORDER BY position LIMIT $2",
            std::move(Parameters().integer(next).integer(rows_at_once))));
        if (rows.empty()) break;
        for (int row = 0; row < rows.size(); ++row) {
            next = rows.integer(row, 0);
            log.entry({next, Instant{rows.integer(row, 1)}, rows.integer(row, 2),
                       rows.integer(row, 3), rows.integer(row, 4)},
                      log_end_);
        }
    }
    versions_ = log.versions();
    audits_ = log.audits();
    return check_audit();
}

Result<void> Checker::check_audit() {
    AuditCheck audit(findings_);
    for (Position next = -1; !enough();) {
        const Answer rows = TRY(connection_.ask(
            "SELECT a.position, coalesce(l.kind = 1, false), a.actor, coalesce(l.actor, 0), "
            "a.bytes, coalesce(l.body_hash, ''), cardinality(a.patients), "
            "(SELECT count(*) FROM unnest(a.patients) AS u(patient) JOIN meridian.audit_patient p "
            "ON p.patient = u.patient AND p.position = a.position) "
            "FROM meridian.audit a LEFT JOIN meridian.log l ON l.position = a.position "
            "WHERE a.position > $1 ORDER BY a.position LIMIT $2",
            std::move(Parameters().integer(next).integer(rows_at_once))));
        if (rows.empty()) break;
        for (int row = 0; row < rows.size(); ++row) {
            next = rows.integer(row, 0);
            audit.entry({next, rows.integer(row, 1) != 0, static_cast<Name>(rows.integer(row, 2)),
                         static_cast<Name>(rows.integer(row, 3)), rows.bytes(row, 4),
                         rows.bytes(row, 5), rows.integer(row, 7), rows.integer(row, 6)});
        }
    }
    if (!enough())
        audit.finish(audits_,
                     TRY(connection_.integer("SELECT count(*) FROM meridian.audit_patient", 0)));
    return {};
}

/// Batches lie one behind the other, and cover the log.
Result<void> Checker::check_batches() {
    Position expected = 0;
    for (bool more = true; more && !enough();) {
        const Answer rows = TRY(connection_.ask(
            "SELECT id, base, entries FROM meridian.batch WHERE base >= $1 ORDER BY base LIMIT $2",
            std::move(Parameters().integer(expected).integer(rows_at_once))));
        for (int row = 0; row < rows.size(); ++row) {
            if (rows.integer(row, 1) != expected || rows.integer(row, 2) < 1) {
                findings_.problem(fmt::format(
                    "batch {}: it begins at position {} with {} entries, expected is "
                    "the position {}",
                    rows.integer(row, 0), rows.integer(row, 1), rows.integer(row, 2), expected));
            }
            expected = std::max(expected + 1, rows.integer(row, 1) + rows.integer(row, 2));
        }
        more = !rows.empty();
    }
    if (!enough() && expected != log_end_) {
        findings_.problem(
            fmt::format("the batches end at position {}, the log at {}", expected, log_end_));
    }
    return check_waiting();
}

/// What was committed and has no position yet: a server gives it one in a moment.
Result<void> Checker::check_waiting() {
    const Answer rows = TRY(connection_.ask(
        "SELECT coalesce(b.id, w.batch), coalesce(b.entries, 0), coalesce(w.entries, 0), "
        "coalesce(w.versions, 0) "
        "FROM (SELECT id, entries FROM meridian.batch WHERE base IS NULL) b "
        "FULL JOIN (SELECT batch, count(*) AS entries, count(*) FILTER (WHERE kind = 0) AS "
        "versions "
        "FROM meridian.log_waiting GROUP BY batch) w ON w.batch = b.id"));
    for (int row = 0; row < rows.size(); ++row) {
        versions_ += rows.integer(row, 3);
        if (rows.integer(row, 1) == rows.integer(row, 2)) continue;
        findings_.problem(fmt::format("batch {}: {} entries should wait for a position, {} do",
                                      rows.integer(row, 0), rows.integer(row, 1),
                                      rows.integer(row, 2)));
    }
    return {};
}

// --- versions ---

Result<std::vector<std::optional<Checker::Entry>>> Checker::entries_of(
    const std::vector<Version>& versions) {
    std::vector<std::optional<Entry>> entries(versions.size());
    const Answer rows = TRY(connection_.ask(
        "SELECT e.place, l.rid, l.version, l.verb, l.at, l.type, l.body_hash "
        "FROM unnest($1::bigint[]) WITH ORDINALITY AS e(position, place) "
        "JOIN meridian.log l ON l.position = e.position UNION ALL "
        "SELECT e.place, w.rid, w.version, w.verb, b.at, w.type, w.body_hash "
        "FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) WITH ORDINALITY "
        "AS e(position, batch, ordinal, place) JOIN meridian.log_waiting w "
        "ON w.batch = e.batch AND w.ordinal = e.ordinal JOIN meridian.batch b ON b.id = w.batch "
        "WHERE e.position >= $4",
        std::move(Parameters()
                      .column(versions, [](const Version& v) { return v.place.position; })
                      .column(versions, [](const Version& v) { return v.place.batch; })
                      .column(versions, [](const Version& v) { return v.place.ordinal; })
                      .integer(waiting_from))));
    for (int row = 0; row < rows.size(); ++row) {
        entries[static_cast<std::size_t>(rows.integer(row, 0)) - 1] =
            Entry{{rows.integer(row, 1),
                   rows.integer(row, 2),
                   static_cast<Verb>(rows.integer(row, 3)),
                   Instant{rows.integer(row, 4)},
                   static_cast<Name>(rows.integer(row, 5)),
                   {}},
                  std::string(rows.bytes(row, 6))};
    }
    return entries;
}

Result<void> Checker::check_versions(const std::vector<Version>& versions) {
    if (versions.empty()) return {};
    auto entries = TRY(entries_of(versions));
    for (std::size_t i = 0; i < versions.size(); ++i) {
        if (entries[i]) entries[i]->facts.body_hash = entries[i]->body_hash;
        check_version(findings_, reader_, versions[i].stored,
                      entries[i] ? &entries[i]->facts : nullptr);
    }
    return {};
}

Result<void> Checker::check_history() {
    HistoryCheck history(findings_);
    std::int64_t done = 0;
    Rid rid = 0;
    store::Version version = 0;
    while (!enough()) {
        // Versions of one resource may be many: the walk goes on inside of one.
        const Answer lengths = TRY(connection_.ask(
            "SELECT rid, version, octet_length(body) FROM meridian.history "
            "WHERE (rid, version) > ($1, $2::integer) ORDER BY rid, version LIMIT $3",
            std::move(Parameters()
                          .integer(rid)
                          .small(static_cast<std::int32_t>(version))
                          .integer(rows_at_once))));
        if (lengths.empty()) break;
        int count = 0;
        for (std::size_t bytes = 0; count < lengths.size() && bytes < limits::check_bytes_at_once;)
            bytes += static_cast<std::size_t>(lengths.integer(count++, 2));
        const Answer rows = TRY(connection_.ask(
            "SELECT h.rid, h.version, h.verb, h.body, h.batch, h.ordinal, b.base, b.at, "
            "b.id IS NULL, h.patient FROM meridian.history h "
            "LEFT JOIN meridian.batch b ON b.id = h.batch "
            "WHERE (h.rid, h.version) > ($1, $2::integer) ORDER BY h.rid, h.version LIMIT $3",
            std::move(Parameters()
                          .integer(rid)
                          .small(static_cast<std::int32_t>(version))
                          .integer(count))));
        std::set<Rid> rids;
        for (int row = 0; row < rows.size(); ++row) rids.insert(rows.integer(row, 0));
        const auto newest = TRY(newest_of(rids));
        std::vector<Version> versions;
        for (int row = 0; row < rows.size(); ++row) {
            Version each{{}, read_place(rows, row, 4), rows.integer(row, 9)};
            Stored& stored = each.stored;
            stored.rid = rid = rows.integer(row, 0);
            stored.version = version = rows.integer(row, 1);
            stored.verb = static_cast<Verb>(rows.integer(row, 2));
            stored.body = rows.bytes(row, 3);
            stored.updated.milliseconds = rows.integer(row, 7);
            stored.position = each.place.position;
            const auto current = newest.find(rid);
            if (current == newest.end()) {
                history.version(stored, {.exists = false, .version = 0, .position = -1});
            } else {
                stored.type = current->second.type;
                stored.id = current->second.id;
                history.version(stored, {.exists = true,
                                         .version = current->second.version,
                                         .position = current->second.position});
                check_home(stored, each.home, current->second.home);
            }
            versions.push_back(std::move(each));
            findings_.progress("history", ++done, 0);
        }
        TRY(check_versions(versions));
    }
    if (!enough()) history.finish();
    return {};
}

Result<std::map<Rid, Checker::Newest>> Checker::newest_of(const std::set<Rid>& rids) {
    std::map<Rid, Newest> newest;
    if (rids.empty()) return newest;
    const Answer rows = TRY(connection_.ask(
        "SELECT r.rid, r.type, r.id, r.version, r.batch, r.ordinal, b.base, b.at, b.id IS NULL, "
        "r.patient FROM meridian.resource r LEFT JOIN meridian.batch b ON b.id = r.batch "
        "WHERE r.rid = ANY($1::bigint[])",
        std::move(Parameters().integers(std::vector<Rid>(rids.begin(), rids.end())))));
    for (int row = 0; row < rows.size(); ++row) {
        newest[rows.integer(row, 0)] = {static_cast<Name>(rows.integer(row, 1)),
                                        std::string(rows.bytes(row, 2)), rows.integer(row, 3),
                                        read_place(rows, row, 4).position, rows.integer(row, 9)};
    }
    return newest;
}

/// In a sharded layout all that belongs to a resource lies at one place.
void Checker::check_home(const Stored& stored, Rid home, Rid expected) {
    if (!layout_.is_sharded() || home == expected) return;
    findings_.problem(fmt::format("{} version {}: it lies with the patient {}, not with {}",
                                  findings_.name_of(stored.type, stored.id), stored.version, home,
                                  expected));
}

// --- resources ---

Result<Rid> Checker::last_that_fits(std::string_view lengths_sql, Rid after) {
    const Answer lengths = TRY(
        connection_.ask(lengths_sql, std::move(Parameters().integer(after).integer(rows_at_once))));
    Rid last = after;
    std::size_t bytes = 0;
    for (int row = 0; row < lengths.size() && bytes < limits::check_bytes_at_once; ++row) {
        last = lengths.integer(row, 0);
        bytes += static_cast<std::size_t>(lengths.integer(row, 1));
    }
    return last;
}

Result<void> Checker::check_resources() {
    Rid after = 0;
    while (!enough()) {
        const Rid last = TRY(last_that_fits(
            "SELECT rid, octet_length(body) + octet_length(forward) FROM meridian.resource "
            "WHERE rid > $1 ORDER BY rid LIMIT $2",
            after));
        if (last == after) break;
        TRY(check_part(after, last));
        after = last;
    }
    // Rows of rids that no resource has, before the first and behind the last.
    if (!enough()) TRY(rows_.check_outside(after));
    return {};
}

/// Resources with rids in (after, last], and everything that is about them.
Result<void> Checker::check_part(Rid after, Rid last) {
    const Answer rows = TRY(connection_.ask(
        "SELECT r.rid, r.type, r.id, r.version, r.verb, r.body, r.forward, r.batch, r.ordinal, "
        "b.base, b.at, b.id IS NULL, r.patient FROM meridian.resource r "
        "LEFT JOIN meridian.batch b ON b.id = r.batch WHERE r.rid > $1 AND r.rid <= $2 "
        "ORDER BY r.rid",
        std::move(Parameters().integer(after).integer(last))));
    std::vector<Version> versions;
    std::vector<RowCheck::Subject> subjects;
    for (int row = 0; row < rows.size(); ++row) {
        Version each{{}, read_place(rows, row, 7), rows.integer(row, 12)};
        if (!versions.empty() && versions.back().stored.rid == rows.integer(row, 0)) {
            findings_.problem(
                fmt::format("resource {}: it lies in two shards", rows.integer(row, 0)));
            continue;
        }
        Stored& stored = each.stored;
        stored.rid = rows.integer(row, 0);
        stored.type = static_cast<Name>(rows.integer(row, 1));
        stored.id = rows.bytes(row, 2);
        stored.version = rows.integer(row, 3);
        stored.verb = static_cast<Verb>(rows.integer(row, 4));
        stored.body = rows.bytes(row, 5);
        stored.updated.milliseconds = rows.integer(row, 10);
        stored.position = each.place.position;
        stored.current = stored.verb != Verb::remove;
        if (stored.current) ++types_[stored.type], ++report_.resources;
        versions.push_back(std::move(each));
    }
    std::size_t next = 0;
    for (int row = 0; row < rows.size(); ++row) {
        if (next == versions.size() || versions[next].stored.rid != rows.integer(row, 0)) continue;
        subjects.push_back({&versions[next++].stored, rows.bytes(row, 6)});
    }
    TRY(check_identities(versions));
    TRY(check_history_counts(versions));
    TRY(check_versions(versions));
    TRY(rows_.check_part(after, last, subjects));
    resources_ += static_cast<std::int64_t>(versions.size());
    findings_.progress("resources", resources_, 0);
    return {};
}

Result<void> Checker::check_identities(const std::vector<Version>& versions) {
    std::vector<std::string> keys;
    for (const Version& version : versions) keys.push_back(byte_key_of(version.stored.id));
    const Answer rows = TRY(connection_.ask(
        "SELECT w.place, d.rid, d.home FROM unnest($1::integer[], $2::bytea[]) WITH ORDINALITY "
        "AS w(type, key, place) JOIN meridian.directory d ON d.type = w.type AND d.key = w.key",
        std::move(Parameters()
                      .column(versions, [](const Version& v) { return v.stored.type; })
                      .column(keys, [](const std::string& k) { return Parameters::Bytes{k}; }))));
    constexpr Rid nowhere = -1;
    std::vector<bool> leads(versions.size());
    for (int row = 0; row < rows.size(); ++row) {
        const auto index = static_cast<std::size_t>(rows.integer(row, 0)) - 1;
        if (rows.integer(row, 1) != versions[index].stored.rid) continue;
        leads[index] = true;
        check_home(versions[index].stored, rows.is_null(row, 2) ? nowhere : rows.integer(row, 2),
                   versions[index].home);
    }
    for (std::size_t i = 0; i < versions.size(); ++i) {
        if (leads[i]) continue;
        const Stored& stored = versions[i].stored;
        findings_.problem(fmt::format("directory: {} does not lead to its resource {}",
                                      findings_.name_of(stored.type, stored.id), stored.rid));
    }
    return {};
}

Result<void> Checker::check_history_counts(const std::vector<Version>& versions) {
    std::vector<const Stored*> changed;
    for (const Version& version : versions) {
        if (version.stored.version > 1) changed.push_back(&version.stored);
    }
    if (changed.empty()) return {};
    const Answer rows = TRY(connection_.ask(
        "SELECT rid, count(*) FROM meridian.history WHERE rid = ANY($1::bigint[]) GROUP BY rid",
        std::move(Parameters().column(changed, [](const Stored* s) { return s->rid; }))));
    std::unordered_map<Rid, std::int64_t> counts;
    for (int row = 0; row < rows.size(); ++row) counts[rows.integer(row, 0)] = rows.integer(row, 1);
    for (const Stored* each : changed) {
        const Stored& stored = *each;
        if (counts[stored.rid] == stored.version - 1) continue;
        findings_.problem(fmt::format("{}: of {} versions some are missing in its history",
                                      findings_.name_of(stored.type, stored.id), stored.version));
    }
    return {};
}

// --- the directory ---

Result<void> Checker::check_directory() {
    const Rid last = TRY(connection_.integer(
        "SELECT (CASE WHEN is_called THEN last_value ELSE last_value - 1 END) * 4096 "
        "FROM meridian.rid_block",
        0));
    std::int64_t done = 0;
    // No two identities have one rid: a bit for each, in windows of a bounded size.
    for (Rid first = 0; first <= last && !enough(); first += limits::check_rids_at_once) {
        const Rid below = std::min(first + limits::check_rids_at_once, last + 1);
        std::vector<bool> seen(static_cast<std::size_t>(below - first), false);
        Name type = -1;
        std::string key;
        while (!enough()) {
            const Answer rows = TRY(connection_.ask(
                "SELECT type, key, rid FROM meridian.directory WHERE (type, key) > ($1, $2) "
                "ORDER BY type, key LIMIT $3",
                std::move(Parameters().small(type).bytes(key).integer(rows_at_once))));
            if (rows.empty()) break;
            for (int row = 0; row < rows.size(); ++row) {
                type = static_cast<Name>(rows.integer(row, 0));
                key = rows.bytes(row, 1);
                const Rid rid = rows.integer(row, 2);
                if (first == 0) findings_.progress("directory", ++done, 0);
                if (rid < 1 || rid > last) {
                    if (first == 0)
                        findings_.problem(fmt::format("directory: {} has the impossible rid {}",
                                                      findings_.name_of(type, key), rid));
                } else if (rid >= first && rid < below) {
                    if (seen[static_cast<std::size_t>(rid - first)])
                        findings_.problem(
                            fmt::format("directory: {} shares the rid {} with another",
                                        findings_.name_of(type, key), rid));
                    seen[static_cast<std::size_t>(rid - first)] = true;
                }
            }
        }
    }
    return {};
}

// --- counts ---

Result<void> Checker::check_counts() {
    if (enough()) return {};
    if (versions_ != report_.versions) {
        findings_.problem(fmt::format("the log tells of {} versions, the store has {}", versions_,
                                      report_.versions));
    }
    const Answer rows = TRY(connection_.ask(
        "SELECT type, sum(resources)::bigint FROM meridian.type_count GROUP BY type"));
    for (int row = 0; row < rows.size(); ++row)
        types_[static_cast<Name>(rows.integer(row, 0))] -= rows.integer(row, 1);
    for (const auto& [type, difference] : types_) {
        if (difference != 0) wrong_count(findings_, type, difference);
    }
    return {};
}

Result<std::unique_ptr<Connection>> connect(const std::string& url, Layout& layout) {
    auto connection = TRY(Connection::open(
        {.url = url, .application_name = "meridian check", .setup = "SET jit = off"}));
    layout = TRY(prepare_schema(*connection, false));
    const Answer mark = TRY(connection->ask("SELECT 1 FROM meridian.setting WHERE key = $1",
                                            std::move(Parameters().text(migration_mark))));
    if (!mark.empty()) return unfinished(database_option);
    return connection;
}

}  // namespace

Result<CheckReport> check(const std::string& folder, const BodyReader& reader,
                          const CheckOptions& options) {
    Layout layout;
    auto connection = connect(options.database, layout);
    if (!connection) {
        Error error = connection.error();
        error.where = database_option;
        return std::unexpected(std::move(error));
    }
    Pool pool({.url = options.database, .application_name = "meridian check"});
    Dictionary known(pool);
    TRY(known.load());
    FrozenNames names(known);
    CheckReport report;
    Checker checker(**connection, layout, names, reader, options, report);
    TRY(checker.run());
    const auto blobs =
        TRY(sqlite::Blobs::open({.folder = sqlite::blobs_path(folder), .read_only = true}));
    const auto totals = TRY(blobs->verify());
    report.blobs = totals.blobs;
    report.blob_bytes = totals.bytes;
    if (report.problems == 0) report.first_problem = totals.first_problem;
    report.problems += totals.problems;
    return report;
}

}  // namespace meridian::store::postgres

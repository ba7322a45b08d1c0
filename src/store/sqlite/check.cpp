// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/check.hpp"

#include <filesystem>

#include "store/engine/audit_rows.hpp"
#include "store/engine/findings.hpp"
#include "store/sqlite/audit_index.hpp"
#include "store/sqlite/blobs.hpp"
#include "store/sqlite/database.hpp"
#include "store/sqlite/dictionary.hpp"
#include "store/sqlite/folder.hpp"
#include "store/sqlite/index_writer.hpp"
#include "store/sqlite/migrations.hpp"
#include "store/sqlite/vfs.hpp"

namespace meridian::store::sqlite {

namespace {

/// Tables whose rows come from forward rows, in the order of Checker::counts_.
constexpr const char* index_tables[] = {
    "idx_token", "idx_string",    "idx_date",    "idx_number",  "idx_quantity", "idx_reference",
    "idx_uri",   "idx_composite", "idx_patient", "compartment", "view_row",     "unique_key"};
enum Table : unsigned {
    token,
    string,
    date,
    number,
    quantity,
    reference,
    uri,
    composite,
    patient,
    compartment,
    view,
    unique
};

/// One check of one store, in one read transaction.
class Checker {
 public:
    Checker(Database& database, Dictionary& names, const BodyReader& reader,
            const CheckOptions& options, CheckReport& report)
        : database_(database),
          names_(names),
          reader_(reader),
          options_(options),
          report_(report),
          findings_(report, options, names) {}

    Result<void> run() {
        TRY(database_.run("BEGIN"));
        TRY(check_structure());
        TRY(check_log());
        TRY(check_audit());
        TRY(check_history());
        TRY(check_directory());
        TRY(check_resources());
        TRY(check_counts());
        return database_.run("COMMIT");
    }

 private:
    void problem(std::string text) { findings_.problem(std::move(text)); }
    bool enough() const { return findings_.enough(); }

    Result<void> check_structure();
    Result<void> check_log();
    Result<void> check_audit();
    Result<void> check_history();
    Result<void> check_directory();
    Result<void> check_resources();
    Result<void> check_version(const Stored& stored);
    Result<void> check_rows(const Stored& stored);
    Result<void> check_tables(const Stored& stored, const ResolvedRows& rows);
    Result<void> check_texts(const Stored& stored, const ResolvedRows& rows);
    Result<void> check_against_body(const Stored& stored, std::string_view packed);
    Result<void> check_counts();
    Result<void> find_stray(unsigned table);
    Result<void> find_stray_code();
    template <class... Values>
    Result<void> expect(const Stored& stored, Table table, std::string_view sql,
                        const Values&... values) {
        ++counts_[table];
        ++report_.index_rows;
        return expect_in(index_tables[table], stored, sql, values...);
    }
    template <class... Values>
    Result<void> expect_in(const char* table, const Stored& stored, std::string_view sql,
                           const Values&... values) {
        if (TRY(database_.integer(sql, 0, values...)) == 0) missing_row(findings_, stored, table);
        return {};
    }

    Database& database_;
    Dictionary& names_;
    const BodyReader& reader_;
    const CheckOptions& options_;
    CheckReport& report_;
    Findings findings_;
    std::int64_t counts_[std::size(index_tables)] = {};
    std::int64_t texts_ = 0;
    std::int64_t versions_ = 0;
    std::int64_t audits_ = 0;
    std::map<Name, std::int64_t> types_;
};

Result<void> Checker::check_structure() {
    findings_.progress("database", 0, 1);
    auto row = TRY(database_.prepare(options_.deep ? "PRAGMA integrity_check(100)"
                                                   : "PRAGMA quick_check(100)"));
    while (TRY(row.step())) {
        if (row.text(0) != "ok") problem(fmt::format("record.db: {}", row.text(0)));
    }
    findings_.progress("database", 1, 1);
    return {};
}

Result<void> Checker::check_log() {
    const std::int64_t total = TRY(database_.integer("SELECT max(position) FROM log", -1)) + 1;
    auto row = TRY(database_.prepare(
        "SELECT position, at, kind, length(salt), length(body_hash) FROM log ORDER BY position"));
    LogCheck log(findings_);
    while (!enough() && TRY(row.step())) {
        log.entry({row.integer(0), Instant{row.integer(1)}, row.integer(2), row.integer(3),
                   row.integer(4)},
                  total);
    }
    versions_ = log.versions();
    audits_ = log.audits();
    return {};
}

Result<void> Checker::check_audit() {
    AuditCheck audit(findings_);
    const Position indexed_below = TRY(AuditIndex::indexed_below(database_));
    std::int64_t number = 0;
    std::int64_t still_missing = 0;
    auto row = TRY(database_.prepare(
        "SELECT a.position, a.number, a.actor, a.patients, a.bytes, l.kind = 1, l.actor, "
        "l.body_hash FROM audit a LEFT JOIN log l ON l.position = a.position ORDER BY a.position"));
    while (!enough() && TRY(row.step())) {
        const Position position = row.integer(0);
        if (row.integer(1) != number++)
            problem(fmt::format("audit entry {}: its number is {}, expected is {}", position,
                                row.integer(1), number - 1));
        const auto patients = parse_rid_list(row.text(3));
        if (!patients) {
            problem(fmt::format("audit entry {}: {}", position, patients.error().message));
            continue;
        }
        std::int64_t found = 0;
        for (const Rid patient : *patients)
            found += TRY(
                database_.integer("SELECT 1 FROM audit_patient WHERE patient = ? AND position = ?",
                                  0, patient, position));
        const auto all = static_cast<std::int64_t>(patients->size());
        if (position >= indexed_below) still_missing += all - std::exchange(found, all);
        audit.entry({position, row.integer(5) != 0, static_cast<Name>(row.integer(2)),
                     static_cast<Name>(row.integer(6)), row.blob(4), row.blob(7), found, all});
    }
    if (!enough())
        audit.finish(audits_, TRY(database_.integer("SELECT count(*) FROM audit_patient", 0)) +
                                  still_missing);
    return {};
}

Result<void> Checker::check_history() {
    auto row = TRY(database_.prepare(
        "SELECT h.rid, h.version, h.position, h.updated, h.verb, h.body, r.type, r.id, r.version, "
        "r.position "
        "FROM history h LEFT JOIN resource r ON r.rid = h.rid ORDER BY h.rid, h.version"));
    HistoryCheck history(findings_);
    while (!enough() && TRY(row.step())) {
        Stored stored;
        stored.rid = row.integer(0);
        stored.type = static_cast<Name>(row.integer(6));
        stored.id = row.text(7);
        stored.version = row.integer(1);
        stored.position = row.integer(2);
        stored.updated.milliseconds = row.integer(3);
        stored.verb = static_cast<Verb>(row.integer(4));
        stored.body = row.blob(5);
        history.version(stored, {!row.is_null(6), row.integer(8), row.integer(9)});
        TRY(check_version(stored));
    }
    history.finish();
    return {};
}

Result<void> Checker::check_version(const Stored& stored) {
    auto entry = TRY(database_.prepare(
        "SELECT rid, version, verb, at, type, body_hash FROM log WHERE position = ?"));
    entry.bind(1, stored.position);
    if (!TRY(entry.step())) {
        store::check_version(findings_, reader_, stored, nullptr);
        return {};
    }
    const EntryFacts facts{entry.integer(0),
                           entry.integer(1),
                           static_cast<Verb>(entry.integer(2)),
                           Instant{entry.integer(3)},
                           static_cast<Name>(entry.integer(4)),
                           entry.blob(5)};
    store::check_version(findings_, reader_, stored, &facts);
    return {};
}

Result<void> Checker::check_directory() {
    const Rid last = TRY(database_.integer("SELECT value FROM setting WHERE key = 'rid_last'", 0));
    std::vector<bool> seen(static_cast<std::size_t>(last) + 1, false);
    auto row = TRY(database_.prepare("SELECT type, id, rid FROM directory"));
    while (!enough() && TRY(row.step())) {
        const Rid rid = row.integer(2);
        const std::string name = findings_.name_of(static_cast<Name>(row.integer(0)), row.text(1));
        if (rid < 1 || rid > last)
            problem(fmt::format("directory: {} has the impossible rid {}", name, rid));
        else if (seen[static_cast<std::size_t>(rid)])
            problem(fmt::format("directory: {} shares the rid {} with another", name, rid));
        else
            seen[static_cast<std::size_t>(rid)] = true;
    }
    return {};
}

Result<void> Checker::check_resources() {
    const std::int64_t total = TRY(database_.integer("SELECT count(*) FROM resource", 0));
    auto row = TRY(database_.prepare(
        "SELECT rid, type, id, version, position, updated, verb, body FROM resource ORDER BY rid"));
    std::int64_t done = 0;
    while (!enough() && TRY(row.step())) {
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
        const std::string name = findings_.name_of(stored.type, stored.id);
        if (TRY(database_.integer("SELECT rid FROM directory WHERE type = ? AND id = ?", 0,
                                  stored.type, stored.id)) != stored.rid) {
            problem(
                fmt::format("directory: {} does not lead to its resource {}", name, stored.rid));
        }
        if (stored.version > 1 &&
            TRY(database_.integer("SELECT count(*) FROM history WHERE rid = ?", 0, stored.rid)) !=
                stored.version - 1) {
            problem(fmt::format("{}: of {} versions some are missing in its history", name,
                                stored.version));
        }
        TRY(check_version(stored));
        TRY(check_rows(stored));
        if (stored.current) ++types_[stored.type], ++report_.resources;
        findings_.progress("resources", ++done, total);
    }
    return {};
}

Result<void> Checker::check_rows(const Stored& stored) {
    auto forward = TRY(database_.prepare("SELECT rows FROM forward WHERE rid = ?"));
    forward.bind(1, stored.rid);
    const bool there = TRY(forward.step());
    const auto rows =
        check_forward(findings_, stored, there, there ? forward.blob(0) : std::string_view());
    if (!rows) return {};
    TRY(check_tables(stored, *rows));
    TRY(check_texts(stored, *rows));
    if (reader_.rows) TRY(check_against_body(stored, forward.blob(0)));
    return {};
}

Result<void> Checker::check_tables(const Stored& stored, const ResolvedRows& rows) {
    const Rid rid = stored.rid;
    for (const auto& row : rows.tokens) {
        TRY(expect(stored, token,
                   "SELECT 1 FROM idx_token WHERE param = ? AND value = ? AND rid = ?", row.param,
                   row.value, rid));
    }
    for (const auto& row : rows.strings) {
        TRY(expect(
            stored, string,
            "SELECT 1 FROM idx_string WHERE param = ? AND folded = ? AND rid = ? AND exact = ?",
            row.param, row.folded, rid, row.exact == row.folded ? std::string() : row.exact));
    }
    for (const auto& row : rows.dates) {
        TRY(expect(
            stored, date,
            "SELECT 1 FROM idx_date WHERE param = ? AND span = ? AND lo = ? AND hi = ? AND rid = ?",
            row.param, date_span(row.lo, row.hi), row.lo, row.hi, rid));
    }
    for (const auto& row : rows.numbers) {
        TRY(expect(stored, number,
                   "SELECT 1 FROM idx_number WHERE param = ? AND lo = ? AND hi = ? AND rid = ?",
                   row.param, row.lo, row.hi, rid));
    }
    for (const auto& row : rows.quantities) {
        TRY(expect(stored, quantity,
                   "SELECT 1 FROM idx_quantity WHERE param = ? AND unit = ? AND lo = ? AND hi = ? "
                   "AND rid = ?",
                   row.param, row.unit, row.lo, row.hi, rid));
    }
    for (const auto& row : rows.references) {
        TRY(expect(stored, reference,
                   "SELECT 1 FROM idx_reference WHERE param = ? AND target = ? AND rid = ?",
                   row.param, row.target, rid));
    }
    for (const auto& row : rows.uris) {
        TRY(expect(stored, uri, "SELECT 1 FROM idx_uri WHERE param = ? AND uri = ? AND rid = ?",
                   row.param, row.uri, rid));
    }
    for (const auto& row : rows.composites) {
        TRY(expect(stored, composite,
                   "SELECT 1 FROM idx_composite WHERE param = ? AND key = ? AND second = ? AND lo "
                   "= ? AND hi = ? AND folded = ? AND rid = ?",
                   row.param, row.key, row.second, row.lo, row.hi, row.folded, rid));
    }
    for (const auto& row : rows.patients) {
        TRY(expect(stored, patient,
                   "SELECT 1 FROM idx_patient WHERE patient = ? AND type = ? AND code = ? AND date "
                   "= ? AND rid = ?",
                   row.patient, stored.type, row.code, row.date, rid));
        if (row.code == 0) continue;
        TRY(expect_in("idx_patient_code", stored,
                      "SELECT 1 FROM idx_patient_code WHERE type = ? AND code = ? AND patient = ?",
                      stored.type, row.code, row.patient));
    }
    for (const Rid each : rows.compartments) {
        TRY(expect(stored, compartment, "SELECT 1 FROM compartment WHERE patient = ? AND rid = ?",
                   each, rid));
    }
    for (const auto& row : rows.views) {
        TRY(expect(stored, view, "SELECT 1 FROM view_row WHERE view = ? AND key = ? AND rid = ?",
                   row.view, row.key, rid));
    }
    for (const std::string& key : rows.unique_keys) {
        TRY(expect(stored, unique, "SELECT 1 FROM unique_key WHERE key = ? AND rid = ?", key, rid));
    }
    return {};
}

Result<void> Checker::check_texts(const Stored& stored, const ResolvedRows& rows) {
    for (const Name param : rows.texts) {
        ++texts_;
        ++report_.index_rows;
        const std::int64_t rowid = text_rowid(stored.rid, text_field_of(names_, param));
        if (TRY(database_.integer("SELECT 1 FROM idx_text WHERE rowid = ?", 0, rowid)) == 0)
            missing_row(findings_, stored, "idx_text");
    }
    return {};
}

Result<void> Checker::check_against_body(const Stored& stored, std::string_view packed) {
    auto rows = reader_.rows(stored, names_);
    if (!rows) {
        problem(fmt::format("{}: its body gives no index rows: {}", findings_.version_name(stored),
                            rows.error().message));
        return {};
    }
    const auto rid_of = [this](const Identity& identity) {
        return database_.integer("SELECT rid FROM directory WHERE type = ? AND id = ?", 0,
                                 identity.type, identity.id);
    };
    const Resolved expected = TRY(resolve_rows(
        std::move(*rows), rid_of, [this](Name param) { return text_field_of(names_, param); }));
    if (!check_packed(findings_, stored, expected, packed)) return {};
    for (const ResolvedText& text : expected.texts) {
        auto words = TRY(database_.prepare("SELECT words FROM idx_text WHERE rowid = ?"));
        words.bind(1, text_rowid(stored.rid, text.field));
        if (!TRY(words.step()) || words.text(0) != text.words) wrong_words(findings_, stored);
    }
    return {};
}

Result<void> Checker::check_counts() {
    if (enough()) return {};
    if (versions_ != report_.versions) {
        problem(fmt::format("the log tells of {} versions, the store has {}", versions_,
                            report_.versions));
    }
    for (unsigned table = 0; table < std::size(index_tables); ++table) {
        const std::int64_t rows =
            TRY(database_.integer(fmt::format("SELECT count(*) FROM {}", index_tables[table]), 0));
        if (rows != counts_[table]) TRY(find_stray(table));
    }
    TRY(find_stray_code());
    const std::int64_t texts = TRY(database_.integer("SELECT count(*) FROM idx_text_docsize", 0));
    if (texts != texts_)
        problem(fmt::format("idx_text has {} rows, the forward rows name {}", texts, texts_));
    const std::int64_t forwards = TRY(database_.integer("SELECT count(*) FROM forward", 0));
    if (forwards != report_.resources)
        problem(fmt::format("{} resources are current, {} have forward rows", report_.resources,
                            forwards));
    auto row = TRY(database_.prepare("SELECT type, resources FROM type_count"));
    while (TRY(row.step())) types_[static_cast<Name>(row.integer(0))] -= row.integer(1);
    for (const auto& [type, difference] : types_) {
        if (difference != 0) wrong_count(findings_, type, difference);
    }
    return {};
}

Result<void> Checker::find_stray(unsigned table) {
    // Some row has no resource that claims it: look for the first.
    auto row = TRY(database_.prepare(fmt::format("SELECT rid FROM {}", index_tables[table])));
    while (TRY(row.step())) {
        const Rid rid = row.integer(0);
        auto claimed = TRY(database_.prepare("SELECT rows FROM forward WHERE rid = ?"));
        claimed.bind(1, rid);
        if (!TRY(claimed.step())) {
            problem(fmt::format("{}: a row belongs to the resource {}, which has no forward rows",
                                index_tables[table], rid));
            return {};
        }
    }
    problem(fmt::format("{} has rows that no forward rows name", index_tables[table]));
    return {};
}

Result<void> Checker::find_stray_code() {
    auto row = TRY(database_.prepare(
        "SELECT type, patient FROM idx_patient_code AS one WHERE NOT EXISTS (SELECT 1 FROM "
        "idx_patient WHERE patient = one.patient AND type = one.type AND code = one.code) LIMIT "
        "1"));
    if (TRY(row.step())) {
        problem(fmt::format("idx_patient_code: the patient {} has no {} with one of its codes",
                            row.integer(1),
                            names_.text(NameKind::type, static_cast<Name>(row.integer(0)))));
    }
    return {};
}

}  // namespace

Result<CheckReport> check(const std::string& folder, const BodyReader& reader,
                          const CheckOptions& options) {
    const std::string path = database_path(folder);
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored))
        return fail(Category::not_found, fmt::format("there is no store in {}", folder));
    const auto vfs = TRY(Vfs::make(1LL << 30, false, nullptr));
    auto database = TRY(Database::open(
        path,
        {.read_only = true, .vfs = vfs->name(), .cache_bytes = 64LL << 20, .mapped_bytes = 1}));
    TRY(require_schema(*database));
    TRY(refuse_unfinished(*database));
    Dictionary names;
    TRY(names.load(*database));
    CheckReport report;
    Checker checker(*database, names, reader, options, report);
    TRY(checker.run());
    const auto blobs = TRY(Blobs::open({.folder = blobs_path(folder), .read_only = true}));
    const auto totals = TRY(blobs->verify());
    report.blobs = totals.blobs;
    report.blob_bytes = totals.bytes;
    if (report.problems == 0) report.first_problem = totals.first_problem;
    report.problems += totals.problems;
    return report;
}

}  // namespace meridian::store::sqlite

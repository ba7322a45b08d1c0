// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/index_writer.hpp"

#include <cmath>

namespace meridian::store::sqlite {

namespace {

template <class Row>
Result<void> run_all(Database& database, std::string_view sql, const std::vector<Row>& rows) {
    if (rows.empty()) return {};
    auto statement = TRY(database.prepare(sql));
    for (const Row& row : rows) {
        std::apply([&statement](const auto&... columns) { statement.bind_all(columns...); }, row);
        TRY(statement.run());
    }
    return {};
}

template <class Row>
Result<void> write_table(Database& database, std::vector<Row>& inserts, std::vector<Row>& deletes,
                         std::string_view insert_sql, std::string_view delete_sql) {
    settle(inserts, deletes);
    TRY(run_all(database, delete_sql, deletes));
    TRY(database.run_on_rows(insert_sql, TupleSource(inserts)));
    inserts.clear();
    deletes.clear();
    return {};
}

}  // namespace

void IndexWriter::spread(Rid rid, Name type, ResolvedRows& rows, Batch& batch) {
    for (const auto& row : rows.tokens) batch.tokens.emplace_back(row.param, row.value, rid);
    for (auto& row : rows.strings) {
        if (row.exact == row.folded) row.exact.clear();
        batch.strings.emplace_back(row.param, std::move(row.folded), rid, std::move(row.exact));
    }
    for (const auto& row : rows.dates)
        batch.dates.emplace_back(row.param, date_span(row.lo, row.hi), row.lo, row.hi, rid);
    for (const auto& row : rows.numbers) batch.numbers.emplace_back(row.param, row.lo, row.hi, rid);
    for (const auto& row : rows.quantities)
        batch.quantities.emplace_back(row.param, row.unit, row.lo, row.hi, rid);
    for (const auto& row : rows.references)
        batch.references.emplace_back(row.param, row.target, rid);
    for (auto& row : rows.uris) batch.uris.emplace_back(row.param, std::move(row.uri), rid);
    for (auto& row : rows.composites) {
        batch.composites.emplace_back(row.param, row.key, row.second, row.lo, row.hi,
                                      std::move(row.folded), rid);
    }
    for (const auto& row : rows.patients)
        batch.patients.emplace_back(row.patient, type, row.code, row.date, rid);
    for (const Rid patient : rows.compartments) batch.compartments.emplace_back(patient, rid);
}

void IndexWriter::add(Rid rid, Name type, ResolvedRows rows, std::vector<ResolvedText> texts) {
    size_ += 1;
    spread(rid, type, rows, inserts_);
    for (auto& row : rows.views)
        view_inserts_.emplace_back(View(row.view, std::move(row.key), rid), std::move(row.value));
    for (auto& text : texts)
        text_inserts_.emplace_back(text_rowid(rid, text.field), std::move(text.words));
}

void IndexWriter::remove(Rid rid, Name type, ResolvedRows rows,
                         const std::vector<int>& text_fields) {
    size_ += 1;
    spread(rid, type, rows, deletes_);
    for (auto& row : rows.views) view_deletes_.emplace_back(row.view, std::move(row.key), rid);
    for (const int field : text_fields) text_deletes_.push_back(text_rowid(rid, field));
}

Result<void> IndexWriter::flush(Database& database) {
    if (size_ == 0) return {};
    TRY(write_table(
        database, inserts_.tokens, deletes_.tokens,
        "INSERT OR FAIL INTO idx_token(param, value, rid) SELECT c0, c1, c2 FROM row_feed",
        "DELETE FROM idx_token WHERE param = ? AND value = ? AND rid = ?"));
    TRY(write_table(
        database, inserts_.strings, deletes_.strings,
        "INSERT OR FAIL INTO idx_string(param, folded, rid, exact) SELECT c0, c1, c2, c3 FROM "
        "row_feed",
        "DELETE FROM idx_string WHERE param = ? AND folded = ? AND rid = ? AND exact = ?"));
    TRY(write_table(
        database, inserts_.dates, deletes_.dates,
        "INSERT OR FAIL INTO idx_date(param, span, lo, hi, rid) SELECT c0, c1, c2, c3, c4 FROM "
        "row_feed",
        "DELETE FROM idx_date WHERE param = ? AND span = ? AND lo = ? AND hi = ? AND rid = ?"));
    TRY(write_table(
        database, inserts_.numbers, deletes_.numbers,
        "INSERT OR FAIL INTO idx_number(param, lo, hi, rid) SELECT c0, c1, c2, c3 FROM row_feed",
        "DELETE FROM idx_number WHERE param = ? AND lo = ? AND hi = ? AND rid = ?"));
    TRY(write_table(
        database, inserts_.quantities, deletes_.quantities,
        "INSERT OR FAIL INTO idx_quantity(param, unit, lo, hi, rid) SELECT c0, c1, c2, c3, c4 FROM "
        "row_feed",
        "DELETE FROM idx_quantity WHERE param = ? AND unit = ? AND lo = ? AND hi = ? AND rid = ?"));
    TRY(write_table(
        database, inserts_.references, deletes_.references,
        "INSERT OR FAIL INTO idx_reference(param, target, rid) SELECT c0, c1, c2 FROM row_feed",
        "DELETE FROM idx_reference WHERE param = ? AND target = ? AND rid = ?"));
    TRY(write_table(database, inserts_.uris, deletes_.uris,
                    "INSERT OR FAIL INTO idx_uri(param, uri, rid) SELECT c0, c1, c2 FROM row_feed",
                    "DELETE FROM idx_uri WHERE param = ? AND uri = ? AND rid = ?"));
    TRY(write_table(database, inserts_.composites, deletes_.composites,
                    "INSERT OR FAIL INTO idx_composite(param, key, second, lo, hi, folded, rid) "
                    "SELECT c0, c1, c2, c3, c4, c5, c6 FROM row_feed",
                    "DELETE FROM idx_composite WHERE param = ? AND key = ? AND second = ? AND lo = "
                    "? AND hi = ? AND folded = ? "
                    "AND rid = ?"));
    TRY(flush_patients(database));
    TRY(write_table(database, inserts_.compartments, deletes_.compartments,
                    "INSERT OR FAIL INTO compartment(patient, rid) SELECT c0, c1 FROM row_feed",
                    "DELETE FROM compartment WHERE patient = ? AND rid = ?"));
    TRY(flush_views(database));
    TRY(flush_texts(database));
    size_ = 0;
    return {};
}

/// The rows of the clinical access path, and who has which codes there.
Result<void> IndexWriter::flush_patients(Database& database) {
    settle(inserts_.patients, deletes_.patients);
    const auto codes_of = [](const std::vector<Patient>& rows) {
        std::vector<PatientCode> codes;
        for (const auto& [patient, type, code, date, rid] : rows) {
            const PatientCode one(type, code, patient);
            // Rows of a patient lie beside each other by code.
            if (code != 0 && (codes.empty() || codes.back() != one)) codes.push_back(one);
        }
        std::sort(codes.begin(), codes.end());
        return codes;
    };
    const auto begun = codes_of(inserts_.patients), ended = codes_of(deletes_.patients);
    TRY(write_table(database, inserts_.patients, deletes_.patients,
                    "INSERT OR FAIL INTO idx_patient(patient, type, code, date, rid) SELECT c0, "
                    "c1, c2, c3, c4 FROM row_feed",
                    "DELETE FROM idx_patient WHERE patient = ? AND type = ? AND code = ? AND date "
                    "= ? AND rid = ?"));
    TRY(
        database.run_on_rows("INSERT OR IGNORE INTO idx_patient_code(type, code, patient) SELECT "
                             "c0, c1, c2 FROM row_feed",
                             TupleSource(begun)));
    return run_all(
        database,
        "DELETE FROM idx_patient_code WHERE type = ?1 AND code = ?2 AND patient = ?3 AND "
        "NOT EXISTS (SELECT 1 FROM idx_patient WHERE patient = ?3 AND type = ?1 AND "
        "code = ?2)",
        ended);
}

Result<void> IndexWriter::flush_views(Database& database) {
    TRY(run_all(database, "DELETE FROM view_row WHERE view = ? AND key = ? AND rid = ?",
                view_deletes_));
    if (!view_inserts_.empty()) {
        std::stable_sort(view_inserts_.begin(), view_inserts_.end(),
                         [](const auto& a, const auto& b) { return a.first < b.first; });
        auto insert = TRY(database.prepare(
            "INSERT OR REPLACE INTO view_row(view, key, rid, value) VALUES(?, ?, ?, ?)"));
        for (const auto& [row, value] : view_inserts_) {
            insert.bind_all(std::get<0>(row), std::get<1>(row), std::get<2>(row))
                .bind_blob(4, value);
            TRY(insert.run());
        }
    }
    view_deletes_.clear();
    view_inserts_.clear();
    return {};
}

Result<void> IndexWriter::flush_texts(Database& database) {
    std::sort(text_deletes_.begin(), text_deletes_.end());
    text_deletes_.erase(std::unique(text_deletes_.begin(), text_deletes_.end()),
                        text_deletes_.end());
    std::sort(text_inserts_.begin(), text_inserts_.end());
    for (const std::int64_t rowid : text_deletes_) {
        const auto after =
            std::lower_bound(text_inserts_.begin(), text_inserts_.end(), rowid,
                             [](const auto& row, std::int64_t id) { return row.first < id; });
        if (after != text_inserts_.end() && after->first == rowid) {
            // Most updates leave the prose alone, and full-text rows are the dearest of all to
            // write again.
            auto before = TRY(database.prepare("SELECT words FROM idx_text WHERE rowid = ?"));
            before.bind(1, rowid);
            if (TRY(before.step()) && before.text(0) == after->second) {
                text_inserts_.erase(after);
                continue;
            }
        }
        TRY(database.run("DELETE FROM idx_text WHERE rowid = ?", rowid));
    }
    for (const auto& [rowid, words] : text_inserts_) {
        TRY(database.run("INSERT INTO idx_text(rowid, words) VALUES(?, ?)", rowid, words));
    }
    text_deletes_.clear();
    text_inserts_.clear();
    return {};
}

void IndexWriter::clear() {
    *this = IndexWriter();
}

}  // namespace meridian::store::sqlite

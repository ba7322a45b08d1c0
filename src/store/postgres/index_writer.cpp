// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/index_writer.hpp"

#include "store/engine/index_rows.hpp"
#include "store/postgres/keys.hpp"
#include "store/postgres/text_search.hpp"

namespace meridian::store::postgres {

namespace {

/// One array a column, as unnest takes them.
template <class Row, std::size_t... Columns>
Parameters columns_of(const std::vector<Row>& rows, std::index_sequence<Columns...>) {
    Parameters parameters;
    (parameters.column(rows, [](const Row& row) -> const auto& { return std::get<Columns>(row); }),
     ...);
    return parameters;
}

template <class Row>
void send_rows(Connection& connection, std::string_view sql, const std::vector<Row>& rows) {
    if (rows.empty()) return;
    connection.send(sql, columns_of(rows, std::make_index_sequence<std::tuple_size_v<Row>>()));
}

/// Tells Citus which shards a statement touches; it does not look into a join for that. `column` is
/// the shard key of the alias `i`, and the parameter `number` lists its values.
std::string only_shards(const Layout& layout, std::string_view column, int number) {
    if (!layout.is_distributed()) return {};
    return fmt::format(" AND i.{} = ANY(${}::bigint[])", column, number);
}

}  // namespace

void IndexWriter::spread(const Owner& owner, const ResolvedRows& rows, Batch& batch) {
    const auto [rid, home, type] = owner;
    for (const auto& row : rows.tokens) batch.tokens.emplace_back(row.param, row.value, rid, home);
    for (const auto& row : rows.strings) {
        batch.strings.emplace_back(row.param, key_of(row.folded), rid,
                                   row.exact == row.folded ? std::string() : text_of(row.exact),
                                   home);
    }
    for (const auto& row : rows.dates)
        batch.dates.emplace_back(row.param, date_span(row.lo, row.hi), row.lo, row.hi, rid, home);
    for (const auto& row : rows.numbers)
        batch.numbers.emplace_back(row.param, row.lo, row.hi, rid, home);
    for (const auto& row : rows.quantities)
        batch.quantities.emplace_back(row.param, row.unit, row.lo, row.hi, rid, home);
    for (const auto& row : rows.references)
        batch.references.emplace_back(row.param, row.target, rid, home);
    for (const auto& row : rows.uris)
        batch.uris.emplace_back(row.param, key_of(row.uri), rid, home);
    for (const auto& row : rows.composites) {
        batch.composites.emplace_back(row.param, row.key, row.second, row.lo, row.hi, rid,
                                      key_of(row.folded), home);
    }
    for (const auto& row : rows.patients)
        batch.patients.emplace_back(row.patient, type, row.code, row.date, rid, home);
    for (const Rid patient : rows.compartments) batch.compartments.emplace_back(patient, rid, home);
}

void IndexWriter::add(const Owner& owner, const ResolvedRows& rows,
                      const std::vector<ResolvedText>& texts) {
    spread(owner, rows, inserts_);
    const auto [rid, home, type] = owner;
    for (const auto& row : rows.views)
        view_inserts_.emplace_back(View(row.view, byte_key_of(row.key), rid, home), row.value);
    for (std::size_t i = 0; i < texts.size(); ++i) {
        text_inserts_.emplace_back(rid, texts[i].field, rows.texts[i], home,
                                   text_vector(texts[i].words));
    }
}

void IndexWriter::remove(const Owner& owner, const ResolvedRows& rows,
                         const std::vector<int>& text_fields) {
    spread(owner, rows, deletes_);
    for (const auto& row : rows.views)
        view_deletes_.emplace_back(row.view, byte_key_of(row.key), owner.rid, owner.home);
    for (const int field : text_fields) text_deletes_.emplace_back(owner.rid, field, owner.home);
}

void IndexWriter::send(Connection& connection) {
    const auto send_table = [&](auto& inserts, auto& deletes, std::string_view insert_sql,
                                std::string_view delete_sql, std::string_view shard_key,
                                int shard_parameter) {
        settle(inserts, deletes);
        send_rows(connection,
                  std::string(delete_sql) + only_shards(layout_, shard_key, shard_parameter),
                  deletes);
        send_rows(connection, insert_sql, inserts);
        inserts.clear();
        deletes.clear();
    };
    send_table(
        inserts_.tokens, deletes_.tokens,
        "INSERT INTO meridian.idx_token(param, value, rid, patient) "
        "SELECT * FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[])",
        "DELETE FROM meridian.idx_token i USING "
        "unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[]) "
        "AS d(param, value, rid, patient) "
        "WHERE i.param = d.param AND i.value = d.value AND i.rid = d.rid AND i.patient = d.patient",
        "patient", 4);
    send_table(inserts_.strings, deletes_.strings,
               "INSERT INTO meridian.idx_string(param, folded, rid, exact, patient) SELECT * FROM "
               "unnest($1::integer[], $2::text[], $3::bigint[], $4::text[], $5::bigint[])",
               "DELETE FROM meridian.idx_string i USING "
               "unnest($1::integer[], $2::text[], $3::bigint[], $4::text[], $5::bigint[]) "
               "AS d(param, folded, rid, exact, patient) "
               "WHERE i.param = d.param AND i.folded = d.folded COLLATE \"C\" AND i.rid = d.rid "
               "AND i.exact = d.exact COLLATE \"C\" AND i.patient = d.patient",
               "patient", 5);
    send_table(inserts_.dates, deletes_.dates,
               "INSERT INTO meridian.idx_date(param, span, lo, hi, rid, patient) SELECT * FROM "
               "unnest($1::integer[], $2::integer[], $3::bigint[], $4::bigint[], $5::bigint[], "
               "$6::bigint[])",
               "DELETE FROM meridian.idx_date i USING "
               "unnest($1::integer[], $2::integer[], $3::bigint[], $4::bigint[], $5::bigint[], "
               "$6::bigint[]) AS d(param, span, lo, hi, rid, patient) "
               "WHERE i.param = d.param AND i.span = d.span AND i.lo = d.lo AND i.hi = d.hi "
               "AND i.rid = d.rid AND i.patient = d.patient",
               "patient", 6);
    send_table(inserts_.numbers, deletes_.numbers,
               "INSERT INTO meridian.idx_number(param, lo, hi, rid, patient) SELECT * FROM "
               "unnest($1::integer[], $2::float8[], $3::float8[], $4::bigint[], $5::bigint[])",
               "DELETE FROM meridian.idx_number i USING "
               "unnest($1::integer[], $2::float8[], $3::float8[], $4::bigint[], $5::bigint[]) "
               "AS d(param, lo, hi, rid, patient) "
               "WHERE i.param = d.param AND i.lo = d.lo AND i.hi = d.hi AND i.rid = d.rid AND "
               "i.patient = d.patient",
               "patient", 5);
    send_table(inserts_.quantities, deletes_.quantities,
               "INSERT INTO meridian.idx_quantity(param, unit, lo, hi, rid, patient) SELECT * FROM "
               "unnest($1::integer[], $2::integer[], $3::float8[], $4::float8[], $5::bigint[], "
               "$6::bigint[])",
               "DELETE FROM meridian.idx_quantity i USING "
               "unnest($1::integer[], $2::integer[], $3::float8[], $4::float8[], $5::bigint[], "
               "$6::bigint[]) AS d(param, unit, lo, hi, rid, patient) "
               "WHERE i.param = d.param AND i.unit = d.unit AND i.lo = d.lo AND i.hi = d.hi "
               "AND i.rid = d.rid AND i.patient = d.patient",
               "patient", 6);
    send_table(inserts_.references, deletes_.references,
               "INSERT INTO meridian.idx_reference(param, target, rid, patient) "
               "SELECT * FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[])",
               "DELETE FROM meridian.idx_reference i USING "
               "unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[]) "
               "AS d(param, target, rid, patient) "
               "WHERE i.param = d.param AND i.target = d.target AND i.rid = d.rid AND i.patient = "
               "d.patient",
               "patient", 4);
    send_table(inserts_.uris, deletes_.uris,
               "INSERT INTO meridian.idx_uri(param, uri, rid, patient) "
               "SELECT * FROM unnest($1::integer[], $2::text[], $3::bigint[], $4::bigint[])",
               "DELETE FROM meridian.idx_uri i USING "
               "unnest($1::integer[], $2::text[], $3::bigint[], $4::bigint[]) "
               "AS d(param, uri, rid, patient) "
               "WHERE i.param = d.param AND i.uri = d.uri COLLATE \"C\" AND i.rid = d.rid AND "
               "i.patient = d.patient",
               "patient", 4);
    send_table(inserts_.composites, deletes_.composites,
               "INSERT INTO meridian.idx_composite(param, key, second, lo, hi, rid, folded, "
               "patient) SELECT * FROM unnest($1::integer[], $2::bigint[], $3::bigint[], "
               "$4::float8[], $5::float8[], $6::bigint[], $7::text[], $8::bigint[])",
               "DELETE FROM meridian.idx_composite i USING "
               "unnest($1::integer[], $2::bigint[], $3::bigint[], $4::float8[], $5::float8[], "
               "$6::bigint[], $7::text[], $8::bigint[]) "
               "AS d(param, key, second, lo, hi, rid, folded, patient) "
               "WHERE i.param = d.param AND i.key = d.key AND i.second = d.second AND i.lo = d.lo "
               "AND i.hi = d.hi AND i.rid = d.rid AND i.folded = d.folded COLLATE \"C\" AND "
               "i.patient = d.patient",
               "patient", 8);
    send_table(inserts_.patients, deletes_.patients,
               "INSERT INTO meridian.idx_patient(patient, type, code, date, rid, home) SELECT * "
               "FROM unnest($1::bigint[], $2::integer[], $3::bigint[], $4::bigint[], "
               "$5::bigint[], $6::bigint[])",
               "DELETE FROM meridian.idx_patient i USING "
               "unnest($1::bigint[], $2::integer[], $3::bigint[], $4::bigint[], $5::bigint[], "
               "$6::bigint[]) AS d(patient, type, code, date, rid, home) "
               "WHERE i.patient = d.patient AND i.type = d.type AND i.code = d.code "
               "AND i.date = d.date AND i.rid = d.rid AND i.home = d.home",
               "home", 6);
    send_table(inserts_.compartments, deletes_.compartments,
               "INSERT INTO meridian.compartment(patient, rid, home) "
               "SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[])",
               "DELETE FROM meridian.compartment i USING "
               "unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS d(patient, rid, home) "
               "WHERE i.patient = d.patient AND i.rid = d.rid",
               "patient", 1);
    send_views(connection);
    send_texts(connection);
}

void IndexWriter::send_views(Connection& connection) {
    if (!view_deletes_.empty()) {
        connection.send(
            "DELETE FROM meridian.view_row i USING "
            "unnest($1::integer[], $2::bytea[], $3::bigint[], $4::bigint[]) "
            "AS d(view, key, rid, patient) "
            "WHERE i.view = d.view AND i.key = d.key AND i.rid = d.rid" +
                only_shards(layout_, "patient", 4),
            std::move(Parameters()
                          .column(view_deletes_, [](const View& v) { return std::get<0>(v); })
                          .column(view_deletes_,
                                  [](const View& v) { return Parameters::Bytes{std::get<1>(v)}; })
                          .column(view_deletes_, [](const View& v) { return std::get<2>(v); })
                          .column(view_deletes_, [](const View& v) { return std::get<3>(v); })));
        view_deletes_.clear();
    }
    if (view_inserts_.empty()) return;
    using Row = std::pair<View, std::string>;
    // A version may say a thing twice: the last time counts.
    std::stable_sort(view_inserts_.begin(), view_inserts_.end(),
                     [](const Row& a, const Row& b) { return a.first < b.first; });
    std::vector<const Row*> rows;
    for (const Row& row : view_inserts_) {
        if (!rows.empty() && rows.back()->first == row.first) rows.pop_back();
        rows.push_back(&row);
    }
    connection.send(
        "INSERT INTO meridian.view_row(view, key, rid, patient, value) SELECT * FROM "
        "unnest($1::integer[], $2::bytea[], $3::bigint[], $4::bigint[], $5::bytea[])",
        std::move(
            Parameters()
                .column(rows, [](const Row* r) { return std::get<0>(r->first); })
                .column(rows, [](const Row* r) { return Parameters::Bytes{std::get<1>(r->first)}; })
                .column(rows, [](const Row* r) { return std::get<2>(r->first); })
                .column(rows, [](const Row* r) { return std::get<3>(r->first); })
                .column(rows, [](const Row* r) { return Parameters::Bytes{r->second}; })));
    view_inserts_.clear();
}

void IndexWriter::send_texts(Connection& connection) {
    // Words are not kept elsewhere, so rows of texts are always written anew.
    if (!text_deletes_.empty()) {
        send_rows(connection,
                  "DELETE FROM meridian.idx_text i USING "
                  "unnest($1::bigint[], $2::integer[], $3::bigint[]) AS d(rid, field, patient) "
                  "WHERE i.rid = d.rid AND i.field = d.field AND i.patient = d.patient" +
                      only_shards(layout_, "patient", 3),
                  text_deletes_);
        text_deletes_.clear();
    }
    if (text_inserts_.empty()) return;
    send_rows(connection,
              "INSERT INTO meridian.idx_text(rid, field, param, patient, words) "
              "SELECT a, b, c, d, e::tsvector FROM unnest($1::bigint[], $2::integer[], "
              "$3::integer[], $4::bigint[], $5::text[]) AS t(a, b, c, d, e)",
              text_inserts_);
    text_inserts_.clear();
}

}  // namespace meridian::store::postgres

// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/check_rows.hpp"

#include <bit>

#include "base/limits.hpp"
#include "store/engine/index_rows.hpp"
#include "store/postgres/keys.hpp"
#include "store/postgres/text_search.hpp"

namespace meridian::store::postgres {

namespace {

constexpr auto rows_at_once = static_cast<std::int64_t>(limits::check_rows_at_once);

/// A row of any index table in one form: whose it is, and its columns one behind the other.
using RowKey = std::pair<Rid, std::string>;

struct Table {
    const char* name;
    const char* columns;
    const char* kinds;  ///< n: a number, t: a text; one for each column
};
constexpr Table tables[] = {
    {"idx_token", "param, value, patient", "nnn"},
    {"idx_string", "param, folded, exact, patient", "nttn"},
    {"idx_date", "param, span, lo, hi, patient", "nnnnn"},
    {"idx_number", "param, lo, hi, patient", "nnnn"},
    {"idx_quantity", "param, unit, lo, hi, patient", "nnnnn"},
    {"idx_reference", "param, target, patient", "nnn"},
    {"idx_uri", "param, uri, patient", "ntn"},
    {"idx_composite", "param, key, second, lo, hi, folded, patient", "nnnnntn"},
    {"idx_patient", "patient, type, code, date, home", "nnnnn"},
    {"compartment", "patient, home", "nn"},
    {"idx_text", "param, field, patient", "nnn"}};

void append(std::string& key, std::int64_t number) {
    char bytes[sizeof number];
    std::memcpy(bytes, &number, sizeof number);
    key.append(bytes, sizeof number);
}
void append(std::string& key, int number) {
    append(key, static_cast<std::int64_t>(number));
}
void append(std::string& key, double number) {
    append(key, std::bit_cast<std::int64_t>(number));
}
void append(std::string& key, std::string_view text) {
    append(key, static_cast<std::int64_t>(text.size()));
    key.append(text);
}
template <class... Columns>
RowKey row_key(Rid rid, const Columns&... columns) {
    RowKey row{rid, {}};
    (append(row.second, columns), ...);
    return row;
}

/// Rows of one resource as they should stand in each table, in the order of `tables`.
class Expected {
 public:
    void add(const Stored& stored, const ResolvedRows& rows, const Names& names) {
        const Rid rid = stored.rid;
        const Rid home = rows.compartments.empty() ? 0 : rows.compartments.front();
        for (const auto& row : rows.tokens) put(0, rid, row.param, row.value, home);
        for (const auto& row : rows.strings) {
            put(1, rid, row.param, std::string_view(key_of(row.folded)),
                std::string_view(row.exact == row.folded ? std::string() : text_of(row.exact)),
                home);
        }
        for (const auto& row : rows.dates)
            put(2, rid, row.param, date_span(row.lo, row.hi), row.lo, row.hi, home);
        for (const auto& row : rows.numbers) put(3, rid, row.param, row.lo, row.hi, home);
        for (const auto& row : rows.quantities)
            put(4, rid, row.param, row.unit, row.lo, row.hi, home);
        for (const auto& row : rows.references) put(5, rid, row.param, row.target, home);
        for (const auto& row : rows.uris)
            put(6, rid, row.param, std::string_view(key_of(row.uri)), home);
        for (const auto& row : rows.composites) {
            put(7, rid, row.param, row.key, row.second, row.lo, row.hi,
                std::string_view(key_of(row.folded)), home);
        }
        for (const auto& row : rows.patients)
            put(8, rid, row.patient, stored.type, row.code, row.date, home);
        for (const Rid patient : rows.compartments) put(9, rid, patient, home);
        for (const Name param : rows.texts) put(10, rid, param, text_field_of(names, param), home);
    }
    /// Sorted, each once: rows of a version are a set.
    std::vector<RowKey>& of(std::size_t table) {
        auto& rows = rows_[table];
        std::sort(rows.begin(), rows.end());
        rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
        return rows;
    }

 private:
    template <class... Columns>
    void put(std::size_t table, Rid rid, const Columns&... columns) {
        rows_[table].push_back(row_key(rid, columns...));
    }
    std::vector<RowKey> rows_[std::size(tables)];
};

std::vector<RowKey> rows_in(const Answer& answer, const Table& table) {
    std::vector<RowKey> rows;
    rows.reserve(static_cast<std::size_t>(answer.size()));
    for (int row = 0; row < answer.size(); ++row) {
        RowKey key{answer.integer(row, 0), {}};
        for (int column = 0; table.kinds[column] != '\0'; ++column) {
            if (table.kinds[column] == 't')
                append(key.second, answer.bytes(row, column + 1));
            else
                append(key.second, answer.integer(row, column + 1));
        }
        rows.push_back(std::move(key));
    }
    std::sort(rows.begin(), rows.end());
    return rows;
}

std::string stray_row(std::string_view table, Rid rid) {
    return fmt::format("{}: a row belongs to the resource {}, which has no forward rows", table,
                       rid);
}

}  // namespace

const Stored* RowCheck::find(const std::vector<Claimed>& claims, Rid rid) const {
    const auto found = std::lower_bound(
        claims.begin(), claims.end(), rid,
        [](const Claimed& claimed, Rid wanted) { return claimed.stored->rid < wanted; });
    return found == claims.end() || found->stored->rid != rid ? nullptr : found->stored;
}

Result<void> RowCheck::check_part(Rid after, Rid last, std::span<const Subject> subjects) {
    std::vector<Claimed> claims;
    for (const Subject& subject : subjects) {
        auto rows =
            check_forward(findings_, *subject.stored, !subject.forward.empty(), subject.forward);
        if (rows) claims.push_back({subject.stored, std::move(*rows), subject.forward});
    }
    TRY(check_tables(after, last, claims));
    TRY(check_unique_keys(claims));
    TRY(check_views(claims));
    return reader_.rows ? check_bodies(claims) : Result<void>();
}

Result<void> RowCheck::check_tables(Rid after, Rid last, const std::vector<Claimed>& claims) {
    Expected all;
    for (const Claimed& claimed : claims) all.add(*claimed.stored, claimed.rows, names_);
    for (std::size_t i = 0; i < std::size(tables) && !findings_.enough(); ++i) {
        const Table& table = tables[i];
        const auto& expected = all.of(i);
        const auto actual = rows_in(
            TRY(connection_.ask(fmt::format("SELECT rid, {} FROM meridian.{} WHERE rid > $1 AND "
                                            "rid <= $2",
                                            table.columns, table.name),
                                std::move(Parameters().integer(after).integer(last)))),
            table);
        findings_.report().index_rows += static_cast<std::int64_t>(expected.size());
        std::vector<RowKey> missing, stray;
        std::set_difference(expected.begin(), expected.end(), actual.begin(), actual.end(),
                            std::back_inserter(missing));
        std::set_difference(actual.begin(), actual.end(), expected.begin(), expected.end(),
                            std::back_inserter(stray));
        for (const RowKey& row : missing)
            missing_row(findings_, *find(claims, row.first), table.name);
        for (const RowKey& row : stray) {
            const Stored* owner = find(claims, row.first);
            findings_.problem(
                owner == nullptr
                    ? stray_row(table.name, row.first)
                    : fmt::format("{}: a row in {} is not in its forward rows, or there twice",
                                  findings_.version_name(*owner), table.name));
        }
    }
    return {};
}

Result<void> RowCheck::check_outside(Rid last) {
    for (const Table& table : tables) {
        const Answer rows = TRY(connection_.ask(
            fmt::format("(SELECT rid FROM meridian.{0} WHERE rid < 1 LIMIT 1) UNION ALL "
                        "(SELECT rid FROM meridian.{0} WHERE rid > $1 LIMIT 1)",
                        table.name),
            std::move(Parameters().integer(last))));
        for (int row = 0; row < rows.size(); ++row)
            findings_.problem(stray_row(table.name, rows.integer(row, 0)));
    }
    return {};
}

// --- keys and views ---

namespace {

/// The indexes below `count` whose place (from 1) no row of `rows` tells.
std::vector<std::size_t> not_among(const Answer& rows, std::size_t count) {
    std::vector<bool> is_there(count);
    for (int row = 0; row < rows.size(); ++row)
        is_there[static_cast<std::size_t>(rows.integer(row, 0)) - 1] = true;
    std::vector<std::size_t> missing;
    for (std::size_t index = 0; index < count; ++index) {
        if (!is_there[index]) missing.push_back(index);
    }
    return missing;
}

}  // namespace

Result<void> RowCheck::check_unique_keys(const std::vector<Claimed>& claims) {
    std::vector<std::pair<std::string, const Stored*>> keys;
    for (const Claimed& claimed : claims) {
        for (const std::string& key : claimed.rows.unique_keys)
            keys.emplace_back(byte_key_of(key), claimed.stored);
    }
    if (keys.empty()) return {};
    findings_.report().index_rows += static_cast<std::int64_t>(keys.size());
    const Answer rows = TRY(connection_.ask(
        "SELECT w.place FROM unnest($1::bytea[], $2::bigint[]) WITH ORDINALITY "
        "AS w(key, rid, place) JOIN meridian.unique_key u ON u.key = w.key AND u.rid = w.rid",
        std::move(Parameters()
                      .column(keys, [](const auto& k) { return Parameters::Bytes{k.first}; })
                      .column(keys, [](const auto& k) { return k.second->rid; }))));
    for (const std::size_t missing : not_among(rows, keys.size()))
        missing_row(findings_, *keys[missing].second, "unique_key");
    return {};
}

Result<void> RowCheck::check_views(const std::vector<Claimed>& claims) {
    struct View {
        Name view;
        std::string key;
        const Stored* stored;
    };
    std::vector<View> views;
    for (const Claimed& claimed : claims) {
        for (const ViewRow& row : claimed.rows.views)
            views.push_back({row.view, byte_key_of(row.key), claimed.stored});
    }
    if (views.empty()) return {};
    findings_.report().index_rows += static_cast<std::int64_t>(views.size());
    const Answer rows = TRY(connection_.ask(
        "SELECT w.place FROM unnest($1::integer[], $2::bytea[], $3::bigint[]) WITH ORDINALITY "
        "AS w(view, key, rid, place) JOIN meridian.view_row v "
        "ON v.view = w.view AND v.key = w.key AND v.rid = w.rid",
        std::move(Parameters()
                      .column(views, [](const View& v) { return v.view; })
                      .column(views, [](const View& v) { return Parameters::Bytes{v.key}; })
                      .column(views, [](const View& v) { return v.stored->rid; }))));
    for (const std::size_t missing : not_among(rows, views.size()))
        missing_row(findings_, *views[missing].stored, "view_row");
    return {};
}

Result<std::map<Rid, ResolvedRows>> RowCheck::rows_of(const std::vector<Rid>& rids) {
    const Answer answer = TRY(
        connection_.ask("SELECT rid, forward FROM meridian.resource WHERE rid = ANY($1::bigint[])",
                        std::move(Parameters().integers(rids))));
    std::map<Rid, ResolvedRows> found;
    for (int row = 0; row < answer.size(); ++row) {
        if (auto rows = unpack(answer.bytes(row, 1))) found[answer.integer(row, 0)] = *rows;
    }
    return found;
}

Result<void> RowCheck::check_keys() {
    TRY(check_unique_key_owners());
    return check_view_owners();
}

Result<void> RowCheck::check_unique_key_owners() {
    std::string after;
    bool is_first = true;
    while (!findings_.enough()) {
        const Answer rows = TRY(connection_.ask(
            "SELECT key, rid FROM meridian.unique_key WHERE key > $1 OR $3::integer = 1 "
            "ORDER BY key LIMIT $2",
            std::move(Parameters().bytes(after).integer(rows_at_once).small(is_first ? 1 : 0))));
        if (rows.empty()) break;
        is_first = false;
        std::vector<Rid> rids;
        for (int row = 0; row < rows.size(); ++row) rids.push_back(rows.integer(row, 1));
        const auto owners = TRY(rows_of(rids));
        for (int row = 0; row < rows.size(); ++row) {
            after = rows.bytes(row, 0);
            const auto owner = owners.find(rows.integer(row, 1));
            const bool is_claimed =
                owner != owners.end() &&
                std::any_of(owner->second.unique_keys.begin(), owner->second.unique_keys.end(),
                            [&](const std::string& key) { return byte_key_of(key) == after; });
            // The key itself may be a person's number.
            if (!is_claimed)
                findings_.problem(fmt::format(
                    "unique_key: the resource {} holds a key that its forward rows do not name",
                    rows.integer(row, 1)));
        }
    }
    return {};
}

Result<void> RowCheck::check_view_owners() {
    Name view = -1;
    std::string key;
    Rid rid = 0;
    while (!findings_.enough()) {
        const Answer rows = TRY(connection_.ask(
            "SELECT view, key, rid FROM meridian.view_row WHERE (view, key, rid) > ($1, $2, $3) "
            "ORDER BY view, key, rid LIMIT $4",
            std::move(Parameters().small(view).bytes(key).integer(rid).integer(rows_at_once))));
        if (rows.empty()) break;
        std::vector<Rid> rids;
        for (int row = 0; row < rows.size(); ++row) rids.push_back(rows.integer(row, 2));
        const auto owners = TRY(rows_of(rids));
        for (int row = 0; row < rows.size(); ++row) {
            view = static_cast<Name>(rows.integer(row, 0));
            key = rows.bytes(row, 1);
            rid = rows.integer(row, 2);
            const auto owner = owners.find(rid);
            const bool is_claimed =
                owner != owners.end() &&
                std::any_of(owner->second.views.begin(), owner->second.views.end(),
                            [&](const ViewRow& each) {
                                return each.view == view && byte_key_of(each.key) == key;
                            });
            if (!is_claimed) findings_.problem(stray_row("view_row", rid));
        }
    }
    return {};
}

// --- bodies ---

Result<std::map<std::pair<Name, std::string>, Rid>> RowCheck::rids_of(
    const std::vector<Rows>& rows) {
    std::map<std::pair<Name, std::string>, Rid> rids;
    for (const Rows& each : rows) {
        for (const auto& row : each.references) rids[{row.target.type, row.target.id}] = 0;
        for (const auto& row : each.patients) rids[{row.patient.type, row.patient.id}] = 0;
        for (const Identity& patient : each.compartments) rids[{patient.type, patient.id}] = 0;
    }
    std::vector<std::pair<const std::pair<Name, std::string>, Rid>*> wanted;
    std::vector<std::string> keys;
    for (auto& identity : rids) {
        wanted.push_back(&identity);
        keys.push_back(byte_key_of(identity.first.second));
    }
    const Answer answer = TRY(connection_.ask(
        "SELECT w.place, d.rid FROM unnest($1::integer[], $2::bytea[]) WITH ORDINALITY "
        "AS w(type, key, place) JOIN meridian.directory d ON d.type = w.type AND d.key = w.key",
        std::move(Parameters()
                      .column(wanted, [](const auto* w) { return w->first.first; })
                      .column(keys, [](const std::string& k) { return Parameters::Bytes{k}; }))));
    for (int row = 0; row < answer.size(); ++row)
        wanted[static_cast<std::size_t>(answer.integer(row, 0)) - 1]->second =
            answer.integer(row, 1);
    return rids;
}

Result<void> RowCheck::check_bodies(const std::vector<Claimed>& claims) {
    std::vector<Rows> rows;
    std::vector<const Claimed*> read;
    for (const Claimed& claimed : claims) {
        auto extracted = reader_.rows(*claimed.stored, names_);
        if (!extracted) {
            findings_.problem(fmt::format("{}: its body gives no index rows: {}",
                                          findings_.version_name(*claimed.stored),
                                          extracted.error().message));
            continue;
        }
        rows.push_back(std::move(*extracted));
        read.push_back(&claimed);
    }
    const auto rids = TRY(rids_of(rows));
    std::vector<std::pair<const Stored*, ResolvedText>> texts;
    for (std::size_t i = 0; i < read.size(); ++i) {
        const Stored& stored = *read[i]->stored;
        Resolved resolved = TRY(resolve_rows(
            std::move(rows[i]),
            [&](const Identity& identity) {
                return Result<Rid>(rids.at({identity.type, identity.id}));
            },
            [this](Name param) { return text_field_of(names_, param); }));
        if (!check_packed(findings_, stored, resolved, read[i]->packed)) continue;
        for (ResolvedText& text : resolved.texts) texts.emplace_back(&stored, std::move(text));
    }
    return check_words(texts);
}

Result<void> RowCheck::check_words(
    const std::vector<std::pair<const Stored*, ResolvedText>>& texts) {
    if (texts.empty()) return {};
    std::vector<std::string> vectors;
    for (const auto& [stored, text] : texts) vectors.push_back(text_vector(text.words));
    const Answer rows = TRY(connection_.ask(
        "SELECT w.place FROM unnest($1::bigint[], $2::integer[], $3::text[]) WITH ORDINALITY "
        "AS w(rid, field, words, place) JOIN meridian.idx_text t "
        "ON t.rid = w.rid AND t.field = w.field WHERE t.words <> w.words::tsvector",
        std::move(Parameters()
                      .column(texts, [](const auto& t) { return t.first->rid; })
                      .column(texts, [](const auto& t) { return std::int32_t{t.second.field}; })
                      .column(vectors, [](const std::string& v) { return std::string_view(v); }))));
    for (int row = 0; row < rows.size(); ++row)
        wrong_words(findings_, *texts[static_cast<std::size_t>(rows.integer(row, 0)) - 1].first);
    return {};
}

}  // namespace meridian::store::postgres

// SPDX-License-Identifier: Apache-2.0
#include "store/engine/resolve.hpp"

#include <cmath>

namespace meridian::store {

namespace {

template <class Row>
void drop_not_numbers(std::vector<Row>& rows) {
    // A row that compares with nothing finds nothing, and no key of an index takes it: SQLite
    // stores NaN as NULL.
    std::erase_if(rows, [](const Row& row) { return std::isnan(row.lo) || std::isnan(row.hi); });
}

void take_texts(std::vector<TextRow>& rows, const std::function<int(Name)>& text_field,
                Resolved& out) {
    for (TextRow& row : rows) {
        const int field = text_field(row.param);
        const auto same =
            std::find_if(out.texts.begin(), out.texts.end(),
                         [field](const ResolvedText& text) { return text.field == field; });
        if (same != out.texts.end()) {
            same->words.append(" ").append(row.words);
            continue;
        }
        out.rows.texts.push_back(row.param);
        out.texts.push_back({field, std::move(row.words)});
    }
}

/// Drops the rows of `params`.
void drop_params(ResolvedRows& rows, std::span<const Name> params) {
    const auto is_dropped = [params](Name param) {
        return std::find(params.begin(), params.end(), param) != params.end();
    };
    const auto drop = [&](auto& list) {
        std::erase_if(list, [&](const auto& row) { return is_dropped(row.param); });
    };
    drop(rows.tokens), drop(rows.strings), drop(rows.dates), drop(rows.numbers);
    drop(rows.quantities), drop(rows.references), drop(rows.uris), drop(rows.composites);
    std::erase_if(rows.texts, is_dropped);
}

template <class Row>
void append(std::vector<Row>& to, std::vector<Row>& from) {
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

}  // namespace

ResolvedRows with_params_replaced(const ResolvedRows& old, std::span<const Name> params,
                                  ResolvedRows fresh) {
    ResolvedRows merged = old;
    drop_params(merged, params);
    append(merged.tokens, fresh.tokens), append(merged.strings, fresh.strings);
    append(merged.dates, fresh.dates), append(merged.numbers, fresh.numbers);
    append(merged.quantities, fresh.quantities), append(merged.references, fresh.references);
    append(merged.uris, fresh.uris), append(merged.composites, fresh.composites);
    append(merged.texts, fresh.texts);
    return merged;
}

int text_field_of(const Names& names, Name param) {
    return names.text(NameKind::parameter, param).ends_with("_content") ? 1 : 0;
}

Result<Resolved> resolve_rows(Rows rows, const std::function<Result<Rid>(const Identity&)>& rid_of,
                              const std::function<int(Name)>& text_field) {
    Resolved out;
    for (const auto& row : rows.references)
        out.rows.references.push_back({row.param, TRY(rid_of(row.target))});
    for (const auto& row : rows.patients)
        out.rows.patients.push_back({TRY(rid_of(row.patient)), row.code, row.date});
    for (const Identity& patient : rows.compartments) {
        const Rid rid = TRY(rid_of(patient));
        if (out.patient == 0) out.patient = rid;
        auto& all = out.rows.compartments;
        if (std::find(all.begin(), all.end(), rid) == all.end()) all.push_back(rid);
    }
    drop_not_numbers(rows.numbers);
    drop_not_numbers(rows.quantities);
    drop_not_numbers(rows.composites);
    take_texts(rows.texts, text_field, out);
    out.rows.tokens = std::move(rows.tokens);
    out.rows.strings = std::move(rows.strings);
    out.rows.dates = std::move(rows.dates);
    out.rows.numbers = std::move(rows.numbers);
    out.rows.quantities = std::move(rows.quantities);
    out.rows.uris = std::move(rows.uris);
    out.rows.composites = std::move(rows.composites);
    out.rows.views = std::move(rows.views);
    out.rows.unique_keys = std::move(rows.unique_keys);
    return out;
}

}  // namespace meridian::store

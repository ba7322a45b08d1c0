// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/row_feed.hpp"

#include <sqlite3.h>

namespace meridian::store::sqlite {

void Cell::integer(std::int64_t value) {
    sqlite3_result_int64(context_, value);
}
void Cell::real(double value) {
    sqlite3_result_double(context_, value);
}
void Cell::text(std::string_view value) {
    // A null pointer would give NULL; an empty view may carry one.
    sqlite3_result_text64(context_, value.data() == nullptr ? "" : value.data(), value.size(),
                          SQLITE_STATIC, SQLITE_UTF8);
}
void Cell::blob(std::string_view value) {
    sqlite3_result_blob64(context_, value.data() == nullptr ? "" : value.data(), value.size(),
                          SQLITE_STATIC);
}

namespace {

// SQLite's interface of virtual tables: https://www.sqlite.org/vtab.html. The structures that it
// hands back to us begin with its own.
struct Table {
    sqlite3_vtab base;
    const RowFeed* feed;
};
struct Cursor {
    sqlite3_vtab_cursor base;
    const RowSource* source;
    std::size_t row;
    std::size_t end;
};

int connect(sqlite3* handle, void* feed, int, const char* const*, sqlite3_vtab** out, char**) {
    static_assert(RowFeed::columns_max == 12);
    const int code = sqlite3_declare_vtab(
        handle, "CREATE TABLE row_feed(c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11)");
    if (code != SQLITE_OK) return code;
    *out = &(new Table{{}, static_cast<const RowFeed*>(feed)})->base;
    return SQLITE_OK;
}

int disconnect(sqlite3_vtab* table) {
    delete reinterpret_cast<Table*>(table);
    return SQLITE_OK;
}

int choose_path(sqlite3_vtab*, sqlite3_index_info* info) {
    info->estimatedCost = 1;  // there is one way only: from the first row to the last
    return SQLITE_OK;
}

int open_cursor(sqlite3_vtab*, sqlite3_vtab_cursor** out) {
    *out = &(new Cursor{})->base;
    return SQLITE_OK;
}

int close_cursor(sqlite3_vtab_cursor* cursor) {
    delete reinterpret_cast<Cursor*>(cursor);
    return SQLITE_OK;
}

int start(sqlite3_vtab_cursor* base, int, const char*, int, sqlite3_value**) {
    auto* cursor = reinterpret_cast<Cursor*>(base);
    cursor->source = reinterpret_cast<Table*>(base->pVtab)->feed->source();
    cursor->row = 0;
    cursor->end = cursor->source == nullptr ? 0 : cursor->source->size();
    return SQLITE_OK;
}

int next(sqlite3_vtab_cursor* cursor) {
    ++reinterpret_cast<Cursor*>(cursor)->row;
    return SQLITE_OK;
}

int at_end(sqlite3_vtab_cursor* base) {
    const auto* cursor = reinterpret_cast<Cursor*>(base);
    return cursor->row >= cursor->end ? 1 : 0;
}

int column(sqlite3_vtab_cursor* base, sqlite3_context* context, int index) {
    const auto* cursor = reinterpret_cast<Cursor*>(base);
    Cell cell(context);
    cursor->source->value(cursor->row, index, cell);
    return SQLITE_OK;
}

int row_number(sqlite3_vtab_cursor* cursor, sqlite3_int64* out) {
    *out = static_cast<sqlite3_int64>(reinterpret_cast<Cursor*>(cursor)->row);
    return SQLITE_OK;
}

/// Without xCreate the table is there on its own, in every database, and cannot be made or dropped.
sqlite3_module make_module() {
    sqlite3_module module{};
    module.xConnect = connect;
    module.xBestIndex = choose_path;
    module.xDisconnect = disconnect;
    module.xOpen = open_cursor;
    module.xClose = close_cursor;
    module.xFilter = start;
    module.xNext = next;
    module.xEof = at_end;
    module.xColumn = column;
    module.xRowid = row_number;
    return module;
}

}  // namespace

int RowFeed::attach(sqlite3* handle) {
    static const sqlite3_module module = make_module();
    return sqlite3_create_module_v2(handle, "row_feed", &module, this, nullptr);
}

}  // namespace meridian::store::sqlite

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include "base/result.hpp"

struct sqlite3;
struct sqlite3_context;

namespace meridian::store::sqlite {

/// Where a row feed puts the value of one column. Text and blobs are not copied.
class Cell {
 public:
    explicit Cell(sqlite3_context* context) : context_(context) {}
    void integer(std::int64_t value);
    void real(double value);
    void text(std::string_view value);
    void blob(std::string_view value);
    /// The one of the above that suits the type; text for anything like a string.
    template <class Value>
    void put(const Value& value) {
        if constexpr (std::is_floating_point_v<Value>) {
            real(value);
        } else if constexpr (std::is_integral_v<Value> || std::is_enum_v<Value>) {
            integer(static_cast<std::int64_t>(value));
        } else {
            text(value);
        }
    }

 private:
    sqlite3_context* context_;
};

/// Rows in memory that SQL can read.
class RowSource {
 public:
    RowSource() = default;
    RowSource(const RowSource&) = delete;
    RowSource& operator=(const RowSource&) = delete;
    virtual ~RowSource() = default;
    virtual std::size_t size() const = 0;
    /// Puts the value of `column`, counted from 0, of a row below size() into `cell`. The bytes of
    /// texts and blobs must stay as they are until the statement has ended.
    virtual void value(std::size_t row, int column, Cell& cell) const = 0;
};

/// Tuples of integers, doubles and strings as they lie in a vector.
template <class Row>
class TupleSource final : public RowSource {
 public:
    explicit TupleSource(const std::vector<Row>& rows) : rows_(rows) {}
    std::size_t size() const override { return rows_.size(); }
    void value(std::size_t row, int column, Cell& cell) const override {
        put(rows_[row], column, cell, std::make_index_sequence<std::tuple_size_v<Row>>());
    }

 private:
    template <std::size_t... Index>
    static void put(const Row& row, int column, Cell& cell, std::index_sequence<Index...>) {
        ((column == static_cast<int>(Index) ? cell.put(std::get<Index>(row)) : void()), ...);
    }
    const std::vector<Row>& rows_;
};

/// The items of a vector, each of them one row: `put(item, column, cell)` puts one value.
template <class Item, class Put>
class ItemSource final : public RowSource {
 public:
    ItemSource(const std::vector<Item>& items, Put put) : items_(items), put_(put) {}
    std::size_t size() const override { return items_.size(); }
    void value(std::size_t row, int column, Cell& cell) const override {
        put_(items_[row], column, cell);
    }

 private:
    const std::vector<Item>& items_;
    Put put_;
};

/// Makes the rows of a source look like a table of one connection, `row_feed(c0, c1, … c11)`, so
/// that one statement writes them all: `INSERT INTO t(a, b) SELECT c0, c1 FROM row_feed`. Binding,
/// starting and ending a statement for each row took as long as the insert itself (docs/adr/0004).
///
/// Say OR FAIL in such an insert: a statement of many rows that can be undone by itself makes
/// SQLite keep a copy of every page it changes. After an error the transaction must be rolled back.
class RowFeed {
 public:
    static constexpr int columns_max = 12;
    /// Adds the table to the connection. Errors: SQLite's code.
    int attach(sqlite3* handle);
    /// What the next statements read; null = no rows. Must outlive them.
    void set_source(const RowSource* source) { source_ = source; }
    const RowSource* source() const { return source_; }

 private:
    const RowSource* source_ = nullptr;
};

}  // namespace meridian::store::sqlite

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>

#include "base/result.hpp"
#include "store/sqlite/row_feed.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace meridian::store::sqlite {

class Database;

/// A prepared statement borrowed from its connection's cache; it goes back, reset and unbound, when
/// this object dies.
///
/// Parameters and columns count from 1 and 0 as SQLite counts them. A failed bind is remembered and
/// reported by the next step. Not thread-safe; must not outlive its Database.
class Statement {
 public:
    Statement(Statement&& other) noexcept;
    Statement& operator=(Statement&& other) noexcept;
    ~Statement();

    Statement& bind(int index, std::int64_t value);
    Statement& bind(int index, double value);
    /// Text and blobs are not copied: the bytes must stay as they are until reset or the last step.
    Statement& bind_text(int index, std::string_view value);
    Statement& bind_blob(int index, std::string_view value);
    Statement& bind_null(int index);
    /// Binds 1, 2, 3 …: integers, doubles, text (std::string_view, std::string, const char*),
    /// nullptr for NULL.
    template <class... Values>
    Statement& bind_all(const Values&... values) {
        int index = 0;
        (bind_one(++index, values), ...);
        return *this;
    }

    /// Moves to the next row: false when there is none. Errors: as Database. Blocking: reads or
    /// writes the database.
    Result<bool> step();
    /// Steps through to the end and resets, for statements whose rows nobody wants.
    Result<void> run();
    /// Back to the start, ready to step again; bindings stay.
    void reset();

    std::int64_t integer(int column) const;
    double real(int column) const;
    /// Valid until the next step, reset or the statement's end.
    std::string_view text(int column) const;
    std::string_view blob(int column) const;
    bool is_null(int column) const;
    int column_count() const;

 private:
    friend class Database;
    Statement(Database* database, sqlite3_stmt* handle, bool* in_use)
        : database_(database), handle_(handle), in_use_(in_use) {}
    void give_back();

    template <class Value>
    void bind_one(int index, const Value& value) {
        if constexpr (std::is_null_pointer_v<Value>) {
            bind_null(index);
        } else if constexpr (std::is_floating_point_v<Value>) {
            bind(index, static_cast<double>(value));
        } else if constexpr (std::is_integral_v<Value> || std::is_enum_v<Value>) {
            bind(index, static_cast<std::int64_t>(value));
        } else {
            bind_text(index, std::string_view(value));
        }
    }

    Database* database_ = nullptr;
    sqlite3_stmt* handle_ = nullptr;
    bool* in_use_ = nullptr;  ///< of its place in the cache; null when it has none
    int bind_error_ = 0;
};

/// How a database file is opened.
struct DatabaseOptions {
    bool create = false;
    bool read_only = false;
    std::string vfs{};                      ///< empty = the platform's own
    std::int64_t cache_bytes = 16LL << 20;  ///< page cache of this connection, filled as needed
    std::int64_t mapped_bytes = 0;          ///< part of the file read through a memory map
    int busy_milliseconds = 5'000;          ///< how long a locked database is waited for
};

/// Settings of the whole SQLite library, made once, before anything else is asked of it.
void configure_sqlite();

/// True for codes after which nobody knows what the disk holds: I/O errors of writes and fsyncs,
/// damage.
bool is_lasting(int code);

/// One connection to a SQLite database with its cache of prepared statements. Use it from one
/// thread at a time.
///
/// Errors of every call: `storage_full` when the disk is full; `unavailable` for I/O errors and
/// locks that do not end; `too_large` for values beyond SQLite's limits; `conflict` for a broken
/// constraint; `fault` for everything else, a damaged file among it.
class Database {
 public:
    /// Opens `path`. Blocking: file I/O.
    static Result<std::unique_ptr<Database>> open(const std::string& path,
                                                  const DatabaseOptions& options);
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    /// Runs a script of statements that give no rows, e.g. a schema.
    Result<void> execute(const std::string& script);
    /// The statement for `sql`, taken from the cache when it was used before and is free. Errors:
    /// `fault` for invalid SQL.
    Result<Statement> prepare(std::string_view sql);
    /// Binds `values`, runs `sql` and gives the first column of its first row; `otherwise` when it
    /// has no row or NULL.
    template <class... Values>
    Result<std::int64_t> integer(std::string_view sql, std::int64_t otherwise,
                                 const Values&... values) {
        auto statement = TRY(prepare(sql));
        statement.bind_all(values...);
        if (!TRY(statement.step()) || statement.is_null(0)) return otherwise;
        return statement.integer(0);
    }
    /// Binds `values` and runs `sql` for its effect.
    template <class... Values>
    Result<void> run(std::string_view sql, const Values&... values) {
        auto statement = TRY(prepare(sql));
        statement.bind_all(values...);
        return statement.run();
    }

    /// Runs `sql`, which selects from row_feed, on `rows`. After an error the transaction must be
    /// rolled back (see RowFeed).
    Result<void> run_on_rows(std::string_view sql, const RowSource& rows);

    /// Rows changed by the last insert, update or delete.
    std::int64_t changes() const;
    /// True outside of a transaction (an error may have rolled one back).
    bool in_autocommit() const;
    /// Makes running statements of this connection stop with `unavailable`. May be called from any
    /// thread.
    void interrupt();
    /// The extended SQLite result code of the last failed call of this connection; 0 when none
    /// failed.
    int last_code() const { return last_code_; }
    void forget_last_code() { last_code_ = 0; }
    sqlite3* handle() const { return handle_; }

 private:
    friend class Statement;
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const {
            return std::hash<std::string_view>{}(text);
        }
    };
    struct Cached {
        sqlite3_stmt* handle = nullptr;
        bool in_use = false;
        std::uint64_t used_at = 0;
    };

    explicit Database(sqlite3* handle) : handle_(handle) {}
    std::unexpected<Error> failure(int code, const char* what);
    void forget_oldest();

    sqlite3* handle_ = nullptr;
    std::unique_ptr<RowFeed> feed_;  ///< made when it is first used
    std::unordered_map<std::string, Cached, Hash, std::equal_to<>> statements_;
    std::uint64_t uses_ = 0;
    int last_code_ = 0;
};

}  // namespace meridian::store::sqlite

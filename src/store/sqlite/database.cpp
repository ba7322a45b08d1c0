// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/database.hpp"

#include <sqlite3.h>

#include "base/limits.hpp"

namespace meridian::store::sqlite {

namespace {

constexpr std::int64_t page_bytes = 8'192;  ///< of record.db

Category category_of(int code) {
    // The shared-memory file could not grow: nothing is lost, there is just no room.
    if (code == SQLITE_IOERR_SHMSIZE) return Category::storage_full;
    switch (code & 0xff) {
        case SQLITE_FULL:
            return Category::storage_full;
        case SQLITE_IOERR:
        case SQLITE_CANTOPEN:
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
        case SQLITE_INTERRUPT:
        case SQLITE_READONLY:
        case SQLITE_PROTOCOL:
        case SQLITE_PERM:
            return Category::unavailable;
        case SQLITE_TOOBIG:
            return Category::too_large;
        case SQLITE_CONSTRAINT:
            return Category::conflict;
        default:
            return Category::fault;
    }
}

}  // namespace

bool is_lasting(int code) {
    switch (code) {
        case SQLITE_IOERR_NOMEM:
        case SQLITE_IOERR_SHMSIZE:
        case SQLITE_IOERR_LOCK:
        case SQLITE_IOERR_BLOCKED:
            return false;
        default:
            return (code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CORRUPT ||
                   (code & 0xff) == SQLITE_NOTADB;
    }
}

// --- Statement ---

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_),
      handle_(std::exchange(other.handle_, nullptr)),
      in_use_(other.in_use_),
      bind_error_(other.bind_error_) {}

Statement& Statement::operator=(Statement&& other) noexcept {
    if (this != &other) {
        give_back();
        database_ = other.database_;
        handle_ = std::exchange(other.handle_, nullptr);
        in_use_ = other.in_use_;
        bind_error_ = other.bind_error_;
    }
    return *this;
}

Statement::~Statement() {
    give_back();
}

void Statement::give_back() {
    if (handle_ == nullptr) return;
    if (in_use_ == nullptr) {
        sqlite3_finalize(handle_);
    } else {
        sqlite3_reset(handle_);
        sqlite3_clear_bindings(handle_);
        *in_use_ = false;
    }
    handle_ = nullptr;
}

Statement& Statement::bind(int index, std::int64_t value) {
    if (const int code = sqlite3_bind_int64(handle_, index, value); code != SQLITE_OK)
        bind_error_ = code;
    return *this;
}

Statement& Statement::bind(int index, double value) {
    if (const int code = sqlite3_bind_double(handle_, index, value); code != SQLITE_OK)
        bind_error_ = code;
    return *this;
}

Statement& Statement::bind_text(int index, std::string_view value) {
    // A null pointer would bind NULL; an empty view may carry one.
    const char* bytes = value.data() == nullptr ? "" : value.data();
    const int code =
        sqlite3_bind_text64(handle_, index, bytes, value.size(), SQLITE_STATIC, SQLITE_UTF8);
    if (code != SQLITE_OK) bind_error_ = code;
    return *this;
}

Statement& Statement::bind_blob(int index, std::string_view value) {
    const char* bytes = value.data() == nullptr ? "" : value.data();
    const int code = sqlite3_bind_blob64(handle_, index, bytes, value.size(), SQLITE_STATIC);
    if (code != SQLITE_OK) bind_error_ = code;
    return *this;
}

Statement& Statement::bind_null(int index) {
    if (const int code = sqlite3_bind_null(handle_, index); code != SQLITE_OK) bind_error_ = code;
    return *this;
}

Result<bool> Statement::step() {
    if (bind_error_ != 0) return database_->failure(bind_error_, sqlite3_sql(handle_));
    const int code = sqlite3_step(handle_);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    return database_->failure(code, sqlite3_sql(handle_));
}

Result<void> Statement::run() {
    while (TRY(step())) {
    }
    reset();
    return {};
}

void Statement::reset() {
    sqlite3_reset(handle_);
}

std::int64_t Statement::integer(int column) const {
    return sqlite3_column_int64(handle_, column);
}
double Statement::real(int column) const {
    return sqlite3_column_double(handle_, column);
}

std::string_view Statement::text(int column) const {
    const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(handle_, column));
    return bytes == nullptr
               ? std::string_view()
               : std::string_view(bytes,
                                  static_cast<std::size_t>(sqlite3_column_bytes(handle_, column)));
}

std::string_view Statement::blob(int column) const {
    const auto* bytes = static_cast<const char*>(sqlite3_column_blob(handle_, column));
    return bytes == nullptr
               ? std::string_view()
               : std::string_view(bytes,
                                  static_cast<std::size_t>(sqlite3_column_bytes(handle_, column)));
}

bool Statement::is_null(int column) const {
    return sqlite3_column_type(handle_, column) == SQLITE_NULL;
}
int Statement::column_count() const {
    return sqlite3_column_count(handle_);
}

// --- Database ---

void configure_sqlite() {
    // Without counts of its allocations SQLite takes no global lock for each of them.
    static const int done = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    static_cast<void>(done);
}

Result<std::unique_ptr<Database>> Database::open(const std::string& path,
                                                 const DatabaseOptions& options) {
    configure_sqlite();
    int flags = options.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    if (options.create && !options.read_only) flags |= SQLITE_OPEN_CREATE;
    // One thread at a time uses a connection, so SQLite's own mutex would only cost time.
    flags |= SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    sqlite3* handle = nullptr;
    const int code = sqlite3_open_v2(path.c_str(), &handle, flags,
                                     options.vfs.empty() ? nullptr : options.vfs.c_str());
    std::unique_ptr<Database> database(new Database(handle));
    if (code != SQLITE_OK) return database->failure(code, path.c_str());
    sqlite3_busy_timeout(handle, options.busy_milliseconds);
    // In pages: SQLite turns a size in bytes into pages before it has read the file's page size,
    // and so would take twice as much.
    TRY(database->execute(fmt::format("PRAGMA cache_size={}; PRAGMA mmap_size={};",
                                      std::max<std::int64_t>(options.cache_bytes / page_bytes, 16),
                                      options.mapped_bytes)));
    return database;
}

Database::~Database() {
    for (auto& [sql, cached] : statements_) sqlite3_finalize(cached.handle);
    sqlite3_close_v2(handle_);
}

std::unexpected<Error> Database::failure(int code, const char* what) {
    last_code_ = handle_ == nullptr ? code : sqlite3_extended_errcode(handle_);
    if ((last_code_ & 0xff) != (code & 0xff)) last_code_ = code;
    const Category category = category_of(code);
    const char* text = handle_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(handle_);
    const char* advice = "";
    if (category == Category::storage_full)
        advice = "; free some disk space, writes go on by themselves";
    if ((code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB) {
        advice = "; run `meridian check` and restore a backup if it finds damage";
    }
    return fail(category,
                fmt::format("the database answered: {} (code {}){}", text, last_code_, advice),
                what == nullptr ? std::string() : std::string(what));
}

Result<void> Database::execute(const std::string& script) {
    const int code = sqlite3_exec(handle_, script.c_str(), nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return failure(code, script.c_str());
    return {};
}

Result<Statement> Database::prepare(std::string_view sql) {
    auto found = statements_.find(sql);
    if (found != statements_.end() && !found->second.in_use) {
        found->second.in_use = true;
        found->second.used_at = ++uses_;
        return Statement(this, found->second.handle, &found->second.in_use);
    }
    sqlite3_stmt* handle = nullptr;
    const bool cache =
        found ==
        statements_.end();  // a second one for a text in use lives only as long as it is used
    const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                        cache ? SQLITE_PREPARE_PERSISTENT : 0u, &handle, nullptr);
    if (code != SQLITE_OK) return failure(code, std::string(sql).c_str());
    if (!cache) return Statement(this, handle, nullptr);
    if (statements_.size() >= limits::statement_cache_max) forget_oldest();
    Cached& entry = statements_[std::string(sql)];
    entry = Cached{handle, true, ++uses_};
    return Statement(this, handle, &entry.in_use);
}

Result<void> Database::run_on_rows(std::string_view sql, const RowSource& rows) {
    if (rows.size() == 0) return {};
    if (feed_ == nullptr) {
        auto feed = std::make_unique<RowFeed>();
        if (const int code = feed->attach(handle_); code != SQLITE_OK)
            return failure(code, "row_feed");
        feed_ = std::move(feed);
    }
    auto statement = TRY(prepare(sql));
    feed_->set_source(&rows);
    auto done = statement.run();
    feed_->set_source(nullptr);
    return done;
}

void Database::forget_oldest() {
    auto oldest = statements_.end();
    for (auto it = statements_.begin(); it != statements_.end(); ++it) {
        if (it->second.in_use) continue;
        if (oldest == statements_.end() || it->second.used_at < oldest->second.used_at) oldest = it;
    }
    if (oldest == statements_.end()) return;
    sqlite3_finalize(oldest->second.handle);
    statements_.erase(oldest);
}

std::int64_t Database::changes() const {
    return sqlite3_changes64(handle_);
}
bool Database::in_autocommit() const {
    return sqlite3_get_autocommit(handle_) != 0;
}
void Database::interrupt() {
    sqlite3_interrupt(handle_);
}

}  // namespace meridian::store::sqlite

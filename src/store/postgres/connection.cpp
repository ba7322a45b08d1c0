// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/connection.hpp"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <bit>

#include "base/limits.hpp"
#include "store/postgres/wire.hpp"

namespace meridian::store::postgres {

// --- rows ---

Answer::~Answer() {
    PQclear(result_);
}
int Answer::size() const {
    return result_ == nullptr ? 0 : PQntuples(result_);
}
bool Answer::is_null(int row, int column) const {
    return PQgetisnull(result_, row, column) != 0;
}
std::int64_t Answer::integer(int row, int column) const {
    const auto* bytes = reinterpret_cast<const unsigned char*>(PQgetvalue(result_, row, column));
    const int length = PQgetlength(result_, row, column);
    if (length == 0) return 0;
    // Big-endian two's complement of one, two, four or eight bytes.
    std::uint64_t value = (bytes[0] & 0x80) != 0 && length > 1 ? ~std::uint64_t{0} : 0;
    for (int i = 0; i < length; ++i) value = value << 8 | bytes[i];
    return static_cast<std::int64_t>(value);
}
double Answer::real(int row, int column) const {
    return std::bit_cast<double>(integer(row, column));
}
std::string_view Answer::bytes(int row, int column) const {
    return {PQgetvalue(result_, row, column),
            static_cast<std::size_t>(PQgetlength(result_, row, column))};
}
std::int64_t Answer::changed() const {
    const std::string_view count = PQcmdTuples(result_);
    std::int64_t value = 0;
    std::from_chars(count.data(), count.data() + count.size(), value);
    return value;
}

// --- errors ---

namespace {

std::string first_line(const char* message) {
    const std::string_view text = message == nullptr ? "" : message;
    return std::string(text.substr(0, text.find('\n')));
}

Category category_of(std::string_view state) {
    if (state.empty() || state.starts_with("08") || state.starts_with("57"))
        return Category::unavailable;
    if (state == "53100") return Category::storage_full;
    if (state.starts_with("53")) return Category::unavailable;  // connections, memory
    if (state == "40001" || state == "40P01" || state == "23505") return Category::busy;
    if (state == "42501" || state.starts_with("28")) return Category::forbidden;
    if (state == "3D000") return Category::not_found;
    // A standby, or a primary that has become one: writes go elsewhere.
    if (state == "25006") return Category::unavailable;
    if (state == "25P03") return Category::unavailable;  // it has waited too long for this server
    return Category::fault;
}

/// The database finds out by itself when this program can no longer be reached, also while it works
/// for it or waits to be read from. On a unix socket these say nothing.
const std::string session_setup =
    "SET client_connection_check_interval = '5s'; SET tcp_keepalives_idle = 5; "
    "SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3; "
    "SET tcp_user_timeout = '10s'; ";

bool may_be_told(std::string_view state) {
    return state.empty() || state.starts_with("08") || state.starts_with("28") ||
           state.starts_with("3D") || state.starts_with("53") || state.starts_with("57");
}

/// Whether input or output failed (58030; to Citus that is also a COPY to a node), or a node of a
/// Citus cluster. Of a node that has gone the coordinator often has no SQLSTATE to pass on, and
/// says XX000 in the words of libpq, which are those of the database's language. What tells is
/// which function of Citus has said it: these speak of other nodes only (v13.0.3).
bool tells_of_failed_part(std::string_view state, const pg_result* result) {
    constexpr std::string_view io_error = "58030";
    constexpr std::string_view internal_error = "XX000";
    if (state == io_error) return true;
    if (state != internal_error) return false;
    const char* source = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION);
    const std::string_view function = source == nullptr ? "" : source;
    constexpr std::string_view functions[] = {
        "ReportResultError",                       // what libpq has found, or a node's own XX000
        "ReportCopyError",                         // whatever a node says to a COPY, its state lost
        "InitializeCopyShardState",                // no node that holds the shard can be reached
        "CopyGetPlacementConnection",              // likewise
        "FinishRemoteTransactionPrepare",          // a node could not promise to commit
        "MarkRemoteTransactionFailed",             // it went away within the transaction
        "CheckRemoteTransactionsHealth",           // likewise, seen before the commit
        "ErrorIfPostCommitFailedShardPlacements",  // likewise
        "ScheduleNextPlacementExecution",          // no node is left that could be asked
        "fetch_intermediate_results",              // nodes did not reach one another
        "FetchRemoteIntermediateResult"};
    return std::ranges::find(functions, function) != std::end(functions);
}

}  // namespace

std::unexpected<Error> Connection::failure(pg_result* result) {
    const char* state = result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_SQLSTATE);
    last_state_ = state == nullptr ? "" : state;
    if (PQstatus(handle_) == CONNECTION_BAD) lose();
    if (last_state_ == "25006") is_read_only_ = true;
    if (tells_of_failed_part(last_state_, result)) {
        PQclear(result);
        return fail(Category::unavailable,
                    "a disk or a node of the database failed; try again in a few seconds");
    }
    const Category category = category_of(last_state_);
    std::string message;
    if (may_be_told(last_state_)) {
        const char* primary =
            result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
        message = fmt::format("the database says: {}",
                              first_line(primary != nullptr ? primary : PQerrorMessage(handle_)));
    } else if (category == Category::forbidden) {
        message = "the database role lacks a right that this needs (SQLSTATE 42501)";
    } else {
        message = fmt::format("the database refused a statement (SQLSTATE {})", last_state_);
    }
    PQclear(result);
    return fail(category, std::move(message));
}

std::unexpected<Error> Connection::silence() {
    lose();
    last_state_.clear();
    return fail(Category::unavailable, "the database says nothing; try again in a few seconds");
}

std::unexpected<Error> Connection::replaced() {
    lose();
    last_state_.clear();
    return fail(Category::unavailable,
                "the database was replaced by another one; try again in a few seconds");
}

void Connection::lose() {
    lost_ = true;
}

// --- opening ---

Result<std::unique_ptr<Connection>> Connection::open(const Options& options) {
    const std::string tls = TRY(default_tls_mode(options.url));
    const std::string patience = std::to_string(limits::database_connect_seconds);
    const std::string network = std::to_string(limits::database_network_seconds * 1'000);
    // Of several hosts the one that takes writes. What stands in the URL wins over what stands
    // before it.
    const char* const keys[] = {"connect_timeout",
                                "fallback_application_name",
                                "tcp_user_timeout",
                                "keepalives_idle",
                                "keepalives_interval",
                                "keepalives_count",
                                "client_encoding",
                                "sslmode",
                                "target_session_attrs",
                                "dbname",
                                nullptr};
    const char* const values[] = {patience.c_str(),
                                  options.application_name.c_str(),
                                  network.c_str(),
                                  "5",
                                  "2",
                                  "3",
                                  "UTF8",
                                  tls.c_str(),
                                  options.writes ? "read-write" : "any",
                                  options.url.c_str(),
                                  nullptr};
    const std::uint64_t line = options.line ? options.line->number() : 0;
    std::unique_ptr<Connection> connection(
        new Connection(PQconnectdbParams(keys, values, /*expand_dbname=*/1), options.line, line));
    if (PQstatus(connection->handle_) != CONNECTION_OK) {
        std::string reason = first_line(PQerrorMessage(connection->handle_));
        // Clients are told too: where the database is, is not for them.
        if (const std::size_t end = reason.find(" failed: "); end != std::string::npos)
            reason.erase(0, end + 9);
        // libpq gives no SQLSTATE for a failed connection, only the server's words.
        Category category = Category::unavailable;
        if (reason.find("authentication failed") != std::string::npos ||
            reason.find("no password supplied") != std::string::npos ||
            reason.find("does not exist") != std::string::npos ||
            reason.find("permission denied") != std::string::npos)
            category = Category::forbidden;
        return fail(category, fmt::format("the database cannot be reached: {}", reason));
    }
    PQsetNoticeProcessor(connection->handle_, [](void*, const char*) {}, nullptr);
    // No call of libpq may wait, be it for room to send: waiting is done here, with a limit.
    if (PQsetnonblocking(connection->handle_, 1) != 0)
        return fail(Category::fault, "a connection to the database cannot be made non-blocking");
    connection->set_patience(std::chrono::seconds(limits::database_silence_seconds));
    if (options.writes) TRY(connection->refuse_standby());
    TRY(connection->execute(session_setup + options.setup));
    if (options.writes && options.line) TRY(connection->join_history());
    return connection;
}

Result<void> Connection::refuse_standby() {
    // The URL may ask for any host; and what is not found on a standby may still come.
    const char* is_standby = PQparameterStatus(handle_, "in_hot_standby");
    if (is_standby == nullptr || std::string_view(is_standby) != "on") return {};
    return fail(Category::unavailable,
                "the database is a standby, which takes no writes; name the primary, or both");
}

Result<void> Connection::join_history() {
    // A segment of the write-ahead log is named after its timeline, and every role may ask.
    const Answer answer =
        TRY(ask_once("SELECT system_identifier, pg_walfile_name(pg_current_wal_lsn()) "
                     "FROM pg_control_system()"));
    constexpr std::size_t timeline_digits = 8;
    const std::string_view name = answer.bytes(0, 1).substr(0, timeline_digits);
    Timeline timeline{.system = answer.integer(0, 0)};
    std::from_chars(name.data(), name.data() + name.size(), timeline.number, 16);
    era_ = TRY(line_->admit(*this, timeline));
    return {};
}

Connection::~Connection() {
    PQfinish(handle_);
}

int Connection::process() const {
    return PQbackendPID(handle_);
}

// --- answers ---

Result<bool> Connection::wait_for_socket(bool unsent,
                                         std::chrono::steady_clock::time_point give_up_at) {
    // So often it is looked whether the line was cut.
    constexpr std::chrono::milliseconds slice{250};
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(give_up_at - std::chrono::steady_clock::now());
    const auto patience = std::clamp(left, std::chrono::milliseconds(0), slice);
    pollfd ready{PQsocket(handle_), static_cast<short>(POLLIN | (unsent ? POLLOUT : 0)), 0};
    const int count = poll(&ready, 1, static_cast<int>(patience.count()));
    // What has come is read even when it is late: this process may have stood still, not the other.
    if (count <= 0 && (lost() || left.count() <= 0)) return silence();
    if (count <= 0 || (ready.revents & ~POLLOUT) == 0) return false;
    if (PQconsumeInput(handle_) == 0) return failure(nullptr);
    return true;
}

Result<pg_result*> Connection::next_answer() {
    auto give_up_at = std::chrono::steady_clock::now() + patience_;
    for (;;) {
        const int unsent = PQflush(handle_);
        if (unsent < 0) return failure(nullptr);
        if (PQisBusy(handle_) == 0) return PQgetResult(handle_);
        if (TRY(wait_for_socket(unsent > 0, give_up_at)))
            give_up_at = std::chrono::steady_clock::now() + patience_;
    }
}

Result<Answer> Connection::single_answer() {
    Answer rows;
    std::optional<Error> error;
    for (;;) {
        pg_result* answer = TRY(next_answer());
        if (answer == nullptr) break;
        switch (PQresultStatus(answer)) {
            case PGRES_TUPLES_OK:
            case PGRES_COMMAND_OK:
                rows = Answer(answer);
                break;
            default:
                error = failure(answer).error();
                if (lost_) return std::unexpected(*error);
        }
    }
    if (error) return std::unexpected(*error);
    if (is_outdated()) return replaced();
    return rows;
}

Result<Answer> Connection::ask(std::string_view sql, Parameters parameters) {
    send(sql, std::move(parameters));
    auto answers = TRY(flush());
    return std::move(answers.back());
}

Result<Answer> Connection::ask_once(const std::string& sql, Parameters parameters) {
    if (lost()) return fail(Category::unavailable, "the connection to the database is lost");
    if (PQsendQueryParams(handle_, sql.c_str(), parameters.size(), parameters.types(),
                          parameters.values(), parameters.lengths(), parameters.formats(),
                          /*resultFormat=*/1) == 0)
        return failure(nullptr);
    return single_answer();
}

Result<std::int64_t> Connection::integer(std::string_view sql, std::int64_t otherwise,
                                         Parameters parameters) {
    const Answer rows = TRY(ask(sql, std::move(parameters)));
    return rows.empty() || rows.is_null(0, 0) ? otherwise : rows.integer(0, 0);
}

Result<void> Connection::execute(const std::string& script) {
    if (lost()) return fail(Category::unavailable, "the connection to the database is lost");
    if (PQsendQuery(handle_, script.c_str()) == 0) return failure(nullptr);
    TRY(single_answer());
    return {};
}

// --- pipelines ---

void Connection::forget_oldest() {
    const auto oldest = std::min_element(
        prepared_.begin(), prepared_.end(),
        [](const auto& a, const auto& b) { return a.second.used_at < b.second.used_at; });
    // DEALLOCATE is a statement like any other and may stand in a pipeline.
    const std::string sql = "DEALLOCATE " + oldest->second.name;
    if (PQsendQueryParams(handle_, sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 1) == 0)
        send_failed_ = true;
    queued_.push_back({.prepares = true});
    prepared_.erase(oldest);
}

std::string Connection::prepare_in_pipeline(std::string_view sql, const Parameters& parameters) {
    const auto known = prepared_.find(sql);
    if (known != prepared_.end()) {
        known->second.used_at = ++uses_;
        return known->second.name;
    }
    if (prepared_.size() >= limits::statement_cache_max) forget_oldest();
    Prepared made{.name = fmt::format("s{}", ++names_), .used_at = ++uses_};
    const std::string text(sql);
    if (PQsendPrepare(handle_, made.name.c_str(), text.c_str(), parameters.size(),
                      parameters.types()) == 0)
        send_failed_ = true;
    queued_.push_back({.prepares = true, .sql = text});
    return prepared_.emplace(text, std::move(made)).first->second.name;
}

void Connection::send(std::string_view sql, Parameters parameters) {
    if (lost() || send_failed_) return;
    if (!in_pipeline_) {
        if (PQenterPipelineMode(handle_) == 0) {
            send_failed_ = true;
            return;
        }
        in_pipeline_ = true;
    }
    const std::string name = prepare_in_pipeline(sql, parameters);
    if (PQsendQueryPrepared(handle_, name.c_str(), parameters.size(), parameters.values(),
                            parameters.lengths(), parameters.formats(), /*resultFormat=*/1) == 0)
        send_failed_ = true;
    queued_.push_back({.prepares = false});
}

Result<std::vector<Answer>> Connection::flush() {
    if (lost()) return fail(Category::unavailable, "the connection to the database is lost");
    const auto queued = std::exchange(queued_, {});
    if (std::exchange(send_failed_, false) || PQpipelineSync(handle_) == 0) {
        auto error = failure(nullptr);
        lose();
        return error;
    }
    std::vector<Answer> answers;
    std::optional<Error> error;
    for (const Queued& statement : queued) {
        for (;;) {
            pg_result* answer = TRY(next_answer());
            if (answer == nullptr) break;  // the end of this statement
            switch (PQresultStatus(answer)) {
                case PGRES_TUPLES_OK:
                case PGRES_COMMAND_OK:
                    if (statement.prepares) {
                        PQclear(answer);
                    } else {
                        answers.emplace_back(answer);
                    }
                    break;
                case PGRES_PIPELINE_ABORTED:
                    // Not run; one that was to be prepared is not.
                    PQclear(answer);
                    if (!statement.sql.empty()) prepared_.erase(statement.sql);
                    break;
                default:
                    if (!statement.sql.empty()) prepared_.erase(statement.sql);
                    error = failure(answer).error();
                    if (lost_) return std::unexpected(*error);
            }
        }
    }
    pg_result* const end = TRY(next_answer());  // of PQpipelineSync
    PQclear(end);
    in_pipeline_ = false;
    if (PQexitPipelineMode(handle_) == 0) lose();
    if (error) return std::unexpected(*error);
    // What another database has said counts no more; a commit is asked about at the one of now.
    if (is_outdated()) return replaced();
    return answers;
}

bool Connection::in_transaction() const {
    const PGTransactionStatusType status = PQtransactionStatus(handle_);
    return status == PQTRANS_INTRANS || status == PQTRANS_INERROR || status == PQTRANS_ACTIVE;
}

void Connection::roll_back() {
    if (!lost() && in_transaction() && !execute("ROLLBACK")) lose();
    // The next connection looks for the machine that takes writes now.
    if (is_read_only_) lose();
}

Result<std::vector<std::string>> Connection::wait_for_notices(std::chrono::milliseconds patience,
                                                              int wake_descriptor) {
    std::vector<std::string> told;
    const auto take = [&] {
        while (PGnotify* notice = PQnotifies(handle_)) {
            told.emplace_back(notice->extra);
            PQfreemem(notice);
        }
    };
    take();
    if (!told.empty()) return told;
    pollfd ready[] = {{PQsocket(handle_), POLLIN, 0}, {wake_descriptor, POLLIN, 0}};
    const int count = poll(ready, 2, static_cast<int>(patience.count()));
    if (count > 0 && ready[0].revents != 0 && PQconsumeInput(handle_) == 0) return failure(nullptr);
    take();
    return told;
}

}  // namespace meridian::store::postgres

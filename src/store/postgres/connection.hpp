// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "store/postgres/line.hpp"
#include "store/postgres/parameters.hpp"

struct pg_conn;
struct pg_result;

namespace meridian::store::postgres {

/// What a statement answered; columns in the binary format, read as the types they have.
class Answer {
 public:
    Answer() = default;
    explicit Answer(pg_result* result) : result_(result) {}
    Answer(Answer&& other) noexcept : result_(std::exchange(other.result_, nullptr)) {}
    Answer& operator=(Answer&& other) noexcept {
        std::swap(result_, other.result_);
        return *this;
    }
    ~Answer();

    int size() const;
    bool empty() const { return size() == 0; }
    bool is_null(int row, int column) const;
    /// A smallint, integer, bigint or boolean; 0 for NULL.
    std::int64_t integer(int row, int column) const;
    double real(int row, int column) const;
    /// Text or bytea; valid as long as this object.
    std::string_view bytes(int row, int column) const;
    /// Answer that an insert, update or delete has changed.
    std::int64_t changed() const;

 private:
    pg_result* result_ = nullptr;
};

/// A connection that was told by the server, or found, to be of no use any more is `lost`.
///
/// Errors of every call, by SQLSTATE (PostgreSQL 15, appendix A): `unavailable` for classes 08 and
/// 57, a lost connection, a line that was cut and a server that says nothing for
/// limits::database_silence_seconds; `unavailable` for 58030 (input or output failed), for a node
/// of a cluster that went away, and for 25006 too, after which roll_back gives the
/// connection up, because another machine may take the writes now; `storage_full` for 53100; `busy`
/// for 40001, 40P01 and 23505, after which the transaction may be tried again; `forbidden` for
/// 42501 and class 28; `not_found` for 3D000; `fault` for the rest. Messages of the database may
/// quote what was written, so only those of classes 08, 28, 3D, 53 and 57 are passed on. Use it
/// from one thread at a time.
class Connection {
 public:
    struct Options {
        std::string url;                 ///< postgres://… or keyword=value pairs of libpq
        std::string application_name{};  ///< what the database's own list shows
        std::string setup{};             ///< run when the connection is made
        bool writes = false;             ///< a standby, and a database set read-only, will not do
        std::shared_ptr<Line> line{};    ///< the way that it shares with others
    };
    /// Errors: as above; `incorrect` for a URL that libpq does not understand. Blocking: at most
    /// limits::database_connect_seconds a host.
    static Result<std::unique_ptr<Connection>> open(const Options& options);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// Runs a statement that is kept prepared: for those of which a program has few.
    Result<Answer> ask(std::string_view sql, Parameters parameters = {});
    /// Runs a statement that is planned for just these values.
    Result<Answer> ask_once(const std::string& sql, Parameters parameters = {});
    /// The first column of the first row; `otherwise` when there is no row or it is NULL.
    Result<std::int64_t> integer(std::string_view sql, std::int64_t otherwise,
                                 Parameters parameters = {});
    /// Runs a script of several statements without values.
    Result<void> execute(const std::string& script);

    /// Queues a prepared statement; nothing is sent before the next flush or its buffer is full.
    void send(std::string_view sql, Parameters parameters = {});
    /// What the queued statements answered, in order: one round trip for all of them (libpq's
    /// pipeline mode). After the first that fails the rest is not run, and its error is the answer.
    Result<std::vector<Answer>> flush();
    bool has_queued() const { return !queued_.empty(); }

    /// Whether a transaction is open, be it a failed one.
    bool in_transaction() const;
    /// Ends an open transaction without a trace; a connection on which that fails is lost.
    void roll_back();
    bool lost() const {
        return lost_ || is_outdated() || (line_ && line_->number() != line_number_);
    }
    /// How long an answer may take from now on.
    void set_patience(std::chrono::milliseconds patience) { patience_ = patience; }
    /// SQLSTATE of the last error; empty when the server did not give one.
    const std::string& last_state() const { return last_state_; }
    /// The server's process for this connection.
    int process() const;
    /// Waits until something is told on a channel that this connection listens to, `patience` is
    /// over or `wake_descriptor` can be read. What was told, in order. Errors: `unavailable`.
    Result<std::vector<std::string>> wait_for_notices(std::chrono::milliseconds patience,
                                                      int wake_descriptor);
    pg_conn* handle() const { return handle_; }

 private:
    Connection(pg_conn* handle, std::shared_ptr<Line> line, std::uint64_t line_number)
        : handle_(handle), line_(std::move(line)), line_number_(line_number) {}
    struct Prepared {
        std::string name;
        std::uint64_t used_at = 0;
    };
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const {
            return std::hash<std::string_view>{}(text);
        }
    };
    struct Queued {
        bool prepares;  ///< stands for the making of a statement, which answers nothing
        std::string sql{};
    };
    std::unexpected<Error> failure(pg_result* result);
    std::unexpected<Error> silence();
    std::unexpected<Error> replaced();
    /// Waits until the socket can be read, or written when something is `unsent`; at most until
    /// `give_up_at` or the line is cut. Whether something was read.
    Result<bool> wait_for_socket(bool unsent, std::chrono::steady_clock::time_point give_up_at);
    /// The next answer of the server; null at the end of a statement's answers. Errors: when it is
    /// silent.
    Result<pg_result*> next_answer();
    Result<void> refuse_standby();
    /// Tells the line which past the database has.
    Result<void> join_history();
    /// Whether the database that this leads to has been replaced by another one.
    bool is_outdated() const { return era_ != 0 && line_->era() != era_; }
    Result<void> begin_pipeline();
    std::string prepare_in_pipeline(std::string_view sql, const Parameters& parameters);
    Result<Answer> single_answer();
    void forget_oldest();
    void lose();

    pg_conn* handle_;
    std::shared_ptr<Line> line_;
    std::uint64_t line_number_;
    std::uint64_t era_ = 0;  ///< of the line; 0 = of none
    std::chrono::milliseconds patience_;
    bool lost_ = false;
    bool is_read_only_ = false;
    bool in_pipeline_ = false;
    bool send_failed_ = false;
    std::vector<Queued> queued_;
    std::unordered_map<std::string, Prepared, Hash, std::equal_to<>> prepared_;
    std::uint64_t uses_ = 0;
    std::uint64_t names_ = 0;
    std::string last_state_;
};

}  // namespace meridian::store::postgres

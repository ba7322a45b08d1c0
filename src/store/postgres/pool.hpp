// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/result.hpp"
#include "store/postgres/connection.hpp"

namespace meridian::store::postgres {

/// Connections kept for reuse, at most limits::database_connections_max of them in use at a time.
/// Thread-safe.
class Pool {
 public:
    explicit Pool(Connection::Options options) : options_(std::move(options)) {}

    /// A connection on loan; it goes back when this object dies, unless it is lost.
    class Loan {
     public:
        Loan(Pool* pool, std::unique_ptr<Connection> connection)
            : pool_(pool), connection_(std::move(connection)) {}
        Loan(Loan&&) = default;
        Loan& operator=(Loan&& other) noexcept {
            std::swap(connection_, other.connection_);
            return *this;
        }
        ~Loan() {
            if (connection_) pool_->give_back(std::move(connection_));
        }
        Connection* operator->() const { return connection_.get(); }
        Connection& operator*() const { return *connection_; }

     private:
        Pool* pool_;
        std::unique_ptr<Connection> connection_;
    };

    /// An idle connection, or a new one. Errors: `unavailable`, at once while the line is silent;
    /// as Connection::open. Blocking: waits while all are in use, and connects when none is idle.
    Result<Loan> take();
    /// An idle connection; nothing when there is none or the database is silent. Never waits.
    std::optional<Loan> take_idle();
    /// Runs `work(connection)`. A connection that turns out to have been lost while it was idle is
    /// replaced, once: only for work that changes nothing.
    template <class Work>
    auto read(Work work) -> decltype(work(std::declval<Connection&>())) {
        {
            auto loan = TRY(take());
            auto done = work(*loan);
            if (done || !loan->lost()) return done;
        }
        drop_idle();
        auto loan = TRY(take());
        return work(*loan);
    }

    /// Closes what is idle: when one connection is lost the others mostly are too.
    void drop_idle();

 private:
    void give_back(std::unique_ptr<Connection> connection);
    /// One that can be used, of those that are idle; null when there is none. Under the lock.
    std::unique_ptr<Connection> pop_idle();

    Connection::Options options_;
    std::mutex mutex_;
    std::condition_variable given_back_;
    std::vector<std::unique_ptr<Connection>> idle_;
    std::size_t in_use_ = 0;
};

}  // namespace meridian::store::postgres

// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/pool.hpp"

#include "base/limits.hpp"
#include "store/engine/measures.hpp"

namespace meridian::store::postgres {

std::unique_ptr<Connection> Pool::pop_idle() {
    while (!idle_.empty()) {
        auto connection = std::move(idle_.back());
        idle_.pop_back();
        if (!connection->lost()) return connection;
    }
    return nullptr;
}

std::optional<Pool::Loan> Pool::take_idle() {
    if (options_.line && options_.line->is_silent()) return std::nullopt;
    const std::lock_guard lock(mutex_);
    if (in_use_ >= limits::database_connections_max) return std::nullopt;
    auto connection = pop_idle();
    if (!connection) return std::nullopt;
    ++in_use_;
    measures::connections_used().add(1);
    return Loan(this, std::move(connection));
}

Result<Pool::Loan> Pool::take() {
    // Whoever tried would wait for nothing, and hold up those behind him.
    if (options_.line && options_.line->is_silent())
        return fail(Category::unavailable, "the database is silent; try again in a few seconds");
    {
        std::unique_lock lock(mutex_);
        const std::chrono::seconds patience(limits::database_connection_wait_seconds);
        measures::connections_awaited().add(1);
        const bool is_free = given_back_.wait_for(
            lock, patience, [this] { return in_use_ < limits::database_connections_max; });
        measures::connections_awaited().add(-1);
        if (!is_free) {
            measures::connections_refused().add();
            return fail(Category::unavailable,
                        "all connections to the database are in use "
                        "(limits::database_connections_max); try again in a second");
        }
        ++in_use_;
        measures::connections_used().add(1);
        if (auto connection = pop_idle()) return Loan(this, std::move(connection));
    }
    auto connection = Connection::open(options_);
    if (!connection) {
        const std::lock_guard lock(mutex_);
        --in_use_;
        measures::connections_used().add(-1);
        given_back_.notify_one();
        return std::unexpected(connection.error());
    }
    return Loan(this, std::move(*connection));
}

void Pool::give_back(std::unique_ptr<Connection> connection) {
    connection->roll_back();
    const std::lock_guard lock(mutex_);
    --in_use_;
    measures::connections_used().add(-1);
    given_back_.notify_one();
    if (!connection->lost() && idle_.size() < limits::snapshots_idle_max)
        idle_.push_back(std::move(connection));
}

void Pool::drop_idle() {
    std::vector<std::unique_ptr<Connection>> dropped;
    const std::lock_guard lock(mutex_);
    dropped.swap(idle_);
}

}  // namespace meridian::store::postgres

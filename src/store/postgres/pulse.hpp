// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "store/postgres/connection.hpp"

namespace meridian::store::postgres {

/// Asks a database something small twice a second, on a connection of its own. When there is no
/// answer for limits::database_pulse_seconds the line is cut. What is asked touches no lock and no
/// disk, so a slow database is not mistaken for a lost one.
class Pulse {
 public:
    /// What the database has answered.
    struct Sign {
        std::int64_t beat;   ///< of the sequencer (meridian.sequencer), microseconds since 1970
        std::int64_t clock;  ///< of the database's machine when it answered, likewise
        std::chrono::steady_clock::time_point asked_at;
        bool is_first;  ///< on its connection
    };
    /// Asks for the first two of a Sign.
    static constexpr std::string_view sign_sql =
        "SELECT (SELECT (extract(epoch FROM beat) * 1000000)::bigint FROM meridian.sequencer), "
        "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
    /// `on_sign` runs on the pulse's thread.
    Pulse(Connection::Options options, std::function<void(const Sign&)> on_sign);
    ~Pulse();

 private:
    void run();
    Result<void> look();
    Result<void> open();
    bool pause();

    Connection::Options options_;
    std::function<void(const Sign&)> on_sign_;
    std::unique_ptr<Connection> connection_;
    bool is_first_ = true;
    std::mutex mutex_;
    std::condition_variable stopped_;
    bool stopping_ = false;
    std::thread thread_;
};

/// When the sequencer's beats were made, by this machine's own clock. A replica that shows a beat
/// shows all that was acknowledged before it was made. Only differences of one clock are used: the
/// database tells how long ago, by its own clock, the beat was. Thread-safe.
class Beats {
 public:
    using Time = std::chrono::steady_clock::time_point;
    /// What the primary shows.
    void note(const Pulse::Sign& sign);
    /// A time before which the beat was not made later; nothing for one that this server has not
    /// seen come.
    std::optional<Time> made_at(std::int64_t beat) const;

 private:
    mutable std::mutex mutex_;
    std::map<std::int64_t, Time> made_;
    std::int64_t last_ = 0;
};

}  // namespace meridian::store::postgres

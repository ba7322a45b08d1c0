// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/pulse.hpp"

#include "base/limits.hpp"
#include "base/log.hpp"

namespace meridian::store::postgres {

namespace {

constexpr std::chrono::milliseconds look_pause{500};
using Clock = std::chrono::steady_clock;

}  // namespace

Pulse::Pulse(Connection::Options options, std::function<void(const Sign&)> on_sign)
    : options_(std::move(options)), on_sign_(std::move(on_sign)) {
    thread_ = std::thread([this] { run(); });
}

Pulse::~Pulse() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    stopped_.notify_all();
    thread_.join();
}

bool Pulse::pause() {
    std::unique_lock lock(mutex_);
    return !stopped_.wait_for(lock, look_pause, [this] { return stopping_; });
}

void Pulse::run() {
    do {
        Line& line = *options_.line;
        const auto begun = Clock::now();
        if (look()) {
            if (line.is_silent()) log::info("the database answers again", {});
            line.heard();
            continue;
        }
        connection_.reset();
        // A database that refuses is not silent: each connection finds out by itself, at once.
        // libpq counts whole seconds, so a try of three may take little more than two.
        const std::chrono::seconds too_long(
            std::min(limits::database_pulse_seconds, limits::database_connect_seconds) - 1);
        if (Clock::now() - begun < too_long || line.is_silent()) continue;
        line.cut();
        log::warning("the database is silent: its connections are given up", {});
    } while (pause());
}

Result<void> Pulse::open() {
    connection_ = TRY(Connection::open(options_));
    connection_->set_patience(std::chrono::seconds(limits::database_pulse_seconds));
    is_first_ = true;
    return {};
}

Result<void> Pulse::look() {
    if (!connection_ || connection_->lost()) TRY(open());
    const auto asked_at = Clock::now();
    const Answer answer = TRY(connection_->ask(sign_sql));
    if (answer.is_null(0, 0)) return {};  // no server has given positions yet
    on_sign_(
        {answer.integer(0, 0), answer.integer(0, 1), asked_at, std::exchange(is_first_, false)});
    return {};
}

void Beats::note(const Pulse::Sign& sign) {
    const std::lock_guard lock(mutex_);
    // The first one on a connection may have been made on another machine, by another clock.
    const bool is_new = sign.beat != std::exchange(last_, sign.beat);
    if (sign.is_first || !is_new) return;
    // The clock was read after the question was sent, so the beat was not made before this time.
    const std::chrono::microseconds ago(std::max<std::int64_t>(0, sign.clock - sign.beat));
    made_[sign.beat] = sign.asked_at - ago;
    const auto forgotten =
        sign.asked_at - std::chrono::seconds(2 * limits::database_stale_seconds_max);
    std::erase_if(made_, [&](const auto& beat) { return beat.second < forgotten; });
}

std::optional<Beats::Time> Beats::made_at(std::int64_t beat) const {
    const std::lock_guard lock(mutex_);
    const auto found = made_.find(beat);
    if (found == made_.end()) return std::nullopt;
    return found->second;
}

}  // namespace meridian::store::postgres

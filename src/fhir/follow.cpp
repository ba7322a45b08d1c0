// SPDX-License-Identifier: Apache-2.0
#include "fhir/follow.hpp"

#include "base/limits.hpp"
#include "base/log.hpp"

namespace meridian::fhir {

namespace {

/// A server that hung may have lost its views to another one; so soon it sees that, also when
/// nothing is written.
constexpr std::chrono::seconds confirm_pause{2};
/// A store that gives views to several servers takes them from one that is silent for so long.
constexpr std::chrono::seconds silence_of_an_owner{6};
/// While there are only audit entries, and no view has a use for them, the log is looked at no more
/// often than this. What is written meanwhile is seen so much later, unless somebody waits for it.
constexpr std::chrono::milliseconds quiet_pause{20};
/// A cursor is moved over so many audit entries without being saved: after a start they are looked
/// at once more.
constexpr store::Position unsaved_max = 50'000;

}  // namespace

Followers::Followers(store::Store& store) : store_(store) {
    if (auto snapshot = store_.snapshot()) last_ = (*snapshot)->position();
    thread_ = std::thread([this] { run(); });
}

Followers::~Followers() {
    stop();
}

void Followers::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    progressed_.notify_all();
    if (thread_.joinable()) thread_.join();
}

void Followers::add(std::shared_ptr<FollowingView> view) {
    auto follower =
        std::make_unique<Follower>(Follower{.view = view, .measures = measures_of(view->name())});
    {
        const std::lock_guard lock(mutex_);
        followers_.push_back(std::move(follower));
    }
    wake_.notify_all();
}

Followers::Follower::Measures Followers::measures_of(std::string_view view) {
    const std::string labels = fmt::format("view=\"{}\"", view);
    return {
        .lag = metrics::gauge("meridian_view_lag_entries",
                              "entries of the log that a view followed here has yet to handle",
                              labels),
        .followed = metrics::gauge("meridian_view_followed", "1 while this server follows the view",
                                   labels),
        .failures = metrics::counter("meridian_view_failures_total",
                                     "batches of a view that failed and are tried again", labels)};
}

void Followers::note_progress() {
    static metrics::Gauge& position = metrics::gauge(
        "meridian_log_position", "position of the log's last entry that this server knows of");
    position.set(last_);
    for (const auto& f : followers_) {
        // A view that another server follows lags nowhere here. One that fails lags until it works.
        const bool is_here = f->has_begun || f->failures > 0;
        f->measures.followed.set(f->has_begun ? 1 : 0);
        f->measures.lag.set(is_here ? std::max<store::Position>(last_ + 1 - f->next, 0) : 0);
    }
}

void Followers::wake(store::Position last) {
    {
        const std::lock_guard lock(mutex_);
        last_ = std::max(last_, last);
        note_progress();
    }
    wake_.notify_all();
}

bool Followers::wait(store::Position position, unsigned milliseconds) {
    std::unique_lock lock(mutex_);
    ++waiting_;
    wake_.notify_all();
    const bool is_done = progressed_.wait_for(lock, std::chrono::milliseconds(milliseconds), [&] {
        return stopping_ || std::all_of(followers_.begin(), followers_.end(), [&](const auto& f) {
                   return f->has_cursor && f->next > position;
               });
    });
    --waiting_;
    return is_done && !stopping_;
}

void Followers::run() {
    while (true) {
        std::vector<Follower*> ready;
        {
            std::unique_lock lock(mutex_);
            const auto has_work = [&](const Follower& f) {
                const auto time = std::chrono::steady_clock::now();
                const bool has_more = f.next <= last_ && (waiting_ != 0 || time >= quiet_until_);
                return (!f.has_cursor || has_more || is_to_be_confirmed(f)) && time >= f.not_before;
            };
            const auto collect = [&] {
                ready.clear();
                for (const auto& f : followers_) {
                    if (has_work(*f)) ready.push_back(f.get());
                }
                return stopping_ || !ready.empty();
            };
            // The pause bounds how long a view that failed waits for its next try.
            auto pause = std::chrono::milliseconds(limits::follow_pause_milliseconds);
            if (std::chrono::steady_clock::now() < quiet_until_) pause = quiet_pause;
            wake_.wait_for(lock, pause, collect);
            if (stopping_) return;
            has_told_ = has_passed_over_ = false;
        }
        for (Follower* follower : ready) advance(*follower);
        {
            const std::lock_guard lock(mutex_);
            if (has_passed_over_ && !has_told_)
                quiet_until_ = std::chrono::steady_clock::now() + quiet_pause;
        }
        {
            const std::lock_guard lock(mutex_);
            note_progress();
        }
        progressed_.notify_all();
    }
}

bool Followers::advance(Follower& follower) {
    auto more = store::with_names([&] { return follow_batch(follower); });
    const std::lock_guard lock(mutex_);
    if (more) {
        follower.failures = 0;
        return *more;
    }
    // Another server may have moved it on since.
    follower.has_cursor = false;
    if (more.error().category == Category::busy) {
        end(follower);
        follower.not_before = std::chrono::steady_clock::now() +
                              std::chrono::milliseconds(limits::follow_pause_milliseconds);
        return false;
    }
    if (std::chrono::steady_clock::now() - follower.confirmed > silence_of_an_owner) end(follower);
    ++follower.failures;
    follower.measures.failures.add();
    const unsigned exponent = std::min(follower.failures, 8u);
    follower.not_before =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(50u << exponent);
    log::warning("a following view failed and will be tried again",
                 {{"view", follower.view->name()}, {"error", more.error().message}});
    return false;
}

void Followers::end(Follower& follower) {
    if (std::exchange(follower.has_begun, false)) follower.view->end();
}

bool Followers::is_to_be_confirmed(const Follower& follower) {
    return std::chrono::steady_clock::now() - follower.confirmed >= confirm_pause;
}

Result<store::Position> Followers::next_of(Follower& follower) {
    if (follower.has_cursor && !is_to_be_confirmed(follower)) return follower.next;
    const store::Position saved = TRY(store_.cursor(follower.view->name()));
    follower.confirmed = std::chrono::steady_clock::now();
    // Where nobody else has moved it, it lacks at most audit entries that were passed over here.
    if (follower.has_begun && saved == follower.saved) return follower.next;
    follower.saved = saved;
    return saved;
}

Result<bool> Followers::follow_batch(Follower& follower) {
    store::Position next = TRY(next_of(follower));
    auto snapshot = TRY(store_.snapshot());
    // Where the cursor was moved by somebody else, what the view remembers is out of date.
    if (!follower.has_begun || next != follower.next) {
        TRY(follower.view->begin(*snapshot, next));
        const std::lock_guard lock(mutex_);
        follower.has_begun = true;
        follower.next = next;
    }
    auto entries = TRY(snapshot->log(next, limits::follow_batch_entries));
    const bool has_entries = !entries.empty();
    if (has_entries) next = entries.back().position + 1;
    if (!follower.view->follows_audit()) std::erase_if(entries, &store::LogEntry::is_audit);
    if (!entries.empty()) TRY(follower.view->follow(*snapshot, entries));
    // Whoever waits for the committer holds no snapshot: the committer may be waiting for the last
    // reader of an old log.
    snapshot.reset();
    if (!entries.empty() || next - follower.saved > unsaved_max) {
        TRY(store_.save_cursor(follower.view->name(), next));
        follower.saved = next;
        follower.confirmed = std::chrono::steady_clock::now();
    }
    const std::lock_guard lock(mutex_);
    has_told_ = has_told_ || !entries.empty();
    has_passed_over_ = has_passed_over_ || (has_entries && entries.empty());
    follower.next = next;
    follower.has_cursor = true;
    return has_entries;
}

}  // namespace meridian::fhir

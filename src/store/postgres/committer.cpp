// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/committer.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include "base/limits.hpp"
#include "base/log.hpp"
#include "store/engine/measures.hpp"

namespace meridian::store::postgres {

namespace {

/// How long an idle server leaves the sequencer's office unwatched.
constexpr std::chrono::milliseconds tend_pause{500};
/// Notices may be lost with a connection: so often it is looked without one.
constexpr std::chrono::milliseconds look_pause{1'000};
constexpr std::chrono::milliseconds reconnect_pause{300};

void wake(int descriptor) {
    const std::uint64_t one = 1;
    if (::write(descriptor, &one, sizeof one) < 0) {
        // The counter is full: then it is awake already.
    }
}

void set_positions(const Group& group, Position base, Instant at) {
    for (const auto& task : group) {
        const bool has_written = task->outcome && !task->outcome->stale &&
                                 (!task->commit.changes.empty() || !task->commit.audit.empty());
        if (!has_written) continue;
        task->outcome->position += base;
        task->outcome->at = at;
        for (auto& written : task->outcome->written) {
            if (written.position >= 0) written.position += base;
        }
    }
}

}  // namespace

Committer::Committer(std::unique_ptr<Writer> writer, Connection::Options listening,
                     std::int64_t server, Layout layout)
    : writer_(std::move(writer)),
      listening_(std::move(listening)),
      server_(server),
      layout_(layout),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    measures::begin_shared();
    listening_thread_ = std::thread([this] { listen(); });
    writing_thread_ = std::thread([this] { write(); });
}

Committer::~Committer() {
    queue_.stop();
    writing_thread_.join();
    stopping_ = true;
    wake(wake_);
    listening_thread_.join();
    ::close(wake_);
}

void Committer::run_later(std::function<Result<void>(Writer&)> job,
                          std::vector<Identity> mentions) {
    queue_.run_later([this, job = std::move(job)] { return job(*writer_); }, std::move(mentions));
}

void Committer::on_commit(std::function<void(Position)> listener) {
    const std::lock_guard lock(listener_mutex_);
    listener_ = std::move(listener);
}

void Committer::announce(const LogEnd& last) {
    const std::lock_guard lock(listener_mutex_);
    if (last.position <= announced_.position) return;
    announced_ = last;
    listener_(last.position);
}

LogEnd Committer::seen() const {
    const std::lock_guard lock(listener_mutex_);
    return announced_;
}

Result<LogEnd> Committer::last_entry(Connection& connection) const {
    const Answer last = TRY(connection.ask(last_entry_sql(layout_)));
    if (last.empty()) return LogEnd{};
    return LogEnd{last.integer(0, 0), Instant{last.integer(0, 1)}};
}

// --- the writing thread ---

void Committer::write() {
    queue_.serve_from_this_thread();
    auto tended = std::chrono::steady_clock::time_point{};
    for (;;) {
        const auto time = std::chrono::steady_clock::now();
        const bool is_due = time - tended >= tend_pause;
        auto group = queue_.gather_within(is_due ? std::chrono::milliseconds(0) : tend_pause);
        if (group && group->empty()) break;
        if (group) {
            const Writer::Written written = writer_->write_group(*group);
            hand_on(std::move(*group), written);
        }
        // Nobody waits for a group of his own here, so also when a nudge has ended the wait.
        if (!group || is_due) {
            tended = std::chrono::steady_clock::now();
            settle_doubts();
            // What fails here fails again in the next group, which says so.
            if (const auto last = writer_->tend(); last && last->position >= 0) {
                announce(*last);
                wake(wake_);
            }
            measures::is_sequencer().set(writer_->is_sequencer() ? 1 : 0);
        }
    }
    while (!doubts_.empty()) {
        settle_doubts();
        if (!doubts_.empty()) std::this_thread::sleep_for(reconnect_pause);
    }
    if (const auto last = writer_->tend()) announce(*last);
}

void Committer::hand_on(Group group, const Writer::Written& written) {
    const auto time = std::chrono::steady_clock::now();
    if (!written.doubt.empty()) {
        log::warning("a connection was lost during a commit; what became of it is asked", {});
        doubts_.push_back({std::move(group), written, time});
        return;
    }
    if (written.batch != 0 && !written.has_positions) {
        const std::lock_guard lock(waiting_mutex_);
        waiting_[written.batch] = {std::move(group), time};
        measures::groups_without_position().add(1);
        wake(wake_);
        return;
    }
    CommitQueue::answer(group);
    announce(written.last);
}

void Committer::settle_doubts() {
    for (Doubt& doubt : std::exchange(doubts_, {})) {
        const auto committed = writer_->was_committed(doubt.written);
        const bool is_known = committed && *committed;
        const auto waited = std::chrono::steady_clock::now() - doubt.since;
        if (is_known && **committed) {
            doubt.written.doubt.clear();
            hand_on(std::move(doubt.group), doubt.written);
            continue;
        }
        // A database that has lost what this server knows cannot tell of its commits either.
        const bool may_be_found = !listening_.line->is_broken();
        if (!is_known && may_be_found &&
            waited < std::chrono::seconds(limits::database_silence_seconds)) {
            doubts_.push_back(std::move(doubt));
            continue;
        }
        const Error error{
            Category::unavailable,
            is_known ? "the database went away before this was written; write it again"
                     : "the database went away during this commit, and whether it was written is "
                       "not known; read before you write it again"};
        for (const auto& task : doubt.group) {
            if (task->outcome) task->outcome = std::unexpected(error);
        }
        CommitQueue::answer(doubt.group);
    }
}

// --- the listening thread ---

void Committer::listen() {
    constexpr std::chrono::seconds too_long(limits::database_silence_seconds);
    std::unique_ptr<Connection> connection;
    while (!stopping_ || has_waiting()) {
        if (!connection || connection->lost()) {
            connection.reset();
            auto opened = Connection::open(listening_);
            if (opened && (*opened)->execute("LISTEN meridian")) connection = std::move(*opened);
            measures::note_store_works(connection != nullptr);
        }
        if (!connection) {
            give_up_waiting(stopping_ ? std::chrono::seconds(0) : too_long,
                            {Category::unavailable,
                             "this was written, but the database is away and its position in the "
                             "log is not known yet; read it later"});
            if (!stopping_) std::this_thread::sleep_for(reconnect_pause);
            continue;
        }
        if (!listen_on(*connection)) connection.reset();
        // Nobody may have been able to give them: that is no reason to wait for ever.
        give_up_waiting(too_long, {Category::unavailable,
                                   "this was written, but nobody has given it its position in the "
                                   "log yet; read it later"});
    }
}

Result<void> Committer::listen_on(Connection& connection) {
    const auto told = TRY(connection.wait_for_notices(look_pause, wake_));
    std::uint64_t count = 0;
    const bool was_woken = ::read(wake_, &count, sizeof count) > 0;
    const std::string own = std::to_string(server_);
    const bool others_wrote =
        std::any_of(told.begin(), told.end(), [&](const std::string& by) { return by != own; });
    // Entries of other servers wait for this one to give them their places.
    if (others_wrote && writer_->is_sequencer()) queue_.nudge();
    if (was_woken || !told.empty() || has_waiting()) TRY(answer_waiting(connection));
    TRY(beat(connection));
    // Its own groups a server announces itself.
    if (others_wrote || told.empty()) announce(TRY(last_entry(connection)));
    return {};
}

Result<void> Committer::beat(Connection& connection) {
    const auto time = std::chrono::steady_clock::now();
    if (time - beaten_ < look_pause) return {};
    beaten_ = time;
    TRY(connection.ask("UPDATE meridian.cursor SET beat = clock_timestamp() WHERE owner = $1",
                       std::move(Parameters().integer(server_))));
    return {};
}

bool Committer::has_waiting() {
    const std::lock_guard lock(waiting_mutex_);
    return !waiting_.empty();
}

Result<void> Committer::answer_waiting(Connection& connection) {
    std::vector<std::int64_t> batches;
    {
        const std::lock_guard lock(waiting_mutex_);
        for (const auto& [batch, waiting] : waiting_) batches.push_back(batch);
    }
    if (batches.empty()) return {};
    const Answer placed = TRY(connection.ask(
        "SELECT id, base, at FROM meridian.batch WHERE id = ANY($1::bigint[]) AND base IS NOT NULL",
        std::move(Parameters().integers(batches))));
    for (int row = 0; row < placed.size(); ++row) {
        Group group;
        {
            const std::lock_guard lock(waiting_mutex_);
            group = std::move(waiting_.extract(placed.integer(row, 0)).mapped().group);
        }
        measures::groups_without_position().add(-1);
        set_positions(group, placed.integer(row, 1), Instant{placed.integer(row, 2)});
        CommitQueue::answer(group);
    }
    return {};
}

void Committer::give_up_waiting(std::chrono::seconds patience, const Error& error) {
    std::unordered_map<std::int64_t, Waiting> waiting;
    {
        const std::lock_guard lock(waiting_mutex_);
        for (auto each = waiting_.begin(); each != waiting_.end();) {
            const auto next = std::next(each);
            if (std::chrono::steady_clock::now() - each->second.since >= patience)
                waiting.insert(waiting_.extract(each));
            each = next;
        }
    }
    for (auto& [batch, each] : waiting) {
        measures::groups_without_position().add(-1);
        for (const auto& task : each.group) {
            if (task->outcome) task->outcome = std::unexpected(error);
        }
        CommitQueue::answer(each.group);
    }
}

}  // namespace meridian::store::postgres

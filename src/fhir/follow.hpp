// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/metrics.hpp"
#include "fhir/caller.hpp"
#include "store/store.hpp"

namespace meridian::fhir {

/// Drives the following views: one thread that reads the log from each view's cursor, hands the
/// entries over and moves the cursor. A view that fails is tried again with growing pauses; the
/// others go on.
class Followers {
 public:
    explicit Followers(store::Store& store);
    /// Stops after the batch in work.
    ~Followers();

    void add(std::shared_ptr<FollowingView> view);
    /// Tells that the log has grown. Cheap; called by the committer.
    void wake(store::Position last);
    /// Waits until every view has handled all entries up to `position`, at most `milliseconds`.
    /// False when time ran out.
    bool wait(store::Position position, unsigned milliseconds);
    void stop();

 private:
    struct Follower {
        std::shared_ptr<FollowingView> view;
        store::Position next = 0;
        store::Position saved = 0;  ///< the cursor in the store: behind `next` after audit entries
        bool has_cursor = false;
        bool has_begun = false;
        unsigned failures = 0;
        /// When the store said last that this server is to follow the view.
        std::chrono::steady_clock::time_point confirmed{};
        struct Measures {
            metrics::Gauge& lag;
            metrics::Gauge& followed;
            metrics::Counter& failures;
        } measures;
        std::chrono::steady_clock::time_point not_before{};
    };

    void run();
    /// Handles one batch of one view. True when there may be more.
    bool advance(Follower& follower);
    Result<bool> follow_batch(Follower& follower);
    /// Where to go on. Asks the store when that is not known, and now and then whether this server
    /// is still the one that follows.
    Result<store::Position> next_of(Follower& follower);
    static bool is_to_be_confirmed(const Follower& follower);
    /// Gives the view up: another server follows it, or must be thought to.
    static void end(Follower& follower);
    static Follower::Measures measures_of(std::string_view view);
    /// Tells /metrics where the log and each view stand. The mutex is held.
    void note_progress();

    store::Store& store_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::condition_variable progressed_;
    std::vector<std::unique_ptr<Follower>> followers_;
    store::Position last_ = -1;
    bool stopping_ = false;
    unsigned waiting_ = 0;  ///< calls of wait
    // What this round has come to:
    bool has_told_ = false;         ///< a view has got entries
    bool has_passed_over_ = false;  ///< there were only audit entries for one
    /// The log had nothing but audit entries to tell: it is left alone until then.
    std::chrono::steady_clock::time_point quiet_until_{};
    std::thread thread_;
};

}  // namespace meridian::fhir

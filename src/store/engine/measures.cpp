// SPDX-License-Identifier: Apache-2.0
#include "store/engine/measures.hpp"

#include <array>

#include "base/instant.hpp"

namespace meridian::store::measures {

metrics::Gauge& commit_queue_length() {
    static metrics::Gauge& gauge = metrics::gauge(
        "meridian_commit_queue_length", "commits that wait for the next group to be written");
    return gauge;
}

void note_group(std::size_t changes) {
    static metrics::Counter& groups =
        metrics::counter("meridian_commit_groups_total", "groups of commits written together");
    static metrics::Counter& all =
        metrics::counter("meridian_commit_changes_total", "resource versions in these groups");
    groups.add();
    all.add(changes);
}

void note_commit(Outcome outcome, std::chrono::steady_clock::time_point since) {
    static const std::array<metrics::Histogram*, 3> by_outcome = [] {
        std::array<metrics::Histogram*, 3> made{};
        constexpr std::array<const char*, 3> labels{"outcome=\"written\"", "outcome=\"stale\"",
                                                    "outcome=\"failed\""};
        for (std::size_t i = 0; i < made.size(); ++i) {
            made[i] = &metrics::histogram("meridian_commit_seconds",
                                          "time of a commit from its queueing until it is durable",
                                          labels[i]);
        }
        return made;
    }();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - since;
    by_outcome[static_cast<std::size_t>(outcome)]->observe(taken.count());
}

void note_store_works(bool works) {
    static metrics::Gauge& since = metrics::gauge(
        "meridian_store_unavailable_since_seconds",
        "Unix time since when the store cannot be written: database away, or a disk error; 0: it "
        "can");
    if (works) {
        since.set(0);
    } else if (since.value() == 0) {
        since.set(now().milliseconds / 1000);
    }
}

void begin_shared() {
    is_sequencer().set(0);
    groups_without_position().add(0);
    connections_used().add(0);
    connections_awaited().add(0);
    connections_refused().add(0);
}

metrics::Gauge& is_sequencer() {
    static metrics::Gauge& gauge = metrics::gauge(
        "meridian_sequencer", "1 while this server gives the positions of the database's log");
    return gauge;
}

metrics::Gauge& groups_without_position() {
    static metrics::Gauge& gauge =
        metrics::gauge("meridian_commit_groups_without_position",
                       "groups written by this server that wait for the sequencer");
    return gauge;
}

metrics::Gauge& connections_used() {
    static metrics::Gauge& gauge =
        metrics::gauge("meridian_database_connections_used", "connections to the database in use");
    return gauge;
}

metrics::Gauge& connections_awaited() {
    static metrics::Gauge& gauge = metrics::gauge("meridian_database_connections_awaited",
                                                  "threads that wait for such a connection");
    return gauge;
}

metrics::Counter& connections_refused() {
    static metrics::Counter& counter =
        metrics::counter("meridian_database_connections_refused_total",
                         "requests that got no connection to the database in time");
    return counter;
}

}  // namespace meridian::store::measures

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>

#include "base/metrics.hpp"

/// What the engines tell /metrics, under the same names whichever of them runs. Cheap and
/// thread-safe; nothing here blocks. docs/operations.md says what an operator reads from each.
namespace meridian::store::measures {

/// Commits, and other work of the committer, that wait for its next group.
metrics::Gauge& commit_queue_length();
/// Counts a group that goes to the disk together, and the changes in it.
void note_group(std::size_t changes);

enum class Outcome : unsigned char { written, stale, failed };
/// Counts a commit that is answered now; `since` is when it was queued.
void note_commit(Outcome outcome, std::chrono::steady_clock::time_point since);

/// Tells whether the store can write. What counts is the time of the first `false` in a row.
void note_store_works(bool works);

// --- only where several servers share a database ---
/// Makes these appear with their first values: an alert cannot compare with what is absent.
void begin_shared();
/// 1 while this server gives the positions of the log.
metrics::Gauge& is_sequencer();
/// Groups written here that wait for another server to give them positions.
metrics::Gauge& groups_without_position();
/// Reading connections on loan, and threads that wait for one.
metrics::Gauge& connections_used();
metrics::Gauge& connections_awaited();
/// Requests that got no connection in time.
metrics::Counter& connections_refused();

}  // namespace meridian::store::measures

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "store/store.hpp"

namespace meridian::rest::subscriptions {

/// Which positions of the log are events 1, 2, 3 … of one subscription: kept in chunks of
/// limits::subscription_chunk_events among the store's settings, so that a number, once given,
/// means the same entry for ever. Chunk n exists only when all before it are full. Not thread-safe:
/// its owner locks.
class EventNumbers {
 public:
    /// Looks for the last number of the subscription `id`. Errors: the store's. Blocking: some
    /// look-ups.
    static Result<EventNumbers> load(store::Store& store, std::string_view id);

    std::int64_t last_number() const {
        return full_chunks_ * chunk_size() + static_cast<std::int64_t>(open_.size());
    }
    /// Position of the last event; -1 when there was none.
    store::Position last_position() const { return last_position_; }
    /// What must be saved, in order, before these positions may be called events.
    std::vector<std::pair<std::string, std::string>> with(
        std::span<const store::Position> positions) const;
    /// They are events now: with() was saved.
    void append(std::span<const store::Position> positions);
    /// Positions of the events `first` … `last` (both within 1 … last_number). Errors: the store's;
    /// `fault` for a chunk that is missing.
    Result<std::vector<store::Position>> positions(store::Store& store, std::int64_t first,
                                                   std::int64_t last) const;

 private:
    static std::int64_t chunk_size();
    std::string key(std::int64_t chunk) const;

    std::string id_;
    std::int64_t full_chunks_ = 0;
    std::vector<store::Position> open_;  ///< the last chunk, never full
    store::Position last_position_ = -1;
};

/// Saves settings; those of one list keep their order. Many lists share fsyncs. Errors: the first
/// of the store's.
Result<void> save_all(store::Store& store,
                      const std::vector<std::vector<std::pair<std::string, std::string>>>& lists);

}  // namespace meridian::rest::subscriptions

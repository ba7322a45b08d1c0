// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "store/engine/count_cache.hpp"
#include "store/postgres/dictionary.hpp"
#include "store/postgres/layout.hpp"
#include "store/postgres/pool.hpp"
#include "store/postgres/pulse.hpp"
#include "store/store.hpp"

namespace meridian::store::postgres {

/// A read-only copy of the database that PostgreSQL keeps up to date, and how stale it is: measured
/// by the sequencer's beat that it shows. docs/adr/0022. Thread-safe.
class Replica {
 public:
    /// `layout` and `beats` are the primary's; `beats` must outlive this object.
    Replica(const std::string& url, const Layout& layout, const Beats& beats);

    /// Refuses a database that does not hold the record whose token key this is. One that cannot be
    /// reached is none of that: it is used as soon as it can be. Errors: what is wrong with it, at
    /// replica_option. Blocking: one connection.
    Result<void> check(const SipKey& token_key);
    /// Whether the last look found it no staler than this.
    bool is_within(std::chrono::seconds max_stale) const;
    /// A snapshot on it with its age; nothing when it shows to be staler than `max_stale` after
    /// all. Errors: as PostgresSnapshot::begin.
    Result<std::unique_ptr<Snapshot>> snapshot(std::chrono::seconds max_stale,
                                               const Dictionary& names);

 private:
    std::optional<std::chrono::seconds> age_of(std::int64_t beat) const;
    Connection::Options options(std::string_view part) const;

    std::string url_;
    Layout layout_;
    const Beats& beats_;
    std::shared_ptr<Line> line_ = std::make_shared<Line>();
    Pool pool_;
    CountCache counts_;
    std::atomic<std::int64_t> beat_ = 0;  ///< that it showed last; 0 = never
    Pulse pulse_;                         ///< last: its thread uses the rest
};

}  // namespace meridian::store::postgres

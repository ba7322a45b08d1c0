// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "store/engine/count_cache.hpp"
#include "store/postgres/dictionary.hpp"
#include "store/postgres/layout.hpp"
#include "store/postgres/pool.hpp"
#include "store/postgres/search.hpp"
#include "store/store.hpp"

namespace meridian::store::postgres {

/// The newest version of an identity as of now: one statement, two in sharded layouts.
Result<std::optional<Stored>> newest_version(Connection& connection, const Identity& identity,
                                             const Layout& layout);

/// A read-only transaction (REPEATABLE READ) on a connection of its own. Versions that are
/// committed but have no position yet stand behind the last one.
class PostgresSnapshot final : public Snapshot {
 public:
    /// Begins the transaction: everything it answers is as of now. `counts` are those that were
    /// taken in this database; they must outlive the snapshot. Errors: `unavailable`.
    static Result<std::unique_ptr<PostgresSnapshot>> begin(Pool& pool, const Dictionary& names,
                                                           const Layout& layout, CountCache& counts,
                                                           bool of_replica = false);
    /// The sequencer's beat that a snapshot of a replica shows (Pulse::Sign); 0 = none.
    std::int64_t beat() const { return beat_; }
    void set_age(std::chrono::seconds age) { age_ = age; }
    std::optional<std::chrono::seconds> age() const override { return age_; }

    Position position() const override { return position_; }
    Result<std::optional<Stored>> find(const Identity& identity) override;
    Result<std::optional<Stored>> find_version(const Identity& identity, Version version) override;
    Result<std::vector<Stored>> fetch(std::span<const Rid> rids) override;
    Result<std::vector<Stored>> history(const HistoryScope& scope) override;
    Result<std::int64_t> history_count(const HistoryScope& scope) override;
    Result<Matches> search(const Plan& plan) override;
    Result<std::int64_t> count(const Plan& plan) override;
    Result<std::vector<Rid>> targets(std::span<const Rid> rids, Name param,
                                     Name target_type) override;
    Result<std::vector<Rid>> sources(std::span<const Rid> rids, Name param,
                                     std::size_t limit) override;
    Result<Rid> rid_of(const Identity& identity) override;
    Result<std::vector<KeptAudit>> audit(const AuditQuery& scope) override;
    Result<std::vector<LogEntry>> log(Position from, std::size_t limit) override;
    Result<std::vector<Stored>> walk(Name type, Position at, Rid after, std::size_t limit) override;
    Result<std::vector<ViewRow>> view(Name view, std::string_view key) override;
    Result<std::optional<std::int64_t>> next_token(Name param, std::int64_t from) override;
    Result<std::optional<std::string>> next_uri(Name param, std::string_view after) override;
    Result<std::vector<TypeCount>> counts() override;

 private:
    PostgresSnapshot(Pool::Loan connection, const Dictionary& names, const Layout& layout,
                     CountCache& counts)
        : connection_(std::move(connection)), names_(names), layout_(layout), counts_(counts) {}
    /// The positions [first, below) that a history scope's times and keyset allow.
    struct Window {
        Position first;
        Position below;
    };
    Result<Window> window(const HistoryScope& scope);
    Result<Position> first_position_at(Instant time);
    Result<std::vector<Stored>> history_of_one(const HistoryScope& scope, const Window& range);
    Result<std::vector<Stored>> history_of_many(const HistoryScope& scope, const Window& range);
    /// Reads the bodies of those of `versions` whose indexes are `places`: where `homes` (one per
    /// version) says that they lie, or anywhere when it is empty. Those it did not find.
    Result<std::vector<std::size_t>> read_bodies(std::vector<Stored>& versions,
                                                 const std::vector<std::size_t>& places,
                                                 const std::vector<Rid>& homes);
    /// As the public functions, in sharded layouts.
    Result<std::vector<Stored>> fetch_in_shards(std::span<const Rid> rids);
    Result<std::vector<Rid>> targets_in_shards(std::span<const Rid> rids, Name param,
                                               Name target_type);
    /// Puts in the place of what changed after `at` the version that was current then; `homes`
    /// says where each lies.
    Result<void> turn_back(std::vector<Stored>& page, const std::vector<Rid>& homes, Position at);
    /// What tells the state of all that `plan` looks at from every other; nothing when that cannot
    /// be told from the log.
    Result<std::optional<std::vector<Position>>> stamp_of(const Plan& plan);
    /// A restriction of `alias` in sharded layouts, as SQL: to the parameter `number`, one home
    /// or an array of them.
    std::string lies_at(std::string_view alias, int number) const;
    std::string lies_among(std::string_view alias, int number) const;

    Pool::Loan connection_;
    const Dictionary& names_;
    Layout layout_;
    CountCache& counts_;
    Position position_ = -1;
    Homes homes_{};  ///< of what searches have found, in sharded layouts
    std::int64_t beat_ = 0;
    std::optional<std::chrono::seconds> age_{};
};

}  // namespace meridian::store::postgres

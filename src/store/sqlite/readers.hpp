// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "store/engine/count_cache.hpp"
#include "store/sqlite/audit_index.hpp"
#include "store/sqlite/database.hpp"
#include "store/sqlite/dictionary.hpp"
#include "store/store.hpp"

namespace meridian::store::sqlite {

/// Reading connections kept for reuse. A snapshot takes one and gives it back; beyond
/// limits::snapshots_max at a time there is none.
class Readers {
 public:
    Readers(std::string path, DatabaseOptions options)
        : path_(std::move(path)), options_(std::move(options)) {}
    /// An idle connection, or a new one. Errors: `unavailable`. Blocking: opens the file when none
    /// is idle.
    Result<std::unique_ptr<Database>> take();
    void give_back(std::unique_ptr<Database> database);
    /// The newest version as of now. One statement is a read transaction by itself, so none is
    /// begun.
    Result<std::optional<Stored>> find(const Identity& identity);
    /// Set before the first snapshot, where this process writes the store, too.
    void use(std::shared_ptr<const UnindexedAudits> unindexed) {
        unindexed_audits_ = std::move(unindexed);
    }
    /// Null where another process may write.
    const UnindexedAudits* unindexed_audits() const { return unindexed_audits_.get(); }
    /// What snapshots remember of counts.
    CountCache& counts() { return counts_; }

 private:
    CountCache counts_;
    std::shared_ptr<const UnindexedAudits> unindexed_audits_;
    std::string path_;
    DatabaseOptions options_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<Database>> idle_;
    std::size_t in_use_ = 0;
};

/// A read transaction on a connection of its own.
class SqliteSnapshot final : public Snapshot {
 public:
    /// Begins a read transaction: everything it answers is as of now. Errors: `unavailable`, as
    /// Database.
    static Result<std::unique_ptr<Snapshot>> begin(Readers& readers, const Dictionary& names);
    ~SqliteSnapshot() override;

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
    Result<std::vector<LogEntry>> log(Position from, std::size_t limit) override;
    Result<std::vector<KeptAudit>> audit(const AuditQuery& scope) override;
    Result<std::vector<Stored>> walk(Name type, Position at, Rid after, std::size_t limit) override;
    Result<std::vector<ViewRow>> view(Name view, std::string_view key) override;
    Result<std::optional<std::int64_t>> next_token(Name param, std::int64_t from) override;
    Result<std::optional<std::string>> next_uri(Name param, std::string_view after) override;
    Result<std::vector<TypeCount>> counts() override;

    Database& database() { return *database_; }

 private:
    SqliteSnapshot(Readers& readers, const Dictionary& names, std::unique_ptr<Database> database)
        : readers_(readers), names_(names), database_(std::move(database)) {}
    /// The positions [first, below) that a history scope's times and keyset allow.
    struct Window {
        Position first;
        Position below;
    };
    Result<Window> window(const HistoryScope& scope);
    Result<Position> first_position_at(Instant time);
    /// Where a version stands in the log.
    struct Place {
        Position position;
        Rid rid;
        Version version;
    };
    /// The newest versions of a type, or of all.
    Result<std::vector<Place>> newest_entries(const HistoryScope& scope, const Window& range);
    /// The entries of a query [from, below) that audit_patient does not lead to yet.
    Result<void> add_unindexed(const AuditQuery& scope, std::span<const Rid> patients,
                               Position below, std::vector<KeptAudit>& found);
    Result<std::vector<Position>> scan_audits(std::span<const Rid> patients, Position from,
                                              Position below);
    /// How many audit entries lie before a position.
    Result<std::int64_t> audits_below(Position position);
    Result<std::vector<Stored>> instance_history(const HistoryScope& scope, const Window& window);
    Result<std::optional<Stored>> version_of(Rid rid, Name type, std::string_view id,
                                             Version version);
    Result<std::optional<Stored>> version_at(const Stored& newest, Position at);

    Readers& readers_;
    const Dictionary& names_;
    std::unique_ptr<Database> database_;
    Position position_ = -1;
};

}  // namespace meridian::store::sqlite

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "store/bodies.hpp"
#include "store/engine/count_cache.hpp"
#include "store/open.hpp"
#include "store/postgres/committer.hpp"
#include "store/postgres/dictionary.hpp"
#include "store/postgres/layout.hpp"
#include "store/postgres/pool.hpp"
#include "store/postgres/pulse.hpp"
#include "store/postgres/replica.hpp"
#include "store/sqlite/blobs.hpp"
#include "store/sqlite/folder.hpp"
#include "store/store.hpp"

namespace meridian::store::postgres {

/// The store in a PostgreSQL database, which several servers may share. A folder beside it keeps
/// the blobs.
class PostgresStore final : public Store, public BodyKeeper {
 public:
    static Result<std::unique_ptr<Store>> open(OpenOptions options);
    ~PostgresStore() override;

    Names& names() override { return *names_; }
    Result<std::unique_ptr<Snapshot>> snapshot() override;
    Result<std::unique_ptr<Snapshot>> stale_snapshot(std::chrono::seconds max_stale) override;
    Result<std::unique_ptr<Snapshot>> scan() override { return snapshot(); }
    Result<std::optional<Stored>> find(const Identity& identity) override;
    Result<Receipt> commit(Commit commit) override;
    void commit_later(Commit commit, std::function<void(Result<Receipt>)> done) override;
    void on_commit(std::function<void(Position)> listener) override;
    Result<void> reindex(Rid rid, Version version, std::span<const Name> params,
                         Rows rows) override;
    Result<Position> cursor(std::string_view view) override;
    Result<void> save_cursor(std::string_view view, Position next) override;
    Result<std::optional<std::string>> setting(std::string_view key) override;
    Result<void> save_setting(std::string_view key, std::string_view value) override;
    Result<std::optional<PrivateRow>> private_row(std::string_view space,
                                                  std::string_view key) override;
    Result<std::vector<PrivateRow>> private_rows(std::string_view space, std::string_view after,
                                                 std::size_t limit) override;
    Result<bool> save_private(std::vector<PrivateRow> rows) override;
    Result<void> scrub() override { return {}; }
    Result<void> exchange_bodies(std::vector<BodyExchange> bodies) override;
    Result<Sha256> put_blob(std::string_view data) override { return blobs_->put(data); }
    Result<std::optional<std::string>> blob(const Sha256& hash) override {
        return blobs_->get(hash);
    }

 private:
    explicit PostgresStore(OpenOptions options);
    /// Opens the database and makes its schema where there is none.
    Result<std::unique_ptr<Connection>> connect();
    Result<void> start(Connection& connection);
    Result<void> start_replicas();
    /// Whether a database holds all that this server remembers of it: `conflict` when not.
    Result<void> examine(Connection& connection);
    /// Lets PostgreSQL count what a bulk load has brought.
    void look_at_the_load();
    /// Errors: `unavailable` for a store opened read-only.
    Result<Committer*> writing();

    OpenOptions options_;
    Layout layout_;  ///< known when it is open
    std::shared_ptr<Line> line_ = std::make_shared<Line>();
    std::int64_t server_ = 0;  ///< this server's number in the database
    std::unique_ptr<sqlite::FolderLock> lock_;
    std::unique_ptr<sqlite::Blobs> blobs_;
    std::unique_ptr<Pool> snapshots_;
    CountCache counts_;
    /// For one question at a time: names, settings, private rows. Who asks may hold a snapshot and
    /// waits for no other connection meanwhile, so that nobody waits in a circle.
    std::unique_ptr<Pool> questions_;
    std::unique_ptr<Dictionary> names_;
    std::unique_ptr<Committer> committer_;
    Beats beats_;
    std::vector<std::unique_ptr<Replica>> replicas_;
    std::atomic<std::size_t> next_replica_ = 0;
    std::unique_ptr<Pulse> pulse_;
};

}  // namespace meridian::store::postgres

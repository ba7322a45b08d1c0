// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "store/bodies.hpp"
#include "store/open.hpp"
#include "store/sqlite/blobs.hpp"
#include "store/sqlite/committer.hpp"
#include "store/sqlite/dictionary.hpp"
#include "store/sqlite/folder.hpp"
#include "store/sqlite/readers.hpp"
#include "store/sqlite/vfs.hpp"
#include "store/store.hpp"

namespace meridian::store::sqlite {

/// The store in one folder: record.db, blobs/, lock.
class SqliteStore final : public Store, public BodyKeeper {
 public:
    static Result<std::unique_ptr<Store>> open(OpenOptions options);
    ~SqliteStore() override;

    Names& names() override { return names_; }
    Result<std::unique_ptr<Snapshot>> scan() override {
        return SqliteSnapshot::begin(*scanners_, names_);
    }
    Result<std::optional<Stored>> find(const Identity& identity) override {
        return readers_->find(identity);
    }
    Result<std::unique_ptr<Snapshot>> snapshot() override {
        return SqliteSnapshot::begin(*readers_, names_);
    }
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
    Result<void> scrub() override;
    Result<void> exchange_bodies(std::vector<BodyExchange> bodies) override;
    Result<Sha256> put_blob(std::string_view data) override;
    Result<std::optional<std::string>> blob(const Sha256& hash) override;

    const OpenOptions& options() const { return options_; }
    Blobs& blobs() { return *blobs_; }
    Readers& readers() { return *readers_; }

 private:
    explicit SqliteStore(OpenOptions options) : options_(std::move(options)) {}
    Result<void> start();
    DatabaseOptions reader_options() const;
    /// Errors: `unavailable` for a store opened read-only.
    Result<Committer*> writing();

    OpenOptions options_;
    std::unique_ptr<FolderLock> lock_;
    std::unique_ptr<Vfs> vfs_;  ///< before all connections: they must be gone first
    Dictionary names_;
    std::unique_ptr<Blobs> blobs_;
    std::unique_ptr<Readers> readers_;
    std::unique_ptr<Readers> scanners_;  ///< without the memory map
    std::unique_ptr<Committer> committer_;
};

}  // namespace meridian::store::sqlite

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "store/store.hpp"
#include "trust/merkle/checkpoint.hpp"
#include "trust/merkle/tiles.hpp"
#include "trust/merkle/witness.hpp"

namespace meridian::trust::merkle {

/// Where the parts of the tree lie in a data folder.
std::string tree_folder(const std::string& data_folder);
std::string checkpoints_path(const std::string& data_folder);

struct KeeperOptions {
    std::string data_folder;
    /// Name of the log in its checkpoints, e.g. "record.hospital.example/log"; empty: the one that
    /// its key has, or a unique one for a new key.
    std::string origin{};
    std::chrono::milliseconds interval = std::chrono::minutes(1);
    std::vector<Witness> witnesses{};
};

/// Keeps the tree over a store's log: reads what is new, adds its leaves to the tiles, signs a
/// checkpoint. The tree is a pure function of the log, so each server on a shared store keeps its
/// own. The newest checkpoint is the cursor: what a crash leaves behind it is made again.
///
/// It signs nothing that contradicts what it signed before: when the log is shorter than the tree,
/// or its entry at the tree's end is another one, it stops and says so, until the store is the
/// right one again. Thread-safe.
class Keeper {
 public:
    /// Opens tree and keys, making them at the first start; makes tiles anew that a crash of the
    /// machine has torn. The store must outlive it. Errors: `unavailable` when another process
    /// keeps the tree; `conflict` when keys and checkpoints are not of one log; those of
    /// LogKeys::open; of store and disk. A log that is not the one that was signed is logged and
    /// told by sign_now: it is no reason not to serve. Blocking: long when tiles have to be made
    /// anew.
    static Result<std::unique_ptr<Keeper>> open(store::Store& store, KeeperOptions options);
    ~Keeper();

    /// Starts the thread that signs at each interval when the log has grown.
    void start();
    /// Ends it after the batch in work.
    void stop();

    /// Brings the tree up to the log as it is now, and signs it when it has grown. The newest
    /// checkpoint; nothing while the log is empty. Errors: `conflict` when the log is not the one
    /// that was signed; of store and disk. Blocking: as long as it takes to read what is new.
    Result<std::optional<SignedCheckpoint>> sign_now();
    /// Sends the newest checkpoint to the witnesses that have not signed it and keeps what they
    /// answer. How many have signed it now. Errors: of the disk; a witness that fails is logged.
    /// Blocking: network.
    Result<std::size_t> ask_witnesses();
    /// As LogKeys::rotate, and signs the newest tree with the new key too.
    Result<void> rotate_key();

    std::optional<SignedCheckpoint> newest() const;
    std::vector<VerifierKey> keys() const;
    const TileReader& tiles() const { return tiles_; }

 private:
    Keeper(store::Store& store, KeeperOptions options, disk::Lock lock, LogKeys keys,
           CheckpointFile checkpoints);
    Result<void> open_tiles();
    Result<void> check_remembered();
    Result<void> keep(SignedCheckpoint made);
    Result<void> repair(const std::vector<TilePlace>& torn, std::uint64_t size);
    Result<void> rebuild();
    Result<Hash> leaf_at(store::Snapshot& snapshot, std::uint64_t position);
    Result<void> check_end(store::Snapshot& snapshot);
    Result<void> catch_up();
    Result<void> read_batches(store::Snapshot& snapshot, std::uint64_t size);
    Result<void> sign();
    void run();
    void note(const Result<void>& outcome);

    store::Store& store_;
    const KeeperOptions options_;
    const disk::Lock lock_;
    const TileReader tiles_;

    std::mutex work_;  ///< held by whoever reads the log and signs
    LogKeys keys_;
    CheckpointFile checkpoints_;
    std::optional<TileWriter> writer_;
    std::vector<std::uint64_t> witnessed_;  ///< per witness: the size it has signed last

    mutable std::mutex mutex_;  ///< what readers see
    std::optional<SignedCheckpoint> newest_;
    std::vector<VerifierKey> public_keys_;
    std::condition_variable wake_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace meridian::trust::merkle

// SPDX-License-Identifier: Apache-2.0
// Not part of the contract: what was done to a log that is not the signed one.
#pragma once

#include <map>
#include <optional>

#include "trust/merkle/leaf.hpp"
#include "trust/merkle/tiles.hpp"
#include "trust/merkle/verify.hpp"

namespace meridian::trust::merkle {

/// Says what happened at the first position where the log is not what was signed. Leaves are
/// hashes, so it tries: which entry, put at which position, would give the signed leaf?
class Diagnosis {
 public:
    Diagnosis(store::Store& store, store::Snapshot& snapshot, const TileReader& tiles,
              std::uint64_t tree_size, const std::map<unsigned, ContentCheck>& contents)
        : store_(store),
          snapshot_(snapshot),
          tiles_(tiles),
          tree_size_(tree_size),
          contents_(contents),
          leaves_(store.names()) {}

    /// Errors: of the store.
    Result<Finding> of(std::uint64_t position);

 private:
    Result<Finding> missing_end();
    Result<std::optional<std::string>> version_behind();
    Result<std::optional<Finding>> moved();
    /// Where `entry` stood when it was signed, behind first_. Tries every leaf of the tree.
    std::optional<std::uint64_t> origin_of(const store::LogEntry& entry);
    /// Where the entry stands now that was signed at first_. Tries every entry of the log.
    Result<std::optional<std::uint64_t>> place_of_signed();
    Result<std::optional<std::string>> altered_field(const store::LogEntry& entry);
    bool is_rewritten();
    std::optional<Hash> signed_leaf(std::uint64_t position);
    /// Whether `entry` stood at `position` when it was signed.
    bool belongs_at(store::LogEntry entry, std::uint64_t position);
    Finding finding(Damage damage, std::string sentence) const {
        return {static_cast<store::Position>(first_), damage, std::move(sentence)};
    }

    store::Store& store_;
    store::Snapshot& snapshot_;
    const TileReader& tiles_;
    const std::uint64_t tree_size_;
    const std::map<unsigned, ContentCheck>& contents_;
    LeafMaker leaves_;
    std::uint64_t first_ = 0;
    std::vector<store::LogEntry> entries_;             ///< of the log from first_ on
    std::map<std::uint64_t, std::vector<Hash>> read_;  ///< tiles of level 0
};

}  // namespace meridian::trust::merkle

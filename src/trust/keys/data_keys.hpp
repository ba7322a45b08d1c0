// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "trust/keys/message_key.hpp"

namespace meridian::trust {

/// The key of one patient, or of what concerns no patient of an organisation.
struct DataKey {
    static constexpr std::size_t id_bytes = 10;
    static constexpr std::size_t mark_bytes = 4;

    /// Of its owner, by a keyed hash: who sees it does not learn whose it is. 80 bits: among a
    /// hundred million patients two share one with a chance of 1 : 10^8, and are refused then.
    std::string id{};
    /// Random: tells two keys apart that two servers made for one owner at once.
    std::string mark{};
    std::string owner{};
    Suite suite = Suite::aes;
    std::unique_ptr<const MessageKey> key{};  ///< null when it was shredded
    std::string row_value{};                  ///< its row, wrapped; empty once that is stored
    std::chrono::steady_clock::time_point made = std::chrono::steady_clock::now();
    std::atomic<bool> is_stored{false};

    bool is_shredded() const { return key == nullptr; }
};
using DataKeyPointer = std::shared_ptr<DataKey>;

/// Data keys that were unwrapped. Bounded; thread-safe.
class DataKeyCache {
 public:
    explicit DataKeyCache(std::size_t keys_max) : keys_max_(keys_max) {}
    /// Null when it is not here.
    DataKeyPointer find(std::string_view id) const;
    /// The one that is here by now: `key`, or another that somebody was faster with.
    DataKeyPointer add(const DataKeyPointer& key);
    /// Puts `key` in the place of another, which `lost` tells of from then on.
    void replace(const DataKeyPointer& key);
    void drop(std::string_view id);
    /// Drops all whose rows are stored: they are looked up again.
    void drop_stored();
    /// A key that was made here, and for whose owner another server's came first: bodies under it
    /// are not stored anywhere, but may wait in memory. Kept for a while. Null when it is not
    /// known.
    DataKeyPointer lost(std::string_view id, std::string_view mark) const;

 private:
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const {
            return std::hash<std::string_view>()(text);
        }
    };
    struct Shard {
        mutable std::shared_mutex mutex;
        std::unordered_map<std::string, DataKeyPointer, Hash, std::equal_to<>> keys;
    };
    static constexpr std::size_t shard_count = 16;
    Shard& shard_of(std::string_view id) const;
    /// Needs the shard's lock.
    void make_room(Shard& shard);

    std::size_t keys_max_;
    mutable std::array<Shard, shard_count> shards_;
    mutable std::mutex lost_mutex_;
    std::unordered_map<std::string, DataKeyPointer> lost_;
};

}  // namespace meridian::trust

// SPDX-License-Identifier: Apache-2.0
#include "trust/keys/data_keys.hpp"

#include "trust/limits.hpp"

namespace meridian::trust {

DataKeyCache::Shard& DataKeyCache::shard_of(std::string_view id) const {
    return shards_[static_cast<unsigned char>(id.empty() ? 0 : id.front()) % shard_count];
}

DataKeyPointer DataKeyCache::find(std::string_view id) const {
    const Shard& shard = shard_of(id);
    const std::shared_lock lock(shard.mutex);
    const auto found = shard.keys.find(id);
    return found == shard.keys.end() ? nullptr : found->second;
}

void DataKeyCache::make_room(Shard& shard) {
    if (shard.keys.size() < std::max<std::size_t>(keys_max_ / shard_count, 1)) return;
    const auto waits = std::chrono::seconds(limits::data_key_unstored_seconds);
    const auto time = std::chrono::steady_clock::now();
    std::size_t to_drop = shard.keys.size() / 8 + 1;
    for (auto each = shard.keys.begin(); each != shard.keys.end() && to_drop > 0;) {
        // A key that is stored nowhere is needed by bodies that are on their way; they do not take
        // that long.
        const bool may_go = each->second->is_stored || time - each->second->made > waits;
        each = may_go ? shard.keys.erase(each) : std::next(each);
        if (may_go) --to_drop;
    }
}

DataKeyPointer DataKeyCache::add(const DataKeyPointer& key) {
    Shard& shard = shard_of(key->id);
    const std::unique_lock lock(shard.mutex);
    if (const auto found = shard.keys.find(key->id); found != shard.keys.end())
        return found->second;
    make_room(shard);
    return shard.keys.emplace(key->id, key).first->second;
}

void DataKeyCache::replace(const DataKeyPointer& key) {
    DataKeyPointer before;
    {
        Shard& shard = shard_of(key->id);
        const std::unique_lock lock(shard.mutex);
        before = std::exchange(shard.keys[key->id], key);
    }
    if (!before || before->is_stored || before->mark == key->mark) return;
    const std::lock_guard lock(lost_mutex_);
    if (lost_.size() >= limits::data_keys_lost_max) lost_.erase(lost_.begin());
    lost_[before->id + before->mark] = std::move(before);
}

void DataKeyCache::drop(std::string_view id) {
    Shard& shard = shard_of(id);
    const std::unique_lock lock(shard.mutex);
    if (const auto found = shard.keys.find(id); found != shard.keys.end()) shard.keys.erase(found);
}

void DataKeyCache::drop_stored() {
    for (Shard& shard : shards_) {
        const std::unique_lock lock(shard.mutex);
        std::erase_if(shard.keys, [](const auto& each) { return each.second->is_stored.load(); });
    }
}

DataKeyPointer DataKeyCache::lost(std::string_view id, std::string_view mark) const {
    const std::lock_guard lock(lost_mutex_);
    const auto found = lost_.find(std::string(id) + std::string(mark));
    return found == lost_.end() ? nullptr : found->second;
}

}  // namespace meridian::trust

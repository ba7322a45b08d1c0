// SPDX-License-Identifier: Apache-2.0
// For unit tests of this room: a Vault without a store. The real one is tested on both engines.
#pragma once

#include <map>
#include <mutex>

#include "trust/vault.hpp"

namespace meridian::trust::testing {

class MemoryVault final : public Vault {
 public:
    Result<std::optional<Entry>> get(std::string_view space, std::string_view key) override {
        const std::lock_guard lock(mutex_);
        const auto found = entries_.find({std::string(space), std::string(key)});
        if (found == entries_.end() || is_over(found->second)) return std::nullopt;
        return found->second;
    }
    Result<bool> put(std::vector<Entry> entries) override {
        const std::lock_guard lock(mutex_);
        for (const Entry& entry : entries) {
            const auto found = entries_.find({entry.space, entry.key});
            const bool is_there = found != entries_.end() && !is_over(found->second);
            if ((is_there ? found->second.version : 0) != entry.version) return false;
        }
        for (Entry& entry : entries) {
            const Key key{entry.space, entry.key};
            if (entry.removed) {
                entries_.erase(key);
                continue;
            }
            ++entry.version;
            entries_[key] = std::move(entry);
        }
        return true;
    }
    Result<std::vector<Entry>> list(std::string_view space, std::string_view after,
                                    std::size_t limit) override {
        const std::lock_guard lock(mutex_);
        std::vector<Entry> found;
        for (auto at = entries_.upper_bound({std::string(space), std::string(after)});
             at != entries_.end() && at->first.first == space && found.size() < limit; ++at) {
            if (!is_over(at->second)) found.push_back(at->second);
        }
        return found;
    }

 private:
    using Key = std::pair<std::string, std::string>;
    static bool is_over(const Entry& entry) { return entry.expires && *entry.expires <= now(); }
    std::mutex mutex_;
    std::map<Key, Entry> entries_;
};

}  // namespace meridian::trust::testing

// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/directory.hpp"

namespace meridian::store::sqlite {

namespace {

bool by_key(const Identity& left, const Identity& right) {
    return std::tie(left.type, left.id) < std::tie(right.type, right.id);
}

}  // namespace

Result<void> Directory::load(Database& database) {
    // Every resource stands in the directory too, and rids are given in ascending order; the table
    // has no index on rid, so the highest one is kept as a setting and checked against what can be
    // seen cheaply.
    const Rid kept = TRY(database.integer("SELECT value FROM setting WHERE key = 'rid_last'", 0));
    const Rid highest = TRY(database.integer("SELECT max(rid) FROM resource", 0));
    next_ = next_before_ = std::max(kept, highest) + 1;
    return {};
}

Directory::Map::value_type* Directory::recall(const Identity& identity) {
    for (auto* entry : recent_) {
        if (entry != nullptr && entry->first == identity) return entry;
    }
    auto* entry = recall_from_maps(identity);
    if (entry != nullptr) recent_[recent_next_++ % recent_size] = entry;
    return entry;
}

Directory::Map::value_type* Directory::recall_from_maps(const Identity& identity) {
    if (const auto found = group_.find(identity); found != group_.end()) return &*found;
    if (const auto found = young_.find(identity); found != young_.end()) return &*found;
    if (auto node = old_.extract(identity); !node.empty())
        return &*young_.insert(std::move(node)).position;
    return nullptr;
}

void Directory::remember(Identity identity, Rid rid) {
    if (young_.size() >= remembered_max_ / 2) {
        old_ = std::move(young_);
        young_.clear();
    }
    young_.insert_or_assign(std::move(identity), rid);
}

Result<Rid> Directory::look_up(Database& database, const Identity& identity) {
    return database.integer("SELECT rid FROM directory WHERE type = ? AND id = ?", 0, identity.type,
                            identity.id);
}

void Directory::want(const Identity& identity) {
    if (recall(identity) == nullptr) wanted_.push_back(&*group_.emplace(identity, 0).first);
}

Result<void> Directory::prefetch(Database& database) {
    std::sort(wanted_.begin(), wanted_.end(),
              [](const auto* a, const auto* b) { return by_key(a->first, b->first); });
    for (auto* entry : wanted_) entry->second = TRY(look_up(database, entry->first));
    wanted_.clear();
    return {};
}

Result<Rid> Directory::find(Database& database, const Identity& identity) {
    if (const auto* known = recall(identity)) return known->second;
    const Rid rid = TRY(look_up(database, identity));
    group_.emplace(identity, rid);
    return rid;
}

Result<Rid> Directory::resolve(Database& database, const Identity& identity) {
    auto* known = recall(identity);
    if (known != nullptr && known->second != 0) return known->second;
    if (known == nullptr) {
        if (const Rid rid = TRY(look_up(database, identity)); rid != 0) {
            group_.emplace(identity, rid);
            return rid;
        }
    }
    if (known == nullptr) known = &*group_.emplace(identity, 0).first;
    known->second = next_;
    added_.push_back(known);
    return next_++;
}

Result<void> Directory::flush(Database& database) {
    if (added_.empty()) return {};
    std::sort(added_.begin(), added_.end(),
              [](const auto* a, const auto* b) { return by_key(a->first, b->first); });
    auto insert = TRY(database.prepare("INSERT INTO directory(type, id, rid) VALUES(?, ?, ?)"));
    for (const auto* entry : added_)
        TRY(insert.bind_all(entry->first.type, entry->first.id, entry->second).run());
    added_.clear();
    return database.run("INSERT OR REPLACE INTO setting(key, value) VALUES('rid_last', ?)",
                        next_ - 1);
}

void Directory::finish(bool committed) {
    std::fill(std::begin(recent_), std::end(recent_), nullptr);
    if (committed) {
        next_before_ = next_;
        while (!group_.empty()) {
            auto node = group_.extract(group_.begin());
            if (node.mapped() != 0) remember(std::move(node.key()), node.mapped());
        }
    } else {
        next_ = next_before_;
    }
    group_.clear();
    wanted_.clear();
    added_.clear();
}

}  // namespace meridian::store::sqlite

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

Directory::Mention Directory::recall(const Identity& identity) {
    for (auto* entry : recent_) {
        if (entry != nullptr && entry->first == identity) return entry;
    }
    auto* entry = recall_from_maps(identity);
    if (entry != nullptr) recent_[recent_next_++ % recent_size] = entry;
    return entry;
}

Directory::Mention Directory::recall_from_maps(const Identity& identity) {
    if (const auto found = young_.find(identity); found != young_.end()) return &*found;
    if (auto node = old_.extract(identity); !node.empty())
        return &*young_.insert(std::move(node)).position;
    return nullptr;
}

Directory::Mention Directory::add(const Identity& identity, Rid rid) {
    const auto [place, is_new] = young_.emplace(identity, rid);
    if (is_new) seen_.push_back(&*place);
    return &*place;
}

Result<Rid> Directory::look_up(Database& database, const Identity& identity) {
    return database.integer("SELECT rid FROM directory WHERE type = ? AND id = ?", 0, identity.type,
                            identity.id);
}

Directory::Mention Directory::want(const Identity& identity) {
    Mention mention = recall(identity);
    if (mention == nullptr) {
        mention = add(identity, 0);
        recent_[recent_next_++ % recent_size] = mention;
        wanted_.push_back(mention);
    }
    return mention;
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
    return add(identity, TRY(look_up(database, identity)))->second;
}

Result<Rid> Directory::resolve(Database& database, const Identity& identity) {
    Mention mention = recall(identity);
    if (mention == nullptr) mention = add(identity, TRY(look_up(database, identity)));
    return resolve(mention);
}

Rid Directory::resolve(Mention mention) {
    if (mention->second == 0) {
        mention->second = next_++;
        given_.push_back(mention);
    }
    return mention->second;
}

Result<void> Directory::flush(Database& database) {
    if (given_.empty()) return {};
    std::sort(given_.begin(), given_.end(),
              [](const auto* a, const auto* b) { return by_key(a->first, b->first); });
    const auto put = [](const Mention& mention, int column, Cell& cell) {
        const auto& [identity, rid] = *mention;
        switch (column) {
            case 0:
                return cell.integer(identity.type);
            case 1:
                return cell.text(identity.id);
            default:
                return cell.integer(rid);
        }
    };
    TRY(database.run_on_rows(
        "INSERT OR FAIL INTO directory(type, id, rid) SELECT c0, c1, c2 FROM row_feed",
        ItemSource(given_, put)));
    given_.clear();
    return database.run("INSERT OR REPLACE INTO setting(key, value) VALUES('rid_last', ?)",
                        next_ - 1);
}

void Directory::finish(bool committed) {
    std::fill(std::begin(recent_), std::end(recent_), nullptr);
    // What was rolled back is asked for again; who has no rid may get one from a later transaction.
    for (const Mention mention : seen_) {
        if (!committed || mention->second == 0) young_.erase(young_.find(mention->first));
    }
    if (committed) {
        next_before_ = next_;
    } else {
        next_ = next_before_;
    }
    seen_.clear();
    wanted_.clear();
    given_.clear();
    if (young_.size() < remembered_max_ / 2) return;
    old_ = std::move(young_);
    young_.clear();
}

}  // namespace meridian::store::sqlite

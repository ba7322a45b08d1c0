// SPDX-License-Identifier: Apache-2.0
#include "trust/merkle/diagnose.hpp"

#include <algorithm>

#include "trust/limits.hpp"

namespace meridian::trust::merkle {

std::optional<Hash> Diagnosis::signed_leaf(std::uint64_t position) {
    if (position >= tree_size_) return std::nullopt;
    const TilePlace place = tile_of(0, position, tree_size_);
    if (read_.size() > limits::tree_tiles_kept_max) read_.clear();
    auto known = read_.find(place.index);
    if (known == read_.end())
        known = read_.emplace(place.index, tiles_.read(place).value_or(std::vector<Hash>())).first;
    const std::size_t in_tile = position % tile_width;
    if (in_tile >= known->second.size()) return std::nullopt;
    return known->second[in_tile];
}

bool Diagnosis::belongs_at(store::LogEntry entry, std::uint64_t position) {
    const auto leaf = signed_leaf(position);
    if (!leaf) return false;
    entry.position = static_cast<store::Position>(position);
    return leaves_.leaf(entry) == *leaf;
}

Result<Finding> Diagnosis::of(std::uint64_t position) {
    first_ = position;
    entries_ =
        TRY(snapshot_.log(static_cast<store::Position>(position), limits::tree_look_ahead_entries));
    if (entries_.empty()) return missing_end();
    const auto next = static_cast<std::uint64_t>(entries_.front().position);
    if (next > position) {
        return finding(Damage::dropped,
                       fmt::format("the log has no entry at position {}: {} signed entries were "
                                   "dropped, the next one is {}",
                                   position, next - position, next));
    }
    if (auto found = TRY(moved())) return std::move(*found);
    if (is_rewritten()) {
        return finding(Damage::rewritten,
                       fmt::format("entry {} and all that follow are not what was signed, as when "
                                   "an older copy of the database was put in place and written to "
                                   "since",
                                   position));
    }
    const auto field = TRY(altered_field(entries_.front()));
    return finding(Damage::altered,
                   field ? fmt::format("entry {} was altered: {}", position, *field)
                         : fmt::format("entry {} is not the one that was signed", position));
}

Result<Finding> Diagnosis::missing_end() {
    const std::uint64_t count = tree_size_ - first_;
    if (const auto version = TRY(version_behind())) {
        return finding(Damage::truncated,
                       fmt::format("the log was cut off: it ends before position {}, {} signed "
                                   "entries are missing, though the record still has {}",
                                   first_, count, *version));
    }
    return finding(Damage::truncated,
                   fmt::format("the log ends before position {}, {} signed entries are missing: "
                               "tiles and checkpoints are ahead of the database, as when an older "
                               "copy of it was put in place",
                               first_, count));
}

/// A current version whose position the log no longer has, by its name.
Result<std::optional<std::string>> Diagnosis::version_behind() {
    for (const store::Name type : store_.names().all(store::NameKind::type)) {
        for (store::Rid after = 0;;) {
            const auto batch =
                TRY(snapshot_.walk(type, std::numeric_limits<store::Position>::max() - 1, after,
                                   limits::reindex_batch_resources));
            if (batch.empty()) break;
            after = batch.back().rid;
            for (const store::Stored& stored : batch) {
                if (stored.position < static_cast<store::Position>(first_)) continue;
                return std::optional(fmt::format("{}/{} version {}",
                                                 store_.names().text(store::NameKind::type, type),
                                                 stored.id, stored.version));
            }
        }
    }
    return std::optional<std::string>();
}

std::optional<std::uint64_t> Diagnosis::origin_of(const store::LogEntry& entry) {
    for (std::uint64_t at = first_ + 1; at < tree_size_; ++at) {
        if (belongs_at(entry, at)) return at;
    }
    return std::nullopt;
}

Result<std::optional<std::uint64_t>> Diagnosis::place_of_signed() {
    for (auto next = static_cast<store::Position>(first_ + 1);;) {
        const auto entries = TRY(snapshot_.log(next, limits::tree_batch_entries));
        if (entries.empty()) return std::optional<std::uint64_t>();
        for (const store::LogEntry& entry : entries) {
            if (belongs_at(entry, first_))
                return std::optional(static_cast<std::uint64_t>(entry.position));
        }
        next = entries.back().position + 1;
    }
}

Result<std::optional<Finding>> Diagnosis::moved() {
    // Where did the entry that stands here now stand when it was signed, and where is the one that
    // stood here?
    const auto came_from = origin_of(entries_.front());
    const auto went_to = TRY(place_of_signed());
    if (came_from && went_to) {
        return finding(Damage::swapped, fmt::format("the entries {} and {} were swapped", first_,
                                                    std::max(*came_from, *went_to)));
    }
    if (went_to) {
        return finding(Damage::inserted,
                       fmt::format("{} entries that were not signed were inserted at position {}; "
                                   "the signed one is at {} now",
                                   *went_to - first_, first_, *went_to));
    }
    if (!came_from) return std::optional<Finding>();
    const auto there = TRY(snapshot_.log(static_cast<store::Position>(*came_from), 1));
    const bool is_copy = !there.empty() &&
                         there.front().position == static_cast<store::Position>(*came_from) &&
                         belongs_at(there.front(), *came_from);
    if (is_copy) {
        return finding(Damage::altered, fmt::format("entry {} was replaced by a copy of entry {}",
                                                    first_, *came_from));
    }
    return finding(Damage::dropped,
                   fmt::format("{} signed entries were dropped at position {}; the later ones "
                               "were moved up",
                               *came_from - first_, first_));
}

bool Diagnosis::is_rewritten() {
    std::size_t compared = 0;
    for (const store::LogEntry& entry : entries_) {
        const auto leaf = signed_leaf(static_cast<std::uint64_t>(entry.position));
        if (!leaf) break;
        if (leaves_.leaf(entry) == *leaf) return false;
        ++compared;
    }
    // One entry alone may as well have been altered.
    return compared > 1;
}

/// Which field it is, where the record or the dictionaries still tell what it was.
Result<std::optional<std::string>> Diagnosis::altered_field(const store::LogEntry& entry) {
    const auto is_signed = [&](const auto& change) {
        store::LogEntry tried = entry;
        change(tried);
        return belongs_at(std::move(tried), first_);
    };
    using store::LogEntry;
    if (const auto check = contents_.find(entry.kind); check != contents_.end()) {
        const Content content = TRY(check->second(snapshot_, entry));
        if (content.body_hash &&
            is_signed([&](LogEntry& tried) { tried.body_hash = *content.body_hash; }))
            return std::optional<std::string>(
                "its body's hash; the body is the one that was signed");
        if (content.at && is_signed([&](LogEntry& tried) { tried.at = *content.at; }))
            return std::optional<std::string>("its time");
        if (content.verb && is_signed([&](LogEntry& tried) { tried.verb = *content.verb; }))
            return std::optional<std::string>("its verb");
    }
    std::vector<store::Name> actors = store_.names().all(store::NameKind::actor);
    actors.push_back(0);
    if (actors.size() > limits::tree_names_tried_max) actors.resize(limits::tree_names_tried_max);
    for (const store::Name actor : actors) {
        if (is_signed([&](LogEntry& tried) { tried.actor = actor; }))
            return std::optional<std::string>("its actor");
        if (is_signed([&](LogEntry& tried) { tried.organisation = actor; }))
            return std::optional<std::string>("its organisation");
    }
    for (unsigned kind = 0; kind < limits::tree_kinds_tried_max; ++kind) {
        if (is_signed([&](LogEntry& tried) { tried.kind = kind; }))
            return std::optional<std::string>("its kind");
    }
    return std::optional<std::string>();
}

}  // namespace meridian::trust::merkle

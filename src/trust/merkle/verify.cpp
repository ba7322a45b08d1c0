// SPDX-License-Identifier: Apache-2.0
#include "trust/merkle/verify.hpp"

#include <algorithm>

#include "trust/limits.hpp"
#include "trust/merkle/diagnose.hpp"
#include "trust/merkle/keeper.hpp"
#include "trust/merkle/leaf.hpp"
#include "trust/merkle/tiles.hpp"

namespace meridian::trust::merkle {

std::string_view name_of(Damage damage) {
    constexpr std::string_view names[] = {"altered",   "dropped",   "swapped", "inserted",
                                          "truncated", "rewritten", "content", "stray",
                                          "tile",      "checkpoint"};
    return names[static_cast<unsigned>(damage)];
}

namespace {

std::string version_name(store::Names& names, const store::LogEntry& entry) {
    if (entry.is_audit()) return "an audit entry";
    return fmt::format("{}/{} version {}", names.text(store::NameKind::type, entry.type), entry.id,
                       entry.version);
}

/// A checkpoint that the tree must agree with.
struct Point {
    Checkpoint checkpoint;
    std::string where{};  ///< it was kept, when it is not from the list

    std::string name() const {
        return fmt::format("checkpoint of size {}{}{}", checkpoint.size, where.empty() ? "" : " ",
                           where);
    }
};

/// The first place where log and tiles differ since the last checkpoint that agreed.
struct Difference {
    std::uint64_t position = 0;
    Hash in_tiles{};
    /// The tree of the log's leaves from there on; nothing when one is missing.
    std::optional<Frontier> of_log{};
};

class Verification {
 public:
    Verification(store::Store& store, const VerifyOptions& options)
        : store_(store),
          options_(options),
          tiles_(tree_folder(options.data_folder)),
          leaves_(store.names()) {}

    Result<VerifyReport> run() {
        TRY(read_checkpoints());
        TRY(read_kept());
        TRY(find_end());
        TRY(walk());
        TRY(look_for_strays());
        finish();
        return std::move(report_);
    }

 private:
    // 1. checkpoints
    Result<void> read_checkpoints();
    void take_checkpoint(std::string_view bytes, std::int64_t number,
                         std::vector<VerifierKey>& keys);
    Result<void> read_kept();
    Result<void> take_kept(const SignedCheckpoint& kept, const std::string& where);
    void add_point(Point point);

    // 2. and 3. tree and log
    Result<void> find_end();
    Result<void> walk();
    Result<void> read_log(std::uint64_t first, std::uint64_t end);
    void check_gap(std::uint64_t position);
    Result<std::optional<std::vector<Hash>>> read_tile(std::uint64_t first);
    Result<void> take_leaves(std::uint64_t first, std::uint64_t end);
    void add_leaf(std::uint64_t position, const std::optional<Hash>& in_tile);
    Result<void> reach_points();
    Result<void> judge(const Point& point);
    Result<void> close_difference(const Point& point, bool tiles_agree);
    Result<void> diagnose_log(const Point& point, bool tiles_agree);
    void suspect(std::uint64_t tile, std::span<const Hash> hashes);
    void check_above(std::optional<Hash> root);
    void compare_above(unsigned level, bool is_last);

    // 4. contents
    Result<void> check_content(store::Snapshot& snapshot, const store::LogEntry& entry);
    Result<void> look_for_strays();
    Result<void> check_stray(store::Snapshot& snapshot, const store::Stored& stored);

    bool is_in_range(std::uint64_t position) const { return position >= from_ && position < to_; }
    void find(Finding finding) {
        if (report_.findings.size() < limits::tree_findings_max)
            report_.findings.push_back(std::move(finding));
    }
    void finish();

    store::Store& store_;
    const VerifyOptions& options_;
    const TileReader tiles_;
    LeafMaker leaves_;
    VerifyReport report_;

    std::vector<Point> points_;  ///< by size
    std::size_t next_point_ = 0;
    std::uint64_t good_size_ = 0;                ///< of the last point that agreed
    std::optional<std::uint64_t> suspect_tile_;  ///< first one since, that the tile above denies

    std::uint64_t from_ = 0, to_ = 0;       ///< entries whose leaves are made from the log
    std::uint64_t log_end_ = 0;             ///< entries that the log had when this began
    std::uint64_t log_first_ = 0;           ///< position of log_.front()
    std::vector<std::optional<Hash>> log_;  ///< leaves of the batch in work; nothing: no entry
    Frontier tree_;
    std::optional<Difference> difference_;
    bool is_log_broken_ = false;
    bool has_denied_ = false;   ///< a checkpoint did not agree with the tree of the tiles
    bool has_unknown_ = false;  ///< neither tile nor log gave a leaf: no root can be made
    /// Per level: roots of the tiles below, of the tile in work. Nothing where tile and log differ.
    std::vector<std::vector<std::optional<Hash>>> above_;
    std::vector<std::uint64_t> above_done_;
};

// --- 1. checkpoints ---

void Verification::add_point(Point point) {
    points_.push_back(std::move(point));
}

void Verification::take_checkpoint(std::string_view bytes, std::int64_t number,
                                   std::vector<VerifierKey>& keys) {
    const auto damaged = [&](const std::string& why) {
        find({-1, Damage::checkpoint, fmt::format("checkpoint number {}: {}", number, why)});
    };
    auto parsed = SignedCheckpoint::parse(bytes);
    if (!parsed) return damaged(parsed.error().message);
    auto verified = verify(parsed->note, keys);
    if (verified && *verified == 0) {
        // A server may have begun with a new key since they were read.
        keys = LogKeys::read_public(options_.data_folder).value_or(keys);
        verified = verify(parsed->note, keys);
    }
    if (!verified) return damaged(verified.error().message);
    if (*verified == 0) return damaged("it is signed by no key of this log");
    Checkpoint& found = parsed->checkpoint;
    if (report_.origin.empty()) report_.origin = found.origin;
    if (found.origin != report_.origin)
        return damaged(fmt::format("it is one of the log \"{}\"", found.origin));
    ++report_.checkpoints;
    if (!points_.empty() && found == points_.back().checkpoint) return;
    if (!points_.empty() && found.size <= points_.back().checkpoint.size) {
        return damaged(fmt::format("a tree of {} entries is signed after one of {}", found.size,
                                   points_.back().checkpoint.size));
    }
    add_point({std::move(found)});
}

Result<void> Verification::read_checkpoints() {
    auto keys = LogKeys::read_public(options_.data_folder);
    if (!keys && keys.error().category == Category::not_found)
        return fail(Category::not_found,
                    "nothing has been signed yet: the folder has no keys of an audit tree "
                    "(a server signs within a minute, `meridian audit checkpoint --now` at once)",
                    options_.data_folder);
    if (!keys) return std::unexpected(std::move(keys).error());
    std::int64_t number = 0;
    const auto read = CheckpointFile::read(checkpoints_path(options_.data_folder),
                                           [&](std::string_view note) -> Result<void> {
                                               take_checkpoint(note, ++number, *keys);
                                               return {};
                                           });
    if (!read && read.error().category != Category::not_found &&
        read.error().category != Category::too_large)
        return read;
    if (!read || number == 0) {
        find({-1, Damage::checkpoint,
              read ? "the list of checkpoints is empty, though the log has signing keys"
                   : fmt::format("the list of checkpoints cannot be read: {}",
                                 read.error().message)});
    }
    if (!points_.empty()) report_.tree_size = points_.back().checkpoint.size;
    return {};
}

Result<void> Verification::read_kept() {
    const auto remembered = LogKeys::remembered(options_.data_folder);
    if (remembered && *remembered) TRY(take_kept(**remembered, "that lies beside the key"));
    // Who may read the tree need not be allowed to look beside the key.
    if (!remembered && remembered.error().category == Category::incorrect)
        find({-1, Damage::checkpoint, "the checkpoint that lies beside the key is damaged"});
    if (!options_.kept_checkpoint) return {};
    const auto kept = SignedCheckpoint::parse(*options_.kept_checkpoint);
    if (!kept)
        return fail(Category::incorrect,
                    fmt::format("the kept checkpoint is none: {}", kept.error().message),
                    "--checkpoint");
    if (!report_.origin.empty() && kept->checkpoint.origin != report_.origin)
        return fail(Category::incorrect,
                    fmt::format("the kept checkpoint is one of the log \"{}\", this is \"{}\"",
                                kept->checkpoint.origin, report_.origin),
                    "--checkpoint");
    ++report_.checkpoints;
    return take_kept(*kept, "that was kept elsewhere");
}

Result<void> Verification::take_kept(const SignedCheckpoint& kept, const std::string& where) {
    const std::uint64_t size = kept.checkpoint.size;
    const auto keys = TRY(LogKeys::read_public(options_.data_folder));
    const auto verified = verify(kept.note, keys);
    if (!verified || *verified == 0) {
        find({-1, Damage::checkpoint,
              fmt::format("the checkpoint of size {} {} is not signed by a key that this folder "
                          "knows: its keys were replaced, or it is one of another log",
                          size, where)});
        return {};
    }
    if (size > report_.tree_size) {
        find({static_cast<store::Position>(report_.tree_size), Damage::truncated,
              fmt::format("the tree of this folder ends before position {}, the checkpoint {} was "
                          "signed with {} entries: tree and checkpoints were put back to an "
                          "older state",
                          report_.tree_size, where, size)});
        return {};
    }
    const auto place = std::find_if(points_.begin(), points_.end(),
                                    [&](const Point& each) { return each.checkpoint.size > size; });
    points_.insert(place, {kept.checkpoint, where});
    return {};
}

// --- 2. and 3. ---

Result<void> Verification::find_end() {
    const auto snapshot = TRY(store_.scan());
    log_end_ = static_cast<std::uint64_t>(snapshot->position() + 1);
    from_ = static_cast<std::uint64_t>(std::max<store::Position>(options_.from, 0));
    const std::uint64_t end = std::max(log_end_, report_.tree_size);
    to_ = options_.to ? static_cast<std::uint64_t>(*options_.to) + 1 : end;
    if (from_ >= to_ && !(end == 0 && !options_.to && from_ == 0))
        return fail(Category::incorrect, "the range is empty: --from lies behind --to", "--from");
    if (to_ > end)
        return fail(Category::incorrect,
                    fmt::format("the log ends at position {}", static_cast<std::int64_t>(end) - 1),
                    "--to");
    return {};
}

Result<void> Verification::walk() {
    const std::uint64_t end = std::max(to_, report_.tree_size);
    for (std::uint64_t first = 0; first < end;) {
        const std::uint64_t next = std::min<std::uint64_t>(
            end, first + limits::tree_batch_entries - first % limits::tree_batch_entries);
        TRY(read_log(first, next));
        TRY(take_leaves(first, std::min(next, report_.tree_size)));
        if (options_.progress)
            options_.progress("entries", static_cast<std::int64_t>(next),
                              static_cast<std::int64_t>(end));
        first = next;
    }
    if (log_end_ > report_.tree_size)
        report_.not_signed = static_cast<std::int64_t>(log_end_ - report_.tree_size);
    for (unsigned level = 1; level < above_.size(); ++level) compare_above(level, true);
    return {};
}

Result<void> Verification::read_log(std::uint64_t first, std::uint64_t end) {
    log_first_ = first;
    log_.assign(static_cast<std::size_t>(end - first), std::nullopt);
    const std::uint64_t from = std::max(first, from_), to = std::min(end, to_);
    if (is_log_broken_ || from >= to) return {};
    // A snapshot for each batch: a server beside this must be able to tidy up.
    const auto snapshot = TRY(store_.scan());
    const auto entries =
        TRY(snapshot->log(static_cast<store::Position>(from), static_cast<std::size_t>(to - from)));
    for (const store::LogEntry& entry : entries) {
        const auto position = static_cast<std::uint64_t>(entry.position);
        if (position >= to) break;
        log_[static_cast<std::size_t>(position - first)] = leaves_.leaf(entry);
        ++report_.entries;
        TRY(check_content(*snapshot, entry));
    }
    for (std::uint64_t at = std::max(from, report_.tree_size); at < std::min(to, log_end_); ++at)
        check_gap(at);
    return {};
}

void Verification::check_gap(std::uint64_t position) {
    // Below the tree's size a missing entry shows in the tree.
    if (log_[static_cast<std::size_t>(position - log_first_)] || is_log_broken_) return;
    is_log_broken_ = true;
    find({static_cast<store::Position>(position), Damage::dropped,
          fmt::format("the log has no entry at position {}, and goes on behind it", position)});
}

Result<std::optional<std::vector<Hash>>> Verification::read_tile(std::uint64_t first) {
    const TilePlace place = tile_of(0, first, report_.tree_size);
    auto hashes = tiles_.read(place);
    ++report_.tiles;
    if (hashes) return std::optional(std::move(*hashes));
    if (hashes.error().category != Category::not_found &&
        hashes.error().category != Category::fault)
        return std::unexpected(std::move(hashes).error());
    find({static_cast<store::Position>(first), Damage::tile,
          fmt::format("{} is {}: a server makes it again from the log when it starts",
                      path_of(place),
                      hashes.error().category == Category::fault ? "torn" : "missing")});
    return std::optional<std::vector<Hash>>();
}

Result<void> Verification::take_leaves(std::uint64_t first, std::uint64_t end) {
    while (first < end) {
        const auto hashes = TRY(read_tile(first));
        const std::uint64_t tile_end = std::min<std::uint64_t>(end, first + tile_width);
        bool is_same = hashes.has_value();
        if (hashes && hashes->size() == tile_width) suspect(first / tile_width, *hashes);
        for (std::uint64_t at = first; at < tile_end; ++at) {
            const auto in_tile = hashes ? std::optional((*hashes)[at - first]) : std::nullopt;
            const auto& in_log = log_[static_cast<std::size_t>(at - log_first_)];
            if (in_tile && in_log && *in_log != *in_tile) is_same = false;
            add_leaf(at, in_tile);
            TRY(reach_points());
        }
        if (tile_end - first == tile_width)
            check_above(is_same ? std::optional(root_over(*hashes)) : std::nullopt);
        first = tile_end;
    }
    return {};
}

void Verification::add_leaf(std::uint64_t position, const std::optional<Hash>& in_tile) {
    const auto& in_log = log_[static_cast<std::size_t>(position - log_first_)];
    const bool is_compared = !is_log_broken_ && is_in_range(position);
    // Without a tile the log speaks for itself; without both no checkpoint can agree.
    const Hash of_tree = in_tile ? *in_tile : in_log.value_or(Hash{});
    if (!in_tile && !in_log) has_unknown_ = true;
    if (!difference_ && is_compared && (!in_log || *in_log != of_tree))
        difference_ = Difference{position, of_tree, tree_};
    tree_.append(of_tree);
    if (!difference_ || !difference_->of_log) return;
    if (!is_compared) {
        difference_->of_log->append(of_tree);
    } else if (in_log) {
        difference_->of_log->append(*in_log);
    } else {
        difference_->of_log.reset();
    }
}

Result<void> Verification::reach_points() {
    while (next_point_ < points_.size() && points_[next_point_].checkpoint.size <= tree_.size()) {
        TRY(judge(points_[next_point_]));
        ++next_point_;
    }
    return {};
}

Result<void> Verification::judge(const Point& point) {
    const bool tiles_agree = tree_.root() == point.checkpoint.root;
    if (difference_) return close_difference(point, tiles_agree);
    if (tiles_agree) {
        good_size_ = point.checkpoint.size;
        // A tile that reaches further may be wrong there.
        if (suspect_tile_ && (*suspect_tile_ + 1) * tile_width <= good_size_) suspect_tile_.reset();
        return {};
    }
    // Once is enough: no later root can be right either.
    if (std::exchange(has_denied_, true) || has_unknown_) return {};
    // The tile above one that was altered narrows it down.
    std::uint64_t first = good_size_, end = point.checkpoint.size;
    if (suspect_tile_) {
        first = std::max(first, *suspect_tile_ * tile_width);
        end = std::min(end, (*suspect_tile_ + 1) * tile_width);
    }
    is_log_broken_ = true;
    find(
        {static_cast<store::Position>(first), Damage::altered,
         fmt::format("the {} does not agree with the tree: log and tiles were both altered, at one "
                     "of the positions {} to {}",
                     point.name(), first, end - 1)});
    return {};
}

Result<void> Verification::close_difference(const Point& point, bool tiles_agree) {
    const bool log_agrees =
        difference_->of_log && difference_->of_log->root() == point.checkpoint.root;
    if (log_agrees) {
        const TilePlace place = tile_of(0, difference_->position, report_.tree_size);
        find({static_cast<store::Position>(difference_->position), Damage::tile,
              fmt::format("the hash of entry {} in {} is not the one that was signed; the log is "
                          "right: remove that file, a server makes it again when it starts",
                          difference_->position, path_of(place))});
        tree_ = *difference_->of_log;
        good_size_ = point.checkpoint.size;
    } else {
        TRY(diagnose_log(point, tiles_agree));
    }
    difference_.reset();
    return {};
}

Result<void> Verification::diagnose_log(const Point& point, bool tiles_agree) {
    is_log_broken_ = true;
    const auto snapshot = TRY(store_.scan());
    Diagnosis diagnosis(store_, *snapshot, tiles_, report_.tree_size, options_.contents);
    Finding finding = TRY(diagnosis.of(difference_->position));
    if (!tiles_agree && !has_unknown_ && !std::exchange(has_denied_, true))
        finding.sentence += fmt::format(
            " (the tiles do not agree with the {} either: they were altered too)", point.name());
    // What was said of contents behind it may be said of other entries than it seems.
    std::erase_if(report_.findings, [&](const Finding& each) {
        return each.damage == Damage::content && each.position >= finding.position;
    });
    find(std::move(finding));
    return {};
}

void Verification::suspect(std::uint64_t tile, std::span<const Hash> hashes) {
    if (suspect_tile_) return;
    const auto above = tiles_.read(tile_of(1, tile, report_.tree_size));
    if (above && (*above)[tile % tile_width] != root_over(hashes)) suspect_tile_ = tile;
}

void Verification::check_above(std::optional<Hash> root) {
    if (above_.empty()) above_.resize(1), above_done_.resize(1);
    for (unsigned level = 1;; ++level) {
        if (level == above_.size()) above_.emplace_back(), above_done_.push_back(0);
        above_[level].push_back(root);
        if (above_[level].size() < tile_width) return;
        const bool is_known = std::all_of(above_[level].begin(), above_[level].end(),
                                          [](const auto& hash) { return hash.has_value(); });
        std::vector<Hash> row;
        if (is_known)
            for (const auto& hash : above_[level]) row.push_back(*hash);
        compare_above(level, false);
        root = is_known ? std::optional(root_over(row)) : std::nullopt;
    }
}

void Verification::compare_above(unsigned level, bool is_last) {
    auto& expected = above_[level];
    if (expected.empty()) return;
    const TilePlace place{level, above_done_[level], static_cast<unsigned>(expected.size())};
    const auto found = tiles_.read(place);
    ++report_.tiles;
    const std::uint64_t first = place.index << (tile_height * (level + 1));
    if (!found) {
        find({static_cast<store::Position>(first), Damage::tile,
              fmt::format("{} is missing or torn: a server makes it again when it starts",
                          path_of(place))});
    }
    for (std::size_t i = 0; found && i < expected.size(); ++i) {
        if (!expected[i] || (*found)[i] == *expected[i]) continue;
        find({static_cast<store::Position>(first + (i << (tile_height * level))), Damage::tile,
              fmt::format("{} does not agree with the tiles below it", path_of(place))});
        break;
    }
    expected.clear();
    if (!is_last) ++above_done_[level];
}

// --- 4. ---

Result<void> Verification::check_content(store::Snapshot& snapshot, const store::LogEntry& entry) {
    const auto check = options_.contents.find(entry.kind);
    if (check == options_.contents.end()) {
        ++report_.unlooked;
        return {};
    }
    const Content content = TRY(check->second(snapshot, entry));
    ++report_.contents;
    if (content.state == Content::State::erased) ++report_.erased;
    if (content.state != Content::State::damaged) return {};
    find({entry.position, Damage::content,
          fmt::format("{}: {}", version_name(store_.names(), entry), content.sentence)});
    return {};
}

Result<void> Verification::look_for_strays() {
    const bool is_whole = from_ == 0 && to_ == std::max(log_end_, report_.tree_size);
    if (is_log_broken_ || !is_whole || !options_.contents.contains(0)) return {};
    const auto counted = TRY(TRY(store_.scan())->counts());
    std::int64_t total = 0, done = 0;
    for (const store::TypeCount& each : counted) total += each.resources;
    for (const store::Name type : store_.names().all(store::NameKind::type)) {
        for (store::Rid after = 0;;) {
            const auto snapshot = TRY(store_.scan());
            const auto batch = TRY(
                snapshot->walk(type, snapshot->position(), after, limits::reindex_batch_resources));
            if (batch.empty()) break;
            after = batch.back().rid;
            for (const store::Stored& stored : batch) TRY(check_stray(*snapshot, stored));
            done += static_cast<std::int64_t>(batch.size());
            if (options_.progress) options_.progress("records", done, std::max(total, done));
        }
    }
    return {};
}

Result<void> Verification::check_stray(store::Snapshot& snapshot, const store::Stored& stored) {
    const auto entries = TRY(snapshot.log(stored.position, 1));
    const bool is_told = !entries.empty() && entries.front().position == stored.position &&
                         entries.front().kind == 0 && entries.front().type == stored.type &&
                         entries.front().id == stored.id &&
                         entries.front().version == stored.version;
    if (is_told) return {};
    find({stored.position, Damage::stray,
          fmt::format("{}/{} version {} is in the record, and no entry of the log tells of it",
                      store_.names().text(store::NameKind::type, stored.type), stored.id,
                      stored.version)});
    return {};
}

void Verification::finish() {
    std::stable_sort(
        report_.findings.begin(), report_.findings.end(),
        [](const Finding& left, const Finding& right) { return left.position < right.position; });
}

}  // namespace

namespace {

Content damaged(Content content, std::string sentence) {
    content.state = Content::State::damaged;
    content.sentence = std::move(sentence);
    return content;
}

/// The body's hash into `content`, or why there is none. Errors: of the store.
Result<void> read_body(const store::BodyReader& reader, const store::Stored& stored,
                       Content& content) {
    if (stored.verb == store::Verb::remove) {
        content.body_hash = Sha256{};
        return {};
    }
    if (!reader.hash) return {};
    const auto hash = reader.hash(stored);
    if (hash) {
        content.body_hash = *hash;
    } else if (hash.error().category == Category::gone) {
        content.state = Content::State::erased;
    } else if (hash.error().category == Category::unavailable) {
        return std::unexpected(hash.error());
    } else {
        content = damaged(content, "its body is damaged and cannot be read");
    }
    return {};
}

}  // namespace

ContentCheck version_content(store::BodyReader reader) {
    return [reader = std::move(reader)](store::Snapshot& snapshot,
                                        const store::LogEntry& entry) -> Result<Content> {
        Content content;
        const auto stored = TRY(snapshot.find_version({entry.type, entry.id}, entry.version));
        if (!stored) return damaged(content, "this version is no longer in the record");
        content.at = stored->updated;
        content.verb = stored->verb;
        TRY(read_body(reader, *stored, content));
        if (content.state == Content::State::damaged) return content;
        if (stored->position != entry.position) {
            return damaged(content,
                           fmt::format("the record has it at position {}", stored->position));
        }
        if (stored->verb != entry.verb || stored->updated != entry.at)
            return damaged(content, "the record has it with another time or verb");
        if (content.body_hash && *content.body_hash != entry.body_hash)
            return damaged(content,
                           "its body is not the one that was written: it has another hash");
        return content;
    };
}

ContentCheck audit_content() {
    return [](store::Snapshot& snapshot, const store::LogEntry& entry) -> Result<Content> {
        Content content;
        const auto kept =
            TRY(snapshot.audit({.from = entry.position, .before = entry.position + 1, .limit = 1}));
        if (kept.empty()) return damaged(content, "what it told of is no longer there");
        content.body_hash = sha256(kept.front().bytes);
        if (*content.body_hash != entry.body_hash)
            return damaged(content, "what it tells of has another hash than it had");
        return content;
    };
}

Result<VerifyReport> verify_log(store::Store& store, const VerifyOptions& options) {
    return store::with_names([&] { return Verification(store, options).run(); });
}

}  // namespace meridian::trust::merkle

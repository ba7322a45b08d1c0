// SPDX-License-Identifier: Apache-2.0
#include "trust/merkle/keeper.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "base/metrics.hpp"
#include "trust/limits.hpp"
#include "trust/merkle/leaf.hpp"

namespace meridian::trust::merkle {

namespace {

/// After so many batches a new snapshot is taken: a store must be able to tidy up meanwhile.
constexpr int batches_per_snapshot = 16;

std::unexpected<Error> not_the_signed_log(std::string message) {
    return fail(Category::conflict,
                message +
                    ": nothing is signed until that is cleared up (`meridian audit verify` "
                    "says more)");
}

std::unexpected<Error> shorter(std::uint64_t entries, std::uint64_t size) {
    return not_the_signed_log(
        fmt::format("the log has {} entries and the signed tree {}: entries are missing, or an "
                    "older copy of the database was put in place",
                    entries, size));
}

}  // namespace

std::string tree_folder(const std::string& data_folder) {
    return data_folder + "/tree";
}
std::string checkpoints_path(const std::string& data_folder) {
    return tree_folder(data_folder) + "/checkpoints";
}

Keeper::Keeper(store::Store& store, KeeperOptions options, disk::Lock lock, LogKeys keys,
               CheckpointFile checkpoints)
    : store_(store),
      options_(std::move(options)),
      lock_(std::move(lock)),
      tiles_(tree_folder(options_.data_folder)),
      keys_(std::move(keys)),
      checkpoints_(std::move(checkpoints)),
      witnessed_(options_.witnesses.size(), 0),
      newest_(checkpoints_.newest()),
      public_keys_(keys_.all()) {}

Keeper::~Keeper() {
    stop();
}

Result<std::unique_ptr<Keeper>> Keeper::open(store::Store& store, KeeperOptions options) {
    const std::string folder = tree_folder(options.data_folder);
    TRY(disk::make_folders(folder));
    TRY(disk::sync(options.data_folder));
    auto lock = TRY(disk::Lock::take(folder + "/lock"));
    auto keys = TRY(LogKeys::open(options.data_folder, options.origin));
    auto checkpoints = TRY(CheckpointFile::open(checkpoints_path(options.data_folder)));
    if (const auto& newest = checkpoints.newest()) {
        if (newest->checkpoint.origin != keys.origin()) {
            return fail(Category::conflict,
                        fmt::format("the checkpoints are those of the log \"{}\", the key is that "
                                    "of \"{}\"",
                                    newest->checkpoint.origin, keys.origin()),
                        checkpoints_path(options.data_folder));
        }
        // What nobody has signed must not become the beginning of what is signed from now on.
        if (TRY(verify(newest->note, keys.all())) == 0)
            return fail(Category::conflict, "the newest checkpoint is signed by no key of this log",
                        checkpoints_path(options.data_folder));
    }
    std::unique_ptr<Keeper> keeper(new Keeper(store, std::move(options), std::move(lock),
                                              std::move(keys), std::move(checkpoints)));
    const auto opened = store::with_names([&] { return keeper->open_tiles(); });
    keeper->note(opened);
    if (!opened) {
        keeper->writer_.reset();
        if (opened.error().category != Category::conflict) return std::unexpected(opened.error());
        // A hospital goes on working while somebody finds out; sign_now says it again and again.
        log::error("the audit tree cannot be continued", {{"error", opened.error().message}});
    }
    return keeper;
}

Result<void> Keeper::check_remembered() {
    const auto last = TRY(LogKeys::remembered(options_.data_folder));
    if (!last) return {};
    if (TRY(verify(last->note, keys_.all())) == 0)
        return not_the_signed_log("the checkpoint that lies beside the key is not of this log");
    const std::uint64_t size = checkpoints_.newest() ? checkpoints_.newest()->checkpoint.size : 0;
    if (size < last->checkpoint.size) {
        return not_the_signed_log(
            fmt::format("the list of checkpoints ends with a tree of {} entries, one of {} was "
                        "signed: the tree's folder was put back or emptied",
                        size, last->checkpoint.size));
    }
    const Hash root = TRY(hash_of(tiles_.nodes(size), 0, last->checkpoint.size));
    if (root == last->checkpoint.root) return {};
    return not_the_signed_log(
        fmt::format("the tree of {} entries is not the one that was signed, which the checkpoint "
                    "beside the key tells",
                    last->checkpoint.size));
}

Result<void> Keeper::open_tiles() {
    const auto& newest = checkpoints_.newest();
    const std::uint64_t size = newest ? newest->checkpoint.size : 0;
    const Hash root = newest ? newest->checkpoint.root : empty_root();
    const std::string folder = tree_folder(options_.data_folder);
    const auto torn = TileWriter::torn(folder, size, limits::tree_repaired_singly_max);
    if (!torn.empty()) {
        log::warning("tiles of the tree are missing or torn and are made again from the log",
                     {{"first", path_of(torn.front())}, {"tiles", std::uint64_t{torn.size()}}});
        if (torn.size() == limits::tree_repaired_singly_max) {
            TRY(rebuild());
            return check_remembered();
        }
        TRY(repair(torn, size));
    }
    auto writer = TileWriter::open(folder, size, root);
    if (!writer && writer.error().category == Category::fault) {
        log::warning("the tree's tiles are not those of its checkpoint and are made again",
                     {{"error", writer.error().message}});
        TRY(rebuild());
        return check_remembered();
    }
    TRY(check_remembered());
    writer_ = TRY(std::move(writer));
    return {};
}

Result<void> Keeper::repair(const std::vector<TilePlace>& torn, std::uint64_t size) {
    const auto snapshot = TRY(store_.scan());
    LeafMaker leaves(store_.names());
    for (const TilePlace& place : torn) {
        std::vector<Hash> hashes;
        if (place.level == 0) {
            const auto first = static_cast<store::Position>(place.index * tile_width);
            for (const auto& entry : TRY(snapshot->log(first, place.width)))
                hashes.push_back(leaves.leaf(entry));
        } else {
            // The level below is whole by now. Each hash is the root of a full tile there.
            for (unsigned i = 0; i < place.width; ++i) {
                hashes.push_back(root_over(
                    TRY(tiles_.read({place.level - 1, place.index * tile_width + i, tile_width}))));
            }
        }
        if (hashes.size() != place.width)
            return shorter(static_cast<std::uint64_t>(snapshot->position() + 1), size);
        // The tile above tells what a full one must be. (The root tells of those at the edge.)
        const auto above = place.width == tile_width
                               ? tiles_.nodes(size)(tile_height * (place.level + 1), place.index)
                               : Result<Hash>(empty_root());
        if (place.width == tile_width && above && *above != root_over(hashes)) {
            return not_the_signed_log(
                fmt::format("the log's entries {} to {} are not those that were signed",
                            place.index * tile_width, place.index * tile_width + tile_width - 1));
        }
        TRY(TileWriter::rewrite(tree_folder(options_.data_folder), place, hashes));
    }
    return {};
}

Result<void> Keeper::rebuild() {
    const Checkpoint signed_tree = checkpoints_.newest()->checkpoint;
    writer_ = TRY(TileWriter::open(tree_folder(options_.data_folder), 0, empty_root()));
    while (writer_->size() < signed_tree.size) {
        const auto snapshot = TRY(store_.scan());
        const std::uint64_t before = writer_->size();
        TRY(read_batches(*snapshot, signed_tree.size));
        if (writer_->size() == before) return shorter(before, signed_tree.size);
    }
    if (writer_->root() != signed_tree.root)
        return not_the_signed_log("the log's entries are not those that were signed");
    return writer_->flush();
}

// --- following the log ---

Result<void> Keeper::read_batches(store::Snapshot& snapshot, std::uint64_t size) {
    LeafMaker leaves(store_.names());
    for (int batch = 0; batch < batches_per_snapshot && writer_->size() < size; ++batch) {
        const std::uint64_t next = writer_->size();
        const auto wanted = std::min<std::uint64_t>(limits::tree_batch_entries, size - next);
        const auto entries =
            TRY(snapshot.log(static_cast<store::Position>(next), static_cast<std::size_t>(wanted)));
        for (const store::LogEntry& entry : entries) {
            if (entry.position != static_cast<store::Position>(writer_->size())) {
                return not_the_signed_log(
                    fmt::format("the log has no entry at position {}, and one at {}",
                                writer_->size(), entry.position));
            }
            TRY(writer_->append(leaves.leaf(entry)));
        }
        if (entries.empty()) return {};
    }
    return {};
}

Result<void> Keeper::check_end(store::Snapshot& snapshot) {
    const std::uint64_t size = writer_->size();
    const auto entries = static_cast<std::uint64_t>(snapshot.position() + 1);
    if (entries < size) return shorter(entries, size);
    if (size == 0) return {};
    const auto last = TRY(snapshot.log(static_cast<store::Position>(size - 1), 1));
    const TilePlace place = tile_of(0, size - 1, size);
    LeafMaker leaves(store_.names());
    const bool is_there =
        !last.empty() && last.front().position == static_cast<store::Position>(size - 1);
    // Leaves of this run that no checkpoint names yet are in the writer only.
    if (is_there && checkpoints_.newest() && checkpoints_.newest()->checkpoint.size == size &&
        leaves.leaf(last.front()) != TRY(tiles_.read(place)).back()) {
        return not_the_signed_log(fmt::format("the log's entry {} is not the one that was signed",
                                              last.front().position));
    }
    if (!is_there)
        return not_the_signed_log(fmt::format("the log has no entry at position {}", size - 1));
    return {};
}

Result<void> Keeper::catch_up() {
    // A tree that could not be gone on with is opened anew, from what was signed.
    if (!writer_) TRY(open_tiles());
    std::optional<std::uint64_t> goal;
    do {
        const auto snapshot = TRY(store_.scan());
        TRY(check_end(*snapshot));
        // What comes meanwhile is for the next time: this one ends.
        if (!goal) goal = static_cast<std::uint64_t>(snapshot->position() + 1);
        const std::uint64_t before = writer_->size();
        if (before == *goal) break;
        TRY(read_batches(*snapshot, *goal));
        if (writer_->size() == before) {
            return not_the_signed_log(
                fmt::format("the log has no entry at position {} though it goes on", before));
        }
        const std::uint64_t signed_size =
            checkpoints_.newest() ? checkpoints_.newest()->checkpoint.size : 0;
        if (writer_->size() - signed_size >= limits::tree_unsigned_leaves_max) TRY(sign());
    } while (writer_->size() < *goal);
    return sign();
}

Result<void> Keeper::sign() {
    const auto& newest = checkpoints_.newest();
    if (writer_->size() == (newest ? newest->checkpoint.size : 0)) return {};
    // Tiles first: a checkpoint must never name what the disk does not have.
    TRY(writer_->flush());
    SignedCheckpoint made{{keys_.origin(), writer_->size(), writer_->root()}, {}};
    made.note.text = made.checkpoint.to_text();
    made.note.signatures.push_back(keys_.signing().sign(made.note.text));
    return keep(std::move(made));
}

Result<void> Keeper::keep(SignedCheckpoint made) {
    TRY(checkpoints_.append(std::move(made)));
    {
        const std::lock_guard lock(mutex_);
        newest_ = checkpoints_.newest();
    }
    return keys_.remember(*checkpoints_.newest());
}

Result<std::optional<SignedCheckpoint>> Keeper::sign_now() {
    const std::lock_guard work(work_);
    const auto outcome = store::with_names([&] { return catch_up(); });
    // Leaves that were appended before it failed may not be in files: begin at the checkpoint.
    if (!outcome) writer_.reset();
    note(outcome);
    if (!outcome) return std::unexpected(outcome.error());
    return checkpoints_.newest();
}

void Keeper::note(const Result<void>& outcome) {
    static metrics::Gauge& size = metrics::gauge(
        "meridian_tree_size", "log entries under the newest signed checkpoint of the audit tree");
    static metrics::Gauge& failing =
        metrics::gauge("meridian_tree_failing",
                       "1 while the audit tree cannot be signed, 2 while the log contradicts it");
    if (checkpoints_.newest())
        size.set(static_cast<std::int64_t>(checkpoints_.newest()->checkpoint.size));
    failing.set(outcome ? 0 : outcome.error().category == Category::conflict ? 2 : 1);
}

// --- witnesses and keys ---

Result<std::size_t> Keeper::ask_witnesses() {
    const std::lock_guard work(work_);
    if (!checkpoints_.newest()) return std::size_t{0};
    SignedCheckpoint now = *checkpoints_.newest();
    std::size_t signed_by = 0;
    bool has_new = false;
    for (std::size_t i = 0; i < options_.witnesses.size(); ++i) {
        const Witness& witness = options_.witnesses[i];
        const bool has_signed =
            std::any_of(now.note.signatures.begin(), now.note.signatures.end(),
                        [&](const NoteSignature& each) { return witness.key.is_of(each); });
        if (has_signed) {
            ++signed_by;
            continue;
        }
        const auto signature =
            ask_witness(witness, now, witnessed_[i], tiles_.nodes(now.checkpoint.size));
        if (!signature) {
            log::warning("a witness did not sign the checkpoint",
                         {{"witness", witness.key.name()}, {"error", signature.error().message}});
            continue;
        }
        now.note.signatures.push_back(*signature);
        ++signed_by;
        has_new = true;
    }
    if (has_new) TRY(keep(std::move(now)));
    return signed_by;
}

Result<void> Keeper::rotate_key() {
    const std::lock_guard work(work_);
    TRY(keys_.rotate());
    if (checkpoints_.newest()) {
        SignedCheckpoint now = *checkpoints_.newest();
        now.note.signatures.push_back(keys_.signing().sign(now.note.text));
        TRY(keep(std::move(now)));
    }
    const std::lock_guard lock(mutex_);
    public_keys_ = keys_.all();
    return {};
}

std::optional<SignedCheckpoint> Keeper::newest() const {
    const std::lock_guard lock(mutex_);
    return newest_;
}

std::vector<VerifierKey> Keeper::keys() const {
    const std::lock_guard lock(mutex_);
    return public_keys_;
}

// --- the thread ---

void Keeper::start() {
    const std::lock_guard lock(mutex_);
    if (!thread_.joinable() && !stopping_) thread_ = std::thread([this] { run(); });
}

void Keeper::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
}

void Keeper::run() {
    while (true) {
        if (const auto made = sign_now(); !made) {
            log::error("the audit tree could not be signed",
                       {{"error", made.error().message}, {"where", made.error().where}});
        } else if (const auto asked = ask_witnesses(); !asked) {
            log::error("what witnesses answered could not be kept",
                       {{"error", asked.error().message}});
        }
        std::unique_lock lock(mutex_);
        if (wake_.wait_for(lock, options_.interval, [this] { return stopping_; })) return;
    }
}

}  // namespace meridian::trust::merkle

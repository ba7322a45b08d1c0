// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "store/maintain.hpp"
#include "store/store.hpp"
#include "trust/merkle/checkpoint.hpp"

namespace meridian::trust::merkle {

/// What is wrong with an entry, or with what keeps watch over it.
enum class Damage : unsigned char {
    altered,     ///< the entry is another one than was signed
    dropped,     ///< it was taken away; later ones may have moved up
    swapped,     ///< it has changed places with another
    inserted,    ///< something stands before it that was not signed
    truncated,   ///< the log ends before it
    rewritten,   ///< nothing from it on is what was signed
    content,     ///< the entry is right; what it tells of is altered or missing
    stray,       ///< a version is there that the log does not tell of
    tile,        ///< the log is right; a tile is damaged
    checkpoint,  ///< a checkpoint is damaged, forged or contradicts the others
};
/// The word for it, e.g. "swapped".
std::string_view name_of(Damage damage);

struct Finding {
    store::Position position = -1;  ///< the first entry concerned; -1 for none
    Damage damage = Damage::altered;
    std::string sentence{};  ///< says what was found, without patient data but ids
};

/// What an entry tells of, as it is in the store now.
struct Content {
    enum class State : unsigned char {
        right,
        erased,   ///< rightly gone: its key was destroyed
        damaged,  ///< `sentence` says how
    };
    State state = State::right;
    std::string sentence{};
    /// What the entry should say by it: shows which of its fields was altered.
    std::optional<Instant> at{};
    std::optional<store::Verb> verb{};
    std::optional<Sha256> body_hash{};
};
/// Looks at what entries of one kind tell of. Errors: of the store only; damage is an answer.
using ContentCheck =
    std::function<Result<Content>(store::Snapshot& snapshot, const store::LogEntry& entry)>;

/// For kind 0: the version is there, in resource or history, at this position with this time and
/// verb, and its body has the entry's hash. A body whose reader answers `gone` counts as erased.
ContentCheck version_content(store::BodyReader reader);
/// For kind 1: what the audit entry says is there and has the entry's hash.
ContentCheck audit_content();

struct VerifyOptions {
    std::string data_folder;
    store::Position from = 0;             ///< the first entry whose leaf is made from the log
    std::optional<store::Position> to{};  ///< the last one; default: the log's end
    /// A signed checkpoint that was kept elsewhere (on paper, on another host), as a note.
    std::optional<std::string> kept_checkpoint{};
    /// By the entry's kind: 0 is a version (version_content); a part that writes entries of
    /// another kind brings the check of what they tell of. A kind without one is not looked into.
    std::map<unsigned, ContentCheck> contents{};
    store::CheckProgress progress{};
};

struct VerifyReport {
    std::int64_t entries = 0;      ///< whose leaves were made from the log
    std::int64_t contents = 0;     ///< what was looked into
    std::int64_t erased = 0;       ///< bodies whose keys are destroyed
    std::int64_t unlooked = 0;     ///< entries of a kind that nobody looks into
    std::int64_t not_signed = 0;   ///< entries behind the newest checkpoint
    std::int64_t tiles = 0;        ///< read and compared
    std::int64_t checkpoints = 0;  ///< whose signatures and roots were verified
    std::uint64_t tree_size = 0;   ///< of the newest checkpoint
    std::string origin{};
    /// Sorted by position, those without one first; at most limits::tree_findings_max.
    std::vector<Finding> findings{};
    bool clean() const { return findings.empty(); }
};

/// Verifies that the log is the one that was signed, also while a server writes:
///
///   1. every checkpoint by the log's public keys, and the one that was kept elsewhere
///   2. every tile against those above it, and the tree of the tiles against every checkpoint
///   3. the leaf of every entry of the log against the tiles
///   4. what the entries tell of (`contents`), and that no current version is there without one
///
/// Where tiles and log differ, the checkpoint says which of them is right. Leaves behind the newest
/// checkpoint have nothing to be compared with yet. After the first entry that is not as it was
/// signed, later ones are not compared: a shift makes them all differ. Errors: `not_found` when
/// nothing has been signed; `incorrect` for a range or a kept checkpoint that cannot be; of store
/// and disk. Blocking: long; reads log, bodies and tiles.
Result<VerifyReport> verify_log(store::Store& store, const VerifyOptions& options);

}  // namespace meridian::trust::merkle

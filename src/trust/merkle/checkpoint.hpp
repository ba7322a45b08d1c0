// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "trust/merkle/disk.hpp"
#include "trust/merkle/note.hpp"
#include "trust/merkle/tree.hpp"

namespace meridian::trust::merkle {

/// What a log says of its tree: https://c2sp.org/tlog-checkpoint. No extension lines.
struct Checkpoint {
    std::string origin;  ///< which log it is; the name of its keys
    std::uint64_t size = 0;
    Hash root{};

    /// The note's text. Errors of parse: `incorrect`.
    std::string to_text() const;
    static Result<Checkpoint> parse(std::string_view text);
    bool operator==(const Checkpoint&) const = default;
};

/// A checkpoint with its signatures.
struct SignedCheckpoint {
    Checkpoint checkpoint;
    Note note;
    static Result<SignedCheckpoint> parse(std::string_view bytes);
};

/// Every checkpoint that was ever signed, in a file that only grows: notes, each followed by an
/// empty line. A later note of the same tree brings more signatures. For one writer.
class CheckpointFile {
 public:
    /// Opens or makes it, and cuts off what a crash has left of a note that nobody was told of.
    /// Errors: of the disk; `fault` when something else than a note stands there.
    static Result<CheckpointFile> open(const std::string& path);
    /// The last one.
    const std::optional<SignedCheckpoint>& newest() const { return newest_; }
    /// Durable when it returns.
    Result<void> append(SignedCheckpoint signed_checkpoint);

    /// Calls `take` with the bytes of each note in order, as they stand there; what a writer is
    /// just adding is left out. Errors: of the disk, of `take`; `too_large` for a note beyond its
    /// limit.
    static Result<void> read(const std::string& path,
                             const std::function<Result<void>(std::string_view note)>& take);

 private:
    std::string path_;
    disk::Descriptor file_;
    std::int64_t size_ = 0;
    std::optional<SignedCheckpoint> newest_;
};

/// The keys of one log: DATA/keys/checkpoint.key signs; DATA/keys/checkpoint.pub lists the public
/// ones that ever did, oldest first.
class LogKeys {
 public:
    /// Reads them; makes them at the first start, with `origin` as their name (empty: one that is
    /// unique). Errors: `forbidden` when others can read the key; `conflict` when the key has
    /// another name than `origin`; `incorrect` for a name that cannot be one; of the disk.
    static Result<LogKeys> open(const std::string& data_folder, const std::string& origin);
    /// The public ones only, for who verifies. Errors: `not_found` when there are none.
    static Result<std::vector<VerifierKey>> read_public(const std::string& data_folder);

    const SigningKey& signing() const { return signing_; }
    const std::vector<VerifierKey>& all() const { return all_; }
    const std::string& origin() const { return signing_.verifier().name(); }
    /// Signs with a new key from now on; the old public key goes on verifying what it signed.
    Result<void> rotate();

    /// Keeps the newest checkpoint beside the key (DATA/keys/checkpoint.last), where who may write
    /// into the tree's folder need not be able to: so a tree that was put back is seen. Durable.
    Result<void> remember(const SignedCheckpoint& newest) const;
    /// What was remembered last; nothing when nothing was. Errors: of the disk; `incorrect` when
    /// it is no checkpoint.
    static Result<std::optional<SignedCheckpoint>> remembered(const std::string& data_folder);

 private:
    LogKeys(std::string folder, SigningKey signing, std::vector<VerifierKey> all)
        : folder_(std::move(folder)), signing_(std::move(signing)), all_(std::move(all)) {}
    static Result<void> write(const std::string& folder, const SigningKey& signing,
                              const std::vector<VerifierKey>& all);
    std::string folder_;
    SigningKey signing_;
    std::vector<VerifierKey> all_;
};

}  // namespace meridian::trust::merkle

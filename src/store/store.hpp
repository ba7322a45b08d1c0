// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/hash.hpp"
#include "base/instant.hpp"
#include "base/result.hpp"
#include "store/names.hpp"
#include "store/plan.hpp"
#include "store/rows.hpp"

/// The record's store: one ordered log, resource versions, index rows, blobs. Engines implement
/// Store and Snapshot; nothing above this header knows which one runs.
namespace meridian::store {

enum class Verb : unsigned char { create = 1, update = 2, remove = 3 };

/// One resource version to write.
struct Change {
    Verb verb = Verb::create;  ///< create and update are the same to the store: it tells which one
                               ///< it was in the receipt
    Identity identity;
    /// The id was made by this server just now: the store need not look for an older version.
    bool fresh = false;
    /// The stored form of the body (store/codec.hpp, then the cipher); opaque here. Empty for
    /// remove.
    std::string body;
    Sha256 body_hash{};  ///< of the plain stored JSON; goes into the log
    Rows rows;           ///< empty for remove
    /// When set, the commit is stale unless this is the current version (0 = there is no current
    /// version).
    std::optional<Version> if_version{};
};

/// Largest AuditEntry::bytes.
inline constexpr std::size_t audit_entry_bytes_max = 16'384;
/// Most patients of one audit entry.
inline constexpr std::size_t audit_entry_patients_max = 1'024;

/// One access, told by a log entry of kind 1. What it says is for the rooms above to know
/// (trust/audit/entry.hpp); here it is bytes.
struct AuditEntry {
    std::string bytes;  ///< canonical form, at most audit_entry_bytes_max
    /// Who did it, as the log and the index by actor name it; 0 = nobody who is known.
    Name actor = 0;
    Name organisation = 0;
    /// Whose records were touched: the entry is found by each of them. One that nothing was ever
    /// written about or mentioned is left out. At most audit_entry_patients_max.
    std::vector<Identity> patients{};
    /// The change of the same commit that it tells of, by its place there. The log entry then says
    /// which version was written, and patients whom only the version before concerned are added.
    std::optional<std::size_t> change{};
};

/// A search that the writer has decided upon: the commit is stale unless it still has exactly these
/// matches.
struct Expectation {
    std::shared_ptr<const Plan> plan;  ///< its limit is at least expected.size() + 1
    std::vector<Rid> expected;         ///< ascending
};

/// A small document that is no part of the record: it has no history and is in no log. What it
/// holds is sealed by whoever writes it (trust/vault.hpp).
struct PrivateRow {
    std::string space{}, key{};
    std::string value{};
    /// Of the row; when it is written: of the one that it replaces, 0 = there is none.
    std::int64_t version = 0;
    /// Not there from this time on (milliseconds since 1970).
    std::int64_t expires = std::numeric_limits<std::int64_t>::max();
    bool removed = false;  ///< when it is written: take it away
};
/// Rows of this space hold keys of the record's bodies: a backup leaves them out, so that what was
/// shredded is shredded there too. A store that moves takes them along.
inline constexpr std::string_view space_of_keys = "key";

/// All or nothing.
struct Commit {
    std::vector<Change> changes;
    /// Written behind the changes, and only if they are. A commit may hold nothing else.
    std::vector<AuditEntry> audit{};
    std::vector<Expectation> expectations;
    /// Where the snapshot stood that `expectations` were evaluated on: nothing needs a new look
    /// while nothing was written since.
    Position seen = -1;
    /// Names::coding_count before the plans of `expectations` were made. When it has grown since,
    /// the commit is stale: a plan that could not know a system looks in the wrong place.
    std::size_t codings_seen = 0;
    /// Written with the changes. The commit is stale when one of them has not the version that it
    /// is to replace; a new one (version 0) may be there already when it has the same value.
    std::vector<PrivateRow> private_rows;
    Name actor = 0;
    Name organisation = 0;
};

struct Written {
    Rid rid = 0;
    Version version = 0;
    Position position = -1;
    bool created = false;  ///< there was no current version before
    bool existed =
        true;  ///< remove only: false when there was nothing to remove (nothing is written then)
};

struct Receipt {
    /// A condition no longer holds; nothing was written. Take a new snapshot, decide again, commit
    /// again.
    bool stale = false;
    Position position = -1;        ///< of the last change, or audit entry
    Instant at;                    ///< lastUpdated of all changes
    std::vector<Written> written;  ///< one per change, in order
};

/// A stored version.
struct Stored {
    Rid rid = 0;
    Name type = 0;
    std::string id;
    Version version = 0;
    Position position = -1;
    Instant updated;
    Verb verb = Verb::create;
    bool current = false;
    std::string body;  ///< stored form; empty when verb is remove
    bool deleted() const { return verb == Verb::remove; }
};

/// What an entry of the log tells of.
enum class EntryKind : unsigned char { version = 0, audit = 1 };

/// Of an audit entry rid, type, id and verb are not set.
struct LogEntry {
    Position position = -1;
    Instant at;
    unsigned kind = 0;  ///< EntryKind
    Rid rid = 0;
    Name type = 0;
    std::string id;
    /// Of an audit entry that tells of a change: the version that was written; else 0.
    Version version = 0;
    Verb verb = Verb::create;
    Name actor = 0;
    Name organisation = 0;
    std::array<unsigned char, 16> salt{};
    Sha256 body_hash{};  ///< of the plain stored JSON, or of an audit entry's bytes
    bool is_audit() const { return kind == static_cast<unsigned>(EntryKind::audit); }
};

/// An audit entry with its place in the log.
struct KeptAudit {
    LogEntry entry;
    std::string bytes;
};

/// Which audit entries are asked for; newest first.
struct AuditQuery {
    /// Of any of these patients; nothing = whomever they concern.
    std::optional<std::vector<Identity>> patients{};
    std::optional<Name> actor{};
    Position from = 0;                                       ///< at or above
    Position before = std::numeric_limits<Position>::max();  ///< keyset: only positions below
    std::size_t limit = 20;
};

/// Which versions a history asks for; newest first.
struct HistoryScope {
    Name type = 0;                   ///< 0 = all types
    std::string id{};                ///< with type: one resource
    std::optional<Instant> since{};  ///< updated at or after
    std::optional<Instant> at_or_before{};
    Position before = std::numeric_limits<Position>::max();  ///< keyset: only positions below this
    std::size_t limit = 20;
};

struct TypeCount {
    Name type;
    std::int64_t resources;
};

/// One consistent, read-only view of the store. Belongs to the thread that took it; take it late,
/// drop it soon.
class Snapshot {
 public:
    virtual ~Snapshot() = default;
    /// How long ago, at most, something may have been acknowledged that this does not show; nothing
    /// when it shows everything that was acknowledged when it was taken.
    virtual std::optional<std::chrono::seconds> age() const { return std::nullopt; }
    /// Position of the last change that this snapshot sees; -1 for an empty store.
    virtual Position position() const = 0;
    /// The newest version, a deletion included; nothing when the identity was never written.
    virtual Result<std::optional<Stored>> find(const Identity& identity) = 0;
    virtual Result<std::optional<Stored>> find_version(const Identity& identity,
                                                       Version version) = 0;
    /// Current versions of `rids`, in their order; those without a current version are left out.
    virtual Result<std::vector<Stored>> fetch(std::span<const Rid> rids) = 0;
    virtual Result<std::vector<Stored>> history(const HistoryScope& scope) = 0;
    virtual Result<std::int64_t> history_count(const HistoryScope& scope) = 0;

    virtual Result<Matches> search(const Plan& plan) = 0;
    /// Number of matches without regard to limit, after and exclude.
    virtual Result<std::int64_t> count(const Plan& plan) = 0;

    /// Current resources that `rids` refer to by `param` (0 = by any reference parameter).
    /// `target_type` 0 = any.
    virtual Result<std::vector<Rid>> targets(std::span<const Rid> rids, Name param,
                                             Name target_type) = 0;
    /// Current resources that refer to `rids` by `param`, at most `limit`.
    virtual Result<std::vector<Rid>> sources(std::span<const Rid> rids, Name param,
                                             std::size_t limit) = 0;
    virtual Result<Rid> rid_of(const Identity& identity) = 0;  ///< 0 when never mentioned

    /// Entries from `from` on, at most `limit`.
    virtual Result<std::vector<LogEntry>> log(Position from, std::size_t limit) = 0;
    /// Audit entries, newest first, at most `scope.limit`. Cost: as many index rows as entries, for
    /// each patient.
    virtual Result<std::vector<KeptAudit>> audit(const AuditQuery& scope) = 0;
    /// Versions of `type` that were current at `at`, by ascending rid after `after`, at most
    /// `limit`: the walk of an export.
    virtual Result<std::vector<Stored>> walk(Name type, Position at, Rid after,
                                             std::size_t limit) = 0;
    virtual Result<std::vector<ViewRow>> view(Name view, std::string_view key) = 0;
    /// The smallest token value of `param` at or above `from` that a current version holds: walks
    /// the distinct values of a parameter, one look-up each.
    virtual Result<std::optional<std::int64_t>> next_token(Name param, std::int64_t from) = 0;
    /// Likewise the first URI of `param` that sorts (by bytes) after `after`.
    virtual Result<std::optional<std::string>> next_uri(Name param, std::string_view after) = 0;
    virtual Result<std::vector<TypeCount>> counts() = 0;
};

class Store {
 public:
    virtual ~Store() = default;
    virtual Names& names() = 0;
    /// A snapshot of what is committed now. Errors: `unavailable`.
    virtual Result<std::unique_ptr<Snapshot>> snapshot() = 0;
    /// A snapshot that may lack what was acknowledged in the last `max_stale` and says so (`age`):
    /// an engine with replicas takes one of them. Errors: as `snapshot`.
    virtual Result<std::unique_ptr<Snapshot>> stale_snapshot(std::chrono::seconds max_stale) {
        (void)max_stale;
        return snapshot();
    }
    /// A snapshot for reading most of the store once, in order: it leaves alone the memory that
    /// other readers share, so that a walk does not fill it.
    virtual Result<std::unique_ptr<Snapshot>> scan() = 0;
    /// The newest version as of now, a deletion included: what a snapshot of its own would find,
    /// for a fraction of its cost. Errors: `unavailable`, also when it would take longer than a
    /// thread that must not wait has: then a snapshot is the way. Blocking: at most a few pages of
    /// the disk, or limits::database_at_once_milliseconds.
    virtual Result<std::optional<Stored>> find(const Identity& identity) = 0;
    /// Queues `commit` and waits until it is durable (one fsync for all that wait) or stale.
    /// Errors: `busy` when the queue is full, `storage_full`, `unavailable` after a failed write or
    /// fsync.
    virtual Result<Receipt> commit(Commit commit) = 0;
    /// Like commit, without waiting: `done` runs on a thread of the store and must be short.
    virtual void commit_later(Commit commit, std::function<void(Result<Receipt>)> done) = 0;
    /// Writes audit entries in a commit of their own and waits until they are durable: together
    /// with whatever else waits they share one fsync. Errors: as commit; `busy` says that they were
    /// not written, so what they tell of must not be done or answered.
    Result<void> record(std::vector<AuditEntry> entries);
    /// Like record, without waiting: as commit_later.
    void record_later(std::vector<AuditEntry> entries, std::function<void(Result<void>)> done);
    /// Calls `listener` on the committer's thread after every group with the last position, in the
    /// place of the listener before. For following views.
    virtual void on_commit(std::function<void(Position)> listener) = 0;

    /// Replaces index rows of one parameter for one current version, when it is still current
    /// (online reindex).
    virtual Result<void> reindex(Rid rid, Version version, std::span<const Name> params,
                                 Rows rows) = 0;

    /// Cursor of a following view: the next position to read, saved with what the view wrote.
    /// Where several servers share a store, one at a time follows a view: the others' calls answer
    /// `busy`, until that one has been silent for ten seconds.
    virtual Result<Position> cursor(std::string_view view) = 0;
    virtual Result<void> save_cursor(std::string_view view, Position next) = 0;
    /// Small durable settings of the server itself (never patient data).
    virtual Result<std::optional<std::string>> setting(std::string_view key) = 0;
    virtual Result<void> save_setting(std::string_view key, std::string_view value) = 0;

    virtual Result<std::optional<PrivateRow>> private_row(std::string_view space,
                                                          std::string_view key) = 0;
    /// Rows of a space by key (bytewise), those after `after`, at most `limit`.
    virtual Result<std::vector<PrivateRow>> private_rows(std::string_view space,
                                                         std::string_view after,
                                                         std::size_t limit) = 0;
    /// Writes all or nothing, durable when it returns. False, and nothing is written, when one of
    /// them has not the version that it is to replace. Blocking: one commit.
    virtual Result<bool> save_private(std::vector<PrivateRow> rows) = 0;
    /// What was replaced or removed leaves the files too, as far as the engine lets a client see to
    /// it: words of removed texts are merged away, and a folder's write-ahead log is cut to
    /// nothing. A database does it when it vacuums. Errors: `busy` while a long snapshot needs the
    /// old log. Blocking: long; writers wait for its parts.
    virtual Result<void> scrub() = 0;

    /// Content-addressed blobs in pack files. put returns the SHA-256 of `data`; the same content
    /// is stored once.
    virtual Result<Sha256> put_blob(std::string_view data) = 0;
    virtual Result<std::optional<std::string>> blob(const Sha256& hash) = 0;
};

}  // namespace meridian::store

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/result.hpp"
#include "store/engine/audit_rows.hpp"
#include "store/engine/commit_queue.hpp"
#include "store/engine/resolve.hpp"
#include "store/postgres/connection.hpp"
#include "store/postgres/dictionary.hpp"
#include "store/postgres/directory.hpp"
#include "store/postgres/index_writer.hpp"
#include "store/postgres/layout.hpp"
#include "store/postgres/moves.hpp"
#include "store/postgres/sequencer.hpp"
#include "store/store.hpp"

namespace meridian::store::postgres {

/// Writes groups of commits, each group in one transaction. Whatever the number of changes, a group
/// is a handful of statements in three round trips: the identities; locks and what stands in the
/// rows now; everything that is written, one statement a table. Belongs to the committer's thread.
///
/// Several servers write at once. Rows that a group changes are locked in the order of their rids
/// before anything is decided; a group that carries conditions also holds a lock for each type that
/// they look at and that it writes, so that two of them never decide side by side
/// (docs/adr/0020). What still collides is rolled back and tried again. Where rows lie in shards,
/// locks of the coordinator's stand for those of the rows (docs/adr/0023).
class Writer {
 public:
    Writer(Connection::Options options, Dictionary& names, std::int64_t server, Layout layout);

    /// What became of a group.
    struct Written {
        std::int64_t batch = 0;     ///< 0 = nothing was written
        bool has_positions = true;  ///< otherwise the receipts hold ordinals of the batch
        LogEnd last{};              ///< of the log as far as this server gives it
        /// The connection that was lost while this was being committed: whether it was, and so what
        /// the outcomes are, is to be asked with was_committed. Empty mostly.
        std::string doubt{};
    };
    /// Writes all tasks of `group` in order and sets their outcomes: durable when this returns. A
    /// commit that is stale or refused writes nothing and does not hold up the others; a failure of
    /// the database fails the whole group.
    Written write_group(const Group& group);
    /// Replaces index rows of `params` (all when empty) of a current version; nothing happens when
    /// it is current no longer. Only inside of a job.
    Result<void> reindex(Rid rid, Version version, std::span<const Name> params, Rows rows);

    /// What became of a doubtful group; nothing while it may still be committed. Errors: as
    /// Connection.
    Result<std::optional<bool>> was_committed(const Written& doubtful);
    /// Between groups: stands for the sequencer's office, shows that it lives, gives positions to
    /// what waits. The last entry that was given a position now, if any. Errors: as Connection.
    Result<LogEnd> tend();
    /// Whether this server gives the positions. May be asked from any thread.
    bool is_sequencer() const { return sequencer_.is_elected(); }

 private:
    /// What stands in a resource's row.
    struct State {
        Rid home = 0;
        Version version = 0;  ///< 0 = never written
        Verb verb = Verb::remove;
        std::string forward{};
        bool current() const { return version != 0 && verb != Verb::remove; }
    };
    /// A change with its rows resolved: made once, however often the group is tried.
    struct Prepared {
        const Change* change;
        Rid rid;
        Resolved resolved{};
        std::string packed{};
        std::optional<Error> refused{};  ///< it exceeds a limit
    };
    struct Verdict {
        bool stale = false;
        std::optional<Error> refused{};
        bool passes() const { return !stale && !refused; }
    };
    /// A row of `resource` to write.
    struct Row {
        Rid rid;
        Rid home;
        int ordinal;
        Version version;
        Name organisation;
        Verb verb;
        const Prepared* change;
    };
    struct Entry {
        Rid rid;
        Rid home;
        Version version;
        Verb verb;
        Name actor;
        Name organisation;
        const Change* change;
        const AuditRow* audit = nullptr;  ///< instead of the change
    };
    using PreparedCommit = std::vector<Prepared>;
    /// What a group looks at, and so locks.
    struct Looks {
        std::map<Rid, const Identity*> resources{};
        std::vector<std::string> keys{};  ///< unique keys, sorted
        std::map<std::string_view, std::set<std::string_view>> private_keys{};  ///< by space
        bool has_conditions = false;
        std::set<Name> types{};  ///< of conditions; 0 = all
        Position seen = std::numeric_limits<Position>::max();
    };

    Result<void> connect();
    Result<void> prepare(const Group& group);
    Result<Written> try_once(const Group& group, bool is_first);
    Result<void> begin(const Group& group);
    Looks looks_of(const Group& group) const;
    /// Queues the locks of conditions.
    void send_condition_locks(const Looks& looks);
    /// Queues the locking of rows, and the question what stands in them.
    void ask_states(const Looks& looks);
    /// The same of rows in shards. Errors: as Connection.
    Result<void> ask_sharded_states(const Looks& looks);
    /// Citus locks no rows of several shards, and a resource that moves leaves its row: locks of
    /// their own stand for those of resources and of unique keys, one for many, in ascending order.
    Result<void> lock_rows(const std::vector<Rid>& rids, const std::vector<std::string>& keys);
    Result<Written> finish(const Group& group);
    Result<void> write_task(Task& task, const PreparedCommit& changes);
    Result<Verdict> verify(const Commit& commit, const PreparedCommit& changes);
    Verdict verify_versions(const Commit& commit, const PreparedCommit& changes);
    Verdict verify_unique_keys(const PreparedCommit& changes);
    Verdict verify_private_rows(const Commit& commit) const;
    Result<Verdict> verify_expectations(const Commit& commit);
    bool unchanged_since(const Plan& plan, Position seen) const;

    Result<Receipt> apply(const Commit& commit, const PreparedCommit& changes);
    Result<store::Written> apply_write(const Commit& commit, const Prepared& change);
    Result<store::Written> apply_remove(const Commit& commit, const Prepared& change);
    Result<void> apply_audit(const Commit& commit, const std::vector<store::Written>& written);
    Result<State*> state_to_write(Rid rid);
    Result<void> drop_rows(Rid rid, const State& state, Name type,
                           std::vector<std::string>* keys_before);
    int append_entry(const Commit& commit, const Prepared& change, Rid home, Version version,
                     Verb verb);
    void change_unique_keys(Rid rid, const std::vector<std::string>& before,
                            const std::vector<std::string>& after);
    int text_field(Name param);

    /// Queues all rows that wait.
    void send_rows();
    void send_resources();
    void send_entries();
    void send_audits();
    void send_unique_keys();
    void send_counts();
    void send_private();
    /// What the group knows of a private row now: of its own, or as it stands in the table.
    const PrivateRow* private_row_now(const PrivateRow& row) const;
    void change_private_rows(const Commit& commit);
    /// Writes what waits, so that a search or a second change of a resource finds it.
    Result<void> flush();
    /// Makes known that all nodes of a distributed store show what was committed. That it fails
    /// is no failure of the group: who takes the office next does it.
    void publish();
    /// Forgets what the last attempt has made.
    void clear();

    Connection::Options options_;
    Dictionary& names_;
    std::int64_t server_;
    Layout layout_;
    std::unique_ptr<Connection> connection_;
    std::string connection_name_;
    std::uint64_t connections_ = 0;
    Sequencer sequencer_;
    Directory directory_;
    IndexWriter index_;
    std::vector<PreparedCommit> prepared_;  ///< of the group in work, one per task

    // Of the attempt in work:
    std::int64_t batch_ = 0;
    Instant at_;
    bool committing_ = false;
    bool gives_positions_ = false;  ///< this server was the sequencer when the attempt began
    std::unordered_map<Rid, State> states_;
    std::map<std::string, Rid> keys_;         ///< unique keys → holder now, 0 = none
    std::map<std::string, Rid> keys_stored_;  ///< as they stand in the table
    std::map<std::pair<std::string, std::string>, PrivateRow> private_;  ///< as they are now
    std::vector<PrivateRow> private_changes_;
    std::unordered_map<Name, Position> changed_;  ///< since the oldest snapshot of a condition
    bool all_changed_ = false;
    std::unordered_set<Name> changed_here_;
    std::vector<Row> inserts_, updates_;
    std::vector<std::pair<Rid, Rid>> to_history_;  ///< rid, home
    std::vector<Move> moves_;
    std::unordered_set<Rid> touched_;
    std::vector<Entry> entries_;
    std::deque<AuditRow> audits_;
    /// Patients whom the versions concerned that the commit in work replaces, by change. Filled for
    /// those that an audit entry tells of.
    std::map<std::size_t, std::vector<Rid>> left_;
    std::vector<Rid>* left_now_ = nullptr;  ///< of the change in work, if any
    std::unordered_map<Name, std::int64_t> count_changes_;
    std::unordered_map<Name, int> text_fields_;
};

}  // namespace meridian::store::postgres

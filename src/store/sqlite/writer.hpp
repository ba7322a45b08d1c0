// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/result.hpp"
#include "store/engine/commit_queue.hpp"
#include "store/engine/forward.hpp"
#include "store/engine/resolve.hpp"
#include "store/sqlite/audit_index.hpp"
#include "store/sqlite/database.hpp"
#include "store/sqlite/dictionary.hpp"
#include "store/sqlite/directory.hpp"
#include "store/sqlite/index_writer.hpp"
#include "store/sqlite/resource_rows.hpp"
#include "store/store.hpp"

namespace meridian::store::sqlite {

/// Writes groups of commits, each group in one SQLite transaction with one fsync. Belongs to the
/// committer's thread.
class Writer {
 public:
    /// Takes the writing connection of an opened store with its schema in place. Errors: as
    /// Database.
    static Result<std::unique_ptr<Writer>> make(std::unique_ptr<Database> database,
                                                Dictionary& names, std::size_t audit_index_batch);

    /// Writes all tasks of `group` in order and sets their outcomes: durable when this returns. A
    /// commit that is stale or refused writes nothing and does not hold up the others; a failure of
    /// the database fails the whole group.
    void write_group(std::span<const std::shared_ptr<Task>> group);

    /// Replaces index rows of `params` (all when empty) of a current version; nothing happens when
    /// it is current no longer.
    Result<void> reindex(Rid rid, Version version, std::span<const Name> params, Rows rows);

    Database& database() { return *database_; }
    /// For readers: the audit entries that are found in no table by patient yet.
    std::shared_ptr<const UnindexedAudits> unindexed_audits() const {
        return audit_index_.unindexed();
    }
    Position last_position() const { return next_position_ - 1; }
    /// Why nothing can be written any more; absent while all is well.
    const std::optional<Error>& broken() const { return broken_; }
    /// Refuses every later group: something outside of a group failed in a way that cannot be tried
    /// again.
    void stop_writing(Error why);

 private:
    /// The state of a resource before a change.
    struct Before {
        Rid rid = 0;
        Version version = 0;  ///< 0 = never written
        Verb verb = Verb::remove;
        bool current() const { return version != 0 && verb != Verb::remove; }
    };
    struct Verdict {
        bool stale = false;
        std::optional<Error> refused{};
        bool passes() const { return !stale && !refused; }
    };
    Writer(std::unique_ptr<Database> database, Dictionary& names, std::size_t audit_index_batch);
    Result<void> load();
    Result<void> write_all(std::span<const std::shared_ptr<Task>> group);
    Result<void> write_task(Task& task, Directory::Mention* mentions);
    Result<void> finish_transaction();
    void fail_group(std::span<const std::shared_ptr<Task>> group, const Error& error);

    /// Finds all identities that the group mentions, in the order in which apply will ask for them.
    Result<void> prefetch(std::span<const std::shared_ptr<Task>> group);
    Result<Verdict> verify(const Commit& commit);
    Result<Verdict> verify_versions(const Commit& commit);
    Result<Verdict> verify_unique_keys(const Commit& commit);
    Result<Verdict> verify_private_rows(const Commit& commit);
    Result<Verdict> verify_expectations(const Commit& commit);
    bool unchanged_since(const Plan& plan, Position seen) const;

    /// `mentions`: those of the commit's changes, as prefetch found them.
    Result<Receipt> apply(Commit& commit, Directory::Mention* mentions);
    Result<Written> apply_write(const Commit& commit, Change& change, Directory::Mention* mentions);
    Result<Written> apply_remove(const Commit& commit, const Change& change);
    /// Keeps whom a version that is replaced concerned.
    void note_left(const Commit& commit, const Change& change, const ResolvedRows& rows);
    Result<void> apply_audit(const Commit& commit, const std::vector<Written>& written);
    Result<Before> before(const Identity& identity);
    Result<Before> before(Rid rid);
    Result<void> keep_history(const Before& before);
    Result<std::optional<ResolvedRows>> forward_rows(Rid rid);
    /// Appends the next entry of the log.
    ResourceRows::Entry append_log(const Commit& commit, const Change& change, Rid rid,
                                   Version version, Verb verb);
    Result<void> change_unique_keys(Rid rid, const std::vector<std::string>& before,
                                    const std::vector<std::string>& after);
    int text_field(Name param);
    /// Rows of this resource wait in the index writer: they must be in the tables before they can
    /// be replaced.
    Result<void> touch(Rid rid);
    Result<void> flush();
    std::array<char, log_salt_bytes> next_salt();

    std::unique_ptr<Database> database_;
    Dictionary& names_;
    Directory directory_;
    ResourceRows rows_;
    IndexWriter index_;
    AuditIndex audit_index_;
    std::vector<Directory::Mention> mentions_;  ///< of the group in work
    std::unordered_set<Rid> touched_;
    std::unordered_map<Name, std::int64_t> count_changes_;
    std::unordered_map<Name, Position> last_change_;
    std::unordered_map<Name, int> text_fields_;
    Position last_change_of_any_ = -1;
    Position opened_at_ = -1;
    Position next_position_ = 0;
    Position next_position_before_ = 0;
    std::int64_t next_audit_ = 0;  ///< number of the next audit entry
    std::int64_t next_audit_before_ = 0;
    /// Patients whom the versions concerned that the commit in work replaces, by change. Filled for
    /// those that an audit entry tells of.
    std::map<std::size_t, std::vector<Rid>> left_;
    Instant at_;
    std::string salts_;
    std::size_t salt_at_ = 0;
    std::optional<Error> broken_;
};

}  // namespace meridian::store::sqlite

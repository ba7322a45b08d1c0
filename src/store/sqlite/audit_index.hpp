// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <shared_mutex>
#include <span>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "store/sqlite/database.hpp"
#include "store/store.hpp"

namespace meridian::store::sqlite {

/// A patient and the position of an audit entry that concerns them: a row of `audit_patient`.
using AuditOfPatient = std::tuple<Rid, Position>;

/// The entries that `audit_patient` does not lead to yet, by patient. Thread-safe.
class UnindexedAudits {
 public:
    /// Positions from `from` on, in no order; nothing when some of them are not kept here any more.
    std::optional<std::vector<Position>> find(std::span<const Rid> patients, Position from) const;

 private:
    friend class AuditIndex;
    void begin_at(Position position);
    void add(std::span<const AuditOfPatient> rows);

    mutable std::shared_mutex mutex_;
    std::unordered_map<Rid, std::vector<Position>> positions_;
    Position begins_at_ = 0;
};

/// Writes `audit_patient`, by which a patient's audit entries are found.
///
/// Reads touch one patient after another, and each row has its place among that patient's: written
/// at once, each read would write a page. So the rows wait, and go to the table in the order of its
/// key, some with each group. All entries before the cursor `audit_patient` have their rows; those
/// behind it are found by their position, and some have their rows, too. A crash loses nothing:
/// what waits is made of the entries again. Belongs to the committer's thread.
class AuditIndex {
 public:
    /// `batch`: rows that gather before they are written. Up to twice as many wait.
    explicit AuditIndex(std::size_t batch) : batch_(std::max<std::size_t>(batch, 1)) {}

    /// Finds out what waits, and writes all of it but the last batch; `next` is the next position
    /// of the log. Errors: as Database.
    Result<void> load(Database& database, Position next);
    /// An entry of the group in work.
    void add(std::span<const Rid> patients, Position position);
    /// Writes some rows of earlier groups, within the transaction of this one. Errors: as Database.
    Result<void> write_some(Database& database);
    /// What became of the group; `next` is the next position of the log.
    void finish(bool is_written, Position next);
    /// For readers.
    std::shared_ptr<const UnindexedAudits> unindexed() const { return unindexed_; }

    /// The entries before this position have their rows, as `database` sees it. Errors: as
    /// Database.
    static Result<Position> indexed_below(Database& database);
    /// The entries before `next` have their rows. Errors: as Database.
    static Result<void> note_indexed(Database& database, Position next);

 private:
    Result<Position> read_batch(Database& database, Position from);

    std::size_t batch_;
    std::vector<AuditOfPatient> waiting_;  ///< in the order of their positions
    std::size_t kept_ = 0;                 ///< of those, how many are of groups that are written
    std::vector<AuditOfPatient> batch_in_work_;  ///< in the order of the table's key
    std::size_t written_ = 0,
                written_before_ = 0;  ///< of batch_in_work_, with and without this group
    Position end_of_batch_ = 0;
    std::shared_ptr<UnindexedAudits> unindexed_ = std::make_shared<UnindexedAudits>();
};

}  // namespace meridian::store::sqlite

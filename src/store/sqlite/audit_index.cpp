// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/audit_index.hpp"

#include <algorithm>
#include <limits>

#include "store/engine/audit_rows.hpp"
#include "store/sqlite/row_feed.hpp"

namespace meridian::store::sqlite {

namespace {

constexpr std::string_view cursor_name = "audit_patient";
constexpr std::size_t rows_at_once_min = 64;  ///< of a batch, with each group

/// Rows in the order of the table's key, so that each page is touched once. After a crash some of
/// them are there.
Result<void> write_rows(Database& database, std::span<const AuditOfPatient> rows) {
    const std::vector<AuditOfPatient> some(rows.begin(), rows.end());
    return database.run_on_rows(
        "INSERT OR IGNORE INTO audit_patient(patient, position) SELECT c0, c1 FROM row_feed",
        TupleSource(some));
}

}  // namespace

// --- UnindexedAudits ---

std::optional<std::vector<Position>> UnindexedAudits::find(std::span<const Rid> patients,
                                                           Position from) const {
    std::vector<Position> found;
    const std::shared_lock lock(mutex_);
    if (from < begins_at_) return std::nullopt;
    for (const Rid patient : patients) {
        const auto place = positions_.find(patient);
        if (place == positions_.end()) continue;
        const std::vector<Position>& all = place->second;
        found.insert(found.end(), std::lower_bound(all.begin(), all.end(), from), all.end());
    }
    return found;
}

void UnindexedAudits::begin_at(Position position) {
    const std::unique_lock lock(mutex_);
    begins_at_ = position;
    for (auto place = positions_.begin(); place != positions_.end();) {
        std::vector<Position>& all = place->second;
        all.erase(all.begin(), std::lower_bound(all.begin(), all.end(), position));
        place = all.empty() ? positions_.erase(place) : std::next(place);
    }
}

void UnindexedAudits::add(std::span<const AuditOfPatient> rows) {
    const std::unique_lock lock(mutex_);
    for (const auto& [patient, position] : rows) positions_[patient].push_back(position);
}

// --- AuditIndex ---

Result<Position> AuditIndex::indexed_below(Database& database) {
    // Without a cursor the store was last written when each entry got its rows at once.
    return database.integer("SELECT next FROM cursor WHERE view = ?",
                            std::numeric_limits<Position>::max(), cursor_name);
}

Result<void> AuditIndex::note_indexed(Database& database, Position next) {
    return database.run("INSERT OR REPLACE INTO cursor(view, next) VALUES(?, ?)", cursor_name,
                        next);
}

Result<void> AuditIndex::load(Database& database, Position next) {
    Position from = TRY(indexed_below(database));
    if (from > next) TRY(note_indexed(database, from = next));
    for (;;) {
        const Position end = TRY(read_batch(database, from));
        if (waiting_.size() < batch_) break;
        std::sort(waiting_.begin(), waiting_.end());
        TRY(database.run("BEGIN IMMEDIATE"));
        TRY(write_rows(database, waiting_));
        TRY(note_indexed(database, from = end));
        TRY(database.run("COMMIT"));
        waiting_.clear();
    }
    unindexed_->begin_at(from);
    finish(true, next);
    return {};
}

/// Adds entries from `from` on until a batch waits; the position behind the last of them.
Result<Position> AuditIndex::read_batch(Database& database, Position from) {
    auto row = TRY(database.prepare(
        "SELECT position, patients FROM audit WHERE position >= ? ORDER BY position"));
    row.bind_all(from);
    while (waiting_.size() < batch_ && TRY(row.step())) {
        add(TRY(parse_rid_list(row.text(1))), row.integer(0));
        from = row.integer(0) + 1;
    }
    return from;
}

void AuditIndex::add(std::span<const Rid> patients, Position position) {
    for (const Rid patient : patients) waiting_.emplace_back(patient, position);
}

Result<void> AuditIndex::write_some(Database& database) {
    if (batch_in_work_.empty()) return {};
    // Faster than they come, so that a batch is written before the next one is full.
    const std::size_t new_rows = waiting_.size() - kept_;
    const std::size_t count =
        std::min(batch_in_work_.size() - written_, std::max(2 * new_rows, rows_at_once_min));
    TRY(write_rows(database, std::span(batch_in_work_).subspan(written_, count)));
    written_ += count;
    if (written_ < batch_in_work_.size()) return {};
    return note_indexed(database, end_of_batch_);
}

void AuditIndex::finish(bool is_written, Position next) {
    if (!is_written) {
        waiting_.resize(kept_);
        written_ = written_before_;
        return;
    }
    unindexed_->add(std::span(waiting_).subspan(kept_));
    kept_ = waiting_.size();
    if (!batch_in_work_.empty() && written_ == batch_in_work_.size()) {
        batch_in_work_.clear();
        written_ = 0;
        unindexed_->begin_at(end_of_batch_);
    }
    if (batch_in_work_.empty() && waiting_.size() >= batch_) {
        batch_in_work_.swap(waiting_);
        std::sort(batch_in_work_.begin(), batch_in_work_.end());
        end_of_batch_ = next;
        waiting_.clear();
        kept_ = 0;
    }
    written_before_ = written_;
}

}  // namespace meridian::store::sqlite

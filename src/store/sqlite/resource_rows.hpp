// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "store/engine/audit_rows.hpp"
#include "store/sqlite/database.hpp"
#include "store/store.hpp"

namespace meridian::store::sqlite {

inline constexpr std::size_t log_salt_bytes = 16;

/// A row of `audit`, with those of `audit_patient`.
struct AuditTableRow {
    Position position;
    std::int64_t number;
    Name actor;
    const std::vector<Rid>& patients;
    std::string_view bytes;
};
/// Writes them, one statement a table; those of `audit_patient` only when `by_patient` holds
/// (otherwise AuditIndex does). Errors: as Database.
Result<void> insert_audits(Database& database, const std::vector<AuditTableRow>& rows,
                           bool by_patient);
/// The number of the next audit entry. Errors: as Database.
Result<std::int64_t> next_audit_number(Database& database);

/// Collects the rows of a group that only ever go to the end of their table: log entries, resources
/// that were never written before, and what these contribute to the indexes. One statement a table
/// writes them. Rows are in no table before flush.
class ResourceRows {
 public:
    /// A log entry of `change`, which must stay where it is until flush.
    struct Entry {
        Position position;
        Rid rid;
        const Change* change;
        Version version;
        Verb verb;
        Name actor;
        Name organisation;
        std::array<char, log_salt_bytes> salt;
    };
    /// Adds the log entry of any change.
    void add_entry(const Entry& entry) { entries_.push_back(entry); }
    /// Adds an audit entry, which must stay where it is until flush.
    struct Audit {
        Position position;
        std::int64_t number;
        AuditRow row;
        std::array<char, log_salt_bytes> salt;
    };
    void add_audit(Audit audit) { audits_.push_back(std::move(audit)); }
    /// Adds the first version of a resource, with the home patient and the packed index rows.
    void add_resource(const Entry& entry, Rid patient, std::string packed) {
        resources_.push_back({entry, patient, std::move(packed)});
    }

    /// Writes all rows as of `at`. Errors: as Database.
    Result<void> flush(Database& database, Instant at);
    void clear();

 private:
    struct Resource {
        Entry entry;
        Rid patient;
        std::string packed;
    };
    Result<void> flush_audits(Database& database, Instant at);
    std::vector<Entry> entries_;
    std::vector<Audit> audits_;
    std::vector<Resource> resources_;
};

}  // namespace meridian::store::sqlite

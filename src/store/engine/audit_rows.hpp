// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "store/store.hpp"

/// Audit entries on their way into an engine's tables.
namespace meridian::store {

/// An audit entry whose patients are rids: what its rows are made of.
struct AuditRow {
    const AuditEntry* entry = nullptr;
    std::vector<Rid> patients{};  ///< ascending
    /// Of the change that it tells of; 0 = of none.
    Version version = 0;
    Sha256 hash{};
};

/// The row of an entry that is written with changes of which `written` came. `patients` may hold a
/// rid twice, and 0 for who has none. Errors: `fault` for an entry that tells of a change that is
/// not there.
Result<AuditRow> audit_row(const AuditEntry& entry, std::vector<Rid> patients,
                           const std::vector<Written>& written);
/// Why a commit's entries cannot be written; nothing when they can.
std::optional<Error> beyond_audit_limits(const std::vector<AuditEntry>& entries);

/// Rids as the tables keep them: "4,17".
std::string rid_list(const std::vector<Rid>& rids);
/// Errors: `fault` for anything that rid_list does not make.
Result<std::vector<Rid>> parse_rid_list(std::string_view text);

/// Brings what was found for each of several patients into one order, newest first, each entry
/// once, at most `limit`.
void merge_newest(std::vector<KeptAudit>& found, std::size_t limit);

}  // namespace meridian::store

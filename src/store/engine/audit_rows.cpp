// SPDX-License-Identifier: Apache-2.0
#include "store/engine/audit_rows.hpp"

#include <algorithm>
#include <charconv>

namespace meridian::store {

Result<AuditRow> audit_row(const AuditEntry& entry, std::vector<Rid> patients,
                           const std::vector<Written>& written) {
    AuditRow row;
    row.entry = &entry;
    row.hash = sha256(entry.bytes);
    std::sort(patients.begin(), patients.end());
    patients.erase(std::unique(patients.begin(), patients.end()), patients.end());
    std::erase(patients, Rid{0});
    row.patients = std::move(patients);
    if (!entry.change) return row;
    if (*entry.change >= written.size())
        return fail(Category::fault, "an audit entry tells of a change that is not in its commit");
    const Written& change = written[*entry.change];
    row.version = change.existed ? change.version : 0;
    return row;
}

std::optional<Error> beyond_audit_limits(const std::vector<AuditEntry>& entries) {
    for (const AuditEntry& entry : entries) {
        if (entry.bytes.size() > audit_entry_bytes_max)
            return Error{Category::fault, "an audit entry exceeds audit_entry_bytes_max"};
        if (entry.patients.size() > audit_entry_patients_max)
            return Error{Category::fault, "an audit entry exceeds audit_entry_patients_max"};
    }
    return std::nullopt;
}

std::string rid_list(const std::vector<Rid>& rids) {
    std::string text;
    for (const Rid rid : rids) {
        if (!text.empty()) text += ',';
        text += std::to_string(rid);
    }
    return text;
}

Result<std::vector<Rid>> parse_rid_list(std::string_view text) {
    std::vector<Rid> rids;
    const char* at = text.data();
    const char* const end = at + text.size();
    while (at != end) {
        Rid rid = 0;
        const auto [next, error] = std::from_chars(at, end, rid);
        const bool goes_on = next != end && *next == ',' && next + 1 != end;
        if (error != std::errc() || rid < 1 || (next != end && !goes_on))
            return fail(Category::fault, "an audit entry's patients cannot be read");
        rids.push_back(rid);
        at = goes_on ? next + 1 : next;
    }
    return rids;
}

void merge_newest(std::vector<KeptAudit>& found, std::size_t limit) {
    const auto position = [](const KeptAudit& kept) { return kept.entry.position; };
    std::ranges::sort(found, std::greater(), position);
    const auto twice = std::ranges::unique(found, std::equal_to(), position);
    found.erase(twice.begin(), twice.end());
    if (found.size() > limit) found.resize(limit);
}

}  // namespace meridian::store

// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/resource_rows.hpp"

namespace meridian::store::sqlite {

Result<void> ResourceRows::flush(Database& database, Instant at) {
    // rids are given when a resource is first mentioned, so they are nearly in order already; in
    // order every insert goes behind the one before it.
    std::sort(resources_.begin(), resources_.end(),
              [](const Resource& left, const Resource& right) {
                  return left.entry.rid < right.entry.rid;
              });
    const auto put_resource = [at](const Resource& row, int column, Cell& cell) {
        switch (column) {
            case 0:
                return cell.integer(row.entry.rid);
            case 1:
                return cell.integer(row.entry.change->identity.type);
            case 2:
                return cell.text(row.entry.change->identity.id);
            case 3:
                return cell.integer(row.entry.version);
            case 4:
                return cell.integer(row.entry.position);
            case 5:
                return cell.integer(at.milliseconds);
            case 6:
                return cell.put(row.entry.verb);
            case 7:
                return cell.integer(row.patient);
            case 8:
                return cell.integer(row.entry.organisation);
            default:
                return cell.blob(row.entry.change->body);
        }
    };
    TRY(database.run_on_rows(
        "INSERT OR FAIL INTO resource(rid, type, id, version, position, updated, verb, patient, "
        "organisation, sensitivity, body) "
        "SELECT c0, c1, c2, c3, c4, c5, c6, c7, c8, 0, c9 FROM row_feed",
        ItemSource(resources_, put_resource)));
    const auto put_forward = [](const Resource& row, int column, Cell& cell) {
        column == 0 ? cell.integer(row.entry.rid) : cell.blob(row.packed);
    };
    TRY(database.run_on_rows("INSERT OR FAIL INTO forward(rid, rows) SELECT c0, c1 FROM row_feed",
                             ItemSource(resources_, put_forward)));
    const auto put_entry = [at](const Entry& entry, int column, Cell& cell) {
        switch (column) {
            case 0:
                return cell.integer(entry.position);
            case 1:
                return cell.integer(at.milliseconds);
            case 2:
                return cell.integer(entry.rid);
            case 3:
                return cell.integer(entry.change->identity.type);
            case 4:
                return cell.integer(entry.version);
            case 5:
                return cell.put(entry.verb);
            case 6:
                return cell.integer(entry.actor);
            case 7:
                return cell.integer(entry.organisation);
            case 8:
                return cell.blob({entry.salt.data(), entry.salt.size()});
            default: {
                const Sha256& hash = entry.change->body_hash;
                return cell.blob({reinterpret_cast<const char*>(hash.data()), hash.size()});
            }
        }
    };
    TRY(database.run_on_rows(
        "INSERT OR FAIL INTO log(position, at, kind, rid, type, version, verb, actor, "
        "organisation, salt, body_hash) "
        "SELECT c0, c1, 0, c2, c3, c4, c5, c6, c7, c8, c9 FROM row_feed",
        ItemSource(entries_, put_entry)));
    TRY(flush_audits(database, at));
    clear();
    return {};
}

Result<void> ResourceRows::flush_audits(Database& database, Instant at) {
    if (audits_.empty()) return {};
    const auto put_entry = [at](const Audit& audit, int column, Cell& cell) {
        switch (column) {
            case 0:
                return cell.integer(audit.position);
            case 1:
                return cell.integer(at.milliseconds);
            case 2:
                return cell.integer(audit.row.version);
            case 3:
                return cell.integer(audit.row.entry->actor);
            case 4:
                return cell.integer(audit.row.entry->organisation);
            case 5:
                return cell.blob({audit.salt.data(), audit.salt.size()});
            default: {
                const Sha256& hash = audit.row.hash;
                return cell.blob({reinterpret_cast<const char*>(hash.data()), hash.size()});
            }
        }
    };
    TRY(database.run_on_rows(
        "INSERT OR FAIL INTO log(position, at, kind, rid, type, version, verb, actor, "
        "organisation, salt, body_hash) "
        "SELECT c0, c1, 1, 0, 0, c2, 0, c3, c4, c5, c6 FROM row_feed",
        ItemSource(audits_, put_entry)));
    std::vector<AuditTableRow> rows;
    rows.reserve(audits_.size());
    for (const Audit& audit : audits_)
        rows.push_back({audit.position, audit.number, audit.row.entry->actor, audit.row.patients,
                        audit.row.entry->bytes});
    return insert_audits(database, rows, false);
}

Result<void> insert_audits(Database& database, const std::vector<AuditTableRow>& rows,
                           bool by_patient) {
    std::vector<std::string> lists;
    std::vector<std::tuple<Rid, Position>> patients;
    lists.reserve(rows.size());
    for (const AuditTableRow& row : rows) {
        lists.push_back(rid_list(row.patients));
        for (const Rid patient : row.patients) patients.emplace_back(patient, row.position);
    }
    const auto put = [&](const AuditTableRow& row, int column, Cell& cell) {
        switch (column) {
            case 0:
                return cell.integer(row.position);
            case 1:
                return cell.integer(row.number);
            case 2:
                return cell.integer(row.actor);
            case 3:
                return cell.text(lists[static_cast<std::size_t>(&row - rows.data())]);
            default:
                return cell.blob(row.bytes);
        }
    };
    TRY(
        database.run_on_rows("INSERT OR FAIL INTO audit(position, number, actor, patients, bytes) "
                             "SELECT c0, c1, c2, c3, c4 FROM row_feed",
                             ItemSource(rows, put)));
    if (!by_patient) return {};
    // In key order each page of the table is touched once.
    std::sort(patients.begin(), patients.end());
    return database.run_on_rows(
        "INSERT OR FAIL INTO audit_patient(patient, position) SELECT c0, c1 FROM row_feed",
        TupleSource(patients));
}

Result<std::int64_t> next_audit_number(Database& database) {
    return TRY(database.integer("SELECT number FROM audit ORDER BY position DESC LIMIT 1", -1)) + 1;
}

void ResourceRows::clear() {
    entries_.clear();
    audits_.clear();
    resources_.clear();
}

}  // namespace meridian::store::sqlite

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
    clear();
    return {};
}

void ResourceRows::clear() {
    entries_.clear();
    resources_.clear();
}

}  // namespace meridian::store::sqlite

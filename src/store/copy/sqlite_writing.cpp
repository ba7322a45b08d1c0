// SPDX-License-Identifier: Apache-2.0
#include "store/copy/sqlite_writing.hpp"
#include "store/sqlite/private_rows.hpp"

#include <algorithm>
#include <deque>
#include <tuple>

#include "store/engine/audit_rows.hpp"
#include "store/sqlite/resource_rows.hpp"

namespace meridian::store::copy {

using sqlite::Cell;
using sqlite::Database;
using sqlite::ItemSource;

Result<void> write_log(Database& database, const std::vector<Carried>& batch) {
    const auto put = [](const Carried& carried, int column, Cell& cell) {
        const LogEntry& entry = carried.entry;
        switch (column) {
            case 0:
                return cell.integer(entry.position);
            case 1:
                return cell.integer(entry.at.milliseconds);
            case 2:
                return cell.integer(entry.kind);
            case 3:
                return cell.integer(entry.rid);
            case 4:
                return cell.integer(entry.type);
            case 5:
                return cell.integer(entry.version);
            case 6:
                return cell.put(entry.verb);
            case 7:
                return cell.integer(entry.actor);
            case 8:
                return cell.integer(entry.organisation);
            case 9:
                return cell.blob(bytes_of(entry.salt));
            default:
                return cell.blob(bytes_of(entry.body_hash));
        }
    };
    return database.run_on_rows(
        "INSERT OR FAIL INTO log(position, at, kind, rid, type, version, verb, actor, "
        "organisation, salt, body_hash) "
        "SELECT c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10 FROM row_feed",
        ItemSource(batch, put));
}

Result<void> write_audits(Database& database, const std::vector<Carried>& batch, bool by_patient) {
    std::int64_t number = -1;
    std::deque<std::vector<Rid>> patients;
    std::vector<sqlite::AuditTableRow> rows;
    for (const Carried& carried : batch) {
        if (!carried.entry.is_audit()) continue;
        if (number < 0) number = TRY(sqlite::next_audit_number(database));
        patients.push_back(TRY(parse_rid_list(carried.forward)));
        rows.push_back(
            {carried.entry.position, number++, carried.entry.actor, patients.back(), carried.body});
    }
    return rows.empty() ? Result<void>() : sqlite::insert_audits(database, rows, by_patient);
}

Result<void> write_history(Database& database, std::vector<const Carried*> past) {
    std::sort(past.begin(), past.end(), [](const Carried* left, const Carried* right) {
        return std::tie(left->entry.rid, left->entry.version) <
               std::tie(right->entry.rid, right->entry.version);
    });
    const auto put = [](const Carried* carried, int column, Cell& cell) {
        const LogEntry& entry = carried->entry;
        switch (column) {
            case 0:
                return cell.integer(entry.rid);
            case 1:
                return cell.integer(entry.version);
            case 2:
                return cell.integer(entry.position);
            case 3:
                return cell.integer(entry.at.milliseconds);
            case 4:
                return cell.put(entry.verb);
            default:
                return cell.blob(carried->body);
        }
    };
    return database.run_on_rows(
        "INSERT OR FAIL INTO history(rid, version, position, updated, verb, body) "
        "SELECT c0, c1, c2, c3, c4, c5 FROM row_feed",
        ItemSource(past, put));
}

Result<void> write_resources(Database& database, std::vector<const Carried*> newest) {
    std::sort(newest.begin(), newest.end(), [](const Carried* left, const Carried* right) {
        return left->entry.rid < right->entry.rid;
    });
    const auto put_resource = [](const Carried* carried, int column, Cell& cell) {
        const LogEntry& entry = carried->entry;
        switch (column) {
            case 0:
                return cell.integer(entry.rid);
            case 1:
                return cell.integer(entry.type);
            case 2:
                return cell.text(entry.id);
            case 3:
                return cell.integer(entry.version);
            case 4:
                return cell.integer(entry.position);
            case 5:
                return cell.integer(entry.at.milliseconds);
            case 6:
                return cell.put(entry.verb);
            case 7:
                return cell.integer(carried->home);
            case 8:
                return cell.integer(entry.organisation);
            default:
                return cell.blob(carried->body);
        }
    };
    return database.run_on_rows(
        "INSERT OR FAIL INTO resource(rid, type, id, version, position, updated, verb, patient, "
        "organisation, sensitivity, body) "
        "SELECT c0, c1, c2, c3, c4, c5, c6, c7, c8, 0, c9 FROM row_feed",
        ItemSource(newest, put_resource));
}

Result<void> write_names(Database& database, const std::vector<KnownName>& names) {
    const auto put = [](const KnownName& name, int column, Cell& cell) {
        column == 0   ? cell.put(name.kind)
        : column == 1 ? cell.integer(name.id)
                      : cell.text(name.text);
    };
    return database.run_on_rows(
        "INSERT OR IGNORE INTO name(kind, id, text) SELECT c0, c1, c2 FROM row_feed",
        ItemSource(names, put));
}

Result<void> write_identities(Database& database, std::vector<KnownIdentity>& identities) {
    std::sort(identities.begin(), identities.end(), [](const auto& left, const auto& right) {
        return std::tie(left.identity.type, left.identity.id) <
               std::tie(right.identity.type, right.identity.id);
    });
    const auto put = [](const KnownIdentity& known, int column, Cell& cell) {
        column == 0   ? cell.integer(known.identity.type)
        : column == 1 ? cell.text(known.identity.id)
                      : cell.integer(known.rid);
    };
    return database.run_on_rows(
        "INSERT OR IGNORE INTO directory(type, id, rid) SELECT c0, c1, c2 FROM row_feed",
        ItemSource(identities, put));
}

Result<void> write_belongings(Database& database, const Belongings& belongings, Rid last_rid) {
    TRY(
        database.execute("DELETE FROM setting WHERE key GLOB 'server/*'; "
                         "DELETE FROM cursor; DELETE FROM type_count; DELETE FROM private_row;"));
    for (const auto& [key, value] : belongings.settings) {
        auto insert = TRY(database.prepare("INSERT INTO setting(key, value) VALUES(?, ?)"));
        TRY(insert.bind_text(1, key).bind_blob(2, value).run());
    }
    for (const auto& [view, next] : belongings.cursors)
        TRY(database.run("INSERT INTO cursor(view, next) VALUES(?, ?)", view, next));
    for (const TypeCount& count : belongings.counts)
        TRY(database.run("INSERT INTO type_count(type, resources) VALUES(?, ?)", count.type,
                         count.resources));
    for (const PrivateRow& row : belongings.private_rows)
        TRY(sqlite::put_private_row(database, row));
    return write_setting(database, "rid_last", last_rid);
}

Result<void> write_token_key(Database& database, std::string_view key) {
    auto keep = TRY(database.prepare("UPDATE setting SET value = ? WHERE key = 'token_key'"));
    return keep.bind_blob(1, key).run();
}

Result<void> write_setting(Database& database, std::string_view key, std::int64_t value) {
    return database.run("INSERT OR REPLACE INTO setting(key, value) VALUES(?, ?)", key, value);
}

}  // namespace meridian::store::copy

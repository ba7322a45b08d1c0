// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstring>
#include <string_view>

#include "store/postgres/connection.hpp"
#include "store/store.hpp"

namespace meridian::store::postgres {

/// What read_log_entry reads, in its order: columns of `log`, all of whose names are its own.
#define MERIDIAN_LOG_COLUMNS \
    "position, at, kind, rid, type, id, version, verb, actor, organisation, salt, body_hash"

/// The same of `log l`.
#define MERIDIAN_LOG_COLUMNS_OF_AUDIT                                                             \
    "l.position, l.at, l.kind, l.rid, l.type, l.id, l.version, l.verb, l.actor, l.organisation, " \
    "l.salt, l.body_hash"

/// The entry in a row that begins with MERIDIAN_LOG_COLUMNS.
inline LogEntry read_log_entry(const Answer& rows, int row) {
    LogEntry entry;
    entry.position = rows.integer(row, 0);
    entry.at.milliseconds = rows.integer(row, 1);
    entry.kind = static_cast<unsigned>(rows.integer(row, 2));
    entry.rid = rows.integer(row, 3);
    entry.type = static_cast<Name>(rows.integer(row, 4));
    entry.id = rows.bytes(row, 5);
    entry.version = rows.integer(row, 6);
    entry.verb = static_cast<Verb>(rows.integer(row, 7));
    entry.actor = static_cast<Name>(rows.integer(row, 8));
    entry.organisation = static_cast<Name>(rows.integer(row, 9));
    const std::string_view salt = rows.bytes(row, 10);
    std::memcpy(entry.salt.data(), salt.data(), std::min(salt.size(), entry.salt.size()));
    const std::string_view hash = rows.bytes(row, 11);
    std::memcpy(entry.body_hash.data(), hash.data(), std::min(hash.size(), entry.body_hash.size()));
    return entry;
}

}  // namespace meridian::store::postgres

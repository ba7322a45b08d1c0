// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstring>
#include <string_view>

#include "store/sqlite/database.hpp"
#include "store/store.hpp"

namespace meridian::store::sqlite {

/// What read_log_entry reads, in its order, of `log l LEFT JOIN resource r ON r.rid = l.rid`.
#define MERIDIAN_LOG_COLUMNS_OF_JOIN                                                              \
    "l.position, l.at, l.kind, l.rid, l.type, r.id, l.version, l.verb, l.actor, l.organisation, " \
    "l.salt, l.body_hash"

/// The same of `log l` of an audit entry, which is of no resource.
#define MERIDIAN_LOG_COLUMNS_OF_AUDIT                                                           \
    "l.position, l.at, l.kind, l.rid, l.type, '', l.version, l.verb, l.actor, l.organisation, " \
    "l.salt, l.body_hash"

/// The entry in a row that begins with MERIDIAN_LOG_COLUMNS_OF_JOIN.
inline LogEntry read_log_entry(const Statement& row) {
    LogEntry entry;
    entry.position = row.integer(0);
    entry.at.milliseconds = row.integer(1);
    entry.kind = static_cast<unsigned>(row.integer(2));
    entry.rid = row.integer(3);
    entry.type = static_cast<Name>(row.integer(4));
    entry.id = row.text(5);
    entry.version = row.integer(6);
    entry.verb = static_cast<Verb>(row.integer(7));
    entry.actor = static_cast<Name>(row.integer(8));
    entry.organisation = static_cast<Name>(row.integer(9));
    const std::string_view salt = row.blob(10);
    std::memcpy(entry.salt.data(), salt.data(), std::min(salt.size(), entry.salt.size()));
    const std::string_view hash = row.blob(11);
    std::memcpy(entry.body_hash.data(), hash.data(), std::min(hash.size(), entry.body_hash.size()));
    return entry;
}

}  // namespace meridian::store::sqlite

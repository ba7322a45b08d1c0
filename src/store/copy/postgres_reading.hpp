// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "store/copy/sides.hpp"
#include "store/postgres/connection.hpp"

/// What a migration and a backup read of a store in PostgreSQL. Errors of all: as Connection.
namespace meridian::store::copy {

/// Entries of [from, below) in order, at most `count`, without bodies: at least the first, and as
/// many as fit with theirs into limits::migrate_batch_bytes. `home` is where each was written.
Result<std::vector<Carried>> read_log(postgres::Connection& connection, Position from,
                                      Position below, std::size_t count);
/// Adds what the audit entries among them say. Errors: `fault` for one that is not there.
Result<void> read_audits(postgres::Connection& connection, std::vector<Carried>& batch);
/// Gives those whose version is in `table` (resource, history) its body. The others.
Result<std::vector<Carried*>> read_bodies(postgres::Connection& connection, std::string_view table,
                                          const std::vector<Carried*>& wanted);

Result<std::vector<KnownName>> read_names(postgres::Connection& connection);
/// Not below any rid that was given so far.
Result<Rid> read_last_rid(postgres::Connection& connection);
/// Gives `take` all identities as they stand in the directory, part by part: long ones are cut.
Result<void> read_identities(postgres::Connection& connection,
                             const std::function<Result<void>(std::vector<KnownIdentity>)>& take);
Result<Belongings> read_belongings(postgres::Connection& connection);

}  // namespace meridian::store::copy

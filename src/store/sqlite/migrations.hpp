// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <span>

#include "base/result.hpp"
#include "store/sqlite/database.hpp"

namespace meridian::store::sqlite {

/// One step forward: from schema version `from` to `from + 1`. Runs inside a transaction together
/// with the new version number.
struct Migration {
    int from;
    std::function<Result<void>(Database&)> run;
};

/// The steps from the oldest version that this program still opens to schema_version.
std::span<const Migration> migrations();

/// Makes the schema in an empty database; brings an older one to `target` by `steps`. A stop in
/// between leaves the last completed version, and the next start goes on from there. Errors:
/// `unsupported` for a newer schema, or an older one without a step; `fault` for a database that is
/// none of ours.
Result<void> prepare_schema(Database& database, int target, std::span<const Migration> steps);

/// Like prepare_schema for a store that is only read. Errors: `unsupported` when its version is not
/// schema_version.
Result<void> require_schema(Database& database);

/// A store that is being moved into this database is none before all of it is here. Errors:
/// `conflict` then, at folder_option.
Result<void> refuse_unfinished(Database& database);

}  // namespace meridian::store::sqlite

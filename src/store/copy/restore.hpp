// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "store/copy/migrate.hpp"
#include "store/maintain.hpp"

namespace meridian::store::copy {

struct RestoreOptions {
    /// Called with the folder in which the record is a store again, before it is moved: for index
    /// rows that only the rooms above can make.
    std::function<Result<void>(const std::string& folder)> complete{};
    CheckProgress progress{};
};

/// Makes a store in the database `to` out of a backup of either engine, and keeps its blobs in the
/// folder there: it is restored into a new folder below that one, moved, compared by the hashes of
/// both logs, and the folder is removed again, however it ends. The database may be empty, or hold
/// an empty store, whose layout stays. The log's hash and its last position.
///
/// Whether the database and the folder can take it is looked at first. Errors: `conflict` when one
/// of them holds something, at database_option or folder_option, with nothing changed; `not_found`
/// without a backup; `unavailable` when somebody uses the folder; as store::restore and migrate.
/// What fails or is stopped while it is moved leaves a database that nobody can open, and that has
/// to be made anew. Blocking: long.
Result<LogSum> restore(const std::string& backup, const Place& to, const BodyReader& reader,
                       const RestoreOptions& options = {});

}  // namespace meridian::store::copy

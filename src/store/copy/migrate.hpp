// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/limits.hpp"
#include "store/maintain.hpp"

namespace meridian::store::copy {

/// Where a store lies.
struct Place {
    std::string folder;
    std::string database{};  ///< postgres://…; empty: in the folder
};

struct MigrateOptions {
    /// Log entries of one transaction; what the bodies in them weigh bounds it too.
    std::size_t batch_entries = limits::migrate_batch_entries;
    CheckProgress progress{};
};

struct MigrateReport {
    bool is_finished = false;   ///< otherwise the source was in use; what it had is copied
    Position position = -1;     ///< of the last entry that is there
    LogSum source{}, target{};  ///< equal; only when finished
    std::int64_t packs_bytes = 0;
};

/// Moves the store in `from` to `to`, which is on the other engine: rids, versions, positions,
/// times, salts, hashes, names with their ids, settings, cursors and blobs stay what they are, and
/// index rows with them. The source may be served meanwhile: all that is committed is copied, then
/// what came since, until little is left; called again when nobody writes any more, the rest is
/// copied, the hashes of both logs are compared, and the target may be used. Until then nobody can
/// open it. After a stop, whatever the cause, the same call goes on behind the last batch.
///
/// Errors: `conflict` when the target holds something else; `incorrect` for two stores on one
/// engine; `not_found` without a source; `fault` when the logs differ in the end; as both engines.
/// Blocking: long; reads everything.
Result<MigrateReport> migrate(const Place& from, const Place& to, const BodyReader& reader,
                              const MigrateOptions& options = {});

}  // namespace meridian::store::copy

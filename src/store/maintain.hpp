// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/hash.hpp"
#include "base/limits.hpp"
#include "base/result.hpp"
#include "store/store.hpp"

/// Verification, backup and restore of a store's folder.
namespace meridian::store {

/// What the store itself cannot know about bodies; given by the rooms above.
struct BodyReader {
    /// Plain stored JSON's SHA-256 as it stands in the log; `gone` for a body whose key was
    /// destroyed. Leave empty when bodies are encrypted and no key is at hand.
    std::function<Result<Sha256>(const Stored&)> hash{};
    /// The rows that a body contributes today. `names` interns for a restore and finds only for a
    /// check.
    std::function<Result<Rows>(const Stored&, Names& names)> rows{};
};

struct CheckReport {
    std::int64_t resources = 0, versions = 0, log_entries = 0, index_rows = 0, blobs = 0,
                 blob_bytes = 0;
    std::int64_t problems = 0;
    std::string first_problem{};  ///< names the first bad record; empty when all is well
    bool clean() const { return problems == 0; }
};

/// Told now and then by what takes long; a total of 0 is unknown.
using CheckProgress =
    std::function<void(std::string_view part, std::int64_t done, std::int64_t total)>;

struct CheckOptions {
    bool deep = true;  ///< every page of the database (integrity_check), not only its structure;
                       ///< PostgreSQL looks at its pages itself
    std::string database{};  ///< postgres://… when the record does not lie in the folder
    CheckProgress progress{};
};

/// Verifies the store in `folder`, or in `options.database` with its blobs there, also while
/// servers write to it: the database's own structure; the log without gaps, its hashes against the
/// bodies; the chain of versions of each resource; the directory; index rows against forward rows,
/// both ways, and against the bodies when `reader.rows` is given; blobs against their hashes. Goes
/// on after a problem, up to limits::check_problems_max of them. Changes nothing. Errors:
/// `not_found`, `unavailable`, `fault` when the file cannot be read at all; `conflict` for a store
/// that is being moved here and not complete. Blocking: long; reads everything.
Result<CheckReport> check(const std::string& folder, const BodyReader& reader,
                          const CheckOptions& options = {});

/// What two stores that hold the same record agree in, whatever their engines.
struct LogSum {
    Position position = -1;  ///< of the last entry in it
    Sha256 hash{};
};

/// The hash of the log up to a position (all of it when none is given): store/engine/log_hash.hpp
/// tells of what. Errors: `incorrect` when the log is shorter; as the store. Blocking: reads the
/// log.
Result<LogSum> log_sum(Store& store, std::optional<Position> up_to = {},
                       const CheckProgress& progress = {});

struct BackupOptions {
    std::string database{};  ///< postgres://… when the record does not lie in the folder
    /// Log entries that are read from a database at a time; what the bodies in them weigh bounds it
    /// too.
    std::size_t batch_entries = limits::migrate_batch_entries;
    CheckProgress progress{};
};

/// Copies the store in the folder `from`, or in `options.database` with its blobs there, as of one
/// position of its log into the new folder `to`, without index rows: log, versions, dictionaries,
/// settings, blobs. The form is the same for both engines. Servers go on writing meanwhile. The
/// position. What fails or is stopped on the way leaves nothing that restore takes for a backup.
///
/// From PostgreSQL each part is read in a statement of its own, so that the database is not kept
/// from cleaning up; memory is that of two batches and of the names. Errors: `conflict` when `to`
/// exists and is not empty, and for a store that is being moved here; `not_found` without a store;
/// `unsupported` for an older one in a folder; `storage_full`; `unavailable`. Blocking: long; reads
/// the record.
Result<Position> backup(const std::string& from, const std::string& to,
                        const BackupOptions& options = {});

/// Makes the store `folder` out of a backup; index rows are made again by reader.rows, which is
/// required. Errors: `conflict` when `folder` holds a store; `not_found` when there is no backup;
/// whatever reader.rows answers.
Result<Position> restore(
    const std::string& backup, const std::string& folder, const BodyReader& reader,
    const std::function<void(std::int64_t done, std::int64_t total)>& progress = {});

}  // namespace meridian::store

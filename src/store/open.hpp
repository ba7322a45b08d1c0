// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "store/faults.hpp"
#include "store/store.hpp"

namespace meridian::store {

/// Where the errors of a database that cannot be opened say that the fault lies.
inline constexpr const char* database_option = "--store";
/// The same for a folder that may not be used yet.
inline constexpr const char* folder_option = "--data";
inline constexpr const char* replica_option = "--replica";

struct OpenOptions {
    std::string folder;  ///< holds record.db, blobs/ and the lock file
    /// postgres://… when the record lies in a PostgreSQL database; the folder keeps the blobs then.
    std::string database{};
    /// Read-only copies of that database which the database itself keeps up to date.
    std::vector<std::string> replicas{};
    bool create = true;      ///< make the folder and an empty store when there is none
    bool read_only = false;  ///< beside a server that writes; commit answers `unavailable`
    bool bulk = false;       ///< for loads: longer write-ahead log, fewer checkpoints
    std::int64_t cache_bytes = 512LL << 20;  ///< page cache of the writer, filled as needed
    std::int64_t reader_cache_bytes =
        8LL << 20;  ///< page cache of each reading connection, filled as needed
    std::int64_t mapped_bytes = 1LL << 30;  ///< readers see the database through a memory map, of
                                            ///< which so much may stay in the process; 0 = no map
    /// Opens also a store that is being moved here and not complete: for who moves it, with
    /// `read_only`.
    bool unfinished = false;
    /// Called once, on any thread, when the database turns out to lack what this process has seen
    /// there, as after a failover to a standby that lacked it. From then on the store answers
    /// `unavailable`; it is to be opened anew, by a new process. Must not block.
    std::function<void()> on_history_lost{};
    /// Rows by which a patient's audit entries are found in a folder: so many gather before they go
    /// to their table, in the order of its key. Twelve bytes each.
    std::size_t audit_index_batch = 32'768;
    std::shared_ptr<FileFaults> faults{};  ///< tests only
};

/// Opens the store in a folder or a database, or makes one. An older schema is migrated forward
/// first.
///
/// Errors: `unavailable` when another process has it open for writing or the disk fails;
/// `not_found` when there is no store and `create` is false; `unsupported` for a schema newer than
/// this program; `fault` for a damaged file; `conflict` for a store that is being moved here and
/// not complete. Blocking: file I/O; after a crash as long as the recovery of the write-ahead log
/// takes. What is wrong with a database or a replica says so at `database_option` or
/// `replica_option`, whatever its category. The store must outlive its snapshots. Destroying it
/// waits for all queued commits.
Result<std::unique_ptr<Store>> open(OpenOptions options);

/// How the tables of a new store lie in its database: by default each is one.
struct DatabaseLayout {
    int partitions = 0;    ///< so many hash partitions by home patient; 0 = none
    int citus_shards = 0;  ///< so many shards on the workers of a Citus cluster; 0 = none
};
/// Makes an empty store in a PostgreSQL database. What was made, in words. Errors, each at
/// `database_option`: `conflict` when the database holds a store or anything else; `unsupported`
/// when it is no Citus cluster and shards are asked for; those of a database that cannot be
/// reached. Blocking: some statements, seconds on a cluster.
Result<std::string> make_in_database(const std::string& url, const DatabaseLayout& layout);

}  // namespace meridian::store

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "store/maintain.hpp"
#include "store/sqlite/database.hpp"

namespace meridian::store::sqlite {

/// Where a backup lies in its folder; the name is there when the backup is complete.
std::string backup_path(const std::string& folder);

/// A backup that comes to be in a folder of its own: `backup.db`, with the record's tables and no
/// index rows, and the packs of its blobs. Until finish nothing there has the name that restore
/// looks for; what is not finished when this object dies is removed again.
class BackupFolder {
 public:
    /// Makes the folder. Errors: `conflict` when there is something in it; `unavailable`.
    static Result<std::unique_ptr<BackupFolder>> make(const std::string& folder);
    ~BackupFolder();
    BackupFolder(const BackupFolder&) = delete;
    BackupFolder& operator=(const BackupFolder&) = delete;

    /// The database to be filled, without a table yet. It keeps no journal: after an error, or a
    /// stop, it is of no use. It must be closed before finish. Errors: as Database.
    Result<std::unique_ptr<Database>> open_database() const;
    /// Copies the start of each pack in `blobs`, makes all durable and gives it its name. The packs
    /// must have been asked for after the last version was read: a blob is stored before a version
    /// names it. Errors: `unavailable`, `storage_full`; `fault` for a pack that ends before.
    Result<void> finish(const std::string& blobs, const std::map<std::int64_t, std::int64_t>& packs,
                        const CheckProgress& progress);

 private:
    explicit BackupFolder(std::string folder) : folder_(std::move(folder)) {}
    std::string partial_path() const;

    std::string folder_;
    bool is_finished_ = false;
};

/// Backs up the store in the folder `from` into the new folder `to`, in one read transaction.
/// Errors and blocking: as store::backup.
Result<Position> backup(const std::string& from, const std::string& to,
                        const CheckProgress& progress);

}  // namespace meridian::store::sqlite

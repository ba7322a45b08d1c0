// SPDX-License-Identifier: Apache-2.0
#include "store/maintain.hpp"

#include "store/copy/backup.hpp"
#include "store/postgres/check.hpp"
#include "store/sqlite/backup.hpp"
#include "store/sqlite/check.hpp"

namespace meridian::store {

Result<CheckReport> check(const std::string& folder, const BodyReader& reader,
                          const CheckOptions& options) {
    if (!options.database.empty()) return postgres::check(folder, reader, options);
    return sqlite::check(folder, reader, options);
}

Result<Position> backup(const std::string& from, const std::string& to,
                        const BackupOptions& options) {
    if (options.database.empty()) return sqlite::backup(from, to, options.progress);
    return copy::backup(from, to, options);
}

}  // namespace meridian::store

// SPDX-License-Identifier: Apache-2.0
#include "store/open.hpp"

#include "store/postgres/postgres_store.hpp"
#include "store/sqlite/sqlite_store.hpp"

namespace meridian::store {

Result<std::unique_ptr<Store>> open(OpenOptions options) {
    if (!options.database.empty()) return postgres::PostgresStore::open(std::move(options));
    return sqlite::SqliteStore::open(std::move(options));
}

}  // namespace meridian::store

// SPDX-License-Identifier: Apache-2.0
#include "store/open.hpp"

#include "store/postgres/migrations.hpp"
#include "store/postgres/postgres_store.hpp"
#include "store/sqlite/sqlite_store.hpp"

namespace meridian::store {

Result<std::unique_ptr<Store>> open(OpenOptions options) {
    if (!options.database.empty()) return postgres::PostgresStore::open(std::move(options));
    return sqlite::SqliteStore::open(std::move(options));
}

Result<std::string> make_in_database(const std::string& url, const DatabaseLayout& wanted) {
    postgres::Layout layout;
    if (wanted.citus_shards > 0) {
        layout = {postgres::Layout::Kind::distributed, wanted.citus_shards};
    } else if (wanted.partitions > 0) {
        layout = {postgres::Layout::Kind::partitioned, wanted.partitions};
    }
    const auto made = [&]() -> Result<void> {
        const auto connection = TRY(postgres::Connection::open(
            {.url = url, .application_name = "meridian init", .writes = true}));
        return postgres::make_store(*connection, layout);
    }();
    if (made) return layout.text();
    Error error = made.error();
    error.where = database_option;
    return std::unexpected(std::move(error));
}

}  // namespace meridian::store

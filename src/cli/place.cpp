// SPDX-License-Identifier: Apache-2.0
#include "cli/place.hpp"

#include <CLI/CLI.hpp>

#include "base/limits.hpp"
#include "fhir/body_reader.hpp"
#include "fhir/repository.hpp"
#include "store/open.hpp"
#include "trust/keys/key_backup.hpp"

namespace meridian::cli {

CLI::Option* add_place(CLI::App& command, std::string& folder, std::string& database,
                       const std::string& about_folder) {
    CLI::Option* data = command.add_option("--data", folder, about_folder);
    command
        .add_option("--store", database,
                    "postgres://USER@HOST:PORT/DATABASE when the record lies in PostgreSQL; the "
                    "folder keeps the blobs then (the password: PGPASSWORD or ~/.pgpass)")
        ->needs(data);
    return data;
}

Result<store::BodyReader> reader_for(const std::string& folder, const std::string& database) {
    // The cipher keeps the store: it looks keys up as bodies need them.
    const std::shared_ptr<store::Store> store = TRY(
        store::open({.folder = folder, .database = database, .create = false, .read_only = true}));
    auto base_url = TRY(store->setting(fhir::base_url_setting)).value_or("");
    const auto cipher = TRY(trust::cipher_of(store, folder));
    return fhir::body_reader(cipher, std::move(base_url), 0,
                             TRY(fhir::own_search_parameters(*store, *cipher)));
}

void add_replicas(CLI::App& command, std::vector<std::string>& replicas) {
    command.add_option("--replica", replicas,
                       "postgres://USER@HOST:PORT/DATABASE, a read-only copy of the database of "
                       "--store: reads that may be stale (Cache-Control: max-stale=SECONDS) are "
                       "answered from it; may be given several times");
}

Result<void> check_replicas(const std::vector<std::string>& replicas, const std::string& database) {
    if (replicas.empty()) return {};
    if (database.empty())
        return fail(Category::incorrect, "there is no database to replicate: give --store too",
                    store::replica_option);
    if (replicas.size() > limits::database_replicas_max)
        return fail(Category::incorrect,
                    fmt::format("at most {} replicas are used, not {}",
                                limits::database_replicas_max, replicas.size()),
                    store::replica_option);
    return {};
}

}  // namespace meridian::cli

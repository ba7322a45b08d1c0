// SPDX-License-Identifier: Apache-2.0
#include "cli/place.hpp"

#include <CLI/CLI.hpp>

#include "fhir/body_reader.hpp"
#include "fhir/repository.hpp"
#include "store/open.hpp"

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
    const auto store = TRY(
        store::open({.folder = folder, .database = database, .create = false, .read_only = true}));
    auto base_url = TRY(store->setting(fhir::base_url_setting)).value_or("");
    const auto cipher = fhir::plain_cipher();
    return fhir::body_reader(cipher, std::move(base_url), 0,
                             TRY(fhir::own_search_parameters(*store, *cipher)));
}

}  // namespace meridian::cli

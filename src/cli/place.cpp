// SPDX-License-Identifier: Apache-2.0
#include "cli/place.hpp"

#include <CLI/CLI.hpp>

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

}  // namespace meridian::cli

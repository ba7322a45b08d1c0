// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "store/maintain.hpp"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace meridian::cli {

/// Adds `--data` and `--store`, which say where a record lies: in a folder, or in a PostgreSQL
/// database beside a folder that keeps the blobs. The option `--data`.
CLI::Option* add_place(CLI::App& command, std::string& folder, std::string& database,
                       const std::string& about_folder = "folder of the store");

/// What the bodies of the store there say: with the public base that it was served under and its
/// own search parameters. Errors: as store::open.
Result<store::BodyReader> reader_for(const std::string& folder, const std::string& database);

/// Adds `--replica`, which may be given several times, to a command that has `--store`.
void add_replicas(CLI::App& command, std::vector<std::string>& replicas);
/// Errors: `incorrect` at store::replica_option for replicas of no database, and for too many.
Result<void> check_replicas(const std::vector<std::string>& replicas, const std::string& database);

}  // namespace meridian::cli

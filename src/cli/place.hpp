// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace meridian::cli {

/// Adds `--data` and `--store`, which say where a record lies: in a folder, or in a PostgreSQL
/// database beside a folder that keeps the blobs. The option `--data`.
CLI::Option* add_place(CLI::App& command, std::string& folder, std::string& database,
                       const std::string& about_folder = "folder of the store");

}  // namespace meridian::cli

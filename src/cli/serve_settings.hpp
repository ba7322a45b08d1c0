// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.hpp"
#include "server/application.hpp"

namespace CLI {
class App;
}

namespace meridian::cli {

/// Takes the settings of a configuration file that the command line does not give. Errors: as
/// Config::read_file.
Result<void> read_settings(const CLI::App& command, const std::string& file, std::string& listen,
                           server::ApplicationOptions& options);
/// Adds the options that say how clients reach the server.
void add_reach(CLI::App& command, std::string& listen, server::ApplicationOptions& options);

}  // namespace meridian::cli

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"

namespace CLI {
class App;
}

/// The sub-commands of `meridian`: each adds itself to the command line and sets what is to run.
/// One .cpp per command.
namespace meridian::cli {

/// What a chosen sub-command does; returns the exit code.
using Action = std::function<Result<int>()>;

void add_serve(CLI::App& app, Action& action);
void add_import(CLI::App& app, Action& action);
void add_export(CLI::App& app, Action& action);
void add_generate(CLI::App& app, Action& action);
void add_fhirpath(CLI::App& app, Action& action);
void add_validate(CLI::App& app, Action& action);
void add_check(CLI::App& app, Action& action);
void add_audit(CLI::App& app, Action& action);
void add_backup(CLI::App& app, Action& action);
void add_restore(CLI::App& app, Action& action);
void add_reindex(CLI::App& app, Action& action);
void add_store(CLI::App& app, Action& action);
void add_migrate(CLI::App& app, Action& action);
void add_doctor(CLI::App& app, Action& action);
void add_bench(CLI::App& app, Action& action);
void add_keys(CLI::App& app, Action& action);
void add_erase(CLI::App& app, Action& action);
void add_account(CLI::App& app, Action& action);
void add_client(CLI::App& app, Action& action);
void add_provider(CLI::App& app, Action& action);
void add_token(CLI::App& app, Action& action);
void add_project(CLI::App& app, Action& action);
void add_version(CLI::App& app, Action& action);

}  // namespace meridian::cli

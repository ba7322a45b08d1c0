// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <cstdio>

#include "cli/commands.hpp"
#include "cli/exit_code.hpp"

int main(int argc, char** argv) {
    using namespace meridian;
    CLI::App app(
        "Meridian: one record for doctors, patients, hospitals, pharmacies, researchers and "
        "insurers",
        "meridian");
    app.require_subcommand(1);
    app.failure_message(CLI::FailureMessage::help);
    cli::Action action;
    for (const auto add : {cli::add_serve, cli::add_import, cli::add_export, cli::add_generate,
                           cli::add_fhirpath, cli::add_validate, cli::add_check, cli::add_backup,
                           cli::add_restore, cli::add_reindex, cli::add_version}) {
        add(app, action);
    }
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? cli::done : cli::usage;
    }
    const Result<int> result = action();
    if (result) return *result;
    const Error& error = result.error();
    std::fprintf(stderr, "meridian: %s%s\n",
                 error.where.empty() ? "" : (error.where + ": ").c_str(), error.message.c_str());
    return cli::exit_code_of(error.category);
}

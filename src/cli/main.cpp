// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "cli/commands.hpp"
#include "cli/exit_code.hpp"
#include "store/open.hpp"

namespace {

/// What is wrong with the command line, in one sentence that says where to read more.
std::string usage_sentence(const CLI::App* app, const CLI::Error& error) {
    std::string command = app->get_name();
    for (auto chosen = app->get_subcommands(); !chosen.empty();
         chosen = chosen.front()->get_subcommands())
        command += " " + chosen.front()->get_name();
    return fmt::format("meridian: {} (`{} --help` shows what it takes)\n", error.what(), command);
}

/// True, with a sentence, when the first word is no command.
bool is_unknown_command(const CLI::App& app, int argc, char** argv) {
    if (argc < 2 || *argv[1] == '-') return false;
    std::string known;
    for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
        if (command->get_name() == argv[1]) return false;
        known += (known.empty() ? "" : ", ") + command->get_name();
    }
    std::fprintf(stderr, "meridian: there is no command \"%.80s\"; there are: %s\n", argv[1],
                 known.c_str());
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    using namespace meridian;
    // Whatever a command writes (a record, its keys, an export) is for its user alone.
    ::umask(S_IRWXG | S_IRWXO);
    CLI::App app(
        "Meridian: one record for doctors, patients, hospitals, pharmacies, researchers and "
        "insurers",
        "meridian");
    app.require_subcommand(1);
    app.failure_message(usage_sentence);
    cli::Action action;
    for (const auto add :
         {cli::add_serve,    cli::add_import,   cli::add_export,  cli::add_generate,
          cli::add_fhirpath, cli::add_validate, cli::add_check,   cli::add_audit,
          cli::add_backup,   cli::add_restore,  cli::add_reindex, cli::add_migrate,
          cli::add_store,    cli::add_account,  cli::add_token,   cli::add_client,
          cli::add_keys,     cli::add_erase,    cli::add_doctor,  cli::add_project,
          cli::add_provider, cli::add_bench,    cli::add_version}) {
        add(app, action);
    }
    if (argc == 1) std::fputs(app.help().c_str(), stderr);
    if (is_unknown_command(app, argc, argv)) return cli::usage;
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
    // A store that cannot be used is a wrong option, whatever is wrong with it.
    const bool is_misplaced = error.where == store::database_option ||
                              error.where == store::replica_option ||
                              error.where == store::folder_option;
    return is_misplaced ? cli::usage : cli::exit_code_of(error.category);
}

// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <filesystem>

#include "cli/commands.hpp"
#include "cli/exit_code.hpp"

namespace meridian::cli {

namespace {

namespace fs = std::filesystem;

/// The program that measures: it is built beside this one and is no part of the package.
Result<std::string> measuring_program() {
    std::error_code error;
    const fs::path own = fs::read_symlink("/proc/self/exe", error);
    for (const char* place : {"bench/meridian_bench", "meridian_bench"}) {
        const fs::path program = own.parent_path() / place;
        if (!error && access(program.c_str(), X_OK) == 0) return program.string();
    }
    return fail(Category::unavailable,
                "the measuring program is not beside this one: run ./dev bench in the source tree");
}

}  // namespace

void add_bench(CLI::App& app, Action& action) {
    CLI::App* command = app.add_subcommand(
        "bench",
        "measure: [NAME…] [--full] [--json] [--folder DIR]; the names: import transaction read "
        "crud search export");
    command->prefix_command();
    command->callback([command, &action] {
        action = [command]() -> Result<int> {
            std::vector<std::string> words{TRY(measuring_program())};
            for (std::string& word : command->remaining()) words.push_back(std::move(word));
            std::vector<char*> arguments;
            for (std::string& word : words) arguments.push_back(word.data());
            arguments.push_back(nullptr);
            execv(arguments.front(), arguments.data());
            return fail(Category::unavailable,
                        fmt::format("cannot be started: {}", std::strerror(errno)), words.front());
        };
    });
}

}  // namespace meridian::cli

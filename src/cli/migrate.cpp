// SPDX-License-Identifier: Apache-2.0
// Moves a store from one engine to the other.
#include "store/copy/migrate.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>

#include "cli/commands.hpp"
#include "cli/exit_code.hpp"
#include "cli/place.hpp"
#include "cli/progress.hpp"

namespace meridian::cli {

namespace {

struct Arguments {
    std::string from, to, data;
};

constexpr std::string_view folder_scheme = "sqlite:";

/// Reads `sqlite:DIR` or `postgres://…`; the latter keeps its blobs in `data`. Nothing when it is
/// neither.
std::optional<store::copy::Place> read_place(const std::string& text, const std::string& data) {
    if (text.starts_with(folder_scheme) && text.size() > folder_scheme.size())
        return store::copy::Place{.folder = text.substr(folder_scheme.size())};
    if (text.starts_with("postgres://") || text.starts_with("postgresql://"))
        return store::copy::Place{.folder = data, .database = text};
    return std::nullopt;
}

void print(const store::copy::MigrateReport& report) {
    if (!report.is_finished) {
        std::printf(
            "copied up to position %lld; the source is in use: stop its server and run "
            "the same command again to finish\n",
            static_cast<long long>(report.position));
        return;
    }
    std::printf("log hash of the source %s\nlog hash of the target %s\n",
                to_hex(report.source.hash).c_str(), to_hex(report.target.hash).c_str());
    std::printf("moved up to position %lld; the hashes are equal, the target can be served\n",
                static_cast<long long>(report.position));
}

Result<int> run(const Arguments& arguments) {
    const auto from = read_place(arguments.from, arguments.data);
    const auto to = read_place(arguments.to, arguments.data);
    if (!from || !to || from->database.empty() == to->database.empty()) {
        std::fprintf(stderr,
                     "meridian: one of --from and --to is sqlite:FOLDER, the other "
                     "postgres://USER@HOST:PORT/DATABASE; on one engine use its own backup and "
                     "restore\n");
        return usage;
    }
    const store::BodyReader reader = TRY(reader_for(from->folder, from->database));
    Progress progress("records");
    store::copy::MigrateOptions options;
    options.progress = [&](std::string_view part, std::int64_t now, std::int64_t total) {
        progress.show(now, total, now, std::string(part));
    };
    const auto report = TRY(store::copy::migrate(*from, *to, reader, options));
    print(report);
    return report.is_finished ? done : unavailable;
}

}  // namespace

void add_migrate(CLI::App& app, Action& action) {
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command = app.add_subcommand(
        "migrate", "move a store between SQLite and PostgreSQL, also while it is served");
    command->add_option("--from", arguments->from, "sqlite:FOLDER or postgres://USER@HOST/DATABASE")
        ->required();
    command->add_option("--to", arguments->to, "the other of the two, new or half moved")
        ->required();
    command
        ->add_option("--data", arguments->data,
                     "folder beside the PostgreSQL database, which keeps its blobs")
        ->required();
    command->callback([arguments, &action] {
        action = [arguments]() -> Result<int> { return run(*arguments); };
    });
}

}  // namespace meridian::cli

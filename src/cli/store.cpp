// SPDX-License-Identifier: Apache-2.0
// Commands about the store itself: how it lies in its database.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/limits.hpp"
#include "cli/commands.hpp"
#include "cli/exit_code.hpp"
#include "store/open.hpp"

namespace meridian::cli {

namespace {

/// Shards of a Citus cluster when nobody says how many: what Citus itself takes
/// (citus.shard_count).
constexpr int usual_citus_shards = 32;

void add_init(CLI::App& store, Action& action) {
    struct Arguments {
        std::string database;
        int partitions = 0;
        bool citus = false;
        int shards = usual_citus_shards;
    };
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command = store.add_subcommand(
        "init", "make an empty store in a PostgreSQL database, and say how its tables lie there");
    command
        ->add_option("--store", arguments->database,
                     "postgres://USER@HOST:PORT/DATABASE of an empty database")
        ->required();
    CLI::Option* partitions =
        command->add_option("--partitions", arguments->partitions,
                            "split the tables into so many hash partitions by home patient");
    partitions->check(CLI::Range(2, limits::database_shards_max));
    CLI::Option* citus = command->add_flag(
        "--citus", arguments->citus, "lay them on the workers of a Citus cluster, by home patient");
    citus->excludes(partitions);
    command
        ->add_option("--shards", arguments->shards,
                     fmt::format("shards of the Citus cluster (default: {})", usual_citus_shards))
        ->check(CLI::Range(1, limits::database_shards_max))
        ->needs(citus);
    command->callback([arguments, &action] {
        action = [arguments]() -> Result<int> {
            store::DatabaseLayout layout;
            layout.partitions = arguments->partitions;
            if (arguments->citus) layout.citus_shards = arguments->shards;
            const std::string made = TRY(store::make_in_database(arguments->database, layout));
            std::printf("made a store: %s\n", made.c_str());
            return done;
        };
    });
}

}  // namespace

void add_store(CLI::App& app, Action& action) {
    CLI::App* command = app.add_subcommand("store", "make a store in a database");
    command->require_subcommand(1);
    add_init(*command, action);
}

}  // namespace meridian::cli

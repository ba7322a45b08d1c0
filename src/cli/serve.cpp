// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <csignal>
#include <cstdio>

#include "base/config.hpp"
#include "base/log.hpp"
#include "cli/commands.hpp"
#include "cli/exit_code.hpp"
#include "cli/place.hpp"
#include "cli/service_manager.hpp"
#include "server/application.hpp"

namespace meridian::cli {

namespace {

/// Waits for SIGINT or SIGTERM. The signals are blocked in every thread, so that only this wait
/// sees them.
void wait_for_stop(const sigset_t& signals) {
    int signal = 0;
    sigwait(&signals, &signal);
    log::info("stopping", {{"signal", signal}});
}

/// What a configuration file may say: the names of the command line.
constexpr Option settings[] = {
    {"listen", Option::Kind::text, "127.0.0.1:8080", "address and port"},
    {"workers", Option::Kind::integer, "320", "threads that answer requests", 1, 10'000},
    {"cache-mb", Option::Kind::integer, "512", "page cache of the store", 1, 1'000'000},
    {"base-url", Option::Kind::text, "", "public FHIR base, when a proxy stands in front"},
    {"conditional-delete-many", Option::Kind::boolean, "false",
     "DELETE Type?search removes all that match, not only one"},
    {"replica", Option::Kind::list, "", "read-only copies of the database of --store"},
    {"import.sources", Option::Kind::list, "",
     "URL prefixes (http, https, file) that $import may fetch from"},
};

static_assert(server::default_workers == 320, "the settings above name it too");

/// Takes the settings of `file` that the command line does not give. Errors: as Config::read_file.
Result<void> read_settings(const CLI::App& command, const std::string& file, std::string& listen,
                           server::ApplicationOptions& options) {
    Config config(settings);
    TRY(config.read_file(file));
    const auto wanted = [&](const char* name) { return command.count(name) == 0; };
    if (wanted("--listen")) listen = config.text("listen");
    if (wanted("--workers")) options.workers = static_cast<unsigned>(config.integer("workers"));
    if (wanted("--cache-mb")) options.cache_megabytes = config.integer("cache-mb");
    if (wanted("--base-url")) options.base_url = config.text("base-url");
    if (wanted("--conditional-delete-many"))
        options.conditional_delete_many = config.boolean("conditional-delete-many");
    if (wanted("--replica")) options.replicas = config.list("replica");
    if (wanted("--import.sources")) options.import_sources = config.list("import.sources");
    return {};
}

}  // namespace

void add_serve(CLI::App& app, Action& action) {
    struct Arguments {
        server::ApplicationOptions options;
        std::string listen = "127.0.0.1:8080";
        std::string config;
    };
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command = app.add_subcommand("serve", "serve the record over HTTP");
    add_place(*command, arguments->options.data_folder, arguments->options.database,
              "folder of the store; made when it is not there")
        ->required();
    add_replicas(*command, arguments->options.replicas);
    command
        ->add_option("--listen", arguments->listen,
                     "address and port, loopback only until sign-in exists")
        ->capture_default_str();
    command
        ->add_option("--workers", arguments->options.workers,
                     "threads that answer requests; they bound how many writes share one fsync")
        ->capture_default_str();
    command->add_option("--cache-mb", arguments->options.cache_megabytes, "page cache of the store")
        ->capture_default_str();
    command->add_option("--base-url", arguments->options.base_url,
                        "public FHIR base, when a proxy stands in front");
    command->add_flag("--conditional-delete-many", arguments->options.conditional_delete_many,
                      "DELETE Type?search removes all that match, not only one");
    command->add_option("--import.sources", arguments->options.import_sources,
                        "URL prefixes (http, https, file) that $import may fetch from; none unless "
                        "given");
    command->add_option("--config", arguments->config,
                        "file with these settings (TOML: listen = \"127.0.0.1:8080\"); the "
                        "command line comes before it");
    command->callback([arguments, command, &action] {
        action = [arguments, command]() -> Result<int> {
            if (!arguments->config.empty())
                TRY(read_settings(*command, arguments->config, arguments->listen,
                                  arguments->options));
            TRY(check_replicas(arguments->options.replicas, arguments->options.database));
            TRY(server::read_listen_address(arguments->listen, arguments->options));
            sigset_t signals;
            sigemptyset(&signals);
            sigaddset(&signals, SIGINT);
            sigaddset(&signals, SIGTERM);
            pthread_sigmask(SIG_BLOCK, &signals, nullptr);
            std::signal(SIGPIPE, SIG_IGN);
            // A server that remembers what its database has lost stops as it does for a signal.
            std::atomic<bool> is_outdated = false;
            arguments->options.on_history_lost = [&is_outdated] {
                is_outdated = true;
                ::kill(::getpid(), SIGTERM);
            };
            auto application = TRY(server::Application::start(arguments->options));
            std::printf("Meridian serves http://%s:%u (FHIR at /fhir)\n",
                        arguments->options.address.c_str(), application->port());
            std::fflush(stdout);
            tell_service_manager("READY=1");
            wait_for_stop(signals);
            tell_service_manager("STOPPING=1");
            application->stop();
            return is_outdated ? outdated : done;
        };
    });
}

void add_version(CLI::App& app, Action& action) {
    CLI::App* command = app.add_subcommand("version", "print the version");
    command->callback([&action] {
        action = []() -> Result<int> {
            std::printf("meridian %s, FHIR R4 (4.0.1)\n", MERIDIAN_VERSION);
            return done;
        };
    });
}

}  // namespace meridian::cli

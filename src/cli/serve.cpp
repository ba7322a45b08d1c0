// SPDX-License-Identifier: Apache-2.0
#include <sys/prctl.h>
#include <sys/resource.h>
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
#include "cli/serve_settings.hpp"
#include "cli/service_manager.hpp"
#include "server/application.hpp"

namespace meridian::cli {

namespace {

/// Waits for SIGINT or SIGTERM; at SIGHUP certificate and key are read again. The signals are
/// blocked in every thread, so that only this wait sees them.
void wait_for_stop(const sigset_t& signals, server::Application& application) {
    int signal = 0;
    while (sigwait(&signals, &signal) == 0 && signal == SIGHUP) {
        if (const auto reloaded = application.reload_tls(); !reloaded) {
            log::error("the TLS certificate stays as it was: the new files cannot be used",
                       {{"reason", reloaded.error().message}});
        } else {
            log::info("certificate and key were read again");
        }
    }
    log::info("stopping", {{"signal", signal}});
}

/// Lets the process open as many files as it may: each connection is one.
void raise_open_files_limit() {
    constexpr rlim_t wanted = 65'536;
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= wanted) return;
    files.rlim_cur = std::min(files.rlim_max, wanted);
    ::setrlimit(RLIMIT_NOFILE, &files);
}

/// What the server has in memory (keys, records) goes into no file that others may read.
void keep_to_its_user() {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    // A program that takes dumps through a pipe does not ask for the limit (core(5)).
    ::prctl(PR_SET_DUMPABLE, 0);
}

/// What a configuration file may say: the names of the command line.
constexpr Option settings[] = {
    {"listen", Option::Kind::text, "127.0.0.1:8080", "address and port"},
    {"tls-certificate", Option::Kind::text, "", "PEM file: the certificate and its chain"},
    {"tls-key", Option::Kind::text, "", "PEM file: the certificate's key"},
    {"tls-1.2", Option::Kind::boolean, "false", "speak TLS 1.2 beside 1.3"},
    {"behind-proxy", Option::Kind::list, "",
     "addresses and ranges of the proxies in front that speak TLS"},
    {"cors-origin", Option::Kind::list, "",
     "origins whose pages may use the record's interfaces, as https://app.example.org"},
    {"workers", Option::Kind::integer, "320", "threads that answer requests", 1, 10'000},
    {"cache-mb", Option::Kind::integer, "512", "page cache of the store", 1, 1'000'000},
    {"base-url", Option::Kind::text, "", "public FHIR base, when a proxy stands in front"},
    {"conditional-delete-many", Option::Kind::boolean, "false",
     "DELETE Type?search removes all that match, not only one"},
    {"refused-passwords", Option::Kind::text, "",
     "file with passwords that nobody may choose, one a line"},
    {"replica", Option::Kind::list, "", "read-only copies of the database of --store"},
    {"import.sources", Option::Kind::list, "",
     "URL prefixes (http, https, file) that $import may fetch from"},
    {"subscription.endpoints", Option::Kind::list, "",
     "URL prefixes (http, https) that notifications may be posted to"},
    {"second-factor-for-all", Option::Kind::boolean, "false",
     "nobody's session opens anything without a second factor"},
    {"malware-scanner", Option::Kind::text, "", "socket of a ClamAV daemon that sees each file"},
};

static_assert(server::default_workers == 320, "the settings above name it too");

}  // namespace

Result<void> read_settings(const CLI::App& command, const std::string& file, std::string& listen,
                           server::ApplicationOptions& options) {
    Config config(settings);
    TRY(config.read_file(file));
    const auto wanted = [&](const char* name) {
        const CLI::Option* option = command.get_option_no_throw(name);
        return option == nullptr || option->count() == 0;
    };
    if (wanted("--listen")) listen = config.text("listen");
    if (wanted("--tls-certificate")) options.tls_certificate = config.text("tls-certificate");
    if (wanted("--tls-key")) options.tls_key = config.text("tls-key");
    if (wanted("--tls-1.2")) options.tls_1_2 = config.boolean("tls-1.2");
    if (wanted("--behind-proxy")) options.behind_proxy = config.list("behind-proxy");
    if (wanted("--cors-origin")) options.cors_origins = config.list("cors-origin");
    if (wanted("--workers")) options.workers = static_cast<unsigned>(config.integer("workers"));
    if (wanted("--cache-mb")) options.cache_megabytes = config.integer("cache-mb");
    if (wanted("--base-url")) options.base_url = config.text("base-url");
    if (wanted("--conditional-delete-many"))
        options.conditional_delete_many = config.boolean("conditional-delete-many");
    if (wanted("--refused-passwords")) options.refused_passwords = config.text("refused-passwords");
    if (wanted("--replica")) options.replicas = config.list("replica");
    if (wanted("--import.sources")) options.import_sources = config.list("import.sources");
    if (wanted("--subscription.endpoints"))
        options.subscription_endpoints = config.list("subscription.endpoints");
    if (wanted("--second-factor-for-all"))
        options.second_factor_for_all = config.boolean("second-factor-for-all");
    if (wanted("--malware-scanner")) options.malware_scanner = config.text("malware-scanner");
    return {};
}

void add_reach(CLI::App& command, std::string& listen, server::ApplicationOptions& options) {
    command
        .add_option("--listen", listen,
                    "address and port; only loopback without --tls-certificate or --behind-proxy")
        ->capture_default_str();
    command.add_option(
        "--tls-certificate", options.tls_certificate,
        "PEM file: the server's certificate, then those of the authorities above it; "
        "read again at SIGHUP and when it changes");
    command.add_option("--tls-key", options.tls_key,
                       "PEM file: its key, without passphrase; others may not read the file");
    command.add_flag("--tls-1.2", options.tls_1_2, "speak TLS 1.2 beside 1.3");
    command
        .add_option("--behind-proxy", options.behind_proxy,
                    "address or range (10.1.0.0/16) of the proxy in front that speaks TLS; only it "
                    "and this machine are served then, and what it says about its clients "
                    "(X-Forwarded-For, -Proto, -Host, or Forwarded) is believed; several between "
                    "commas")
        ->delimiter(',');
    command
        .add_option("--cors-origin", options.cors_origins,
                    "origin (https://app.example.org) whose pages may use the record's interfaces; "
                    "none unless given; may be given several times")
        ->delimiter(',');
}

void add_serve(CLI::App& app, Action& action) {
    struct Arguments {
        server::ApplicationOptions options;
        std::string listen = "127.0.0.1:8080";
        std::string config;
        bool demo = false;
    };
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command = app.add_subcommand("serve", "serve the record over HTTP");
    add_place(*command, arguments->options.data_folder, arguments->options.database,
              "folder of the store; made when it is not there")
        ->required();
    add_replicas(*command, arguments->options.replicas);
    add_reach(*command, arguments->listen, arguments->options);
    command
        ->add_option("--workers", arguments->options.workers,
                     "threads that answer requests; they bound how many writes share one fsync")
        ->capture_default_str();
    command->add_option("--cache-mb", arguments->options.cache_megabytes, "page cache of the store")
        ->capture_default_str();
    command->add_option("--base-url", arguments->options.base_url,
                        "public FHIR base, when a proxy stands in front");
    command->add_flag("--demo", arguments->demo,
                      "make an account for each role with a password that everybody knows: for "
                      "synthetic regions only");
    command->add_flag("!--unprotected", arguments->options.is_protected,
                      "no sign-in, policy, audit and encryption: loopback only, for tests and "
                      "measurements");
    command->add_flag("--conditional-delete-many", arguments->options.conditional_delete_many,
                      "DELETE Type?search removes all that match, not only one");
    command->add_option("--refused-passwords", arguments->options.refused_passwords,
                        "file with passwords that nobody may choose: one a line, or its SHA-1 as "
                        "in lists of breached passwords");
    command->add_option("--import.sources", arguments->options.import_sources,
                        "URL prefixes (http, https, file) that $import may fetch from; none unless "
                        "given");
    command->add_option("--subscription.endpoints", arguments->options.subscription_endpoints,
                        "URL prefixes (http, https) that notifications may be posted to; none "
                        "unless given");
    command->add_flag("--second-factor-for-all", arguments->options.second_factor_for_all,
                      "everybody sets up a second factor before their session opens anything, not "
                      "the administrators only");
    command->add_option("--malware-scanner", arguments->options.malware_scanner,
                        "Unix socket of a ClamAV daemon (/run/clamav/clamd.ctl) that is shown each "
                        "file before it is written; without one files are not scanned");
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
            sigaddset(&signals, SIGHUP);
            pthread_sigmask(SIG_BLOCK, &signals, nullptr);
            std::signal(SIGPIPE, SIG_IGN);
            raise_open_files_limit();
            if (arguments->options.is_protected) keep_to_its_user();
            // A server that remembers what its database has lost stops as it does for a signal.
            std::atomic<bool> is_outdated = false;
            arguments->options.on_history_lost = [&is_outdated] {
                is_outdated = true;
                ::kill(::getpid(), SIGTERM);
            };
            auto application = TRY(server::Application::start(arguments->options));
            const bool is_v6 = arguments->options.address.find(':') != std::string::npos;
            std::printf("Meridian serves %s://%s%s%s:%u (FHIR at /fhir)\n",
                        arguments->options.tls_certificate.empty() ? "http" : "https",
                        is_v6 ? "[" : "", arguments->options.address.c_str(), is_v6 ? "]" : "",
                        application->port());
            if (arguments->demo) {
                for (const trust::DemoAccount& account : TRY(application->seed_demo()))
                    std::printf("  %-22s %s\n", account.name.c_str(), account.password.c_str());
            }
            if (const std::string setup = application->setup_url();
                !setup.empty() && !arguments->demo)
                std::printf("The first administrator is made, within a day, at %s\n",
                            setup.c_str());
            std::fflush(stdout);
            tell_service_manager("READY=1");
            wait_for_stop(signals, *application);
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

// SPDX-License-Identifier: Apache-2.0
// Looks at the host of a record and says what is to be mended.
#include "server/doctor/doctor.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "base/json.hpp"
#include "cli/commands.hpp"
#include "cli/exit_code.hpp"
#include "cli/place.hpp"
#include "cli/serve_settings.hpp"

namespace meridian::cli {

namespace {

struct Arguments {
    server::DoctorOptions doctor;
    std::string listen = "127.0.0.1:8080";
    std::string config;
    bool as_json = false;
};

/// Exit codes of this command: 0 all is right, 1 something is to be mended, 2 nothing can be said.
constexpr int to_mend = 1;
constexpr int cannot_look = 2;

void print(const std::vector<server::HostFinding>& findings) {
    for (const server::HostFinding& finding : findings)
        std::printf("%-12s %-16s %s\n", std::string(name_of(finding.judgement)).c_str(),
                    finding.about.c_str(), finding.sentence.c_str());
}

void print_json(const std::vector<server::HostFinding>& findings) {
    JsonDocument document;
    Json list = document.array();
    for (const server::HostFinding& finding : findings) {
        Json item = document.object();
        document.set(item, "about", document.string(finding.about));
        document.set(item, "judgement", document.string(name_of(finding.judgement)));
        document.set(item, "sentence", document.string(finding.sentence));
        document.append(list, item);
    }
    Json out = document.object();
    document.set(out, "findings", list);
    std::printf("%s\n", to_text(out).c_str());
}

Result<std::vector<server::HostFinding>> examine(const CLI::App& command, Arguments& arguments) {
    auto& serving = arguments.doctor.serving;
    if (!arguments.config.empty())
        TRY(read_settings(command, arguments.config, arguments.listen, serving));
    TRY(server::read_listen_address(arguments.listen, serving));
    return server::examine_host(arguments.doctor);
}

}  // namespace

void add_doctor(CLI::App& app, Action& action) {
    auto arguments = std::make_shared<Arguments>();
    auto& serving = arguments->doctor.serving;
    CLI::App* command = app.add_subcommand(
        "doctor",
        "look at this host: disk encryption, rights, clock, limits, certificate; exit code 1 when "
        "something is to be mended, 2 when it cannot look");
    add_place(*command, serving.data_folder, serving.database)->required();
    add_reach(*command, arguments->listen, serving);
    command->add_option("--config", arguments->config, "the server's configuration file");
    command->add_flag("--encrypted-below", arguments->doctor.is_encrypted_below,
                      "you know that the hypervisor or the disk itself encrypts");
    command->add_flag("--json", arguments->as_json, "print JSON");
    command->callback([arguments, command, &action] {
        action = [arguments, command]() -> Result<int> {
            const auto findings = examine(*command, *arguments);
            if (!findings) {
                std::fprintf(stderr, "meridian: %s: %s\n", findings.error().where.c_str(),
                             findings.error().message.c_str());
                return cannot_look;
            }
            arguments->as_json ? print_json(*findings) : print(*findings);
            const bool is_ill = std::ranges::any_of(*findings, [](const auto& finding) {
                return finding.judgement == server::Judgement::mend;
            });
            return is_ill ? to_mend : done;
        };
    });
}

}  // namespace meridian::cli

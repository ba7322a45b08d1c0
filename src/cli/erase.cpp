// SPDX-License-Identifier: Apache-2.0
// The erasure of a person, holds against it, and its certificates.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>

#include "base/file.hpp"
#include "cli/ask.hpp"
#include "cli/commands.hpp"
#include "cli/exit_code.hpp"
#include "cli/place.hpp"
#include "trust/keys/certificate.hpp"
#include "trust/keys/erasure.hpp"

namespace meridian::cli {

namespace {

struct Arguments {
    std::string data, database, certificate;
    trust::ErasureRequest request;
};

/// Who calls the command, when nobody is named.
std::string caller_name() {
    const char* user = std::getenv("USER");
    return user == nullptr ? "operator" : std::string("operator ") + user;
}

/// A record of many million resources, on a busy disk.
constexpr std::chrono::hours erasure_patience{12};

Place place_of(const Arguments& arguments) {
    return {.folder = arguments.data, .database = arguments.database};
}

std::string asked(const Arguments& arguments) {
    const trust::ErasureRequest& request = arguments.request;
    JsonDocument document;
    Json wanted = document.object();
    document.set(wanted, "subject", document.string(request.subject));
    document.set(wanted, "reason", document.string(request.reason));
    document.set(wanted, "by", document.string(request.by));
    document.set(wanted, "override", document.boolean(request.override_retention));
    Json approvers = document.array();
    for (const std::string& each : request.approvers)
        document.append(approvers, document.string(each));
    document.set(wanted, "approvers", approvers);
    return meridian::to_text(wanted);
}

Result<int> erase(const Arguments& arguments) {
    if (arguments.request.subject.empty())
        return fail(Category::incorrect, "whom? give Person/ID or Patient/ID");
    if (arguments.data.empty())
        return fail(Category::incorrect, "which record? give --data", "--data");
    std::error_code ignored;
    if (!arguments.certificate.empty() && std::filesystem::exists(arguments.certificate, ignored))
        return fail(Category::conflict, "there is a file of this name already",
                    arguments.certificate);
    const JsonDocument answer = TRY(ask(place_of(arguments), net::Method::post, "/erasures",
                                        asked(arguments), erasure_patience));
    const std::string certificate = meridian::to_text(answer.root());
    if (arguments.certificate.empty()) {
        std::printf("%s\n", certificate.c_str());
    } else {
        TRY(write_file_atomically(arguments.certificate, certificate + "\n"));
        std::printf("erased; the certificate is in %s\n", arguments.certificate.c_str());
    }
    std::fprintf(stderr,
                 "meridian: destroy files of `meridian keys export` from before now, or rotate the "
                 "keys with --destroy-old: they still hold this person's key\n");
    if (!arguments.database.empty())
        std::fprintf(
            stderr,
            "meridian: PostgreSQL keeps removed rows until it vacuums: run VACUUM "
            "meridian.private_row, then VACUUM; archived write-ahead logs hold the wrapped "
            "keys until they are dropped\n");
    return done;
}

Result<int> verify(const Arguments& arguments) {
    std::string key;
    if (!arguments.data.empty()) key = TRY(trust::certificate_key(arguments.data));
    const auto checked = TRY(trust::check_certificate(TRY(read_file(arguments.certificate)), key));
    std::printf(
        "%s\nsigned with %s, %s\n", checked.statement.c_str(), checked.key.c_str(),
        key.empty() ? "which is to be compared with the hospital's" : "the key of this record");
    return done;
}

std::string asked_of_hold(const Arguments& arguments) {
    JsonDocument document;
    Json wanted = document.object();
    document.set(wanted, "patient", document.string(arguments.request.subject));
    document.set(wanted, "reason", document.string(arguments.request.reason));
    document.set(wanted, "by", document.string(arguments.request.by));
    return meridian::to_text(wanted);
}

Result<int> hold(const Arguments& arguments) {
    TRY(ask(place_of(arguments), net::Method::post, "/holds", asked_of_hold(arguments)));
    std::printf("%s is held\n", arguments.request.subject.c_str());
    return done;
}

Result<int> release(const Arguments& arguments) {
    const JsonDocument answer = TRY(
        ask(place_of(arguments), net::Method::post, "/holds/released", asked_of_hold(arguments)));
    const bool was_held = answer.root()["was"].boolean();
    std::printf("%s\n", was_held ? "released" : "there was no hold");
    return was_held ? done : failed;
}

void run(CLI::App& command, Action& action, const std::shared_ptr<Arguments>& arguments,
         Result<int> (*what)(const Arguments&)) {
    command.callback([arguments, what, &action, &command] {
        // Called for the command above a chosen one too, after it.
        if (!command.get_subcommands().empty()) return;
        action = [arguments, what]() -> Result<int> { return what(*arguments); };
    });
}

void add_by(CLI::App& command, Arguments& arguments) {
    command.add_option("--by", arguments.request.by,
                       "reference of who asks for it (default: the user of the system)");
}

void add_holds(CLI::App& erase, Action& action, const std::shared_ptr<Arguments>& arguments) {
    CLI::App* held = erase.add_subcommand("hold", "forbid the erasure of a patient");
    CLI::App* released = erase.add_subcommand("release", "lift a hold");
    for (CLI::App* command : {held, released}) {
        command->add_option("PATIENT", arguments->request.subject, "Patient/ID")->required();
        add_place(*command, arguments->data, arguments->database)->required();
    }
    held->add_option("--reason", arguments->request.reason, "why, without patient data")
        ->required();
    add_by(*held, *arguments);
    run(*held, action, arguments, hold);
    run(*released, action, arguments, release);
}

}  // namespace

void add_erase(CLI::App& app, Action& action) {
    auto arguments = std::make_shared<Arguments>();
    arguments->request.by = caller_name();
    CLI::App* command = app.add_subcommand("erase",
                                           "erase a person: all linked patients' keys are "
                                           "destroyed, so that nobody can read what lies "
                                           "under them, in the record and in every copy of it");
    command->add_option("PERSON", arguments->request.subject, "Person/ID or Patient/ID");
    add_place(*command, arguments->data, arguments->database);
    command->add_option("--reason", arguments->request.reason, "why, without patient data");
    add_by(*command, *arguments);
    command->add_option("--certificate", arguments->certificate,
                        "new file for the signed certificate (default: standard output)");
    CLI::Option* overrides =
        command->add_flag("--override-retention", arguments->request.override_retention,
                          "in spite of legal holds and retention clocks; needs --approver twice");
    command
        ->add_option("--approver", arguments->request.approvers,
                     "one of two people who approve of that")
        ->needs(overrides);
    run(*command, action, arguments, erase);
    CLI::App* verifying = command->add_subcommand("verify", "check a certificate of an erasure");
    verifying->add_option("FILE", arguments->certificate, "the certificate")->required();
    verifying->add_option("--data", arguments->data,
                          "folder of the record whose key it has to be signed with");
    run(*verifying, action, arguments, verify);
    add_holds(*command, action, arguments);
}

}  // namespace meridian::cli

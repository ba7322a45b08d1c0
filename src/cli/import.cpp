// SPDX-License-Identifier: Apache-2.0
#include "server/import.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>

#include "cli/commands.hpp"
#include "cli/exit_code.hpp"
#include "cli/place.hpp"
#include "cli/progress.hpp"
#include "rest/bulk/export.hpp"
#include "server/application.hpp"

namespace meridian::cli {

void add_import(CLI::App& app, Action& action) {
    struct Arguments {
        server::RecordOptions record;
        server::ImportOptions import;
    };
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command = app.add_subcommand(
        "import", "load bundles, NDJSON and XML (also .gz) from files and folders");
    add_place(*command, arguments->record.data_folder, arguments->record.database,
              "folder of the store; made when it is not there")
        ->required();
    command->add_option("--rejects", arguments->import.rejects_file,
                        "file for what is rejected and why (default: DATA/import-rejects.ndjson)");
    command->add_option("--base-url", arguments->record.base_url,
                        "public FHIR base whose references are the record's own (default: the one "
                        "it was last served under)");
    command->add_option("--threads", arguments->import.threads,
                        "threads that parse; 0 = one per core");
    command->add_flag("!--unprotected", arguments->record.is_protected,
                      "neither encrypted nor audited: for tests and measurements");
    command->add_flag("--from-start", arguments->import.fresh_start,
                      "do not go on where an interrupted import stood");
    command->add_option("PATH", arguments->import.paths, "files or folders")->required();
    command->callback([arguments, &action] {
        action = [arguments]() -> Result<int> {
            arguments->record.bulk = true;
            if (arguments->import.rejects_file.empty()) {
                arguments->import.rejects_file =
                    (std::filesystem::path(arguments->record.data_folder) / "import-rejects.ndjson")
                        .string();
            }
            const server::OpenRecord record = TRY(server::open_record(arguments->record));
            Progress progress("resources");
            const auto summary = TRY(server::import_files(
                *record.repository, arguments->import, [&](const server::ImportProgress& now) {
                    progress.show(now.bytes_done, now.bytes_total, now.resources, now.file);
                    return true;
                }));
            progress.finish(summary.resources);
            std::printf(
                "%lld resources loaded, %lld rejected, %lld files skipped as already loaded\n",
                static_cast<long long>(summary.resources), static_cast<long long>(summary.rejected),
                static_cast<long long>(summary.files_skipped));
            if (summary.rejected == 0) return done;
            std::fprintf(stderr,
                         "meridian: the first rejected: %s\nmeridian: all of them are in %s\n",
                         summary.first_reject.c_str(), arguments->import.rejects_file.c_str());
            return failed;
        };
    });
}

void add_export(CLI::App& app, Action& action) {
    struct Arguments {
        server::RecordOptions record;
        rest::ExportRequest request;
        std::string out;
        std::string since;
    };
    auto arguments = std::make_shared<Arguments>();
    arguments->record.create = false;
    CLI::App* command =
        app.add_subcommand("export", "write the record as NDJSON files, one consistent state");
    add_place(*command, arguments->record.data_folder, arguments->record.database)->required();
    command->add_option("--out", arguments->out, "folder for the files; made when it is not there")
        ->required();
    command->add_option("--type", arguments->request.types,
                        "resource types, e.g. Patient,Observation (default: all)");
    command->add_option("--filter", arguments->request.type_filters,
                        "Type?search, e.g. 'Observation?code=718-7'");
    command->add_option("--since", arguments->since, "only what changed at or after this time");
    command->callback([arguments, &action] {
        action = [arguments]() -> Result<int> {
            if (!arguments->since.empty())
                arguments->request.since = TRY(parse_date(arguments->since)).lower();
            const server::OpenRecord record = TRY(server::open_record(arguments->record));
            Progress progress("resources");
            const auto result = TRY(rest::export_to_folder(
                *record.repository, fhir::Caller::system("export"), arguments->request,
                arguments->out, [&](const rest::ExportProgress& now) {
                    progress.show(now.done, now.total, now.done, now.type);
                    return true;
                }));
            progress.finish(result.resources);
            for (const rest::ExportFile& file : result.output)
                std::printf("%s\t%lld\n", file.name.c_str(), static_cast<long long>(file.count));
            return done;
        };
    });
}

}  // namespace meridian::cli

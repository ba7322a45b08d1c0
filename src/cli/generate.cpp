// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "cli/commands.hpp"
#include "cli/exit_code.hpp"
#include "cli/place.hpp"
#include "cli/progress.hpp"
#include "generate/region.hpp"
#include "generate/write.hpp"
#include "rest/bulk/loader.hpp"
#include "server/application.hpp"

namespace meridian::cli {

namespace {

/// Feeds the generator's output straight into a record; the documents' facts go to a file beside
/// it.
class RecordSink final : public generate::Sink {
 public:
    RecordSink(rest::Loader& loader, std::ofstream& truth, Progress& progress,
               std::int64_t patients)
        : loader_(loader), truth_(truth), progress_(progress), patients_(patients) {}

    Result<void> resource(const generate::Item& item) override {
        TRY(loader_.add(std::string(item.json), ++number_));
        if (number_ % 512 == 0)
            progress_.show(static_cast<std::int64_t>(item.patient), patients_, number_);
        return {};
    }
    Result<void> truth(std::string_view, std::string_view json) override {
        truth_ << json << '\n';
        return truth_ ? Result<void>()
                      : fail(Category::unavailable, "truth.ndjson cannot be written");
    }

 private:
    rest::Loader& loader_;
    std::ofstream& truth_;
    Progress& progress_;
    std::int64_t patients_;
    std::int64_t number_ = 0;
};

Result<int> generate_into_record(const generate::RegionOptions& options,
                                 server::RecordOptions record_options) {
    const std::string& folder = record_options.data_folder;
    record_options.bulk = true;
    const server::OpenRecord record = TRY(server::open_record(record_options));
    std::ofstream truth(std::filesystem::path(folder) / "truth.ndjson");
    Progress progress("resources");
    rest::Loader::Events events;
    events.rejected = [](std::int64_t, const Error& reason,
                         const std::string& text) -> Result<void> {
        return fail(Category::fault, fmt::format("a generated resource is not valid: {} in {}",
                                                 rest::reason_text(reason), text.substr(0, 200)));
    };
    rest::Loader loader(*record.repository, fhir::Caller::system("generate"), {},
                        std::move(events));
    RecordSink sink(loader, truth, progress, static_cast<std::int64_t>(options.patients));
    TRY(generate::generate(options, sink));
    TRY(loader.finish());
    progress.finish(loader.count());
    return done;
}

}  // namespace

void add_generate(CLI::App& app, Action& action) {
    struct Arguments {
        generate::RegionOptions options;
        std::string out;
        server::RecordOptions record;
    };
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command = app.add_subcommand(
        "generate", "make a synthetic region: the same seed gives the same people, for ever");
    command
        ->add_option("--patients", arguments->options.patients,
                     "number of patients; the first ten are the named cast")
        ->capture_default_str();
    command->add_option("--seed", arguments->options.seed, "seed")->capture_default_str();
    auto* out = command->add_option("--out", arguments->out,
                                    "folder for NDJSON files, one per type, and truth.ndjson");
    auto* data = add_place(*command, arguments->record.data_folder, arguments->record.database,
                           "folder of a store to load the region into");
    command
        ->add_flag("!--unprotected", arguments->record.is_protected,
                   "neither encrypted nor audited: for tests and measurements")
        ->needs(data);
    out->excludes(data);
    command->callback([arguments, &action] {
        action = [arguments]() -> Result<int> {
            if (!arguments->record.data_folder.empty())
                return generate_into_record(arguments->options, arguments->record);
            if (arguments->out.empty())
                return fail(Category::incorrect,
                            "tell where to: --out FOLDER for files or --data FOLDER for a store");
            Progress progress("patients");
            const auto total = static_cast<std::int64_t>(arguments->options.patients);
            const auto summary = TRY(generate::write_folder(
                arguments->options, arguments->out, [&](std::uint64_t patients) {
                    progress.show(static_cast<std::int64_t>(patients), total,
                                  static_cast<std::int64_t>(patients));
                }));
            progress.finish(total);
            for (const auto& [type, count] : summary.resources)
                std::printf("%s\t%llu\n", type.c_str(), static_cast<unsigned long long>(count));
            std::printf("%llu resources, %llu documents, %llu bytes\n",
                        static_cast<unsigned long long>(summary.total),
                        static_cast<unsigned long long>(summary.documents),
                        static_cast<unsigned long long>(summary.bytes));
            return done;
        };
    });
}

}  // namespace meridian::cli

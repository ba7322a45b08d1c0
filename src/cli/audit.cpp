// SPDX-License-Identifier: Apache-2.0
// `meridian audit`: verifies that the log is the one that was signed; prints and signs checkpoints.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/file.hpp"
#include "cli/commands.hpp"
#include "cli/exit_code.hpp"
#include "cli/place.hpp"
#include "cli/progress.hpp"
#include "store/open.hpp"
#include "trust/limits.hpp"
#include "trust/merkle/keeper.hpp"
#include "trust/merkle/verify.hpp"

namespace meridian::cli {

namespace {

namespace merkle = trust::merkle;

struct Place {
    std::string data, database;
};

Result<std::unique_ptr<store::Store>> open_to_read(const Place& place) {
    return store::open(
        {.folder = place.data, .database = place.database, .create = false, .read_only = true});
}

// --- verify ---

struct VerifyArguments {
    Place place;
    store::Position from = 0, to = -1;
    std::string checkpoint;
};

void print(const merkle::VerifyReport& report) {
    std::printf(
        "log \"%s\": %lld entries, %lld contents, %lld tiles, %lld checkpoints, tree of %llu: "
        "%zu problems\n",
        report.origin.c_str(), static_cast<long long>(report.entries),
        static_cast<long long>(report.contents), static_cast<long long>(report.tiles),
        static_cast<long long>(report.checkpoints),
        static_cast<unsigned long long>(report.tree_size), report.findings.size());
    if (report.erased > 0)
        std::printf("%lld bodies are erased\n", static_cast<long long>(report.erased));
    if (report.unlooked > 0) {
        std::printf("%lld entries of kinds whose contents are not looked into\n",
                    static_cast<long long>(report.unlooked));
    }
    if (report.not_signed > 0) {
        std::printf("%lld entries behind the newest checkpoint are not signed yet\n",
                    static_cast<long long>(report.not_signed));
    }
    for (const merkle::Finding& finding : report.findings) {
        std::fprintf(stderr, "meridian: %s%s: %s\n", merkle::name_of(finding.damage).data(),
                     finding.position < 0 ? "" : fmt::format(" at {}", finding.position).c_str(),
                     finding.sentence.c_str());
    }
}

Result<int> run_verify(const VerifyArguments& arguments) {
    merkle::VerifyOptions options;
    options.data_folder = arguments.place.data;
    options.from = arguments.from;
    if (arguments.to >= 0) options.to = arguments.to;
    if (!arguments.checkpoint.empty())
        options.kept_checkpoint = TRY(read_file(arguments.checkpoint, limits::note_bytes_max));
    const auto store = TRY(open_to_read(arguments.place));
    options.contents[0] =
        merkle::version_content(TRY(reader_for(arguments.place.data, arguments.place.database)));
    options.contents[1] = merkle::audit_content();
    Progress progress("entries");
    options.progress = [&progress](std::string_view part, std::int64_t now, std::int64_t total) {
        progress.show(now, total, now, std::string(part));
    };
    const auto report = TRY(merkle::verify_log(*store, options));
    print(report);
    return report.clean() ? done : failed;
}

void add_verify(CLI::App& audit, Action& action) {
    auto arguments = std::make_shared<VerifyArguments>();
    CLI::App* command = audit.add_subcommand(
        "verify",
        "compare the log with what was signed; names the first altered, dropped, "
        "swapped, inserted or truncated entry; exit code 1 when there is one");
    add_place(*command, arguments->place.data, arguments->place.database)->required();
    command->add_option("--from", arguments->from, "first position whose entry is read")
        ->check(CLI::NonNegativeNumber);
    command->add_option("--to", arguments->to, "last position whose entry is read (default: all)")
        ->check(CLI::NonNegativeNumber);
    command->add_option("--checkpoint", arguments->checkpoint,
                        "a signed checkpoint that was kept elsewhere, as `audit checkpoint` "
                        "printed it");
    command->callback(
        [arguments, &action] { action = [arguments] { return run_verify(*arguments); }; });
}

// --- checkpoint, rotate-key ---

Result<std::unique_ptr<merkle::Keeper>> open_keeper(store::Store& store, const Place& place) {
    return merkle::Keeper::open(store, {.data_folder = place.data});
}

Result<int> print_checkpoint(const Place& place, bool is_to_sign) {
    std::optional<std::string> newest;
    if (is_to_sign) {
        const auto store = TRY(open_to_read(place));
        const auto keeper = TRY(open_keeper(*store, place));
        if (const auto made = TRY(keeper->sign_now())) newest = made->note.to_text();
    } else {
        const auto read = merkle::CheckpointFile::read(merkle::checkpoints_path(place.data),
                                                       [&](std::string_view note) -> Result<void> {
                                                           newest = note;
                                                           return {};
                                                       });
        if (!read && read.error().category != Category::not_found)
            return std::unexpected(read.error());
    }
    if (!newest) return fail(Category::not_found, "no checkpoint has been signed yet", place.data);
    std::fputs(newest->c_str(), stdout);
    return done;
}

void add_checkpoint(CLI::App& audit, Action& action) {
    struct Arguments {
        Place place;
        bool is_to_sign = false;
    };
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command = audit.add_subcommand(
        "checkpoint", "print the newest signed checkpoint, to be kept on paper or another host");
    add_place(*command, arguments->place.data, arguments->place.database)->required();
    command->add_flag("--now", arguments->is_to_sign,
                      "sign the log as it is now first; no server may be running on the folder");
    command->callback([arguments, &action] {
        action = [arguments] { return print_checkpoint(arguments->place, arguments->is_to_sign); };
    });
}

void add_rotate_key(CLI::App& audit, Action& action) {
    auto place = std::make_shared<Place>();
    CLI::App* command = audit.add_subcommand(
        "rotate-key",
        "sign checkpoints with a new key from now on; the old public key is kept; "
        "no server may be running on the folder");
    add_place(*command, place->data, place->database)->required();
    command->callback([place, &action] {
        action = [place]() -> Result<int> {
            const auto store = TRY(open_to_read(*place));
            const auto keeper = TRY(open_keeper(*store, *place));
            TRY(keeper->rotate_key());
            for (const auto& key : keeper->keys()) std::printf("%s\n", key.to_text().c_str());
            return done;
        };
    });
}

}  // namespace

void add_audit(CLI::App& app, Action& action) {
    CLI::App* audit =
        app.add_subcommand("audit", "verify what happened, and sign it (docs/adr/0028)");
    audit->require_subcommand(1);
    add_verify(*audit, action);
    add_checkpoint(*audit, action);
    add_rotate_key(*audit, action);
}

}  // namespace meridian::cli

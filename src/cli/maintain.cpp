// SPDX-License-Identifier: Apache-2.0
// Commands that look after a store: check, backup, restore, reindex.
#include "store/maintain.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>

#include "cli/commands.hpp"
#include "cli/exit_code.hpp"
#include "cli/place.hpp"
#include "cli/progress.hpp"
#include "fhir/body_reader.hpp"
#include "server/application.hpp"
#include "store/copy/restore.hpp"
#include "store/open.hpp"
#include "trust/keys/body_cipher.hpp"
#include "trust/keys/erasure.hpp"
#include "trust/keys/key_backup.hpp"

namespace meridian::cli {

namespace {

/// The FHIR base that the store's index rows were made with; empty when it was never served.
Result<std::string> kept_base_url(const std::string& folder) {
    const auto store = TRY(store::open({.folder = folder, .create = false, .read_only = true}));
    return TRY(store->setting(fhir::base_url_setting)).value_or("");
}

/// A restore makes the rows of the specification's parameters. Those of the record's own ones are
/// made when their definitions are there: by a reindex. It makes no keys for the record: those that
/// it has come with it. Errors: of store and Repository.
Result<void> index_own_parameters(const std::string& folder, const std::string& base_url,
                                  std::shared_ptr<const fhir::Cipher> cipher, Progress& progress) {
    {
        const auto store = TRY(store::open({.folder = folder, .create = false, .read_only = true}));
        const auto own = TRY(fhir::own_search_parameters(*store, *cipher));
        if (own.empty()) return {};
    }
    const auto store = TRY(store::open({.folder = folder, .create = false}));
    fhir::Repository::Options options;
    options.cipher = std::move(cipher);
    options.base_url = base_url;
    const auto repository = TRY(fhir::Repository::open(*store, options));
    return repository->reindex("",
                               [&](std::string_view type, std::int64_t now, std::int64_t total) {
                                   progress.show(now, total, now, std::string(type));
                                   return true;
                               });
}

/// Shows what takes long, by its parts.
store::CheckProgress shown_by(Progress& progress) {
    return [&progress](std::string_view part, std::int64_t now, std::int64_t total) {
        progress.show(now, total, now, std::string(part));
    };
}

struct CheckArguments {
    std::string data, database;
    bool quick = false, log_hash = false;
    store::Position up_to = -1;
};

/// The hash by which stores on different engines, backups and moved stores are compared.
Result<int> print_log_hash(const CheckArguments& arguments) {
    const auto store = TRY(store::open({.folder = arguments.data,
                                        .database = arguments.database,
                                        .create = false,
                                        .read_only = true}));
    Progress progress("entries");
    const auto sum = TRY(
        store::log_sum(*store, arguments.up_to < 0 ? std::nullopt : std::optional(arguments.up_to),
                       shown_by(progress)));
    std::printf("log hash %s up to position %lld\n", to_hex(sum.hash).c_str(),
                static_cast<long long>(sum.position));
    return done;
}

Result<int> run_check(const CheckArguments& arguments) {
    Progress progress("records");
    store::CheckOptions options;
    options.deep = !arguments.quick;
    options.database = arguments.database;
    options.progress = shown_by(progress);
    // A store that cannot be opened is for the check to describe.
    const auto reader_found = reader_for(arguments.data, arguments.database);
    if (!reader_found)
        std::fprintf(stderr, "meridian: bodies are not verified: %s\n",
                     reader_found.error().message.c_str());
    const store::BodyReader reader = reader_found.value_or(store::BodyReader());
    const auto report = TRY(store::check(arguments.data, reader, options));
    std::printf(
        "%lld resources, %lld versions, %lld log entries, %lld index rows, %lld blobs: "
        "%lld problems\n",
        static_cast<long long>(report.resources), static_cast<long long>(report.versions),
        static_cast<long long>(report.log_entries), static_cast<long long>(report.index_rows),
        static_cast<long long>(report.blobs), static_cast<long long>(report.problems));
    if (report.clean()) return done;
    std::fprintf(stderr, "meridian: the first problem: %s\n", report.first_problem.c_str());
    return failed;
}

struct RestoreArguments {
    std::string data, database, from, base_url, keys;
};

/// The keys that a restored record is read with, in the file that `meridian keys export` made.
class RestoredKeys {
 public:
    static Result<RestoredKeys> open(const RestoreArguments& arguments) {
        RestoredKeys keys;
        if (arguments.keys.empty()) return keys;
        keys.erased_ = TRY(trust::erased_keys(arguments.data));
        keys.file_ = TRY(trust::read_key_backup(arguments.keys, keys.erased_));
        const std::shared_ptr<trust::KeyRing> ring =
            TRY(trust::ring_of(*keys.file_, TRY(trust::keks_of(arguments.data))));
        keys.cipher_ = trust::body_cipher(ring);
        return keys;
    }

    const std::shared_ptr<const fhir::Cipher>& cipher() const { return cipher_; }

    /// Brings the keys into the restored store, and deletes what lies under those that were
    /// shredded since the backup. `folder`: where the store is.
    Result<void> bring_into(const std::string& folder, const RestoreArguments& arguments) const {
        if (!file_) return {};
        const auto store = TRY(store::open({.folder = folder, .create = false}));
        const auto imported = TRY(trust::import_keys(*file_, TRY(trust::keks_of(arguments.data)),
                                                     trust::key_rows_of(*store), erased_));
        const auto ring = TRY(trust::open_keys(*store, arguments.data, {.create = false}));
        fhir::Repository::Options options;
        options.cipher = trust::body_cipher(ring);
        const auto repository = TRY(fhir::Repository::open(*store, options));
        const std::int64_t swept = TRY(trust::sweep_erased(*repository, *ring));
        std::printf("%lld keys, %lld of people who were erased; %lld of their resources deleted\n",
                    static_cast<long long>(imported.keys),
                    static_cast<long long>(imported.tombstones), static_cast<long long>(swept));
        return {};
    }

 private:
    std::vector<std::string> erased_;
    std::optional<trust::KeyFile> file_;
    std::shared_ptr<const fhir::Cipher> cipher_ = trust::locked_cipher();
};

/// What a restore leaves to the rooms above the store, in the folder where the record is again. The
/// base that the record was served under.
Result<std::string> complete_restore(const std::string& folder, const RestoreArguments& arguments,
                                     const RestoredKeys& keys, Progress& progress) {
    std::string served = TRY(kept_base_url(folder));
    TRY(keys.bring_into(folder, arguments));
    TRY(index_own_parameters(folder, arguments.base_url, keys.cipher(), progress));
    return served;
}

/// The base that the record was served under.
Result<std::string> restore_into_folder(const RestoreArguments& arguments,
                                        const store::BodyReader& reader, const RestoredKeys& keys,
                                        Progress& progress) {
    const store::Position position = TRY(store::restore(
        arguments.from, arguments.data, reader,
        [&](std::int64_t now, std::int64_t total) { progress.show(now, total, now); }));
    std::printf("restored into %s up to position %lld\n", arguments.data.c_str(),
                static_cast<long long>(position));
    return complete_restore(arguments.data, arguments, keys, progress);
}

/// The same.
Result<std::string> restore_into_database(const RestoreArguments& arguments,
                                          const store::BodyReader& reader, const RestoredKeys& keys,
                                          Progress& progress) {
    std::string served;
    store::copy::RestoreOptions options;
    options.progress = shown_by(progress);
    options.complete = [&](const std::string& folder) -> Result<void> {
        served = TRY(complete_restore(folder, arguments, keys, progress));
        return {};
    };
    const auto sum = TRY(store::copy::restore(
        arguments.from, {.folder = arguments.data, .database = arguments.database}, reader,
        options));
    std::printf("restored into the database, blobs into %s, up to position %lld\nlog hash %s\n",
                arguments.data.c_str(), static_cast<long long>(sum.position),
                to_hex(sum.hash).c_str());
    return served;
}

Result<int> run_restore(const RestoreArguments& arguments) {
    Progress progress("resources");
    const RestoredKeys keys = TRY(RestoredKeys::open(arguments));
    const auto reader = fhir::body_reader(keys.cipher(), arguments.base_url);
    const std::string served =
        TRY(arguments.database.empty() ? restore_into_folder(arguments, reader, keys, progress)
                                       : restore_into_database(arguments, reader, keys, progress));
    if (served != arguments.base_url) {
        std::printf(
            "the record was served under %s: restore with --base-url, or run "
            "`meridian reindex`, so that absolute references are its own\n",
            served.c_str());
    }
    return done;
}

}  // namespace

void add_check(CLI::App& app, Action& action) {
    auto arguments = std::make_shared<CheckArguments>();
    CLI::App* command = app.add_subcommand(
        "check", "verify database, index, blobs and log; names the first bad record");
    add_place(*command, arguments->data, arguments->database)->required();
    command->add_flag("--quick", arguments->quick, "structure only, not every page");
    CLI::Option* hash = command->add_flag(
        "--log-hash", arguments->log_hash,
        "only print a hash of the log, which is the same for the same record on either engine");
    command
        ->add_option("--up-to", arguments->up_to,
                     "with --log-hash: the last position that counts (default: the newest)")
        ->needs(hash)
        ->check(CLI::NonNegativeNumber);
    command->callback([arguments, &action] {
        action = [arguments]() -> Result<int> {
            return arguments->log_hash ? print_log_hash(*arguments) : run_check(*arguments);
        };
    });
}

void add_backup(CLI::App& app, Action& action) {
    struct Arguments {
        std::string data, database, to;
    };
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command = app.add_subcommand(
        "backup", "copy a consistent state into a new folder, also while servers write");
    add_place(*command, arguments->data, arguments->database)->required();
    command->add_option("DIR", arguments->to, "new folder for the backup")->required();
    command->callback([arguments, &action] {
        action = [arguments]() -> Result<int> {
            Progress progress("records");
            const store::Position position = TRY(
                store::backup(arguments->data, arguments->to,
                              {.database = arguments->database, .progress = shown_by(progress)}));
            std::printf("backed up to %s at position %lld\n", arguments->to.c_str(),
                        static_cast<long long>(position));
            return done;
        };
    });
}

void add_restore(CLI::App& app, Action& action) {
    auto arguments = std::make_shared<RestoreArguments>();
    CLI::App* command = app.add_subcommand(
        "restore", "make a store out of a backup of either engine; its index is built anew");
    add_place(*command, arguments->data, arguments->database,
              "folder for the store; must not hold one")
        ->required();
    command->add_option("--base-url", arguments->base_url,
                        "public FHIR base that the record was served under");
    command->add_option("--keys", arguments->keys,
                        "file of `meridian keys export`: a backup of an encrypted record holds no "
                        "keys (the key-encryption key has to be in keys/ of --data)");
    command->add_option("DIR", arguments->from, "folder of the backup")->required();
    command->callback([arguments, &action] {
        action = [arguments]() -> Result<int> { return run_restore(*arguments); };
    });
}

void add_reindex(CLI::App& app, Action& action) {
    struct Arguments {
        server::RecordOptions record;
        std::string param;
    };
    auto arguments = std::make_shared<Arguments>();
    arguments->record.create = false;
    CLI::App* command = app.add_subcommand(
        "reindex", "extract index rows anew; goes on where it was when interrupted");
    add_place(*command, arguments->record.data_folder, arguments->record.database)->required();
    command->add_option("--base-url", arguments->record.base_url,
                        "public FHIR base whose references are the record's own (default: the one "
                        "it was last served under)");
    command->add_option("--param", arguments->param,
                        "one parameter, e.g. Observation.code (default: all)");
    command->callback([arguments, &action] {
        action = [arguments]() -> Result<int> {
            const server::OpenRecord record = TRY(server::open_record(arguments->record));
            Progress progress("resources");
            std::int64_t before = 0, last = 0;
            std::string type;
            TRY(record.repository->reindex(
                arguments->param,
                [&](std::string_view now_type, std::int64_t now, std::int64_t total) {
                    if (type != now_type) {
                        before += last;
                        type = now_type;
                    }
                    last = now;
                    progress.show(now, total, before + now, type);
                    return true;
                }));
            progress.finish(before + last);
            return done;
        };
    });
}

}  // namespace meridian::cli

// SPDX-License-Identifier: Apache-2.0
// Commands about the keys that a record's bodies lie under.
#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>

#include "cli/ask.hpp"
#include "cli/commands.hpp"
#include "cli/exit_code.hpp"
#include "cli/place.hpp"
#include "cli/progress.hpp"
#include "store/open.hpp"
#include "trust/keys/body_cipher.hpp"
#include "trust/keys/erasure.hpp"
#include "trust/keys/key_backup.hpp"
#include "trust/keys/key_ring.hpp"
#include "trust/keys/token_hashes.hpp"

namespace meridian::cli {

namespace {

/// The last part takes what lay open out of the files.
constexpr std::chrono::hours sealing_patience{6};

struct Arguments {
    std::string data, database, file;
    bool destroy_old = false;
};

/// The keys of a record that is not written meanwhile by this command.
struct OpenKeys {
    std::shared_ptr<store::Store> store;
    std::shared_ptr<trust::KeyRing> ring;
};
Result<OpenKeys> open_keys_of(const Arguments& arguments, bool read_only) {
    OpenKeys open;
    open.store = TRY(store::open({.folder = arguments.data,
                                  .database = arguments.database,
                                  .create = false,
                                  .read_only = read_only}));
    open.ring = TRY(trust::open_keys(*open.store, arguments.data, {.create = false}));
    return open;
}

Result<int> show_status(const Arguments& arguments) {
    const auto keys = TRY(open_keys_of(arguments, true));
    const auto status = TRY(keys.ring->status());
    std::string here;
    for (const unsigned number : status.keks)
        here += fmt::format("{}{}", here.empty() ? "" : ", ", number);
    std::printf("suite              %s\nkey-encryption key %u (%s; here: %s)\n",
                std::string(trust::name_of(status.suite)).c_str(), status.kek,
                status.provider.c_str(), here.c_str());
    std::printf("data keys          %lld\nwait to be wrapped %lld%s\nshredded           %lld\n",
                static_cast<long long>(status.keys), static_cast<long long>(status.old),
                status.is_rotating ? " (a rotation is under way)" : "",
                static_cast<long long>(status.shredded));
    return done;
}

/// A server that has the folder's lock carries the rotation out: it looks for a newer key.
Result<int> ask_server_to_rotate(const Arguments& arguments) {
    const auto keys = TRY(open_keys_of(arguments, true));
    const auto status = TRY(keys.ring->status());
    if (!status.is_rotating && (status.keks.empty() || status.keks.back() <= status.kek))
        TRY(TRY(trust::keks_of(arguments.data))->make(status.kek + 1));
    std::printf(
        "a server is at work in this folder: it takes the new key within seconds and wraps the "
        "data keys anew (`meridian keys status` shows how far it is)\n");
    return done;
}

Result<void> destroy_old_keks(const Arguments& arguments, const trust::KeyRing::Status& status) {
    const auto keks = TRY(trust::keks_of(arguments.data));
    for (const unsigned number : status.keks) {
        if (number >= status.kek) continue;
        TRY(keks->destroy(number));
        std::printf(
            "destroyed the key-encryption key %u: files of keys from before cannot be read "
            "any more\n",
            number);
    }
    return {};
}

Result<int> rotate(const Arguments& arguments) {
    const auto keys = open_keys_of(arguments, false);
    if (!keys && keys.error().category == Category::unavailable && arguments.database.empty())
        return ask_server_to_rotate(arguments);
    if (!keys) return std::unexpected(keys.error());
    Progress progress("keys");
    const auto before = TRY(keys->ring->status());
    std::int64_t wrapped = 0;
    TRY(keys->ring->rotate([&](std::int64_t count) {
        wrapped = count;
        progress.show(count, before.is_rotating ? before.old : before.keys, count);
        return true;
    }));
    progress.finish(wrapped);
    const auto after = TRY(keys->ring->status());
    std::printf("%lld data keys lie under the key-encryption key %u\n",
                static_cast<long long>(after.keys), after.kek);
    if (arguments.destroy_old) TRY(destroy_old_keks(arguments, after));
    return done;
}

Result<int> prepare(const Arguments& arguments) {
    const auto keys = TRY(open_keys_of(arguments, true));
    const auto status = TRY(keys.ring->status());
    TRY(TRY(trust::keks_of(arguments.data))->make(status.kek + 1));
    std::printf("made %s: copy it into the data folders of all servers of this record\n",
                trust::kek_path(arguments.data, status.kek + 1).c_str());
    return done;
}

Result<int> export_to(const Arguments& arguments) {
    const auto keys = TRY(open_keys_of(arguments, true));
    const auto count = TRY(trust::export_keys(*keys.ring, arguments.file));
    std::printf(
        "%lld keys, wrapped under the key-encryption key %u: keep that one elsewhere, and "
        "destroy older files of keys when somebody is erased\n",
        static_cast<long long>(count), TRY(keys.ring->status()).kek);
    return done;
}

Result<int> import_from(const Arguments& arguments) {
    const auto erased = TRY(trust::erased_keys(arguments.data));
    const auto file = TRY(trust::read_key_backup(arguments.file, erased));
    TRY(trust::ring_of(file, TRY(trust::keks_of(arguments.data))));
    const std::shared_ptr<store::Store> store = TRY(
        store::open({.folder = arguments.data, .database = arguments.database, .create = false}));
    const auto imported = TRY(trust::import_keys(file, TRY(trust::keks_of(arguments.data)),
                                                 trust::key_rows_of(*store), erased));
    const auto ring = TRY(trust::open_keys(*store, arguments.data, {.create = false}));
    fhir::Repository::Options options;
    options.cipher = trust::body_cipher(ring);
    const auto repository = TRY(fhir::Repository::open(*store, options));
    const auto swept = TRY(trust::sweep_erased(*repository, *ring));
    std::printf("%lld keys, %lld of people who were erased; %lld of their resources deleted\n",
                static_cast<long long>(imported.keys), static_cast<long long>(imported.tombstones),
                static_cast<long long>(swept));
    return done;
}

std::int64_t number_at(const Json& object, std::string_view key) {
    const std::string_view text = object[key].text();
    std::int64_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

/// Slice by slice, by the server of the folder or here.
Result<int> seal(const Arguments& arguments) {
    Progress progress("versions");
    std::int64_t sealed = 0;
    for (bool is_done = false; !is_done;) {
        const JsonDocument part =
            TRY(ask({.folder = arguments.data, .database = arguments.database}, net::Method::post,
                    "/seals", "{}", sealing_patience));
        sealed += number_at(part.root(), "sealed");
        is_done = part.root()["done"].boolean();
        progress.show(number_at(part.root(), "lookedAt"), number_at(part.root(), "total"), sealed);
    }
    progress.finish(sealed);
    std::printf(
        "%lld versions were sealed; all lie sealed now. Backups from before hold what lay open: "
        "destroy them\n",
        static_cast<long long>(sealed));
    return done;
}

/// Alone with the record: a server would look for what was moved under the wrong key.
Result<int> move_tokens(const Arguments& arguments) {
    const auto store = TRY(
        store::open({.folder = arguments.data, .database = arguments.database, .create = false}));
    const auto ring =
        TRY(trust::open_keys(*store, arguments.data, {.create = false, .moves_tokens = true}));
    Progress progress("resources");
    const std::int64_t moved =
        TRY(trust::move_token_hashes(*store, ring, [&](std::int64_t done_now) {
            progress.show(done_now, 0, done_now);
            return true;
        }));
    progress.finish(moved);
    std::printf("the hashes of the index lie under the record's keys; %lld resources were moved\n",
                static_cast<long long>(moved));
    return done;
}

CLI::App* add_one(CLI::App& keys, Action& action, const std::shared_ptr<Arguments>& arguments,
                  const std::string& name, const std::string& about,
                  Result<int> (*run)(const Arguments&)) {
    CLI::App* command = keys.add_subcommand(name, about);
    add_place(*command, arguments->data, arguments->database)->required();
    command->callback([arguments, run, &action] {
        action = [arguments, run]() -> Result<int> { return run(*arguments); };
    });
    return command;
}

}  // namespace

void add_keys(CLI::App& app, Action& action) {
    auto arguments = std::make_shared<Arguments>();
    CLI::App* keys = app.add_subcommand("keys", "the keys that the record's bodies lie under");
    keys->require_subcommand(1);
    add_one(*keys, action, arguments, "status", "which keys there are, and how far a rotation is",
            show_status);
    add_one(*keys, action, arguments, "rotate",
            "a new key-encryption key, under which all data keys are wrapped anew; goes on where "
            "it was when interrupted",
            rotate)
        ->add_flag("--destroy-old", arguments->destroy_old,
                   "destroy the key-encryption keys before it");
    add_one(*keys, action, arguments, "prepare",
            "make the next key-encryption key, for a record with several servers: the first server "
            "that finds it begins the rotation",
            prepare);
    add_one(*keys, action, arguments, "seal",
            "seal bodies from before encryption was switched on, in their places, also while a "
            "server serves; goes on where it was when interrupted",
            seal);
    add_one(*keys, action, arguments, "tokens",
            "put the hashes of an older record's index (numbers of identity, telephones) under its "
            "keys; stop all its servers first; goes on where it was when interrupted",
            move_tokens);
    add_one(*keys, action, arguments, "export",
            "write all data keys, wrapped, into a new file: backups of the record hold none",
            export_to)
        ->add_option("FILE", arguments->file, "new file")
        ->required();
    add_one(*keys, action, arguments, "import",
            "bring the keys of such a file into a restored record; whoever was erased stays so",
            import_from)
        ->add_option("FILE", arguments->file, "file of `meridian keys export`")
        ->required();
}

}  // namespace meridian::cli

// SPDX-License-Identifier: Apache-2.0
#include "trust/master_key.hpp"

#include <filesystem>

#include "base/hash.hpp"
#include "trust/key_file.hpp"

namespace meridian::trust {

namespace {

/// Beside the sealed documents, in the clear: who lacks the key must be able to read it.
constexpr std::string_view fingerprint_space = "fingerprint";
constexpr std::string_view fingerprint_key = "master";

std::string fingerprint_of(const SecretKey& key) {
    return to_hex(derive_key(key, "fingerprint")).substr(0, 32);
}

Result<std::optional<std::string>> known_fingerprint(store::Store& store) {
    const auto row = TRY(store.private_row(fingerprint_space, fingerprint_key));
    if (!row) return std::optional<std::string>();
    return std::optional(row->value);
}

/// False when another server was faster.
Result<bool> save_fingerprint(store::Store& store, const SecretKey& key) {
    return store.save_private({{.space = std::string(fingerprint_space),
                                .key = std::string(fingerprint_key),
                                .value = fingerprint_of(key)}});
}

Result<void> check_fingerprint(store::Store& store, const SecretKey& key) {
    const auto known = TRY(known_fingerprint(store));
    if (known && *known == fingerprint_of(key)) return {};
    if (!known && TRY(save_fingerprint(store, key))) return {};
    return fail(Category::conflict,
                "the store's accounts and secrets are sealed with another key: put the key file of "
                "the data folder that they were made with here");
}

Result<SecretKey> make_key(store::Store& store, const std::string& path) {
    if (TRY(known_fingerprint(store)))
        return fail(Category::conflict,
                    "the store's accounts and secrets are sealed with a key that is not here: copy "
                    "the key file of the data folder that they were made with to this place");
    const SecretKey key = random_key();
    // The file first: a fingerprint of a key that nobody has would lock everybody out.
    TRY(write_key_file(path, key));
    TRY(check_fingerprint(store, key));
    return key;
}

Result<SecretKey> open_key(store::Store& store, const std::string& path) {
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored)) return make_key(store, path);
    const SecretKey key = TRY(read_key_file(path));
    TRY(check_fingerprint(store, key));
    return key;
}

}  // namespace

std::string master_key_path(const std::string& folder) {
    return folder + "/keys/master.key";
}

Result<SecretKey> open_master_key(store::Store& store, const std::string& folder) {
    const std::string path = master_key_path(folder);
    auto key = open_key(store, path);
    if (key) return key;
    Error error = std::move(key).error();
    error.where = path;
    return std::unexpected(std::move(error));
}

}  // namespace meridian::trust

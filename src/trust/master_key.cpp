// SPDX-License-Identifier: Apache-2.0
#include "trust/master_key.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/file.hpp"
#include "base/hash.hpp"

namespace meridian::trust {

namespace {

/// Beside the sealed documents, in the clear: who lacks the key must be able to read it.
constexpr std::string_view fingerprint_space = "fingerprint";
constexpr std::string_view fingerprint_key = "master";
constexpr std::size_t key_digits = 2 * sizeof(SecretKey);

std::string fingerprint_of(const SecretKey& key) {
    return to_hex(derive_key(key, "fingerprint")).substr(0, 32);
}

Result<SecretKey> parse_key(std::string_view text) {
    while (text.ends_with('\n')) text.remove_suffix(1);
    SecretKey key{};
    bool is_hex = text.size() == key_digits;
    for (std::size_t i = 0; is_hex && i < key.size(); ++i) {
        const char* const digits = text.data() + 2 * i;
        const auto [end, error] = std::from_chars(digits, digits + 2, key[i], 16);
        is_hex = error == std::errc() && end == digits + 2;
    }
    if (is_hex) return key;
    return fail(Category::incorrect,
                fmt::format("this is no key: expected {} hexadecimal digits", key_digits));
}

Result<void> require_private(const std::string& path) {
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0)
        return fail(Category::unavailable, fmt::format("cannot look at it: {}", strerror(errno)));
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) == 0) return {};
    return fail(Category::forbidden,
                "others than its owner may read the key: chmod 600, and make a new one if somebody "
                "did");
}

/// Written under the mode it is to have, so that it is never readable by others.
Result<void> write_key(const std::string& path, const SecretKey& key) {
    const std::filesystem::path folder = std::filesystem::path(path).parent_path();
    std::error_code code;
    std::filesystem::create_directories(folder, code);
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, code);
    const mode_t before = ::umask(S_IRWXG | S_IRWXO);
    auto written = write_file_atomically(path, to_hex(key) + "\n");
    ::umask(before);
    return written;
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
    SecretKey key{};
    const std::string random = random_bytes(key.size());
    std::memcpy(key.data(), random.data(), key.size());
    // The file first: a fingerprint of a key that nobody has would lock everybody out.
    TRY(write_key(path, key));
    TRY(check_fingerprint(store, key));
    return key;
}

Result<SecretKey> open_key(store::Store& store, const std::string& path) {
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored)) return make_key(store, path);
    TRY(require_private(path));
    const SecretKey key = TRY(parse_key(TRY(read_file(path))));
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

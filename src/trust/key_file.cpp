// SPDX-License-Identifier: Apache-2.0
#include "trust/key_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/file.hpp"
#include "base/hash.hpp"

namespace meridian::trust {

namespace {

constexpr std::size_t key_digits = 2 * sizeof(SecretKey);

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

}  // namespace

Result<void> require_private(const std::string& path) {
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0)
        return fail(errno == ENOENT ? Category::not_found : Category::unavailable,
                    fmt::format("cannot look at it: {}", strerror(errno)));
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) == 0) return {};
    return fail(Category::forbidden,
                "others than its owner may read the key: chmod 600, and make a new one if somebody "
                "did");
}

Result<SecretKey> read_key_file(const std::string& path) {
    TRY(require_private(path));
    return parse_key(TRY(read_file(path)));
}

Result<void> write_secret_file(const std::string& path, std::string_view content) {
    const std::filesystem::path folder = std::filesystem::path(path).parent_path();
    std::error_code code;
    std::filesystem::create_directories(folder, code);
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, code);
    const mode_t before = ::umask(S_IRWXG | S_IRWXO);
    auto written = write_file_atomically(path, content);
    ::umask(before);
    return written;
}

Result<void> write_key_file(const std::string& path, const SecretKey& key) {
    return write_secret_file(path, to_hex(key) + "\n");
}

SecretKey random_key() {
    SecretKey key;
    const std::string random = random_bytes(key.size());
    std::memcpy(key.data(), random.data(), key.size());
    return key;
}

}  // namespace meridian::trust

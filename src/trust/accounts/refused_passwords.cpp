// SPDX-License-Identifier: Apache-2.0
#include "trust/accounts/refused_passwords.hpp"

#include <openssl/evp.h>

#include <filesystem>
#include <fstream>

#include "base/hash.hpp"
#include "text/letter_case.hpp"
#include "trust/accounts/password.hpp"
#include "trust/limits.hpp"

namespace meridian::trust {

namespace {

constexpr std::size_t sha1_bytes = 20;

std::uint64_t first_bytes(const unsigned char* digest) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof value; ++i) value = value << 8 | digest[i];
    return value;
}

/// Of a password that is listed as it is: letter case says nothing about how often it is tried.
std::uint64_t hash_of_text(std::string_view normal_password) {
    return first_bytes(sha256(text::to_lower(normal_password)).data());
}

/// SHA-1 protects nothing here: it is the form in which breached passwords are published.
std::uint64_t hash_by_sha1(std::string_view normal_password) {
    unsigned char digest[EVP_MAX_MD_SIZE] = {};
    EVP_Digest(normal_password.data(), normal_password.size(), digest, nullptr, EVP_sha1(),
               nullptr);
    return first_bytes(digest);
}

/// "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8:3730471".
bool is_sha1(std::string_view line) {
    const std::string_view digits = line.substr(0, 2 * sha1_bytes);
    if (digits.size() != 2 * sha1_bytes ||
        digits.find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos)
        return false;
    const std::string_view count = line.substr(digits.size());
    return count.empty() || (count.size() > 1 && count[0] == ':' &&
                             count.find_first_not_of("0123456789", 1) == std::string_view::npos);
}

std::uint64_t hash_listed(std::string_view line) {
    const std::string sixteen(line.substr(0, 16));
    return std::stoull(sixteen, nullptr, 16);
}

Result<std::uint64_t> hash_of_line(std::string_view line, const std::string& path,
                                   std::size_t number) {
    if (is_sha1(line)) return hash_listed(line);
    const auto normal = normal_password(line);
    if (normal) return hash_of_text(*normal);
    return fail(Category::incorrect,
                fmt::format("{}:{}: {}: expected one password, or its SHA-1, in a line", path,
                            number, normal.error().message),
                "--refused-passwords");
}

}  // namespace

Result<std::shared_ptr<const RefusedPasswords>> RefusedPasswords::read(const std::string& path) {
    std::error_code error;
    if (!std::filesystem::exists(path, error))
        return fail(Category::not_found, fmt::format("there is no file {}", path),
                    "--refused-passwords");
    std::ifstream file(path, std::ios::binary);
    if (!file || std::filesystem::is_directory(path, error))
        return fail(Category::unavailable, fmt::format("{} cannot be read", path),
                    "--refused-passwords");
    auto made = std::make_shared<RefusedPasswords>();
    // One longer than any password, so that what does not fit is told from what just fits.
    std::string line(limits::password_bytes_max + 3, '\0');
    for (std::size_t number = 1;; ++number) {
        file.getline(line.data(), static_cast<std::streamsize>(line.size()));
        const auto got = static_cast<std::size_t>(file.gcount());
        if (file.fail() && !file.eof())
            return fail(Category::incorrect,
                        fmt::format("{}:{}: longer than {} bytes, which no password is", path,
                                    number, limits::password_bytes_max),
                        "--refused-passwords");
        if (file.eof() && got == 0) break;
        std::string_view text(line.data(), file.eof() ? got : got - 1);
        if (text.ends_with('\r')) text.remove_suffix(1);
        if (text.empty() || text.starts_with('#')) continue;
        if (made->hashes_.size() == limits::refused_passwords_max)
            return fail(Category::too_large,
                        fmt::format("{}:{}: a list has at most {} passwords", path, number,
                                    limits::refused_passwords_max),
                        "--refused-passwords");
        made->hashes_.push_back(TRY(hash_of_line(text, path, number)));
        if (file.eof()) break;
    }
    auto& hashes = made->hashes_;
    std::sort(hashes.begin(), hashes.end());
    hashes.erase(std::unique(hashes.begin(), hashes.end()), hashes.end());
    hashes.shrink_to_fit();
    return std::shared_ptr<const RefusedPasswords>(std::move(made));
}

bool RefusedPasswords::contains(std::string_view normal_password) const {
    for (const std::uint64_t hash :
         {hash_of_text(normal_password), hash_by_sha1(normal_password)}) {
        if (std::binary_search(hashes_.begin(), hashes_.end(), hash)) return true;
    }
    return false;
}

}  // namespace meridian::trust

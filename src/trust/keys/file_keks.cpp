// SPDX-License-Identifier: Apache-2.0
#include <filesystem>

#include "base/config.hpp"
#include "trust/key_file.hpp"
#include "trust/keys/kek.hpp"

namespace meridian::trust {

namespace {

constexpr std::string_view stem = "kek-", ending = ".key";

/// N of "kek-N.key"; 0 for any other name.
unsigned number_of(std::string_view name) {
    if (!name.starts_with(stem) || !name.ends_with(ending)) return 0;
    name.remove_prefix(stem.size());
    name.remove_suffix(std::min(ending.size(), name.size()));
    unsigned number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    return error == std::errc() && end == name.data() + name.size() ? number : 0;
}

class FileKeks final : public KekProvider {
 public:
    explicit FileKeks(std::string folder) : folder_(std::move(folder)) {}
    std::string_view name() const override { return "file"; }

    Result<std::vector<unsigned>> numbers() override {
        std::vector<unsigned> found;
        std::error_code none;
        for (const auto& entry : std::filesystem::directory_iterator(folder_ + "/keys", none)) {
            if (const unsigned number = number_of(entry.path().filename().string()))
                found.push_back(number);
        }
        std::sort(found.begin(), found.end());
        return found;
    }

    Result<void> make(unsigned number) override {
        const std::string path = kek_path(folder_, number);
        std::error_code ignored;
        if (std::filesystem::exists(path, ignored))
            return fail(Category::conflict, "there is a key of that number already", path);
        return write_key_file(path, random_key());
    }

    Result<void> destroy(unsigned number) override {
        const std::string path = kek_path(folder_, number);
        // What a file system keeps of a removed file is its own affair; the digits at least go.
        TRY(write_key_file(path, SecretKey{}));
        std::error_code failed;
        std::filesystem::remove(path, failed);
        if (failed) return fail(Category::unavailable, failed.message(), path);
        return {};
    }

    Result<std::string> wrap(unsigned number, Suite suite, std::string_view context,
                             std::string_view secret) override {
        std::string wrapped;
        MessageKey(suite, TRY(key_of(number))).seal(context, secret, wrapped);
        return wrapped;
    }

    Result<std::string> unwrap(unsigned number, Suite suite, std::string_view context,
                               std::string_view wrapped) override {
        return MessageKey(suite, TRY(key_of(number))).open(context, wrapped);
    }

 private:
    Result<SecretKey> key_of(unsigned number) const {
        const std::string path = kek_path(folder_, number);
        auto key = read_key_file(path);
        if (key) return key;
        Error error = std::move(key).error();
        error.where = path;
        if (error.category == Category::not_found) {
            error.category = Category::conflict;
            error.message =
                "the record's data keys lie under a key that is not here: copy it from the safe, "
                "or from the data folder of another server of this record, to this place";
        }
        return std::unexpected(std::move(error));
    }

    std::string folder_;
};

constexpr Option token_options[] = {
    {.key = "module", .fallback = "", .help = "path of the PKCS#11 library of the token"},
    {.key = "token", .fallback = "", .help = "label of the token"},
    {.key = "pin_file", .fallback = "", .help = "file whose first line is the user's PIN"},
};

}  // namespace

std::string kek_path(const std::string& folder, unsigned number) {
    return fmt::format("{}/keys/{}{}{}", folder, stem, number, ending);
}

std::unique_ptr<KekProvider> file_keks(const std::string& folder) {
    return std::make_unique<FileKeks>(folder);
}

Result<std::unique_ptr<KekProvider>> keks_of(const std::string& folder) {
    const std::string path = folder + "/keys/pkcs11.toml";
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored)) return file_keks(folder);
    Config config(token_options);
    TRY(config.read_file(path));
    return token_keks({.module = config.text("module"),
                       .token = config.text("token"),
                       .pin_file = config.text("pin_file")});
}

}  // namespace meridian::trust

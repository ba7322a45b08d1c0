// SPDX-License-Identifier: Apache-2.0
#include "server/erasures.hpp"

#include <filesystem>

namespace meridian::server {

namespace {

namespace fs = std::filesystem;

Result<void> close_account(trust::Accounts& accounts, const trust::Account& account) {
    TRY(accounts.set_disabled(account.name, true));
    for (const trust::Passkey& passkey : account.passkeys) {
        const auto removed = accounts.remove_passkey(account.name, passkey.id);
        if (!removed && removed.error().category != Category::not_found) return removed;
    }
    for (const trust::FederatedIdentity& identity : account.identities) {
        const auto removed = accounts.unlink(account.name, identity);
        if (!removed && removed.error().category != Category::not_found) return removed;
    }
    TRY(accounts.remove_totp(account.name));
    TRY(accounts.change(account.name, [](trust::Account& closed, auto&) -> Result<void> {
        closed.display_name.clear();
        closed.password.clear();
        return {};
    }));
    return {};
}

Result<void> close_accounts(trust::Accounts& accounts, const std::set<std::string>& patients) {
    for (std::string after;;) {
        const auto part = TRY(accounts.list(after));
        if (part.empty()) return {};
        after = part.back().name;
        for (const trust::Account& account : part) {
            if (patients.contains(account.person)) TRY(close_account(accounts, account));
        }
    }
}

/// Of all exports: which of them hold the person, only the files themselves would tell.
Result<void> remove_exported(const std::string& folder) {
    std::error_code error;
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder, error)) {
        if (entry.path().extension() == ".ndjson") files.push_back(entry.path());
    }
    for (const fs::path& file : files) {
        fs::remove(file, error);
        if (error)
            return fail(Category::unavailable,
                        fmt::format("a file of an export cannot be removed: {}", error.message()),
                        file.string());
    }
    return {};
}

}  // namespace

Result<std::string> erase(Guard& guard, fhir::Repository& repository,
                          trust::ErasureRequest request) {
    request.besides = [&guard](const std::set<std::string>& patients) -> Result<void> {
        TRY(remove_exported(guard.folder() + "/exports"));
        return close_accounts(guard.accounts(), patients);
    };
    return trust::erase_person(repository, guard.keys(), guard.folder(), request);
}

}  // namespace meridian::server

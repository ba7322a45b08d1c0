// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "fhir/repository.hpp"
#include "store/store.hpp"
#include "trust/accounts/account.hpp"
#include "trust/audit/log_audit.hpp"
#include "trust/keys/key_ring.hpp"
#include "trust/tokens.hpp"
#include "trust/vault.hpp"

namespace meridian::server {

/// What every process needs that knows who may do what: the server, and the commands for accounts
/// on the machine that owns the data folder.
class Guard {
 public:
    /// Opens the keys of `folder`, which are made when `store` is new. `refused_passwords` is the
    /// operator's own list (trust::RefusedPasswords); empty: none. Errors: as
    /// trust::open_master_key and RefusedPasswords::read. `store` must outlive it.
    static Result<std::unique_ptr<Guard>> open(store::Store& store, const std::string& folder,
                                               const std::string& refused_passwords = {});

    /// Seals and opens bodies with the keys of the record, which are made when it is new.
    std::shared_ptr<const fhir::Cipher> cipher() const { return cipher_; }
    /// The ring behind it.
    trust::KeyRing& keys() { return *keys_; }
    const std::string& folder() const { return folder_; }
    trust::audit::LogAudit& audit() { return *audit_; }
    /// What a Repository of the guarded record is opened with. `base_url` is asked for by the
    /// audit's projection each time.
    void protect(fhir::Repository::Options& options, std::function<std::string()> base_url) const;

    const trust::SecretKey& master() const { return master_; }
    trust::Vault& vault() { return *vault_; }
    trust::Accounts& accounts() { return *accounts_; }
    const trust::Tokens& tokens() const { return tokens_; }

    /// Whether what a token says still holds: its account is there, enabled, and has the role that
    /// it had; neither session nor grant was revoked. Errors: `unauthenticated`, in the words of a
    /// token that is none; `unavailable`. Blocking: two look-ups.
    Result<void> check_standing(const trust::Tokens::Token& token);
    /// A token for an account, as a person on this machine may have it made: for `lifetime`,
    /// narrowed to `scopes` unless there are none. Errors: `not_found`; `forbidden` for a disabled
    /// account.
    Result<std::string> issue_token(std::string_view account, std::vector<std::string> scopes,
                                    std::chrono::seconds lifetime);

 private:
    Guard(store::Store& store, std::string folder, const trust::SecretKey& master)
        : store_(store), folder_(std::move(folder)), master_(master), tokens_(master) {}
    store::Store& store_;
    std::string folder_;
    trust::SecretKey master_;
    std::shared_ptr<trust::KeyRing> keys_;
    std::shared_ptr<const fhir::Cipher> cipher_;
    std::shared_ptr<trust::audit::LogAudit> audit_;
    trust::Tokens tokens_;
    std::unique_ptr<trust::Vault> vault_;
    std::unique_ptr<trust::Accounts> accounts_;
};

/// The cipher of a record whose bodies were sealed, for work without a Guard; null for a record
/// that has no keys. Errors: of the keys, as when they are not in `folder`. Blocking: look-ups.
Result<std::shared_ptr<const fhir::Cipher>> cipher_of_sealed(store::Store& store,
                                                             const std::string& folder);

/// Who the account stands for, with nothing proved yet.
trust::Subject subject_of(const trust::Account& account);

}  // namespace meridian::server

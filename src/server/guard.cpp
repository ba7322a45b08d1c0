// SPDX-License-Identifier: Apache-2.0
#include "server/guard.hpp"

#include "base/ids.hpp"
#include "base/log.hpp"
#include "trust/accounts/refused_passwords.hpp"
#include "trust/audit/trail.hpp"
#include "trust/keys/body_cipher.hpp"
#include "trust/keys/kek.hpp"
#include "trust/master_key.hpp"
#include "trust/store_vault.hpp"

namespace meridian::server {

namespace {

/// Where sessions and grants that were taken back are listed, by their ids.
constexpr std::string_view revoked_space = "revoked";

std::unexpected<Error> no_longer_valid() {
    return fail(Category::unauthenticated, "the access token is not valid, or no longer");
}

/// Whose entries somebody may see: those who may see everything and the audit's administrators all,
/// a patient who has seen their record, everybody else what they did themselves.
trust::audit::AuditScope audit_scope(const fhir::Caller& caller) {
    using Kind = trust::audit::AuditScope::Kind;
    const auto role = caller.origin ? trust::role_named(caller.origin->role) : std::nullopt;
    if (caller.access->sees_everything() || role == trust::Role::audit_admin)
        return {.kind = Kind::everything};
    if (!role) return {.kind = Kind::nothing};
    constexpr std::string_view patient = "Patient/";
    if (role == trust::Role::patient && caller.actor.starts_with(patient))
        return {.kind = Kind::patients, .patients = {caller.actor.substr(patient.size())}};
    return {.kind = Kind::actor};
}

}  // namespace

Result<std::unique_ptr<Guard>> Guard::open(store::Store& store, const std::string& folder,
                                           const std::string& refused_passwords) {
    trust::Accounts::Options accounts;
    if (!refused_passwords.empty()) {
        const auto list = TRY(trust::RefusedPasswords::read(refused_passwords));
        accounts.also_refused = [list](std::string_view normal) { return list->contains(normal); };
        log::info(
            "passwords that nobody may choose were read",
            {{"file", refused_passwords}, {"count", static_cast<std::int64_t>(list->size())}});
    }
    std::unique_ptr<Guard> guard(
        new Guard(store, folder, TRY(trust::open_master_key(store, folder))));
    guard->keys_ = TRY(trust::open_keys(store, folder, {.background = true}));
    guard->cipher_ = trust::body_cipher(guard->keys_);
    guard->audit_ = std::make_shared<trust::audit::LogAudit>(
        store, [keys = guard->keys_](std::string_view text) {
            return keys->keyed_hash("audit query", text);
        });
    guard->vault_ = trust::store_vault(store, guard->master_);
    guard->accounts_ = std::make_unique<trust::Accounts>(*guard->vault_, std::move(accounts));
    return guard;
}

Result<std::shared_ptr<const fhir::Cipher>> cipher_of_sealed(store::Store& store,
                                                             const std::string& folder) {
    auto ring = trust::KeyRing::open(trust::key_rows_of(store), TRY(trust::keks_of(folder)),
                                     {.create = false});
    if (ring) return trust::body_cipher(*std::move(ring));
    if (ring.error().category == Category::not_found) return std::shared_ptr<const fhir::Cipher>();
    return std::unexpected(ring.error());
}

void Guard::protect(fhir::Repository::Options& options,
                    std::function<std::string()> base_url) const {
    options.cipher = cipher_;
    options.audit = audit_;
    options.trail = trust::audit::trail(store_, std::move(base_url), audit_scope);
}

trust::Subject subject_of(const trust::Account& account) {
    trust::Subject subject;
    subject.account = account.name;
    subject.role = account.role;
    subject.person = account.person;
    subject.organisation = account.organisation;
    return subject;
}

Result<void> Guard::check_standing(const trust::Tokens::Token& token) {
    const auto account = TRY(accounts_->find(token.subject.account));
    const bool is_same = account && !account->disabled && account->role == token.subject.role &&
                         account->person == token.subject.person &&
                         account->created <= token.issued;
    if (!is_same) return no_longer_valid();
    const std::string& session = token.subject.session;
    if (!session.empty() && TRY(vault_->get(revoked_space, session))) return no_longer_valid();
    return {};
}

Result<std::string> Guard::issue_token(std::string_view account, std::vector<std::string> scopes,
                                       std::chrono::seconds lifetime) {
    const auto found = TRY(accounts_->find(account));
    if (!found)
        return fail(Category::not_found,
                    fmt::format("there is no account \"{}\"; `meridian account list` shows all",
                                account.substr(0, 80)));
    if (found->disabled)
        return fail(Category::forbidden, fmt::format("the account {} is disabled", found->name));
    trust::Subject subject = subject_of(*found);
    subject.scopes = std::move(scopes);
    subject.session = new_uuid();
    subject.authenticated_at = now();
    return tokens_.issue(subject,
                         Instant{now().milliseconds + 1'000 * std::int64_t{lifetime.count()}});
}

}  // namespace meridian::server

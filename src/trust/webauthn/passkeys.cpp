// SPDX-License-Identifier: Apache-2.0
#include "trust/webauthn/passkeys.hpp"

#include "base/hash.hpp"
#include "text/utf8.hpp"
#include "trust/limits.hpp"
#include "trust/webauthn/credential.hpp"

namespace meridian::trust {

namespace {

constexpr std::string_view challenges_space = "passkey-challenge";
constexpr std::size_t challenge_bytes = 32;

std::string purpose_of(std::string_view ceremony, const Account* account) {
    return fmt::format("{} {}", ceremony, account == nullptr ? "" : account->name);
}

Result<std::string> bytes_at(const Json& answer, std::string_view key) {
    std::string bytes;
    if (!base64url_decode(answer.string_at(key), bytes))
        return fail(Category::incorrect, "is no base64url", std::string(key));
    return bytes;
}

/// The passkeys as WebAuthn's PublicKeyCredentialDescriptors.
Json descriptors(JsonDocument& document, const Account& account) {
    Json list = document.array();
    for (const Passkey& passkey : account.passkeys) {
        Json item = document.object();
        document.set(item, "type", document.string("public-key"));
        document.set(item, "id", document.string(base64url_encode(passkey.id)));
        document.append(list, item);
    }
    return list;
}

}  // namespace

Result<std::string> Passkeys::new_challenge(std::string_view purpose) {
    std::string challenge = random_bytes(challenge_bytes);
    const std::int64_t life = std::int64_t{limits::passkey_challenge_minutes} * 60'000;
    std::vector<Vault::Entry> entries;
    entries.push_back({.space = std::string(challenges_space),
                       .key = to_hex(sha256(challenge)),
                       .value = std::string(purpose),
                       .expires = Instant{options_.clock().milliseconds + life}});
    if (!TRY(vault_.put(std::move(entries))))
        return fail(Category::conflict, "a challenge could not be made; try again");
    return challenge;
}

Result<void> Passkeys::use_challenge(std::string_view challenge, std::string_view purpose) {
    const auto refused = [] {
        return fail(Category::unauthenticated, "the challenge is used up, too old or not ours",
                    "challenge");
    };
    auto entry = TRY(vault_.get(challenges_space, to_hex(sha256(challenge))));
    if (!entry || entry->value != purpose) return refused();
    const bool is_over = entry->expires && *entry->expires <= options_.clock();
    entry->removed = true;
    std::vector<Vault::Entry> entries;
    entries.push_back(*std::move(entry));
    if (!TRY(vault_.put(std::move(entries))) || is_over) return refused();
    return {};
}

Result<std::string> Passkeys::begin_registration(const Site& site, const Account& account) {
    const std::string challenge = TRY(new_challenge(purpose_of("create", &account)));
    JsonDocument document;
    Json root = document.object();
    document.set(root, "challenge", document.string(base64url_encode(challenge)));
    Json party = document.object();
    document.set(party, "id", document.string(site.relying_party));
    document.set(party, "name", document.string(options_.name));
    document.set(root, "rp", party);
    Json user = document.object();
    document.set(user, "id", document.string(base64url_encode(account.user_handle)));
    document.set(user, "name", document.string(account.name));
    document.set(
        user, "displayName",
        document.string(account.display_name.empty() ? account.name : account.display_name));
    document.set(root, "user", user);
    Json parameters = document.array();
    for (const std::int64_t algorithm : {cose_eddsa, cose_es256, cose_rs256}) {
        Json item = document.object();
        document.set(item, "type", document.string("public-key"));
        document.set(item, "alg", document.number(algorithm));
        document.append(parameters, item);
    }
    document.set(root, "pubKeyCredParams", parameters);
    document.set(root, "excludeCredentials", descriptors(document, account));
    Json selection = document.object();
    document.set(selection, "residentKey", document.string("preferred"));
    document.set(selection, "requireResidentKey", document.boolean(false));
    document.set(selection, "userVerification", document.string("preferred"));
    document.set(root, "authenticatorSelection", selection);
    document.set(root, "attestation", document.string("none"));
    document.set(root, "timeout", document.number(limits::passkey_ceremony_milliseconds));
    return to_text(root);
}

Result<void> Passkeys::finish_registration(const Site& site, const Account& account,
                                           const Json& answer) {
    const std::string client_data = TRY(bytes_at(answer, "clientDataJSON"));
    const std::string attestation = TRY(bytes_at(answer, "attestationObject"));
    const std::string challenge = TRY(challenge_of(client_data));
    TRY(use_challenge(challenge, purpose_of("create", &account)));
    const AuthenticatorData data = TRY(check_registration({.type = "webauthn.create",
                                                           .challenge = challenge,
                                                           .origins = site.origins,
                                                           .relying_party = site.relying_party},
                                                          client_data, attestation));
    const CredentialKey key = TRY(read_cose_key(data.public_key));
    return accounts_.add_passkey(
        account.name, {.id = data.credential_id,
                       .public_key = data.public_key,
                       .algorithm = key.algorithm,
                       .signature_counter = data.signature_counter,
                       .label = std::string(
                           text::cut(answer.string_at("label"), limits::passkey_label_bytes_max))});
}

Result<std::string> Passkeys::begin_assertion(const Site& site, const Account* account) {
    const std::string challenge = TRY(new_challenge(purpose_of("get", account)));
    JsonDocument document;
    Json root = document.object();
    document.set(root, "challenge", document.string(base64url_encode(challenge)));
    document.set(root, "rpId", document.string(site.relying_party));
    document.set(root, "userVerification",
                 document.string(account == nullptr ? "required" : "preferred"));
    document.set(root, "timeout", document.number(limits::passkey_ceremony_milliseconds));
    if (account != nullptr) document.set(root, "allowCredentials", descriptors(document, *account));
    return to_text(root);
}

Result<Passkeys::Asserted> Passkeys::finish_assertion(const Site& site, const Account* account,
                                                      const Json& answer) {
    const auto refused = [] {
        return fail(Category::unauthenticated, "the passkey does not fit", "passkey");
    };
    const std::string id = TRY(bytes_at(answer, "id"));
    const std::string client_data = TRY(bytes_at(answer, "clientDataJSON"));
    const std::string data = TRY(bytes_at(answer, "authenticatorData"));
    const std::string signature = TRY(bytes_at(answer, "signature"));
    const std::string user_handle = TRY(bytes_at(answer, "userHandle"));
    const std::string challenge = TRY(challenge_of(client_data));
    TRY(use_challenge(challenge, purpose_of("get", account)));

    const std::optional<Account> owner = TRY(accounts_.find_by_passkey(id));
    if (!owner || owner->disabled) return refused();
    if (account != nullptr && owner->name != account->name) return refused();
    // WebAuthn level 2 §7.2 step 6: a passkey that says whose it is must say the owner's handle;
    // without an account known before it has to say it.
    if (user_handle.empty() ? account == nullptr : user_handle != owner->user_handle)
        return refused();
    const auto passkey = std::find_if(owner->passkeys.begin(), owner->passkeys.end(),
                                      [&](const Passkey& own) { return own.id == id; });
    if (passkey == owner->passkeys.end()) return refused();
    const AuthenticatorData checked =
        TRY(check_assertion({.type = "webauthn.get",
                             .challenge = challenge,
                             .origins = site.origins,
                             .relying_party = site.relying_party,
                             .user_verification = account == nullptr},
                            passkey->public_key, client_data, data, signature));
    Account used = TRY(accounts_.passkey_used(owner->name, id, checked.signature_counter));
    return Asserted{std::move(used), checked.user_verified};
}

}  // namespace meridian::trust

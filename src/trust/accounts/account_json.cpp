// SPDX-License-Identifier: Apache-2.0
#include <charconv>

#include "base/hash.hpp"
#include "base/json.hpp"
#include "trust/accounts/account.hpp"

namespace meridian::trust {

namespace {

constexpr std::int64_t form_version = 1;

Json numbers_of(JsonDocument& document, Instant instant) {
    return document.number(instant.milliseconds);
}

Json written(JsonDocument& document, const Totp& totp) {
    Json out = document.object();
    document.set(out, "secret", document.string(base64url_encode(totp.secret)));
    document.set(out, "lastStep", document.number(totp.last_step));
    document.set(out, "created", numbers_of(document, totp.created));
    return out;
}

Json written(JsonDocument& document, const Passkey& passkey) {
    Json out = document.object();
    document.set(out, "id", document.string(base64url_encode(passkey.id)));
    document.set(out, "publicKey", document.string(base64url_encode(passkey.public_key)));
    document.set(out, "algorithm", document.number(passkey.algorithm));
    document.set(out, "counter", document.number(std::int64_t{passkey.signature_counter}));
    document.set(out, "label", document.string(passkey.label));
    document.set(out, "created", numbers_of(document, passkey.created));
    if (passkey.used) document.set(out, "used", numbers_of(document, *passkey.used));
    return out;
}

Json written(JsonDocument& document, const std::vector<std::string>& texts) {
    Json out = document.array();
    for (const std::string& text : texts) document.append(out, document.string(text));
    return out;
}

std::unexpected<Error> unreadable(std::string_view part) {
    return fail(Category::fault, "a stored account cannot be read", std::string(part));
}

Result<std::int64_t> integer_at(const Json& object, std::string_view key) {
    const Json& node = object[key];
    const std::string_view digits = node.text();
    std::int64_t value = 0;
    const auto [end, problem] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (!node.is_number() || problem != std::errc() || end != digits.data() + digits.size())
        return unreadable(key);
    return value;
}

Result<Instant> instant_at(const Json& object, std::string_view key) {
    return Instant{TRY(integer_at(object, key))};
}

Result<std::optional<Instant>> instant_if_there(const Json& object, std::string_view key) {
    if (object.find(key) == nullptr) return std::nullopt;
    return TRY(instant_at(object, key));
}

Result<std::string> bytes_at(const Json& object, std::string_view key) {
    std::string bytes;
    if (!base64url_decode(object.string_at(key), bytes)) return unreadable(key);
    return bytes;
}

Result<std::optional<Totp>> totp_at(const Json& object, std::string_view key) {
    const Json* const node = object.find(key);
    if (node == nullptr) return std::nullopt;
    return Totp{.secret = TRY(bytes_at(*node, "secret")),
                .last_step = TRY(integer_at(*node, "lastStep")),
                .created = TRY(instant_at(*node, "created"))};
}

Result<Passkey> passkey_of(const Json& node) {
    const std::int64_t counter = TRY(integer_at(node, "counter"));
    if (counter < 0 || counter > UINT32_MAX) return unreadable("counter");
    return Passkey{.id = TRY(bytes_at(node, "id")),
                   .public_key = TRY(bytes_at(node, "publicKey")),
                   .algorithm = TRY(integer_at(node, "algorithm")),
                   .signature_counter = static_cast<std::uint32_t>(counter),
                   .label = std::string(node.string_at("label")),
                   .created = TRY(instant_at(node, "created")),
                   .used = TRY(instant_if_there(node, "used"))};
}

std::vector<std::string> texts_at(const Json& object, std::string_view key) {
    std::vector<std::string> texts;
    for (const Json& item : object[key].items()) texts.emplace_back(item.text());
    return texts;
}

}  // namespace

std::string to_json(const Account& account) {
    JsonDocument document;
    Json root = document.object();
    document.set(root, "form", document.number(form_version));
    document.set(root, "name", document.string(account.name));
    document.set(root, "role", document.string(name_of(account.role)));
    document.set(root, "person", document.string(account.person));
    document.set(root, "organisation", document.string(account.organisation));
    document.set(root, "displayName", document.string(account.display_name));
    document.set(root, "disabled", document.boolean(account.disabled));
    document.set(root, "created", numbers_of(document, account.created));
    document.set(root, "userHandle", document.string(base64url_encode(account.user_handle)));
    document.set(root, "password", document.string(account.password));
    if (account.password_changed)
        document.set(root, "passwordChanged", numbers_of(document, *account.password_changed));
    if (account.totp) document.set(root, "totp", written(document, *account.totp));
    if (account.totp_waiting)
        document.set(root, "totpWaiting", written(document, *account.totp_waiting));
    document.set(root, "recovery", written(document, account.recovery_codes));
    document.set(root, "recoveryWaiting", written(document, account.recovery_codes_waiting));
    Json passkeys = document.array();
    for (const Passkey& passkey : account.passkeys)
        document.append(passkeys, written(document, passkey));
    document.set(root, "passkeys", passkeys);
    Json identities = document.array();
    for (const FederatedIdentity& identity : account.identities) {
        Json item = document.object();
        document.set(item, "issuer", document.string(identity.issuer));
        document.set(item, "subject", document.string(identity.subject));
        document.append(identities, item);
    }
    document.set(root, "identities", identities);
    document.set(root, "devicesKnownFrom", numbers_of(document, account.devices_known_from));
    return to_text(root);
}

Result<Account> account_from_json(std::string_view json) {
    const auto document = JsonDocument::parse(json);
    // The parser's message may quote what is stored: say nothing of it.
    if (!document || !document->root().is_object()) return unreadable("json");
    const Json& root = document->root();
    if (TRY(integer_at(root, "form")) != form_version)
        return fail(Category::fault,
                    "a stored account is of a form that this program does not know");
    const std::optional<Role> role = role_named(root.string_at("role"));
    if (!role) return unreadable("role");
    Account account{.name = std::string(root.string_at("name")),
                    .role = *role,
                    .person = std::string(root.string_at("person")),
                    .organisation = std::string(root.string_at("organisation")),
                    .display_name = std::string(root.string_at("displayName")),
                    .disabled = root["disabled"].boolean(),
                    .created = TRY(instant_at(root, "created")),
                    .user_handle = TRY(bytes_at(root, "userHandle")),
                    .password = std::string(root.string_at("password")),
                    .password_changed = TRY(instant_if_there(root, "passwordChanged")),
                    .totp = TRY(totp_at(root, "totp")),
                    .totp_waiting = TRY(totp_at(root, "totpWaiting")),
                    .recovery_codes = texts_at(root, "recovery"),
                    .recovery_codes_waiting = texts_at(root, "recoveryWaiting"),
                    .devices_known_from = TRY(instant_at(root, "devicesKnownFrom"))};
    for (const Json& node : root["passkeys"].items())
        account.passkeys.push_back(TRY(passkey_of(node)));
    for (const Json& node : root["identities"].items())
        account.identities.push_back(
            {std::string(node.string_at("issuer")), std::string(node.string_at("subject"))});
    if (account.name.empty()) return unreadable("name");
    // A flag that is missing must not enable an account.
    if (!root["disabled"].is_boolean()) return unreadable("disabled");
    return account;
}

}  // namespace meridian::trust

// SPDX-License-Identifier: Apache-2.0
#include <sodium.h>

#include <stdexcept>

#include "base/hash.hpp"
#include "base/utf8.hpp"
#include "text/letter_case.hpp"
#include "text/normal_form.hpp"
#include "trust/accounts/account.hpp"
#include "trust/accounts/one_time_code.hpp"
#include "trust/accounts/password.hpp"

namespace meridian::trust {

namespace {

constexpr std::string_view accounts_space = "account";
constexpr std::string_view administrators_space = "account-administrator";
constexpr std::string_view last_administrator_space = "account-last-administrator";
constexpr std::string_view identities_space = "account-identity";
constexpr std::string_view passkeys_space = "account-passkey";

/// Issuers, subjects and credential ids are longer than a vault's key may be.
std::string index_key(const FederatedIdentity& identity) {
    return to_hex(sha256(identity.issuer + '\0' + identity.subject));
}
std::string index_key(std::string_view passkey_id) {
    return to_hex(sha256(passkey_id));
}

Vault::Entry made(std::string_view space, std::string key, std::string value) {
    return {.space = std::string(space), .key = std::move(key), .value = std::move(value)};
}

std::unexpected<Error> not_you(std::string_view text) {
    return fail(Category::unauthenticated, std::string(text));
}

Result<void> check_text(std::string_view text, std::string_view where) {
    if (text.size() > limits::account_text_bytes_max || !is_valid_utf8(text))
        return fail(
            Category::incorrect,
            fmt::format("is longer than {} bytes or no UTF-8", limits::account_text_bytes_max),
            std::string(where));
    return {};
}

/// "Practitioner/7" of one of `types`.
Result<void> check_reference(std::string_view reference, std::string_view where,
                             std::initializer_list<std::string_view> types) {
    if (reference.empty()) return {};
    TRY(check_text(reference, where));
    const std::size_t slash = reference.find('/');
    const bool is_known =
        std::find(types.begin(), types.end(), reference.substr(0, slash)) != types.end();
    if (!is_known || slash == std::string_view::npos || slash + 1 == reference.size())
        return fail(Category::incorrect,
                    fmt::format("must be a reference to {}", fmt::join(types, ", ")),
                    std::string(where));
    return {};
}

std::size_t character_length(unsigned char first) {
    return first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

/// The unified ideographs of the basic plane in UTF-8: U+3400–4DBF and U+4E00–9FFF.
bool is_chinese(std::string_view character) {
    return (character >= "\u3400" && character <= "\u4dbf") ||
           (character >= "\u4e00" && character <= "\u9fff");
}

}  // namespace

Result<std::string> account_name(std::string_view text) {
    constexpr std::string_view rule =
        "an account's name holds letters a-z, digits, Chinese characters and . _ - @ +, and begins "
        "with one of the first three";
    if (text.empty() || text.size() > limits::account_name_bytes_max || !is_valid_utf8(text))
        return fail(Category::incorrect, std::string(rule), "name");
    std::string name = text::to_lower(text::to_nfkc(text));
    if (name.size() > limits::account_name_bytes_max)
        return fail(Category::incorrect, std::string(rule), "name");
    for (std::size_t at = 0; at < name.size();) {
        const std::size_t length = character_length(static_cast<unsigned char>(name[at]));
        const std::string_view character = std::string_view(name).substr(at, length);
        const char c = name[at];
        const bool is_letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                               (length == 3 && is_chinese(character));
        const bool is_mark =
            length == 1 && std::string_view("._-@+").find(c) != std::string_view::npos;
        if (!is_letter && (!is_mark || at == 0))
            return fail(Category::incorrect, std::string(rule), "name");
        at += length;
    }
    return name;
}

/// Argon2id, a bounded number at a time.
class Accounts::Hashing {
 public:
    explicit Hashing(const Options& options)
        : operations_(options.argon2_operations),
          memory_bytes_(options.argon2_memory_bytes),
          gate_(options.argon2_at_once_max, limits::argon2_waiting_max) {
        if (sodium_init() < 0) throw std::runtime_error("libsodium cannot start");
    }

    Result<std::string> hash(std::string_view normal) {
        const Passage passage = TRY(pass());
        char out[crypto_pwhash_STRBYTES] = {};
        if (crypto_pwhash_str_alg(out, normal.data(), normal.size(), operations_, memory_bytes_,
                                  crypto_pwhash_ALG_ARGON2ID13) != 0)
            return fail(Category::busy, "there is no memory to compute with; try again");
        return std::string(out);
    }

    Result<bool> fits(const std::string& stored, std::string_view normal) {
        const Passage passage = TRY(pass());
        return crypto_pwhash_str_verify(stored.c_str(), normal.data(), normal.size()) == 0;
    }

    bool is_outdated(const std::string& stored) const {
        return crypto_pwhash_str_needs_rehash(stored.c_str(), operations_, memory_bytes_) != 0;
    }

    /// A hash that no password fits, of the same cost: what is computed when there is no account,
    /// so that the time does not tell.
    Result<std::string> decoy() {
        const std::lock_guard lock(decoy_mutex_);
        if (decoy_.empty()) decoy_ = TRY(hash(random_bytes(32)));
        return decoy_;
    }

 private:
    struct Leave {
        void operator()(Gate* gate) const { gate->leave(); }
    };
    using Passage = std::unique_ptr<Gate, Leave>;
    Result<Passage> pass() {
        TRY(gate_.enter());
        return Passage(&gate_);
    }

    unsigned long long operations_;
    std::size_t memory_bytes_;
    Gate gate_;
    std::mutex decoy_mutex_;
    std::string decoy_;
};

Accounts::Accounts(Vault& vault, Options options)
    : vault_(vault), options_(std::move(options)), hashing_(std::make_unique<Hashing>(options_)) {}
Accounts::~Accounts() = default;

Result<Account> Accounts::add(const NewAccount& wanted, std::vector<Vault::Entry> together) {
    TRY(check_text(wanted.display_name, "display_name"));
    TRY(check_reference(wanted.organisation, "organisation", {"Organization"}));
    TRY(check_reference(wanted.person, "person",
                        {"Practitioner", "Patient", "RelatedPerson", "Device", "Person"}));
    Account account{.name = TRY(account_name(wanted.name)),
                    .role = wanted.role,
                    .person = wanted.person,
                    .organisation = wanted.organisation,
                    .display_name = wanted.display_name,
                    .created = options_.clock(),
                    .user_handle = random_bytes(32)};
    if (!wanted.password.empty()) {
        account.password = TRY(hashing_->hash(TRY(chosen(wanted.password, account))));
        account.password_changed = account.created;
    }
    if (is_administrator(account.role)) {
        if (account.person.empty())
            return fail(Category::incorrect,
                        "an administrator must be a person who is named, so that nobody holds two "
                        "of the three roles",
                        "person");
        // One entry for each person: the second administrator role of a person finds it there.
        together.push_back(made(administrators_space, account.person, account.name));
    }
    together.push_back(made(accounts_space, account.name, to_json(account)));
    if (!TRY(vault_.put(std::move(together))))
        return fail(Category::conflict,
                    "an account of this name exists, or the person is an administrator already");
    account.version = 1;
    return account;
}

Result<void> Accounts::check(const NewAccount& wanted) {
    const std::string name = TRY(account_name(wanted.name));
    TRY(check_text(wanted.display_name, "display_name"));
    TRY(chosen(wanted.password, {.name = name, .display_name = wanted.display_name}));
    if (TRY(find(name))) return fail(Category::conflict, "an account of this name exists");
    return {};
}

Result<std::optional<Account>> Accounts::find(std::string_view name) {
    const auto folded = account_name(name);
    if (!folded) return std::nullopt;
    const auto entry = TRY(vault_.get(accounts_space, *folded));
    if (!entry) return std::nullopt;
    Account account = TRY(account_from_json(entry->value));
    account.version = entry->version;
    return account;
}

Result<std::vector<Account>> Accounts::list(std::string_view after, std::size_t limit) {
    std::vector<Account> accounts;
    for (const Vault::Entry& entry :
         TRY(vault_.list(accounts_space, after, std::min(limit, limits::accounts_listed_max)))) {
        accounts.push_back(TRY(account_from_json(entry.value)));
        accounts.back().version = entry.version;
    }
    return accounts;
}

Result<bool> Accounts::has_administrator() {
    return !TRY(vault_.list(administrators_space, "", 1)).empty();
}

Result<Account> Accounts::change(std::string_view name, const Change& change) {
    for (unsigned attempt = 0; attempt < limits::account_write_attempts_max; ++attempt) {
        std::optional<Account> account = TRY(find(name));
        if (!account) return fail(Category::not_found, "there is no such account");
        std::vector<Vault::Entry> together;
        TRY(change(*account, together));
        Vault::Entry entry = made(accounts_space, account->name, to_json(*account));
        entry.version = account->version;
        together.push_back(std::move(entry));
        if (TRY(vault_.put(std::move(together)))) {
            ++account->version;
            return *std::move(account);
        }
    }
    return fail(Category::conflict, "the account is being changed by others; try again");
}

Result<void> Accounts::set_disabled(std::string_view name, bool disabled) {
    TRY(change(name, [&](Account& account, std::vector<Vault::Entry>& together) -> Result<void> {
        if (disabled && !account.disabled && account.role == Role::security_admin)
            TRY(keep_one_security_administrator(account, together));
        account.disabled = disabled;
        return {};
    }));
    return {};
}

Result<void> Accounts::keep_one_security_administrator(const Account& leaving,
                                                       std::vector<Vault::Entry>& together) {
    // Two who disable one another at the same time both write this entry: one of them reads again.
    auto turn = TRY(vault_.get(last_administrator_space, "turn"));
    if (!turn) turn = made(last_administrator_space, "turn", "");
    for (std::string after;;) {
        const auto part =
            TRY(vault_.list(administrators_space, after, limits::accounts_listed_max));
        if (part.empty()) break;
        for (const Vault::Entry& administrator : part) {
            const auto account = TRY(find(administrator.value));
            if (!account || account->name == leaving.name || account->disabled ||
                account->role != Role::security_admin)
                continue;
            turn->value = leaving.name;
            together.push_back(*std::move(turn));
            return {};
        }
        after = part.back().key;
    }
    return fail(Category::conflict,
                "this is the last security administrator: without one nobody could open an account "
                "again",
                "last-security-admin");
}

Result<void> Accounts::change_role(std::string_view name, Role role) {
    TRY(change(name, [&](Account& account, auto&) -> Result<void> {
        if (is_administrator(account.role) || is_administrator(role))
            return fail(Category::forbidden,
                        "an administrator's role does not change: make another account");
        account.role = role;
        return {};
    }));
    return {};
}

// --- passwords ---

Result<std::string> Accounts::chosen(std::string_view password, const Account& account) const {
    std::string normal = TRY(chosen_password(password, {.name = account.name,
                                                        .display_name = account.display_name,
                                                        .organisation = account.organisation,
                                                        .person = account.person}));
    if (options_.also_refused && options_.also_refused(normal))
        return fail(Category::incorrect, "the password is known to attackers", "common");
    return normal;
}

Result<void> Accounts::set_password(std::string_view name, std::string_view password,
                                    const std::vector<Vault::Entry>& together) {
    const std::optional<Account> before = TRY(find(name));
    if (!before) return fail(Category::not_found, "there is no such account");
    const std::string hash = TRY(hashing_->hash(TRY(chosen(password, *before))));
    TRY(change(name, [&](Account& account, std::vector<Vault::Entry>& written) -> Result<void> {
        account.password = hash;
        account.password_changed = options_.clock();
        written = together;
        return {};
    }));
    return {};
}

Result<Account> Accounts::verify_password(std::string_view name, std::string_view password) {
    constexpr std::string_view refusal = "name or password is wrong";
    const auto normal = normal_password(password);
    if (!normal) return not_you(refusal);
    std::optional<Account> account = TRY(find(name));
    const bool has_password = account && !account->password.empty();
    const std::string decoy = TRY(hashing_->decoy());
    const std::string& stored = has_password ? account->password : decoy;
    const bool fits = TRY(hashing_->fits(stored, *normal));
    if (!has_password || !fits || account->disabled) return not_you(refusal);
    if (!hashing_->is_outdated(stored)) return *std::move(account);
    const std::string hash = TRY(hashing_->hash(*normal));
    return change(name, [&](Account& current, auto&) -> Result<void> {
        // Somebody may have set another password meanwhile: that one stays.
        if (current.password == stored) current.password = hash;
        return {};
    });
}

// --- one-time codes ---

Result<TotpEnrolment> Accounts::begin_totp(std::string_view name) {
    const std::string secret = random_bytes(limits::totp_secret_bytes);
    const Account account = TRY(change(name, [&](Account& changed, auto&) -> Result<void> {
        changed.totp_waiting = Totp{.secret = secret, .created = options_.clock()};
        return {};
    }));
    return TotpEnrolment{base32(secret), totp_uri(options_.issuer, account.name, secret)};
}

Result<void> Accounts::confirm_totp(std::string_view name, std::string_view code) {
    TRY(change(name, [&](Account& account, auto&) -> Result<void> {
        if (!account.totp_waiting)
            return fail(Category::conflict, "no one-time codes wait to be confirmed");
        const auto step =
            matching_totp_step(account.totp_waiting->secret, code, options_.clock(), 0);
        if (!step) return not_you("the code does not fit");
        account.totp = account.totp_waiting;
        account.totp->last_step = *step;
        account.totp_waiting.reset();
        return {};
    }));
    return {};
}

Result<void> Accounts::remove_totp(std::string_view name) {
    TRY(change(name, [&](Account& account, auto&) -> Result<void> {
        account.totp.reset();
        account.totp_waiting.reset();
        if (!account.has_second_factor()) {
            account.recovery_codes.clear();
            account.recovery_codes_waiting.clear();
        }
        return {};
    }));
    return {};
}

Result<void> Accounts::verify_totp(std::string_view name, std::string_view code) {
    TRY(change(name, [&](Account& account, auto&) -> Result<void> {
        if (account.disabled || !account.totp) return not_you("the code does not fit");
        const auto step = matching_totp_step(account.totp->secret, code, options_.clock(),
                                             account.totp->last_step);
        if (!step) return not_you("the code does not fit");
        account.totp->last_step = *step;
        return {};
    }));
    return {};
}

Result<std::vector<std::string>> Accounts::begin_recovery_codes(std::string_view name) {
    std::vector<std::string> codes = new_recovery_codes();
    TRY(change(name, [&](Account& account, auto&) -> Result<void> {
        if (!account.has_second_factor())
            return fail(Category::conflict,
                        "recovery codes need a second factor that they replace");
        account.recovery_codes_waiting.clear();
        for (const std::string& code : codes)
            account.recovery_codes_waiting.push_back(recovery_code_hash(code));
        return {};
    }));
    return codes;
}

Result<void> Accounts::confirm_recovery_codes(std::string_view name, std::string_view code) {
    const std::string hash = recovery_code_hash(code);
    TRY(change(name, [&](Account& account, auto&) -> Result<void> {
        auto& waiting = account.recovery_codes_waiting;
        if (waiting.empty())
            return fail(Category::conflict, "no recovery codes wait to be confirmed");
        if (std::find(waiting.begin(), waiting.end(), hash) == waiting.end())
            return not_you("this is none of the new recovery codes");
        account.recovery_codes = std::move(waiting);
        waiting.clear();
        return {};
    }));
    return {};
}

Result<void> Accounts::verify_recovery_code(std::string_view name, std::string_view code) {
    const std::string hash = recovery_code_hash(code);
    TRY(change(name, [&](Account& account, auto&) -> Result<void> {
        if (account.disabled || std::erase(account.recovery_codes, hash) == 0)
            return not_you("the code does not fit");
        return {};
    }));
    return {};
}

// --- passkeys ---

Result<void> Accounts::add_passkey(std::string_view name, Passkey passkey) {
    TRY(check_text(passkey.label, "label"));
    const std::string key = index_key(passkey.id);
    if (TRY(vault_.get(passkeys_space, key)))
        return fail(Category::conflict, "this passkey belongs to an account already");
    passkey.created = options_.clock();
    TRY(change(name, [&](Account& account, std::vector<Vault::Entry>& together) -> Result<void> {
        if (account.passkeys.size() >= limits::account_passkeys_max)
            return fail(Category::conflict, fmt::format("an account has at most {} passkeys",
                                                        limits::account_passkeys_max));
        account.passkeys.push_back(passkey);
        together.push_back(made(passkeys_space, key, account.name));
        return {};
    }));
    return {};
}

Result<void> Accounts::remove_passkey(std::string_view name, std::string_view id) {
    const std::string key = index_key(id);
    const auto index = TRY(vault_.get(passkeys_space, key));
    TRY(change(name, [&](Account& account, std::vector<Vault::Entry>& together) -> Result<void> {
        const auto removed =
            std::erase_if(account.passkeys, [&](const Passkey& own) { return own.id == id; });
        if (removed == 0) return fail(Category::not_found, "there is no such passkey");
        if (!account.has_second_factor()) account.recovery_codes.clear();
        if (index) {
            Vault::Entry entry = made(passkeys_space, key, "");
            entry.version = index->version;
            entry.removed = true;
            together.push_back(std::move(entry));
        }
        return {};
    }));
    return {};
}

Result<void> Accounts::remove_second_factors(std::string_view name) {
    TRY(change(name, [&](Account& account, std::vector<Vault::Entry>& together) -> Result<void> {
        for (const Passkey& passkey : account.passkeys) {
            auto index = TRY(vault_.get(passkeys_space, index_key(passkey.id)));
            if (!index) continue;
            index->removed = true;
            together.push_back(*std::move(index));
        }
        account.passkeys.clear();
        account.totp.reset();
        account.totp_waiting.reset();
        account.recovery_codes.clear();
        account.recovery_codes_waiting.clear();
        return {};
    }));
    return {};
}

Result<std::optional<Account>> Accounts::find_by_index(std::string_view space,
                                                       const std::string& key) {
    const auto index = TRY(vault_.get(space, key));
    if (!index) return std::nullopt;
    return find(index->value);
}

Result<std::optional<Account>> Accounts::find_by_passkey(std::string_view id) {
    return find_by_index(passkeys_space, index_key(id));
}

Result<Account> Accounts::passkey_used(std::string_view name, std::string_view id,
                                       std::uint32_t signature_counter) {
    return change(name, [&](Account& account, auto&) -> Result<void> {
        const auto found = std::find_if(account.passkeys.begin(), account.passkeys.end(),
                                        [&](const Passkey& own) { return own.id == id; });
        if (account.disabled || found == account.passkeys.end())
            return not_you("the passkey does not fit");
        const bool counts = signature_counter != 0 || found->signature_counter != 0;
        if (counts && signature_counter <= found->signature_counter)
            return fail(Category::unauthenticated, "the passkey's counter went back", "counter");
        found->signature_counter = signature_counter;
        found->used = options_.clock();
        return {};
    });
}

// --- other providers, devices ---

Result<void> Accounts::link(std::string_view name, const FederatedIdentity& identity) {
    if (identity.issuer.empty() || identity.subject.empty())
        return fail(Category::incorrect, "an identity has an issuer and a subject");
    TRY(check_text(identity.issuer, "issuer"));
    TRY(check_text(identity.subject, "subject"));
    const std::string key = index_key(identity);
    if (TRY(vault_.get(identities_space, key)))
        return fail(Category::conflict, "this identity belongs to an account already");
    TRY(change(name, [&](Account& account, std::vector<Vault::Entry>& together) -> Result<void> {
        if (account.identities.size() >= limits::account_identities_max)
            return fail(Category::conflict, fmt::format("an account has at most {} identities",
                                                        limits::account_identities_max));
        account.identities.push_back(identity);
        together.push_back(made(identities_space, key, account.name));
        return {};
    }));
    return {};
}

Result<void> Accounts::unlink(std::string_view name, const FederatedIdentity& identity) {
    const std::string key = index_key(identity);
    const auto index = TRY(vault_.get(identities_space, key));
    TRY(change(name, [&](Account& account, std::vector<Vault::Entry>& together) -> Result<void> {
        if (std::erase(account.identities, identity) == 0 || !index)
            return fail(Category::not_found, "there is no such identity");
        Vault::Entry entry = made(identities_space, key, "");
        entry.version = index->version;
        entry.removed = true;
        together.push_back(std::move(entry));
        return {};
    }));
    return {};
}

Result<std::optional<Account>> Accounts::find_by_identity(const FederatedIdentity& identity) {
    return find_by_index(identities_space, index_key(identity));
}

Result<void> Accounts::forget_devices(std::string_view name) {
    TRY(change(name, [&](Account& account, auto&) -> Result<void> {
        account.devices_known_from = options_.clock();
        return {};
    }));
    return {};
}

}  // namespace meridian::trust

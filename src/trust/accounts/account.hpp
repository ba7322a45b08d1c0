// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.hpp"
#include "base/result.hpp"
#include "trust/limits.hpp"
#include "trust/role.hpp"
#include "trust/vault.hpp"

namespace meridian::trust {

/// A WebAuthn credential of an account.
struct Passkey {
    std::string id{};            ///< credential id, raw bytes
    std::string public_key{};    ///< COSE_Key as it came (RFC 9052), raw bytes
    std::int64_t algorithm = 0;  ///< COSE: -7 ES256, -8 EdDSA, -257 RS256
    std::uint32_t signature_counter = 0;
    std::string label{};  ///< what the person calls it
    Instant created{};
    std::optional<Instant> used{};
};

/// A time-based one-time password (RFC 6238).
struct Totp {
    std::string secret{};        ///< raw bytes
    std::int64_t last_step = 0;  ///< of the newest code accepted; codes up to it are used up
    Instant created{};
};

/// Who the account is at another OpenID provider.
struct FederatedIdentity {
    std::string issuer{};
    std::string subject{};
    bool operator==(const FederatedIdentity&) const = default;
};

/// Somebody or something that can sign in. Everything here is stored sealed.
struct Account {
    std::string name{};  ///< unique, as folded by account_name()
    Role role = Role::patient;
    std::string person{};  ///< reference: Practitioner/ID, Patient/ID, RelatedPerson/ID, Device/ID
    std::string organisation{};
    std::string display_name{};
    bool disabled = false;
    Instant created{};
    std::string user_handle{};  ///< 32 random bytes by which passkeys know the account
    std::string password{};     ///< Argon2id with its parameters and salt; empty: none
    std::optional<Instant> password_changed{};
    std::optional<Totp> totp{};
    std::optional<Totp> totp_waiting{};         ///< enrolled, but no code was confirmed yet
    std::vector<std::string> recovery_codes{};  ///< SHA-256 in hex of those not used yet
    std::vector<std::string> recovery_codes_waiting{};
    std::vector<Passkey> passkeys{};
    std::vector<FederatedIdentity> identities{};
    /// Devices that were known before this are strangers again (see accounts/device.hpp).
    Instant devices_known_from{};
    std::int64_t version = 0;  ///< of the vault's entry; not stored

    /// Whether a second factor stands behind the password.
    bool has_second_factor() const { return totp.has_value() || !passkeys.empty(); }
};

/// The stored form, JSON with a version number.
std::string to_json(const Account& account);
/// Errors: `fault` for text that is no stored account, or of a version that this program does not
/// know.
Result<Account> account_from_json(std::string_view json);

/// The name in the form in which accounts are kept and looked for: NFKC, lower case. Errors:
/// `incorrect` for a name that is empty, beyond limits::account_name_bytes_max, or holds other
/// characters than Latin letters without accents, digits, Chinese characters and . _ - @ + (so that
/// no two names look alike), or does not begin with a letter, digit or Chinese character.
Result<std::string> account_name(std::string_view text);

/// What is known of an account before it exists.
struct NewAccount {
    std::string name{};
    Role role = Role::patient;
    std::string person{};
    std::string organisation{};
    std::string display_name{};
    std::string password{};  ///< as chosen; empty: none yet
};

/// What an app needs to make codes.
struct TotpEnrolment {
    std::string secret{};  ///< base32, for typing
    std::string uri{};     ///< otpauth://totp/…
};

/// The accounts of a region, in a vault (spaces "account", "account-administrator",
/// "account-identity", "account-passkey"). Thread-safe; several servers may share the vault.
/// Every function looks up or writes the vault and blocks for that; errors of the vault
/// (`unavailable`, `fault`) are passed on and not named again below.
class Accounts {
 public:
    struct Options {
        /// What one Argon2id computation takes. A change is felt by an account at its next sign-in,
        /// when its password is hashed anew.
        unsigned long long argon2_operations = limits::argon2_operations;
        std::size_t argon2_memory_bytes = limits::argon2_memory_bytes;
        unsigned argon2_at_once_max = limits::argon2_at_once_max;
        std::string issuer = "Meridian";  ///< what authenticator apps show beside the name
        /// An operator's own list of breached passwords; asked with the normal form.
        std::function<bool(std::string_view)> also_refused{};
        std::function<Instant()> clock = now;
    };
    Accounts(Vault& vault, Options options);
    ~Accounts();
    Accounts(const Accounts&) = delete;
    Accounts& operator=(const Accounts&) = delete;

    /// Makes an account, with a password when one is given. `together` is written in the same
    /// commit, or nothing is. Errors: `incorrect` for an unsuitable name, reference or password;
    /// `busy` as verify_password; `conflict` when the
    /// name exists, when the person is an administrator already and is to become another, or when
    /// an entry of `together` has changed meanwhile.
    Result<Account> add(const NewAccount& account, std::vector<Vault::Entry> together = {});
    /// Whether add() would take the name and the password. Errors: as add().
    Result<void> check(const NewAccount& account);
    /// Nothing for a name that no account has, or that no account could have.
    Result<std::optional<Account>> find(std::string_view name);
    /// In the order of their names, those after `after`, at most limits::accounts_listed_max.
    Result<std::vector<Account>> list(std::string_view after = {},
                                      std::size_t limit = limits::accounts_listed_max);
    /// Whether one of the three administrators exists.
    Result<bool> has_administrator();

    /// Reads an account, lets `change` alter it, and writes it, again from the start when somebody
    /// else was faster. What `change` adds to `together` is written in the same commit. Errors:
    /// those of `change`; `not_found`; `conflict` after limits::account_write_attempts_max tries.
    using Change = std::function<Result<void>(Account&, std::vector<Vault::Entry>& together)>;
    Result<Account> change(std::string_view name, const Change& change);

    /// A disabled account cannot sign in, and its sessions are not found any more. Errors:
    /// `conflict` for the last security administrator who could enable anybody again.
    Result<void> set_disabled(std::string_view name, bool disabled);
    /// Errors: `forbidden` when the old or the new role is one of the three administrators: an
    /// administrator is made as such, and stays it.
    Result<void> change_role(std::string_view name, Role role);

    /// `together` is written in the same commit. Errors: `incorrect` with what is wrong with the
    /// password (see password.hpp); `busy` as verify_password; `conflict` when an entry of
    /// `together` has changed meanwhile.
    Result<void> set_password(std::string_view name, std::string_view password,
                              const std::vector<Vault::Entry>& together = {});
    /// The account whose name and password these are. Takes as long for a name that does not exist.
    /// Errors: `unauthenticated`, with one text for a wrong name, a wrong password and a disabled
    /// account; `busy` when too many are being computed.
    Result<Account> verify_password(std::string_view name, std::string_view password);

    /// Makes a secret that waits for its first code. Replaces one that waits; one in use stays in
    /// use until then.
    Result<TotpEnrolment> begin_totp(std::string_view name);
    /// Errors: `unauthenticated` when the code does not fit, `conflict` when nothing waits.
    Result<void> confirm_totp(std::string_view name, std::string_view code);
    /// Takes one-time codes and recovery codes away.
    Result<void> remove_totp(std::string_view name);
    /// Each code counts once. Errors: `unauthenticated`.
    Result<void> verify_totp(std::string_view name, std::string_view code);

    /// limits::recovery_codes new codes to be written down; those before stay valid until one of
    /// the new ones is confirmed. Errors: `conflict` for an account without a second factor, which
    /// they are there to replace.
    Result<std::vector<std::string>> begin_recovery_codes(std::string_view name);
    /// The person typed one of the new codes: they are in use from now on, that one too. Errors:
    /// `unauthenticated`, `conflict` as confirm_totp.
    Result<void> confirm_recovery_codes(std::string_view name, std::string_view code);
    /// Uses a code up. Errors: `unauthenticated`.
    Result<void> verify_recovery_code(std::string_view name, std::string_view code);

    /// Errors: `conflict` when the credential belongs to an account already, or beyond
    /// limits::account_passkeys_max.
    Result<void> add_passkey(std::string_view name, Passkey passkey);
    /// Errors: `not_found`.
    Result<void> remove_passkey(std::string_view name, std::string_view id);
    /// Takes one-time codes, recovery codes and all passkeys away: the person has lost them, and
    /// somebody has made sure who they are.
    Result<void> remove_second_factors(std::string_view name);
    /// The account that has the credential.
    Result<std::optional<Account>> find_by_passkey(std::string_view id);
    /// A passkey was used: its counter may only grow, unless it counts nothing (WebAuthn level 2
    /// §7.2 step 21). Errors: `unauthenticated` when it went back: there may be a copy.
    Result<Account> passkey_used(std::string_view name, std::string_view id,
                                 std::uint32_t signature_counter);

    /// Errors: `conflict` when the identity belongs to another account, or beyond
    /// limits::account_identities_max.
    Result<void> link(std::string_view name, const FederatedIdentity& identity);
    /// Errors: `not_found`.
    Result<void> unlink(std::string_view name, const FederatedIdentity& identity);
    Result<std::optional<Account>> find_by_identity(const FederatedIdentity& identity);

    /// From now on no browser is known to the account any more.
    Result<void> forget_devices(std::string_view name);

 private:
    class Hashing;
    Result<void> keep_one_security_administrator(const Account& leaving,
                                                 std::vector<Vault::Entry>& together);
    Result<std::string> chosen(std::string_view password, const Account& account) const;
    Result<std::optional<Account>> find_by_index(std::string_view space, const std::string& key);

    Vault& vault_;
    Options options_;
    std::unique_ptr<Hashing> hashing_;
};

}  // namespace meridian::trust

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.hpp"
#include "base/result.hpp"
#include "trust/accounts/account.hpp"
#include "trust/vault.hpp"

namespace meridian::trust {

/// The path that lets whoever opens it make the first security administrator:
/// "/setup?key=…". Good once, for limits::setup_link_hours; a new one ends the one before. The
/// vault keeps the key's hash only. Errors: `conflict` when an administrator exists. Blocking: a
/// commit.
Result<std::string> make_setup_link(Vault& vault, Accounts& accounts,
                                    const std::function<Instant()>& clock = now);
/// Whether a key opens the set-up now.
Result<bool> is_setup_key(Vault& vault, Accounts& accounts, std::string_view key,
                          const std::function<Instant()>& clock = now);
/// Makes the first security administrator (whatever role `account` names) and uses the key up, in
/// one commit. Errors: `forbidden` for a key that is not good; those of Accounts::add.
Result<Account> use_setup_key(Vault& vault, Accounts& accounts, std::string_view key,
                              NewAccount account, const std::function<Instant()>& clock = now);

/// The path at which the owner of an account chooses a password, the first or a new one:
/// "/setup/account?name=…&key=…". Good once, for limits::setup_link_hours; a new one ends the one
/// before. The password of before stays until then; second factors stay in any case. The vault
/// keeps the key's hash only. Errors: `not_found`; `incorrect` for a system's account, which has no
/// password; `forbidden` for a disabled one. Blocking: a commit.
Result<std::string> make_account_link(Vault& vault, Accounts& accounts, std::string_view name,
                                      const std::function<Instant()>& clock = now);
/// The account whose password `key` lets choose now; nothing for a key that is not good, and for
/// an account that is disabled or gone. Blocking: two look-ups.
Result<std::optional<Account>> account_of_link(Vault& vault, Accounts& accounts,
                                               std::string_view name, std::string_view key,
                                               const std::function<Instant()>& clock = now);
/// Sets the password and uses the key up, in one commit; from then on no browser is known to the
/// account. Its sessions are the caller's to end. Errors: `forbidden` for a key that is not good;
/// those of Accounts::set_password.
Result<Account> use_account_link(Vault& vault, Accounts& accounts, std::string_view name,
                                 std::string_view key, std::string_view password,
                                 const std::function<Instant()>& clock = now);

/// An account that anybody may use.
struct DemoAccount {
    std::string name{};
    std::string password{};
    Role role = Role::patient;
};
/// Makes one account for each role, with passwords that are no secret: for a region of synthetic
/// data only, when `--demo` asks for it. Those that exist stay as they are. `person_for` says who
/// they are (person, organisation, display name). The result is the table of all.
Result<std::vector<DemoAccount>> seed_demo(
    Accounts& accounts, const std::function<Result<NewAccount>(Role)>& person_for);

}  // namespace meridian::trust

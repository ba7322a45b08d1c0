// SPDX-License-Identifier: Apache-2.0
#include "trust/accounts/setup.hpp"

#include "base/hash.hpp"
#include "base/query_string.hpp"

namespace meridian::trust {

namespace {

constexpr std::string_view setup_space = "setup";
constexpr std::string_view link_key = "link";
constexpr std::string_view account_links_space = "setup-account";
constexpr std::size_t key_bytes = 32;

/// The vault's entry when `key` is the one it stands for.
Result<std::optional<Vault::Entry>> entry_for(Vault& vault, Accounts& accounts,
                                              std::string_view key,
                                              const std::function<Instant()>& clock) {
    auto entry = TRY(vault.get(setup_space, link_key));
    // The hashes are compared: how long it takes tells nothing about the key.
    if (!entry || entry->value != to_hex(sha256(key))) return std::nullopt;
    if (entry->expires && *entry->expires <= clock()) return std::nullopt;
    if (TRY(accounts.has_administrator())) return std::nullopt;
    return entry;
}

/// The vault's entry when `key` is the one that stands for the account called `name`, folded.
Result<std::optional<Vault::Entry>> link_entry(Vault& vault, std::string_view name,
                                               std::string_view key,
                                               const std::function<Instant()>& clock) {
    auto entry = TRY(vault.get(account_links_space, name));
    if (!entry || entry->value != to_hex(sha256(key))) return std::nullopt;
    if (entry->expires && *entry->expires <= clock()) return std::nullopt;
    return entry;
}

Instant link_end(const std::function<Instant()>& clock) {
    return {clock().milliseconds + std::int64_t{limits::setup_link_hours} * 3'600'000};
}

}  // namespace

Result<std::string> make_setup_link(Vault& vault, Accounts& accounts,
                                    const std::function<Instant()>& clock) {
    if (TRY(accounts.has_administrator()))
        return fail(Category::conflict, "an administrator exists: ask them for an account");
    const std::string key = base64url_encode(random_bytes(key_bytes));
    const auto before = TRY(vault.get(setup_space, link_key));
    std::vector<Vault::Entry> entries;
    entries.push_back({.space = std::string(setup_space),
                       .key = std::string(link_key),
                       .value = to_hex(sha256(key)),
                       .version = before ? before->version : 0,
                       .expires = link_end(clock)});
    if (!TRY(vault.put(std::move(entries))))
        return fail(Category::conflict, "another server makes a set-up link just now");
    return "/setup?key=" + key;
}

Result<bool> is_setup_key(Vault& vault, Accounts& accounts, std::string_view key,
                          const std::function<Instant()>& clock) {
    return TRY(entry_for(vault, accounts, key, clock)).has_value();
}

Result<Account> use_setup_key(Vault& vault, Accounts& accounts, std::string_view key,
                              NewAccount account, const std::function<Instant()>& clock) {
    auto entry = TRY(entry_for(vault, accounts, key, clock));
    if (!entry) return fail(Category::forbidden, "the set-up link is used up or too old");
    entry->removed = true;
    account.role = Role::security_admin;
    std::vector<Vault::Entry> together;
    together.push_back(*std::move(entry));
    return accounts.add(account, std::move(together));
}

// --- of an account that is there ---

Result<std::string> make_account_link(Vault& vault, Accounts& accounts, std::string_view name,
                                      const std::function<Instant()>& clock) {
    const auto account = TRY(accounts.find(name));
    if (!account)
        return fail(Category::not_found,
                    fmt::format("there is no account \"{}\"", name.substr(0, 80)));
    if (account->role == Role::system_client)
        return fail(Category::incorrect,
                    fmt::format("the account {} is a system's: it has no password", account->name));
    if (account->disabled)
        return fail(Category::forbidden, fmt::format("the account {} is disabled", account->name));
    const std::string key = base64url_encode(random_bytes(key_bytes));
    const auto before = TRY(vault.get(account_links_space, account->name));
    std::vector<Vault::Entry> entries;
    entries.push_back({.space = std::string(account_links_space),
                       .key = account->name,
                       .value = to_hex(sha256(key)),
                       .version = before ? before->version : 0,
                       .expires = link_end(clock)});
    if (!TRY(vault.put(std::move(entries))))
        return fail(Category::conflict, "somebody else makes a link for this account just now");
    return fmt::format("/setup/account?name={}&key={}", percent_encode(account->name), key);
}

Result<std::optional<Account>> account_of_link(Vault& vault, Accounts& accounts,
                                               std::string_view name, std::string_view key,
                                               const std::function<Instant()>& clock) {
    auto account = TRY(accounts.find(name));
    if (!account || account->disabled) return std::nullopt;
    if (!TRY(link_entry(vault, account->name, key, clock))) return std::nullopt;
    return account;
}

Result<Account> use_account_link(Vault& vault, Accounts& accounts, std::string_view name,
                                 std::string_view key, std::string_view password,
                                 const std::function<Instant()>& clock) {
    auto account = TRY(account_of_link(vault, accounts, name, key, clock));
    auto entry = account ? TRY(link_entry(vault, account->name, key, clock)) : std::nullopt;
    if (!entry) return fail(Category::forbidden, "the link is used up or too old");
    entry->removed = true;
    TRY(accounts.set_password(account->name, password, {*std::move(entry)}));
    TRY(accounts.forget_devices(account->name));
    return *std::move(account);
}

Result<std::vector<DemoAccount>> seed_demo(
    Accounts& accounts, const std::function<Result<NewAccount>(Role)>& person_for) {
    std::vector<DemoAccount> table;
    for (const Role role : all_roles()) {
        const DemoAccount demo{fmt::format("demo.{}", name_of(role)),
                               fmt::format("only-a-demo-{}", name_of(role)), role};
        table.push_back(demo);
        if (TRY(accounts.find(demo.name))) continue;
        NewAccount account = TRY(person_for(role));
        account.name = demo.name;
        account.role = role;
        account.password = demo.password;
        TRY(accounts.add(account));
    }
    return table;
}

}  // namespace meridian::trust

// SPDX-License-Identifier: Apache-2.0
#include "trust/oauth/detail/allowances.hpp"

#include <charconv>

#include "trust/limits.hpp"
#include "trust/oauth/detail/grants.hpp"
#include "trust/oauth/detail/record.hpp"
#include "trust/oauth/detail/secret.hpp"

namespace meridian::trust::oauth::detail {

namespace {

constexpr std::string_view space = "oauth-app";

/// All of one account stand together; the account's name itself is not in the key.
std::string prefix_of(std::string_view account) {
    return hashed(account) + '/';
}

/// "family since ends scopes…".
std::string text_of(const Allowance::Running& running) {
    return fmt::format("{} {} {} {}", running.family, running.since.milliseconds,
                       running.ends.milliseconds, to_text(running.scopes));
}

Result<Allowance::Running> running_of(std::string_view text) {
    const auto word = [&] {
        const std::size_t end = std::min(text.find(' '), text.size());
        const std::string_view one = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        return one;
    };
    const auto instant = [&] {
        Instant at;
        const std::string_view digits = word();
        std::from_chars(digits.data(), digits.data() + digits.size(), at.milliseconds);
        return at;
    };
    Allowance::Running running;
    running.family = word();
    running.since = instant();
    running.ends = instant();
    running.scopes = TRY(parse_scopes(text));
    return running;
}

Result<Allowance> read(const Vault::Entry& entry) {
    const Record record = TRY(Record::parse(entry.value));
    Allowance allowance;
    allowance.account = record.string("account");
    allowance.client = record.string("client");
    allowance.id = record.string("id");
    allowance.since = record.instant("since");
    allowance.consented = TRY(parse_scopes(record.string("consented")));
    allowance.withheld = TRY(parse_scopes(record.string("withheld")));
    for (const std::string& text : record.strings("running"))
        allowance.running.push_back(TRY(running_of(text)));
    allowance.version = entry.version;
    return allowance;
}

std::unexpected<Error> never_kept() {
    return fail(Category::unavailable, "the vault does not keep what is written");
}

}  // namespace

Vault::Entry Allowances::entry(const Allowance& allowance) {
    std::vector<std::string> running;
    for (const Allowance::Running& one : allowance.running) running.push_back(text_of(one));
    return {.space = std::string(space),
            .key = prefix_of(allowance.account) + allowance.client,
            .value = Record()
                         .set("account", allowance.account)
                         .set("client", allowance.client)
                         .set("id", allowance.id)
                         .set("since", allowance.since)
                         .set("consented", to_text(allowance.consented))
                         .set("withheld", to_text(allowance.withheld))
                         .set("running", running)
                         .text(),
            .version = allowance.version};
}

Result<std::optional<Allowance>> Allowances::find(std::string_view account,
                                                  std::string_view client) {
    const auto kept = TRY(context_.vault.get(space, prefix_of(account) + std::string(client)));
    if (!kept) return std::nullopt;
    return TRY(read(*kept));
}

Result<Allowance> Allowances::begin(std::string_view account, std::string_view client) {
    for (int attempt = 0; attempt < limits::oauth_vault_attempts_max; ++attempt) {
        if (auto there = TRY(find(account, client))) return *std::move(there);
        Allowance made{.account = std::string(account),
                       .client = std::string(client),
                       .id = new_secret(),
                       .since = context_.now()};
        TRY(context_.vault.put({entry(made)}));
    }
    return never_kept();
}

Result<std::vector<Allowance>> Allowances::of(std::string_view account) {
    std::vector<Allowance> all;
    const std::string prefix = prefix_of(account);
    for (const Vault::Entry& kept :
         TRY(context_.vault.list(space, prefix, limits::oauth_apps_listed_max))) {
        if (!kept.key.starts_with(prefix)) break;
        all.push_back(TRY(read(kept)));
    }
    return all;
}

Result<void> Allowances::change(std::string_view account, std::string_view client,
                                const std::function<void(Allowance&)>& alter) {
    for (int attempt = 0; attempt < limits::oauth_vault_attempts_max; ++attempt) {
        Allowance allowance = TRY(begin(account, client));
        alter(allowance);
        if (TRY(context_.vault.put({entry(allowance)}))) return {};
    }
    return never_kept();
}

/// First what runs, then the entry that knows of it: a crash in between forgets nothing.
Result<void> Allowances::stop(Allowance& allowance) {
    for (const Allowance::Running& running : allowance.running)
        if (running.ends > context_.now()) TRY(Grants(context_, nullptr).revoke(running.family));
    allowance.running.clear();
    return {};
}

Result<void> Allowances::end(std::string_view account, std::string_view client) {
    for (int attempt = 0; attempt < limits::oauth_vault_attempts_max; ++attempt) {
        auto allowance = TRY(find(account, client));
        if (!allowance) return {};
        TRY(stop(*allowance));
        Vault::Entry gone = entry(*allowance);
        gone.removed = true;
        if (TRY(context_.vault.put({std::move(gone)}))) return {};
    }
    return never_kept();
}

Result<void> Allowances::withhold(std::string_view account, std::string_view client,
                                  const Scope& scope) {
    for (int attempt = 0; attempt < limits::oauth_vault_attempts_max; ++attempt) {
        auto allowance = TRY(find(account, client));
        if (!allowance) return fail(Category::not_found, "nothing is allowed to that app");
        TRY(stop(*allowance));
        std::erase(allowance->consented, scope);
        std::erase(allowance->withheld, scope);
        if (allowance->withheld.size() < limits::oauth_scopes_max)
            allowance->withheld.push_back(scope);
        allowance->id = new_secret();  // codes on their way were for more
        if (TRY(context_.vault.put({entry(*allowance)}))) return {};
    }
    return never_kept();
}

}  // namespace meridian::trust::oauth::detail

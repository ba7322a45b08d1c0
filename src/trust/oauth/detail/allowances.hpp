// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "trust/oauth/detail/context.hpp"

namespace meridian::trust::oauth::detail {

/// What one person has allowed one app, and what runs of it. It is there from the first code on;
/// when the person takes it away, every code and token that came of it ends.
struct Allowance {
    /// A grant that gives access now, by the name of its family.
    struct Running {
        std::string family{};
        Instant since{};
        Instant ends{};
        std::vector<Scope> scopes{};
    };
    std::string account{};
    std::string client{};
    std::string id{};  ///< new with each beginning: a code of an older one is good for nothing
    Instant since{};
    std::vector<Scope> consented{};  ///< the person is not asked about them again
    std::vector<Scope> withheld{};   ///< taken away one by one: not given until consented again
    std::vector<Running> running{};
    std::int64_t version = 0;  ///< of the vault's entry; not stored
};

/// Allowances in the vault (space "oauth-app"), each one entry, so that what is given and what is
/// taken away at one moment cannot miss each other. Thread-safe. Every function blocks for
/// look-ups, and those that change for a commit; errors are the vault's.
class Allowances {
 public:
    explicit Allowances(Context& context) : context_(context) {}

    Result<std::optional<Allowance>> find(std::string_view account, std::string_view client);
    /// As find, made when there is none.
    Result<Allowance> begin(std::string_view account, std::string_view client);
    /// In the order of their clients, at most limits::oauth_apps_listed_max.
    Result<std::vector<Allowance>> of(std::string_view account);
    /// Reads, alters and writes it, again when somebody else was faster.
    Result<void> change(std::string_view account, std::string_view client,
                        const std::function<void(Allowance&)>& alter);
    /// Ends every grant of it, then takes it away. Also good for one that is not there.
    Result<void> end(std::string_view account, std::string_view client);
    /// Ends every grant of it; from now on that scope is not given until it is consented again.
    Result<void> withhold(std::string_view account, std::string_view client, const Scope& scope);

    /// What is to be written, replacing the version that was read.
    static Vault::Entry entry(const Allowance& allowance);

 private:
    Result<void> stop(Allowance& allowance);
    Context& context_;
};

}  // namespace meridian::trust::oauth::detail

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "trust/federated.hpp"
#include "trust/vault.hpp"

namespace meridian::trust::oauth {

/// An outside OpenID provider whose people may sign in here, and what we are registered as there.
struct Provider {
    std::string name{};   ///< in our addresses: letters, digits, '-'
    std::string label{};  ///< on the button; the name when empty
    std::string label_zh{};
    std::string issuer{};  ///< letter by letter what it calls itself
    std::string client_id{};
    std::string client_secret{};  ///< for client_secret_basic
    /// For private_key_jwt (RFC 7523): our key pair as a JWK. With neither we are a public client
    /// there, which PKCE protects.
    std::string key{};
    std::string scope = "openid";  ///< begins with it; no more than is needed for a label
    std::string creates{};         ///< role of accounts made for people without one; empty: none

    OutsideProvider shown() const { return {name, label, label_zh, issuer}; }
    std::optional<Role> created_role() const;
};

/// Errors: `incorrect` with what is wrong. Roles that people may get by themselves are those of
/// patients and of people at work: no administrator, no system, no guardian (of whom?).
Result<void> validate(const Provider& provider);

/// The providers, in the vault: sealed as all of it, for they hold secrets. What is changed counts
/// from the next request on, on every server. Thread-safe.
class Providers {
 public:
    explicit Providers(Vault& vault) : vault_(vault) {}

    /// Errors: as validate; `conflict` when the name is taken, beyond limits::oauth_providers_max;
    /// `unavailable`. Blocking: one commit.
    Result<Provider> add(Provider provider);
    /// Blocking: one look-up.
    Result<std::optional<Provider>> find(std::string_view name);
    /// In the order of their names.
    Result<std::vector<Provider>> list();
    /// Who was linked by it stays linked, and cannot use it until it is there again. Errors:
    /// `not_found`. Blocking: one commit.
    Result<void> remove(std::string_view name);

 private:
    Vault& vault_;
};

}  // namespace meridian::trust::oauth

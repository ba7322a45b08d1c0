// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "trust/accounts/account.hpp"
#include "trust/vault.hpp"

namespace meridian::trust {

/// Registers passkeys and signs people in with them (WebAuthn level 2). Challenges lie in the vault
/// (space "passkey-challenge"), count once, and for limits::passkey_challenge_minutes. Thread-safe.
class Passkeys {
 public:
    /// Where the page is that asks: WebAuthn's relying party.
    struct Site {
        std::string relying_party{};         ///< host name, e.g. "record.example.org"
        std::vector<std::string> origins{};  ///< e.g. "https://record.example.org"
    };
    struct Options {
        std::string name = "Meridian";  ///< what authenticators show
        std::function<Instant()> clock = now;
    };
    Passkeys(Vault& vault, Accounts& accounts, Options options)
        : vault_(vault), accounts_(accounts), options_(std::move(options)) {}

    /// JSON of PublicKeyCredentialCreationOptions (binary members in base64url), for a passkey of
    /// `account`. Blocking: one commit.
    Result<std::string> begin_registration(const Site& site, const Account& account);
    /// `answer` is {"clientDataJSON", "attestationObject", "label"}. Errors: `unauthenticated`
    /// where a check fails, the challenge is not ours, used up or another account's; `incorrect`;
    /// `conflict` as Accounts::add_passkey.
    Result<void> finish_registration(const Site& site, const Account& account, const Json& answer);

    /// JSON of PublicKeyCredentialRequestOptions. With an account: one of its passkeys, as a second
    /// factor. Without: any that the browser has; then the authenticator must verify its user, for
    /// the passkey stands for both factors.
    Result<std::string> begin_assertion(const Site& site, const Account* account);
    /// Who signed: `answer` is {"id", "clientDataJSON", "authenticatorData", "signature",
    /// "userHandle"}. `account` as in begin_assertion. Errors: `unauthenticated`, also for a
    /// disabled account and a counter that went back (Error::where is then "counter").
    struct Asserted {
        Account account{};
        bool user_verified = false;
    };
    Result<Asserted> finish_assertion(const Site& site, const Account* account, const Json& answer);

 private:
    Result<std::string> new_challenge(std::string_view purpose);
    Result<void> use_challenge(std::string_view challenge, std::string_view purpose);

    Vault& vault_;
    Accounts& accounts_;
    Options options_;
};

}  // namespace meridian::trust

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "trust/vault.hpp"

namespace meridian::trust::oauth {

/// How a client proves that it is that client.
enum class ClientAuthentication : unsigned char {
    none,         ///< a public client: an app that can keep no secret; PKCE protects it
    secret,       ///< client_secret_basic
    private_key,  ///< private_key_jwt (RFC 7523), the only one for client_credentials
};

/// What is registered about an app.
struct Client {
    std::string id{};    ///< made when empty
    std::string name{};  ///< shown to people
    std::string name_zh{};
    ClientAuthentication authentication = ClientAuthentication::none;
    std::string secret_hash{};  ///< of the secret that we made; never the secret
    std::string jwks{};         ///< its public keys as a JWK set, or
    std::string jwks_uri{};     ///< where they lie
    std::vector<std::string> redirect_uris{};
    std::vector<std::string> scopes{};  ///< all that it may ever get
    std::string account{};     ///< for client_credentials: the account that it acts as; else empty
    bool first_party = false;  ///< ours: people are not asked
    bool may_introspect = false;  ///< a resource server: asks about the tokens of all
    bool pushes = false;          ///< hands each request in first (RFC 9126), or gets nothing
    bool disabled = false;
};

/// Whether an app can be sent to that address: https; http on a loopback address (RFC 8252 §7.3);
/// or a private-use scheme with a dot (§7.1). No fragment, no user name, no stars.
bool is_redirect_uri(std::string_view uri);
/// http is only for loopback; everything else needs https.
bool is_safe_address(std::string_view url);
/// Whether `uri` is one of the client's, letter by letter. For a loopback address that is
/// registered without a port any port fits (RFC 8252 §7.3, OAuth 2.1 §2.3.1): a native app cannot
/// know it before.
bool has_redirect_uri(const Client& client, std::string_view uri);
/// Errors: `incorrect` with what is wrong with the registration.
Result<void> validate(const Client& client);

/// The registered clients, in the vault. Thread-safe.
class Clients {
 public:
    explicit Clients(Vault& vault) : vault_(vault) {}

    struct Added {
        Client client{};
        std::string secret{};  ///< shown once, for ClientAuthentication::secret; else empty
    };
    /// Errors: as validate; `conflict` when the id is taken; `unavailable`. Blocking: one commit.
    Result<Added> add(Client client);
    /// Nothing for an unknown id; a disabled client is found, and says so. Blocking: one look-up.
    Result<std::optional<Client>> find(std::string_view id);
    /// At most limits::oauth_clients_listed_max.
    Result<std::vector<Client>> list();
    /// Errors: `not_found`. What it holds of tokens ends with the next refresh. Blocking: one
    /// commit.
    Result<void> remove(std::string_view id);
    /// Errors: `not_found`.
    Result<void> set_disabled(std::string_view id, bool disabled);

 private:
    Vault& vault_;
};

}  // namespace meridian::trust::oauth

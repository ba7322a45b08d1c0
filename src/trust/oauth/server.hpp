// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "net/http.hpp"
#include "trust/oauth/client.hpp"
#include "trust/oauth/options.hpp"
#include "trust/oauth/provider.hpp"
#include "trust/vault.hpp"

namespace meridian::trust::oauth {

/// An OAuth 2.1 and OpenID Connect server with SMART App Launch 2.2, and the way in from outside
/// OpenID providers. Thread-safe; all that must outlast a request lies in the vault, so any number
/// of servers on one store are one authorization server.
///
/// Paths: /oauth/authorize, /oauth/par, /oauth/token, /oauth/introspect, /oauth/revoke,
/// /oauth/jwks, /oauth/userinfo, /oauth/federated/NAME/start, /callback and /jwks, /account/apps,
/// /.well-known/openid-configuration,
/// /.well-known/oauth-authorization-server, /.well-known/smart-configuration, and the last one also
/// below the FHIR base.
class Server {
 public:
    /// `vault` must outlive the server. Errors: `incorrect` for options that cannot work.
    static Result<std::unique_ptr<Server>> make(Vault& vault, Options options);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    /// The answer to a request on one of its paths; nothing for any other path. Blocking: some
    /// look-ups and at most three commits; some 100 ms when a signing key is made; for federation
    /// and clients with a jwks_uri, calls to other servers of at most
    /// limits::oauth_fetch_seconds_max each.
    std::optional<net::Response> handle(const net::Request& request);

    /// A one-time `launch` token for an EHR launch: our own page opens the app at
    /// LAUNCH_URL?iss=FHIR_BASE&launch=TOKEN, and the app gets this patient and encounter
    /// (references; `encounter` may be empty). Bound to the client, and to the account when it is
    /// named; good for limits::oauth_launch_seconds. Errors: `not_found` for an unknown client;
    /// `unavailable`. Source: SMART App Launch 2.2, "Launch App: EHR Launch".
    Result<std::string> make_launch(std::string_view patient, std::string_view encounter,
                                    std::string_view client, std::string_view account = {});

    /// Ends everything of one grant or session family (Subject::session): its refresh token is
    /// gone, its access tokens are in the vault's space "revoked" until they would be over anyway.
    Result<void> revoke(std::string_view family);

    /// Makes a new signing key at once; the one before stays published until the last ID token that
    /// it signed is over. Otherwise it happens by itself after Options::signing_key_life.
    Result<void> rotate_signing_key();

    Clients& clients();
    Providers& providers();

 private:
    struct Implementation;
    explicit Server(std::unique_ptr<Implementation> implementation);
    std::unique_ptr<Implementation> implementation_;
};

}  // namespace meridian::trust::oauth

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "net/http.hpp"
#include "trust/oauth/detail/context.hpp"

namespace meridian::trust::oauth::detail {

/// /oauth/federated/NAME/start?return_to=/PATH sends the browser to the provider NAME;
/// /oauth/federated/NAME/callback takes it back, checks what it brings and hands it on
/// (Options::on_federated); /jwks shows our public key for that provider. With purpose=step-up or
/// purpose=link the person is signed in already, and the same session must come back.
///
/// Nothing is kept here in between: the browser holds a random cookie, and state, nonce and PKCE
/// verifier are made of it, so an answer fits only the browser that asked. Each provider has a
/// callback of its own and, where it sends one, its `iss` is compared (RFC 9207): answers of one
/// are never taken for those of another. `rest` is what follows /oauth/federated/.
net::Response federation_endpoint(Context& context, const net::Request& request,
                                  std::string_view rest);

}  // namespace meridian::trust::oauth::detail

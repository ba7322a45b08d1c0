// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "net/http.hpp"
#include "trust/oauth/detail/context.hpp"

namespace meridian::trust::oauth::detail {

/// /oauth/federated/NAME/start?return_to=/PATH sends the browser to the provider NAME;
/// /oauth/federated/NAME/callback takes it back and begins a session. Nothing is kept here in
/// between: the browser holds a random cookie, and state, nonce and PKCE verifier are made of it,
/// so an answer fits only the browser that asked. `rest` is what follows /oauth/federated/.
net::Response federation_endpoint(Context& context, const net::Request& request,
                                  std::string_view rest);

/// Errors: `incorrect` for a provider that cannot work.
Result<void> validate(const Provider& provider);

}  // namespace meridian::trust::oauth::detail

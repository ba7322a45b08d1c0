// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <expected>

#include "net/http.hpp"
#include "trust/oauth/detail/answer.hpp"
#include "trust/oauth/detail/context.hpp"

namespace meridian::trust::oauth::detail {

/// Who calls the token, introspection or revocation endpoint, by the one method that is registered
/// for them: Basic (RFC 6749 §2.3.1), a signed assertion (RFC 7523 §3, used once), or the bare
/// client_id of a public client. Every failure reads alike (invalid_client). Blocking: a look-up,
/// a commit for an assertion, a fetch of keys for a client with a jwks_uri.
std::expected<Client, Refusal> authenticate_client(Context& context, const net::Request& request,
                                                   const net::Parameters& form);

}  // namespace meridian::trust::oauth::detail

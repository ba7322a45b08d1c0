// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "net/http.hpp"
#include "trust/oauth/detail/context.hpp"

namespace meridian::trust::oauth::detail {

/// RFC 6749 §3.2 and §5; SMART App Launch 2.2 adds patient, encounter and the rest of the launch.
net::Response token_endpoint(Context& context, const net::Request& request);
/// RFC 7662. Clients that may introspect see every token, others their own only.
net::Response introspection_endpoint(Context& context, const net::Request& request);
/// RFC 7009. Any token of a grant ends all of it.
net::Response revocation_endpoint(Context& context, const net::Request& request);
/// OpenID Connect Core §5.3.
net::Response userinfo_endpoint(Context& context, const net::Request& request);

}  // namespace meridian::trust::oauth::detail

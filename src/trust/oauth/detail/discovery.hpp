// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "net/http.hpp"
#include "trust/oauth/detail/context.hpp"

namespace meridian::trust::oauth::detail {

/// OpenID Connect Discovery §3 and RFC 8414 §2: one document for both.
net::Response metadata_document(const Context& context, const net::Request& request);
/// SMART App Launch 2.2, "Conformance": only what is done here.
net::Response smart_document(const Context& context, const net::Request& request);
/// The public keys that ID tokens are signed with.
net::Response jwks_document(Context& context, const net::Request& request);

}  // namespace meridian::trust::oauth::detail

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "net/http.hpp"
#include "trust/oauth/detail/context.hpp"

namespace meridian::trust::oauth::detail {

/// The authorization endpoint (RFC 6749 §3.1, OpenID Connect Core §3.1.2) and the answer of its
/// consent page.
net::Response authorization_endpoint(Context& context, const net::Request& request);

/// See Server::make_launch.
Result<std::string> make_launch(Context& context, std::string_view patient,
                                std::string_view encounter, std::string_view client,
                                std::string_view account);

}  // namespace meridian::trust::oauth::detail

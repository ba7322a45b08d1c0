// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http.hpp"
#include "trust/oauth/detail/context.hpp"

namespace meridian::trust::oauth::detail {

/// What the client is told (RFC 6749 §4.1.2.1).
struct Denied {
    std::string code{};
    std::string description{};
};

/// A request whose client and redirect address are known, so that errors can be sent there.
struct Asked {
    Client client{};
    std::string redirect_uri{};
    std::string state{};
    std::string nonce{};
    std::string challenge{};
    std::vector<Scope> scopes{};
    std::string launch{};
    std::vector<std::string> prompt{};
    std::optional<std::int64_t> max_age_seconds{};
    std::string parameters{};        ///< as a query string, to come back to after sign-in
    std::optional<Denied> denied{};  ///< why it cannot be granted, whoever asks
    /// The request was pushed: taken away with the code that comes of it.
    std::optional<Vault::Entry> pushed{};

    bool has_prompt(std::string_view word) const {
        return std::ranges::find(prompt, word) != prompt.end();
    }
};

/// The request that a browser brings, or the pushed one that it names (RFC 9126 §4). Nothing when
/// its client or redirect address is not known: then nothing is sent anywhere (RFC 6749 §4.1.2.1).
/// Errors: `unavailable`. Blocking: look-ups.
Result<std::optional<Asked>> find_request(Context& context, const net::Parameters& parameters);

/// Where a client hands its request in before the browser comes, so that nobody on the way can
/// alter it, and it is known whose it is (RFC 9126 §2). Good for limits::oauth_pushed_seconds and
/// one code. Blocking: as authenticate_client, and a commit.
net::Response pushed_request_endpoint(Context& context, const net::Request& request);

}  // namespace meridian::trust::oauth::detail

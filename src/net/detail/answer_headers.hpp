// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http.hpp"
#include "net/server.hpp"

namespace meridian::net::detail {

/// Appends the fields that every answer has unless its handler has set them: what a browser may not
/// do with it, and that nobody keeps a copy. docs/adr/0029 says why these.
void append_protections(std::string& head, const Request& request, const Response& response);

/// Which pages of other origins may read answers here
/// (https://fetch.spec.whatwg.org/#http-cors-protocol). Cookies never count there:
/// Access-Control-Allow-Credentials is never sent, clients carry a token.
class Cors {
 public:
    /// Errors: `incorrect` for what is no origin as browsers write it ("https://app.example.org").
    static Result<Cors> make(const CorsOptions& options);

    /// The answer to a preflight under one of the paths; nullopt for any other request.
    std::optional<Response> preflight(const Request& request) const;
    /// Lets the page that asked read `response`, when it may.
    void allow(const Request& request, Response& response) const;

 private:
    bool covers(const Request& request) const;
    bool knows(std::string_view origin) const;
    std::vector<std::string> origins_{};
    std::vector<std::string> paths_{};
};

}  // namespace meridian::net::detail

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "net/http.hpp"

namespace meridian::trust {

/// What `answer` makes of the route, of those in `routes`, that has the request's path and method
/// (HEAD is GET's): 405 with Allow for a path that has other methods only (RFC 9110 §15.5.6);
/// nothing for other paths.
template <class Routes, class Answer>
std::optional<net::Response> routed(const Routes& routes, const net::Request& request,
                                    const Answer& answer) {
    const net::Method method =
        request.method == net::Method::head ? net::Method::get : request.method;
    std::string allowed;
    for (const auto& route : routes) {
        if (route.path != request.path()) continue;
        if (route.method == method) return answer(route);
        allowed += allowed.empty() ? "" : ", ";
        allowed += net::name_of(route.method);
    }
    if (allowed.empty()) return std::nullopt;
    net::Response response = net::Response::text(405, "this page has another method\n");
    response.headers.add("Allow", allowed);
    return response;
}

}  // namespace meridian::trust

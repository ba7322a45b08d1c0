// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "net/http.hpp"

namespace meridian::net {

/// "https://record.example.org" of "https://record.example.org/fhir": what RFC 6454 §6.2 calls its
/// origin, as far as the URL is written as browsers do.
std::string_view origin_of(std::string_view url);

/// Whether `origin`, as a browser says it of the page that asks, is this server's own. `known` are
/// the origins that the operator has named; only when there are none does the request's Host header
/// say which it is: by https, and by http on a loopback name, where nobody listens on the way.
/// Source: RFC 6454 §7. Blocking: never.
bool is_own_origin(const Request& request, std::string_view origin,
                   std::span<const std::string> known);

}  // namespace meridian::net

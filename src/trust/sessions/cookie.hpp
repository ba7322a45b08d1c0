// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "net/http.hpp"

namespace meridian::trust {

// Names begin with __Host-: a browser takes such a cookie only over a secure connection, for one
// host, for all its paths, so that no neighbour's page can plant one (RFC 6265bis §4.1.3.2).
inline constexpr std::string_view session_cookie = "__Host-meridian";
inline constexpr std::string_view sign_in_cookie = "__Host-meridian-sign-in";
inline constexpr std::string_view device_cookie = "__Host-meridian-device";

/// The value of a cookie of the request. Nothing when there is none, or when there are two with
/// different values: then somebody plays tricks.
std::optional<std::string_view> cookie(const net::Request& request, std::string_view name);

/// A Set-Cookie header: Secure, HttpOnly, SameSite=Lax, Path=/; until the browser closes when no
/// `max_age` is given.
std::string set_cookie(std::string_view name, std::string_view value,
                       std::optional<std::chrono::seconds> max_age = std::nullopt);
/// A Set-Cookie header that takes it away.
std::string clear_cookie(std::string_view name);

}  // namespace meridian::trust

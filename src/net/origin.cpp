// SPDX-License-Identifier: Apache-2.0
#include "net/origin.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace meridian::net {

namespace {

/// "localhost", "127.0.0.1", "[::1]", with or without a port.
bool is_loopback(std::string_view host) {
    const std::size_t end =
        host.starts_with('[') ? std::min(host.find(']') + 1, host.size()) : host.find(':');
    const std::string_view name = host.substr(0, end);
    return name == "localhost" || name == "127.0.0.1" || name == "[::1]";
}

}  // namespace

std::string_view origin_of(std::string_view url) {
    const std::size_t host = url.find("://");
    return url.substr(0, url.find('/', host == std::string_view::npos ? 0 : host + 3));
}

bool is_own_origin(const Request& request, std::string_view origin,
                   std::span<const std::string> known) {
    if (!known.empty()) return std::find(known.begin(), known.end(), origin) != known.end();
    const std::string_view host = request.headers.get("Host");
    if (host.empty()) return false;
    return origin == fmt::format("https://{}", host) ||
           (is_loopback(host) && origin == fmt::format("http://{}", host));
}

}  // namespace meridian::net

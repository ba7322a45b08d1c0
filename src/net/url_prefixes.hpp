// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace meridian::net {

/// Addresses that the operator listed: a server that reaches whatever a client names would reach
/// for the client what only the server can reach (OWASP ASVS 5.0 V13.2.4).
class UrlPrefixes {
 public:
    /// Adds "https://files.example.org/exports": that path and what lies below it on that host and
    /// port. Errors: `incorrect` for what is no http or https URL, or has a query.
    Result<void> add(std::string_view prefix);
    bool empty() const { return listed_.empty(); }
    /// Whether `url` is one of the prefixes or lies below one: scheme, host and port the same, and
    /// the path segment by segment. Errors: `incorrect` for what is no http or https URL, and for
    /// a path with "." or "..".
    Result<bool> contain(std::string_view url) const;

 private:
    struct Prefix {
        std::string scheme, host;
        std::uint16_t port;
        std::vector<std::string> path;
    };
    std::vector<Prefix> listed_;
};

}  // namespace meridian::net

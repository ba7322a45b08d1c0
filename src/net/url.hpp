// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/query_string.hpp"
#include "base/result.hpp"

namespace meridian::net {

/// Decoded name=value pairs of a query string or form, in the order they were written.
using Parameters = std::vector<std::pair<std::string, std::string>>;

/// The decoded segments of a path: "/fhir/Patient/a%2Fb" → {"fhir", "Patient", "a/b"}. Empty
/// segments are dropped, so a trailing or doubled slash changes nothing. Errors: as percent_decode;
/// `incorrect` for "." and ".." segments and for a path that does not begin with '/'.
Result<std::vector<std::string>> parse_path(std::string_view path);

/// An absolute http or https URL. Source: RFC 3986 §3.
struct Url {
    std::string scheme;      ///< "http" or "https", lower case
    std::string host;        ///< lower case; an IPv6 literal without its brackets
    std::uint16_t port = 0;  ///< as written, or 80/443
    std::string path;        ///< raw, begins with '/'
    std::string query;       ///< raw, without '?'; empty when there is none

    /// Errors: `incorrect` for other schemes, user names, fragments of a host, a missing host, a
    /// bad port, control characters or spaces.
    static Result<Url> parse(std::string_view text);
    /// path[?query], what goes into a request line.
    std::string target() const;
    /// The URL as text; the port only when it is not the scheme's own.
    std::string to_text() const;
};

}  // namespace meridian::net

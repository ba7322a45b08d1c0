// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace meridian::net {

/// One name=value pair of a query string or a form, decoded. A name without '=' has an empty value.
struct Parameter {
    std::string name;
    std::string value;
    bool operator==(const Parameter&) const = default;
};
using Parameters = std::vector<Parameter>;  ///< in the order they were written

/// Replaces %XX by the byte it stands for; '+' becomes a space only when `plus_is_space` (forms and
/// queries). Errors: `incorrect` for '%' without two hex digits (names the place) and for a decoded
/// NUL byte or invalid UTF-8. Blocking: never. Source: RFC 3986 §2.1.
Result<std::string> percent_decode(std::string_view text, bool plus_is_space = false);

/// Writes every byte outside the unreserved set (letters, digits, -._~) as %XX. Source: RFC 3986
/// §2.3.
std::string percent_encode(std::string_view text);

/// Splits at '&' and decodes application/x-www-form-urlencoded text, a query string or a form body
/// alike; empty pieces are skipped. Errors: as percent_decode; `too_large` beyond
/// limits::form_parameters_max. Source: WHATWG URL §5.1.
Result<Parameters> parse_query(std::string_view text);

/// The reverse of parse_query: `a=1&b=x%20y`.
std::string format_query(const Parameters& parameters);

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

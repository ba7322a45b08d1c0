// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace meridian {

/// Decodes %XX (and '+' as a space when `plus_is_space`). Errors: `incorrect` for a '%' without two
/// hex digits, and for bytes that are no UTF-8 or hold U+0000. Source: RFC 3986 §2.1,
/// application/x-www-form-urlencoded (WHATWG URL §5.1).
Result<std::string> percent_decode(std::string_view text, bool plus_is_space = false);

/// Encodes everything but unreserved characters (RFC 3986 §2.3) and those in `keep`.
std::string percent_encode(std::string_view text, std::string_view keep = {});

/// Names and values of a query string or form ("a=1&b=2"), decoded, in order; a part without '='
/// has an empty value. Errors: `incorrect` as percent_decode; `too_large` beyond
/// limits::search_parameters_max parts.
Result<std::vector<std::pair<std::string, std::string>>> parse_query_string(std::string_view text);

/// The inverse: "a=1&b=2", encoded.
std::string query_string(const std::vector<std::pair<std::string, std::string>>& parameters);

}  // namespace meridian

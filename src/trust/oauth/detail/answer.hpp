// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "net/http.hpp"
#include "trust/oauth/detail/record.hpp"

namespace meridian::trust::oauth::detail {

/// An error of RFC 6749 §5.2: a code of the registry and a text that tells the developer of an
/// honest client what to change, and an attacker nothing about what is there.
struct Refusal {
    int status = 400;
    std::string code{};         ///< "invalid_grant"
    std::string description{};  ///< may be empty
    std::string challenge{};    ///< WWW-Authenticate; empty = none
};

/// JSON that no cache may keep (RFC 6749 §5.1).
net::Response json(int status, std::string body);
inline net::Response json(const Record& record) {
    return json(200, record.text());
}
/// A document that is the same for everyone and may be kept for `seconds`; readable by pages of any
/// origin.
net::Response document(std::string body, int seconds);
net::Response refuse(const Refusal& refusal);
/// 302 after GET, 303 after POST: never 307, which would send a form on (RFC 9700 §4.12).
net::Response redirect(const net::Request& request, std::string_view url);
/// `url` with parameters added to its query.
std::string with_parameters(std::string_view url, const net::Parameters& parameters);
net::Response not_allowed(std::string_view allowed);
/// Lets pages of other origins read an answer that rests on no cookie (Fetch §3.3).
void allow_other_origins(net::Response& response);
/// The answer to a page's question whether it may send what it wants to.
net::Response preflight(std::string_view methods);

/// The value of a parameter; empty when there is none.
std::string value_of(const net::Parameters& parameters, std::string_view name);
bool has(const net::Parameters& parameters, std::string_view name);
/// RFC 6749 §3.1: parameters must not be included more than once; and each has a bound.
bool are_sound(const net::Parameters& parameters);

}  // namespace meridian::trust::oauth::detail

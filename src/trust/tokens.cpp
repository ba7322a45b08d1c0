// SPDX-License-Identifier: Apache-2.0
#include "trust/tokens.hpp"

#include "base/hash.hpp"
#include "base/ids.hpp"
#include "trust/limits.hpp"

namespace meridian::trust {

namespace {

/// Tells what it is and how it is made, so that a leaked one is recognised by those who scan for
/// secrets.
constexpr std::string_view prefix = "mrd1.";
constexpr std::string_view context = "access token";

std::unexpected<Error> refused() {
    return fail(Category::unauthenticated, "the access token is not valid, or no longer");
}

Result<Instant> instant_of(const Json& number) {
    Instant at;
    const std::string_view text = number.text();
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), at.milliseconds);
    if (error != std::errc() || end != text.data() + text.size()) return refused();
    return at;
}

bool is_bearer(std::string_view scheme) {
    // RFC 9110 §11.1: the scheme's case does not matter.
    constexpr std::string_view bearer = "bearer ";
    return scheme.size() == bearer.size() &&
           std::equal(bearer.begin(), bearer.end(), scheme.begin(), [](char expected, char given) {
               return expected == (given >= 'A' && given <= 'Z' ? given - 'A' + 'a' : given);
           });
}

}  // namespace

Tokens::Tokens(const SecretKey& master) : key_(derive_key(master, "access tokens")) {}

std::string Tokens::issue(const Subject& subject, Instant expires) const {
    const std::string claims =
        fmt::format(R"({{"id":"{}","iat":{},"exp":{},"sub":{}}})", new_uuid(), now().milliseconds,
                    expires.milliseconds, to_json(subject));
    return std::string(prefix) + base64url_encode(seal(key_, context, claims));
}

Result<Tokens::Token> Tokens::open(std::string_view token, Instant at) const {
    std::string sealed;
    if (!token.starts_with(prefix) || token.size() > limits::token_bytes_max ||
        !base64url_decode(token.substr(prefix.size()), sealed))
        return refused();
    const auto claims = unseal(key_, context, sealed);
    if (!claims) return refused();
    const JsonDocument document = TRY(JsonDocument::parse(*claims));
    Token opened{.subject = TRY(subject_of(document.root()["sub"])),
                 .id = std::string(document.root().string_at("id"))};
    opened.issued = TRY(instant_of(document.root()["iat"]));
    opened.expires = TRY(instant_of(document.root()["exp"]));
    if (opened.expires <= at) return refused();
    return opened;
}

std::optional<std::string_view> bearer_token(std::string_view authorization) {
    constexpr std::size_t scheme = std::string_view("bearer ").size();
    if (!is_bearer(authorization.substr(0, scheme))) return std::nullopt;
    authorization.remove_prefix(scheme);
    while (authorization.starts_with(' ')) authorization.remove_prefix(1);
    return authorization;
}

}  // namespace meridian::trust

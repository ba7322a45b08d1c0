// SPDX-License-Identifier: Apache-2.0
#include "trust/oauth/detail/client_authentication.hpp"

#include "base/hash.hpp"
#include "base/query_string.hpp"
#include "trust/jose/jwt.hpp"
#include "trust/limits.hpp"
#include "trust/oauth/detail/secret.hpp"

namespace meridian::trust::oauth::detail {

namespace {

constexpr std::string_view assertion_type =
    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Who they say they are, and how they would prove it.
struct Claimed {
    std::string id{};
    ClientAuthentication method = ClientAuthentication::none;
    std::string secret{};
    std::string assertion{};
};

std::unexpected<Refusal> not_that_client(bool was_basic) {
    Refusal refusal{401, "invalid_client", "", ""};
    // RFC 6749 §5.2: answered with the scheme that the client used; RFC 9110 §11.6.1 asks every 401
    // for one.
    refusal.challenge = "Basic realm=\"meridian\"";
    if (!was_basic) refusal.description = "the client could not be authenticated";
    return std::unexpected(std::move(refusal));
}

std::unexpected<Refusal> invalid_request(std::string description) {
    return std::unexpected(Refusal{400, "invalid_request", std::move(description), ""});
}

/// "Basic base64(form-encoded id ":" form-encoded secret)".
std::optional<Claimed> read_basic(std::string_view header) {
    std::string pair;
    if (header.size() < 6 || !base64_decode(header.substr(6), pair)) return std::nullopt;
    const std::size_t colon = pair.find(':');
    if (colon == std::string::npos) return std::nullopt;
    auto id = percent_decode(std::string_view(pair).substr(0, colon), true);
    auto secret = percent_decode(std::string_view(pair).substr(colon + 1), true);
    if (!id || !secret) return std::nullopt;
    return Claimed{*std::move(id), ClientAuthentication::secret, *std::move(secret), ""};
}

bool is_basic(std::string_view header) {
    constexpr std::string_view scheme = "basic ";
    if (header.size() < scheme.size()) return false;
    for (std::size_t i = 0; i < scheme.size(); ++i)
        if ((header[i] | 0x20) != scheme[i]) return false;
    return true;
}

/// RFC 7523 §3: the assertion's subject is the client. Nothing is proven yet.
std::optional<std::string> subject_of(std::string_view assertion) {
    const std::size_t first = assertion.find('.');
    const std::size_t second = assertion.find('.', first + 1);
    if (first == std::string_view::npos || second == std::string_view::npos) return std::nullopt;
    std::string payload;
    if (assertion.size() > limits::jwt_bytes_max ||
        !base64url_decode(assertion.substr(first + 1, second - first - 1), payload))
        return std::nullopt;
    const auto document = JsonDocument::parse(payload);
    if (!document) return std::nullopt;
    return std::string(document->root().string_at("sub"));
}

std::expected<Claimed, Refusal> read_claim(const net::Request& request,
                                           const net::Parameters& form) {
    const std::string_view header = request.headers.get("Authorization");
    const std::string assertion = value_of(form, "client_assertion");
    const std::string named = value_of(form, "client_id");
    // RFC 6749 §2.3: one method for each request.
    if (has(form, "client_secret"))
        return invalid_request("the secret belongs into the Authorization header");
    if (!header.empty() && !assertion.empty())
        return invalid_request("there are two ways of client authentication");
    if (!header.empty()) {
        if (!is_basic(header)) return not_that_client(true);
        auto claimed = read_basic(header);
        if (!claimed || (!named.empty() && named != claimed->id)) return not_that_client(true);
        return *std::move(claimed);
    }
    if (!assertion.empty() || has(form, "client_assertion_type")) {
        if (value_of(form, "client_assertion_type") != assertion_type)
            return invalid_request("client_assertion_type is not " + std::string(assertion_type));
        auto subject = subject_of(assertion);
        if (!subject || (!named.empty() && named != *subject)) return not_that_client(false);
        return Claimed{*std::move(subject), ClientAuthentication::private_key, "", assertion};
    }
    return Claimed{named, ClientAuthentication::none, "", ""};
}

/// Each jti once: what is left in the vault ends when the assertion does.
Result<bool> is_first_use(Context& context, const jose::Claims& claims) {
    const Instant until{claims.expires.milliseconds + limits::jwt_clock_skew_seconds_max * 1000};
    return context.vault.put({{.space = "oauth-jti",
                               .key = hashed(claims.issuer + '\n' + claims.identifier),
                               .value = "{}",
                               .expires = until}});
}

Result<bool> is_proven(Context& context, const Client& client, const Claimed& claimed) {
    if (claimed.method == ClientAuthentication::none) return true;
    if (claimed.method == ClientAuthentication::secret)
        return !client.secret_hash.empty() &&
               equal_secrets(hashed(claimed.secret), client.secret_hash);
    const jose::Header header = TRY(jose::read_header(claimed.assertion));
    const jose::KeySet keys = client.jwks_uri.empty()
                                  ? TRY(jose::KeySet::parse(client.jwks))
                                  : TRY(context.key_source.keys(client.jwks_uri, header.key_id));
    jose::ClaimRules rules;
    rules.issuer = client.id;
    // SMART names the token endpoint, RFC 7523bis and FAPI the issuer.
    rules.audiences = {context.options.issuer, context.endpoint("token")};
    rules.audience_alone = true;
    rules.types = {"JWT", "client-authentication+jwt"};
    rules.life_max = std::chrono::seconds(limits::client_assertion_seconds_max);
    rules.needs_identifier = true;
    const jose::Claims claims =
        TRY(jose::verify_jwt(claimed.assertion, keys, rules, context.now()));
    return claims.subject == client.id && TRY(is_first_use(context, claims));
}

}  // namespace

std::expected<Client, Refusal> authenticate_client(Context& context, const net::Request& request,
                                                   const net::Parameters& form) {
    auto claimed = read_claim(request, form);
    if (!claimed) {
        context.audit(request, "oauth.client-authentication", nullptr, false);
        return std::unexpected(std::move(claimed).error());
    }
    const bool was_basic = claimed->method == ClientAuthentication::secret;
    auto client = context.clients.find(claimed->id);
    if (!client)
        return std::unexpected(Refusal{503, "temporarily_unavailable", "try again later", ""});
    const bool fits =
        *client && !(*client)->disabled && (*client)->authentication == claimed->method;
    const auto proven = fits ? is_proven(context, **client, *claimed) : Result<bool>(false);
    if (!proven && proven.error().category == Category::unavailable)
        return std::unexpected(Refusal{503, "temporarily_unavailable", "try again later", ""});
    if (!proven || !*proven) {
        context.audit(request, "oauth.client-authentication", nullptr, false);
        return not_that_client(was_basic);
    }
    return **std::move(client);
}

}  // namespace meridian::trust::oauth::detail

// SPDX-License-Identifier: Apache-2.0
#include "trust/oauth/detail/federation.hpp"

#include <charconv>

#include "base/hash.hpp"
#include "base/query_string.hpp"
#include "net/client.hpp"
#include "trust/jose/jwt.hpp"
#include "trust/limits.hpp"
#include "trust/oauth/detail/answer.hpp"
#include "trust/oauth/detail/pages.hpp"
#include "trust/oauth/detail/record.hpp"
#include "trust/oauth/detail/secret.hpp"

namespace meridian::trust::oauth::detail {

namespace {

/// What a provider says about itself (OpenID Connect Discovery §3).
struct Discovered {
    std::string authorization_endpoint{};
    std::string token_endpoint{};
    std::string jwks_uri{};
    bool sends_issuer = false;  ///< RFC 9207
};

/// One sign-in on its way. All of it follows from the browser's cookie and our shared secret.
struct Trip {
    std::string state{};
    std::string nonce{};
    std::string verifier{};
    std::string return_to{};
};

std::unexpected<Error> failed() {
    return fail(Category::unauthenticated, "the sign-in at the provider is not valid");
}

std::string callback_of(const Context& context, const Provider& provider) {
    return context.endpoint(fmt::format("federated/{}/callback", provider.name));
}

bool is_https(const Context& context) {
    return context.options.issuer.starts_with("https:");
}

std::string cookie_name(const Context& context) {
    return is_https(context) ? "__Host-meridian-federation" : "meridian-federation";
}

std::string cookie(const Context& context, std::string_view value, int seconds) {
    // Lax: the provider's answer is a navigation from another site, and must bring it.
    return fmt::format("{}={}; Path=/; HttpOnly; SameSite=Lax; Max-Age={}{}", cookie_name(context),
                       value, seconds, is_https(context) ? "; Secure" : "");
}

std::string cookie_of(const Context& context, const net::Request& request) {
    const std::string wanted = cookie_name(context) + '=';
    const std::string header = request.headers.joined("Cookie");
    std::string_view rest = header;
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find(';'), rest.size());
        std::string_view one = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        while (one.starts_with(' ')) one.remove_prefix(1);
        if (one.starts_with(wanted)) return std::string(one.substr(wanted.size()));
    }
    return {};
}

/// Back to a page of ours only: "//host" and "/\host" are other hosts to a browser.
std::string own_path(std::string_view path) {
    const bool is_own = path.starts_with('/') && !path.starts_with("//") &&
                        path.find('\\') == std::string_view::npos &&
                        std::ranges::all_of(path, [](char c) { return c > ' ' && c < '\x7f'; });
    return is_own ? std::string(path) : "/";
}

Result<Trip> trip_of(Context& context, const Provider& provider, std::string_view browser,
                     std::string_view payload) {
    const std::string secret = TRY(context.shared_secret());
    const auto derived = [&](std::string_view what) {
        return authenticated(secret,
                             fmt::format("{}\n{}\n{}\n{}", what, provider.name, browser, payload));
    };
    Trip trip;
    trip.state = fmt::format("{}.{}", base64url_encode(payload), derived("federation state"));
    trip.nonce = derived("federation nonce");
    trip.verifier = derived("federation verifier");
    const std::size_t line = payload.find('\n');
    trip.return_to = payload.substr(line + 1);
    return trip;
}

/// The trip that `state` belongs to, when it began in this browser and not too long ago.
Result<Trip> trip_behind(Context& context, const Provider& provider, std::string_view browser,
                         std::string_view state) {
    std::string payload;
    const std::size_t dot = state.find('.');
    if (browser.empty() || dot == std::string_view::npos ||
        !base64url_decode(state.substr(0, dot), payload))
        return failed();
    Trip trip = TRY(trip_of(context, provider, browser, payload));
    if (!equal_secrets(trip.state, state)) return failed();
    std::int64_t began = 0;
    std::from_chars(payload.data(), payload.data() + payload.size(), began);
    if (after(Instant{began}, limits::oauth_federation_seconds) <= context.now()) return failed();
    return trip;
}

Result<Discovered> discover(Context& context, const Provider& provider) {
    std::string_view base = provider.issuer;
    if (base.ends_with('/')) base.remove_suffix(1);
    const std::string text =
        TRY(context.key_source.document(fmt::format("{}/.well-known/openid-configuration", base)));
    const auto document = JsonDocument::parse(text);
    // OpenID Connect Discovery §4.3: letter by letter.
    if (!document || document->root().string_at("issuer") != provider.issuer)
        return fail(Category::unavailable, "the provider calls itself otherwise");
    const Json& json = document->root();
    Discovered found{std::string(json.string_at("authorization_endpoint")),
                     std::string(json.string_at("token_endpoint")),
                     std::string(json.string_at("jwks_uri")),
                     json["authorization_response_iss_parameter_supported"].boolean()};
    for (const std::string& url :
         {found.authorization_endpoint, found.token_endpoint, found.jwks_uri})
        if (!is_safe_address(url))
            return fail(Category::unavailable, "the provider names an address that is not https");
    return found;
}

Result<net::Response> start(Context& context, const net::Request& request,
                            const Provider& provider) {
    const net::Parameters parameters = TRY(request.parameters());
    const Discovered found = TRY(discover(context, provider));
    const std::string browser = new_secret();
    const std::string payload = fmt::format("{}\n{}", context.now().milliseconds,
                                            own_path(value_of(parameters, "return_to")));
    const Trip trip = TRY(trip_of(context, provider, browser, payload));
    net::Response response =
        redirect(request, with_parameters(found.authorization_endpoint,
                                          {{"response_type", "code"},
                                           {"client_id", provider.client_id},
                                           {"redirect_uri", callback_of(context, provider)},
                                           {"scope", provider.scope},
                                           {"state", trip.state},
                                           {"nonce", trip.nonce},
                                           {"code_challenge", hashed(trip.verifier)},
                                           {"code_challenge_method", "S256"}}));
    response.headers.add("Set-Cookie", cookie(context, browser, limits::oauth_federation_seconds));
    return response;
}

/// RFC 6749 §4.1.3 as a client; the ID token of the answer.
Result<std::pair<std::string, std::string>> fetch_tokens(const Context& context,
                                                         const Provider& provider,
                                                         const Discovered& found, const Trip& trip,
                                                         const std::string& code) {
    net::Parameters form{{"grant_type", "authorization_code"},
                         {"code", code},
                         {"redirect_uri", callback_of(context, provider)},
                         {"code_verifier", trip.verifier}};
    net::ClientRequest request;
    request.method = net::Method::post;
    request.url = found.token_endpoint;
    request.headers.add("Content-Type", "application/x-www-form-urlencoded");
    request.headers.add("Accept", "application/json");
    if (provider.client_secret.empty())
        form.emplace_back("client_id", provider.client_id);
    else
        request.headers.add(
            "Authorization",
            "Basic " + base64_encode(fmt::format("{}:{}", percent_encode(provider.client_id),
                                                 percent_encode(provider.client_secret))));
    request.body = query_string(form);
    net::Client client({.total_timeout = std::chrono::seconds(limits::oauth_fetch_seconds_max),
                        .answer_bytes_max = limits::jwks_bytes_max});
    const net::ClientAnswer answer = TRY(client.send(request));
    const auto document = JsonDocument::parse(answer.body);
    if (answer.status != 200 || !document) return failed();
    return std::pair(std::string(document->root().string_at("id_token")),
                     std::string(document->root().string_at("access_token")));
}

/// OpenID Connect Core §3.1.3.7.
Result<jose::Claims> check_id_token(Context& context, const Provider& provider,
                                    const Discovered& found, const Trip& trip,
                                    const std::string& token) {
    const jose::Header header = TRY(jose::read_header(token));
    const jose::KeySet keys = TRY(context.key_source.keys(found.jwks_uri, header.key_id));
    jose::ClaimRules rules;
    rules.issuer = provider.issuer;
    rules.audiences = {provider.client_id};
    rules.age_max = std::chrono::seconds(limits::oauth_federation_seconds);
    jose::Claims claims = TRY(jose::verify_jwt(token, keys, rules, context.now()));
    const Json& json = claims.json();
    if (claims.subject.empty() || !equal_secrets(json.string_at("nonce"), trip.nonce))
        return failed();
    const std::string_view party = json.string_at("azp");
    if (json["aud"].size() > 1 && party.empty()) return failed();
    if (!party.empty() && party != provider.client_id) return failed();
    return claims;
}

Result<net::Response> take_back(Context& context, const net::Request& request,
                                const Provider& provider) {
    const net::Parameters parameters = TRY(request.parameters());
    if (!are_sound(parameters)) return failed();
    const Trip trip = TRY(
        trip_behind(context, provider, cookie_of(context, request), value_of(parameters, "state")));
    const Discovered found = TRY(discover(context, provider));
    const std::string issuer = value_of(parameters, "iss");
    if ((found.sends_issuer || !issuer.empty()) && issuer != provider.issuer) return failed();
    if (!has(parameters, "code")) return failed();
    const auto [id_token, access_token] =
        TRY(fetch_tokens(context, provider, found, trip, value_of(parameters, "code")));
    const jose::Claims claims = TRY(check_id_token(context, provider, found, trip, id_token));
    const Subject subject =
        TRY(context.options.on_federated(claims.issuer, claims.subject, claims.json()));
    net::Response response = redirect(request, trip.return_to);
    response.headers.add("Set-Cookie", cookie(context, "", 0));
    TRY(context.options.begin_session(subject, request, response));
    context.audit("oauth.federated", &subject, true);
    return response;
}

}  // namespace

net::Response federation_endpoint(Context& context, const net::Request& request,
                                  std::string_view rest) {
    if (request.method != net::Method::get) return not_allowed("GET");
    const std::size_t slash = rest.find('/');
    const std::string_view name = rest.substr(0, slash);
    const std::string_view step =
        slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
    const auto& providers = context.options.providers;
    const auto provider = std::ranges::find(providers, name, &Provider::name);
    const Language language = language_of(request);
    if (provider == providers.end() || (step != "start" && step != "callback"))
        return problem_page(404, Problem::sign_in_failed, language);
    auto answer = step == "start" ? start(context, request, *provider)
                                  : take_back(context, request, *provider);
    if (answer) return *std::move(answer);
    context.audit("oauth.federated", nullptr, false);
    const bool is_away = answer.error().category == Category::unavailable;
    return problem_page(is_away ? 503 : 400, is_away ? Problem::busy : Problem::sign_in_failed,
                        language);
}

Result<void> validate(const Provider& provider) {
    const bool is_name = !provider.name.empty() && std::ranges::all_of(provider.name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-';
    });
    if (!is_name)
        return fail(Category::incorrect,
                    "a provider's name has other characters than letters, digits and -");
    if (!is_safe_address(provider.issuer) || provider.client_id.empty())
        return fail(Category::incorrect,
                    "a provider needs an https issuer and the client id that it gave us");
    return {};
}

}  // namespace meridian::trust::oauth::detail

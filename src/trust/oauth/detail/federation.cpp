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
#include "trust/pages/sign_in.hpp"
#include "trust/sessions/cookie.hpp"

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
    // What it is for, which the state carries along.
    Instant began{};
    Federated::Purpose purpose = Federated::Purpose::sign_in;
    std::string session{};  ///< of the person, for step-up and linking
    std::string return_to{};
};

constexpr std::array<std::string_view, 3> purpose_names{"sign-in", "step-up", "link"};

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
    return std::string(trust::cookie(request, cookie_name(context)).value_or(""));
}

/// "milliseconds\npurpose\nsession\nreturn_to".
std::string payload_of(const Trip& trip) {
    return fmt::format("{}\n{}\n{}\n{}", trip.began.milliseconds,
                       purpose_names[static_cast<std::size_t>(trip.purpose)], trip.session,
                       trip.return_to);
}

/// The reverse, of a payload that was authenticated.
Result<Trip> read_payload(std::string_view payload) {
    Trip trip;
    const auto line = [&] {
        const std::size_t end = std::min(payload.find('\n'), payload.size());
        const std::string_view one = payload.substr(0, end);
        payload.remove_prefix(std::min(end + 1, payload.size()));
        return one;
    };
    const std::string_view began = line();
    std::from_chars(began.data(), began.data() + began.size(), trip.began.milliseconds);
    const auto purpose = std::ranges::find(purpose_names, line());
    if (purpose == purpose_names.end()) return failed();
    trip.purpose = static_cast<Federated::Purpose>(purpose - purpose_names.begin());
    trip.session = line();
    trip.return_to = payload;
    return trip;
}

/// Fills in the secrets of a trip to the provider in the browser that has this cookie.
Result<void> derive(Context& context, const Provider& provider, std::string_view browser,
                    std::string_view payload, Trip& trip) {
    const std::string secret = TRY(context.shared_secret());
    const auto derived = [&](std::string_view what) {
        return authenticated(secret,
                             fmt::format("{}\n{}\n{}\n{}", what, provider.name, browser, payload));
    };
    trip.state = fmt::format("{}.{}", base64url_encode(payload), derived("federation state"));
    trip.nonce = derived("federation nonce");
    trip.verifier = derived("federation verifier");
    return {};
}

/// The trip that `state` belongs to, when it began in this browser and not too long ago.
Result<Trip> trip_behind(Context& context, const Provider& provider, std::string_view browser,
                         std::string_view state) {
    std::string payload;
    const std::size_t dot = state.find('.');
    if (browser.empty() || dot == std::string_view::npos ||
        !base64url_decode(state.substr(0, dot), payload))
        return failed();
    Trip expected;
    TRY(derive(context, provider, browser, payload, expected));
    if (!equal_secrets(expected.state, state)) return failed();
    Trip trip = TRY(read_payload(payload));
    trip.state = std::move(expected.state);
    trip.nonce = std::move(expected.nonce);
    trip.verifier = std::move(expected.verifier);
    if (after(trip.began, limits::oauth_federation_seconds) <= context.now()) return failed();
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

/// Whether a page of another site made the browser come here (Fetch Metadata; older browsers say
/// nothing). Nobody else may begin a step-up or a link for somebody.
bool is_from_elsewhere(const net::Request& request) {
    const std::string_view site = request.headers.get("Sec-Fetch-Site");
    return !site.empty() && site != "same-origin" && site != "none";
}

/// The purpose that is asked for, and the session of the person when it needs one.
Result<Trip> wanted_trip(const Context& context, const net::Request& request) {
    const net::Parameters parameters = TRY(request.parameters());
    Trip trip;
    trip.began = context.now();
    trip.return_to = own_path(value_of(parameters, "return_to"));
    const std::string wanted = value_of(parameters, "purpose");
    if (wanted.empty() || wanted == purpose_names[0]) return trip;
    const auto purpose = std::ranges::find(purpose_names, wanted);
    const auto subject = context.options.signed_in(request);
    if (purpose == purpose_names.end() || !subject || is_from_elsewhere(request)) return failed();
    trip.purpose = static_cast<Federated::Purpose>(purpose - purpose_names.begin());
    trip.session = subject->session;
    return trip;
}

Result<net::Response> start(Context& context, const net::Request& request,
                            const Provider& provider) {
    Trip trip = TRY(wanted_trip(context, request));
    const Discovered found = TRY(discover(context, provider));
    const std::string browser = new_secret();
    TRY(derive(context, provider, browser, payload_of(trip), trip));
    const bool is_fresh = trip.purpose == Federated::Purpose::step_up;
    net::Parameters parameters{
        {"response_type", "code"},
        {"client_id", provider.client_id},
        {"redirect_uri", callback_of(context, provider)},
        {"scope", provider.scope},
        {"state", trip.state},
        {"nonce", trip.nonce},
        {"code_challenge", hashed(trip.verifier)},
        {"code_challenge_method", "S256"},
        // So that the ID token says when the person proved who they are (Core §2, auth_time).
        {"max_age", std::to_string(is_fresh ? 0 : limits::oauth_federation_age_seconds_max)}};
    if (is_fresh) parameters.emplace_back("prompt", "login");
    net::Response response =
        redirect(request, with_parameters(found.authorization_endpoint, parameters));
    response.headers.add("Set-Cookie", cookie(context, browser, limits::oauth_federation_seconds));
    return response;
}

/// RFC 7523 §2.2: who we are, signed. Its one audience is the provider's issuer, so that another
/// provider cannot use it (RFC 7523bis §4).
Result<std::string> assertion_of(const Context& context, const Provider& provider) {
    const Instant at = context.now();
    Record claims;
    claims.set("iss", provider.client_id)
        .set("sub", provider.client_id)
        .set("aud", provider.issuer)
        .set("jti", new_secret())
        .set("iat", seconds_of(at))
        .set("exp", seconds_of(after(at, limits::jwt_clock_skew_seconds_max)));
    return jose::sign(TRY(jose::Key::from_jwk(provider.key)), claims.text());
}

/// Adds what proves to the provider who we are, by the one way that is registered there.
Result<void> authenticate(const Context& context, const Provider& provider, net::Parameters& form,
                          net::ClientRequest& request) {
    if (!provider.client_secret.empty()) {
        request.headers.add(
            "Authorization",
            "Basic " + base64_encode(fmt::format("{}:{}", percent_encode(provider.client_id),
                                                 percent_encode(provider.client_secret))));
        return {};
    }
    form.emplace_back("client_id", provider.client_id);
    if (provider.key.empty()) return {};
    form.emplace_back("client_assertion_type",
                      "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    form.emplace_back("client_assertion", TRY(assertion_of(context, provider)));
    return {};
}

/// RFC 6749 §4.1.3 as a client; the ID token of the answer. The access token is not looked at:
/// nothing is asked of the provider with it.
Result<std::string> fetch_id_token(const Context& context, const Provider& provider,
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
    TRY(authenticate(context, provider, form, request));
    request.body = query_string(form);
    net::Client client({.total_timeout = std::chrono::seconds(limits::oauth_fetch_seconds_max),
                        .answer_bytes_max = limits::jwks_bytes_max});
    const net::ClientAnswer answer = TRY(client.send(request));
    const auto document = JsonDocument::parse(answer.body);
    if (answer.status != 200 || !document) return failed();
    return std::string(document->root().string_at("id_token"));
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

/// When the person proved who they are (OpenID Connect Core §3.1.3.7 step 13), as far as the
/// provider says it; never later than now.
Result<std::optional<Instant>> proved_at(const Context& context, const Trip& trip,
                                         const Json& claims) {
    const Json* said = claims.find("auth_time");
    const auto at = said == nullptr ? std::nullopt : jose::numeric_date(*said);
    const bool is_fresh = trip.purpose == Federated::Purpose::step_up;
    if (!at) {
        if (is_fresh || said != nullptr) return failed();
        return at;
    }
    const std::int64_t earliest =
        is_fresh ? trip.began.milliseconds
                 : context.now().milliseconds - limits::oauth_federation_age_seconds_max * 1000LL;
    if (at->milliseconds < earliest - limits::jwt_clock_skew_seconds_max * 1000LL) return failed();
    return Instant{std::min(at->milliseconds, context.now().milliseconds)};
}

/// What the person will know themselves by: it is shown to them, and never decides.
std::string shown_name(const Json& claims) {
    for (const char* claim : {"email", "preferred_username", "name", "sub"})
        if (const std::string_view text = claims.string_at(claim); !text.empty())
            return std::string(text.substr(0, limits::jwt_identifier_bytes_max));
    return {};
}

/// Step-up and linking belong to the session that asked for them.
bool is_its_session(const Context& context, const net::Request& request, const Trip& trip) {
    if (trip.purpose == Federated::Purpose::sign_in) return true;
    const auto subject = context.options.signed_in(request);
    return subject && !trip.session.empty() && subject->session == trip.session;
}

Result<net::Response> take_back(Context& context, const net::Request& request,
                                const Provider& provider) {
    const net::Parameters parameters = TRY(request.parameters());
    if (!are_sound(parameters)) return failed();
    const Trip trip = TRY(
        trip_behind(context, provider, cookie_of(context, request), value_of(parameters, "state")));
    if (!is_its_session(context, request, trip)) return failed();
    const Discovered found = TRY(discover(context, provider));
    const std::string issuer = value_of(parameters, "iss");
    if ((found.sends_issuer || !issuer.empty()) && issuer != provider.issuer) return failed();
    if (!has(parameters, "code")) return failed();
    const std::string id_token =
        TRY(fetch_id_token(context, provider, found, trip, value_of(parameters, "code")));
    const jose::Claims claims = TRY(check_id_token(context, provider, found, trip, id_token));
    Federated federated{.purpose = trip.purpose,
                        .identity = {claims.issuer, claims.subject},
                        .provider = provider.shown(),
                        .shown = shown_name(claims.json()),
                        .proved = TRY(proved_at(context, trip, claims.json())),
                        .return_to = trip.return_to,
                        .creates = provider.created_role()};
    net::Response response = context.options.on_federated(request, federated);
    response.headers.add("Set-Cookie", cookie(context, "", 0));
    return response;
}

/// The public half of our key for this provider, so that it may fetch it (jwks_uri).
net::Response own_keys(const Provider& provider) {
    const auto key = jose::Key::from_jwk(provider.key);
    return document(key ? jose::KeySet({*key}).to_text() : R"({"keys":[]})", 300);
}

net::Response refused(const Context& context, const net::Request& request, const Error& error) {
    context.audit(request, "sign-in.federated", nullptr, false);
    const bool is_away = error.category == Category::unavailable;
    return problem_page(is_away ? 503 : 400, is_away ? Problem::busy : Problem::sign_in_failed,
                        language_of(request));
}

}  // namespace

net::Response federation_endpoint(Context& context, const net::Request& request,
                                  std::string_view rest) {
    if (request.method != net::Method::get) return not_allowed("GET");
    const std::size_t slash = rest.find('/');
    const std::string_view step =
        slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
    const auto provider = context.providers.find(rest.substr(0, slash));
    if (!provider) return refused(context, request, provider.error());
    if (!*provider || !context.options.on_federated ||
        (step != "start" && step != "callback" && step != "jwks"))
        return problem_page(404, Problem::sign_in_failed, language_of(request));
    if (step == "jwks") return own_keys(**provider);
    auto answer = step == "start" ? start(context, request, **provider)
                                  : take_back(context, request, **provider);
    return answer ? *std::move(answer) : refused(context, request, answer.error());
}

}  // namespace meridian::trust::oauth::detail

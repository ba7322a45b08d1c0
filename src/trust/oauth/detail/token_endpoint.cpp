// SPDX-License-Identifier: Apache-2.0
#include "trust/oauth/detail/token_endpoint.hpp"

#include "base/hash.hpp"
#include "trust/jose/jws.hpp"
#include "trust/oauth/detail/client_authentication.hpp"
#include "trust/oauth/detail/grants.hpp"

namespace meridian::trust::oauth::detail {

namespace {

/// The form of a POST. RFC 6749 §3.2: parameters in the body only, each once.
std::expected<net::Parameters, Refusal> read_form(const net::Request& request) {
    auto form = request.form();
    if (!form || !are_sound(*form) || !request.query().empty())
        return std::unexpected(
            Refusal{400, "invalid_request", "a form is expected, each parameter once", ""});
    return *std::move(form);
}

/// OpenID Connect Core §3.1.3.6: the left half of the hash of the ASCII form, base64url. All
/// algorithms that ID tokens may have here hash with SHA-256.
std::string half_hash(std::string_view token) {
    const Sha256 hash = sha256(token);
    return base64url_encode({reinterpret_cast<const char*>(hash.data()), hash.size() / 2});
}

/// How sure we are: a key that cannot be phished, two proofs, or one.
std::string_view strength_of(const Subject& subject) {
    const auto has_method = [&](std::string_view method) {
        return std::ranges::find(subject.methods, method) != subject.methods.end();
    };
    if (has_method("hwk") || has_method("swk")) return "phr";  // OpenID EAP ACR Values 1.0
    return subject.methods.size() >= 2 ? "urn:meridian:acr:two-factor"
                                       : "urn:meridian:acr:one-factor";
}

std::string fhir_user(const Context& context, const Subject& subject) {
    if (subject.person.empty()) return {};
    return fmt::format("{}/{}", context.options.fhir_base, subject.person);
}

Result<std::string> id_token(Context& context, const Tokens& tokens) {
    const Subject& subject = tokens.grant.subject;
    const Instant at = context.now();
    Record claims;
    claims.set("iss", context.options.issuer)
        .set("sub", TRY(context.public_name(subject.account)))
        .set("aud", tokens.grant.client)
        .set("iat", seconds_of(at))
        .set("exp", seconds_of(after(at, context.options.id_token_life)))
        .set("auth_time", seconds_of(subject.authenticated_at))
        .set("acr", strength_of(subject))
        .set("at_hash", half_hash(tokens.access_token))
        .set_if("nonce", tokens.grant.nonce);
    if (!subject.methods.empty()) claims.set("amr", subject.methods);
    if (has_word(tokens.grant.scopes, "fhirUser"))
        claims.set_if("fhirUser", fhir_user(context, subject));
    return jose::sign(TRY(context.signing_keys.current(at)), claims.text());
}

/// SMART App Launch 2.2, "Obtain access token", response. The id behind "Patient/" only.
std::string id_of(std::string_view reference) {
    return std::string(reference.substr(reference.rfind('/') + 1));
}

std::expected<net::Response, Refusal> answer(Context& context, const Tokens& tokens) {
    const Subject& subject = tokens.grant.subject;
    Record record;
    record.set("access_token", tokens.access_token)
        .set("token_type", "Bearer")
        .set("expires_in", static_cast<std::int64_t>(tokens.life.count()))
        .set("scope", to_text(tokens.grant.scopes))
        .set_if("refresh_token", tokens.refresh_token);
    if (!subject.patient.empty())
        record.set("patient", id_of(subject.patient))
            .set("need_patient_banner", context.options.need_patient_banner)
            .set_if("smart_style_url", context.options.smart_style_url);
    if (!subject.encounter.empty()) record.set("encounter", id_of(subject.encounter));
    if (has_word(tokens.grant.scopes, "openid")) {
        const auto token = id_token(context, tokens);
        if (!token) return std::unexpected(unavailable());
        record.set("id_token", *token);
    }
    return json(record);
}

/// RFC 6749 §6 asks for a client_id of nobody who has no secret, SMART 2.2 neither, and fhirclient
/// sends none: a refresh token of a public client says by itself whose it is.
std::expected<Client, Refusal> client_of_refresh(Context& context, const net::Request& request,
                                                 const net::Parameters& form) {
    const bool says_who = request.headers.has("Authorization") || has(form, "client_id") ||
                          has(form, "client_assertion") || has(form, "client_assertion_type") ||
                          has(form, "client_secret");
    if (says_who || value_of(form, "grant_type") != "refresh_token")
        return authenticate_client(context, request, form);
    const auto owner = Grants(context, &request).owner_of(value_of(form, "refresh_token"));
    if (!owner) return std::unexpected(unavailable());
    const auto client = context.clients.find(*owner ? (*owner)->client : std::string());
    if (!client) return std::unexpected(unavailable());
    if (!*client || (*client)->disabled ||
        (*client)->authentication != ClientAuthentication::none) {
        context.audit(request, "oauth.token.refresh", nullptr, false);
        return std::unexpected(invalid_grant());
    }
    return **client;
}

std::expected<net::Response, Refusal> take_token_request(Context& context,
                                                         const net::Request& request) {
    const auto form = read_form(request);
    if (!form) return std::unexpected(form.error());
    const auto client = client_of_refresh(context, request, *form);
    if (!client) return std::unexpected(client.error());
    const std::string type = value_of(*form, "grant_type");
    Grants grants(context, &request);
    std::string_view what = "oauth.token.code";
    std::expected<Tokens, Refusal> tokens =
        std::unexpected(Refusal{400, "unsupported_grant_type", "", ""});
    if (type.empty())
        return std::unexpected(Refusal{400, "invalid_request", "grant_type is missing", ""});
    if (type == "authorization_code") {
        for (const std::string_view name : {"code", "redirect_uri", "code_verifier"})
            if (!has(*form, name))
                return std::unexpected(
                    Refusal{400, "invalid_request", fmt::format("{} is missing", name), ""});
        tokens = grants.exchange(*client, value_of(*form, "code"), value_of(*form, "redirect_uri"),
                                 value_of(*form, "code_verifier"));
    } else if (type == "refresh_token") {
        what = "oauth.token.refresh";
        tokens =
            grants.refresh(*client, value_of(*form, "refresh_token"), value_of(*form, "scope"));
    } else if (type == "client_credentials") {
        what = "oauth.token.client";
        tokens = grants.grant_to_itself(*client, value_of(*form, "scope"));
    }
    context.audit(request, what, tokens ? &tokens->grant.subject : nullptr, tokens.has_value());
    if (!tokens) return std::unexpected(tokens.error());
    return answer(context, *tokens);
}

std::expected<net::Response, Refusal> take_introspection(Context& context,
                                                         const net::Request& request) {
    const auto form = read_form(request);
    if (!form) return std::unexpected(form.error());
    const auto client = authenticate_client(context, request, *form);
    if (!client) return std::unexpected(client.error());
    if (client->authentication == ClientAuthentication::none)
        return std::unexpected(Refusal{401, "invalid_client", "", "Basic realm=\"meridian\""});
    if (!has(*form, "token"))
        return std::unexpected(Refusal{400, "invalid_request", "token is missing", ""});
    const auto found = Grants(context, &request).introspect(value_of(*form, "token"));
    if (!found) return std::unexpected(unavailable());
    const bool may_see =
        *found && (client->may_introspect || (*found)->subject.client == client->id);
    context.audit(request, "oauth.introspect", may_see ? &(*found)->subject : nullptr, may_see);
    // RFC 7662 §2.2: nothing else is said about a token that is not active.
    if (!may_see) return json(Record().set("active", false));
    const Subject& subject = (*found)->subject;
    const auto name = context.public_name(subject.account);
    if (!name) return std::unexpected(unavailable());
    Record record;
    record.set("active", true)
        .set_if("client_id", subject.client)
        .set("token_type", "Bearer")
        .set("iss", context.options.issuer)
        .set("aud", context.options.fhir_base)
        .set("sub", *name)
        .set_if("fhirUser", fhir_user(context, subject));
    std::string scope;
    for (const std::string& one : subject.scopes) scope += (scope.empty() ? "" : " ") + one;
    record
        .set_if("scope", scope)  // without any, a token is as good as its account
        .set("iat", seconds_of((*found)->issued))
        .set("exp", seconds_of((*found)->expires));
    if (!subject.patient.empty()) record.set("patient", id_of(subject.patient));
    if (!subject.encounter.empty()) record.set("encounter", id_of(subject.encounter));
    return json(record);
}

std::expected<net::Response, Refusal> take_revocation(Context& context,
                                                      const net::Request& request) {
    const auto form = read_form(request);
    if (!form) return std::unexpected(form.error());
    const auto client = authenticate_client(context, request, *form);
    if (!client) return std::unexpected(client.error());
    if (!has(*form, "token"))
        return std::unexpected(Refusal{400, "invalid_request", "token is missing", ""});
    Grants grants(context, &request);
    const auto owner = grants.owner_of(value_of(*form, "token"));
    if (!owner) return std::unexpected(unavailable());
    // RFC 7009 §2.2: a token that is unknown is as good as revoked. Another client's is answered
    // alike and left alone, so that nobody learns whether it exists.
    const bool is_theirs = *owner && (*owner)->client == client->id;
    if (is_theirs && !grants.revoke((*owner)->family)) return std::unexpected(unavailable());
    context.audit(request, "oauth.revoke", nullptr, is_theirs || !*owner);
    return json(200, "{}");
}

/// RFC 6750 §2.1.
std::string bearer_of(const net::Request& request) {
    const std::string_view header = request.headers.get("Authorization");
    constexpr std::string_view scheme = "bearer ";
    if (header.size() <= scheme.size()) return {};
    for (std::size_t i = 0; i < scheme.size(); ++i)
        if ((header[i] | 0x20) != scheme[i]) return {};
    return std::string(header.substr(scheme.size()));
}

std::expected<net::Response, Refusal> take_userinfo(Context& context, const net::Request& request) {
    const std::string token = bearer_of(request);
    // RFC 6750 §3.1: without a token there is nothing to say about it.
    if (token.empty())
        return std::unexpected(Refusal{401, "invalid_request", "", "Bearer realm=\"meridian\""});
    const auto found = Grants(context, &request).introspect(token);
    if (!found) return std::unexpected(unavailable());
    context.audit(request, "oauth.userinfo", *found ? &(*found)->subject : nullptr,
                  found->has_value());
    if (!*found)
        return std::unexpected(Refusal{401, "invalid_token", "",
                                       "Bearer realm=\"meridian\", error=\"invalid_token\""});
    const Subject& subject = (*found)->subject;
    const auto has_scope = [&](std::string_view scope) {
        return std::ranges::find(subject.scopes, scope) != subject.scopes.end();
    };
    if (!has_scope("openid"))
        return std::unexpected(
            Refusal{403, "insufficient_scope", "",
                    "Bearer realm=\"meridian\", error=\"insufficient_scope\", scope=\"openid\""});
    const auto name = context.public_name(subject.account);
    if (!name) return std::unexpected(unavailable());
    Record record;
    record.set("sub", *name);
    if (has_scope("fhirUser")) record.set_if("fhirUser", fhir_user(context, subject));
    return json(record);
}

net::Response finished(std::expected<net::Response, Refusal> outcome) {
    net::Response response = outcome ? *std::move(outcome) : refuse(outcome.error());
    // No cookie is looked at here, so pages of any origin may read it (SMART 2.2, "CORS").
    allow_other_origins(response);
    return response;
}

}  // namespace

net::Response token_endpoint(Context& context, const net::Request& request) {
    if (request.method == net::Method::options) return preflight("POST");
    if (request.method != net::Method::post) return not_allowed("POST, OPTIONS");
    return finished(take_token_request(context, request));
}

net::Response introspection_endpoint(Context& context, const net::Request& request) {
    if (request.method == net::Method::options) return preflight("POST");
    if (request.method != net::Method::post) return not_allowed("POST, OPTIONS");
    return finished(take_introspection(context, request));
}

net::Response revocation_endpoint(Context& context, const net::Request& request) {
    if (request.method == net::Method::options) return preflight("POST");
    if (request.method != net::Method::post) return not_allowed("POST, OPTIONS");
    return finished(take_revocation(context, request));
}

net::Response userinfo_endpoint(Context& context, const net::Request& request) {
    if (request.method == net::Method::options) return preflight("GET, POST");
    if (request.method != net::Method::get && request.method != net::Method::post)
        return not_allowed("GET, POST, OPTIONS");
    return finished(take_userinfo(context, request));
}

}  // namespace meridian::trust::oauth::detail

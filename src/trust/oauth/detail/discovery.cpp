// SPDX-License-Identifier: Apache-2.0
#include "trust/oauth/detail/discovery.hpp"

#include "trust/limits.hpp"
#include "trust/oauth/detail/answer.hpp"

namespace meridian::trust::oauth::detail {

namespace {

using Words = std::vector<std::string>;

const Words client_methods{"none", "client_secret_basic", "private_key_jwt"};
const Words confidential_methods{"client_secret_basic", "private_key_jwt"};
const Words signatures{"ES256", "ES384", "RS256", "RS384", "PS256", "EdDSA", "Ed25519"};
const Words grant_types{"authorization_code", "refresh_token", "client_credentials"};
const Words scopes{"openid",          "fhirUser",       "launch",
                   "launch/patient",  "offline_access", "online_access",
                   "patient/*.cruds", "user/*.cruds",   "system/*.cruds"};

void set_common(const Context& context, Record& record) {
    record.set("issuer", context.options.issuer)
        .set("jwks_uri", context.endpoint("jwks"))
        .set("authorization_endpoint", context.endpoint("authorize"))
        .set("token_endpoint", context.endpoint("token"))
        .set("pushed_authorization_request_endpoint", context.endpoint("par"))
        .set("require_pushed_authorization_requests", false)
        .set("token_endpoint_auth_methods_supported", client_methods)
        .set("token_endpoint_auth_signing_alg_values_supported", signatures)
        .set("introspection_endpoint", context.endpoint("introspect"))
        .set("revocation_endpoint", context.endpoint("revoke"))
        .set("grant_types_supported", grant_types)
        .set("response_types_supported", Words{"code"})
        .set("scopes_supported", scopes)
        .set("code_challenge_methods_supported", Words{"S256"});
}

net::Response document_for(const net::Request& request, const Record& record) {
    if (request.method == net::Method::options) return preflight("GET");
    if (request.method != net::Method::get && request.method != net::Method::head)
        return not_allowed("GET, HEAD, OPTIONS");
    return document(record.text(), limits::oauth_document_seconds);
}

}  // namespace

net::Response metadata_document(const Context& context, const net::Request& request) {
    Record record;
    set_common(context, record);
    record.set("userinfo_endpoint", context.endpoint("userinfo"))
        .set("introspection_endpoint_auth_methods_supported", confidential_methods)
        .set("introspection_endpoint_auth_signing_alg_values_supported", signatures)
        .set("revocation_endpoint_auth_methods_supported", client_methods)
        .set("revocation_endpoint_auth_signing_alg_values_supported", signatures)
        .set("response_modes_supported", Words{"query"})
        .set("subject_types_supported", Words{"public"})
        .set("id_token_signing_alg_values_supported",
             Words{std::string(name_of(context.options.id_token_algorithm))})
        .set("acr_values_supported",
             Words{"phr", "urn:meridian:acr:two-factor", "urn:meridian:acr:one-factor"})
        .set("claims_supported", Words{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce",
                                       "acr", "amr", "at_hash", "fhirUser"})
        .set("prompt_values_supported", Words{"none", "login", "consent", "select_account"})
        .set("claims_parameter_supported", false)
        .set("request_parameter_supported", false)
        .set("request_uri_parameter_supported", false)
        .set("authorization_response_iss_parameter_supported", true);
    return document_for(request, record);
}

net::Response smart_document(const Context& context, const net::Request& request) {
    Record record;
    set_common(context, record);
    Words capabilities{"launch-ehr",
                       "launch-standalone",
                       "authorize-post",
                       "client-public",
                       "client-confidential-symmetric",
                       "client-confidential-asymmetric",
                       "sso-openid-connect",
                       "context-ehr-patient",
                       "context-ehr-encounter",
                       "context-standalone-patient",
                       "permission-offline",
                       "permission-online",
                       "permission-patient",
                       "permission-user",
                       "permission-v1",
                       "permission-v2"};
    if (context.options.need_patient_banner) capabilities.emplace_back("context-banner");
    if (!context.options.smart_style_url.empty()) capabilities.emplace_back("context-style");
    record.set("capabilities", capabilities);
    return document_for(request, record);
}

net::Response jwks_document(Context& context, const net::Request& request) {
    if (request.method == net::Method::options) return preflight("GET");
    if (request.method != net::Method::get && request.method != net::Method::head)
        return not_allowed("GET, HEAD, OPTIONS");
    const auto keys = context.signing_keys.published(context.now());
    if (!keys) return refuse({503, "temporarily_unavailable", "try again later", ""});
    return document(keys->to_text(), limits::oauth_document_seconds);
}

}  // namespace meridian::trust::oauth::detail

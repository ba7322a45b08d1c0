// SPDX-License-Identifier: Apache-2.0
#include "trust/oauth/server.hpp"

#include "net/url.hpp"
#include "trust/oauth/detail/answer.hpp"
#include "trust/oauth/detail/apps_page.hpp"
#include "trust/oauth/detail/authorization_request.hpp"
#include "trust/oauth/detail/authorize.hpp"
#include "trust/oauth/detail/context.hpp"
#include "trust/oauth/detail/discovery.hpp"
#include "trust/oauth/detail/federation.hpp"
#include "trust/oauth/detail/grants.hpp"
#include "trust/oauth/detail/token_endpoint.hpp"

namespace meridian::trust::oauth {

struct Server::Implementation {
    Implementation(Vault& vault, Options options, std::string fhir_path)
        : context(vault, std::move(options)),
          fhir_smart_path(std::move(fhir_path) + "/.well-known/smart-configuration") {}
    detail::Context context;
    const std::string fhir_smart_path;
};

namespace {

Result<void> validate(const Options& options) {
    const net::Url issuer = TRY(net::Url::parse(options.issuer));
    // RFC 8414 §2: no query, no fragment; a path would need our endpoints below it.
    if (!is_safe_address(options.issuer) ||
        options.issuer != issuer.to_text().substr(0, issuer.to_text().size() - 1))
        return fail(Category::incorrect,
                    "the issuer is no https address without a path (http on loopback only)");
    if (!is_safe_address(options.fhir_base) || options.fhir_base.ends_with('/'))
        return fail(Category::incorrect, "the FHIR base is no https address, or ends with a slash");
    if (!options.issue || !options.open || !options.signed_in || !options.account ||
        !options.patients || !options.audit || !options.clock)
        return fail(Category::incorrect, "the OAuth server lacks a hook that it needs");
    if (!options.csrf_token != !options.check_csrf)
        return fail(Category::incorrect, "the page of apps needs both hooks of its forms");
    const auto algorithm = options.id_token_algorithm;
    if (algorithm != jose::Algorithm::rs256 && algorithm != jose::Algorithm::es256 &&
        algorithm != jose::Algorithm::ps256)
        return fail(Category::incorrect, "ID tokens are signed with RS256, ES256 or PS256");
    return {};
}

}  // namespace

Server::Server(std::unique_ptr<Implementation> implementation)
    : implementation_(std::move(implementation)) {}
Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::make(Vault& vault, Options options) {
    TRY(validate(options));
    std::string fhir_path = TRY(net::Url::parse(options.fhir_base)).path;
    if (fhir_path == "/") fhir_path.clear();
    return std::unique_ptr<Server>(new Server(
        std::make_unique<Implementation>(vault, std::move(options), std::move(fhir_path))));
}

std::optional<net::Response> Server::handle(const net::Request& request) {
    using Endpoint = net::Response (*)(detail::Context&, const net::Request&);
    static constexpr std::array<std::pair<std::string_view, Endpoint>, 7> endpoints{{
        {"/oauth/authorize", detail::authorization_endpoint},
        {"/oauth/par", detail::pushed_request_endpoint},
        {"/oauth/token", detail::token_endpoint},
        {"/oauth/introspect", detail::introspection_endpoint},
        {"/oauth/revoke", detail::revocation_endpoint},
        {"/oauth/userinfo", detail::userinfo_endpoint},
        {"/oauth/jwks", detail::jwks_document},
    }};
    constexpr std::string_view federated = "/oauth/federated/";
    detail::Context& context = implementation_->context;
    const std::string_view path = request.path();
    for (const auto& [name, endpoint] : endpoints)
        if (path == name) return endpoint(context, request);
    if (path == "/.well-known/openid-configuration" ||
        path == "/.well-known/oauth-authorization-server")
        return detail::metadata_document(context, request);
    if (path == "/.well-known/smart-configuration" || path == implementation_->fhir_smart_path)
        return detail::smart_document(context, request);
    if (path.starts_with(federated))
        return detail::federation_endpoint(context, request, path.substr(federated.size()));
    if (path.starts_with(detail::apps_path)) return detail::apps_page(context, request);
    return std::nullopt;
}

Result<std::string> Server::make_launch(std::string_view patient, std::string_view encounter,
                                        std::string_view client, std::string_view account) {
    return detail::make_launch(implementation_->context, patient, encounter, client, account);
}

Result<void> Server::revoke(std::string_view family) {
    return detail::Grants(implementation_->context, nullptr).revoke(family);
}

Result<void> Server::rotate_signing_key() {
    return implementation_->context.signing_keys.rotate(implementation_->context.now());
}

Clients& Server::clients() {
    return implementation_->context.clients;
}

Providers& Server::providers() {
    return implementation_->context.providers;
}

}  // namespace meridian::trust::oauth

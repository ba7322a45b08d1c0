// SPDX-License-Identifier: Apache-2.0
// A server that the clients of tests/oauth talk to: oauth::Server with a vault and accounts in
// memory, a sign-in that believes everyone, one patient behind the FHIR base, and addresses below
// /test/ for what our own pages and commands would do. Prints its address; ends with its input.
#include <cstdio>
#include <iostream>

#include "base/json.hpp"
#include "net/server.hpp"
#include "trust/jose/key.hpp"
#include "trust/oauth/server.hpp"
#include "trust/oauth/testing/surroundings.hpp"
#include "trust/testing/memory_vault.hpp"

namespace {

using namespace meridian;
using namespace meridian::trust;

net::Response json(int status, const std::string& body) {
    net::Response response = net::Response::text(status, body, "application/json");
    response.headers.add("Cache-Control", "no-store");
    return response;
}

std::string parameter(const net::Parameters& parameters, std::string_view name) {
    for (const auto& [key, value] : parameters)
        if (key == name) return value;
    return {};
}

class TestServer {
 public:
    explicit TestServer(const std::string& provider) : provider_(provider) {}

    Result<void> start() {
        net::ServerOptions options;
        options.handler = [this](const net::Request& request) { return answer(request); };
        http_ = TRY(net::Server::start(std::move(options)));
        const std::string issuer = fmt::format("http://127.0.0.1:{}", http_->port());
        oauth::Options made = surroundings_.options(issuer);
        made.id_token_algorithm = jose::Algorithm::rs256;
        made.on_federated = [this](const net::Request&, const Federated& federated) {
            return take_federated(federated);
        };
        oauth_ = TRY(oauth::Server::make(vault_, std::move(made)));
        if (!provider_.empty()) {
            TRY(oauth_->providers().add({.name = "outside",
                                         .issuer = provider_,
                                         .client_id = "meridian",
                                         .client_secret = "outside-secret"}));
            TRY(oauth_->providers().add(
                {.name = "public", .issuer = provider_, .client_id = "meridian-public"}));
            const jose::Key key = TRY(jose::Key::generate(jose::Algorithm::es256));
            TRY(oauth_->providers().add({.name = "keyed",
                                         .issuer = provider_,
                                         .client_id = "meridian-keyed",
                                         .key = TRY(key.private_jwk())}));
        }
        is_ready_ = true;
        std::cout << issuer << std::endl;
        return {};
    }

 private:
    net::Response take_federated(const Federated& federated) {
        if (federated.identity.subject != "outside-doctor") return json(403, "{}");
        net::Response response;
        response.status = 302;
        response.headers.add("Location", federated.return_to);
        response.headers.add("Set-Cookie", "session=" + surroundings_.sign_in("doctor", {"fed"}));
        return response;
    }

    net::Response answer(const net::Request& request) {
        if (!is_ready_) return json(503, "{}");
        if (auto response = oauth_->handle(request)) return *std::move(response);
        if (request.path() == "/sign-in") return sign_in(request);
        if (request.path().starts_with("/fhir/")) return fhir(request);
        if (request.path().starts_with("/test/")) return control(request);
        return json(404, "{}");
    }

    /// Signs in whoever the browser's cookie "as" names, and goes back.
    net::Response sign_in(const net::Request& request) {
        const auto parameters = request.parameters();
        const std::string_view cookie = request.headers.get("Cookie");
        const std::size_t at = cookie.find("as=");
        if (!parameters || at == std::string_view::npos) return json(200, "{}");
        const std::string_view rest = cookie.substr(at + 3);
        net::Response response;
        response.status = 303;
        response.headers.add("Location", parameter(*parameters, "return_to"));
        response.headers.add(
            "Set-Cookie",
            "session=" + surroundings_.sign_in(std::string(rest.substr(0, rest.find(';')))));
        return response;
    }

    net::Response fhir(const net::Request& request) {
        if (request.method == net::Method::options) {
            net::Response response;
            response.status = 204;
            return response;
        }
        const std::string_view header = request.headers.get("Authorization");
        const auto subject =
            surroundings_.open(header.substr(std::min<std::size_t>(7, header.size())));
        if (!subject) return json(401, "{}");
        const std::string_view path = request.path().substr(6);
        if (path != subject->subject.patient && path != subject->subject.person)
            return json(404, "{}");
        const std::size_t slash = path.find('/');
        return json(200, fmt::format(R"({{"resourceType":"{}","id":"{}"}})", path.substr(0, slash),
                                     path.substr(slash + 1)));
    }

    net::Response control(const net::Request& request) {
        const auto parameters = request.parameters();
        if (!parameters) return json(400, "{}");
        const std::string_view what = request.path().substr(6);
        if (what == "client") return add_client(request);
        if (what == "launch") {
            const auto token = oauth_->make_launch(parameter(*parameters, "patient"),
                                                   parameter(*parameters, "encounter"),
                                                   parameter(*parameters, "client"));
            return token ? json(200, fmt::format(R"({{"launch":"{}"}})", *token)) : json(400, "{}");
        }
        if (what == "rotate") return json(oauth_->rotate_signing_key() ? 200 : 500, "{}");
        if (what == "ahead") {
            surroundings_.ahead_seconds = std::stoll(parameter(*parameters, "seconds"));
            return json(200, "{}");
        }
        return json(404, "{}");
    }

    net::Response add_client(const net::Request& request) {
        const auto document = JsonDocument::parse(request.body);
        if (!document) return json(400, "{}");
        const Json& asked = document->root();
        oauth::Client client;
        client.id = asked.string_at("id");
        client.name = asked.string_at("name", "An app");
        client.account = asked.string_at("account");
        client.jwks_uri = asked.string_at("jwks_uri");
        client.first_party = asked["first_party"].boolean();
        client.may_introspect = asked["may_introspect"].boolean();
        client.pushes = asked["pushes"].boolean();
        if (const Json* keys = asked.find("jwks")) client.jwks = to_text(*keys);
        const std::string_view method = asked.string_at("authentication");
        if (method == "secret") client.authentication = oauth::ClientAuthentication::secret;
        if (method == "key") client.authentication = oauth::ClientAuthentication::private_key;
        for (const Json& uri : asked["redirect_uris"].items())
            client.redirect_uris.emplace_back(uri.text());
        for (const Json& scope : asked["scopes"].items()) client.scopes.emplace_back(scope.text());
        const auto added = oauth_->clients().add(std::move(client));
        if (!added) return json(400, added.error().message);
        return json(200,
                    fmt::format(R"({{"id":"{}","secret":"{}"}})", added->client.id, added->secret));
    }

    const std::string provider_;
    trust::testing::MemoryVault vault_;
    oauth::testing::Surroundings surroundings_;
    std::unique_ptr<oauth::Server> oauth_;
    std::atomic<bool> is_ready_{false};
    std::unique_ptr<net::Server> http_;  // last: stops first
};

}  // namespace

int main(int count, char** arguments) {
    TestServer server(count > 1 ? arguments[1] : "");
    if (const auto started = server.start(); !started) {
        std::cerr << started.error().message << '\n';
        return 1;
    }
    while (std::cin.get() != EOF) {
    }
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
// For tests only: an authorization server with three apps, a signed-in patient, and what tests do
// to it again and again.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "base/query_string.hpp"
#include "base/testing.hpp"
#include "trust/oauth/detail/secret.hpp"
#include "trust/oauth/server.hpp"
#include "trust/oauth/testing/surroundings.hpp"
#include "trust/testing/memory_vault.hpp"

namespace meridian::trust::oauth::testing {

using meridian::testing::must;

inline const std::string issuer = "https://record.example";
inline const std::string verifier(43, 'v');

/// A vault that can be cut off.
class BrokenVault final : public Vault {
 public:
    Result<std::optional<Entry>> get(std::string_view space, std::string_view key) override {
        if (is_broken) return fail(Category::unavailable, "broken");
        return inner.get(space, key);
    }
    Result<bool> put(std::vector<Entry> entries) override {
        if (is_broken) return fail(Category::unavailable, "broken");
        return inner.put(std::move(entries));
    }
    Result<std::vector<Entry>> list(std::string_view space, std::string_view after,
                                    std::size_t limit) override {
        return inner.list(space, after, limit);
    }
    std::atomic<bool> is_broken{false};
    trust::testing::MemoryVault inner;
};

class OauthServer : public ::testing::Test {
 protected:
    OauthServer() {
        Client app;
        app.id = "app";
        app.name = "An <app>";
        app.redirect_uris = {"https://app.example/callback"};
        app.scopes = {"openid",         "fhirUser",      "launch",       "launch/patient",
                      "offline_access", "online_access", "patient/*.rs", "user/*.cruds"};
        must(server->clients().add(app));
        Client other = app;
        other.id = "confidential";
        other.authentication = ClientAuthentication::secret;
        other.may_introspect = true;
        secret = must(server->clients().add(other)).secret;
        session = "session=" + surroundings.sign_in("patient");
    }

    net::Response send(net::Method method, const std::string& target, const std::string& body = "",
                       net::Headers headers = {}) {
        net::Request request;
        request.method = method;
        request.target = target;
        request.body = body;
        request.peer = "192.0.2.7:5000";
        request.headers = std::move(headers);
        if (!body.empty()) request.headers.add("Content-Type", "application/x-www-form-urlencoded");
        auto response = server->handle(request);
        EXPECT_TRUE(response);
        return response.value_or(net::Response{});
    }
    net::Response authorize(const net::Parameters& change = {}, const std::string& cookie = "") {
        net::Parameters parameters{{"client_id", "app"},
                                   {"response_type", "code"},
                                   {"redirect_uri", "https://app.example/callback"},
                                   {"scope", "openid offline_access patient/*.rs"},
                                   {"aud", issuer + "/fhir"},
                                   {"state", "s"},
                                   {"code_challenge", detail::hashed(verifier)},
                                   {"code_challenge_method", "S256"}};
        for (const auto& [name, value] : change) {
            std::erase_if(parameters, [&](const auto& pair) { return pair.first == name; });
            if (!value.empty()) parameters.emplace_back(name, value);
        }
        return send(net::Method::get, "/oauth/authorize?" + query_string(parameters), "",
                    {{"Cookie", cookie.empty() ? session : cookie}});
    }
    static std::string between(const std::string& text, const std::string& begin,
                               const std::string& end) {
        const std::size_t at = text.find(begin);
        if (at == std::string::npos) return {};
        const std::size_t from = at + begin.size();
        return text.substr(from, text.find(end, from) - from);
    }
    static std::string form_of(const net::Response& page) {
        return between(page.body, "name=\"form\" value=\"", "\"");
    }
    net::Response decide(const std::string& form, const std::string& decision,
                         const std::string& more = "", const std::string& cookie = "") {
        return send(net::Method::post, "/oauth/authorize",
                    "form=" + form + "&decision=" + decision + more,
                    {{"Cookie", cookie.empty() ? session : cookie}});
    }
    static std::string parameter(const net::Response& response, const std::string& name) {
        const std::string url(response.headers.get("Location"));
        const auto parameters =
            parse_query_string(url.substr(std::min(url.find('?') + 1, url.size())));
        for (const auto& [key, value] : *parameters)
            if (key == name) return value;
        return {};
    }
    /// A code for the app, the page allowed where one comes.
    std::string code(const net::Parameters& change = {}) {
        net::Response response = authorize(change);
        if (response.status == 200) response = decide(form_of(response), "allow");
        return parameter(response, "code");
    }
    net::Response token(const std::string& body) {
        return send(net::Method::post, "/oauth/token", body);
    }
    net::Response exchange(const std::string& one) {
        return token(
            "grant_type=authorization_code&client_id=app&redirect_uri=https%3A%2F%2Fapp.example"
            "%2Fcallback&code_verifier=" +
            verifier + "&code=" + one);
    }
    net::Response refresh(const std::string& one) {
        return token("grant_type=refresh_token&client_id=app&refresh_token=" + one);
    }
    static std::string member(const net::Response& response, std::string_view name) {
        const auto document = JsonDocument::parse(response.body);
        return document ? std::string(document->root().string_at(name)) : std::string();
    }
    bool is_active(const std::string& access_token) {
        const net::Response response =
            send(net::Method::post, "/oauth/introspect", "token=" + access_token,
                 {{"Authorization", "Basic " + base64_encode("confidential:" + secret)}});
        return response.body.find("\"active\":true") != std::string::npos;
    }

    BrokenVault vault;
    Surroundings surroundings;
    std::unique_ptr<Server> server = must(Server::make(vault, surroundings.options(issuer)));
    std::string secret;
    std::string session;
};

}  // namespace meridian::trust::oauth::testing

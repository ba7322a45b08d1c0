// SPDX-License-Identifier: Apache-2.0
#include "trust/oauth/client.hpp"

#include <gtest/gtest.h>

#include "base/testing.hpp"
#include "trust/jose/testing/vectors.hpp"
#include "trust/testing/memory_vault.hpp"

namespace meridian::trust::oauth {

namespace {

using meridian::testing::must;

Client app() {
    Client client;
    client.id = "app";
    client.name = "An app";
    client.redirect_uris = {"https://app.example/callback"};
    client.scopes = {"openid", "patient/*.rs"};
    return client;
}

template <class Change>
bool is_valid(Change change) {
    Client client = app();
    change(client);
    return validate(client).has_value();
}

}  // namespace

TEST(Client, RedirectAddresses) {
    for (const std::string_view good :
         {"https://app.example/callback", "https://app.example:8443/cb?x=1", "http://127.0.0.1/cb",
          "http://127.0.0.1:9999/cb", "http://[::1]:8080/", "http://localhost:3000/cb",
          "org.example.app:/callback", "com.example.app://callback"})
        EXPECT_TRUE(is_redirect_uri(good)) << good;
    for (const std::string_view bad :
         {"", "http://app.example/callback", "https://app.example/#x", "https://u:p@app.example/",
          "https://*.example/", "javascript:alert(1)", "data:text/html,x", "file:///etc/passwd",
          "app:/callback", "//app.example/", "/callback", "https://", "https://app.example/a b",
          "http://127.0.0.1.evil.example/", "http://127.0.0.2:80/", "https:app.example",
          "https://app.example\\@evil.example/", "ftp://app.example/", "org.example.app:"})
        EXPECT_FALSE(is_redirect_uri(bad)) << bad;
}

TEST(Client, RedirectAddressesFitLetterByLetter) {
    Client client = app();
    EXPECT_TRUE(has_redirect_uri(client, "https://app.example/callback"));
    for (const std::string_view other :
         {"https://app.example/callback/", "https://app.example/callback?a=1", "",
          "https://app.example/Callback", "https://app.example:443/callback",
          "https://APP.example/callback", "https://app.example/callback#x",
          "https://app.example.evil.example/callback"})
        EXPECT_FALSE(has_redirect_uri(client, other)) << other;
    client.redirect_uris = {"http://127.0.0.1/cb", "http://[::1]/cb"};
    EXPECT_TRUE(has_redirect_uri(client, "http://127.0.0.1:49152/cb"));
    EXPECT_TRUE(has_redirect_uri(client, "http://[::1]:49152/cb"));
    EXPECT_FALSE(has_redirect_uri(client, "http://127.0.0.1:49152/other"));
    EXPECT_FALSE(has_redirect_uri(client, "http://localhost:49152/cb"));
    EXPECT_FALSE(has_redirect_uri(client, "https://127.0.0.1:49152/cb"));
    client.redirect_uris = {"http://127.0.0.1:80/cb"};
    EXPECT_FALSE(has_redirect_uri(client, "http://127.0.0.1:81/cb")) << "a port that was named";
}

TEST(Client, RegistrationsThatCannotWorkAreRefused) {
    EXPECT_TRUE(is_valid([](Client&) {}));
    EXPECT_FALSE(is_valid([](Client& c) { c.id = "a b"; }));
    EXPECT_FALSE(is_valid([](Client& c) { c.name.clear(); }));
    EXPECT_FALSE(is_valid([](Client& c) { c.redirect_uris.clear(); }));
    EXPECT_FALSE(is_valid([](Client& c) { c.redirect_uris.assign(21, "https://a.example/"); }));
    EXPECT_FALSE(is_valid([](Client& c) { c.scopes.clear(); }));
    EXPECT_FALSE(is_valid([](Client& c) { c.scopes = {"everything"}; }));
    EXPECT_FALSE(is_valid([](Client& c) { c.scopes = {"system/*.rs"}; })) << "no account";
    EXPECT_FALSE(is_valid([](Client& c) { c.account = "loader"; })) << "a public client";
    EXPECT_FALSE(is_valid([](Client& c) { c.may_introspect = true; })) << "a public client";
    EXPECT_FALSE(is_valid([](Client& c) { c.jwks_uri = "https://app.example/jwks"; }));
    const auto with_key = [](Client& c) {
        c.authentication = ClientAuthentication::private_key;
        c.jwks = "{\"keys\":[" + jose::vectors::p256_public + "]}";
    };
    EXPECT_TRUE(is_valid(with_key));
    EXPECT_FALSE(is_valid([&](Client& c) {
        with_key(c);
        c.jwks_uri = "https://app.example/jwks";
    })) << "two places";
    EXPECT_FALSE(is_valid([&](Client& c) {
        with_key(c);
        c.jwks = "{\"keys\":[" + jose::vectors::p256_pair + "]}";
    })) << "a private key";
    EXPECT_FALSE(is_valid([&](Client& c) {
        with_key(c);
        c.jwks.clear();
        c.jwks_uri = "http://app.example/jwks";
    })) << "keys by http";
    EXPECT_FALSE(is_valid([&](Client& c) {
        with_key(c);
        c.jwks = R"({"keys":[{"kty":"oct","k":"AA"}]})";
    })) << "no key of use";
}

TEST(Clients, ComeBackAsTheyWere) {
    testing::MemoryVault vault;
    Clients clients(vault);
    Client client = app();
    client.authentication = ClientAuthentication::secret;
    client.first_party = true;
    const auto added = must(clients.add(client));
    EXPECT_EQ(added.secret.size(), 43u);
    EXPECT_EQ(must(vault.get("client", "app"))->value.find(added.secret), std::string::npos);
    const auto found = *must(clients.find("app"));
    EXPECT_EQ(found.name, "An app");
    EXPECT_EQ(found.scopes, client.scopes);
    EXPECT_EQ(found.redirect_uris, client.redirect_uris);
    EXPECT_TRUE(found.first_party);
    EXPECT_EQ(found.authentication, ClientAuthentication::secret);
    EXPECT_EQ(clients.add(client).error().category, Category::conflict);
    client.id.clear();
    EXPECT_FALSE(must(clients.add(client)).client.id.empty());
    EXPECT_EQ(must(clients.list()).size(), 2u);
    must(clients.set_disabled("app", true));
    EXPECT_TRUE(must(clients.find("app"))->disabled);
    must(clients.remove("app"));
    EXPECT_FALSE(must(clients.find("app")));
    EXPECT_EQ(clients.remove("app").error().category, Category::not_found);
    EXPECT_FALSE(must(clients.find("../app")));
}

}  // namespace meridian::trust::oauth

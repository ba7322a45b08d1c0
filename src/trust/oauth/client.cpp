// SPDX-License-Identifier: Apache-2.0
#include "trust/oauth/client.hpp"

#include <algorithm>

#include "base/message.hpp"
#include "net/url.hpp"
#include "trust/jose/key.hpp"
#include "trust/limits.hpp"
#include "trust/oauth/detail/record.hpp"
#include "trust/oauth/detail/secret.hpp"
#include "trust/scope.hpp"

namespace meridian::trust::oauth {

namespace {

constexpr std::string_view space = "client";
constexpr std::array<std::string_view, 3> authentication_names{"none", "client_secret_basic",
                                                               "private_key_jwt"};

std::unexpected<Error> wrong(std::string what) {
    return fail(Category::incorrect, "the client cannot be registered: " + std::move(what));
}

bool is_loopback(std::string_view host) {
    return host == "127.0.0.1" || host == "::1" || host == "localhost";
}

bool is_printable(std::string_view uri) {
    return std::ranges::all_of(uri, [](char c) {
        return c > ' ' && c < '\x7f' && c != '#' && c != '*' && c != '\\' && c != '"' && c != '<' &&
               c != '>' && c != '\'' && c != ';';
    });
}

/// RFC 8252 §7.1: a scheme made of a domain name of the app's maker, backwards.
bool is_private_use(std::string_view uri) {
    const std::size_t colon = uri.find(':');
    if (colon == std::string_view::npos || colon + 1 == uri.size()) return false;
    const std::string_view scheme = uri.substr(0, colon);
    if (scheme.find('.') == std::string_view::npos || scheme[0] < 'a' || scheme[0] > 'z')
        return false;
    return std::ranges::all_of(scheme, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '+';
    });
}

bool is_client_id(std::string_view id) {
    return !id.empty() && id.size() <= 128 && std::ranges::all_of(id, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.';
    });
}

Result<void> validate_keys(const Client& client) {
    const bool needs = client.authentication == ClientAuthentication::private_key;
    if (!needs) {
        if (!client.jwks.empty() || !client.jwks_uri.empty())
            return wrong("keys are for private_key_jwt");
        return {};
    }
    if (client.jwks.empty() == client.jwks_uri.empty())
        return wrong("private_key_jwt needs a jwks or a jwks_uri, not both");
    if (!client.jwks_uri.empty() && !is_safe_address(client.jwks_uri))
        return wrong("the jwks_uri is no https address");
    if (!client.jwks.empty() && TRY(jose::KeySet::parse(client.jwks)).keys().empty())
        return wrong("its jwks holds no key that can be used here");
    return {};
}

Result<void> validate_scopes(const Client& client) {
    if (client.scopes.empty() || client.scopes.size() > limits::oauth_scopes_max)
        return wrong(fmt::format("it needs 1 to {} scopes", limits::oauth_scopes_max));
    for (const std::string& text : client.scopes) {
        const Scope scope = TRY(Scope::parse(text));
        if (scope.level == Scope::Level::system && client.account.empty())
            return wrong("system scopes are for clients with an account of their own");
    }
    return {};
}

std::string to_text(const Client& client) {
    detail::Record record;
    record.set("id", client.id)
        .set("name", client.name)
        .set("name_zh", client.name_zh)
        .set("authentication",
             authentication_names[static_cast<std::size_t>(client.authentication)])
        .set("secret_hash", client.secret_hash)
        .set("jwks", client.jwks)
        .set("jwks_uri", client.jwks_uri)
        .set("redirect_uris", client.redirect_uris)
        .set("scopes", client.scopes)
        .set("account", client.account)
        .set("first_party", client.first_party)
        .set("may_introspect", client.may_introspect)
        .set("pushes", client.pushes)
        .set("disabled", client.disabled);
    return record.text();
}

Result<Client> from_text(std::string_view text) {
    const detail::Record record = TRY(detail::Record::parse(text));
    const auto authentication =
        std::ranges::find(authentication_names, record.string("authentication"));
    if (authentication == authentication_names.end())
        return fail(Category::fault, "a client's registration cannot be read");
    Client client;
    client.id = record.string("id");
    client.name = record.string("name");
    client.name_zh = record.string("name_zh");
    client.authentication =
        static_cast<ClientAuthentication>(authentication - authentication_names.begin());
    client.secret_hash = record.string("secret_hash");
    client.jwks = record.string("jwks");
    client.jwks_uri = record.string("jwks_uri");
    client.redirect_uris = record.strings("redirect_uris");
    client.scopes = record.strings("scopes");
    client.account = record.string("account");
    client.first_party = record.flag("first_party");
    client.may_introspect = record.flag("may_introspect");
    client.pushes = record.flag("pushes");
    client.disabled = record.flag("disabled");
    return client;
}

std::unexpected<Error> changed() {
    return fail(Category::conflict, "somebody else changed the client at the same time; try again");
}

}  // namespace

bool is_safe_address(std::string_view url) {
    if (!is_printable(url)) return false;
    const auto parsed = net::Url::parse(url);
    return parsed && (parsed->scheme == "https" || is_loopback(parsed->host));
}

bool is_redirect_uri(std::string_view uri) {
    if (uri.size() > 2000 || !is_printable(uri)) return false;
    if (uri.starts_with("http:") || uri.starts_with("https:")) return is_safe_address(uri);
    return is_private_use(uri);
}

bool has_redirect_uri(const Client& client, std::string_view uri) {
    if (std::ranges::find(client.redirect_uris, uri) != client.redirect_uris.end()) return true;
    const auto asked = net::Url::parse(uri);
    if (!asked || asked->scheme != "http" || !is_redirect_uri(uri)) return false;
    for (const std::string_view host : {"127.0.0.1", "[::1]"}) {
        const std::string with_port = fmt::format("http://{}:{}", host, asked->port);
        if (!uri.starts_with(with_port)) continue;
        const std::string without = fmt::format("http://{}{}", host, uri.substr(with_port.size()));
        return std::ranges::find(client.redirect_uris, without) != client.redirect_uris.end();
    }
    return false;
}

Result<void> validate(const Client& client) {
    if (!is_client_id(client.id))
        return wrong("its id has other characters than letters, digits, - _ . or is too long");
    if (client.name.empty() || client.name.size() > limits::oauth_client_name_bytes_max ||
        client.name_zh.size() > limits::oauth_client_name_bytes_max)
        return wrong(fmt::format("its name is missing or longer than {} bytes",
                                 limits::oauth_client_name_bytes_max));
    if (client.redirect_uris.size() > limits::oauth_redirect_uris_max)
        return wrong("it has too many redirect addresses");
    for (const std::string& uri : client.redirect_uris)
        if (!is_redirect_uri(uri))
            return wrong(
                fmt::format("\"{}\" is no address to redirect to (https, http on "
                            "127.0.0.1 or [::1], or a scheme like org.example.app)",
                            shown_in_message(uri)));
    // RFC 6749 §4.4: only confidential clients act by themselves; a key that never leaves them
    // proves more than a secret that both know.
    if (!client.account.empty() && client.authentication != ClientAuthentication::private_key)
        return wrong("a client with an account of its own needs private_key_jwt");
    if (client.account.empty() && client.redirect_uris.empty() && !client.may_introspect)
        return wrong("it has neither a redirect address nor an account of its own");
    if (client.may_introspect && client.authentication == ClientAuthentication::none)
        return wrong("a public client may not introspect");
    TRY(validate_keys(client));
    return validate_scopes(client);
}

Result<Clients::Added> Clients::add(Client client) {
    Added added;
    if (client.id.empty()) client.id = detail::new_secret().substr(0, 22);
    TRY(validate(client));
    client.secret_hash.clear();
    if (client.authentication == ClientAuthentication::secret) {
        added.secret = detail::new_secret();
        client.secret_hash = detail::hashed(added.secret);
    }
    if (!TRY(vault_.put(
            {{.space = std::string(space), .key = client.id, .value = to_text(client)}})))
        return fail(Category::conflict, "there is a client of that id");
    added.client = std::move(client);
    return added;
}

Result<std::optional<Client>> Clients::find(std::string_view id) {
    if (!is_client_id(id)) return std::nullopt;
    const auto entry = TRY(vault_.get(space, id));
    if (!entry) return std::nullopt;
    return TRY(from_text(entry->value));
}

Result<std::vector<Client>> Clients::list() {
    std::vector<Client> clients;
    for (const Vault::Entry& entry : TRY(vault_.list(space, "", limits::oauth_clients_listed_max)))
        clients.push_back(TRY(from_text(entry.value)));
    return clients;
}

Result<void> Clients::remove(std::string_view id) {
    auto entry = TRY(vault_.get(space, id));
    if (!entry) return fail(Category::not_found, "there is no client of that id");
    entry->removed = true;
    if (!TRY(vault_.put({*std::move(entry)}))) return changed();
    return {};
}

Result<void> Clients::set_disabled(std::string_view id, bool disabled) {
    auto entry = TRY(vault_.get(space, id));
    if (!entry) return fail(Category::not_found, "there is no client of that id");
    Client client = TRY(from_text(entry->value));
    client.disabled = disabled;
    entry->value = to_text(client);
    if (!TRY(vault_.put({*std::move(entry)}))) return changed();
    return {};
}

}  // namespace meridian::trust::oauth

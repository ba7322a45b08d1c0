// SPDX-License-Identifier: Apache-2.0
#include "trust/oauth/provider.hpp"

#include "trust/jose/key.hpp"
#include "trust/limits.hpp"
#include "trust/oauth/client.hpp"
#include "trust/oauth/detail/record.hpp"

namespace meridian::trust::oauth {

namespace {

constexpr std::string_view space = "oauth-provider";

std::unexpected<Error> wrong(std::string_view what, std::string_view where) {
    return fail(Category::incorrect, fmt::format("the provider cannot be used: {}", what),
                std::string(where));
}

bool is_name(std::string_view name) {
    return !name.empty() && name.size() <= limits::oauth_provider_name_bytes_max &&
           std::ranges::all_of(name, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-';
           });
}

bool may_be_created(Role role) {
    return !is_administrator(role) && role != Role::system_client && role != Role::guardian;
}

/// RFC 6749 §3.3: printable ASCII words, "openid" the first (OpenID Connect Core §3.1.2.1).
bool is_scope(std::string_view scope) {
    return (scope == "openid" || scope.starts_with("openid ")) &&
           scope.size() <= limits::oauth_provider_text_bytes_max &&
           std::ranges::all_of(
               scope, [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; });
}

std::string to_text(const Provider& provider) {
    detail::Record record;
    record.set("name", provider.name)
        .set("label", provider.label)
        .set("label_zh", provider.label_zh)
        .set("issuer", provider.issuer)
        .set("client_id", provider.client_id)
        .set("client_secret", provider.client_secret)
        .set("key", provider.key)
        .set("scope", provider.scope)
        .set("creates", provider.creates);
    return record.text();
}

Result<Provider> from_text(std::string_view text) {
    const detail::Record record = TRY(detail::Record::parse(text));
    Provider provider;
    provider.name = record.string("name");
    provider.label = record.string("label");
    provider.label_zh = record.string("label_zh");
    provider.issuer = record.string("issuer");
    provider.client_id = record.string("client_id");
    provider.client_secret = record.string("client_secret");
    provider.key = record.string("key");
    provider.scope = record.string("scope");
    provider.creates = record.string("creates");
    return provider;
}

}  // namespace

std::optional<Role> Provider::created_role() const {
    return creates.empty() ? std::nullopt : role_named(creates);
}

Result<void> validate(const Provider& provider) {
    if (!is_name(provider.name))
        return wrong(fmt::format("its name has 1 to {} letters, digits and -",
                                 limits::oauth_provider_name_bytes_max),
                     "NAME");
    if (!is_safe_address(provider.issuer) || provider.issuer.find('?') != std::string::npos)
        return wrong("its issuer is no https address (http on loopback only)", "--issuer");
    if (provider.client_id.empty() ||
        provider.client_id.size() > limits::oauth_provider_text_bytes_max)
        return wrong("it gave us a client id, which is missing here", "--client-id");
    if (provider.label.size() > limits::oauth_provider_text_bytes_max ||
        provider.label_zh.size() > limits::oauth_provider_text_bytes_max)
        return wrong(
            fmt::format("a label has at most {} bytes", limits::oauth_provider_text_bytes_max),
            "--label");
    if (!is_scope(provider.scope))
        return wrong("its scope begins with openid and holds plain words", "--scope");
    if (!provider.client_secret.empty() && !provider.key.empty())
        return wrong("there is a secret or a key, not both", "--key");
    if (!provider.key.empty() && !TRY(jose::Key::from_jwk(provider.key)).is_pair())
        return wrong("its key is no pair: the private members are missing", "--key");
    if (!provider.creates.empty()) {
        const auto role = provider.created_role();
        if (!role || !may_be_created(*role))
            return wrong("accounts by themselves are for patients and people at work", "--creates");
    }
    return {};
}

Result<Provider> Providers::add(Provider provider) {
    TRY(validate(provider));
    if (provider.label.empty()) provider.label = provider.name;
    if (TRY(list()).size() >= limits::oauth_providers_max)
        return fail(Category::conflict,
                    fmt::format("there are {} providers already, which is the most",
                                limits::oauth_providers_max));
    if (!TRY(vault_.put(
            {{.space = std::string(space), .key = provider.name, .value = to_text(provider)}})))
        return fail(Category::conflict,
                    fmt::format("there is a provider {} already", provider.name), "NAME");
    return provider;
}

Result<std::optional<Provider>> Providers::find(std::string_view name) {
    if (!is_name(name)) return std::nullopt;
    const auto entry = TRY(vault_.get(space, name));
    if (!entry) return std::nullopt;
    return TRY(from_text(entry->value));
}

Result<std::vector<Provider>> Providers::list() {
    std::vector<Provider> providers;
    for (const Vault::Entry& entry : TRY(vault_.list(space, "", limits::oauth_providers_max)))
        providers.push_back(TRY(from_text(entry.value)));
    return providers;
}

Result<void> Providers::remove(std::string_view name) {
    auto entry = is_name(name) ? TRY(vault_.get(space, name)) : std::nullopt;
    if (!entry) return fail(Category::not_found, "there is no provider of that name", "NAME");
    entry->removed = true;
    if (!TRY(vault_.put({*std::move(entry)})))
        return fail(Category::conflict, "somebody else changed it at the same time; try again");
    return {};
}

}  // namespace meridian::trust::oauth

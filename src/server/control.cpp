// SPDX-License-Identifier: Apache-2.0
#include "server/control.hpp"

#include "base/json.hpp"
#include "rest/answer.hpp"
#include "server/erasures.hpp"
#include "server/persons.hpp"
#include "server/project_control.hpp"
#include "trust/accounts/setup.hpp"
#include "trust/accounts/throttle.hpp"
#include "trust/jose/key.hpp"
#include "trust/keys/sealing.hpp"
#include "trust/limits.hpp"
#include "trust/oauth/client.hpp"
#include "trust/oauth/provider.hpp"
#include "trust/sessions/session.hpp"

namespace meridian::server {

namespace {

constexpr std::chrono::hours usual_lifetime{24};

Json described(JsonDocument& document, const trust::Account& account) {
    Json out = document.object();
    document.set(out, "name", document.string(account.name));
    document.set(out, "role", document.string(name_of(account.role)));
    document.set(out, "person", document.string(account.person));
    document.set(out, "organisation", document.string(account.organisation));
    document.set(out, "disabled", document.boolean(account.disabled));
    document.set(out, "created", document.string(to_text(account.created)));
    return out;
}

net::Response response_of(int status, const Json& body) {
    return net::Response::text(status, meridian::to_text(body), "application/json");
}

net::Response response_of(const Error& error) {
    JsonDocument document;
    Json out = document.object();
    document.set(out, "error", document.string(error.message));
    document.set(out, "where", document.string(error.where));
    document.set(out, "category", document.string(name_of(error.category)));
    return response_of(rest::status_of(error.category), out);
}

std::vector<std::string> words_of(const Json& array) {
    std::vector<std::string> words;
    for (const Json& word : array.items()) words.emplace_back(word.text());
    return words;
}

Result<trust::Role> wanted_role(const Json& wanted) {
    const auto role = trust::role_named(wanted.string_at("role"));
    if (role) return *role;
    std::vector<std::string_view> known;
    for (const trust::Role each : trust::all_roles()) known.push_back(name_of(each));
    return fail(Category::incorrect,
                fmt::format("\"{}\" is no role: expected one of {}",
                            wanted.string_at("role").substr(0, 40), fmt::join(known, ", ")),
                "--role");
}

}  // namespace

std::string control_socket_path(const std::string& folder) {
    return folder + "/control.sock";
}

net::Response Control::handle(const net::Request& request) {
    auto answered = answer(request);
    return answered ? *std::move(answered) : response_of(answered.error());
}

Result<net::Response> Control::answer(const net::Request& request) {
    const auto path = TRY(request.segments());
    if (!path.empty() && path[0] == "projects") return about_projects(request, path);
    if (request.method == net::Method::get && path == std::vector<std::string>{"accounts"})
        return list_accounts();
    if (request.method == net::Method::get && path == std::vector<std::string>{"clients"})
        return list_clients();
    if (request.method == net::Method::get && path == std::vector<std::string>{"providers"})
        return list_providers();
    if (request.method != net::Method::post)
        return fail(Category::not_found, "there is no such question");
    const JsonDocument body = TRY(JsonDocument::parse(request.body));
    if (path == std::vector<std::string>{"accounts"}) return add_account(body.root());
    if (path == std::vector<std::string>{"tokens"}) return issue_token(body.root());
    if (path.size() == 3 && path[0] == "accounts" && path[2] == "identities")
        return set_identity(path[1], body.root());
    if (path.size() == 3 && path[0] == "accounts")
        return act_on_account(path[1], path[2], body.root());
    if (path == std::vector<std::string>{"clients"}) return add_client(body.root());
    if (path.size() == 3 && path[0] == "clients" && path[2] == "removed")
        return remove_client(path[1]);
    if (path == std::vector<std::string>{"erasures"}) return erase_person(body.root());
    if (path == std::vector<std::string>{"seals"}) return seal();
    if (path == std::vector<std::string>{"holds"}) return hold(body.root());
    if (path == std::vector<std::string>{"holds", "released"}) return release(body.root());
    if (path == std::vector<std::string>{"providers"}) return add_provider(body.root());
    if (path.size() == 3 && path[0] == "providers" && path[2] == "removed")
        return remove_provider(path[1]);
    return fail(Category::not_found, "there is no such question");
}

Result<trust::Account> make_account(Guard& guard, fhir::Repository& repository,
                                    const trust::WantedAccount& wanted) {
    trust::NewAccount account = wanted.account;
    account.name = TRY(trust::account_name(account.name));
    // Before a person is made for nothing.
    if (TRY(guard.accounts().find(account.name)))
        return fail(Category::conflict, fmt::format("the account {} exists already", account.name));
    account.person = TRY(person_for(repository, fhir::Caller::system("accounts"),
                                    {.role = account.role,
                                     .account = account.name,
                                     .display = account.display_name,
                                     .organisation = account.organisation,
                                     .practitioner = wanted.practitioner,
                                     .patient = wanted.patient}));
    return guard.accounts().add(account);
}

Result<std::string> Control::setup_address(std::string_view name) {
    const std::string path = TRY(trust::make_account_link(guard_.vault(), guard_.accounts(), name));
    // Under which the record was last served: without a server nobody knows better.
    const std::string base = repository_.base_url();
    const std::size_t host = base.find("://");
    return host == std::string::npos ? path : base.substr(0, base.find('/', host + 3)) + path;
}

Result<net::Response> Control::add_account(const Json& wanted) {
    const trust::Account made =
        TRY(make_account(guard_, repository_,
                         {.account = {.name = std::string(wanted.string_at("name")),
                                      .role = TRY(wanted_role(wanted)),
                                      .organisation = std::string(wanted.string_at("organisation")),
                                      .display_name = std::string(wanted.string_at("display")),
                                      .password = std::string(wanted.string_at("password"))},
                          .practitioner = std::string(wanted.string_at("practitioner")),
                          .patient = std::string(wanted.string_at("patient"))}));
    TRY(note(fmt::format("account.added {}", name_of(made.role)), made.name));
    JsonDocument document;
    Json out = described(document, made);
    if (made.password.empty() && made.role != trust::Role::system_client)
        document.set(out, "setup", document.string(TRY(setup_address(made.name))));
    return response_of(201, out);
}

Result<void> Control::reset(std::string_view name, const Json& wanted) {
    if (!wanted["secondFactors"].boolean()) return {};
    TRY(guard_.accounts().remove_second_factors(name));
    return trust::Sessions(guard_.vault(), guard_.accounts(), {}).revoke_all(name);
}

Result<net::Response> Control::act_on_account(std::string_view name, std::string_view what,
                                              const Json& wanted) {
    const auto account = TRY(guard_.accounts().find(name));
    if (!account)
        return fail(Category::not_found,
                    fmt::format("there is no account \"{}\"; `meridian account list` shows all",
                                name.substr(0, 80)));
    if (what == "disabled") return set_disabled(account->name, wanted);
    JsonDocument document;
    Json out = described(document, *account);
    if (what == "reset") {
        TRY(reset(account->name, wanted));
        document.set(out, "setup", document.string(TRY(setup_address(account->name))));
    } else if (what == "unlocked") {
        TRY(trust::Throttle(guard_.vault()).unlock(account->name));
    } else if (what == "sessions") {
        TRY(trust::Sessions(guard_.vault(), guard_.accounts(), {}).revoke_all(account->name));
    } else {
        return fail(Category::not_found, "there is no such question");
    }
    TRY(note(fmt::format("account.{}", what), account->name));
    return response_of(200, out);
}

Result<net::Response> Control::list_accounts() {
    JsonDocument document;
    Json all = document.array();
    for (std::string after;;) {
        const auto part = TRY(guard_.accounts().list(after));
        if (part.empty()) break;
        for (const trust::Account& account : part)
            document.append(all, described(document, account));
        after = part.back().name;
    }
    Json out = document.object();
    document.set(out, "accounts", all);
    return response_of(200, out);
}

Result<net::Response> Control::set_disabled(std::string_view name, const Json& wanted) {
    const bool disabled = wanted["disabled"].boolean();
    TRY(guard_.accounts().set_disabled(name, disabled));
    TRY(note(disabled ? "account.disabled" : "account.enabled", name));
    const auto account = TRY(guard_.accounts().find(name));
    if (!account) return fail(Category::not_found, "there is no such account");
    JsonDocument document;
    return response_of(200, described(document, *account));
}

Result<net::Response> Control::add_client(const Json& wanted) {
    using trust::oauth::ClientAuthentication;
    trust::oauth::Client client;
    client.id = wanted.string_at("id");
    client.name = wanted.string_at("name");
    client.jwks = wanted.string_at("jwks");
    client.jwks_uri = wanted.string_at("jwksUri");
    client.account = wanted.string_at("account");
    client.first_party = wanted["firstParty"].boolean();
    client.may_introspect = wanted["mayIntrospect"].boolean();
    client.pushes = wanted["pushes"].boolean();
    client.redirect_uris = words_of(wanted["redirects"]);
    client.scopes = words_of(wanted["scopes"]);
    const std::string_view authentication = wanted.string_at("authentication", "none");
    if (authentication == "secret") client.authentication = ClientAuthentication::secret;
    if (authentication == "private-key") client.authentication = ClientAuthentication::private_key;
    if (!client.account.empty() && !TRY(guard_.accounts().find(client.account)))
        return fail(Category::not_found, "there is no such account", "--account");
    const auto added = TRY(trust::oauth::Clients(guard_.vault()).add(std::move(client)));
    TRY(note("client.added " + added.client.id, added.client.account));
    JsonDocument document;
    Json out = document.object();
    document.set(out, "id", document.string(added.client.id));
    if (!added.secret.empty()) document.set(out, "secret", document.string(added.secret));
    return response_of(201, out);
}

Result<net::Response> Control::list_clients() {
    JsonDocument document;
    Json all = document.array();
    for (const auto& client : TRY(trust::oauth::Clients(guard_.vault()).list())) {
        Json each = document.object();
        document.set(each, "id", document.string(client.id));
        document.set(each, "name", document.string(client.name));
        document.set(each, "disabled", document.boolean(client.disabled));
        document.append(all, each);
    }
    Json out = document.object();
    document.set(out, "clients", all);
    return response_of(200, out);
}

Result<net::Response> Control::remove_client(std::string_view id) {
    TRY(trust::oauth::Clients(guard_.vault()).remove(id));
    TRY(note(fmt::format("client.removed {}", id)));
    JsonDocument document;
    Json out = document.object();
    document.set(out, "id", document.string(id));
    return response_of(200, out);
}

Result<net::Response> Control::erase_person(const Json& wanted) {
    trust::ErasureRequest request;
    request.subject = wanted.string_at("subject");
    request.reason = wanted.string_at("reason");
    request.by = wanted.string_at("by");
    request.override_retention = wanted["override"].boolean();
    request.approvers = words_of(wanted["approvers"]);
    return net::Response::text(200, TRY(erase(guard_, repository_, std::move(request))),
                               "application/json");
}

Result<net::Response> Control::hold(const Json& wanted) {
    TRY(trust::hold_patient(repository_.store(), guard_.keys(), wanted.string_at("patient"),
                            wanted.string_at("by"), wanted.string_at("reason")));
    return net::Response::text(200, R"({"held":true})", "application/json");
}

Result<net::Response> Control::release(const Json& wanted) {
    const bool was_held =
        TRY(trust::release_patient(repository_.store(), wanted.string_at("patient")));
    return net::Response::text(200, fmt::format(R"({{"held":false,"was":{}}})", was_held),
                               "application/json");
}

Result<net::Response> Control::seal() {
    const trust::SealingProgress progress =
        TRY(trust::seal_some(repository_, *guard_.cipher(),
                             std::chrono::milliseconds(limits::sealing_slice_milliseconds)));
    JsonDocument document;
    Json out = document.object();
    document.set(out, "lookedAt", document.number(progress.looked_at));
    document.set(out, "total", document.number(progress.total));
    document.set(out, "sealed", document.number(progress.sealed));
    document.set(out, "done", document.boolean(progress.is_done));
    return response_of(200, out);
}

/// What was changed on this machine, and for which account: an entry of the log as all else.
Result<void> Control::note(std::string_view what, std::string_view account) {
    fhir::Caller caller = fhir::Caller::system("accounts");
    if (!account.empty()) {
        auto origin = std::make_shared<fhir::Origin>();
        origin->account = account;
        caller.origin = std::move(origin);
    }
    fhir::AuditRecord record;
    record.interaction = fhir::Interaction::security;
    record.query = what;
    return repository_.note(caller, {std::move(record)});
}

Result<net::Response> Control::add_provider(const Json& wanted) {
    trust::oauth::Provider provider;
    provider.name = wanted.string_at("name");
    provider.label = wanted.string_at("label");
    provider.label_zh = wanted.string_at("labelZh");
    provider.issuer = wanted.string_at("issuer");
    provider.client_id = wanted.string_at("clientId");
    provider.client_secret = wanted.string_at("secret");
    provider.key = wanted.string_at("key");
    provider.scope = wanted.string_at("scope", "openid");
    provider.creates = wanted.string_at("creates");
    const auto added = TRY(trust::oauth::Providers(guard_.vault()).add(std::move(provider)));
    TRY(note("provider.added " + added.name));
    JsonDocument document;
    Json out = document.object();
    document.set(out, "name", document.string(added.name));
    document.set(out, "callback",
                 document.string(fmt::format("/oauth/federated/{}/callback", added.name)));
    if (!added.key.empty()) {
        const auto key = TRY(trust::jose::Key::from_jwk(added.key));
        document.set(out, "jwks", document.string(trust::jose::KeySet({key}).to_text()));
    }
    return response_of(201, out);
}

Result<net::Response> Control::list_providers() {
    JsonDocument document;
    Json all = document.array();
    for (const auto& provider : TRY(trust::oauth::Providers(guard_.vault()).list())) {
        Json each = document.object();
        document.set(each, "name", document.string(provider.name));
        document.set(each, "issuer", document.string(provider.issuer));
        document.set(each, "clientId", document.string(provider.client_id));
        document.set(each, "creates", document.string(provider.creates));
        document.append(all, each);
    }
    Json out = document.object();
    document.set(out, "providers", all);
    return response_of(200, out);
}

Result<net::Response> Control::remove_provider(std::string_view name) {
    TRY(trust::oauth::Providers(guard_.vault()).remove(name));
    TRY(note(fmt::format("provider.removed {}", name)));
    JsonDocument document;
    Json out = document.object();
    document.set(out, "name", document.string(name));
    return response_of(200, out);
}

Result<net::Response> Control::set_identity(std::string_view name, const Json& wanted) {
    const auto provider =
        TRY(trust::oauth::Providers(guard_.vault()).find(wanted.string_at("provider")));
    if (!provider)
        return fail(Category::not_found,
                    "there is no such provider; `meridian provider list` shows all", "--provider");
    const trust::FederatedIdentity identity{provider->issuer,
                                            std::string(wanted.string_at("subject"))};
    const bool is_removed = wanted["removed"].boolean();
    TRY(is_removed ? guard_.accounts().unlink(name, identity)
                   : guard_.accounts().link(name, identity));
    TRY(note(is_removed ? "account.identity-removed" : "account.identity", name));
    const auto account = TRY(guard_.accounts().find(name));
    if (!account) return fail(Category::not_found, "there is no such account");
    JsonDocument document;
    return response_of(200, described(document, *account));
}

Result<net::Response> Control::issue_token(const Json& wanted) {
    std::vector<std::string> scopes = words_of(wanted["scopes"]);
    std::chrono::seconds lifetime = usual_lifetime;
    if (const std::string_view seconds = wanted["seconds"].text(); !seconds.empty()) {
        std::int64_t count = 0;
        std::from_chars(seconds.data(), seconds.data() + seconds.size(), count);
        if (count <= 0 || count > limits::host_token_seconds_max)
            return fail(
                Category::incorrect,
                fmt::format("a token lasts from 1 to {} seconds", limits::host_token_seconds_max),
                "--seconds");
        lifetime = std::chrono::seconds(count);
    }
    const std::string token =
        TRY(guard_.issue_token(wanted.string_at("account"), std::move(scopes), lifetime));
    JsonDocument document;
    Json out = document.object();
    document.set(out, "token", document.string(token));
    return response_of(200, out);
}

Result<net::Response> Control::about_projects(const net::Request& request,
                                              const std::vector<std::string>& path) {
    const JsonDocument body =
        TRY(JsonDocument::parse(request.body.empty() ? std::string_view("{}") : request.body));
    int status = 200;
    std::string answer =
        TRY(answer_about_projects(guard_, repository_, request.method, path, body.root(), status));
    return net::Response::text(status, std::move(answer), "application/json");
}

}  // namespace meridian::server

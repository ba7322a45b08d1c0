// SPDX-License-Identifier: Apache-2.0
#include "trust/oauth/detail/authorization_request.hpp"

#include <charconv>

#include "base/query_string.hpp"
#include "trust/limits.hpp"
#include "trust/oauth/detail/answer.hpp"
#include "trust/oauth/detail/client_authentication.hpp"
#include "trust/oauth/detail/record.hpp"
#include "trust/oauth/detail/secret.hpp"

namespace meridian::trust::oauth::detail {

namespace {

constexpr std::string_view pushed_space = "oauth-pushed";
constexpr std::string_view pushed_prefix = "urn:ietf:params:oauth:request_uri:";

bool is_same_base(std::string_view one, std::string_view other) {
    while (one.ends_with('/')) one.remove_suffix(1);
    return one == other;
}

bool asks_for_records(const std::vector<Scope>& scopes) {
    return has_level(scopes, Scope::Level::patient) || has_level(scopes, Scope::Level::user) ||
           has_word(scopes, "launch") || has_word(scopes, "launch/patient");
}

/// SMART: `aud` is the FHIR server that the app means; without it a counterfeit server could have
/// sent the person here and be given the token (SMART 2.2, "aud").
std::optional<Denied> check_audience(const Context& context, const net::Parameters& parameters,
                                     const std::vector<Scope>& scopes) {
    const std::string audience =
        has(parameters, "aud") ? value_of(parameters, "aud") : value_of(parameters, "resource");
    if (audience.empty() && asks_for_records(scopes))
        return Denied{"invalid_request", "aud is missing"};
    if (!audience.empty() && !is_same_base(audience, context.options.fhir_base))
        return Denied{"invalid_request", "aud is another server"};
    return std::nullopt;
}

std::optional<Denied> check_challenge(const net::Parameters& parameters) {
    const std::string challenge = value_of(parameters, "code_challenge");
    if (challenge.empty()) return Denied{"invalid_request", "code_challenge is missing"};
    // RFC 7636 §4.3: absent means plain, which protects nothing.
    if (value_of(parameters, "code_challenge_method") != "S256")
        return Denied{"invalid_request", "code_challenge_method is not S256"};
    if (challenge.size() != 43)
        return Denied{"invalid_request", "code_challenge is no SHA-256 in base64url"};
    return std::nullopt;
}

std::optional<Denied> read_prompt(const net::Parameters& parameters, Asked& asked) {
    const std::string words = value_of(parameters, "prompt");
    std::string_view rest = words;
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find(' '), rest.size());
        if (end > 0) asked.prompt.emplace_back(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    // OpenID Connect Core §3.1.2.1: with none there may be nothing else.
    if (asked.has_prompt("none") && asked.prompt.size() > 1)
        return Denied{"invalid_request", "prompt=none stands alone"};
    if (!has(parameters, "max_age")) return std::nullopt;
    const std::string text = value_of(parameters, "max_age");
    std::int64_t seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (error != std::errc() || end != text.data() + text.size() || seconds < 0)
        return Denied{"invalid_request", "max_age is no number of seconds"};
    asked.max_age_seconds = std::min<std::int64_t>(seconds, 1'000'000'000);
    return std::nullopt;
}

std::optional<Denied> read_scopes(const Context& context, const net::Parameters& parameters,
                                  Asked& asked) {
    auto requested = parse_scopes(value_of(parameters, "scope"));
    if (!requested) return Denied{"invalid_scope", "too many scopes"};
    std::vector<Scope> allowed;
    for (const std::string& text : asked.client.scopes)
        if (auto scope = Scope::parse(text); scope && scope->level != Scope::Level::system)
            allowed.push_back(*std::move(scope));
    asked.scopes = narrow(*requested, allowed);
    if (asked.scopes.empty()) return Denied{"invalid_scope", ""};
    return check_audience(context, parameters, *requested);
}

std::optional<Denied> read_rest(const Context& context, const net::Parameters& parameters,
                                Asked& asked) {
    if (has(parameters, "request")) return Denied{"request_not_supported", ""};
    if (has(parameters, "request_uri")) return Denied{"request_uri_not_supported", ""};
    if (!has(parameters, "response_type"))
        return Denied{"invalid_request", "response_type is missing"};
    if (value_of(parameters, "response_type") != "code")
        return Denied{"unsupported_response_type", ""};
    if (has(parameters, "response_mode") && value_of(parameters, "response_mode") != "query")
        return Denied{"invalid_request", "response_mode is not query"};
    asked.nonce = value_of(parameters, "nonce");
    if (asked.nonce.size() > limits::oauth_state_bytes_max)
        return Denied{"invalid_request", "nonce is too long"};
    if (auto denied = check_challenge(parameters)) return denied;
    asked.challenge = value_of(parameters, "code_challenge");
    if (auto denied = read_prompt(parameters, asked)) return denied;
    asked.launch = value_of(parameters, "launch");
    return read_scopes(context, parameters, asked);
}

/// Client and redirect address first. `parameters` are the whole request.
Result<std::optional<Asked>> find_client(Context& context, const net::Parameters& parameters) {
    Asked asked;
    const auto client = TRY(context.clients.find(value_of(parameters, "client_id")));
    asked.redirect_uri = value_of(parameters, "redirect_uri");
    if (!client || client->disabled || !has_redirect_uri(*client, asked.redirect_uri))
        return std::nullopt;
    asked.client = *client;
    asked.state = value_of(parameters, "state");
    if (asked.state.size() > limits::oauth_state_bytes_max) return std::nullopt;
    return asked;
}

/// What was pushed under that name by that client, as long as it is good.
Result<std::optional<std::pair<net::Parameters, Vault::Entry>>> find_pushed(
    Context& context, std::string_view name, std::string_view client) {
    auto entry = TRY(context.vault.get(pushed_space, hashed(name.substr(pushed_prefix.size()))));
    if (!entry) return std::nullopt;
    const Record record = TRY(Record::parse(entry->value));
    if (record.string("client") != client || record.instant("ends") <= context.now())
        return std::nullopt;
    entry->removed = true;
    return std::pair(TRY(parse_query_string(record.string("parameters"))), *std::move(entry));
}

/// All checks that do not depend on who is signed in.
std::expected<net::Parameters, Refusal> check_pushed(Context& context, const Client& client,
                                                     net::Parameters form) {
    // RFC 9126 §2.1: what proves the client is no part of its request, and no request names
    // another.
    std::erase_if(form, [](const auto& pair) {
        return pair.first == "client_assertion" || pair.first == "client_assertion_type" ||
               pair.first == "client_id";
    });
    if (has(form, "request_uri"))
        return std::unexpected(Refusal{400, "invalid_request", "request_uri is not for here", ""});
    form.emplace_back("client_id", client.id);
    auto asked = find_client(context, form);
    if (!asked) return std::unexpected(Refusal{503, "temporarily_unavailable", "", ""});
    if (!*asked)
        return std::unexpected(
            Refusal{400, "invalid_request", "redirect_uri is not registered", ""});
    if (auto denied = read_rest(context, form, **asked))
        return std::unexpected(Refusal{400, denied->code, denied->description, ""});
    return form;
}

std::expected<net::Response, Refusal> take_pushed(Context& context, const net::Request& request) {
    const auto form = request.form();
    if (!form || !are_sound(*form) || !request.query().empty())
        return std::unexpected(
            Refusal{400, "invalid_request", "a form is expected, each parameter once", ""});
    const auto client = authenticate_client(context, request, *form);
    if (!client) return std::unexpected(client.error());
    const auto parameters = check_pushed(context, *client, *form);
    context.audit(request, "oauth.pushed", nullptr, parameters.has_value());
    if (!parameters) return std::unexpected(parameters.error());
    const std::string name = new_secret();
    const Instant ends = after(context.now(), limits::oauth_pushed_seconds);
    const auto kept = context.vault.put({{.space = std::string(pushed_space),
                                          .key = hashed(name),
                                          .value = Record()
                                                       .set("client", client->id)
                                                       .set("parameters", query_string(*parameters))
                                                       .set("ends", ends)
                                                       .text(),
                                          .expires = ends}});
    if (!kept || !*kept)
        return std::unexpected(Refusal{503, "temporarily_unavailable", "try again later", ""});
    return json(201, Record()
                         .set("request_uri", std::string(pushed_prefix) + name)
                         .set("expires_in", std::int64_t{limits::oauth_pushed_seconds})
                         .text());
}

}  // namespace

Result<std::optional<Asked>> find_request(Context& context, const net::Parameters& parameters) {
    const std::string name = value_of(parameters, "request_uri");
    const bool is_pushed = name.starts_with(pushed_prefix);
    net::Parameters whole = parameters;
    std::optional<Vault::Entry> used;
    if (is_pushed) {
        auto pushed = TRY(find_pushed(context, name, value_of(parameters, "client_id")));
        if (!pushed) return std::nullopt;
        // RFC 9126 §4: nothing that the browser brings besides counts.
        std::tie(whole, used) = *std::move(pushed);
    }
    auto asked = TRY(find_client(context, whole));
    if (!asked) return asked;
    asked->pushed = std::move(used);
    net::Parameters kept;
    for (const auto& pair : parameters)
        if (pair.first != "asked_at") kept.push_back(pair);
    asked->parameters = query_string(kept);
    asked->denied = asked->client.pushes && !is_pushed
                        ? Denied{"invalid_request", "this app hands its requests in first"}
                        : read_rest(context, whole, *asked);
    return asked;
}

net::Response pushed_request_endpoint(Context& context, const net::Request& request) {
    if (request.method == net::Method::options) return preflight("POST");
    if (request.method != net::Method::post) return not_allowed("POST, OPTIONS");
    auto outcome = take_pushed(context, request);
    net::Response response = outcome ? *std::move(outcome) : refuse(outcome.error());
    allow_other_origins(response);
    return response;
}

}  // namespace meridian::trust::oauth::detail

// SPDX-License-Identifier: Apache-2.0
#include "trust/oauth/detail/answer.hpp"

#include <set>

#include "base/query_string.hpp"
#include "trust/limits.hpp"

namespace meridian::trust::oauth::detail {

net::Response json(int status, std::string body) {
    net::Response response = net::Response::text(status, std::move(body), "application/json");
    response.headers.add("Cache-Control", "no-store");
    response.headers.add("Pragma", "no-cache");
    return response;
}

net::Response document(std::string body, int seconds) {
    net::Response response = net::Response::text(200, std::move(body), "application/json");
    response.headers.add("Cache-Control", fmt::format("public, max-age={}", seconds));
    allow_other_origins(response);
    return response;
}

net::Response refuse(const Refusal& refusal) {
    Record record;
    record.set("error", refusal.code).set_if("error_description", refusal.description);
    net::Response response = json(refusal.status, record.text());
    if (!refusal.challenge.empty()) response.headers.add("WWW-Authenticate", refusal.challenge);
    return response;
}

net::Response redirect(const net::Request& request, std::string_view url) {
    net::Response response;
    response.status = request.method == net::Method::post ? 303 : 302;
    response.headers.add("Location", url);
    response.headers.add("Cache-Control", "no-store");
    response.headers.add("Referrer-Policy", "no-referrer");
    return response;
}

std::string with_parameters(std::string_view url, const net::Parameters& parameters) {
    return fmt::format("{}{}{}", url, url.find('?') == std::string_view::npos ? '?' : '&',
                       query_string(parameters));
}

net::Response not_allowed(std::string_view allowed) {
    net::Response response = json(405, R"({"error":"invalid_request"})");
    response.headers.add("Allow", allowed);
    return response;
}

void allow_other_origins(net::Response& response) {
    response.headers.set("Access-Control-Allow-Origin", "*");
}

net::Response preflight(std::string_view methods) {
    net::Response response;
    response.status = 204;
    allow_other_origins(response);
    response.headers.add("Access-Control-Allow-Methods", methods);
    response.headers.add("Access-Control-Allow-Headers", "Authorization, Content-Type, Accept");
    response.headers.add("Access-Control-Max-Age", "600");
    return response;
}

std::string value_of(const net::Parameters& parameters, std::string_view name) {
    for (const auto& [key, value] : parameters)
        if (key == name) return value;
    return {};
}

bool has(const net::Parameters& parameters, std::string_view name) {
    return !value_of(parameters, name).empty();  // RFC 6749 §3.1: without a value is omitted
}

bool are_sound(const net::Parameters& parameters) {
    std::set<std::string_view> seen;
    for (const auto& [name, value] : parameters)
        if (!seen.insert(name).second || value.size() > limits::oauth_parameter_bytes_max)
            return false;
    return true;
}

}  // namespace meridian::trust::oauth::detail

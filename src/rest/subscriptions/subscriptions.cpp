// SPDX-License-Identifier: Apache-2.0
#include "rest/subscriptions/subscriptions.hpp"

#include "base/json.hpp"
#include "rest/subscriptions/engine.hpp"
#include "rest/subscriptions/operations.hpp"

namespace meridian::rest {

struct Subscriptions::State {
    std::shared_ptr<subscriptions::Engine> engine;
    std::string websocket_path = "/fhir/ws";
};

Subscriptions::Subscriptions(fhir::Repository& repository, Options options)
    : state_(std::make_shared<State>()) {
    state_->engine = std::make_shared<subscriptions::Engine>(repository, std::move(options));
}

Subscriptions::Subscriptions(fhir::Repository& repository) : Subscriptions(repository, Options{}) {}

Subscriptions::~Subscriptions() {
    stop();
}

void Subscriptions::add_operations(Service& service) {
    state_->websocket_path = service.options().base_path + "/ws";
    subscriptions::add_operations(service, state_->engine);
}

Result<void> Subscriptions::start(std::string base_url) {
    TRY(state_->engine->start(std::move(base_url)));
    state_->engine->repository().add_following_view(subscriptions::make_view(state_->engine));
    return {};
}

const net::WebSocketHandler* Subscriptions::websocket(const net::Request& request) const {
    return request.path() == state_->websocket_path ? &state_->engine->websocket_handler : nullptr;
}

std::optional<net::Response> Subscriptions::answer_at_once(const net::Request& request) const {
    if (request.path() != state_->websocket_path) return std::nullopt;
    if (!state_->engine->is_in_office()) return subscriptions::refusal_of_sockets();
    // RFC 9110 §15.5.22
    net::Response response =
        Service::error_response(426, "this address opens WebSockets: ask for an upgrade to one");
    response.headers.set("Upgrade", "websocket");
    return response;
}

void Subscriptions::stop() {
    state_->engine->stop();
}

}  // namespace meridian::rest

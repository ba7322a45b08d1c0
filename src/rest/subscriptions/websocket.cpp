// SPDX-License-Identifier: Apache-2.0
// The WebSocket side of the engine: "bind-with-token <token>" of the backport, "bind <id>" of plain
// R4.
#include "base/hash.hpp"
#include "rest/subscriptions/engine.hpp"

namespace meridian::rest::subscriptions {

namespace {

constexpr std::uint16_t policy_violation = 1008;  ///< RFC 6455 §7.4.1

bool holds_socket(const std::vector<net::WebSocketPointer>& sockets,
                  const net::WebSocketPointer& socket) {
    return std::find(sockets.begin(), sockets.end(), socket) != sockets.end();
}

}  // namespace

Result<Token> Engine::make_token(std::vector<std::string> ids, std::string& text) {
    const Instant at = now();
    Token token{std::move(ids),
                {at.milliseconds + 1000LL * limits::subscription_token_life_seconds}};
    text = base64url_encode(random_bytes(24));
    const std::lock_guard lock(mutex_);
    std::erase_if(tokens_, [&](const auto& known) { return known.second.expires <= at; });
    if (tokens_.size() >= limits::subscription_tokens_max)
        return fail(Category::busy, "too many WebSocket tokens are in use: try again later");
    tokens_.emplace(text, token);
    return token;
}

void Engine::receive(const net::WebSocketPointer& socket, std::string_view message) {
    while (!message.empty() &&
           (message.back() == '\n' || message.back() == '\r' || message.back() == ' '))
        message.remove_suffix(1);
    constexpr std::string_view with_token = "bind-with-token ";
    constexpr std::string_view plain = "bind ";
    if (message.starts_with(with_token))
        return bind(socket, std::string(message.substr(with_token.size())));
    if (message.starts_with(plain))
        return bind_plain(socket, std::string(message.substr(plain.size())));
    socket->close(policy_violation, "expected bind-with-token TOKEN or bind ID");
}

void Engine::bind(const net::WebSocketPointer& socket, const std::string& token) {
    const std::lock_guard lock(mutex_);
    const auto known = tokens_.find(token);
    if (known == tokens_.end() || known->second.expires <= now())
        return socket->close(policy_violation,
                             "the token is not valid: ask $get-ws-binding-token for a new one");
    for (const std::string& id : known->second.ids) {
        const auto found = subscriptions_.find(id);
        if (found == subscriptions_.end() || found->second->phase != Phase::active) continue;
        Subscription& subscription = *found->second;
        if (subscription.sockets.size() >= limits::subscription_sockets_max)
            return socket->close(policy_violation,
                                 "too many sockets are bound to this subscription");
        if (!holds_socket(subscription.sockets, socket)) subscription.sockets.push_back(socket);
        // Under the lock, so that no event can be queued before its handshake; send() never blocks.
        const Status status{.id = id,
                            .topic = subscription.definition->topic,
                            .status = "active",
                            .last_number = subscription.numbers.last_number()};
        socket->send(notification_json(status, Kind::handshake, {},
                                       subscription.definition->content, base_url_));
    }
}

void Engine::bind_plain(const net::WebSocketPointer& socket, const std::string& id) {
    const std::lock_guard lock(mutex_);
    const auto found = subscriptions_.find(id);
    const bool fits = found != subscriptions_.end() && found->second->phase == Phase::active &&
                      found->second->definition->channel == Channel::websocket;
    if (!fits)
        return socket->close(policy_violation,
                             "there is no active WebSocket subscription with this id");
    Subscription& subscription = *found->second;
    if (subscription.plain_sockets.size() >= limits::subscription_sockets_max)
        return socket->close(policy_violation, "too many sockets are bound to this subscription");
    if (!holds_socket(subscription.plain_sockets, socket))
        subscription.plain_sockets.push_back(socket);
    socket->send(fmt::format("bound {}", id));
}

void Engine::unbind(const net::WebSocketPointer& socket) {
    const std::lock_guard lock(mutex_);
    for (auto& [id, subscription] : subscriptions_) {
        std::erase(subscription->sockets, socket);
        std::erase(subscription->plain_sockets, socket);
    }
}

}  // namespace meridian::rest::subscriptions

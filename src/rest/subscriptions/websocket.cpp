// SPDX-License-Identifier: Apache-2.0
// The WebSocket side of the engine: "bind-with-token <token>" of the backport, "bind <id>" of plain
// R4.
#include "base/hash.hpp"
#include "rest/service.hpp"
#include "rest/subscriptions/engine.hpp"

namespace meridian::rest::subscriptions {

namespace {

constexpr std::uint16_t policy_violation = 1008;  ///< RFC 6455 §7.4.1
/// The registry of close codes that RFC 6455 §7.4.2 founds: connect again, after a random pause.
constexpr std::uint16_t service_restart = 1012;

bool holds_socket(const std::vector<net::WebSocketPointer>& sockets,
                  const net::WebSocketPointer& socket) {
    return std::find(sockets.begin(), sockets.end(), socket) != sockets.end();
}

/// By the key that the record's servers share. The words before keep it apart from other uses.
std::string signature_of(std::string_view content, const store::Names& names) {
    const SipKey& key = names.token_key();
    const Sha256 code = hmac_sha256({reinterpret_cast<const char*>(key.data()), key.size()},
                                    fmt::format("websocket token of subscriptions:{}", content));
    return {reinterpret_cast<const char*>(code.data()), code.size()};
}

/// Takes as long for any two texts of a length: how far a guess was right is told to nobody.
bool is_equal(std::string_view left, std::string_view right) {
    if (left.size() != right.size()) return false;
    unsigned difference = 0;
    for (std::size_t i = 0; i < left.size(); ++i)
        difference |= static_cast<unsigned char>(left[i] ^ right[i]);
    return difference == 0;
}

}  // namespace

std::string token_text(const Token& token, const store::Names& names) {
    std::string content = fmt::format("{}", token.expires.milliseconds);
    for (const std::string& id : token.ids) content += "," + id;
    return base64url_encode(content) + "." + base64url_encode(signature_of(content, names));
}

std::optional<Token> read_token(std::string_view text, const store::Names& names) {
    const std::size_t dot = text.find('.');
    std::string content, signature;
    if (dot == std::string_view::npos || !base64url_decode(text.substr(0, dot), content) ||
        !base64url_decode(text.substr(dot + 1), signature) ||
        !is_equal(signature, signature_of(content, names)))
        return std::nullopt;
    // What we have signed we have written: the time, and an id behind each comma.
    Token token;
    const char* const end = content.data() + content.size();
    const char* at = std::from_chars(content.data(), end, token.expires.milliseconds).ptr;
    while (at != end) {
        const char* const comma = std::find(++at, end, ',');
        token.ids.emplace_back(at, comma);
        at = comma;
    }
    return token;
}

net::Response refusal_of_sockets() {
    net::Response response = Service::error_response(
        503,
        "this server does not send the notifications of subscriptions now: another one of this "
        "record does, or will in a moment; ask the next, or try again");
    response.headers.set("Retry-After", std::to_string(limits::http_retry_after_seconds));
    return response;
}

void Engine::open(const net::WebSocketPointer& socket) {
    const std::lock_guard lock(mutex_);
    sockets_.insert(socket);
    // The office may have been lost between the upgrade and this.
    if (!in_office_) close_sockets();
}

void Engine::close_sockets() {
    for (const net::WebSocketPointer& socket : sockets_)
        socket->close(service_restart, "another server sends the notifications: connect again");
    sockets_.clear();
}

void Engine::receive(const net::WebSocketPointer& socket, std::string_view message) {
    while (!message.empty() &&
           (message.back() == '\n' || message.back() == '\r' || message.back() == ' '))
        message.remove_suffix(1);
    constexpr std::string_view with_token = "bind-with-token ";
    constexpr std::string_view plain = "bind ";
    if (message.starts_with(with_token)) return bind(socket, message.substr(with_token.size()));
    if (message.starts_with(plain))
        return bind_plain(socket, std::string(message.substr(plain.size())));
    socket->close(policy_violation, "expected bind-with-token TOKEN or bind ID");
}

void Engine::bind(const net::WebSocketPointer& socket, std::string_view text) {
    const auto token = read_token(text, repository_.store().names());
    if (!token || token->expires <= now())
        return socket->close(policy_violation,
                             "the token is not valid: ask $get-ws-binding-token for a new one");
    const std::lock_guard lock(mutex_);
    for (const std::string& id : token->ids) {
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
    sockets_.erase(socket);
    for (auto& [id, subscription] : subscriptions_) {
        std::erase(subscription->sockets, socket);
        std::erase(subscription->plain_sockets, socket);
    }
}

}  // namespace meridian::rest::subscriptions

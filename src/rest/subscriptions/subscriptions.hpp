// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "fhir/repository.hpp"
#include "fhir/search/query.hpp"
#include "net/server.hpp"
#include "rest/service.hpp"

namespace meridian::rest {

/// Topic subscriptions (R4 backport) and plain R4 subscriptions: follows the log, numbers what
/// matches, and delivers it by rest-hook and WebSocket. Subscriptions are ordinary Subscription
/// resources; their state moves through the log like everything else (docs/adr/0012). Thread-safe.
class Subscriptions {
 public:
    struct Options {
        unsigned delivery_threads = 4;
        /// Pause before the first new try of a delivery that failed; it doubles each time.
        std::chrono::milliseconds first_pause = std::chrono::seconds(1);
        /// What :in, :below and the like need inside filters; null: such filters are refused.
        std::shared_ptr<const fhir::search::ConceptSource> concepts{};
        /// What the person or system that wrote a subscription may see: `actor` as the log names
        /// it. Errors: `forbidden` for nobody who may see anything: the subscription is refused;
        /// `unavailable`: it is asked again. Null: everybody may see everything.
        std::function<Result<fhir::Caller>(std::string_view actor)> caller_of{};
        /// Whether the operator lets notifications be posted to an endpoint; a subscription with
        /// another one is refused. Null: to every one.
        std::function<bool(std::string_view endpoint)> may_post_to{};
        /// Whether the page that wants to open a WebSocket may, by the origin that its browser says
        /// it has; programs say none and are not asked. Null: no page may.
        std::function<bool(const net::Request&, std::string_view origin)> may_open{};
    };

    Subscriptions(fhir::Repository& repository, Options options);
    explicit Subscriptions(fhir::Repository& repository);
    /// Stops as stop() does.
    ~Subscriptions();
    Subscriptions(const Subscriptions&) = delete;
    Subscriptions& operator=(const Subscriptions&) = delete;

    /// Adds $status, $events and $get-ws-binding-token, and the topics to the capability statement.
    /// Must outlive the service.
    void add_operations(Service& service);
    /// Loads the subscriptions, follows the log from where it was left and delivers what was
    /// missed. `base_url` stands in references and links of notifications. Errors: the store's.
    /// Blocking: reads all subscriptions.
    Result<void> start(std::string base_url);
    /// The handler of `<base path>/ws`, null for other paths: for net::ServerOptions::websocket.
    const net::WebSocketHandler* websocket(const net::Request& request) const;
    /// The answer to what comes to the path of WebSockets and is none: 426 where one would be
    /// opened, 503 where another server opens them; nothing for other paths. Never blocks.
    std::optional<net::Response> answer_at_once(const net::Request& request) const;
    /// Ends deliveries; waits for those under way. What was not delivered is delivered after the
    /// next start.
    void stop();

 private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace meridian::rest

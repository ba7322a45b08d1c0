// SPDX-License-Identifier: Apache-2.0
// Private to the folder: what the parts of the subscription engine share.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>

#include "base/limits.hpp"
#include "net/client.hpp"
#include "net/server.hpp"
#include "rest/subscriptions/definition.hpp"
#include "rest/subscriptions/event_numbers.hpp"
#include "rest/subscriptions/notification.hpp"
#include "rest/subscriptions/subscriptions.hpp"

namespace meridian::rest::subscriptions {

using Clock = std::chrono::steady_clock;

/// Where a subscription stands between its resource versions.
enum class Phase : unsigned char {
    requested,  ///< to be checked and, over rest-hook, shaken hands with
    active,
    refused,  ///< cannot be served: its resource is to be told so
};

/// A subscription in work. Everything but `id` is guarded by Engine::mutex_.
struct Subscription {
    std::string id{};
    store::Version version = 0;
    Phase phase = Phase::requested;
    std::shared_ptr<const Definition> definition{};  ///< null when refused
    std::string refusal{};
    fhir::Caller owner{};
    EventNumbers numbers{};
    std::int64_t delivered = 0;  ///< number of the last event that was delivered
    unsigned failures = 0;       ///< in a row
    bool is_busy = false;        ///< a delivery thread has it
    Clock::time_point due = Clock::time_point::max();
    Clock::time_point last_sent{};
    std::vector<net::WebSocketPointer> sockets{};        ///< bound with a token
    std::vector<net::WebSocketPointer> plain_sockets{};  ///< bound as plain R4 does: pings only
};
using SubscriptionPointer = std::shared_ptr<Subscription>;

/// What a WebSocket token allows. It travels signed, in the token's own text: the server that gives
/// it need not be the one where the socket is bound.
struct Token {
    std::vector<std::string> ids;
    Instant expires;
};
/// The token as a text that only servers of the record can make. At most as long as a WebSocket
/// message may be, for limits::subscriptions_max ids.
std::string token_text(const Token& token, const store::Names& names);
/// What a text allows; nothing when no server of the record has made it.
std::optional<Token> read_token(std::string_view text, const store::Names& names);

/// The engine: one following view, a schedule, and threads that deliver.
class Engine {
 public:
    Engine(fhir::Repository& repository, Subscriptions::Options options);
    ~Engine();

    // --- engine.cpp: the registry and the schedule ---
    Result<void> start(std::string base_url);
    void stop();
    /// Takes over one version of a Subscription resource. `snapshot` says whether it is the newest.
    /// Errors: the store's.
    Result<void> apply(store::Snapshot& snapshot, const store::Stored& stored);

    /// Takes the subscriptions as they were before the log entry at `next`, in the place of all
    /// that it knows. Errors: the store's.
    Result<void> begin(store::Snapshot& snapshot, store::Position next);
    /// Another server looks after the subscriptions now, or soon: clients of WebSockets are sent
    /// away, so that they find it.
    void end();

    // --- follow.cpp ---
    Result<void> follow(store::Snapshot& snapshot, std::span<const store::LogEntry> entries);

    // --- delivery.cpp ---
    /// What a delivery thread needs to know; taken under the lock.
    struct Work {
        SubscriptionPointer subscription{};
        std::string id{};
        store::Version version = 0;
        Phase phase = Phase::requested;
        std::shared_ptr<const Definition> definition{};
        std::string refusal{};
        fhir::Caller owner{};
        EventNumbers numbers{};
        std::int64_t delivered = 0;
        unsigned failures = 0;
        std::vector<net::WebSocketPointer> sockets{};
        std::vector<net::WebSocketPointer> plain_sockets{};
        bool is_heartbeat_due = false;
        bool is_expired = false;
    };
    using Clients = std::map<unsigned, net::Client>;  ///< by timeout in seconds, one set per thread

    // --- websocket.cpp ---
    /// Whether this server is the one that looks after the subscriptions. Never blocks.
    bool is_in_office() const { return in_office_; }
    void open(const net::WebSocketPointer& socket);
    void receive(const net::WebSocketPointer& socket, std::string_view message);
    void unbind(const net::WebSocketPointer& socket);

    // --- for the operations ---
    /// Events `first` … `last` as the owner of `caller` may see them. Errors: the store's.
    Result<std::vector<Event>> events(const fhir::Caller& caller, const EventNumbers& numbers,
                                      std::int64_t first, std::int64_t last, Content content);
    /// The subscription's numbers, also of one that is off. Errors: the store's.
    Result<EventNumbers> numbers_of(const std::string& id);
    bool has(const std::string& id);
    fhir::Repository& repository() { return repository_; }
    /// A filter made ready for the store; `access` is ANDed. Errors: as search::parse.
    Result<store::Condition> condition_of(const Definition& definition, const fhir::Caller& owner,
                                          store::Snapshot& snapshot);

    net::WebSocketHandler websocket_handler{};

 private:
    /// Puts a subscription in the place of its older version, if there is one.
    void install(const SubscriptionPointer& made);
    void refuse_unlisted_endpoint(Subscription& made) const;
    Result<fhir::Caller> owner_of(store::Snapshot& snapshot, const store::Stored& stored);
    void forget(const std::string& id);                                ///< needs the lock
    void schedule(Subscription& subscription, Clock::time_point due);  ///< needs the lock
    void deliver_all();
    Work take(const SubscriptionPointer& subscription);  ///< needs the lock
    void work(const Work& work, Clients& clients);
    Result<void> activate(const Work& work, Clients& clients);
    Result<void> send_events(const Work& work, Clients& clients, std::int64_t& sent_up_to);
    Result<void> send_plain(const Work& work, Clients& clients, const Event& event);
    Result<void> send_heartbeat(const Work& work, Clients& clients);
    Result<void> post(const Work& work, Clients& clients, net::Method method, std::string url,
                      std::string json);
    Result<void> set_status(const Work& work, std::string_view status, const std::string& error);
    Status status_of(const Work& work, std::string_view status) const;
    void close_sockets();  ///< needs the lock
    void bind(const net::WebSocketPointer& socket, std::string_view text);
    void bind_plain(const net::WebSocketPointer& socket, const std::string& id);

    fhir::Repository& repository_;
    Subscriptions::Options options_;
    std::string base_url_{};

    std::atomic<bool> in_office_ = false;  ///< changed under the lock

    std::mutex mutex_;  ///< guards what follows, and the subscriptions
    std::condition_variable changed_;
    std::unordered_map<std::string, SubscriptionPointer> subscriptions_;
    std::map<std::string, std::vector<SubscriptionPointer>, std::less<>> active_by_type_;
    std::set<std::pair<Clock::time_point, SubscriptionPointer>> schedule_;
    std::set<net::WebSocketPointer> sockets_;  ///< all that are open, bound or not
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

/// The engine as a following view of the repository.
std::shared_ptr<fhir::FollowingView> make_view(std::shared_ptr<Engine> engine);
/// What a server answers that does not look after the subscriptions: the next one may.
net::Response refusal_of_sockets();
/// The setting that holds the number of the last delivered event.
std::string delivered_key(std::string_view id);

}  // namespace meridian::rest::subscriptions

// SPDX-License-Identifier: Apache-2.0
// The side of the engine that tells subscribers: threads that take what is due, send it, and decide
// when to try again.
#include "base/log.hpp"
#include "base/metrics.hpp"
#include "fhir/format/xml.hpp"
#include "rest/subscriptions/engine.hpp"

namespace meridian::rest::subscriptions {

namespace {

/// "Wrong version" means that somebody changed the subscription meanwhile: the log will tell what
/// to do.
bool is_overtaken(const Error& error) {
    return error.category == Category::precondition || error.category == Category::conflict ||
           error.category == Category::gone || error.category == Category::not_found;
}

/// The count of notifications that arrived, or did not.
metrics::Counter& deliveries(bool is_success) {
    static metrics::Counter& good =
        metrics::counter("meridian_subscription_deliveries_total",
                         "notifications sent to subscribers", "outcome=\"success\"");
    static metrics::Counter& bad =
        metrics::counter("meridian_subscription_deliveries_total",
                         "notifications sent to subscribers", "outcome=\"failure\"");
    return is_success ? good : bad;
}

}  // namespace

void Engine::deliver_all() {
    deliveries(true).add(0);  // both appear in /metrics before the first
    deliveries(false).add(0);
    Clients clients;
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        if (schedule_.empty()) {
            changed_.wait(lock);
            continue;
        }
        const auto next = *schedule_.begin();
        if (next.first > Clock::now()) {
            changed_.wait_until(lock, next.first);
            continue;
        }
        schedule_.erase(schedule_.begin());
        const Work taken = take(next.second);
        lock.unlock();
        work(taken, clients);
        lock.lock();
    }
}

Engine::Work Engine::take(const SubscriptionPointer& subscription) {
    subscription->is_busy = true;
    Work work;
    work.subscription = subscription;
    work.id = subscription->id;
    work.version = subscription->version;
    work.phase = subscription->phase;
    work.definition = subscription->definition;
    work.refusal = subscription->refusal;
    work.owner = subscription->owner;
    work.numbers = subscription->numbers;
    work.delivered = subscription->delivered;
    work.failures = subscription->failures;
    work.sockets = subscription->sockets;
    work.plain_sockets = subscription->plain_sockets;
    if (work.definition) {
        const std::chrono::seconds period(work.definition->heartbeat_seconds);
        work.is_heartbeat_due =
            period.count() > 0 && Clock::now() >= subscription->last_sent + period;
        work.is_expired = work.definition->end && *work.definition->end <= now();
    }
    return work;
}

void Engine::work(const Work& work, Clients& clients) {
    std::int64_t sent_up_to = work.delivered;
    Result<void> outcome;
    bool is_final = true;  // the next step comes through the log
    bool is_sent = false;
    if (work.phase == Phase::refused) {
        outcome = set_status(work, "error", work.refusal);
    } else if (work.phase == Phase::requested) {
        outcome = activate(work, clients);
    } else if (work.is_expired) {
        outcome = set_status(work, "off", "");
    } else {
        is_final = false;
        is_sent = work.delivered < work.numbers.last_number() || work.is_heartbeat_due;
        if (work.delivered < work.numbers.last_number()) {
            outcome = send_events(work, clients, sent_up_to);
        } else if (work.is_heartbeat_due) {
            outcome = send_heartbeat(work, clients);
        }
        if (is_sent) deliveries(outcome.has_value()).add();
        if (!outcome && work.failures >= limits::subscription_retries_max) {
            log::warning("a subscriber could not be reached",
                         {{"subscription", work.id}, {"error", outcome.error().message}});
            outcome = set_status(work, "error",
                                 fmt::format("{} tries failed, the last so: {}", work.failures + 1,
                                             outcome.error().message));
            is_final = outcome.has_value();
        }
    }

    const std::lock_guard lock(mutex_);
    Subscription& subscription = *work.subscription;
    subscription.is_busy = false;
    subscription.delivered = std::max(subscription.delivered, sent_up_to);
    if (const auto found = subscriptions_.find(work.id); found != subscriptions_.end())
        found->second->delivered = std::max(found->second->delivered, sent_up_to);
    if (!outcome) {
        const unsigned doublings =
            std::min(subscription.failures++, limits::subscription_backoff_doublings_max);
        schedule(subscription, Clock::now() + options_.first_pause * (1u << doublings));
        return;
    }
    subscription.failures = 0;
    if (is_sent) subscription.last_sent = Clock::now();
    Clock::time_point due = Clock::time_point::max();
    if (!is_final) {
        if (work.definition->heartbeat_seconds > 0)
            due = subscription.last_sent + std::chrono::seconds(work.definition->heartbeat_seconds);
        if (work.definition->end) {
            const std::int64_t left = std::min<std::int64_t>(
                work.definition->end->milliseconds - now().milliseconds, 86'400'000);
            due = std::min(
                due, Clock::now() + std::chrono::milliseconds(std::max<std::int64_t>(left, 0) + 1));
        }
        if (subscription.delivered < subscription.numbers.last_number()) due = Clock::now();
    }
    schedule(subscription, due);
}

Result<void> Engine::activate(const Work& work, Clients& clients) {
    {
        auto snapshot = TRY(repository_.store().snapshot());
        if (const auto condition = condition_of(*work.definition, work.owner, *snapshot);
            !condition) {
            if (condition.error().category == Category::unavailable)
                return std::unexpected(condition.error());
            return set_status(
                work, "error",
                fmt::format("the filter cannot be used: {}", condition.error().message));
        }
    }
    // Plain R4 knows no handshake, and a WebSocket's comes when it is bound.
    if (work.definition->is_topic && work.definition->channel == Channel::rest_hook) {
        const std::string handshake = notification_json(
            status_of(work, "requested"), Kind::handshake, {}, work.definition->content, base_url_);
        const auto shaken =
            post(work, clients, net::Method::post, work.definition->endpoint, handshake);
        if (!shaken)
            return set_status(work, "error",
                              fmt::format("the handshake failed: {}", shaken.error().message));
    }
    return set_status(work, "active", "");
}

Status Engine::status_of(const Work& work, std::string_view status) const {
    return Status{.id = work.id,
                  .topic = work.definition->topic,
                  .status = std::string(status),
                  .last_number = work.numbers.last_number()};
}

Result<void> Engine::send_events(const Work& work, Clients& clients, std::int64_t& sent_up_to) {
    const Definition& definition = *work.definition;
    const std::int64_t first = work.delivered + 1;
    const bool is_heard = definition.channel == Channel::rest_hook || !work.sockets.empty() ||
                          !work.plain_sockets.empty();
    const std::int64_t last =
        is_heard ? std::min(work.numbers.last_number(), work.delivered + definition.events_max)
                 : work.numbers.last_number();
    if (is_heard) {
        const auto list =
            TRY(events(work.owner, work.numbers, first, last,
                       definition.is_topic || definition.payload.empty() ? definition.content
                                                                         : Content::full_resource));
        if (!definition.is_topic && definition.channel == Channel::rest_hook) {
            for (const Event& event : list) TRY(send_plain(work, clients, event));
        } else {
            Status status = status_of(work, "active");
            status.last_number = last;
            const std::string json = notification_json(status, Kind::event_notification, list,
                                                       definition.content, base_url_);
            if (definition.channel == Channel::rest_hook)
                TRY(post(work, clients, net::Method::post, definition.endpoint, json));
            for (const auto& socket : work.sockets) socket->send(json);
            for (const auto& socket : work.plain_sockets)
                socket->send(fmt::format("ping {}", work.id));
        }
    }
    sent_up_to = last;
    if (definition.channel == Channel::websocket)
        return {};  // a socket that binds later asks $events for what it missed
    // A crash before this is durable sends the same numbers again, which is what numbers are for.
    if (const auto saved =
            repository_.store().save_setting(delivered_key(work.id), std::to_string(last));
        !saved) {
        log::warning("the place of a subscription could not be saved",
                     {{"subscription", work.id}, {"error", saved.error().message}});
    }
    return {};
}

/// R4 §Subscription: without a payload an empty POST; with one, the resource is written to the
/// endpoint as an update.
Result<void> Engine::send_plain(const Work& work, Clients& clients, const Event& event) {
    if (!event.is_visible) return {};
    const Definition& definition = *work.definition;
    if (definition.payload.empty())
        return post(work, clients, net::Method::post, definition.endpoint, "");
    std::string url = definition.endpoint;
    if (url.ends_with('/')) url.pop_back();
    return post(work, clients, net::Method::put, fmt::format("{}/{}/{}", url, event.type, event.id),
                event.json);
}

Result<void> Engine::send_heartbeat(const Work& work, Clients& clients) {
    const std::string json = notification_json(status_of(work, "active"), Kind::heartbeat, {},
                                               work.definition->content, base_url_);
    if (work.definition->channel == Channel::rest_hook)
        return post(work, clients, net::Method::post, work.definition->endpoint, json);
    for (const auto& socket : work.sockets) socket->send(json);
    return {};
}

Result<void> Engine::post(const Work& work, Clients& clients, net::Method method, std::string url,
                          std::string json) {
    const Definition& definition = *work.definition;
    const std::chrono::seconds timeout(definition.timeout_seconds);
    const auto client =
        clients
            .try_emplace(definition.timeout_seconds,
                         net::ClientOptions{.connect_timeout = timeout, .total_timeout = timeout})
            .first;
    net::ClientRequest request;
    request.method = method;
    request.url = std::move(url);
    for (const auto& [name, value] : definition.headers) request.headers.add(name, value);
    if (!json.empty()) {
        request.headers.set("Content-Type", definition.payload.empty() ? "application/fhir+json"
                                                                       : definition.payload);
        if (definition.is_xml) {
            const JsonDocument document = TRY(JsonDocument::parse(json));
            fhir::to_xml(document.root(), request.body, false);
        } else {
            request.body = std::move(json);
        }
    }
    const auto answer = client->second.send(request);
    if (!answer) return fail(Category::unavailable, answer.error().message);
    if (answer->status >= 200 && answer->status < 300) return {};
    return fail(Category::unavailable, fmt::format("the endpoint answered {} {}", answer->status,
                                                   net::reason_phrase(answer->status)));
}

Result<void> Engine::set_status(const Work& work, std::string_view status,
                                const std::string& error) {
    const fhir::Caller caller = fhir::Caller::system("subscriptions");
    const auto resource = repository_.read(caller, "Subscription", work.id);
    if (!resource && is_overtaken(resource.error())) return {};
    if (!resource) return std::unexpected(resource.error());
    if (resource->version != work.version) return {};
    auto document = std::make_shared<JsonDocument>(TRY(JsonDocument::parse(resource->json)));
    Json& root = document->root();
    document->set(root, "status", document->string(status));
    if (error.empty()) {
        document->remove(root, "error");
    } else {
        document->set(root, "error", document->string(error));
    }
    fhir::Transaction transaction;
    transaction.want_json = false;
    fhir::Operation operation;
    operation.kind = fhir::Operation::Kind::update;
    operation.type = "Subscription";
    operation.id = work.id;
    operation.document = document;
    operation.resource = document->root();
    operation.if_match = work.version;
    transaction.operations.push_back(std::move(operation));
    const auto committed = repository_.commit(caller, std::move(transaction));
    if (committed || is_overtaken(committed.error())) return {};
    log::warning("a subscription's status could not be written",
                 {{"subscription", work.id}, {"error", committed.error().message}});
    return std::unexpected(committed.error());
}

Result<std::vector<Event>> Engine::events(const fhir::Caller& as_made, const EventNumbers& numbers,
                                          std::int64_t first, std::int64_t last, Content content) {
    std::vector<Event> events;
    fhir::Caller caller = as_made;
    const auto renewed = caller.renew();
    if (!renewed && renewed.error().category != Category::forbidden)
        return std::unexpected(renewed.error());
    const auto positions = TRY(numbers.positions(repository_.store(), first, last));
    auto snapshot = TRY(repository_.store().snapshot());
    for (const store::Position position : positions) {
        const auto entries = TRY(snapshot->log(position, 1));
        if (entries.empty() || entries.front().position != position)
            return fail(Category::fault, fmt::format("position {} is not in the log", position));
        const store::LogEntry& entry = entries.front();
        Event event;
        event.number = first + static_cast<std::int64_t>(events.size());
        event.at = entry.at;
        event.type = repository_.parameters()->type_text(entry.type);
        event.id = entry.id;
        event.version = entry.version;
        event.verb = entry.verb;
        // Rights may have changed since the subscription was made: they are asked for each time.
        const bool sees_everything = caller.access->sees_everything();
        if (!renewed) {
            event.is_visible = false;
        } else if (entry.verb == store::Verb::remove) {
            event.is_visible = sees_everything;
        } else if (content == Content::full_resource ||
                   (content == Content::id_only && !sees_everything)) {
            auto resource = repository_.read_version(caller, event.type, event.id, event.version);
            if (resource) {
                if (content == Content::full_resource) event.json = std::move(resource->json);
            } else if (is_overtaken(resource.error()) ||
                       resource.error().category == Category::forbidden) {
                event.is_visible = false;
            } else {
                return std::unexpected(resource.error());
            }
        }
        events.push_back(std::move(event));
    }
    return events;
}

}  // namespace meridian::rest::subscriptions

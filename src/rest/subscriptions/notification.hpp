// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/instant.hpp"
#include "rest/subscriptions/definition.hpp"
#include "store/store.hpp"

namespace meridian::rest::subscriptions {

/// One event as a subscriber may see it.
struct Event {
    std::int64_t number = 0;
    Instant at;
    std::string type{}, id{};
    store::Version version = 0;
    store::Verb verb = store::Verb::create;
    bool is_visible =
        true;  ///< false: the owner may not see the resource (any more); only the number is told
    std::string json{};  ///< the version; empty for a deletion
};

enum class Kind : unsigned char {
    handshake,
    heartbeat,
    event_notification,
    query_status,
    query_event
};

/// The state of a subscription as notifications tell it.
struct Status {
    std::string id;
    std::string topic{};
    std::string status{};
    std::int64_t last_number = 0;
    std::string error{};
};

/// The backport's SubscriptionStatus, which is a Parameters resource in R4. `events` are listed
/// when there are any. Source:
/// https://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition-backport-subscription-status-r4.html
std::string status_json(const Status& status, Kind kind, std::span<const Event> events,
                        Content content, std::string_view base_url, std::string_view resource_id);

/// A notification: a Bundle of type history with the status first and a request on every entry.
/// Source:
/// https://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition-backport-subscription-notification-r4.html
std::string notification_json(const Status& status, Kind kind, std::span<const Event> events,
                              Content content, std::string_view base_url);

/// The answer of $status: a searchset of status resources.
std::string status_bundle_json(std::span<const Status> statuses, std::string_view base_url);

}  // namespace meridian::rest::subscriptions

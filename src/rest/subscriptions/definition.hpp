// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "fhir/repository.hpp"

namespace meridian::rest::subscriptions {

/// Base of the canonicals of the built-in topics: one for each resource type,
/// "…/SubscriptionTopic/Observation".
inline constexpr std::string_view topic_base = "urn:meridian:fhir:SubscriptionTopic/";

enum class Channel : unsigned char { rest_hook, websocket };
enum class Content : unsigned char { empty, id_only, full_resource };

/// "empty", "id-only" or "full-resource". Errors: `incorrect`.
Result<Content> parse_content(std::string_view code);
std::string_view name_of(Content content);

/// What a Subscription resource asks for, understood.
struct Definition {
    std::string type;               ///< of the resources that it is about
    fhir::QueryParameters filters;  ///< all must hold; empty = every resource of the type
    std::string filter_key;         ///< the same for subscriptions with the same type and filters
    bool is_topic = false;          ///< false: a plain R4 criteria
    std::string topic{};            ///< canonical
    Channel channel = Channel::rest_hook;
    Content content = Content::empty;
    std::string payload{};  ///< MIME type; empty = none asked for
    bool is_xml = false;
    std::string endpoint{};
    std::vector<std::pair<std::string, std::string>> headers{};
    unsigned heartbeat_seconds = 0;  ///< 0 = none
    unsigned timeout_seconds = 0;
    std::int64_t events_max = 0;  ///< of one notification
    std::optional<Instant> end{};
};

/// Reads a Subscription in either form: topic canonical with the backport's extensions, or plain R4
/// criteria "Type?query".
///
/// Errors: `unprocessable` with the place for a criteria, channel, payload, header or extension
/// that is not served. Whether the filters are good search parameters is not checked here.
/// Blocking: never. Source: https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/,
/// https://hl7.org/fhir/R4/subscription.html
Result<Definition> read_definition(const Json& subscription);

}  // namespace meridian::rest::subscriptions

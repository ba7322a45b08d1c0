// SPDX-License-Identifier: Apache-2.0
#include "rest/subscriptions/notification.hpp"

#include "base/ids.hpp"
#include "base/json.hpp"

namespace meridian::rest::subscriptions {

namespace {

std::string_view code_of(Kind kind) {
    switch (kind) {
        case Kind::handshake:
            return "handshake";
        case Kind::heartbeat:
            return "heartbeat";
        case Kind::event_notification:
            return "event-notification";
        case Kind::query_status:
            return "query-status";
        case Kind::query_event:
            return "query-event";
    }
    return "query-status";
}

/// An address below the base; relative when the server does not know its own.
std::string address(std::string_view base_url, std::string_view path) {
    return base_url.empty() ? std::string(path) : fmt::format("{}/{}", base_url, path);
}

std::string json_string(std::string_view text) {
    std::string out;
    write_string(text, out);
    return out;
}

std::string event_json(const Event& event, Content content, std::string_view base_url) {
    std::string out = fmt::format(
        R"({{"name":"notification-event","part":[{{"name":"event-number","valueString":"{}"}},{{"name":"timestamp","valueInstant":"{}"}})",
        event.number, to_text(event.at));
    if (content != Content::empty && event.is_visible) {
        out += fmt::format(R"(,{{"name":"focus","valueReference":{{"reference":{}}}}})",
                           json_string(address(base_url, event.type + "/" + event.id)));
    }
    return out + "]}";
}

void write_event_entry(const Event& event, Content content, std::string_view base_url,
                       std::string& out) {
    const std::string path = event.type + "/" + event.id;
    out += fmt::format(R"(,{{"fullUrl":{},)", json_string(address(base_url, path)));
    if (content == Content::full_resource && !event.json.empty())
        out += fmt::format(R"("resource":{},)", event.json);
    switch (event.verb) {
        case store::Verb::create:
            out += fmt::format(
                R"("request":{{"method":"POST","url":"{}"}},"response":{{"status":"201","lastModified":"{}"}}}})",
                event.type, to_text(event.at));
            break;
        case store::Verb::update:
            out += fmt::format(
                R"("request":{{"method":"PUT","url":"{}"}},"response":{{"status":"200","lastModified":"{}"}}}})",
                path, to_text(event.at));
            break;
        case store::Verb::remove:
            out += fmt::format(
                R"("request":{{"method":"DELETE","url":"{}"}},"response":{{"status":"204","lastModified":"{}"}}}})",
                path, to_text(event.at));
            break;
    }
}

}  // namespace

std::string status_json(const Status& status, Kind kind, std::span<const Event> events,
                        Content content, std::string_view base_url, std::string_view resource_id) {
    std::string out = fmt::format(
        R"({{"resourceType":"Parameters","id":"{}","meta":{{"profile":["http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription-status-r4"]}},)"
        R"("parameter":[{{"name":"subscription","valueReference":{{"reference":{}}}}})",
        resource_id, json_string(address(base_url, "Subscription/" + status.id)));
    if (!status.topic.empty())
        out += fmt::format(R"(,{{"name":"topic","valueCanonical":{}}})", json_string(status.topic));
    out += fmt::format(
        R"(,{{"name":"status","valueCode":"{}"}},{{"name":"type","valueCode":"{}"}},{{"name":"events-since-subscription-start","valueString":"{}"}})",
        status.status, code_of(kind), status.last_number);
    for (const Event& event : events) out += "," + event_json(event, content, base_url);
    if (!status.error.empty())
        out += fmt::format(R"(,{{"name":"error","valueCodeableConcept":{{"text":{}}}}})",
                           json_string(status.error));
    return out + "]}";
}

std::string notification_json(const Status& status, Kind kind, std::span<const Event> events,
                              Content content, std::string_view base_url) {
    const std::string id = new_uuid();
    std::string out = fmt::format(
        R"({{"resourceType":"Bundle","id":"{}","meta":{{"profile":["http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription-notification-r4"]}},)"
        R"("type":"history","timestamp":"{}","entry":[{{"fullUrl":"urn:uuid:{}","resource":{},"request":{{"method":"GET","url":{}}},"response":{{"status":"200"}}}})",
        new_uuid(), to_text(now()), id, status_json(status, kind, events, content, base_url, id),
        json_string(address(base_url, "Subscription/" + status.id + "/$status")));
    if (content != Content::empty) {
        for (const Event& event : events) {
            if (event.is_visible) write_event_entry(event, content, base_url, out);
        }
    }
    return out + "]}";
}

std::string status_bundle_json(std::span<const Status> statuses, std::string_view base_url) {
    std::string out = fmt::format(
        R"({{"resourceType":"Bundle","id":"{}","type":"searchset","timestamp":"{}","total":{})",
        new_uuid(), to_text(now()), statuses.size());
    const char* before = R"(,"entry":[)";
    for (const Status& status : statuses) {
        const std::string id = new_uuid();
        out += fmt::format(
            R"({}{{"fullUrl":"urn:uuid:{}","resource":{},"search":{{"mode":"match"}}}})", before,
            id, status_json(status, Kind::query_status, {}, Content::empty, base_url, id));
        before = ",";
    }
    return out + (statuses.empty() ? "}" : "]}");
}

}  // namespace meridian::rest::subscriptions

// SPDX-License-Identifier: Apache-2.0
#include "rest/subscriptions/definition.hpp"

#include "base/limits.hpp"
#include "base/query_string.hpp"
#include "fhir/definitions/definitions.hpp"
#include "net/url.hpp"

namespace meridian::rest::subscriptions {

namespace {

constexpr std::string_view extension_base =
    "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/";

std::unexpected<Error> refuse(std::string message, std::string where) {
    return fail(Category::unprocessable, std::move(message), std::move(where));
}

/// The values of one backport extension on an element or, for a primitive, on its "_name" sibling.
std::vector<const Json*> extension_values(const Json& element, std::string_view name) {
    std::vector<const Json*> values;
    for (const Json& extension : element["extension"].items()) {
        const std::string_view url = extension.string_at("url");
        if (!url.starts_with(extension_base) || url.substr(extension_base.size()) != name) continue;
        for (const JsonMember& member : extension.members()) {
            if (member.key.starts_with("value")) values.push_back(&member.value);
        }
    }
    return values;
}

Result<unsigned> number_of(const Json& element, std::string_view name, unsigned otherwise,
                           unsigned most) {
    const auto values = extension_values(element, name);
    if (values.empty()) return otherwise;
    const std::string_view text = values.front()->text();
    unsigned number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) {
        return refuse(fmt::format("{} \"{}\" is no whole number", name, text.substr(0, 40)),
                      "Subscription.channel.extension");
    }
    return std::min(number, most);
}

/// "Observation?code=1" or "code=1".
Result<void> add_filter(std::string_view text, Definition& definition, std::string_view where) {
    const std::size_t question = text.find('?');
    if (question != std::string_view::npos) {
        if (text.substr(0, question) != definition.type) {
            return refuse(fmt::format("the filter \"{}\" is not about {}", text.substr(0, 80),
                                      definition.type),
                          std::string(where));
        }
        text.remove_prefix(question + 1);
    }
    auto parsed = parse_query_string(text);
    if (!parsed) return refuse(parsed.error().message, std::string(where));
    for (auto& parameter : *parsed) definition.filters.push_back(std::move(parameter));
    return {};
}

Result<void> read_criteria(const Json& subscription, Definition& definition) {
    const std::string_view criteria = subscription.string_at("criteria");
    if (criteria.starts_with(topic_base)) {
        definition.is_topic = true;
        definition.topic = criteria.substr(0, criteria.find('|'));
        definition.type = definition.topic.substr(topic_base.size());
    } else {
        definition.type = criteria.substr(0, criteria.find('?'));
    }
    if (fhir::definitions().resource(definition.type) == nullptr) {
        return refuse(fmt::format("\"{}\" is neither a topic of this server ({}Observation; "
                                  "/metadata lists all) nor a search like Observation?code=…",
                                  criteria.substr(0, 120), topic_base),
                      "Subscription.criteria");
    }
    if (!definition.is_topic && criteria.size() > definition.type.size())
        TRY(add_filter(criteria, definition, "Subscription.criteria"));
    if (definition.is_topic) {
        for (const Json* filter :
             extension_values(subscription["_criteria"], "backport-filter-criteria")) {
            TRY(add_filter(filter->text(), definition, "Subscription.criteria.extension"));
        }
    }
    definition.filter_key = definition.type + "?" + query_string(definition.filters);
    return {};
}

Result<void> read_payload(const Json& channel, Definition& definition) {
    definition.payload = channel.string_at("payload");
    const std::string_view bare =
        std::string_view(definition.payload).substr(0, definition.payload.find(';'));
    definition.is_xml =
        bare == "application/fhir+xml" || bare == "application/xml" || bare == "text/xml";
    if (!definition.is_xml && !bare.empty() && bare != "application/fhir+json" &&
        bare != "application/json") {
        return refuse(fmt::format("payload \"{}\" is not offered: expected application/fhir+json "
                                  "or application/fhir+xml",
                                  bare.substr(0, 60)),
                      "Subscription.channel.payload");
    }
    const auto content = extension_values(channel["_payload"], "backport-payload-content");
    if (!content.empty()) definition.content = TRY(parse_content(content.front()->text()));
    return {};
}

Result<void> read_headers(const Json& channel, Definition& definition) {
    if (channel["header"].size() > limits::subscription_headers_max) {
        return refuse(fmt::format("more than {} headers", limits::subscription_headers_max),
                      "Subscription.channel.header");
    }
    for (const Json& header : channel["header"].items()) {
        const std::string_view text = header.text();
        const std::size_t colon = text.find(':');
        const std::string name(text.substr(0, colon));
        const bool is_name =
            colon != std::string_view::npos && !name.empty() &&
            std::all_of(name.begin(), name.end(), [](unsigned char c) {
                return std::isalnum(c) != 0 ||
                       std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) !=
                           std::string_view::npos;
            });
        if (!is_name)
            return refuse("a header is written as \"Name: value\"", "Subscription.channel.header");
        std::string lower = name;
        std::transform(lower.begin(), lower.end(), lower.begin(),
                       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        for (const std::string_view own : {"host", "content-length", "content-type",
                                           "transfer-encoding", "connection", "te", "upgrade"}) {
            if (lower == own)
                return refuse(fmt::format("the header \"{}\" is set by the server itself", name),
                              "Subscription.channel.header");
        }
        std::string_view value = text.substr(colon + 1);
        while (value.starts_with(' ')) value.remove_prefix(1);
        definition.headers.emplace_back(name, std::string(value));
    }
    return {};
}

Result<void> read_channel(const Json& subscription, Definition& definition) {
    const Json& channel = subscription["channel"];
    const std::string_view kind = channel.string_at("type");
    if (kind != "rest-hook" && kind != "websocket") {
        return refuse(
            fmt::format("channel type \"{}\" is not offered: expected rest-hook or websocket",
                        kind.substr(0, 40)),
            "Subscription.channel.type");
    }
    definition.channel = kind == "rest-hook" ? Channel::rest_hook : Channel::websocket;
    if (definition.channel == Channel::rest_hook) {
        definition.endpoint = channel.string_at("endpoint");
        const auto url = net::Url::parse(definition.endpoint);
        if (!url)
            return refuse(fmt::format("the endpoint cannot be used: {}", url.error().message),
                          "Subscription.channel.endpoint");
    }
    TRY(read_payload(channel, definition));
    TRY(read_headers(channel, definition));
    definition.heartbeat_seconds =
        TRY(number_of(channel, "backport-heartbeat-period", 0, 1u << 30));
    definition.timeout_seconds = std::max(
        1u, TRY(number_of(channel, "backport-timeout", limits::subscription_timeout_seconds,
                          limits::subscription_timeout_seconds_max)));
    constexpr auto most = static_cast<unsigned>(limits::subscription_notification_events);
    definition.events_max = std::max(1u, TRY(number_of(channel, "backport-max-count", most, most)));
    if (!definition.is_topic) definition.events_max = 1;
    return {};
}

}  // namespace

Result<Content> parse_content(std::string_view code) {
    if (code == "empty") return Content::empty;
    if (code == "id-only") return Content::id_only;
    if (code == "full-resource") return Content::full_resource;
    return refuse(
        fmt::format("payload content \"{}\" is not known: expected empty, id-only or full-resource",
                    code.substr(0, 40)),
        "Subscription.channel.payload.extension");
}

std::string_view name_of(Content content) {
    switch (content) {
        case Content::empty:
            return "empty";
        case Content::id_only:
            return "id-only";
        case Content::full_resource:
            return "full-resource";
    }
    return "empty";
}

Result<Definition> read_definition(const Json& subscription) {
    Definition definition;
    TRY(read_criteria(subscription, definition));
    TRY(read_channel(subscription, definition));
    if (const std::string_view end = subscription.string_at("end"); !end.empty())
        definition.end = TRY(parse_date(end)).lower();
    return definition;
}

}  // namespace meridian::rest::subscriptions

// SPDX-License-Identifier: Apache-2.0
#include "rest/subscriptions/operations.hpp"

#include "fhir/definitions/definitions.hpp"
#include "rest/subscriptions/engine.hpp"

namespace meridian::rest::subscriptions {

namespace {

/// Parameters of the URL and of a Parameters body.
Result<fhir::QueryParameters> parameters_of(const Exchange& exchange) {
    fhir::QueryParameters parameters = exchange.parameters;
    const bool has_body =
        exchange.has_resource ||
        (!exchange.body.empty() && exchange.content_type != "application/x-www-form-urlencoded");
    if (!has_body) return parameters;
    const auto body = exchange.has_resource ? exchange.document : TRY(parse_body(exchange));
    const Json& root = exchange.has_resource ? exchange.resource : body->root();
    for (const Json& parameter : root["parameter"].items()) {
        for (const JsonMember& member : parameter.members()) {
            if (member.key.starts_with("value"))
                parameters.emplace_back(std::string(parameter.string_at("name")),
                                        std::string(member.value.text()));
        }
    }
    return parameters;
}

/// "a,b" and repetitions alike.
void add_values(std::string_view text, std::vector<std::string>& values) {
    std::size_t begin = 0;
    while (begin < text.size()) {
        const std::size_t end = std::min(text.find(',', begin), text.size());
        std::string_view value = text.substr(begin, end - begin);
        if (value.starts_with("Subscription/")) value.remove_prefix(13);
        if (!value.empty()) values.emplace_back(value);
        begin = end + 1;
    }
}

Result<void> unknown_parameter(std::string_view name, std::string_view expected) {
    return fail(
        Category::incorrect,
        fmt::format("there is no parameter \"{}\" here; expected {}", name.substr(0, 60), expected),
        std::string(name.substr(0, 60)));
}

/// The subscriptions that are meant: the instance, the ids, or all that the caller may see.
Result<std::vector<fhir::Resource>> chosen(Engine& engine, const Exchange& exchange,
                                           std::vector<std::string> ids) {
    std::vector<fhir::Resource> resources;
    if (exchange.path.size() > 2) ids.assign(1, exchange.path[1]);
    for (const std::string& id : ids)
        resources.push_back(TRY(engine.repository().read(exchange.caller, "Subscription", id)));
    if (!ids.empty()) return resources;
    fhir::Page page = TRY(engine.repository().search(
        exchange.caller, "Subscription", {{"_count", std::to_string(limits::page_size_max)}}, {}));
    while (true) {
        for (auto& entry : page.entries) resources.push_back(std::move(entry.resource));
        if (page.next.empty() || resources.size() >= limits::subscriptions_max) return resources;
        page = TRY(engine.repository().next_page(exchange.caller, page.next));
    }
}

Result<Status> status_of(Engine& engine, const fhir::Resource& resource) {
    const JsonDocument document = TRY(JsonDocument::parse(resource.json));
    const Json& root = document.root();
    Status status;
    status.id = resource.id;
    status.status = root.string_at("status");
    status.error = root.string_at("error");
    const std::string_view criteria = root.string_at("criteria");
    if (criteria.starts_with(topic_base)) status.topic = criteria;
    status.last_number = TRY(engine.numbers_of(resource.id)).last_number();
    return status;
}

Result<Answer> run_status(Engine& engine, const Exchange& exchange) {
    std::vector<std::string> ids;
    std::vector<std::string> states;
    for (const auto& [name, value] : TRY(parameters_of(exchange))) {
        if (name == "id") {
            add_values(value, ids);
        } else if (name == "status") {
            add_values(value, states);
        } else {
            TRY(unknown_parameter(name, "id, status"));
        }
    }
    std::vector<Status> statuses;
    for (const fhir::Resource& resource : TRY(chosen(engine, exchange, std::move(ids)))) {
        Status status = TRY(status_of(engine, resource));
        if (states.empty() ||
            std::find(states.begin(), states.end(), status.status) != states.end())
            statuses.push_back(std::move(status));
    }
    Answer answer;
    answer.json = status_bundle_json(statuses, exchange.base_url);
    return answer;
}

Result<std::int64_t> event_number(std::string_view name, const std::string& text) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc() && end == text.data() + text.size() && number >= 0) return number;
    return fail(
        Category::incorrect,
        fmt::format("{} \"{}\" is no event number: expected 1, 2, 3 …", name, text.substr(0, 40)),
        std::string(name));
}

Result<Answer> run_events(Engine& engine, const Exchange& exchange) {
    std::int64_t since = 1;
    std::int64_t until = std::numeric_limits<std::int64_t>::max();
    std::optional<Content> content;
    for (const auto& [name, value] : TRY(parameters_of(exchange))) {
        if (name == "eventsSinceNumber") {
            since = std::max<std::int64_t>(1, TRY(event_number(name, value)));
        } else if (name == "eventsUntilNumber") {
            until = TRY(event_number(name, value));
        } else if (name == "content") {
            auto parsed = parse_content(value);
            if (!parsed) return fail(Category::incorrect, parsed.error().message, "content");
            content = *parsed;
        } else {
            TRY(unknown_parameter(name, "eventsSinceNumber, eventsUntilNumber, content"));
        }
    }
    const fhir::Resource resource =
        TRY(engine.repository().read(exchange.caller, "Subscription", exchange.path[1]));
    Status status = TRY(status_of(engine, resource));
    if (!content) {
        const JsonDocument document = TRY(JsonDocument::parse(resource.json));
        const auto definition = read_definition(document.root());
        content = definition ? definition->content : Content::empty;
    }
    const EventNumbers numbers = TRY(engine.numbers_of(resource.id));
    // What is left out beyond the bound, the client sees from the numbers and asks for next.
    until =
        std::min({until, numbers.last_number(), since - 1 + limits::subscription_answer_events});
    std::vector<Event> events;
    if (since <= until)
        events = TRY(engine.events(exchange.caller, numbers, since, until, *content));
    status.last_number = numbers.last_number();
    Answer answer;
    answer.json = notification_json(status, Kind::query_event, events, *content, exchange.base_url);
    return answer;
}

Result<Answer> run_token(Engine& engine, const Exchange& exchange) {
    std::vector<std::string> ids;
    for (const auto& [name, value] : TRY(parameters_of(exchange))) {
        if (name == "id" || name == "ids") add_values(value, ids);
    }
    const bool is_by_name = !ids.empty() || exchange.path.size() > 2;
    std::vector<std::string> bound;
    for (const fhir::Resource& resource : TRY(chosen(engine, exchange, std::move(ids)))) {
        const JsonDocument document = TRY(JsonDocument::parse(resource.json));
        if (document.root()["channel"].string_at("type") == "websocket") {
            bound.push_back(resource.id);
        } else if (is_by_name) {
            return fail(
                Category::incorrect,
                fmt::format("Subscription/{} has another channel than websocket", resource.id),
                "id");
        }
    }
    const Token token{std::move(bound),
                      {now().milliseconds + 1'000LL * limits::subscription_token_life_seconds}};
    const std::string text = token_text(token, engine.repository().store().names());
    std::string url = exchange.base_url;
    if (url.starts_with("http")) url.replace(0, 4, "ws");
    Answer answer;
    answer.json = fmt::format(
        R"({{"resourceType":"Parameters","parameter":[{{"name":"token","valueString":"{}"}},{{"name":"expiration","valueDateTime":"{}"}})",
        text, to_text(token.expires));
    for (const std::string& id : token.ids)
        answer.json += fmt::format(R"(,{{"name":"subscription","valueString":"{}"}})", id);
    answer.json += R"(,{"name":"websocket-url","valueUrl":)";
    write_string(url + "/ws", answer.json);
    answer.json += "}]}";
    return answer;
}

/// The topics on the Subscription resource of the capability statement, as the backport asks.
std::string topic_extensions() {
    std::string out = R"("extension":[)";
    bool is_first = true;
    for (const fhir::Type* type : fhir::definitions().resources()) {
        out += fmt::format(
            R"({}{{"url":"http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/capabilitystatement-subscriptiontopic-canonical","valueCanonical":"{}{}"}})",
            is_first ? "" : ",", topic_base, type->name);
        is_first = false;
    }
    return out + "]";
}

}  // namespace

void add_operations(Service& service, std::shared_ptr<Engine> engine) {
    const std::string base =
        "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-";
    service.add_operation({.name = "status",
                           .on_type = true,
                           .on_instance = true,
                           .types = {"Subscription"},
                           .definition = base + "status",
                           .run = [engine](Service&, const Exchange& exchange) {
                               return run_status(*engine, exchange);
                           }});
    service.add_operation({.name = "events",
                           .on_instance = true,
                           .types = {"Subscription"},
                           .definition = base + "events",
                           .run = [engine](Service&, const Exchange& exchange) {
                               return run_events(*engine, exchange);
                           }});
    service.add_operation({.name = "get-ws-binding-token",
                           .on_type = true,
                           .on_instance = true,
                           .types = {"Subscription"},
                           .definition = base + "get-ws-binding-token",
                           .run = [engine](Service&, const Exchange& exchange) {
                               return run_token(*engine, exchange);
                           }});
    service.set_capability("resource.Subscription", topic_extensions());
}

}  // namespace meridian::rest::subscriptions

// SPDX-License-Identifier: Apache-2.0
#include "base/limits.hpp"
#include "base/query_string.hpp"
#include "fhir/bundle/transaction.hpp"
#include "fhir/format/subset.hpp"
#include "rest/service.hpp"

namespace meridian::rest {

namespace {

/// The parameters that a read understands beside _format and _pretty.
Result<std::string> shown(std::string json, const Exchange& exchange) {
    fhir::Page::Summary summary = fhir::Page::Summary::off;
    std::vector<std::string> elements;
    for (const auto& [name, value] : exchange.parameters) {
        if (name == "_summary") {
            bool is_known = false;
            if (value == "true") summary = fhir::Page::Summary::on;
            if (value == "text") summary = fhir::Page::Summary::text;
            if (value == "data") summary = fhir::Page::Summary::data;
            for (const char* known : {"true", "text", "data", "count", "false", ""})
                is_known = is_known || value == known;
            if (!is_known)
                return fail(Category::incorrect,
                            fmt::format("_summary takes true, text, data, count or false, not "
                                        "\"{}\"",
                                        value.substr(0, 40)),
                            "_summary");
        } else if (name == "_elements") {
            std::size_t begin = 0;
            while (begin <= value.size()) {
                const std::size_t end = std::min(value.find(',', begin), value.size());
                if (end > begin) elements.push_back(value.substr(begin, end - begin));
                begin = end + 1;
            }
        } else if (!exchange.lenient) {
            return fail(Category::incorrect,
                        fmt::format("a read does not know the parameter \"{}\": expected _summary, "
                                    "_elements, _format or _pretty",
                                    name.substr(0, 40)),
                        name);
        }
    }
    if (summary == fhir::Page::Summary::off && elements.empty()) return json;
    return fhir::subset(json, summary, elements);
}

/// FHIR R4 §3.1.0.3: conditional read. Only If-None-Match decides when both are there (RFC 9110
/// §13.2.2).
bool is_unchanged(const Exchange& exchange, const fhir::Resource& resource) {
    if (!exchange.if_none_match.empty()) {
        const auto tags = net::parse_tag_list(exchange.if_none_match);
        return tags && tags->contains(std::to_string(resource.version));
    }
    if (exchange.if_modified_since.empty()) return false;
    const auto since = parse_http_date(exchange.if_modified_since);
    return since && resource.updated.milliseconds / 1000 <= since->milliseconds / 1000;
}

}  // namespace

Result<Answer> answer_of_resource(fhir::Resource resource, const Exchange& exchange) {
    Answer answer;
    answer.version = resource.version;
    answer.last_modified = resource.updated;
    answer.age = resource.age;
    if (is_unchanged(exchange, resource)) {
        answer.status = 304;
        return answer;
    }
    if (exchange.wants_content) {
        Answer content = TRY(binary_content(resource.json));
        content.version = answer.version;
        content.last_modified = answer.last_modified;
        content.age = answer.age;
        return content;
    }
    answer.json = TRY(shown(std::move(resource.json), exchange));
    return answer;
}

Answer answer_of_page(const fhir::Page& page, const Exchange& exchange) {
    Answer answer;
    answer.age = page.age;
    answer.json = bundle_json(page, exchange.base_url);
    return answer;
}

namespace {

Result<void> check_body_type(const Json& resource, std::string_view type) {
    const std::string_view found = resource.string_at("resourceType");
    if (found == type) return {};
    return fail(
        Category::incorrect,
        fmt::format("the body is a {}; the address asks for a {}",
                    found.empty() ? "resource without resourceType" : found.substr(0, 60), type),
        "resourceType");
}

/// The operation that this request asks for, with its body parsed.
Result<fhir::Operation> write_operation(const Exchange& exchange, std::string_view type,
                                        std::string_view id) {
    fhir::Operation operation;
    operation.type = type;
    operation.id = id;
    if (exchange.has_resource) {
        operation.document = exchange.document;
        operation.resource = exchange.resource;
    } else {
        const bool is_content =
            type == "Binary" && !exchange.content_type.empty() && exchange.request != nullptr &&
            !is_fhir_media_type(exchange.content_type) && exchange.method != net::Method::patch;
        operation.document = TRY(is_content ? binary_of(exchange, id) : parse_body(exchange));
        operation.resource = operation.document->root();
    }
    return operation;
}

/// If-Match of update, patch and delete.
Result<void> take_if_match(const Exchange& exchange, fhir::Operation& operation) {
    if (exchange.if_match.empty() || exchange.if_match == "*") return {};
    operation.if_match = TRY(fhir::parse_version_tag(exchange.if_match));
    return {};
}

Result<Answer> commit_one(Service& service, const Exchange& exchange, fhir::Operation operation) {
    fhir::Transaction transaction;
    transaction.want_json =
        exchange.prefer_return != Return::minimal && exchange.prefer_return != Return::outcome;
    transaction.operations.push_back(std::move(operation));
    const auto results = TRY(service.repository().commit(exchange.caller, std::move(transaction)));
    return answer_of(results.front(), exchange);
}

/// The condition of PUT, PATCH or DELETE Type?search.
Result<fhir::QueryParameters> condition_of(const Exchange& exchange) {
    if (exchange.parameters.empty()) {
        return fail(Category::incorrect,
                    fmt::format("{} needs an id in the address or a search as condition",
                                net::name_of(exchange.method)));
    }
    return exchange.parameters;
}

}  // namespace

Answer answer_of(const fhir::OperationResult& result, const Exchange& exchange) {
    using Effect = fhir::OperationResult::Effect;
    Answer answer;
    const fhir::Resource& resource = result.resource;
    if (result.effect == Effect::removed || result.effect == Effect::nothing) {
        answer.status = 204;
        if (result.effect == Effect::removed && resource.version > 0)
            answer.version = resource.version;
        if (exchange.prefer_return == Return::outcome) {
            answer.status = 200;
            answer.json = outcome_json(
                Severity::information, "informational",
                result.effect == Effect::removed ? "Deleted." : "There was nothing to delete.");
        }
        return answer;
    }
    answer.status = result.effect == Effect::created ? 201 : 200;
    answer.version = resource.version;
    answer.last_modified = resource.updated;
    answer.location = fmt::format("{}/{}/{}/_history/{}", exchange.base_url, resource.type,
                                  resource.id, resource.version);
    if (exchange.prefer_return == Return::outcome) {
        std::vector<Issue> issues = result.warnings;
        if (issues.empty())
            issues.push_back({Severity::information, "informational", "All is well.", ""});
        answer.json = outcome_json(issues);
    } else if (exchange.prefer_return != Return::minimal) {
        answer.json = resource.json;
    }
    return answer;
}

Result<Answer> read(Service& service, const Exchange& exchange, std::string_view type,
                    std::string_view id) {
    return answer_of_resource(TRY(service.repository().read(exchange.caller, type, id)), exchange);
}

Result<Answer> read_version(Service& service, const Exchange& exchange, std::string_view type,
                            std::string_view id, std::string_view version) {
    store::Version number = 0;
    const auto [end, error] =
        std::from_chars(version.data(), version.data() + version.size(), number);
    if (error != std::errc() || end != version.data() + version.size() || number < 1) {
        return fail(Category::not_found,
                    fmt::format("{}/{} has no version \"{}\"", type, id, version.substr(0, 40)));
    }
    return answer_of_resource(
        TRY(service.repository().read_version(exchange.caller, type, id, number)), exchange);
}

namespace {

/// Reads one parameter of a history; false when it is none of them.
Result<bool> take_history_parameter(const std::string& name, const std::string& value,
                                    fhir::HistoryRequest& request) {
    if (name == "_count") {
        const auto [end, error] =
            std::from_chars(value.data(), value.data() + value.size(), request.count);
        if (error != std::errc() || end != value.data() + value.size())
            return fail(Category::incorrect, "_count is a whole number", "_count");
    } else if (name == "_since") {
        request.since = TRY(parse_date(value)).lower();
    } else if (name == "_at") {
        const PartialDate at = TRY(parse_date(value));
        request.at = {at.lower(), Instant{at.upper().milliseconds - 1}};
    } else if (name == "_list") {
        if (value.starts_with('$'))
            return fail(Category::unsupported,
                        "a history follows a List by its id, not by its function", "_list");
        request.list = value.starts_with("List/") ? value.substr(5) : value;
    } else {
        return false;
    }
    return true;
}

}  // namespace

Result<Answer> history(Service& service, const Exchange& exchange, std::string_view type,
                       std::string_view id) {
    if (exchange.method != net::Method::get && exchange.method != net::Method::head)
        return not_allowed("history is read with GET", "GET, HEAD");
    fhir::HistoryRequest request;
    request.type = type;
    request.id = id;
    request.count = limits::page_size_default;
    fhir::QueryParameters used;
    for (const auto& [name, value] : exchange.parameters) {
        if (value.empty()) continue;
        if (TRY(take_history_parameter(name, value, request))) {
            used.emplace_back(name, value);
        } else if (!exchange.lenient) {
            return fail(Category::incorrect,
                        fmt::format("history does not know the parameter \"{}\": expected _count, "
                                    "_since, _at or _list",
                                    name.substr(0, 40)),
                        name);
        }
    }
    const bool is_count_only = request.count == 0;
    request.count = std::clamp<std::size_t>(request.count, 1, limits::page_size_max);
    fhir::Page page = TRY(service.repository().history(exchange.caller, request));
    page.self = query_string(used);
    if (is_count_only) {
        page.entries.clear();
        page.next.clear();
    }
    return answer_of_page(page, exchange);
}

Result<Answer> search(Service& service, const Exchange& exchange, std::string_view type,
                      std::string_view compartment_type, std::string_view compartment_id) {
    fhir::SearchOptions options;
    options.lenient = exchange.lenient;
    options.base_url = exchange.base_url;
    options.compartment_type = compartment_type;
    options.compartment_id = compartment_id;
    const fhir::Page page =
        TRY(service.repository().search(exchange.caller, type, exchange.parameters, options));
    return answer_of_page(page, exchange);
}

Result<Answer> next_page(Service& service, const Exchange& exchange, std::string_view cursor) {
    const fhir::Page page = TRY(service.repository().next_page(exchange.caller, cursor));
    return answer_of_page(page, exchange);
}

Result<Answer> create(Service& service, const Exchange& exchange, std::string_view type) {
    fhir::Operation operation = TRY(write_operation(exchange, type, ""));
    operation.kind = fhir::Operation::Kind::create;
    TRY(check_body_type(operation.resource, type));
    if (!exchange.if_none_exist.empty()) {
        std::string_view query = exchange.if_none_exist;
        if (const std::size_t question = query.find('?'); question != std::string_view::npos)
            query = query.substr(question + 1);
        operation.condition = TRY(parse_query_string(query));
    }
    return commit_one(service, exchange, std::move(operation));
}

Result<Answer> update(Service& service, const Exchange& exchange, std::string_view type,
                      std::string_view id) {
    fhir::Operation operation = TRY(write_operation(exchange, type, id));
    operation.kind = fhir::Operation::Kind::update;
    TRY(check_body_type(operation.resource, type));
    if (id.empty()) operation.condition = TRY(condition_of(exchange));
    TRY(take_if_match(exchange, operation));
    operation.if_none_match_any = exchange.if_none_match == "*";
    return commit_one(service, exchange, std::move(operation));
}

Result<Answer> patch(Service& service, const Exchange& exchange, std::string_view type,
                     std::string_view id) {
    fhir::Operation operation;
    operation.type = type;
    operation.id = id;
    if (exchange.content_type == "application/json-patch+json") {
        operation.kind = fhir::Operation::Kind::patch_json;
        operation.document =
            std::make_shared<JsonDocument>(TRY(JsonDocument::parse(exchange.body)));
        operation.resource = operation.document->root();
    } else {
        operation = TRY(write_operation(exchange, type, id));
        operation.kind = fhir::Operation::Kind::patch_fhirpath;
        if (operation.resource.string_at("resourceType") != "Parameters") {
            return fail(Category::unsupported_media,
                        "a patch is a JSON Patch (application/json-patch+json) or a Parameters "
                        "resource (FHIRPath Patch)",
                        "Content-Type");
        }
    }
    if (id.empty()) operation.condition = TRY(condition_of(exchange));
    TRY(take_if_match(exchange, operation));
    return commit_one(service, exchange, std::move(operation));
}

Result<Answer> remove(Service& service, const Exchange& exchange, std::string_view type,
                      std::string_view id) {
    fhir::Operation operation;
    operation.kind = fhir::Operation::Kind::remove;
    operation.type = type;
    operation.id = id;
    if (id.empty()) operation.condition = TRY(condition_of(exchange));
    TRY(take_if_match(exchange, operation));
    return commit_one(service, exchange, std::move(operation));
}

}  // namespace meridian::rest

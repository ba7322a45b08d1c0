// SPDX-License-Identifier: Apache-2.0
#include "rest/service.hpp"

#include "base/json.hpp"
#include "base/log.hpp"
#include "fhir/definitions/definitions.hpp"
#include "fhir/format/xml.hpp"
#include "rest/measure.hpp"

namespace meridian::rest {

namespace {

/// The answer as an HTTP response.
net::Response rendered(Answer answer, Format format, bool pretty) {
    net::Response response;
    response.status = answer.status;
    if (answer.version) response.headers.add("ETag", fmt::format("W/\"{}\"", *answer.version));
    if (answer.last_modified)
        response.headers.add("Last-Modified", to_http_date(*answer.last_modified));
    // RFC 9111 §5.1: the answer was right so many seconds ago, or later.
    if (answer.age) response.headers.add("Age", std::to_string(answer.age->count()));
    if (!answer.location.empty()) response.headers.add("Location", answer.location);
    for (const auto& [name, value] : answer.headers) response.headers.add(name, value);
    if (!answer.content_type.empty()) {
        response.headers.add("Content-Type", answer.content_type);
        response.body = std::move(answer.json);
        response.stream = std::move(answer.stream);
        return response;
    }
    if (answer.json.empty()) return response;
    auto body = formatted(std::move(answer.json), format, pretty);
    if (!body) {
        log::error("an answer could not be formatted", {{"error", body.error().message}});
        response.status = 500;
        body = outcome_json(body.error());
        format = Format::json;
    }
    response.headers.add("Content-Type", media_type_of(format));
    response.body = *std::move(body);
    return response;
}

net::Response finished(Answer answer, Format format, bool pretty, const net::Request& request) {
    net::Response response = rendered(std::move(answer), format, pretty);
    if (const auto correlation = request.headers.find("X-Correlation-Id"))
        response.headers.add("X-Correlation-Id", *correlation);
    return response;
}

/// True for [base]/Type/id and nothing else: no parameters, no operation, no history.
bool is_plain_read(std::string_view target, std::string_view base_path) {
    if (!target.starts_with(base_path)) return false;
    target.remove_prefix(base_path.size());
    if (!target.starts_with('/')) return false;
    const std::size_t slash = target.find('/', 1);
    if (slash == std::string_view::npos || slash == 1 || slash + 1 == target.size()) return false;
    return target.find_first_of("?$_%") == std::string_view::npos &&
           target.find('/', slash + 1) == std::string_view::npos;
}

bool reads(net::Method method) {
    return method == net::Method::get || method == net::Method::head;
}

/// What may be asked by anybody: what this server can do, and where to sign in.
bool is_public(const net::Request& request, std::string_view base_path) {
    std::string_view path = request.path();
    if (!path.starts_with(base_path)) return false;
    path.remove_prefix(base_path.size());
    if (request.method == net::Method::options) return path.empty() || path == "/";
    return reads(request.method) && path == "/metadata";
}

/// The caller that the gate has found, with what this request says itself.
void take_caller(Exchange& exchange, fhir::Caller caller) {
    caller.max_stale = exchange.caller.max_stale;
    exchange.caller = std::move(caller);
}

Answer no_method(const Exchange& exchange, std::string allowed) {
    const std::string_view method = exchange.request != nullptr
                                        ? std::string_view(exchange.request->method_text)
                                        : net::name_of(exchange.method);
    std::string message =
        fmt::format("{} is not possible here; allowed: {}", method.substr(0, 40), allowed);
    return not_allowed(std::move(message), std::move(allowed));
}

Result<void> check_type(std::string_view type) {
    if (fhir::definitions().resource(type) != nullptr) return {};
    if (type == "ViewDefinition")
        return fail(Category::unsupported,
                    "SQL on FHIR is not offered by this version of the server; "
                    "docs/conformance.md lists what is");
    return fail(Category::not_found,
                fmt::format("\"{}\" is no FHIR R4 resource type", type.substr(0, 60)));
}

}  // namespace

std::string_view media_type_of(Format format) {
    return format == Format::json ? "application/fhir+json; charset=utf-8"
                                  : "application/fhir+xml; charset=utf-8";
}

Result<std::string> formatted(std::string json, Format format, bool pretty) {
    if (format == Format::json && !pretty) return json;
    const JsonDocument document = TRY(JsonDocument::parse(json));
    std::string out;
    if (format == Format::json) {
        write(document.root(), out, true);
    } else {
        fhir::to_xml(document.root(), out, pretty);
    }
    return out;
}

Service::Service(fhir::Repository& repository, ServiceOptions options)
    : repository_(repository), options_(std::move(options)) {}

void Service::add_operation(Operation operation) {
    operations_.push_back(std::move(operation));
    statement_.reset();
}

void Service::set_capability(std::string member, std::string json) {
    capabilities_[std::move(member)] = std::move(json);
    statement_.reset();
}

net::Response Service::error_response(int status, std::string message) {
    Answer answer;
    answer.status = status;
    answer.json = outcome_json(Severity::error, status >= 500 ? "exception" : "invalid", message);
    return rendered(std::move(answer), Format::json, false);
}

std::string Service::base_of(const net::Request& request) const {
    if (!options_.base_url.empty()) return options_.base_url;
    std::string base = request.is_secure ? "https://" : "http://";
    base.append(request.headers.get("Host", "localhost")).append(options_.base_path);
    return base;
}

std::optional<net::PromptAnswer> Service::answer_at_once(const net::Request& request) {
    if (request.method != net::Method::get || !is_plain_read(request.target, options_.base_path))
        return std::nullopt;
    const auto began = std::chrono::steady_clock::now();
    if (!options_.gate) return std::nullopt;
    auto caller = options_.gate->admit_at_once(request);
    if (!caller || !*caller) return std::nullopt;
    auto exchange = make_exchange(request, options_.base_path, base_of(request));
    if (!exchange || exchange->format != Format::json || exchange->wants_content)
        return std::nullopt;
    take_caller(*exchange, **std::move(caller));
    auto found = repository_.read_at_once(exchange->caller, exchange->path[0], exchange->path[1]);
    if (!found) return std::nullopt;
    auto answer = found->outcome ? answer_of_resource(*std::move(found->outcome), *exchange)
                                 : Result<Answer>(std::unexpected(found->outcome.error()));
    net::PromptAnswer prompt(finished(answer ? *std::move(answer) : answer_of(answer.error()),
                                      Format::json, false, request));
    if (!found->owed) {
        note_interaction(Interaction::read, began);
        return prompt;
    }
    prompt.hold = [this, &request, began, caller = std::move(exchange->caller),
                   record = *std::move(found->owed)](net::Release release) mutable {
        const auto done = [&request, began, release = std::move(release)](Result<void> kept) {
            note_interaction(Interaction::read, began);
            if (kept) return release(std::nullopt);
            release(finished(answer_of(kept.error()), Format::json, false, request));
        };
        repository_.note_later(caller, std::move(record), done);
    };
    return prompt;
}

Result<Exchange> Service::admitted(const net::Request& request) const {
    // First: who may not ask learns nothing from what is wrong with the question.
    const bool needs_caller = !is_public(request, options_.base_path);
    if (needs_caller && !options_.gate)
        return fail(Category::unauthenticated, "nobody may ask here");
    auto caller = needs_caller ? TRY(options_.gate->admit(request)) : fhir::Caller::nobody();
    Exchange exchange = TRY(make_exchange(request, options_.base_path, base_of(request)));
    take_caller(exchange, std::move(caller));
    return exchange;
}

net::Response Service::handle(const net::Request& request) {
    Format format = Format::json;
    bool pretty = false;
    auto interaction = Interaction::other;
    const auto began = std::chrono::steady_clock::now();
    auto answer = [&]() -> Result<Answer> {
        const Exchange exchange = TRY(admitted(request));
        format = exchange.format;
        pretty = exchange.pretty;
        interaction = interaction_of(exchange.method, exchange.path,
                                     exchange.parameter("_cursor") != nullptr);
        return store::with_names([&] { return dispatch(exchange); });
    }();
    auto response =
        finished(answer ? *std::move(answer) : answer_of(answer.error()), format, pretty, request);
    note_interaction(interaction, began);
    return response;
}

Result<Answer> Service::dispatch(const Exchange& exchange) {
    if (const std::string* cursor = exchange.parameter("_cursor"))
        return next_page(*this, exchange, *cursor);
    switch (exchange.path.size()) {
        case 0:
            return dispatch_system(exchange);
        case 1:
            return dispatch_type(exchange);
        case 2:
            return dispatch_instance(exchange);
        default:
            return dispatch_below_instance(exchange);
    }
}

Result<Answer> Service::dispatch_system(const Exchange& exchange) {
    if (reads(exchange.method)) return search(*this, exchange, "");
    if (exchange.method == net::Method::post) return process_bundle(*this, exchange);
    if (exchange.method == net::Method::options) return rest::capabilities(*this, exchange);
    return no_method(exchange, "GET, HEAD, POST, OPTIONS");
}

Result<Answer> Service::dispatch_type(const Exchange& exchange) {
    const std::string& first = exchange.path[0];
    if (first == "metadata") return rest::capabilities(*this, exchange);
    if (first == "_history") return history(*this, exchange, "", "");
    if (first == "_search") return search(*this, exchange, "");
    if (first.starts_with('$')) return run_operation(first.substr(1), "", false, exchange);
    TRY(check_type(first));
    switch (exchange.method) {
        case net::Method::get:
        case net::Method::head:
            return search(*this, exchange, first);
        case net::Method::post:
            return create(*this, exchange, first);
        case net::Method::put:
            return update(*this, exchange, first, "");
        case net::Method::patch:
            return patch(*this, exchange, first, "");
        case net::Method::delete_:
            return remove(*this, exchange, first, "");
        default:
            return no_method(exchange, "GET, HEAD, POST, PUT, PATCH, DELETE");
    }
}

Result<Answer> Service::dispatch_instance(const Exchange& exchange) {
    const std::string& type = exchange.path[0];
    const std::string& id = exchange.path[1];
    TRY(check_type(type));
    if (id == "_search") {
        if (exchange.method != net::Method::post) return no_method(exchange, "POST");
        return search(*this, exchange, type);
    }
    if (id == "_history") return history(*this, exchange, type, "");
    if (id.starts_with('$')) return run_operation(id.substr(1), type, false, exchange);
    switch (exchange.method) {
        case net::Method::get:
        case net::Method::head:
            return read(*this, exchange, type, id);
        case net::Method::put:
            return update(*this, exchange, type, id);
        case net::Method::patch:
            return patch(*this, exchange, type, id);
        case net::Method::delete_:
            return remove(*this, exchange, type, id);
        default:
            return no_method(exchange, "GET, HEAD, PUT, PATCH, DELETE");
    }
}

Result<Answer> Service::dispatch_below_instance(const Exchange& exchange) {
    const std::string& type = exchange.path[0];
    const std::string& id = exchange.path[1];
    const std::string& third = exchange.path[2];
    TRY(check_type(type));
    if (third.starts_with('$') && exchange.path.size() == 3)
        return run_operation(third.substr(1), type, true, exchange);
    if (third == "_history") {
        if (exchange.path.size() == 3) return history(*this, exchange, type, id);
        if (exchange.path.size() == 4) {
            if (!reads(exchange.method)) return no_method(exchange, "GET, HEAD");
            return read_version(*this, exchange, type, id, exchange.path[3]);
        }
    }
    const bool is_compartment = fhir::definitions().compartment(type) != nullptr &&
                                (third == "*" || fhir::definitions().resource(third) != nullptr);
    const bool is_search = (exchange.path.size() == 3 && reads(exchange.method)) ||
                           (exchange.path.size() == 4 && exchange.path[3] == "_search" &&
                            exchange.method == net::Method::post);
    if (is_compartment && is_search) return search(*this, exchange, third, type, id);
    return fail(Category::not_found, "there is no such address below this resource");
}

Result<Answer> Service::run_operation(std::string_view name, std::string_view type,
                                      bool on_instance, const Exchange& exchange) {
    bool is_known = false;
    for (const Operation& operation : operations_) {
        if (operation.name != name) continue;
        is_known = true;
        const bool level_fits = type.empty()  ? operation.on_system
                                : on_instance ? operation.on_instance
                                              : operation.on_type;
        const bool type_fits = type.empty() || operation.types.empty() ||
                               std::find(operation.types.begin(), operation.types.end(), type) !=
                                   operation.types.end();
        if (!level_fits || !type_fits) continue;
        if (operation.changes_state && reads(exchange.method)) return no_method(exchange, "POST");
        return operation.run(*this, exchange);
    }
    if (is_known)
        return fail(Category::not_allowed,
                    fmt::format("${} is not defined {}", name,
                                type.empty()  ? "for the system"
                                : on_instance ? "for an instance of this type"
                                              : "for this type"));
    return fail(Category::not_found,
                fmt::format("there is no operation ${}; /metadata lists those there are",
                            name.substr(0, 60)));
}

}  // namespace meridian::rest

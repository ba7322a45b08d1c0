// SPDX-License-Identifier: Apache-2.0
#include "rest/exchange.hpp"

#include "base/limits.hpp"
#include "fhir/format/xml.hpp"

namespace meridian::rest {

namespace {

constexpr std::string_view form_type = "application/x-www-form-urlencoded";

/// FHIR R4 §3.1.0.1.9: the media types of each format; `_format` also knows the short names.
std::optional<Format> format_named(std::string_view name) {
    for (const std::string_view json : {"json", "application/fhir+json", "application/json",
                                        "text/json", "application/json+fhir"}) {
        if (name == json) return Format::json;
    }
    for (const std::string_view xml :
         {"xml", "application/fhir+xml", "application/xml", "text/xml", "application/xml+fhir"}) {
        if (name == xml) return Format::xml;
    }
    return std::nullopt;
}

/// True when the client names a format of FHIR: in Accept or as _format.
bool names_fhir_format(const net::Request& request) {
    const auto parameters = request.parameters();
    if (parameters && std::any_of(parameters->begin(), parameters->end(),
                                  [](const auto& one) { return one.first == "_format"; }))
        return true;
    const auto accepted = net::parse_accept(request.headers.joined("Accept"));
    return std::any_of(accepted.begin(), accepted.end(), [](const net::MediaType& type) {
        return type.quality > 0 && format_named(type.type).has_value();
    });
}

/// True for Binary/id and Binary/id/_history/version, read by a client that wants its content:
/// https://hl7.org/fhir/R4/binary.html#rest
bool asks_for_content(const net::Request& request, const std::vector<std::string>& path) {
    if (request.method != net::Method::get && request.method != net::Method::head) return false;
    if (path.size() != 2 && path.size() != 4) return false;
    return path[0] == "Binary" && !path[1].starts_with('_') && !path[1].starts_with('$') &&
           !names_fhir_format(request);
}

Result<void> check_version(const net::MediaType& type) {
    const std::string_view version = type.parameter("fhirversion");
    if (version.empty() || version == "4.0" || version == "4.0.1") return {};
    return fail(Category::unacceptable,
                fmt::format("this server speaks FHIR 4.0, not {}", version.substr(0, 10)),
                "fhirVersion");
}

Result<Format> accepted_format(const net::Request& request) {
    const std::string accept = request.headers.joined("Accept");
    if (accept.empty()) return Format::json;
    for (const net::MediaType& type : net::parse_accept(accept)) {
        if (type.quality <= 0) continue;
        if (type.type == "*/*" || type.type == "application/*" || type.type == "text/html" ||
            type.type == "text/*" || type.type == "application/ndjson" ||
            type.type == "application/fhir+ndjson" || type.type == "application/octet-stream") {
            return Format::json;
        }
        if (const auto format = format_named(type.type)) {
            TRY(check_version(type));
            return *format;
        }
    }
    return fail(Category::unacceptable,
                "none of the accepted formats is offered: this server answers "
                "application/fhir+json and application/fhir+xml",
                "Accept");
}

/// Takes _format and _pretty out of the parameters.
Result<void> take_format_parameters(Exchange& exchange) {
    for (auto at = exchange.parameters.begin(); at != exchange.parameters.end();) {
        if (at->first == "_pretty") {
            exchange.pretty = at->second == "true";
        } else if (at->first == "_format") {
            // '+' in a URL is a space: application/fhir+json arrives so from careless clients.
            std::string name = at->second.substr(0, at->second.find(';'));
            std::replace(name.begin(), name.end(), ' ', '+');
            const auto format = format_named(name);
            if (!format && name != "html" && name != "text/html" &&
                name != "application/fhir+ndjson") {
                return fail(Category::unacceptable,
                            fmt::format("_format={} is not offered: expected json or xml",
                                        name.substr(0, 40)),
                            "_format");
            }
            exchange.format = format.value_or(Format::json);
        } else {
            ++at;
            continue;
        }
        at = exchange.parameters.erase(at);
    }
    return {};
}

void take_preferences(const net::Request& request, Exchange& exchange) {
    if (const auto wanted = net::preference(request, "return")) {
        if (*wanted == "minimal") exchange.prefer_return = Return::minimal;
        if (*wanted == "representation") exchange.prefer_return = Return::representation;
        if (*wanted == "OperationOutcome") exchange.prefer_return = Return::outcome;
    }
    exchange.lenient = net::preference(request, "handling") == "lenient";
    exchange.respond_async = net::preference(request, "respond-async").has_value();
}

/// RFC 9111 §5.2.1.2: how stale an answer to this read may be. `max-stale` alone takes any. What
/// cannot be understood is no permission, and `no-cache` takes it back.
std::optional<std::chrono::seconds> allowed_staleness(const net::Request& request) {
    if (request.method != net::Method::get && request.method != net::Method::head)
        return std::nullopt;
    std::optional<std::chrono::seconds> allowed;
    const std::string all = request.headers.joined("Cache-Control");
    for (std::size_t begin = 0; begin < all.size();) {
        const std::size_t end = std::min(all.find(',', begin), all.size());
        std::string directive = all.substr(begin, end - begin);
        begin = end + 1;
        std::erase_if(directive, [](char c) { return c == ' ' || c == '\t' || c == '"'; });
        std::transform(directive.begin(), directive.end(), directive.begin(), [](char c) {
            return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        });
        if (directive == "no-cache") return std::nullopt;
        const std::chrono::seconds most(limits::database_stale_seconds_max);
        if (directive == "max-stale") allowed = most;
        if (!directive.starts_with("max-stale=")) continue;
        unsigned seconds = 0;
        const char* const last = directive.data() + directive.size();
        const auto [rest, error] = std::from_chars(directive.data() + 10, last, seconds);
        if (error == std::errc() && rest == last)
            allowed = std::min(std::chrono::seconds(seconds), most);
        if (error == std::errc::result_out_of_range && rest == last) allowed = most;
    }
    return allowed;
}

}  // namespace

const std::string* Exchange::parameter(std::string_view name) const {
    for (const auto& [key, value] : parameters) {
        if (key == name) return &value;
    }
    return nullptr;
}

Result<Exchange> make_exchange(const net::Request& request, std::string_view base_path,
                               std::string base_url) {
    Exchange exchange;
    exchange.request = &request;
    exchange.method = request.method;
    exchange.base_url = std::move(base_url);
    exchange.peer = request.peer;
    exchange.path = TRY(request.segments());
    // The base path's own segments are not ours.
    std::size_t skip = 0;
    for (std::size_t at = 0; (at = base_path.find('/', at)) != std::string_view::npos; ++at) ++skip;
    exchange.path.erase(
        exchange.path.begin(),
        exchange.path.begin() + static_cast<std::ptrdiff_t>(std::min(skip, exchange.path.size())));
    if (!exchange.path.empty() && exchange.path.back().empty()) exchange.path.pop_back();
    exchange.wants_content = asks_for_content(request, exchange.path);
    if (!exchange.wants_content) exchange.format = TRY(accepted_format(request));
    exchange.parameters = TRY(request.parameters());
    exchange.body = request.body;
    exchange.content_type = request.content_type();
    if (exchange.content_type == form_type && request.method == net::Method::post) {
        for (auto& parameter : TRY(request.form()))
            exchange.parameters.push_back(std::move(parameter));
    }
    exchange.if_match = request.headers.get("If-Match");
    exchange.if_none_match = request.headers.get("If-None-Match");
    exchange.if_none_exist = request.headers.get("If-None-Exist");
    exchange.if_modified_since = request.headers.get("If-Modified-Since");
    TRY(take_format_parameters(exchange));
    take_preferences(request, exchange);
    exchange.caller.request_id = request.id;
    exchange.caller.max_stale = allowed_staleness(request);
    return exchange;
}

bool is_fhir_media_type(std::string_view name) {
    return format_named(name).has_value();
}

Result<std::shared_ptr<JsonDocument>> parse_body(const Exchange& exchange) {
    if (exchange.body.empty())
        return fail(Category::incorrect, "the request has no body: expected a FHIR resource");
    // A missing content type is read as JSON or XML by its first character.
    auto format = exchange.content_type.empty()
                      ? std::optional(exchange.body.front() == '<' ? Format::xml : Format::json)
                      : format_named(exchange.content_type);
    if (!format) {
        return fail(
            Category::unsupported_media,
            fmt::format(
                "\"{}\" is not read here: expected application/fhir+json or application/fhir+xml",
                exchange.content_type.substr(0, 60)),
            "Content-Type");
    }
    if (exchange.request != nullptr) {
        if (const auto type =
                net::parse_media_type(exchange.request->headers.get("Content-Type"))) {
            auto checked = check_version(*type);
            if (!checked)
                return fail(Category::unsupported_media, checked.error().message, "Content-Type");
        }
    }
    if (*format == Format::xml)
        return std::make_shared<JsonDocument>(TRY(fhir::from_xml(exchange.body)));
    return std::make_shared<JsonDocument>(TRY(JsonDocument::parse(exchange.body)));
}

}  // namespace meridian::rest

// SPDX-License-Identifier: Apache-2.0
#include "net/detail/answer_headers.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/limits.hpp"
#include "net/url.hpp"

namespace meridian::net::detail {

namespace {

struct Protection {
    std::string_view name;
    std::string_view line;
};

/// In the order of the answer. A page that needs more than nothing says so in a policy of its own;
/// one that forgets to does not work, which shows at once.
constexpr Protection protections[] = {
    {"X-Content-Type-Options", "X-Content-Type-Options: nosniff\r\n"},
    {"Referrer-Policy", "Referrer-Policy: no-referrer\r\n"},
    {"Content-Security-Policy",
     "Content-Security-Policy: default-src 'none'; object-src 'none'; base-uri 'none'; "
     "form-action 'none'; frame-ancestors 'none'; sandbox\r\n"},
    {"Cross-Origin-Opener-Policy", "Cross-Origin-Opener-Policy: same-origin\r\n"},
    {"Cache-Control", "Cache-Control: no-store\r\n"},
};

constexpr std::string_view origin_field = "Access-Control-Allow-Origin";
constexpr std::string_view isolation = "Cross-Origin-Resource-Policy";
constexpr std::string_view strict_transport = "Strict-Transport-Security";

// What clients of FHIR and OAuth send and read beyond what every page may (CORS safelists).
constexpr std::string_view asked_with =
    "Accept, Accept-Language, Authorization, Cache-Control, Content-Type, If-Match, "
    "If-Modified-Since, If-None-Exist, If-None-Match, Prefer, X-Provenance, X-Request-Id";
constexpr std::string_view readable =
    "Content-Location, Date, ETag, Expires, Last-Modified, Link, Location, Retry-After, "
    "WWW-Authenticate, X-Progress, X-Request-Id";

}  // namespace

void append_protections(std::string& head, const Request& request, const Response& response) {
    const Headers& headers = response.headers;
    for (const Protection& one : protections) {
        if (!headers.has(one.name)) head.append(one.line);
    }
    // The policy guards answers that another site's page loads without asking, as a picture or a
    // script. A page that may read the answer need not be kept from that.
    if (!headers.has(isolation) && !headers.has(origin_field))
        head.append("Cross-Origin-Resource-Policy: same-origin\r\n");
    // RFC 6797 §7.2: never over plain HTTP.
    if (request.is_secure && !headers.has(strict_transport)) {
        static const std::string line =
            fmt::format("{}: max-age={}; includeSubDomains\r\n", strict_transport,
                        limits::http_strict_transport_seconds);
        head.append(line);
    }
}

// --- Cors ---

Result<Cors> Cors::make(const CorsOptions& options) {
    if (options.origins.size() > limits::http_cors_origins_max) {
        return fail(Category::incorrect,
                    fmt::format("{} origins are allowed to read (at most {})",
                                options.origins.size(), limits::http_cors_origins_max));
    }
    Cors cors;
    for (const std::string& origin : options.origins) {
        // RFC 6454 §6.2: scheme, host in lower case, port unless it is the scheme's own, no more.
        const auto url = Url::parse(origin);
        if (!url || url->to_text() != origin + "/") {
            return fail(Category::incorrect,
                        fmt::format("\"{}\" is no origin as browsers write it (expected one like "
                                    "https://app.example.org, without a path)",
                                    origin.substr(0, 200)));
        }
        cors.origins_.push_back(origin);
    }
    cors.paths_ = options.paths;
    return cors;
}

bool Cors::covers(const Request& request) const {
    if (origins_.empty()) return false;
    const std::string_view path = request.path();
    return std::any_of(paths_.begin(), paths_.end(), [&](const std::string& prefix) {
        return path.starts_with(prefix) &&
               (path.size() == prefix.size() || path[prefix.size()] == '/');
    });
}

bool Cors::knows(std::string_view origin) const {
    return std::find(origins_.begin(), origins_.end(), origin) != origins_.end();
}

std::optional<Response> Cors::preflight(const Request& request) const {
    if (request.method != Method::options || !covers(request) ||
        !request.headers.has("Access-Control-Request-Method"))
        return std::nullopt;
    const auto origin = request.headers.find("Origin");
    if (!origin) return std::nullopt;
    Response response;
    response.status = 204;
    if (!knows(*origin)) return response;
    response.headers.add("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE");
    response.headers.add("Access-Control-Allow-Headers", asked_with);
    response.headers.add("Access-Control-Max-Age", std::to_string(limits::http_cors_age_seconds));
    return response;
}

void Cors::allow(const Request& request, Response& response) const {
    if (!covers(request)) return;
    // Also for requests without an Origin: a cache must not give their answer to a page.
    const std::string varies = response.headers.joined("Vary");
    response.headers.set("Vary", varies.empty() ? "Origin" : varies + ", Origin");
    const auto origin = request.headers.find("Origin");
    if (!origin || !knows(*origin)) return;
    response.headers.set(origin_field, *origin);
    response.headers.set("Access-Control-Expose-Headers", readable);
}

}  // namespace meridian::net::detail

// SPDX-License-Identifier: Apache-2.0
#include "server/application.hpp"

#include <arpa/inet.h>

#include <atomic>

#include "base/limits.hpp"
#include "base/log.hpp"
#include "base/metrics.hpp"
#include "net/server.hpp"
#include "rest/basic_operations.hpp"
#include "rest/bulk/import_operations.hpp"
#include "rest/bulk/operations.hpp"
#include "rest/service.hpp"
#include "rest/subscriptions/subscriptions.hpp"
#include "rest/terminology_operations.hpp"
#include "rest/validate_operation.hpp"
#include "server/pages.hpp"
#include "server/vitals.hpp"
#include "store/open.hpp"

namespace meridian::server {

namespace {

constexpr std::int64_t bulk_cache_bytes = 256LL << 20;

bool is_loopback(const std::string& address) {
    in_addr v4{};
    in6_addr v6{};
    if (inet_pton(AF_INET, address.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
    return inet_pton(AF_INET6, address.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/// Patient data goes over a network only where nobody can read it on the way.
Result<void> check_reach(const ApplicationOptions& options) {
    if (options.tls_certificate.empty() != options.tls_key.empty())
        return fail(Category::incorrect, "TLS needs both --tls-certificate and --tls-key",
                    "--tls-key");
    const bool has_tls = !options.tls_certificate.empty();
    if (is_loopback(options.address) || has_tls || !options.behind_proxy.empty()) return {};
    return fail(
        Category::forbidden,
        fmt::format("{} is not a loopback address, and without TLS everybody on the way can "
                    "read what goes there: give --tls-certificate and --tls-key, or name "
                    "with --behind-proxy the proxy that speaks TLS in front",
                    options.address),
        "--listen");
}

/// How the server is reached, in net's words.
net::ServerOptions reach_of(const ApplicationOptions& options, const std::string& base_path) {
    net::ServerOptions http;
    http.address = options.address;
    http.port = options.port;
    http.workers = options.workers;
    if (!options.tls_certificate.empty())
        http.tls = net::TlsOptions{.certificate_file = options.tls_certificate,
                                   .key_file = options.tls_key,
                                   .allow_tls_1_2 = options.tls_1_2};
    http.proxies = options.behind_proxy;
    // Pages and cookies stay with their own origin.
    http.cors = {.origins = options.cors_origins, .paths = {base_path, "/oauth", "/.well-known"}};
    return http;
}

/// The metric of one answered request, by a closed set of labels: never by address or id.
metrics::Histogram& request_histogram(const net::Request& request) {
    static std::array<metrics::Histogram*, 8> histograms = [] {
        std::array<metrics::Histogram*, 8> made{};
        for (std::size_t i = 0; i < made.size(); ++i) {
            made[i] = &metrics::histogram(
                "meridian_http_request_seconds", "time to make an answer",
                fmt::format("method=\"{}\"",
                            i == 7 ? "other" : net::name_of(static_cast<net::Method>(i))));
        }
        return made;
    }();
    return *histograms[std::min<std::size_t>(static_cast<std::size_t>(request.method), 7)];
}

void count_answer(const net::Request& request, const net::Response& response,
                  std::chrono::nanoseconds taken) {
    static std::array<metrics::Counter*, 6> by_class = [] {
        std::array<metrics::Counter*, 6> made{};
        for (std::size_t i = 0; i < made.size(); ++i)
            made[i] = &metrics::counter("meridian_http_answers_total", "answers by class of status",
                                        fmt::format("status=\"{}xx\"", i));
        return made;
    }();
    by_class[std::clamp(response.status / 100, 0, 5)]->add();
    request_histogram(request).observe(std::chrono::duration<double>(taken).count());
}

}  // namespace

Result<void> read_listen_address(const std::string& text, ApplicationOptions& options) {
    const std::size_t colon = text.rfind(':');
    unsigned port = 0;
    const char* begin = text.data() + (colon == std::string::npos ? text.size() : colon + 1);
    const auto [end, error] = std::from_chars(begin, text.data() + text.size(), port);
    if (colon == std::string::npos || error != std::errc() || end != text.data() + text.size() ||
        port > 65535) {
        return fail(
            Category::incorrect,
            fmt::format(
                "\"{}\" is no address to listen at: expected ADDRESS:PORT, e.g. 127.0.0.1:8080",
                text.substr(0, 80)),
            "--listen");
    }
    options.address = text.substr(0, colon);
    if (options.address.starts_with('[') && options.address.ends_with(']'))
        options.address = options.address.substr(1, options.address.size() - 2);
    if (options.address == "localhost") options.address = "127.0.0.1";
    options.port = static_cast<std::uint16_t>(port);
    return {};
}

Result<OpenRecord> open_record(const RecordOptions& options) {
    OpenRecord record;
    store::OpenOptions open;
    open.folder = options.data_folder;
    open.database = options.database;
    open.create = options.create;
    open.bulk = options.bulk;
    if (options.bulk) {
        // A sorted batch touches each leaf page once: a large cache would only hold pages that are
        // not met again before the next batch. And what follows the log reads it once, in order.
        open.cache_bytes = bulk_cache_bytes;
        open.mapped_bytes = 0;
    }
    record.store = TRY(store::open(open));
    fhir::Repository::Options repository;
    repository.validate = options.validate;
    repository.base_url = options.base_url;
    record.repository = TRY(fhir::Repository::open(*record.store, repository));
    return record;
}

struct Application::Parts {
    std::string data_folder;
    std::unique_ptr<store::Store> store;
    std::unique_ptr<fhir::Repository> repository;
    std::unique_ptr<rest::Service> service;
    std::unique_ptr<rest::ExportJobs> exports;
    std::unique_ptr<rest::BulkImport> imports;
    std::unique_ptr<rest::Subscriptions> subscriptions;
    std::unique_ptr<Pages> pages;
    std::unique_ptr<net::Server> http;
    /// The address, and with it the base of absolute references, is known only when the server
    /// listens: until the parts have it, nothing is asked of them.
    std::atomic<bool> is_started{false};

    net::Response handle(const net::Request& request) {
        if (!is_started.load(std::memory_order_acquire)) return starting();
        const std::string_view path = request.path();
        const std::string& base = service->options().base_path;
        if (path == base || path.starts_with(base + "/")) return service->handle(request);
        if (path == "/readyz") return ready();
        return pages->handle(request);
    }

    /// What the I/O thread answers itself.
    std::optional<net::Response> answer_at_once(const net::Request& request) {
        if (request.path() == "/healthz") return net::Response::text(200, "ok\n");
        if (!is_started.load(std::memory_order_acquire)) return starting();
        // Not on a worker: it is wanted most when all workers wait for the database.
        if (request.path() == "/metrics") return measured();
        if (auto answer = subscriptions->answer_at_once(request)) return answer;
        return service->answer_at_once(request);
    }

    static net::Response starting() {
        net::Response response =
            rest::Service::error_response(503, "the server is starting: try again in a moment");
        response.headers.set("Retry-After", std::to_string(limits::http_retry_after_seconds));
        return response;
    }

    net::Response measured() {
        note_vitals({.data_folder = data_folder,
                     .connections = http->connection_count(),
                     .requests_waiting = http->requests_waiting()});
        return net::Response::text(200, metrics::exposition(),
                                   "text/plain; version=0.0.4; charset=utf-8");
    }

    /// Ready means: a snapshot can be taken and the log grows when asked.
    net::Response ready() {
        const auto snapshot = store->snapshot();
        if (!snapshot) {
            auto response =
                net::Response::text(503, fmt::format("not ready: {}\n", snapshot.error().message));
            response.headers.set("Retry-After", std::to_string(limits::http_retry_after_seconds));
            return response;
        }
        return net::Response::text(200,
                                   fmt::format("ready at position {}\n", (*snapshot)->position()));
    }
};

Application::Application(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Application::~Application() {
    stop();
}

Result<std::unique_ptr<Application>> Application::start(const ApplicationOptions& options) {
    TRY(check_reach(options));
    auto parts = std::make_unique<Parts>();
    parts->data_folder = options.data_folder;
    store::OpenOptions open;
    open.folder = options.data_folder;
    open.database = options.database;
    open.replicas = options.replicas;
    open.cache_bytes = options.cache_megabytes << 20;
    open.on_history_lost = options.on_history_lost;
    parts->store = TRY(store::open(open));
    fhir::Repository::Options repository;
    repository.validate = options.validate;
    repository.conditional_delete_many = options.conditional_delete_many;
    repository.base_url = options.base_url;
    parts->repository = TRY(fhir::Repository::open(*parts->store, repository));
    rest::ServiceOptions service;
    service.gate = trust::open_gate();
    service.conditional_delete_many = options.conditional_delete_many;
    service.base_url = options.base_url;
    parts->service = std::make_unique<rest::Service>(*parts->repository, service);
    rest::add_basic_operations(*parts->service);
    const auto terminology =
        std::make_shared<const fhir::terminology::Terminology>(parts->repository.get());
    parts->repository->set_concepts(terminology);
    rest::add_terminology_operations(*parts->service, terminology);
    rest::add_validate_operation(*parts->service, terminology);
    parts->exports =
        std::make_unique<rest::ExportJobs>(*parts->repository, options.data_folder + "/exports");
    parts->exports->add_operations(*parts->service);
    parts->imports = TRY(
        rest::BulkImport::make(*parts->repository, options.data_folder, options.import_sources));
    parts->imports->add_operations(*parts->service);
    parts->subscriptions = std::make_unique<rest::Subscriptions>(
        *parts->repository, rest::Subscriptions::Options{.concepts = terminology});
    parts->subscriptions->add_operations(*parts->service);
    parts->pages = std::make_unique<Pages>(*parts->repository, service.gate);

    net::ServerOptions http = reach_of(options, service.base_path);
    Parts* all = parts.get();
    http.handler = [all](const net::Request& request) { return all->handle(request); };
    http.at_once = [all](const net::Request& request) { return all->answer_at_once(request); };
    http.error_response = rest::Service::error_response;
    http.on_answer = count_answer;
    http.websocket = [all](const net::Request& request) -> const net::WebSocketHandler* {
        if (!all->is_started.load(std::memory_order_acquire)) return nullptr;
        return all->subscriptions->websocket(request);
    };
    parts->http = TRY(net::Server::start(std::move(http)));
    const bool is_v6 = options.address.find(':') != std::string::npos;
    const std::string own_url =
        fmt::format("{}://{}:{}{}", options.tls_certificate.empty() ? "http" : "https",
                    is_v6 ? "[" + options.address + "]" : options.address, parts->http->port(),
                    service.base_path);
    if (options.base_url.empty()) TRY(parts->repository->set_base_url(own_url));
    TRY(parts->subscriptions->start(options.base_url.empty() ? own_url : options.base_url));
    parts->is_started.store(true, std::memory_order_release);
    parts->imports->start();  // may fetch from this very server
    log::info("serving", {{"address", options.address},
                          {"port", static_cast<int>(parts->http->port())},
                          {"data", options.data_folder}});
    return std::unique_ptr<Application>(new Application(std::move(parts)));
}

std::uint16_t Application::port() const {
    return parts_->http->port();
}
fhir::Repository& Application::repository() {
    return *parts_->repository;
}

Result<void> Application::reload_tls() {
    return parts_->http->reload_tls();
}

void Application::stop() {
    if (!parts_) return;
    // First: an import may be fetching from this very server.
    if (parts_->imports) parts_->imports->stop();
    if (parts_->http) parts_->http->stop();
    parts_->http.reset();
    parts_->pages.reset();
    parts_->exports.reset();
    parts_->imports.reset();
    parts_->subscriptions->stop();
    parts_->service.reset();
    parts_->repository.reset();
    parts_->store.reset();
    parts_.reset();
}

}  // namespace meridian::server

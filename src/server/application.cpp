// SPDX-License-Identifier: Apache-2.0
#include "server/application.hpp"

#include <arpa/inet.h>

#include <atomic>

#include "base/limits.hpp"
#include "base/log.hpp"
#include "base/metrics.hpp"
#include "net/malware_scanner.hpp"
#include "net/origin.hpp"
#include "net/server.hpp"
#include "net/url_prefixes.hpp"
#include "rest/approvals.hpp"
#include "rest/basic_operations.hpp"
#include "rest/break_glass.hpp"
#include "rest/bulk/import_operations.hpp"
#include "rest/bulk/operations.hpp"
#include "rest/service.hpp"
#include "rest/subscriptions/subscriptions.hpp"
#include "rest/terminology_operations.hpp"
#include "rest/validate_operation.hpp"
#include "server/control.hpp"
#include "server/demo.hpp"
#include "server/doors.hpp"
#include "server/pages.hpp"
#include "server/policy_file.hpp"
#include "server/projects.hpp"
#include "server/reidentify.hpp"
#include "server/vitals.hpp"
#include "store/open.hpp"
#include "trust/policy/labels.hpp"

namespace meridian::server {

namespace {

constexpr std::int64_t bulk_cache_bytes = 256LL << 20;

bool is_loopback(const std::string& address) {
    in_addr v4{};
    in6_addr v6{};
    if (inet_pton(AF_INET, address.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
    return inet_pton(AF_INET6, address.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
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

/// Opens the guard of a record and gives the Repository what it needs of it. A record that is to be
/// used without protection may have been sealed before: then its bodies are opened all the same.
Result<void> protect(store::Store& store, const std::string& folder, bool is_protected,
                     std::unique_ptr<Guard>& guard, fhir::Repository::Options& options,
                     std::function<std::string()> base_url,
                     const std::string& refused_passwords = {}) {
    if (is_protected) {
        guard = TRY(Guard::open(store, folder, refused_passwords));
        guard->protect(options, std::move(base_url));
        return {};
    }
    auto sealed = TRY(cipher_of_sealed(store, folder));
    if (sealed) options.cipher = std::move(sealed);
    return {};
}

/// Figures and the state of the store are for programs of this machine (ASVS 5.0 V13.4.5): a proxy
/// that is named says whose request it is.
bool is_of_this_machine(const net::Request& request) {
    return is_loopback(std::string(request.peer_address()));
}

bool only_reads(const net::Request& request) {
    return request.method == net::Method::get || request.method == net::Method::head;
}

/// The prefixes that subscriptions may post to. Errors: `incorrect` at subscription.endpoints.
Result<net::UrlPrefixes> endpoints_of(const ApplicationOptions& options) {
    net::UrlPrefixes listed;
    for (const std::string& prefix : options.subscription_endpoints) {
        if (const auto added = listed.add(prefix); !added)
            return fail(Category::incorrect, added.error().message, "subscription.endpoints");
    }
    return listed;
}

}  // namespace

/// Patient data goes over a network only where nobody can read it on the way.
Result<void> check_reach(const ApplicationOptions& options) {
    if (!options.is_protected && (!is_loopback(options.address) || !options.behind_proxy.empty()))
        return fail(Category::forbidden,
                    "without sign-in, policy and audit only this machine may be served",
                    "--unprotected");
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
    TRY(protect(*record.store, options.data_folder, options.is_protected, record.guard, repository,
                [url = options.base_url] { return url; }));
    record.repository = TRY(fhir::Repository::open(*record.store, repository));
    return record;
}

struct Application::Parts {
    std::string data_folder;
    std::unique_ptr<store::Store> store;
    std::unique_ptr<Guard> guard;  ///< null without protection
    std::unique_ptr<fhir::Repository> repository;
    std::unique_ptr<Doors> doors;  ///< null without protection
    std::unique_ptr<Control> control;
    std::unique_ptr<Projects> projects;                      ///< null without protection
    std::unique_ptr<trust::approvals::Approvals> approvals;  ///< likewise
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
        // SMART App Launch 2.2: below the FHIR base, for anybody.
        if (doors && path.starts_with(base) &&
            path.substr(base.size()).starts_with("/.well-known/")) {
            if (auto response = doors->handle(request)) return *std::move(response);
        }
        if (projects) {
            if (auto response = projects->handle(request)) return *std::move(response);
        }
        if (path == base || path.starts_with(base + "/")) return service->handle(request);
        if (path == "/readyz" && only_reads(request)) return ready(is_of_this_machine(request));
        if (doors) {
            if (auto response = doors->handle(request)) return *std::move(response);
        }
        return pages->handle(request);
    }

    /// What the owner of the folder asks on this machine.
    net::Response handle_control(const net::Request& request) {
        if (!is_started.load(std::memory_order_acquire)) return starting();
        return control->handle(request);
    }

    /// What the I/O thread answers itself.
    std::optional<net::PromptAnswer> answer_at_once(const net::Request& request) {
        if (request.path() == "/healthz" && only_reads(request))
            return net::Response::text(200, "ok\n");
        if (!is_started.load(std::memory_order_acquire)) return starting();
        // Not on a worker: it is wanted most when all workers wait for the database.
        if (request.path() == "/metrics" && only_reads(request) && is_of_this_machine(request))
            return measured();
        if (auto answer = subscriptions->answer_at_once(request)) return answer;
        return service->answer_at_once(request);
    }

    Result<void> open_record(const ApplicationOptions& options);
    Result<void> listen(const ApplicationOptions& options);
    Result<void> open_doors(const ApplicationOptions& options, const std::string& own_url);
    Result<void> open_rooms(const ApplicationOptions& options);
    Result<void> open_projects(const ApplicationOptions& options,
                               rest::ServiceOptions& service_options);
    void open_approvals(const rest::SubjectOf& subject_of);

    /// Where this server listens: "http://127.0.0.1:8080".
    std::string origin(const ApplicationOptions& options) const {
        const bool is_v6 = options.address.find(':') != std::string::npos;
        return fmt::format("{}://{}:{}", options.tls_certificate.empty() ? "http" : "https",
                           is_v6 ? "[" + options.address + "]" : options.address, http->port());
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
    net::Response ready(bool tells_why) {
        const auto snapshot = store->snapshot();
        if (!snapshot) {
            auto response = net::Response::text(
                503, tells_why ? fmt::format("not ready: {}\n", snapshot.error().message)
                               : "not ready\n");
            response.headers.set("Retry-After", std::to_string(limits::http_retry_after_seconds));
            return response;
        }
        return net::Response::text(
            200,
            tells_why ? fmt::format("ready at position {}\n", (*snapshot)->position()) : "ready\n");
    }
};

Application::Application(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Application::~Application() {
    stop();
}

Result<void> Application::Parts::open_record(const ApplicationOptions& options) {
    data_folder = options.data_folder;
    store::OpenOptions open;
    open.folder = options.data_folder;
    open.database = options.database;
    open.replicas = options.replicas;
    open.cache_bytes = options.cache_megabytes << 20;
    open.on_history_lost = options.on_history_lost;
    store = TRY(store::open(open));
    fhir::Repository::Options repository_options;
    repository_options.validate = options.validate;
    repository_options.conditional_delete_many = options.conditional_delete_many;
    repository_options.base_url = options.base_url;
    if (!options.malware_scanner.empty()) {
        const net::MalwareScanner scanner(options.malware_scanner);
        TRY(scanner.ping());
        repository_options.inspect = [scanner](std::string_view bytes) -> Result<void> {
            auto seen = scanner.scan(bytes);
            if (!seen) log::warning("a file was refused", {{"reason", seen.error().message}});
            return seen;
        };
    }
    TRY(protect(
        *store, options.data_folder, options.is_protected, guard, repository_options,
        [this] { return repository ? repository->base_url() : std::string(); },
        options.refused_passwords));
    repository = TRY(fhir::Repository::open(*store, repository_options));
    return {};
}

Result<void> Application::Parts::listen(const ApplicationOptions& options) {
    net::ServerOptions reach = reach_of(options, rest::ServiceOptions().base_path);
    reach.handler = [this](const net::Request& request) { return handle(request); };
    reach.at_once = [this](const net::Request& request) { return answer_at_once(request); };
    reach.error_response = rest::Service::error_response;
    reach.on_answer = count_answer;
    reach.websocket = [this](const net::Request& request) -> const net::WebSocketHandler* {
        if (!is_started.load(std::memory_order_acquire)) return nullptr;
        return subscriptions->websocket(request);
    };
    if (options.is_protected) {
        reach.local_socket = control_socket_path(options.data_folder);
        reach.local_handler = [this](const net::Request& request) {
            return handle_control(request);
        };
    }
    http = TRY(net::Server::start(std::move(reach)));
    return {};
}

Result<void> Application::Parts::open_doors(const ApplicationOptions& options,
                                            const std::string& own_url) {
    if (!guard) return {};
    const std::string& base = options.base_url.empty() ? own_url : options.base_url;
    doors = TRY(Doors::open(*guard, *repository,
                            {.folder = options.data_folder,
                             .fhir_base = base,
                             .is_public = !options.base_url.empty(),
                             .second_factor_for_all = options.second_factor_for_all}));
    control = std::make_unique<Control>(*guard, *repository);
    return {};
}

Result<void> Application::Parts::open_projects(const ApplicationOptions& options,
                                               rest::ServiceOptions& service_options) {
    auto files = TRY(trust::policy::files_of({"default.toml", std::string(shipped_policy())},
                                             options.data_folder));
    projects = std::make_unique<Projects>(*guard, *repository,
                                          Projects::Options{.folder = options.data_folder,
                                                            .service = service_options,
                                                            .policy_files = std::move(files)});
    service_options.gate = projects->gate();
    return {};
}

/// What two people do together.
void Application::Parts::open_approvals(const rest::SubjectOf& subject_of) {
    const auto policy = [this] { return doors->decisions().policy(); };
    trust::approvals::Approvals::Options terms;
    terms.kind = [policy](std::string_view name) {
        if (name == reidentification) return std::optional(reidentification_kind());
        return trust::policy::approval_kind(*policy(), name);
    };
    terms.audit = [this](const fhir::Caller& caller, std::vector<fhir::AuditRecord> records) {
        return repository->note(caller, std::move(records));
    };
    approvals = std::make_unique<trust::approvals::Approvals>(guard->vault(), std::move(terms));
    repository->set_label_rule(trust::policy::label_rule(*repository, policy, *approvals));
    rest::add_approvals(*service, *approvals, policy, subject_of);
    add_reidentification(*service, *projects, *approvals, subject_of);
}

Result<void> Application::Parts::open_rooms(const ApplicationOptions& options) {
    const auto gate = doors ? doors->gate() : trust::open_gate();
    rest::ServiceOptions service_options;
    service_options.gate = gate;
    service_options.conditional_delete_many = options.conditional_delete_many;
    service_options.base_url = options.base_url;
    if (doors) TRY(open_projects(options, service_options));
    service = std::make_unique<rest::Service>(*repository, service_options);
    rest::add_basic_operations(*service);
    const auto terminology =
        std::make_shared<const fhir::terminology::Terminology>(repository.get());
    repository->set_concepts(terminology);
    rest::add_terminology_operations(*service, terminology);
    rest::add_validate_operation(*service, terminology);
    if (doors) {
        const auto subject_of = [this](const rest::Exchange& exchange) -> Result<trust::Subject> {
            if (exchange.request != nullptr) return doors->subject_of(*exchange.request);
            return fail(Category::forbidden, "this is not done within a bundle");
        };
        rest::add_break_glass(*service, doors->decisions(), subject_of);
        open_approvals(subject_of);
    }
    exports = std::make_unique<rest::ExportJobs>(*repository, options.data_folder + "/exports");
    exports->add_operations(*service);
    imports = TRY(rest::BulkImport::make(*repository, options.data_folder, options.import_sources));
    imports->add_operations(*service);
    rest::Subscriptions::Options subscribing{.concepts = terminology};
    const net::UrlPrefixes endpoints = TRY(endpoints_of(options));
    subscribing.may_post_to = [endpoints](std::string_view endpoint) {
        return endpoints.contain(endpoint).value_or(false);
    };
    // Pages of ours, and those of others that the operator lets use the record's interfaces.
    std::vector<std::string> own;
    if (!options.base_url.empty()) own.emplace_back(net::origin_of(options.base_url));
    subscribing.may_open = [own, others = options.cors_origins](const net::Request& request,
                                                                std::string_view origin) {
        return net::is_own_origin(request, origin, own) ||
               std::find(others.begin(), others.end(), origin) != others.end();
    };
    if (doors)
        subscribing.caller_of = [this](std::string_view actor) { return doors->caller_of(actor); };
    subscriptions = std::make_unique<rest::Subscriptions>(*repository, std::move(subscribing));
    subscriptions->add_operations(*service);
    pages = std::make_unique<Pages>(*repository, gate);
    if (doors) service->set_capability("security", doors->capability());
    return {};
}

Result<std::unique_ptr<Application>> Application::start(const ApplicationOptions& options) {
    TRY(check_reach(options));
    auto parts = std::make_unique<Parts>();
    TRY(parts->open_record(options));
    TRY(parts->listen(options));
    const std::string own_url =
        fmt::format("{}{}", parts->origin(options), rest::ServiceOptions().base_path);
    if (options.base_url.empty()) TRY(parts->repository->set_base_url(own_url));
    TRY(parts->open_doors(options, own_url));
    TRY(parts->open_rooms(options));
    TRY(parts->subscriptions->start(options.base_url.empty() ? own_url : options.base_url));
    parts->is_started.store(true, std::memory_order_release);
    parts->imports->start();  // may fetch from this very server
    if (!options.is_protected)
        log::warning("this server asks nobody who is asking: it is for tests and measurements", {});
    log::info("serving", {{"address", options.address},
                          {"port", static_cast<int>(parts->http->port())},
                          {"data", options.data_folder}});
    std::unique_ptr<Application> application(new Application(std::move(parts)));
    TRY(application->offer_setup(options));
    return application;
}

Result<void> Application::offer_setup(const ApplicationOptions& options) {
    if (!parts_->guard || TRY(parts_->guard->accounts().has_administrator())) return {};
    const std::string path =
        TRY(trust::make_setup_link(parts_->guard->vault(), parts_->guard->accounts()));
    setup_url_ = (options.base_url.empty() ? parts_->origin(options)
                                           : std::string(net::origin_of(options.base_url))) +
                 path;
    return {};
}

Result<std::vector<trust::DemoAccount>> Application::seed_demo() {
    if (!parts_->guard) return fail(Category::forbidden, "without sign-in there are no accounts");
    auto accounts = TRY(trust::seed_demo(parts_->guard->accounts(), [this](trust::Role role) {
        return demo_person(*parts_->repository, role);
    }));
    TRY(seed_demo_project(*parts_->repository, parts_->guard->vault(), accounts));
    return accounts;
}

std::string Application::setup_url() const {
    return setup_url_;
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
    parts_->repository->set_label_rule(nullptr);
    parts_->approvals.reset();
    parts_->projects.reset();
    parts_->control.reset();
    parts_->doors.reset();
    parts_->repository.reset();
    parts_->guard.reset();
    parts_->store.reset();
    parts_.reset();
}

}  // namespace meridian::server

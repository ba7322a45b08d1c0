// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "fhir/repository.hpp"
#include "server/guard.hpp"
#include "trust/accounts/setup.hpp"

namespace meridian::server {

/// Threads that answer requests unless told otherwise. Many more than cores: a write waits on its
/// worker for the fsync that it shares with all others in work, so the number of workers bounds the
/// size of a commit group.
inline constexpr unsigned default_workers = 320;

struct ApplicationOptions {
    std::string data_folder;
    std::string database{};  ///< postgres://… when the record does not lie in the folder
    std::vector<std::string> replicas{};  ///< of that database, for reads that may be stale
    std::string address = "127.0.0.1";
    std::uint16_t port = 8080;      ///< 0 = any free one
    std::string tls_certificate{};  ///< PEM files; both or none
    std::string tls_key{};
    bool tls_1_2 = false;                     ///< beside 1.3
    std::vector<std::string> behind_proxy{};  ///< addresses and ranges of the proxies in front
    std::vector<std::string> cors_origins{};  ///< whose pages may use the record's interfaces
    unsigned workers = default_workers;
    std::int64_t cache_megabytes = 512;
    std::string base_url{};  ///< public FHIR base; empty = from the Host header
    bool validate = true;
    /// Sign-in, policy, audit and encryption. Without them only loopback is served: for tests and
    /// measurements, never for people's data.
    bool is_protected = true;
    std::string refused_passwords{};       ///< file of the operator's own list; empty = none
    bool conditional_delete_many = false;  ///< DELETE Type?search removes all that match (capped)
    std::vector<std::string> import_sources{};  ///< URL prefixes that $import may fetch from
    /// URL prefixes that notifications may be posted to (rest-hook); others are refused.
    std::vector<std::string> subscription_endpoints{};
    /// Nobody's session opens anything before they have set up a second factor; otherwise that is
    /// so for the three administrators.
    bool second_factor_for_all = false;
    std::string malware_scanner{};  ///< socket of a ClamAV daemon; empty = files are not scanned
    /// As store::OpenOptions has it.
    std::function<void()> on_history_lost{};
};

/// Errors: `forbidden` for options by which the record would go over a network that others can read
/// or, without protection, to anybody but this machine; `incorrect` for half of a TLS identity.
Result<void> check_reach(const ApplicationOptions& options);

/// Splits "127.0.0.1:8080" or "[::1]:8080". Errors: `incorrect`.
Result<void> read_listen_address(const std::string& text, ApplicationOptions& options);

/// The rooms wired into one process: store, Repository, FHIR service, start page, health and
/// metrics.
class Application {
 public:
    /// Opens the store (making one when the folder is empty) and starts to serve.
    ///
    /// Errors: `forbidden` for an address that is not loopback without TLS or a proxy that does it:
    /// nobody else may read the record on its way. Those of certificate and key. `unavailable` when
    /// the store or the port is taken. Blocking: file I/O.
    static Result<std::unique_ptr<Application>> start(const ApplicationOptions& options);
    ~Application();

    std::uint16_t port() const;
    /// The address at which the first administrator is made; empty when there is one. It is a
    /// secret: to be shown to who started the server, and to nobody's log.
    std::string setup_url() const;
    /// Makes one account for each role with passwords that are no secret, for synthetic regions:
    /// all of them. Errors: `forbidden` without protection; of accounts and Repository. Blocking:
    /// some seconds the first time.
    Result<std::vector<trust::DemoAccount>> seed_demo();
    fhir::Repository& repository();
    /// As net::Server::reload_tls has it.
    Result<void> reload_tls();
    /// Stops accepting, lets what is in work end, closes the store. Nothing acknowledged is lost.
    void stop();

 private:
    struct Parts;
    Result<void> offer_setup(const ApplicationOptions& options);
    std::string setup_url_;
    explicit Application(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

/// Opens store and Repository of a data folder for commands that work without HTTP.
struct OpenRecord {
    std::unique_ptr<store::Store> store;
    std::unique_ptr<Guard> guard;                  ///< null without protection
    std::unique_ptr<fhir::Repository> repository;  ///< after the store: it goes first
};
struct RecordOptions {
    std::string data_folder;
    std::string database{};  ///< postgres://… when the record does not lie in the folder
    bool create = true;
    bool bulk = false;
    bool validate = true;
    bool is_protected = true;  ///< as ApplicationOptions has it
    std::string base_url{};  ///< public FHIR base; empty = the one the store was last served under
};
Result<OpenRecord> open_record(const RecordOptions& options);

}  // namespace meridian::server

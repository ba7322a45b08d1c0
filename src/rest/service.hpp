// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.hpp"
#include "fhir/repository.hpp"
#include "net/http.hpp"
#include "rest/answer.hpp"
#include "rest/exchange.hpp"
#include "trust/gate.hpp"

/// FHIR R4 over HTTP: https://hl7.org/fhir/R4/http.html
namespace meridian::rest {

class Service;
class Statement;

/// An operation such as $everything. `levels` say where it may be called; `types` are empty for all
/// resource types.
struct Operation {
    std::string name;  ///< without '$'
    bool on_system = false, on_type = false, on_instance = false;
    std::vector<std::string> types{};
    std::string
        definition{};  ///< canonical of its OperationDefinition, for the capability statement
    bool changes_state = false;  ///< GET is refused
    bool is_offered = true;      ///< false: known, answers 501, and /metadata does not name it
    std::function<Result<Answer>(Service&, const Exchange&)> run{};
};

struct ServiceOptions {
    /// Who asks, of each request but /metadata and the discovery documents. Null: nobody may.
    std::shared_ptr<trust::Gate> gate{};
    std::string base_path = "/fhir";
    std::string base_url{};  ///< fixed public base; empty = http://HOST of the request + base_path
    std::string software_version = "0.1.0";
    bool conditional_delete_many = false;  ///< as the Repository's option: for /metadata
    /// Observations that one $lastn looks through; tests ask for fewer.
    std::size_t everything_resources_max = limits::everything_resources_max;
};

/// Dispatches requests below the FHIR base to interactions and operations. Thread-safe after
/// set-up.
class Service {
 public:
    Service(fhir::Repository& repository, ServiceOptions options);

    /// Handles one HTTP request whose path lies below the base path. Never fails: errors become
    /// OperationOutcomes.
    net::Response handle(const net::Request& request);
    /// The answer to the commonest question, GET [base]/Type/id, on the thread that asks: it takes
    /// microseconds and waits for no lock of a writer. It is held until the audit knows of it.
    /// Nothing for every other request; then `handle` is the way.
    std::optional<net::PromptAnswer> answer_at_once(const net::Request& request);
    /// Handles one interaction (also an entry of a batch).
    Result<Answer> dispatch(const Exchange& exchange);
    /// An error of the HTTP server itself as an OperationOutcome.
    static net::Response error_response(int status, std::string message);

    void add_operation(Operation operation);
    const std::vector<Operation>& operations() const { return operations_; }
    fhir::Repository& repository() { return repository_; }
    const ServiceOptions& options() const { return options_; }
    /// Things that other parts add to the capability statement: "name" → JSON text put into
    /// rest[0].
    void set_capability(std::string member, std::string json);
    const std::map<std::string, std::string>& capabilities() const { return capabilities_; }
    /// The capability statement as it is now, made once for each set of search parameters: anybody
    /// may ask for it, so that asking must cost little (capabilities.cpp).
    std::shared_ptr<const Statement> statement();

 private:
    /// "http://host:port/fhir" as this client knows it.
    std::string base_of(const net::Request& request) const;
    /// The exchange with its caller. Errors: as make_exchange and Gate::admit.
    Result<Exchange> admitted(const net::Request& request) const;
    Result<Answer> dispatch_system(const Exchange& exchange);
    Result<Answer> dispatch_type(const Exchange& exchange);
    Result<Answer> dispatch_instance(const Exchange& exchange);
    Result<Answer> dispatch_below_instance(const Exchange& exchange);
    Result<Answer> run_operation(std::string_view name, std::string_view type, bool on_instance,
                                 const Exchange& exchange);

    fhir::Repository& repository_;
    ServiceOptions options_;
    std::vector<Operation> operations_;
    std::map<std::string, std::string> capabilities_;
    std::mutex statement_mutex_;
    std::shared_ptr<const Statement> statement_;  ///< of statement_mutex_; null: to be made
};

/// JSON text in the format the client asked for; as it is unless it must be rearranged. Errors: of
/// text that is no JSON.
Result<std::string> formatted(std::string json, Format format, bool pretty);
/// "application/fhir+json; charset=utf-8" and its like.
std::string_view media_type_of(Format format);

// --- interactions (interactions.cpp) ---
/// A resource as the answer to a read: 304 when the client has it already.
Result<Answer> answer_of_resource(fhir::Resource resource, const Exchange& exchange);
/// A page as the answer to a search, a history or an operation.
Answer answer_of_page(const fhir::Page& page, const Exchange& exchange);
Result<Answer> read(Service& service, const Exchange& exchange, std::string_view type,
                    std::string_view id);
Result<Answer> read_version(Service& service, const Exchange& exchange, std::string_view type,
                            std::string_view id, std::string_view version);
Result<Answer> history(Service& service, const Exchange& exchange, std::string_view type,
                       std::string_view id);
Result<Answer> search(Service& service, const Exchange& exchange, std::string_view type,
                      std::string_view compartment_type = {}, std::string_view compartment_id = {});
Result<Answer> create(Service& service, const Exchange& exchange, std::string_view type);
Result<Answer> update(Service& service, const Exchange& exchange, std::string_view type,
                      std::string_view id);
Result<Answer> patch(Service& service, const Exchange& exchange, std::string_view type,
                     std::string_view id);
Result<Answer> remove(Service& service, const Exchange& exchange, std::string_view type,
                      std::string_view id);
/// The page behind a cursor.
Result<Answer> next_page(Service& service, const Exchange& exchange, std::string_view cursor);

// --- Binary as what it holds (binary.cpp) ---
/// The content of a Binary with its own media type. Errors: `unprocessable` for data that is not
/// base64.
Result<Answer> binary_content(std::string_view json);
/// A body of any media type as a Binary resource. Errors: `incorrect` without a body.
Result<std::shared_ptr<JsonDocument>> binary_of(const Exchange& exchange, std::string_view id);

// --- bundles (bundle.cpp) ---
/// POST to the base: batch and transaction.
Result<Answer> process_bundle(Service& service, const Exchange& exchange);
/// A page of a search or history as a Bundle; warnings of a lenient search become an entry of mode
/// outcome.
std::string bundle_json(const fhir::Page& page, std::string_view base_url);
/// What a write answers, for HTTP and for bundle entries.
Answer answer_of(const fhir::OperationResult& result, const Exchange& exchange);

// --- capability statement (capabilities.cpp) ---
Result<Answer> capabilities(Service& service, const Exchange& exchange);

}  // namespace meridian::rest

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/instant.hpp"
#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/result.hpp"
#include "fhir/caller.hpp"
#include "fhir/definitions/definitions.hpp"
#include "store/store.hpp"

namespace meridian::fhir::search {
class ConceptSource;
class Parameters;
}  // namespace meridian::fhir::search

/// The one door to the record. Nothing else writes to the store, and nothing reads resources around
/// it.
namespace meridian::fhir {

/// A resource version as a client sees it.
struct Resource {
    std::string type;
    std::string id;
    store::Version version = 0;
    Instant updated;
    bool deleted = false;
    store::Verb verb = store::Verb::create;
    store::Rid rid = 0;
    std::string json;  ///< complete, with meta.versionId and meta.lastUpdated; empty when deleted
    /// As store::Snapshot::age, of what it was read from.
    std::optional<std::chrono::seconds> age{};
};

using QueryParameters =
    std::vector<std::pair<std::string, std::string>>;  ///< decoded names and values, in order

/// One write of a transaction.
struct Operation {
    enum class Kind : unsigned char { create, update, patch_json, patch_fhirpath, remove };
    Kind kind = Kind::create;
    std::string type;
    std::string id;  ///< empty for create and for conditional forms
    /// Resource of create and update, patch document of the patch kinds: a node of `document`,
    /// which may hold other entries too.
    Json resource{};
    std::shared_ptr<JsonDocument> document{};
    /// Condition of a conditional form: If-None-Exist of a create, the search of PUT/PATCH/DELETE
    /// T?… .
    std::optional<QueryParameters> condition;
    std::optional<store::Version> if_match;  ///< If-Match of update, patch and delete
    bool if_none_match_any = false;          ///< If-None-Match: * of an update: create only
    bool delete_many = false;                ///< conditional delete may remove several (capped)
    std::string full_url{};  ///< fullUrl of the bundle entry: references to it are rewritten
    std::string where{};     ///< place for error texts, e.g. "Bundle.entry[3]"
};

struct OperationResult {
    enum class Effect : unsigned char { created, updated, unchanged, removed, nothing };
    Effect effect = Effect::nothing;
    Resource resource;  ///< the version now current (its json filled when wanted); for removed:
                        ///< type, id, version
    std::vector<Issue> warnings;  ///< findings of the validation below error
};

struct Transaction {
    std::vector<Operation> operations;
    bool want_json = true;  ///< fill OperationResult::resource.json
    /// Conditional references ("Patient?identifier=…") are resolved; only transactions allow them.
    bool resolve_conditional_references = false;
};

struct SearchOptions {
    bool lenient = false;  ///< Prefer: handling=lenient
    std::string base_url;  ///< e.g. "http://127.0.0.1:8080/fhir": for links and absolute references
    std::string compartment_type{},
        compartment_id{};  ///< /Patient/7/Observation; type "*" as `type` for all
    bool count_only = false;
};

/// The store's setting that keeps Repository::base_url.
inline constexpr std::string_view base_url_setting = "fhir-base-url";

/// One page of a search, history or operation that answers with a bundle of stored resources.
struct Page {
    struct Entry {
        Resource resource;
        enum class Mode : unsigned char { match, include, outcome } mode = Mode::match;
        /// `resource` is this contained resource of the one that type, id and version name
        /// (_containedType=contained); its json is the contained one's.
        std::string fragment{};
        std::optional<double> score{};  ///< relevance of a full-text match, above 0 to 1
    };
    std::vector<Entry> entries;
    bool is_history = false;
    std::optional<std::int64_t> total;
    std::string self_path;  ///< path below the base, e.g. "Patient" or "Patient/7/_history"
    std::string self;       ///< query string of the parameters really used (without "?")
    std::string next;       ///< opaque cursor for the next page; empty on the last
    std::string previous;
    std::vector<Issue> warnings;
    /// Which elements to show: all, or as _summary/_elements ask. Applied to matches by the writer
    /// (rest), never to includes.
    enum class Summary : unsigned char { off, on, text, data, count } summary = Summary::off;
    std::vector<std::string> elements;
    /// As store::Snapshot::age, of what it was read from.
    std::optional<std::chrono::seconds> age{};
};

struct HistoryRequest {
    std::string type{}, id{};  ///< both empty = system
    std::optional<Instant> since{};
    /// Only versions that were current at some time from the first to the second (_at).
    std::optional<std::pair<Instant, Instant>> at{};
    std::string list{};     ///< only what this List refers to (_list); empty = everything
    std::size_t count = 0;  ///< 0 = default
    std::string cursor{};
};

class AuditTrail;
class LabelRule;

class Repository {
 public:
    /// What a read found without waiting.
    struct AtOnce {
        Result<Resource> outcome;  ///< errors as those of read
        /// The audit is still to be told of it: nobody may hear of `outcome` before note_later has
        /// kept this. Nothing when reads are not recorded.
        std::optional<AuditRecord> owed{};
    };

    struct Options {
        std::shared_ptr<const Cipher> cipher = plain_cipher();
        std::shared_ptr<AuditSink> audit = quiet_audit();
        /// Shows the audit as AuditEvent. Without one that is a type like any other.
        std::shared_ptr<const AuditTrail> trail{};
        bool validate =
            true;  ///< structure, types, cardinality, references, required bindings on every write
        /// Shown the bytes of each file before it is written; what it refuses is not. Null: nothing
        /// is shown. It may block.
        std::function<Result<void>(std::string_view bytes)> inspect{};
        bool conditional_delete_many = false;
        /// This server's FHIR base without a trailing "/": references below it are its own. Empty =
        /// the one that the store was last served under.
        std::string base_url{};
        int zone_minutes = 0;  ///< zone of dates that have none, minutes east of UTC
        /// Results that one sorted walk can give out; tests ask for fewer.
        std::size_t walk_results_max = limits::page_walk_ids_max;
    };
    static Result<std::unique_ptr<Repository>> open(store::Store& store, Options options);
    virtual ~Repository() = default;

    /// The newest version. Errors: `not_found`; `gone` when it was deleted.
    virtual Result<Resource> read(const Caller& caller, std::string_view type,
                                  std::string_view id) = 0;
    /// As read, for a thread that must not wait: nothing when the answer would be long or the
    /// caller's filter needs a search. Then `read` is the way.
    virtual std::optional<AtOnce> read_at_once(const Caller& caller, std::string_view type,
                                               std::string_view id) = 0;
    virtual Result<Resource> read_version(const Caller& caller, std::string_view type,
                                          std::string_view id, store::Version version) = 0;
    virtual Result<Page> history(const Caller& caller, const HistoryRequest& request) = 0;
    /// `type` empty = system search (needs _type or a common parameter).
    virtual Result<Page> search(const Caller& caller, std::string_view type,
                                const QueryParameters& parameters,
                                const SearchOptions& options) = 0;
    /// The page behind a cursor of an earlier page. Errors: `gone` when it has expired.
    virtual Result<Page> next_page(const Caller& caller, std::string_view cursor) = 0;
    /// The patient's compartment (type, instance), an encounter's or a group's resources.
    virtual Result<Page> everything(const Caller& caller, std::string_view type,
                                    std::string_view id, const QueryParameters& parameters,
                                    const SearchOptions& options) = 0;

    /// All or nothing: one result per operation, in order. Errors name the operation (`where`).
    virtual Result<std::vector<OperationResult>> commit(const Caller& caller,
                                                        Transaction transaction) = 0;

    /// One resource made ready for a bulk load: validated, extracted, sealed. `id` as in an update.
    /// Safe from many threads. Errors: as commit.
    virtual Result<store::Change> prepare(const Caller& caller, std::string_view type,
                                          std::string_view id, const Json& resource) = 0;
    /// Writes prepared resources in one commit.
    virtual Result<store::Receipt> commit_prepared(const Caller& caller,
                                                   std::vector<store::Change> changes) = 0;

    /// Extracts index rows anew while others read and write: of one parameter ("Observation.code")
    /// or, when empty, of all. Resumable. `go_on(type, done, total)` returns false to stop. Errors:
    /// `incorrect` for an unknown parameter. Blocking: long.
    virtual Result<void> reindex(
        std::string_view parameter,
        const std::function<bool(std::string_view, std::int64_t, std::int64_t)>& go_on) = 0;

    /// Audits what was done outside of this class: sign-in, a bulk job, a refused request. Errors:
    /// `busy` and `unavailable`: what it tells of may not be answered then. Blocking: one commit.
    virtual Result<void> note(const Caller& caller, std::vector<AuditRecord> records) = 0;
    /// The same for what read_at_once owes, without waiting: `done` gets note's outcome, on a
    /// thread of the store, and must be short.
    virtual void note_later(const Caller& caller, AuditRecord record,
                            std::function<void(Result<void>)> done) = 0;
    /// Entries of the audit as AuditEvents, for an export; nothing where there is no trail
    /// (Options::trail). As AuditTrail::walk.
    virtual Result<std::vector<Resource>> audit_events(store::Snapshot& snapshot,
                                                       const Caller& caller, store::Position& from,
                                                       store::Position at, std::size_t limit) = 0;

    virtual void add_inline_view(std::shared_ptr<const InlineView> view) = 0;
    virtual void add_following_view(std::shared_ptr<FollowingView> view) = 0;
    /// Waits until the following views have handled everything up to `position`. False when the
    /// time ran out.
    virtual bool wait_for_views(store::Position position, unsigned milliseconds) = 0;
    /// The terminology behind :in, :not-in, :above and :below.
    virtual void set_concepts(std::shared_ptr<const search::ConceptSource> concepts) = 0;
    /// From now on no write takes a sensitivity label away that the rule does not let go, and new
    /// resources get those of their codes. Without one labels are like any other element.
    virtual void set_label_rule(std::shared_ptr<const LabelRule> rule) = 0;
    /// The search parameters now in force.
    virtual std::shared_ptr<const search::Parameters> parameters() const = 0;
    /// This server's FHIR base, for absolute references to its own resources. Setting it keeps it
    /// in the store, so that later commands without a server index alike; what was written under
    /// another base needs a reindex. Errors: the store's. Blocking: one commit when it changes.
    virtual Result<void> set_base_url(std::string base_url) = 0;
    virtual std::string base_url() const = 0;
    virtual store::Store& store() = 0;
    /// Decodes a stored version for internal readers that hold a snapshot (export, following
    /// views).
    virtual Result<Resource> decode(const store::Stored& stored) = 0;
    /// The same for a caller: without what their policy withholds. Whether they may see it at all,
    /// `admitted` says.
    virtual Result<Resource> show(const Caller& caller, const store::Stored& stored) = 0;
    /// Those of `stored`, versions of any age, that exist for the caller, in their order. Errors:
    /// the store's. Blocking: reads the store.
    virtual Result<std::vector<store::Stored>> admitted(const Caller& caller,
                                                        store::Snapshot& snapshot,
                                                        std::vector<store::Stored> stored) = 0;
};

}  // namespace meridian::fhir

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "store/plan.hpp"
#include "store/store.hpp"

namespace meridian::fhir {

/// What can be done with the resources of a type; a right of its own each.
enum class Right : unsigned char {
    read,
    search,
    history,
    create,
    update,
    remove,
    operation,
    bulk_export
};

/// What a caller may see and write. The Repository knows only this shape; trust/ fills it from
/// policy, consent and labels. Implementations are immutable and safe to share between threads.
class AccessFilter {
 public:
    virtual ~AccessFilter() = default;
    /// The condition that a resource of `type` must satisfy to exist for this caller. ANDed into
    /// every hop of a search (match, chain, _has, include), into reads by id, history, export and
    /// the conditions of writes.
    virtual store::Condition visible(store::Name type) const = 0;
    /// What of it a search may lead through: as match, chain or _has. Never more than visible().
    virtual store::Condition searchable(store::Name type) const { return visible(type); }
    /// True when visible() and searchable() are Everything for all types, every interaction that
    /// reads is allowed and nothing is masked: lets a read by id skip the check.
    virtual bool sees_everything() const = 0;
    /// Whether the caller may do this with resources of `type` at all. Errors: `forbidden`, with
    /// the same text whatever is stored.
    virtual Result<void> allow(Right right, std::string_view type) const {
        (void)right, (void)type;
        return {};
    }
    /// Whether the caller may write this version. `resource` is null for a deletion. Errors:
    /// `forbidden`, `not_found` where even the existence must stay hidden.
    virtual Result<void> allow_write(store::Verb verb, std::string_view type,
                                     const Json* resource) const = 0;
    /// The condition for a write: of an update or a deletion on the version that is there, of a
    /// create or an update on the one that comes.
    virtual store::Condition writable(store::Verb verb, store::Name type) const {
        (void)verb, (void)type;
        return store::Everything{};
    }
    /// True when writable() is Everything for all types.
    virtual bool writes_everything() const { return true; }
    /// Whether the caller may search, sort, include or chain by a parameter. Errors: `forbidden`,
    /// with the same text for every value.
    virtual Result<void> allow_parameter(std::string_view type, std::string_view code) const = 0;
    /// Whether elements of such resources are withheld: also of those that others contain.
    virtual bool masks(std::string_view type) const {
        (void)type;
        return false;
    }
    /// The resource without what is withheld, marked SUBSETTED when something was. Errors: those of
    /// JsonDocument::parse.
    virtual Result<std::string> masked(std::string json) const { return json; }
    /// Equal for the callers who may go on with one another's page links.
    virtual std::string key() const { return {}; }
};

/// Decides anew, for work that outlives a request: exports, subscriptions, open sockets.
class Renewal {
 public:
    virtual ~Renewal() = default;
    /// The rights now. Errors: `forbidden` when there are none any more; `unavailable`. Blocking:
    /// may read the record.
    virtual Result<std::shared_ptr<const AccessFilter>> access() const = 0;
};

/// The filter that lets everything pass: used until policies exist, and by the system itself.
std::shared_ptr<const AccessFilter> permit_all();
/// The filter that hides everything: of whoever has not said who they are.
std::shared_ptr<const AccessFilter> permit_nothing();

class AuditGathering;

/// What the audit says of a request besides the rest of its Caller.
struct Origin {
    std::string account{};         ///< name of the account
    std::string role{};            ///< of the account, as trust::name_of
    std::string client{};          ///< OAuth client; empty = the server's own pages
    std::string session{};         ///< what is revoked as one
    std::string policy_version{};  ///< of the policy that was asked
    std::string clause{};          ///< of it that allowed the access
};

/// Who asks, on whose behalf, for what purpose, and what they may see. Every call through the one
/// door carries one.
struct Caller {
    std::string
        actor;  ///< reference of the person or system, e.g. "Practitioner/7" or "Device/import"
    std::string
        on_behalf_of{};  ///< reference of the patient or organisation acted for; may be empty
    std::string organisation{};  ///< reference of the organisation the actor works in; may be empty
    std::string purpose = "TREAT";  ///< code of http://terminology.hl7.org/CodeSystem/v3-ActReason
    std::string request_id{};       ///< for logs and audit
    std::string address{};          ///< of the client in the network, for the audit
    /// How sign-in and policy came to this caller; shared by all requests of a token.
    std::shared_ptr<const Origin> origin{};
    /// When set, reads are not recorded one by one: whoever has set it writes them in one commit
    /// before it answers (a batch).
    std::shared_ptr<AuditGathering> gathering{};
    /// The server's own work: what it reads for that is told by one record of the job, not by one
    /// for each resource. What it writes is recorded like anybody's.
    bool is_background = false;
    std::shared_ptr<const AccessFilter> access = permit_all();
    std::shared_ptr<const Renewal> renewal{};  ///< null: the rights do not change
    /// What is read may lack what was written in these last seconds.
    std::optional<std::chrono::seconds> max_stale{};

    /// Takes the rights of now, before each step of work that outlives a request. Errors and
    /// blocking: as Renewal::access.
    Result<void> renew();
    /// Whose page links these are.
    std::string cursor_key() const;

    /// The server itself (start-up, background work).
    static Caller system(std::string_view part);
    /// Somebody who has not said who they are, and sees nothing.
    static Caller nobody();
};

/// Seals and opens stored bodies. trust/ encrypts per patient; the plain one leaves bytes as they
/// are. Thread-safe.
class Cipher {
 public:
    /// Whom a body concerns, and so under whose key it lies.
    struct Home {
        std::string_view patient{};       ///< reference of the home patient; empty = nobody
        std::string_view organisation{};  ///< reference of the writer's: a new key lies under its
    };
    virtual ~Cipher() = default;
    /// The body of `resource`, readable only as that resource's. Errors: `gone` when the patient
    /// was erased; `unavailable`. Blocking: a look-up when the patient's key is not at hand.
    virtual Result<std::string> seal(const Home& home, const store::Identity& resource,
                                     std::string bytes) const = 0;
    /// What seal was given; a body that was never sealed as it is. Errors: `gone` when the patient
    /// was erased; `fault` for one that was altered or is another resource's; `unavailable`.
    /// Blocking: as seal.
    virtual Result<std::string> open(const store::Stored& stored) const = 0;
    /// True when seal and open change nothing.
    virtual bool is_plain() const = 0;
    /// True when `open` would wait for nothing.
    virtual bool opens_at_once(const store::Stored& stored) const {
        (void)stored;
        return is_plain();
    }
    /// Adds to `commit` the keys that its bodies need and that are not stored yet. False when one
    /// of them is not to be had any more: then the bodies have to be sealed anew. Errors:
    /// `unavailable`. Blocking: as seal.
    virtual Result<bool> add_keys(store::Commit& commit) const {
        (void)commit;
        return true;
    }
    /// What became of a commit that brought `keys`: when it was stale, others may have made keys
    /// for the same patients.
    virtual void settle(std::span<const store::PrivateRow> keys, bool is_written) const {
        (void)keys, (void)is_written;
    }
    /// For changes that cannot be made anew: stores the keys that their bodies need, and seals
    /// those again for whose patient another server was faster. Errors: as seal. Blocking: one
    /// commit.
    virtual Result<void> keep_keys(std::span<store::Change> changes) const {
        (void)changes;
        return {};
    }
};
std::shared_ptr<const Cipher> plain_cipher();

/// What somebody did. The numbers stand in the log for ever.
enum class Interaction : unsigned char {
    read = 1,
    vread = 2,
    search = 3,
    history = 4,
    create = 5,
    update = 6,
    patch = 7,
    remove = 8,
    transaction = 9,  ///< one that came to nothing; of others each operation is told
    operation = 10,   ///< its name in AuditRecord::query, e.g. "$everything"
    bulk_export = 11,
    bulk_import = 12,
    sign_in = 13,
    sign_out = 14,
    token = 15,     ///< an access token was given, renewed or taken away
    request = 16,   ///< refused before it was known what was asked for
    security = 17,  ///< accounts, keys, policies, break-glass; what in AuditRecord::query
    job = 18,       ///< work of the server itself
};

/// How it ended. The numbers are those of
/// http://terminology.hl7.org/CodeSystem/audit-event-outcome.
enum class AuditOutcome : unsigned char {
    success = 0,
    minor_failure = 4,  ///< it could not be done as it was asked for
    refused = 8,        ///< who asked may not
};

/// One thing that somebody did, for the audit.
struct AuditRecord {
    Interaction interaction = Interaction::request;
    std::string type{};
    std::string id{};
    /// The parameters of a search, the name of an operation, the path of a refused request.
    std::string query{};
    store::Version version = 0;  ///< of vread; a change's own is in the log entry
    AuditOutcome outcome = AuditOutcome::success;
    /// Ids of the patients whose records were touched, each once.
    std::vector<std::string> patients{};
    std::int64_t resources = 0;  ///< how many a job, an import or an export has handled

    /// Adds a patient unless it is there. Beyond limits of the sink more are only told of.
    void add_patient(std::string_view patient_id);
    /// Adds the patients that a resource is or refers to. Over-inclusive: a mention counts, also
    /// where the patient compartment does not (docs/adr/0027). `base_url`: as
    /// Repository::base_url.
    void add_patients_of(std::string_view resource_type, std::string_view resource_id,
                         std::string_view json, std::string_view base_url);
};

/// The reads of a batch, to be given to Repository::note before any of it is answered: one wait for
/// the disk instead of one for each. Thread-safe.
class AuditGathering {
 public:
    void add(AuditRecord record) {
        const std::lock_guard lock(mutex_);
        records_.push_back(std::move(record));
    }
    std::vector<AuditRecord> take() {
        const std::lock_guard lock(mutex_);
        return std::exchange(records_, {});
    }

 private:
    std::mutex mutex_;
    std::vector<AuditRecord> records_;
};

/// Takes audit records; trust/ writes them into the log. The quiet one drops them. Thread-safe.
class AuditSink {
 public:
    virtual ~AuditSink() = default;
    /// Whether nothing is kept, so that nobody need find out what would be.
    virtual bool is_quiet() const = 0;
    /// Keeps records of what is not a change of the record, durable when it returns. Errors: `busy`
    /// and `unavailable`: then nothing was kept, and what they tell of may not be answered.
    /// Blocking: one commit, shared with whoever else waits.
    virtual Result<void> record(const Caller& caller, std::vector<AuditRecord> records) = 0;
    /// Whether record_later would not wait for what this caller did.
    virtual bool records_at_once(const Caller& caller) const {
        (void)caller;
        return is_quiet();
    }
    /// As record, without waiting where records_at_once says so: `done` gets its outcome, on any
    /// thread, perhaps before this returns.
    virtual void record_later(const Caller& caller, AuditRecord record,
                              std::function<void(Result<void>)> done) {
        std::vector<AuditRecord> records;
        records.push_back(std::move(record));
        done(this->record(caller, std::move(records)));
    }
    /// A record of changes as entries for their own commit. More than one where it tells of more
    /// patients than an entry may. Errors: of the store's names.
    virtual Result<std::vector<store::AuditEntry>> entries(const Caller& caller,
                                                           const AuditRecord& record) = 0;
};
std::shared_ptr<AuditSink> quiet_audit();

/// An inline view: a pure function of a resource version → rows, written in the same store
/// transaction as the version itself. The rows of the version before are removed by the store.
class InlineView {
 public:
    virtual ~InlineView() = default;
    virtual std::string_view name() const = 0;
    virtual void rows(std::string_view type, const Json& resource,
                      std::vector<std::pair<std::string, std::string>>& key_values) const = 0;
};

/// A following view: reads the log from its own cursor on its own thread. What it writes back is
/// keyed by (name, position), so a replay writes nothing twice.
class FollowingView {
 public:
    virtual ~FollowingView() = default;
    virtual std::string_view name() const = 0;
    /// Whether `follow` is to get audit entries too. They are many, and most views have no use for
    /// them.
    virtual bool follows_audit() const { return false; }
    /// Called before the first entries, and again whenever this server takes the view over from
    /// another: what it keeps in memory is to be as it was before the entry at `next`.
    virtual Result<void> begin(store::Snapshot& snapshot, store::Position next) {
        (void)snapshot, (void)next;
        return {};
    }
    /// Another server follows the view now.
    virtual void end() {}
    /// Handles entries in order. The cursor moves behind the last of them when this succeeds; on an
    /// error it is tried again.
    virtual Result<void> follow(store::Snapshot& snapshot,
                                std::span<const store::LogEntry> entries) = 0;
};

}  // namespace meridian::fhir

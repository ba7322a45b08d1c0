// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.hpp"
#include "base/result.hpp"
#include "store/plan.hpp"
#include "store/store.hpp"

namespace meridian::fhir {

/// What a caller may see and write. The Repository knows only this shape; trust/ fills it from
/// policy, consent and labels. Implementations are immutable and safe to share between threads.
class AccessFilter {
 public:
    virtual ~AccessFilter() = default;
    /// The condition that a resource of `type` must satisfy to exist for this caller. ANDed into
    /// every hop of a search (match, chain, _has, include), into reads by id, history, export and
    /// the conditions of writes.
    virtual store::Condition visible(store::Name type) const = 0;
    /// True when visible() is Everything for all types: lets a read by id skip the check.
    virtual bool sees_everything() const = 0;
    /// Whether the caller may write this version. `resource` is null for a deletion. Errors:
    /// `forbidden`, `not_found` where even the existence must stay hidden.
    virtual Result<void> allow_write(store::Verb verb, std::string_view type,
                                     const Json* resource) const = 0;
    /// Whether the caller may search, sort or chain on a parameter. Errors: `forbidden`, with the
    /// same text for every value.
    virtual Result<void> allow_parameter(std::string_view type, std::string_view code) const = 0;
};

/// The filter that lets everything pass: used until policies exist, and by the system itself.
std::shared_ptr<const AccessFilter> permit_all();
/// The filter that hides everything: of whoever has not said who they are.
std::shared_ptr<const AccessFilter> permit_nothing();

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
    std::shared_ptr<const AccessFilter> access = permit_all();
    /// What is read may lack what was written in these last seconds.
    std::optional<std::chrono::seconds> max_stale{};

    /// The server itself (start-up, background work).
    static Caller system(std::string_view part);
    /// Somebody who has not said who they are, and sees nothing.
    static Caller nobody();
};

/// Seals and opens stored bodies. trust/ encrypts per patient; the plain one leaves bytes as they
/// are.
class Cipher {
 public:
    virtual ~Cipher() = default;
    /// `patient` is the home patient's reference, empty for none.
    virtual Result<std::string> seal(std::string_view patient, std::string bytes) const = 0;
    virtual Result<std::string> open(std::string bytes) const = 0;
    /// True when seal and open change nothing.
    virtual bool is_plain() const = 0;
};
std::shared_ptr<const Cipher> plain_cipher();

/// One thing that somebody did, for the audit.
struct AuditRecord {
    std::string_view interaction;  ///< read, vread, search, history, create, update, patch, delete,
                                   ///< export, operation
    std::string_view type;
    std::string_view id;
    std::string_view query;
    bool allowed = true;
};
/// Takes audit records; trust/ writes them into the log. The quiet one drops them.
class AuditSink {
 public:
    virtual ~AuditSink() = default;
    virtual void record(const Caller& caller, const AuditRecord& record) = 0;
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

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "fhir/audit_trail.hpp"
#include "trust/audit/projection.hpp"

namespace meridian::trust::audit {

/// Which audit entries a caller may see.
struct AuditScope {
    enum class Kind : unsigned char {
        nothing,
        everything,
        patients,  ///< those of `patients`, and of each only these
        actor,     ///< what the caller did
    };
    Kind kind = Kind::nothing;
    std::vector<std::string> patients{};  ///< ids
};

/// By the access filter alone: who sees everything sees the audit, nobody else does. The policy
/// puts its own in the place of this (trail).
AuditScope audit_scope(const fhir::Caller& caller);

/// The audit in `store` as AuditEvents: searched by patient, agent, date, action, entity, type,
/// subtype, outcome and _id, newest first, with cursors (the names of FHIR R4's search parameters).
/// `store` must outlive it. `base_url` is asked for anew each time.
std::shared_ptr<const fhir::AuditTrail> trail(
    store::Store& store, std::function<std::string()> base_url,
    std::function<AuditScope(const fhir::Caller&)> scope = audit_scope);

/// Who has seen or changed the record of a patient, newest first, below the position `before`, at
/// most `limit`: entries of the patient with their places. Errors: of the store; `fault` for one
/// that cannot be read. Asks no policy: that is the caller's.
struct Access {
    store::LogEntry place;
    Entry entry;
};
Result<std::vector<Access>> accesses_of(store::Store& store, std::string_view patient,
                                        store::Position before, std::size_t limit);

}  // namespace meridian::trust::audit

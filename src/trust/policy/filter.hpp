// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "fhir/repository.hpp"
#include "trust/policy/context.hpp"
#include "trust/scope.hpp"

namespace meridian::trust::policy {

/// The one decision, compiled: role ∧ organisation ∧ relation ∧ consent ∧ purpose ∧ label ∧ SMART
/// scopes, as conditions that every search, read and write of the Repository carries. `context` may
/// be null when needs_context() is false. Errors: `incorrect` for a scope that is none. Blocking:
/// never.
Result<std::shared_ptr<const fhir::AccessFilter>> make_filter(
    fhir::Repository& repository, std::shared_ptr<const Policy> policy, const Subject& subject,
    std::shared_ptr<const Context> context);

/// Whether the role's rules for this purpose depend on anything in the record.
bool needs_context(const Policy& policy, const Subject& subject);

/// The clauses that apply to the subject, as a short text for the audit:
/// "doctor: patients in care, directory".
std::string clauses_of(const Policy& policy, const Subject& subject, const Context* context);

}  // namespace meridian::trust::policy

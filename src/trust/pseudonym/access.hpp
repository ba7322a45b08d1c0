// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "fhir/repository.hpp"
#include "trust/pseudonym/project.hpp"
#include "trust/subject.hpp"

namespace meridian::trust::pseudonym {

/// What a member may see of a view: what the policy of reading and their SMART scopes allow, read
/// only, no history, and nothing that tells when something was written: that day beside a moved
/// date would tell by how many days it was moved. Errors: `incorrect` for a scope that is none.
Result<fhir::Caller> member_caller(fhir::Repository& view, const Project& project,
                                   std::shared_ptr<const policy::Policy> reading, Subject subject);

/// Audits what members read in the log of the record itself, by pseudonym: `into` is its sink. What
/// the view writes is derived, and told by nobody.
std::shared_ptr<fhir::AuditSink> view_audit(fhir::AuditSink& into);

/// Seals the bodies of a view under a key that comes from the project's secret: with the project it
/// is gone.
std::shared_ptr<const fhir::Cipher> view_cipher(const Project& project);

}  // namespace meridian::trust::pseudonym

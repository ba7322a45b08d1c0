// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "rest/break_glass.hpp"
#include "rest/service.hpp"
#include "server/projects.hpp"
#include "trust/approvals/approvals.hpp"

namespace meridian::server {

/// Name of the kind of approval, and its terms: who may ask, who may agree, for how long.
inline constexpr std::string_view reidentification = "re-identify";
trust::approvals::Kind reidentification_kind();

/// Adds who a pseudonym is, which two people decide: `POST [base]/$reidentify` (Parameters:
/// `project`, `pseudonym` of a Patient, `reason`). A member of the project asks, and is answered
/// 202 with the approval's id; once another person has agreed (rest::add_approvals), the same call
/// answers with the Patient's reference, once. Who it was found to be is audited, on that patient,
/// before it is answered. Everything that is given must outlive the service.
void add_reidentification(rest::Service& service, Projects& projects,
                          trust::approvals::Approvals& approvals, rest::SubjectOf subject_of);

}  // namespace meridian::server

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "rest/service.hpp"
#include "trust/policy/decisions.hpp"

namespace meridian::rest {

/// Who sends this request, as sign-in has found out. Errors: `unauthenticated`.
using SubjectOf = std::function<Result<trust::Subject>(const Exchange&)>;

/// Adds the emergency access of docs/policy.md:
///
/// `POST Patient/ID/$break-glass` and, by exact identifier, `POST Patient/$break-glass`
/// (Parameters: `reason`, and `identifier` as "system|value") open one patient's record for a time;
/// the answer names the Task of the review, the notice to the patient and the end.
/// `POST Task/ID/$break-glass-review` (Parameters: `finding`, and `verdict`: justified, which it
/// is when left out, or not-justified) closes the review. An emergency access asks for a fresh
/// proof of the person (trust::policy::FreshProof). `decisions` must outlive the service.
void add_break_glass(Service& service, trust::policy::Decisions& decisions, SubjectOf subject_of);

}  // namespace meridian::rest

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "rest/break_glass.hpp"
#include "rest/service.hpp"
#include "trust/approvals/approvals.hpp"
#include "trust/policy/policy.hpp"

namespace meridian::rest {

/// Adds what two people do together (docs/policy.md, "Two people"):
///
/// `POST Type/ID/$lower-label` (Parameters: `label`, once or more, and `reason`) asks to take
/// sensitivity labels away from a resource that the caller may read.
/// `POST $approve` and `POST $refuse` (Parameters: `approval`, `reason`) decide over a request of
/// any kind. `GET $approvals` (`open`: true for what waits only) lists what the caller asked for,
/// decided, or may decide. Each step is audited. `approvals` and `policy` must outlive the service.
void add_approvals(Service& service, trust::approvals::Approvals& approvals,
                   std::function<std::shared_ptr<const trust::policy::Policy>()> policy,
                   SubjectOf subject_of);

}  // namespace meridian::rest

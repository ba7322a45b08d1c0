// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "fhir/caller.hpp"
#include "trust/policy/policy.hpp"
#include "trust/subject.hpp"

namespace meridian::trust::policy {

/// What `decided` allows, but that an export and a prescription ask for a fresh proof of the
/// person (Policy::fresh_proof) before. Every way in asks the filter, so a batch, a patch and a
/// conditional update are refused as a plain request is. Of a system: `decided` itself. Jobs that
/// have begun go on: they ask for the rights again, not for a proof (Caller::renewal).
std::shared_ptr<const fhir::AccessFilter> with_fresh_proof(
    std::shared_ptr<const fhir::AccessFilter> decided, const Subject& subject,
    const FreshProof& wanted);

}  // namespace meridian::trust::policy

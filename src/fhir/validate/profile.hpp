// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"

namespace meridian::fhir::terminology {
class Terminology;
}

namespace meridian::fhir {

/// Evaluates the FHIRPath invariants of the R4 definitions on a resource and everything inside it.
/// Findings are appended to `issues`: errors and warnings as the definitions say (a missing
/// narrative, dom-6, is a warning). Elements that the structural check refuses are passed over.
/// Source: FHIR R4 §conformance-rules#constraints. Blocking: never; each expression is compiled
/// once per process.
void validate_invariants(const Json& resource, std::vector<Issue>& issues);

/// Checks resources against profiles: snapshots of StructureDefinitions, stored in the record or
/// part of the specification. Thread-safe; profiles stay prepared in memory until a
/// StructureDefinition is written.
class ProfileValidator {
 public:
    explicit ProfileValidator(std::shared_ptr<const terminology::Terminology> terminology);
    ~ProfileValidator();

    /// Structure, then invariants, then the profiles of meta.profile and those in `profiles`:
    /// cardinality, fixed[x], pattern[x], types, reference targets, required and extensible
    /// bindings, slicing (value, pattern, type, exists, profile), constraints.
    ///
    /// An unknown profile is an error when it is one of `profiles`, a warning when only the
    /// resource names it. Source: https://hl7.org/fhir/R4/profiling.html,
    /// https://hl7.org/fhir/R4/validation.html. Blocking: may read the store.
    void validate(const Json& resource, std::span<const std::string> profiles,
                  std::vector<Issue>& issues) const;

 private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace meridian::fhir

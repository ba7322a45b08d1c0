// SPDX-License-Identifier: Apache-2.0
// The terminology operations, each in a file of its own name; terminology_operations.cpp adds them.
#pragma once

#include "fhir/terminology/closure.hpp"
#include "rest/terminology/question.hpp"

namespace meridian::rest::terminology {

/// ValueSet/$expand (https://hl7.org/fhir/R4/valueset-operation-expand.html).
Result<Answer> expand(Service& service, const Terminology& terminology, const Exchange& exchange);

/// ValueSet/$validate-code and CodeSystem/$validate-code.
Result<Answer> validate_in_value_set(Service& service, const Terminology& terminology,
                                     const Exchange& exchange);
Result<Answer> validate_in_system(Service& service, const Terminology& terminology,
                                  const Exchange& exchange);

/// CodeSystem/$lookup.
Result<Answer> lookup(Service& service, const Terminology& terminology, const Exchange& exchange);

/// CodeSystem/$subsumes.
Result<Answer> subsumes(Service& service, const Terminology& terminology, const Exchange& exchange);

/// ConceptMap/$translate.
Result<Answer> translate(Service& service, const Terminology& terminology,
                         const Exchange& exchange);

/// What the operations above can do, and on which code systems.
Result<Answer> terminology_capabilities(Service& service, const Exchange& exchange);

/// ConceptMap/$closure.
Result<Answer> closure(fhir::terminology::Closures& closures, const Exchange& exchange);

}  // namespace meridian::rest::terminology

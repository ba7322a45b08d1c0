// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "fhir/terminology/terminology.hpp"
#include "rest/service.hpp"

namespace meridian::rest {

/// ValueSet/$expand, $validate-code (ValueSet, CodeSystem), CodeSystem/$lookup, $subsumes,
/// ConceptMap/$translate and $closure. Source: https://hl7.org/fhir/R4/terminology-service.html
void add_terminology_operations(Service& service,
                                std::shared_ptr<const fhir::terminology::Terminology> terminology);

}  // namespace meridian::rest

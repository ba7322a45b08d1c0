// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "fhir/terminology/terminology.hpp"
#include "rest/service.hpp"

namespace meridian::rest {

/// $validate of a type and of an instance: 200 with an OperationOutcome, also for an invalid
/// resource. Source: https://hl7.org/fhir/R4/resource-operation-validate.html
void add_validate_operation(Service& service,
                            std::shared_ptr<const fhir::terminology::Terminology> terminology);

}  // namespace meridian::rest

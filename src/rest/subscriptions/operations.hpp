// SPDX-License-Identifier: Apache-2.0
// Private to the folder.
#pragma once

#include <memory>

#include "rest/service.hpp"

namespace meridian::rest::subscriptions {

class Engine;

/// $status, $events and $get-ws-binding-token, and what /metadata tells about topics.
/// Source: https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/operations.html
void add_operations(Service& service, std::shared_ptr<Engine> engine);

}  // namespace meridian::rest::subscriptions

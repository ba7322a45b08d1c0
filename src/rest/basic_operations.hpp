// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rest/service.hpp"

namespace meridian::rest {

/// $meta, $meta-add, $meta-delete, $everything, $lastn, and the operations that are known but not
/// done yet (501).
void add_basic_operations(Service& service);

/// Observation/$lastn (lastn.cpp): parameters of the search plus max (default 1). Errors:
/// `incorrect` without a subject.
Result<Answer> last_n(Service& service, const Exchange& exchange);

}  // namespace meridian::rest

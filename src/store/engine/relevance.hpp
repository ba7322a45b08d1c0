// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "store/plan.hpp"

namespace meridian::store {

/// The resource types whose changes can change the answer to `plan`; nothing = any type.
std::optional<std::vector<Name>> types_looked_at(const Plan& plan);

}  // namespace meridian::store

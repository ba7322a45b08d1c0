// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "store/plan.hpp"

namespace meridian::store {

/// Bytes that are the same for two conditions exactly when they ask the same in the same words:
/// what an answer can be remembered by. Valid within one process.
std::string condition_key(const Condition& condition);

}  // namespace meridian::store

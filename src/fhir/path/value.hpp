// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace meridian::fhir::path {
struct Item;
using Collection = std::vector<Item>;
}  // namespace meridian::fhir::path

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/decimal.hpp"

namespace meridian::fhir::search {

inline constexpr std::string_view ucum_system = "http://unitsofmeasure.org";
inline constexpr std::string_view currency_system = "urn:iso:std:iso:4217";

/// A number in canonical UCUM units, as index rows and queries hold it.
struct CanonicalNumber {
    double value;
    std::string_view unit;  ///< lives as long as the thread, until the next call
};

/// Converts with a cached factor per unit (per thread): quantities of few units make up nearly all
/// of a record. Nothing for text that is no UCUM unit or a number that leaves the range of Decimal.
std::optional<CanonicalNumber> canonical_number(const Decimal& value, std::string_view unit);

}  // namespace meridian::fhir::search

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/decimal.hpp"
#include "base/result.hpp"

/// The Unified Code for Units of Measure, case-sensitive form: https://ucum.org/ucum
namespace meridian::fhir::ucum {

/// A quantity in base units.
struct Canonical {
    Decimal value;     ///< exact where 38 digits suffice, else rounded to 34 significant digits
    std::string unit;  ///< base units in the order m s g rad K C cd, then arbitrary units by name:
                       ///< "m-3.g"; "1" when dimensionless
};

/// Converts `value` of `unit` to base units: (5.4, "mmol/L") → (3.2519538…e24, "m-3"), (37, "Cel")
/// → (310.15, "K"), (1, "[lb_av]") → (453.59237, "g"). Annotations are ignored ("mg{total}"), an
/// empty unit is "1".
///
/// Arbitrary units ("[iU]", "[arb'U]") are base units of their own: they compare only with
/// themselves. Errors: `incorrect` for text outside the UCUM grammar or an unknown atom, or a
/// special unit inside a product; `too_large` when a number leaves 38 digits. Blocking: never;
/// thread-safe.
Result<Canonical> canonical(const Decimal& value, std::string_view unit);

/// True when `unit` is a valid UCUM expression of known atoms.
bool is_valid(std::string_view unit);

/// True when both units are valid and measure the same thing, so that quantities of them can be
/// compared.
bool comparable(std::string_view left, std::string_view right);

/// `value` of unit `from` in unit `to`; where the factor is a power of ten the written digits stay:
/// 4000 mg is 4.000 g. Errors: as canonical(); `incorrect` when the units are not comparable.
Result<Decimal> convert(const Decimal& value, std::string_view from, std::string_view to);

/// The product and the quotient of two quantities, in base units unless both units are the same or
/// one is "1". Errors: as canonical(); `incorrect` for division by zero.
Result<Canonical> multiply(const Decimal& left, std::string_view left_unit, const Decimal& right,
                           std::string_view right_unit);
Result<Canonical> divide(const Decimal& left, std::string_view left_unit, const Decimal& right,
                         std::string_view right_unit);

}  // namespace meridian::fhir::ucum

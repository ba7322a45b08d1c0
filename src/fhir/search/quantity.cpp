// SPDX-License-Identifier: Apache-2.0
#include "fhir/search/quantity.hpp"

#include <unordered_map>

#include "fhir/ucum/ucum.hpp"

namespace meridian::fhir::search {
namespace {

struct Conversion {
    bool is_known = false;
    bool is_linear = false;  ///< value × factor; otherwise (degrees Celsius, pH) each value is
                             ///< converted by itself
    Decimal factor{};
    std::string unit{};
    std::string last_unit{};  ///< of the last non-linear conversion
};

Conversion learn(std::string_view unit) {
    Conversion conversion;
    const auto one = ucum::canonical(Decimal(1), unit);
    if (!one) return conversion;
    conversion.is_known = true;
    conversion.unit = one->unit;
    conversion.factor = one->value.normalized();
    const auto zero = ucum::canonical(Decimal(0), unit);
    const auto two = ucum::canonical(Decimal(2), unit);
    const auto doubled = Decimal::add(one->value, one->value);
    conversion.is_linear =
        zero && two && doubled && zero->value.is_zero() && two->value == *doubled;
    return conversion;
}

}  // namespace

std::optional<CanonicalNumber> canonical_number(const Decimal& value, std::string_view unit) {
    constexpr std::size_t units_max = 4096;
    thread_local std::unordered_map<std::string, Conversion> known;
    thread_local std::string key;
    key.assign(unit);
    auto found = known.find(key);
    if (found == known.end()) {
        if (known.size() >= units_max) known.clear();
        found = known.emplace(key, learn(unit)).first;
    }
    Conversion& conversion = found->second;
    if (!conversion.is_known) return std::nullopt;
    if (!conversion.is_linear) {
        const auto converted = ucum::canonical(value, unit);
        if (!converted) return std::nullopt;
        conversion.last_unit = converted->unit;
        return CanonicalNumber{converted->value.to_double(), conversion.last_unit};
    }
    // Decimal arithmetic makes 5.4 mg and 0.0054 g the same number; only what leaves 38 digits is
    // rounded.
    const auto product = Decimal::multiply(value, conversion.factor);
    const double number =
        product ? product->to_double() : value.to_double() * conversion.factor.to_double();
    return CanonicalNumber{number, conversion.unit};
}

}  // namespace meridian::fhir::search

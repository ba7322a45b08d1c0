// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace meridian {

/// A decimal number with the digits it was written with: value = coefficient × 10^-scale,
/// |coefficient| < 10^38. "1.50" and "1.5" have equal values and different scales (FHIR R4 decimal:
/// precision is significant).
class Decimal {
 public:
    constexpr Decimal() = default;
    constexpr Decimal(std::int64_t value)
        : coefficient_(value) {}  // NOLINT(google-explicit-constructor): 1 is a decimal
    static constexpr Decimal from_parts(__int128 coefficient, int scale) {
        Decimal d;
        d.coefficient_ = coefficient;
        d.scale_ = scale;
        return d;
    }

    /// Parses -?digits[.digits][e[+-]digits]. Errors: `incorrect` for other text, `too_large`
    /// beyond 38 digits or for a scale beyond ±limits::decimal_scale_max.
    static Result<Decimal> parse(std::string_view text);
    /// The nearest decimal with at most 17 significant digits. Errors: `incorrect` for NaN and
    /// infinities.
    static Result<Decimal> from_double(double value);

    __int128 coefficient() const { return coefficient_; }
    int scale() const { return scale_; }  ///< digits after the point; negative for 1e3
    bool is_zero() const { return coefficient_ == 0; }
    bool is_negative() const { return coefficient_ < 0; }
    bool is_integer() const;

    /// Plain notation that keeps trailing zeros: "1.50". Never an exponent.
    std::string to_text() const;
    double to_double() const;
    /// The integer value. Errors: `incorrect` when it has a fraction or does not fit.
    Result<std::int64_t> to_integer() const;

    /// Half a unit of the last written digit: 100 → 0.5, 100.00 → 0.005 (the implicit precision of
    /// a FHIR search number).
    Decimal half_unit() const;

    // Arithmetic. Errors: `too_large` when the result needs more than 38 digits; `incorrect` for
    // division by zero.
    static Result<Decimal> add(const Decimal& left, const Decimal& right);
    static Result<Decimal> subtract(const Decimal& left, const Decimal& right);
    static Result<Decimal> multiply(const Decimal& left, const Decimal& right);
    /// Quotient rounded half away from zero to `digits` places after the point (fewer when its
    /// integer part leaves no room for them), without trailing zeros: 1/2 is 0.5.
    static Result<Decimal> divide(const Decimal& left, const Decimal& right, int digits = 18);
    /// What is left of `left` after taking away whole multiples of `right`; has the sign of `left`.
    static Result<Decimal> remainder(const Decimal& left, const Decimal& right);
    /// Rounded half away from zero to `digits` places after the point.
    Decimal round(int digits) const;
    Decimal truncate() const;
    Decimal floor() const;
    Decimal ceiling() const;
    Decimal negate() const { return from_parts(-coefficient_, scale_); }
    /// Without trailing zeros after the point.
    Decimal normalized() const;

    /// Compares values: 1.5 equals 1.50.
    friend std::strong_ordering operator<=>(const Decimal& left, const Decimal& right);
    friend bool operator==(const Decimal& left, const Decimal& right) {
        return (left <=> right) == 0;
    }

 private:
    __int128 coefficient_ = 0;
    int scale_ = 0;
};

}  // namespace meridian

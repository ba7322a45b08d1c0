// SPDX-License-Identifier: Apache-2.0
#include "base/decimal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "base/limits.hpp"
#include "base/message.hpp"

namespace meridian {

namespace {

using Unsigned = unsigned __int128;

constexpr int digits_max = 38;

constexpr auto powers_of_ten = [] {
    std::array<Unsigned, digits_max + 1> powers{};
    powers[0] = 1;
    for (std::size_t i = 1; i < powers.size(); ++i) powers[i] = powers[i - 1] * 10;
    return powers;
}();

constexpr Unsigned power_of_ten(int exponent) {
    return powers_of_ten[static_cast<std::size_t>(exponent)];
}

Unsigned magnitude(__int128 value) {
    return value < 0 ? -static_cast<Unsigned>(value) : static_cast<Unsigned>(value);
}

__int128 with_sign(Unsigned value, bool is_negative) {
    return is_negative ? -static_cast<__int128>(value) : static_cast<__int128>(value);
}

/// Number of decimal digits; 0 for 0.
int digit_count(Unsigned value) {
    return static_cast<int>(std::ranges::upper_bound(powers_of_ten, value) - powers_of_ten.begin());
}

/// An unsigned number of 256 bits: room for the product of two coefficients, 77 digits.
struct Wide {
    Unsigned high = 0;
    Unsigned low = 0;
    auto operator<=>(const Wide&) const = default;

    static Wide product(Unsigned left, Unsigned right) {
        constexpr Unsigned half = ~std::uint64_t{0};
        const Unsigned a = left >> 64, b = left & half, c = right >> 64, d = right & half;
        const Unsigned bd = b * d, ad = a * d, bc = b * c;
        const Unsigned middle = (bd >> 64) + (ad & half) + (bc & half);
        return {a * c + (ad >> 64) + (bc >> 64) + (middle >> 64), (middle << 64) | (bd & half)};
    }

    /// this × 10^exponent, or false when 256 bits do not hold it.
    bool scale_up(int exponent) {
        for (; exponent > 0 && *this != Wide{}; exponent -= std::min(exponent, digits_max)) {
            const Unsigned factor = power_of_ten(std::min(exponent, digits_max));
            const Wide upper = product(high, factor);
            const Wide lower = product(low, factor);
            high = upper.low + lower.high;
            low = lower.low;
            if (upper.high != 0 || high < lower.high) return false;
        }
        return true;
    }

    Wide operator+(const Wide& other) const {
        const Unsigned sum = low + other.low;
        return {high + other.high + (sum < low ? 1 : 0), sum};
    }
    Wide operator-(const Wide& other) const {
        return {high - other.high - (low < other.low ? 1 : 0), low - other.low};
    }
    Wide doubled() const { return {(high << 1) | (low >> 127), low << 1}; }
    bool top_bit() const { return (high >> 127) != 0; }
};

struct Division {
    Wide quotient;
    Wide remainder;
};

/// Quotient and remainder; `divisor` is not zero.
Division divide_wide(const Wide& dividend, const Wide& divisor) {
    if (dividend.high == 0 && divisor.high == 0) {
        return {{0, dividend.low / divisor.low}, {0, dividend.low % divisor.low}};
    }
    Division result;
    for (int bit = 255; bit >= 0; --bit) {
        const Unsigned part = bit >= 128 ? dividend.high >> (bit - 128) : dividend.low >> bit;
        const bool overflows = result.remainder.top_bit();
        result.remainder = result.remainder.doubled();
        result.remainder.low |= part & 1;
        result.quotient = result.quotient.doubled();
        if (overflows || result.remainder >= divisor) {
            result.remainder = result.remainder - divisor;
            result.quotient.low |= 1;
        }
    }
    return result;
}

std::unexpected<Error> too_many_digits() {
    return fail(Category::too_large,
                fmt::format("the result needs more than {} digits", digits_max));
}

/// Drops zeros after the point until `scale` is `scale_min`, as far as there are any.
void drop_zeros(Unsigned& coefficient, int& scale, int scale_min) {
    while (scale > scale_min && coefficient != 0 && coefficient % 10 == 0) {
        coefficient /= 10;
        --scale;
    }
    if (coefficient == 0) scale = std::min(scale, scale_min);
}

}  // namespace

Result<Decimal> Decimal::parse(std::string_view text) {
    const auto wrong = [&] {
        return fail(Category::incorrect,
                    fmt::format("\"{}\" is no decimal number", shown_in_message(text)));
    };
    const char* at = text.data();
    const char* const end = at + text.size();
    const bool is_negative = at != end && *at == '-';
    if (is_negative) ++at;

    Unsigned coefficient = 0;
    bool is_too_long = false;
    int scale = 0;
    const auto digits = [&](bool are_after_point) {
        const char* const start = at;
        for (; at != end && *at >= '0' && *at <= '9'; ++at) {
            // Past the last digit that fits, keep walking to judge the grammar first.
            if (coefficient >= power_of_ten(digits_max - 1)) {
                is_too_long = true;
            } else {
                coefficient = coefficient * 10 + static_cast<unsigned>(*at - '0');
            }
            if (are_after_point) scale = std::min(scale + 1, 2 * limits::decimal_scale_max);
        }
        return at != start;
    };
    if (!digits(false)) return wrong();
    if (at != end && *at == '.') {
        ++at;
        if (!digits(true)) return wrong();
    }
    if (at != end && (*at == 'e' || *at == 'E')) {
        ++at;
        const bool is_small = at != end && *at == '-';
        if (at != end && (*at == '+' || *at == '-')) ++at;
        if (at == end) return wrong();
        int exponent = 0;
        for (; at != end && *at >= '0' && *at <= '9'; ++at) {
            exponent = std::min(exponent * 10 + (*at - '0'), 4 * limits::decimal_scale_max);
        }
        scale -= is_small ? -exponent : exponent;
    }
    if (at != end) return wrong();
    if (is_too_long || std::abs(scale) > limits::decimal_scale_max) {
        return fail(Category::too_large,
                    fmt::format("\"{}\" has more than {} digits or too large an exponent",
                                shown_in_message(text), digits_max));
    }
    return from_parts(with_sign(coefficient, is_negative), scale);
}

Result<Decimal> Decimal::from_double(double value) {
    if (!std::isfinite(value))
        return fail(Category::incorrect, "the number is infinite or not a number");
    char text[40];
    const auto end = std::to_chars(std::begin(text), std::end(text), value).ptr;
    return parse({text, static_cast<std::size_t>(end - text)});
}

bool Decimal::is_integer() const {
    if (scale_ <= 0 || coefficient_ == 0) return true;
    return scale_ <= digits_max && magnitude(coefficient_) % power_of_ten(scale_) == 0;
}

std::string Decimal::to_text() const {
    char digits[digits_max + 1];
    char* start = std::end(digits);
    for (Unsigned rest = magnitude(coefficient_); rest != 0; rest /= 10)
        *--start = static_cast<char>('0' + rest % 10);
    std::string out(start, std::end(digits));
    if (scale_ > 0) {
        const auto places = static_cast<std::size_t>(scale_);
        if (out.size() <= places) out.insert(0, places + 1 - out.size(), '0');
        out.insert(out.size() - places, 1, '.');
    } else if (out.empty()) {
        out = "0";
    } else {
        out.append(static_cast<std::size_t>(-scale_), '0');
    }
    return is_negative() ? "-" + out : out;
}

double Decimal::to_double() const {
    const std::string text = from_parts(coefficient_, 0).to_text() + "e" + std::to_string(-scale_);
    double value = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    // Out of range leaves `value` alone: a number too small for a double is 0, one too large is
    // infinite.
    if (parsed.ec == std::errc::result_out_of_range && scale_ < 0)
        return is_negative() ? -HUGE_VAL : HUGE_VAL;
    return value;
}

Result<std::int64_t> Decimal::to_integer() const {
    const Decimal whole = truncate();
    if (whole != *this)
        return fail(Category::incorrect, fmt::format("{} is no integer", to_text()));
    if (whole < Decimal(INT64_MIN) || whole > Decimal(INT64_MAX)) {
        return fail(Category::incorrect, "the number does not fit a 64-bit integer");
    }
    __int128 value = whole.coefficient_;
    for (int scale = whole.scale_; scale < 0 && value != 0; ++scale) value *= 10;
    return static_cast<std::int64_t>(value);
}

Decimal Decimal::half_unit() const {
    return from_parts(5, scale_ + 1);
}

namespace {

/// `coefficient` × 10^-scale as a Decimal, with as many zeros after the last digit dropped as 38
/// digits demand.
Result<Decimal> fitted(Wide coefficient, int scale, bool is_negative) {
    while (coefficient >= Wide{0, power_of_ten(digits_max)}) {
        const Division tenth = divide_wide(coefficient, {0, 10});
        if (tenth.remainder != Wide{}) return too_many_digits();
        coefficient = tenth.quotient;
        --scale;
    }
    if (std::abs(scale) > limits::decimal_scale_max) return too_many_digits();
    return Decimal::from_parts(with_sign(coefficient.low, is_negative), scale);
}

}  // namespace

Result<Decimal> Decimal::add(const Decimal& left, const Decimal& right) {
    const Decimal& coarse = left.scale_ <= right.scale_ ? left : right;
    const Decimal& fine = left.scale_ <= right.scale_ ? right : left;
    Unsigned fine_magnitude = magnitude(fine.coefficient_);
    int scale = fine.scale_;
    Wide a{0, magnitude(coarse.coefficient_)};
    if (!a.scale_up(scale - coarse.scale_)) {
        // Beyond 77 digits the sum cannot fit either, unless the finer number ends in zeros that
        // may go.
        drop_zeros(fine_magnitude, scale, coarse.scale_);
        a = {0, magnitude(coarse.coefficient_)};
        if (!a.scale_up(scale - coarse.scale_)) return too_many_digits();
    }
    const Wide b{0, fine_magnitude};
    if (coarse.is_negative() == fine.is_negative())
        return fitted(a + b, scale, coarse.is_negative());
    return a >= b ? fitted(a - b, scale, coarse.is_negative())
                  : fitted(b - a, scale, fine.is_negative());
}

Result<Decimal> Decimal::subtract(const Decimal& left, const Decimal& right) {
    return add(left, right.negate());
}

Result<Decimal> Decimal::multiply(const Decimal& left, const Decimal& right) {
    return fitted(Wide::product(magnitude(left.coefficient_), magnitude(right.coefficient_)),
                  left.scale_ + right.scale_, left.is_negative() != right.is_negative());
}

Result<Decimal> Decimal::divide(const Decimal& left, const Decimal& right, int digits) {
    if (right.is_zero()) return fail(Category::incorrect, "division by zero");
    const bool is_negative = left.is_negative() != right.is_negative();
    for (; digits >= 0; --digits) {
        // quotient × 10^digits = (left coefficient × 10^(right scale - left scale + digits)) /
        // right coefficient
        const int exponent = right.scale_ - left.scale_ + digits;
        Wide dividend{0, magnitude(left.coefficient_)};
        Wide divisor{0, magnitude(right.coefficient_)};
        if (!dividend.scale_up(std::max(exponent, 0))) continue;
        // A divisor beyond 256 bits is more than twice any dividend, so the quotient rounds to
        // zero.
        if (!divisor.scale_up(std::max(-exponent, 0))) return Decimal(0);
        Division result = divide_wide(dividend, divisor);
        if (result.remainder >= divisor - result.remainder) {
            result.quotient.low += 1;
            if (result.quotient.low == 0) result.quotient.high += 1;
        }
        if (result.quotient >= Wide{0, power_of_ten(digits_max)}) continue;
        return from_parts(with_sign(result.quotient.low, is_negative), digits).normalized();
    }
    return too_many_digits();
}

Result<Decimal> Decimal::remainder(const Decimal& left, const Decimal& right) {
    if (right.is_zero()) return fail(Category::incorrect, "division by zero");
    Wide rest{0, magnitude(left.coefficient_)};
    Wide divisor{0, magnitude(right.coefficient_)};
    if (left.scale_ >= right.scale_) {
        if (!divisor.scale_up(left.scale_ - right.scale_)) return left;
        rest = divide_wide(rest, divisor).remainder;
    } else {
        // (a × 10^n) mod b one digit at a time: n may be far beyond what 256 bits hold.
        rest = divide_wide(rest, divisor).remainder;
        for (int scale = left.scale_; scale < right.scale_ && rest != Wide{}; ++scale) {
            rest.scale_up(1);
            rest = divide_wide(rest, divisor).remainder;
        }
    }
    return from_parts(with_sign(rest.low, left.is_negative()), std::max(left.scale_, right.scale_));
}

Decimal Decimal::round(int digits) const {
    if (scale_ <= digits) return *this;
    const int dropped = scale_ - digits;
    if (dropped > digits_max) return from_parts(0, digits);
    const Unsigned unit = power_of_ten(dropped);
    const Unsigned value = magnitude(coefficient_);
    const Unsigned rest = value % unit;
    return from_parts(with_sign(value / unit + (rest >= unit - rest ? 1 : 0), is_negative()),
                      digits);
}

Decimal Decimal::truncate() const {
    if (scale_ <= 0) return *this;
    if (scale_ > digits_max) return Decimal(0);
    return from_parts(with_sign(magnitude(coefficient_) / power_of_ten(scale_), is_negative()), 0);
}

Decimal Decimal::floor() const {
    const Decimal whole = truncate();
    return whole > *this ? from_parts(whole.coefficient_ - 1, 0) : whole;
}

Decimal Decimal::ceiling() const {
    const Decimal whole = truncate();
    return whole < *this ? from_parts(whole.coefficient_ + 1, 0) : whole;
}

Decimal Decimal::normalized() const {
    Unsigned coefficient = magnitude(coefficient_);
    int scale = scale_;
    if (scale > 0) drop_zeros(coefficient, scale, 0);
    return from_parts(with_sign(coefficient, is_negative()), scale);
}

std::strong_ordering operator<=>(const Decimal& left, const Decimal& right) {
    const int left_sign = left.coefficient_ > 0 ? 1 : left.coefficient_ < 0 ? -1 : 0;
    const int right_sign = right.coefficient_ > 0 ? 1 : right.coefficient_ < 0 ? -1 : 0;
    if (left_sign != right_sign || left_sign == 0) return left_sign <=> right_sign;
    Unsigned a = magnitude(left.coefficient_);
    Unsigned b = magnitude(right.coefficient_);
    // More digits before the point is more; with as many, both fit one scale.
    const int a_size = digit_count(a) - left.scale_;
    const int b_size = digit_count(b) - right.scale_;
    std::strong_ordering order = a_size <=> b_size;
    if (order == 0) {
        if (left.scale_ < right.scale_) a *= power_of_ten(right.scale_ - left.scale_);
        if (right.scale_ < left.scale_) b *= power_of_ten(left.scale_ - right.scale_);
        order = a <=> b;
    }
    return left_sign > 0 ? order : 0 <=> order;
}

}  // namespace meridian

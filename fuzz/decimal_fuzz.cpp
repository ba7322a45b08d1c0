// SPDX-License-Identifier: Apache-2.0
// Two numbers with a space between them: text round trip and the laws of arithmetic where nothing
// is too large.
#include "base/decimal.hpp"

#include <cstdint>
#include <cstdlib>

using meridian::Decimal;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

void check_one(const Decimal& value) {
    const auto again = Decimal::parse(value.to_text());
    // "1e3" becomes "1000": the value stays, and the plain text of it is stable. Many zeros may
    // exceed 38 digits.
    if (again) require(*again == value && again->to_text() == value.to_text());
    require(value.normalized() == value);
    require(value.floor() <= value && value.ceiling() >= value);
    require(value.round(2).scale() <= 2 || value.scale() <= 2);
    require(value.is_integer() == (value.truncate() == value));
    (void)value.to_double();
    (void)value.to_integer();
    (void)value.half_unit();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const std::size_t space = std::min(text.find(' '), text.size());
    const auto left = Decimal::parse(text.substr(0, space));
    if (!left) return 0;
    check_one(*left);
    const auto right = Decimal::parse(text.substr(std::min(space + 1, text.size())));
    if (!right) return 0;
    require((*left < *right) == (*right > *left));
    const auto sum = Decimal::add(*left, *right);
    require(sum.has_value() == Decimal::add(*right, *left).has_value());
    if (sum) {
        check_one(*sum);
        if (const auto back = Decimal::subtract(*sum, *right)) require(*back == *left);
    }
    const auto product = Decimal::multiply(*left, *right);
    const auto swapped = Decimal::multiply(*right, *left);
    require(product.has_value() == swapped.has_value() && (!product || *product == *swapped));
    const auto quotient = Decimal::divide(*left, *right);
    require(!right->is_zero() || !quotient);
    if (const auto rest = Decimal::remainder(*left, *right)) {
        const Decimal size_of_rest = rest->is_negative() ? rest->negate() : *rest;
        require(size_of_rest < (right->is_negative() ? right->negate() : *right));
    }
    return 0;
}

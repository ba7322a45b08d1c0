// SPDX-License-Identifier: Apache-2.0
// Mathematics (N1 §5.7) and the boundaries of 2.1.
#include <cmath>

#include "fhir/path/evaluator.hpp"
#include "fhir/path/temporal.hpp"

namespace meridian::fhir::path {
namespace {

constexpr int decimal_precision_default = 8;
constexpr int decimal_precision_max = 31;

/// 15 significant digits: what a double holds for certain, so that 1000.log(10) is 3 and
/// not 2.9999999999999996.
Collection from_double(double value) {
    if (!std::isfinite(value)) return {};
    auto number = Decimal::parse(fmt::format("{:.15g}", value));
    if (!number) return {};
    return single(Item::decimal(number->normalized()));
}

Collection whole(const Decimal& value) {
    auto integer = value.to_integer();
    if (integer && *integer >= INT32_MIN && *integer <= INT32_MAX)
        return single(Item::integer(*integer));
    return single(Item::decimal(value));
}

Decimal rounded(Function function, const Decimal& value) {
    switch (function) {
        case Function::abs:
            return value.is_negative() ? value.negate() : value;
        case Function::ceiling:
            return value.ceiling();
        case Function::floor:
            return value.floor();
        default:
            return value.truncate();
    }
}

/// abs, ceiling, floor, truncate: of an Integer, Decimal or Quantity.
Result<Collection> unary(const Call& call, const Item& item) {
    Function function = call.node.function;
    if (auto quantity = item.quantity()) {
        quantity->value = rounded(function, quantity->value);
        return single(Item::quantity(std::move(*quantity)));
    }
    auto value = item.decimal();
    if (!value) return call.wrong(fmt::format("a number was expected, not {}", item.type_name()));
    Decimal result = rounded(function, *value);
    if (function == Function::abs && item.kind() == Kind::decimal)
        return single(Item::decimal(result));
    return whole(result);
}

Result<Collection> round(const Call& call, const Item& item) {
    std::int64_t digits = 0;
    if (call.has_argument(0)) {
        auto precision = TRY(call.integer_argument(0));
        if (!precision) return Collection();
        if (*precision < 0) return call.wrong("the precision may not be negative");
        digits = std::min<std::int64_t>(*precision, decimal_precision_max);
    }
    auto places = static_cast<int>(digits);
    if (auto quantity = item.quantity()) {
        quantity->value = quantity->value.round(places);
        return single(Item::quantity(std::move(*quantity)));
    }
    auto value = item.decimal();
    if (!value) return call.wrong(fmt::format("a number was expected, not {}", item.type_name()));
    if (value->scale() <= places) return single(Item::decimal(*value));
    return single(Item::decimal(value->round(places)));
}

Result<std::optional<Decimal>> number_argument(const Call& call) {
    Collection value = TRY(call.argument(0));
    if (value.empty()) return std::nullopt;
    auto number = value.size() == 1 ? value.front().decimal() : std::nullopt;
    if (!number) return call.wrong("the argument must be a single number");
    return number;
}

/// base^exponent by repeated squaring; nothing on overflow.
std::optional<Decimal> integer_power(Decimal base, std::int64_t exponent) {
    Decimal result = 1;
    while (exponent > 0) {
        if (exponent % 2 == 1) {
            auto product = Decimal::multiply(result, base);
            if (!product) return std::nullopt;
            result = *product;
        }
        exponent /= 2;
        if (exponent == 0) break;
        auto square = Decimal::multiply(base, base);
        if (!square) return std::nullopt;
        base = *square;
    }
    return result;
}

Result<Collection> power(const Call& call, const Item& item, const Decimal& value) {
    auto exponent = TRY(number_argument(call));
    if (!exponent) return Collection();
    auto integer = exponent->to_integer();
    if (integer && *integer >= 0) {
        if (auto exact = integer_power(value, *integer)) {
            if (item.kind() == Kind::decimal) return single(Item::decimal(*exact));
            return whole(*exact);
        }
        // More digits than a Decimal holds: a decimal base is approximated, an Integer overflows.
        if (item.kind() == Kind::integer) return Collection();
    }
    return from_double(std::pow(value.to_double(), exponent->to_double()));
}

Result<Collection> transcendental(const Call& call, const Item& item) {
    auto value = item.decimal();
    if (!value) return call.wrong(fmt::format("a number was expected, not {}", item.type_name()));
    double number = value->to_double();
    switch (call.node.function) {
        case Function::exp:
            return from_double(std::exp(number));
        case Function::ln:
            return number <= 0 ? Collection() : from_double(std::log(number));
        case Function::sqrt:
            return number < 0 ? Collection() : from_double(std::sqrt(number));
        case Function::log: {
            auto base = TRY(number_argument(call));
            if (!base || number <= 0 || base->to_double() <= 0) return Collection();
            return from_double(std::log(number) / std::log(base->to_double()));
        }
        default:
            return power(call, item, *value);
    }
}

/// The least or greatest number that is written like `value` when rounded, at `digits` places.
/// Towards zero the bound is cut, away from zero it is rounded: the suite's examples, which pin
/// what N1 §lowBoundary leaves open.
std::optional<Decimal> decimal_boundary(const Decimal& value, int digits, bool greatest) {
    if (digits < 0 || digits > decimal_precision_max) return std::nullopt;
    Decimal half = value.half_unit();
    auto bound = greatest ? Decimal::add(value, half) : Decimal::subtract(value, half);
    if (!bound) return std::nullopt;
    if (bound->scale() <= digits) {
        auto zeros = Decimal::add(*bound, Decimal::from_parts(0, digits));
        return zeros ? std::optional(*zeros) : std::nullopt;
    }
    bool away = bound->is_negative() != greatest;
    if (away) return bound->round(digits);
    Decimal result = bound->round(digits);
    // Cut: step back when rounding went away from zero.
    auto distance = bound->is_negative() ? result <=> *bound : *bound <=> result;
    if (distance < 0) {
        Decimal unit = Decimal::from_parts(bound->is_negative() ? -1 : 1, digits);
        auto cut = Decimal::subtract(result, unit);
        if (cut) result = *cut;
    }
    return result;
}

Result<Collection> boundary(const Call& call, const Item& item) {
    bool greatest = call.node.function == Function::high_boundary;
    std::optional<std::int64_t> asked;
    if (call.has_argument(0)) {
        asked = TRY(call.integer_argument(0));
        if (!asked) return Collection();
        if (*asked < 0 || *asked > decimal_precision_max) return Collection();
    }
    auto digits = [&](int otherwise) { return asked ? static_cast<int>(*asked) : otherwise; };
    Kind kind = item.kind();
    if (kind == Kind::date || kind == Kind::date_time || kind == Kind::time) {
        auto value = kind == Kind::time ? item.time() : item.date();
        int greatest_precision = kind == Kind::date ? 8 : kind == Kind::time ? 9 : 17;
        auto bound = value ? temporal::boundary(kind, *value, digits(greatest_precision), greatest)
                           : std::nullopt;
        return bound ? single(Item::temporal(kind, *bound)) : Collection();
    }
    if (auto quantity = item.quantity()) {
        auto bound = decimal_boundary(quantity->value, digits(decimal_precision_default), greatest);
        if (!bound) return Collection();
        quantity->value = *bound;
        return single(Item::quantity(std::move(*quantity)));
    }
    auto value = item.decimal();
    if (!value)
        return call.wrong(
            fmt::format("a number, date or time was expected, not {}", item.type_name()));
    auto bound = decimal_boundary(*value, digits(decimal_precision_default), greatest);
    return bound ? single(Item::decimal(*bound)) : Collection();
}

Result<Collection> precision(const Call& call, const Item& item) {
    Kind kind = item.kind();
    if (kind == Kind::date || kind == Kind::date_time || kind == Kind::time) {
        auto value = kind == Kind::time ? item.time() : item.date();
        return value ? single(Item::integer(temporal::precision(kind, *value))) : Collection();
    }
    auto quantity = item.quantity();
    auto value = quantity ? std::optional(quantity->value) : item.decimal();
    if (!value)
        return call.wrong(
            fmt::format("a number, date or time was expected, not {}", item.type_name()));
    return single(Item::integer(std::max(0, value->scale())));
}

}  // namespace

Result<Collection> call_mathematics(const Call& call) {
    const Item* item = TRY(call.input_item());
    if (item == nullptr) return Collection();
    switch (call.node.function) {
        case Function::abs:
        case Function::ceiling:
        case Function::floor:
        case Function::truncate:
            return unary(call, *item);
        case Function::round:
            return round(call, *item);
        case Function::low_boundary:
        case Function::high_boundary:
            return boundary(call, *item);
        case Function::precision:
            return precision(call, *item);
        default:
            return transcendental(call, *item);
    }
}

}  // namespace meridian::fhir::path

// SPDX-License-Identifier: Apache-2.0
// + - * / div mod & on single values (N1 §6.6).
#include "base/limits.hpp"
#include "fhir/path/compare.hpp"
#include "fhir/path/evaluator.hpp"
#include "fhir/path/temporal.hpp"
#include "fhir/ucum/ucum.hpp"

namespace meridian::fhir::path {
namespace {

bool is_number(Kind kind) {
    return kind == Kind::integer || kind == Kind::decimal;
}

std::string_view symbol_of(Operator op) {
    switch (op) {
        case Operator::plus:
            return "+";
        case Operator::minus:
            return "-";
        case Operator::multiply:
            return "*";
        case Operator::divide:
            return "/";
        case Operator::div:
            return "div";
        case Operator::modulo:
            return "mod";
        default:
            return "&";
    }
}

std::unexpected<Error> mismatch(Operator op, const Item& left, const Item& right) {
    return fail(Category::incorrect,
                fmt::format("the operator {} does not apply to {} and {}", symbol_of(op),
                            left.type_name(), right.type_name()));
}

/// An Integer outside 32 bits is an overflow, whose result is empty (N1 §6.6 Math).
Collection integer_result(std::int64_t value) {
    if (value < INT32_MIN || value > INT32_MAX) return {};
    return single(Item::integer(value));
}

Collection decimal_result(const Result<Decimal>& value) {
    return value ? single(Item::decimal(*value)) : Collection();
}

Collection integers(Operator op, std::int64_t left, std::int64_t right) {
    switch (op) {
        case Operator::plus:
            return integer_result(left + right);
        case Operator::minus:
            return integer_result(left - right);
        case Operator::multiply:
            return integer_result(left * right);
        case Operator::div:
            return right == 0 ? Collection() : integer_result(left / right);
        case Operator::modulo:
            return right == 0 ? Collection() : integer_result(left % right);
        default:
            return {};
    }
}

Collection decimals(Operator op, const Decimal& left, const Decimal& right) {
    bool divides = op == Operator::divide || op == Operator::div || op == Operator::modulo;
    if (divides && right.is_zero()) return {};
    switch (op) {
        case Operator::plus:
            return decimal_result(Decimal::add(left, right));
        case Operator::minus:
            return decimal_result(Decimal::subtract(left, right));
        case Operator::multiply:
            return decimal_result(Decimal::multiply(left, right));
        case Operator::divide: {
            auto quotient = Decimal::divide(left, right);
            return quotient ? single(Item::decimal(quotient->normalized())) : Collection();
        }
        case Operator::div: {
            auto rest = Decimal::remainder(left, right);
            auto exact = rest ? Decimal::subtract(left, *rest) : rest;
            auto quotient = exact ? Decimal::divide(*exact, right) : exact;
            if (!quotient) return {};
            auto whole = quotient->truncate().to_integer();
            if (whole && *whole >= INT32_MIN && *whole <= INT32_MAX)
                return single(Item::integer(*whole));
            return single(Item::decimal(quotient->truncate()));
        }
        case Operator::modulo:
            return decimal_result(Decimal::remainder(left, right));
        default:
            return {};
    }
}

Collection quantity_sum(Operator op, const Quantity& left, const Quantity& right) {
    auto combine = [&](const Decimal& a, const Decimal& b) {
        return op == Operator::plus ? Decimal::add(a, b) : Decimal::subtract(a, b);
    };
    if (left.unit == right.unit && left.calendar == right.calendar) {
        auto sum = combine(left.value, right.value);
        Quantity result = left;
        if (!sum) return {};
        result.value = *sum;
        return single(Item::quantity(std::move(result)));
    }
    // In the more granular of the two units (N1 §+ addition).
    std::string_view left_unit = ucum_code(left), right_unit = ucum_code(right);
    auto left_size = ucum::canonical(1, left_unit), right_size = ucum::canonical(1, right_unit);
    if (!left_size || !right_size || left_size->unit != right_size->unit) return {};
    bool to_left = left_size->value <= right_size->value;
    auto converted = to_left ? ucum::convert(right.value, right_unit, left_unit)
                             : ucum::convert(left.value, left_unit, right_unit);
    if (!converted) return {};
    auto sum = to_left ? combine(left.value, *converted) : combine(*converted, right.value);
    if (!sum) return {};
    Quantity result = to_left ? left : right;
    result.value = *sum;
    return single(Item::quantity(std::move(result)));
}

Collection quantities(Operator op, const Quantity& left, const Quantity& right) {
    switch (op) {
        case Operator::plus:
        case Operator::minus:
            return quantity_sum(op, left, right);
        case Operator::multiply:
        case Operator::divide: {
            if (op == Operator::divide && right.value.is_zero()) return {};
            auto result =
                op == Operator::multiply
                    ? ucum::multiply(left.value, ucum_code(left), right.value, ucum_code(right))
                    : ucum::divide(left.value, ucum_code(left), right.value, ucum_code(right));
            if (!result) return {};
            return single(Item::quantity(Quantity{result->value, result->unit}));
        }
        default:
            return {};
    }
}

/// Date ± quantity.
Result<Collection> moved(Operator op, const Item& left, const Quantity& amount) {
    auto date = left.kind() == Kind::time ? left.time() : left.date();
    if (!date) return Collection();
    Decimal value = op == Operator::minus ? amount.value.negate() : amount.value;
    return single(
        Item::temporal(left.kind(), TRY(temporal::add(left.kind(), *date, value, amount.unit))));
}

std::optional<Quantity> as_quantity(const Item& item) {
    if (auto quantity = item.quantity()) return quantity;
    if (auto number = item.decimal()) return Quantity{*number};
    return std::nullopt;
}

Result<const Item*> operand(Operator op, const Collection& collection) {
    if (collection.empty()) return nullptr;
    if (collection.size() > 1) {
        return fail(Category::incorrect,
                    fmt::format("the operator {} needs single values, not {} items", symbol_of(op),
                                collection.size()));
    }
    return &collection.front();
}

Result<Collection> concatenated(const Collection& left, const Collection& right) {
    std::string text;
    for (const Collection* side : {&left, &right}) {
        const Item* item = TRY(operand(Operator::concatenate, *side));
        if (item == nullptr) continue;
        auto part = item->string();
        if (!part && item->has_value()) {
            return fail(Category::incorrect,
                        fmt::format("the operator & does not apply to {}", item->type_name()));
        }
        if (part) text += *part;
    }
    return single(Item::string(std::move(text)));
}

}  // namespace

Result<Collection> arithmetic(Operator op, const Collection& left_side,
                              const Collection& right_side) {
    if (op == Operator::concatenate) return concatenated(left_side, right_side);
    const Item* left = TRY(operand(op, left_side));
    const Item* right = TRY(operand(op, right_side));
    if (left == nullptr || right == nullptr) return Collection();
    Kind a = left->kind(), b = right->kind();
    if (a == Kind::integer && b == Kind::integer && op != Operator::divide) {
        auto x = left->integer(), y = right->integer();
        auto fits = [](std::int64_t value) { return value >= INT32_MIN && value <= INT32_MAX; };
        if (!x || !y) return Collection();
        if (fits(*x) && fits(*y)) return integers(op, *x, *y);
    }
    if (is_number(a) && is_number(b)) {
        auto x = left->decimal(), y = right->decimal();
        return x && y ? decimals(op, *x, *y) : Collection();
    }
    bool sums = op == Operator::plus || op == Operator::minus;
    if (op == Operator::plus && a == Kind::string && b == Kind::string) {
        auto x = left->string(), y = right->string();
        return x && y ? single(Item::string(std::string(*x) + std::string(*y))) : Collection();
    }
    auto y = as_quantity(*right);
    if (sums && y && (a == Kind::date || a == Kind::date_time || a == Kind::time)) {
        if (is_number(b)) return mismatch(op, *left, *right);
        return moved(op, *left, *y);
    }
    auto x = as_quantity(*left);
    if (x && y && op != Operator::div && op != Operator::modulo) return quantities(op, *x, *y);
    return mismatch(op, *left, *right);
}

}  // namespace meridian::fhir::path

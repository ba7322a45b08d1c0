// SPDX-License-Identifier: Apache-2.0
// toX() and convertsToX() (N1 §5.5).
#include "fhir/path/compare.hpp"
#include "fhir/path/evaluator.hpp"
#include "fhir/path/temporal.hpp"
#include "fhir/ucum/ucum.hpp"
#include "text/letter_case.hpp"

namespace meridian::fhir::path {
namespace {

using Converted = std::optional<Item>;

Converted to_boolean(const Item& item) {
    if (auto value = item.boolean()) return Item::boolean(*value);
    if (auto value = item.decimal()) {
        if (*value == Decimal(1)) return Item::boolean(true);
        if (*value == Decimal(0)) return Item::boolean(false);
        return std::nullopt;
    }
    auto text = item.string();
    if (!text) return std::nullopt;
    std::string lower = text::to_lower(*text);
    for (std::string_view word : {"true", "t", "yes", "y", "1", "1.0"}) {
        if (lower == word) return Item::boolean(true);
    }
    for (std::string_view word : {"false", "f", "no", "n", "0", "0.0"}) {
        if (lower == word) return Item::boolean(false);
    }
    return std::nullopt;
}

/// (+|-)?\d+ or with (\.\d+)?
std::optional<Decimal> number_of(std::string_view text, bool with_fraction) {
    std::string_view digits = text;
    if (digits.starts_with('+') || digits.starts_with('-')) digits.remove_prefix(1);
    auto point = digits.find('.');
    auto all_digits = [](std::string_view part) {
        return !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
    };
    bool well_formed = point == std::string_view::npos
                           ? all_digits(digits)
                           : with_fraction && all_digits(digits.substr(0, point)) &&
                                 all_digits(digits.substr(point + 1));
    if (!well_formed) return std::nullopt;
    if (text.starts_with('+')) text.remove_prefix(1);
    while (text.size() > 1 && text[0] == '0' && text[1] != '.') text.remove_prefix(1);
    if (text.starts_with("-0") && text.size() > 2 && text[2] != '.') {
        auto first = text.find_first_not_of('0', 1);
        auto magnitude = Decimal::parse(first == std::string_view::npos ? "0" : text.substr(first));
        return magnitude ? std::optional(magnitude->negate()) : std::nullopt;
    }
    auto number = Decimal::parse(text);
    return number ? std::optional(*number) : std::nullopt;
}

Converted to_integer(const Item& item) {
    if (auto value = item.integer()) return Item::integer(*value);
    if (auto value = item.boolean()) return Item::integer(*value ? 1 : 0);
    auto text = item.string();
    auto number = text ? number_of(*text, false) : std::nullopt;
    auto value =
        number ? number->to_integer() : Result<std::int64_t>(fail(Category::incorrect, ""));
    if (!value || *value < INT32_MIN || *value > INT32_MAX) return std::nullopt;
    return Item::integer(*value);
}

Converted to_decimal(const Item& item) {
    if (auto value = item.decimal()) return Item::decimal(*value);
    if (auto value = item.boolean()) return Item::decimal(Decimal::from_parts(*value ? 10 : 0, 1));
    auto text = item.string();
    auto number = text ? number_of(*text, true) : std::nullopt;
    return number ? Converted(Item::decimal(*number)) : std::nullopt;
}

Converted to_string(const Item& item) {
    auto text = item.to_text();
    return text ? Converted(Item::string(std::move(*text))) : std::nullopt;
}

Converted to_date(const Item& item) {
    if (auto date = item.date()) {
        PartialDate day = *date;
        day.precision = std::min(day.precision, DatePrecision::day);
        day.hour = day.minute = day.second = day.millisecond = 0;
        day.zone_minutes.reset();
        return Item::temporal(Kind::date, day);
    }
    auto text = item.string();
    if (!text) return std::nullopt;
    if (auto date = temporal::parse(Kind::date, *text)) return Item::temporal(Kind::date, *date);
    if (auto date = temporal::parse(Kind::date_time, *text))
        return to_date(Item::temporal(Kind::date_time, *date));
    return std::nullopt;
}

Converted to_date_time(const Item& item) {
    if (auto date = item.date()) return Item::temporal(Kind::date_time, *date);
    auto text = item.string();
    auto date = text ? temporal::parse(Kind::date_time, *text) : std::nullopt;
    return date ? Converted(Item::temporal(Kind::date_time, *date)) : std::nullopt;
}

Converted to_time(const Item& item) {
    if (auto time = item.time()) return Item::temporal(Kind::time, *time);
    auto text = item.string();
    if (!text) return std::nullopt;
    auto time = temporal::parse(Kind::time, text->starts_with('T') ? text->substr(1) : *text);
    return time ? Converted(Item::temporal(Kind::time, *time)) : std::nullopt;
}

/// (?'value'(\+|-)?\d+(\.\d+)?)\s*('(?'unit'[^']+)'|(?'time'[a-zA-Z]+))?
std::optional<Quantity> quantity_of(std::string_view text) {
    auto end = text.find_first_not_of("+-.0123456789");
    std::string_view digits = text.substr(0, end);
    auto number = number_of(digits, true);
    if (!number) return std::nullopt;
    std::string_view rest = end == std::string_view::npos ? std::string_view() : text.substr(end);
    auto start = rest.find_first_not_of(" \t\r\n");
    if (start == std::string_view::npos)
        return rest.empty() ? std::optional(Quantity{*number}) : std::nullopt;
    rest.remove_prefix(start);
    if (rest.size() > 2 && rest.front() == '\'' && rest.back() == '\'') {
        std::string_view unit = rest.substr(1, rest.size() - 2);
        if (unit.find('\'') != std::string_view::npos) return std::nullopt;
        return Quantity{*number, std::string(unit)};
    }
    for (std::string_view word :
         {"year", "month", "week", "day", "hour", "minute", "second", "millisecond"}) {
        bool plural =
            rest.size() == word.size() + 1 && rest.starts_with(word) && rest.back() == 's';
        if (rest != word && !plural) continue;
        Quantity quantity{*number, std::string(word), true};
        quantity.plural = plural;
        return quantity;
    }
    return std::nullopt;
}

std::optional<Quantity> to_quantity(const Item& item) {
    if (auto quantity = item.quantity()) return quantity;
    if (auto number = item.decimal()) return Quantity{*number};
    if (auto value = item.boolean()) return Quantity{Decimal::from_parts(*value ? 10 : 0, 1)};
    auto text = item.string();
    return text ? quantity_of(*text) : std::nullopt;
}

std::string_view singular(std::string_view word) {
    for (std::string_view known :
         {"year", "month", "week", "day", "hour", "minute", "second", "millisecond"}) {
        if (word == known ||
            (word.starts_with(known) && word.size() == known.size() + 1 && word.back() == 's'))
            return known;
    }
    return {};
}

/// toQuantity(unit): the value in that unit; calendar words convert like their UCUM codes, years
/// and months by 365 and 30 days.
std::optional<Quantity> in_unit(const Quantity& quantity, const std::string& unit) {
    if (quantity.unit == unit) return quantity;
    std::string_view word = singular(unit);
    Quantity target{quantity.value, word.empty() ? unit : std::string(word), !word.empty()};
    auto days = [](const Quantity& of) -> std::optional<Decimal> {
        std::string_view code = ucum_code(of);
        if (of.calendar && code == "a") return Decimal(365);
        if (of.calendar && code == "mo") return Decimal(30);
        return std::nullopt;
    };
    std::string_view from = ucum_code(quantity), to = ucum_code(target);
    if (from == to) return target;
    bool long_pair = (from == "a" && to == "mo") || (from == "mo" && to == "a");
    Result<Decimal> value = fail(Category::incorrect, "");
    if (auto size = days(quantity); size && !long_pair) {
        auto product = Decimal::multiply(quantity.value, *size);
        if (product) value = ucum::convert(*product, "d", to);
    } else if (Quantity calendar{0,
                                 target.unit == "a"    ? "year"
                                 : target.unit == "mo" ? "month"
                                                       : target.unit,
                                 true};
               quantity.calendar && !long_pair && days(calendar)) {
        auto in_days = ucum::convert(quantity.value, from, "d");
        if (in_days) value = Decimal::divide(*in_days, *days(calendar));
    } else {
        value = ucum::convert(quantity.value, from, to);
    }
    if (!value) return std::nullopt;
    target.value = value->normalized();
    return target;
}

Result<Converted> to_quantity(const Call& call, const Item& item) {
    auto quantity = to_quantity(item);
    if (call.has_argument(0)) {
        auto unit = TRY(call.string_argument(0));
        if (unit && quantity) quantity = in_unit(*quantity, *unit);
    }
    return quantity ? Converted(Item::quantity(std::move(*quantity))) : std::nullopt;
}

Result<Converted> converted(const Call& call, const Item& item) {
    switch (call.node.function) {
        case Function::to_boolean:
        case Function::converts_to_boolean:
            return to_boolean(item);
        case Function::to_integer:
        case Function::converts_to_integer:
            return to_integer(item);
        case Function::to_decimal:
        case Function::converts_to_decimal:
            return to_decimal(item);
        case Function::to_string:
        case Function::converts_to_string:
            return to_string(item);
        case Function::to_date:
        case Function::converts_to_date:
            return to_date(item);
        case Function::to_date_time:
        case Function::converts_to_date_time:
            return to_date_time(item);
        case Function::to_time:
        case Function::converts_to_time:
            return to_time(item);
        default:
            return to_quantity(call, item);
    }
}

}  // namespace

Result<Collection> call_conversion(const Call& call) {
    const Item* item = TRY(call.input_item());
    if (item == nullptr) return Collection();
    Converted value = TRY(converted(call, *item));
    if (call.node.text.starts_with("convertsTo")) return boolean(value.has_value());
    return value ? single(std::move(*value)) : Collection();
}

}  // namespace meridian::fhir::path

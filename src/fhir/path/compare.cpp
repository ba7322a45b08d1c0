// SPDX-License-Identifier: Apache-2.0
#include "fhir/path/compare.hpp"

#include <functional>

#include "fhir/path/temporal.hpp"
#include "fhir/ucum/ucum.hpp"
#include "text/letter_case.hpp"

namespace meridian::fhir::path {
namespace {

bool is_number(Kind kind) {
    return kind == Kind::integer || kind == Kind::decimal;
}
bool is_date(Kind kind) {
    return kind == Kind::date || kind == Kind::date_time;
}

std::optional<bool> to_equality(std::partial_ordering order) {
    if (order == std::partial_ordering::unordered) return std::nullopt;
    return order == std::partial_ordering::equivalent;
}

std::partial_ordering order(const Decimal& left, const Decimal& right) {
    return left <=> right;
}

/// Any Unicode white space as one plain space, letters in lower case (N1 §String Equivalence).
std::string loosened(std::string_view text) {
    std::string lower = text::to_lower(text);
    for (char& c : lower) {
        if (c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v') c = ' ';
    }
    constexpr std::string_view no_break_space = "\xC2\xA0";
    for (auto at = lower.find(no_break_space); at != std::string::npos;
         at = lower.find(no_break_space, at)) {
        lower.replace(at, 2, " ");
    }
    return lower;
}

/// N1 §Decimal equivalence: both rounded to the places of the one with fewer, trailing zeros not
/// counted.
bool equivalent_numbers(const Decimal& left, const Decimal& right) {
    int places = std::max(0, std::min(left.normalized().scale(), right.normalized().scale()));
    return left.round(places) == right.round(places);
}

bool json_equivalent(const Json& left, const Json& right);

bool json_arrays_equivalent(const Json& left, const Json& right) {
    if (left.size() != right.size()) return false;
    std::vector<bool> taken(right.size(), false);
    for (const Json& item : left.items()) {
        bool found = false;
        for (std::size_t i = 0; i < right.size() && !found; ++i) {
            if (taken[i] || !json_equivalent(item, right.items()[i])) continue;
            taken[i] = found = true;
        }
        if (!found) return false;
    }
    return true;
}

bool json_equivalent(const Json& left, const Json& right) {
    if (left.kind() != right.kind()) return false;
    if (left.is_number()) {
        auto a = Decimal::parse(left.text());
        auto b = Decimal::parse(right.text());
        return a && b ? equivalent_numbers(*a, *b) : left.text() == right.text();
    }
    if (left.is_string()) return loosened(left.text()) == loosened(right.text());
    if (left.is_array()) return json_arrays_equivalent(left, right);
    if (left.is_object()) {
        if (left.size() != right.size()) return false;
        for (const JsonMember& member : left.members()) {
            const Json* other = right.find(member.key);
            if (other == nullptr || !json_equivalent(member.value, *other)) return false;
        }
        return true;
    }
    return equal(left, right);
}

bool same_nodes(const Item& left, const Item& right, bool (*same)(const Json&, const Json&)) {
    auto both = [&](const Json* a, const Json* b) {
        if (a == b) return true;
        return a != nullptr && b != nullptr && same(*a, *b);
    };
    if (left.node() != nullptr || right.node() != nullptr) return both(left.node(), right.node());
    return both(left.companion(), right.companion());
}

/// A number is a quantity of unit 1 where a quantity is expected.
std::optional<Quantity> as_quantity(const Item& item) {
    if (auto quantity = item.quantity()) return quantity;
    if (auto number = item.decimal()) return Quantity{*number};
    return std::nullopt;
}

bool is_quantity(const Item& item) {
    return item.kind() == Kind::quantity || (item.is_node() && item.quantity().has_value());
}

bool is_long_unit(std::string_view unit) {
    return unit == "year" || unit == "month";
}

/// A Quantity element's 'a' and 'mo' count as calendar units beside a calendar unit.
Quantity beside(Quantity quantity, const Quantity& other) {
    if (quantity.from_element && other.calendar && !quantity.calendar) {
        if (quantity.unit == "a" || quantity.unit == "mo") {
            quantity.unit = quantity.unit == "a" ? "year" : "month";
            quantity.calendar = true;
        }
    }
    return quantity;
}

/// Two calendar quantities of which one is in years or months (N1 §Time-valued conversion factors:
/// 12 months, 365 days, 30 days).
std::partial_ordering compare_long_calendar(const Quantity& left, const Quantity& right) {
    bool only_long = is_long_unit(left.unit) && is_long_unit(right.unit);
    auto size = [&](const Quantity& quantity) -> Decimal {
        if (quantity.unit == "year") return only_long ? 12 : 365;
        if (quantity.unit == "month") return only_long ? 1 : 30;
        auto days = ucum::convert(1, ucum_code(quantity), "d");
        return days ? *days : Decimal(0);
    };
    auto a = Decimal::multiply(left.value, size(left));
    auto b = Decimal::multiply(right.value, size(right));
    return a && b ? order(*a, *b) : std::partial_ordering::unordered;
}

bool equivalent_quantities(const Quantity& left, const Quantity& right) {
    std::string_view left_unit = ucum_code(left), right_unit = ucum_code(right);
    if (left_unit == right_unit) return equivalent_numbers(left.value, right.value);
    auto left_size = ucum::canonical(1, left_unit);
    auto right_size = ucum::canonical(1, right_unit);
    if (!left_size || !right_size || left_size->unit != right_size->unit) return false;
    // N1 §Quantity Equivalence: in the less granular unit, so that a conversion adds no precision.
    bool to_left = left_size->value >= right_size->value;
    auto converted = to_left ? ucum::convert(right.value, right_unit, left_unit)
                             : ucum::convert(left.value, left_unit, right_unit);
    return converted && equivalent_numbers(to_left ? left.value : right.value, *converted);
}

}  // namespace

/// Complex values: the same members with equal values; decimals by value. The depth is bounded by
/// limits::json_depth_max.
bool same_json(const Json& left, const Json& right) {
    if (left.kind() != right.kind()) return false;
    if (left.is_number()) {
        auto a = Decimal::parse(left.text());
        auto b = Decimal::parse(right.text());
        return a && b ? *a == *b : left.text() == right.text();
    }
    if (left.is_array()) {
        if (left.size() != right.size()) return false;
        for (std::size_t i = 0; i < left.size(); ++i) {
            if (!same_json(left.items()[i], right.items()[i])) return false;
        }
        return true;
    }
    if (left.is_object()) {
        if (left.size() != right.size()) return false;
        for (const JsonMember& member : left.members()) {
            const Json* other = right.find(member.key);
            if (other == nullptr || !same_json(member.value, *other)) return false;
        }
        return true;
    }
    return equal(left, right);
}

std::string_view ucum_code(const Quantity& quantity) {
    if (!quantity.calendar) return quantity.unit;
    constexpr std::pair<std::string_view, std::string_view> codes[] = {
        {"year", "a"}, {"month", "mo"},   {"week", "wk"},  {"day", "d"},
        {"hour", "h"}, {"minute", "min"}, {"second", "s"}, {"millisecond", "ms"},
    };
    for (const auto& [word, code] : codes) {
        if (word == quantity.unit) return code;
    }
    return quantity.unit;
}

std::partial_ordering compare(const Quantity& left_written, const Quantity& right_written) {
    Quantity left = beside(left_written, right_written),
             right = beside(right_written, left_written);
    if (left.unit == right.unit && left.calendar == right.calendar)
        return order(left.value, right.value);
    bool left_long = left.calendar && is_long_unit(left.unit);
    bool right_long = right.calendar && is_long_unit(right.unit);
    if (left_long || right_long) {
        // A calendar year or month is no definite duration: not comparable with 'a', 'd' …
        if (!left.calendar || !right.calendar) return std::partial_ordering::unordered;
        return compare_long_calendar(left, right);
    }
    auto a = ucum::canonical(left.value, ucum_code(left));
    auto b = ucum::canonical(right.value, ucum_code(right));
    if (!a || !b || a->unit != b->unit) return std::partial_ordering::unordered;
    return order(a->value, b->value);
}

std::optional<bool> equals(const Item& left, const Item& right) {
    Kind a = left.kind(), b = right.kind();
    if (a == Kind::none && b == Kind::none) {
        auto left_quantity = left.quantity(), right_quantity = right.quantity();
        if (left_quantity && right_quantity)
            return to_equality(compare(*left_quantity, *right_quantity));
        return same_nodes(left, right, same_json);
    }
    if (!left.has_value() || !right.has_value()) {
        if (is_quantity(left) || is_quantity(right)) {
            auto left_quantity = as_quantity(left), right_quantity = as_quantity(right);
            if (left_quantity && right_quantity)
                return to_equality(compare(*left_quantity, *right_quantity));
            return false;
        }
        return left.is_node() && right.is_node() && same_nodes(left, right, same_json);
    }
    if (is_number(a) && is_number(b)) {
        auto x = left.decimal(), y = right.decimal();
        return x && y && *x == *y;
    }
    if (a == Kind::quantity || b == Kind::quantity) {
        auto x = as_quantity(left), y = as_quantity(right);
        if (!x || !y) return false;
        return to_equality(compare(*x, *y));
    }
    if (is_date(a) && is_date(b)) {
        auto x = left.date(), y = right.date();
        if (!x || !y) return left.to_text() == right.to_text();
        return to_equality(temporal::compare(*x, *y, false));
    }
    if (a != b) return false;
    switch (a) {
        case Kind::boolean:
            return left.boolean() == right.boolean();
        case Kind::string:
            return left.string() == right.string();
        case Kind::time: {
            auto x = left.time(), y = right.time();
            if (!x || !y) return left.to_text() == right.to_text();
            return to_equality(temporal::compare(*x, *y, true));
        }
        default:
            return left.to_text() == right.to_text();
    }
}

std::optional<bool> equals(const Collection& left, const Collection& right) {
    if (left.size() != right.size()) return false;
    bool unknown = false;
    for (std::size_t i = 0; i < left.size(); ++i) {
        auto same = equals(left[i], right[i]);
        if (same == false) return false;
        if (!same) unknown = true;
    }
    if (unknown) return std::nullopt;
    return true;
}

bool equivalent(const Item& left, const Item& right) {
    Kind a = left.kind(), b = right.kind();
    if (is_quantity(left) || is_quantity(right)) {
        auto x = as_quantity(left), y = as_quantity(right);
        return x && y && equivalent_quantities(*x, *y);
    }
    if (!left.has_value() || !right.has_value()) {
        return left.is_node() && right.is_node() && same_nodes(left, right, json_equivalent);
    }
    if (is_number(a) && is_number(b)) {
        auto x = left.decimal(), y = right.decimal();
        return x && y && equivalent_numbers(*x, *y);
    }
    if (a == Kind::string && b == Kind::string) {
        auto x = left.string(), y = right.string();
        return x && y && (*x == *y || loosened(*x) == loosened(*y));
    }
    return equals(left, right).value_or(false);
}

bool equivalent(const Collection& left, const Collection& right) {
    if (left.size() != right.size()) return false;
    std::vector<bool> taken(right.size(), false);
    for (const Item& item : left) {
        bool found = false;
        for (std::size_t i = 0; i < right.size() && !found; ++i) {
            if (taken[i] || !equivalent(item, right[i])) continue;
            taken[i] = found = true;
        }
        if (!found) return false;
    }
    return true;
}

Result<std::partial_ordering> compare(const Item& left, const Item& right) {
    Kind a = left.kind(), b = right.kind();
    if (is_number(a) && is_number(b)) {
        auto x = left.decimal(), y = right.decimal();
        return x && y ? order(*x, *y) : std::partial_ordering::unordered;
    }
    if (is_quantity(left) || is_quantity(right)) {
        auto x = as_quantity(left), y = as_quantity(right);
        if (x && y) return compare(*x, *y);
    }
    if (is_date(a) && is_date(b)) {
        auto x = left.date(), y = right.date();
        return x && y ? temporal::compare(*x, *y, false) : std::partial_ordering::unordered;
    }
    if (a == Kind::time && b == Kind::time) {
        auto x = left.time(), y = right.time();
        return x && y ? temporal::compare(*x, *y, true) : std::partial_ordering::unordered;
    }
    if (a == Kind::string && b == Kind::string) {
        auto x = left.string(), y = right.string();
        if (!x || !y) return std::partial_ordering::unordered;
        // UTF-8 bytes sort as the code points do.
        int result = x->compare(*y);
        return result < 0   ? std::partial_ordering::less
               : result > 0 ? std::partial_ordering::greater
                            : std::partial_ordering::equivalent;
    }
    return fail(Category::incorrect, fmt::format("{} and {} cannot be compared by size",
                                                 left.type_name(), right.type_name()));
}

namespace {

/// Equal items have equal hashes; unequal ones may.
std::size_t hash_of(const Item& item) {
    switch (item.kind()) {
        case Kind::boolean:
            return item.boolean() == true ? 1 : 2;
        case Kind::string:
            return std::hash<std::string_view>()(item.string().value_or(""));
        case Kind::integer:
        case Kind::decimal: {
            auto number = item.decimal();
            return number ? std::hash<double>()(number->to_double()) : 3;
        }
        case Kind::date:
        case Kind::date_time: {
            auto date = item.date();  // equal ones start at the same moment, whatever their zones
            return date ? std::hash<std::int64_t>()(date->lower().milliseconds) : 4;
        }
        case Kind::time:
            return 5;
        case Kind::none: {
            if (item.node() == nullptr || !item.node()->is_object() || item.quantity()) return 6;
            std::size_t hash = 7 + item.node()->size();
            for (const JsonMember& member : item.node()->members()) {  // order does not count: add
                hash += std::hash<std::string_view>()(member.key) * 31;
                if (member.value.is_string())
                    hash += std::hash<std::string_view>()(member.value.text());
            }
            return hash;
        }
        default:
            return 6;
    }
}

}  // namespace

bool Seen::holds(const Item& item) const {
    auto it = items_.find(hash_of(item));
    if (it == items_.end()) return false;
    for (const Item& other : it->second) {
        if (equals(other, item) == true) return true;
    }
    return false;
}

bool Seen::add(const Item& item) {
    auto& bucket = items_[hash_of(item)];
    for (const Item& other : bucket) {
        if (equals(other, item) == true) return false;
    }
    bucket.push_back(item);
    return true;
}

}  // namespace meridian::fhir::path

// SPDX-License-Identifier: Apache-2.0
#include "fhir/search/values.hpp"

#include <cmath>

namespace meridian::fhir::search {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
double below(double value) {
    return std::nextafter(value, -infinity);
}
double above(double value) {
    return std::nextafter(value, infinity);
}

constexpr std::array<std::string_view, 9> prefixes{"eq", "ne", "gt", "lt", "ge",
                                                   "le", "sa", "eb", "ap"};

template <class T>
std::optional<T> tighter_from(const std::optional<T>& a, const std::optional<T>& b) {
    if (!a || !b) return a ? a : b;
    return std::max(*a, *b);
}
template <class T>
std::optional<T> tighter_to(const std::optional<T>& a, const std::optional<T>& b) {
    if (!a || !b) return a ? a : b;
    return std::min(*a, *b);
}

}  // namespace

std::vector<std::string_view> split_value(std::string_view value, char separator) {
    std::vector<std::string_view> parts;
    for (;;) {
        const std::size_t at = find_unescaped(value, separator);
        parts.push_back(value.substr(0, at));
        if (at == std::string_view::npos) return parts;
        value.remove_prefix(at + 1);
    }
}

std::size_t find_unescaped(std::string_view value, char separator) {
    for (std::size_t i = 0; i < value.size(); ++i) {
        if (value[i] == '\\') {
            ++i;
        } else if (value[i] == separator) {
            return i;
        }
    }
    return std::string_view::npos;
}

Result<std::string> unescape_value(std::string_view value) {
    std::string plain;
    plain.reserve(value.size());
    for (std::size_t i = 0; i < value.size(); ++i) {
        if (value[i] == '\\') {
            ++i;
            if (i == value.size() ||
                std::string_view(",$|\\").find(value[i]) == std::string_view::npos) {
                return fail(
                    Category::incorrect,
                    R"(a backslash stands before something other than ",", "$", "|" or "\": write "\\" for a backslash)");
            }
        }
        plain += value[i];
    }
    return plain;
}

Prefixed split_prefix(std::string_view value) {
    for (std::size_t i = 0; i < prefixes.size(); ++i) {
        if (value.starts_with(prefixes[i])) return {static_cast<Prefix>(i), value.substr(2)};
    }
    return {Prefix::eq, value};
}

std::string_view to_text(Prefix prefix) {
    return prefixes[static_cast<std::size_t>(prefix)];
}

Result<DateInterval> date_interval(std::string_view text, int zone_minutes) {
    // A "+" that was not encoded in the URL arrives as a space: 2013-01-14T10:00:05 08:00.
    constexpr std::size_t zone_length = 6;
    std::string repaired(text);
    const bool lost_plus = text.size() > zone_length && text[text.size() - zone_length] == ' ' &&
                           text.find('T') != std::string_view::npos;
    if (lost_plus) repaired[repaired.size() - zone_length] = '+';
    const PartialDate date = TRY(parse_date(repaired));
    return DateInterval{date.lower(zone_minutes).milliseconds,
                        date.upper(zone_minutes).milliseconds};
}

std::vector<store::DateBox> date_boxes(Prefix prefix, DateInterval s, Instant now) {
    using Box = store::DateBox;
    switch (prefix) {
        case Prefix::eq:
            return {Box{.lo_from = s.lo, .lo_below = s.hi, .hi_to = s.hi}};
        case Prefix::ne:
            return {Box{.lo_below = s.lo}, Box{.lo_from = s.lo, .hi_above = s.hi}};
        case Prefix::gt:
            return {Box{.hi_above = s.hi}};
        case Prefix::lt:
            return {Box{.lo_below = s.lo}};
        // gt or eq. What starts inside or after s is one of the two; what starts before must reach
        // beyond s.
        case Prefix::ge:
            return {Box{.lo_from = s.lo}, Box{.lo_below = s.lo, .hi_above = s.hi}};
        case Prefix::le:
            return {Box{.lo_below = s.lo}, Box{.lo_from = s.lo, .lo_below = s.hi, .hi_to = s.hi}};
        case Prefix::sa:
            return {Box{.lo_from = s.hi}};
        case Prefix::eb:
            return {Box{.hi_to = s.lo}};
        case Prefix::ap: {
            const std::int64_t middle = s.lo + (s.hi - s.lo) / 2;
            const std::int64_t gap = std::abs(now.milliseconds - middle) / 10;
            return {Box{.lo_below = s.hi + gap, .hi_above = s.lo - gap}};
        }
    }
    return {};
}

Result<NumberValue> number_value(std::string_view text) {
    const auto parsed = Decimal::parse(text);
    if (!parsed)
        return fail(Category::incorrect, fmt::format("\"{}\" is no number", text.substr(0, 80)));
    const Decimal value = *parsed;
    Decimal half = value.half_unit();
    // R4 reads 1e2 as [95, 105): one more digit than the written ones counts.
    const std::size_t exponent = text.find_first_of("eE");
    if (exponent != std::string_view::npos) {
        const std::string_view digits = text.substr(0, exponent);
        const auto mantissa = Decimal::parse(digits);
        int scale = 1;
        std::from_chars(text.data() + exponent + (text[exponent + 1] == '+' ? 2 : 1),
                        text.data() + text.size(), scale);
        if (mantissa) half = Decimal::from_parts(5, mantissa->scale() + 2 - scale);
    }
    const auto low = Decimal::subtract(value, half);
    const auto high = Decimal::add(value, half);
    if (!low || !high)
        return fail(Category::incorrect,
                    fmt::format("\"{}\" has too many digits", text.substr(0, 80)));
    return NumberValue{value, *low, *high};
}

std::vector<store::NumberBox> number_boxes(Prefix prefix, const NumberInterval& s) {
    using Box = store::NumberBox;
    switch (prefix) {
        case Prefix::eq:
            return {Box{.lo_from = s.low, .lo_below = s.high, .hi_to = below(s.high)}};
        case Prefix::ne:
            return {Box{.lo_below = s.low}, Box{.lo_from = s.low, .hi_above = below(s.high)}};
        case Prefix::gt:
            return {Box{.hi_above = s.value}};
        case Prefix::lt:
            return {Box{.lo_below = s.value}};
        case Prefix::ge:
            return {Box{.hi_above = below(s.value)}};
        case Prefix::le:
            return {Box{.lo_below = above(s.value)}};
        case Prefix::sa:
            return {Box{.lo_from = above(s.value)}};
        case Prefix::eb:
            return {Box{.hi_to = below(s.value)}};
        case Prefix::ap: {
            const double slack = std::abs(s.value) / 10;
            return {Box{.lo_below = above(s.value + slack), .hi_above = below(s.value - slack)}};
        }
    }
    return {};
}

std::optional<store::DateBox> intersect(const store::DateBox& a, const store::DateBox& b) {
    store::DateBox both{tighter_from(a.lo_from, b.lo_from), tighter_to(a.lo_below, b.lo_below),
                        tighter_from(a.hi_above, b.hi_above), tighter_to(a.hi_to, b.hi_to)};
    if (both.lo_from && both.lo_below && *both.lo_from >= *both.lo_below) return std::nullopt;
    if (both.hi_above && both.hi_to && *both.hi_above >= *both.hi_to) return std::nullopt;
    // Every row has lo < hi.
    if (both.lo_from && both.hi_to && *both.lo_from >= *both.hi_to) return std::nullopt;
    return both;
}

}  // namespace meridian::fhir::search

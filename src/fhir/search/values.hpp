// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/decimal.hpp"
#include "base/instant.hpp"
#include "base/result.hpp"
#include "store/plan.hpp"

/// Search values: escapes, prefixes, and the intervals that numbers and dates stand for.
/// Source: https://hl7.org/fhir/R4/search.html#prefix, #escaping
namespace meridian::fhir::search {

enum class Prefix : unsigned char { eq, ne, gt, lt, ge, le, sa, eb, ap };

/// Splits at unescaped `separator`; escapes stay in the parts. "a\,b,c" → {"a\,b", "c"}.
std::vector<std::string_view> split_value(std::string_view value, char separator);
/// Takes the escapes `\,` `\$` `\|` `\\` away. Errors: `incorrect` for any other backslash.
Result<std::string> unescape_value(std::string_view value);
/// Position of the first unescaped `separator`, or npos.
std::size_t find_unescaped(std::string_view value, char separator);

struct Prefixed {
    Prefix prefix = Prefix::eq;
    std::string_view rest;
};
/// "ge2013" → (ge, "2013").
Prefixed split_prefix(std::string_view value);
std::string_view to_text(Prefix prefix);

/// What a date value covers, [lo, hi) in milliseconds.
struct DateInterval {
    std::int64_t lo, hi;
};
Result<DateInterval> date_interval(std::string_view text, int zone_minutes);

/// The boxes of index rows that satisfy `prefix interval`: a row [lo, hi) matches when it lies in
/// any of them. Disjoint. `ap` widens by a tenth of the distance to `now`.
std::vector<store::DateBox> date_boxes(Prefix prefix, DateInterval interval, Instant now);

/// A number as written in a search.
struct NumberValue {
    Decimal value;
    Decimal low;   ///< inclusive: value - half a unit of its last digit
    Decimal high;  ///< exclusive
};
/// Errors: `incorrect` for text that is no number.
Result<NumberValue> number_value(std::string_view text);

/// The same as doubles, perhaps converted to another unit.
struct NumberInterval {
    double value, low, high;
};
/// The boxes of index rows [lo, hi] (closed; a plain number has lo = hi) that satisfy `prefix`.
/// Only eq, ne and ap use the precision of the value. Disjoint.
std::vector<store::NumberBox> number_boxes(Prefix prefix, const NumberInterval& interval);

/// Rows that lie in both boxes; nothing when none can.
std::optional<store::DateBox> intersect(const store::DateBox& a, const store::DateBox& b);

}  // namespace meridian::fhir::search

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "base/decimal.hpp"
#include "base/instant.hpp"
#include "base/result.hpp"
#include "fhir/path/value.hpp"

/// Dates, dateTimes and times as FHIRPath sees them: partial, compared component by component.
/// Private to the engine.
namespace meridian::fhir::path::temporal {

/// Reads a Date (YYYY[-MM[-DD]]), a DateTime (date[Thh[:mm[:ss[.fff]]][zone]]) or a Time
/// (hh[:mm[:ss[.fff]]]); `kind` says which. Nothing for other text. A fraction beyond milliseconds
/// is cut.
std::optional<PartialDate> parse(Kind kind, std::string_view text);

/// The ISO text; a DateTime without a time part ends with "T" only as a literal, which this is not.
std::string to_text(Kind kind, const PartialDate& value);

/// FHIRPath N1 §Date/Time Equality and §Comparison: unordered when one value is less precise or the
/// answer depends on a missing zone. Both must be times, or neither.
std::partial_ordering compare(const PartialDate& left, const PartialDate& right, bool is_time);

/// A duration of `value` × `unit` (a calendar word or one of the UCUM codes wk d h min s ms) added
/// to a date or time. Errors: `incorrect` for a unit that does not fit (cm; 'a' and 'mo', which are
/// no calendar units; days for a Time) and for a year outside 1..9999. Source: N1 §Date/Time
/// Arithmetic.
Result<PartialDate> add(Kind kind, const PartialDate& value, const Decimal& amount,
                        std::string_view unit);

/// Digits of precision: @2014 4, @2014-01 6, to the millisecond 17; of times 2, 4, 6, 9.
int precision(Kind kind, const PartialDate& value);

/// The least (or greatest) value that `value` can stand for, with `digits` of precision; nothing
/// for a precision that the type does not have.
std::optional<PartialDate> boundary(Kind kind, const PartialDate& value, int digits, bool greatest);

}  // namespace meridian::fhir::path::temporal

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace meridian {

/// A point on the time line: milliseconds since 1970-01-01T00:00:00Z (negative before).
struct Instant {
    std::int64_t milliseconds = 0;
    auto operator<=>(const Instant&) const = default;
};

/// The wall clock now.
Instant now();
/// "2024-05-01T08:30:00.123Z", always 24 characters, UTC.
std::string to_text(Instant instant);
/// "Wed, 01 May 2024 08:30:00 GMT" (RFC 9110 §5.6.7).
std::string to_http_date(Instant instant);
/// Reads an HTTP-date in its preferred form. Errors: `incorrect`.
Result<Instant> parse_http_date(std::string_view text);

/// Days since 1970-01-01 of a proleptic Gregorian date, and back.
std::int64_t days_from_civil(int year, unsigned month, unsigned day);
struct CivilDate {
    int year;
    unsigned month;
    unsigned day;
};
CivilDate civil_from_days(std::int64_t days);
unsigned days_in_month(int year, unsigned month);

/// How much of a FHIR date, dateTime, instant or time was written.
enum class DatePrecision : unsigned char { year, month, day, hour, minute, second, millisecond };

/// A FHIR date, dateTime or instant as written: partial, with or without time zone (FHIR R4
/// §2.24.0.1).
struct PartialDate {
    int year = 0;
    unsigned month = 1, day = 1, hour = 0, minute = 0, second = 0, millisecond = 0;
    DatePrecision precision = DatePrecision::year;
    std::optional<int> zone_minutes{};  ///< offset east of UTC; absent when none was written

    /// First instant covered; a missing zone is read as `default_zone_minutes`.
    Instant lower(int default_zone_minutes = 0) const;
    /// First instant *not* covered any more (exclusive end): lower + one unit of the precision.
    Instant upper(int default_zone_minutes = 0) const;
};

/// Parses YYYY, YYYY-MM, YYYY-MM-DD, or a date with time. Hour-minute without seconds is accepted
/// (search values allow it). Errors: `incorrect` whose message says what is wrong, e.g.
/// `"1987-13-02" is no date: month 13 (expected …)`. Blocking: never.
Result<PartialDate> parse_date(std::string_view text);

}  // namespace meridian

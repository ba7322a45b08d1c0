// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "base/instant.hpp"

namespace meridian::generate {

/// Days since 1970-01-01.
using Day = std::int32_t;
inline constexpr Day never = std::numeric_limits<Day>::max();
inline constexpr double days_per_year = 365.2425;

inline Day day_of(int year, unsigned month, unsigned day) {
    return static_cast<Day>(days_from_civil(year, month, day));
}
inline Day day_of(CivilDate date) {
    return day_of(date.year, date.month, date.day);
}
inline CivilDate civil(Day day) {
    return civil_from_days(day);
}
inline int years_between(Day from, Day to) {
    const CivilDate a = civil(from), b = civil(to);
    return b.year - a.year - ((b.month < a.month || (b.month == a.month && b.day < a.day)) ? 1 : 0);
}

/// Minutes since 1970-01-01T00:00 in the city's own time (UTC+8, no summer time).
struct Time {
    Day day = 0;
    int minute = 0;
    Time plus(int minutes) const {
        int total = minute + minutes;
        Day shifted = day;
        while (total >= 1440) total -= 1440, ++shifted;
        while (total < 0) total += 1440, --shifted;
        return {shifted, total};
    }
    auto operator<=>(const Time&) const = default;
};

inline void append_two(std::string& out, unsigned value) {
    out.push_back(static_cast<char>('0' + value / 10));
    out.push_back(static_cast<char>('0' + value % 10));
}
/// "2024-05-01"
inline void append_date(std::string& out, Day day) {
    const CivilDate date = civil(day);
    append_two(out, static_cast<unsigned>(date.year) / 100);
    append_two(out, static_cast<unsigned>(date.year) % 100);
    out.push_back('-');
    append_two(out, date.month);
    out.push_back('-');
    append_two(out, date.day);
}
/// "2024-05-01T08:30:00+08:00"
inline void append_time(std::string& out, Time time) {
    append_date(out, time.day);
    out.push_back('T');
    append_two(out, static_cast<unsigned>(time.minute) / 60);
    out.push_back(':');
    append_two(out, static_cast<unsigned>(time.minute) % 60);
    out.append(":00+08:00");
}
inline std::string date_text(Day day) {
    std::string text;
    append_date(text, day);
    return text;
}

}  // namespace meridian::generate

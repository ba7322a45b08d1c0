// SPDX-License-Identifier: Apache-2.0
#include "base/instant.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "base/message.hpp"

namespace meridian {

namespace {

constexpr std::int64_t milliseconds_per_day = 86'400'000;
constexpr std::array<std::string_view, 7> weekday_names = {"Sun", "Mon", "Tue", "Wed",
                                                           "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 12> month_names = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

std::int64_t floor_divide(std::int64_t value, std::int64_t by) {
    return value / by - (value % by < 0 ? 1 : 0);
}

/// An instant taken apart in UTC.
struct CivilTime {
    CivilDate date;
    std::int64_t days;
    unsigned hour, minute, second, millisecond;
};

CivilTime civil_time(Instant instant) {
    const std::int64_t days = floor_divide(instant.milliseconds, milliseconds_per_day);
    const auto rest = static_cast<unsigned>(instant.milliseconds - days * milliseconds_per_day);
    return {civil_from_days(days), days,       rest / 3'600'000, rest / 60'000 % 60,
            rest / 1000 % 60,      rest % 1000};
}

/// Writes `value` with leading zeros into exactly `width` characters.
void put_digits(char* out, unsigned value, int width) {
    for (int i = width - 1; i >= 0; --i, value /= 10) out[i] = static_cast<char>('0' + value % 10);
}

/// Keeps what texts of a fixed width can show: years 0000 to 9999.
Instant clamped(Instant instant) {
    constexpr std::int64_t first = -62'167'219'200'000;  // 0000-01-01T00:00:00.000Z
    constexpr std::int64_t last = 253'402'300'799'999;   // 9999-12-31T23:59:59.999Z
    return {std::clamp(instant.milliseconds, first, last)};
}

}  // namespace

Instant now() {
    using namespace std::chrono;
    return {duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count()};
}

std::string to_text(Instant instant) {
    const CivilTime time = civil_time(clamped(instant));
    std::string out = "0000-00-00T00:00:00.000Z";
    put_digits(&out[0], static_cast<unsigned>(time.date.year), 4);
    put_digits(&out[5], time.date.month, 2);
    put_digits(&out[8], time.date.day, 2);
    put_digits(&out[11], time.hour, 2);
    put_digits(&out[14], time.minute, 2);
    put_digits(&out[17], time.second, 2);
    put_digits(&out[20], time.millisecond, 3);
    return out;
}

std::string to_http_date(Instant instant) {
    const CivilTime time = civil_time(clamped(instant));
    const auto weekday =
        static_cast<std::size_t>(((time.days + 4) % 7 + 7) % 7);  // 1970-01-01 was a Thursday
    return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", weekday_names[weekday],
                       time.date.day, month_names[time.date.month - 1], time.date.year, time.hour,
                       time.minute, time.second);
}

// The two conversions count days in years that begin in March, so that the leap day is a year's
// last, and in eras of 400 years = 146,097 days. Source: Howard Hinnant, "chrono-Compatible
// Low-Level Date Algorithms".
std::int64_t days_from_civil(int year, unsigned month, unsigned day) {
    const std::int64_t march_year = year - (month <= 2 ? 1 : 0);
    const std::int64_t era = floor_divide(march_year, 400);
    const std::int64_t year_of_era = march_year - era * 400;
    const std::int64_t day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    const std::int64_t day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146'097 + day_of_era - 719'468;
}

CivilDate civil_from_days(std::int64_t days) {
    days += 719'468;
    const std::int64_t era = floor_divide(days, 146'097);
    const std::int64_t day_of_era = days - era * 146'097;
    const std::int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
    const std::int64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const std::int64_t march_month = (5 * day_of_year + 2) / 153;
    const auto day = static_cast<unsigned>(day_of_year - (153 * march_month + 2) / 5 + 1);
    const auto month = static_cast<unsigned>(march_month < 10 ? march_month + 3 : march_month - 9);
    return {static_cast<int>(year_of_era + era * 400 + (month <= 2 ? 1 : 0)), month, day};
}

unsigned days_in_month(int year, unsigned month) {
    constexpr std::array<unsigned, 12> lengths = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && is_leap ? 29 : lengths[month - 1];
}

Instant PartialDate::lower(int default_zone_minutes) const {
    const std::int64_t minutes = days_from_civil(year, month, day) * 1440 + hour * 60 + minute -
                                 zone_minutes.value_or(default_zone_minutes);
    return {(minutes * 60 + second) * 1000 + millisecond};
}

Instant PartialDate::upper(int default_zone_minutes) const {
    PartialDate next = *this;
    switch (precision) {
        case DatePrecision::year:
            ++next.year;
            return next.lower(default_zone_minutes);
        case DatePrecision::month:
            next.month = month == 12 ? 1 : month + 1;
            next.year += month == 12 ? 1 : 0;
            return next.lower(default_zone_minutes);
        case DatePrecision::day:
            return {lower(default_zone_minutes).milliseconds + milliseconds_per_day};
        case DatePrecision::hour:
            return {lower(default_zone_minutes).milliseconds + 3'600'000};
        case DatePrecision::minute:
            return {lower(default_zone_minutes).milliseconds + 60'000};
        case DatePrecision::second:
            return {lower(default_zone_minutes).milliseconds + 1000};
        case DatePrecision::millisecond:
            break;
    }
    return {lower(default_zone_minutes).milliseconds + 1};
}

namespace {

/// Reads the fields of a date from left to right; `problem` says what is wrong with the first
/// faulty one.
class DateReader {
 public:
    explicit DateReader(std::string_view text) : text_(text) {}

    bool read(PartialDate& date) {
        unsigned year = 0;
        if (!number(4, year, "a year of four digits")) return false;
        date.year = static_cast<int>(year);
        if (year == 0) return wrong("year 0000");
        if (at_end()) return true;

        date.precision = DatePrecision::month;
        if (!literal('-') || !number(2, date.month, "a month of two digits")) return false;
        if (date.month < 1 || date.month > 12) return wrong(fmt::format("month {:02}", date.month));
        if (at_end()) return true;

        date.precision = DatePrecision::day;
        if (!literal('-') || !number(2, date.day, "a day of two digits")) return false;
        const unsigned days = days_in_month(date.year, date.month);
        if (date.day < 1 || date.day > days) {
            return wrong(fmt::format("day {:02}, the month has {} days", date.day, days));
        }
        if (at_end()) return true;
        return literal('T') && time(date) && zone(date) &&
               (at_end() || wrong("characters after its end"));
    }
    const std::string& problem() const { return problem_; }

 private:
    bool time(PartialDate& date) {
        date.precision = DatePrecision::minute;
        if (!number(2, date.hour, "an hour of two digits") || !literal(':')) return false;
        // FHIR R4 §2.24.0.1: "24:00" shall not be used.
        if (date.hour > 23) return wrong(fmt::format("hour {:02}", date.hour));
        if (!number(2, date.minute, "a minute of two digits")) return false;
        if (date.minute > 59) return wrong(fmt::format("minute {:02}", date.minute));
        if (at_end() || text_[at_] != ':') return true;

        ++at_;
        date.precision = DatePrecision::second;
        if (!number(2, date.second, "a second of two digits")) return false;
        // A leap second has no place on a time line of 86,400 seconds a day, so it is refused and
        // not moved silently.
        if (date.second > 59) return wrong(fmt::format("second {:02}", date.second));
        if (at_end() || text_[at_] != '.') return true;

        ++at_;
        date.precision = DatePrecision::millisecond;
        return fraction(date.millisecond);
    }

    /// Milliseconds from any number of digits; what is finer is cut off.
    bool fraction(unsigned& millisecond) {
        const std::size_t start = at_;
        unsigned weight = 100;
        for (; !at_end() && is_digit(text_[at_]); ++at_, weight /= 10) {
            millisecond += static_cast<unsigned>(text_[at_] - '0') * weight;
        }
        return at_ != start || wrong("no digit after the point");
    }

    bool zone(PartialDate& date) {
        if (at_end()) return true;
        const char sign = text_[at_];
        if (sign == 'Z') {
            ++at_;
            date.zone_minutes = 0;
            return true;
        }
        if (sign != '+' && sign != '-') return wrong("no zone Z, +hh:mm or -hh:mm after the time");
        ++at_;
        unsigned hours = 0;
        unsigned minutes = 0;
        if (!number(2, hours, "zone hours of two digits") || !literal(':') ||
            !number(2, minutes, "zone minutes of two digits")) {
            return false;
        }
        if (minutes > 59 || hours * 60 + minutes > 14 * 60) {
            return wrong(fmt::format("zone {}{:02}:{:02}, at most 14:00", sign, hours, minutes));
        }
        const int offset = static_cast<int>(hours * 60 + minutes);
        date.zone_minutes = sign == '-' ? -offset : offset;
        return true;
    }

    static bool is_digit(char c) { return c >= '0' && c <= '9'; }
    bool at_end() const { return at_ == text_.size(); }
    bool wrong(std::string problem) {
        problem_ = std::move(problem);
        return false;
    }
    bool literal(char c) {
        if (at_end() || text_[at_] != c)
            return wrong(fmt::format("no '{}' after {} characters", c, at_));
        ++at_;
        return true;
    }
    bool number(std::size_t width, unsigned& value, std::string_view expected) {
        value = 0;
        for (std::size_t i = 0; i < width; ++i, ++at_) {
            if (at_end() || !is_digit(text_[at_]))
                return wrong(fmt::format("it lacks {}", expected));
            value = value * 10 + static_cast<unsigned>(text_[at_] - '0');
        }
        return true;
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::string problem_;
};

}  // namespace

Result<PartialDate> parse_date(std::string_view text) {
    PartialDate date;
    DateReader reader(text);
    if (reader.read(date)) return date;
    const bool has_time = text.find('T') != std::string_view::npos;
    return fail(
        Category::incorrect,
        fmt::format("\"{}\" is no date: {} (expected {})", shown_in_message(text), reader.problem(),
                    has_time ? "YYYY-MM-DDThh:mm:ss with a zone such as Z or +08:00"
                             : "YYYY, YYYY-MM or YYYY-MM-DD"));
}

Result<Instant> parse_http_date(std::string_view text) {
    // "Wed, 01 May 2024 08:30:00 GMT": every field has its fixed place (RFC 9110 §5.6.7,
    // IMF-fixdate).
    const auto wrong = [&] {
        return fail(
            Category::incorrect,
            fmt::format("\"{}\" is no HTTP date (expected e.g. Wed, 01 May 2024 08:30:00 GMT)",
                        shown_in_message(text)));
    };
    if (text.size() != 29) return wrong();
    bool sound = text.substr(3, 2) == ", " && text[7] == ' ' && text[11] == ' ' &&
                 text[16] == ' ' && text[19] == ':' && text[22] == ':' &&
                 text.substr(25) == " GMT" &&
                 std::ranges::find(weekday_names, text.substr(0, 3)) != weekday_names.end();
    const auto number = [&](std::size_t at, std::size_t width) {
        unsigned value = 0;
        for (const char c : text.substr(at, width)) {
            sound = sound && c >= '0' && c <= '9';
            value = value * 10 + static_cast<unsigned>(c - '0');
        }
        return value;
    };
    const auto month = std::ranges::find(month_names, text.substr(8, 3));
    PartialDate date{.year = static_cast<int>(number(12, 4)),
                     .month = static_cast<unsigned>(month - month_names.begin()) + 1,
                     .day = number(5, 2),
                     .hour = number(17, 2),
                     .minute = number(20, 2),
                     .second = number(23, 2)};
    if (!sound || month == month_names.end() || date.day < 1 ||
        date.day > days_in_month(date.year, date.month) || date.hour > 23 || date.minute > 59 ||
        date.second > 60) {
        return wrong();
    }
    // The grammar allows a leap second; half a second off is harmless for a cache date.
    date.second = std::min(date.second, 59u);
    return date.lower();
}

}  // namespace meridian

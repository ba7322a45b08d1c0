// SPDX-License-Identifier: Apache-2.0
#include "fhir/path/temporal.hpp"

#include <array>
#include <utility>

namespace meridian::fhir::path::temporal {
namespace {

/// Reads digits and separators from the front of a text.
class Reader {
 public:
    explicit Reader(std::string_view text) : text_(text) {}

    bool done() const { return at_ == text_.size(); }
    bool at(char c) const { return at_ < text_.size() && text_[at_] == c; }
    bool take(char c) {
        if (!at(c)) return false;
        ++at_;
        return true;
    }
    std::optional<unsigned> digits(std::size_t count) {
        if (text_.size() - at_ < count) return std::nullopt;
        unsigned value = 0;
        for (std::size_t i = 0; i < count; ++i) {
            char c = text_[at_ + i];
            if (c < '0' || c > '9') return std::nullopt;
            value = value * 10 + static_cast<unsigned>(c - '0');
        }
        at_ += count;
        return value;
    }
    /// ".5" → 500; nothing when no digit follows.
    std::optional<unsigned> milliseconds() {
        unsigned value = 0, count = 0;
        while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') {
            if (count < 3) value = value * 10 + static_cast<unsigned>(text_[at_] - '0');
            ++count;
            ++at_;
        }
        if (count == 0) return std::nullopt;
        for (; count < 3; ++count) value *= 10;
        return value;
    }

 private:
    std::string_view text_;
    std::size_t at_ = 0;
};

bool read_date(Reader& reader, PartialDate& date) {
    auto year = reader.digits(4);
    if (!year || *year == 0) return false;
    date.year = static_cast<int>(*year);
    date.precision = DatePrecision::year;
    if (!reader.take('-')) return true;
    auto month = reader.digits(2);
    if (!month || *month < 1 || *month > 12) return false;
    date.month = *month;
    date.precision = DatePrecision::month;
    if (!reader.take('-')) return true;
    auto day = reader.digits(2);
    if (!day || *day < 1 || *day > days_in_month(date.year, date.month)) return false;
    date.day = *day;
    date.precision = DatePrecision::day;
    return true;
}

bool read_time(Reader& reader, PartialDate& date) {
    auto hour = reader.digits(2);
    if (!hour || *hour > 23) return false;
    date.hour = *hour;
    date.precision = DatePrecision::hour;
    if (!reader.take(':')) return true;
    auto minute = reader.digits(2);
    if (!minute || *minute > 59) return false;
    date.minute = *minute;
    date.precision = DatePrecision::minute;
    if (!reader.take(':')) return true;
    auto second = reader.digits(2);
    if (!second || *second > 60) return false;
    date.second = *second;
    date.precision = DatePrecision::second;
    if (!reader.take('.')) return true;
    auto fraction = reader.milliseconds();
    if (!fraction) return false;
    date.millisecond = *fraction;
    date.precision = DatePrecision::millisecond;
    return true;
}

bool read_zone(Reader& reader, PartialDate& date) {
    if (reader.take('Z')) {
        date.zone_minutes = 0;
        return true;
    }
    bool west = reader.at('-');
    if (!reader.take('+') && !reader.take('-')) return true;
    auto hours = reader.digits(2);
    if (!hours || *hours > 14 || !reader.take(':')) return false;
    auto minutes = reader.digits(2);
    if (!minutes || *minutes > 59) return false;
    int offset = static_cast<int>(*hours * 60 + *minutes);
    date.zone_minutes = west ? -offset : offset;
    return true;
}

constexpr std::int64_t day_milliseconds = 86'400'000;

std::int64_t milliseconds_of_day(const PartialDate& date) {
    return ((static_cast<std::int64_t>(date.hour) * 60 + date.minute) * 60 + date.second) * 1000 +
           date.millisecond;
}

/// Sets the calendar and clock fields to `milliseconds` since 1970 on the value's own clock;
/// precision and zone stay.
void set_clock(PartialDate& date, std::int64_t milliseconds) {
    std::int64_t days = milliseconds / day_milliseconds;
    std::int64_t rest = milliseconds % day_milliseconds;
    if (rest < 0) {
        rest += day_milliseconds;
        --days;
    }
    CivilDate civil = civil_from_days(days);
    date.year = civil.year;
    date.month = civil.month;
    date.day = civil.day;
    date.hour = static_cast<unsigned>(rest / 3'600'000);
    date.minute = static_cast<unsigned>(rest / 60'000 % 60);
    date.second = static_cast<unsigned>(rest / 1000 % 60);
    date.millisecond = static_cast<unsigned>(rest % 1000);
}

std::int64_t clock_of(const PartialDate& date) {
    return days_from_civil(date.year, date.month, date.day) * day_milliseconds +
           milliseconds_of_day(date);
}

PartialDate in_utc(PartialDate date) {
    set_clock(date, clock_of(date) - static_cast<std::int64_t>(*date.zone_minutes) * 60'000);
    date.zone_minutes = 0;
    return date;
}

std::partial_ordering order(std::int64_t left, std::int64_t right) {
    return left < right   ? std::partial_ordering::less
           : left > right ? std::partial_ordering::greater
                          : std::partial_ordering::equivalent;
}

/// One value has a zone, the other none: the answer counts only when no zone from −12:00 to +14:00
/// changes it.
std::partial_ordering compare_across_missing_zone(const PartialDate& left,
                                                  const PartialDate& right) {
    constexpr std::int64_t hour = 3'600'000;
    auto range = [](const PartialDate& date) {
        std::int64_t clock = clock_of(date);
        if (date.zone_minutes) {
            clock -= static_cast<std::int64_t>(*date.zone_minutes) * 60'000;
            return std::pair(clock, clock);
        }
        return std::pair(clock - 14 * hour, clock + 12 * hour);
    };
    auto [left_low, left_high] = range(left);
    auto [right_low, right_high] = range(right);
    std::int64_t margin =
        left.precision >= DatePrecision::second && right.precision >= DatePrecision::second ? 0
                                                                                            : hour;
    if (left_high + margin < right_low) return std::partial_ordering::less;
    if (right_high + margin < left_low) return std::partial_ordering::greater;
    return std::partial_ordering::unordered;
}

enum class Unit : unsigned char { year, month, week, day, hour, minute, second, millisecond };

std::optional<Unit> unit_of(std::string_view name) {
    constexpr std::pair<std::string_view, Unit> names[] = {
        {"year", Unit::year},      {"years", Unit::year},
        {"month", Unit::month},    {"months", Unit::month},
        {"week", Unit::week},      {"weeks", Unit::week},
        {"wk", Unit::week},        {"day", Unit::day},
        {"days", Unit::day},       {"d", Unit::day},
        {"hour", Unit::hour},      {"hours", Unit::hour},
        {"h", Unit::hour},         {"minute", Unit::minute},
        {"minutes", Unit::minute}, {"min", Unit::minute},
        {"second", Unit::second},  {"seconds", Unit::second},
        {"s", Unit::second},       {"millisecond", Unit::millisecond},
        {"ms", Unit::millisecond}, {"milliseconds", Unit::millisecond},
    };
    for (const auto& [text, unit] : names) {
        if (text == name) return unit;
    }
    return std::nullopt;
}

std::int64_t milliseconds_of(Unit unit) {
    switch (unit) {
        case Unit::week:
            return 7 * day_milliseconds;
        case Unit::day:
            return day_milliseconds;
        case Unit::hour:
            return 3'600'000;
        case Unit::minute:
            return 60'000;
        case Unit::second:
            return 1000;
        default:
            return 1;
    }
}

Result<PartialDate> with_months_added(PartialDate date, std::int64_t months) {
    std::int64_t total = static_cast<std::int64_t>(date.year) * 12 + (date.month - 1) + months;
    std::int64_t year = total / 12;
    if (total < 12 || year > 9999)
        return fail(Category::incorrect, "date arithmetic leaves the years 0001 to 9999");
    date.year = static_cast<int>(year);
    date.month = static_cast<unsigned>(total % 12) + 1;
    date.day = std::min(date.day, days_in_month(date.year, date.month));
    return date;
}

/// A year-only or month-only value: the duration is converted to whole years or months first.
Result<PartialDate> add_to_partial(const PartialDate& date, std::int64_t amount, Unit unit) {
    bool years_only = date.precision == DatePrecision::year;
    if (unit == Unit::year) return with_months_added(date, amount * 12);
    if (unit == Unit::month) return with_months_added(date, years_only ? amount / 12 * 12 : amount);
    std::int64_t days = amount * milliseconds_of(unit) / day_milliseconds;
    return with_months_added(date, years_only ? days / 365 * 12 : days / 30);
}

Result<PartialDate> add_milliseconds(Kind kind, PartialDate date, std::int64_t milliseconds) {
    if (kind == Kind::time) {
        std::int64_t clock = (milliseconds_of_day(date) + milliseconds) % day_milliseconds;
        if (clock < 0) clock += day_milliseconds;
        date.hour = static_cast<unsigned>(clock / 3'600'000);
        date.minute = static_cast<unsigned>(clock / 60'000 % 60);
        date.second = static_cast<unsigned>(clock / 1000 % 60);
        date.millisecond = static_cast<unsigned>(clock % 1000);
        return date;
    }
    set_clock(date, clock_of(date) + milliseconds);
    if (date.year < 1 || date.year > 9999)
        return fail(Category::incorrect, "date arithmetic leaves the years 0001 to 9999");
    return date;
}

/// The size in milliseconds of the last written part.
std::int64_t step_of(DatePrecision precision) {
    switch (precision) {
        case DatePrecision::day:
            return day_milliseconds;
        case DatePrecision::hour:
            return 3'600'000;
        case DatePrecision::minute:
            return 60'000;
        case DatePrecision::second:
            return 1000;
        default:
            return 1;
    }
}

std::optional<DatePrecision> precision_of_digits(Kind kind, int digits) {
    if (kind == Kind::time) {
        switch (digits) {
            case 2:
                return DatePrecision::hour;
            case 4:
                return DatePrecision::minute;
            case 6:
                return DatePrecision::second;
            case 9:
                return DatePrecision::millisecond;
            default:
                return std::nullopt;
        }
    }
    switch (digits) {
        case 4:
            return DatePrecision::year;
        case 6:
            return DatePrecision::month;
        case 8:
            return DatePrecision::day;
        case 10:
            return kind == Kind::date ? std::nullopt : std::optional(DatePrecision::hour);
        case 12:
            return kind == Kind::date ? std::nullopt : std::optional(DatePrecision::minute);
        case 14:
            return kind == Kind::date ? std::nullopt : std::optional(DatePrecision::second);
        case 17:
            return kind == Kind::date ? std::nullopt : std::optional(DatePrecision::millisecond);
        default:
            return std::nullopt;
    }
}

}  // namespace

std::optional<PartialDate> parse(Kind kind, std::string_view text) {
    Reader reader(text);
    PartialDate date;
    if (kind == Kind::time) {
        date.year = 1970;
        if (!read_time(reader, date) || !reader.done()) return std::nullopt;
        return date;
    }
    if (!read_date(reader, date)) return std::nullopt;
    if (kind == Kind::date_time && reader.take('T') && !reader.done()) {
        if (date.precision != DatePrecision::day) return std::nullopt;
        if (!read_time(reader, date) || !read_zone(reader, date)) return std::nullopt;
    }
    if (!reader.done()) return std::nullopt;
    return date;
}

std::string to_text(Kind kind, const PartialDate& value) {
    std::string text;
    if (kind != Kind::time) {
        text = fmt::format("{:04}", value.year);
        if (value.precision >= DatePrecision::month) text += fmt::format("-{:02}", value.month);
        if (value.precision >= DatePrecision::day) text += fmt::format("-{:02}", value.day);
        if (value.precision >= DatePrecision::hour) text += 'T';
    }
    if (value.precision >= DatePrecision::hour) text += fmt::format("{:02}", value.hour);
    if (value.precision >= DatePrecision::minute) text += fmt::format(":{:02}", value.minute);
    if (value.precision >= DatePrecision::second) text += fmt::format(":{:02}", value.second);
    if (value.precision >= DatePrecision::millisecond)
        text += fmt::format(".{:03}", value.millisecond);
    if (value.zone_minutes && value.precision >= DatePrecision::hour) {
        int offset = *value.zone_minutes;
        unsigned size = static_cast<unsigned>(offset < 0 ? -offset : offset);
        text += offset == 0
                    ? "Z"
                    : fmt::format("{}{:02}:{:02}", offset < 0 ? '-' : '+', size / 60, size % 60);
    }
    return text;
}

std::partial_ordering compare(const PartialDate& left, const PartialDate& right, bool is_time) {
    PartialDate a = left, b = right;
    bool both_timed = a.precision >= DatePrecision::hour && b.precision >= DatePrecision::hour;
    if (!is_time && both_timed) {
        if (a.zone_minutes.has_value() != b.zone_minutes.has_value())
            return compare_across_missing_zone(a, b);
        if (a.zone_minutes && a.zone_minutes != b.zone_minutes) {
            a = in_utc(a);
            b = in_utc(b);
        }
    }
    auto rank = [](DatePrecision precision) {  // seconds and milliseconds are one precision
        return precision == DatePrecision::millisecond ? DatePrecision::second : precision;
    };
    std::array<std::pair<DatePrecision, std::pair<std::int64_t, std::int64_t>>, 6> parts = {{
        {DatePrecision::year, {a.year, b.year}},
        {DatePrecision::month, {a.month, b.month}},
        {DatePrecision::day, {a.day, b.day}},
        {DatePrecision::hour, {a.hour, b.hour}},
        {DatePrecision::minute, {a.minute, b.minute}},
        {DatePrecision::second, {a.second * 1000 + a.millisecond, b.second * 1000 + b.millisecond}},
    }};
    for (const auto& [part, values] : parts) {
        if (is_time && part < DatePrecision::hour) continue;
        bool has_left = rank(a.precision) >= part, has_right = rank(b.precision) >= part;
        if (!has_left && !has_right) break;
        if (has_left != has_right) return std::partial_ordering::unordered;
        auto result = order(values.first, values.second);
        if (result != std::partial_ordering::equivalent) return result;
    }
    return std::partial_ordering::equivalent;
}

Result<PartialDate> add(Kind kind, const PartialDate& value, const Decimal& amount,
                        std::string_view unit_name) {
    auto unit = unit_of(unit_name);
    if (!unit) {
        return fail(Category::incorrect,
                    fmt::format("'{}' is no unit for date arithmetic (expected year, month, week, "
                                "day, hour, minute, second or "
                                "millisecond)",
                                unit_name));
    }
    if (kind == Kind::time && *unit <= Unit::day)
        return fail(Category::incorrect, "a Time has no years, months, weeks or days");

    Decimal whole = amount;
    if (*unit == Unit::second) {  // only seconds have a fraction that counts
        whole = TRY(Decimal::multiply(amount, 1000));
        unit = Unit::millisecond;
    }
    std::int64_t count = TRY(whole.truncate().to_integer());
    constexpr std::int64_t count_max = 400'000'000'000'000;  // ten thousand years of milliseconds
    if (count > count_max / milliseconds_of(*unit) || count < -count_max / milliseconds_of(*unit)) {
        return fail(Category::incorrect, "date arithmetic leaves the years 0001 to 9999");
    }
    if (kind != Kind::time && value.precision < DatePrecision::day)
        return add_to_partial(value, count, *unit);
    if (*unit == Unit::year) {
        if (count > 10'000 || count < -10'000)
            return fail(Category::incorrect, "date arithmetic leaves the years 0001 to 9999");
        return with_months_added(value, count * 12);
    }
    if (*unit == Unit::month) return with_months_added(value, count);
    std::int64_t milliseconds = count * milliseconds_of(*unit);
    PartialDate date = value;
    if (date.precision == DatePrecision::second && milliseconds % 1000 != 0)
        date.precision = DatePrecision::millisecond;
    std::int64_t step = step_of(date.precision);
    return add_milliseconds(kind, date, milliseconds / step * step);
}

int precision(Kind kind, const PartialDate& value) {
    constexpr int date_digits[] = {4, 6, 8, 10, 12, 14, 17};
    constexpr int time_digits[] = {0, 0, 0, 2, 4, 6, 9};
    auto index = static_cast<std::size_t>(value.precision);
    return kind == Kind::time ? time_digits[index] : date_digits[index];
}

std::optional<PartialDate> boundary(Kind kind, const PartialDate& value, int digits,
                                    bool greatest) {
    auto wanted = precision_of_digits(kind, digits);
    if (!wanted) return std::nullopt;
    PartialDate result = value;
    if (value.precision < DatePrecision::month) result.month = greatest ? 12 : 1;
    if (value.precision < DatePrecision::day)
        result.day = greatest ? days_in_month(result.year, result.month) : 1;
    if (value.precision < DatePrecision::hour) result.hour = greatest ? 23 : 0;
    if (value.precision < DatePrecision::minute) result.minute = greatest ? 59 : 0;
    if (value.precision < DatePrecision::second) result.second = greatest ? 59 : 0;
    if (value.precision < DatePrecision::millisecond) result.millisecond = greatest ? 999 : 0;
    result.precision = *wanted;
    // Without a zone the earliest moment is the one of the easternmost clock, +14:00, the latest
    // that of −12:00.
    if (kind == Kind::date_time && *wanted >= DatePrecision::hour && !value.zone_minutes) {
        result.zone_minutes = greatest ? -12 * 60 : 14 * 60;
    }
    if (*wanted < DatePrecision::hour) result.zone_minutes.reset();
    return result;
}

}  // namespace meridian::fhir::path::temporal

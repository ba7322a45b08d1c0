// SPDX-License-Identifier: Apache-2.0
#include "base/instant.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace meridian {
namespace {

std::string range(std::string_view text) {
    const auto date = parse_date(text);
    return date ? to_text(date->lower()) + " " + to_text(date->upper())
                : "error: " + date.error().message;
}

TEST(Instant, KnownDays) {
    EXPECT_EQ(days_from_civil(1970, 1, 1), 0);
    EXPECT_EQ(days_from_civil(2000, 3, 1), 11'017);
    EXPECT_EQ(days_from_civil(1969, 12, 31), -1);
    EXPECT_EQ(to_text(Instant{0}), "1970-01-01T00:00:00.000Z");
    EXPECT_EQ(to_text(Instant{-1}), "1969-12-31T23:59:59.999Z");
    EXPECT_EQ(to_text(Instant{INT64_MAX}), "9999-12-31T23:59:59.999Z");
    EXPECT_EQ(to_text(Instant{INT64_MIN}), "0000-01-01T00:00:00.000Z");
}

TEST(Instant, DaysFollowOneAnother) {
    // Walks every day of 1,000 years by the calendar's own rules.
    std::int64_t days = days_from_civil(1600, 1, 1);
    for (int year = 1600; year < 2600; ++year) {
        for (unsigned month = 1; month <= 12; ++month) {
            for (unsigned day = 1; day <= days_in_month(year, month); ++day, ++days) {
                ASSERT_EQ(days_from_civil(year, month, day), days);
                const CivilDate back = civil_from_days(days);
                ASSERT_TRUE(back.year == year && back.month == month && back.day == day) << days;
            }
        }
    }
}

RC_GTEST_PROP(InstantProperty, CivilDateIsAnInverse, ()) {
    const auto days = *rc::gen::inRange<std::int64_t>(-1'000'000'000, 1'000'000'000);
    const CivilDate date = civil_from_days(days);
    RC_ASSERT(date.month >= 1 && date.month <= 12 && date.day >= 1 &&
              date.day <= days_in_month(date.year, date.month));
    RC_ASSERT(days_from_civil(date.year, date.month, date.day) == days);
}

RC_GTEST_PROP(InstantProperty, TextRoundTrips, ()) {
    const Instant instant{
        *rc::gen::inRange<std::int64_t>(-62'135'596'800'000, 253'402'300'800'000)};
    const auto date = parse_date(to_text(instant));
    RC_ASSERT(date.has_value());
    RC_ASSERT(date->lower() == instant);
    RC_ASSERT(date->upper().milliseconds == instant.milliseconds + 1);
}

TEST(Instant, LeapYears) {
    EXPECT_EQ(days_in_month(2000, 2), 29u);
    EXPECT_EQ(days_in_month(1900, 2), 28u);
    EXPECT_EQ(days_in_month(2024, 2), 29u);
    EXPECT_EQ(days_in_month(2023, 2), 28u);
    EXPECT_TRUE(parse_date("2024-02-29"));
    EXPECT_FALSE(parse_date("2023-02-29"));
}

TEST(PartialDate, CoversWhatItsPrecisionSays) {
    EXPECT_EQ(range("2024"), "2024-01-01T00:00:00.000Z 2025-01-01T00:00:00.000Z");
    EXPECT_EQ(range("2024-02"), "2024-02-01T00:00:00.000Z 2024-03-01T00:00:00.000Z");
    EXPECT_EQ(range("2024-12"), "2024-12-01T00:00:00.000Z 2025-01-01T00:00:00.000Z");
    EXPECT_EQ(range("2024-02-29"), "2024-02-29T00:00:00.000Z 2024-03-01T00:00:00.000Z");
    EXPECT_EQ(range("2024-02-29T23:59Z"), "2024-02-29T23:59:00.000Z 2024-03-01T00:00:00.000Z");
    EXPECT_EQ(range("2024-05-01T08:30:15Z"), "2024-05-01T08:30:15.000Z 2024-05-01T08:30:16.000Z");
    EXPECT_EQ(range("2024-05-01T08:30:15.5Z"), "2024-05-01T08:30:15.500Z 2024-05-01T08:30:15.501Z");
    EXPECT_EQ(range("2024-05-01T08:30:15.123456789Z"),
              "2024-05-01T08:30:15.123Z 2024-05-01T08:30:15.124Z");
    PartialDate hour{
        .year = 2024, .month = 5, .day = 1, .hour = 8, .precision = DatePrecision::hour};
    EXPECT_EQ(to_text(hour.upper()), "2024-05-01T09:00:00.000Z");
}

TEST(PartialDate, Zones) {
    EXPECT_EQ(range("2024-01-01T00:00:00+14:00"),
              "2023-12-31T10:00:00.000Z 2023-12-31T10:00:01.000Z");
    EXPECT_EQ(range("2024-01-01T00:00:00-14:00"),
              "2024-01-01T14:00:00.000Z 2024-01-01T14:00:01.000Z");
    EXPECT_EQ(range("2024-01-01T00:00:00+05:45"),
              "2023-12-31T18:15:00.000Z 2023-12-31T18:15:01.000Z");
    const auto local = parse_date("2024-05-01T08:30:00");
    ASSERT_TRUE(local);
    EXPECT_FALSE(local->zone_minutes);
    EXPECT_EQ(to_text(local->lower(480)), "2024-05-01T00:30:00.000Z");
    EXPECT_EQ(parse_date("2024-05-01T08:30:00Z")->zone_minutes, 0);
}

TEST(PartialDate, SaysWhatIsWrong) {
    EXPECT_EQ(range("1987-13-02"),
              "error: \"1987-13-02\" is no date: month 13 (expected YYYY, YYYY-MM or YYYY-MM-DD)");
    const std::pair<const char*, const char*> cases[] = {
        {"", "a year of four digits"},
        {"87", "a year of four digits"},
        {"0000", "year 0000"},
        {"1987-", "a month of two digits"},
        {"1987-1", "a month of two digits"},
        {"1987-00", "month 00"},
        {"1987/01", "no '-' after 4"},
        {"1987-02-29", "day 29, the month has 28 days"},
        {"1987-02-00", "day 00"},
        {"1987-02-01 10:00", "no 'T'"},
        {"1987-02-01T24:00:00Z", "hour 24"},
        {"1987-02-01T10", "no ':'"},
        {"1987-02-01T10:60:00Z", "minute 60"},
        {"1987-02-01T10:00:60Z", "second 60"},
        {"1987-02-01T10:00:00.Z", "no digit after the point"},
        {"1987-02-01T10:00:00+14:01", "zone +14:01, at most 14:00"},
        {"1987-02-01T10:00:00+08:60", "zone +08:60"},
        {"1987-02-01T10:00:00+8", "zone hours of two digits"},
        {"1987-02-01T10:00:00z", "no zone Z"},
        {"1987-02-01T10:00:00Zx", "characters after its end"},
        {"1987-02-01Z", "no 'T'"},
        {"-1987", "a year of four digits"},
    };
    for (const auto& [text, problem] : cases) {
        const auto date = parse_date(text);
        ASSERT_FALSE(date) << text;
        EXPECT_EQ(date.error().category, Category::incorrect);
        EXPECT_NE(date.error().message.find(problem), std::string::npos)
            << text << ": " << date.error().message;
    }
    EXPECT_LT(parse_date(std::string(10'000, '9')).error().message.size(), 200u);
}

TEST(HttpDate, RoundTrips) {
    const Instant instant{1'714'552'200'000};
    EXPECT_EQ(to_http_date(instant), "Wed, 01 May 2024 08:30:00 GMT");
    EXPECT_EQ(parse_http_date("Wed, 01 May 2024 08:30:00 GMT").value(), instant);
    EXPECT_EQ(to_http_date(Instant{-1}), "Wed, 31 Dec 1969 23:59:59 GMT");
    for (const char* text : {"", "Wed, 01 May 2024 08:30:00 CET", "Wed, 32 May 2024 08:30:00 GMT",
                             "Xyz, 01 May 2024 08:30:00 GMT", "Wed, 01 Mai 2024 08:30:00 GMT",
                             "Wed, 01 May 2024 24:30:00 GMT", "Wed, 0x May 2024 08:30:00 GMT",
                             "Wednesday, 01-May-24 08:30:00 GMT"}) {
        EXPECT_FALSE(parse_http_date(text)) << text;
    }
}

}  // namespace
}  // namespace meridian

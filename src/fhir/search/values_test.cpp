// SPDX-License-Identifier: Apache-2.0
#include "fhir/search/values.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <cmath>

namespace meridian::fhir::search {
namespace {

constexpr std::array<Prefix, 9> all_prefixes{Prefix::eq, Prefix::ne, Prefix::gt,
                                             Prefix::lt, Prefix::ge, Prefix::le,
                                             Prefix::sa, Prefix::eb, Prefix::ap};

template <class T>
bool inside(const store::Box<T>& box, T lo, T hi) {
    return (!box.lo_from || lo >= *box.lo_from) && (!box.lo_below || lo < *box.lo_below) &&
           (!box.hi_above || hi > *box.hi_above) && (!box.hi_to || hi <= *box.hi_to);
}
template <class T>
int boxes_holding(const std::vector<store::Box<T>>& boxes, T lo, T hi) {
    int count = 0;
    for (const auto& box : boxes) count += inside(box, lo, hi) ? 1 : 0;
    return count;
}

/// The table of https://hl7.org/fhir/R4/search.html#prefix in its own words, on half-open intervals
/// of time.
bool by_the_book(Prefix prefix, DateInterval s, DateInterval t, std::int64_t gap) {
    const bool contains = s.lo <= t.lo && t.hi <= s.hi;
    const bool above_overlaps = t.hi > s.hi;  // [s.hi, ∞) meets [t.lo, t.hi)
    const bool below_overlaps = t.lo < s.lo;  // (-∞, s.lo) meets it
    switch (prefix) {
        case Prefix::eq:
            return contains;
        case Prefix::ne:
            return !contains;
        case Prefix::gt:
            return above_overlaps;
        case Prefix::lt:
            return below_overlaps;
        case Prefix::ge:
            return above_overlaps || contains;
        case Prefix::le:
            return below_overlaps || contains;
        case Prefix::sa:
            return t.lo >= s.hi;
        case Prefix::eb:
            return t.hi <= s.lo;
        case Prefix::ap:
            return t.lo < s.hi + gap && t.hi > s.lo - gap;
    }
    return false;
}

RC_GTEST_PROP(SearchValues, DateBoxesAreTheTableAndDisjoint, ()) {
    const auto interval = [] {
        const auto lo = *rc::gen::inRange<std::int64_t>(-20, 20);
        return DateInterval{lo, lo + *rc::gen::inRange<std::int64_t>(1, 15)};
    };
    const DateInterval s = interval();
    const DateInterval t = interval();
    const Instant now{*rc::gen::inRange<std::int64_t>(-300, 300)};
    const std::int64_t gap = std::abs(now.milliseconds - (s.lo + (s.hi - s.lo) / 2)) / 10;
    for (const Prefix prefix : all_prefixes) {
        RC_ASSERT(boxes_holding(date_boxes(prefix, s, now), t.lo, t.hi) ==
                  (by_the_book(prefix, s, t, gap) ? 1 : 0));
    }
}

RC_GTEST_PROP(SearchValues, IntersectionHoldsWhatBothHold, ()) {
    const auto box = [] {
        const auto bound = [] { return *rc::gen::maybe(rc::gen::inRange<std::int64_t>(-9, 9)); };
        store::DateBox made;
        if (auto b = bound()) made.lo_from = *b;
        if (auto b = bound()) made.lo_below = *b;
        if (auto b = bound()) made.hi_above = *b;
        if (auto b = bound()) made.hi_to = *b;
        return made;
    };
    const auto a = box();
    const auto b = box();
    const std::int64_t lo = *rc::gen::inRange<std::int64_t>(-9, 9);
    const std::int64_t hi = lo + *rc::gen::inRange<std::int64_t>(1, 9);
    const auto both = intersect(a, b);
    RC_ASSERT((both && inside(*both, lo, hi)) == (inside(a, lo, hi) && inside(b, lo, hi)));
}

TEST(SearchValues, NumbersCarryTheirPrecision) {
    const auto range = [](std::string_view text) {
        const auto number = number_value(text);
        return std::pair{number->low.to_double(), number->high.to_double()};
    };
    EXPECT_EQ(range("100"), std::pair(99.5, 100.5));
    EXPECT_EQ(range("100.00"), std::pair(99.995, 100.005));
    EXPECT_EQ(range("1e2"), std::pair(95.0, 105.0));  // the example of R4
    EXPECT_EQ(range("1E+2"), std::pair(95.0, 105.0));
    EXPECT_EQ(range("-5.4"), std::pair(-5.45, -5.35));
    EXPECT_EQ(range("0.0054"), std::pair(0.00535, 0.00545));
    EXPECT_FALSE(number_value("").has_value());
    EXPECT_FALSE(number_value("1,5").has_value());
    EXPECT_FALSE(number_value("abc").has_value());
}

TEST(SearchValues, NumberPrefixes) {
    const NumberInterval hundred{100, 99.5, 100.5};
    struct Row {
        Prefix prefix;
        std::vector<double> in, out;
    };
    const std::vector<Row> table{{Prefix::eq, {99.5, 100, 100.4}, {99.4, 100.5}},
                                 {Prefix::ne, {99.4, 100.5}, {99.5, 100, 100.4}},
                                 {Prefix::gt, {100.1, 101}, {100, 99}},
                                 {Prefix::lt, {99.9, 99}, {100, 101}},
                                 {Prefix::ge, {100, 100.1}, {99.9}},
                                 {Prefix::le, {100, 99.9}, {100.1}},
                                 {Prefix::sa, {100.1}, {100, 99}},
                                 {Prefix::eb, {99.9}, {100, 101}},
                                 {Prefix::ap, {90, 100, 110}, {89.9, 110.1}}};
    for (const auto& row : table) {
        const auto boxes = number_boxes(row.prefix, hundred);
        for (const double value : row.in)
            EXPECT_EQ(boxes_holding(boxes, value, value), 1) << to_text(row.prefix) << value;
        for (const double value : row.out)
            EXPECT_EQ(boxes_holding(boxes, value, value), 0) << to_text(row.prefix) << value;
    }
    // A range from 95 to 105 lies on both sides, and is not wholly beyond.
    EXPECT_EQ(boxes_holding(number_boxes(Prefix::gt, hundred), 95.0, 105.0), 1);
    EXPECT_EQ(boxes_holding(number_boxes(Prefix::lt, hundred), 95.0, 105.0), 1);
    EXPECT_EQ(boxes_holding(number_boxes(Prefix::sa, hundred), 95.0, 105.0), 0);
    EXPECT_EQ(boxes_holding(number_boxes(Prefix::eq, hundred), 95.0, 105.0), 0);
    EXPECT_EQ(boxes_holding(number_boxes(Prefix::ne, hundred), 95.0, 105.0), 1);
}

TEST(SearchValues, DatesOfEveryPrecision) {
    const auto at = [](std::string_view text) { return parse_date(text)->lower().milliseconds; };
    struct Row {
        std::string_view text, from, to;
    };
    const std::vector<Row> table{
        {"2013", "2013-01-01", "2014-01-01"},
        {"2013-01", "2013-01-01", "2013-02-01"},
        {"2013-02-28", "2013-02-28", "2013-03-01"},
        {"2012-02-29", "2012-02-29", "2012-03-01"},
        {"2013-01-14T10:00Z", "2013-01-14T10:00:00Z", "2013-01-14T10:01:00Z"},
        {"2013-01-14T10:00:05Z", "2013-01-14T10:00:05Z", "2013-01-14T10:00:06Z"},
        {"2013-01-14T10:00:05.500Z", "2013-01-14T10:00:05.500Z", "2013-01-14T10:00:05.501Z"},
        {"2013-01-14T10:00:05+08:00", "2013-01-14T02:00:05Z", "2013-01-14T02:00:06Z"}};
    for (const auto& row : table) {
        const auto interval = date_interval(row.text, 0);
        ASSERT_TRUE(interval.has_value()) << row.text;
        EXPECT_EQ(interval->lo, at(row.from)) << row.text;
        EXPECT_EQ(interval->hi, at(row.to)) << row.text;
    }
    EXPECT_EQ(date_interval("2013-01-14T10:00:05", 480)->lo, at("2013-01-14T02:00:05Z"));
    EXPECT_EQ(date_interval("2013-01-14T10:00:05 08:00", 0)->lo, at("2013-01-14T02:00:05Z"));
    EXPECT_FALSE(date_interval("2013-02-30", 0).has_value());
    EXPECT_FALSE(date_interval("yesterday", 0).has_value());
    EXPECT_EQ(split_prefix("ge2013").prefix, Prefix::ge);
    EXPECT_EQ(split_prefix("2013").prefix, Prefix::eq);
}

TEST(SearchValues, EscapesKeepSeparators) {
    using Parts = std::vector<std::string_view>;
    EXPECT_EQ(split_value(R"(a\,b,c)", ','), (Parts{R"(a\,b)", "c"}));
    EXPECT_EQ(split_value(R"(a\\,b)", ','), (Parts{R"(a\\)", "b"}));
    EXPECT_EQ(split_value("", ','), (Parts{""}));
    EXPECT_EQ(unescape_value(R"(a\,b\|c\$d\\e)").value(), R"(a,b|c$d\e)");
    EXPECT_FALSE(unescape_value(R"(a\b)").has_value());
    EXPECT_FALSE(unescape_value("a\\").has_value());
}

RC_GTEST_PROP(SearchValues, EscapedTextComesBack, (const std::string& text)) {
    std::string escaped;
    for (const char c : text) {
        if (c == ',' || c == '$' || c == '|' || c == '\\') escaped += '\\';
        escaped += c;
    }
    RC_ASSERT(split_value(escaped, ',').size() == 1U);
    RC_ASSERT(unescape_value(escaped).value() == text);
}

}  // namespace
}  // namespace meridian::fhir::search

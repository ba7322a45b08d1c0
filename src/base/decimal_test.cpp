// SPDX-License-Identifier: Apache-2.0
#include "base/decimal.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "base/limits.hpp"

namespace meridian {
namespace {

Decimal decimal(std::string_view text) {
    auto parsed = Decimal::parse(text);
    EXPECT_TRUE(parsed) << text;
    return parsed ? *parsed : Decimal();
}

std::string shown(const Result<Decimal>& result) {
    return result ? result->to_text() : name_of(result.error().category);
}

TEST(Decimal, KeepsTheDigitsItWasWrittenWith) {
    for (const char* text :
         {"0", "0.0", "1.50", "-0.05", "100.00", "123456789012345678901234567890.12345678"}) {
        EXPECT_EQ(decimal(text).to_text(), text);
    }
    EXPECT_EQ(decimal("1e3").to_text(), "1000");
    EXPECT_EQ(decimal("1.50E-3").to_text(), "0.00150");
    EXPECT_EQ(decimal("-0").to_text(), "0");
    EXPECT_EQ(decimal("1.5"), decimal("1.50"));
    EXPECT_NE(decimal("1.5").scale(), decimal("1.50").scale());
}

TEST(Decimal, RefusesWhatIsNoNumber) {
    for (const char* text :
         {"", "-", "+1", ".5", "1.", "1.e3", "1e", "1e+", "1x", " 1", "1 ", "1,5", "NaN", "0x1"}) {
        EXPECT_EQ(shown(Decimal::parse(text)), "incorrect") << text;
    }
}

TEST(Decimal, RefusesWhatDoesNotFit) {
    const std::string nines(38, '9');
    EXPECT_EQ(decimal(nines).to_text(), nines);
    EXPECT_EQ(decimal("000" + nines).to_text(), nines);
    EXPECT_EQ(shown(Decimal::parse(nines + "0")), "too_large");
    EXPECT_EQ(shown(Decimal::parse("1e401")), "too_large");
    EXPECT_EQ(shown(Decimal::parse("1e-401")), "too_large");
    EXPECT_EQ(shown(Decimal::parse("1e99999999999999999999")), "too_large");
    EXPECT_EQ(decimal("1e400").to_text().size(), 401u);
    EXPECT_EQ(shown(Decimal::add(decimal(nines), 1)), "100000000000000000000000000000000000000");
    EXPECT_EQ(shown(Decimal::add(decimal(nines), 2)), "too_large");
    EXPECT_EQ(shown(Decimal::add(decimal("1e300"), 1)), "too_large");
    EXPECT_EQ(Decimal::add(decimal("1e300"), decimal("0.00")), decimal("1e300"));
    EXPECT_EQ(shown(Decimal::multiply(decimal("1e300"), decimal("1e300"))), "too_large");
}

TEST(Decimal, DividesByAnythingButZero) {
    EXPECT_EQ(shown(Decimal::divide(1, 2)), "0.5");
    EXPECT_EQ(shown(Decimal::divide(2, 3)), "0.666666666666666667");
    EXPECT_EQ(shown(Decimal::divide(-2, 3, 2)), "-0.67");
    EXPECT_EQ(shown(Decimal::divide(decimal("1e30"), 3)),
              "333333333333333333333333333333.33333333");
    EXPECT_EQ(shown(Decimal::divide(1, decimal("1e300"))), "0");
    EXPECT_EQ(shown(Decimal::divide(1, 0)), "incorrect");
    EXPECT_EQ(shown(Decimal::remainder(1, decimal("0.00"))), "incorrect");
    EXPECT_EQ(shown(Decimal::remainder(decimal("1e200"), 7)), "2");
    EXPECT_EQ(shown(Decimal::remainder(7, decimal("1e200"))), "7");
}

TEST(Decimal, RoundsHalfAwayFromZero) {
    EXPECT_EQ(decimal("2.5").round(0).to_text(), "3");
    EXPECT_EQ(decimal("-2.5").round(0).to_text(), "-3");
    EXPECT_EQ(decimal("2.449").round(1).to_text(), "2.4");
    EXPECT_EQ(decimal("1.5").round(3).to_text(), "1.5");
    EXPECT_EQ(decimal("-1.5").floor().to_text(), "-2");
    EXPECT_EQ(decimal("-1.5").ceiling().to_text(), "-1");
    EXPECT_EQ(decimal("-1.0").floor().to_text(), "-1");
    EXPECT_EQ(decimal("1e-300").ceiling().to_text(), "1");
}

TEST(Decimal, HalfUnitIsThePrecisionOfASearchNumber) {
    EXPECT_EQ(decimal("100").half_unit(), decimal("0.5"));
    EXPECT_EQ(decimal("100.00").half_unit(), decimal("0.005"));
    EXPECT_EQ(decimal("1e2").half_unit(), 50);
}

TEST(Decimal, BecomesIntegersAndDoubles) {
    EXPECT_EQ(decimal("42.00").to_integer().value(), 42);
    EXPECT_EQ(decimal("9.2e1").to_integer().value(), 92);
    EXPECT_EQ(decimal("-9223372036854775808").to_integer().value(), INT64_MIN);
    EXPECT_FALSE(decimal("9223372036854775808").to_integer());
    EXPECT_FALSE(decimal("1e30").to_integer());
    EXPECT_FALSE(decimal("0.5").to_integer());
    EXPECT_EQ(decimal("0.1").to_double(), 0.1);
    EXPECT_EQ(decimal("-1e308").to_double(), -1e308);
    EXPECT_EQ(decimal("1e-400").to_double(), 0.0);
    EXPECT_EQ(decimal("1e400").to_double(), HUGE_VAL);
    EXPECT_FALSE(Decimal::from_double(NAN));
    EXPECT_FALSE(Decimal::from_double(HUGE_VAL));
    EXPECT_TRUE(decimal("1.00").is_integer());
    EXPECT_FALSE(decimal("1.01").is_integer());
    EXPECT_FALSE(decimal("1e-50").is_integer());
}

TEST(Decimal, AgreesWithPythonsDecimal) {
    std::ifstream file(MERIDIAN_SOURCE_DIR "/src/base/testdata/decimal.tsv");
    ASSERT_TRUE(file)
        << "src/base/testdata/decimal.tsv is missing: tools/decimal_vectors.py makes it";
    std::size_t cases = 0;
    for (std::string line; std::getline(file, line); ++cases) {
        std::istringstream fields(line);
        std::string operation, left_text, right_text, expected;
        fields >> operation >> left_text >> right_text >> expected;
        const Decimal left = decimal(left_text);
        const Decimal right = right_text == "-" ? Decimal() : decimal(right_text);
        const auto actual = [&]() -> std::string {
            if (operation == "text") return left.to_text();
            if (operation == "add") return shown(Decimal::add(left, right));
            if (operation == "subtract") return shown(Decimal::subtract(left, right));
            if (operation == "multiply") return shown(Decimal::multiply(left, right));
            if (operation == "divide") return shown(Decimal::divide(left, right));
            if (operation == "remainder") return shown(Decimal::remainder(left, right));
            if (operation == "round") return left.round(std::stoi(right_text)).to_text();
            if (operation == "truncate") return left.truncate().to_text();
            if (operation == "floor") return left.floor().to_text();
            if (operation == "ceiling") return left.ceiling().to_text();
            if (operation == "compare") return left < right ? "-1" : left == right ? "0" : "1";
            return "unknown operation";
        };
        EXPECT_EQ(actual(), expected) << line;
    }
    EXPECT_GT(cases, 2000u);
}

RC_GTEST_PROP(DecimalProperty, TextRoundTrips, (std::int64_t high, std::int64_t low)) {
    const __int128 coefficient = static_cast<__int128>(high) * 1'000'000'000'000'000'000 + low;
    const int scale = *rc::gen::inRange(-limits::decimal_scale_max, limits::decimal_scale_max + 1);
    const Decimal value = Decimal::from_parts(coefficient, scale > 40 ? 40 : scale < 0 ? 0 : scale);
    const auto again = Decimal::parse(value.to_text());
    RC_ASSERT(again.has_value());
    RC_ASSERT(again->coefficient() == value.coefficient());
    RC_ASSERT(again->scale() == value.scale());
}

RC_GTEST_PROP(DecimalProperty, SmallNumbersAddAndMultiplyLikeIntegers,
              (std::int32_t a, std::int32_t b)) {
    RC_ASSERT(*Decimal::add(a, b) == Decimal(static_cast<std::int64_t>(a) + b));
    RC_ASSERT(*Decimal::subtract(a, b) == Decimal(static_cast<std::int64_t>(a) - b));
    RC_ASSERT(*Decimal::multiply(a, b) == Decimal(static_cast<std::int64_t>(a) * b));
    RC_ASSERT((Decimal(a) < Decimal(b)) == (a < b));
}

RC_GTEST_PROP(DecimalProperty, DoublesRoundTrip, (double value)) {
    RC_PRE(std::isfinite(value));
    RC_ASSERT(Decimal::from_double(value)->to_double() == value);
}

}  // namespace
}  // namespace meridian

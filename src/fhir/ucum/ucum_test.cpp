// SPDX-License-Identifier: Apache-2.0
#include "fhir/ucum/ucum.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "fhir/ucum/units.hpp"

namespace meridian::fhir::ucum {
namespace {

Decimal number(std::string_view text) {
    return *Decimal::parse(text);
}

std::string canonical_of(std::string_view value, std::string_view unit) {
    auto result = canonical(number(value), unit);
    if (!result) return "error: " + result.error().message;
    return result->value.normalized().to_text() + " " + result->unit;
}

TEST(Ucum, KnowsEveryAtomOfTheTable) {
    for (const Atom& atom : atoms()) EXPECT_TRUE(is_valid(atom.code)) << atom.code;
    EXPECT_GT(atoms().size(), 200u);
}

TEST(Ucum, ConvertsToBaseUnits) {
    EXPECT_EQ(canonical_of("1", "[lb_av]"), "453.59237 g");
    EXPECT_EQ(canonical_of("1", "[in_i]"), "0.0254 m");
    EXPECT_EQ(canonical_of("1", "mg/dL"), "10 m-3.g");
    EXPECT_EQ(canonical_of("120", "mm[Hg]"), "15998640 m-1.s-2.g");
    EXPECT_EQ(canonical_of("1", "mmol/L"), "602214076000000000000000 m-3");
    EXPECT_EQ(canonical_of("60", "/min"), "1 s-1");
    EXPECT_EQ(canonical_of("1", "h"), "3600 s");
    EXPECT_EQ(canonical_of("1", "a"), "31557600 s");
    EXPECT_EQ(canonical_of("4.5", "10*3/uL"), "4500000000000 m-3");
    EXPECT_EQ(canonical_of("7", "%"), "0.07 1");
    EXPECT_EQ(canonical_of("5", "{score}"), "5 1");
    EXPECT_EQ(canonical_of("5", ""), "5 1");
    EXPECT_EQ(canonical_of("2", "mg{total}/kg/d"), canonical_of("2", "mg/(kg.d)"));
    EXPECT_EQ(canonical_of("90", "mL/min/{1.73_m2}"), "0.0000015 m3.s-1");
    EXPECT_EQ(canonical_of("3", "[iU]/L"), "3000 m-3.[iU]");
    EXPECT_EQ(canonical_of("1", "kg.m/s2"), canonical_of("1", "N"));
    EXPECT_EQ(canonical_of("1", "MiBy"), "8388608 1");
    EXPECT_EQ(canonical_of("7.4", "[pH]"), "7.4 [pH]");
}

TEST(Ucum, ConvertsTemperatures) {
    EXPECT_EQ(canonical_of("37", "Cel"), "310.15 K");
    EXPECT_EQ(convert(number("98.6"), "[degF]", "Cel")->normalized().to_text(), "37");
    EXPECT_EQ(convert(number("23"), "Cel", "[degF]")->normalized().to_text(), "73.4");
    EXPECT_TRUE(comparable("[degF]", "K"));
    EXPECT_FALSE(is_valid("Cel/min"));
    EXPECT_FALSE(is_valid("Cel2"));
}

TEST(Ucum, KeepsWrittenDigitsAcrossPowersOfTen) {
    EXPECT_EQ(convert(number("4040"), "mg", "g")->to_text(), "4.040");
    EXPECT_EQ(convert(number("4"), "g", "mg")->scale(), -3);
}

TEST(Ucum, ComparesDimensions) {
    EXPECT_TRUE(comparable("cm", "[in_i]"));
    EXPECT_TRUE(comparable("mol/L", "mmol/mL"));
    EXPECT_FALSE(comparable("cm", "s"));
    EXPECT_FALSE(comparable("cm", "cm2"));
    EXPECT_FALSE(comparable("[iU]", "[arb'U]"));
    EXPECT_FALSE(comparable("cm", "[s]"));
}

TEST(Ucum, RefusesWhatIsNoUnit) {
    for (std::string_view unit : {"lbs", "[s]", "m/", "m..s", "(m", "m)", "{open", "[open", "m+",
                                  "0", "kmin", "10*999", "m 2", "mmHg]", "µg"}) {
        EXPECT_FALSE(is_valid(unit)) << unit;
    }
    EXPECT_FALSE(is_valid(std::string(300, 'm')));
    EXPECT_FALSE(is_valid(std::string(100, '(') + "m" + std::string(100, ')')));
}

TEST(Ucum, MultipliesAndDivides) {
    auto area = multiply(number("2.0"), "cm", number("2.0"), "m");
    EXPECT_EQ(area->value.normalized().to_text() + area->unit, "0.04m2");
    auto density = divide(number("4.0"), "g", number("2.0"), "m");
    EXPECT_EQ(density->value.normalized().to_text() + density->unit, "2m-1.g");
    auto plain = divide(number("6"), "mg", number("2"), "1");
    EXPECT_EQ(plain->value.normalized().to_text() + plain->unit, "3mg");
    EXPECT_FALSE(divide(number("6"), "mg", number("0"), "1"));
}

// Law: there and back gives the same number, for units whose factor is a finite decimal.
TEST(Ucum, ConversionIsReversible) {
    rc::check([] {
        auto units =
            rc::gen::elementOf(std::vector<std::pair<std::string, std::string>>{{"mg", "kg"},
                                                                                {"mL", "L"},
                                                                                {"h", "s"},
                                                                                {"[in_i]", "cm"},
                                                                                {"mm[Hg]", "Pa"},
                                                                                {"d", "wk"},
                                                                                {"Cel", "[degF]"}});
        auto [from, to] = *units;
        auto value = Decimal::from_parts(*rc::gen::inRange<std::int64_t>(-1000000000, 1000000000),
                                         *rc::gen::inRange(0, 6));
        auto there = convert(value, from, to);
        RC_ASSERT(there.has_value());
        auto back = convert(*there, to, from);
        RC_ASSERT(back.has_value());
        RC_ASSERT(back->round(12) == value);
    });
}

// Law: whatever the text, the parser answers.
TEST(Ucum, AnswersForAnyText) {
    rc::check([](const std::string& text) {
        (void)is_valid(text);
        RC_SUCCEED("answered");
    });
}

}  // namespace
}  // namespace meridian::fhir::ucum

// SPDX-License-Identifier: Apache-2.0
#include "store/engine/forward.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "store/engine/forward_view.hpp"

namespace meridian::store {
namespace {

// Values from a small set make repetitions and equal columns likely, the full range makes every
// delta possible.
rc::Gen<Name> any_name() {
    return rc::gen::oneOf(rc::gen::inRange<Name>(0, 5),
                          rc::gen::inRange<Name>(0, std::numeric_limits<Name>::max()));
}
rc::Gen<std::int64_t> any_integer() {
    return rc::gen::oneOf(rc::gen::inRange<std::int64_t>(-3, 4), rc::gen::arbitrary<std::int64_t>(),
                          rc::gen::element(std::numeric_limits<std::int64_t>::min(),
                                           std::numeric_limits<std::int64_t>::max()));
}
rc::Gen<double> any_real() {
    return rc::gen::oneOf(rc::gen::element(0.0, -0.0, 1.5, 7.25, 1e300, -1e-300,
                                           std::numeric_limits<double>::infinity()),
                          rc::gen::arbitrary<double>());
}
rc::Gen<std::string> any_text() {
    return rc::gen::oneOf(rc::gen::element<std::string>("", "a", "smith", "王伟"),
                          rc::gen::arbitrary<std::string>());
}

ResolvedRows any_rows() {
    ResolvedRows rows;
    const auto fill = [](auto& into, auto make) {
        const auto count = *rc::gen::inRange<std::size_t>(0, 6);
        for (std::size_t i = 0; i < count; ++i) into.push_back(make());
    };
    fill(rows.tokens, [] { return TokenRow{*any_name(), *any_integer()}; });
    fill(rows.strings, [] {
        auto folded = *any_text();
        auto exact = *rc::gen::arbitrary<bool>() ? folded : *any_text();
        return StringRow{*any_name(), folded, exact};
    });
    fill(rows.dates, [] { return DateRow{*any_name(), *any_integer(), *any_integer()}; });
    fill(rows.numbers, [] { return NumberRow{*any_name(), *any_real(), *any_real()}; });
    fill(rows.quantities,
         [] { return QuantityRow{*any_name(), *any_name(), *any_real(), *any_real()}; });
    fill(rows.references, [] { return ResolvedReference{*any_name(), *any_integer()}; });
    fill(rows.uris, [] { return UriRow{*any_name(), *any_text()}; });
    fill(rows.composites, [] {
        return CompositeRow{*any_name(), *any_integer(), *any_integer(),
                            *any_real(), *any_real(),    *any_text()};
    });
    fill(rows.texts, [] { return *any_name(); });
    fill(rows.patients,
         [] { return ResolvedPatient{*any_integer(), *any_integer(), *any_integer()}; });
    fill(rows.compartments, [] { return *any_integer(); });
    fill(rows.views, [] { return ViewRow{*any_name(), *any_text(), {}}; });
    fill(rows.unique_keys, [] { return *any_text(); });
    return rows;
}

std::int64_t bits(double value) {
    return std::bit_cast<std::int64_t>(value);
}

// Any bytes, told apart by their length ("{:?}" of fmt 9 takes UTF-8 only).
std::string shown(const std::string& bytes) {
    return fmt::format("{}:{}", bytes.size(), bytes);
}

// One line per row, so that two row sets are compared as sets of lines.
std::set<std::string> lines(const ResolvedRows& rows) {
    std::set<std::string> out;
    for (const auto& r : rows.tokens) out.insert(fmt::format("token {} {}", r.param, r.value));
    for (const auto& r : rows.strings)
        out.insert(fmt::format("string {} {} {}", r.param, shown(r.folded), shown(r.exact)));
    for (const auto& r : rows.dates) out.insert(fmt::format("date {} {} {}", r.param, r.lo, r.hi));
    for (const auto& r : rows.numbers)
        out.insert(fmt::format("number {} {} {}", r.param, bits(r.lo), bits(r.hi)));
    for (const auto& r : rows.quantities) {
        out.insert(fmt::format("quantity {} {} {} {}", r.param, r.unit, bits(r.lo), bits(r.hi)));
    }
    for (const auto& r : rows.references)
        out.insert(fmt::format("reference {} {}", r.param, r.target));
    for (const auto& r : rows.uris) out.insert(fmt::format("uri {} {}", r.param, shown(r.uri)));
    for (const auto& r : rows.composites) {
        out.insert(fmt::format("composite {} {} {} {} {} {}", r.param, r.key, r.second, bits(r.lo),
                               bits(r.hi), shown(r.folded)));
    }
    for (const Name param : rows.texts) out.insert(fmt::format("text {}", param));
    for (const auto& r : rows.patients)
        out.insert(fmt::format("patient {} {} {}", r.patient, r.code, r.date));
    for (const Rid patient : rows.compartments) out.insert(fmt::format("compartment {}", patient));
    for (const auto& r : rows.views) out.insert(fmt::format("view {} {}", r.view, shown(r.key)));
    for (const auto& key : rows.unique_keys) out.insert(fmt::format("unique {}", shown(key)));
    return out;
}

std::size_t row_count(const ResolvedRows& rows) {
    return rows.tokens.size() + rows.strings.size() + rows.dates.size() + rows.numbers.size() +
           rows.quantities.size() + rows.references.size() + rows.uris.size() +
           rows.composites.size() + rows.texts.size() + rows.patients.size() +
           rows.compartments.size() + rows.views.size() + rows.unique_keys.size();
}

RC_GTEST_PROP(Forward, GivesBackTheSetOfRowsItWasGiven, ()) {
    const ResolvedRows rows = any_rows();
    const auto unpacked = unpack(pack(rows));
    RC_ASSERT(unpacked.has_value());
    RC_ASSERT(lines(*unpacked) == lines(rows));
    RC_ASSERT(row_count(*unpacked) == lines(rows).size());  // nothing twice
}

RC_GTEST_PROP(Forward, TheSameSetOfRowsGivesTheSameBytesInWhateverOrderItComes, ()) {
    ResolvedRows rows = any_rows();
    const std::string packed = pack(rows);
    std::reverse(rows.tokens.begin(), rows.tokens.end());
    std::reverse(rows.strings.begin(), rows.strings.end());
    std::reverse(rows.dates.begin(), rows.dates.end());
    std::reverse(rows.quantities.begin(), rows.quantities.end());
    std::reverse(rows.composites.begin(), rows.composites.end());
    std::reverse(rows.patients.begin(), rows.patients.end());
    if (!rows.references.empty()) rows.references.push_back(rows.references.front());
    RC_ASSERT(pack(rows) == packed);
    RC_ASSERT(pack(*unpack(packed)) == packed);
}

RC_GTEST_PROP(Forward, CompartmentsKeepTheirOrder, (std::vector<Rid> patients)) {
    ResolvedRows rows;
    rows.compartments = patients;
    std::vector<Rid> expected;
    for (const Rid patient : patients) {
        if (std::find(expected.begin(), expected.end(), patient) == expected.end())
            expected.push_back(patient);
    }
    RC_ASSERT(unpack(pack(rows))->compartments == expected);
}

// A fault or other rows, but never a crash, and never more rows than bytes.
RC_GTEST_PROP(Forward, DamagedBytesAreAFaultOrOtherRows, ()) {
    std::string packed = pack(any_rows());
    const auto changes = *rc::gen::inRange(1, 4);
    for (int i = 0; i < changes && !packed.empty(); ++i) {
        const auto place = *rc::gen::inRange<std::size_t>(0, packed.size());
        switch (*rc::gen::inRange(0, 3)) {
            case 0:
                packed[place] = *rc::gen::arbitrary<char>();
                break;
            case 1:
                packed.resize(place);
                break;
            default:
                packed.insert(place, 1, *rc::gen::arbitrary<char>());
        }
    }
    const auto unpacked = unpack(packed);
    if (unpacked) {
        RC_ASSERT(row_count(*unpacked) <= packed.size());
    } else {
        RC_ASSERT(unpacked.error().category == Category::fault);
    }
}

TEST(Forward, EveryTruncationOfOneSectionIsAFault) {
    ResolvedRows rows;
    rows.strings = {{3, "smith", "Smith"}, {3, "anna", "anna"}};
    const std::string packed = pack(rows);
    ASSERT_TRUE(unpack(packed));
    for (std::size_t length = 2; length < packed.size(); ++length) {
        EXPECT_FALSE(unpack(packed.substr(0, length))) << length;
    }
    EXPECT_FALSE(unpack("")) << "not even a format byte";
    EXPECT_TRUE(unpack(pack({}))) << "no rows at all are fine";
}

TEST(Forward, RefusesWhatPackNeverWrites) {
    using namespace std::string_literals;
    EXPECT_FALSE(unpack("\x02"s)) << "another format";
    EXPECT_FALSE(unpack("\x01\x0e\x00"s)) << "an unknown section";
    EXPECT_FALSE(unpack("\x01\x09\x01\x01\x09\x01\x01"s)) << "a section twice";
    EXPECT_FALSE(unpack("\x01\x09\x05\xff\xff\xff\xff\x0f"s)) << "a dictionary id beyond 31 bits";
    EXPECT_FALSE(unpack("\x01\x0b\x0b\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s))
        << "a varint beyond 64 bits";
}

TEST(Forward, AnOrdinaryResourceIsSmall) {
    ResolvedRows rows;
    for (Name param = 40; param < 46; ++param)
        rows.tokens.push_back({param, 0x7123456789abcdefLL + param});
    rows.dates = {{47, 1'700'000'000'000, 1'700'000'001'000}};
    rows.references = {{48, 1'000'000}, {49, 1'000'000}, {50, 1'000'017}};
    rows.quantities = {{51, 900, 7.15, 7.25}};
    rows.patients = {{1'000'000, 0, 1'700'000'000'000},
                     {1'000'000, 0x7123456789abcdefLL, 1'700'000'000'000}};
    rows.compartments = {1'000'000};
    EXPECT_LT(pack(rows).size(), 150u);
}

}  // namespace
}  // namespace meridian::store

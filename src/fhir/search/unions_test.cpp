// SPDX-License-Identifier: Apache-2.0
#include "fhir/search/unions.hpp"

#include <gtest/gtest.h>

#include "fhir/search/test_support.hpp"

namespace meridian::fhir::search {
namespace {

using Alternatives = std::set<std::string>;

/// What an expression says of Observations: its alternatives differ in blanks and brackets between
/// definitions, and `code` is one definition for many types.
Alternatives alternatives(std::string_view expression) {
    Alternatives found;
    std::string one;
    for (const char c : std::string(expression) + "|") {
        if (c == '|') {
            if (one.starts_with("Observation.") || one.find('.') == std::string::npos)
                found.insert(one);
            one.clear();
        } else if (c != ' ' && c != '(' && c != ')') {
            one += c;
        }
    }
    return found;
}

TEST(SearchUnions, AreWhatTheirPartsAreByTheDefinitions) {
    const auto& parameters = testing::World::get().parameters;
    std::size_t unions = 0;
    for (const Parameter* whole : parameters->list("Observation")) {
        if (!whole->code.starts_with("combo-")) {
            EXPECT_TRUE(whole->parts.empty()) << whole->code;
            continue;
        }
        ++unions;
        ASSERT_EQ(whole->parts.size(), 2U) << whole->code;
        Alternatives of_parts;
        for (const Parameter* part : whole->parts) {
            of_parts.merge(alternatives(part->expression));
            EXPECT_EQ(part->kind, whole->kind) << whole->code;
            ASSERT_EQ(part->components.size(), whole->components.size()) << whole->code;
            for (std::size_t i = 0; i < part->components.size(); ++i) {
                EXPECT_EQ(part->components[i].kind, whole->components[i].kind) << whole->code;
                EXPECT_EQ(alternatives(part->components[i].expression),
                          alternatives(whole->components[i].expression))
                    << whole->code;
            }
        }
        EXPECT_EQ(of_parts, alternatives(whole->expression)) << whole->code;
    }
    EXPECT_EQ(unions, 6U);
}

}  // namespace
}  // namespace meridian::fhir::search

// SPDX-License-Identifier: Apache-2.0
#include "fhir/search/extract.hpp"

#include <gtest/gtest.h>

#include "fhir/search/program.hpp"
#include "fhir/search/test_support.hpp"

namespace meridian::fhir::search {
namespace {

using testing::World;

store::Rows extract_text(std::string_view type, std::string_view json,
                         const ExtractOptions& options = {}) {
    auto document = JsonDocument::parse(json);
    EXPECT_TRUE(document.has_value());
    return extract(*World::get().parameters, type, document->root(), World::get().names, options);
}

bool has_token(const store::Rows& rows, std::string_view param, std::string_view system,
               std::string_view code) {
    const store::Name name = World::get().param(param);
    const std::int64_t value = World::get().token(system, code);
    return std::any_of(rows.tokens.begin(), rows.tokens.end(),
                       [&](const auto& row) { return row.param == name && row.value == value; });
}

std::vector<std::string> strings_of(const store::Rows& rows, std::string_view param) {
    std::vector<std::string> found;
    for (const auto& row : rows.strings) {
        if (row.param == World::get().param(param)) found.push_back(row.folded);
    }
    return found;
}

std::vector<store::Identity> references_of(const store::Rows& rows, std::string_view param) {
    std::vector<store::Identity> found;
    for (const auto& row : rows.references) {
        if (row.param == World::get().param(param)) found.push_back(row.target);
    }
    return found;
}

std::int64_t ms(std::string_view text) {
    return parse_date(text)->lower().milliseconds;
}

TEST(SearchParameters, EveryPublishedExpressionLeadsSomewhere) {
    const auto& world = World::get();
    std::vector<std::string> lost;
    for (const Type* type : definitions().resources()) {
        const Program* program = world.parameters->program(type->name);
        ASSERT_NE(program, nullptr) << type->name;
        for (const Parameter* parameter : world.parameters->list(type->name)) {
            if (parameter->expression.empty() || parameter->kind == SearchType::composite) continue;
            const bool is_fallback =
                std::any_of(program->fallbacks.begin(), program->fallbacks.end(),
                            [&](const auto& rule) { return rule.target.parameter == parameter; });
            if (parameter->element_types.empty() && !is_fallback)
                lost.push_back(parameter->type + "." + parameter->code);
        }
    }
    EXPECT_EQ(lost, std::vector<std::string>{});
}

TEST(SearchParameters, OnlyOddExpressionsNeedTheFhirPathEngine) {
    std::set<std::string> expressions;
    for (const Type* type : definitions().resources()) {
        for (const auto& rule : World::get().parameters->program(type->name)->fallbacks)
            expressions.insert(rule.expression.text());
    }
    EXPECT_EQ(expressions,
              std::set<std::string>{"Patient.deceased.exists() and Patient.deceased != false"});
}

TEST(SearchExtract, SyntheaRowsAndSpeed) {
    const auto bundles = testing::synthea_bundles(8);
    if (bundles.empty()) GTEST_SKIP() << "no Synthea bundles on this machine";
    auto& world = World::get();
    std::size_t resources = 0, rows = 0, bytes = 0;
    std::chrono::nanoseconds spent{};
    std::map<std::string, std::array<double, 4>> per_type;
    for (const auto& text : bundles) {
        auto document = JsonDocument::parse(text);
        ASSERT_TRUE(document.has_value());
        bytes += text.size();
        for (const Json& entry : document->root()["entry"].items()) {
            const Json& resource = entry["resource"];
            const std::string_view type = resource.string_at("resourceType");
            const auto start = std::chrono::steady_clock::now();
            const store::Rows extracted = extract(*world.parameters, type, resource, world.names);
            const auto took = std::chrono::steady_clock::now() - start;
            spent += took;
            auto& row = per_type[std::string(type)];
            row[0] += 1;
            row[1] += static_cast<double>(took.count()) / 1e3;
            row[2] += static_cast<double>(extracted.size());
            EXPECT_GT(extracted.size(), 0U) << type;
            rows += extracted.size();
            ++resources;
        }
    }
    // The first pass has learned units and systems; the second one is what a running server sees.
    std::chrono::nanoseconds second{};
    for (const auto& text : bundles) {
        auto document = JsonDocument::parse(text);
        for (const Json& entry : document->root()["entry"].items()) {
            const std::string_view type = entry["resource"].string_at("resourceType");
            const auto start = std::chrono::steady_clock::now();
            const store::Rows extracted = extract(*world.parameters, type, entry["resource"], world.names);
            const auto took = std::chrono::steady_clock::now() - start;
            second += took;
            auto& row = per_type[std::string(type)];
            row[3] += static_cast<double>(took.count()) / 1e3;
        }
    }
    fmt::print("second pass: {:.2f} µs each\n", static_cast<double>(second.count()) / 1e3 / static_cast<double>(resources));
    fmt::print("{} resources, {} bytes each, {:.1f} rows each, {:.2f} µs each\n", resources,
               bytes / resources, static_cast<double>(rows) / static_cast<double>(resources),
               static_cast<double>(spent.count()) / 1e3 / static_cast<double>(resources));
    for (const auto& [type, row] : per_type)
        fmt::print("  {:28} {:6} × {:7.2f} µs, again {:7.2f} µs {:6.1f} rows\n", type, row[0], row[1] / row[0], row[3] / row[0],
                   row[2] / row[0]);
}

}  // namespace
}  // namespace meridian::fhir::search

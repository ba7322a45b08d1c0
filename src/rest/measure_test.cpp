// SPDX-License-Identifier: Apache-2.0
#include "rest/measure.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "base/metrics.hpp"

namespace meridian::rest {
namespace {

using net::Method;

TEST(Measure, NamesEachInteraction) {
    const auto of = [](Method method, std::vector<std::string> path, bool has_cursor = false) {
        return interaction_of(method, path, has_cursor);
    };
    EXPECT_EQ(of(Method::get, {"Patient", "p1"}), Interaction::read);
    EXPECT_EQ(of(Method::head, {"Patient", "p1"}), Interaction::read);
    EXPECT_EQ(of(Method::get, {"Patient", "p1", "_history", "2"}), Interaction::read);
    EXPECT_EQ(of(Method::get, {"Patient"}), Interaction::search);
    EXPECT_EQ(of(Method::get, {}), Interaction::search);
    EXPECT_EQ(of(Method::post, {"Patient", "_search"}), Interaction::search);
    EXPECT_EQ(of(Method::get, {"Patient", "p1", "Observation"}), Interaction::search);
    EXPECT_EQ(of(Method::post, {"Patient", "p1", "Observation", "_search"}), Interaction::search);
    EXPECT_EQ(of(Method::get, {"Patient"}, true), Interaction::next_page);
    EXPECT_EQ(of(Method::get, {"Patient", "p1", "_history"}), Interaction::history);
    EXPECT_EQ(of(Method::get, {"_history"}), Interaction::history);
    EXPECT_EQ(of(Method::post, {"Patient"}), Interaction::create);
    EXPECT_EQ(of(Method::put, {"Patient", "p1"}), Interaction::update);
    EXPECT_EQ(of(Method::put, {"Patient"}), Interaction::update);
    EXPECT_EQ(of(Method::patch, {"Patient", "p1"}), Interaction::patch);
    EXPECT_EQ(of(Method::delete_, {"Patient", "p1"}), Interaction::remove);
    EXPECT_EQ(of(Method::post, {}), Interaction::bundle);
    EXPECT_EQ(of(Method::get, {"Patient", "p1", "$everything"}), Interaction::operation);
    EXPECT_EQ(of(Method::post, {"$import"}), Interaction::operation);
    EXPECT_EQ(of(Method::get, {"metadata"}), Interaction::capabilities);
    EXPECT_EQ(of(Method::options, {}), Interaction::capabilities);
    EXPECT_EQ(of(Method::post, {"Patient", "p1"}), Interaction::other);
}

TEST(Measure, CountsUnderItsName) {
    const auto counted = [] {
        const std::string text = metrics::exposition();
        const std::string line = "\nmeridian_interaction_seconds_count{interaction=\"delete\"} ";
        const std::size_t place = text.find(line);
        return place == std::string::npos ? 0 : std::stoi(text.substr(place + line.size()));
    };
    const int before = counted();
    note_interaction(Interaction::remove, std::chrono::steady_clock::now());
    EXPECT_EQ(counted(), before + 1);
}

}  // namespace
}  // namespace meridian::rest

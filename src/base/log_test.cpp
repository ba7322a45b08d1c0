// SPDX-License-Identifier: Apache-2.0
#include "base/log.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "base/json.hpp"
#include "base/metrics.hpp"

namespace meridian {
namespace {

TEST(Log, EveryLineIsJson) {
    testing::internal::CaptureStderr();
    log::info("it \"works\"\n", {{"count", 7},
                                 {"path",
                                  "a\xFF"
                                  "b"},
                                 {"ratio", 0.5},
                                 {"nan", NAN},
                                 {"ready", true}});
    log::debug("not shown");
    const std::string line = testing::internal::GetCapturedStderr();
    ASSERT_EQ(std::ranges::count(line, '\n'), 1);
    const auto document = JsonDocument::parse(line);
    ASSERT_TRUE(document) << line;
    const Json& root = document->root();
    EXPECT_EQ(root.string_at("at").size(), 24u);
    EXPECT_TRUE(root.string_at("at").ends_with('Z')) << "UTC";
    EXPECT_EQ(root.string_at("level"), "info");
    EXPECT_EQ(root.string_at("message"), "it \"works\"\n");
    EXPECT_EQ(root["count"].text(), "7");
    EXPECT_TRUE(root["count"].is_number());
    EXPECT_EQ(root["path"].text(), "a\uFFFDb");
    EXPECT_TRUE(root["nan"].is_string());
    EXPECT_TRUE(root["ready"].boolean());
}

TEST(Log, LinesBelowTheLevelAreDropped) {
    testing::internal::CaptureStderr();
    log::set_level(log::Level::error);
    log::warning("dropped");
    log::set_level(log::Level::debug);
    log::debug("kept");
    log::set_level(log::Level::info);
    const std::string lines = testing::internal::GetCapturedStderr();
    EXPECT_EQ(lines.find("dropped"), std::string::npos);
    EXPECT_NE(lines.find("kept"), std::string::npos);
}

TEST(Metrics, Exposition) {
    metrics::counter("test_requests_total", "Requests.", "code=\"200\"").add(3);
    metrics::gauge("test_open", "Open things.").set(-2);
    auto& seconds = metrics::histogram("test_seconds", "Time.", "kind=\"read\"");
    seconds.observe(0.0001);
    seconds.observe(0.3);
    seconds.observe(100);
    const std::string text = metrics::exposition();
    for (const char* line :
         {"# HELP test_requests_total Requests.\n", "# TYPE test_requests_total counter\n",
          "\ntest_requests_total{code=\"200\"} 3\n", "\ntest_open -2\n",
          "# TYPE test_seconds histogram\n",
          "\ntest_seconds_bucket{kind=\"read\",le=\"0.0001\"} 1\n",
          "\ntest_seconds_bucket{kind=\"read\",le=\"0.25\"} 1\n",
          "\ntest_seconds_bucket{kind=\"read\",le=\"0.5\"} 2\n",
          "\ntest_seconds_bucket{kind=\"read\",le=\"+Inf\"} 3\n",
          "\ntest_seconds_count{kind=\"read\"} 3\n",
          "\ntest_seconds_sum{kind=\"read\"} 100.3001\n"}) {
        EXPECT_NE(("\n" + text).find(line), std::string::npos) << line << text;
    }
}

TEST(Metrics, CountFromManyThreads) {
    auto& counter = metrics::counter("test_shared_total", "Shared.");
    EXPECT_EQ(&counter, &metrics::counter("test_shared_total", "Shared."));
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([] {
                for (int k = 0; k < 1000; ++k)
                    metrics::counter("test_shared_total", "Shared.").add();
            });
        }
    }
    EXPECT_EQ(counter.value(), 4000u);
}

}  // namespace
}  // namespace meridian

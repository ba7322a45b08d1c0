// SPDX-License-Identifier: Apache-2.0
#include "fhir/follow.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "base/metrics.hpp"
#include "fhir/search/store_fixture.hpp"

namespace meridian::fhir {
namespace {

/// Fails until it is told to work.
class Stubborn : public FollowingView {
 public:
    std::string_view name() const override { return "stubborn"; }
    Result<void> follow(store::Snapshot&, std::span<const store::LogEntry>) override {
        if (!works) return fail(Category::unavailable, "not yet");
        return {};
    }
    std::atomic<bool> works = false;
};

class FollowTest : public search::testing::StoreFixture {
 protected:
    static std::int64_t lag() {
        return metrics::gauge("meridian_view_lag_entries", "", labels).value();
    }
    static std::int64_t is_followed() {
        return metrics::gauge("meridian_view_followed", "", labels).value();
    }
    static std::uint64_t failures() {
        return metrics::counter("meridian_view_failures_total", "", labels).value();
    }
    template <class Condition>
    static bool becomes(Condition condition) {
        for (int i = 0; i < 3'000 && !condition(); ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        return condition();
    }
    static constexpr std::string_view labels = "view=\"stubborn\"";
};

TEST_F(FollowTest, AViewThatFailsLagsUntilItWorks) {
    const auto view = std::make_shared<Stubborn>();
    Followers followers(*store_);
    store_->on_commit([&](store::Position last) { followers.wake(last); });
    followers.add(view);
    for (const char* id : {"a", "b", "c"})
        put(fmt::format(R"({{"resourceType":"Basic","id":"{}"}})", id));
    EXPECT_TRUE(becomes([] { return lag() == 3 && failures() >= 2; })) << lag() << failures();
    EXPECT_EQ(is_followed(), 1) << "it is this server's, although it fails";
    EXPECT_FALSE(followers.wait(2, 0));
    view->works = true;
    EXPECT_TRUE(followers.wait(2, 30'000));
    EXPECT_TRUE(becomes([] { return lag() == 0; })) << lag();
    EXPECT_EQ(metrics::gauge("meridian_log_position", "").value(), 2);
    store_->on_commit([](store::Position) {});
}

}  // namespace
}  // namespace meridian::fhir

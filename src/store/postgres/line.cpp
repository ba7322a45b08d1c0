// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/line.hpp"

#include "base/log.hpp"

namespace meridian::store::postgres {

void Line::watch(std::function<Result<void>(Connection&)> examine, std::function<void()> on_break) {
    const std::lock_guard lock(mutex_);
    examine_ = std::move(examine);
    on_break_ = std::move(on_break);
}

std::unexpected<Error> Line::break_off(const Error& reason) {
    is_broken_ = true;
    log::error(
        "the database goes on without what this server has seen there, as after a failover to a "
        "standby that lacked it: this server ends, and must be started again",
        {{"reason", reason.message}});
    if (on_break_) on_break_();
    return fail(Category::unavailable,
                "this server remembers what the database has lost, and ends; try again in a few "
                "seconds");
}

Result<std::uint64_t> Line::admit(Connection& connection, const Timeline& timeline) {
    const std::lock_guard lock(mutex_);
    if (is_broken_)
        return fail(Category::unavailable,
                    "this server remembers what the database has lost, and ends");
    if (era_ == 0) {
        timeline_ = timeline;
        era_ = 1;
    }
    if (timeline == timeline_) return era_.load();
    if (timeline.system == timeline_.system && timeline.number < timeline_.number)
        return fail(Category::unavailable,
                    fmt::format("this database is on timeline {} and was replaced by one on "
                                "timeline {}; stop the old one",
                                timeline.number, timeline_.number));
    // Before the look, so that nothing is remembered after it which the old timeline has said.
    ++era_;
    if (const auto kept = examine_ ? examine_(connection) : Result<void>(); !kept) {
        if (kept.error().category != Category::conflict) return std::unexpected(kept.error());
        return break_off(kept.error());
    }
    timeline_ = timeline;
    log::info("the database is on a new timeline, and all that this server knows is there",
              {{"timeline", timeline.number}});
    return era_.load();
}

}  // namespace meridian::store::postgres

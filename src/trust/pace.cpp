// SPDX-License-Identifier: Apache-2.0
#include "trust/pace.hpp"

#include <algorithm>
#include <cmath>

#include "trust/limits.hpp"

namespace meridian::trust {

namespace {

constexpr double burst = limits::account_requests_burst;
constexpr double a_second = limits::account_requests_a_second;

double seconds_between(Pace::Clock::time_point from, Pace::Clock::time_point to) {
    return std::chrono::duration<double>(to - from).count();
}

}  // namespace

Result<void> Pace::take(const Subject& subject) {
    if (subject.role == Role::system_client) return {};
    const Clock::time_point at = clock_();
    const std::lock_guard lock(mutex_);
    if (buckets_.size() >= limits::accounts_paced_max && !buckets_.contains(subject.account))
        forget_the_rested(at);
    Bucket& bucket = buckets_.try_emplace(subject.account, Bucket{burst, at}).first->second;
    bucket.left = std::min(burst, bucket.left + a_second * seconds_between(bucket.at, at));
    bucket.at = at;
    if (bucket.left >= 1) {
        bucket.left -= 1;
        return {};
    }
    const double wait = std::ceil((1 - bucket.left) / a_second);
    return fail(Category::busy,
                fmt::format("this account asks too often: at most {} times, and {} times a second "
                            "from then on",
                            limits::account_requests_burst, limits::account_requests_a_second),
                std::to_string(std::max(1, static_cast<int>(wait))));
}

/// Whose requests have all come back is as good as never seen. When everybody is at work all are
/// forgotten: then some get a second burst.
void Pace::forget_the_rested(Clock::time_point at) {
    std::erase_if(buckets_, [&](const auto& one) {
        const Bucket& bucket = one.second;
        return bucket.left + a_second * seconds_between(bucket.at, at) >= burst;
    });
    if (buckets_.size() >= limits::accounts_paced_max) buckets_.clear();
}

std::size_t Pace::size() const {
    const std::lock_guard lock(mutex_);
    return buckets_.size();
}

}  // namespace meridian::trust

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/result.hpp"
#include "trust/subject.hpp"

namespace meridian::trust {

/// How fast one person may ask (ASVS 5.0 V2.4.1): nobody reads hundreds of records a minute by
/// hand, so whoever does copies the record out, or a program of theirs runs wild. Each account has
/// limits::account_requests_burst requests at hand, which come back at
/// limits::account_requests_a_second; all its sessions, apps and tokens together. System clients
/// are programs by their role, and pass: the queue before the workers bounds them.
///
/// One server counts for itself; what it remembers is bounded. Thread-safe.
class Pace {
 public:
    using Clock = std::chrono::steady_clock;
    explicit Pace(std::function<Clock::time_point()> clock = Clock::now)
        : clock_(std::move(clock)) {}

    /// Counts one request of the subject. Errors: `busy`, with the seconds to wait as Error::where.
    /// Blocking: never.
    Result<void> take(const Subject& subject);
    /// Accounts that are remembered now.
    std::size_t size() const;

 private:
    struct Bucket {
        double left;
        Clock::time_point at;  ///< when that was so
    };
    void forget_the_rested(Clock::time_point at);  ///< needs the lock

    std::function<Clock::time_point()> clock_;
    mutable std::mutex mutex_;
    std::unordered_map<std::string, Bucket> buckets_;  ///< by account
};

}  // namespace meridian::trust

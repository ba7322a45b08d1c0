// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace meridian::cli {

/// A progress line on standard error: bar, rate and time left. On a terminal it is redrawn in
/// place; elsewhere one line is written every ten seconds.
class Progress {
 public:
    /// `unit` names what is counted for the rate, e.g. "resources".
    explicit Progress(std::string unit);
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    /// `done` of `total` work (any measure; total 0 = unknown) and `count` of the unit.
    void show(std::int64_t done, std::int64_t total, std::int64_t count,
              const std::string& note = {});
    /// Ends the line; prints count, seconds and rate.
    void finish(std::int64_t count);

 private:
    using Clock = std::chrono::steady_clock;
    double seconds() const { return std::chrono::duration<double>(Clock::now() - begun_).count(); }

    std::string unit_;
    Clock::time_point begun_ = Clock::now();
    Clock::time_point shown_{};
    bool terminal_ = false;
    bool drawn_ = false;
};

}  // namespace meridian::cli

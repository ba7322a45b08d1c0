// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

namespace meridian::metrics {

/// A count that only grows. Cheap enough for every request.
class Counter {
 public:
    void add(std::uint64_t by = 1) { value_.fetch_add(by, std::memory_order_relaxed); }
    std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
    std::atomic<std::uint64_t> value_{0};
};

/// A value that goes up and down.
class Gauge {
 public:
    void set(std::int64_t to) { value_.store(to, std::memory_order_relaxed); }
    void add(std::int64_t by) { value_.fetch_add(by, std::memory_order_relaxed); }
    std::int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
    std::atomic<std::int64_t> value_{0};
};

/// Durations in seconds with fixed bounds from 100 µs to 30 s.
class Histogram {
 public:
    static constexpr double bounds[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
                                        0.01,   0.025,   0.05,   0.1,   0.25,   0.5,
                                        1,      2.5,     5,      10,    30};
    static constexpr int bound_count = sizeof(bounds) / sizeof(bounds[0]);
    void observe(double seconds);

 private:
    friend std::string exposition();
    std::atomic<std::uint64_t> buckets_[bound_count + 1]{};
    std::atomic<std::uint64_t> sum_nanoseconds_{0};
};

/// The metric called `name` with `labels` (`interaction="read"` or empty), made on first use; the
/// reference stays valid for ever. Look it up once and keep the reference: the look-up takes a
/// lock.
Counter& counter(std::string_view name, std::string_view help, std::string_view labels = {});
Gauge& gauge(std::string_view name, std::string_view help, std::string_view labels = {});
Histogram& histogram(std::string_view name, std::string_view help, std::string_view labels = {});

/// All metrics in the Prometheus text exposition format 0.0.4.
std::string exposition();

}  // namespace meridian::metrics

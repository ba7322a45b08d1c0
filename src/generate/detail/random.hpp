// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <span>

namespace meridian::generate {

/// SplitMix64 (Steele, Lea, Flood 2014): a stream of its own for every (seed, stream), so that each
/// patient stands alone. The distributions are written out because those of the standard library
/// differ between implementations.
class Random {
 public:
    Random(std::uint64_t seed, std::uint64_t stream)
        : state_(mix(seed ^ 0x6d65726964ULL) ^ mix(stream * 0x9e3779b97f4a7c15ULL + 1)) {}

    std::uint64_t next() { return mix(state_ += 0x9e3779b97f4a7c15ULL); }
    /// Uniform in [0, 1).
    double unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
    double uniform(double low, double high) { return low + (high - low) * unit(); }
    /// Uniform integer, both ends included.
    int between(int low, int high) {
        if (high <= low) return low;
        const auto range = static_cast<std::uint64_t>(high - low) + 1;
        return low + static_cast<int>(((next() >> 32) * range) >> 32);
    }
    bool chance(double probability) { return unit() < probability; }
    /// Near-normal, bounded at ±3.46 deviations (sum of four uniforms): laboratory values have no
    /// wild tails.
    double normal(double mean, double deviation) {
        const double sum = unit() + unit() + unit() + unit() - 2.0;
        return mean + deviation * sum * 1.7320508075688772;
    }
    double exponential(double mean) { return -mean * std::log(1.0 - unit()); }
    /// Poisson by multiplication; for small means.
    int poisson(double mean) {
        const double limit = std::exp(-mean);
        int count = 0;
        for (double product = unit(); product > limit && count < 64; product *= unit()) ++count;
        return count;
    }
    template <class T, std::size_t N>
    const T& pick(const T (&items)[N]) {
        return items[between(0, static_cast<int>(N) - 1)];
    }
    template <class T>
    const T& pick(std::span<T> items) {
        return items[static_cast<std::size_t>(between(0, static_cast<int>(items.size()) - 1))];
    }
    /// Index drawn in proportion to `weights`.
    int weighted(std::span<const double> weights) {
        double total = 0;
        for (double weight : weights) total += weight;
        double left = unit() * total;
        for (std::size_t i = 0; i < weights.size(); ++i)
            if ((left -= weights[i]) < 0) return static_cast<int>(i);
        return static_cast<int>(weights.size()) - 1;
    }

 private:
    static std::uint64_t mix(std::uint64_t z) {
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        return z ^ (z >> 31);
    }
    std::uint64_t state_;
};

}  // namespace meridian::generate

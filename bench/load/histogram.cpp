// SPDX-License-Identifier: Apache-2.0
#include <bit>
#include <cmath>

#include "bench/load/load.hpp"

namespace meridian::load {

// Values below 2^sub_bits have a bucket each; above, each power of two is cut into 2^sub_bits
// buckets of equal width.

std::size_t Histogram::bucket_of(std::uint64_t value) {
    constexpr std::uint64_t exact = 1u << sub_bits;
    if (value < exact) return static_cast<std::size_t>(value);
    const int power = std::bit_width(value) - 1 - sub_bits;
    return (static_cast<std::size_t>(power + 1) << sub_bits) +
           static_cast<std::size_t>((value >> power) - exact);
}

std::uint64_t Histogram::upper_bound_of(std::size_t bucket) {
    constexpr std::uint64_t exact = 1u << sub_bits;
    if (bucket < exact) return bucket;
    const std::size_t power = (bucket >> sub_bits) - 1;
    const std::uint64_t lower = (exact + (bucket & (exact - 1))) << power;
    return lower + ((std::uint64_t{1} << power) - 1);
}

void Histogram::record(std::int64_t nanoseconds) {
    const std::int64_t value = std::max<std::int64_t>(nanoseconds, 0);
    ++buckets_[bucket_of(static_cast<std::uint64_t>(value))];
    ++count_;
    max_ = std::max(max_, value);
    sum_ += value;
}

void Histogram::add(const Histogram& other) {
    for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
    count_ += other.count_;
    max_ = std::max(max_, other.max_);
    sum_ += other.sum_;
}

std::int64_t Histogram::percentile(double fraction) const {
    if (count_ == 0) return 0;
    const auto rank = static_cast<std::uint64_t>(
        std::ceil(std::clamp(fraction, 0.0, 1.0) * static_cast<double>(count_)));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
        seen += buckets_[i];
        if (seen >= std::max<std::uint64_t>(rank, 1))
            return std::min(static_cast<std::int64_t>(upper_bound_of(i)), max_);
    }
    return max_;
}

}  // namespace meridian::load

// SPDX-License-Identifier: Apache-2.0
// Private to the folder: sets of concepts of one code system.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

namespace meridian::fhir::terminology {

/// A set of the numbers 0 … size-1, one bit each: 400,000 concepts take 50 kB.
class Bits {
 public:
    Bits() = default;
    explicit Bits(std::size_t size) : size_(size), words_((size + 63) / 64) {}

    std::size_t size() const { return size_; }
    bool test(std::size_t at) const {
        return at < size_ && ((words_[at / 64] >> (at % 64)) & 1) != 0;
    }
    void set(std::size_t at) { words_[at / 64] |= std::uint64_t{1} << (at % 64); }
    void set_all() {
        for (std::uint64_t& word : words_) word = ~std::uint64_t{0};
        trim();
    }
    void flip() {
        for (std::uint64_t& word : words_) word = ~word;
        trim();
    }
    /// Keeps what is in both. The sizes are equal.
    void keep(const Bits& other) {
        for (std::size_t i = 0; i < words_.size(); ++i) words_[i] &= other.words_[i];
    }
    std::size_t count() const {
        std::size_t total = 0;
        for (const std::uint64_t word : words_)
            total += static_cast<std::size_t>(std::popcount(word));
        return total;
    }
    /// Calls `visit(number)` in ascending order until it returns false.
    template <class Visit>
    bool each(Visit visit) const {
        for (std::size_t i = 0; i < words_.size(); ++i) {
            for (std::uint64_t word = words_[i]; word != 0; word &= word - 1) {
                if (!visit(i * 64 + static_cast<std::size_t>(std::countr_zero(word)))) return false;
            }
        }
        return true;
    }

 private:
    void trim() {
        if (size_ % 64 != 0) words_.back() &= (std::uint64_t{1} << (size_ % 64)) - 1;
    }

    std::size_t size_ = 0;
    std::vector<std::uint64_t> words_;
};

}  // namespace meridian::fhir::terminology

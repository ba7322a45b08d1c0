// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string_view>

#include "store/rows.hpp"

/// Reading packed forward rows in place: one candidate is tested against a condition without
/// building any container.
///
/// Layout: a format byte, then sections in ascending kind. A section is its kind (one byte), its
/// length (varint) and its rows, sorted by all their columns and without repetition (compartments
/// keep the order they were given in). Rows of a section are coded against the row before.
namespace meridian::store {

inline constexpr unsigned char forward_format = 1;

enum class Section : unsigned char {
    tokens = 1,
    strings,
    dates,
    numbers,
    quantities,
    references,
    uris,
    composites,
    texts,
    patients,
    compartments,
    views,
    unique_keys,
};
inline constexpr unsigned section_last = static_cast<unsigned>(Section::unique_keys);

inline std::uint64_t zigzag(std::int64_t value) {
    return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}
inline std::int64_t unzigzag(std::uint64_t value) {
    return static_cast<std::int64_t>((value >> 1) ^ (~(value & 1) + 1));
}
/// Sums and differences of deltas wrap: every pair of 64-bit values has a delta.
inline std::int64_t wrapping_add(std::int64_t a, std::int64_t b) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}
inline std::int64_t wrapping_subtract(std::int64_t a, std::int64_t b) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}

/// Takes numbers and strings off the front of some bytes. After the first damage every take gives
/// zero or nothing, `damaged()` holds and the reader is at its end.
class ByteReader {
 public:
    ByteReader() = default;
    explicit ByteReader(std::string_view bytes)
        : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

    bool at_end() const { return at_ == end_; }
    bool damaged() const { return damaged_; }
    void damage() {
        damaged_ = true;
        at_ = end_;
    }

    unsigned char byte() {
        if (at_ == end_) {
            damage();
            return 0;
        }
        return static_cast<unsigned char>(*at_++);
    }
    /// Little-endian base-128 groups, the high bit says that more follow.
    std::uint64_t varint() {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            const unsigned char group = byte();
            // The tenth group holds the one bit that is left of 64.
            if (shift == 63 && group > 1) break;
            value |= static_cast<std::uint64_t>(group & 0x7f) << shift;
            if ((group & 0x80) == 0) return value;
        }
        damage();
        return 0;
    }
    std::int64_t signed_varint() { return unzigzag(varint()); }
    std::int64_t fixed() {
        if (end_ - at_ < 8) {
            damage();
            return 0;
        }
        std::uint64_t value = 0;
        std::memcpy(&value, at_, 8);
        if constexpr (std::endian::native == std::endian::big) value = __builtin_bswap64(value);
        at_ += 8;
        return static_cast<std::int64_t>(value);
    }
    double real() { return std::bit_cast<double>(fixed()); }
    /// A real near `base`, coded as the distance of their bits.
    double real_after(double base) {
        return std::bit_cast<double>(
            wrapping_add(std::bit_cast<std::int64_t>(base), signed_varint()));
    }
    std::string_view take(std::uint64_t length) {
        if (length > static_cast<std::uint64_t>(end_ - at_)) {
            damage();
            return {};
        }
        const std::string_view taken(at_, static_cast<std::size_t>(length));
        at_ += length;
        return taken;
    }
    std::string_view string() { return take(varint()); }
    /// A dictionary id coded as its distance from `previous`.
    Name name_after(Name previous) {
        const std::uint64_t value =
            varint() + static_cast<std::uint64_t>(static_cast<std::int64_t>(previous));
        if (static_cast<std::int64_t>(value) < previous ||
            static_cast<std::int64_t>(value) > std::numeric_limits<Name>::max())
            damage();
        return damaged_ ? 0 : static_cast<Name>(value);
    }

 private:
    const char* at_ = nullptr;
    const char* end_ = nullptr;
    bool damaged_ = false;
};

// One walker per section kind: `while (walker.next()) use(walker.…)`. Strings point into the packed
// bytes. After the last row ask damaged().

struct TokenWalker {
    ByteReader in;
    Name param = 0;
    std::int64_t value = 0;
    bool next() {
        if (in.at_end()) return false;
        param = in.name_after(param);
        value = in.fixed();
        return !in.damaged();
    }
};
struct StringWalker {
    ByteReader in;
    Name param = 0;
    std::string_view folded{};
    std::string_view exact{};
    bool next() {
        if (in.at_end()) return false;
        param = in.name_after(param);
        folded = in.string();
        const std::uint64_t length = in.varint();  // 0: as folded, else one more than the length
        exact = length == 0 ? folded : in.take(length - 1);
        return !in.damaged();
    }
};
struct DateWalker {
    ByteReader in;
    Name param = 0;
    std::int64_t lo = 0;
    std::int64_t hi = 0;
    bool next() {
        if (in.at_end()) return false;
        param = in.name_after(param);
        lo = wrapping_add(lo, in.signed_varint());
        hi = wrapping_add(lo, static_cast<std::int64_t>(in.varint()));
        return !in.damaged();
    }
};
struct NumberWalker {
    ByteReader in;
    Name param = 0;
    double lo = 0;
    double hi = 0;
    bool next() {
        if (in.at_end()) return false;
        param = in.name_after(param);
        lo = in.real();
        hi = in.real_after(lo);
        return !in.damaged();
    }
};
struct QuantityWalker {
    ByteReader in;
    Name param = 0;
    Name unit = 0;
    double lo = 0;
    double hi = 0;
    bool next() {
        if (in.at_end()) return false;
        param = in.name_after(param);
        unit = in.name_after(0);
        lo = in.real();
        hi = in.real_after(lo);
        return !in.damaged();
    }
};
struct ReferenceWalker {
    ByteReader in;
    Name param = 0;
    Rid target = 0;
    bool next() {
        if (in.at_end()) return false;
        param = in.name_after(param);
        target = wrapping_add(target, in.signed_varint());
        return !in.damaged();
    }
};
struct UriWalker {
    ByteReader in;
    Name param = 0;
    std::string_view uri{};
    bool next() {
        if (in.at_end()) return false;
        param = in.name_after(param);
        uri = in.string();
        return !in.damaged();
    }
};
struct CompositeWalker {
    ByteReader in;
    Name param = 0;
    std::int64_t key = 0;
    std::int64_t second = 0;
    double lo = 0;
    double hi = 0;
    std::string_view folded{};
    static constexpr unsigned char has_second = 1;
    static constexpr unsigned char has_range = 2;
    static constexpr unsigned char has_folded = 4;
    bool next() {
        if (in.at_end()) return false;
        param = in.name_after(param);
        key = in.fixed();
        const unsigned char parts = in.byte();
        if (parts > (has_second | has_range | has_folded)) in.damage();
        second = (parts & has_second) != 0 ? in.signed_varint() : 0;
        lo = (parts & has_range) != 0 ? in.real() : 0;
        hi = (parts & has_range) != 0 ? in.real_after(lo) : 0;
        folded = (parts & has_folded) != 0 ? in.string() : std::string_view();
        return !in.damaged();
    }
};
struct TextWalker {
    ByteReader in;
    Name param = 0;
    bool next() {
        if (in.at_end()) return false;
        param = in.name_after(param);
        return !in.damaged();
    }
};
struct PatientWalker {
    ByteReader in;
    Rid patient = 0;
    std::int64_t code = 0;
    std::int64_t date = 0;
    bool next() {
        if (in.at_end()) return false;
        patient = wrapping_add(patient, in.signed_varint());
        const unsigned char coded = in.byte();
        if (coded > 1) in.damage();
        code = coded == 1 ? in.fixed() : 0;
        date = wrapping_add(date, in.signed_varint());
        return !in.damaged();
    }
};
struct CompartmentWalker {
    ByteReader in;
    Rid patient = 0;
    bool next() {
        if (in.at_end()) return false;
        patient = wrapping_add(patient, in.signed_varint());
        return !in.damaged();
    }
};
struct ViewWalker {
    ByteReader in;
    Name view = 0;
    std::string_view key{};
    bool next() {
        if (in.at_end()) return false;
        view = in.name_after(view);
        key = in.string();
        return !in.damaged();
    }
};
struct UniqueKeyWalker {
    ByteReader in;
    std::string_view key{};
    bool next() {
        if (in.at_end()) return false;
        key = in.string();
        return !in.damaged();
    }
};

/// The sections of one packed row set. The bytes must outlive it.
class ForwardView {
 public:
    ForwardView() = default;
    /// Finds where the sections lie; damaged() tells when that fails.
    explicit ForwardView(std::string_view bytes);

    bool damaged() const { return damaged_; }
    std::string_view section(Section kind) const { return sections_[static_cast<unsigned>(kind)]; }
    ByteReader reader(Section kind) const { return ByteReader(section(kind)); }

    TokenWalker tokens() const { return {reader(Section::tokens)}; }
    StringWalker strings() const { return {reader(Section::strings)}; }
    DateWalker dates() const { return {reader(Section::dates)}; }
    NumberWalker numbers() const { return {reader(Section::numbers)}; }
    QuantityWalker quantities() const { return {reader(Section::quantities)}; }
    ReferenceWalker references() const { return {reader(Section::references)}; }
    UriWalker uris() const { return {reader(Section::uris)}; }
    CompositeWalker composites() const { return {reader(Section::composites)}; }
    TextWalker texts() const { return {reader(Section::texts)}; }
    PatientWalker patients() const { return {reader(Section::patients)}; }
    CompartmentWalker compartments() const { return {reader(Section::compartments)}; }
    ViewWalker views() const { return {reader(Section::views)}; }
    UniqueKeyWalker unique_keys() const { return {reader(Section::unique_keys)}; }

 private:
    std::string_view sections_[section_last + 1]{};
    bool damaged_ = false;
};

}  // namespace meridian::store

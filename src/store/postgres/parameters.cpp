// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/parameters.hpp"

#include <bit>

namespace meridian::store::postgres {

namespace {

/// The type of an array of these elements, as pg_type has them.
unsigned array_of(unsigned element) {
    switch (element) {
        case 17:
            return 1001;  // bytea[]
        case 20:
            return 1016;  // bigint[]
        case 23:
            return 1007;  // integer[]
        case 701:
            return 1022;  // double precision[]
        default:
            return 1009;  // text[]
    }
}

}  // namespace

void Parameters::put(const void* bytes, std::size_t count) {
    data_.append(static_cast<const char*>(bytes), count);
}
void Parameters::put_big_endian(std::uint32_t value) {
    if constexpr (std::endian::native == std::endian::little) value = __builtin_bswap32(value);
    put(&value, sizeof value);
}
void Parameters::put_big_endian(std::uint64_t value) {
    if constexpr (std::endian::native == std::endian::little) value = __builtin_bswap64(value);
    put(&value, sizeof value);
}

void Parameters::begin_value(unsigned type) {
    types_.push_back(type);
    offsets_.push_back(data_.size());
    formats_.push_back(1);
}
void Parameters::end_value() {
    lengths_.push_back(static_cast<int>(data_.size() - offsets_.back()));
}

Parameters& Parameters::integer(std::int64_t value) {
    begin_value(oid_int8);
    put_big_endian(static_cast<std::uint64_t>(value));
    end_value();
    return *this;
}
Parameters& Parameters::small(std::int32_t value) {
    begin_value(oid_int4);
    put_big_endian(static_cast<std::uint32_t>(value));
    end_value();
    return *this;
}
Parameters& Parameters::real(double value) {
    begin_value(oid_float8);
    put_big_endian(std::bit_cast<std::uint64_t>(value));
    end_value();
    return *this;
}
Parameters& Parameters::text(std::string_view value) {
    begin_value(oid_text);
    put(value.data(), value.size());
    end_value();
    return *this;
}
Parameters& Parameters::bytes(std::string_view value) {
    begin_value(oid_bytea);
    put(value.data(), value.size());
    end_value();
    return *this;
}
Parameters& Parameters::null() {
    begin_value(0);
    lengths_.push_back(-1);
    return *this;
}
Parameters& Parameters::integers(std::span<const std::int64_t> values) {
    return column(values, [](std::int64_t value) { return value; });
}
Parameters& Parameters::smalls(std::span<const std::int32_t> values) {
    return column(values, [](std::int32_t value) { return value; });
}

// Arrays: number of dimensions, whether there are NULLs, the elements' type, then length and lower
// bound of each dimension, then each element behind its length (array_send).
void Parameters::begin_array(unsigned element, std::size_t count) {
    begin_value(array_of(element));
    put_big_endian(std::uint32_t{count == 0 ? 0u : 1u});
    put_big_endian(std::uint32_t{0});
    put_big_endian(std::uint32_t{element});
    if (count == 0) return;
    put_big_endian(static_cast<std::uint32_t>(count));
    put_big_endian(std::uint32_t{1});
}
void Parameters::append(std::int64_t value) {
    put_big_endian(std::uint32_t{sizeof value});
    put_big_endian(static_cast<std::uint64_t>(value));
}
void Parameters::append(std::int32_t value) {
    put_big_endian(std::uint32_t{sizeof value});
    put_big_endian(static_cast<std::uint32_t>(value));
}
void Parameters::append(double value) {
    put_big_endian(std::uint32_t{sizeof value});
    put_big_endian(std::bit_cast<std::uint64_t>(value));
}
void Parameters::append(std::string_view value) {
    put_big_endian(static_cast<std::uint32_t>(value.size()));
    put(value.data(), value.size());
}

const char* const* Parameters::values() {
    values_.clear();
    for (std::size_t i = 0; i < offsets_.size(); ++i)
        values_.push_back(lengths_[i] < 0 ? nullptr : data_.data() + offsets_[i]);
    return values_.data();
}

}  // namespace meridian::store::postgres

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace meridian::store::postgres {

/// The values of a statement's $1, $2 … in PostgreSQL's binary format (PostgreSQL 15
/// documentation, "Message Formats" and the types' send functions: numbers big-endian, arrays with
/// a head of dimensions). A scalar is given as the type that the statement expects of it.
class Parameters {
 public:
    Parameters& integer(std::int64_t value);  ///< bigint
    Parameters& small(std::int32_t value);    ///< integer
    Parameters& real(double value);           ///< double precision
    Parameters& text(std::string_view value);
    Parameters& bytes(std::string_view value);  ///< bytea
    Parameters& null();

    Parameters& integers(std::span<const std::int64_t> values);  ///< bigint[]
    Parameters& smalls(std::span<const std::int32_t> values);    ///< integer[]
    /// One array whose items `get(item)` takes from the items of a list; the type of what it
    /// returns decides: std::int64_t bigint[], std::int32_t integer[], double double precision[],
    /// Bytes bytea[], anything like a string text[].
    template <class List, class Get>
    Parameters& column(const List& list, Get get) {
        using Value = std::remove_cvref_t<decltype(get(*std::begin(list)))>;
        begin_array(oid_of<Value>(), std::size(list));
        for (const auto& item : list) append(get(item));
        end_value();
        return *this;
    }
    struct Bytes {
        std::string_view bytes;
    };

    int size() const { return static_cast<int>(types_.size()); }
    const unsigned* types() const { return types_.data(); }
    const int* lengths() const { return lengths_.data(); }
    const int* formats() const { return formats_.data(); }
    /// Pointers to the values; valid until the next value is added.
    const char* const* values();

 private:
    static constexpr unsigned oid_bytea = 17, oid_int8 = 20, oid_int4 = 23, oid_text = 25,
                              oid_float8 = 701;
    template <class Value>
    static constexpr unsigned oid_of() {
        if constexpr (std::is_same_v<Value, double>) return oid_float8;
        if constexpr (std::is_same_v<Value, std::int64_t>) return oid_int8;
        if constexpr (std::is_same_v<Value, std::int32_t>) return oid_int4;
        if constexpr (std::is_same_v<Value, Bytes>) return oid_bytea;
        return oid_text;
    }
    void begin_value(unsigned type);
    void end_value();
    void begin_array(unsigned element, std::size_t count);
    void append(std::int64_t value);
    void append(std::int32_t value);
    void append(double value);
    void append(std::string_view value);
    void append(Bytes value) { append(value.bytes); }
    void put(const void* bytes, std::size_t count);
    void put_big_endian(std::uint32_t value);
    void put_big_endian(std::uint64_t value);

    std::string data_;
    std::vector<unsigned> types_;
    std::vector<std::size_t> offsets_;
    std::vector<int> lengths_;  ///< -1 = NULL
    std::vector<int> formats_;
    std::vector<const char*> values_;
};

}  // namespace meridian::store::postgres

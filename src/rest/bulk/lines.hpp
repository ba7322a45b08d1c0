// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace meridian::rest {

/// Cuts bytes that come in pieces into lines, unpacking them first when they begin as gzip does
/// (RFC 1952, also several members in a row). Memory is bounded by one line.
class Lines {
 public:
    /// Takes a line without its end, and its number, from 1 on. Blank lines are numbered and not
    /// handed over.
    using OnLine = std::function<Result<void>(std::string line, std::int64_t number)>;
    /// Takes the start of a line above limits::resource_bytes_max, when it has ended; the lines
    /// behind it follow.
    using OnTooLong = std::function<Result<void>(std::string_view start, std::int64_t number,
                                                 const Error& reason)>;
    Lines(OnLine on_line, OnTooLong on_too_long);
    ~Lines();
    Lines(const Lines&) = delete;
    Lines& operator=(const Lines&) = delete;

    /// Errors: those of the receivers; `incorrect` for damaged gzip data.
    Result<void> put(std::string_view piece);
    /// Hands over a last line that has no end. Errors: as put; `incorrect` for gzip data that ends
    /// early.
    Result<void> finish();

 private:
    struct Unpacker;
    Result<void> take(std::string_view text);
    Result<void> end_line();
    Result<void> unpack(std::string_view piece);

    OnLine on_line_;
    OnTooLong on_too_long_;
    std::string head_;  ///< the first bytes, until they tell whether this is gzip
    bool has_begun_ = false;
    std::unique_ptr<Unpacker> unpacker_;
    std::string line_;
    bool is_too_long_ = false;  ///< line_ is only the start
    std::int64_t number_ = 0;
};

}  // namespace meridian::rest

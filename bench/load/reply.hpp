// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "bench/load/load.hpp"

namespace meridian::load {

/// Takes one HTTP/1.1 answer out of bytes that arrive in pieces. Knows Content-Length, chunks and
/// answers without body: all that a server sends that keeps connections open.
class ReplyReader {
 public:
    enum class Status : unsigned char { need_more, complete, broken };

    /// Begins a new answer; bytes behind the last one are kept.
    void start(bool is_head_request);
    /// Room for at least `bytes` more; written bytes are announced with received().
    char* room(std::size_t bytes);
    void received(std::size_t bytes) { end_ += bytes; }
    Status advance();
    /// After `complete`, until the next start().
    Reply reply() const;
    bool must_close() const { return must_close_; }
    void reset();

 private:
    Status read_head();
    Status read_chunks();
    std::string_view unread() const {
        return std::string_view(bytes_).substr(position_, end_ - position_);
    }

    std::string bytes_;
    std::size_t begin_ = 0;     ///< of the answer
    std::size_t position_ = 0;  ///< next byte to look at
    std::size_t end_ = 0;       ///< of what was received
    std::size_t head_end_ = 0;
    std::size_t body_left_ = 0;
    std::string chunks_;  ///< the body of a chunked answer, put together
    int status_ = 0;
    bool is_head_request_ = false;
    bool has_head_ = false;
    bool is_chunked_ = false;
    bool must_close_ = false;
};

}  // namespace meridian::load

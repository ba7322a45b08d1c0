// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "net/detail/encoding.hpp"
#include "net/http.hpp"

namespace meridian::net::detail {

/// One answer on its way out: two pieces of bytes that go out in one gathered write, refilled by
/// pull() while a stream lasts.
struct Outgoing {
    std::string head;  ///< status line and headers, later the size line of a chunk
    std::string body;
    std::size_t sent = 0;  ///< of head and body together
    bool keep_alive = false;

    /// Renders `response` to `request`. Compresses a complete body where client and content allow
    /// it.
    void prepare(const Request& request, bool is_http_1_0, bool may_keep_alive,
                 Response&& response);
    /// Whether pull() must be called when head and body are sent.
    bool has_more() const { return stream_ != nullptr; }
    /// Replaces head and body by the next chunk. Errors: those of the stream; the connection must
    /// then be cut.
    Result<void> pull();
    /// Lets go of the stream and of large buffers.
    void clear();

 private:
    void write_head(const Request& request, const Response& response, bool is_http_1_0, bool varies,
                    Encoding encoding, bool is_stream, std::size_t body_size);
    BodyStream stream_;
    std::unique_ptr<Encoder> encoder_;
    std::string chunk_;
    bool is_chunked_ = false;
};

}  // namespace meridian::net::detail

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "net/http.hpp"

namespace meridian::net::detail {

/// A request that the parser refuses: the answer's status and the reason for a person.
struct Refusal {
    int status = 400;
    std::string message;
};

/// Reads HTTP/1.1 requests from bytes that arrive in any pieces, one request after the other, into
/// a reused Request. Source: RFC 9112. Framing that two parties could read differently (RFC 9112
/// §11.2) is refused.
class RequestParser {
 public:
    struct Bounds {
        std::size_t header_bytes_max;
        std::size_t url_bytes_max;
        std::size_t body_bytes_max;
    };
    enum class Event : unsigned char {
        need_more,  ///< all useful bytes are taken; call again when there are more
        head,       ///< request line and headers are complete; call put again for the body
        complete,   ///< the request is complete
        refused,    ///< see refusal(); the connection cannot go on
    };

    explicit RequestParser(Bounds bounds);
    ~RequestParser();
    RequestParser(const RequestParser&) = delete;
    RequestParser& operator=(const RequestParser&) = delete;

    /// Begins a new request that is written into `request`, whose old content goes.
    void start(Request& request);
    /// Takes bytes off the front of `data` and returns how many. Bytes not taken must be presented
    /// again, with more behind them.
    std::size_t put(std::string_view data, Event& event);

    bool has_started() const;  ///< at least one byte of the request was seen
    bool is_head_complete() const;
    // Valid once the head is complete:
    bool keep_alive() const;
    bool is_http_1_0() const;
    bool expects_continue() const;  ///< the client waits for 100 Continue before it sends the body
    bool is_websocket_upgrade() const;
    std::uint64_t body_bytes_left() const;  ///< of a body with Content-Length; 0 for a chunked one

    const Refusal& refusal() const;

 private:
    struct Implementation;
    std::unique_ptr<Implementation> implementation_;
};

}  // namespace meridian::net::detail

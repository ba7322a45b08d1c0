// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "net/detail/tls.hpp"
#include "net/detail/worker_pool.hpp"
#include "net/server.hpp"

namespace boost::asio {
class io_context;
}

namespace meridian::net::detail {

/// A WebSocket as the server's I/O thread sees it.
class WebSocketSession {
 public:
    virtual ~WebSocketSession() = default;
    /// Closes with 1001 (going away). On the I/O thread.
    virtual void stop() = 0;
    /// Cuts the connection. On the I/O thread.
    virtual void cut() = 0;
};

struct WebSocketStart {
    int socket = -1;  ///< connected and non-blocking; the session closes it
    bool is_ipv6 = false;
    std::unique_ptr<TlsSession> tls{};  ///< of that socket, after its handshake; null: plain
    Request request{};                  ///< the upgrade
    const WebSocketHandler* handler = nullptr;
    const ServerLimits* limits = nullptr;
    WorkerPool* pool = nullptr;
    std::function<void(WebSocketSession*)>
        on_end{};  ///< on the I/O thread, after on_close has returned; exactly once
};

/// Answers the handshake and runs the socket on `context`, whose only thread calls this.
std::shared_ptr<WebSocketSession> start_websocket(boost::asio::io_context& context,
                                                  WebSocketStart start);

}  // namespace meridian::net::detail

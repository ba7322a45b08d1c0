// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.hpp"
#include "base/result.hpp"
#include "net/http.hpp"

namespace meridian::net {

/// One open WebSocket. All functions are thread-safe and never block; a socket that is closed
/// swallows what it is sent.
class WebSocket {
 public:
    virtual ~WebSocket() = default;
    /// Queues one text message. False when the socket is closing or its outbox is full: then it is
    /// closed with 1013 (try again later).
    virtual bool send(std::string text) = 0;
    virtual bool send_binary(std::string bytes) = 0;
    /// Sends what waits, then closes with `code` (RFC 6455 §7.4) and `reason` (at most 123 bytes
    /// are sent).
    virtual void close(std::uint16_t code = 1000, std::string_view reason = {}) = 0;
    /// The upgrade request (its body is empty).
    virtual const Request& request() const = 0;
    /// The subprotocol agreed on; empty when none.
    virtual std::string_view subprotocol() const = 0;
    virtual bool is_open() const = 0;
};
using WebSocketPointer = std::shared_ptr<WebSocket>;

/// What a path does with WebSockets. The callbacks of one socket run on workers, in order and never
/// two at once; they may block (the client's next message waits). Whatever they throw closes the
/// socket with 1011.
struct WebSocketHandler {
    std::vector<std::string> subprotocols{};  ///< in our order of preference; a client that offers
                                              ///< none of them is served without
    /// Asked before the upgrade, on the I/O thread (must not block): a Response refuses it.
    std::function<std::optional<Response>(const Request&)> refuse{};
    std::function<void(const WebSocketPointer&)> on_open{};
    std::function<void(const WebSocketPointer&, std::string_view message, bool is_binary)>
        on_message{};
    /// Exactly once for each on_open; `code` is 1006 when the connection broke.
    std::function<void(const WebSocketPointer&, std::uint16_t code, std::string_view reason)>
        on_close{};
};

/// The bounds of one server; the defaults are those of base/limits.hpp.
struct ServerLimits {
    std::size_t header_bytes_max = limits::http_header_bytes_max;
    std::size_t url_bytes_max = limits::http_url_bytes_max;
    std::size_t body_bytes_max = limits::http_body_bytes_max;  ///< as received and as decoded
    unsigned connections_max = limits::http_connections_max;
    unsigned requests_waiting_max = limits::http_requests_waiting_max;
    std::chrono::milliseconds header_timeout =
        std::chrono::seconds(limits::http_header_timeout_seconds);
    std::chrono::milliseconds body_timeout =
        std::chrono::seconds(limits::http_body_timeout_seconds);
    std::chrono::milliseconds body_grace =
        std::chrono::seconds(limits::http_body_grace_seconds);  ///< before the rate counts
    std::size_t body_bytes_per_second_min = limits::http_body_bytes_per_second_min;
    std::chrono::milliseconds idle_timeout =
        std::chrono::seconds(limits::http_idle_timeout_seconds);
    std::chrono::milliseconds write_timeout =
        std::chrono::seconds(limits::http_write_timeout_seconds);  ///< without progress
    std::size_t write_bytes_per_second_min =
        limits::http_write_bytes_per_second_min;  ///< after write_timeout
    /// In place of header_timeout, body_grace and idle_timeout when many connections are open.
    std::chrono::milliseconds pressure_timeout =
        std::chrono::seconds(limits::http_pressure_timeout_seconds);
    std::chrono::milliseconds stop_timeout =
        std::chrono::seconds(limits::http_stop_timeout_seconds);  ///< for clients, not for handlers
    std::size_t websocket_message_bytes_max = limits::websocket_message_bytes_max;
    std::size_t websocket_outbox_messages_max = limits::websocket_outbox_messages_max;
    std::size_t websocket_outbox_bytes_max = limits::websocket_outbox_bytes_max;
    std::chrono::milliseconds websocket_idle_timeout =
        std::chrono::seconds(limits::websocket_idle_timeout_seconds);
};

/// TLS at the server's own port: 1.3, and 1.2 with forward secrecy where it is allowed.
struct TlsOptions {
    std::string certificate_file;  ///< PEM: the server's certificate, then those of the authorities
                                   ///< between it and one that clients know
    std::string key_file;          ///< PEM, without passphrase; others may not read it
    bool allow_tls_1_2 = false;
    /// Between two looks at the files: changed ones are used for new connections after two looks.
    std::chrono::milliseconds watch_interval = std::chrono::seconds(limits::tls_watch_seconds);
};

/// Which pages of other origins may read answers; none by default.
struct CorsOptions {
    std::vector<std::string> origins{};  ///< as browsers write them: "https://app.example.org"
    std::vector<std::string> paths{};    ///< "/fhir": it and what is below it
};

struct ServerOptions {
    std::string address = "127.0.0.1";  ///< an IPv4 or IPv6 address, no name
    std::uint16_t port = 0;             ///< 0: any free one, see Server::port
    unsigned io_threads = 0;            ///< 0: one for each core, at most 4
    unsigned workers = 0;  ///< 0: 32; many, because a write waits for its fsync on its worker
    ServerLimits limits{};
    std::optional<TlsOptions> tls{};  ///< without: plain HTTP
    /// Addresses and ranges ("10.1.0.0/16") of the proxies in front. When there are any, only they
    /// and this machine are served, and what they say about their clients is believed; what anybody
    /// else says is dropped.
    std::vector<std::string> proxies{};
    CorsOptions cors{};
    /// A second way in for programs of this machine: the path of a Unix socket that only the
    /// server's user may open, served by `local_handler` alone. A file that a dead server left
    /// there is replaced.
    std::string local_socket{};
    Handler local_handler{};

    Handler handler{};  ///< every request that is no upgrade; required
    /// Asked first, on the I/O thread: an answer that takes microseconds and never waits. Nothing
    /// sends the request to `handler` on a worker; that must be cheap. What must happen before the
    /// answer may leave, a write to the disk, is PromptAnswer::hold's.
    std::function<std::optional<PromptAnswer>(const Request&)> at_once{};
    /// Renders the server's own refusals (400, 408, 413, 414, 415, 417, 431, 500, 501, 503 …). Runs
    /// on any thread. Default: plain text.
    std::function<Response(int status, std::string message)> error_response{};
    /// Called when an answer is about to leave, on the thread that sends it, for access logs and
    /// metrics. Must not block.
    std::function<void(const Request&, const Response&, std::chrono::nanoseconds taken)>
        on_answer{};
    /// The handler for upgrades on `request`'s path, or nullptr: no WebSocket here. Must stay valid
    /// while the server lives.
    std::function<const WebSocketHandler*(const Request&)> websocket{};
};

/// An HTTP/1.1 server: a few I/O threads parse, a bounded pool of workers runs handlers
/// (docs/adr/0003).
///
/// - Keep-alive and pipelining: answers leave in the order of the requests, one request of a
/// connection at a time.
/// - A full queue is answered 503 with Retry-After at once, by the I/O thread.
/// - HEAD runs the handler and sends the head only, with the Content-Length of the body.
/// - Answers above limits::http_compress_bytes_min are sent with zstd or gzip where the client
/// accepts it.
/// - Every answer says what a browser may not do with it, unless its handler has: see
/// docs/adr/0029.
/// - Slow clients are cut: see ServerLimits. When connections get short, those that have been
/// waited for longest are closed, first of addresses that hold more than their share.
class Server {
 public:
    /// Binds and starts serving. Errors: `unavailable` when the address cannot be bound or another
    /// server answers at the local socket; `incorrect` for an unreadable address or options without
    /// a handler; those of certificate and key (`not_found`, `forbidden`, `incorrect`), for the
    /// operator to read. Blocking: for files and the bind only.
    static Result<std::unique_ptr<Server>> start(ServerOptions options);

    /// Stops as stop() does.
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    /// The bound port.
    std::uint16_t port() const;
    /// Open connections, WebSockets included.
    std::size_t connection_count() const;
    /// Requests that wait for a worker.
    std::size_t requests_waiting() const;

    /// Reads certificate and key again, for connections to come. Errors: as start has them; then
    /// the old ones stay. Nothing happens without TLS. Blocking: for the files.
    Result<void> reload_tls();

    /// Graceful stop: closes the listening socket and idle connections, closes WebSockets with
    /// 1001, lets requests in work end and their answers leave, then joins all threads. Clients
    /// that neither send nor receive are cut after stop_timeout. Blocking: until all that is done.
    /// A second call waits for the first. Not to be called from a handler.
    void stop();

 private:
    struct Implementation;
    explicit Server(std::unique_ptr<Implementation> implementation);
    std::unique_ptr<Implementation> implementation_;
};

}  // namespace meridian::net

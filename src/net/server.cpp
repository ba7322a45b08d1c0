// SPDX-License-Identifier: Apache-2.0
// Adapter: the listening and connected sockets (Asio). Who may touch what is said at Connection.
#include "net/server.hpp"

#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <future>
#include <iterator>

#include "base/hash.hpp"
#include "base/log.hpp"
#include "base/metrics.hpp"
#include "net/detail/answer_headers.hpp"
#include "net/detail/encoding.hpp"
#include "net/detail/local_socket.hpp"
#include "net/detail/outgoing.hpp"
#include "net/detail/peers.hpp"
#include "net/detail/request_parser.hpp"
#include "net/detail/tls.hpp"
#include "net/detail/websocket_session.hpp"
#include "net/detail/worker_pool.hpp"

namespace meridian::net {

namespace asio = boost::asio;
using boost::system::error_code;
using tcp = asio::ip::tcp;
// The executor is named, not type-erased: each I/O thread runs one io_context, and hot-path calls
// stay direct.
using Socket =
    asio::basic_stream_socket<asio::generic::stream_protocol, asio::io_context::executor_type>;
template <class Protocol>
using AcceptorOf = asio::basic_socket_acceptor<Protocol, asio::io_context::executor_type>;
template <class Protocol>
using SocketOf = asio::basic_stream_socket<Protocol, asio::io_context::executor_type>;
using local = asio::local::stream_protocol;
using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>,
                                         asio::io_context::executor_type>;

namespace {

constexpr std::size_t read_buffer_bytes = 8u << 10;
constexpr std::size_t body_buffer_bytes = 256u << 10;
constexpr std::size_t kept_body_bytes_max = 64u << 10;
constexpr unsigned chunks_in_a_row_max = 16;  ///< of one stream before other jobs get their turn
constexpr unsigned reads_in_a_row_max = 16;   ///< of one TLS connection before others get theirs
constexpr std::size_t tls_record_bytes = 16u << 10;  ///< RFC 8446 §5.1: the most one record holds
constexpr auto accept_pause = std::chrono::milliseconds(50);
/// A newcomer's first words may be on their way: it is not closed to make room.
constexpr auto newcomer_time = std::chrono::milliseconds(100);
constexpr auto relief_pause = std::chrono::milliseconds(50);  ///< between two searches for room

std::int64_t steady_now() {
    return std::chrono::steady_clock::now().time_since_epoch().count();
}

/// A client's own id is echoed only when it cannot carry anything else into logs and headers.
bool is_plain_id(std::string_view text) {
    if (text.empty() || text.size() > 64) return false;
    return std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.' || c == ':';
    });
}

class Connection;
struct Core;

/// Where a connection comes from.
struct Arrival {
    std::string peer{};  ///< as Request::peer has it
    std::optional<detail::Address> address{};
    bool is_ipv6 = false;   ///< the socket
    bool is_local = false;  ///< by the local socket
};

/// One thread, its io_context and the connections that live on it.
struct IoThread {
    explicit IoThread(Core& its_server) : server(its_server) {}

    void sweep();
    void look_after_connections();
    void make_room(const std::vector<std::shared_ptr<Connection>>& all);
    void stop_connections();
    void cut_connections();
    void forget(const Connection* connection);
    void forget(const detail::WebSocketSession* session);
    /// On any thread: the answer that the connection holds leaves, or `instead` does.
    void release(std::shared_ptr<Connection> connection, std::optional<Response> instead);
    void send_released();

    struct Released {
        std::shared_ptr<Connection> connection;
        std::optional<Response> instead;
    };

    Core& server;
    asio::io_context context{1};
    Timer sweeper{context};
    std::unordered_map<const Connection*, std::shared_ptr<Connection>> connections{};
    std::unordered_map<const detail::WebSocketSession*, std::shared_ptr<detail::WebSocketSession>>
        websockets{};
    std::mutex released_mutex{};
    /// Many answers wait for one write of the disk: the thread is woken once for all of them.
    std::vector<Released> released{};
    std::uint64_t requests = 0;  ///< for request ids
    unsigned number = 0;
    std::thread thread{};
};

/// What all threads of one server share.
struct Core {
    explicit Core(ServerOptions its_options)
        : options(std::move(its_options)),
          pool(options.workers, options.limits.requests_waiting_max) {}

    Result<void> prepare();
    Result<void> listen();
    Result<void> listen_locally();
    template <class Protocol>
    void accept(AcceptorOf<Protocol>& acceptor);
    template <class Protocol>
    void on_accept(AcceptorOf<Protocol>& acceptor, const error_code& problem,
                   SocketOf<Protocol> socket, IoThread& target);
    void watch_certificate();
    bool may_connect(const Arrival& arrival) const;
    bool has_at_least_percent(unsigned percent) const {
        return connection_count * 100 >= std::size_t{options.limits.connections_max} * percent;
    }
    void ask_for_room();
    std::chrono::milliseconds sweep_interval() const;
    Response error(int status, std::string message) const;
    /// What `handler` makes of the request, or local_handler; 500 when it throws.
    Response answer(const Request& request, bool is_local) const;
    /// What `at_once` makes of it, likewise.
    std::optional<PromptAnswer> answer_at_once(const Request& request) const;
    template <class Ask>
    std::invoke_result_t<Ask, const Request&> guarded(const Request& request, const Ask& ask) const;
    void count_down();
    bool wait_until_empty(std::chrono::milliseconds time);
    void stop();

    ServerOptions options;
    detail::WorkerPool pool;
    std::vector<std::unique_ptr<IoThread>> io{};
    std::optional<AcceptorOf<tcp>> acceptor{};
    std::optional<detail::LocalSocket> local_socket{};
    std::optional<AcceptorOf<local>> local_acceptor{};
    std::optional<Timer> accept_timer{};
    std::unique_ptr<detail::TlsContext> tls{};  ///< null: plain HTTP
    std::optional<Timer> tls_timer{};
    detail::AddressRanges proxies{};
    detail::Cors cors{};
    std::int64_t room_asked_at = 0;  ///< on the first I/O thread
    std::uint16_t port = 0;
    std::string id_prefix = to_hex(random_bytes(4));
    std::atomic<bool> is_stopping{false};
    std::atomic<std::size_t> connection_count{0};
    unsigned next_io = 0;
    std::mutex mutex{};  ///< for `empty` and `is_stopped`
    std::condition_variable empty{};
    std::once_flag stop_once{};
};

/// One client connection.
///
/// Two threads take turns. The I/O thread owns socket, buffer and parser. While state_ is not
/// `idle` a request is in work, and request_ and outgoing_ belong to whoever works on it (a worker,
/// or the I/O thread while it waits for the socket to take bytes). Giving back is one exchange of
/// state_: if the I/O thread has received more in the meantime, it is told to go on.
class Connection final : public std::enable_shared_from_this<Connection>, public detail::Job {
 public:
    Connection(IoThread& io, Socket socket, Arrival arrival)
        : io_(io),
          server_(io.server),
          arrival_(std::move(arrival)),
          socket_(std::move(socket)),
          descriptor_(socket_.native_handle()),
          parser_({bounds().header_bytes_max, bounds().url_bytes_max, bounds().body_bytes_max}) {}

    void start(bool is_too_many);
    void run() noexcept override;
    void on_deadline(std::int64_t now, bool is_pressed);
    void on_stop();
    void cut();
    void close();
    void release(std::optional<Response> instead);

    bool is_local() const { return arrival_.is_local; }
    std::uint64_t network() const { return arrival_.address ? arrival_.address->network() : 0; }
    /// Since when nothing but the client's doing is waited for; 0: something else is.
    std::int64_t waits_for_client_since() const;

 private:
    enum State : int { idle, working, working_and_waiting };
    enum class Sent : unsigned char { all, blocked, broken };
    /// What the client is waited for.
    enum class Phase : unsigned char { first_byte, head, body, next_request, reading, leaving };

    // input, on the I/O thread
    void make_room();
    void read();
    void wait_for_socket(asio::socket_base::wait_type what);
    bool decrypt();
    void answer_in_plain_text();
    void drain();
    void on_read(const error_code& problem, std::size_t count);
    bool claim();
    void process();
    void wait_for_input();
    void begin_request();
    bool handle_event(detail::RequestParser::Event event);
    bool handle_head();
    bool settle_origin();
    bool dispatch();
    bool answer_promptly();
    bool hold(PromptAnswer&& answer, std::int64_t started);
    bool hand_over();
    bool note_more_input();
    bool upgrade(const WebSocketHandler& handler);
    bool refuse(int status, std::string message);

    // the answer, on whichever thread works on the request
    Response decode_and_answer();
    void answer();
    void set_answer(Response&& response, std::int64_t started);
    Sent send_now();
    Sent send_encrypted();
    void note_sent(std::size_t count);
    bool send_from_io();
    void hand_to_pool();
    void wait_until_writable();
    bool finish_on_io();
    void finish_on_worker();
    void give_back();

    // the end, on the I/O thread
    void linger_or_close();

    const ServerLimits& bounds() const { return server_.options.limits; }
    void wait_in(Phase phase) {
        phase_.store(phase, std::memory_order_relaxed);
        waiting_since_.store(steady_now(), std::memory_order_release);
    }
    void stop_waiting() { waiting_since_.store(0, std::memory_order_relaxed); }
    std::int64_t deadline(std::int64_t since, bool is_pressed) const;

    IoThread& io_;
    Core& server_;
    const Arrival arrival_;
    Socket socket_;
    const int descriptor_;
    /// Null: plain HTTP. Otherwise it belongs, as request_ does, to whoever works on the request,
    /// and to the I/O thread while nobody does.
    std::unique_ptr<detail::TlsSession> tls_{};
    bool is_proxy_ = false;  ///< what it says about its clients is believed
    detail::RequestParser parser_;
    std::unique_ptr<char[]> buffer_ = std::make_unique_for_overwrite<char[]>(read_buffer_bytes);
    std::size_t capacity_ = read_buffer_bytes;
    std::size_t begin_ = 0, end_ = 0;  ///< of the bytes not yet parsed
    bool is_reading_ = false;
    bool is_end_of_input_ = false;
    bool is_dispatched_ =
        true;  ///< the parser's request was handed on: the next bytes begin a new one
    bool is_timing_head_ = false;
    bool is_waiting_to_write_ = false;
    bool is_lingering_ = false;
    bool is_closed_ = false;
    std::atomic<Phase> phase_{Phase::first_byte};
    std::atomic<std::int64_t> waiting_since_{0};  ///< steady nanoseconds; 0: not for the client
    std::int64_t blocked_since_ = 0;  ///< when the client first did not take all of this answer
    std::size_t answer_bytes_sent_ = 0;

    std::atomic<int> state_{idle};
    Request request_{};
    detail::Outgoing outgoing_{};
    bool is_answered_ = false;  ///< outgoing_ holds the answer; run() goes on sending
    bool is_http_1_0_ = false;
    bool may_keep_alive_ = false;
    std::shared_ptr<Connection> self_{};  ///< keeps this alive while it is in the pool
    Response held_{};                     ///< until release()
    std::int64_t held_since_ = 0;
};

void Connection::start(bool is_too_many) {
    io_.connections.emplace(this, shared_from_this());
    const int on = 1;
    if (!is_local()) ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const bool may_connect = server_.may_connect(arrival_);
    is_proxy_ = arrival_.address && server_.proxies.contains(*arrival_.address);
    if (server_.tls && !is_local()) {
        // Refusing in words would take a handshake.
        if (!is_too_many && may_connect) tls_ = server_.tls->accept(descriptor_);
        if (!tls_) return close();
    }
    request_.peer = arrival_.peer;
    begin_request();
    if (!may_connect) {
        refuse(403, "this server answers only the proxies in front of it");
        return;
    }
    if (is_too_many) {
        refuse(503, fmt::format("the server has {} connections open, its limit: try again later",
                                bounds().connections_max));
        return;
    }
    wait_in(Phase::first_byte);
    if (server_.is_stopping) return on_stop();
    read();
}

// --- input, on the I/O thread ---

void Connection::begin_request() {
    if (capacity_ > read_buffer_bytes && begin_ == end_ && !is_reading_) {
        buffer_ = std::make_unique_for_overwrite<char[]>(read_buffer_bytes);
        capacity_ = read_buffer_bytes;
    }
    parser_.start(request_);
    request_.is_secure = tls_ != nullptr;
    if (is_proxy_) request_.peer = arrival_.peer;
    is_dispatched_ = false;
    is_timing_head_ = false;
}

/// Makes free space behind end_.
void Connection::make_room() {
    if (begin_ == end_) begin_ = end_ = 0;
    const bool is_large_body = !is_dispatched_ && parser_.is_head_complete() &&
                               parser_.body_bytes_left() > read_buffer_bytes;
    const std::size_t unread = end_ - begin_;
    std::size_t capacity = is_large_body ? std::max(capacity_, body_buffer_bytes) : capacity_;
    if (capacity == capacity_ && capacity_ - end_ >= capacity_ / 2) return;
    // What the parser leaves unread is bounded by the header limit, so this growth ends.
    if (unread > capacity / 2) capacity *= 2;
    if (capacity == capacity_) {
        std::memmove(buffer_.get(), buffer_.get() + begin_, unread);
    } else {
        auto larger = std::make_unique_for_overwrite<char[]>(capacity);
        std::memcpy(larger.get(), buffer_.get() + begin_, unread);
        buffer_ = std::move(larger);
        capacity_ = capacity;
    }
    begin_ = 0;
    end_ = unread;
}

void Connection::read() {
    if (is_reading_ || is_closed_ || is_end_of_input_) return;
    if (tls_) return wait_for_socket(asio::socket_base::wait_read);
    make_room();
    is_reading_ = true;
    socket_.async_read_some(
        asio::buffer(buffer_.get() + end_, capacity_ - end_),
        [self = shared_from_this()](const error_code& problem, std::size_t count) {
            self->on_read(problem, count);
        });
}

void Connection::on_read(const error_code& problem, std::size_t count) {
    is_reading_ = false;
    if (is_closed_) return;
    // A plain end may come from a client that closed only its sending side and waits for the
    // answer; whether it can still be written to shows when it is written to.
    if (problem) is_end_of_input_ = true;
    end_ += count;
    process();
}

/// Goes on when the socket can be read, or written, without waiting.
void Connection::wait_for_socket(asio::socket_base::wait_type what) {
    is_reading_ = true;
    socket_.async_wait(what, [self = shared_from_this()](const error_code& problem) {
        self->on_read(problem, 0);
    });
}

/// Takes plain text out of TLS into the buffer. False when there is none yet, or never will be.
bool Connection::decrypt() {
    using Outcome = detail::TlsSession::Outcome;
    make_room();
    const auto progress = tls_->read(buffer_.get() + end_, capacity_ - end_);
    switch (progress.outcome) {
        case Outcome::done:
            end_ += progress.count;
            return true;
        case Outcome::ended:
            is_end_of_input_ = true;
            [[fallthrough]];
        case Outcome::wants_input:
            wait_for_input();
            return false;
        case Outcome::wants_output:
            wait_for_socket(asio::socket_base::wait_write);
            return false;
        case Outcome::failed:
            break;
    }
    if (tls_->was_plain_http()) answer_in_plain_text();
    close();
    return false;
}

/// Somebody wrote http:// in front of our address: in the words that he can read, what is wrong.
void Connection::answer_in_plain_text() {
    static constexpr std::string_view words =
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 37\r\n"
        "Connection: close\r\n\r\nthis port speaks TLS: write https://\n";
    (void)!::send(descriptor_, words.data(), words.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/// True when no request is in work. Otherwise whoever works on it calls process() when it is done.
bool Connection::claim() {
    int expected = working;
    if (state_.compare_exchange_strong(expected, working_and_waiting, std::memory_order_acq_rel))
        return false;
    return expected == idle;
}

/// Takes in what has been received: the heart of the I/O thread.
void Connection::process() {
    if (is_closed_ || !claim()) return;
    if (is_lingering_) return drain();
    for (unsigned reads = 0;;) {
        if (is_dispatched_) begin_request();
        auto event = detail::RequestParser::Event::need_more;
        begin_ += parser_.put({buffer_.get() + begin_, end_ - begin_}, event);
        if (event != detail::RequestParser::Event::need_more) {
            if (!handle_event(event)) return;
            continue;
        }
        if (!tls_) return wait_for_input();
        if (++reads > reads_in_a_row_max)
            return asio::post(io_.context, [self = shared_from_this()] { self->process(); });
        if (!decrypt()) return;
    }
}

/// Drops what still comes, until the client ends, too.
void Connection::drain() {
    begin_ = end_ = 0;
    if (tls_) {
        ssize_t count = 0;
        for (unsigned reads = 0; reads < reads_in_a_row_max; ++reads) {
            count = ::recv(descriptor_, buffer_.get(), capacity_, MSG_DONTWAIT);
            if (count <= 0) break;
        }
        const bool is_open = count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR));
        is_end_of_input_ = is_end_of_input_ || !is_open;
    }
    if (is_end_of_input_) return close();
    read();
}

void Connection::wait_for_input() {
    if (is_end_of_input_) return close();
    const bool is_begun = parser_.has_started();
    if (is_begun && !is_timing_head_) {
        is_timing_head_ = true;
        wait_in(Phase::head);
    }
    if (!is_begun && server_.is_stopping) {
        // A request may have arrived that nobody has read yet: it is answered before the connection
        // goes.
        char byte = 0;
        if (::recv(descriptor_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0) return close();
    }
    read();
}

/// False when process() must not go on.
bool Connection::handle_event(detail::RequestParser::Event event) {
    switch (event) {
        case detail::RequestParser::Event::head:
            return handle_head();
        case detail::RequestParser::Event::complete:
            return dispatch();
        case detail::RequestParser::Event::refused:
            return refuse(parser_.refusal().status, parser_.refusal().message);
        case detail::RequestParser::Event::need_more:
            break;
    }
    return false;
}

bool Connection::handle_head() {
    is_timing_head_ = true;
    wait_in(Phase::body);
    if (parser_.expects_continue()) {
        // Bytes behind the head mean that the client did not wait (RFC 9110 §10.1.1). The few bytes
        // of the interim answer fit into the socket's buffer, which is empty here; a client they do
        // not reach sends its body after its own time-out.
        static constexpr std::string_view interim = "HTTP/1.1 100 Continue\r\n\r\n";
        if (begin_ != end_) return true;
        if (tls_) {
            if (tls_->write(interim).count == interim.size()) return true;
            close();
            return false;
        }
        (void)!::send(descriptor_, interim.data(), interim.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        return true;
    }
    if (request_.headers.has("Expect") && !parser_.is_http_1_0()) {
        return refuse(417, "the only expectation this server meets is 100-continue");
    }
    return true;
}

/// Who asks, and over what: what a proxy in front says about that is believed, or dropped. False
/// when it cannot be read: then it is refused.
bool Connection::settle_origin() {
    if (!is_proxy_) {
        detail::forget_forwarded(request_.headers);
        return true;
    }
    const auto settled = detail::believe_forwarded(request_, server_.proxies);
    return settled || refuse(400, settled.error().message);
}

/// A complete request goes to a worker, to the fast handler, or becomes a WebSocket. True when it
/// is answered already.
bool Connection::dispatch() {
    is_dispatched_ = true;
    is_answered_ = false;
    stop_waiting();
    is_http_1_0_ = parser_.is_http_1_0();
    may_keep_alive_ = parser_.keep_alive();
    if (const auto own = request_.headers.find("X-Request-Id"); own && is_plain_id(*own)) {
        request_.id = *own;
    } else {
        request_.id = server_.id_prefix;
        fmt::format_to(std::back_inserter(request_.id), "{:x}-{:x}", io_.number, ++io_.requests);
    }
    if (!settle_origin()) return false;
    if (parser_.is_websocket_upgrade() && server_.options.websocket && !is_local()) {
        if (const WebSocketHandler* const handler = server_.options.websocket(request_))
            return upgrade(*handler);
    }
    state_ = working;
    return is_local() ? hand_over() : answer_promptly();
}

/// What need not be a worker's is answered here; the rest goes to one.
bool Connection::answer_promptly() {
    const std::int64_t started = steady_now();
    if (auto preflight = server_.cors.preflight(request_)) {
        set_answer(*std::move(preflight), started);
        return send_from_io();
    }
    if (!server_.options.at_once) return hand_over();
    auto prompt = server_.answer_at_once(request_);
    if (!prompt) return hand_over();
    if (prompt->hold) return hold(*std::move(prompt), started);
    set_answer(std::move(prompt->response), started);
    return send_from_io();
}

/// Keeps an answer that is made but may not leave yet. The state stays `working`, so the next
/// request of the connection waits, and nobody closes it.
bool Connection::hold(PromptAnswer&& answer, std::int64_t started) {
    held_ = std::move(answer.response);
    held_since_ = started;
    const bool has_more_input = note_more_input();
    answer.hold([self = shared_from_this()](std::optional<Response> instead) {
        self->io_.release(self, std::move(instead));
    });
    if (!has_more_input) read();
    return false;
}

void Connection::release(std::optional<Response> instead) {
    set_answer(instead ? *std::move(instead) : std::move(held_), held_since_);
    held_ = Response();
    if (send_from_io()) process();
}

/// True, and process() will be called after this request, when the next one has begun to arrive.
bool Connection::note_more_input() {
    const bool has_more_input = begin_ < end_ || (tls_ && tls_->has_pending());
    if (has_more_input) state_ = working_and_waiting;
    return has_more_input;
}

bool Connection::hand_over() {
    const bool has_more_input = note_more_input();
    self_ = shared_from_this();
    if (!server_.pool.submit(*this)) {
        self_.reset();
        state_ = working;
        Response response = server_.error(503, "the server is busy: try again in a moment");
        response.headers.set("Retry-After", std::to_string(limits::http_retry_after_seconds));
        set_answer(std::move(response), steady_now());
        return send_from_io();
    }
    // One read stays out while the request is in work, to see the next request or the end at once;
    // what comes waits.
    if (!has_more_input) read();
    return false;
}

bool Connection::upgrade(const WebSocketHandler& handler) {
    // RFC 6455 §4.1: a client sends nothing more before it has our answer to the handshake.
    if (begin_ < end_ || (tls_ && tls_->has_pending()))
        return refuse(400, "the client sent data before the WebSocket was open");
    if (handler.refuse) {
        if (std::optional<Response> refusal = handler.refuse(request_)) {
            state_ = working;
            set_answer(std::move(*refusal), steady_now());
            return send_from_io();
        }
    }
    detail::WebSocketStart start;
    start.is_ipv6 = arrival_.is_ipv6;
    start.tls = std::move(tls_);
    start.request = request_;
    start.handler = &handler;
    start.limits = &bounds();
    start.pool = &server_.pool;
    start.on_end = [io = &io_](const detail::WebSocketSession* session) { io->forget(session); };
    error_code problem;
    start.socket = socket_.release(problem);
    is_closed_ = true;
    const auto self = shared_from_this();
    io_.connections.erase(this);
    if (problem) {
        server_.count_down();
        return false;
    }
    auto session = detail::start_websocket(io_.context, std::move(start));
    detail::WebSocketSession* const key = session.get();
    io_.websockets.emplace(key, std::move(session));
    if (server_.is_stopping) key->stop();
    return false;
}

/// Answers for the server itself and ends the connection: what follows in the input cannot be
/// trusted.
bool Connection::refuse(int status, std::string message) {
    is_dispatched_ = true;
    state_ = working;
    may_keep_alive_ = false;
    is_http_1_0_ = false;
    set_answer(server_.error(status, std::move(message)), steady_now());
    return send_from_io();
}

// --- the answer ---

/// Undoes the request's Content-Encoding, then asks the handler.
Response Connection::decode_and_answer() {
    if (const auto coding = request_.headers.find("Content-Encoding");
        coding && !request_.body.empty()) {
        auto decoded = detail::decode(*coding, request_.body, bounds().body_bytes_max);
        if (!decoded) {
            const Category category = decoded.error().category;
            const int status = category == Category::too_large           ? 413
                               : category == Category::unsupported_media ? 415
                                                                         : 400;
            return server_.error(status, decoded.error().message);
        }
        request_.body = std::move(*decoded);
        request_.headers.remove("Content-Encoding");
    }
    return server_.answer(request_, is_local());
}

void Connection::answer() {
    const std::int64_t started = steady_now();
    set_answer(decode_and_answer(), started);
}

void Connection::set_answer(Response&& response, std::int64_t started) {
    if (server_.options.on_answer) {
        server_.options.on_answer(request_, response,
                                  std::chrono::nanoseconds(steady_now() - started));
    }
    if (!is_local()) server_.cors.allow(request_, response);
    blocked_since_ = 0;
    answer_bytes_sent_ = 0;
    outgoing_.prepare(request_, is_http_1_0_, may_keep_alive_ && !server_.is_stopping,
                      std::move(response));
    is_answered_ = true;
}

/// Writes what the socket takes without waiting: head and body in one system call.
Connection::Sent Connection::send_now() {
    if (tls_) return send_encrypted();
    while (true) {
        std::array<iovec, 2> parts{};
        std::size_t count = 0;
        std::size_t skip = outgoing_.sent;
        for (std::string* const piece : {&outgoing_.head, &outgoing_.body}) {
            if (skip < piece->size()) {
                parts[count++] = {piece->data() + skip, piece->size() - skip};
                skip = 0;
            } else {
                skip -= piece->size();
            }
        }
        if (count == 0) return Sent::all;
        msghdr message{};
        message.msg_iov = parts.data();
        message.msg_iovlen = count;
        const ssize_t sent = ::sendmsg(descriptor_, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent >= 0) {
            note_sent(static_cast<std::size_t>(sent));
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return Sent::blocked;
        } else if (errno != EINTR) {
            return Sent::broken;
        }
    }
}

void Connection::note_sent(std::size_t count) {
    outgoing_.sent += count;
    answer_bytes_sent_ += count;
}

Connection::Sent Connection::send_encrypted() {
    using Outcome = detail::TlsSession::Outcome;
    std::string& head = outgoing_.head;
    std::string& body = outgoing_.body;
    // A small answer is one record and one system call.
    if (outgoing_.sent == 0 && head.size() + body.size() <= tls_record_bytes) {
        head.append(body);
        body.clear();
    }
    while (true) {
        const std::string_view rest =
            outgoing_.sent < head.size()
                ? std::string_view(head).substr(outgoing_.sent)
                : std::string_view(body).substr(outgoing_.sent - head.size());
        if (rest.empty()) return Sent::all;
        const auto progress = tls_->write(rest);
        if (progress.outcome == Outcome::wants_output) return Sent::blocked;
        if (progress.outcome != Outcome::done) return Sent::broken;
        note_sent(progress.count);
    }
}

/// On a worker: makes the answer, or goes on with a streamed one.
void Connection::run() noexcept {
    const std::shared_ptr<Connection> self = std::move(self_);
    const auto close_later = [&] { asio::post(io_.context, [self] { self->close(); }); };
    try {
        if (!is_answered_) answer();
        for (unsigned chunks = 0;; ++chunks) {
            const Sent sent = send_now();
            if (sent == Sent::broken) return close_later();
            if (sent == Sent::blocked)
                return asio::post(io_.context, [self] { self->wait_until_writable(); });
            if (!outgoing_.has_more()) return finish_on_worker();
            if (chunks == chunks_in_a_row_max) return hand_to_pool();
            if (const auto pulled = outgoing_.pull(); !pulled) {
                log::error("a streamed answer was cut",
                           {{"request", request_.id}, {"reason", pulled.error().message}});
                return close_later();
            }
        }
    } catch (const std::exception& problem) {
        log::error("an answer was cut", {{"request", request_.id}, {"reason", problem.what()}});
        close_later();
    }
}

void Connection::hand_to_pool() {
    self_ = shared_from_this();
    server_.pool.submit_admitted(*this);
}

void Connection::finish_on_worker() {
    const std::shared_ptr<Connection> self = shared_from_this();
    if (!outgoing_.keep_alive) return asio::post(io_.context, [self] { self->linger_or_close(); });
    give_back();
    if (state_.exchange(idle, std::memory_order_acq_rel) == working_and_waiting) {
        asio::post(io_.context, [self] { self->process(); });
    }
}

/// What must be done before the state becomes idle: from then on the I/O thread may begin the next
/// request.
void Connection::give_back() {
    outgoing_.clear();
    if (request_.body.capacity() > kept_body_bytes_max) request_.body = std::string();
    wait_in(Phase::next_request);
}

/// On the I/O thread. True when the answer is out and the connection is ready for the next request.
bool Connection::send_from_io() {
    switch (send_now()) {
        case Sent::broken:
            close();
            return false;
        case Sent::blocked:
            wait_until_writable();
            return false;
        case Sent::all:
            break;
    }
    if (outgoing_.has_more()) {
        hand_to_pool();
        return false;
    }
    return finish_on_io();
}

void Connection::wait_until_writable() {
    is_waiting_to_write_ = true;
    wait_in(Phase::reading);
    if (blocked_since_ == 0) blocked_since_ = waiting_since_;
    socket_.async_wait(asio::socket_base::wait_write,
                       [self = shared_from_this()](const error_code& problem) {
                           if (self->is_closed_) return;
                           self->is_waiting_to_write_ = false;
                           self->stop_waiting();
                           if (problem) return self->close();
                           if (self->send_from_io()) self->process();
                       });
}

bool Connection::finish_on_io() {
    if (!outgoing_.keep_alive) {
        linger_or_close();
        return false;
    }
    give_back();
    state_ = idle;
    return true;
}

// --- the end ---

/// After the last answer: the sending side is closed, and input is read and dropped for a while.
/// Closing at once would make the kernel answer late bytes of the client with a reset, which can
/// destroy the answer before the client has read it.
void Connection::linger_or_close() {
    if (is_closed_) return;
    outgoing_.clear();
    is_lingering_ = true;
    state_ = idle;
    // Also to a client that has ended its side: the answer is whole only with this behind it.
    if (tls_) tls_->send_close_notify();
    if (is_end_of_input_) return close();
    ::shutdown(descriptor_, SHUT_WR);
    wait_in(Phase::leaving);
    process();
}

/// Until when the client may let wait. Many clients that are each a little slow are as good an
/// attack as any: under pressure they get less time.
std::int64_t Connection::deadline(std::int64_t since, bool is_pressed) const {
    const auto nanoseconds = [](std::chrono::nanoseconds time) { return time.count(); };
    const auto shortened = [&](std::chrono::milliseconds time) {
        return is_pressed ? std::min(time, bounds().pressure_timeout) : time;
    };
    const auto earned = [&](std::size_t bytes, std::size_t per_second) {
        return nanoseconds(
            std::chrono::milliseconds(bytes * 1000 / std::max<std::size_t>(per_second, 1)));
    };
    switch (phase_.load(std::memory_order_relaxed)) {
        case Phase::first_byte:
        case Phase::head:
            return since + nanoseconds(shortened(bounds().header_timeout));
        case Phase::body:
            return since +
                   std::min(nanoseconds(bounds().body_timeout),
                            nanoseconds(shortened(bounds().body_grace)) +
                                earned(request_.body.size(), bounds().body_bytes_per_second_min));
        case Phase::next_request:
            return since + nanoseconds(shortened(bounds().idle_timeout));
        case Phase::reading:
            return std::min(since, blocked_since_ + earned(answer_bytes_sent_,
                                                           bounds().write_bytes_per_second_min)) +
                   nanoseconds(bounds().write_timeout);
        case Phase::leaving:
            break;
    }
    return since + nanoseconds(std::chrono::seconds(limits::http_linger_timeout_seconds));
}

std::int64_t Connection::waits_for_client_since() const {
    const bool is_at_work = state_ != idle && !is_waiting_to_write_;
    return is_closed_ || is_at_work ? 0 : waiting_since_.load(std::memory_order_acquire);
}

void Connection::on_deadline(std::int64_t now, bool is_pressed) {
    const std::int64_t since = waiting_since_.load(std::memory_order_acquire);
    if (is_closed_ || since == 0 || now < deadline(since, is_pressed)) return;
    if (is_waiting_to_write_ || is_lingering_) return close();
    if (state_ != idle) return;
    if (is_dispatched_ || !parser_.has_started()) return close();
    refuse(408, parser_.is_head_complete() ? "the body did not arrive in time"
                                           : "the headers did not arrive in time");
}

void Connection::on_stop() {
    // A request in work ends first; process() then closes, as it does now for a connection that has
    // nothing to say.
    process();
}

void Connection::cut() {
    if (state_ != idle && !is_waiting_to_write_) {
        // A handler works for this client: its answer will find the socket shut, and the connection
        // is closed then.
        ::shutdown(descriptor_, SHUT_RDWR);
        return;
    }
    close();
}

void Connection::close() {
    if (is_closed_) return;
    is_closed_ = true;
    outgoing_.clear();
    error_code ignored;
    socket_.close(ignored);
    io_.forget(this);
}

void IoThread::sweep() {
    look_after_connections();
    sweeper.expires_after(server.sweep_interval());
    sweeper.async_wait([this](const error_code& problem) {
        if (!problem) sweep();
    });
}

void IoThread::look_after_connections() {
    std::vector<std::shared_ptr<Connection>> all;
    all.reserve(connections.size());
    for (const auto& entry : connections) all.push_back(entry.second);
    const std::int64_t now = steady_now();
    const bool is_pressed = server.has_at_least_percent(limits::http_pressure_percent);
    for (const auto& connection : all) connection->on_deadline(now, is_pressed);
    if (server.has_at_least_percent(limits::http_eviction_percent)) make_room(all);
}

/// Closes some connections that wait for their clients, those that have waited longest first: who
/// works with the server has just asked something. An address that holds more than its share comes
/// before all others; by itself the share refuses nobody, since a hospital may sit behind one
/// address.
void IoThread::make_room(const std::vector<std::shared_ptr<Connection>>& all) {
    static metrics::Counter& closed =
        metrics::counter("meridian_http_connections_evicted_total",
                         "connections closed while they waited for their clients, to make room");
    struct Candidate {
        bool is_within_share;
        std::int64_t since;
        Connection* connection;
        auto operator<=>(const Candidate&) const = default;
    };
    const std::size_t threads = server.io.size();
    const std::size_t max = server.options.limits.connections_max;
    const std::size_t share = max * limits::http_address_share_percent / 100 / threads;
    std::unordered_map<std::uint64_t, std::size_t> held;
    for (const auto& connection : all) ++held[connection->network()];
    const std::int64_t latest = steady_now() - std::chrono::nanoseconds(newcomer_time).count();
    std::vector<Candidate> candidates;
    for (const auto& connection : all) {
        const std::int64_t since = connection->waits_for_client_since();
        if (since != 0 && since < latest && !connection->is_local())
            candidates.push_back({held[connection->network()] <= share, since, connection.get()});
    }
    // Down to half-way between pressure and here, so that this is not done for each newcomer.
    const std::size_t wanted_percent =
        (limits::http_pressure_percent + limits::http_eviction_percent) / 2;
    const std::size_t count = server.connection_count, wanted = max * wanted_percent / 100;
    const std::size_t surplus = count > wanted ? (count - wanted + threads - 1) / threads : 0;
    const std::size_t evicted = std::min(surplus, candidates.size());
    std::partial_sort(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(evicted),
                      candidates.end());
    for (std::size_t i = 0; i < evicted; ++i) candidates[i].connection->close();
    closed.add(evicted);
}

void IoThread::stop_connections() {
    std::vector<std::shared_ptr<Connection>> all;
    for (const auto& entry : connections) all.push_back(entry.second);
    for (const auto& connection : all) connection->on_stop();
    std::vector<std::shared_ptr<detail::WebSocketSession>> sessions;
    for (const auto& entry : websockets) sessions.push_back(entry.second);
    for (const auto& session : sessions) session->stop();
}

void IoThread::cut_connections() {
    std::vector<std::shared_ptr<Connection>> all;
    for (const auto& entry : connections) all.push_back(entry.second);
    for (const auto& connection : all) connection->cut();
    std::vector<std::shared_ptr<detail::WebSocketSession>> sessions;
    for (const auto& entry : websockets) sessions.push_back(entry.second);
    for (const auto& session : sessions) session->cut();
}

void IoThread::release(std::shared_ptr<Connection> connection, std::optional<Response> instead) {
    bool is_first = false;
    {
        const std::lock_guard lock(released_mutex);
        is_first = released.empty();
        released.push_back({std::move(connection), std::move(instead)});
    }
    if (is_first) asio::post(context, [this] { send_released(); });
}

void IoThread::send_released() {
    std::vector<Released> all;
    {
        const std::lock_guard lock(released_mutex);
        all.swap(released);
    }
    for (Released& one : all) one.connection->release(std::move(one.instead));
}

void IoThread::forget(const Connection* connection) {
    if (connections.erase(connection) > 0) server.count_down();
}

void IoThread::forget(const detail::WebSocketSession* session) {
    if (websockets.erase(session) > 0) server.count_down();
}

// --- Core ---

/// What the options say, made ready before any socket is open.
Result<void> Core::prepare() {
    if (options.tls) tls = TRY(detail::TlsContext::make(*options.tls));
    proxies = TRY(detail::AddressRanges::parse(options.proxies));
    cors = TRY(detail::Cors::make(options.cors));
    if (!options.local_socket.empty() && !options.local_handler)
        return fail(Category::incorrect, "the server's local socket was given no handler");
    // Files of the store need descriptors, too; a server that runs out of them cannot do anything.
    rlimit descriptors{};
    if (::getrlimit(RLIMIT_NOFILE, &descriptors) == 0 && descriptors.rlim_cur != RLIM_INFINITY) {
        const auto available = static_cast<unsigned>(
            std::min<rlim_t>(descriptors.rlim_cur / 4 * 3, options.limits.connections_max));
        if (available < options.limits.connections_max)
            log::warning(
                "fewer connections are served than could be: raise the limit of open files",
                {{"connections", available},
                 {"open_files", static_cast<std::uint64_t>(descriptors.rlim_cur)}});
        options.limits.connections_max = available;
    }
    return {};
}

Result<void> Core::listen() {
    error_code problem;
    const auto address = asio::ip::make_address(options.address, problem);
    if (problem) {
        return fail(Category::incorrect,
                    fmt::format("\"{}\" is no IP address (expected one like 127.0.0.1 or ::1)",
                                options.address));
    }
    const tcp::endpoint endpoint(address, options.port);
    acceptor.emplace(io[0]->context);
    acceptor->open(endpoint.protocol(), problem);
    if (!problem) acceptor->set_option(asio::socket_base::reuse_address(true), problem);
    if (!problem) acceptor->bind(endpoint, problem);
    if (!problem) acceptor->listen(asio::socket_base::max_listen_connections, problem);
    if (problem) {
        return fail(Category::unavailable,
                    fmt::format("cannot listen on {}:{}: {}", options.address, options.port,
                                problem.message()));
    }
    port = acceptor->local_endpoint(problem).port();
    accept_timer.emplace(io[0]->context);
    tls_timer.emplace(io[0]->context);
    return {};
}

Result<void> Core::listen_locally() {
    if (options.local_socket.empty()) return {};
    local_socket.emplace(TRY(detail::LocalSocket::listen(options.local_socket)));
    local_acceptor.emplace(io[0]->context);
    error_code problem;
    local_acceptor->assign(local(), local_socket->release(), problem);
    if (!problem) return {};
    return fail(Category::unavailable,
                fmt::format("cannot listen at {}: {}", options.local_socket, problem.message()));
}

/// On the first I/O thread, again and again.
void Core::watch_certificate() {
    if (!tls) return;
    tls_timer->expires_after(options.tls->watch_interval);
    tls_timer->async_wait([this](const error_code& stopped) {
        if (stopped || is_stopping) return;
        tls->watch();
        watch_certificate();
    });
}

template <class Protocol>
void Core::accept(AcceptorOf<Protocol>& at) {
    IoThread& target = *io[next_io++ % io.size()];
    at.async_accept(target.context,
                    [this, &at, &target](const error_code& problem, SocketOf<Protocol> socket) {
                        on_accept<Protocol>(at, problem, std::move(socket), target);
                    });
}

Arrival arrival_of(SocketOf<tcp>& socket) {
    Arrival arrival;
    error_code problem;
    const auto peer = socket.remote_endpoint(problem);
    if (problem) return arrival;
    arrival.is_ipv6 = peer.address().is_v6();
    arrival.address = detail::Address::parse(peer.address().to_string());
    const std::string text = arrival.address ? arrival.address->to_text() : std::string();
    const bool is_bracketed = arrival.address && !arrival.address->is_v4();
    arrival.peer = is_bracketed ? fmt::format("[{}]:{}", text, peer.port())
                                : fmt::format("{}:{}", text, peer.port());
    return arrival;
}

Arrival arrival_of(SocketOf<local>& socket) {
    return {.peer = detail::local_peer(socket.native_handle()), .is_local = true};
}

/// With proxies in front, whoever comes past them would be believed nothing, and seen by nobody.
bool Core::may_connect(const Arrival& arrival) const {
    if (arrival.is_local || proxies.empty()) return true;
    return arrival.address &&
           (arrival.address->is_loopback() || proxies.contains(*arrival.address));
}

template <class Protocol>
void Core::on_accept(AcceptorOf<Protocol>& at, const error_code& problem, SocketOf<Protocol> socket,
                     IoThread& target) {
    if (is_stopping || problem == asio::error::operation_aborted) return;
    if (problem) {
        // Out of descriptors, most likely: connections that end will free some.
        log::warning("a connection could not be accepted", {{"reason", problem.message()}});
        accept_timer->expires_after(accept_pause);
        accept_timer->async_wait([this, &at](const error_code& stopped) {
            if (!stopped && !is_stopping) accept<Protocol>(at);
        });
        return;
    }
    const std::size_t count = connection_count.fetch_add(1);
    Arrival arrival = arrival_of(socket);
    // Some beyond the limit are told so; the rest is dropped. Who administers the server from its
    // own machine comes in all the same.
    constexpr std::size_t told_max = 64;
    const bool is_too_many = !arrival.is_local && count >= options.limits.connections_max;
    if (is_too_many && count >= options.limits.connections_max + told_max) {
        count_down();
    } else {
        auto connection =
            std::make_shared<Connection>(target, Socket(std::move(socket)), std::move(arrival));
        asio::post(target.context, [connection = std::move(connection), is_too_many] {
            connection->start(is_too_many);
        });
    }
    if (has_at_least_percent(limits::http_eviction_percent)) ask_for_room();
    accept<Protocol>(at);
}

/// Has all threads look for connections to close now: newcomers may be more than fit in until the
/// next sweep.
void Core::ask_for_room() {
    const std::int64_t now = steady_now();
    if (now - room_asked_at < std::chrono::nanoseconds(relief_pause).count()) return;
    room_asked_at = now;
    for (const auto& one : io)
        asio::post(one->context, [thread = one.get()] { thread->look_after_connections(); });
}

std::chrono::milliseconds Core::sweep_interval() const {
    const ServerLimits& bounds = options.limits;
    const auto shortest =
        std::min({bounds.header_timeout, bounds.body_timeout, bounds.body_grace,
                  bounds.idle_timeout, bounds.write_timeout, bounds.pressure_timeout});
    return std::clamp(shortest / 4, std::chrono::milliseconds(5), std::chrono::milliseconds(500));
}

Response Core::error(int status, std::string message) const {
    if (!options.error_response) return Response::text(status, message + "\n");
    try {
        return options.error_response(status, message);
    } catch (const std::exception& problem) {
        log::error("an error answer could not be rendered", {{"reason", problem.what()}});
        return Response::text(status, message + "\n");
    }
}

Response Core::answer(const Request& request, bool is_local) const {
    return guarded(request, is_local ? options.local_handler : options.handler);
}

std::optional<PromptAnswer> Core::answer_at_once(const Request& request) const {
    return guarded(request, options.at_once);
}

template <class Ask>
std::invoke_result_t<Ask, const Request&> Core::guarded(const Request& request,
                                                        const Ask& ask) const {
    try {
        return ask(request);
    } catch (const std::exception& problem) {
        // The path is left out on purpose: it may name a patient.
        log::error(
            "a handler failed",
            {{"request", request.id}, {"method", request.method_text}, {"reason", problem.what()}});
    } catch (...) {
        log::error("a handler failed", {{"request", request.id},
                                        {"method", request.method_text},
                                        {"reason", "no standard exception"}});
    }
    return error(
        500,
        fmt::format("the server failed at this request; its log has the reason under request {}",
                    request.id));
}

void Core::count_down() {
    if (connection_count.fetch_sub(1) != 1) return;
    const std::lock_guard lock(mutex);
    empty.notify_all();
}

bool Core::wait_until_empty(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex);
    return empty.wait_for(lock, time, [this] { return connection_count == 0; });
}

void Core::stop() {
    is_stopping = true;
    // The acceptor goes first and alone: what it has accepted is posted to its thread before
    // stop_connections is.
    std::promise<void> accepting_ended;
    asio::post(io[0]->context, [&] {
        error_code ignored;
        acceptor->close(ignored);
        if (local_acceptor) local_acceptor->close(ignored);
        local_socket.reset();
        accept_timer->cancel();
        tls_timer->cancel();
        accepting_ended.set_value();
    });
    accepting_ended.get_future().wait();
    for (const auto& one : io)
        asio::post(one->context, [thread = one.get()] { thread->stop_connections(); });
    bool is_empty = wait_until_empty(options.limits.stop_timeout);
    while (!is_empty) {
        for (const auto& one : io)
            asio::post(one->context, [thread = one.get()] { thread->cut_connections(); });
        is_empty = wait_until_empty(std::chrono::milliseconds(100));
    }
    pool.stop();
    for (const auto& one : io) one->context.stop();
    for (const auto& one : io) one->thread.join();
}

}  // namespace

// --- Server ---

struct Server::Implementation : Core {
    using Core::Core;
};

Server::Server(std::unique_ptr<Implementation> implementation)
    : implementation_(std::move(implementation)) {}
Server::~Server() {
    stop();
}
std::uint16_t Server::port() const {
    return implementation_->port;
}
std::size_t Server::connection_count() const {
    return implementation_->connection_count;
}
std::size_t Server::requests_waiting() const {
    return implementation_->pool.waiting();
}

Result<void> Server::reload_tls() {
    return implementation_->tls ? implementation_->tls->reload() : Result<void>();
}

void Server::stop() {
    std::call_once(implementation_->stop_once, [this] { implementation_->stop(); });
}

Result<std::unique_ptr<Server>> Server::start(ServerOptions options) {
    if (!options.handler)
        return fail(Category::incorrect, "the server was started without a handler");
    if (options.io_threads == 0)
        options.io_threads = std::clamp(std::thread::hardware_concurrency(), 1u, 4u);
    if (options.workers == 0) options.workers = limits::http_workers_default;
    auto implementation = std::make_unique<Implementation>(std::move(options));
    for (unsigned i = 0; i < implementation->options.io_threads; ++i) {
        implementation->io.push_back(std::make_unique<IoThread>(*implementation));
        implementation->io.back()->number = i;
    }
    TRY(implementation->prepare());
    TRY(implementation->listen());
    TRY(implementation->listen_locally());
    implementation->accept<tcp>(*implementation->acceptor);
    if (implementation->local_acceptor)
        implementation->accept<local>(*implementation->local_acceptor);
    implementation->watch_certificate();
    for (const auto& one : implementation->io) {
        one->sweep();
        one->thread = std::thread([thread = one.get()] { thread->context.run(); });
    }
    return std::unique_ptr<Server>(new Server(std::move(implementation)));
}

}  // namespace meridian::net

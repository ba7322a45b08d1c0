// SPDX-License-Identifier: Apache-2.0
// Adapter: the listening and connected sockets (Asio). Who may touch what is said at Connection.
#include "net/server.hpp"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <future>
#include <iterator>

#include "base/hash.hpp"
#include "base/log.hpp"
#include "net/detail/encoding.hpp"
#include "net/detail/outgoing.hpp"
#include "net/detail/request_parser.hpp"
#include "net/detail/websocket_session.hpp"
#include "net/detail/worker_pool.hpp"

namespace meridian::net {

namespace asio = boost::asio;
using boost::system::error_code;
using tcp = asio::ip::tcp;
// The executor is named, not type-erased: each I/O thread runs one io_context, and hot-path calls
// stay direct.
using Socket = asio::basic_stream_socket<tcp, asio::io_context::executor_type>;
using Acceptor = asio::basic_socket_acceptor<tcp, asio::io_context::executor_type>;
using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>,
                                         asio::io_context::executor_type>;

namespace {

constexpr std::size_t read_buffer_bytes = 8u << 10;
constexpr std::size_t body_buffer_bytes = 256u << 10;
constexpr std::size_t kept_body_bytes_max = 64u << 10;
constexpr unsigned chunks_in_a_row_max = 16;  ///< of one stream before other jobs get their turn
constexpr auto accept_pause = std::chrono::milliseconds(50);

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

/// One thread, its io_context and the connections that live on it.
struct IoThread {
    explicit IoThread(Core& its_server) : server(its_server) {}

    void sweep();
    void stop_connections();
    void cut_connections();
    void forget(const Connection* connection);
    void forget(const detail::WebSocketSession* session);

    Core& server;
    asio::io_context context{1};
    Timer sweeper{context};
    std::unordered_map<const Connection*, std::shared_ptr<Connection>> connections{};
    std::unordered_map<const detail::WebSocketSession*, std::shared_ptr<detail::WebSocketSession>>
        websockets{};
    std::uint64_t requests = 0;  ///< for request ids
    unsigned number = 0;
    std::thread thread{};
};

/// What all threads of one server share.
struct Core {
    explicit Core(ServerOptions its_options)
        : options(std::move(its_options)),
          pool(options.workers, options.limits.requests_waiting_max) {}

    Result<void> listen();
    void accept();
    void on_accept(const error_code& problem, Socket socket, IoThread& io);
    std::chrono::milliseconds sweep_interval() const;
    Response error(int status, std::string message) const;
    /// Runs the handler; whatever it throws becomes 500.
    /// What `handler` makes of the request; 500 when it throws.
    Response answer(const Request& request) const;
    /// What `at_once` makes of it, likewise.
    std::optional<Response> answer_at_once(const Request& request) const;
    template <class Ask>
    std::optional<Response> guarded(const Request& request, const Ask& ask) const;
    void count_down();
    bool wait_until_empty(std::chrono::milliseconds time);
    void stop();

    ServerOptions options;
    detail::WorkerPool pool;
    std::vector<std::unique_ptr<IoThread>> io{};
    std::optional<Acceptor> acceptor{};
    std::optional<Timer> accept_timer{};
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
    Connection(IoThread& io, Socket socket)
        : io_(io),
          server_(io.server),
          socket_(std::move(socket)),
          descriptor_(socket_.native_handle()),
          parser_({bounds().header_bytes_max, bounds().url_bytes_max, bounds().body_bytes_max}) {}

    void start(bool is_too_many);
    void run() noexcept override;
    void on_deadline(std::int64_t now);
    void on_stop();
    void cut();

 private:
    enum State : int { idle, working, working_and_waiting };
    enum class Sent : unsigned char { all, blocked, broken };

    // input, on the I/O thread
    void make_room();
    void read();
    void on_read(const error_code& problem, std::size_t count);
    bool claim();
    void process();
    void wait_for_input();
    void begin_request();
    bool handle_event(detail::RequestParser::Event event);
    bool handle_head();
    bool dispatch();
    bool upgrade(const WebSocketHandler& handler);
    bool refuse(int status, std::string message);

    // the answer, on whichever thread works on the request
    Response decode_and_answer();
    void answer();
    void set_answer(Response&& response, std::int64_t started);
    Sent send_now();
    bool send_from_io();
    void hand_to_pool();
    void wait_until_writable();
    bool finish_on_io();
    void finish_on_worker();
    void give_back();

    // the end, on the I/O thread
    void linger_or_close();
    void close();

    const ServerLimits& bounds() const { return server_.options.limits; }
    static std::int64_t after(std::chrono::milliseconds time) {
        return steady_now() + std::chrono::nanoseconds(time).count();
    }

    IoThread& io_;
    Core& server_;
    Socket socket_;
    const int descriptor_;
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
    std::atomic<std::int64_t> deadline_{0};  ///< steady nanoseconds; 0: none

    std::atomic<int> state_{idle};
    Request request_{};
    detail::Outgoing outgoing_{};
    bool is_answered_ = false;  ///< outgoing_ holds the answer; run() goes on sending
    bool is_http_1_0_ = false;
    bool may_keep_alive_ = false;
    std::shared_ptr<Connection> self_{};  ///< keeps this alive while it is in the pool
};

void Connection::start(bool is_too_many) {
    io_.connections.emplace(this, shared_from_this());
    const int on = 1;
    ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    error_code problem;
    const auto peer = socket_.remote_endpoint(problem);
    if (!problem && peer.address().is_v6()) {
        request_.peer = fmt::format("[{}]:{}", peer.address().to_string(), peer.port());
    } else if (!problem) {
        request_.peer = fmt::format("{}:{}", peer.address().to_string(), peer.port());
    }
    begin_request();
    if (is_too_many) {
        refuse(503, fmt::format("the server has {} connections open, its limit: try again later",
                                bounds().connections_max));
        return;
    }
    deadline_ = after(bounds().header_timeout);
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
    if (is_lingering_) {
        begin_ = end_ = 0;
        if (is_end_of_input_) return close();
        return read();
    }
    while (true) {
        if (is_dispatched_) begin_request();
        auto event = detail::RequestParser::Event::need_more;
        begin_ += parser_.put({buffer_.get() + begin_, end_ - begin_}, event);
        if (event == detail::RequestParser::Event::need_more) return wait_for_input();
        if (!handle_event(event)) return;
    }
}

void Connection::wait_for_input() {
    if (is_end_of_input_) return close();
    const bool is_begun = parser_.has_started();
    if (is_begun && !is_timing_head_) {
        is_timing_head_ = true;
        deadline_ = after(bounds().header_timeout);
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
    deadline_ = after(bounds().body_timeout);
    if (parser_.expects_continue()) {
        // Bytes behind the head mean that the client did not wait (RFC 9110 §10.1.1). The few bytes
        // of the interim answer fit into the socket's buffer, which is empty here; a client they do
        // not reach sends its body after its own time-out.
        static constexpr std::string_view interim = "HTTP/1.1 100 Continue\r\n\r\n";
        if (begin_ == end_)
            (void)!::send(descriptor_, interim.data(), interim.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        return true;
    }
    if (request_.headers.has("Expect") && !parser_.is_http_1_0()) {
        return refuse(417, "the only expectation this server meets is 100-continue");
    }
    return true;
}

/// A complete request goes to a worker, to the fast handler, or becomes a WebSocket. True when it
/// is answered already.
bool Connection::dispatch() {
    is_dispatched_ = true;
    is_answered_ = false;
    deadline_ = 0;
    is_http_1_0_ = parser_.is_http_1_0();
    may_keep_alive_ = parser_.keep_alive();
    if (const auto own = request_.headers.find("X-Request-Id"); own && is_plain_id(*own)) {
        request_.id = *own;
    } else {
        request_.id = server_.id_prefix;
        fmt::format_to(std::back_inserter(request_.id), "{:x}-{:x}", io_.number, ++io_.requests);
    }
    if (parser_.is_websocket_upgrade() && server_.options.websocket) {
        if (const WebSocketHandler* const handler = server_.options.websocket(request_))
            return upgrade(*handler);
    }
    state_ = working;
    if (server_.options.at_once) {
        const std::int64_t started = steady_now();
        if (std::optional<Response> response = server_.answer_at_once(request_)) {
            set_answer(*std::move(response), started);
            return send_from_io();
        }
    }
    const bool has_more_input = begin_ < end_;
    if (has_more_input) state_ = working_and_waiting;
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
    if (begin_ < end_) return refuse(400, "the client sent data before the WebSocket was open");
    if (handler.refuse) {
        if (std::optional<Response> refusal = handler.refuse(request_)) {
            state_ = working;
            set_answer(std::move(*refusal), steady_now());
            return send_from_io();
        }
    }
    detail::WebSocketStart start;
    start.is_ipv6 = socket_.local_endpoint().address().is_v6();
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
    return server_.answer(request_);
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
    outgoing_.prepare(request_, is_http_1_0_, may_keep_alive_ && !server_.is_stopping,
                      std::move(response));
    is_answered_ = true;
}

/// Writes what the socket takes without waiting: head and body in one system call.
Connection::Sent Connection::send_now() {
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
            outgoing_.sent += static_cast<std::size_t>(sent);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return Sent::blocked;
        } else if (errno != EINTR) {
            return Sent::broken;
        }
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
    deadline_ = after(bounds().idle_timeout);
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
    deadline_ = after(bounds().write_timeout);
    socket_.async_wait(tcp::socket::wait_write,
                       [self = shared_from_this()](const error_code& problem) {
                           if (self->is_closed_) return;
                           self->is_waiting_to_write_ = false;
                           self->deadline_ = 0;
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
    if (is_end_of_input_) return close();
    ::shutdown(descriptor_, SHUT_WR);
    deadline_ = after(std::chrono::seconds(limits::http_linger_timeout_seconds));
    process();
}

void Connection::on_deadline(std::int64_t now) {
    const std::int64_t deadline = deadline_;
    if (is_closed_ || deadline == 0 || now < deadline) return;
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
    std::vector<std::shared_ptr<Connection>> all;
    all.reserve(connections.size());
    for (const auto& entry : connections) all.push_back(entry.second);
    const std::int64_t now = steady_now();
    for (const auto& connection : all) connection->on_deadline(now);
    sweeper.expires_after(server.sweep_interval());
    sweeper.async_wait([this](const error_code& problem) {
        if (!problem) sweep();
    });
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

void IoThread::forget(const Connection* connection) {
    if (connections.erase(connection) > 0) server.count_down();
}

void IoThread::forget(const detail::WebSocketSession* session) {
    if (websockets.erase(session) > 0) server.count_down();
}

// --- Core ---

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
    return {};
}

void Core::accept() {
    IoThread& target = *io[next_io++ % io.size()];
    acceptor->async_accept(target.context,
                           [this, &target](const error_code& problem, Socket socket) {
                               on_accept(problem, std::move(socket), target);
                           });
}

void Core::on_accept(const error_code& problem, Socket socket, IoThread& target) {
    if (is_stopping || problem == asio::error::operation_aborted) return;
    if (problem) {
        // Out of descriptors, most likely: connections that end will free some.
        log::warning("a connection could not be accepted", {{"reason", problem.message()}});
        accept_timer->expires_after(accept_pause);
        accept_timer->async_wait([this](const error_code& stopped) {
            if (!stopped && !is_stopping) accept();
        });
        return;
    }
    const std::size_t count = connection_count.fetch_add(1);
    // Some beyond the limit are told so; the rest is dropped.
    constexpr std::size_t told_max = 64;
    if (count >= options.limits.connections_max + told_max) {
        count_down();
    } else {
        auto connection = std::make_shared<Connection>(target, std::move(socket));
        const bool is_too_many = count >= options.limits.connections_max;
        asio::post(target.context, [connection = std::move(connection), is_too_many] {
            connection->start(is_too_many);
        });
    }
    accept();
}

std::chrono::milliseconds Core::sweep_interval() const {
    const ServerLimits& bounds = options.limits;
    const auto shortest = std::min(
        {bounds.header_timeout, bounds.body_timeout, bounds.idle_timeout, bounds.write_timeout});
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

Response Core::answer(const Request& request) const {
    return *guarded(request, options.handler);
}

std::optional<Response> Core::answer_at_once(const Request& request) const {
    return guarded(request, options.at_once);
}

template <class Ask>
std::optional<Response> Core::guarded(const Request& request, const Ask& ask) const {
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
        accept_timer->cancel();
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
    TRY(implementation->listen());
    implementation->accept();
    for (const auto& one : implementation->io) {
        one->sweep();
        one->thread = std::thread([thread = one.get()] { thread->context.run(); });
    }
    return std::unique_ptr<Server>(new Server(std::move(implementation)));
}

}  // namespace meridian::net

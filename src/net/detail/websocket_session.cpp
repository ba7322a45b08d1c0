// SPDX-License-Identifier: Apache-2.0
// Adapter: the only file that sees Beast's WebSocket stream, which is slow to compile.
#include "net/detail/websocket_session.hpp"

#include <boost/asio/compose.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <deque>
#include <mutex>

#include "base/log.hpp"

namespace meridian::net::detail {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;
using boost::system::error_code;
using PlainSocket = asio::basic_stream_socket<asio::ip::tcp, asio::io_context::executor_type>;
using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>,
                                         asio::io_context::executor_type>;

/// A socket that ends at once when both sides have said their last word, as a server should (RFC
/// 6455 §7.1.1). Beast's own way waits for the client to end the connection first. Beast finds the
/// two functions by their argument; so they are not in the unnamed namespace.
///
/// With a TLS session, what is read and written goes through it; its handshake is over by then. All
/// on the I/O thread.
class Socket : public PlainSocket {
 public:
    Socket(asio::io_context& context, const asio::ip::tcp& protocol, int descriptor,
           std::unique_ptr<TlsSession> tls)
        : PlainSocket(context, protocol, descriptor), tls_(std::move(tls)) {}

    template <class Buffers, class Handler>
    void async_read_some(const Buffers& buffers, Handler&& handler) {
        if (!tls_) {
            PlainSocket::async_read_some(buffers, std::forward<Handler>(handler));
            return;
        }
        for (auto it = asio::buffer_sequence_begin(buffers);
             it != asio::buffer_sequence_end(buffers); ++it) {
            const asio::mutable_buffer buffer(*it);
            if (buffer.size() == 0) continue;
            return run_tls(
                [this, buffer] {
                    return tls_->read(static_cast<char*>(buffer.data()), buffer.size());
                },
                std::forward<Handler>(handler));
        }
        run_tls([] { return TlsSession::Progress{TlsSession::Outcome::done, 0}; },
                std::forward<Handler>(handler));
    }

    template <class Buffers, class Handler>
    void async_write_some(const Buffers& buffers, Handler&& handler) {
        if (!tls_) {
            PlainSocket::async_write_some(buffers, std::forward<Handler>(handler));
            return;
        }
        for (auto it = asio::buffer_sequence_begin(buffers);
             it != asio::buffer_sequence_end(buffers); ++it) {
            const asio::const_buffer buffer(*it);
            if (buffer.size() == 0) continue;
            return run_tls(
                [this, buffer] {
                    return tls_->write({static_cast<const char*>(buffer.data()), buffer.size()});
                },
                std::forward<Handler>(handler));
        }
        run_tls([] { return TlsSession::Progress{TlsSession::Outcome::done, 0}; },
                std::forward<Handler>(handler));
    }

    /// Tells the client that nothing more comes.
    void say_goodbye() {
        if (tls_) tls_->send_close_notify();
    }

 private:
    /// Tries `step` whenever the socket is ready for it, until it is done. The handler never runs
    /// before this has returned.
    template <class Step, class Handler>
    void run_tls(Step step, Handler&& handler) {
        using Outcome = TlsSession::Outcome;
        asio::async_compose<Handler, void(error_code, std::size_t)>(
            [this, step, progress = TlsSession::Progress{}, has_started = false](
                auto& self, const error_code& problem = {}) mutable {
                if (problem) return self.complete(problem, 0);
                if (std::exchange(has_started, true) && progress.outcome == Outcome::done)
                    return self.complete({}, progress.count);
                progress = step();
                switch (progress.outcome) {
                    case Outcome::wants_input:
                        return async_wait(wait_read, std::move(self));
                    case Outcome::wants_output:
                        return async_wait(wait_write, std::move(self));
                    case Outcome::done:
                        return asio::post(get_executor(), std::move(self));
                    case Outcome::ended:
                        return finish(std::move(self), asio::error::eof);
                    case Outcome::failed:
                        return finish(std::move(self), asio::error::connection_reset);
                }
            },
            handler, *this);
    }
    template <class Operation>
    void finish(Operation&& operation, error_code problem) {
        asio::post(get_executor(),
                   beast::bind_front_handler(std::forward<Operation>(operation), problem));
    }

    std::unique_ptr<TlsSession> tls_;
};

inline void teardown(beast::role_type, Socket& socket, error_code& problem) {
    socket.say_goodbye();
    socket.close(problem);
}

template <class TeardownHandler>
void async_teardown(beast::role_type, Socket& socket, TeardownHandler&& handler) {
    error_code problem;
    socket.say_goodbye();
    socket.close(problem);
    asio::post(socket.get_executor(),
               beast::bind_front_handler(std::forward<TeardownHandler>(handler), problem));
}

namespace {

constexpr std::uint16_t code_abnormal =
    1006;  // RFC 6455 §7.4.1: never sent, says that there was no close frame
constexpr std::uint16_t code_internal_error = 1011;
constexpr std::uint16_t code_try_again_later = 1013;
constexpr std::uint16_t code_going_away = 1001;
constexpr std::size_t close_reason_bytes_max =
    123;  // RFC 6455 §5.5: control frames hold 125 bytes, two are the code

struct Message {
    std::string bytes;
    bool is_binary = false;
};

class Session;

/// What handlers hold: the outbox, and the way to its session while there is one. It may outlive
/// the session and the server.
class Handle final : public WebSocket {
 public:
    Handle(Request request, const ServerLimits& limits)
        : limits_(limits), request_(std::move(request)) {}

    bool send(std::string text) override { return enqueue({std::move(text), false}); }
    bool send_binary(std::string bytes) override { return enqueue({std::move(bytes), true}); }
    void close(std::uint16_t code, std::string_view reason) override {
        request_close(code, reason, false);
    }
    const Request& request() const override { return request_; }
    std::string_view subprotocol() const override { return subprotocol_; }
    bool is_open() const override {
        const std::lock_guard lock(mutex_);
        return session_ != nullptr && !is_closing_;
    }

 private:
    friend class Session;
    bool enqueue(Message message);
    void request_close(std::uint16_t code, std::string_view reason, bool drops_outbox);

    const ServerLimits limits_;
    const Request request_;
    std::string subprotocol_;

    mutable std::mutex mutex_;  ///< for what follows
    Session* session_ = nullptr;
    std::deque<Message> outbox_;
    std::size_t outbox_bytes_ = 0;
    bool is_closing_ = false;
    bool is_pump_posted_ = false;
    std::uint16_t close_code_ = 0;
    std::string close_reason_;
};

/// One open socket. All fields belong to the I/O thread; the event fields belong to the worker
/// while is_event_running_.
class Session final : public WebSocketSession,
                      public Job,
                      public std::enable_shared_from_this<Session> {
 public:
    Session(asio::io_context& context, WebSocketStart start)
        : context_(context),
          start_(std::move(start)),
          stream_(Socket(context, start_.is_ipv6 ? asio::ip::tcp::v6() : asio::ip::tcp::v4(),
                         start_.socket, std::move(start_.tls))),
          close_timer_(context),
          handle_(std::make_shared<Handle>(std::move(start_.request), *start_.limits)) {}
    ~Session() override { detach(); }

    void open();
    void post_pump();
    void post_close();
    void stop() override { handle_->request_close(code_going_away, "the server stops", false); }
    void cut() override;
    void run() noexcept override;

 private:
    enum class Event : unsigned char { open, message, close };

    void choose_subprotocol();
    void on_accept(const error_code& problem);
    void read();
    void on_read(const error_code& problem);
    void pump();
    void write();
    void start_event(Event event);
    void call_handler();
    void after_event();
    void start_close_timer();
    void on_broken(std::uint16_t code);
    void end_when_quiet();
    void detach();

    asio::io_context& context_;
    WebSocketStart start_;
    websocket::stream<Socket, false> stream_;
    Timer close_timer_;
    beast::flat_buffer input_;
    const std::shared_ptr<Handle> handle_;
    Message writing_;
    bool is_reading_ = false;
    bool is_writing_ = false;
    bool is_close_started_ = false;
    bool is_broken_ = false;  ///< nothing can be read any more
    bool was_opened_ = false;
    bool was_closed_ = false;  ///< the close event was given to the handler
    bool has_ended_ = false;
    bool is_event_running_ = false;
    Event event_ = Event::open;
    Message message_;
    std::uint16_t end_code_ = code_abnormal;
    std::string end_reason_;
};

bool Handle::enqueue(Message message) {
    const std::size_t size = message.bytes.size();
    std::unique_lock lock(mutex_);
    if (session_ == nullptr || is_closing_) return false;
    if (outbox_.size() >= limits_.websocket_outbox_messages_max ||
        outbox_bytes_ + size > limits_.websocket_outbox_bytes_max) {
        lock.unlock();
        request_close(code_try_again_later, "the client reads too slowly", true);
        return false;
    }
    outbox_bytes_ += size;
    outbox_.push_back(std::move(message));
    if (!std::exchange(is_pump_posted_, true)) session_->post_pump();
    return true;
}

void Handle::request_close(std::uint16_t code, std::string_view reason, bool drops_outbox) {
    const std::lock_guard lock(mutex_);
    if (session_ == nullptr || is_closing_) return;
    is_closing_ = true;
    close_code_ = code;
    close_reason_ = reason.substr(0, close_reason_bytes_max);
    if (drops_outbox) {
        outbox_.clear();
        outbox_bytes_ = 0;
    }
    session_->post_close();
}

/// The first of ours that the client offers (RFC 6455 §4.2.2: the server chooses at most one).
void Session::choose_subprotocol() {
    const std::string offered =
        "," + handle_->request_.headers.joined("Sec-WebSocket-Protocol") + ",";
    std::string compact;
    for (const char c : offered) {
        if (c != ' ' && c != '\t') compact += c;
    }
    for (const std::string& known : start_.handler->subprotocols) {
        if (compact.find("," + known + ",") != std::string::npos) {
            handle_->subprotocol_ = known;
            return;
        }
    }
}

void Session::detach() {
    const std::lock_guard lock(handle_->mutex_);
    handle_->session_ = nullptr;
}

void Session::open() {
    handle_->session_ = this;
    choose_subprotocol();
    websocket::stream_base::timeout times{};
    times.handshake_timeout = std::chrono::seconds(limits::websocket_handshake_timeout_seconds);
    times.idle_timeout = start_.limits->websocket_idle_timeout;
    times.keep_alive_pings = true;
    stream_.set_option(times);
    stream_.read_message_max(start_.limits->websocket_message_bytes_max);
    stream_.set_option(
        websocket::stream_base::decorator([this](websocket::response_type& response) {
            // Beast would put its name and version here; a word that tells nothing keeps it out.
            response.set(beast::http::field::server, "websocket");
            if (!handle_->subprotocol_.empty())
                response.set(beast::http::field::sec_websocket_protocol, handle_->subprotocol_);
        }));
    beast::http::request<beast::http::empty_body> handshake;
    handshake.method(beast::http::verb::get);
    handshake.target(handle_->request_.target);
    handshake.version(11);
    for (std::size_t i = 0; i < handle_->request_.headers.size(); ++i) {
        const Headers::Field field = handle_->request_.headers[i];
        handshake.insert({field.name.data(), field.name.size()},
                         {field.value.data(), field.value.size()});
    }
    stream_.async_accept(handshake, [self = shared_from_this()](const error_code& problem) {
        self->on_accept(problem);
    });
}

void Session::on_accept(const error_code& problem) {
    if (problem) {
        is_broken_ = true;
        return end_when_quiet();
    }
    was_opened_ = true;
    start_event(Event::open);
    pump();
}

// --- events: one at a time, on workers ---

void Session::start_event(Event event) {
    event_ = event;
    is_event_running_ = true;
    start_.pool->submit_admitted(*this);
}

void Session::run() noexcept {
    const std::shared_ptr<Session> self = shared_from_this();
    try {
        call_handler();
    } catch (const std::exception& problem) {
        log::error("a WebSocket handler failed",
                   {{"request", handle_->request_.id}, {"reason", problem.what()}});
        handle_->request_close(code_internal_error, "the server failed", false);
    }
    asio::post(context_, [self] { self->after_event(); });
}

void Session::call_handler() {
    const WebSocketHandler& handler = *start_.handler;
    const WebSocketPointer socket = handle_;
    switch (event_) {
        case Event::open:
            if (handler.on_open) handler.on_open(socket);
            break;
        case Event::message:
            if (handler.on_message) handler.on_message(socket, message_.bytes, message_.is_binary);
            break;
        case Event::close:
            if (handler.on_close) handler.on_close(socket, end_code_, end_reason_);
            break;
    }
}

void Session::after_event() {
    is_event_running_ = false;
    message_.bytes.clear();
    if (!is_broken_ && !is_close_started_) read();
    end_when_quiet();
}

// --- input ---

void Session::read() {
    is_reading_ = true;
    stream_.async_read(input_, [self = shared_from_this()](const error_code& problem, std::size_t) {
        self->on_read(problem);
    });
}

void Session::on_read(const error_code& problem) {
    is_reading_ = false;
    if (problem) {
        const auto& reason = stream_.reason();
        const bool was_told = problem == websocket::error::closed;
        end_reason_.assign(reason.reason.data(), reason.reason.size());
        const bool is_too_big = problem == websocket::error::message_too_big;
        on_broken(was_told     ? reason.code
                  : is_too_big ? static_cast<std::uint16_t>(1009)
                               : code_abnormal);
        return;
    }
    message_.bytes.assign(static_cast<const char*>(input_.data().data()), input_.size());
    message_.is_binary = stream_.got_binary();
    input_.consume(input_.size());
    start_event(Event::message);
}

void Session::on_broken(std::uint16_t code) {
    if (is_broken_) return end_when_quiet();
    is_broken_ = true;
    end_code_ = code;
    {
        Handle& handle = *handle_;
        const std::lock_guard lock(handle.mutex_);
        // Who asked for the end knows the reason best.
        if (handle.is_closing_) {
            end_code_ = handle.close_code_;
            end_reason_ = handle.close_reason_;
        }
        handle.is_closing_ = true;
        handle.outbox_.clear();
        handle.outbox_bytes_ = 0;
    }
    end_when_quiet();
}

// --- output ---

void Session::post_pump() {
    asio::post(context_, [self = shared_from_this()] { self->pump(); });
}

void Session::post_close() {
    asio::post(context_, [self = shared_from_this()] {
        if (self->has_ended_) return;
        self->start_close_timer();
        self->pump();
    });
}

/// The client may never answer our close frame, never read it, or never end the connection: then it
/// is cut.
void Session::start_close_timer() {
    close_timer_.expires_after(std::chrono::seconds(limits::websocket_close_timeout_seconds));
    close_timer_.async_wait([self = shared_from_this()](const error_code& stopped) {
        if (!stopped) self->cut();
    });
}

/// Writes the next message of the outbox, or the close frame when it is empty and the end was asked
/// for.
void Session::pump() {
    if (!was_opened_ || is_writing_ || is_broken_ || is_close_started_) return;
    websocket::close_reason reason;
    {
        Handle& handle = *handle_;
        const std::lock_guard lock(handle.mutex_);
        handle.is_pump_posted_ = !handle.outbox_.empty();
        if (!handle.outbox_.empty()) {
            writing_ = std::move(handle.outbox_.front());
            handle.outbox_.pop_front();
            handle.outbox_bytes_ -= writing_.bytes.size();
            is_writing_ = true;
        } else if (handle.is_closing_) {
            is_close_started_ = true;
            reason.code = handle.close_code_;
            reason.reason.assign(handle.close_reason_.data(), handle.close_reason_.size());
        }
    }
    if (is_writing_) {
        write();
    } else if (is_close_started_) {
        stream_.async_close(reason, [self = shared_from_this()](const error_code&) {
            self->on_broken(code_abnormal);
        });
    }
}

void Session::write() {
    stream_.binary(writing_.is_binary);
    stream_.async_write(asio::buffer(writing_.bytes),
                        [self = shared_from_this()](const error_code& problem, std::size_t) {
                            self->is_writing_ = false;
                            // A broken connection shows at the pending read, too; that read tells
                            // the handler.
                            if (problem) return self->cut();
                            self->pump();
                            self->end_when_quiet();
                        });
}

// --- the end ---

void Session::cut() {
    error_code ignored;
    beast::get_lowest_layer(stream_).close(ignored);
    if (!is_reading_) on_broken(code_abnormal);
}

/// When nothing is pending any more: tells the handler, then the server.
void Session::end_when_quiet() {
    if (!is_broken_ || is_reading_ || is_writing_ || is_event_running_ || has_ended_) return;
    if (was_opened_ && !was_closed_) {
        was_closed_ = true;
        return start_event(Event::close);
    }
    has_ended_ = true;
    detach();
    close_timer_.cancel();
    error_code ignored;
    beast::get_lowest_layer(stream_).close(ignored);
    start_.on_end(this);
}

}  // namespace

std::shared_ptr<WebSocketSession> start_websocket(asio::io_context& context, WebSocketStart start) {
    auto session = std::make_shared<Session>(context, std::move(start));
    session->open();
    return session;
}

}  // namespace meridian::net::detail

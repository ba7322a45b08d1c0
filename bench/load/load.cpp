// SPDX-License-Identifier: Apache-2.0
#include "bench/load/load.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "bench/load/reply.hpp"

namespace meridian::load {

namespace {

constexpr std::size_t read_bytes = 16u << 10;
constexpr std::size_t failure_text_bytes = 300;
constexpr int events_max = 256;

std::int64_t now_nanoseconds() {
    return std::chrono::steady_clock::now().time_since_epoch().count();
}

struct Connection {
    int descriptor = -1;
    unsigned number = 0;
    bool is_busy = false;
    bool is_finished = false;  ///< its source has no more to send
    bool wants_write = false;
    std::string out{};
    std::size_t sent = 0;
    std::int64_t intended = 0;  ///< when the call should have started
    Call call{};
    ReplyReader reader{};
};

class Run {
 public:
    Run(const Options& options, const Next& next, const OnReply& on_reply)
        : options_(options), next_(next), on_reply_(on_reply) {
        report_.kinds.resize(options.kinds);
        connections_.resize(options.connections);
    }
    ~Run();
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

    Result<Report> execute();

 private:
    Result<void> open_all();
    Result<void> open(Connection& connection);
    void fill_idle(std::int64_t now);
    bool begin(Connection& connection, std::int64_t intended);
    void flush(Connection& connection);
    void receive(Connection& connection);
    void complete(Connection& connection);
    void fail_call(Connection& connection, std::string reason);
    void reopen(Connection& connection);
    void watch(Connection& connection, bool wants_write);
    void check_timeouts(std::int64_t now);
    void set_timer(std::int64_t at);
    bool is_open_loop() const { return options_.calls_per_second > 0; }
    bool is_counted(const Connection& connection) const {
        return connection.intended >= counted_from_;
    }
    std::int64_t intended_at(std::uint64_t index) const {
        return started_ + static_cast<std::int64_t>(static_cast<double>(index) * 1e9 /
                                                    options_.calls_per_second);
    }

    const Options& options_;
    const Next& next_;
    const OnReply& on_reply_;
    Report report_{};
    std::vector<Connection> connections_{};
    std::vector<unsigned> idle_{};  ///< open loop: connections without a call
    int epoll_ = -1;
    int timer_ = -1;
    unsigned busy_ = 0;
    std::uint64_t next_index_ = 0;  ///< open loop: of the next call by time
    std::int64_t started_ = 0, counted_from_ = 0, ends_ = 0, last_answer_ = 0;
};

Run::~Run() {
    for (const Connection& connection : connections_) {
        if (connection.descriptor >= 0) ::close(connection.descriptor);
    }
    if (timer_ >= 0) ::close(timer_);
    if (epoll_ >= 0) ::close(epoll_);
}

Result<void> Run::open(Connection& connection) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(options_.port);
    if (::inet_pton(AF_INET, options_.address.c_str(), &address.sin_addr) != 1) {
        return fail(Category::incorrect,
                    fmt::format("\"{}\" is no IPv4 address", options_.address));
    }
    connection.descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    // The connection is made blocking (loopback answers at once), used non-blocking.
    if (connection.descriptor < 0 ||
        ::connect(connection.descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address) !=
            0) {
        return fail(Category::unavailable,
                    fmt::format("cannot connect to {}:{}: {}", options_.address, options_.port,
                                std::strerror(errno)));
    }
    const int on = 1;
    ::setsockopt(connection.descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = connection.number;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.descriptor, &event);
    connection.wants_write = false;
    connection.reader.reset();
    return {};
}

Result<void> Run::open_all() {
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    timer_ = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (epoll_ < 0 || timer_ < 0)
        return fail(Category::unavailable,
                    fmt::format("no epoll or timer: {}", std::strerror(errno)));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = options_.connections;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, timer_, &event);
    for (unsigned i = 0; i < options_.connections; ++i) {
        connections_[i].number = i;
        TRY(open(connections_[i]));
    }
    return {};
}

void Run::set_timer(std::int64_t at) {
    itimerspec time{};
    time.it_value.tv_sec = at / 1'000'000'000;
    time.it_value.tv_nsec = at % 1'000'000'000;
    ::timerfd_settime(timer_, TFD_TIMER_ABSTIME, &time, nullptr);
}

void Run::watch(Connection& connection, bool wants_write) {
    if (connection.wants_write == wants_write) return;
    connection.wants_write = wants_write;
    epoll_event event{};
    event.events = wants_write ? EPOLLIN | EPOLLOUT : EPOLLIN;
    event.data.u32 = connection.number;
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.descriptor, &event);
}

/// Sends the connection's next call. False when it has none.
bool Run::begin(Connection& connection, std::int64_t intended) {
    connection.call.clear();
    if (connection.is_finished || !next_(connection.number, connection.call)) {
        connection.is_finished = true;
        return false;
    }
    const Call& call = connection.call;
    connection.intended = intended;
    connection.is_busy = true;
    ++busy_;
    connection.out.clear();
    connection.sent = 0;
    connection.out.append(call.method)
        .append(" ")
        .append(call.target)
        .append(" HTTP/1.1\r\nHost: ")
        .append(options_.address)
        .append("\r\n");
    connection.out.append(options_.headers).append(call.headers);
    if (!call.body.empty() || call.method == "POST" || call.method == "PUT" ||
        call.method == "PATCH") {
        fmt::format_to(std::back_inserter(connection.out), "Content-Length: {}\r\n",
                       call.body.size());
    }
    connection.out.append("\r\n").append(call.body);
    connection.reader.start(call.method == "HEAD");
    flush(connection);
    return true;
}

void Run::flush(Connection& connection) {
    while (connection.sent < connection.out.size()) {
        const ssize_t count =
            ::send(connection.descriptor, connection.out.data() + connection.sent,
                   connection.out.size() - connection.sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count >= 0) {
            connection.sent += static_cast<std::size_t>(count);
        } else if (errno == EAGAIN) {
            return watch(connection, true);
        } else if (errno != EINTR) {
            // The server may have answered and closed before it read everything: what it said is
            // read first.
            connection.sent = connection.out.size();
        }
    }
    watch(connection, false);
}

void Run::receive(Connection& connection) {
    while (true) {
        char* const room = connection.reader.room(read_bytes);
        const ssize_t count = ::recv(connection.descriptor, room, read_bytes, MSG_DONTWAIT);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && errno == EAGAIN) return;
        if (count <= 0) {
            if (connection.is_busy)
                fail_call(connection,
                          count == 0 ? "the server closed the connection" : std::strerror(errno));
            return reopen(connection);
        }
        connection.reader.received(static_cast<std::size_t>(count));
        if (!connection.is_busy) return reopen(connection);  // an answer to nothing
        const ReplyReader::Status status = connection.reader.advance();
        if (status == ReplyReader::Status::broken) {
            fail_call(connection, "the answer is no HTTP/1.1");
            return reopen(connection);
        }
        if (status == ReplyReader::Status::complete) return complete(connection);
        if (static_cast<std::size_t>(count) < read_bytes) return;
    }
}

void Run::complete(Connection& connection) {
    const std::int64_t now = now_nanoseconds();
    const Reply reply = connection.reader.reply();
    const Call& call = connection.call;
    if (is_counted(connection)) {
        Figures& figures = report_.kinds[call.kind];
        ++figures.statuses[reply.status];
        const bool is_expected = call.expected_status == 0 ? reply.status / 100 == 2
                                                           : reply.status == call.expected_status;
        if (is_expected) {
            figures.latency.record(now - connection.intended);
            last_answer_ = now;
        } else {
            ++figures.failed;
            if (figures.first_failure.empty()) {
                figures.first_failure =
                    fmt::format("{} {} → {} {}", call.method, call.target, reply.status,
                                reply.body.substr(0, failure_text_bytes));
            }
        }
    }
    if (on_reply_) on_reply_(connection.number, call, reply);
    connection.is_busy = false;
    --busy_;
    if (connection.reader.must_close()) return reopen(connection);
    if (is_open_loop()) {
        idle_.push_back(connection.number);
    } else if (now < ends_) {
        begin(connection, now);
    }
}

void Run::fail_call(Connection& connection, std::string reason) {
    if (is_counted(connection)) {
        Figures& figures = report_.kinds[connection.call.kind];
        ++figures.failed;
        ++figures.statuses[0];
        if (figures.first_failure.empty()) {
            figures.first_failure =
                fmt::format("{} {} → {}", connection.call.method, connection.call.target, reason);
        }
    }
    connection.is_busy = false;
    --busy_;
}

/// Opens a closed connection again and goes on; a connection that cannot be opened is given up.
void Run::reopen(Connection& connection) {
    ::close(connection.descriptor);
    connection.descriptor = -1;
    if (!open(connection)) {
        connection.is_finished = true;
        return;
    }
    if (is_open_loop()) {
        idle_.push_back(connection.number);
    } else if (const std::int64_t now = now_nanoseconds(); now < ends_) {
        begin(connection, now);
    }
}

/// Open loop: starts every call that is due and has a free connection.
void Run::fill_idle(std::int64_t now) {
    while (intended_at(next_index_) <= now && intended_at(next_index_) < ends_ && !idle_.empty()) {
        const unsigned number = idle_.back();
        idle_.pop_back();
        if (connections_[number].is_busy || connections_[number].is_finished) continue;
        if (begin(connections_[number], intended_at(next_index_))) ++next_index_;
    }
    const auto due = static_cast<std::uint64_t>(
        static_cast<double>(std::min(now, ends_) - started_) * options_.calls_per_second / 1e9);
    if (due > next_index_) report_.backlog_max = std::max(report_.backlog_max, due - next_index_);
    if (!idle_.empty() && intended_at(next_index_) < ends_) set_timer(intended_at(next_index_));
}

void Run::check_timeouts(std::int64_t now) {
    const std::int64_t oldest = now - std::chrono::nanoseconds(options_.answer_timeout).count();
    for (Connection& connection : connections_) {
        if (connection.is_busy && connection.intended < oldest && connection.descriptor >= 0) {
            fail_call(connection, "no answer in time");
            reopen(connection);
        }
    }
}

Result<Report> Run::execute() {
    if (options_.connections == 0 || options_.kinds == 0)
        return fail(Category::incorrect, "a run needs connections and kinds of calls");
    TRY(open_all());
    started_ = now_nanoseconds();
    counted_from_ = started_ + std::chrono::nanoseconds(options_.warm_up).count();
    ends_ = counted_from_ + std::chrono::nanoseconds(options_.duration).count();
    last_answer_ = counted_from_;
    for (Connection& connection : connections_) {
        if (is_open_loop()) {
            idle_.push_back(connection.number);
        } else {
            begin(connection, now_nanoseconds());
        }
    }
    std::array<epoll_event, events_max> events{};
    std::int64_t next_check = started_;
    while (true) {
        const std::int64_t now = now_nanoseconds();
        if (is_open_loop()) fill_idle(now);
        if (now >= next_check) {
            check_timeouts(now);
            next_check = now + 100'000'000;
        }
        // An overloaded server would make the backlog endless: what was not sent in time is
        // counted, not waited for.
        const bool all_finished = std::all_of(connections_.begin(), connections_.end(),
                                              [](const Connection& c) { return c.is_finished; });
        if (busy_ == 0 &&
            (now >= ends_ || all_finished || (is_open_loop() && intended_at(next_index_) >= ends_)))
            break;
        const int count = ::epoll_wait(epoll_, events.data(), events_max, 100);
        for (int i = 0; i < count; ++i) {
            const std::uint32_t number = events[static_cast<std::size_t>(i)].data.u32;
            if (number == options_.connections) {
                std::uint64_t ticks = 0;
                (void)!::read(timer_, &ticks, sizeof ticks);
                continue;
            }
            Connection& connection = connections_[number];
            if (connection.descriptor >= 0 &&
                (events[static_cast<std::size_t>(i)].events & EPOLLOUT) != 0)
                flush(connection);
            if (connection.descriptor >= 0 &&
                (events[static_cast<std::size_t>(i)].events & ~EPOLLOUT) != 0)
                receive(connection);
        }
    }
    report_.seconds =
        static_cast<double>(std::max(last_answer_, counted_from_) - counted_from_) / 1e9;
    return std::move(report_);
}

}  // namespace

std::uint64_t Report::succeeded() const {
    std::uint64_t sum = 0;
    for (const Figures& figures : kinds) sum += figures.latency.count();
    return sum;
}

std::uint64_t Report::failed() const {
    std::uint64_t sum = 0;
    for (const Figures& figures : kinds) sum += figures.failed;
    return sum;
}

Histogram Report::latency() const {
    Histogram all;
    for (const Figures& figures : kinds) all.add(figures.latency);
    return all;
}

Result<Report> run(const Options& options, const Next& next, const OnReply& on_reply) {
    return Run(options, next, on_reply).execute();
}

}  // namespace meridian::load

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <list>
#include <string>
#include <thread>

namespace meridian::tests {

/// A way to a server that a test can disturb: listens on a free loopback port and hands on what
/// comes, both ways. One thread.
class Proxy {
 public:
    /// What stands at the other end: a unix socket's path, or a loopback port as text.
    explicit Proxy(std::string target);
    ~Proxy();
    Proxy(const Proxy&) = delete;
    Proxy& operator=(const Proxy&) = delete;

    std::uint16_t port() const { return port_; }

    enum class Way : unsigned char { to_server, to_client };
    /// From now on what is sent this way arrives so much later.
    void delay(Way way, std::chrono::milliseconds by);
    /// From now on what is sent this way vanishes, connections stay open, and new ones are taken
    /// but lead nowhere. What was lost stays lost: a connection that lost something is of no use
    /// later, as behind a firewall that has forgotten it.
    void drop(Way way, bool drops);
    /// Both ways.
    void drop(bool drops);
    /// Ends all connections with a reset.
    void cut();
    /// From now on new connections are refused.
    void refuse(bool refuses);
    /// Connections that were taken so far.
    unsigned taken() const { return taken_; }

 private:
    using Clock = std::chrono::steady_clock;
    struct Part {
        Clock::time_point due;
        std::string bytes;
    };
    struct Direction {
        int from;
        int to;
        Way way;
        std::list<Part> waiting{};
        std::size_t bytes_waiting = 0;
        bool has_ended = false;  ///< the sender will send no more
        bool is_shut = false;    ///< and the receiver was told
        bool has_lost = false;   ///< something vanished: nothing may follow it
    };
    struct Link {
        Direction to_server;
        Direction to_client;
        bool is_broken = false;
    };
    void run();
    void listen_again();
    void take();
    void receive(Link& link, Direction& direction);
    void send(Link& link, Direction& direction);
    void close(Link& link, bool reset);
    int poll_timeout() const;
    std::chrono::milliseconds delay_of(Way way) const;
    bool drops(Way way) const;
    void wake();

    std::string target_;
    std::uint16_t port_ = 0;
    int listening_ = -1;
    int wake_ = -1;
    std::list<Link> links_;
    std::atomic<int> delays_[2] = {0, 0};
    std::atomic<bool> drops_[2] = {false, false};
    std::atomic<bool> cutting_ = false;
    std::atomic<bool> refuses_ = false;
    std::atomic<bool> stopping_ = false;
    std::atomic<unsigned> taken_ = 0;
    std::thread thread_;
};

}  // namespace meridian::tests

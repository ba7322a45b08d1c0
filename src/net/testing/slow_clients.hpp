// SPDX-License-Identifier: Apache-2.0
// For tests and benches: clients that hold connections and hardly say or read anything (slowloris).
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace meridian::net::testing {

/// Many sockets, driven by one thread: in turn a head that comes byte by byte, a body that does,
/// and an answer that is not read. Each says its next byte once a second.
class SlowClients {
 public:
    struct Options {
        std::uint16_t port = 0;
        unsigned count = 0;
        bool reopens = true;  ///< a connection that the server closed is opened again
        std::string large_target = "/fhir/metadata";  ///< whose answer is not read
    };

    explicit SlowClients(Options options) : options_(std::move(options)), sockets_(options_.count) {
        thread_ = std::thread([this] { work(); });
    }
    ~SlowClients() {
        is_stopping_ = true;
        thread_.join();
        for (const One& one : sockets_) {
            if (one.descriptor >= 0) ::close(one.descriptor);
        }
    }
    SlowClients(const SlowClients&) = delete;
    SlowClients& operator=(const SlowClients&) = delete;

    /// Waits until all were opened, or so long.
    void wait_until_open(std::chrono::seconds patience) const {
        const auto end = std::chrono::steady_clock::now() + patience;
        while (opened_count_ < sockets_.size() && std::chrono::steady_clock::now() < end)
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    /// Connections that are open now.
    unsigned open_count() const { return open_count_; }
    /// How often the server has ended one.
    unsigned cut_count() const { return cut_count_; }

 private:
    struct One {
        int descriptor = -1;
        bool was_opened = false;
    };

    std::string_view words(std::size_t index) const {
        static constexpr std::string_view head = "GET /fhir/Patient HTTP/1.1\r\nHost: h\r\nX-A: ";
        static constexpr std::string_view body =
            "POST /fhir HTTP/1.1\r\nHost: h\r\nContent-Type: application/fhir+json\r\n"
            "Content-Length: 100000\r\n\r\n";
        return index % 3 == 0 ? head : index % 3 == 1 ? body : std::string_view(reading_);
    }

    void open(std::size_t index) {
        const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (descriptor < 0) return;
        const int small = 2048;
        ::setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(options_.port);
        ::inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
        if (::connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
            ::close(descriptor);
            return;
        }
        ::fcntl(descriptor, F_SETFL, O_NONBLOCK);
        const std::string_view first = words(index);
        (void)!::send(descriptor, first.data(), first.size(), MSG_NOSIGNAL);
        ++open_count_;
        if (!sockets_[index].was_opened) ++opened_count_;
        sockets_[index] = {descriptor, true};
    }

    /// The next byte of one; notices when the server has had enough.
    void go_on(std::size_t index) {
        One& one = sockets_[index];
        const bool is_reader = index % 3 == 2;
        char byte = 0;
        // What the server says to the others is its farewell; a reader takes one byte of its
        // answer.
        const ssize_t came = ::recv(one.descriptor, &byte, 1, 0);
        const bool has_ended =
            came == 0 || (came < 0 && errno != EAGAIN) || (came > 0 && !is_reader);
        const bool is_broken =
            !is_reader && ::send(one.descriptor, "x", 1, MSG_NOSIGNAL) < 0 && errno != EAGAIN;
        if (!has_ended && !is_broken) return;
        ::close(one.descriptor);
        one.descriptor = -1;
        --open_count_;
        ++cut_count_;
    }

    void work() {
        constexpr std::size_t ticks = 100;  // a second
        constexpr unsigned opened_in_a_tick_max = 10;
        for (std::size_t tick = 0; !is_stopping_; tick = (tick + 1) % ticks) {
            unsigned opened = 0;
            for (std::size_t i = tick; i < sockets_.size(); i += ticks) {
                const bool may_open = options_.reopens || !sockets_[i].was_opened;
                if (sockets_[i].descriptor >= 0) {
                    go_on(i);
                } else if (may_open && opened++ < opened_in_a_tick_max) {
                    open(i);
                }
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
    }

    const Options options_;
    const std::string reading_ = "GET " + options_.large_target + " HTTP/1.1\r\nHost: h\r\n\r\n";
    std::vector<One> sockets_;
    std::atomic<unsigned> opened_count_{0};
    std::atomic<unsigned> open_count_{0};
    std::atomic<unsigned> cut_count_{0};
    std::atomic<bool> is_stopping_{false};
    std::thread thread_{};
};

}  // namespace meridian::net::testing

// SPDX-License-Identifier: Apache-2.0
#include "tests/proxy.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace meridian::tests {

namespace {

/// Of one direction of one connection; beyond it the sender is made to wait.
constexpr std::size_t bytes_waiting_max = 4u << 20;

[[noreturn]] void give_up(const char* what) {
    std::fprintf(stderr, "the tests' proxy does not work: %s: %s\n", what, std::strerror(errno));
    std::abort();
}

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
}

/// -1 when nobody listens there.
int connect_to(const std::string& target) {
    const bool is_path = target.starts_with('/');
    const int made = ::socket(is_path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (made < 0) give_up("socket");
    int connected = -1;
    if (is_path) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        target.copy(address.sun_path, sizeof address.sun_path - 1);
        connected = ::connect(made, reinterpret_cast<sockaddr*>(&address), sizeof address);
    } else {
        sockaddr_in address = loopback(static_cast<std::uint16_t>(std::stoi(target)));
        connected = ::connect(made, reinterpret_cast<sockaddr*>(&address), sizeof address);
    }
    if (connected != 0) {
        ::close(made);
        return -1;
    }
    ::fcntl(made, F_SETFL, O_NONBLOCK);
    return made;
}

void close_socket(int descriptor, bool reset) {
    if (reset) {
        const linger at_once{.l_onoff = 1, .l_linger = 0};
        ::setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    ::close(descriptor);
}

}  // namespace

Proxy::Proxy(std::string target) : target_(std::move(target)), wake_(::eventfd(0, EFD_CLOEXEC)) {
    listen_again();
    thread_ = std::thread([this] { run(); });
}

Proxy::~Proxy() {
    stopping_ = true;
    wake();
    thread_.join();
    for (Link& link : links_) close(link, true);
    if (listening_ >= 0) ::close(listening_);
    ::close(wake_);
}

void Proxy::delay(Way way, std::chrono::milliseconds by) {
    delays_[static_cast<int>(way)] = static_cast<int>(by.count());
}
void Proxy::drop(Way way, bool drops) {
    drops_[static_cast<int>(way)] = drops;
    wake();
}
void Proxy::drop(bool drops) {
    drop(Way::to_server, drops);
    drop(Way::to_client, drops);
}
void Proxy::cut() {
    cutting_ = true;
    wake();
}
void Proxy::refuse(bool refuses) {
    refuses_ = refuses;
    wake();
}
std::chrono::milliseconds Proxy::delay_of(Way way) const {
    return std::chrono::milliseconds(delays_[static_cast<int>(way)]);
}
bool Proxy::drops(Way way) const {
    return drops_[static_cast<int>(way)];
}
void Proxy::wake() {
    const std::uint64_t one = 1;
    if (::write(wake_, &one, sizeof one) != sizeof one) give_up("wake");
}

void Proxy::listen_again() {
    listening_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listening_ < 0) give_up("socket");
    const int yes = 1;
    ::setsockopt(listening_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    sockaddr_in address = loopback(port_);
    socklen_t length = sizeof address;
    if (::bind(listening_, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
        ::listen(listening_, 128) != 0 ||
        ::getsockname(listening_, reinterpret_cast<sockaddr*>(&address), &length) != 0)
        give_up("listen");
    port_ = ntohs(address.sin_port);
}

int Proxy::poll_timeout() const {
    auto next = Clock::now() + std::chrono::seconds(1);
    for (const Link& link : links_) {
        for (const Direction* direction : {&link.to_server, &link.to_client}) {
            if (!direction->waiting.empty()) next = std::min(next, direction->waiting.front().due);
        }
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now()).count();
    return static_cast<int>(std::max<std::int64_t>(0, left));
}

void Proxy::take() {
    const int client = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0) return;
    ++taken_;
    const int yes = 1;
    ::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    const int server = connect_to(target_);
    if (server < 0) {
        close_socket(client, true);
        return;
    }
    links_.push_back({{.from = client, .to = server, .way = Way::to_server},
                      {.from = server, .to = client, .way = Way::to_client}});
}

void Proxy::receive(Link& link, Direction& direction) {
    char bytes[64 << 10];
    const auto count = ::recv(direction.from, bytes, sizeof bytes, 0);
    if (count < 0) {
        if (errno != EAGAIN && errno != EINTR) link.is_broken = true;
        return;
    }
    if (drops(direction.way)) direction.has_lost = true;
    if (count == 0) direction.has_ended = true;
    if (count == 0 || direction.has_lost) return;
    direction.waiting.push_back({Clock::now() + delay_of(direction.way),
                                 std::string(bytes, static_cast<std::size_t>(count))});
    direction.bytes_waiting += static_cast<std::size_t>(count);
}

void Proxy::send(Link& link, Direction& direction) {
    // Also of a connection that is idle meanwhile: what is forgotten by a way is forgotten whole.
    if (drops(direction.way)) {
        direction.waiting.clear();
        direction.bytes_waiting = 0;
        direction.has_lost = true;
    }
    while (!direction.waiting.empty() && direction.waiting.front().due <= Clock::now()) {
        Part& part = direction.waiting.front();
        const auto count = ::send(direction.to, part.bytes.data(), part.bytes.size(), MSG_NOSIGNAL);
        if (count < 0) {
            if (errno != EAGAIN && errno != EINTR) link.is_broken = true;
            return;
        }
        direction.bytes_waiting -= static_cast<std::size_t>(count);
        part.bytes.erase(0, static_cast<std::size_t>(count));
        if (part.bytes.empty()) direction.waiting.pop_front();
    }
    // The end of a stream vanishes as its bytes do.
    if (direction.has_ended && direction.waiting.empty() && !direction.has_lost &&
        !direction.is_shut) {
        ::shutdown(direction.to, SHUT_WR);
        direction.is_shut = true;
    }
}

void Proxy::close(Link& link, bool reset) {
    close_socket(link.to_server.from, reset);
    close_socket(link.to_client.from, reset);
}

void Proxy::run() {
    while (!stopping_) {
        if (refuses_ && listening_ >= 0) {
            ::close(std::exchange(listening_, -1));
        } else if (!refuses_ && listening_ < 0) {
            listen_again();
        }
        std::vector<pollfd> ready{{wake_, POLLIN, 0}, {listening_, POLLIN, 0}};
        for (const Link& link : links_) {
            for (const Direction* direction : {&link.to_server, &link.to_client}) {
                const Direction& other =
                    direction == &link.to_server ? link.to_client : link.to_server;
                const bool reads =
                    !direction->has_ended && direction->bytes_waiting < bytes_waiting_max;
                const bool writes =
                    !other.waiting.empty() && other.waiting.front().due <= Clock::now();
                // A side that has ended would be ready all the time.
                const bool matters = reads || writes;
                ready.push_back({matters ? direction->from : -1,
                                 static_cast<short>((reads ? POLLIN : 0) | (writes ? POLLOUT : 0)),
                                 0});
            }
        }
        ::poll(ready.data(), ready.size(), poll_timeout());
        if (ready[0].revents != 0) {
            std::uint64_t count = 0;
            if (::read(wake_, &count, sizeof count) < 0) give_up("read");
        }
        const bool cuts = cutting_.exchange(false);
        std::size_t at = 2;
        for (auto link = links_.begin(); link != links_.end();) {
            for (Direction* direction : {&link->to_server, &link->to_client}) {
                if ((ready[at++].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
                    receive(*link, *direction);
            }
            for (Direction* direction : {&link->to_server, &link->to_client})
                send(*link, *direction);
            const bool is_over = link->to_server.is_shut && link->to_client.is_shut;
            if (cuts || link->is_broken || is_over) {
                close(*link, cuts || link->is_broken);
                link = links_.erase(link);
            } else {
                ++link;
            }
        }
        if (ready[1].revents != 0) take();
    }
}

}  // namespace meridian::tests

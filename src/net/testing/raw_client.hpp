// SPDX-License-Identifier: Apache-2.0
// For tests: a client that sends exactly the bytes it is told to.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <string>
#include <string_view>

namespace meridian::net::testing {

/// One answer as it came.
struct RawAnswer {
    int status = 0;  ///< 0: the connection ended before an answer
    std::string head;
    std::string body;  ///< chunks put together
    bool is_cut = false;

    bool has(std::string_view text) const { return head.find(text) != std::string::npos; }
};

class RawClient {
 public:
    explicit RawClient(std::uint16_t port, int receive_buffer_bytes = 0) {
        descriptor_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (receive_buffer_bytes > 0)
            ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes,
                         sizeof receive_buffer_bytes);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        ::inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
        is_connected_ =
            ::connect(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    }
    virtual ~RawClient() { ::close(descriptor_); }
    RawClient(const RawClient&) = delete;
    RawClient& operator=(const RawClient&) = delete;

    bool is_connected() const { return is_connected_; }

    /// False when the connection broke.
    bool send(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t count = write_some(bytes);
            if (count <= 0) return false;
            bytes.remove_prefix(static_cast<std::size_t>(count));
        }
        return true;
    }
    void end_sending() { ::shutdown(descriptor_, SHUT_WR); }

    /// The next `count` bytes; fewer when the connection ends or nothing comes for twenty seconds.
    std::string read(std::size_t count) {
        while (unread_.size() < count && receive()) {
        }
        return take(std::min(count, unread_.size()));
    }
    std::string read_to_end() {
        while (receive()) {
        }
        return take(unread_.size());
    }
    bool is_readable(int milliseconds) {
        pollfd wanted{descriptor_, POLLIN, 0};
        return !unread_.empty() || ::poll(&wanted, 1, milliseconds) > 0;
    }

    RawAnswer answer(bool to_head = false) {
        RawAnswer answer;
        std::size_t end = 0;
        while ((end = unread_.find("\r\n\r\n")) == std::string::npos) {
            if (!receive()) return answer;
        }
        answer.head = take(end + 4);
        std::from_chars(answer.head.data() + 9, answer.head.data() + 12, answer.status);
        if (to_head || answer.status < 200 || answer.status == 204 || answer.status == 304)
            return answer;
        if (answer.has("Transfer-Encoding: chunked")) {
            read_chunks(answer);
        } else if (const std::size_t at = answer.head.find("Content-Length: ");
                   at != std::string::npos) {
            const std::size_t length = std::stoul(answer.head.substr(at + 16));
            answer.body = read(length);
            answer.is_cut = answer.body.size() < length;
        } else {
            answer.body = read_to_end();
        }
        return answer;
    }

 protected:
    int descriptor() const { return descriptor_; }
    /// How many bytes went; not more than 0 when the connection broke.
    virtual ssize_t write_some(std::string_view bytes) {
        return ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    }
    /// How many bytes came; not more than 0 when the connection ended, or broke, or nothing came
    /// for twenty seconds.
    virtual ssize_t read_some(char* bytes, std::size_t size) {
        pollfd wanted{descriptor_, POLLIN, 0};
        return ::poll(&wanted, 1, 20'000) <= 0 ? -1 : ::recv(descriptor_, bytes, size, 0);
    }

 private:
    bool receive() {
        char bytes[16 << 10];
        const ssize_t count = read_some(bytes, sizeof bytes);
        if (count <= 0) return false;
        unread_.append(bytes, static_cast<std::size_t>(count));
        return true;
    }
    std::string take(std::size_t count) {
        std::string out = unread_.substr(0, count);
        unread_.erase(0, count);
        return out;
    }
    void read_chunks(RawAnswer& answer) {
        while (true) {
            std::size_t end = 0;
            while ((end = unread_.find("\r\n")) == std::string::npos) {
                if (!receive()) {
                    answer.is_cut = true;
                    return;
                }
            }
            const std::size_t size = std::stoul(take(end + 2), nullptr, 16);
            const std::string piece = read(size + 2);
            if (piece.size() < size + 2) {
                answer.is_cut = true;
                return;
            }
            answer.body += piece.substr(0, size);
            if (size == 0) return;
        }
    }

    int descriptor_ = -1;
    bool is_connected_ = false;
    std::string unread_;
};

}  // namespace meridian::net::testing

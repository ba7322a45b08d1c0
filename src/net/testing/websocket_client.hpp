// SPDX-License-Identifier: Apache-2.0
// For tests: a WebSocket client by hand.
#pragma once

#include "net/testing/raw_client.hpp"

namespace meridian::net::testing {

/// Speaks RFC 6455 §5.2, in text frames of one piece.
class WebSocketClient {
 public:
    WebSocketClient(std::uint16_t port, const std::string& path) : raw_(port) {
        raw_.send("GET " + path +
                  " HTTP/1.1\r\nHost: record\r\nUpgrade: websocket\r\nConnection: "
                  "Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
        handshake_ = raw_.answer();
    }
    /// The answer to the upgrade; 101 when the socket is open.
    const RawAnswer& handshake() const { return handshake_; }
    void send(const std::string& text) {
        std::string frame = "\x81";
        if (text.size() < 126) {
            frame += static_cast<char>(0x80 | text.size());
        } else {
            frame += static_cast<char>(0x80 | 126);
            frame += static_cast<char>(text.size() >> 8 & 0xFF);
            frame += static_cast<char>(text.size() & 0xFF);
        }
        frame += std::string(4, '\0');  // a mask of zeros leaves the text as it is
        raw_.send(frame + text);
    }
    /// Whether something comes, at most after `milliseconds`.
    bool is_readable(int milliseconds) { return raw_.is_readable(milliseconds); }
    /// The next text message; "closed CODE REASON" for a close, "broken" when there is nothing.
    std::string receive() {
        while (true) {
            const std::string head = raw_.read(2);
            if (head.size() < 2) return "broken";
            std::size_t size = static_cast<unsigned char>(head[1]) & 0x7F;
            const std::size_t more = size == 126 ? 2 : size == 127 ? 8 : 0;
            if (more > 0) {
                size = 0;
                for (const char byte : raw_.read(more))
                    size = size << 8 | static_cast<unsigned char>(byte);
            }
            const std::string text = raw_.read(size);
            const int opcode = head[0] & 0x0F;
            if (opcode == 1) return text;
            if (opcode == 8) {
                return "closed " +
                       std::to_string(static_cast<unsigned char>(text[0]) << 8 |
                                      static_cast<unsigned char>(text[1])) +
                       " " + text.substr(2);
            }
        }
    }

 private:
    RawClient raw_;
    RawAnswer handshake_;
};

}  // namespace meridian::net::testing

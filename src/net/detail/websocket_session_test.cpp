// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <condition_variable>
#include <future>

#include "net/server.hpp"
#include "net/testing/raw_client.hpp"

namespace meridian::net {
namespace {

using std::chrono::milliseconds;
using testing::RawAnswer;
using testing::RawClient;

constexpr int op_continuation = 0, op_text = 1, op_binary = 2, op_close = 8, op_ping = 9,
              op_pong = 10;

struct Frame {
    int opcode = -1;  ///< -1: the connection ended
    bool is_final = true;
    std::string payload;
    std::uint16_t close_code() const {
        return payload.size() < 2
                   ? 0
                   : static_cast<std::uint16_t>(static_cast<unsigned char>(payload[0]) << 8 |
                                                static_cast<unsigned char>(payload[1]));
    }
};

/// A WebSocket client that shows each frame (RFC 6455 §5.2).
class FrameClient {
 public:
    FrameClient(std::uint16_t port, std::string_view path, std::string_view headers = {},
                int receive_buffer_bytes = 0)
        : raw(port, receive_buffer_bytes) {
        raw.send(
            fmt::format("GET {} HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: "
                        "websocket\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{}\r\n",
                        path, headers));
        handshake = raw.answer();
    }

    bool send(int opcode, std::string_view payload, bool is_final = true) {
        std::string frame;
        frame += static_cast<char>((is_final ? 0x80 : 0) | opcode);
        if (payload.size() < 126) {
            frame += static_cast<char>(0x80 | payload.size());
        } else {
            const bool is_short = payload.size() < 65536;
            frame += static_cast<char>(0x80 | (is_short ? 126 : 127));
            for (int shift = is_short ? 8 : 56; shift >= 0; shift -= 8)
                frame += static_cast<char>(payload.size() >> shift);
        }
        const std::string_view mask = "\x11\x22\x33\x44";
        frame += mask;
        for (std::size_t i = 0; i < payload.size(); ++i)
            frame += static_cast<char>(payload[i] ^ mask[i % 4]);
        return raw.send(frame);
    }

    Frame read() {
        Frame frame;
        const std::string head = raw.read(2);
        if (head.size() < 2) return frame;
        frame.opcode = head[0] & 15;
        frame.is_final = (head[0] & 0x80) != 0;
        std::size_t size = static_cast<unsigned char>(head[1]) & 127u;
        if (size >= 126) {
            const std::string length = raw.read(size == 126 ? 2 : 8);
            size = 0;
            for (const char byte : length) size = size << 8 | static_cast<unsigned char>(byte);
        }
        frame.payload = raw.read(size);
        return frame;
    }

    RawClient raw;
    RawAnswer handshake;
};

/// A server with one WebSocket path whose handler records what happens.
class WebSocketTest : public ::testing::Test {
 protected:
    void SetUp() override {
        handler.subprotocols = {"second", "first"};
        handler.on_open = [this](const WebSocketPointer& socket) {
            note("open " + std::string(socket->subprotocol()), socket);
        };
        handler.on_message = [](const WebSocketPointer& socket, std::string_view message,
                                bool is_binary) {
            is_binary ? socket->send_binary(std::string(message))
                      : socket->send(std::string(message));
        };
        handler.on_close = [this](const WebSocketPointer&, std::uint16_t code,
                                  std::string_view reason) {
            note(fmt::format("close {} {}", code, reason), nullptr);
        };
    }

    void start(ServerLimits limits = {}) {
        ServerOptions options;
        options.limits = limits;
        options.handler = [](const Request&) { return Response::text(404, "no such page"); };
        options.websocket = [this](const Request& request) {
            return request.path() == "/live" ? &handler : nullptr;
        };
        server = *Server::start(std::move(options));
    }

    void note(std::string event, const WebSocketPointer& socket) {
        const std::lock_guard lock(mutex);
        events.push_back(std::move(event));
        if (socket) last = socket;
        changed.notify_all();
    }
    /// The event with this index, waited for.
    std::string event(std::size_t index) {
        std::unique_lock lock(mutex);
        changed.wait_for(lock, std::chrono::seconds(20), [&] { return events.size() > index; });
        return events.size() > index ? events[index] : "nothing";
    }

    WebSocketHandler handler;
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<std::string> events;
    WebSocketPointer last;
    std::unique_ptr<Server> server;
};

TEST_F(WebSocketTest, EchoesTextBinaryAndFragments) {
    start();
    FrameClient client(server->port(), "/live");
    EXPECT_EQ(client.handshake.status, 101);
    EXPECT_TRUE(client.handshake.has("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")) << "the key of RFC 6455 §1.3";
    client.send(op_text, "hello");
    EXPECT_EQ(client.read().payload, "hello");
    client.send(op_binary, std::string("\0\1\2", 3));
    const Frame binary = client.read();
    EXPECT_EQ(binary.opcode, op_binary);
    EXPECT_EQ(binary.payload, std::string("\0\1\2", 3));
    // Fragments with a control frame in between are one message.
    client.send(op_text, "frag", false);
    client.send(op_ping, "are you there");
    client.send(op_continuation, "men", false);
    client.send(op_continuation, "ted");
    const Frame pong = client.read();
    EXPECT_EQ(pong.opcode, op_pong);
    EXPECT_EQ(pong.payload, "are you there");
    EXPECT_EQ(client.read().payload, "fragmented");
    const std::string large(100'000, 'l');
    client.send(op_text, large);
    std::string whole;
    for (Frame frame = client.read();; frame = client.read()) {
        ASSERT_NE(frame.opcode, -1);
        whole += frame.payload;
        if (frame.is_final) break;
    }
    EXPECT_EQ(whole, large);
}

TEST_F(WebSocketTest, OpensAndClosesInOrder) {
    start();
    FrameClient client(server->port(), "/live?topic=a",
                       "Sec-WebSocket-Protocol: first, second\r\n");
    EXPECT_TRUE(client.handshake.has("Sec-WebSocket-Protocol: second"));
    EXPECT_EQ(event(0), "open second");
    EXPECT_EQ(last->request().query(), "topic=a");
    EXPECT_TRUE(last->is_open());
    client.send(op_close, std::string("\x03\xe8", 2) + "bye");
    EXPECT_EQ(client.read().close_code(), 1000);
    EXPECT_EQ(client.raw.read_to_end(),
              "");  // RFC 6455 §7.1.1: the server ends the connection first
    client.raw.end_sending();
    EXPECT_EQ(event(1), "close 1000 bye");
    EXPECT_FALSE(last->is_open());
    EXPECT_FALSE(last->send("too late"));
    while (server->connection_count() > 0) std::this_thread::sleep_for(milliseconds(1));
}

TEST_F(WebSocketTest, ABrokenConnectionIs1006) {
    start();
    {
        FrameClient client(server->port(), "/live");
        EXPECT_EQ(event(0), "open ");
    }
    EXPECT_EQ(event(1), "close 1006 ");
}

TEST_F(WebSocketTest, OtherPathsAndBadHandshakesAreNoWebSockets) {
    handler.refuse = [](const Request& request) -> std::optional<Response> {
        if (request.headers.has("Authorization")) return std::nullopt;
        return Response::text(401, "who are you?");
    };
    start();
    EXPECT_EQ(FrameClient(server->port(), "/other").handshake.status, 404);
    EXPECT_EQ(FrameClient(server->port(), "/live").handshake.status, 401);
    EXPECT_EQ(FrameClient(server->port(), "/live", "Authorization: x\r\n").handshake.status, 101);
    RawClient raw(server->port());
    raw.send(
        "GET /live HTTP/1.1\r\nHost: h\r\nAuthorization: x\r\nConnection: Upgrade\r\nUpgrade: "
        "websocket\r\n\r\n");
    EXPECT_EQ(raw.answer().status, 400);
}

TEST_F(WebSocketTest, ServerSendsFromAnyThreadInOrder) {
    start();
    FrameClient client(server->port(), "/live");
    event(0);
    std::thread sender([&] {
        for (int i = 0; i < 500; ++i) EXPECT_TRUE(last->send(std::to_string(i)));
        last->close(4000, "all sent");
    });
    for (int i = 0; i < 500; ++i) ASSERT_EQ(client.read().payload, std::to_string(i));
    const Frame end = client.read();
    EXPECT_EQ(end.close_code(), 4000);
    client.send(op_close, end.payload);
    sender.join();
    EXPECT_EQ(event(1), "close 4000 all sent");
}

TEST_F(WebSocketTest, AnOverflowingOutboxCloses1013) {
    ServerLimits limits;
    limits.websocket_outbox_messages_max = 10;
    start(limits);
    FrameClient client(server->port(), "/live", "", 4096);
    event(0);
    const std::string message(1 << 20, 'm');
    int sent = 0;
    while (sent < 10'000 && last->send(message)) ++sent;  // the client does not read
    EXPECT_LT(sent, 100);
    EXPECT_FALSE(last->is_open());
    Frame frame;
    do {
        frame = client.read();
    } while (frame.opcode != op_close && frame.opcode != -1);
    EXPECT_EQ(frame.close_code(), 1013);
    client.send(op_close, frame.payload);
    EXPECT_EQ(event(1).substr(0, 10), "close 1013");
}

TEST_F(WebSocketTest, AClientThatNeverReadsIsCutAfterAnOverflow) {
    ServerLimits limits;
    limits.websocket_outbox_messages_max = 10;
    start(limits);
    FrameClient client(server->port(), "/live", "", 4096);
    event(0);
    const std::string message(1 << 20, 'm');
    while (last->send(message)) {
    }
    EXPECT_EQ(event(1).substr(0, 10), "close 1013");  // without reading a byte
}

TEST_F(WebSocketTest, TooLongMessagesCloseTheSocket) {
    ServerLimits limits;
    limits.websocket_message_bytes_max = 1000;
    start(limits);
    FrameClient client(server->port(), "/live");
    client.send(op_text, std::string(1000, 'x'));
    EXPECT_EQ(client.read().payload.size(), 1000u);
    client.send(op_text, std::string(1001, 'x'));
    EXPECT_EQ(client.read().close_code(), 1009);
    client.raw.end_sending();
    EXPECT_EQ(event(1).substr(0, 10), "close 1009");
}

TEST_F(WebSocketTest, UnmaskedFramesAndBadTextCloseTheSocket) {
    start();
    FrameClient unmasked(server->port(), "/live");
    unmasked.raw.send(std::string("\x81\x02hi"));
    EXPECT_EQ(unmasked.read().close_code(), 1002);
    FrameClient bad_text(server->port(), "/live");
    bad_text.send(op_text, "\xff\xfe");
    EXPECT_EQ(bad_text.read().close_code(), 1007);
}

TEST_F(WebSocketTest, SilentClientsArePingedAndThenCut) {
    ServerLimits limits;
    limits.websocket_idle_timeout = milliseconds(200);
    start(limits);
    FrameClient client(server->port(), "/live");
    EXPECT_EQ(client.read().opcode, op_ping);
    EXPECT_EQ(event(1).substr(0, 10), "close 1006");  // it never answers
}

TEST_F(WebSocketTest, AHandlerThatThrowsCloses1011) {
    handler.on_message = [](const WebSocketPointer&, std::string_view, bool) {
        throw std::runtime_error("bug");
    };
    start();
    FrameClient client(server->port(), "/live");
    client.send(op_text, "x");
    const Frame end = client.read();
    EXPECT_EQ(end.close_code(), 1011);
    client.send(op_close, end.payload);
    EXPECT_EQ(event(1).substr(0, 10), "close 1011");
}

TEST_F(WebSocketTest, AStopSays1001) {
    start();
    FrameClient client(server->port(), "/live");
    event(0);
    std::thread stopper([&] { server->stop(); });
    const Frame end = client.read();
    EXPECT_EQ(end.close_code(), 1001);
    client.send(op_close, end.payload);
    stopper.join();
    EXPECT_EQ(event(1).substr(0, 10), "close 1001");
    last.reset();
}

}  // namespace
}  // namespace meridian::net

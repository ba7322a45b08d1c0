// SPDX-License-Identifier: Apache-2.0
// The server's TLS as clients meet it. With the command and files: tests/tls_test.cpp.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <future>
#include <latch>

#include "base/hash.hpp"
#include "net/client.hpp"
#include "net/server.hpp"
#include "net/testing/tls_client.hpp"

namespace meridian::net {
namespace {

using std::chrono::milliseconds;
using testing::Authority;
using testing::Issued;
using testing::RawAnswer;
using testing::RawClient;
using testing::TlsClient;
using testing::TlsClientOptions;

class Tls : public ::testing::Test {
 protected:
    Tls() {
        std::filesystem::create_directory(folder_);
        put("authority.pem", authority_.certificate());
        use(authority_.issue("record.example"));
    }
    ~Tls() override { std::filesystem::remove_all(folder_); }

    std::string path(const std::string& name) const { return folder_ + "/" + name; }
    void put(const std::string& name, const std::string& text, unsigned mode = 0600) const {
        const std::string next = path(name) + ".new";
        std::ofstream(next) << text;
        ::chmod(next.c_str(), mode);
        std::filesystem::rename(next, path(name));
    }
    void use(const Issued& issued) const {
        put("certificate.pem", issued.certificate);
        put("key.pem", issued.key);
    }
    ServerOptions options() const {
        ServerOptions options;
        options.handler = [](const Request& request) {
            Response response = Response::text(
                200, fmt::format("{} {} {}", request.method_text, request.target, request.body));
            response.headers.add("X-Secure", request.is_secure ? "yes" : "no");
            if (request.path() == "/big") response.body.assign(3 << 20, 'b');
            return response;
        };
        options.tls =
            TlsOptions{.certificate_file = path("certificate.pem"), .key_file = path("key.pem")};
        return options;
    }
    static std::unique_ptr<Server> serve(ServerOptions options) {
        auto server = Server::start(std::move(options));
        EXPECT_TRUE(server.has_value()) << (server ? "" : server.error().message);
        return std::move(*server);
    }
    std::string refusal() const {
        const auto server = Server::start(options());
        return server ? "" : server.error().message;
    }
    static std::string get(std::string_view target, std::string_view headers = {}) {
        return fmt::format("GET {} HTTP/1.1\r\nHost: h\r\n{}\r\n", target, headers);
    }

    const std::string folder_ =
        (std::filesystem::temp_directory_path() / ("meridian-tls-" + to_hex(random_bytes(6))))
            .string();
    const Authority authority_{};
};

// --- speaking ---

TEST_F(Tls, OurClientTrustsTheAuthorityAndNobodyElse) {
    const auto server = serve(options());
    const std::string url = fmt::format("https://127.0.0.1:{}/x", server->port());
    Client client({.authorities_file = path("authority.pem")});
    for (int i = 0; i < 3; ++i) {
        const auto answer = client.send({.method = Method::post, .url = url, .body = "hello"});
        ASSERT_TRUE(answer.has_value()) << answer.error().message;
        EXPECT_EQ(answer->body, "POST /x hello");
        EXPECT_EQ(answer->headers.get("X-Secure"), "yes");
        EXPECT_EQ(answer->headers.get("Strict-Transport-Security"),
                  "max-age=63072000; includeSubDomains");
    }
    EXPECT_EQ(server->connection_count(), 1u) << "one connection serves all";
    Client stranger;
    EXPECT_EQ(stranger.send({.url = url}).error().category, Category::unavailable);
}

TEST_F(Tls, SpeaksOnlyTheNewestVersion) {
    const auto server = serve(options());
    TlsClient newest(server->port());
    ASSERT_TRUE(newest.is_open()) << newest.problem();
    EXPECT_EQ(newest.version(), "TLSv1.3");
    for (const int version : {TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION}) {
        TlsClient old(server->port(), {.version_min = version, .version_max = version});
        EXPECT_FALSE(old.is_open()) << version;
    }
}

TEST_F(Tls, TheVersionBeforeOnlyWithForwardSecrecy) {
    ServerOptions wanted = options();
    wanted.tls->allow_tls_1_2 = true;
    const auto server = serve(std::move(wanted));
    TlsClient older(server->port(), {.version_max = TLS1_2_VERSION});
    ASSERT_TRUE(older.is_open()) << older.problem();
    EXPECT_EQ(older.version(), "TLSv1.2");
    EXPECT_TRUE(older.cipher().starts_with("ECDHE-ECDSA-")) << older.cipher();
    older.send(get("/x"));
    EXPECT_EQ(older.answer().body, "GET /x ");
    for (const int version : {TLS1_VERSION, TLS1_1_VERSION})
        EXPECT_FALSE(
            TlsClient(server->port(), {.version_min = version, .version_max = version}).is_open());
    for (const char* weak : {"ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "AES128-SHA",
                             "AES256-GCM-SHA384", "DHE-RSA-AES256-GCM-SHA384"})
        EXPECT_FALSE(
            TlsClient(server->port(), {.version_max = TLS1_2_VERSION, .ciphers = weak}).is_open())
            << weak;
}

TEST_F(Tls, AgreesOnHttpOrOnNothing) {
    const auto server = serve(options());
    EXPECT_EQ(TlsClient(server->port(), {.protocols = "\x02h2\x08http/1.1"}).protocol(),
              "http/1.1");
    EXPECT_TRUE(TlsClient(server->port()).is_open());
    TlsClient mail(server->port(), {.protocols = "\x04smtp"});
    EXPECT_FALSE(mail.is_open()) << "what another protocol's client says must not be read as HTTP";
}

TEST_F(Tls, SessionsAreResumed) {
    const auto server = serve(options());
    TlsClient first(server->port());
    first.send(get("/"));
    EXPECT_EQ(first.answer().status, 200);
    EXPECT_FALSE(first.is_resumed());
    SSL_SESSION* const session = first.session();
    TlsClient second(server->port(), {.session = session});
    EXPECT_TRUE(second.is_resumed());
    second.send(get("/x"));
    EXPECT_EQ(second.answer().body, "GET /x ");
    SSL_SESSION_free(session);
}

TEST_F(Tls, WhoSpeaksPlainHttpIsTold) {
    const auto server = serve(options());
    RawClient client(server->port());
    client.send(get("/"));
    const RawAnswer answer = client.answer();
    EXPECT_EQ(answer.status, 400);
    EXPECT_NE(answer.body.find("https://"), std::string::npos) << answer.body;
    EXPECT_EQ(client.read_to_end(), "");
}

TEST_F(Tls, NoiseIsCutAndHarmsNobody) {
    const auto server = serve(options());
    for (const std::string& noise :
         {std::string(300, '\0'), std::string("\x16\x03\x01\xff\xff", 5) + std::string(500, 'x'),
          std::string("\x16\x03\x01\x00\x05hello", 10)}) {
        RawClient client(server->port());
        client.send(noise);
        client.end_sending();
        EXPECT_EQ(client.answer().status, 0);
    }
    TlsClient good(server->port());
    good.send(get("/x"));
    EXPECT_EQ(good.answer().body, "GET /x ");
}

// --- everything that plain connections can ---

TEST_F(Tls, PipelinedRequestsAreAnsweredInOrder) {
    const auto server = serve(options());
    TlsClient client(server->port());
    std::string all;
    for (int i = 0; i < 300; ++i)
        all += i % 3 == 0
                   ? fmt::format("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n{:03}", i)
                   : get(fmt::format("/{}", i));
    client.send(all);
    for (int i = 0; i < 300; ++i)
        ASSERT_EQ(client.answer().body,
                  i % 3 == 0 ? fmt::format("POST /p {:03}", i) : fmt::format("GET /{} ", i));
}

TEST_F(Tls, LargeBodiesPassBothWays) {
    ServerOptions wanted = options();
    wanted.handler = [](const Request& request) {
        return Response::text(200, request.body, "application/octet-stream");
    };
    const auto server = serve(std::move(wanted));
    std::string body;
    for (int i = 0; body.size() < (5u << 20); ++i) body += fmt::format("{:x}", i);
    Client client({.authorities_file = path("authority.pem")});
    const auto answer = client.send({.method = Method::post,
                                     .url = fmt::format("https://127.0.0.1:{}/", server->port()),
                                     .body = body});
    ASSERT_TRUE(answer.has_value()) << answer.error().message;
    EXPECT_TRUE(answer->body == body);
}

TEST_F(Tls, AStreamWaitsForASlowReader) {
    std::atomic<int> pulled = 0;
    ServerOptions wanted = options();
    wanted.workers = 1;
    wanted.handler = [&](const Request& request) {
        Response response = Response::text(200, "x");
        if (request.path() == "/big")
            response.stream = [&pulled](std::string& chunk) -> Result<bool> {
                chunk.assign(1 << 20, 'x');
                return ++pulled < 50;
            };
        return response;
    };
    const auto server = serve(std::move(wanted));
    TlsClient slow(server->port(), {.receive_buffer_bytes = 4096});
    slow.send(get("/big"));
    slow.read(1000);
    TlsClient other(server->port());
    other.send(get("/other"));
    EXPECT_EQ(other.answer().status, 200) << "the only worker is free";
    EXPECT_LT(pulled, 50);
    while (pulled < 50) EXPECT_NE(slow.read(1 << 20).size(), 0u);
}

TEST_F(Tls, TheEndOfAWholeAnswerIsToldAndThatOfACutOneIsNot) {
    ServerOptions wanted = options();
    wanted.handler = [](const Request& request) {
        Response response;
        response.stream = [fails = request.path() == "/cut",
                           first = true](std::string& chunk) mutable -> Result<bool> {
            chunk = "begin";
            if (std::exchange(first, false)) return true;
            if (fails) return fail(Category::fault, "the source broke");
            return false;
        };
        return response;
    };
    const auto server = serve(std::move(wanted));
    for (const char* target : {"/whole", "/cut"}) {
        // Without chunks only the connection's end tells the answer's.
        TlsClient client(server->port());
        client.send(fmt::format("GET {} HTTP/1.0\r\n\r\n", target));
        EXPECT_TRUE(client.answer().body.starts_with("begin"));
        EXPECT_EQ(client.was_told_the_end(), std::string_view(target) == "/whole") << target;
    }
}

TEST_F(Tls, ContinueIsSaidInTls) {
    const auto server = serve(options());
    TlsClient client(server->port());
    client.send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_EQ(client.answer().status, 100);
    client.send("ok");
    EXPECT_EQ(client.answer().body, "POST /p ok");
}

TEST_F(Tls, WebSocketsWork) {
    WebSocketHandler handler;
    handler.on_open = [](const WebSocketPointer& socket) {
        socket->send(socket->request().is_secure ? "secure" : "plain");
    };
    handler.on_message = [](const WebSocketPointer& socket, std::string_view text, bool) {
        if (text == "much") {
            for (int i = 0; i < 40; ++i) socket->send(std::string(100'000, 'm'));
        } else {
            socket->send("got " + std::string(text));
        }
    };
    std::promise<std::uint16_t> closed;
    handler.on_close = [&](const WebSocketPointer&, std::uint16_t code, std::string_view) {
        closed.set_value(code);
    };
    ServerOptions wanted = options();
    wanted.websocket = [&](const Request&) { return &handler; };
    const auto server = serve(std::move(wanted));
    TlsClient client(server->port(), {.receive_buffer_bytes = 4096});
    client.send(
        "GET /live HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: "
        "Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
        "dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    const RawAnswer handshake = client.answer();
    ASSERT_EQ(handshake.status, 101);
    EXPECT_EQ(handshake.head.find("Beast"), std::string::npos) << handshake.head;
    const auto frame = [](int opcode, const std::string& text) {
        return std::string{static_cast<char>(0x80 | opcode),
                           static_cast<char>(0x80 | text.size())} +
               std::string(4, '\0') + text;
    };
    EXPECT_EQ(client.read(8), "\x81\x06secure");
    client.send(frame(1, "one") + frame(1, "two"));
    EXPECT_EQ(client.read(9), "\x81\x07got one");
    EXPECT_EQ(client.read(9), "\x81\x07got two");
    client.send(frame(1, "much"));  // more than the socket takes at once
    for (int i = 0; i < 40; ++i) {
        std::size_t size = 0;
        for (bool is_last = false; !is_last;) {  // in frames of some kilobytes
            const std::string head = client.read(4);
            ASSERT_EQ(head.size(), 4u);
            ASSERT_EQ(head[1], 126) << "two bytes of length follow";
            is_last = (head[0] & 0x80) != 0;
            const auto piece = static_cast<std::size_t>(static_cast<unsigned char>(head[2]) << 8 |
                                                        static_cast<unsigned char>(head[3]));
            ASSERT_TRUE(client.read(piece) == std::string(piece, 'm'));
            size += piece;
        }
        ASSERT_EQ(size, 100'000u);
    }
    client.send(frame(8, std::string("\x03\xe8", 2)));
    EXPECT_EQ(client.read_to_end(), std::string("\x88\x02\x03\xe8", 4));
    EXPECT_EQ(closed.get_future().get(), 1000);
}

TEST_F(Tls, SlowClientsAreCut) {
    ServerOptions wanted = options();
    wanted.limits.header_timeout = milliseconds(150);
    wanted.limits.idle_timeout = milliseconds(150);
    const auto server = serve(std::move(wanted));
    RawClient silent(server->port()), half(server->port());
    half.send(std::string("\x16\x03\x01\x02\x00\x01", 6));
    TlsClient idle(server->port()), headers(server->port());
    headers.send("GET / HTTP/1.1\r\n");
    idle.send(get("/"));
    EXPECT_EQ(idle.answer().status, 200);
    EXPECT_EQ(headers.answer().status, 408);
    EXPECT_EQ(silent.read_to_end(), "");
    EXPECT_EQ(half.read_to_end(), "");
    EXPECT_EQ(idle.read_to_end(), "");
}

TEST_F(Tls, AGracefulStopLosesNoAnswer) {
    constexpr int clients = 4;
    std::latch in_work(clients);
    std::promise<void> release;
    const std::shared_future<void> released = release.get_future().share();
    ServerOptions wanted = options();
    wanted.handler = [&](const Request&) {
        in_work.count_down();
        released.wait();
        return Response::text(200, std::string(1 << 20, 'a'), "application/octet-stream");
    };
    auto server = serve(std::move(wanted));
    std::vector<std::unique_ptr<TlsClient>> all;
    for (int i = 0; i < clients; ++i) {
        all.push_back(std::make_unique<TlsClient>(server->port()));
        all.back()->send(get("/"));
    }
    in_work.wait();
    std::thread stopper([&] { server->stop(); });
    release.set_value();
    for (const auto& client : all) EXPECT_EQ(client->answer().body.size(), 1u << 20);
    all.clear();
    stopper.join();
}

// --- files ---

TEST_F(Tls, ChangedFilesAreUsedWithoutARestart) {
    ServerOptions wanted = options();
    wanted.tls->watch_interval = milliseconds(20);
    const auto server = serve(std::move(wanted));
    TlsClient before(server->port());
    const long old = before.serial();
    put("key.pem", "broken");
    put("certificate.pem", authority_.issue("record.example").certificate);
    std::this_thread::sleep_for(milliseconds(150));
    EXPECT_EQ(TlsClient(server->port()).serial(), old) << "broken files change nothing";
    use(authority_.issue("record.example"));
    const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (TlsClient(server->port()).serial() == old) {
        ASSERT_LT(std::chrono::steady_clock::now(), patience);
        std::this_thread::sleep_for(milliseconds(5));
    }
    before.send(get("/x"));
    EXPECT_EQ(before.answer().status, 200) << "connections that are open go on";
}

TEST_F(Tls, ReloadSaysWhatIsWrongAndKeepsTheOld) {
    const auto server = serve(options());
    const long old = TlsClient(server->port()).serial();
    put("key.pem", "broken");
    const auto refused = server->reload_tls();
    ASSERT_FALSE(refused.has_value());
    EXPECT_NE(refused.error().message.find("holds no private key"), std::string::npos)
        << refused.error().message;
    EXPECT_EQ(TlsClient(server->port()).serial(), old);
    use(authority_.issue("record.example"));
    EXPECT_TRUE(server->reload_tls().has_value());
    EXPECT_NE(TlsClient(server->port()).serial(), old);
}

TEST_F(Tls, FilesThatWillNotDoAreRefusedInWords) {
    const Issued good = authority_.issue("record.example");
    EXPECT_EQ(refusal(), "");
    const auto says = [&](std::string_view words) {
        const std::string told = refusal();
        EXPECT_NE(told.find(words), std::string::npos) << told;
    };
    put("key.pem", good.key, 0644);
    says("may be read or changed by others (mode 644): chmod 600");
    use({good.certificate, authority_.issue("record.example").key});
    says("does not belong to the first certificate");
    use({authority_.certificate() + good.certificate, good.key});
    says("does not belong to the first certificate");
    use(authority_.issue("record.example", -3, -1));
    says("every client would refuse it");
    use(authority_.issue("record.example", 1, 3));
    says("every client would refuse it");
    use({"", good.key});
    says("holds no certificate in PEM form");
    use({good.certificate + "-----BEGIN CERTIFICATE-----\nbroken\n-----END CERTIFICATE-----\n",
         good.key});
    says("what follows certificate 1 cannot be read");
    use({good.certificate, good.certificate});
    says("holds no private key in PEM form");
    use({good.certificate,
         "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
         "MIGjMF8GCSqGSIb3DQEFDTBSMDEGCSqGSIb3DQEFDDAkBBDRWYSz7jDUzMPWkFrM\n-----END ENCRYPTED "
         "PRIVATE KEY-----\n"});
    EXPECT_NE(refusal(), "") << "and never asks a terminal";
    std::filesystem::remove(path("key.pem"));
    says("No such file");
    use(good);
    EXPECT_EQ(refusal(), "");
    EXPECT_EQ(refusal().find(good.key.substr(40, 20)), std::string::npos);
}

TEST_F(Tls, TheChainIsSentWhole) {
    // A client that knows the authority alone needs what lies between it and the server.
    put("certificate.pem",
        authority_.issue("record.example").certificate + authority_.certificate());
    EXPECT_NE(refusal(), "") << "the key is another one's";
    const Issued issued = authority_.issue("record.example");
    use({issued.certificate + authority_.certificate(), issued.key});
    const auto server = serve(options());
    const std::string command = fmt::format(
        "openssl s_client -connect 127.0.0.1:{} -CAfile {} -showcerts </dev/null 2>/dev/null",
        server->port(), path("authority.pem"));
    FILE* const pipe = ::popen(command.c_str(), "r");
    std::string told(64 << 10, '\0');
    told.resize(std::fread(told.data(), 1, told.size(), pipe));
    ::pclose(pipe);
    EXPECT_NE(told.find("Verify return code: 0 (ok)"), std::string::npos) << told;
    std::size_t certificates = 0;
    for (std::size_t at = 0; (at = told.find("BEGIN CERT", at)) != std::string::npos; ++at)
        ++certificates;
    EXPECT_EQ(certificates, 2u);
}

}  // namespace
}  // namespace meridian::net

// SPDX-License-Identifier: Apache-2.0
#include "net/server.hpp"

#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <future>
#include <latch>

#include "base/hash.hpp"
#include "net/client.hpp"
#include "net/detail/encoding.hpp"
#include "net/testing/raw_client.hpp"

namespace meridian::net {
namespace {

using std::chrono::milliseconds;
using testing::RawAnswer;
using testing::RawClient;

std::unique_ptr<Server> serve(ServerOptions options) {
    auto server = Server::start(std::move(options));
    EXPECT_TRUE(server.has_value()) << (server ? "" : server.error().message);
    return std::move(*server);
}

std::unique_ptr<Server> serve(Handler handler) {
    ServerOptions options;
    options.handler = std::move(handler);
    return serve(std::move(options));
}

/// Says back what it got.
Response echo(const Request& request) {
    return Response::text(
        200, fmt::format("{} {} {}", request.method_text, request.target, request.body));
}

ServerOptions echo_options() {
    ServerOptions options;
    options.handler = echo;
    return options;
}

std::string get(std::string_view target, std::string_view headers = {}) {
    return fmt::format("GET {} HTTP/1.1\r\nHost: h\r\n{}\r\n", target, headers);
}

std::string post(std::string_view body, std::string_view headers = {}) {
    return fmt::format("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n{}\r\n{}", body.size(),
                       headers, body);
}

std::string header(const RawAnswer& answer, std::string_view name) {
    const std::size_t at = answer.head.find(fmt::format("\r\n{}: ", name));
    if (at == std::string::npos) return {};
    const std::size_t begin = at + name.size() + 4;
    return answer.head.substr(begin, answer.head.find("\r\n", begin) - begin);
}

// --- connections ---

TEST(Server, KeepsConnectionsAlive) {
    const auto server = serve(echo);
    RawClient client(server->port());
    for (int i = 0; i < 20; ++i) {
        client.send(i % 2 == 0 ? get(fmt::format("/{}", i)) : post(std::to_string(i)));
        const RawAnswer answer = client.answer();
        EXPECT_EQ(answer.status, 200);
        EXPECT_EQ(answer.body,
                  i % 2 == 0 ? fmt::format("GET /{} ", i) : fmt::format("POST /p {}", i));
        EXPECT_FALSE(answer.has("Connection"));
    }
    EXPECT_EQ(server->connection_count(), 1u);
}

TEST(Server, ClosesWhenTheClientOrTheAnswerAsksForIt) {
    const auto server = serve([](const Request& request) {
        Response response = Response::text(200, "x");
        response.close_connection = request.path() == "/close";
        return response;
    });
    for (const std::string& request : {get("/", "Connection: close\r\n"), get("/close"),
                                       std::string("GET / HTTP/1.0\r\n\r\n")}) {
        RawClient client(server->port());
        client.send(request);
        const RawAnswer answer = client.answer();
        EXPECT_EQ(answer.status, 200);
        EXPECT_TRUE(answer.has("Connection: close"));
        EXPECT_EQ(client.read_to_end(), "");
    }
    RawClient client(server->port());
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_TRUE(client.answer().has("Connection: keep-alive"));
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_EQ(client.answer().status, 200);
}

TEST(Server, PipelinedRequestsAreAnsweredInOrder) {
    const auto server = serve([](const Request& request) {
        // The first ones take longest: an order by completion would be wrong.
        if (request.path() < "/3") std::this_thread::sleep_for(milliseconds(20));
        return echo(request);
    });
    RawClient client(server->port());
    std::string all;
    for (int i = 0; i < 200; ++i)
        all += i % 3 == 0 ? post(std::to_string(i)) : get(fmt::format("/{}", i));
    client.send(all);
    for (int i = 0; i < 200; ++i) {
        ASSERT_EQ(client.answer().body,
                  i % 3 == 0 ? fmt::format("POST /p {}", i) : fmt::format("GET /{} ", i));
    }
}

TEST(Server, AnswersAClientThatClosedItsSendingSide) {
    const auto server = serve([](const Request& request) {
        std::this_thread::sleep_for(milliseconds(20));
        return echo(request);
    });
    RawClient client(server->port());
    client.send(get("/last"));
    client.end_sending();
    EXPECT_EQ(client.answer().body, "GET /last ");
    EXPECT_EQ(client.read_to_end(), "");
}

TEST(Server, ServesManyConnectionsAtOnce) {
    const auto server = serve(echo);
    std::atomic<int> wrong = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
        threads.emplace_back([&, t] {
            RawClient client(server->port());
            for (int i = 0; i < 200; ++i) {
                client.send(post(fmt::format("{}-{}", t, i)));
                if (client.answer().body != fmt::format("POST /p {}-{}", t, i)) ++wrong;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(wrong, 0);
}

TEST(Server, FastHandlersRunWithoutAWorker) {
    std::promise<void> release;
    ServerOptions options;
    options.workers = 1;
    options.handler = [&](const Request& request) {
        if (request.path() == "/slow") release.get_future().wait();
        return echo(request);
    };
    options.at_once = [](const Request& request) {
        return request.path() == "/healthz" ? std::optional(echo(request)) : std::nullopt;
    };
    const auto server = serve(std::move(options));
    RawClient slow(server->port()), fast(server->port());
    slow.send(get("/slow"));
    fast.send(get("/healthz") + get("/healthz"));
    EXPECT_EQ(fast.answer().status, 200);  // the only worker is held
    EXPECT_EQ(fast.answer().status, 200);
    release.set_value();
    EXPECT_EQ(slow.answer().status, 200);
}

/// Answers that wait for something that is no thread's: as an entry of the audit on its way to the
/// disk.
class HeldAnswers {
 public:
    std::optional<PromptAnswer> operator()(const Request& request) {
        if (!request.path().starts_with("/held")) return std::nullopt;
        PromptAnswer answer(echo(request));
        answer.hold = [this](Release release) {
            const std::lock_guard lock(mutex_);
            waiting_.push_back(std::move(release));
            more_.notify_all();
        };
        return answer;
    }
    /// What lets the next answer leave; waits until one is held.
    Release next() {
        std::unique_lock lock(mutex_);
        more_.wait(lock, [this] { return !waiting_.empty(); });
        Release release = std::move(waiting_.front());
        waiting_.pop_front();
        return release;
    }

 private:
    std::mutex mutex_;
    std::condition_variable more_;
    std::deque<Release> waiting_;
};

ServerOptions holding(HeldAnswers& held) {
    ServerOptions options;
    options.workers = 1;
    options.io_threads = 1;
    options.handler = echo;
    options.at_once = std::ref(held);
    return options;
}

TEST(Server, AHeldAnswerKeepsItsPlaceAndNoThread) {
    HeldAnswers held;
    const auto server = serve(holding(held));
    RawClient first(server->port()), second(server->port());
    first.send(get("/held/1") + get("/2") + get("/held/3"));
    const Release release_first = held.next();
    second.send(get("/held/4") + get("/5"));
    const Release release_second = held.next();
    release_second(std::nullopt);
    EXPECT_EQ(second.answer().body, "GET /held/4 ");
    EXPECT_EQ(second.answer().body, "GET /5 ");
    release_first(std::nullopt);
    EXPECT_EQ(first.answer().body, "GET /held/1 ");
    EXPECT_EQ(first.answer().body, "GET /2 ");
    held.next()(Response::text(503, "instead"));
    const auto instead = first.answer();
    EXPECT_EQ(instead.status, 503);
    EXPECT_EQ(instead.body, "instead");
}

TEST(Server, AHeldAnswerMayBeReleasedWhileItIsBeingHeld) {
    ServerOptions options;
    options.handler = echo;
    options.at_once = [](const Request& request) -> std::optional<PromptAnswer> {
        PromptAnswer answer(echo(request));
        answer.hold = [](const Release& release) { release(std::nullopt); };
        return answer;
    };
    const auto server = serve(std::move(options));
    RawClient client(server->port());
    std::string many;
    for (int i = 0; i < 200; ++i) many += get(fmt::format("/{}", i));
    client.send(many);
    for (int i = 0; i < 200; ++i) EXPECT_EQ(client.answer().body, fmt::format("GET /{} ", i));
}

TEST(Server, AHeldAnswerOutlivesItsClientAndLeavesBeforeTheServerStops) {
    HeldAnswers held;
    auto server = serve(holding(held));
    {
        RawClient gone(server->port());
        gone.send(get("/held/gone"));
        held.next()(std::nullopt);
        EXPECT_EQ(gone.answer().status, 200);
        gone.send(get("/held/gone"));
    }
    const Release release_gone = held.next();
    RawClient waiting(server->port());
    waiting.send(get("/held/waiting"));
    const Release release_waiting = held.next();
    std::thread stopping([&] { server->stop(); });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    release_gone(std::nullopt);
    release_waiting(std::nullopt);
    EXPECT_EQ(waiting.answer().body, "GET /held/waiting ");
    stopping.join();
    EXPECT_EQ(server->connection_count(), 0u);
}

// --- bodies and encodings ---

TEST(Server, ReadsChunkedBodiesByteByByte) {
    const auto server = serve(echo);
    RawClient client(server->port());
    for (const char c : std::string_view("POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
                                         "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")) {
        client.send({&c, 1});
    }
    EXPECT_EQ(client.answer().body, "POST /c abcde");
}

TEST(Server, ReadsLargeBodies) {
    const auto server = serve(
        [](const Request& request) { return Response::text(200, to_hex(sha256(request.body))); });
    std::string body;
    for (int i = 0; i < 1'000'000; ++i) body += std::to_string(i);
    RawClient client(server->port());
    client.send(post(body) + get("/"));
    EXPECT_EQ(client.answer().body, to_hex(sha256(body)));
    EXPECT_EQ(client.answer().body, to_hex(sha256("")));
}

TEST(Server, StreamsAnswersInChunks) {
    const auto server = serve([](const Request& request) {
        Response response;
        response.headers.add("Content-Type", request.path() == "/text"
                                                 ? "application/fhir+ndjson"
                                                 : "application/octet-stream");
        response.stream = [count = 0](std::string& chunk) mutable -> Result<bool> {
            if (count == 3) return false;  // nothing at the end
            chunk.assign(100'000, static_cast<char>('a' + count));
            return ++count <= 3;
        };
        return response;
    });
    const std::string expected =
        std::string(100'000, 'a') + std::string(100'000, 'b') + std::string(100'000, 'c');
    RawClient client(server->port());
    for (int round = 0; round < 2; ++round) {
        client.send(get("/bytes", "Accept-Encoding: gzip\r\n"));
        const RawAnswer plain = client.answer();
        EXPECT_EQ(plain.body, expected);
        EXPECT_FALSE(plain.has("Content-Encoding"));
        for (const std::string coding : {"gzip", "zstd"}) {
            client.send(get("/text", "Accept-Encoding: " + coding + "\r\n"));
            const RawAnswer answer = client.answer();
            EXPECT_EQ(header(answer, "Content-Encoding"), coding);
            EXPECT_LT(answer.body.size(), 10'000u);
            EXPECT_EQ(*detail::decode(coding, answer.body, 1'000'000), expected);
        }
    }
    // HTTP/1.0 knows no chunks: the end of the connection ends the answer.
    RawClient old(server->port());
    old.send("GET /bytes HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    const RawAnswer answer = old.answer();
    EXPECT_FALSE(answer.has("Transfer-Encoding"));
    EXPECT_EQ(answer.body, expected);
}

TEST(Server, AStreamWaitsForASlowReaderAndHoldsNoWorker) {
    std::atomic<int> pulled = 0;
    std::atomic<bool> destroyed = false;
    ServerOptions options;
    options.workers = 1;
    options.handler = [&](const Request& request) {
        if (request.path() != "/big") return echo(request);
        Response response;
        const std::shared_ptr<int> witness(new int(0), [&](int* number) {
            delete number;
            destroyed = true;
        });
        response.stream = [&pulled, witness](std::string& chunk) -> Result<bool> {
            chunk.assign(1 << 20, 'x');
            return ++pulled < 100;
        };
        return response;
    };
    const auto server = serve(std::move(options));
    {
        RawClient slow(server->port(), 4096);
        slow.send(get("/big"));
        slow.read(1000);
        RawClient other(server->port());
        other.send(get("/other"));
        EXPECT_EQ(other.answer().status, 200) << "the only worker is free";
        EXPECT_LT(pulled, 100) << "pulling runs no further ahead than the socket's buffers";
    }
    while (!destroyed)
        std::this_thread::sleep_for(milliseconds(1));  // the client is gone: so is the stream
}

TEST(Server, AFailingStreamIsVisiblyCut) {
    const auto server = serve([](const Request& request) {
        Response response;
        response.stream = [throws = request.path() == "/throw",
                           first = true](std::string& chunk) mutable -> Result<bool> {
            chunk = "begin";
            if (std::exchange(first, false)) return true;
            if (throws) throw std::runtime_error("stream");
            return fail(Category::fault, "the source broke");
        };
        return response;
    });
    for (const char* path : {"/fail", "/throw"}) {
        RawClient client(server->port());
        client.send(get(path));
        const RawAnswer answer = client.answer();
        EXPECT_EQ(answer.status, 200);
        EXPECT_EQ(answer.body, "begin");
        EXPECT_TRUE(answer.is_cut);
    }
}

TEST(Server, CompressesWhatTheClientAcceptsAndIsWorthIt) {
    const std::string text(5000, 't');
    const auto server = serve([&](const Request& request) {
        Response response =
            Response::text(200, request.path() == "/short" ? "short" : text,
                           request.path() == "/image" ? "image/png" : "application/fhir+json");
        if (request.path() == "/done") response.headers.add("Content-Encoding", "br");
        response.compressible = request.path() != "/never";
        return response;
    });
    RawClient client(server->port());
    for (const std::string coding : {"gzip", "zstd"}) {
        client.send(get("/", "Accept-Encoding: " + coding + "\r\n"));
        const RawAnswer answer = client.answer();
        EXPECT_EQ(header(answer, "Content-Encoding"), coding);
        EXPECT_EQ(header(answer, "Vary"), "Accept-Encoding");
        EXPECT_EQ(*detail::decode(coding, answer.body, 10'000), text);
    }
    client.send(get("/"));
    const RawAnswer plain = client.answer();
    EXPECT_EQ(plain.body, text);
    EXPECT_EQ(header(plain, "Vary"), "Accept-Encoding");
    for (const char* path : {"/short", "/image", "/never"}) {
        client.send(get(path, "Accept-Encoding: gzip\r\n"));
        EXPECT_FALSE(client.answer().has("Content-Encoding")) << path;
    }
    client.send(get("/done", "Accept-Encoding: gzip\r\n"));
    EXPECT_EQ(header(client.answer(), "Content-Encoding"), "br");
}

TEST(Server, DecodesBodiesAndStopsBombs) {
    ServerOptions options = echo_options();
    options.limits.body_bytes_max = 10'000;
    const auto server = serve(std::move(options));
    RawClient client(server->port());
    for (const Encoding encoding : {Encoding::gzip, Encoding::zstd}) {
        const std::string coding =
            fmt::format("Content-Encoding: {}\r\n", detail::name_of(encoding));
        std::string small, bomb;
        detail::encode(encoding, "decoded", small);
        detail::encode(encoding, std::string(1'000'000, '0'), bomb);
        ASSERT_LT(bomb.size(), 10'000u);
        client.send(post(small, coding));
        EXPECT_EQ(client.answer().body, "POST /p decoded");
        client.send(post(bomb, coding));
        EXPECT_EQ(client.answer().status, 413);
        client.send(post("no such data", coding));
        EXPECT_EQ(client.answer().status, 400);
    }
    client.send(post("x", "Content-Encoding: br\r\n"));
    EXPECT_EQ(client.answer().status, 415);
}

TEST(Server, HeadHasTheHeadersAndNoBody) {
    const auto server = serve([](const Request& request) {
        Response response = Response::text(200, "twelve bytes");
        if (request.path() == "/stream")
            response.stream = [](std::string&) -> Result<bool> { return false; };
        return response;
    });
    RawClient client(server->port());
    client.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\nHEAD /stream HTTP/1.1\r\nHost: h\r\n\r\n" +
                get("/"));
    EXPECT_EQ(header(client.answer(true), "Content-Length"), "12");
    EXPECT_EQ(client.answer(true).status, 200);
    EXPECT_EQ(client.answer().body, "twelve bytes");
}

TEST(Server, StatusesWithoutBodyHaveNone) {
    const auto server = serve([](const Request& request) {
        return Response::text(request.path() == "/204" ? 204 : 304, "must not be sent");
    });
    RawClient client(server->port());
    client.send(get("/204") + get("/304"));
    for (const int status : {204, 304}) {
        const RawAnswer answer = client.answer();
        EXPECT_EQ(answer.status, status);
        EXPECT_FALSE(answer.has("Content-Length"));
    }
    EXPECT_FALSE(client.is_readable(20));
}

TEST(Server, ExpectContinue) {
    ServerOptions options = echo_options();
    options.limits.body_bytes_max = 100;
    const auto server = serve(std::move(options));
    RawClient client(server->port());
    client.send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_EQ(client.answer().status, 100);
    client.send("body");
    EXPECT_EQ(client.answer().body, "POST /p body");
    // A client that does not wait is not told to go on.
    client.send(
        "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody");
    EXPECT_EQ(client.answer().status, 200);
    // A body that will be refused need not be sent at all.
    client.send(
        "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 101\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_EQ(client.answer().status, 413);
    RawClient other(server->port());
    other.send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: miracles\r\n\r\n");
    EXPECT_EQ(other.answer().status, 417);
}

// --- limits ---

TEST(Server, LimitsAnswerClearlyAndClose) {
    ServerOptions options = echo_options();
    options.limits.body_bytes_max = 100;
    const auto server = serve(std::move(options));
    const std::string large(200'000, 'x');
    for (const auto& [request, status] : std::vector<std::pair<std::string, int>>{
             {get("/" + large), 414},
             {get("/", "A: " + large + "\r\n"), 431},
             {post(large), 413},
             {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n100\r\n" + large,
              413},
             {"nonsense\r\n\r\n", 400},
             {"GET / HTTP/1.1\r\n\r\n", 400},
             {"GET /\x01 HTTP/1.1\r\nHost: h\r\n\r\n", 400}}) {
        RawClient client(server->port());
        client.send(request);
        const RawAnswer answer = client.answer();
        EXPECT_EQ(answer.status, status) << request.substr(0, 60);
        EXPECT_TRUE(answer.has("Connection: close"));
        EXPECT_FALSE(answer.body.empty());
        client.end_sending();
        EXPECT_EQ(client.read_to_end(), "");
    }
}

TEST(Server, RefusalsAreRenderedByTheHook) {
    ServerOptions options = echo_options();
    options.handler = [](const Request&) -> Response { throw std::runtime_error("bug"); };
    options.error_response = [](int status, std::string message) {
        return Response::text(status,
                              fmt::format("{{\"status\":{},\"message\":\"{}\"}}", status, message),
                              "application/fhir+json");
    };
    const auto server = serve(std::move(options));
    RawClient client(server->port());
    client.send(get("/"));
    const RawAnswer failed = client.answer();
    EXPECT_EQ(failed.status, 500);
    EXPECT_TRUE(failed.body.starts_with("{\"status\":500"));
    EXPECT_EQ(failed.body.find("bug"), std::string::npos) << "what was thrown stays in the log";
    client.send("bad\r\n\r\n");
    EXPECT_TRUE(client.answer().body.starts_with("{\"status\":400"));
}

TEST(Server, AFullQueueIsAnsweredAtOnce) {
    std::latch started(1);
    std::promise<void> release;
    const std::shared_future<void> released = release.get_future().share();
    std::atomic<int> handled = 0;
    ServerOptions options;
    options.workers = 1;
    options.limits.requests_waiting_max = 1;
    options.handler = [&](const Request& request) {
        if (handled++ == 0) started.count_down();
        released.wait();
        return echo(request);
    };
    const auto server = serve(std::move(options));
    RawClient working(server->port()), waiting(server->port()), refused(server->port());
    working.send(get("/1"));
    started.wait();
    waiting.send(get("/2"));
    // The second one waits in the queue as soon as its I/O thread has read it; until then the third
    // may take its place.
    RawAnswer answer;
    std::vector<std::unique_ptr<RawClient>> others;
    do {
        others.push_back(std::make_unique<RawClient>(server->port()));
        others.back()->send(get("/3"));
        if (others.back()->is_readable(200)) answer = others.back()->answer();
    } while (answer.status == 0);
    EXPECT_EQ(answer.status, 503);
    EXPECT_EQ(header(answer, "Retry-After"), "1");
    EXPECT_FALSE(answer.has("Connection: close"));
    release.set_value();
    EXPECT_EQ(working.answer().status, 200);
    // Whoever waited is answered, so that the queue is empty.
    waiting.answer();
    for (std::size_t i = 0; i + 1 < others.size(); ++i) others[i]->answer();
    others.back()->send(get("/again"));
    EXPECT_EQ(others.back()->answer().status, 200);
}

TEST(Server, TooManyConnectionsAreTurnedAway) {
    std::latch in_work(2);
    std::promise<void> release;
    const std::shared_future<void> released = release.get_future().share();
    ServerOptions options;
    options.limits.connections_max = 2;
    options.handler = [&](const Request& request) {
        in_work.count_down();
        released.wait();
        return echo(request);
    };
    const auto server = serve(std::move(options));
    RawClient first(server->port()), second(server->port());
    first.send(get("/"));
    second.send(get("/"));
    in_work.wait();
    RawClient third(server->port());
    EXPECT_EQ(third.answer().status, 503);
    EXPECT_EQ(third.read_to_end(), "");
    release.set_value();
    EXPECT_EQ(first.answer().status, 200);
    EXPECT_EQ(second.answer().status, 200);
}

TEST(Server, SlowClientsAreCut) {
    ServerOptions options = echo_options();
    options.limits.header_timeout = milliseconds(100);
    options.limits.body_timeout = milliseconds(100);
    options.limits.idle_timeout = milliseconds(100);
    const auto server = serve(std::move(options));
    RawClient headers(server->port()), body(server->port()), silent(server->port()),
        idle(server->port());
    idle.send(get("/"));
    EXPECT_EQ(idle.answer().status, 200);
    headers.send("GET / HTTP/1.1\r\nHost: h\r\n");
    body.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf");
    EXPECT_EQ(headers.answer().status, 408);
    EXPECT_EQ(body.answer().status, 408);
    EXPECT_EQ(silent.read_to_end(), "");
    EXPECT_EQ(idle.read_to_end(), "");
}

TEST(Server, AClientThatTricklesIsCutAllTheSame) {
    ServerOptions options = echo_options();
    options.limits.header_timeout = milliseconds(150);
    const auto server = serve(std::move(options));
    RawClient client(server->port());
    client.send("GET / HTTP/1.1\r\n");
    int lines = 0;
    while (lines < 2000 &&
           !client.is_readable(10)) {  // one line each 10 ms: never silent, never done
        client.send("A: b\r\n");
        ++lines;
    }
    EXPECT_EQ(client.answer().status, 408);
    EXPECT_LT(lines, 2000);
}

TEST(Server, AClientThatDoesNotReadIsCut) {
    ServerOptions options;
    options.limits.write_timeout = milliseconds(100);
    options.handler = [](const Request&) {
        return Response::text(200, std::string(50 << 20, 'x'), "application/octet-stream");
    };
    const auto server = serve(std::move(options));
    RawClient client(server->port(), 4096);
    client.send(get("/"));
    while (server->connection_count() == 0) std::this_thread::sleep_for(milliseconds(1));
    while (server->connection_count() > 0) std::this_thread::sleep_for(milliseconds(5));
    EXPECT_TRUE(client.answer().is_cut);
}

// --- ids, hooks, start and stop ---

TEST(Server, RequestIdsAreEchoedWhenTheyArePlain) {
    const auto server =
        serve([](const Request& request) { return Response::text(200, request.id); });
    RawClient client(server->port());
    client.send(get("/", "X-Request-Id: abc-1.2\r\n") + get("/", "X-Request-Id: a b\r\n") +
                get("/"));
    RawAnswer answer = client.answer();
    EXPECT_EQ(answer.body, "abc-1.2");
    EXPECT_EQ(header(answer, "X-Request-Id"), "abc-1.2");
    answer = client.answer();
    EXPECT_NE(answer.body, "a b");
    EXPECT_EQ(header(answer, "X-Request-Id"), answer.body);
    EXPECT_NE(client.answer().body, answer.body);
}

TEST(Server, OnAnswerSeesEveryAnswer) {
    std::mutex mutex;
    std::multiset<int> statuses;
    ServerOptions options = echo_options();
    options.on_answer = [&](const Request&, const Response& response, std::chrono::nanoseconds) {
        const std::lock_guard lock(mutex);
        statuses.insert(response.status);
    };
    const auto server = serve(std::move(options));
    RawClient client(server->port());
    client.send(get("/") + "bad\r\n\r\n");
    EXPECT_EQ(client.answer().status, 200);
    EXPECT_EQ(client.answer().status, 400);
    const std::lock_guard lock(mutex);
    EXPECT_EQ(statuses, (std::multiset<int>{200, 400}));
}

TEST(Server, StartSaysWhatIsWrong) {
    const auto server = serve(echo);
    ServerOptions options = echo_options();
    options.port = server->port();
    const auto taken = Server::start(std::move(options));
    ASSERT_FALSE(taken.has_value());
    EXPECT_EQ(taken.error().category, Category::unavailable);
    options = echo_options();
    options.address = "localhost";
    EXPECT_EQ(Server::start(std::move(options)).error().category, Category::incorrect);
    EXPECT_EQ(Server::start({}).error().category, Category::incorrect);
}

TEST(Server, AGracefulStopLosesNoAnswer) {
    constexpr int clients = 8;
    std::latch in_work(clients);
    std::promise<void> release;
    const std::shared_future<void> released = release.get_future().share();
    ServerOptions options;
    options.handler = [&](const Request& request) {
        in_work.count_down();
        released.wait();
        return Response::text(200, std::string(3 << 20, request.target[1]),
                              "application/octet-stream");
    };
    auto server = serve(std::move(options));
    const std::uint16_t port = server->port();
    std::vector<std::unique_ptr<RawClient>> raw;
    for (int i = 0; i < clients; ++i) {
        raw.push_back(std::make_unique<RawClient>(port));
        raw.back()->send(get(fmt::format("/{}", i)));
    }
    RawClient idle(port);
    in_work.wait();
    std::thread stopper([&] { server->stop(); });
    EXPECT_EQ(idle.read_to_end(),
              "");  // an idle connection is closed at once: the stop is under way
    EXPECT_FALSE(RawClient(port).is_connected()) << "nothing new is accepted";
    release.set_value();
    for (int i = 0; i < clients; ++i) {
        const RawAnswer answer = raw[static_cast<std::size_t>(i)]->answer();
        EXPECT_EQ(answer.status, 200);
        EXPECT_TRUE(answer.has("Connection: close"));
        EXPECT_EQ(answer.body, std::string(3 << 20, static_cast<char>('0' + i)));
        raw[static_cast<std::size_t>(i)].reset();
    }
    stopper.join();
    EXPECT_EQ(server->connection_count(), 0u);
    server->stop();  // harmless
}

TEST(Server, AStopUnderLoadAnswersWhatItTook) {
    std::atomic<int> handled = 0, answered = 0;
    auto server = serve([&](const Request& request) {
        ++handled;
        return echo(request);
    });
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            RawClient client(server->port());
            while (client.send(get("/")) && client.answer().status == 200) ++answered;
        });
    }
    while (answered < 200) std::this_thread::sleep_for(milliseconds(1));
    server->stop();
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(handled, answered) << "every request that reached a handler was answered";
}

TEST(Server, AStopCutsClientsThatHang) {
    ServerOptions options = echo_options();
    options.limits.stop_timeout = milliseconds(50);
    auto server = serve(std::move(options));
    RawClient client(server->port());
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf");
    while (server->connection_count() == 0) std::this_thread::sleep_for(milliseconds(1));
    server->stop();
    EXPECT_EQ(server->connection_count(), 0u);
}

// --- client ---

TEST(Client, SendsAndReceives) {
    const auto server = serve([](const Request& request) {
        Response response = echo(request);
        response.status = request.path() == "/moved" ? 302 : 201;
        response.headers.add("Location", "/elsewhere");
        response.headers.add("X-Seen", request.headers.get("X-Own"));
        if (request.path() == "/big") response.body.assign(100'000, 'b');
        return response;
    });
    const std::string base = fmt::format("http://127.0.0.1:{}", server->port());
    Client client;
    auto answer = client.send(
        {.method = Method::post, .url = base + "/x", .headers = {{"X-Own", "1"}}, .body = "hello"});
    ASSERT_TRUE(answer.has_value()) << answer.error().message;
    EXPECT_EQ(answer->status, 201);
    EXPECT_EQ(answer->body, "POST /x hello");
    EXPECT_EQ(answer->headers.get("x-seen"), "1");
    EXPECT_EQ(client.send({.method = Method::delete_, .url = base + "/y"})->body, "DELETE /y ");
    EXPECT_EQ(client.send({.method = Method::put, .url = base + "/y"})->body, "PUT /y ");
    EXPECT_EQ(client.send({.method = Method::head, .url = base + "/y"})->body, "");
    EXPECT_EQ(client.send({.url = base + "/big"})->body, std::string(100'000, 'b'));
    EXPECT_EQ(client.send({.url = base + "/moved"})->status, 302) << "redirects are not followed";
    EXPECT_EQ(server->connection_count(), 1u) << "one connection serves all";
}

TEST(Client, KeepsItsBounds) {
    const auto server = serve([](const Request& request) {
        if (request.path() == "/slow") std::this_thread::sleep_for(milliseconds(500));
        return Response::text(200, std::string(2000, 'x'));
    });
    const std::string base = fmt::format("http://127.0.0.1:{}", server->port());
    Client client({.total_timeout = milliseconds(100), .answer_bytes_max = 1999});
    EXPECT_EQ(client.send({.url = base + "/"}).error().category, Category::too_large);
    const auto late = client.send({.url = base + "/slow"});
    ASSERT_FALSE(late.has_value());
    EXPECT_EQ(late.error().category, Category::unavailable);
    EXPECT_NE(late.error().message.find("no answer in time"), std::string::npos);
    EXPECT_EQ(client.send({.url = "ftp://h/"}).error().category, Category::incorrect);
    EXPECT_EQ(client.send({.url = "http://127.0.0.1:1/"}).error().category, Category::unavailable);
}

}  // namespace
}  // namespace meridian::net

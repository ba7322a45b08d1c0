// SPDX-License-Identifier: Apache-2.0
#include "rest/subscriptions/subscriptions.hpp"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <set>

#include "base/limits.hpp"
#include "fhir/format/xml.hpp"
#include "net/client.hpp"
#include "net/testing/websocket_client.hpp"
#include "rest/subscriptions/definition.hpp"
#include "rest/subscriptions/engine.hpp"
#include "rest/subscriptions/testing.hpp"

namespace meridian::rest {
namespace {

using namespace std::chrono_literals;

/// How long a test waits for what must come; only a failing test waits so long.
constexpr auto patience = 60s;

using subscriptions::testing::Folder;
using subscriptions::testing::must;

/// What a receiver got, with what was told about it.
struct Received {
    std::string method;
    std::string target;
    net::Headers headers;
    std::string body;
    std::string kind;                   ///< handshake, heartbeat, event-notification
    std::int64_t last_number = 0;       ///< events-since-subscription-start
    std::vector<std::int64_t> numbers;  ///< of its events
    std::vector<std::string> focuses;
    std::vector<std::string> requests;  ///< "PUT Observation/1" of the event entries
    std::vector<std::string> resources;
};

void read_notification(const Json& bundle, Received& received) {
    const auto entries = bundle["entry"].items();
    for (std::size_t i = 0; i < entries.size(); ++i) {
        const Json& request = entries[i]["request"];
        EXPECT_TRUE(request.is_object()) << "entry " << i << " has no request";
        if (i > 0)
            received.requests.push_back(
                fmt::format("{} {}", request.string_at("method"), request.string_at("url")));
        if (i > 0 && entries[i].find("resource") != nullptr)
            received.resources.push_back(to_text(entries[i]["resource"]));
    }
    if (entries.empty()) return;
    for (const Json& parameter : entries[0]["resource"]["parameter"].items()) {
        const std::string_view name = parameter.string_at("name");
        if (name == "type") received.kind = parameter.string_at("valueCode");
        if (name == "events-since-subscription-start")
            received.last_number = std::stoll(std::string(parameter.string_at("valueString")));
        if (name != "notification-event") continue;
        for (const Json& part : parameter["part"].items()) {
            if (part.string_at("name") == "event-number")
                received.numbers.push_back(std::stoll(std::string(part.string_at("valueString"))));
            if (part.string_at("name") == "focus")
                received.focuses.emplace_back(part["valueReference"].string_at("reference"));
        }
    }
}

Received read_text(std::string_view body) {
    Received received;
    received.body = body;
    if (body.starts_with('<')) {
        const JsonDocument document = must(fhir::from_xml(body));
        read_notification(document.root(), received);
    } else if (!body.empty()) {
        const JsonDocument document = must(JsonDocument::parse(body));
        read_notification(document.root(), received);
    }
    return received;
}

/// A rest-hook receiver.
class Receiver {
 public:
    Receiver() {
        net::ServerOptions options;
        options.workers = 2;
        options.handler = [this](const net::Request& request) { return take(request); };
        server_ = must(net::Server::start(std::move(options)));
    }
    std::string url() const { return fmt::format("http://127.0.0.1:{}/hook", server_->port()); }
    void answer_with(int status) { status_ = status; }
    /// Waits until `count` calls have come in all and returns them.
    std::vector<Received> wait(std::size_t count) {
        return wait_until(
            [&](const std::vector<Received>& calls) { return calls.size() >= count; });
    }
    template <class Enough>
    std::vector<Received> wait_until(Enough enough) {
        std::unique_lock lock(mutex_);
        EXPECT_TRUE(changed_.wait_for(lock, patience, [&] { return enough(calls_); }))
            << "only " << calls_.size() << " calls came";
        return calls_;
    }
    std::vector<Received> wait_for_event(std::int64_t number) {
        return wait_until([&](const std::vector<Received>& calls) {
            return std::any_of(calls.begin(), calls.end(), [&](const Received& call) {
                return std::find(call.numbers.begin(), call.numbers.end(), number) !=
                       call.numbers.end();
            });
        });
    }

 private:
    net::Response take(const net::Request& request) {
        Received received =
            read_text(request.target.starts_with("/hook/") ? std::string_view()
                                                           : std::string_view(request.body));
        received.method = request.method_text;
        received.target = request.target;
        received.headers = request.headers;
        received.body = request.body;
        {
            const std::lock_guard lock(mutex_);
            calls_.push_back(std::move(received));
        }
        changed_.notify_all();
        return net::Response::text(status_, "");
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Received> calls_;
    std::atomic<int> status_{200};
    std::unique_ptr<net::Server> server_;  // last: its threads use the rest
};

/// A record with subscriptions, and a way to write to it.
class Record {
 public:
    explicit Record(std::string folder, std::function<bool(std::string_view)> may_post_to = {})
        : folder_(std::move(folder)), may_post_to_(std::move(may_post_to)) {
        open();
    }
    ~Record() { close(); }
    Record(const Record&) = delete;
    Record& operator=(const Record&) = delete;

    void open() {
        store_ = subscriptions::testing::must_open(folder_);
        repository_ = must(fhir::Repository::open(*store_, {}));
        service_ =
            std::make_unique<Service>(*repository_, ServiceOptions{.gate = trust::open_gate()});
        Subscriptions::Options subscriptions;
        subscriptions.first_pause = 1ms;
        subscriptions.may_post_to = may_post_to_;
        subscriptions.may_open = [](const net::Request&, std::string_view origin) {
            return origin == "https://app.example";
        };
        subscriptions_ = std::make_unique<Subscriptions>(*repository_, subscriptions);
        subscriptions_->add_operations(*service_);
        net::ServerOptions http;
        http.workers = 4;
        http.handler = [this](const net::Request& request) { return service_->handle(request); };
        http.at_once = [this](const net::Request& request) {
            return subscriptions_->answer_at_once(request);
        };
        http.websocket = [this](const net::Request& request) {
            return subscriptions_->websocket(request);
        };
        http_ = must(net::Server::start(std::move(http)));
        must(subscriptions_->start("http://record.test/fhir"));
    }
    void close() {
        if (http_) http_->stop();
        http_.reset();
        if (subscriptions_) subscriptions_->stop();
        service_.reset();
        repository_.reset();
        subscriptions_.reset();
        store_.reset();
    }

    std::uint16_t port() const { return http_->port(); }
    store::Store& store() { return *store_; }

    /// One HTTP call; the answer's status must be `status`.
    std::string call(net::Method method, const std::string& path, const std::string& body,
                     int status) {
        net::ClientRequest request;
        request.method = method;
        request.url = fmt::format("http://127.0.0.1:{}/fhir/{}", port(), path);
        request.body = body;
        if (!body.empty()) request.headers.set("Content-Type", "application/fhir+json");
        const net::ClientAnswer answer = must(client_.send(request));
        EXPECT_EQ(answer.status, status) << path << " " << answer.body;
        return answer.body;
    }
    std::string get(const std::string& path) { return call(net::Method::get, path, "", 200); }
    void put(const std::string& path, const std::string& body, int status = 201) {
        call(net::Method::put, path, body, status);
    }
    void remove(const std::string& path) { call(net::Method::delete_, path, "", 204); }

    /// Writes an Observation with a code, and gives it as it was sent.
    void observe(const std::string& id, const std::string& code, int status = 201) {
        put("Observation/" + id,
            fmt::format(
                R"({{"resourceType":"Observation","id":"{}","status":"final","code":{{"coding":[{{"system":"urn:codes","code":"{}"}}]}}}})",
                id, code),
            status);
    }
    /// Waits until the Subscription has this status, and returns it.
    std::string wait_for_status(const std::string& id, const std::string& status) {
        const auto until = std::chrono::steady_clock::now() + patience;
        while (std::chrono::steady_clock::now() < until) {
            std::string json = get("Subscription/" + id);
            if (json.find(fmt::format(R"("status":"{}")", status)) != std::string::npos)
                return json;
            std::this_thread::sleep_for(5ms);
        }
        ADD_FAILURE() << id << " never became " << status << ": " << get("Subscription/" + id);
        return "";
    }
    /// Waits until everything that was written has been matched.
    void settle() {
        const auto position = must(store_->snapshot())->position();
        EXPECT_TRUE(repository_->wait_for_views(position, 60'000));
    }

 private:
    std::string folder_;
    std::function<bool(std::string_view)> may_post_to_;
    std::unique_ptr<store::Store> store_;
    std::unique_ptr<fhir::Repository> repository_;
    std::unique_ptr<Service> service_;
    std::unique_ptr<Subscriptions> subscriptions_;
    std::unique_ptr<net::Server> http_;
    net::Client client_;
};

struct Wish {
    std::string criteria = std::string(subscriptions::topic_base) + "Observation";
    std::string filter{};
    std::string type = "rest-hook";
    std::string endpoint{};
    std::string content = "id-only";
    std::string payload = "application/fhir+json";
    std::string header{};
    int heartbeat = 0;
};

std::string backport(std::string_view name, std::string_view value) {
    return fmt::format(
        R"({{"url":"http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-{}",{}}})",
        name, value);
}

std::string subscription(const std::string& id, const Wish& wish) {
    std::string out = fmt::format(
        R"({{"resourceType":"Subscription","id":"{}","status":"requested","reason":"test","criteria":"{}",)",
        id, wish.criteria);
    if (!wish.filter.empty())
        out += fmt::format(
            R"("_criteria":{{"extension":[{}]}},)",
            backport("filter-criteria", fmt::format(R"("valueString":"{}")", wish.filter)));
    out += fmt::format(R"("channel":{{"type":"{}")", wish.type);
    if (wish.heartbeat > 0)
        out += fmt::format(
            R"(,"extension":[{}])",
            backport("heartbeat-period", fmt::format(R"("valueUnsignedInt":{})", wish.heartbeat)));
    if (!wish.endpoint.empty()) out += fmt::format(R"(,"endpoint":"{}")", wish.endpoint);
    if (!wish.payload.empty()) out += fmt::format(R"(,"payload":"{}")", wish.payload);
    if (!wish.content.empty())
        out += fmt::format(
            R"(,"_payload":{{"extension":[{}]}})",
            backport("payload-content", fmt::format(R"("valueCode":"{}")", wish.content)));
    if (!wish.header.empty()) out += fmt::format(R"(,"header":["{}"])", wish.header);
    return out + "}}";
}

std::vector<std::int64_t> all_numbers(const std::vector<Received>& calls) {
    std::vector<std::int64_t> numbers;
    for (const Received& call : calls)
        numbers.insert(numbers.end(), call.numbers.begin(), call.numbers.end());
    return numbers;
}

std::vector<std::int64_t> counted_to(std::int64_t last) {
    std::vector<std::int64_t> numbers;
    for (std::int64_t i = 1; i <= last; ++i) numbers.push_back(i);
    return numbers;
}

class SubscriptionsTest : public ::testing::Test {
 protected:
    Folder folder_;
    Receiver receiver_;
    Record record_{folder_.path()};

    /// Puts the subscription and waits until it is active.
    void subscribe(const std::string& id, Wish wish) {
        if (wish.type == "rest-hook" && wish.endpoint.empty()) wish.endpoint = receiver_.url();
        record_.put("Subscription/" + id, subscription(id, wish));
        record_.wait_for_status(id, "active");
        record_.settle();
    }
};

TEST_F(SubscriptionsTest, HandshakeComesFirstAndEventsAreNumberedWithoutGaps) {
    subscribe("s", {.header = "Authorization: Bearer secret"});
    for (int i = 0; i < 150; ++i) record_.observe(fmt::format("o{}", i), "x");
    const auto calls = receiver_.wait_for_event(150);
    EXPECT_EQ(calls[0].kind, "handshake");
    EXPECT_EQ(calls[0].last_number, 0);
    EXPECT_EQ(calls[0].headers.get("Authorization"), "Bearer secret");
    EXPECT_EQ(calls[0].headers.get("Content-Type"), "application/fhir+json");
    EXPECT_EQ(all_numbers(calls), counted_to(150));
    EXPECT_EQ(calls[1].kind, "event-notification");
    EXPECT_EQ(calls[1].focuses.at(0), "http://record.test/fhir/Observation/o0");
    EXPECT_TRUE(calls[1].resources.empty());
}

TEST_F(SubscriptionsTest, FilterDecidesByTheVersionThatWasWrittenOrDeleted) {
    subscribe("s", {.filter = "Observation?code=urn:codes|wanted", .content = "full-resource"});
    record_.observe("a", "other");
    record_.observe("a", "wanted", 200);  // 1
    record_.observe("a", "other", 200);
    record_.remove("Observation/a");
    record_.observe("b", "wanted");   // 2
    record_.remove("Observation/b");  // 3
    record_.put("Patient/p", R"({"resourceType":"Patient","id":"p"})");
    record_.observe("c", "wanted");  // 4
    const auto calls = receiver_.wait_for_event(4);
    EXPECT_EQ(all_numbers(calls), counted_to(4));
    std::vector<std::string> requests;
    std::vector<std::string> resources;
    for (const Received& call : calls) {
        requests.insert(requests.end(), call.requests.begin(), call.requests.end());
        resources.insert(resources.end(), call.resources.begin(), call.resources.end());
    }
    EXPECT_EQ(requests, (std::vector<std::string>{"PUT Observation/a", "POST Observation",
                                                  "DELETE Observation/b", "POST Observation"}));
    ASSERT_EQ(resources.size(), 3u);
    EXPECT_NE(resources[0].find("wanted"), std::string::npos);
    EXPECT_NE(resources[0].find(R"("versionId":"2")"), std::string::npos);
}

TEST_F(SubscriptionsTest, ChainsAreFollowed) {
    record_.put("Patient/p", R"({"resourceType":"Patient","id":"p","name":[{"family":"Li"}]})");
    record_.put("Patient/q", R"({"resourceType":"Patient","id":"q","name":[{"family":"Wu"}]})");
    subscribe("s", {.filter = "subject:Patient.family=li"});
    for (const std::string id : {"q", "p"}) {
        record_.put(
            "Observation/" + id,
            fmt::format(
                R"({{"resourceType":"Observation","id":"{0}","status":"final","code":{{"text":"x"}},"subject":{{"reference":"Patient/{0}"}}}})",
                id));
    }
    const auto calls = receiver_.wait_for_event(1);
    EXPECT_EQ(calls.back().focuses,
              std::vector<std::string>{"http://record.test/fhir/Observation/p"});
}

TEST_F(SubscriptionsTest, EmptyPayloadTellsNumbersOnlyAndXmlIsWritten) {
    subscribe("s", {.content = "empty", .payload = "application/fhir+xml"});
    record_.observe("a", "x");
    const auto calls = receiver_.wait_for_event(1);
    EXPECT_TRUE(calls.back().body.starts_with("<?xml"));
    EXPECT_EQ(calls.back().headers.get("Content-Type"), "application/fhir+xml");
    EXPECT_TRUE(calls.back().focuses.empty());
    EXPECT_TRUE(calls.back().requests.empty());
}

TEST_F(SubscriptionsTest, HeartbeatsComeWithoutEvents) {
    subscribe("s", {.heartbeat = 1});
    const auto calls = receiver_.wait(3);
    EXPECT_EQ(calls[1].kind, "heartbeat");
    EXPECT_EQ(calls[2].kind, "heartbeat");
    EXPECT_EQ(calls[2].last_number, 0);
}

TEST_F(SubscriptionsTest, RefusedHandshakeIsAnError) {
    receiver_.answer_with(403);
    record_.put("Subscription/s", subscription("s", {.endpoint = receiver_.url()}));
    EXPECT_NE(record_.wait_for_status("s", "error").find("403"), std::string::npos);
}

TEST_F(SubscriptionsTest, WhatCannotBeServedIsToldWithItsReason) {
    const auto refused = [&](const std::string& id, const Wish& wish) {
        record_.put("Subscription/" + id, subscription(id, wish));
        return record_.wait_for_status(id, "error");
    };
    EXPECT_NE(
        refused("a", {.criteria = "http://example.org/unknown-topic", .endpoint = receiver_.url()})
            .find("topic"),
        std::string::npos);
    EXPECT_NE(refused("b", {.filter = "no-such-parameter=1", .endpoint = receiver_.url()})
                  .find("no-such-parameter"),
              std::string::npos);
    EXPECT_NE(refused("c", {.endpoint = "ftp://127.0.0.1/x"}).find("endpoint"), std::string::npos);
    EXPECT_NE(refused("d", {.type = "email", .endpoint = "mailto:a@b"}).find("email"),
              std::string::npos);
    EXPECT_NE(
        refused("e", {.filter = "Patient?name=x", .endpoint = receiver_.url()}).find("not about"),
        std::string::npos);
    EXPECT_NE(refused("f", {.endpoint = receiver_.url(), .header = "Host: elsewhere"}).find("Host"),
              std::string::npos);
    std::string many = "X-H: 0";
    for (std::size_t i = 1; i <= limits::subscription_headers_max; ++i)
        many += fmt::format(R"(","X-H: {})", i);
    EXPECT_NE(refused("g", {.endpoint = receiver_.url(), .header = many}).find("20 headers"),
              std::string::npos);
}

TEST_F(SubscriptionsTest, OnlyEndpointsThatTheOperatorListedAreCalled) {
    const Folder folder;
    Receiver other;
    const std::string listed = receiver_.url();
    {
        Record record(folder.path(), [&](std::string_view endpoint) { return endpoint == listed; });
        record.put("Subscription/other", subscription("other", {.endpoint = other.url()}));
        EXPECT_NE(record.wait_for_status("other", "error").find("subscription.endpoints"),
                  std::string::npos);
        record.put("Subscription/s", subscription("s", {.endpoint = listed}));
        record.wait_for_status("s", "active");
        receiver_.wait(1);
    }
    // What was active before the list became shorter is not called any more.
    Record record(folder.path(), [](std::string_view) { return false; });
    record.wait_for_status("s", "error");
    record.observe("a", "x");
    record.settle();
    EXPECT_EQ(receiver_.wait(1).size(), 1u) << "the handshake of before";
    EXPECT_TRUE(other.wait(0).empty());
}

TEST_F(SubscriptionsTest, FailingEndpointBecomesAnErrorAndLosesNothing) {
    subscribe("s", {});
    receiver_.answer_with(500);
    record_.observe("a", "x");
    const std::string failed = record_.wait_for_status("s", "error");
    EXPECT_NE(failed.find("500"), std::string::npos) << failed;
    EXPECT_EQ(receiver_.wait(1).size(),
              2u + limits::subscription_retries_max);  // the handshake, one call, its repetitions
    receiver_.answer_with(200);
    record_.put("Subscription/s", subscription("s", {.endpoint = receiver_.url()}), 200);
    record_.wait_for_status("s", "active");
    record_.observe("b", "x");
    const auto calls = receiver_.wait_for_event(2);
    EXPECT_EQ(calls.back().numbers.back(), 2);
    const std::string status = record_.get("Subscription/s/$status");
    EXPECT_NE(status.find(R"("valueString":"2")"), std::string::npos) << status;
}

TEST_F(SubscriptionsTest, NumbersGoOnAfterARestartAndMissedEventsCome) {
    subscribe("s", {});
    record_.observe("a", "x");
    receiver_.wait_for_event(1);
    record_.settle();
    // Nobody delivers while this is written: a record without subscriptions.
    record_.close();
    {
        const auto store = subscriptions::testing::must_open(folder_.path());
        const auto repository = must(fhir::Repository::open(*store, {}));
        for (const std::string id : {"b", "c"}) {
            subscriptions::testing::write(
                *repository,
                fmt::format(
                    R"({{"resourceType":"Observation","id":"{}","status":"final","code":{{"text":"x"}}}})",
                    id));
        }
    }
    record_.open();
    const auto calls = receiver_.wait_for_event(3);
    record_.observe("d", "x");
    receiver_.wait_for_event(4);
    const std::vector<std::int64_t> numbers = all_numbers(receiver_.wait(1));
    EXPECT_EQ(std::set<std::int64_t>(numbers.begin(), numbers.end()),
              (std::set<std::int64_t>{1, 2, 3, 4}));
    const Received events = read_text(record_.get("Subscription/s/$events"));
    EXPECT_EQ(events.focuses.size(), 4u);
    EXPECT_TRUE(events.focuses[1].ends_with("/Observation/b"));
    EXPECT_TRUE(events.focuses[3].ends_with("/Observation/d"));
}

TEST_F(SubscriptionsTest, ReplayOfTheLogGivesNoNumberTwice) {
    subscribe("s", {});
    for (const std::string id : {"a", "b", "c"}) record_.observe(id, "x");
    receiver_.wait_for_event(3);
    record_.settle();
    record_.close();
    {
        // As after a crash before the cursor was saved: everything is read once more.
        const auto store = subscriptions::testing::must_open(folder_.path());
        must(store->save_cursor("subscriptions", 0));
    }
    record_.open();
    record_.settle();
    const Received events = read_text(record_.get("Subscription/s/$events"));
    ASSERT_EQ(events.numbers, counted_to(3));
    EXPECT_TRUE(events.focuses[0].ends_with("/Observation/a"));
    EXPECT_TRUE(events.focuses[2].ends_with("/Observation/c"));
    record_.observe("d", "x");
    const auto calls = receiver_.wait_for_event(4);
    EXPECT_EQ(all_numbers(calls), counted_to(4));  // what was delivered is not sent again either
    EXPECT_TRUE(calls.back().focuses.back().ends_with("/Observation/d"));
}

TEST_F(SubscriptionsTest, EventsCanBeAskedForAgain) {
    subscribe("s", {.content = "id-only"});
    for (int i = 1; i <= 70; ++i)
        record_.observe(fmt::format("o{}", i), "x");  // more than one chunk
    record_.settle();
    const Received some = read_text(record_.get(
        "Subscription/s/$events?eventsSinceNumber=63&eventsUntilNumber=66&content=full-resource"));
    EXPECT_EQ(some.kind, "query-event");
    EXPECT_EQ(some.last_number, 70);
    EXPECT_EQ(some.numbers, (std::vector<std::int64_t>{63, 64, 65, 66}));
    ASSERT_EQ(some.resources.size(), 4u);
    EXPECT_NE(some.resources[2].find(R"("id":"o65")"), std::string::npos);
    EXPECT_TRUE(
        read_text(record_.get("Subscription/s/$events?eventsSinceNumber=71")).numbers.empty());
    record_.call(net::Method::get, "Subscription/s/$events?eventsSinceNumber=x", "", 400);
    record_.call(net::Method::get, "Subscription/none/$events", "", 404);
}

TEST_F(SubscriptionsTest, DeletedSubscriptionIsSilent) {
    subscribe("s", {});
    subscribe("t", {});
    record_.remove("Subscription/s");
    record_.observe("a", "x");
    receiver_.wait_for_event(1);
    record_.settle();
    record_.observe("b", "x");
    const auto calls = receiver_.wait_for_event(2);
    EXPECT_EQ(all_numbers(calls), counted_to(2));  // t's only
}

TEST_F(SubscriptionsTest, PlainCriteriaPostsNothingOrPutsTheResource) {
    subscribe("s", {.criteria = "Observation?code=urn:codes|wanted", .content = "", .payload = ""});
    subscribe("t", {.criteria = "Patient?", .content = "", .payload = "application/fhir+json"});
    record_.observe("a", "other");
    record_.observe("b", "wanted");
    const auto first = receiver_.wait(1);
    EXPECT_EQ(first[0].method, "POST");
    EXPECT_EQ(first[0].target, "/hook");
    EXPECT_TRUE(first[0].body.empty());
    record_.put("Patient/p", R"({"resourceType":"Patient","id":"p"})");
    const auto calls = receiver_.wait(2);
    EXPECT_EQ(calls[1].method, "PUT");
    EXPECT_EQ(calls[1].target, "/hook/Patient/p");
    EXPECT_NE(calls[1].body.find(R"("resourceType":"Patient")"), std::string::npos);
}

class SocketClient : public net::testing::WebSocketClient {
 public:
    explicit SocketClient(std::uint16_t port) : WebSocketClient(port, "/fhir/ws") {
        EXPECT_EQ(handshake().status, 101);
    }
};

std::string token_for(Record& record, const std::string& id) {
    const JsonDocument answer =
        must(JsonDocument::parse(record.get("Subscription/" + id + "/$get-ws-binding-token")));
    std::string token;
    for (const Json& parameter : answer.root()["parameter"].items()) {
        if (parameter.string_at("name") == "token") token = parameter.string_at("valueString");
        if (parameter.string_at("name") == "websocket-url") {
            EXPECT_EQ(parameter.string_at("valueUrl"),
                      fmt::format("ws://127.0.0.1:{}/fhir/ws", record.port()));
        }
    }
    return token;
}

TEST_F(SubscriptionsTest, WebSocketGetsHandshakeThenEvents) {
    subscribe("s", {.type = "websocket", .content = "full-resource"});
    record_.observe("before", "x");
    record_.settle();
    SocketClient socket(record_.port());
    socket.send("bind-with-token " + token_for(record_, "s"));
    const Received handshake = read_text(socket.receive());
    EXPECT_EQ(handshake.kind, "handshake");
    EXPECT_EQ(handshake.last_number, 1);
    record_.observe("after", "x");
    const Received event = read_text(socket.receive());
    EXPECT_EQ(event.kind, "event-notification");
    EXPECT_EQ(event.numbers, std::vector<std::int64_t>{2});
    ASSERT_EQ(event.resources.size(), 1u);
    EXPECT_NE(event.resources[0].find(R"("id":"after")"), std::string::npos);
}

TEST_F(SubscriptionsTest, PlainWebSocketIsPinged) {
    subscribe(
        "s", {.criteria = "Observation?code=x", .type = "websocket", .content = "", .payload = ""});
    SocketClient socket(record_.port());
    socket.send("bind s");
    EXPECT_EQ(socket.receive(), "bound s");
    record_.observe("a", "x");
    EXPECT_EQ(socket.receive(), "ping s");
}

TEST_F(SubscriptionsTest, WebSocketWithoutRightsIsClosed) {
    subscribe("hook", {});
    for (const std::string message :
         {"bind-with-token guessed", "bind hook", "bind none", "hello"}) {
        SocketClient socket(record_.port());
        socket.send(message);
        EXPECT_TRUE(socket.receive().starts_with("closed 1008")) << message;
    }
    record_.call(net::Method::get, "Subscription/hook/$get-ws-binding-token", "", 400);
}

TEST_F(SubscriptionsTest, TopicsAndOperationsStandInTheCapabilityStatement) {
    const std::string metadata = record_.get("metadata");
    EXPECT_NE(metadata.find(
                  fmt::format(R"("valueCanonical":"{}Observation")", subscriptions::topic_base)),
              std::string::npos);
    EXPECT_NE(metadata.find("backport-subscription-events"), std::string::npos);
    must(JsonDocument::parse(metadata));
}

TEST_F(SubscriptionsTest, StatusOfTheTypeListsThoseAskedFor) {
    subscribe("s", {});
    record_.put("Subscription/t",
                subscription("t", {.criteria = "nothing", .endpoint = receiver_.url()}));
    record_.wait_for_status("t", "error");
    const auto count = [&](const std::string& query) {
        const JsonDocument bundle =
            must(JsonDocument::parse(record_.get("Subscription/$status" + query)));
        return bundle.root()["entry"].size();
    };
    EXPECT_EQ(count(""), 2u);
    EXPECT_EQ(count("?status=error"), 1u);
    EXPECT_EQ(count("?id=s"), 1u);
    EXPECT_EQ(count("?id=s&status=error"), 0u);
}

TEST_F(SubscriptionsTest, ASubscriptionHasABoundedNumberOfSockets) {
    subscribe(
        "s", {.criteria = "Observation?code=x", .type = "websocket", .content = "", .payload = ""});
    std::vector<std::unique_ptr<SocketClient>> sockets;
    for (std::size_t i = 0; i <= limits::subscription_sockets_max; ++i) {
        sockets.push_back(std::make_unique<SocketClient>(record_.port()));
        sockets.back()->send("bind s");
        const std::string answer = sockets.back()->receive();
        if (i < limits::subscription_sockets_max) {
            ASSERT_EQ(answer, "bound s") << i;
        } else {
            EXPECT_TRUE(answer.starts_with("closed 1008 too many sockets")) << answer;
        }
    }
    record_.observe("a", "x");
    EXPECT_EQ(sockets.front()->receive(), "ping s");
}

TEST_F(SubscriptionsTest, ATokenIsWorthNothingWhenItIsOldOrChangedOrOfAnotherRecord) {
    using subscriptions::Token;
    const store::Names& names = record_.store().names();
    const Token token{{"a", "b"}, {now().milliseconds + 60'000}};
    const std::string text = subscriptions::token_text(token, names);
    const auto read = subscriptions::read_token(text, names);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->ids, token.ids);
    EXPECT_EQ(read->expires, token.expires);
    EXPECT_TRUE(
        subscriptions::read_token(subscriptions::token_text({{}, {5}}, names), names)->ids.empty());
    for (std::size_t i = 0; i < text.size(); ++i) {
        std::string changed = text;
        changed[i] = changed[i] == 'A' ? 'Q' : 'A';
        EXPECT_FALSE(subscriptions::read_token(changed, names)) << i;
    }
    EXPECT_FALSE(subscriptions::read_token("", names));
    EXPECT_FALSE(subscriptions::read_token(".", names));
    EXPECT_FALSE(subscriptions::read_token(text.substr(0, text.find('.')), names));
    const Folder folder;
    const auto another = subscriptions::testing::must_open(folder.path());
    EXPECT_FALSE(subscriptions::read_token(text, another->names()));

    subscribe("s", {.type = "websocket"});
    SocketClient socket(record_.port());
    const Token old{{"s"}, {now().milliseconds - 1}};
    socket.send("bind-with-token " + subscriptions::token_text(old, names));
    EXPECT_TRUE(socket.receive().starts_with("closed 1008"));
}

TEST_F(SubscriptionsTest, TheAddressOfWebSocketsAsksForAnUpgrade) {
    record_.settle();
    net::testing::RawClient client(record_.port());
    client.send("GET /fhir/ws HTTP/1.1\r\nHost: record\r\n\r\n");
    const auto answer = client.answer();
    EXPECT_EQ(answer.status, 426);
    EXPECT_TRUE(answer.has("Upgrade: websocket")) << answer.head;
    EXPECT_NE(answer.body.find("OperationOutcome"), std::string::npos);
}

TEST_F(SubscriptionsTest, PagesOfOtherOriginsOpenNoWebSockets) {
    record_.settle();
    const auto upgrade = [&](const std::string& further) {
        net::testing::RawClient client(record_.port());
        client.send(
            "GET /fhir/ws HTTP/1.1\r\nHost: record\r\nUpgrade: websocket\r\nConnection: "
            "Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
            further + "\r\n");
        return client.answer().status;
    };
    EXPECT_EQ(upgrade(""), 101) << "no browser";
    EXPECT_EQ(upgrade("Origin: https://app.example\r\n"), 101);
    for (const char* origin : {"https://evil.example", "https://app.example.evil.example",
                               "http://app.example", "null", ""})
        EXPECT_EQ(upgrade(fmt::format("Origin: {}\r\n", origin)), 403) << origin;
}

TEST_F(SubscriptionsTest, TenThousandAreServedAndTheNextIsToldWhyNot) {
    constexpr std::size_t batch = 1'000;
    static_assert(limits::subscriptions_max % batch == 0);
    for (std::size_t from = 0; from < limits::subscriptions_max; from += batch) {
        std::string bundle = R"({"resourceType":"Bundle","type":"transaction","entry":[)";
        for (std::size_t i = from; i < from + batch; ++i) {
            bundle += fmt::format(
                R"({}{{"resource":{{"resourceType":"Subscription","id":"s{}","status":"active","reason":"test","criteria":"Observation?code=c{}","channel":{{"type":"websocket"}}}},"request":{{"method":"PUT","url":"Subscription/s{}"}}}})",
                i == from ? "" : ",", i, i, i);
        }
        record_.call(net::Method::post, "", bundle + "]}", 200);
    }
    record_.settle();
    record_.put("Subscription/late", subscription("late", {.type = "websocket"}));
    EXPECT_NE(record_.wait_for_status("late", "error")
                  .find(fmt::format("at most {} subscriptions", limits::subscriptions_max)),
              std::string::npos);
    // Those that are served still are; one that goes makes room.
    SocketClient socket(record_.port());
    socket.send("bind s9999");
    EXPECT_EQ(socket.receive(), "bound s9999");
    record_.observe("a", "c9999");
    EXPECT_EQ(socket.receive(), "ping s9999");
    record_.remove("Subscription/s0");
    record_.settle();
    record_.put("Subscription/next", subscription("next", {.type = "websocket"}));
    record_.wait_for_status("next", "active");
}

}  // namespace
}  // namespace meridian::rest

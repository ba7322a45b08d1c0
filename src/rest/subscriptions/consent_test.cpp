// SPDX-License-Identifier: Apache-2.0
// A consent that is withdrawn reaches a socket that is open.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "base/file.hpp"
#include "net/client.hpp"
#include "net/server.hpp"
#include "net/testing/websocket_client.hpp"
#include "rest/service.hpp"
#include "rest/subscriptions/subscriptions.hpp"
#include "rest/subscriptions/testing.hpp"
#include "trust/policy/decisions.hpp"

namespace meridian::rest {
namespace {

namespace policy = trust::policy;
using subscriptions::testing::Folder;
using subscriptions::testing::must;
using subscriptions::testing::write;
using namespace std::chrono_literals;

/// A doctor who cares for p and q, and listens to what is observed.
class OpenSocket : public ::testing::Test {
 protected:
    OpenSocket() {
        trust::Subject doctor;
        doctor.account = "d";
        doctor.role = trust::Role::doctor;
        doctor.person = "Practitioner/d";
        doctor.purpose = "TREAT";
        for (const char* id : {"p", "q"}) {
            write(*repository_, fmt::format(R"({{"resourceType":"Patient","id":"{}"}})", id));
            write(
                *repository_,
                fmt::format(
                    R"({{"resourceType":"CareTeam","id":"t-{0}","status":"active","subject":{{"reference":"Patient/{0}"}},"participant":[{{"member":{{"reference":"Practitioner/d"}}}}]}})",
                    id));
        }
        Subscriptions::Options options;
        options.caller_of = [this, doctor](std::string_view) { return decisions_.caller(doctor); };
        subscriptions_ = std::make_unique<Subscriptions>(*repository_, std::move(options));
        subscriptions_->add_operations(service_);
        net::ServerOptions http;
        http.workers = 2;
        http.handler = [this](const net::Request& request) { return service_.handle(request); };
        http.websocket = [this](const net::Request& request) {
            return subscriptions_->websocket(request);
        };
        http_ = must(net::Server::start(std::move(http)));
        must(subscriptions_->start("http://record.test/fhir"));
        write(
            *repository_,
            R"({"resourceType":"Subscription","id":"s","status":"requested","reason":"test","criteria":"urn:meridian:fhir:SubscriptionTopic/Observation","channel":{"type":"websocket","payload":"application/fhir+json","_payload":{"extension":[{"url":"http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-payload-content","valueCode":"full-resource"}]}}})");
    }
    ~OpenSocket() override {
        http_->stop();
        http_.reset();
        subscriptions_->stop();
        repository_.reset();
    }

    void observe(std::string_view id, std::string_view patient) {
        write(
            *repository_,
            fmt::format(
                R"({{"resourceType":"Observation","id":"{}","status":"final","code":{{"text":"x"}},"subject":{{"reference":"Patient/{}"}}}})",
                id, patient));
    }
    /// Of the subscription, once it is active: before, a socket is bound to nothing.
    std::string token() {
        const auto caller = fhir::Caller::system("test");
        for (const auto until = std::chrono::steady_clock::now() + 30s;
             std::chrono::steady_clock::now() < until; std::this_thread::sleep_for(5ms)) {
            if (must(repository_->read(caller, "Subscription", "s"))
                    .json.find(R"("status":"active")") != std::string::npos)
                break;
        }
        EXPECT_TRUE(repository_->wait_for_views(must(store_->snapshot())->position(), 30'000));
        net::Client client;
        net::ClientRequest request;
        request.url = fmt::format("http://127.0.0.1:{}/fhir/Subscription/s/$get-ws-binding-token",
                                  http_->port());
        const JsonDocument document = must(JsonDocument::parse(must(client.send(request)).body));
        for (const Json& parameter : document.root()["parameter"].items()) {
            if (parameter.string_at("name") == "token")
                return std::string(parameter.string_at("valueString"));
        }
        return "";
    }

    Folder folder_;
    std::unique_ptr<store::Store> store_ =
        subscriptions::testing::must_open(folder_.path() + "/data");
    std::unique_ptr<fhir::Repository> repository_ = must(fhir::Repository::open(*store_, {}));
    policy::Decisions decisions_{
        *repository_,
        must(policy::parse(
            {{"default.toml",
              must(read_file(MERIDIAN_SOURCE_DIR "/data/policy/default.toml", 1 << 20))}}))};
    Service service_{*repository_, ServiceOptions{.gate = trust::open_gate()}};
    std::unique_ptr<Subscriptions> subscriptions_;
    std::unique_ptr<net::Server> http_;
};

TEST_F(OpenSocket, AWithdrawnConsentEndsWhatItTellsWithinASecond) {
    // Sockets are opened once the subscriptions are known, some milliseconds after the start.
    std::optional<net::testing::WebSocketClient> opened;
    for (int tries = 0; tries < 200; ++tries) {
        opened.emplace(http_->port(), "/fhir/ws");
        if (opened->handshake().status == 101) break;
        std::this_thread::sleep_for(20ms);
    }
    net::testing::WebSocketClient& socket = *opened;
    ASSERT_EQ(socket.handshake().status, 101);
    socket.send("bind-with-token " + token());
    EXPECT_NE(socket.receive().find("handshake"), std::string::npos);
    observe("before", "p");
    EXPECT_NE(socket.receive().find(R"("id":"before")"), std::string::npos);
    const auto began = std::chrono::steady_clock::now();
    write(
        *repository_,
        R"({"resourceType":"Consent","id":"c","status":"active","scope":{"coding":[{"code":"patient-privacy"}]},"category":[{"text":"x"}],"policyRule":{"text":"x"},"patient":{"reference":"Patient/p"},"provision":{"type":"deny"}})");
    observe("hidden", "p");
    observe("seen", "q");
    const std::string next = socket.receive();
    EXPECT_LT(std::chrono::steady_clock::now() - began, 1s);
    EXPECT_NE(next.find(R"("id":"seen")"), std::string::npos) << next;
    EXPECT_EQ(next.find("hidden"), std::string::npos) << next;
}

}  // namespace
}  // namespace meridian::rest

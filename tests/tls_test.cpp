// SPDX-License-Identifier: Apache-2.0
// `serve` with certificate and key, and behind a proxy, as an operator sets it up. How TLS is
// spoken: src/net/tls_test.cpp.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "net/client.hpp"
#include "net/testing/tls_client.hpp"
#include "tests/server_process.hpp"

namespace meridian::tests {
namespace {

using net::testing::Authority;
using net::testing::Issued;
using net::testing::TlsClient;

class TlsOfAServer : public ::testing::Test {
 protected:
    TlsOfAServer() {
        put("authority.pem", authority_.certificate());
        use(authority_.issue("record.example"));
    }
    ~TlsOfAServer() override { std::filesystem::remove_all(folder_); }

    std::string path(const std::string& name) const { return folder_ + "/" + name; }
    void put(const std::string& name, const std::string& text, unsigned mode = 0600) const {
        std::ofstream(path(name)) << text;
        ::chmod(path(name).c_str(), mode);
    }
    void use(const Issued& issued) const {
        put("certificate.pem", issued.certificate);
        put("key.pem", issued.key);
    }
    std::vector<std::string> words() const {
        return {"--tls-certificate", path("certificate.pem"), "--tls-key", path("key.pem")};
    }
    /// What `serve` says when it does not start.
    std::string refusal(std::vector<std::string> arguments) const {
        std::vector<std::string> all{"serve", "--data", path("data")};
        all.insert(all.end(), arguments.begin(), arguments.end());
        std::string output;
        EXPECT_NE(run_program(all, &output), 0);
        return output;
    }
    Result<net::ClientAnswer> ask(const ServerProcess& server, const std::string& target) const {
        net::Client client({.authorities_file = path("authority.pem")});
        return client.send({.url = server.base_url() + target});
    }

    const std::string folder_ = make_temporary_folder();
    const Authority authority_{};
};

TEST_F(TlsOfAServer, ServesTheRecord) {
    ServerProcess server({}, words());
    ASSERT_TRUE(server.is_running()) << server.output();
    ASSERT_TRUE(server.base_url().starts_with("https://")) << server.output();
    const auto answer = ask(server, "/fhir/metadata");
    ASSERT_TRUE(answer.has_value()) << answer.error().message;
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(answer->headers.get("Strict-Transport-Security"),
              "max-age=63072000; includeSubDomains");
    EXPECT_FALSE(answer->headers.has("Server"));
    EXPECT_NE(answer->body.find(server.base_url() + "/fhir"), std::string::npos)
        << "it calls itself by https";
    const auto page = ask(server, "/");
    ASSERT_TRUE(page.has_value());
    EXPECT_NE(page->headers.get("Content-Security-Policy").find("form-action 'self'"),
              std::string_view::npos);
    EXPECT_EQ(page->headers.joined("Content-Security-Policy"),
              page->headers.get("Content-Security-Policy"))
        << "its own policy, and no second one";
    EXPECT_FALSE(TlsClient(server.port(), {.version_max = TLS1_2_VERSION}).is_open());
    EXPECT_EQ(server.stop(), 0);
}

TEST_F(TlsOfAServer, ANewCertificateIsTakenAtTheSignal) {
    ServerProcess server({}, words());
    ASSERT_TRUE(server.is_running()) << server.output();
    const long old = TlsClient(server.port()).serial();
    const auto serial_after_signal = [&](std::string_view logged) {
        ::kill(server.process(), SIGHUP);
        for (int i = 0; i < 1'000 && server.output().find(logged) == std::string::npos; ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        return TlsClient(server.port()).serial();
    };
    put("key.pem", "broken");
    EXPECT_EQ(serial_after_signal("holds no private key"), old) << server.output();
    use(authority_.issue("record.example"));
    EXPECT_NE(serial_after_signal("were read again"), old) << server.output();
    EXPECT_EQ(server.stop(), 0);
}

TEST_F(TlsOfAServer, SettingsMayStandInTheFile) {
    put("meridian.toml", fmt::format("tls-certificate = \"{}\"\ntls-key = \"{}\"\ntls-1.2 = true\n",
                                     path("certificate.pem"), path("key.pem")));
    ServerProcess server({}, {"--config", path("meridian.toml")});
    ASSERT_TRUE(server.is_running()) << server.output();
    TlsClient older(server.port(), {.version_max = TLS1_2_VERSION});
    EXPECT_TRUE(older.is_open()) << older.problem();
}

TEST_F(TlsOfAServer, NothingReadableGoesOverANetwork) {
    const std::string told = refusal({"--listen", "0.0.0.0:0"});
    EXPECT_NE(told.find("--tls-certificate"), std::string::npos) << told;
    EXPECT_NE(told.find("--behind-proxy"), std::string::npos) << told;
    EXPECT_NE(refusal({"--listen", "[::]:0"}).find("--behind-proxy"), std::string::npos);
    EXPECT_NE(refusal({"--listen", "0.0.0.0:0", "--tls-key", path("key.pem")}).find("needs both"),
              std::string::npos);
    put("key.pem", authority_.issue("record.example").key, 0644);
    std::vector<std::string> arguments = words();
    EXPECT_NE(refusal(arguments).find("chmod 600"), std::string::npos);
    EXPECT_NE(refusal({"--behind-proxy", "proxy.example"}).find("no address of a proxy"),
              std::string::npos);
    EXPECT_NE(refusal({"--cors-origin", "*"}).find("no origin"), std::string::npos);
}

TEST(BehindAProxy, TheRecordCallsItselfAsTheWorldKnowsIt) {
    ServerProcess server({}, {"--behind-proxy", "127.0.0.1,10.1.0.0/16"}, Trust::on);
    ASSERT_TRUE(server.is_running()) << server.output();
    net::Client client;
    const auto answer = client.send({.url = server.base_url() + "/fhir/Patient?_count=1",
                                     .headers = {{"X-Forwarded-For", "203.0.113.9"},
                                                 {"X-Forwarded-Proto", "https"},
                                                 {"X-Forwarded-Host", "record.example"},
                                                 {"Authorization", "Bearer " + server.token()}}});
    ASSERT_TRUE(answer.has_value()) << answer.error().message;
    EXPECT_NE(answer->body.find("https://record.example/fhir/Patient?"), std::string::npos)
        << answer->body;
    EXPECT_TRUE(answer->headers.has("Strict-Transport-Security"));
}

TEST(BehindAProxy, NobodyIsBelievedWithoutOne) {
    ServerProcess server;
    ASSERT_TRUE(server.is_running()) << server.output();
    net::Client client;
    const auto answer = client.send({.url = server.base_url() + "/fhir/Patient?_count=1",
                                     .headers = {{"X-Forwarded-Proto", "https"},
                                                 {"X-Forwarded-Host", "evil.example"},
                                                 {"Forwarded", "host=evil.example"}}});
    ASSERT_TRUE(answer.has_value()) << answer.error().message;
    EXPECT_EQ(answer->body.find("evil.example"), std::string::npos) << answer->body;
    EXPECT_NE(answer->body.find(server.base_url()), std::string::npos) << answer->body;
    EXPECT_FALSE(answer->headers.has("Strict-Transport-Security"));
}

}  // namespace
}  // namespace meridian::tests

// SPDX-License-Identifier: Apache-2.0
// Accounts and tokens by command, beside a server that serves the folder and without one.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "base/hash.hpp"
#include "base/json.hpp"
#include "base/query_string.hpp"
#include "net/client.hpp"
#include "tests/server_process.hpp"

namespace meridian::tests {
namespace {

using Words = std::vector<std::string>;

class Accounts : public ::testing::Test {
 protected:
    ~Accounts() override { std::filesystem::remove_all(folder_); }

    int run(Words words, std::string* output = nullptr) const {
        const Words place = place_of(folder_);
        words.insert(words.end(), place.begin(), place.end());
        return run_program(words, output);
    }
    static net::ClientAnswer ask(const ServerProcess& server, const std::string& path,
                                 const std::string& token) {
        net::ClientRequest request{.url = server.base_url() + path};
        request.headers.add("Authorization", "Bearer " + token);
        net::Client client;
        auto answer = client.send(request);
        return answer ? *std::move(answer) : net::ClientAnswer{};
    }
    static int put(const ServerProcess& server, const std::string& path, const std::string& body) {
        net::ClientRequest request{.method = net::Method::put, .url = server.base_url() + path};
        request.headers.add("Authorization", "Bearer " + server.token());
        request.headers.add("Content-Type", "application/fhir+json");
        request.body = body;
        net::Client client;
        const auto answer = client.send(request);
        return answer ? answer->status : 0;
    }
    /// How many resources a search finds, or minus the status.
    static std::int64_t total(const ServerProcess& server, const std::string& search,
                              const std::string& token) {
        const auto answer = ask(server, "/fhir/" + search + "&_total=accurate", token);
        if (answer.status != 200) return -answer.status;
        const auto document = JsonDocument::parse(answer.body);
        return document ? std::stoll(std::string(document->root()["total"].text())) : -1;
    }

    std::string folder_ = make_temporary_folder();
};

TEST_F(Accounts, AQuestionToAFolderWithoutARecordMakesNone) {
    if (place_of(folder_).size() > 2) GTEST_SKIP() << "a database of the tests makes its record";
    const std::string none = folder_ + "/none";
    for (const Words& words : {Words{"token", "--account", "a"}, Words{"account", "list"},
                               Words{"account", "disable", "a"}, Words{"client", "list"}}) {
        Words asked = words;
        asked.insert(asked.end(), {"--data", none});
        std::string said;
        EXPECT_NE(run_program(asked, &said), 0);
        EXPECT_NE(said.find("there is no store"), std::string::npos) << said;
    }
    EXPECT_FALSE(std::filesystem::exists(none));
}

TEST_F(Accounts, AreMadeListedAndClosedBesideAServerAndWithoutOne) {
    EXPECT_EQ(run({"account", "add", "first", "--role", "system-client"}), 0);
    ServerProcess server(folder_, {}, Trust::on);
    ASSERT_TRUE(server.is_running()) << server.output();
    std::string said;
    EXPECT_EQ(run({"account", "add", "second", "--role", "system-client"}, &said), 0) << said;
    EXPECT_NE(run({"account", "add", "second", "--role", "system-client"}, &said), 0);
    EXPECT_NE(said.find("exists already"), std::string::npos) << said;
    EXPECT_NE(run({"account", "add", "third", "--role", "king"}, &said), 0);
    EXPECT_NE(said.find("expected one of system-admin"), std::string::npos) << said;
    EXPECT_NE(
        run({"account", "add", "third", "--role", "doctor", "--practitioner", "Practitioner/none"},
            &said),
        0);
    EXPECT_EQ(run({"account", "list"}, &said), 0);
    EXPECT_NE(said.find("first"), std::string::npos);
    EXPECT_NE(said.find("second"), std::string::npos);

    const std::string token = token_for(folder_, "system-client", "second");
    EXPECT_EQ(ask(server, "/fhir/Patient", token).status, 200);
    EXPECT_EQ(run({"account", "disable", "second"}), 0);
    // What is known of a token counts for half a second.
    std::this_thread::sleep_for(std::chrono::milliseconds(900));
    EXPECT_EQ(ask(server, "/fhir/Patient", token).status, 401);
    EXPECT_NE(run({"token", "--account", "second"}, &said), 0);
    EXPECT_EQ(run({"account", "disable", "second", "--enable"}), 0);
    EXPECT_EQ(ask(server, "/fhir/Patient", token).status, 200);
    EXPECT_EQ(server.stop(), 0) << server.output();
    EXPECT_EQ(run({"account", "list"}, &said), 0);
    EXPECT_EQ(server.output().find(token), std::string::npos) << "no secret in a log";
}

TEST_F(Accounts, SeeWhatTheirRoleMay) {
    ServerProcess server(folder_, {}, Trust::on);
    ASSERT_TRUE(server.is_running()) << server.output();
    ASSERT_EQ(put(server, "/fhir/Practitioner/d", R"({"resourceType":"Practitioner","id":"d"})"),
              201);
    for (const char* id : {"a", "b"}) {
        ASSERT_EQ(put(server, fmt::format("/fhir/Patient/{}", id),
                      fmt::format(R"({{"resourceType":"Patient","id":"{}"}})", id)),
                  201);
    }
    ASSERT_EQ(put(server, "/fhir/CareTeam/t",
                  R"({"resourceType":"CareTeam","id":"t","status":"active","subject":{"reference":)"
                  R"("Patient/a"},"participant":[{"member":{"reference":"Practitioner/d"}}]})"),
              201);
    const std::string doctor =
        token_for(folder_, "doctor", "d", {"--practitioner", "Practitioner/d"});
    const std::string patient = token_for(folder_, "patient", "b", {"--patient", "Patient/b"});
    const std::string admin = token_for(folder_, "system-admin", "s");
    EXPECT_EQ(total(server, "Patient?_id=a,b", server.token()), 2);
    EXPECT_EQ(total(server, "Patient?_id=a,b", doctor), 1);
    EXPECT_EQ(ask(server, "/fhir/Patient/a", doctor).status, 200);
    EXPECT_EQ(ask(server, "/fhir/Patient/b", doctor).status, 404);
    EXPECT_EQ(ask(server, "/fhir/Patient/none", doctor).status, 404);
    EXPECT_EQ(total(server, "Patient?_id=a,b", patient), 1);
    EXPECT_EQ(ask(server, "/fhir/Patient/b", patient).status, 200);
    EXPECT_EQ(ask(server, "/fhir/Patient/a", patient).status, 404);
    EXPECT_NE(ask(server, "/fhir/Patient/a", admin).status, 200);

    // The doctor's access to nobody else's record stands in the audit of the one that was read.
    const auto seen = ask(server, "/fhir/AuditEvent?patient=a&action=R", server.token());
    EXPECT_NE(seen.body.find("Practitioner/d"), std::string::npos) << seen.body.substr(0, 400);

    // The care team is left: the next request knows.
    ASSERT_EQ(put(server, "/fhir/CareTeam/t",
                  R"({"resourceType":"CareTeam","id":"t","status":"inactive","subject":)"
                  R"({"reference":"Patient/a"},"participant":[{"member":{"reference":)"
                  R"("Practitioner/d"}}]})"),
              200);
    EXPECT_EQ(ask(server, "/fhir/Patient/a", doctor).status, 404);
    EXPECT_EQ(server.stop(), 0) << server.output();
}

TEST_F(Accounts, AFolderWithoutTheKeysOfItsStoreIsNotServed) {
    {
        ServerProcess server(folder_, {}, Trust::on);
        ASSERT_TRUE(server.is_running()) << server.output();
        EXPECT_EQ(server.stop(), 0);
    }
    std::filesystem::rename(folder_ + "/keys", folder_ + "/elsewhere");
    std::string said;
    Words serve{"serve", "--listen", "127.0.0.1:0"};
    EXPECT_NE(run(serve, &said), 0);
    EXPECT_NE(said.find("keys/master.key"), std::string::npos) << said;
    EXPECT_FALSE(std::filesystem::exists(folder_ + "/keys/master.key")) << "no new key is made";
    EXPECT_EQ(run({"serve", "--unprotected", "--listen", "0.0.0.0:0"}, &said), 1);
    std::filesystem::remove_all(folder_ + "/keys");
    std::filesystem::rename(folder_ + "/elsewhere", folder_ + "/keys");
    ServerProcess server(folder_, {}, Trust::on);
    EXPECT_TRUE(server.is_running()) << server.output();
}

/// A browser as far as forms need one: it keeps cookies.
class Browser {
 public:
    explicit Browser(const ServerProcess& server) : at_(server.base_url()) {}
    net::ClientAnswer get(const std::string& path) { return send(net::Method::get, path, ""); }
    /// Posts `form` with the token of the page that was seen last.
    net::ClientAnswer post(const std::string& path, const std::string& form) {
        return send(net::Method::post, path, form + "&csrf=" + percent_encode(token_));
    }

 private:
    net::ClientAnswer send(net::Method method, const std::string& path, const std::string& body) {
        net::ClientRequest request{.method = method, .url = at_ + path, .body = body};
        std::string cookies;
        for (const auto& [name, value] : cookies_) cookies += name + "=" + value + "; ";
        if (!cookies.empty()) request.headers.add("Cookie", cookies.substr(0, cookies.size() - 2));
        if (method == net::Method::post)
            request.headers.add("Content-Type", "application/x-www-form-urlencoded");
        net::Client client;
        auto answer = client.send(request);
        if (!answer) return {};
        for (std::size_t i = 0; i < answer->headers.size(); ++i) {
            if (answer->headers[i].name != "Set-Cookie") continue;
            const std::string pair(
                answer->headers[i].value.substr(0, answer->headers[i].value.find(';')));
            cookies_[pair.substr(0, pair.find('='))] = pair.substr(pair.find('=') + 1);
        }
        constexpr std::string_view mark = R"(name="csrf" value=")";
        if (const std::size_t at = answer->body.find(mark); at != std::string::npos)
            token_ = answer->body.substr(
                at + mark.size(), answer->body.find('"', at + mark.size()) - at - mark.size());
        return *std::move(answer);
    }
    std::string at_, token_;
    std::map<std::string, std::string> cookies_;
};

TEST_F(Accounts, APersonChoosesAPasswordSignsInAndOut) {
    const std::string list = folder_ + "-refused.txt";
    std::ofstream(list) << "St Anne of the Harbour\n";
    ServerProcess server(folder_, {"--refused-passwords", list}, Trust::on);
    ASSERT_TRUE(server.is_running()) << server.output();
    std::string said;
    ASSERT_EQ(run({"account", "add", "nora", "--role", "nurse"}, &said), 0) << said;
    const std::size_t at = said.find("/setup/account?name=nora&key=");
    ASSERT_NE(at, std::string::npos) << said;
    const std::string link = said.substr(at, said.find_first_of(" \n", at) - at);
    const std::string key = link.substr(link.rfind('=') + 1);

    Browser browser(server);
    EXPECT_EQ(browser.get(link).status, 200);
    const std::string form = "name=nora&key=" + key + "&password=";
    const auto refused = browser.post("/setup/account", form + "st+anne+of+the+harbour");
    EXPECT_EQ(refused.status, 400);
    EXPECT_NE(refused.body.find("attackers try it first"), std::string::npos);
    EXPECT_EQ(browser.post("/setup/account", form + "nine+lanterns+on+ice").status, 303);
    EXPECT_EQ(browser.get(link).status, 403) << "once";
    EXPECT_EQ(browser.get("/sign-in").status, 200);
    EXPECT_EQ(browser.post("/sign-in", "name=nora&password=nine+lanterns+on+ice").status, 303);
    const auto start = browser.get("/");
    EXPECT_EQ(start.status, 200);
    EXPECT_NE(start.body.find(R"(action="/sign-out")"), std::string::npos);
    EXPECT_EQ(browser.post("/sign-out", "").status, 303);
    EXPECT_EQ(browser.get("/").status, 303);

    // The commands of who owns the machine.
    EXPECT_EQ(run({"account", "reset", "nora"}, &said), 0) << said;
    EXPECT_NE(said.find("/setup/account?name=nora&key="), std::string::npos) << said;
    EXPECT_EQ(run({"account", "unlock", "nora"}, &said), 0) << said;
    EXPECT_EQ(run({"account", "sign-out", "nora"}, &said), 0) << said;
    EXPECT_NE(run({"account", "reset", "tester"}, &said), 0) << "a system has no password";
    EXPECT_NE(run({"account", "unlock", "nobody"}, &said), 0);
    EXPECT_EQ(run({"account", "add", "boss", "--role", "security-admin"}, &said), 0) << said;
    EXPECT_NE(run({"account", "disable", "boss"}, &said), 0);
    EXPECT_NE(said.find("last security administrator"), std::string::npos) << said;
    EXPECT_NE(ask(server, "/fhir/AuditEvent?subtype=110129", server.token())
                  .body.find(base64_encode("account.unlocked")),
              std::string::npos)
        << "commands are audited too";
    EXPECT_EQ(server.stop(), 0);
    EXPECT_EQ(server.output().find(key), std::string::npos) << "no secret in a log";
    std::filesystem::remove(list);
}

TEST_F(Accounts, AnAppGetsATokenByItsSecretOnly) {
    ServerProcess server(folder_, {}, Trust::on);
    ASSERT_TRUE(server.is_running()) << server.output();
    std::string said;
    ASSERT_EQ(run({"client", "add", "An app", "--id", "app", "--secret", "--redirect",
                   "https://app.example/back", "--scope", "launch/patient patient/*.rs openid"},
                  &said),
              0)
        << said;
    EXPECT_NE(said.find("client_secret"), std::string::npos) << said;
    EXPECT_EQ(run({"client", "list"}, &said), 0);
    EXPECT_NE(said.find("An app"), std::string::npos) << said;
    EXPECT_NE(run({"client", "add", "Bad", "--redirect", "http://app.example/back"}, &said), 0);
    for (const char* path :
         {"/.well-known/smart-configuration", "/fhir/.well-known/smart-configuration",
          "/.well-known/openid-configuration", "/oauth/jwks", "/log/checkpoint", "/fhir/metadata"})
        EXPECT_EQ(ask(server, path, "").status, 200) << path;
    EXPECT_NE(ask(server, "/fhir/metadata", "").body.find("SMART-on-FHIR"), std::string::npos);
    net::Client client;
    net::ClientRequest request{.method = net::Method::post,
                               .url = server.base_url() + "/oauth/token"};
    request.headers.add("Content-Type", "application/x-www-form-urlencoded");
    request.body = "grant_type=authorization_code&code=guessed&client_id=app";
    const auto answer = client.send(request);
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->status, 401) << answer->body;
    EXPECT_EQ(run({"client", "remove", "app"}), 0);
}

}  // namespace
}  // namespace meridian::tests

// SPDX-License-Identifier: Apache-2.0
// What a real server keeps to itself: secrets and people's data stay out of its log, its folder and
// its inside out of its answers. docs/asvs.csv names these tests.
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <thread>

#include "base/hash.hpp"
#include "base/json.hpp"
#include "base/query_string.hpp"
#include "net/client.hpp"
#include "net/testing/raw_client.hpp"
#include "tests/server_process.hpp"

namespace meridian::tests {
namespace {

constexpr std::string_view doctors_password = "herbstlaub treibt flussabwaerts";
constexpr std::string_view administrators_password = "zwoelf reiher am kalten see";

std::string content_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// A browser without pages: it keeps cookies, and sends a form with the token of the last page.
class Browser {
 public:
    explicit Browser(const ServerProcess& server) : base_(server.base_url()) {}

    net::ClientAnswer get(const std::string& path) {
        return send({.method = net::Method::get, .url = base_ + path});
    }
    net::ClientAnswer post(const std::string& path, net::Parameters form) {
        form.emplace_back("csrf", token_);
        net::ClientRequest request{.method = net::Method::post, .url = base_ + path};
        request.headers.add("Content-Type", "application/x-www-form-urlencoded");
        request.body = query_string(form);
        return send(std::move(request));
    }
    net::ClientAnswer sign_in(std::string_view name, std::string_view password) {
        get("/sign-in");
        return post(
            "/sign-in",
            {{"name", std::string(name)}, {"password", std::string(password)}, {"return_to", "/"}});
    }
    const std::map<std::string, std::string>& cookies() const { return jar_; }
    void set_cookie(const std::string& name, const std::string& value) { jar_[name] = value; }
    const std::string& form_token() const { return token_; }

 private:
    net::ClientAnswer send(net::ClientRequest request) {
        std::string cookies;
        for (const auto& [name, value] : jar_)
            cookies += fmt::format("{}{}={}", cookies.empty() ? "" : "; ", name, value);
        if (!cookies.empty()) request.headers.add("Cookie", cookies);
        auto answer = client_.send(request);
        if (!answer) return {};
        for (std::size_t i = 0; i < answer->headers.size(); ++i) {
            if (answer->headers[i].name != "Set-Cookie" && answer->headers[i].name != "set-cookie")
                continue;
            const std::string_view text = answer->headers[i].value;
            const std::string_view pair = text.substr(0, text.find(';'));
            const std::size_t equals = pair.find('=');
            jar_[std::string(pair.substr(0, equals))] = pair.substr(equals + 1);
            if (equals + 1 == pair.size()) jar_.erase(std::string(pair.substr(0, equals)));
        }
        constexpr std::string_view mark = "<meta name=\"csrf\" content=\"";
        if (const std::size_t at = answer->body.find(mark); at != std::string::npos) {
            const std::size_t begin = at + mark.size();
            token_ = answer->body.substr(begin, answer->body.find('"', begin) - begin);
        }
        return *std::move(answer);
    }

    std::string base_, token_;
    std::map<std::string, std::string> jar_;
    net::Client client_;
};

class SecurityOfAServer : public ::testing::Test {
 protected:
    ~SecurityOfAServer() override { std::filesystem::remove_all(folder_); }

    /// An account with a password, as a script on the host makes it.
    void make_doctor(const std::string& name, std::string_view password) {
        std::string words = fmt::format("'{}' account add '{}' --role doctor --password-stdin",
                                        MERIDIAN_PROGRAM, name);
        for (const std::string& word : place_of(folder_)) words += " '" + word + "'";
        std::FILE* pipe = ::popen((words + " >/dev/null").c_str(), "w");
        ASSERT_NE(pipe, nullptr);
        std::fwrite(password.data(), 1, password.size(), pipe);
        std::fputc('\n', pipe);
        EXPECT_EQ(::pclose(pipe), 0);
    }
    net::ClientAnswer send(net::Method method, const std::string& url, std::string body = {},
                           const net::Parameters& headers = {}) {
        net::ClientRequest request{.method = method, .url = url, .body = std::move(body)};
        for (const auto& [name, value] : headers) request.headers.add(name, value);
        auto answer = client_.send(request);
        return answer ? *std::move(answer) : net::ClientAnswer{};
    }

    const std::string folder_ = make_temporary_folder();
    net::Client client_;
};

/// What must stand in no log, by what it is.
using Secrets = std::multimap<std::string, std::string>;

/// Every text as it could be written: plain, in an address, in JSON of a log line.
void expect_none_of(const Secrets& secrets, std::string_view text, std::string_view where) {
    for (const auto& [what, secret] : secrets) {
        ASSERT_GE(secret.size(), 6u) << what;
        for (const std::string& form : {secret, percent_encode(secret), base64_encode(secret)})
            EXPECT_EQ(text.find(form), std::string_view::npos) << what << " stands in " << where;
    }
}

TEST_F(SecurityOfAServer, NoSecretAndNobodysDataReachesALog) {
    ServerProcess server(folder_, {}, Trust::on);
    ASSERT_TRUE(server.is_running()) << server.output();
    Secrets secrets{{"the doctor's password", std::string(doctors_password)},
                    {"the administrator's password", std::string(administrators_password)},
                    {"a wrong password", "kein mensch weiss das hier"},
                    {"the name", "司马"},
                    {"the given name", "Quetzalina"},
                    {"the identifier", "330106196403110927"},
                    {"the telephone", "13857190443"},
                    {"a narrative", "Bronchialkarzinom links"},
                    {"a bearer token", server.token()}};
    for (const auto& file : std::filesystem::directory_iterator(folder_ + "/keys")) {
        std::string key = content_of(file.path().string());
        while (key.ends_with('\n')) key.pop_back();
        if (file.path().extension() == ".key")
            secrets.emplace(file.path().filename().string(),
                            key.substr(key.size() - std::min<std::size_t>(key.size(), 40)));
    }
    EXPECT_GE(secrets.count("master.key") + secrets.count("kek-1.key"), 2u);

    // Set-up: the link is shown once, on standard output, to who started the server.
    const std::string begun = server.output();
    const std::size_t link = begun.find("/setup?key=");
    ASSERT_NE(link, std::string::npos) << begun;
    const std::string key = begun.substr(link + 11, begun.find('\n', link) - link - 11);
    secrets.emplace("the set-up key", key);
    Browser administrator(server);
    EXPECT_EQ(administrator.get("/setup?key=" + key).status, 200);
    administrator.post("/setup", {{"key", key},
                                  {"display_name", "A"},
                                  {"name", "first.admin"},
                                  {"password", std::string(administrators_password)}});
    administrator.get("/account");
    const auto codes = administrator.post("/account/codes", {});
    constexpr std::string_view mark = "secret=";
    if (const std::size_t at = codes.body.find(mark); at != std::string::npos)
        secrets.emplace("the seed of one-time codes",
                        codes.body.substr(at + mark.size(),
                                          codes.body.find_first_of("&\"", at) - at - mark.size()));
    EXPECT_EQ(secrets.count("the seed of one-time codes"), 1u) << codes.status;

    // Sign-in: wrong, right, with an altered cookie, forged.
    make_doctor("dr.lu", doctors_password);
    Browser doctor(server);
    EXPECT_EQ(doctor.sign_in("dr.lu", "kein mensch weiss das hier").status, 403);
    EXPECT_EQ(doctor.sign_in("kein mensch weiss das hier", "dr.lu").status, 403);
    EXPECT_EQ(doctor.sign_in("dr.lu", doctors_password).status, 303);
    EXPECT_EQ(doctor.get("/account").status, 200);
    for (const Browser* browser : {&administrator, &doctor}) {
        for (const auto& [name, value] : browser->cookies())
            if (value.size() > 10) secrets.emplace("the cookie " + name, value);
    }
    EXPECT_GE(secrets.count("the cookie __Host-meridian"), 2u);
    secrets.emplace("the token of a form", doctor.form_token());
    Browser thief(server);
    for (const auto& [name, value] : doctor.cookies()) thief.set_cookie(name, value + "x");
    thief.get("/account");
    thief.post("/account/password", {{"current", std::string(doctors_password)}, {"new", "x"}});

    // Tokens and apps: in a header, in an address, altered; the secret of a client, right and
    // wrong.
    const std::string fhir = server.base_url() + "/fhir";
    const net::Parameters entry{{"Authorization", "Bearer " + server.token()},
                                {"Content-Type", "application/fhir+json"}};
    EXPECT_EQ(send(net::Method::get, fhir + "/Patient?access_token=" + server.token()).status, 401);
    EXPECT_EQ(send(net::Method::get, fhir + "/Patient", {},
                   {{"Authorization", "Bearer " + server.token() + "x"}})
                  .status,
              401);
    std::vector<std::string> words{"client",  "add",      "An app",     "--id",
                                   "app",     "--secret", "--redirect", "https://app.example/back",
                                   "--scope", "openid"};
    for (const std::string& word : place_of(folder_)) words.push_back(word);
    std::string said;
    ASSERT_EQ(run_program(words, &said), 0) << said;
    const std::size_t at = said.find_first_not_of(" :\"=", said.find("client_secret") + 13);
    const std::string secret = said.substr(at, said.find_first_of(" \n\"", at) - at);
    ASSERT_GE(secret.size(), 20u) << said;
    secrets.emplace("a client's secret", secret);
    for (const std::string& one : {secret, secret + "wrong"}) {
        send(net::Method::post, server.base_url() + "/oauth/token",
             "grant_type=authorization_code&code=a-guessed-code&client_id=app&client_secret=" + one,
             {{"Content-Type", "application/x-www-form-urlencoded"}});
        send(net::Method::post, server.base_url() + "/oauth/token",
             "grant_type=refresh_token&refresh_token=a-guessed-token",
             {{"Content-Type", "application/x-www-form-urlencoded"},
              {"Authorization", "Basic " + base64_encode("app:" + one)}});
    }
    secrets.emplace("a guessed code", "a-guessed-code");
    secrets.emplace("a guessed token", "a-guessed-token");

    // The record: what is stored, what is asked, and every way of getting it wrong.
    const std::string patient =
        R"({"resourceType":"Patient","id":"p","name":[{"family":"司马","given":["Quetzalina"]}],)"
        R"("identifier":[{"system":"urn:id","value":"330106196403110927"}],)"
        R"("telecom":[{"system":"phone","value":"13857190443"}]})";
    EXPECT_EQ(send(net::Method::put, fhir + "/Patient/p", patient, entry).status, 201);
    EXPECT_EQ(send(net::Method::put, fhir + "/Observation/o",
                   R"({"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},)"
                   R"("valueString":"Bronchialkarzinom links"})",
                   entry)
                  .status,
              201);
    const std::string name = percent_encode("司马");
    EXPECT_EQ(send(net::Method::get, fhir + "/Patient?name=" + name, {}, entry).status, 200);
    EXPECT_EQ(
        send(net::Method::get, fhir + "/Patient?identifier=330106196403110927", {}, entry).status,
        200);
    send(net::Method::get, fhir + "/Patient?phone=13857190443&no-such=Quetzalina", {}, entry);
    send(net::Method::get, fhir + "/Patient?birthdate=Quetzalina", {}, entry);
    send(net::Method::get, fhir + "/Patient/Quetzalina", {}, entry);
    send(net::Method::get, server.base_url() + "/browse/Quetzalina?q=13857190443", {}, entry);
    send(net::Method::post, fhir + "/Patient", patient.substr(0, patient.size() - 3), entry);
    send(net::Method::post, fhir + "/Patient",
         R"({"resourceType":"Patient","gender":"Quetzalina","birthDate":"13857190443"})", entry);
    send(net::Method::post, fhir + "/Patient/$validate", patient, entry);
    send(net::Method::post, fhir,
         R"({"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET",)"
         R"("url":"Patient?name=Quetzalina&bad=13857190443"}}]})",
         entry);
    send(net::Method::post, fhir + "/Patient/_search", "name=" + name + "&phone=13857190443",
         {{"Authorization", "Bearer " + server.token()},
          {"Content-Type", "application/x-www-form-urlencoded"}});
    send(net::Method::post, fhir + "/Subscription",
         R"({"resourceType":"Subscription","status":"requested","reason":"Quetzalina","criteria":)"
         R"("Patient?name=Quetzalina","channel":{"type":"rest-hook","endpoint":)"
         R"("http://127.0.0.1:1/Quetzalina"}})",
         entry);
    net::testing::RawClient raw(server.port());
    raw.send(
        "GET /fhir/Patient?name=Quetzalina HTTP/1.1\r\nHost: h\r\nBad Header: 13857190443\r\n\r\n");
    raw.answer();
    ::kill(server.process(), SIGHUP);
    const auto figures = send(net::Method::get, server.base_url() + "/metrics");
    EXPECT_EQ(figures.status, 200);
    expect_none_of(secrets, figures.body, "/metrics");
    EXPECT_EQ(server.stop(), 0);

    std::string output = server.output();
    EXPECT_NE(output.find("\"message\":\"stopping\""), std::string::npos) << "that is the log";
    // The one line that shows the link, as the first start is to; its second place would be a log.
    const std::size_t line = output.rfind('\n', output.find("/setup?key=")) + 1;
    output.erase(line, output.find('\n', line) + 1 - line);
    expect_none_of(secrets, output, "the server's output");
}

TEST_F(SecurityOfAServer, ItsFolderIsNotServed) {
    ServerProcess server(folder_, {}, Trust::on);
    ASSERT_TRUE(server.is_running()) << server.output();
    constexpr std::string_view mark = "marked-content-of-a-file";
    for (const char* name : {"/.git/HEAD", "/.svn/entries", "/docs/x.md", "/exports/x.ndjson"}) {
        std::filesystem::create_directories(std::filesystem::path(folder_ + name).parent_path());
        std::ofstream(folder_ + name) << mark;
    }
    const std::string master = content_of(folder_ + "/keys/master.key").substr(0, 64);
    for (const std::string& token : {std::string(), server.token()}) {
        for (const char* path :
             {"/.git/HEAD", "/.git/", "/.svn/entries", "/record.db", "/keys/master.key", "/keys/",
              "/blobs/", "/exports/", "/exports/x.ndjson", "/server.log", "/docs/x.md",
              "/docs/..%2fkeys%2fmaster.key", "/docs/%2e%2e/keys/master.key", "/log/", "/log/tile/",
              "/log/tile/0/", "/sign-in/", "/fhir/.git/HEAD", "/fhir/..%2f..%2frecord.db"}) {
            const auto answer =
                send(net::Method::get, server.base_url() + path, {},
                     token.empty() ? net::Parameters{}
                                   : net::Parameters{{"Authorization", "Bearer " + token}});
            EXPECT_TRUE(answer.status == 303 || (answer.status >= 400 && answer.status < 500))
                << path << " " << answer.status;
            EXPECT_EQ(answer.body.find(mark), std::string::npos) << path;
            EXPECT_EQ(answer.body.find(master), std::string::npos) << path;
            EXPECT_EQ(answer.body.find("SQLite format"), std::string::npos) << path;
        }
    }
    // A page of documents lists the program's own, not the folder's.
    EXPECT_EQ(send(net::Method::get, server.base_url() + "/docs").body.find("x.md"),
              std::string::npos);
}

TEST_F(SecurityOfAServer, NobodyIsShownTheirOwnRequest) {
    ServerProcess server(folder_, {}, Trust::on);
    ASSERT_TRUE(server.is_running()) << server.output();
    for (const char* path : {"/", "/fhir", "/fhir/Patient", "/sign-in", "/oauth/token", "/metrics",
                             "/healthz", "/readyz"}) {
        for (const char* method : {"TRACE", "TRACK", "DEBUG"}) {
            net::testing::RawClient client(server.port());
            client.send(
                fmt::format("{} {} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\nX-Own: "
                            "shown-again\r\n\r\n",
                            method, path, server.token()));
            const auto answer = client.answer();
            EXPECT_TRUE(answer.status >= 300 && answer.status < 502) << path << answer.status;
            EXPECT_NE(answer.status, 200) << method << " " << path;
            EXPECT_EQ(answer.body.find("shown-again"), std::string::npos) << method << " " << path;
            EXPECT_EQ(answer.body.find(server.token()), std::string::npos);
        }
    }
}

TEST_F(SecurityOfAServer, FiguresAreForThisMachine) {
    ServerProcess server(folder_, {"--behind-proxy", "127.0.0.1"}, Trust::on);
    ASSERT_TRUE(server.is_running()) << server.output();
    const auto from = [&](const std::string& path, const std::string& address) {
        return send(net::Method::get, server.base_url() + path, {},
                    address.empty() ? net::Parameters{}
                                    : net::Parameters{{"X-Forwarded-For", address},
                                                      {"X-Forwarded-Proto", "https"}});
    };
    EXPECT_EQ(from("/metrics", "").status, 200);
    EXPECT_NE(from("/readyz", "").body.find("position"), std::string::npos);
    const auto figures = from("/metrics", "192.0.2.7");
    EXPECT_NE(figures.status, 200);
    EXPECT_EQ(figures.body.find("meridian_http"), std::string::npos);
    EXPECT_EQ(from("/readyz", "192.0.2.7").body, "ready\n");
    EXPECT_EQ(from("/healthz", "192.0.2.7").body, "ok\n");
}

TEST_F(SecurityOfAServer, NothingForTestsOrDemonstrationsIsThere) {
    ServerProcess server(folder_, {}, Trust::on);
    ASSERT_TRUE(server.is_running()) << server.output();
    std::vector<std::string> words{"account", "list"};
    for (const std::string& word : place_of(folder_)) words.push_back(word);
    std::string said;
    EXPECT_EQ(run_program(words, &said), 0);
    EXPECT_EQ(said.find("demo."), std::string::npos) << said;
    Browser browser(server);
    EXPECT_EQ(browser.sign_in("demo.doctor", "only-a-demo-doctor").status, 403);
    for (const char* path :
         {"/test/later?seconds=1", "/test", "/debug", "/debug/pprof/", "/console", "/swagger",
          "/openapi.json", "/actuator", "/accounts", "/tokens"}) {
        const auto answer = send(net::Method::get, server.base_url() + path, {},
                                 {{"Authorization", "Bearer " + server.token()}});
        EXPECT_TRUE(answer.status == 303 || answer.status == 404) << path << " " << answer.status;
    }
    // Without sign-in nobody but this machine is served.
    EXPECT_EQ(run_program(
                  {"serve", "--unprotected", "--data", folder_ + "/other", "--listen", "0.0.0.0:0"},
                  &said),
              1);
    EXPECT_NE(said.find("--unprotected"), std::string::npos) << said;
}

TEST_F(SecurityOfAServer, EverybodyMayBeAskedForASecondFactor) {
    for (const bool is_asked : {false, true}) {
        std::vector<std::string> options;
        if (is_asked) options.emplace_back("--second-factor-for-all");
        ServerProcess server(folder_, options, Trust::on);
        ASSERT_TRUE(server.is_running()) << server.output();
        if (!is_asked) make_doctor("dr.lu", doctors_password);
        Browser doctor(server);
        const auto entered = doctor.sign_in("dr.lu", doctors_password);
        EXPECT_EQ(entered.status, 303);
        EXPECT_EQ(entered.headers.get("Location"), is_asked ? "/account" : "/");
        EXPECT_EQ(doctor.get("/fhir/Patient").status, is_asked ? 401 : 200);
        EXPECT_EQ(doctor.get("/account").status, 200) << "where it is set up";
        EXPECT_EQ(server.stop(), 0) << server.output();
    }
}

TEST_F(SecurityOfAServer, ItsHostIsLookedAtByTheDoctor) {
    std::string said;
    EXPECT_EQ(run_program({"doctor", "--data", folder_ + "/none"}, &said), 2) << said;
    ServerProcess server(folder_, {}, Trust::on);
    ASSERT_TRUE(server.is_running()) << server.output();
    std::vector<std::string> words{"doctor", "--json"};
    for (const std::string& word : place_of(folder_)) words.push_back(word);
    const int code = run_program(words, &said);
    const auto document =
        JsonDocument::parse(said.substr(std::min(said.find("{\"findings\""), said.size())));
    ASSERT_TRUE(document) << said;
    std::map<std::string, std::string> judged;
    bool is_ill = false;
    for (const Json& finding : document->root()["findings"].items()) {
        judged[std::string(finding.string_at("about"))] = finding.string_at("judgement");
        is_ill = is_ill || finding.string_at("judgement") == "mend";
        EXPECT_FALSE(finding.string_at("sentence").empty());
    }
    EXPECT_EQ(code, is_ill ? 1 : 0) << said;
    EXPECT_EQ(judged["rights"], "good") << said;
    EXPECT_EQ(judged["core-dumps"], "good") << said;
    EXPECT_EQ(judged["store"], "good") << said;
    EXPECT_EQ(judged["listening"], "good") << said;
    EXPECT_EQ(judged["place-of-keys"], "advice") << said;
    for (const char* thing : {"disk-encryption", "swap", "clock", "free-space", "checkpoint"})
        EXPECT_EQ(judged.count(thing), 1u) << thing;
    std::filesystem::permissions(folder_, std::filesystem::perms(0755));
    EXPECT_EQ(run_program(words, &said), 1);
    EXPECT_NE(said.find("chmod 700"), std::string::npos) << said;
}

TEST_F(SecurityOfAServer, WhatItHoldsAndWritesIsForItsUserAlone) {
    ServerProcess server(folder_, {}, Trust::on);
    ASSERT_TRUE(server.is_running()) << server.output();
    const std::string process = fmt::format("/proc/{}/", static_cast<int>(server.process()));
    EXPECT_NE(content_of(process + "status").find("Umask:\t0077"), std::string::npos);
    const std::string limits = content_of(process + "limits");
    const std::size_t cores = limits.find("Max core file size");
    ASSERT_NE(cores, std::string::npos);
    const std::size_t soft = limits.find_first_not_of(' ', cores + 18);
    EXPECT_EQ(limits.substr(soft, 2), "0 ") << "no memory goes into a file";
}

TEST_F(SecurityOfAServer, WhatACommandMakesIsForItsUserAlone) {
    const std::string made = folder_ + "/made";
    std::string said;
    ASSERT_EQ(run_program({"generate", "--patients", "1", "--out", made + "/region"}, &said), 0)
        << said;
    ASSERT_EQ(run_program({"import", made + "/region", "--data", made + "/record"}, &said), 0)
        << said;
    std::size_t files = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(made)) {
        const auto rights = entry.status().permissions();
        EXPECT_EQ(rights & std::filesystem::perms(0077), std::filesystem::perms::none)
            << entry.path();
        files += entry.is_regular_file();
    }
    EXPECT_GT(files, 1u);
}

}  // namespace
}  // namespace meridian::tests

// SPDX-License-Identifier: Apache-2.0
// Bulk data between two real programs: what one exports, the other fetches and loads, also when it
// is killed in the middle.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "base/json.hpp"
#include "net/client.hpp"
#include "tests/server_process.hpp"

namespace meridian::tests {
namespace {

constexpr auto patience = std::chrono::seconds(180);

struct Reply {
    int status = 0;
    std::string body;
    std::string location;
    std::string progress;
};

Reply call(net::Method method, const std::string& url, const std::string& body = {}) {
    net::Client client;
    net::ClientRequest request;
    request.method = method;
    request.url = url;
    request.body = body;
    request.headers.add("Prefer", "respond-async");
    if (!body.empty()) request.headers.add("Content-Type", "application/json");
    const auto answer = client.send(request);
    if (!answer) return {0, answer.error().message, {}, {}};
    return {answer->status, answer->body, std::string(answer->headers.get("Content-Location")),
            std::string(answer->headers.get("X-Progress"))};
}

/// Asks until the answer is no 202 any more.
Reply wait(const std::string& url) {
    const auto end = std::chrono::steady_clock::now() + patience;
    Reply reply = call(net::Method::get, url);
    while (reply.status == 202 && std::chrono::steady_clock::now() < end) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        reply = call(net::Method::get, url);
    }
    EXPECT_EQ(reply.status, 200) << reply.body;
    return reply;
}

std::int64_t total_at(const std::string& url) {
    const Reply reply = call(net::Method::get, url);
    const auto document = JsonDocument::parse(reply.body);
    EXPECT_TRUE(document) << url;
    return document ? std::stoll(std::string(document->root()["total"].text())) : -1;
}

/// Server A holds a small region and has exported it; B is empty and may fetch from A.
class BulkTest : public ::testing::Test {
 protected:
    void SetUp() override {
        folder_ = make_temporary_folder();
        std::string output;
        ASSERT_EQ(run_program({"generate", "--patients", "12", "--data", folder_ + "/a"}, &output),
                  0)
            << output;
        a_ = std::make_unique<ServerProcess>(folder_ + "/a");
        ASSERT_TRUE(a_->is_running()) << a_->output();
        manifest_url_ = call(net::Method::get, a_->base_url() + "/fhir/$export").location;
        manifest_ = wait(manifest_url_).body;
        std::filesystem::create_directories(folder_ + "/b");
        start_b();
    }
    void TearDown() override {
        b_.reset();
        a_.reset();
        std::filesystem::remove_all(folder_);
    }
    void start_b() {
        b_.reset();
        b_ = std::make_unique<ServerProcess>(
            folder_ + "/b", std::vector<std::string>{"--import.sources", a_->base_url() + "/fhir"});
        ASSERT_TRUE(b_->is_running()) << b_->output();
    }

    /// An $import of everything that A has exported; its id.
    std::string start_import() {
        const auto document = JsonDocument::parse(manifest_);
        std::string body =
            R"({"inputFormat":"application/fhir+ndjson","inputSource":"urn:test","input":[)";
        for (const Json& file : document->root()["output"].items()) {
            body += body.ends_with('[') ? "" : ",";
            body += fmt::format(R"({{"type":"{}","url":"{}"}})", file.string_at("type"),
                                file.string_at("url"));
        }
        const Reply reply = call(net::Method::post, b_->base_url() + "/fhir/$import", body + "]}");
        EXPECT_EQ(reply.status, 202) << reply.body;
        return reply.location.substr(reply.location.find("job="));
    }
    std::string status_url(const std::string& job) const {
        return fmt::format("{}/fhir/$import-status?{}", b_->base_url(), job);
    }

    void expect_same_counts() {
        const auto document = JsonDocument::parse(manifest_);
        std::int64_t all = 0;
        for (const Json& file : document->root()["output"].items()) {
            const std::int64_t count = std::stoll(std::string(file["count"].text()));
            EXPECT_EQ(total_at(fmt::format("{}/fhir/{}?_summary=count", b_->base_url(),
                                           file.string_at("type"))),
                      count)
                << file.string_at("type");
            all += count;
        }
        EXPECT_GT(all, 3'000);
        EXPECT_EQ(total_at(b_->base_url() + "/fhir/_history?_count=1"), all)
            << "some resource was written twice";
    }

    std::string folder_, manifest_url_, manifest_;
    std::unique_ptr<ServerProcess> a_, b_;
};

TEST_F(BulkTest, WhatOneServerExportsAnotherImports) {
    const std::string job = start_import();
    // The server answers and writes meanwhile.
    std::int64_t writes = 0;
    auto slowest = std::chrono::steady_clock::duration::zero();
    Reply reply = call(net::Method::get, status_url(job));
    while (reply.status == 202) {
        const auto begun = std::chrono::steady_clock::now();
        const Reply written = call(
            net::Method::put, b_->base_url() + "/fhir/Basic/meanwhile",
            fmt::format(R"({{"resourceType":"Basic","id":"meanwhile","code":{{"text":"{}"}}}})",
                        writes));
        EXPECT_LT(written.status, 300) << written.body;
        slowest = std::max(slowest, std::chrono::steady_clock::now() - begun);
        ++writes;
        reply = call(net::Method::get, status_url(job));
    }
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_NE(reply.body.find(R"("error":[])"), std::string::npos) << reply.body;
    RecordProperty("writes", std::to_string(writes));
    std::printf("%lld writes while importing, the slowest took %lld ms\n",
                static_cast<long long>(writes),
                static_cast<long long>(
                    std::chrono::duration_cast<std::chrono::milliseconds>(slowest).count()));
    EXPECT_EQ(call(net::Method::delete_, status_url(job)).status, 202);
    EXPECT_EQ(call(net::Method::get, status_url(job)).status, 404);
    const auto document = JsonDocument::parse(manifest_);
    for (const Json& file : document->root()["output"].items()) {
        EXPECT_EQ(std::to_string(total_at(fmt::format("{}/fhir/{}?_summary=count", b_->base_url(),
                                                      file.string_at("type")))),
                  file["count"].text());
    }
}

TEST_F(BulkTest, AKilledImportGoesOn) {
    const std::string job = start_import();
    for (int kills = 0; kills < 3; ++kills) {
        const std::string before = call(net::Method::get, status_url(job)).progress;
        const auto end = std::chrono::steady_clock::now() + patience;
        Reply reply;
        do {
            reply = call(net::Method::get, status_url(job));
        } while (reply.status == 202 && (reply.progress == before || reply.progress[0] == '0') &&
                 std::chrono::steady_clock::now() < end);
        b_->kill();
        start_b();
    }
    EXPECT_NE(wait(status_url(job)).body.find(R"("error":[])"), std::string::npos);
    expect_same_counts();
    EXPECT_EQ(b_->stop(), 0) << b_->output();
    std::string output;
    EXPECT_EQ(run_program({"check", "--data", folder_ + "/b"}, &output), 0) << output;
}

std::string submission(const std::string& more) {
    return R"({"resourceType":"Parameters","parameter":[{"name":"submitter","valueIdentifier":{"system":"urn:s","value":"a"}},)"
           R"({"name":"submissionId","valueString":"7"})" +
           more + "]}";
}

TEST_F(BulkTest, ASubmissionIsLoadedWhenItIsCompleted) {
    const std::string submit = b_->base_url() + "/fhir/$bulk-submit";
    const std::string part = R"(,{"name":")";
    const std::string wrong = a_->base_url() + "/fhir/$export-status?job=none";
    const std::string base = part + R"(fhirBaseUrl","valueUrl":")" + a_->base_url() + R"(/fhir"})";
    Reply reply = call(net::Method::post, submit,
                       submission(part + R"(manifestUrl","valueUrl":")" + wrong + R"("})" + base));
    ASSERT_EQ(reply.status, 200) << reply.body;
    reply = call(net::Method::post, submit,
                 submission(part + R"(manifestUrl","valueUrl":")" + manifest_url_ + R"("})" + base +
                            part + R"(replacesManifestUrl","valueUrl":")" + wrong + R"("})"));
    ASSERT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(total_at(b_->base_url() + "/fhir/Patient?_summary=count"), 0)
        << "loaded before it was completed";
    // A kill in between loses nothing of it.
    b_->kill();
    start_b();
    reply = call(net::Method::post, b_->base_url() + "/fhir/$bulk-submit",
                 submission(part + R"(submissionStatus","valueCoding":{"code":"completed"}})"));
    ASSERT_EQ(reply.status, 200) << reply.body;
    reply = call(net::Method::post, b_->base_url() + "/fhir/$bulk-submit-status", submission(""));
    ASSERT_EQ(reply.status, 202) << reply.body;
    const Reply done = wait(reply.location);
    const auto document = JsonDocument::parse(done.body);
    ASSERT_TRUE(document);
    EXPECT_EQ(document->root().string_at("submissionId"), "7");
    ASSERT_EQ(document->root()["outcome"].size(), 1u) << done.body;
    const Json& item = document->root()["outcome"].items()[0];
    EXPECT_EQ(item.string_at("manifestUrl"), manifest_url_);
    const Reply lines = call(net::Method::get, std::string(item.string_at("url")));
    EXPECT_EQ(lines.status, 200);
    EXPECT_NE(lines.body.find("resources taken over, 0 rejected"), std::string::npos) << lines.body;
    expect_same_counts();
}

TEST(ServeSettings, AFileSaysWhatTheCommandLineDoesNot) {
    const std::string folder = make_temporary_folder();
    std::ofstream(folder + "/settings.toml")
        << "listen = \"0.0.0.0:1\"\n[import]\nsources = [\"file://" << folder << "\"]\n";
    {
        // The command line's --listen comes before the file's, which the server would refuse.
        const ServerProcess server(folder, {"--config", folder + "/settings.toml"});
        ASSERT_TRUE(server.is_running()) << server.output();
        const std::string body =
            R"({"inputFormat":"ndjson","input":[{"type":"Basic","url":"file://)" + folder +
            R"(/server.log"}]})";
        EXPECT_EQ(call(net::Method::post, server.base_url() + "/fhir/$import", body).status, 202);
    }
    std::string output;
    std::ofstream(folder + "/settings.toml") << "listn = \"127.0.0.1:1\"\n";
    EXPECT_EQ(
        run_program({"serve", "--data", folder, "--config", folder + "/settings.toml"}, &output),
        1);
    EXPECT_NE(output.find("listn"), std::string::npos) << output;
    std::ofstream(folder + "/settings.toml") << "import.sources = [\"everything\"]\n";
    EXPECT_EQ(
        run_program({"serve", "--data", folder, "--config", folder + "/settings.toml"}, &output),
        1);
    EXPECT_NE(output.find("import.sources"), std::string::npos) << output;
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace meridian::tests

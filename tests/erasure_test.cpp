// SPDX-License-Identifier: Apache-2.0
// The erasure of a person, the rotation of keys and the sealing of what lies open, by commands
// beside a server that serves the folder.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/json.hpp"
#include "net/client.hpp"
#include "tests/server_process.hpp"

namespace meridian::tests {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

bool lies_in_folder() {
    return place_of("x").size() == 2;
}

/// Files below `folder` that hold `text`.
std::vector<std::string> files_with(const std::string& folder, const std::string& text) {
    std::vector<std::string> found;
    std::error_code none;  // a folder that is not there yet has no files
    for (const auto& entry : fs::recursive_directory_iterator(folder, none)) {
        if (!entry.is_regular_file()) continue;
        std::ifstream file(entry.path(), std::ios::binary);
        const std::string content((std::istreambuf_iterator<char>(file)), {});
        if (content.find(text) != std::string::npos) found.push_back(entry.path().string());
    }
    return found;
}

class KeysOfAServer : public ::testing::Test {
 protected:
    ~KeysOfAServer() override { fs::remove_all(folder_); }

    int run(Words words, std::string* output = nullptr) const {
        const Words place = place_of(folder_);
        words.insert(words.end(), place.begin(), place.end());
        return run_program(words, output);
    }
    /// `meridian erase` with what it needs to overrule the clocks.
    int erase(const std::string& whom, Words further = {}, std::string* output = nullptr) const {
        Words words{"erase",
                    whom,
                    "--reason",
                    "asked for it",
                    "--by",
                    "Practitioner/7",
                    "--override-retention",
                    "--approver",
                    "Practitioner/8",
                    "--approver",
                    "Practitioner/9"};
        words.insert(words.end(), further.begin(), further.end());
        return run(words, output);
    }
    static net::ClientAnswer send(const ServerProcess& server, net::Method method,
                                  const std::string& path, const std::string& body = {},
                                  const std::string& token = {}) {
        net::ClientRequest request{.method = method, .url = server.base_url() + "/fhir/" + path};
        const std::string& bearer = token.empty() ? server.token() : token;
        if (!bearer.empty()) request.headers.add("Authorization", "Bearer " + bearer);
        if (!body.empty()) request.headers.add("Content-Type", "application/fhir+json");
        request.headers.add("Prefer", "respond-async");
        request.body = body;
        net::Client client;
        auto answer = client.send(request);
        return answer ? *std::move(answer) : net::ClientAnswer{};
    }
    static net::ClientAnswer get(const ServerProcess& server, const std::string& path,
                                 const std::string& token = {}) {
        return send(server, net::Method::get, path, {}, token);
    }
    static int put(const ServerProcess& server, const std::string& path, const std::string& body) {
        return send(server, net::Method::put, path, body).status;
    }
    static std::int64_t total(const ServerProcess& server, const std::string& search) {
        const auto answer = get(server, search + "&_total=accurate");
        const auto document = JsonDocument::parse(answer.body);
        if (answer.status != 200 || !document) return -answer.status;
        return std::stoll(std::string(document->root()["total"].text()));
    }
    /// One person who is two patients, and another one; a document of each with two versions.
    static void fill(const ServerProcess& server) {
        for (const char* id : {"li-1", "li-2", "wang"}) {
            const bool stays = std::string_view(id) == "wang";
            ASSERT_EQ(put(server, fmt::format("Patient/{}", id),
                          fmt::format(R"({{"resourceType":"Patient","id":"{}","name":[{{"family":)"
                                      R"("{}"}}],"identifier":[{{"system":"urn:id","value":"{}"}}])"
                                      R"({}}})",
                                      id, stays ? "Stays" : "Zxqunmistakable",
                                      stays ? "330101198001010022" : "110101199003070011",
                                      std::string_view(id) == "li-2"
                                          ? R"(,"link":[{"other":{"reference":"Patient/li-1"},)"
                                            R"("type":"seealso"}])"
                                          : "")),
                      201);
            for (const int expected : {201, 200}) {
                ASSERT_EQ(
                    put(server, fmt::format("Observation/of-{}", id),
                        fmt::format(R"({{"resourceType":"Observation","id":"of-{}","status":)"
                                    R"("final","code":{{"text":"{}"}},"subject":{{"reference":)"
                                    R"("Patient/{}"}},"valueString":"{}"}})",
                                    id, expected, id, stays ? "Stays" : "Zxqunmistakable")),
                    expected);
            }
        }
        ASSERT_EQ(put(server, "Group/g",
                      R"({"resourceType":"Group","id":"g","type":"person","actual":true,"member":[)"
                      R"({"entity":{"reference":"Patient/li-1","display":"Zxqunmistakable"}},)"
                      R"({"entity":{"reference":"Patient/wang"}}]})"),
                  201);
    }

    std::string folder_ = make_temporary_folder();
    std::string elsewhere_ = folder_ + "-elsewhere";
};

TEST_F(KeysOfAServer, AnErasureIsRefusedWithTheReasonWhileItServes) {
    ServerProcess server(folder_, {}, Trust::on);
    ASSERT_TRUE(server.is_running()) << server.output();
    fill(server);
    std::string said;
    EXPECT_EQ(run({"erase", "Patient/li-1", "--reason", "asked for it"}, &said), 1);
    EXPECT_NE(said.find("has to be kept until"), std::string::npos) << said;
    EXPECT_EQ(run({"erase", "hold", "Patient/li-2", "--reason", "case 12 of the court"}, &said), 0)
        << said;
    EXPECT_EQ(run({"erase", "Patient/li-1", "--reason", "asked for it"}, &said), 1);
    EXPECT_NE(said.find("case 12 of the court"), std::string::npos) << said;
    EXPECT_EQ(run({"erase", "Patient/nobody", "--reason", "asked for it"}, &said), 1);
    EXPECT_NE(said.find("nothing of Patient/nobody"), std::string::npos) << said;
    EXPECT_EQ(run({"erase", "Patient/li-1", "--reason", "r", "--override-retention", "--approver",
                   "Practitioner/8", "--approver", "Practitioner/8"},
                  &said),
              1);
    EXPECT_NE(said.find("two different people"), std::string::npos) << said;
    EXPECT_EQ(get(server, "Patient/li-1").status, 200);
    EXPECT_NE(get(server, "AuditEvent?patient=li-1&outcome=8").body.find("ZXJhc3VyZQ=="),
              std::string::npos)
        << "that it was asked for and refused is in the audit";
    EXPECT_EQ(run({"erase", "release", "Patient/li-2"}, &said), 0) << said;
    EXPECT_EQ(run({"erase", "release", "Patient/li-2"}, &said), 1) << said;
    EXPECT_EQ(server.stop(), 0);
}

TEST_F(KeysOfAServer, APersonIsErasedWhileItServes) {
    ServerProcess server(folder_, {}, Trust::on);
    ASSERT_TRUE(server.is_running()) << server.output();
    fill(server);
    const std::string own = token_for(folder_, "patient", "li", {"--patient", "Patient/li-1"});
    ASSERT_EQ(get(server, "Patient/li-1", own).status, 200);
    // The person is in every cache, in an export and in the audit.
    ASSERT_EQ(total(server, "Patient?identifier=urn:id%7C110101199003070011"), 2);
    ASSERT_EQ(total(server, "Observation?subject:Patient.family=Zxqunmistakable"), 2);
    ASSERT_EQ(get(server, "$export?_type=Patient").status, 202);
    for (int i = 0; files_with(folder_ + "/exports", "Zxqunmistakable").empty(); ++i) {
        ASSERT_LT(i, 200);
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    const std::string backup = elsewhere_ + "/backup";
    fs::create_directories(elsewhere_);
    std::string said;
    ASSERT_EQ(run({"backup", backup}, &said), 0) << said;

    std::atomic<bool> is_over = false;
    std::atomic<int> strange = 0, reads = 0;
    std::vector<std::thread> readers;
    for (const char* path : {"Patient/li-1", "Patient/wang", "Observation/of-li-1/_history"}) {
        readers.emplace_back([&, path = std::string(path)] {
            while (!is_over) {
                const int status = get(server, path).status;
                const bool is_usual = status == 200 || (status == 410 && path == "Patient/li-1");
                if (!is_usual) ++strange;
                ++reads;
            }
        });
    }
    const std::string certificate = elsewhere_ + "/certificate.json";
    EXPECT_EQ(erase("Patient/li-1", {"--certificate", certificate}, &said), 0) << said;
    // From the moment that the command has ended:
    for (const char* path : {"Patient/li-1", "Patient/li-2", "Observation/of-li-1",
                             "Patient/li-1/_history/1", "Observation/of-li-2/_history/2"})
        EXPECT_EQ(get(server, path).status, 410) << path;
    for (const char* path : {"Patient/li-1/_history", "Observation/of-li-1/_history", "_history"})
        EXPECT_EQ(get(server, path).body.find("Zxqunmistakable"), std::string::npos) << path;
    EXPECT_EQ(total(server, "Patient?identifier=urn:id%7C110101199003070011"), 0);
    EXPECT_EQ(total(server, "Observation?subject:Patient.family=Zxqunmistakable"), 0);
    EXPECT_EQ(total(server, "Observation?subject=Patient/li-1"), 0);
    EXPECT_EQ(put(server, "Patient/li-1", R"({"resourceType":"Patient","id":"li-1"})"), 410);
    is_over = true;
    for (std::thread& reader : readers) reader.join();
    EXPECT_EQ(strange, 0) << "of " << reads;
    // Nobody else lost anything.
    EXPECT_EQ(get(server, "Patient/wang").status, 200);
    EXPECT_EQ(get(server, "Observation/of-wang/_history/1").status, 200);
    EXPECT_EQ(total(server, "Patient?identifier=urn:id%7C330101198001010022"), 1);
    const std::string group = get(server, "Group/g").body;
    EXPECT_NE(group.find("Patient/wang"), std::string::npos) << group;
    EXPECT_EQ(group.find("Patient/li-1"), std::string::npos) << group;
    // The person's account is closed; what is known of a token counts for half a second.
    std::this_thread::sleep_for(std::chrono::milliseconds(900));
    EXPECT_EQ(get(server, "Patient/li-1", own).status, 401);
    EXPECT_NE(get(server, "AuditEvent?patient=li-1").body.find("ZXJhc3VyZQ=="), std::string::npos);
    EXPECT_EQ(run_program({"erase", "verify", certificate, "--data", folder_}, &said), 0) << said;
    EXPECT_NE(said.find("the key of this record"), std::string::npos) << said;
    EXPECT_EQ(erase("Patient/li-1", {}, &said), 1) << said;
    if (lies_in_folder()) {
        for (const char* text : {"xqunmistakable", "110101199003070011"})
            EXPECT_TRUE(files_with(folder_, text).empty()) << files_with(folder_, text).front();
        EXPECT_FALSE(files_with(folder_, "Stays").empty()) << "the search itself finds things";
    }
    ASSERT_EQ(run({"keys", "export", elsewhere_ + "/keys"}, &said), 0) << said;
    EXPECT_EQ(server.stop(), 0);
    EXPECT_EQ(run({"audit", "verify"}, &said), 0) << said;
    EXPECT_EQ(run({"check"}, &said), 0) << said;

    // The backup is from before: the person is not in what is restored from it.
    const std::string restored = elsewhere_ + "/restored";
    fs::create_directories(restored);
    fs::copy(folder_ + "/keys", restored + "/keys");
    ASSERT_EQ(
        run_program({"restore", "--keys", elsewhere_ + "/keys", "--data", restored, backup}, &said),
        0)
        << said;
    EXPECT_TRUE(files_with(restored, "xqunmistakable").empty());
    ASSERT_EQ(run_program({"export", "--data", restored, "--out", elsewhere_ + "/out"}, &said), 0)
        << said;
    EXPECT_TRUE(files_with(elsewhere_ + "/out", "Zxqunmistakable").empty());
    EXPECT_FALSE(files_with(elsewhere_ + "/out", "Stays").empty());
    fs::remove_all(elsewhere_);
}

TEST_F(KeysOfAServer, ARotationGoesOnWhenTheServerIsKilledWhileOthersWrite) {
    if (!lies_in_folder()) GTEST_SKIP() << "beside a database the command rotates itself";
    constexpr int patients_before = 400;
    std::atomic<int> acknowledged = 0;
    std::string said;
    {
        ServerProcess server(folder_, {}, Trust::on);
        ASSERT_TRUE(server.is_running()) << server.output();
        const auto write = [&](int number) {
            return put(server, fmt::format("Patient/p{}", number),
                       fmt::format(R"({{"resourceType":"Patient","id":"p{}"}})", number)) == 201;
        };
        for (int i = 0; i < patients_before; ++i) ASSERT_TRUE(write(i));
        acknowledged = patients_before;
        std::thread writer([&] {
            while (write(acknowledged)) ++acknowledged;
        });
        ASSERT_EQ(run({"keys", "rotate"}, &said), 0) << said;
        EXPECT_NE(said.find("a server is at work"), std::string::npos) << said;
        for (int i = 0; i < 300; ++i) {
            ASSERT_EQ(run({"keys", "status"}, &said), 0) << said;
            if (said.find("key-encryption key 2") != std::string::npos) break;
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
        server.kill();
        writer.join();
    }
    EXPECT_GT(acknowledged.load(), patients_before);
    ServerProcess again(folder_, {}, Trust::on);
    ASSERT_TRUE(again.is_running()) << again.output();
    for (int i = 0; i < 600; ++i) {
        ASSERT_EQ(run({"keys", "status"}, &said), 0) << said;
        if (said.find("under way") == std::string::npos &&
            said.find("wait to be wrapped 0") != std::string::npos)
            break;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    EXPECT_NE(said.find("key-encryption key 2"), std::string::npos) << said;
    EXPECT_EQ(said.find("under way"), std::string::npos) << said;
    EXPECT_NE(said.find("wait to be wrapped 0\n"), std::string::npos) << said;
    fs::remove(folder_ + "/keys/kek-1.key");
    EXPECT_EQ(again.stop(), 0);
    ServerProcess with_new_key_only(folder_, {}, Trust::on);
    ASSERT_TRUE(with_new_key_only.is_running()) << with_new_key_only.output();
    for (int i = 0; i < acknowledged; ++i)
        ASSERT_EQ(get(with_new_key_only, fmt::format("Patient/p{}", i)).status, 200) << i;
}

TEST_F(KeysOfAServer, WhatLayOpenIsSealedWhileItServesAlsoWhenItIsKilled) {
    constexpr int patients = 600;
    {
        ServerProcess open(folder_, {}, Trust::off);
        ASSERT_TRUE(open.is_running()) << open.output();
        for (int i = 0; i < patients; ++i)
            ASSERT_EQ(put(open, fmt::format("Patient/p{}", i),
                          fmt::format(R"({{"resourceType":"Patient","id":"p{}","text":{{"status":)"
                                      R"("additional","div":"<div xmlns=\"http://www.w3.org/1999/)"
                                      R"(xhtml\">Zxqlies open</div>"}}}})",
                                      i)),
                      201);
        ASSERT_EQ(open.stop(), 0);
    }
    std::string said;
    {
        ServerProcess server(folder_, {}, Trust::on);
        ASSERT_TRUE(server.is_running()) << server.output();
        EXPECT_EQ(erase("Patient/p3", {}, &said), 1) << said;
        EXPECT_NE(said.find("keys seal"), std::string::npos) << said;
        std::thread sealing([&] { run({"keys", "seal"}); });
        std::this_thread::sleep_for(std::chrono::milliseconds(60));
        server.kill();
        sealing.join();
    }
    ServerProcess server(folder_, {}, Trust::on);
    ASSERT_TRUE(server.is_running()) << server.output();
    EXPECT_EQ(run({"keys", "seal"}, &said), 0) << said;
    EXPECT_NE(said.find("all lie sealed now"), std::string::npos) << said;
    EXPECT_EQ(run({"keys", "seal"}, &said), 0) << said;
    EXPECT_NE(said.find("0 versions were sealed"), std::string::npos) << said;
    for (int i = 0; i < patients; i += 7)
        EXPECT_NE(get(server, fmt::format("Patient/p{}", i)).body.find("Zxqlies open"),
                  std::string::npos);
    EXPECT_EQ(erase("Patient/p3", {}, &said), 0) << said;
    EXPECT_EQ(get(server, "Patient/p3").status, 410);
    EXPECT_EQ(server.stop(), 0);
    EXPECT_EQ(run({"check"}, &said), 0) << said;
    EXPECT_EQ(run({"audit", "verify"}, &said), 0) << said;
}

}  // namespace
}  // namespace meridian::tests

// SPDX-License-Identifier: Apache-2.0
// What a served record keeps in its folder, and what others may keep of its answers.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "net/client.hpp"
#include "tests/server_process.hpp"

namespace meridian::tests {
namespace {

namespace fs = std::filesystem;

std::string read_whole(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

net::ClientAnswer ask(const ServerProcess& server, net::Method method, const std::string& path,
                      const std::string& body = {}) {
    net::ClientRequest request{.method = method, .url = server.base_url() + path};
    request.headers.add("Authorization", "Bearer " + server.token());
    if (!body.empty()) request.headers.add("Content-Type", "application/fhir+json");
    request.body = body;
    net::Client client;
    auto answer = client.send(request);
    return answer ? *std::move(answer) : net::ClientAnswer{};
}

TEST(DataProtection, NoCacheKeepsAnAnswerAndNoNameLeadsToAnotherFile) {
    ServerProcess server({}, {}, Trust::on);
    ASSERT_TRUE(server.is_running()) << server.output();
    ASSERT_EQ(ask(server, net::Method::put, "/fhir/Patient/p",
                  R"({"resourceType":"Patient","id":"p","name":[{"family":"Zxqname"}]})")
                  .status,
              201);
    for (const char* path : {"/fhir/Patient/p", "/fhir/Patient/p/_history/1", "/fhir/Patient",
                             "/fhir/Patient/p/_history", "/fhir/Patient/p/$everything", "/sign-in",
                             "/fhir/Patient/none", "/fhir/AuditEvent?patient=p"}) {
        const auto answer = ask(server, net::Method::get, path);
        EXPECT_NE(answer.headers.get("Cache-Control").find("no-store"), std::string::npos)
            << path << " " << answer.status;
    }
    // A cache in front that goes by the ending of a name gets nothing worth keeping.
    for (const char* path :
         {"/fhir/Patient/p/a.css", "/fhir/Patient/p.css", "/fhir/Patient/p%2Fa.css",
          "/fhir/Patient/p;a.css", "/sign-in/a.css", "/a.css", "/fhir/a.js"}) {
        const auto answer = ask(server, net::Method::get, path);
        EXPECT_TRUE(answer.status == 404 || answer.status == 400 || answer.status == 302 ||
                    answer.status == 303)
            << path << " " << answer.status;
        EXPECT_EQ(answer.body.find("Zxqname"), std::string::npos) << path;
    }
    EXPECT_EQ(server.stop(), 0);
}

TEST(DataProtection, EveryFileOfKeysStandsInTheInventory) {
    ServerProcess server({}, {}, Trust::on);
    ASSERT_TRUE(server.is_running()) << server.output();
    ASSERT_EQ(
        ask(server, net::Method::put, "/fhir/Patient/p", R"({"resourceType":"Patient","id":"p"})")
            .status,
        201);
    std::vector<std::string> erase{"erase",
                                   "Patient/p",
                                   "--reason",
                                   "asked",
                                   "--by",
                                   "a",
                                   "--approver",
                                   "b",
                                   "--approver",
                                   "c",
                                   "--override-retention"};
    for (const std::string& word : place_of(server.folder())) erase.push_back(word);
    std::string said;
    ASSERT_EQ(run_program(erase, &said), 0) << said;
    const std::string inventory =
        read_whole(std::string(MERIDIAN_SOURCE_DIR) + "/docs/security.md");
    int files = 0;
    for (const auto& entry : fs::directory_iterator(server.folder() + "/keys")) {
        std::string name = entry.path().filename().string();
        if (name == "kek-1.key") name = "kek-N.key";
        EXPECT_NE(inventory.find("`keys/" + name + "`"), std::string::npos) << name;
        const auto others = fs::perms::group_all | fs::perms::others_all;
        EXPECT_TRUE(!name.ends_with(".key") ||
                    (entry.status().permissions() & others) == fs::perms::none)
            << name;
        ++files;
    }
    EXPECT_GE(files, 4);
    EXPECT_EQ(server.stop(), 0);
}

}  // namespace
}  // namespace meridian::tests

// SPDX-License-Identifier: Apache-2.0
// Bounds of base/limits.hpp that need more than one plain request: bytes on the wire, many
// connections, files. The rest: tests/scenarios/limits.scn. The table of all: docs/conformance.md.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/limits.hpp"
#include "net/client.hpp"
#include "net/testing/raw_client.hpp"
#include "tests/server_process.hpp"

namespace meridian::tests {
namespace {

using net::testing::RawAnswer;
using net::testing::RawClient;

class Limits : public ::testing::Test {
 protected:
    void SetUp() override { ASSERT_TRUE(server_.is_running()) << server_.output(); }

    /// What `bytes` are answered; the server must go on.
    RawAnswer answer_to(std::string_view bytes) {
        RawClient client(server_.port());
        client.send(bytes);
        return client.answer();
    }
    void expect_refusal(std::string_view bytes, int status, std::string_view words) {
        const RawAnswer answer = answer_to(bytes);
        EXPECT_EQ(answer.status, status) << answer.body;
        EXPECT_NE(answer.body.find("OperationOutcome"), std::string::npos) << answer.body;
        EXPECT_NE(answer.body.find(words), std::string::npos) << answer.body;
        EXPECT_EQ(answer_to("GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n").status, 200);
    }

    ServerProcess server_;
};

TEST_F(Limits, ABodyThatIsTooLongIsRefusedByItsAnnouncedLength) {
    expect_refusal(fmt::format("POST /fhir HTTP/1.1\r\nHost: h\r\nContent-Type: "
                               "application/fhir+json\r\nContent-Length: {}\r\n\r\n{{",
                               limits::http_body_bytes_max + 1),
                   413, std::to_string(limits::http_body_bytes_max));
}

TEST_F(Limits, TooManyHeaderFieldsAreRefused) {
    std::string request = "GET /fhir/Patient HTTP/1.1\r\nHost: h\r\n";
    for (std::size_t i = 0; i < limits::http_headers_max; ++i) request += "A: b\r\n";
    expect_refusal(request + "\r\n", 431, std::to_string(limits::http_headers_max));
}

TEST_F(Limits, ARequestLineWithoutEndIsRefused) {
    expect_refusal("GET /fhir/" + std::string(limits::http_header_bytes_max + 1, 'x'), 414, "");
}

TEST_F(Limits, ManyConnectionsThatSayNothingDoNotKeepOthersOut) {
    std::vector<std::unique_ptr<RawClient>> silent;
    for (int i = 0; i < 500; ++i) {
        silent.push_back(std::make_unique<RawClient>(server_.port()));
        ASSERT_TRUE(silent.back()->is_connected());
        silent.back()->send("GET /fhir/Patient HTT");
    }
    EXPECT_EQ(answer_to("GET /fhir/Patient HTTP/1.1\r\nHost: h\r\n\r\n").status, 200);
}

TEST_F(Limits, MoreGroupMembersThanOneEverythingTakesAreRefused) {
    net::Client client;
    std::string group =
        R"({"resourceType":"Group","id":"g","type":"person","actual":true,"member":[)";
    for (std::size_t i = 0; i <= limits::conditional_matches_max; ++i)
        group +=
            fmt::format(R"({}{{"entity":{{"reference":"Patient/p{}"}}}})", i == 0 ? "" : ",", i);
    net::ClientRequest put{net::Method::put, server_.base_url() + "/fhir/Group/g"};
    put.headers.add("Content-Type", "application/fhir+json");
    put.body = group + "]}";
    ASSERT_EQ(client.send(put)->status, 201);
    const auto answer = client.send({.url = server_.base_url() + "/fhir/Group/g/$everything"});
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 413) << answer->body.substr(0, 300);
    EXPECT_NE(answer->body.find("$export"), std::string::npos) << answer->body.substr(0, 300);
}

TEST_F(Limits, ValueSetsThatImportOneAnotherTooDeeplyAreRefused) {
    net::Client client;
    std::string bundle = R"({"resourceType":"Bundle","type":"transaction","entry":[)";
    for (unsigned i = 0; i <= limits::value_set_imports_max + 1; ++i) {
        bundle += fmt::format(
            R"({}{{"resource":{{"resourceType":"ValueSet","id":"v{}","url":"urn:v{}","status":"active","compose":{{"include":[{{"valueSet":["urn:v{}"]}}]}}}},"request":{{"method":"PUT","url":"ValueSet/v{}"}}}})",
            i == 0 ? "" : ",", i, i, i + 1, i);
    }
    net::ClientRequest post{net::Method::post, server_.base_url() + "/fhir"};
    post.headers.add("Content-Type", "application/fhir+json");
    post.body = bundle + "]}";
    ASSERT_EQ(client.send(post)->status, 200);
    const auto answer =
        client.send({.url = server_.base_url() + "/fhir/ValueSet/$expand?url=urn:v0"});
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 413) << answer->body.substr(0, 300);
    EXPECT_NE(answer->body.find("import one another too deeply"), std::string::npos)
        << answer->body.substr(0, 300);
}

TEST(CommandLimits, ALineThatIsTooLongIsRejectedAndTheOthersAreLoaded) {
    const std::string folder = make_temporary_folder();
    {
        std::ofstream file(folder + "/p.ndjson");
        file << R"({"resourceType":"Patient","id":"a"})" << '\n';
        const std::string piece(1 << 20, 'x');
        for (std::size_t size = 0; size <= limits::resource_bytes_max; size += piece.size())
            file << piece;
        file << '\n' << R"({"resourceType":"Patient","id":"b"})" << '\n';
    }
    std::string output;
    EXPECT_EQ(run_program({"import", "--data", folder + "/data", folder + "/p.ndjson"}, &output),
              1);
    EXPECT_NE(output.find("2 resources loaded, 1 rejected"), std::string::npos)
        << output.substr(0, 1'000);
    EXPECT_NE(output.find(fmt::format("p.ndjson:2: the line is longer than {} bytes",
                                      limits::resource_bytes_max)),
              std::string::npos)
        << output.substr(0, 1'000);
    std::ifstream rejects(folder + "/data/import-rejects.ndjson");
    const std::string told((std::istreambuf_iterator<char>(rejects)),
                           std::istreambuf_iterator<char>());
    EXPECT_NE(told.find(R"("line":2,"reason":"the line is longer than)"), std::string::npos)
        << told.substr(0, 1'000);
    EXPECT_LT(told.size(), 2 * limits::rejected_text_bytes_max);
    std::filesystem::remove_all(folder);
}

TEST(CommandLimits, AFileThatIsTooLongIsRefusedWithASentence) {
    const std::string folder = make_temporary_folder();
    const std::string path = folder + "/large.json";
    std::ofstream(path) << "{";
    std::filesystem::resize_file(path, limits::file_bytes_max + 1);  // sparse: takes no space
    std::string output;
    EXPECT_NE(run_program({"validate", path}, &output), 0);
    EXPECT_NE(output.find("large.json"), std::string::npos) << output;
    EXPECT_LT(output.size(), 1'000u) << output.substr(0, 300);
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace meridian::tests

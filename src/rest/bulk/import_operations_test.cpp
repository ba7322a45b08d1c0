// SPDX-License-Identifier: Apache-2.0
#include "rest/bulk/import_operations.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/json.hpp"
#include "base/limits.hpp"
#include "rest/subscriptions/testing.hpp"

namespace meridian::rest {
namespace {

using subscriptions::testing::Folder;
using subscriptions::testing::must;
using subscriptions::testing::must_open;

/// The operations of a server whose worker never begins.
class ImportOperations : public ::testing::Test {
 protected:
    ImportOperations()
        : store_(must_open(folder_.path() + "/data")),
          repository_(must(fhir::Repository::open(*store_, {}))),
          service_(*repository_, {.gate = trust::open_gate()}) {}

    void add_operations() {
        imports_ = must(BulkImport::make(*repository_, folder_.path(), {"http://127.0.0.1:1"}));
        imports_->add_operations(service_);
    }

    net::Response post(const std::string& operation, std::string body) {
        net::Request request;
        request.method = net::Method::post;
        request.method_text = "POST";
        request.target = "/fhir/" + operation;
        request.headers.add("Content-Type", "application/json");
        request.headers.add("Prefer", "respond-async");
        request.body = std::move(body);
        return service_.handle(request);
    }

    static std::string import_of(std::size_t files) {
        std::string body = R"({"inputFormat":"ndjson","input":[)";
        for (std::size_t i = 0; i < files; ++i)
            body += fmt::format(R"({}{{"type":"Basic","url":"http://127.0.0.1:1/{}"}})",
                                i == 0 ? "" : ",", i);
        return body + "]}";
    }

    static std::string submission(std::string_view id, std::string_view manifest) {
        return fmt::format(
            R"({{"resourceType":"Parameters","parameter":[{{"name":"submitter","valueIdentifier":{{"value":"s"}}}},)"
            R"({{"name":"submissionId","valueString":"{}"}},{{"name":"manifestUrl","valueUrl":"{}"}},)"
            R"({{"name":"fhirBaseUrl","valueUrl":"http://127.0.0.1:1"}},)"
            R"({{"name":"fileRequestHeader","part":[{{"name":"headerName","valueString":"Authorization"}},{{"name":"headerValue","valueString":"Bearer top-secret"}}]}}]}})",
            id, manifest);
    }

    Folder folder_;
    std::unique_ptr<store::Store> store_;
    std::unique_ptr<fhir::Repository> repository_;
    Service service_;
    std::unique_ptr<BulkImport> imports_;
};

TEST_F(ImportOperations, AnImportHasBounds) {
    add_operations();
    EXPECT_EQ(post("$import", import_of(limits::import_inputs_max + 1)).status, 413);
    EXPECT_EQ(post("$import", import_of(limits::import_inputs_max)).status, 202);
    for (std::size_t i = 1; i < limits::import_jobs_max; ++i)
        EXPECT_EQ(post("$import", import_of(1)).status, 202);
    const net::Response refused = post("$import", import_of(1));
    EXPECT_EQ(refused.status, 429);
    EXPECT_TRUE(refused.headers.has("Retry-After"));
}

TEST_F(ImportOperations, ASubmissionHasBounds) {
    // As after many requests, which would each wait for the disk.
    std::filesystem::create_directories(folder_.path() + "/submissions");
    std::string manifests;
    for (std::size_t i = 0; i < limits::submission_manifests_max; ++i)
        manifests += fmt::format(R"({}{{"url":"http://127.0.0.1:1/{}"}})", i == 0 ? "" : ",", i);
    for (std::size_t i = 0; i < limits::submissions_max - 1; ++i)
        std::ofstream(fmt::format("{}/submissions/{:032}.json", folder_.path(), i))
            << R"({"submissionId":"x","status":"in-progress"})";
    add_operations();
    EXPECT_EQ(post("$bulk-submit", submission("full", "http://127.0.0.1:1/m")).status, 200);
    EXPECT_EQ(post("$bulk-submit", submission("more", "http://127.0.0.1:1/m")).status, 503);
    EXPECT_EQ(post("$bulk-submit", submission("full", "http://127.0.0.1:1/m")).status, 409);
    // The state of the one that is there, with as many manifests as may be.
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path() + "/submissions")) {
        if (entry.path().stem().string().starts_with("000000000000")) continue;
        std::ofstream(entry.path()) << fmt::format(
            R"({{"submissionId":"full","status":"in-progress","manifests":[{}]}})", manifests);
    }
    Service again(*repository_, {.gate = trust::open_gate()});
    const auto imports =
        must(BulkImport::make(*repository_, folder_.path(), {"http://127.0.0.1:1"}));
    imports->add_operations(again);
    net::Request request;
    request.method = net::Method::post;
    request.target = "/fhir/$bulk-submit";
    request.headers.add("Content-Type", "application/json");
    request.body = submission("full", "http://127.0.0.1:1/m");
    EXPECT_EQ(again.handle(request).status, 413);
}

TEST_F(ImportOperations, ASubmissionNamesOnlySoManyHeaders) {
    add_operations();
    const auto with_headers = [](std::size_t count) {
        std::string body = submission("headers", "http://127.0.0.1:1/m");
        body.resize(body.size() - 2);  // the end of the list, which has one header already
        for (std::size_t i = 1; i < count; ++i)
            body +=
                R"(,{"name":"fileRequestHeader","part":[{"name":"headerName","valueString":"X"},{"name":"headerValue","valueString":"y"}]})";
        return body + "]}";
    };
    const net::Response refused =
        post("$bulk-submit", with_headers(limits::subscription_headers_max + 1));
    EXPECT_EQ(refused.status, 400) << refused.body;
    EXPECT_NE(refused.body.find("fileRequestHeader"), std::string::npos) << refused.body;
    EXPECT_EQ(post("$bulk-submit", with_headers(limits::subscription_headers_max)).status, 200);
}

/// The state of a process that ended between the two steps of a completion.
TEST_F(ImportOperations, ACompletionIsQueuedAfterARestartUnlessItsCallerWasLimited) {
    std::filesystem::create_directories(folder_.path() + "/submissions");
    for (const bool is_unrestricted : {true, false}) {
        std::ofstream(
            fmt::format("{}/submissions/{:032}.json", folder_.path(), is_unrestricted ? 1 : 0))
            << fmt::format(
                   R"({{"submissionId":"x","status":"completed","job":"{}","queued":false,"unrestricted":{},"manifests":[{{"url":"http://127.0.0.1:1/m"}}]}})",
                   is_unrestricted ? "job-a" : "job-b", is_unrestricted);
    }
    add_operations();
    EXPECT_TRUE(std::filesystem::exists(folder_.path() + "/imports/job-a/job.json"));
    EXPECT_FALSE(std::filesystem::exists(folder_.path() + "/imports/job-b"));
}

TEST_F(ImportOperations, SecretsOfASubmissionAreForTheServersUserAlone) {
    add_operations();
    EXPECT_EQ(post("$bulk-submit", submission("1", "http://127.0.0.1:1/m")).status, 200);
    EXPECT_EQ(std::filesystem::status(folder_.path() + "/submissions").permissions(),
              std::filesystem::perms::owner_all);
}

}  // namespace
}  // namespace meridian::rest

// SPDX-License-Identifier: Apache-2.0
#include "rest/bulk/import_jobs.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "base/file.hpp"
#include "base/json.hpp"
#include "base/limits.hpp"
#include "rest/subscriptions/testing.hpp"

namespace meridian::rest {
namespace {

using subscriptions::testing::Folder;
using subscriptions::testing::must;
using subscriptions::testing::must_open;

constexpr auto patience = std::chrono::seconds(60);

/// A record and a folder of files that may be imported.
class ImportJobsTest : public ::testing::Test {
 protected:
    ImportJobsTest() {
        std::filesystem::create_directories(folder_.path() + "/files");
        store_ = must_open(folder_.path() + "/data");
        repository_ = must(fhir::Repository::open(*store_, {}));
        sources_ = std::make_shared<const ImportSources>(
            must(ImportSources::make({"file://" + folder_.path() + "/files"})));
        open_jobs();
    }

    void open_jobs() {
        jobs_.reset();
        jobs_ = std::make_unique<ImportJobs>(
            *repository_,
            ImportJobs::Options{.folder = folder_.path() + "/imports", .sources = sources_});
    }

    std::string file(const std::string& name, const std::string& text) {
        std::ofstream(folder_.path() + "/files/" + name, std::ios::binary) << text;
        return "file://" + folder_.path() + "/files/" + name;
    }

    std::string start(std::vector<ImportInput> inputs) {
        ImportJob job;
        job.inputs = std::move(inputs);
        job.caller = fhir::Caller::system("test");
        return must(jobs_->add(std::move(job)));
    }

    ImportJob wait(const std::string& id) {
        const auto end = std::chrono::steady_clock::now() + patience;
        ImportJob job = must(jobs_->find(id));
        while (job.is_at_work() && std::chrono::steady_clock::now() < end) {
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
            job = must(jobs_->find(id));
        }
        EXPECT_FALSE(job.is_at_work()) << job.progress();
        EXPECT_FALSE(job.failure) << job.failure->message;
        return job;
    }

    std::vector<std::string> errors(const std::string& id, std::size_t input = 0) {
        std::vector<std::string> lines;
        std::ifstream stream(jobs_->file(id, ImportJob::error_file(input)).value_or("/nowhere"));
        for (std::string line; std::getline(stream, line);) lines.push_back(line);
        return lines;
    }

    std::int64_t count(const std::string& type) {
        return *must(repository_->search(fhir::Caller::system("test"), type,
                                         {{"_summary", "count"}}, {}))
                    .total;
    }

    fhir::Resource read(const std::string& type, const std::string& id) {
        return must(repository_->read(fhir::Caller::system("test"), type, id));
    }

    Folder folder_;
    std::unique_ptr<store::Store> store_;
    std::unique_ptr<fhir::Repository> repository_;
    std::shared_ptr<const ImportSources> sources_;
    std::unique_ptr<ImportJobs> jobs_;
};

std::string basics(int from, int to) {
    std::string text;
    for (int i = from; i < to; ++i)
        text += fmt::format(R"({{"resourceType":"Basic","id":"b{}","code":{{"text":"{}"}}}})"
                            "\n",
                            i, i);
    return text;
}

TEST_F(ImportJobsTest, FaultyLinesAreToldWithFileAndLine) {
    const std::string url =
        file("mixed.ndjson", basics(0, 2) +
                                 "\n{\"resourceType\":\"Patient\",\"id\":\"p\"}\nno json\n"
                                 "{\"resourceType\":\"Basic\",\"id\":\"x\",\"colour\":\"red\"}\n" +
                                 basics(2, 3));
    jobs_->start();
    const std::string id = start({{.type = "Basic", .url = url}});
    const ImportJob job = wait(id);
    EXPECT_EQ(job.resources(), 3);
    EXPECT_EQ(job.rejected(), 3);
    EXPECT_EQ(count("Basic"), 3);
    EXPECT_EQ(count("Patient"), 0);
    const auto lines = errors(id);
    ASSERT_EQ(lines.size(), 3u);
    EXPECT_NE(lines[0].find("mixed.ndjson line 4: this is a Patient"), std::string::npos)
        << lines[0];
    EXPECT_NE(lines[0].find(R"("reference":"Patient/p")"), std::string::npos) << lines[0];
    EXPECT_NE(lines[1].find("line 5"), std::string::npos) << lines[1];
    EXPECT_NE(lines[2].find("line 6"), std::string::npos) << lines[2];
    for (const std::string& line : lines)
        EXPECT_EQ(must(JsonDocument::parse(line)).root().string_at("resourceType"),
                  "OperationOutcome");
}

TEST_F(ImportJobsTest, ALineThatIsTooLongIsToldAndTheOthersAreLoaded) {
    const std::string url =
        file("long.ndjson", basics(0, 2) + std::string(limits::resource_bytes_max + 1, 'x') +
                                "\nnothing\n" + basics(2, 4));
    jobs_->start();
    const std::string id = start({{.type = "Basic", .url = url}});
    const ImportJob job = wait(id);
    EXPECT_EQ(job.inputs[0].failure, "");
    EXPECT_EQ(job.inputs[0].resources, 4);
    EXPECT_EQ(job.inputs[0].rejected, 2);
    EXPECT_EQ(count("Basic"), 4);
    const auto lines = errors(id);
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_NE(lines[0].find("long.ndjson line 3: the line is longer than"), std::string::npos)
        << lines[0];
    EXPECT_NE(lines[1].find("long.ndjson line 4: "), std::string::npos) << lines[1];
}

TEST_F(ImportJobsTest, SourcesAreRememberedAndIdsGiven) {
    const std::string url =
        file("a.ndjson", "{\"resourceType\":\"Basic\",\"code\":{\"text\":\"x\"}}\n" +
                             std::string(R"({"resourceType":"Basic","id":"own","meta":)") +
                             R"({"source":"urn:own"},"code":{"text":"x"}})" + "\n");
    jobs_->start();
    ImportJob job;
    job.inputs = {{.type = "Basic", .url = url}};
    job.source = "https://other.example.org";
    job.caller = fhir::Caller::system("test");
    EXPECT_EQ(wait(must(jobs_->add(std::move(job)))).resources(), 2);
    EXPECT_EQ(count("Basic"), 2);
    EXPECT_NE(read("Basic", "own").json.find("urn:own"), std::string::npos);
    const auto found = must(repository_->search(fhir::Caller::system("test"), "Basic",
                                                {{"_source", "https://other.example.org"}}, {}));
    EXPECT_EQ(found.entries.size(), 1u);
}

TEST_F(ImportJobsTest, ReferencesBelowASubmissionsBaseBecomeRelative) {
    const std::string data = file(
        "absolute.ndjson",
        R"({"resourceType":"Basic","id":"here","code":{"text":"x"},"subject":{"reference":"https://a.example/fhir/Patient/7"}})"
        "\n"
        R"({"resourceType":"Basic","id":"there","code":{"text":"x"},"subject":{"reference":"https://b.example/fhir/Patient/7"}})"
        "\n");
    ImportJob job;
    job.caller = fhir::Caller::system("test");
    job.manifests = {
        {.url = file("manifest.json",
                     fmt::format(R"({{"output":[{{"type":"Basic","url":"{}"}}]}})", data)),
         .source = "https://a.example/fhir"}};
    jobs_->start();
    wait(must(jobs_->add(std::move(job))));
    EXPECT_NE(read("Basic", "here").json.find(R"("reference":"Patient/7")"), std::string::npos);
    EXPECT_NE(read("Basic", "there").json.find("https://b.example/fhir/Patient/7"),
              std::string::npos);
    const fhir::Page found = must(
        repository_->search(fhir::Caller::system("test"), "Basic", {{"subject", "Patient/7"}}, {}));
    ASSERT_EQ(found.entries.size(), 1u);
    EXPECT_EQ(found.entries[0].resource.id, "here");
}

TEST_F(ImportJobsTest, AFileOfRejectsOnlyIsReadToItsEnd) {
    std::string text;
    const int lines = static_cast<int>(limits::import_chunk_lines) * 5 + 17;
    for (int i = 0; i < lines; ++i) text += "{\"resourceType\":\"Nothing\"}\n";
    jobs_->start();
    const std::string id =
        start({{.type = "Basic", .url = file("bad.ndjson", text)},
               {.type = "Basic", .url = file("good.ndjson", basics(0, 1))},
               {.type = "Basic", .url = "file://" + folder_.path() + "/files/-"}});
    const ImportJob job = wait(id);
    EXPECT_EQ(job.inputs[0].rejected, lines);
    EXPECT_EQ(job.inputs[0].line, lines);
    EXPECT_EQ(errors(id).size(), static_cast<std::size_t>(lines));
    EXPECT_EQ(job.inputs[1].resources, 1);
    EXPECT_TRUE(errors(id, 1).empty());
    EXPECT_NE(job.inputs[2].failure.find("no file"), std::string::npos) << job.inputs[2].failure;
    EXPECT_EQ(errors(id, 2).size(), 1u);
}

/// The state of a process that ended before its last second was saved.
TEST_F(ImportJobsTest, WhatWasLoadedIsNotWrittenTwiceAfterARestart) {
    const std::string nameless = "{\"resourceType\":\"Basic\",\"code\":{\"text\":\"x\"}}\n";
    const std::string url =
        file("a.ndjson", basics(0, 1500) + nameless + "bad\n" + basics(1500, 2000));
    const std::string id = start({{.type = "Basic", .url = url}});
    const std::string state_file = folder_.path() + "/imports/" + id + "/job.json";
    const std::string before = must(read_file(state_file));
    jobs_->start();
    wait(id);
    EXPECT_EQ(count("Basic"), 2001);
    ASSERT_EQ(errors(id).size(), 1u);

    jobs_.reset();
    must(write_file_atomically(state_file, before));
    open_jobs();
    EXPECT_TRUE(must(jobs_->find(id)).is_at_work());
    jobs_->start();
    const ImportJob job = wait(id);
    EXPECT_EQ(job.resources(), 2001);
    EXPECT_EQ(job.rejected(), 1);
    EXPECT_EQ(count("Basic"), 2001) << "a resource without an id was given a second one";
    EXPECT_EQ(read("Basic", "b7").version, 1);
    EXPECT_EQ(read("Basic", "b1999").version, 1);
    EXPECT_EQ(errors(id).size(), 1u);

    // Finished jobs are still there after a restart, and do nothing more.
    open_jobs();
    jobs_->start();
    EXPECT_TRUE(must(jobs_->find(id)).finished);
    EXPECT_EQ(errors(id).size(), 1u);
}

TEST_F(ImportJobsTest, AnInterruptedJobGoesOnBehindItsLastLine) {
    const std::string url = file("a.ndjson", basics(0, 30'000));
    const std::string id = start({{.type = "Basic", .url = url}});
    jobs_->start();
    while (must(jobs_->find(id)).inputs[0].line == 0)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    open_jobs();  // stops in the middle
    const ImportJob half = must(jobs_->find(id));
    EXPECT_LT(half.inputs[0].line, 30'000);
    jobs_->start();
    EXPECT_EQ(wait(id).resources(), 30'000);
    EXPECT_EQ(count("Basic"), 30'000);
    EXPECT_EQ(read("Basic", "b0").version, 1);
}

TEST_F(ImportJobsTest, CancellingKeepsWhatIsLoaded) {
    const std::string id = start({{.type = "Basic", .url = file("a.ndjson", basics(0, 30'000))}});
    jobs_->start();
    while (must(jobs_->find(id)).resources() == 0)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    must(jobs_->remove(id));
    EXPECT_FALSE(jobs_->find(id));
    EXPECT_FALSE(std::filesystem::exists(folder_.path() + "/imports/" + id));
    EXPECT_GT(count("Basic"), 0);
    EXPECT_LT(count("Basic"), 30'000);
    EXPECT_EQ(jobs_->remove(id).error().category, Category::not_found);
}

TEST_F(ImportJobsTest, ACallerWithLimitsDoesNotGoOnAfterARestart) {
    const std::string url = file("a.ndjson", basics(0, 1));
    const std::string id = start({{.type = "Basic", .url = url}});
    const std::string state_file = folder_.path() + "/imports/" + id + "/job.json";
    std::string state = must(read_file(state_file));
    state.replace(state.find("\"unrestricted\":true"), 19, "\"unrestricted\":false");
    jobs_.reset();
    must(write_file_atomically(state_file, state));
    open_jobs();
    const ImportJob job = must(jobs_->find(id));
    ASSERT_TRUE(job.failure);
    EXPECT_EQ(job.failure->category, Category::forbidden);
    EXPECT_EQ(count("Basic"), 0);
}

TEST_F(ImportJobsTest, OnlySoManyAtATime) {
    const std::string url = file("a.ndjson", basics(0, 1));
    std::vector<std::string> ids;
    for (std::size_t i = 0; i < limits::import_jobs_max; ++i) {
        ids.push_back(start({{.type = "Basic", .url = url}}));
        // Which is the oldest is told by milliseconds.
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    ImportJob further;
    further.inputs = {{.type = "Basic", .url = url}};
    EXPECT_EQ(jobs_->add(further).error().category, Category::busy);
    jobs_->start();
    for (const std::string& id : ids) wait(id);
    EXPECT_TRUE(jobs_->add(further)) << "one that ended makes room";
    EXPECT_FALSE(jobs_->find(ids.front()));
}

TEST_F(ImportJobsTest, OnlySoManyRejectsAreTold) {
    std::string text;
    const std::size_t lines = limits::import_rejects_max + 500;
    for (std::size_t i = 0; i < lines; ++i) text += "x\n";
    jobs_->start();
    const std::string id = start({{.type = "Basic", .url = file("bad.ndjson", text)},
                                  {.type = "Basic", .url = file("bad2.ndjson", "x\n")}});
    const ImportJob job = wait(id);
    EXPECT_EQ(job.rejected(), static_cast<std::int64_t>(lines) + 1);
    EXPECT_EQ(errors(id).size(), limits::import_rejects_max);
    EXPECT_TRUE(errors(id, 1).empty());
}

TEST_F(ImportJobsTest, AManifestHasBounds) {
    std::string files;
    for (std::size_t i = 0; i <= limits::import_inputs_max; ++i)
        files += fmt::format(R"({}{{"type":"Basic","url":"file:///x"}})", i == 0 ? "" : ",");
    ImportJob job;
    job.caller = fhir::Caller::system("test");
    job.manifests = {{.url = file("many.json", fmt::format(R"({{"output":[{}]}})", files))},
                     {.url = file("large.json", std::string(limits::manifest_bytes_max + 1, ' '))},
                     {.url = file("none.json", "[]")}};
    jobs_->start();
    const ImportJob done = wait(must(jobs_->add(std::move(job))));
    ASSERT_EQ(done.inputs.size(), 3u);
    EXPECT_NE(done.inputs[0].failure.find("more than 1000 files"), std::string::npos);
    EXPECT_NE(done.inputs[1].failure.find("longer than"), std::string::npos);
    EXPECT_NE(done.inputs[2].failure.find("no bulk data manifest"), std::string::npos);
}

TEST_F(ImportJobsTest, AManifestWithoutEndIsLeft) {
    const std::string url = "file://" + folder_.path() + "/files/endless.json";
    ImportJob job;
    job.caller = fhir::Caller::system("test");
    job.manifests = {
        {.url = file(
             "endless.json",
             fmt::format(R"({{"output":[],"link":[{{"relation":"next","url":"{}"}}]}})", url))}};
    jobs_->start();
    const ImportJob done = wait(must(jobs_->add(std::move(job))));
    ASSERT_EQ(done.inputs.size(), 1u);
    EXPECT_NE(done.inputs[0].failure.find("more than 1000 pages"), std::string::npos)
        << done.inputs[0].failure;
}

TEST_F(ImportJobsTest, AManifestListsFilesAndDeletions) {
    must(repository_->commit_prepared(fhir::Caller::system("test"), [&] {
        std::vector<store::Change> changes;
        const auto document = must(JsonDocument::parse(basics(9, 10)));
        changes.push_back(must(
            repository_->prepare(fhir::Caller::system("test"), "Basic", "b9", document.root())));
        return changes;
    }()));
    const std::string data = file("data.ndjson", basics(0, 3));
    const std::string gone = file(
        "gone.ndjson",
        R"({"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Basic/b9"}}]})"
        "\n"
        R"({"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"PUT","url":"Basic/b9"}}]})"
        "\n");
    const std::string second =
        file("second.json",
             fmt::format(R"({{"output":[],"deleted":[{{"type":"Bundle","url":"{}"}}]}})", gone));
    const std::string first = file(
        "first.json",
        fmt::format(
            R"({{"output":[{{"type":"Basic","url":"{}"}}],"link":[{{"relation":"next","url":"{}"}}]}})",
            data, second));
    ImportJob job;
    job.caller = fhir::Caller::system("test");
    job.manifests = {{.url = first}, {.url = "file://" + folder_.path() + "/files/none.json"}};
    jobs_->start();
    const std::string id = must(jobs_->add(std::move(job)));
    const ImportJob done = wait(id);
    ASSERT_EQ(done.inputs.size(), 3u);
    EXPECT_EQ(done.inputs[0].resources, 3);
    EXPECT_EQ(done.inputs[1].resources, 1);
    EXPECT_EQ(done.inputs[1].rejected, 1);
    EXPECT_FALSE(done.inputs[2].failure.empty());
    EXPECT_EQ(errors(id, 2).size(), 1u);
    EXPECT_EQ(count("Basic"), 3);
    EXPECT_EQ(repository_->read(fhir::Caller::system("test"), "Basic", "b9").error().category,
              Category::gone);
}

}  // namespace
}  // namespace meridian::rest

// SPDX-License-Identifier: Apache-2.0
#include "rest/bulk/operations.hpp"

#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "base/limits.hpp"
#include "rest/subscriptions/testing.hpp"

namespace meridian::rest {
namespace {

using subscriptions::testing::Folder;
using subscriptions::testing::must;

/// Holds back everything that is read from the store, until it is told to let go.
class Gate : public fhir::Cipher {
 public:
    Result<std::string> seal(const Home&, const store::Identity&,
                             std::string bytes) const override {
        return bytes;
    }
    Result<std::string> open(const store::Stored& stored) const override {
        std::unique_lock lock(mutex_);
        opened_.wait(lock, [&] { return !is_closed_; });
        return stored.body;
    }
    bool is_plain() const override { return false; }

    void close() {
        const std::lock_guard lock(mutex_);
        is_closed_ = true;
    }
    void let_go() {
        {
            const std::lock_guard lock(mutex_);
            is_closed_ = false;
        }
        opened_.notify_all();
    }

 private:
    mutable std::mutex mutex_;
    mutable std::condition_variable opened_;
    bool is_closed_ = false;
};

net::Response ask(Service& service, net::Method method, std::string target) {
    net::Request request;
    request.method = method;
    request.method_text = std::string(net::name_of(method));
    request.target = std::move(target);
    request.headers.add("Host", "record.test");
    request.headers.add("Prefer", "respond-async");
    return service.handle(request);
}

TEST(ExportJobs, AreBoundedAndTheNextIsToldToWait) {
    const Folder folder;
    const auto gate = std::make_shared<Gate>();
    const auto store = subscriptions::testing::must_open(folder.path());
    fhir::Repository::Options options;
    options.cipher = gate;
    const auto repository = must(fhir::Repository::open(*store, options));
    subscriptions::testing::write(*repository, R"({"resourceType":"Patient","id":"p"})");
    Service service(*repository, ServiceOptions{.gate = trust::open_gate()});
    ExportJobs jobs(*repository, folder.path() + "/exports");
    jobs.add_operations(service);

    gate->close();
    std::vector<std::string> addresses;
    for (std::size_t i = 0; i < limits::export_jobs_max; ++i) {
        const net::Response started = ask(service, net::Method::get, "/fhir/$export");
        ASSERT_EQ(started.status, 202) << started.body;
        const std::string address(started.headers.get("Content-Location"));
        addresses.push_back(address.substr(address.find("/fhir")));
    }
    const net::Response refused = ask(service, net::Method::get, "/fhir/$export");
    EXPECT_TRUE(refused.status == 429 || refused.status == 503) << refused.status;
    EXPECT_TRUE(refused.headers.has("Retry-After"));
    EXPECT_NE(refused.body.find("too many exports"), std::string::npos) << refused.body;

    gate->let_go();
    for (const std::string& address : addresses) {
        net::Response status;
        do {
            status = ask(service, net::Method::get, address);
        } while (status.status == 202);
        ASSERT_EQ(status.status, 200) << status.body;
        EXPECT_NE(status.body.find(R"("count":1)"), std::string::npos) << status.body;
    }
    EXPECT_EQ(ask(service, net::Method::get, "/fhir/$export").status, 202);
}

/// A server with one patient and its exports.
class FinishedExports : public ::testing::Test {
 protected:
    FinishedExports()
        : store_(subscriptions::testing::must_open(folder_.path() + "/data")),
          repository_(must(fhir::Repository::open(*store_, {}))) {
        subscriptions::testing::write(*repository_, R"({"resourceType":"Patient","id":"p"})");
    }

    void serve(ExportKeeping keeping) {
        jobs_.reset();
        service_ =
            std::make_unique<Service>(*repository_, ServiceOptions{.gate = trust::open_gate()});
        jobs_ = std::make_unique<ExportJobs>(*repository_, exports(), keeping);
        jobs_->add_operations(*service_);
    }

    std::string exports() const { return folder_.path() + "/exports"; }

    /// Starts an export; the address of its status.
    std::string start() {
        const net::Response started = ask(*service_, net::Method::get, "/fhir/$export");
        EXPECT_EQ(started.status, 202) << started.body;
        const std::string address(started.headers.get("Content-Location"));
        return address.substr(address.find("/fhir"));
    }

    /// The status at `address` when it has become `wanted`, or what it is after a minute.
    net::Response wait_for(const std::string& address, int wanted) {
        net::Response status;
        for (int tries = 0; tries < 6'000; ++tries) {
            status = ask(*service_, net::Method::get, address);
            if (status.status == wanted) break;
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        EXPECT_EQ(status.status, wanted) << status.body;
        return status;
    }

    /// Folders of exports whose files are there.
    std::ptrdiff_t folders() const {
        return std::distance(std::filesystem::directory_iterator(exports()),
                             std::filesystem::directory_iterator());
    }

    Folder folder_;
    std::unique_ptr<store::Store> store_;
    std::unique_ptr<fhir::Repository> repository_;
    std::unique_ptr<Service> service_;
    std::unique_ptr<ExportJobs> jobs_;
};

TEST_F(FinishedExports, OnlySoManyAreKeptAndTheOldestGoes) {
    serve({.finished_max = 2});
    std::vector<std::string> addresses;
    for (int i = 0; i < 3; ++i) {
        addresses.push_back(start());
        EXPECT_TRUE(wait_for(addresses.back(), 200).headers.has("Expires"));
    }
    const net::Response gone = wait_for(addresses[0], 404);
    EXPECT_NE(gone.body.find("finished ones are kept for 72 hours, and at most 2 of them"),
              std::string::npos)
        << gone.body;
    EXPECT_EQ(ask(*service_, net::Method::get, addresses[1]).status, 200);
    EXPECT_EQ(ask(*service_, net::Method::get, addresses[2]).status, 200);
    for (int tries = 0; folders() > 2 && tries < 6'000; ++tries)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_EQ(folders(), 2);
}

TEST_F(FinishedExports, TheyGoWithTheirFilesWhenTheirTimeIsOver) {
    serve({.finished_life = std::chrono::hours(1)});
    const std::string old = start(), young = start();
    wait_for(old, 200);
    wait_for(young, 200);
    jobs_.reset();
    const std::string id = old.substr(old.find("job=") + 4);
    const auto manifest = std::filesystem::path(exports()) / id / "manifest.json";
    std::filesystem::last_write_time(
        manifest, std::filesystem::last_write_time(manifest) - std::chrono::minutes(61));
    serve({.finished_life = std::chrono::hours(1)});
    wait_for(old, 404);
    EXPECT_EQ(ask(*service_, net::Method::get, young).status, 200);
    for (int tries = 0; folders() > 1 && tries < 6'000; ++tries)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_EQ(folders(), 1);
}

TEST_F(FinishedExports, OneThatFailedLeavesNoFiles) {
    serve({});
    // In its place stands a file: its folder cannot be made.
    std::ofstream(exports()) << "in the way";
    const std::string address = start();
    const net::Response failed = wait_for(address, 503);
    EXPECT_NE(failed.body.find("the folder cannot be made"), std::string::npos) << failed.body;
}

}  // namespace
}  // namespace meridian::rest

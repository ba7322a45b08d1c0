// SPDX-License-Identifier: Apache-2.0
#include "rest/bulk/operations.hpp"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "base/limits.hpp"
#include "rest/subscriptions/testing.hpp"

namespace meridian::rest {
namespace {

using subscriptions::testing::Folder;
using subscriptions::testing::must;

/// Holds back everything that is read from the store, until it is told to let go.
class Gate : public fhir::Cipher {
 public:
    Result<std::string> seal(std::string_view, std::string bytes) const override { return bytes; }
    Result<std::string> open(std::string bytes) const override {
        std::unique_lock lock(mutex_);
        opened_.wait(lock, [&] { return !is_closed_; });
        return bytes;
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
    Service service(*repository, ServiceOptions{});
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

}  // namespace
}  // namespace meridian::rest

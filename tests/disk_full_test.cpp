// SPDX-License-Identifier: Apache-2.0
// The real program on a file system that is full: what is acknowledged stays, reads go on, and
// writes come back with the space.
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>

#include "base/json.hpp"
#include "net/client.hpp"
#include "tests/server_process.hpp"

namespace meridian::tests {
namespace {

/// A small file system of its own in memory; `is_mounted` is false without the right to mount.
class SmallDisk {
 public:
    explicit SmallDisk(const char* size) : folder_(make_temporary_folder()) {
        const std::string options = fmt::format("size={}", size);
        is_mounted_ = ::mount("none", folder_.c_str(), "tmpfs", 0, options.c_str()) == 0;
        if (!is_mounted_) why_not_ = std::strerror(errno);
    }
    ~SmallDisk() {
        if (is_mounted_) ::umount2(folder_.c_str(), MNT_DETACH);
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;

    bool is_mounted() const { return is_mounted_; }
    const std::string& why_not() const { return why_not_; }
    std::string data_folder() const { return folder_ + "/data"; }
    bool resize(const char* size) {
        const std::string options = fmt::format("size={}", size);
        return ::mount("none", folder_.c_str(), "tmpfs", MS_REMOUNT, options.c_str()) == 0;
    }

 private:
    std::string folder_;
    std::string why_not_;
    bool is_mounted_ = false;
};

/// Text that does not get smaller by compression.
std::string noise(unsigned seed, std::size_t length) {
    std::string text;
    std::uint64_t state = seed * 2'654'435'761ULL + 1;
    while (text.size() < length) {
        state = state * 6'364'136'223'846'793'005ULL + 1'442'695'040'888'963'407ULL;
        text += fmt::format("{:016x}", state);
    }
    return text;
}

std::string resource(const std::string& id, unsigned seed) {
    return fmt::format(
        R"({{"resourceType":"Basic","id":"{}","code":{{"text":"{}"}},"identifier":[{{"value":"{}"}}]}})",
        id, noise(seed, 30'000), seed);
}

class Writer {
 public:
    explicit Writer(std::string base) : base_(std::move(base)) {}

    int put(const std::string& id, unsigned seed) {
        net::ClientRequest request;
        request.method = net::Method::put;
        request.url = fmt::format("{}/fhir/Basic/{}", base_, id);
        request.headers.add("Content-Type", "application/fhir+json");
        request.body = resource(id, seed);
        const auto answer = client_.send(request);
        last_body_ = answer ? answer->body : answer.error().message;
        const int status = answer ? answer->status : 0;
        if (status == 200 || status == 201) acknowledged_[id] = seed;
        return status;
    }

    int get(const std::string& path) {
        const auto answer = client_.send({.url = base_ + path});
        last_body_ = answer ? answer->body : answer.error().message;
        return answer ? answer->status : 0;
    }

    /// Every acknowledged write is read back as it was sent.
    void verify() {
        for (const auto& [id, seed] : acknowledged_) {
            ASSERT_EQ(get("/fhir/Basic/" + id), 200) << id << ": " << last_body_;
            const auto document = JsonDocument::parse(last_body_);
            ASSERT_TRUE(document);
            EXPECT_EQ(document->root()["code"].string_at("text"), noise(seed, 30'000)) << id;
        }
    }

    /// The same record, served at another address.
    void move_to(std::string base) { base_ = std::move(base); }
    std::size_t acknowledged() const { return acknowledged_.size(); }
    const std::string& last_body() const { return last_body_; }

 private:
    std::string base_;
    net::Client client_;
    std::map<std::string, unsigned> acknowledged_;
    std::string last_body_;
};

TEST(DiskFull, WritesAreRefusedReadsGoOnAndSpaceBringsWritesBack) {
    SmallDisk disk("12m");
    if (!disk.is_mounted()) GTEST_SKIP() << "needs the right to mount a tmpfs: " << disk.why_not();
    std::filesystem::create_directory(disk.data_folder());
    const std::string data = disk.data_folder();
    {
        ServerProcess server(data);
        ASSERT_TRUE(server.is_running()) << server.output();
        Writer writer(server.base_url());
        int status = 201;
        for (unsigned i = 0; i < 5'000 && status < 300; ++i)
            status = writer.put(fmt::format("p{}", i), i);
        ASSERT_TRUE(status == 507 || status == 503)
            << status << " after " << writer.acknowledged() << ": " << writer.last_body();
        ASSERT_GT(writer.acknowledged(), 20u);
        EXPECT_NE(writer.last_body().find("OperationOutcome"), std::string::npos);

        // Full: more writes are refused as clearly, reads and searches go on.
        for (unsigned i = 0; i < 20; ++i) {
            const int again = writer.put(fmt::format("q{}", i), 10'000 + i);
            EXPECT_TRUE(again == 507 || again == 503 || again == 201) << again;
        }
        writer.verify();
        EXPECT_EQ(writer.get("/fhir/Basic?identifier=1"), 200);
        EXPECT_NE(writer.last_body().find(R"("id":"p1")"), std::string::npos);
        EXPECT_EQ(writer.get("/readyz"), 200) << writer.last_body();

        // Space is back: the same process writes again.
        ASSERT_TRUE(disk.resize("48m"));
        EXPECT_EQ(writer.put("again", 1'000'000), 201) << writer.last_body();
        EXPECT_EQ(writer.put("p0", 2'000'000), 200) << writer.last_body();
        writer.verify();
        EXPECT_EQ(server.stop(), 0) << server.output();
    }
    std::string output;
    EXPECT_EQ(run_program({"check", "--data", data}, &output), 0) << output;
    EXPECT_NE(output.find(" 0 problems"), std::string::npos) << output;
}

TEST(DiskFull, AServerThatIsKilledWhileFullComesBackWithAllThatWasAcknowledged) {
    SmallDisk disk("12m");
    if (!disk.is_mounted()) GTEST_SKIP() << "needs the right to mount a tmpfs: " << disk.why_not();
    std::filesystem::create_directory(disk.data_folder());
    std::optional<Writer> before;
    {
        ServerProcess server(disk.data_folder());
        ASSERT_TRUE(server.is_running()) << server.output();
        before.emplace(server.base_url());
        int status = 201;
        for (unsigned i = 0; i < 5'000 && status < 300; ++i)
            status = before->put(fmt::format("p{}", i), i);
        ASSERT_TRUE(status == 507 || status == 503) << status << ": " << before->last_body();
        server.kill();
    }
    ASSERT_TRUE(disk.resize("48m"));
    std::string output;
    EXPECT_EQ(run_program({"check", "--data", disk.data_folder()}, &output), 0) << output;
    ServerProcess server(disk.data_folder());
    ASSERT_TRUE(server.is_running()) << server.output();
    before->move_to(server.base_url());
    before->verify();
    EXPECT_EQ(before->put("again", 1'000'000), 201) << before->last_body();
    EXPECT_EQ(server.stop(), 0);
}

}  // namespace
}  // namespace meridian::tests

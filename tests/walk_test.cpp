// SPDX-License-Identifier: Apache-2.0
// Clients that walk through a search, a history or an export while others write: what is there
// throughout is seen exactly once.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <thread>

#include "base/json.hpp"
#include "net/client.hpp"
#include "tests/server_process.hpp"

namespace meridian::tests {
namespace {

using namespace std::chrono_literals;

/// Matches that stay throughout; writers change them, but never so that they stop to match.
constexpr int staying = 200;
/// Turns of one writer during one walk: a bound, in case the walk is slow.
constexpr int turns_max = 400;

class Caller {
 public:
    explicit Caller(std::string base) : base_(std::move(base)) {}

    net::ClientAnswer call(net::Method method, const std::string& address, std::string body = {},
                           std::string_view prefer = {}) {
        net::ClientRequest request;
        request.method = method;
        request.url = address.starts_with("http://") ? address : base_ + address;
        request.body = std::move(body);
        if (!request.body.empty()) request.headers.add("Content-Type", "application/fhir+json");
        if (!prefer.empty()) request.headers.add("Prefer", std::string(prefer));
        auto answer = client_.send(request);
        if (!answer) {
            ADD_FAILURE() << address << ": " << answer.error().message;
            return {};
        }
        return *std::move(answer);
    }
    void put(const std::string& id, int value) {
        const auto answer = call(
            net::Method::put, "/fhir/Observation/" + id,
            fmt::format(
                R"({{"resourceType":"Observation","id":"{}","status":"final","code":{{"text":"walked"}},"effectiveDateTime":"20{:02}-01-01","valueQuantity":{{"value":{}}}}})",
                id, value % 50 + 10, value));
        EXPECT_LT(answer.status, 300) << id << ": " << answer.body;
    }

 private:
    std::string base_;
    net::Client client_;
};

/// Others, while a walk goes on: new matches come, some of them go again, and those that stay are
/// written anew, all over the order.
class Writers {
 public:
    explicit Writers(const std::string& base) {
        static int generation = 0;
        ++generation;
        for (int number = 0; number < 3; ++number)
            threads_.emplace_back([this, base, number, g = generation] { write(base, number, g); });
    }
    ~Writers() {
        done_ = true;
        for (std::thread& thread : threads_) thread.join();
        EXPECT_GT(turns_.load(), 0) << "nobody wrote while the walk went on";
    }
    Writers(const Writers&) = delete;
    Writers& operator=(const Writers&) = delete;

    /// Waits until every writer has begun.
    void wait() {
        while (turns_ < 3) std::this_thread::sleep_for(1ms);
    }

 private:
    void write(const std::string& base, int number, int generation) {
        Caller caller(base);
        for (int turn = 0; turn < turns_max && !done_; ++turn, ++turns_) {
            const int key = turn * 7 + number * 13;
            const std::string id = fmt::format("new-{}-{}-{}", generation, number, turn);
            caller.put(id, key);
            caller.put(fmt::format("stay-{}", key % staying), key);
            if (turn % 2 == 0) caller.call(net::Method::delete_, "/fhir/Observation/" + id);
        }
    }

    std::atomic<bool> done_{false};
    std::atomic<int> turns_{0};
    std::vector<std::thread> threads_;
};

std::string_view next_of(const Json& bundle) {
    for (const Json& link : bundle["link"].items()) {
        if (link.string_at("relation") == "next") return link.string_at("url");
    }
    return {};
}

class Walk : public ::testing::Test {
 protected:
    void SetUp() override {
        ASSERT_TRUE(server_.is_running()) << server_.output();
        Caller caller(server_.base_url());
        std::string bundle = R"({"resourceType":"Bundle","type":"transaction","entry":[)";
        for (int i = 0; i < staying; ++i) {
            bundle += fmt::format(
                R"({}{{"resource":{{"resourceType":"Observation","id":"stay-{}","status":"final","code":{{"text":"walked"}},"effectiveDateTime":"20{:02}-01-01","valueQuantity":{{"value":{}}}}},"request":{{"method":"PUT","url":"Observation/stay-{}"}}}})",
                i == 0 ? "" : ",", i, i % 50 + 10, i, i);
        }
        const auto written = caller.call(net::Method::post, "/fhir", bundle + "]}");
        ASSERT_EQ(written.status, 200) << written.body;
    }

    /// How often each entry was seen on all pages from `address` on, by what `key_of` says of it.
    template <class KeyOf>
    std::map<std::string, int> walk(const std::string& address, KeyOf key_of) {
        Caller caller(server_.base_url());
        std::map<std::string, int> seen;
        std::string page = address;
        for (int pages = 0; !page.empty(); ++pages) {
            if (pages == 2'000) {
                ADD_FAILURE() << "the walk does not end";
                break;
            }
            const auto answer = caller.call(net::Method::get, page);
            EXPECT_EQ(answer.status, 200) << page << ": " << answer.body;
            const auto document = JsonDocument::parse(answer.body);
            if (!document) break;
            for (const Json& entry : document->root()["entry"].items()) ++seen[key_of(entry)];
            page = next_of(document->root());
        }
        return seen;
    }

    static void expect_once_each(const std::map<std::string, int>& seen, const std::string& what) {
        for (int i = 0; i < staying; ++i) {
            const auto found = seen.find(fmt::format("stay-{}", i));
            EXPECT_EQ(found == seen.end() ? 0 : found->second, 1) << what << ": stay-" << i;
        }
        for (const auto& [key, times] : seen) EXPECT_EQ(times, 1) << what << ": " << key;
    }

    ServerProcess server_;
};

TEST_F(Walk, PagesOfASearchGiveEachMatchOnceWhileOthersWrite) {
    for (const std::string sort : {"", "&_sort=date", "&_sort=-date", "&_sort=_lastUpdated",
                                   "&_sort=-_lastUpdated", "&_sort=value-quantity,-_id"}) {
        Writers writers(server_.base_url());
        writers.wait();
        const auto seen =
            walk("/fhir/Observation?code:text=walked&_count=17" + sort,
                 [](const Json& entry) { return std::string(entry["resource"].string_at("id")); });
        expect_once_each(seen, sort.empty() ? "unsorted" : sort);
    }
    EXPECT_EQ(server_.stop(), 0) << server_.output();
}

TEST_F(Walk, PagesOfAHistoryGiveEachVersionOnceWhileOthersWrite) {
    for (const std::string scope : {"/fhir/_history", "/fhir/Observation/_history"}) {
        Writers writers(server_.base_url());
        writers.wait();
        const auto seen = walk(scope + "?_count=31", [](const Json& entry) {
            return fmt::format("{} {}", entry.string_at("fullUrl"),
                               entry["response"].string_at("etag"));
        });
        int first_versions = 0;
        for (const auto& [version, times] : seen) {
            EXPECT_EQ(times, 1) << scope << ": " << version;
            first_versions +=
                version.find("/stay-") != std::string::npos && version.ends_with(R"(W/"1")");
        }
        EXPECT_EQ(first_versions, staying) << scope;
    }
}

TEST_F(Walk, AnExportGivesEachResourceOnceWhileOthersWrite) {
    Caller caller(server_.base_url());
    for (int round = 0; round < 3; ++round) {
        Writers writers(server_.base_url());
        writers.wait();
        const auto started =
            caller.call(net::Method::get, "/fhir/$export?_type=Observation", {}, "respond-async");
        ASSERT_EQ(started.status, 202) << started.body;
        const std::string address(started.headers.joined("Content-Location"));
        net::ClientAnswer status;
        for (int tries = 0; tries < 6'000; ++tries) {
            status = caller.call(net::Method::get, address);
            if (status.status != 202) break;
            std::this_thread::sleep_for(10ms);
        }
        ASSERT_EQ(status.status, 200) << status.body;
        const auto manifest = JsonDocument::parse(status.body);
        ASSERT_TRUE(manifest);
        std::map<std::string, int> seen;
        for (const Json& file : manifest->root()["output"].items()) {
            const auto lines = caller.call(net::Method::get, std::string(file.string_at("url")));
            ASSERT_EQ(lines.status, 200) << lines.body;
            std::string_view rest = lines.body;
            while (!rest.empty()) {
                const std::size_t end = std::min(rest.find('\n'), rest.size());
                const auto resource = JsonDocument::parse(rest.substr(0, end));
                ASSERT_TRUE(resource) << rest.substr(0, 200);
                ++seen[std::string(resource->root().string_at("id"))];
                rest.remove_prefix(std::min(end + 1, rest.size()));
            }
        }
        expect_once_each(seen, "export");
    }
    EXPECT_EQ(server_.stop(), 0) << server_.output();
}

}  // namespace
}  // namespace meridian::tests

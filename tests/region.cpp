// SPDX-License-Identifier: Apache-2.0
#include "tests/region.hpp"

#include <gtest/gtest.h>
#include <cstdlib>

#include <filesystem>
#include <map>

#include "base/json.hpp"
#include "store/postgres/connection.hpp"
#include "store/postgres/test_cluster.hpp"

namespace meridian::tests {

std::chrono::seconds takeover_max() {
    constexpr int of_a_busy_machine = 60;
    const char* asked = std::getenv("MERIDIAN_TEST_TAKEOVER_SECONDS");
    return std::chrono::seconds(asked == nullptr ? of_a_busy_machine : std::atoi(asked));
}

using store::postgres::Connection;
using store::postgres::TestCluster;
using Clock = std::chrono::steady_clock;

// --- servers ---

Region::Region(std::size_t servers)
    : folder_(make_temporary_folder()),
      url_(TestCluster::instance().database_for(folder_)),
      urls_(servers, url_),
      servers_(servers),
      numbers_(servers) {
    for (std::size_t i = 0; i < servers; ++i) start(i);
}

Region::Region(std::string url, std::vector<std::string> urls, std::vector<std::string> further)
    : folder_(make_temporary_folder()),
      url_(std::move(url)),
      urls_(std::move(urls)),
      further_(std::move(further)),
      servers_(urls_.size()),
      numbers_(urls_.size()) {
    for (std::size_t i = 0; i < urls_.size(); ++i) start(i);
}

Region::~Region() {
    servers_.clear();
    std::filesystem::remove_all(folder_);
}

void Region::start(std::size_t i) {
    const std::string data = fmt::format("{}/{}", folder_, i);
    std::filesystem::create_directories(data);
    std::vector<std::string> arguments{"--store", urls_[i]};
    arguments.insert(arguments.end(), further_.begin(), further_.end());
    servers_[i] = std::make_unique<ServerProcess>(data, arguments);
    ASSERT_TRUE(servers_[i]->is_running()) << servers_[i]->output();
    numbers_[i] = ask("SELECT last_value FROM meridian.server_number");
}

std::size_t Region::with_number(std::int64_t number) const {
    return static_cast<std::size_t>(std::find(numbers_.begin(), numbers_.end(), number) -
                                    numbers_.begin());
}

std::size_t Region::sequencer() {
    return with_number(ask("SELECT server FROM meridian.sequencer"));
}

std::int64_t Region::ask(const std::string& sql) {
    const auto connection = Connection::open({.url = url_, .application_name = "test"});
    if (!connection) return -1;
    return (*connection)->integer(sql, -1).value_or(-1);
}

// --- requests ---

net::ClientRequest create(const std::string& base, const std::string& value, bool if_none) {
    net::ClientRequest request;
    request.method = net::Method::post;
    request.url = base + "/fhir/Basic";
    request.headers.add("Content-Type", "application/fhir+json");
    if (if_none) request.headers.add("If-None-Exist", "identifier=" + value);
    request.body = fmt::format(
        R"({{"resourceType":"Basic","code":{{"text":"x"}},"identifier":[{{"value":"{}"}}]}})",
        value);
    return request;
}

net::ClientRequest read_of(const std::string& base, const std::string& what) {
    net::ClientRequest request;
    request.url = fmt::format("{}/fhir/{}", base, what);
    return request;
}

int status_of(const net::ClientRequest& request) {
    net::Client client;
    const auto answer = client.send(request);
    return answer ? answer->status : 0;
}

std::int64_t total(const std::string& base, const std::string& search) {
    net::Client client;
    const auto answer = client.send(read_of(base, search));
    if (!answer || answer->status != 200) return -1;
    const auto document = JsonDocument::parse(answer->body);
    if (!document) return -1;
    return std::stoll(std::string(document->root()["total"].text()));
}

void expect_dense_log(Region& region) {
    const std::int64_t entries = region.ask("SELECT count(*) FROM meridian.log");
    EXPECT_GT(entries, 0);
    EXPECT_EQ(region.ask("SELECT max(position) + 1 FROM meridian.log"), entries);
    EXPECT_EQ(region.ask("SELECT count(*) FROM (SELECT DISTINCT rid, version FROM meridian.log) v"),
              entries);
    EXPECT_EQ(region.ask("SELECT count(*) FROM meridian.log_waiting"), 0);
    // Versions of one resource lie in the log in their order.
    EXPECT_EQ(region.ask("SELECT count(*) FROM meridian.log a JOIN meridian.log b "
                         "ON b.rid = a.rid AND b.version = a.version + 1 "
                         "WHERE b.position < a.position"),
              0);
    EXPECT_EQ(region.ask("SELECT count(*) FROM meridian.log a JOIN meridian.log b "
                         "ON b.position = a.position + 1 WHERE b.at < a.at"),
              0);
}

std::chrono::milliseconds time_until(const net::ClientRequest& request, int status,
                                     std::chrono::seconds patience) {
    const auto begun = Clock::now();
    while (status_of(request) != status && Clock::now() - begun < patience)
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begun);
}

// --- load ---

Load::Load(Region& region, unsigned clients_per_server) : region_(region), counts_(region.size()) {
    for (std::size_t i = 0; i < region.size(); ++i) bases_.push_back(region.at(i).base_url());
    for (std::size_t i = 0; i < region.size(); ++i) {
        for (unsigned client = 0; client < clients_per_server; ++client)
            threads_.emplace_back([this, i, client] { write(i, client); });
    }
}

Load::~Load() {
    stop();
}

void Load::stop() {
    stopping_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
}

void Load::write(std::size_t server, unsigned client) {
    for (int i = 0; !stopping_; ++i) {
        const bool if_none = i % 4 == 0;
        const std::string value = if_none ? fmt::format("c{}-{}", client, i)
                                          : fmt::format("w{}-{}-{}", server, client, i);
        const int status = status_of(create(bases_[server], value, if_none));
        const bool is_kept = status == 201 || status == 200;
        if (is_kept) {
            ++counts_[server];
        } else {
            ++refused_;
            // As Retry-After asks, but sooner.
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
        }
        const std::lock_guard lock(mutex_);
        told_.push_back({value, status, if_none});
    }
}

std::chrono::milliseconds Load::time_until_next(std::size_t i, std::chrono::seconds patience) {
    const auto begun = Clock::now();
    const std::size_t before = counts_[i];
    while (counts_[i] == before && Clock::now() - begun < patience)
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begun);
}

void Load::expect_kept() {
    stop();
    struct Fate {
        int made = 0;
        int found = 0;
        bool if_none = false;
    };
    std::map<std::string, Fate> fates;
    for (const Told& each : told_) {
        Fate& fate = fates[each.value];
        fate.made += each.status == 201;
        fate.found += each.status == 200;
        fate.if_none = each.if_none;
    }
    std::size_t number = 0;
    for (const auto& [value, fate] : fates) {
        const std::int64_t found =
            total(bases_[number++ % bases_.size()], "Basic?_summary=count&identifier=" + value);
        if (fate.made + fate.found > 0) {
            ASSERT_EQ(found, 1) << value << " was acknowledged";
        } else {
            ASSERT_LE(found, 1) << value << " was written twice";
            ASSERT_GE(found, 0) << value << " cannot be looked for";
        }
        ASSERT_LE(fate.made, 1) << value << " was made twice";
    }
}

}  // namespace meridian::tests

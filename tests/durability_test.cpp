// SPDX-License-Identifier: Apache-2.0
// The real program, killed without warning while clients write.
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "base/json.hpp"
#include "net/client.hpp"
#include "store/postgres/test_cluster.hpp"
#include "tests/server_process.hpp"

namespace meridian::tests {
namespace {

/// What one client was told is durable: the last version per resource, and pairs that one
/// transaction wrote.
struct Acknowledged {
    std::map<std::string, std::int64_t> values;
    std::vector<std::pair<std::string, std::string>> pairs;
};

net::ClientRequest put(const std::string& base, const std::string& id, std::int64_t value) {
    net::ClientRequest request;
    request.method = net::Method::put;
    request.url = fmt::format("{}/fhir/Basic/{}", base, id);
    request.headers.add("Content-Type", "application/fhir+json");
    request.body = fmt::format(
        R"({{"resourceType":"Basic","id":"{}","code":{{"text":"x"}},"identifier":[{{"value":"{}"}}]}})",
        id, value);
    return request;
}

net::ClientRequest pair_of(const std::string& base, const std::string& left,
                           const std::string& right) {
    net::ClientRequest request;
    request.method = net::Method::post;
    request.url = base + "/fhir";
    request.headers.add("Content-Type", "application/fhir+json");
    const auto entry = [](const std::string& id) {
        return fmt::format(
            R"({{"resource":{{"resourceType":"Basic","id":"{0}","code":{{"text":"pair"}}}},"request":{{"method":"PUT","url":"Basic/{0}"}}}})",
            id);
    };
    request.body =
        fmt::format(R"({{"resourceType":"Bundle","type":"transaction","entry":[{},{}]}})",
                    entry(left), entry(right));
    return request;
}

/// Writes until the server is gone.
void write_until_killed(const std::string& base, unsigned client_number, int round,
                        Acknowledged& told) {
    net::Client client;
    for (std::int64_t value = 1;; ++value) {
        const std::string id = fmt::format("c{}-{}", client_number, value % 7);
        const std::int64_t stamp = round * 1'000'000 + value;
        const auto single = client.send(put(base, id, stamp));
        if (!single || single->status >= 300) return;
        told.values[id] = stamp;
        const std::string left = fmt::format("l{}-{}-{}", client_number, round, value);
        const std::string right = fmt::format("r{}-{}-{}", client_number, round, value);
        told.pairs.emplace_back(left, right);  // also when unanswered: both or none must be there
        const auto both = client.send(pair_of(base, left, right));
        if (!both || both->status >= 300) return;
    }
}

int status_of(net::Client& client, const std::string& url, std::string* body = nullptr) {
    net::ClientRequest request;
    request.url = url;
    const auto answer = client.send(request);
    if (!answer) return 0;
    if (body != nullptr) *body = answer->body;
    return answer->status;
}

void verify(const std::string& base, const Acknowledged& told) {
    net::Client client;
    for (const auto& [id, value] : told.values) {
        std::string body;
        ASSERT_EQ(status_of(client, fmt::format("{}/fhir/Basic/{}", base, id), &body), 200)
            << id << " was acknowledged";
        const auto document = JsonDocument::parse(body);
        ASSERT_TRUE(document);
        const std::string_view found = document->root()["identifier"].items()[0].string_at("value");
        EXPECT_GE(std::stoll(std::string(found)), value) << id << " lost an acknowledged update";
    }
    for (const auto& [left, right] : told.pairs) {
        EXPECT_EQ(status_of(client, fmt::format("{}/fhir/Basic/{}", base, left)),
                  status_of(client, fmt::format("{}/fhir/Basic/{}", base, right)))
            << left << ": half a transaction";
    }
}

TEST(Durability, KilledServersLoseNothingAcknowledged) {
    const char* wanted = std::getenv("MERIDIAN_KILLS");
    const int kills = wanted != nullptr ? std::atoi(wanted) : 5;
    const std::string folder = make_temporary_folder();
    constexpr unsigned clients = 4;
    std::array<Acknowledged, clients> told;
    for (int round = 0; round < kills; ++round) {
        ServerProcess server(folder);
        ASSERT_TRUE(server.is_running()) << server.output();
        for (Acknowledged& one : told) {
            verify(server.base_url(), one);
            one.pairs.clear();
        }
        std::vector<std::thread> threads;
        for (unsigned i = 0; i < clients; ++i) {
            threads.emplace_back(
                [&, i] { write_until_killed(server.base_url(), i, round, told[i]); });
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(100 + 37 * (round % 11)));
        server.kill();
        for (std::thread& thread : threads) thread.join();
    }
    {
        ServerProcess server(folder);
        ASSERT_TRUE(server.is_running()) << server.output();
        for (const Acknowledged& one : told) verify(server.base_url(), one);
        EXPECT_EQ(server.stop(), 0);
    }
    std::string output;
    std::vector<std::string> check{"check"};
    for (std::string& word : place_of(folder)) check.push_back(std::move(word));
    EXPECT_EQ(run_program(check, &output), 0) << output;
    EXPECT_NE(output.find(" 0 problems"), std::string::npos) << output;
    std::filesystem::remove_all(folder);
}

net::ClientRequest get(const std::string& url, const std::string& token) {
    net::ClientRequest request;
    request.url = url;
    request.headers.add("Authorization", "Bearer " + token);
    return request;
}

/// Reads until the server is gone; the ids of the requests that were answered.
std::vector<std::string> read_until_killed(const ServerProcess& server, unsigned client_number) {
    std::vector<std::string> answered;
    net::Client client;
    for (std::size_t count = 0;; ++count) {
        net::ClientRequest request = get(server.base_url() + "/fhir/Basic/read", server.token());
        const std::string id = fmt::format("reader-{}-{}", client_number, count);
        request.headers.add("X-Request-Id", id);
        const auto answer = client.send(request);
        if (!answer || answer->status != 200) return answered;
        answered.push_back(id);
    }
}

/// The text of all AuditEvents, a page to each.
std::vector<std::string> audit_of(const ServerProcess& server) {
    net::Client client;
    std::vector<std::string> pages;
    std::string next = server.base_url() + "/fhir/AuditEvent?_count=500";
    while (!next.empty()) {
        auto answer = client.send(get(next, server.token()));
        if (!answer || answer->status != 200) {
            ADD_FAILURE() << (answer ? answer->body : answer.error().message);
            break;
        }
        next.clear();
        const auto document = JsonDocument::parse(answer->body);
        if (document) {
            for (const Json& link : document->root()["link"].items())
                if (link.string_at("relation") == "next") next = link.string_at("url");
        }
        pages.push_back(std::move(answer->body));
    }
    return pages;
}

TEST(Durability, EveryAnsweredReadIsInTheAuditOfAKilledServer) {
    const std::string folder = make_temporary_folder();
    constexpr unsigned clients = 8;
    std::array<std::vector<std::string>, clients> answered;
    {
        ServerProcess server(folder, {}, Trust::on);
        ASSERT_TRUE(server.is_running()) << server.output();
        net::ClientRequest write = put(server.base_url(), "read", 1);
        write.headers.add("Authorization", "Bearer " + server.token());
        const auto written = net::Client().send(write);
        ASSERT_TRUE(written && written->status == 201);
        std::vector<std::thread> threads;
        for (unsigned i = 0; i < clients; ++i)
            threads.emplace_back([&, i] { answered[i] = read_until_killed(server, i); });
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
        server.kill();
        for (std::thread& thread : threads) thread.join();
    }
    ServerProcess server(folder, {}, Trust::on);
    ASSERT_TRUE(server.is_running()) << server.output();
    std::string audit;
    for (const std::string& page : audit_of(server)) audit += page;
    for (const std::vector<std::string>& ids : answered) {
        EXPECT_FALSE(ids.empty());
        for (const std::string& id : ids)
            ASSERT_NE(audit.find("\"" + id + "\""), std::string::npos) << id << " was answered";
    }
    std::filesystem::remove_all(folder);
}

TEST(Command, RefusesAddressesThatOthersCanReach) {
    const std::string folder = make_temporary_folder();
    std::string output;
    EXPECT_EQ(run_program({"serve", "--data", folder, "--listen", "0.0.0.0:0"}, &output), 1);
    EXPECT_NE(output.find("loopback"), std::string::npos) << output;
    EXPECT_EQ(run_program({"serve"}, &output), 2);
    EXPECT_EQ(run_program({"check", "--data", folder + "/none"}, &output), 1) << output;
    std::filesystem::remove_all(folder);
}

TEST(Command, ImportsExportsBacksUpAndRestores) {
    const std::string folder = make_temporary_folder();
    std::string output;
    ASSERT_EQ(run_program({"generate", "--patients", "3", "--out", folder + "/files"}, &output), 0)
        << output;
    ASSERT_EQ(run_program({"import", "--data", folder + "/a", folder + "/files"}, &output), 0)
        << output;
    EXPECT_NE(output.find(" 0 rejected"), std::string::npos) << output;
    ASSERT_EQ(run_program({"backup", "--data", folder + "/a", folder + "/backup"}, &output), 0)
        << output;
    // The backup holds no keys: without them nothing of it can be read.
    EXPECT_EQ(run_program({"restore", "--data", folder + "/none", folder + "/backup"}, &output), 1);
    EXPECT_NE(output.find("its keys are not here"), std::string::npos) << output;
    ASSERT_EQ(run_program({"keys", "export", "--data", folder + "/a", folder + "/keys"}, &output),
              0)
        << output;
    for (const char* key : {"kek-1.key", "master.key"}) {
        std::filesystem::create_directories(folder + "/b/keys");
        std::filesystem::copy(folder + "/a/keys/" + key, folder + "/b/keys/" + key);
    }
    ASSERT_EQ(run_program({"restore", "--keys", folder + "/keys", "--data", folder + "/b",
                           folder + "/backup"},
                          &output),
              0)
        << output;
    ASSERT_EQ(run_program({"check", "--data", folder + "/b"}, &output), 0) << output;
    ASSERT_EQ(run_program({"reindex", "--data", folder + "/b", "--param", "Patient.name"}, &output),
              0)
        << output;
    ASSERT_EQ(run_program(
                  {"export", "--data", folder + "/a", "--out", folder + "/ea", "--type", "Patient"},
                  &output),
              0)
        << output;
    std::string other;
    ASSERT_EQ(run_program(
                  {"export", "--data", folder + "/b", "--out", folder + "/eb", "--type", "Patient"},
                  &other),
              0)
        << other;
    EXPECT_NE(output.find("Patient-1.ndjson\t3"), std::string::npos) << output;
    EXPECT_NE(other.find("Patient-1.ndjson\t3"), std::string::npos) << other;
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace meridian::tests

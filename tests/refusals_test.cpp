// SPDX-License-Identifier: Apache-2.0
// Outside providers by command, and what the served program does with bad tokens and cookies: the
// answer says nothing more than its status, the log says that it happened and from where.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "base/json.hpp"
#include "net/client.hpp"
#include "tests/server_process.hpp"

namespace meridian::tests {
namespace {

using Words = std::vector<std::string>;

class Refusals : public ::testing::Test {
 protected:
    ~Refusals() override { std::filesystem::remove_all(folder_); }

    int run(Words words, std::string* output = nullptr) const {
        const Words place = place_of(folder_);
        words.insert(words.end(), place.begin(), place.end());
        return run_program(words, output);
    }
    net::ClientAnswer ask(const std::string& path,
                          const std::vector<std::pair<std::string, std::string>>& headers,
                          const std::string& form = {}) {
        net::ClientRequest request{.url = server_->base_url() + path};
        if (!form.empty()) {
            request.method = net::Method::post;
            request.body = form;
            request.headers.add("Content-Type", "application/x-www-form-urlencoded");
        }
        for (const auto& [name, value] : headers) request.headers.add(name, value);
        net::Client client;
        auto answer = client.send(request);
        EXPECT_TRUE(answer) << path;
        return answer ? *std::move(answer) : net::ClientAnswer{};
    }
    void serve() { server_.emplace(folder_, Words{}, Trust::on); }
    /// Whether the audit tells of so many refused requests, now or soon: those at the gate are
    /// written beside the answer.
    bool are_refused(std::size_t wanted) {
        for (int i = 0; i < 50 && refusals() < wanted; ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
        return refusals() >= wanted;
    }
    /// How many refused requests the audit tells of.
    std::size_t refusals() {
        const auto found = ask("/fhir/AuditEvent?outcome=4,8,12&_count=200",
                               {{"Authorization", "Bearer " + server_->token()}});
        const auto bundle = JsonDocument::parse(found.body);
        EXPECT_EQ(found.status, 200) << found.body;
        return bundle ? bundle->root()["entry"].size() : 0;
    }

    std::string folder_ = make_temporary_folder();
    std::optional<ServerProcess> server_;
};

TEST_F(Refusals, BadTokensAndCookiesAre401AuditedAndAlike) {
    serve();
    ASSERT_TRUE(server_->is_running()) << server_->output();
    const std::string token = token_for(folder_, "system-client", "short");
    std::string said;
    ASSERT_EQ(run({"token", "--account", "short", "--seconds", "1"}, &said), 0);
    const std::string expired = said.substr(0, said.find('\n'));
    std::string altered = token;
    altered[altered.size() / 2] = altered[altered.size() / 2] == 'A' ? 'B' : 'A';
    std::this_thread::sleep_for(std::chrono::milliseconds(1200));
    const std::size_t before = refusals();
    const std::vector<std::pair<std::string, std::string>> bad[] = {
        {{"Authorization", "Bearer " + expired}},
        {{"Authorization", "Bearer " + altered}},
        {{"Authorization", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJzaG9ydCJ9."}},
        {{"Authorization", "Basic c2hvcnQ6eA=="}},
        {{"Cookie", "__Host-meridian=" + std::string(43, 'A')}},
        {{"Cookie", "__Host-meridian=%00; __Host-meridian=x"}},
    };
    std::set<std::string> bodies;
    for (const auto& headers : bad) {
        const auto answer = ask("/fhir/Patient/none", headers);
        EXPECT_EQ(answer.status, 401) << headers[0].second;
        EXPECT_TRUE(answer.headers.get("WWW-Authenticate").starts_with("Bearer"));
        EXPECT_EQ(answer.body.find("short"), std::string::npos) << answer.body;
        EXPECT_EQ(answer.body.find("seal"), std::string::npos) << answer.body;
        bodies.insert(answer.body);
    }
    // A bad token, another scheme, nothing that counts: three sentences, none of which tells an
    // expired token from an altered one.
    EXPECT_LE(bodies.size(), 3u);
    EXPECT_TRUE(are_refused(before + std::size(bad)));
    EXPECT_EQ(server_->output().find(expired), std::string::npos) << "no token in a log";
    EXPECT_EQ(server_->output().find(altered), std::string::npos);
}

TEST_F(Refusals, BadGrantsAreInTheAudit) {
    serve();
    ASSERT_TRUE(server_->is_running()) << server_->output();
    const std::size_t before = refusals();
    const auto guessed =
        ask("/oauth/token", {}, "grant_type=refresh_token&refresh_token=guessed.secret");
    EXPECT_EQ(guessed.status, 400);
    EXPECT_EQ(guessed.body, R"({"error":"invalid_grant"})");
    const auto nobody =
        ask("/oauth/token", {{"Authorization", "Basic bm9ib2R5Ong="}}, "grant_type=refresh_token");
    EXPECT_EQ(nobody.status, 401);
    EXPECT_EQ(nobody.body, R"({"error":"invalid_client"})");
    EXPECT_EQ(ask("/oauth/authorize?client_id=nobody", {}).status, 400);
    EXPECT_TRUE(are_refused(before + 3));
    const auto found = ask("/fhir/AuditEvent?outcome=4,8,12&_count=200",
                           {{"Authorization", "Bearer " + server_->token()}});
    EXPECT_NE(found.body.find("127.0.0.1"), std::string::npos) << "from where";
}

TEST_F(Refusals, OutsideProvidersAreAddedByCommandWithSecretsFromFiles) {
    serve();
    ASSERT_TRUE(server_->is_running()) << server_->output();
    const std::string secret = "a-secret-of-the-clinic";
    std::ofstream(folder_ + "/secret") << secret << '\n';
    std::ofstream(folder_ + "/empty") << '\n';
    std::string said;
    const Words add{"provider",           "add",         "clinic",  "--issuer",
                    "http://127.0.0.1:1", "--client-id", "meridian"};
    const auto with = [&](const Words& more) {
        Words words = add;
        words.insert(words.end(), more.begin(), more.end());
        return words;
    };
    EXPECT_NE(run(with({"--secret-file", folder_ + "/empty"}), &said), 0);
    EXPECT_NE(run(with({"--creates", "security-admin"}), &said), 0);
    EXPECT_NE(said.find("patients and people at work"), std::string::npos) << said;
    EXPECT_EQ(run(with({"--secret-file", folder_ + "/secret", "--label", "Clinic ID", "--label-zh",
                        "诊所身份"}),
                  &said),
              0)
        << said;
    EXPECT_NE(said.find("/oauth/federated/clinic/callback"), std::string::npos) << said;
    EXPECT_NE(run(add, &said), 0) << "twice";
    EXPECT_EQ(run({"provider", "list"}, &said), 0);
    EXPECT_NE(said.find("clinic"), std::string::npos) << said;
    EXPECT_EQ(said.find(secret), std::string::npos) << "what is a secret is not shown";
    EXPECT_NE(ask("/sign-in", {{"Accept-Language", "en"}}).body.find("Sign in with Clinic ID"),
              std::string::npos);
    EXPECT_NE(ask("/sign-in", {{"Accept-Language", "zh-CN"}}).body.find("通过诊所身份登录"),
              std::string::npos);
    EXPECT_EQ(ask("/oauth/federated/clinic/start", {}).status, 503) << "it cannot be reached";

    ASSERT_FALSE(token_for(folder_, "system-client", "li").empty());
    EXPECT_EQ(run({"account", "link", "li", "--provider", "clinic", "--subject", "42"}, &said), 0)
        << said;
    EXPECT_NE(run({"account", "link", "li", "--provider", "clinic", "--subject", "42"}, &said), 0);
    EXPECT_NE(run({"account", "link", "li", "--provider", "none", "--subject", "42"}, &said), 0);
    EXPECT_EQ(run({"account", "link", "li", "--provider", "clinic", "--subject", "42", "--remove"},
                  &said),
              0)
        << said;
    EXPECT_EQ(run({"provider", "remove", "clinic"}, &said), 0);
    EXPECT_EQ(ask("/oauth/federated/clinic/start", {}).status, 404);
    EXPECT_EQ(server_->output().find(secret), std::string::npos) << "no secret in a log";
}

}  // namespace
}  // namespace meridian::tests

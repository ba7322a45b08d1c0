// SPDX-License-Identifier: Apache-2.0
// The pages of the three administrators without a browser; tests/e2e/administration.mjs has them
// with one.
#include "trust/pages/administration.hpp"

#include <gtest/gtest.h>

#include "base/file.hpp"
#include "base/query_string.hpp"
#include "base/testing.hpp"
#include "store/testing.hpp"
#include "trust/audit/log_audit.hpp"
#include "trust/audit/trail.hpp"
#include "trust/pages/record_access.hpp"
#include "trust/sessions/cookie.hpp"
#include "trust/testing/memory_vault.hpp"
#include "trust/testing/one_update.hpp"

namespace meridian::trust {
namespace {

using meridian::testing::Folder;
using meridian::testing::must;

std::shared_ptr<const policy::Policy> shipped() {
    return must(policy::parse(
        {{"default.toml",
          must(read_file(MERIDIAN_SOURCE_DIR "/data/policy/default.toml", 1 << 20))}}));
}

audit::AuditScope scope_of(const fhir::Caller& caller) {
    const bool may =
        caller.access->sees_everything() || (caller.origin && caller.origin->role == "audit-admin");
    return {.kind = may ? audit::AuditScope::Kind::everything : audit::AuditScope::Kind::nothing};
}

struct AdministrationTest : ::testing::Test {
    Folder folder;
    std::unique_ptr<store::Store> store_ = must(store::open_for_test({.folder = folder.path()}));
    std::unique_ptr<fhir::Repository> repository = must(fhir::Repository::open(
        *store_, {.audit = std::make_shared<audit::LogAudit>(*store_),
                  .trail = audit::trail(
                      *store_, [] { return std::string("http://here/fhir"); }, scope_of),
                  .base_url = "http://here/fhir"}));
    policy::Decisions decisions{*repository, shipped()};
    testing::MemoryVault vault;
    Instant at = now();
    Accounts accounts{vault, {.argon2_operations = 1, .argon2_memory_bytes = 8192, .clock = [this] {
                                  return at;
                              }}};
    Sessions sessions{
        vault, accounts, {.origins = {"https://example.org"}, .clock = [this] { return at; }}};
    Administration pages{
        vault,
        accounts,
        sessions,
        *repository,
        decisions,
        {.add_account =
             [this](const WantedAccount& wanted) {
                 NewAccount account = wanted.account;
                 account.person = fmt::format("Practitioner/{}", account.name);
                 return accounts.add(account);
             },
         .status = [] { return std::vector<StatusLine>{{"版本", "Version", "1 & only"}}; },
         .clock = [this] { return at; }}};
    RecordAccess record_access{sessions, *repository, decisions};
    std::map<std::string, std::string> cookies;  ///< of each account

    void SetUp() override {
        put(R"({"resourceType":"Patient","id":"p1","name":[{"text":"Ada"}]})");
        put(R"({"resourceType":"Patient","id":"p2","name":[{"text":"Bert"}]})");
        put(R"({"resourceType":"Practitioner","id":"dora","name":[{"text":"Dr. Dora"}]})");
        add("sec", Role::security_admin);
        add("aud", Role::audit_admin);
        add("sys", Role::system_admin);
        add("dora", Role::doctor);
        add("ada", Role::patient, "Patient/p1");
    }
    void put(std::string_view json) {
        must(repository->commit(fhir::Caller::system("test"), testing::one_update(json)));
    }
    void add(std::string name, Role role, std::string person = {}) {
        if (person.empty()) person = "Practitioner/" + name;
        const Account account = must(accounts.add({.name = name,
                                                   .role = role,
                                                   .person = std::move(person),
                                                   .password = "seven herons over tin"}));
        sign_in(name);
    }
    void sign_in(const std::string& name) {
        const std::string header = must(sessions.start(request("", net::Method::post, "/sign-in"),
                                                       *must(accounts.find(name)), {"pwd", "otp"}));
        cookies[name] = header.substr(0, header.find(';'));
    }
    net::Request request(const std::string& who, net::Method method, std::string target) {
        net::Request out;
        out.method = method;
        out.target = std::move(target);
        out.peer = "192.0.2.1:5000";
        out.headers.add("Host", "example.org");
        if (!cookies[who].empty()) out.headers.add("Cookie", cookies[who]);
        return out;
    }
    net::Response sent(const net::Request& from) {
        if (auto answer = record_access.handle(from)) return *std::move(answer);
        auto answer = pages.handle(from);
        EXPECT_TRUE(answer) << from.target;
        return answer ? *std::move(answer) : net::Response{};
    }
    net::Response get(const std::string& who, std::string target) {
        return sent(request(who, net::Method::get, std::move(target)));
    }
    net::Response post(const std::string& who, std::string target, net::Parameters form) {
        net::Request out = request(who, net::Method::post, std::move(target));
        form.emplace_back("csrf", Sessions::csrf_token(out));
        out.headers.add("Content-Type", "application/x-www-form-urlencoded");
        out.body = query_string(form);
        return sent(out);
    }
    Account account(std::string_view name) { return *must(accounts.find(name)); }
    Subject subject_of(const std::string& name) {
        return *sessions.find(request(name, net::Method::get, "/"));
    }
    /// What the audit says of security, newest first.
    std::string audited() {
        std::string all;
        auto snapshot = must(store_->snapshot());
        store::AuditQuery query;
        query.before = snapshot->position() + 1;
        query.limit = 50;
        for (const store::KeptAudit& kept : must(snapshot->audit(query))) {
            const audit::Entry entry = must(audit::decode(kept.bytes));
            if (entry.interaction != fhir::Interaction::security) continue;
            all += fmt::format("{} {} {}\n", entry.account, entry.query,
                               entry.outcome == fhir::AuditOutcome::success ? "ok" : "refused");
        }
        return all;
    }
};

bool has(const net::Response& response, std::string_view text) {
    return response.body.find(text) != std::string::npos;
}

/// The one-time address that a page shows.
std::string link_in(const net::Response& response) {
    const std::size_t begin = response.body.find("https://example.org/setup/account?");
    if (begin == std::string::npos) return {};
    std::string link = response.body.substr(begin, response.body.find('<', begin) - begin);
    const std::size_t entity = link.find("&amp;");
    return link.replace(entity, 5, "&");
}

TEST_F(AdministrationTest, EachAdministratorHasTheirOwnPagesAndNoOthers) {
    const std::map<std::string, std::set<std::string>> own = {
        {"sec", {"accounts", "account?name=dora", "clients", "policy"}},
        {"aud", {"reviews", "audit"}},
        {"sys", {"status"}},
        {"dora", {}},
        {"ada", {}}};
    for (const auto& [who, theirs] : own) {
        for (const char* page :
             {"accounts", "account?name=dora", "clients", "policy", "reviews", "audit", "status"})
            EXPECT_EQ(get(who, fmt::format("/administration/{}", page)).status,
                      theirs.contains(page) ? 200 : 403)
                << who << " " << page;
    }
    EXPECT_EQ(post("aud", "/administration/account/disable", {{"name", "sec"}}).status, 403);
    EXPECT_EQ(post("sys", "/administration/accounts", {{"new-name", "x"}}).status, 403);
    EXPECT_EQ(post("sec", "/administration/reviews", {{"task", "x"}}).status, 403);
    EXPECT_FALSE(account("sec").disabled);
    EXPECT_NE(audited().find("sys administration.refused /administration/accounts refused"),
              std::string::npos)
        << audited();
    EXPECT_EQ(get("sec", "/administration").headers.get("Location"), "/administration/accounts");
    EXPECT_EQ(get("aud", "/administration").headers.get("Location"), "/administration/reviews");
    EXPECT_EQ(get("dora", "/administration").status, 403);
    EXPECT_EQ(get("nobody", "/administration/accounts").headers.get("Location"),
              "/sign-in?return_to=%2Fadministration%2Faccounts");
    EXPECT_FALSE(pages.handle(request("sec", net::Method::get, "/administrations")));
    EXPECT_TRUE(has(get("sys", "/administration/status"), "1 &amp; only"));
}

TEST_F(AdministrationTest, WhatChangesSomethingAsksForAFreshProofAndAPageOfOurs) {
    at.milliseconds += 11 * 60'000;
    const net::Response old = post("sec", "/administration/account/disable", {{"name", "dora"}});
    EXPECT_EQ(old.headers.get("Location"), "/step-up?return_to=%2Fadministration%2Faccounts");
    EXPECT_EQ(get("sec", "/administration/accounts").status, 200);
    sign_in("sec");
    net::Request forged = request("sec", net::Method::post, "/administration/account/disable");
    forged.headers.add("Content-Type", "application/x-www-form-urlencoded");
    forged.body = "name=dora&csrf=guessed";
    EXPECT_EQ(sent(forged).status, 403);
    EXPECT_FALSE(account("dora").disabled);
}

TEST_F(AdministrationTest, AccountsAreAddedFoundAndGivenAPassword) {
    const net::Response added = post("sec", "/administration/accounts",
                                     {{"new-name", "Nora"},
                                      {"display", "Nora <N>"},
                                      {"new-role", "nurse"},
                                      {"organisation", "Organization/1"}});
    EXPECT_EQ(added.status, 201) << added.body;
    EXPECT_TRUE(has(added, "Nora &lt;N&gt;"));
    EXPECT_FALSE(has(added, "<N>"));
    EXPECT_FALSE(link_in(added).empty()) << added.body;
    EXPECT_EQ(account("nora").role, Role::nurse);
    EXPECT_EQ(post("sec", "/administration/accounts", {{"new-name", "nora"}, {"new-role", "nurse"}})
                  .status,
              409);
    EXPECT_EQ(
        post("sec", "/administration/accounts", {{"new-name", "n"}, {"new-role", "king"}}).status,
        400);
    EXPECT_EQ(
        audited().substr(0, audited().find('\n', audited().find("nora nurse"))),
        "sec account.added refused\nsec account.added refused\nsec account.added nora nurse ok");
    const net::Response system = post("sec", "/administration/accounts",
                                      {{"new-name", "engine"}, {"new-role", "system-client"}});
    EXPECT_EQ(system.status, 201);
    EXPECT_TRUE(link_in(system).empty());

    const net::Response found = get("sec", "/administration/accounts?q=NOR");
    EXPECT_TRUE(has(found, "name=nora"));
    EXPECT_FALSE(has(found, "name=dora"));
    EXPECT_TRUE(has(get("sec", "/administration/accounts?role=doctor"), "name=dora"));
    EXPECT_TRUE(has(get("sec", "/administration/accounts?q=zzz"), "No account fits."));
    EXPECT_EQ(get("sec", "/administration/account?name=zzz").status, 404);
}

TEST_F(AdministrationTest, AListHasPages) {
    for (std::size_t i = 0; i < limits::administration_rows_max + 3; ++i)
        must(accounts.add({.name = fmt::format("many{:03}", i), .role = Role::nurse}));
    const net::Response first = get("sec", "/administration/accounts?q=many");
    EXPECT_TRUE(has(first, "name=many049"));
    EXPECT_FALSE(has(first, "name=many050"));
    const net::Response second = get("sec", "/administration/accounts?q=many&after=many049");
    EXPECT_FALSE(has(second, "name=many049"));
    EXPECT_TRUE(has(second, "name=many052"));
    EXPECT_TRUE(has(first, "after=many049"));
    EXPECT_FALSE(has(second, "rel=\"next\""));
}

TEST_F(AdministrationTest, AnAccountIsDisabledEnabledUnlockedAndChangesItsRole) {
    EXPECT_EQ(post("sec", "/administration/account/disable", {{"name", "dora"}}).status, 303);
    EXPECT_TRUE(account("dora").disabled);
    EXPECT_EQ(get("dora", "/administration").status, 303) << "the session is over";
    EXPECT_EQ(post("sec", "/administration/account/reset", {{"name", "dora"}}).status, 403);
    EXPECT_EQ(post("sec", "/administration/account/enable", {{"name", "dora"}}).status, 303);
    EXPECT_FALSE(account("dora").disabled);
    EXPECT_EQ(get("dora", "/administration").status, 303) << "it stays over";

    Throttle throttle(vault, [this] { return at; });
    const Attempt attempt{Proof::password, "dora", "192.0.2.7", {}};
    while (throttle.begin(attempt)) continue;
    EXPECT_EQ(post("sec", "/administration/account/unlock", {{"name", "dora"}}).status, 303);
    EXPECT_TRUE(throttle.begin(attempt));

    const auto to = [&](const char* name, const char* role) {
        return post("sec", "/administration/account/role", {{"name", name}, {"role", role}}).status;
    };
    EXPECT_EQ(to("dora", "nurse"), 303);
    EXPECT_EQ(account("dora").role, Role::nurse);
    EXPECT_EQ(to("dora", "audit-admin"), 403);
    EXPECT_EQ(to("dora", "system-client"), 403);
    EXPECT_EQ(to("aud", "nurse"), 403);
    EXPECT_EQ(to("sec", "nurse"), 403);
    EXPECT_EQ(to("dora", "king"), 400);
    EXPECT_EQ(account("dora").role, Role::nurse);
    const std::string said = audited();
    for (const char* wanted :
         {"sec account.disabled dora ok", "sec account.enabled dora ok",
          "sec account.unlocked dora ok", "sec account.role nurse dora ok",
          "sec account.role audit-admin dora refused", "sec account.password-link dora refused"})
        EXPECT_NE(said.find(wanted), std::string::npos) << wanted << " in\n" << said;
}

TEST_F(AdministrationTest, TheLastSecurityAdministratorStays) {
    const net::Response refused = post("sec", "/administration/account/disable", {{"name", "sec"}});
    EXPECT_EQ(refused.status, 409);
    EXPECT_TRUE(has(refused, "last security administrator"));
    EXPECT_FALSE(account("sec").disabled);
    add("sec2", Role::security_admin);
    EXPECT_EQ(post("sec", "/administration/account/disable", {{"name", "sec2"}}).status, 303);
    EXPECT_EQ(post("sec", "/administration/account/disable", {{"name", "sec"}}).status, 409)
        << "a disabled one does not count";
    must(accounts.set_disabled("sec2", false));
    EXPECT_EQ(post("sec", "/administration/account/disable", {{"name", "sec"}}).status, 303);
}

TEST_F(AdministrationTest, NoAdministratorTakesAnothersPlace) {
    must(accounts.add_passkey("aud", {.id = "k"}));
    must(accounts.add_passkey("dora", {.id = "l"}));
    EXPECT_EQ(post("sec", "/administration/account/factors", {{"name", "aud"}}).status, 403);
    EXPECT_TRUE(account("aud").has_second_factor());
    EXPECT_EQ(post("sec", "/administration/account/factors", {{"name", "dora"}}).status, 303);
    EXPECT_FALSE(account("dora").has_second_factor());
    EXPECT_FALSE(must(accounts.find_by_passkey("l")));
    const net::Response link = post("sec", "/administration/account/reset", {{"name", "aud"}});
    EXPECT_FALSE(link_in(link).empty()) << "a password alone opens nothing";
    for (const char* what : {"reset", "factors", "unlock", "role"})
        EXPECT_EQ(post("sec", fmt::format("/administration/account/{}", what),
                       {{"name", "sec"}, {"role", "nurse"}})
                      .status,
                  403)
            << what;
}

TEST_F(AdministrationTest, SessionsAreEndedOneByOneAllOfAnAccountAndOfEverybody) {
    const std::string first = cookies["dora"];
    sign_in("dora");
    EXPECT_TRUE(has(get("sec", "/administration/account?name=dora"), "account/session"));
    net::Request old = request("dora", net::Method::get, "/");
    old.headers = {};
    old.headers.add("Cookie", first);
    const std::string id = sessions.find(old)->session;
    EXPECT_EQ(post("sec", "/administration/account/session", {{"name", "dora"}, {"id", id}}).status,
              303);
    EXPECT_FALSE(sessions.find(old));
    EXPECT_EQ(must(sessions.list("dora")).size(), 1u);
    EXPECT_EQ(post("sec", "/administration/account/sessions", {{"name", "dora"}}).status, 303);
    EXPECT_EQ(must(sessions.list("dora")).size(), 0u);
    EXPECT_EQ(post("sec", "/administration/sessions", {}).status, 303);
    for (const char* other : {"aud", "sys", "ada"})
        EXPECT_EQ(must(sessions.list(other)).size(), 0u) << other;
    EXPECT_EQ(must(sessions.list("sec")).size(), 1u);
    EXPECT_NE(audited().find("sec sessions-ended ok"), std::string::npos);
}

TEST_F(AdministrationTest, AppsAreRegisteredAndRemoved) {
    EXPECT_TRUE(has(get("sec", "/administration/clients"), "No app is registered yet."));
    const net::Response added = post("sec", "/administration/clients",
                                     {{"app", "An <app>"},
                                      {"id", "app"},
                                      {"authentication", "secret"},
                                      {"redirects", "https://app.example/back"},
                                      {"scopes", "launch/patient\r\npatient/*.rs openid"}});
    EXPECT_EQ(added.status, 201) << added.body;
    EXPECT_TRUE(has(added, "client_secret"));
    EXPECT_TRUE(has(added, "An &lt;app&gt;"));
    const auto client = must(oauth::Clients(vault).find("app"));
    ASSERT_TRUE(client);
    EXPECT_EQ(client->scopes.size(), 3u);
    EXPECT_FALSE(has(get("sec", "/administration/clients"), "client_secret"));
    EXPECT_EQ(post("sec", "/administration/clients",
                   {{"app", "Bad"}, {"redirects", "http://app.example/back"}})
                  .status,
              400);
    EXPECT_EQ(post("sec", "/administration/clients/remove", {{"id", "app"}}).status, 303);
    EXPECT_FALSE(must(oauth::Clients(vault).find("app")));
    EXPECT_NE(audited().find("sec client.removed app ok"), std::string::npos);
}

TEST_F(AdministrationTest, ThePolicyIsShownAsItsDocumentSaysIt) {
    const net::Response page = get("sec", "/administration/policy");
    EXPECT_TRUE(has(page, "meridian default 1"));
    EXPECT_TRUE(has(page, "<h2>doctor</h2>"));
    EXPECT_TRUE(has(page, "<th>Clause</th>"));
    EXPECT_TRUE(has(page, "<td>patients in care</td>"));
    EXPECT_FALSE(has(page, "**"));
}

TEST_F(AdministrationTest, EmergencyAccessesAreReviewedByOthersWithAVerdict) {
    EXPECT_TRUE(has(get("aud", "/administration/reviews"), "No emergency access waits"));
    const auto access =
        must(decisions.break_glass(subject_of("dora"), "p1", "unconscious <after> a fall"));
    const net::Response queue = get("aud", "/administration/reviews");
    EXPECT_TRUE(has(queue, "Patient/p1"));
    EXPECT_TRUE(has(queue, "Practitioner/dora"));
    EXPECT_TRUE(has(queue, "unconscious &lt;after&gt; a fall"));
    EXPECT_FALSE(has(queue, "Ada")) << "whom it concerns is told by id";
    EXPECT_FALSE(has(queue, "Overdue"));
    at.milliseconds += 73 * 3'600'000LL;
    sign_in("aud");
    EXPECT_TRUE(has(get("aud", "/administration/reviews"), "Overdue"));
    const std::string task = access.task.substr(5);
    EXPECT_EQ(post("aud", "/administration/reviews", {{"task", task}, {"finding", "x"}}).status,
              400);
    EXPECT_EQ(
        post("aud", "/administration/reviews", {{"task", task}, {"verdict", "justified"}}).status,
        400);
    EXPECT_EQ(post("aud", "/administration/reviews",
                   {{"task", task}, {"verdict", "not-justified"}, {"finding", "no emergency"}})
                  .status,
              303);
    EXPECT_EQ(post("aud", "/administration/reviews",
                   {{"task", task}, {"verdict", "justified"}, {"finding", "again"}})
                  .status,
              404);
    EXPECT_TRUE(has(get("aud", "/administration/reviews"), "No emergency access waits"));
    const auto closed = must(repository->read(fhir::Caller::system("t"), "Task", task));
    EXPECT_NE(closed.json.find("not-justified"), std::string::npos) << closed.json;
    EXPECT_NE(audited().find("aud break-glass.review not-justified Task/"), std::string::npos);
}

TEST_F(AdministrationTest, TheAuditIsSearchedPageByPage) {
    const auto caller = must(decisions.caller(subject_of("ada")));
    for (int i = 0; i < 60; ++i) must(repository->read(caller, "Patient", "p1"));
    const net::Response first = get("aud", "/administration/audit?actor=Patient/p1&patient=p1");
    EXPECT_EQ(first.status, 200);
    EXPECT_TRUE(has(first, "Patient/p1"));
    EXPECT_FALSE(has(first, "Ada"));
    const std::size_t link = first.body.find("cursor=");
    ASSERT_NE(link, std::string::npos);
    const std::string cursor = first.body.substr(link + 7, first.body.find('"', link) - link - 7);
    const net::Response second = get("aud", "/administration/audit?cursor=" + cursor);
    EXPECT_EQ(second.status, 200);
    EXPECT_TRUE(has(second, "<td>"));
    EXPECT_FALSE(has(second, "rel=\"next\""));
    must(repository->search(caller, "Patient", {{"name", "Somebody"}}, {}));
    post("sec", "/administration/account/unlock", {{"name", "dora"}});
    const net::Response newest = get("aud", "/administration/audit");
    EXPECT_TRUE(has(newest, "account.unlocked dora"));
    EXPECT_FALSE(has(newest, "Somebody")) << "people search by name";
    EXPECT_TRUE(has(get("aud", "/administration/audit?actor=Practitioner/none"), "No entry fits."));
    EXPECT_EQ(get("aud", "/administration/audit?from=yesterday").status, 400);
    EXPECT_EQ(get("aud", "/administration/audit?cursor=a.zzz").status, 400);
    EXPECT_TRUE(has(get("aud", "/administration/audit?from=2999-01-01"), "No entry fits."));
}

TEST_F(AdministrationTest, PagesSpeakBothLanguagesAndNoScript) {
    must(decisions.break_glass(subject_of("dora"), "p1", "unconscious after a fall"));
    for (const auto& [who, path] : std::vector<std::pair<std::string, std::string>>{
             {"sec", "/administration/accounts"},
             {"sec", "/administration/account?name=dora"},
             {"sec", "/administration/clients"},
             {"sec", "/administration/policy"},
             {"aud", "/administration/reviews"},
             {"aud", "/administration/audit"},
             {"sys", "/administration/status"},
             {"ada", "/account/access"}}) {
        net::Request asked = request(who, net::Method::get, path);
        asked.headers.add("Accept-Language", "zh-CN");
        const net::Response chinese = sent(asked);
        EXPECT_TRUE(has(chinese, R"(<html lang="zh-CN">)")) << path;
        const net::Response english = get(who, path);
        EXPECT_TRUE(has(english, R"(<html lang="en">)")) << path;
        for (const net::Response& page : {chinese, english}) {
            EXPECT_FALSE(has(page, "<script>")) << path;
            EXPECT_FALSE(has(page, " style=")) << path;
            EXPECT_FALSE(has(page, " onclick")) << path;
            EXPECT_TRUE(has(page, R"(action="/sign-out")")) << path << ": ASVS 5.0 V7.4.4";
            EXPECT_NE(page.headers.get("Content-Security-Policy").find("default-src 'none'"),
                      std::string_view::npos);
            EXPECT_EQ(page.headers.get("Cache-Control"), "no-store");
        }
        // U+4E00 and on are three bytes from 0xE4 on.
        const std::string main = english.body.substr(english.body.find("<main"));
        EXPECT_EQ(std::count_if(main.begin(), main.end(),
                                [](char c) { return static_cast<unsigned char>(c) >= 0xE4; }),
                  0)
            << path << " has Chinese text in English";
    }
}

// --- who saw my record ---

TEST_F(AdministrationTest, PatientsSeeWhoSawTheirRecord) {
    put(R"({"resourceType":"CareTeam","id":"t","status":"active","subject":{"reference":"Patient/p1"},"participant":[{"member":{"reference":"Practitioner/dora"}}]})");
    must(repository->read(must(decisions.caller(subject_of("dora"))), "Patient", "p1"));
    must(decisions.break_glass(subject_of("dora"), "p2", "unconscious after a fall"));
    const net::Response seen = get("ada", "/account/access");
    EXPECT_EQ(seen.status, 200);
    EXPECT_TRUE(has(seen, "Dr. Dora")) << seen.body;
    EXPECT_TRUE(has(seen, "treatment"));
    EXPECT_FALSE(has(seen, "Opened in an emergency")) << "that was another's record";
    EXPECT_FALSE(has(seen, "Patient/p2"));
    EXPECT_TRUE(has(get("ada", "/account/access?patient=p2"), "Dr. Dora"))
        << "a patient's list is their own, whatever is asked for";
    EXPECT_FALSE(has(get("ada", "/account/access?patient=p2"), "Opened in an emergency"));

    must(decisions.break_glass(subject_of("dora"), "p1", "unconscious after a fall"));
    const net::Response told = get("ada", "/account/access");
    EXPECT_TRUE(has(told, "Opened in an emergency"));
    EXPECT_TRUE(has(told, "unconscious after a fall"));
    EXPECT_TRUE(has(get("ada", "/account/access?lang=zh"), "有人以紧急情况为由打开了您的病历"));
}

TEST_F(AdministrationTest, GuardiansSeeItOfThoseTheyStandForOnly) {
    put(R"({"resourceType":"Patient","id":"kid","birthDate":"2020-05-01","name":[{"text":"Kid"}]})");
    put(R"({"resourceType":"RelatedPerson","id":"mum","active":true,"patient":{"reference":"Patient/kid"},"relationship":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-RoleCode","code":"MTH"}]}]})");
    add("mum", Role::guardian, "RelatedPerson/mum");
    get("mum", "/account/access");
    EXPECT_TRUE(has(get("mum", "/account/access"), ">You<")) << "one ward: shown at once";
    EXPECT_EQ(get("mum", "/account/access?patient=kid").status, 200);
    EXPECT_EQ(get("mum", "/account/access?patient=p1").status, 404);
    EXPECT_EQ(get("mum", "/account/access?patient=none").status, 404);
    for (const char* other : {"dora", "sec", "aud"})
        EXPECT_EQ(get(other, "/account/access?patient=p1").status, 404) << other;
    EXPECT_EQ(get("nobody", "/account/access").headers.get("Location"),
              "/sign-in?return_to=%2Faccount%2Faccess");
}

TEST_F(AdministrationTest, AnAccessListHasPages) {
    const auto caller = must(decisions.caller(subject_of("ada")));
    for (int i = 0; i < 60; ++i) must(repository->read(caller, "Patient", "p1"));
    const net::Response first = get("ada", "/account/access");
    const std::size_t link = first.body.find("before=");
    ASSERT_NE(link, std::string::npos);
    const std::string before = first.body.substr(link + 7, first.body.find('"', link) - link - 7);
    const net::Response second = get("ada", "/account/access?before=" + before);
    EXPECT_EQ(second.status, 200);
    EXPECT_FALSE(has(second, "rel=\"next\""));
    EXPECT_TRUE(has(get("ada", "/account/access?before=0"), "There is nothing earlier."));
}

}  // namespace
}  // namespace meridian::trust

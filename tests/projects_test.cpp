// SPDX-License-Identifier: Apache-2.0
// Pseudonymous work views, as researchers and follow-up staff meet them at a real server.
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "base/hash.hpp"
#include "base/json.hpp"
#include "net/client.hpp"
#include "tests/server_process.hpp"

namespace meridian::tests {
namespace {

using Words = std::vector<std::string>;
using Headers = std::vector<std::pair<std::string, std::string>>;

class ProjectsOfAServer : public ::testing::Test {
 protected:
    ~ProjectsOfAServer() override { std::filesystem::remove_all(folder_); }

    void start() {
        server_ = std::make_unique<ServerProcess>(folder_, Words{}, Trust::on);
        ASSERT_TRUE(server_->is_running()) << server_->output();
    }
    int run(Words words, std::string* output = nullptr) const {
        const Words place = place_of(folder_);
        words.insert(words.end(), place.begin(), place.end());
        return run_program(words, output);
    }
    net::ClientAnswer send(net::Method method, const std::string& path, const std::string& token,
                           const std::string& body = {}, const Headers& headers = {}) const {
        net::ClientRequest request{.method = method, .url = server_->base_url() + path};
        request.headers.add("Authorization", "Bearer " + token);
        if (!body.empty()) request.headers.add("Content-Type", "application/fhir+json");
        for (const auto& [name, value] : headers) request.headers.add(name, value);
        request.body = body;
        net::Client client;
        auto answer = client.send(request);
        return answer ? *std::move(answer) : net::ClientAnswer{};
    }
    net::ClientAnswer get(const std::string& path, const std::string& token,
                          const Headers& headers = {}) const {
        return send(net::Method::get, path, token, {}, headers);
    }
    void put(const std::string& path, const std::string& body) const {
        const auto answer = send(net::Method::put, "/fhir/" + path, server_->token(), body);
        EXPECT_LT(answer.status, 300) << path << ": " << answer.body;
    }
    /// How many resources a search finds, or minus the status.
    std::int64_t total(const std::string& search, const std::string& token,
                       const Headers& headers = {}) const {
        const bool has_query = search.find('?') != std::string::npos;
        const auto answer =
            get("/fhir/" + search + (has_query ? "&" : "?") + "_total=accurate", token, headers);
        if (answer.status != 200) return -answer.status;
        const auto document = JsonDocument::parse(answer.body);
        return document ? std::stoll(std::string(document->root()["total"].text())) : -1;
    }
    /// The first match of a search.
    JsonDocument first(const std::string& search, const std::string& token,
                       const Headers& headers = {}) const {
        auto document = JsonDocument::parse(get("/fhir/" + search, token, headers).body);
        if (!document) return {};
        const auto entries = document->root()["entry"].items();
        JsonDocument found;
        if (!entries.empty()) found.set_root(found.copy(entries[0]["resource"]));
        return found;
    }

    void write_record() const {
        for (const std::string patient : {"li-mei", "wang"}) {
            put("Patient/" + patient,
                R"({"resourceType":"Patient","id":")" + patient +
                    R"(","gender":"female","birthDate":"1990-03-07",)"
                    R"("name":[{"family":"Whitfield"}],"telecom":[{"system":"phone","value":"13912345678"}]})");
            put("Observation/o-" + patient, observation("o-" + patient, patient, "2024-05-01"));
        }
        put("Group/lung", R"({"resourceType":"Group","id":"lung","type":"person","actual":true,)"
                          R"("member":[{"entity":{"reference":"Patient/li-mei"}}]})");
    }
    static std::string observation(const std::string& id, const std::string& patient,
                                   const std::string& day) {
        return R"({"resourceType":"Observation","id":")" + id +
               R"(","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"2039-6","display":"CEA"}]},)"
               R"("subject":{"reference":"Patient/)" +
               patient + R"("},"effectiveDateTime":")" + day +
               R"(","valueQuantity":{"value":4.2,"unit":"ng/mL","system":"http://unitsofmeasure.org","code":"ng/mL"},)"
               R"("note":[{"text":"Whitfield was here"}]})";
    }

    std::string folder_ = make_temporary_folder();
    std::unique_ptr<ServerProcess> server_;
};

TEST_F(ProjectsOfAServer, ShowTheirMembersPseudonymsAndNobodyElseAnything) {
    start();
    write_record();
    const std::string researcher = token_for(folder_, "researcher", "rita");
    const std::string doctor = token_for(folder_, "doctor", "dora");
    std::string said;
    EXPECT_NE(run({"project", "add", "lung", "--group", "Group/lung", "--member", "dora"}, &said),
              0);
    EXPECT_NE(said.find("only researchers and follow-up staff"), std::string::npos) << said;
    EXPECT_NE(run({"project", "add", "lung", "--group", "Group/none"}, &said), 0);
    ASSERT_EQ(run({"project", "add", "lung", "--group", "Group/lung", "--consent", "opt-out",
                   "--member", "rita"},
                  &said),
              0)
        << said;
    // The server looks for new projects all the while.
    for (int i = 0; i < 100 && total("Patient", researcher) < 0; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(100));

    // A moved date finds what lay there; the real one, and what is not in the cohort, do not.
    ASSERT_EQ(total("Observation", researcher), 1);
    const JsonDocument copy = first("Observation", researcher);
    const std::string day(copy.root().string_at("effectiveDateTime"));
    EXPECT_NE(day, "2024-05-01");
    EXPECT_EQ(total("Observation?date=" + day, researcher), 1);
    EXPECT_EQ(total("Observation?date=2024-05-01", researcher), 0);
    EXPECT_EQ(total("Observation?code=2039-6&value-quantity=gt4&subject:Patient.gender=female",
                    researcher),
              1);
    const std::string text = to_text(copy.root());
    for (const char* secret : {"Whitfield", "li-mei", "2024-05-01", "note", "lastUpdated"})
        EXPECT_EQ(text.find(secret), std::string::npos) << text;
    EXPECT_NE(text.find("PSEUDED"), std::string::npos);

    // By real ids nothing is there; by its pseudonym it is.
    EXPECT_EQ(get("/fhir/Patient/li-mei", researcher).status, 404);
    EXPECT_EQ(total("Observation?patient=li-mei", researcher), 0);
    const std::string subject(copy.root()["subject"].string_at("reference"));
    const auto patient = get("/fhir/" + subject, researcher);
    EXPECT_EQ(patient.status, 200) << patient.body;
    EXPECT_FALSE(patient.headers.has("Last-Modified"));
    EXPECT_NE(patient.body.find(R"("birthDate":"19)"), std::string::npos) << patient.body;
    EXPECT_EQ(get("/fhir/" + subject + "/$everything", researcher).status, 200);

    // When something was written stays unsaid, and nothing can be written.
    EXPECT_EQ(total("Observation?_lastUpdated=gt2020-01-01", researcher), -403);
    EXPECT_EQ(total("Observation?_sort=-_lastUpdated", researcher), -403);
    EXPECT_EQ(get("/fhir/" + subject + "/_history", researcher).status, 403);
    EXPECT_EQ(get("/fhir/" + subject + "/_history/1", researcher).status, 403);
    EXPECT_EQ(send(net::Method::post, "/fhir", researcher,
                   R"({"resourceType":"Bundle","type":"batch","entry":[]})")
                  .status,
              403);
    EXPECT_EQ(send(net::Method::put, "/fhir/" + subject, researcher,
                   R"({"resourceType":"Patient","id":")" + subject.substr(8) + R"("})")
                  .status,
              403);
    EXPECT_GE(get("/fhir/$export", researcher, {{"Prefer", "respond-async"}}).status, 400);

    // Who works with the record meets no copy, and is let into no project.
    EXPECT_EQ(total("Observation", server_->token()), 2);
    EXPECT_EQ(get("/fhir/" + subject, server_->token()).status, 404);
    EXPECT_EQ(get("/fhir/" + subject, doctor, {{"Meridian-Project", "lung"}}).status, 404);
    const std::string other = token_for(folder_, "researcher", "otto");
    EXPECT_EQ(total("Observation", other, {{"Meridian-Project", "lung"}}), -403);
    EXPECT_LT(total("Observation", other), 0);
    // The researcher's own view of the record: definitions.
    EXPECT_LT(total("Observation", researcher, {{"Meridian-Project", "none"}}), 0);
    EXPECT_EQ(total("Questionnaire", researcher, {{"Meridian-Project", "none"}}), 0);

    // Scopes narrow what a member sees, as they narrow everything.
    std::string scoped;
    ASSERT_EQ(run({"token", "--account", "rita", "--scope", "user/Patient.rs"}, &scoped), 0);
    while (!scoped.empty() && scoped.back() == '\n') scoped.pop_back();
    EXPECT_EQ(total("Patient", scoped), 1);
    EXPECT_EQ(total("Observation", scoped), -403);

    // What members read is in the audit, by pseudonym; the patient sees that they are shown.
    const std::string auditor = token_for(folder_, "audit-admin", "ada");
    const auto told = get("/fhir/AuditEvent?_count=200", auditor);
    EXPECT_NE(told.body.find("#project%20lung"), std::string::npos) << told.body.substr(0, 400);
    EXPECT_NE(told.body.find(subject), std::string::npos);
}

TEST_F(ProjectsOfAServer, FollowTheRecordBeforeTheyAnswer) {
    start();
    write_record();
    const std::string follower = token_for(folder_, "follow-up", "fred");
    std::string said;
    ASSERT_EQ(run({"project", "add", "calls", "--group", "Group/lung", "--purpose", "CAREMGT",
                   "--consent", "opt-out", "--member", "fred"},
                  &said),
              0)
        << said;
    for (int i = 0; i < 100 && total("Patient", follower) < 0; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    ASSERT_EQ(total("Observation", follower), 1);
    for (int i = 0; i < 5; ++i) {
        const std::string id = "new-" + std::to_string(i);
        put("Observation/" + id, observation(id, "li-mei", "2024-06-0" + std::to_string(i + 1)));
        EXPECT_EQ(total("Observation", follower), i + 2) << "the next request shows it";
    }
    // A denial counts from the next request on, and so does its end.
    const auto consent = [&](const std::string& status) {
        put("Consent/no",
            R"({"resourceType":"Consent","id":"no","status":")" + status +
                R"(","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},)"
                R"("category":[{"coding":[{"system":"http://loinc.org","code":"59284-0"}]}],)"
                R"("patient":{"reference":"Patient/li-mei"},"policyRule":{"coding":[{"code":"OPTIN"}]},)"
                R"("provision":{"type":"deny"}})");
    };
    consent("active");
    EXPECT_EQ(total("Observation", follower), 0);
    EXPECT_EQ(total("Patient", follower), 0);
    consent("inactive");
    EXPECT_EQ(total("Observation", follower), 6);
    const std::string before(first("Patient", follower).root().string_at("id"));

    // Another project gives the same patient another name and other days.
    ASSERT_EQ(run({"project", "add", "second", "--group", "Group/lung", "--consent", "opt-out",
                   "--member", "fred"},
                  &said),
              0)
        << said;
    for (int i = 0; i < 100 && total("Patient", follower, {{"Meridian-Project", "second"}}) < 0;
         ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    EXPECT_EQ(total("Patient", follower), -400) << "of two, one has to be named";
    const JsonDocument there = first("Patient", follower, {{"Meridian-Project", "second"}});
    EXPECT_FALSE(there.root().string_at("id").empty());
    EXPECT_NE(there.root().string_at("id"), before);

    // Who is no member any more sees nothing within a second.
    ASSERT_EQ(run({"project", "members", "calls", "--remove", "fred"}, &said), 0) << said;
    ASSERT_EQ(run({"project", "remove", "second"}, &said), 0) << said;
    std::this_thread::sleep_for(std::chrono::milliseconds(1'500));
    EXPECT_LT(total("Patient", follower), 0);
    EXPECT_FALSE(std::filesystem::exists(folder_ + "/projects/second"));
}

TEST_F(ProjectsOfAServer, SayWhoAPseudonymIsWhenTwoPeopleAgree) {
    start();
    write_record();
    const std::string follower = token_for(folder_, "follow-up", "fred");
    const std::string outsider = token_for(folder_, "follow-up", "olga");
    const std::string manager = token_for(folder_, "data-manager", "max");
    std::string said;
    ASSERT_EQ(run({"project", "add", "calls", "--group", "Group/lung", "--consent", "opt-out",
                   "--member", "fred"},
                  &said),
              0)
        << said;
    for (int i = 0; i < 100 && total("Patient", follower) < 0; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    const std::string pseudonym(first("Patient", follower).root().string_at("id"));
    ASSERT_FALSE(pseudonym.empty());
    const auto ask = [&](const std::string& token, const std::string& whom) {
        return send(
            net::Method::post, "/fhir/$reidentify", token,
            R"({"resourceType":"Parameters","parameter":[)"
            R"({"name":"project","valueString":"calls"},)"
            R"({"name":"pseudonym","valueString":")" +
                whom +
                R"("},{"name":"reason","valueString":"a finding that she has to be told of"}]})");
    };
    const auto decide = [&](const std::string& token, const std::string& approval) {
        return send(net::Method::post, "/fhir/$approve", token,
                    R"({"resourceType":"Parameters","parameter":[)"
                    R"({"name":"approval","valueString":")" +
                        approval + R"("},{"name":"reason","valueString":"the finding is real"}]})");
    };
    EXPECT_EQ(ask(outsider, pseudonym).status, 403);
    EXPECT_EQ(ask(follower, "00000000000000000000000000000000").status, 404);
    const auto asked = ask(follower, pseudonym);
    ASSERT_EQ(asked.status, 202) << asked.body;
    EXPECT_EQ(asked.body.find("li-mei"), std::string::npos);
    const auto document = JsonDocument::parse(asked.body);
    ASSERT_TRUE(document);
    const std::string approval(document->root()["parameter"].items()[0].string_at("valueString"));
    // Who asks does not agree with themselves, and who is somebody else's colleague does not
    // either.
    EXPECT_GE(decide(follower, approval).status, 400);
    EXPECT_GE(decide(server_->token(), approval).status, 400);
    EXPECT_EQ(ask(follower, pseudonym).body.find("li-mei"), std::string::npos);
    const auto waiting = get("/fhir/$approvals?open=true", manager);
    EXPECT_NE(waiting.body.find(approval), std::string::npos) << waiting.body;
    const auto agreed = decide(manager, approval);
    ASSERT_EQ(agreed.status, 200) << agreed.body;
    const auto found = ask(follower, pseudonym);
    EXPECT_EQ(found.status, 200) << found.body;
    EXPECT_NE(found.body.find("Patient/li-mei"), std::string::npos) << found.body;
    // Once: the next one needs another agreement.
    EXPECT_EQ(ask(follower, pseudonym).status, 202);
    const std::string auditor = token_for(folder_, "audit-admin", "ada");
    const auto told = get("/fhir/AuditEvent?patient=Patient/li-mei&_count=100", auditor);
    EXPECT_NE(told.body.find(base64_encode("project calls: re-identified")), std::string::npos)
        << told.body.substr(0, 400);
}

TEST_F(ProjectsOfAServer, KeepTheirPseudonymsAndForgetTheErased) {
    if (place_of(folder_).size() > 2) GTEST_SKIP() << "the erasure's own test runs on a database";
    start();
    write_record();
    put("Group/lung",
        R"({"resourceType":"Group","id":"lung","type":"person","actual":true,"member":[)"
        R"({"entity":{"reference":"Patient/li-mei"}},{"entity":{"reference":"Patient/wang"}}]})");
    const std::string researcher = token_for(folder_, "researcher", "rita");
    std::string said;
    ASSERT_EQ(run({"project", "add", "lung", "--group", "Group/lung", "--consent", "opt-out",
                   "--member", "rita"},
                  &said),
              0)
        << said;
    for (int i = 0; i < 100 && total("Patient", researcher) < 2; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    ASSERT_EQ(total("Patient", researcher), 2);
    server_.reset();
    ASSERT_EQ(run({"erase", "patient/wang", "--reason", "asked for it", "--by", "Practitioner/1",
                   "--override-retention", "--approver", "Practitioner/2", "--approver",
                   "Practitioner/3"},
                  &said),
              0)
        << said;
    start();
    for (int i = 0; i < 100 && std::filesystem::exists(folder_ + "/projects/lung/1"); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    EXPECT_FALSE(std::filesystem::exists(folder_ + "/projects/lung/1"));
    EXPECT_TRUE(std::filesystem::exists(folder_ + "/projects/lung/2"));
    for (int i = 0; i < 50 && total("Patient", researcher) < 0; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    EXPECT_EQ(total("Patient", researcher), 1);
    EXPECT_EQ(total("Observation", researcher), 1);
}

}  // namespace
}  // namespace meridian::tests

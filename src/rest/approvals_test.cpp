// SPDX-License-Identifier: Apache-2.0
// Sensitivity labels: raised by one person, lowered by two.
#include "rest/approvals.hpp"

#include <thread>

#include "rest/testing/policed.hpp"
#include "trust/testing/one_update.hpp"

namespace meridian::rest {
namespace {

using net::Method;
using testing::must;

class Labels : public testing::Policed {
 protected:
    Labels() {
        put(R"({"resourceType":"Patient","id":"p","managingOrganization":{"reference":"Organization/o"}})");
        put(observation("PSY"));
    }
    /// What Doctor li measured; `label` empty = none.
    static std::string observation(std::string_view label, std::string_view status = "final") {
        return fmt::format(
            R"({{"resourceType":"Observation","id":"o"{},"status":"{}","code":{{"text":"x"}},"subject":{{"reference":"Patient/p"}},"performer":[{{"reference":"Practitioner/li"}}]}})",
            label.empty()
                ? ""
                : fmt::format(
                      R"(,"meta":{{"security":[{{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"{}"}}]}})",
                      label),
            status);
    }
    static std::string parameters(const std::vector<std::pair<std::string, std::string>>& values) {
        std::string all;
        for (const auto& [name, value] : values)
            all += fmt::format(R"({}{{"name":"{}","valueString":"{}"}})", all.empty() ? "" : ",",
                               name, value);
        return fmt::format(R"({{"resourceType":"Parameters","parameter":[{}]}})", all);
    }
    bool is_labelled() { return ids(client_, "Observation?_security=PSY&_id=o") == "o"; }
    /// Asks as li; the request's id.
    std::string ask() {
        const Answer asked =
            post(li_, "Observation/o/$lower-label",
                 parameters({{"label", "psychiatry"}, {"reason", "entered for the wrong person"}}));
        EXPECT_EQ(asked.status, 201) << asked.json;
        const JsonDocument document = must(JsonDocument::parse(asked.json));
        for (const Json& part : document.root()["parameter"].items().front()["part"].items()) {
            if (part.string_at("name") == "id") return std::string(part.string_at("valueString"));
        }
        return "";
    }
    Answer decide(const trust::Subject& who, const std::string& id, const char* how = "$approve") {
        return post(who, how, parameters({{"approval", id}, {"reason", "looked at it"}}));
    }
    /// Each way to write the observation without its label.
    std::vector<std::pair<std::string, Answer>> lowered_by(const trust::Subject& who) {
        std::vector<std::pair<std::string, Answer>> answers;
        const auto tried = [&](std::string way, Answer answer) {
            answers.emplace_back(std::move(way), std::move(answer));
        };
        tried("PUT", send(who, Method::put, "Observation/o", observation("")));
        tried("PUT another label", send(who, Method::put, "Observation/o", observation("SEX")));
        tried("conditional PUT",
              send(who, Method::put, "Observation?status=final&_id=o", observation("")));
        tried("JSON Patch",
              send(who, Method::patch, "Observation/o",
                   R"([{"op":"remove","path":"/meta/security"}])", "application/json-patch+json"));
        tried(
            "FHIRPath Patch",
            send(
                who, Method::patch, "Observation/o",
                R"({"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"delete"},{"name":"path","valueString":"Observation.meta.security"}]}]})"));
        tried(
            "$meta-delete",
            post(
                who, "Observation/o/$meta-delete",
                R"({"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"PSY"}]}}]})"));
        tried(
            "transaction",
            post(
                who, "",
                fmt::format(
                    R"({{"resourceType":"Bundle","type":"transaction","entry":[{{"resource":{},"request":{{"method":"PUT","url":"Observation/o"}}}}]}})",
                    observation(""))));
        return answers;
    }

    const trust::Subject li_ = subject(trust::Role::doctor, "li");
    const trust::Subject wang_ = subject(trust::Role::doctor, "wang");
    const trust::Subject client_ = subject(trust::Role::system_client, "integration");
};

TEST_F(Labels, NobodyTakesALabelAwayAlone) {
    for (const auto& who : {li_, client_}) {
        for (const auto& [way, answer] : lowered_by(who)) {
            EXPECT_EQ(answer.status, 403) << who.account << ": " << way << ": " << answer.json;
            EXPECT_NE(answer.json.find("nobody takes away alone"), std::string::npos)
                << who.account << ": " << way << ": " << answer.json;
        }
        const Answer batch = post(
            who, "",
            fmt::format(
                R"({{"resourceType":"Bundle","type":"batch","entry":[{{"resource":{},"request":{{"method":"PUT","url":"Observation/o"}}}}]}})",
                observation("")));
        EXPECT_NE(batch.json.find(R"("status":"403)"), std::string::npos) << batch.json;
        EXPECT_TRUE(is_labelled());
    }
    // What keeps the label is an update like any other.
    EXPECT_EQ(send(li_, Method::put, "Observation/o", observation("PSY", "amended")).status, 200);
}

TEST_F(Labels, TwoPeopleTakeOneAwayOnce) {
    const std::string id = ask();
    EXPECT_EQ(send(li_, Method::put, "Observation/o", observation("")).status, 403);
    EXPECT_EQ(decide(li_, id).status, 403);
    EXPECT_EQ(decide(client_, id).status, 404);
    const Answer waiting = get(wang_, "$approvals?open=true");
    EXPECT_NE(waiting.json.find("entered for the wrong person"), std::string::npos);
    EXPECT_EQ(decide(wang_, id).status, 200);
    // Another label than the one that was asked for stays.
    const Answer lowered = send(li_, Method::put, "Observation/o", observation(""));
    EXPECT_EQ(lowered.status, 200) << lowered.json;
    EXPECT_FALSE(is_labelled());
    EXPECT_NE(get(li_, "$approvals").json.find(R"("valueString":"used")"), std::string::npos);
    // One person raises it, and the approval is used up.
    EXPECT_EQ(send(li_, Method::put, "Observation/o", observation("PSY")).status, 200);
    EXPECT_EQ(send(li_, Method::put, "Observation/o", observation("")).status, 403);
    EXPECT_EQ(send(client_, Method::put, "Observation/o", observation("")).status, 403);

    std::string told;
    for (const auto& access : must(trust::audit::accesses_of(*store_, "p", 100'000, 100))) {
        if (access.entry.query.starts_with("approval"))
            told = fmt::format("{} {}; ", access.entry.account, access.entry.query) + told;
    }
    EXPECT_EQ(told,
              "li approval asked: lower-label psychiatry; "
              "wang approval approved: lower-label psychiatry; "
              "li approval used: lower-label psychiatry; ");
}

TEST_F(Labels, ARefusedRequestLetsNothingGo) {
    EXPECT_EQ(decide(wang_, ask(), "$refuse").status, 200);
    EXPECT_EQ(send(client_, Method::put, "Observation/o", observation("")).status, 403);
    EXPECT_TRUE(is_labelled());
}

TEST_F(Labels, AnApprovalServesWhateverSystemWrites) {
    EXPECT_EQ(decide(wang_, ask()).status, 200);
    EXPECT_EQ(send(client_, Method::put, "Observation/o", observation("")).status, 200);
    EXPECT_FALSE(is_labelled());
}

TEST_F(Labels, DeletingAndWritingAnewLosesNoneEither) {
    EXPECT_EQ(send(client_, Method::delete_, "Observation/o").status, 204);
    EXPECT_EQ(send(client_, Method::put, "Observation/o", observation("")).status, 403);
    EXPECT_EQ(send(client_, Method::put, "Observation/o", observation("PSY")).status, 201);
    EXPECT_EQ(send(client_, Method::delete_, "Observation?_id=o").status, 204);
    EXPECT_EQ(send(client_, Method::put, "Observation?_id=o", observation("")).status, 403);
}

TEST_F(Labels, ALoadLosesNoneEither) {
    const auto caller = must(decisions_->caller(client_));
    const auto load = [&](const std::string& json) -> Result<void> {
        const JsonDocument document = must(JsonDocument::parse(json));
        std::vector<store::Change> changes;
        changes.push_back(TRY(repository_->prepare(caller, "Observation", "o", document.root())));
        TRY(repository_->commit_prepared(caller, std::move(changes)));
        return {};
    };
    const auto refused = load(observation(""));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().category, Category::forbidden);
    EXPECT_TRUE(is_labelled());
    must(load(observation("PSY", "amended")));
}

TEST_F(Labels, ManyWhoWriteOneResourceAreAllServed) {
    const auto caller = must(decisions_->caller(client_));
    std::atomic<int> refused = 0;
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 48; ++i)
            threads.emplace_back([&] {
                const auto written = repository_->commit(
                    caller,
                    trust::testing::one_update(
                        R"({"resourceType":"Patient","id":"p","managingOrganization":{"reference":"Organization/o"}})"));
                if (!written) ++refused;
            });
    }
    EXPECT_EQ(refused, 0);
}

TEST_F(Labels, WhoMayNotReadItLearnsNothingByAsking) {
    const std::string body =
        parameters({{"label", "psychiatry"}, {"reason", "entered for the wrong person"}});
    const Answer hidden = post(wang_, "Observation/o/$lower-label", body);
    Answer missing = post(wang_, "Observation/n/$lower-label", body);
    EXPECT_EQ(hidden.status, 404);
    std::string expected = missing.json;
    const std::size_t at = expected.find("Observation/n");
    ASSERT_NE(at, std::string::npos);
    EXPECT_EQ(hidden.json, expected.replace(at, 13, "Observation/o"));
    EXPECT_EQ(post(li_, "Observation/o/$lower-label",
                   parameters({{"label", "nonsense"}, {"reason", "entered wrongly"}}))
                  .status,
              400);
}

TEST_F(Labels, CodesGiveALabelThatOnePersonDoesNotTakeAway) {
    const auto condition = [](std::string_view code) {
        return fmt::format(
            R"({{"resourceType":"Condition","id":"c","subject":{{"reference":"Patient/p"}},"recorder":{{"reference":"Practitioner/li"}},"code":{{"coding":[{{"system":"http://hl7.org/fhir/sid/icd-10","code":"{}"}}]}}}})",
            code);
    };
    const auto labelled = [&] { return ids(client_, "Condition?_security=PSY"); };
    EXPECT_EQ(send(client_, Method::put, "Condition/c", condition("J06.9")).status, 201);
    EXPECT_EQ(labelled(), "");
    // By an update, and by a load.
    EXPECT_EQ(send(client_, Method::put, "Condition/c", condition("F32.1")).status, 200);
    EXPECT_EQ(labelled(), "c");
    EXPECT_EQ(send(client_, Method::put, "Condition/c", condition("F32.1")).status, 403);
    const JsonDocument loaded = must(JsonDocument::parse(condition("F20.0")));
    const auto caller = must(decisions_->caller(client_));
    std::vector<store::Change> changes;
    changes.push_back(must(repository_->prepare(caller, "Condition", "d", loaded.root())));
    must(repository_->commit_prepared(caller, std::move(changes)));
    EXPECT_EQ(labelled(), "c d");
}

}  // namespace
}  // namespace meridian::rest

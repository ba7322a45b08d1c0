// SPDX-License-Identifier: Apache-2.0
// Authorisation bugs that other FHIR servers had, each as a case of its own: the request that
// leaked there, on a record where the answer would show it.
#include <gtest/gtest.h>

#include "base/file.hpp"
#include "base/limits.hpp"
#include "base/query_string.hpp"
#include "rest/basic_operations.hpp"
#include "rest/break_glass.hpp"
#include "rest/bulk/export.hpp"
#include "rest/bulk/operations.hpp"
#include "rest/service.hpp"
#include "rest/subscriptions/subscriptions.hpp"
#include "rest/subscriptions/testing.hpp"
#include "rest/validate_operation.hpp"
#include "trust/policy/decisions.hpp"

namespace meridian::rest {
namespace {

namespace policy = trust::policy;
using subscriptions::testing::Folder;
using subscriptions::testing::must;
using subscriptions::testing::must_open;
using subscriptions::testing::write;

/// Two patients with like records; the doctor cares for the first.
class RivalBugs : public ::testing::Test {
 protected:
    RivalBugs() {
        for (const char* id : {"mine", "theirs"}) {
            put(R"({{"resourceType":"Patient","id":"{0}","identifier":[{{"system":"urn:mrn","value":"{0}"}}],"name":[{{"family":"Family-{0}"}}],"managingOrganization":{{"reference":"Organization/o"}}}})",
                id);
            put(R"({{"resourceType":"Encounter","id":"e-{0}","status":"finished","class":{{"code":"AMB"}},"subject":{{"reference":"Patient/{0}"}},"period":{{"end":"2000-01-01"}}}})",
                id);
            put(R"({{"resourceType":"Observation","id":"o-{0}","status":"final","code":{{"coding":[{{"system":"urn:c","code":"c-{0}"}}]}},"subject":{{"reference":"Patient/{0}"}},"encounter":{{"reference":"Encounter/e-{0}"}},"effectiveDateTime":"2020-01-01"}})",
                id);
        }
        // What joins the two: seen by the doctor, with references to what they do not see.
        put(R"({{"resourceType":"DiagnosticReport","id":"{0}","status":"final","code":{{"text":"x"}},"subject":{{"reference":"Patient/mine"}},"result":[{{"reference":"Observation/o-mine"}},{{"reference":"Observation/o-theirs"}}]}})",
            "joined");
        put(R"({{"resourceType":"Condition","id":"{0}","subject":{{"reference":"Patient/theirs"}},"encounter":{{"reference":"Encounter/e-mine"}},"code":{{"coding":[{{"system":"urn:c","code":"hidden"}}]}}}})",
            "of-theirs");
        put(R"({{"resourceType":"CareTeam","id":"{0}","status":"active","subject":{{"reference":"Patient/mine"}},"participant":[{{"member":{{"reference":"Practitioner/d"}}}}]}})",
            "t");
        put(R"({{"resourceType":"Practitioner","id":"{0}"}})", "d");
        subject_.account = "d";
        subject_.role = trust::Role::doctor;
        subject_.person = "Practitioner/d";
        subject_.authenticated_at = now();
        add_basic_operations(service_);
        add_validate_operation(service_, nullptr);
        add_break_glass(service_, decisions_,
                        [this](const Exchange&) -> Result<trust::Subject> { return subject_; });
    }

    void put(const char* pattern, std::string_view id) {
        write(*repository_, fmt::format(fmt::runtime(pattern), id));
    }

    Exchange exchange(net::Method method, const std::string& target) {
        Exchange made;
        made.method = method;
        made.base_url = "http://record.test/fhir";
        made.caller = must(decisions_.caller(subject_));
        made.content_type = "application/fhir+json";
        const std::size_t question = target.find('?');
        const std::string path = target.substr(0, question);
        for (std::size_t from = 0; from < path.size();) {
            const std::size_t slash = std::min(path.find('/', from), path.size());
            made.path.push_back(path.substr(from, slash - from));
            from = slash + 1;
        }
        if (question != std::string::npos)
            made.parameters = must(parse_query_string(target.substr(question + 1)));
        return made;
    }
    Answer send(const Exchange& sent) {
        const auto answer = service_.dispatch(sent);
        return answer ? *answer : answer_of(answer.error());
    }
    Answer get(const std::string& target) { return send(exchange(net::Method::get, target)); }
    /// Ids of the entries, in order; "404" and the like for an error.
    std::string ids(const std::string& target) {
        const Answer answer = get(target);
        if (answer.status != 200) return std::to_string(answer.status);
        const JsonDocument bundle = must(JsonDocument::parse(answer.json));
        std::string all;
        for (const Json& entry : bundle.root()["entry"].items())
            all += fmt::format("{}{}", all.empty() ? "" : " ", entry["resource"].string_at("id"));
        return all;
    }
    std::string_view theirs_in(const Answer& answer) const {
        return answer.json.find("theirs") == std::string::npos ? "" : answer.json;
    }

    Folder folder_;
    std::unique_ptr<store::Store> store_ = must_open(folder_.path() + "/data");
    std::unique_ptr<fhir::Repository> repository_ = must(fhir::Repository::open(*store_, {}));
    policy::Decisions decisions_{
        *repository_,
        must(policy::parse(
            {{"default.toml",
              must(read_file(MERIDIAN_SOURCE_DIR "/data/policy/default.toml", 1 << 20))}}))};
    Service service_{*repository_, {}};
    trust::Subject subject_;
};

// hapifhir/hapi-fhir #6065: _has told of values of resources that the caller could not read.
TEST_F(RivalBugs, Hapi6065HasOverHiddenResourcesMatchesNothing) {
    EXPECT_EQ(ids("Patient?_has:Observation:patient:code=c-mine"), "mine");
    EXPECT_EQ(ids("Patient?_has:Observation:patient:code=c-theirs"), "");
    EXPECT_EQ(ids("Encounter?_has:Condition:encounter:code=hidden"), "");
    EXPECT_EQ(ids("DiagnosticReport?result.code=c-mine"), "joined");
    EXPECT_EQ(ids("DiagnosticReport?result.code=c-theirs"), "");
    EXPECT_EQ(ids("DiagnosticReport?result:Observation.patient.family=Family-theirs"), "");
    EXPECT_EQ(ids("DiagnosticReport?_filter=result.code eq c-theirs"), "");
}

// microsoft/fhir-server #5683: _include and _revinclude left the compartment.
TEST_F(RivalBugs, Microsoft5683EveryIncludeStaysWithinReach) {
    EXPECT_EQ(ids("DiagnosticReport?_include=DiagnosticReport:result"), "joined o-mine");
    EXPECT_EQ(ids("DiagnosticReport?_include=*"), "joined o-mine mine");
    EXPECT_EQ(ids("Encounter?_id=e-mine&_revinclude=Condition:encounter"), "e-mine");
    EXPECT_EQ(ids("Encounter?_id=e-mine&_revinclude=*"), "e-mine o-mine");
    EXPECT_EQ(ids("DiagnosticReport?_include=DiagnosticReport:result&_include:iterate=Observation:"
                  "patient&_revinclude:iterate=Condition:subject"),
              "joined o-mine mine");
}

// microsoft/fhir-server #2934: a read by id reached outside of the compartment.
TEST_F(RivalBugs, Microsoft2934NoWayOfReadingByIdReachesOutside) {
    for (const char* target :
         {"Observation/o-theirs", "Observation/o-theirs/_history/1",
          "Observation/o-theirs/_history", "Patient/theirs/$everything",
          "Observation/o-theirs/$meta", "Observation/o-theirs/$validate?mode=delete"}) {
        std::string missing = target;
        missing.replace(missing.find("theirs"), 6, "nobody");
        const Answer hidden = get(target);
        Answer never = get(missing);
        EXPECT_EQ(hidden.status, 404) << target;
        while (never.json.find("nobody") != std::string::npos)
            never.json.replace(never.json.find("nobody"), 6, "theirs");
        EXPECT_EQ(hidden.json, never.json) << target;
        EXPECT_EQ(hidden.headers, never.headers) << target;
    }
    Exchange conditional = exchange(net::Method::get, "Observation/o-theirs");
    conditional.if_none_match = "W/\"1\"";
    EXPECT_EQ(send(conditional).status, 404);
    EXPECT_EQ(send(exchange(net::Method::head, "Observation/o-theirs")).status, 404);
    EXPECT_EQ(get("Observation/o-mine").status, 200);
}

// medplum/medplum #3372: an access rule that is itself a chain broke chained searches.
TEST_F(RivalBugs, Medplum3372ARuleThatChainsGoesWithSearchesThatChain) {
    subject_.role = trust::Role::data_manager;
    subject_.person = "Practitioner/q";
    subject_.organisation = "Organization/o";
    subject_.purpose = "HQUALIMP";
    EXPECT_EQ(ids("Observation?patient.family=Family-mine&encounter.status=finished"), "o-mine");
    EXPECT_EQ(ids("Patient?_has:Observation:patient:code=c-theirs"), "theirs");
    subject_.organisation = "Organization/other";
    EXPECT_EQ(ids("Observation?patient.family=Family-mine&encounter.status=finished"), "");
}

// medplum/medplum #7641 (and #9973): one door answered otherwise than another.
TEST_F(RivalBugs, Medplum7641EveryDoorAnswersAlike) {
    for (const char* url : {"Observation", "DiagnosticReport?_include=*", "Patient/mine/*",
                            "Observation?patient.family=Family-theirs", "Observation/o-theirs"}) {
        Exchange batch = exchange(net::Method::post, "");
        const std::string body = fmt::format(
            R"({{"resourceType":"Bundle","type":"batch","entry":[{{"request":{{"method":"GET","url":"{}"}}}}]}})",
            url);
        batch.body = body;
        const Answer direct = get(url);
        const Answer in_batch = send(batch);
        const JsonDocument bundle = must(JsonDocument::parse(in_batch.json));
        const Json& entry = bundle.root()["entry"].items()[0];
        EXPECT_TRUE(
            entry["response"].string_at("status").starts_with(std::to_string(direct.status)))
            << url;
        const JsonDocument answered = must(JsonDocument::parse(direct.json));
        const auto listed = [](const Json& page) {
            std::string all;
            for (const Json& one : page["entry"].items())
                all.append(one.string_at("fullUrl")) += ' ';
            return all;
        };
        EXPECT_EQ(listed(entry["resource"]), listed(answered.root())) << url;
    }
    const auto exported =
        export_to_folder(*repository_, must(decisions_.caller(subject_)), {},
                         folder_.path() + "/export", [](const ExportProgress&) { return true; });
    ASSERT_FALSE(exported);  // doctors may not export
    EXPECT_EQ(exported.error().category, Category::forbidden);
}

TEST_F(RivalBugs, AConditionalCreateIsNoOracle) {
    subject_.organisation = "Organization/o2";
    Exchange create = exchange(net::Method::post, "Patient");
    create.if_none_exist = "identifier=urn:mrn|theirs";
    create.body =
        R"({"resourceType":"Patient","managingOrganization":{"reference":"Organization/o2"}})";
    EXPECT_EQ(send(create).status, 201);
    create.if_none_exist = "identifier=urn:mrn|mine";
    EXPECT_EQ(send(create).status, 200);
}

TEST_F(RivalBugs, DeletingWhatIsHiddenIsLikeDeletingNothing) {
    for (const char* if_match : {"", "W/\"1\"", "W/\"7\""}) {
        Exchange hidden = exchange(net::Method::delete_, "Observation/o-theirs");
        Exchange nothing = exchange(net::Method::delete_, "Observation/o-nobody");
        hidden.if_match = nothing.if_match = if_match;
        EXPECT_EQ(send(hidden).status, send(nothing).status) << if_match;
    }
    EXPECT_EQ(send(exchange(net::Method::delete_, "Observation/o-mine")).status, 403);
    // Likewise for those who may delete what they see.
    decisions_.set_policy(must(
        policy::parse({{"default.toml",
                        must(read_file(MERIDIAN_SOURCE_DIR "/data/policy/default.toml", 1 << 20))},
                       {"more.toml", R"(
policy = "more"
version = 1
[roles.doctor]
summary = "x"
[[roles.doctor.allow]]
clause = "c"
types = ["Observation"]
may = ["read", "search", "delete"]
relations = ["care-team"]
purposes = ["*"]
consent = "opt-out"
)"}})));
    const Answer hidden = send(exchange(net::Method::delete_, "Observation/o-theirs"));
    const Answer nothing = send(exchange(net::Method::delete_, "Observation/o-nobody"));
    EXPECT_EQ(hidden.status, 204);
    EXPECT_EQ(hidden.status, nothing.status);
    EXPECT_EQ(hidden.version, nothing.version);
    EXPECT_TRUE(repository_->read(fhir::Caller::system("test"), "Observation", "o-theirs"));
    EXPECT_EQ(send(exchange(net::Method::delete_, "Observation/o-mine")).status, 204);
    EXPECT_FALSE(repository_->read(fhir::Caller::system("test"), "Observation", "o-mine"));
}

TEST_F(RivalBugs, ADeletedResourceThatWasHiddenWasNeverThere) {
    fhir::Transaction transaction;
    for (const char* id : {"o-theirs", "o-mine"}) {
        fhir::Operation operation;
        operation.kind = fhir::Operation::Kind::remove;
        operation.type = "Observation";
        operation.id = id;
        transaction.operations.push_back(std::move(operation));
    }
    must(repository_->commit(fhir::Caller::system("test"), std::move(transaction)));
    EXPECT_EQ(get("Observation/o-theirs").status, 404);
    EXPECT_EQ(get("Observation/o-theirs/_history").status, 404);
    EXPECT_EQ(get("Observation/o-mine").status, 410);
}

TEST_F(RivalBugs, AnOlderVersionOfAnotherPatientStaysHidden) {
    // It was entered in the wrong record first.
    put(R"({{"resourceType":"Observation","id":"{0}","status":"final","code":{{"text":"secret-of-theirs"}},"subject":{{"reference":"Patient/theirs"}}}})",
        "moved");
    put(R"({{"resourceType":"Observation","id":"{0}","status":"final","code":{{"text":"x"}},"subject":{{"reference":"Patient/mine"}}}})",
        "moved");
    EXPECT_EQ(get("Observation/moved/_history/2").status, 200);
    EXPECT_EQ(get("Observation/moved/_history/1").status, 404);
    EXPECT_EQ(theirs_in(get("Observation/moved/_history")), "");
    EXPECT_EQ(theirs_in(get("Observation/_history")), "");
}

TEST_F(RivalBugs, TotalsAndPagesCountWhatIsSeen) {
    for (const char* target : {"Observation?_summary=count", "Observation?_total=accurate&_count=1",
                               "Observation/_history", "Observation?_sort=-date&_count=1"}) {
        const Answer answer = get(target);
        EXPECT_EQ(answer.status, 200) << target;
        EXPECT_EQ(answer.json.find("\"relation\":\"next\""), std::string::npos) << target;
        if (answer.json.find("\"total\"") != std::string::npos) {
            EXPECT_NE(answer.json.find("\"total\":1,"), std::string::npos) << target << answer.json;
        }
    }
}

TEST_F(RivalBugs, IncludesCountOnlyWhatIsSeenAgainstTheirBound) {
    fhir::Transaction many;
    auto document = std::make_shared<JsonDocument>(must(JsonDocument::parse(
        R"({"resourceType":"Condition","subject":{"reference":"Patient/theirs"},"encounter":{"reference":"Encounter/e-mine"}})")));
    for (std::size_t i = 0; i <= limits::includes_max; ++i) {
        fhir::Operation operation;
        operation.type = "Condition";
        operation.document = std::make_shared<JsonDocument>();
        operation.resource = operation.document->copy(document->root());
        many.operations.push_back(std::move(operation));
    }
    many.want_json = false;
    must(repository_->commit(fhir::Caller::system("test"), std::move(many)));
    put(R"({{"resourceType":"Condition","id":"{0}","subject":{{"reference":"Patient/mine"}},"encounter":{{"reference":"Encounter/e-mine"}}}})",
        "last");
    EXPECT_EQ(ids("Encounter?_id=e-mine&_revinclude=Condition:encounter"), "e-mine last");
}

TEST_F(RivalBugs, BreakGlassIsAnOperationThatOpensOnePatient) {
    Exchange asked = exchange(net::Method::post, "Patient/theirs/$break-glass");
    asked.body =
        R"({"resourceType":"Parameters","parameter":[{"name":"reason","valueString":"unconscious after a fall"}]})";
    const Answer opened = send(asked);
    ASSERT_EQ(opened.status, 200) << opened.json;
    EXPECT_NE(opened.json.find("\"ends\""), std::string::npos);
    EXPECT_EQ(get("Observation/o-theirs").status, 200);
    Exchange by_get = exchange(net::Method::get, "Patient/theirs/$break-glass");
    net::Request request;
    request.method_text = "GET";
    by_get.request = &request;
    EXPECT_EQ(send(by_get).status, 405);
    Exchange by_identifier = exchange(net::Method::post, "Patient/$break-glass");
    by_identifier.body =
        R"({"resourceType":"Parameters","parameter":[{"name":"reason","valueString":"unconscious after a fall"},{"name":"identifier","valueIdentifier":{"system":"urn:mrn","value":"nobody"}}]})";
    EXPECT_EQ(send(by_identifier).status, 404);
}

TEST_F(RivalBugs, AnOldProofIsAskedForAgainAsRfc9470Says) {
    subject_.authenticated_at = {now().milliseconds - 3'600'000};
    const auto challenge = [](const Answer& answer) {
        for (const auto& [name, value] : answer.headers) {
            if (name == "WWW-Authenticate") return value;
        }
        return std::string();
    };
    Exchange glass = exchange(net::Method::post, "Patient/theirs/$break-glass");
    glass.body =
        R"({"resourceType":"Parameters","parameter":[{"name":"reason","valueString":"unconscious after a fall"}]})";
    const Answer refused = send(glass);
    EXPECT_EQ(refused.status, 401);
    EXPECT_NE(challenge(refused).find(R"(error="insufficient_user_authentication")"),
              std::string::npos)
        << challenge(refused);
    EXPECT_NE(challenge(refused).find(R"(max_age="300")"), std::string::npos);
    EXPECT_NE(refused.json.find("/step-up"), std::string::npos);
    EXPECT_EQ(refused.json.find("max_age"), std::string::npos) << refused.json;
    EXPECT_EQ(get("Observation/o-theirs").status, 404) << "nothing was opened";

    const std::string body =
        R"({"resourceType":"MedicationRequest","status":"active","intent":"order","subject":{"reference":"Patient/mine"},"requester":{"reference":"Practitioner/d"},"medicationCodeableConcept":{"text":"x"}})";
    Exchange create = exchange(net::Method::post, "MedicationRequest");
    create.body = body;
    EXPECT_EQ(send(create).status, 401);
    // The same by another way in: in a transaction, whose answer names the entry.
    Exchange bundle = exchange(net::Method::post, "");
    const std::string transaction =
        R"({"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"POST","url":"MedicationRequest"},"resource":)" +
        body + "}]}";
    bundle.body = transaction;
    const Answer bundled = send(bundle);
    EXPECT_EQ(bundled.status, 401) << bundled.json;
    EXPECT_NE(challenge(bundled).find(R"(max_age="900")"), std::string::npos) << bundled.json;
    EXPECT_NE(bundled.json.find(R"("Bundle.entry[0]")"), std::string::npos) << bundled.json;
    std::string batch = transaction;
    batch.replace(batch.find("transaction"), 11, "batch");
    bundle.body = batch;
    const Answer batched = send(bundle);
    EXPECT_EQ(batched.status, 200);
    EXPECT_NE(batched.json.find("\"401"), std::string::npos) << batched.json;
    subject_.authenticated_at = now();
    create.caller = must(decisions_.caller(subject_));
    EXPECT_EQ(send(create).status, 201);
    // Who brings nothing at all is told no more than before.
    EXPECT_EQ(challenge(answer_of(Error{Category::unauthenticated, "a token is needed", "", {}})),
              R"(Bearer realm="meridian")");
}

TEST_F(RivalBugs, AnExportIsItsOwnersAndEndsWithTheirRights) {
    ExportJobs jobs(*repository_, folder_.path() + "/exports");
    jobs.add_operations(service_);
    subject_.role = trust::Role::data_manager;
    subject_.person = "Practitioner/q";
    subject_.organisation = "Organization/o";
    subject_.purpose = "HQUALIMP";
    Exchange start = exchange(net::Method::get, "$export");
    start.respond_async = true;
    const Answer started = send(start);
    ASSERT_EQ(started.status, 202) << started.json;
    std::string address = started.headers.front().second;
    address = address.substr(address.find("$export-status"));
    const trust::Subject owner = subject_;
    subject_.account = "another";
    EXPECT_EQ(get(address).status, 404);
    subject_ = owner;
    EXPECT_NE(get(address).status, 404);

    // A consent that is withdrawn while it runs counts for what is not written yet.
    fhir::Caller caller = must(decisions_.caller(subject_));
    bool is_withdrawn = false;
    ExportRequest request;
    request.types = {"Encounter,Observation"};
    const auto result = must(export_to_folder(
        *repository_, caller, request, folder_.path() + "/running", [&](const ExportProgress&) {
            if (!std::exchange(is_withdrawn, true))
                put(R"({{"resourceType":"Consent","id":"{0}","status":"active","scope":{{"coding":[{{"code":"patient-privacy"}}]}},"category":[{{"text":"x"}}],"policyRule":{{"text":"x"}},"patient":{{"reference":"Patient/theirs"}},"provision":{{"type":"deny"}}}})",
                    "n");
            return true;
        }));
    ASSERT_EQ(result.output.size(), 2u);
    EXPECT_EQ(result.output[0].count, 2);  // encounters: before
    EXPECT_EQ(result.output[1].count, 1);  // observations: after
}

}  // namespace
}  // namespace meridian::rest

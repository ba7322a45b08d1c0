// SPDX-License-Identifier: Apache-2.0
// What happens in the Repository stands in the log, and is shown as AuditEvent.
#include <gtest/gtest.h>

#include <future>

#include "base/hash.hpp"
#include "base/testing.hpp"
#include "fhir/repository.hpp"
#include "fhir/validate/validator.hpp"
#include "store/testing.hpp"
#include "trust/audit/log_audit.hpp"
#include "trust/audit/trail.hpp"
#include "trust/limits.hpp"

namespace meridian::trust::audit {
namespace {

using fhir::Caller;
using fhir::Interaction;
using fhir::Operation;
using fhir::QueryParameters;
using meridian::testing::Folder;
using meridian::testing::must;
using Texts = std::vector<std::string>;

/// Hides resources with one id, and refuses to write them.
class AllBut final : public fhir::AccessFilter {
 public:
    explicit AllBut(std::string id) : id_(std::move(id)) {}
    store::Condition visible(store::Name type) const override {
        store::Conditions parts;
        parts.push_back(store::HasId{type, {id_}});
        return store::NoneOf{std::move(parts)};
    }
    bool sees_everything() const override { return false; }
    Result<void> allow_write(store::Verb, std::string_view, const Json*) const override {
        return fail(Category::forbidden, "not by you");
    }
    Result<void> allow_parameter(std::string_view, std::string_view) const override { return {}; }

 private:
    std::string id_;
};

class Audit : public ::testing::Test {
 protected:
    void SetUp() override {
        store_ = must(store::open_for_test({.folder = folder_.path()}));
        fhir::Repository::Options options;
        options.audit = audit_ = std::make_shared<LogAudit>(*store_);
        options.trail = trail(
            *store_, [] { return std::string("http://here/fhir"); },
            [this](const Caller& caller) { return scope_ ? *scope_ : audit_scope(caller); });
        options.base_url = "http://here/fhir";
        repository_ = must(fhir::Repository::open(*store_, options));
        auto origin = std::make_shared<fhir::Origin>();
        origin->account = "dr.who";
        origin->role = "doctor";
        origin->client = "an-app";
        origin->session = "s-1";
        origin->policy_version = "2026-11";
        origin->clause = "doctor.care-team";
        doctor_.actor = "Practitioner/1";
        doctor_.organisation = "Organization/o";
        doctor_.request_id = "req-7";
        doctor_.address = "192.0.2.7";
        doctor_.origin = origin;
    }
    void TearDown() override {
        repository_.reset();
        store_.reset();
    }

    Result<std::vector<fhir::OperationResult>> write(const Caller& caller, Operation::Kind kind,
                                                     std::string_view type, std::string_view id,
                                                     std::string_view json = {}) {
        Operation operation;
        operation.kind = kind;
        operation.type = type;
        operation.id = id;
        if (!json.empty()) {
            operation.document = std::make_shared<JsonDocument>(must(JsonDocument::parse(json)));
            operation.resource = operation.document->root();
        }
        fhir::Transaction transaction;
        transaction.operations.push_back(std::move(operation));
        return repository_->commit(caller, std::move(transaction));
    }
    void put_patient(std::string_view id) {
        must(write(doctor_, Operation::Kind::update, "Patient", id,
                   fmt::format(R"({{"resourceType":"Patient","id":"{}"}})", id)));
    }
    void put_observation(std::string_view id, std::string_view patient) {
        must(write(doctor_, Operation::Kind::update, "Observation", id,
                   fmt::format(R"({{"resourceType":"Observation","id":"{}","status":"final",
                               "code":{{"text":"x"}},"subject":{{"reference":"Patient/{}"}}}})",
                               id, patient)));
    }
    std::vector<store::KeptAudit> kept(const store::AuditQuery& query = {.limit = 1'000}) {
        return must(must(store_->snapshot())->audit(query));
    }
    /// The newest entry of the log.
    Entry last() {
        const auto all = kept();
        return all.empty() ? Entry{} : must(decode(all.front().bytes));
    }
    Texts ids(const fhir::Page& page) {
        Texts all;
        for (const auto& entry : page.entries) all.push_back(entry.resource.id);
        return all;
    }
    Texts found(const QueryParameters& parameters) {
        return ids(must(repository_->search(reader_, "AuditEvent", parameters, {})));
    }

    Folder folder_;
    std::unique_ptr<store::Store> store_;
    std::shared_ptr<LogAudit> audit_;
    std::unique_ptr<fhir::Repository> repository_;
    std::optional<AuditScope> scope_;
    Caller doctor_;
    /// Looks at the audit without adding to it.
    Caller reader_ = Caller::system("test");
};

TEST_F(Audit, AReadLeavesAnEntryOfTheLogBeforeItIsAnswered) {
    put_patient("p");
    put_observation("o", "p");
    const auto before = must(store_->snapshot())->position();
    must(repository_->read(doctor_, "Observation", "o"));
    const auto all = kept();
    EXPECT_EQ(all.front().entry.position, before + 1);
    EXPECT_EQ(all.front().entry.kind, 1u);
    EXPECT_EQ(all.front().entry.body_hash, sha256(all.front().bytes));
    EXPECT_EQ(store_->names().text(store::NameKind::actor, all.front().entry.actor),
              "Practitioner/1");
    Entry expected;
    expected.interaction = Interaction::read;
    expected.actor = "Practitioner/1";
    expected.account = "dr.who";
    expected.role = "doctor";
    expected.client = "an-app";
    expected.organisation = "Organization/o";
    expected.type = "Observation";
    expected.id = "o";
    expected.patients = {"p"};
    expected.address = "192.0.2.7";
    expected.request_id = "req-7";
    expected.session = "s-1";
    expected.purpose = "TREAT";
    expected.policy_version = "2026-11";
    expected.clause = "doctor.care-team";
    EXPECT_EQ(must(decode(all.front().bytes)), expected);
}

TEST_F(Audit, AReadAtOnceOwesTheEntryThatAReadWrites) {
    put_patient("p");
    put_observation("o", "p");
    Caller stranger = doctor_;
    stranger.actor = "Practitioner/nobody-has-met";
    EXPECT_FALSE(repository_->read_at_once(stranger, "Observation", "o"))
        << "finding a name for them may take long";
    for (const std::string_view id : {"o", "no-such"}) {
        (void)repository_->read(doctor_, "Observation", id);
        const Entry expected = last();
        const auto count = kept().size();
        std::optional<fhir::Repository::AtOnce> at_once;
        for (int tries = 0; tries < 100 && !at_once; ++tries)
            at_once = repository_->read_at_once(doctor_, "Observation", id);
        ASSERT_TRUE(at_once && at_once->owed);
        EXPECT_EQ(at_once->outcome.has_value(), id == "o");
        EXPECT_EQ(kept().size(), count) << "it is owed";
        std::promise<Result<void>> kept_now;
        repository_->note_later(doctor_, *std::move(at_once->owed),
                                [&](Result<void> done) { kept_now.set_value(std::move(done)); });
        must(kept_now.get_future().get());
        EXPECT_EQ(kept().size(), count + 1) << "it is durable once it is said to be";
        EXPECT_EQ(last(), expected);
    }
}

TEST_F(Audit, TellsOfEveryKindOfRead) {
    put_patient("p");
    put_observation("o", "p");
    put_observation("o2", "q");
    must(repository_->read_version(doctor_, "Observation", "o", 1));
    EXPECT_EQ(last().interaction, Interaction::vread);
    EXPECT_EQ(last().version, 1);
    EXPECT_EQ(last().patients, Texts{"p"});
    must(repository_->history(doctor_, {.type = "Observation"}));
    EXPECT_EQ(last().interaction, Interaction::history);
    EXPECT_EQ(last().patients, (Texts{"p", "q"}));
    must(repository_->search(doctor_, "Observation", {{"status", "final"}, {"_count", "1"}}, {}));
    EXPECT_EQ(last().interaction, Interaction::search);
    EXPECT_EQ(last().query, "status=final&_count=1");
    EXPECT_EQ(last().patients.size(), 1u) << "of the page that was shown";
    const auto page = must(repository_->search(doctor_, "Observation", {{"_count", "1"}}, {}));
    const auto count = kept().size();
    must(repository_->next_page(doctor_, page.next));
    EXPECT_EQ(kept().size(), count + 1);
    EXPECT_EQ(last().type, "Observation");
    must(repository_->everything(doctor_, "Patient", "p", {}, {}));
    EXPECT_EQ(last().interaction, Interaction::operation);
    EXPECT_EQ(last().query, "$everything");
    EXPECT_EQ(last().patients, Texts{"p"});
}

TEST_F(Audit, TellsOfWhatFailedAndOfWhatWasRefused) {
    put_patient("p");
    put_observation("o", "p");
    EXPECT_FALSE(repository_->read(doctor_, "Observation", "nobody"));
    EXPECT_EQ(last().outcome, fhir::AuditOutcome::minor_failure);
    EXPECT_EQ(last().id, "nobody");
    EXPECT_TRUE(last().patients.empty());
    EXPECT_FALSE(repository_->search(doctor_, "Observation", {{"no-such", "1"}}, {}));
    EXPECT_EQ(last().outcome, fhir::AuditOutcome::minor_failure);
    EXPECT_EQ(last().query, "no-such=~") << "nobody knows what the value of such a parameter says";
    doctor_.access = std::make_shared<AllBut>("o");
    EXPECT_FALSE(repository_->read(doctor_, "Observation", "o"));
    EXPECT_EQ(last().outcome, fhir::AuditOutcome::refused);
    EXPECT_EQ(last().patients, Texts{"p"}) << "whose record somebody tried to see";
    EXPECT_FALSE(write(doctor_, Operation::Kind::update, "Patient", "p",
                       R"({"resourceType":"Patient","id":"p","active":true})"));
    EXPECT_EQ(last().interaction, Interaction::update);
    EXPECT_EQ(last().outcome, fhir::AuditOutcome::refused);
}

TEST_F(Audit, AWriteAndItsEntryAreOneCommit) {
    const auto receipt = must(
        write(doctor_, Operation::Kind::create, "Patient", "", R"({"resourceType":"Patient"})"));
    const std::string id = receipt.front().resource.id;
    auto snapshot = must(store_->snapshot());
    EXPECT_EQ(snapshot->position(), 1);
    EXPECT_EQ(kept().front().entry.version, 1);
    EXPECT_EQ(last().interaction, Interaction::create);
    EXPECT_EQ(last().id, id);
    EXPECT_EQ(last().patients, Texts{id});
    put_observation("o", id);
    put_observation("o", "another");
    EXPECT_EQ(last().patients, Texts{"another"});
    EXPECT_EQ(kept().front().entry.version, 2);
    must(write(doctor_, Operation::Kind::remove, "Observation", "o"));
    EXPECT_EQ(last().interaction, Interaction::remove);
    EXPECT_EQ(last().patients, Texts{"another"});
    EXPECT_EQ(kept().front().entry.version, 3);
    // The move told of both patients.
    EXPECT_EQ(must(accesses_of(*store_, id, 1'000, 10)).size(), 3u);
    EXPECT_EQ(must(accesses_of(*store_, "another", 1'000, 10)).size(), 2u);
}

TEST_F(Audit, AnImportIsToldByOneEntryForABatch) {
    std::vector<store::Change> changes;
    for (int i = 0; i < 400; ++i) {
        const auto document = must(
            JsonDocument::parse(fmt::format(R"({{"resourceType":"Patient","id":"p{:03}"}})", i)));
        changes.push_back(must(repository_->prepare(Caller::system("import"), "Patient",
                                                    fmt::format("p{:03}", i), document.root())));
    }
    must(repository_->commit_prepared(Caller::system("import"), std::move(changes)));
    const auto all = kept();
    ASSERT_EQ(all.size(),
              (400 + limits::audit_entry_patients_max - 1) / limits::audit_entry_patients_max)
        << "as many as it takes to tell of all patients";
    EXPECT_EQ(last().interaction, Interaction::bulk_import);
    EXPECT_EQ(last().resources, 400);
    for (const char* id : {"p000", "p199", "p399"})
        EXPECT_EQ(must(accesses_of(*store_, id, 10'000, 10)).size(), 1u) << id;
}

TEST_F(Audit, TheServersOwnReadsAreToldByTheJob) {
    put_patient("p");
    const auto count = kept().size();
    must(repository_->read(Caller::system("job"), "Patient", "p"));
    EXPECT_EQ(kept().size(), count);
    must(repository_->note(
        Caller::system("job"),
        {{.interaction = Interaction::job, .query = "reminders", .resources = 1}}));
    EXPECT_EQ(last().interaction, Interaction::job);
    EXPECT_EQ(last().actor, "Device/job");
}

TEST_F(Audit, ABatchIsToldInOneCommit) {
    put_patient("p");
    const auto count = kept().size();
    doctor_.gathering = std::make_shared<fhir::AuditGathering>();
    for (int i = 0; i < 3; ++i) must(repository_->read(doctor_, "Patient", "p"));
    EXPECT_EQ(kept().size(), count);
    must(repository_->note(doctor_, doctor_.gathering->take()));
    EXPECT_EQ(kept().size(), count + 3);
    EXPECT_TRUE(doctor_.gathering->take().empty());
}

/// Takes nothing.
class Broken final : public fhir::AuditSink {
 public:
    bool is_quiet() const override { return false; }
    Result<void> record(const Caller&, std::vector<fhir::AuditRecord>) override {
        return fail(Category::busy, "the queue is full");
    }
    Result<std::vector<store::AuditEntry>> entries(const Caller&,
                                                   const fhir::AuditRecord&) override {
        return std::vector<store::AuditEntry>();
    }
};

TEST_F(Audit, AReadThatCannotBeAuditedIsNotAnswered) {
    put_patient("p");
    fhir::Repository::Options options;
    options.audit = std::make_shared<Broken>();
    repository_ = must(fhir::Repository::open(*store_, options));
    EXPECT_EQ(repository_->read(doctor_, "Patient", "p").error().category, Category::busy);
    EXPECT_EQ(repository_->read(doctor_, "Patient", "nobody").error().category, Category::busy);
    EXPECT_EQ(repository_->search(doctor_, "Patient", {}, {}).error().category, Category::busy);
    EXPECT_FALSE(repository_->read_at_once(doctor_, "Patient", "p"));
    std::optional<Result<void>> outcome;
    repository_->note_later(doctor_, {}, [&](Result<void> kept) { outcome = std::move(kept); });
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->error().category, Category::busy);
}

TEST_F(Audit, ARefusedRequestIsToldAtMostSoOften) {
    net::Request request;
    request.method_text = "GET";
    request.target = "/fhir/Patient/1?name=secret";
    request.peer = "192.0.2.9:4711";
    const Error error{Category::unauthenticated, "an access token is needed"};
    for (std::size_t i = 0; i < 3 * limits::audit_refusals_a_second; ++i)
        audit_->note_refused(request, error);
    // Whatever was queued is written before this.
    must(repository_->note(doctor_, {{.interaction = Interaction::sign_in}}));
    auto all = kept();
    EXPECT_LE(all.size(), 2 * limits::audit_refusals_a_second + 1);
    ASSERT_GT(all.size(), 1u);
    const Entry refused = must(decode(all[1].bytes));
    EXPECT_EQ(refused.interaction, Interaction::request);
    EXPECT_EQ(refused.outcome, fhir::AuditOutcome::refused);
    EXPECT_EQ(refused.query, "GET /fhir/Patient/1");
    EXPECT_EQ(refused.address, "192.0.2.9");
    EXPECT_EQ(refused.actor, "");
}

/// What is wrong with an AuditEvent by R4; empty when nothing is.
std::string faults_of(const std::string& json) {
    const auto document = must(JsonDocument::parse(json));
    std::vector<Issue> issues;
    fhir::validate_structure(document.root(), issues);
    std::string text;
    for (const Issue& issue : issues) text += issue.path + ": " + issue.message + "; ";
    return text;
}

TEST_F(Audit, EveryEntryIsAValidAuditEvent) {
    store::LogEntry place;
    place.position = 17;
    place.at = now();
    for (int interaction = 1; interaction <= 18; ++interaction) {
        for (const bool is_full : {false, true}) {
            Entry entry;
            entry.interaction = static_cast<Interaction>(interaction);
            if (is_full) {
                entry = must(decode(encode([&] {
                    auto record = fhir::AuditRecord{.interaction = entry.interaction,
                                                    .type = "Observation",
                                                    .id = "o",
                                                    .query = "a=\"1\"&b=\\",
                                                    .resources = 3};
                    record.add_patient("p");
                    Caller caller = doctor_;
                    caller.on_behalf_of = "Patient/p";
                    Entry made = entry_of(caller, record);
                    made.patients = {"p"};
                    return made;
                }())));
            }
            for (const auto outcome : {fhir::AuditOutcome::success, fhir::AuditOutcome::refused}) {
                entry.outcome = outcome;
                const std::string json = audit_event(entry, place, {}, "http://here/fhir");
                EXPECT_EQ(faults_of(json), "") << json;
            }
        }
    }
}

TEST_F(Audit, AnEntryIsReadAsAnAuditEventOfBalp) {
    put_patient("p");
    put_observation("o", "p");
    must(repository_->read(doctor_, "Observation", "o"));
    const std::string id = id_of(kept().front().entry.position);
    const auto event = must(repository_->read(reader_, "AuditEvent", id));
    const auto document = must(JsonDocument::parse(event.json));
    const Json& root = document.root();
    EXPECT_EQ(root["meta"]["profile"].items()[0].text(),
              "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PatientRead");
    EXPECT_EQ(root["type"].string_at("code"), "rest");
    EXPECT_EQ(root["subtype"].items()[0].string_at("code"), "read");
    EXPECT_EQ(root.string_at("action"), "R");
    EXPECT_EQ(root.string_at("outcome"), "0");
    const auto agents = root["agent"].items();
    ASSERT_EQ(agents.size(), 4u);
    EXPECT_EQ(agents[0]["type"]["coding"].items()[0].string_at("code"), "110152");
    EXPECT_EQ(agents[0]["network"].string_at("address"), "192.0.2.7");
    EXPECT_EQ(agents[2]["who"].string_at("reference"), "Practitioner/1");
    EXPECT_EQ(agents[2].string_at("altId"), "dr.who");
    EXPECT_TRUE(agents[2]["requestor"].boolean());
    const auto entities = root["entity"].items();
    ASSERT_EQ(entities.size(), 3u);
    EXPECT_EQ(entities[0]["what"].string_at("reference"), "Observation/o");
    EXPECT_EQ(entities[1]["what"].string_at("reference"), "Patient/p");
    EXPECT_EQ(entities[2]["what"]["identifier"].string_at("value"), "req-7");
    EXPECT_FALSE(repository_->read(reader_, "AuditEvent", "log-0")) << "a change is no audit entry";
    EXPECT_FALSE(repository_->read(reader_, "AuditEvent", "log-9999"));
    EXPECT_FALSE(repository_->read(reader_, "AuditEvent", "log-007"));
    EXPECT_EQ(must(repository_->read_version(reader_, "AuditEvent", id, 1)).json, event.json);
    EXPECT_FALSE(repository_->read_version(reader_, "AuditEvent", id, 2));
    // Reading the audit is audited.
    must(repository_->read(doctor_, "AuditEvent", id));
    EXPECT_EQ(last().type, "AuditEvent");
}

TEST_F(Audit, IsSearched) {
    put_patient("p");                                  // 0, 1
    put_patient("q");                                  // 2, 3
    must(repository_->read(doctor_, "Patient", "p"));  // 4
    Caller nurse = doctor_;
    nurse.actor = "Practitioner/2";
    must(repository_->read(nurse, "Patient", "q"));                     // 5
    must(repository_->search(nurse, "Patient", {{"_id", "p,q"}}, {}));  // 6
    EXPECT_FALSE(repository_->read(nurse, "Patient", "x"));             // 7
    EXPECT_EQ(found({}), (Texts{"log-7", "log-6", "log-5", "log-4", "log-3", "log-1"}));
    EXPECT_EQ(found({{"_sort", "-date"}}).size(), 6u);
    EXPECT_EQ(found({{"patient", "p"}}), (Texts{"log-6", "log-4", "log-1"}));
    EXPECT_EQ(found({{"patient", "Patient/p,q"}}).size(), 5u);
    EXPECT_EQ(found({{"agent", "Practitioner/2"}}), (Texts{"log-7", "log-6", "log-5"}));
    EXPECT_EQ(found({{"agent", "Practitioner/2"}, {"patient", "p"}}), (Texts{"log-6"}));
    EXPECT_EQ(found({{"agent", "Practitioner/none"}}), Texts{});
    EXPECT_EQ(found({{"action", "R"}}), (Texts{"log-7", "log-5", "log-4"}));
    EXPECT_EQ(found({{"action", "E,U"}}), (Texts{"log-6", "log-3", "log-1"}));
    EXPECT_EQ(found({{"subtype", "http://hl7.org/fhir/restful-interaction|search-type"}}),
              Texts{"log-6"});
    EXPECT_EQ(found({{"type", "http://other|rest"}}), Texts{});
    EXPECT_EQ(found({{"outcome", "4"}}), Texts{"log-7"});
    EXPECT_EQ(found({{"entity", "Patient/q"}}), (Texts{"log-6", "log-5", "log-3"}));
    EXPECT_EQ(found({{"_id", "log-4,log-0,log-5"}}), (Texts{"log-5", "log-4"}));
    EXPECT_EQ(found({{"date", "ge2020"}}).size(), 6u);
    EXPECT_EQ(found({{"date", "lt2020-01-01"}}), Texts{});
    EXPECT_FALSE(repository_->search(reader_, "AuditEvent", {{"site", "x"}}, {}));
    EXPECT_FALSE(repository_->search(reader_, "AuditEvent", {{"_sort", "date"}}, {}));
    const auto first = must(repository_->search(reader_, "AuditEvent", {{"_count", "4"}}, {}));
    EXPECT_EQ(ids(first), (Texts{"log-7", "log-6", "log-5", "log-4"}));
    const auto second = must(repository_->next_page(reader_, first.next));
    EXPECT_EQ(ids(second), (Texts{"log-3", "log-1"}));
    EXPECT_EQ(second.next, "");
    EXPECT_FALSE(repository_->next_page(reader_, "a.!"));
}

TEST_F(Audit, APatientSeesWhoSawTheirRecordAndNobodyElses) {
    put_patient("p");
    put_patient("q");
    must(repository_->search(doctor_, "Patient", {{"_id", "p,q"}}, {}));
    must(repository_->read(doctor_, "Patient", "q"));
    scope_ = AuditScope{.kind = AuditScope::Kind::patients, .patients = {"p"}};
    const auto page = must(repository_->search(reader_, "AuditEvent", {}, {}));
    EXPECT_EQ(ids(page), (Texts{"log-4", "log-1"}));
    const std::string& json = page.entries.front().resource.json;
    EXPECT_EQ(json.find("Patient/q"), std::string::npos);
    EXPECT_EQ(json.find("X2lk"), std::string::npos) << "what was asked for tells of others: _id=…";
    EXPECT_EQ(faults_of(json), "");
    EXPECT_EQ(found({{"patient", "q"}}), Texts{});
    EXPECT_EQ(found({{"entity", "Patient/q"}}), Texts{});
    EXPECT_FALSE(repository_->read(reader_, "AuditEvent", "log-3"));
    must(repository_->read(reader_, "AuditEvent", "log-4"));
    scope_ = AuditScope{.kind = AuditScope::Kind::nothing};
    EXPECT_EQ(found({}), Texts{});
    EXPECT_FALSE(repository_->read(reader_, "AuditEvent", "log-4"));
    scope_ = AuditScope{.kind = AuditScope::Kind::actor};
    EXPECT_EQ(found({}), Texts{}) << "the test itself has done nothing";
    scope_.reset();
    Caller hidden = reader_;
    hidden.access = std::make_shared<AllBut>("x");
    EXPECT_TRUE(must(repository_->search(hidden, "AuditEvent", {}, {})).entries.empty());
    const auto accesses = must(accesses_of(*store_, "p", 1'000, 1));
    ASSERT_EQ(accesses.size(), 1u);
    EXPECT_EQ(accesses[0].place.position, 4);
    EXPECT_EQ(accesses[0].entry.account, "dr.who");
}

TEST_F(Audit, StandsBehindThePatientsEverything) {
    put_patient("p");
    put_observation("o", "p");
    auto page = must(repository_->everything(reader_, "Patient", "p", {{"_count", "1"}}, {}));
    Texts all = ids(page);
    while (!page.next.empty()) {
        page = must(repository_->next_page(reader_, page.next));
        const Texts more = ids(page);
        all.insert(all.end(), more.begin(), more.end());
    }
    // What is referred to stands in a page beside what refers to it.
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    EXPECT_EQ(all, (Texts{"log-1", "log-3", "o", "p"}));
    const auto without = must(
        repository_->everything(reader_, "Patient", "p", {{"_type", "Patient,Observation"}}, {}));
    EXPECT_EQ(without.next, "");
}

TEST_F(Audit, IsWalkedForAnExport) {
    for (int i = 0; i < 5; ++i) put_patient(std::to_string(i));
    auto snapshot = must(store_->snapshot());
    Texts all;
    for (store::Position from = 0; from <= snapshot->position();) {
        for (const auto& event :
             must(repository_->audit_events(*snapshot, reader_, from, snapshot->position(), 3)))
            all.push_back(event.id);
    }
    EXPECT_EQ(all, (Texts{"log-1", "log-3", "log-5", "log-7", "log-9"}));
}

TEST_F(Audit, NobodyWritesAuditEvents) {
    const auto refused = write(doctor_, Operation::Kind::update, "AuditEvent", "log-1",
                               R"({"resourceType":"AuditEvent","id":"log-1"})");
    EXPECT_EQ(refused.error().category, Category::not_allowed);
    EXPECT_EQ(last().outcome, fhir::AuditOutcome::minor_failure);
}

/// Counts what it is given.
class Counting final : public fhir::FollowingView {
 public:
    explicit Counting(bool all) : all_(all) {}
    std::string_view name() const override { return all_ ? "all" : "versions"; }
    bool follows_audit() const override { return all_; }
    Result<void> follow(store::Snapshot&, std::span<const store::LogEntry> entries) override {
        for (const auto& entry : entries) ++(entry.is_audit() ? audits : versions);
        return {};
    }
    std::atomic<int> versions = 0, audits = 0;

 private:
    bool all_;
};

TEST_F(Audit, FollowingViewsArePassedOverUnlessTheyAsk) {
    const auto versions = std::make_shared<Counting>(false), all = std::make_shared<Counting>(true);
    repository_->add_following_view(versions);
    repository_->add_following_view(all);
    for (int i = 0; i < 3; ++i) put_patient(std::to_string(i));
    for (int i = 0; i < 20; ++i) must(repository_->read(doctor_, "Patient", "0"));
    const auto last_position = must(store_->snapshot())->position();
    EXPECT_TRUE(repository_->wait_for_views(last_position, 10'000));
    EXPECT_EQ(versions->versions, 3);
    EXPECT_EQ(versions->audits, 0);
    EXPECT_EQ(all->versions, 3);
    EXPECT_EQ(all->audits, 23);
    put_patient("again");
    EXPECT_TRUE(repository_->wait_for_views(last_position + 1, 10'000));
    EXPECT_EQ(versions->versions, 4);
    EXPECT_EQ(must(store_->cursor("versions")), last_position + 3);
}

}  // namespace
}  // namespace meridian::trust::audit

// SPDX-License-Identifier: Apache-2.0
#include "trust/policy/decisions.hpp"

#include <gtest/gtest.h>

#include "base/file.hpp"
#include "base/ids.hpp"
#include "base/testing.hpp"
#include "store/testing.hpp"
#include "trust/sessions/fresh_proof.hpp"

namespace meridian::trust::policy {
namespace {

using meridian::testing::Folder;
using meridian::testing::must;

constexpr std::string_view resource_types = "http://hl7.org/fhir/resource-types";

/// A record with the shipped policy, and one more file when a test wants one.
class Decided : public ::testing::Test {
 protected:
    explicit Decided(std::string more = "") {
        store::OpenOptions options;
        options.folder = folder_.path();
        options.cache_bytes = 16 << 20;
        store_ = must(store::open_for_test(options));
        repository_ = must(fhir::Repository::open(*store_, {}));
        std::vector<File> files{
            {"default.toml",
             must(read_file(MERIDIAN_SOURCE_DIR "/data/policy/default.toml", 1 << 20))}};
        if (!more.empty()) files.push_back({"more.toml", std::move(more)});
        decisions_ = std::make_unique<Decisions>(*repository_, must(parse(files)));
        for (int i = 1; i <= 3; ++i) {
            put(fmt::format(
                R"({{"resourceType":"Patient","id":"p{0}","birthDate":"1980-01-01","managingOrganization":{{"reference":"Organization/o1"}},"identifier":[{{"system":"urn:mrn","value":"{0}"}}],"name":[{{"family":"F{0}"}}]}})",
                i));
            put(fmt::format(
                R"({{"resourceType":"Observation","id":"o{0}","status":"final","code":{{"coding":[{{"system":"urn:c","code":"1"}}]}},"subject":{{"reference":"Patient/p{0}"}},"effectiveDateTime":"2020-01-01"}})",
                i));
        }
    }

    void put(const std::string& json) { must(write(fhir::Caller::system("test"), json)); }
    Result<void> write(const fhir::Caller& caller, const std::string& json) {
        auto document = std::make_shared<JsonDocument>(must(JsonDocument::parse(json)));
        fhir::Transaction transaction;
        fhir::Operation operation;
        operation.kind = fhir::Operation::Kind::update;
        operation.type = document->root().string_at("resourceType");
        operation.id = document->root().string_at("id");
        if (operation.id.empty()) operation.kind = fhir::Operation::Kind::create;
        operation.document = document;
        operation.resource = document->root();
        transaction.operations.push_back(std::move(operation));
        TRY(repository_->commit(caller, std::move(transaction)));
        return {};
    }
    static Subject subject(Role role, std::string person, std::string purpose = "TREAT") {
        Subject subject;
        subject.account = fmt::format("{}-{}", trust::name_of(role), person);
        subject.role = role;
        subject.person = std::move(person);
        subject.organisation = "Organization/o1";
        subject.purpose = std::move(purpose);
        subject.authenticated_at = now();
        return subject;
    }
    /// What of the patients' observations the subject finds, e.g. "o1 o3".
    std::string found(const Subject& subject, std::string_view type = "Observation",
                      fhir::QueryParameters query = {{"_sort", "_id"}}) {
        const auto caller = decisions_->caller(subject);
        if (!caller) return "error: " + caller.error().message;
        const auto page = repository_->search(*caller, type, query, {});
        if (!page) return "error: " + page.error().message;
        std::string ids;
        for (const auto& entry : page->entries) ids += (ids.empty() ? "" : " ") + entry.resource.id;
        return ids;
    }
    void team(int patient, std::string_view member, std::string period = "") {
        put(fmt::format(
            R"({{"resourceType":"CareTeam","id":"t{0}","status":"active","subject":{{"reference":"Patient/p{0}"}},"participant":[{{"member":{{"reference":"{1}"}}{2}}}]}})",
            patient, member, period.empty() ? "" : ",\"period\":" + period));
    }
    void consent(int patient, const std::string& provision, std::string_view status = "active") {
        put(fmt::format(
            R"({{"resourceType":"Consent","id":"n{0}","status":"{2}","scope":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}}]}},"category":[{{"text":"x"}}],"policyRule":{{"text":"x"}},"patient":{{"reference":"Patient/p{0}"}},"provision":{1}}})",
            patient, provision, status));
    }

    Folder folder_;
    std::unique_ptr<store::Store> store_;
    std::unique_ptr<fhir::Repository> repository_;
    std::unique_ptr<Decisions> decisions_;
    const Subject doctor_ = subject(Role::doctor, "Practitioner/d");
};

TEST_F(Decided, ACareTeamOpensARecordAndItsEndClosesIt) {
    EXPECT_EQ(found(doctor_), "");
    team(1, "Practitioner/d");
    EXPECT_EQ(found(doctor_), "o1");
    team(2, "Practitioner/d", R"({"end":"2020-01-01"})");
    EXPECT_EQ(found(doctor_), "o1");
    team(1, "Practitioner/other");
    EXPECT_EQ(found(doctor_), "");
}

TEST_F(Decided, ADelegationEndsByItself) {
    const Instant soon{now().milliseconds + 1'500};
    team(1, "Practitioner/d", fmt::format(R"({{"end":"{}"}})", to_text(soon)));
    EXPECT_EQ(found(doctor_), "o1");
    while (now().milliseconds <= soon.milliseconds + 1)
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(found(doctor_), "");
}

TEST_F(Decided, AssignmentsCountUntilSomeTimeAfterTheirEnd) {
    put(R"({"resourceType":"Task","id":"k","status":"in-progress","intent":"order","for":{"reference":"Patient/p1"},"owner":{"reference":"Practitioner/d"}})");
    put(R"({"resourceType":"PractitionerRole","id":"pr","practitioner":{"reference":"Practitioner/d"}})");
    put(R"({"resourceType":"Encounter","id":"e2","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/p2"},"participant":[{"individual":{"reference":"Practitioner/d"}}],"period":{"start":"2010-01-01","end":"2010-01-02"}})");
    put(fmt::format(
        R"({{"resourceType":"Encounter","id":"e3","status":"finished","class":{{"code":"AMB"}},"subject":{{"reference":"Patient/p3"}},"participant":[{{"individual":{{"reference":"PractitionerRole/pr"}}}}],"period":{{"end":"{}"}}}})",
        to_text(now())));
    EXPECT_EQ(found(doctor_), "o1 o3");
    put(R"({"resourceType":"Task","id":"k","status":"completed","intent":"order","for":{"reference":"Patient/p1"},"owner":{"reference":"Practitioner/d"}})");
    EXPECT_EQ(found(doctor_), "o3");
}

TEST_F(Decided, AWithdrawnConsentCountsFromTheNextRequestOn) {
    team(1, "Practitioner/d");
    fhir::Caller kept = must(decisions_->caller(doctor_));
    EXPECT_TRUE(repository_->read(kept, "Observation", "o1"));
    consent(
        1,
        R"({"type":"deny","actor":[{"role":{"text":"x"},"reference":{"reference":"Practitioner/d"}}]})");
    EXPECT_EQ(found(doctor_), "");
    // Work that is under way asks again.
    must(kept.renew());
    EXPECT_EQ(repository_->read(kept, "Observation", "o1").error().category, Category::not_found);
    consent(1, R"({"type":"deny"})", "inactive");
    EXPECT_EQ(found(doctor_), "o1");
}

TEST_F(Decided, AConsentMayDenyOneKindOnly) {
    team(1, "Practitioner/d");
    put(R"({"resourceType":"Condition","id":"c1","subject":{"reference":"Patient/p1"},"code":{"coding":[{"system":"urn:c","code":"9"}]}})");
    put(R"({"resourceType":"Condition","id":"c2","subject":{"reference":"Patient/p1"},"code":{"coding":[{"system":"urn:c","code":"8"}]}})");
    consent(
        1,
        fmt::format(
            R"({{"type":"permit","provision":[{{"type":"deny","class":[{{"system":"{}","code":"Observation"}}]}},{{"type":"deny","code":[{{"coding":[{{"system":"urn:c","code":"9"}}]}}]}}]}})",
            resource_types));
    EXPECT_EQ(found(doctor_), "");
    EXPECT_EQ(found(doctor_, "Condition"), "c2");
}

TEST_F(Decided, ALabelIsWithheldWithAndWithoutItsSystem) {
    team(1, "Practitioner/d");
    for (const char* system :
         {R"("system":"http://terminology.hl7.org/CodeSystem/v3-ActCode",)", ""}) {
        put(fmt::format(
            R"({{"resourceType":"Observation","id":"o1","meta":{{"security":[{{{}"code":"PSY"}}]}},"status":"final","code":{{"text":"x"}},"subject":{{"reference":"Patient/p1"}}}})",
            system));
        EXPECT_EQ(found(doctor_), "") << system;
    }
}

TEST_F(Decided, ANurseSeesOnlyPatientsOfTheOwnOrganisation) {
    Subject nurse = subject(Role::nurse, "Practitioner/d");
    team(1, "Practitioner/d");
    EXPECT_EQ(found(nurse), "o1");
    nurse.organisation = "Organization/o2";
    EXPECT_EQ(found(nurse), "");
}

TEST_F(Decided, ThePurposeDecides) {
    team(1, "Practitioner/d");
    EXPECT_EQ(found(subject(Role::doctor, "Practitioner/d", "HMARKT")),
              "error: your role may not do this with Observation: search");
}

TEST_F(Decided, APatientSeesTheOwnRecordAndNobodyElses) {
    EXPECT_EQ(found(subject(Role::patient, "Patient/p2", "PATRQT")), "o2");
    EXPECT_EQ(found(subject(Role::patient, "Patient/p2", "PATRQT"), "Patient"), "p2");
    EXPECT_EQ(found(subject(Role::patient, "Patient/none", "PATRQT"), "Patient"), "");
}

TEST_F(Decided, GuardiansStandForMinorsWardsAndWhoNamedThem) {
    const auto relate = [&](const char* kind) {
        put(fmt::format(
            R"({{"resourceType":"RelatedPerson","id":"r","patient":{{"reference":"Patient/p1"}},"relationship":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v3-RoleCode","code":"{}"}}]}}]}})",
            kind));
    };
    const Subject guardian = subject(Role::guardian, "RelatedPerson/r", "FAMRQT");
    relate("MTH");
    EXPECT_EQ(found(guardian), "");  // of age
    put(R"({"resourceType":"Patient","id":"p1","birthDate":"2020-01-01"})");
    EXPECT_EQ(found(guardian), "o1");
    put(R"({"resourceType":"Patient","id":"p1","birthDate":"1980-01-01"})");
    EXPECT_EQ(found(guardian), "");
    consent(
        1,
        R"({"type":"permit","actor":[{"role":{"text":"proxy"},"reference":{"reference":"RelatedPerson/r"}}]})");
    EXPECT_EQ(found(guardian), "o1");
    consent(
        1,
        R"({"type":"permit","actor":[{"role":{"text":"proxy"},"reference":{"reference":"RelatedPerson/r"}}],"period":{"end":"2020-01-01"}})");
    EXPECT_EQ(found(guardian), "");
    relate("GUARD");
    EXPECT_EQ(found(guardian), "o1");
    // Somebody who is a patient as well is linked to the person that stands for another.
    put(R"({"resourceType":"Patient","id":"p9","link":[{"other":{"reference":"RelatedPerson/r"},"type":"seealso"}]})");
    EXPECT_EQ(found(subject(Role::guardian, "Patient/p9", "FAMRQT")), "o1");
    Subject elsewhere = guardian;
    elsewhere.on_behalf_of = "Patient/p2";
    EXPECT_EQ(found(elsewhere), "");
}

TEST_F(Decided, BreakGlassOpensOnePatientAndLeavesAReviewAndANotice) {
    consent(1, R"({"type":"deny"})");
    EXPECT_EQ(found(doctor_), "");
    EXPECT_EQ(decisions_->break_glass(doctor_, "p1", "x").error().category, Category::incorrect);
    EXPECT_EQ(
        decisions_->break_glass(doctor_, "nobody", "unconscious, no contact").error().category,
        Category::not_found);
    EXPECT_EQ(decisions_
                  ->break_glass(subject(Role::regulator, "Practitioner/d"), "p1",
                                "unconscious, no contact")
                  .error()
                  .category,
              Category::forbidden);
    const auto access = must(decisions_->break_glass(doctor_, "p1", "unconscious, no contact"));
    EXPECT_EQ(found(doctor_), "o1");
    const auto caller = must(decisions_->caller(doctor_));
    EXPECT_NE(caller.origin->clause.find("break-glass"), std::string::npos)
        << caller.origin->clause;
    EXPECT_EQ(caller.origin->policy_version, decisions_->policy()->version());
    const auto task =
        must(repository_->read(fhir::Caller::system("t"), "Task", access.task.substr(5)));
    EXPECT_NE(task.json.find("unconscious"), std::string::npos);
    const Subject patient = subject(Role::patient, "Patient/p1", "PATRQT");
    EXPECT_EQ(found(patient, "Communication"), access.notice.substr(14));
    EXPECT_EQ(found(subject(Role::doctor, "Practitioner/other")), "");
    EXPECT_EQ(must(decisions_->break_glass_by_identifier(doctor_, "urn:mrn", "2",
                                                         "unconscious, no contact"))
                  .patient,
              "Patient/p2");
    EXPECT_EQ(found(doctor_), "o1 o2");

    EXPECT_EQ(decisions_->review(doctor_, access.task.substr(5), "fine").error().category,
              Category::forbidden);
    const Subject reviewer = subject(Role::data_manager, "Practitioner/q", "HQUALIMP");
    must(decisions_->review(reviewer, access.task.substr(5), "it was an emergency"));
    EXPECT_EQ(decisions_->review(reviewer, access.task.substr(5), "again").error().category,
              Category::not_found);
}

TEST_F(Decided, PrescriptionExportAndEmergencyAskForAFreshProof) {
    team(1, "Practitioner/d");
    const auto prescription = [](std::string_view id) {
        return fmt::format(
            R"({{"resourceType":"MedicationRequest","id":"{}","status":"active","intent":"order","subject":{{"reference":"Patient/p1"}},"requester":{{"reference":"Practitioner/d"}},"medicationCodeableConcept":{{"text":"x"}}}})",
            id);
    };
    put(prescription("m"));
    Subject old = doctor_;
    const auto ago = [](std::chrono::minutes time) {
        return Instant{now().milliseconds - std::chrono::milliseconds(time).count()};
    };
    old.authenticated_at = ago(std::chrono::minutes(14));
    must(write(must(decisions_->caller(old)), prescription("m")));
    old.authenticated_at = ago(std::chrono::minutes(16));
    const fhir::Caller caller = must(decisions_->caller(old));
    const auto refused = write(caller, prescription("m"));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().category, Category::unauthenticated);
    EXPECT_EQ(wanted_proof_age(refused.error()), std::chrono::seconds(900));
    EXPECT_NE(refused.error().message.find("/step-up"), std::string::npos);
    EXPECT_FALSE(write(caller, prescription("")));
    must(write(
        caller,
        R"({"resourceType":"Observation","id":"o1","status":"amended","code":{"text":"x"},"subject":{"reference":"Patient/p1"}})"));
    EXPECT_TRUE(repository_->read(caller, "MedicationRequest", "m"));
    // Who has not proved anything yet, as a subscription's owner, is old too.
    old.authenticated_at = {};
    EXPECT_FALSE(write(must(decisions_->caller(old)), prescription("m")));

    old.authenticated_at = ago(std::chrono::minutes(6));
    const auto emergency = decisions_->break_glass(old, "p2", "unconscious, no contact");
    ASSERT_FALSE(emergency);
    EXPECT_EQ(wanted_proof_age(emergency.error()), std::chrono::seconds(300));
    EXPECT_EQ(decisions_->break_glass_by_identifier(old, "urn:mrn", "none", "unconscious, none")
                  .error()
                  .category,
              Category::unauthenticated)
        << "before the look-up";

    Subject manager = subject(Role::data_manager, "Practitioner/q", "HQUALIMP");
    const auto may_export = [&] {
        return must(decisions_->caller(manager))
            .access->allow(fhir::Right::bulk_export, "Observation");
    };
    EXPECT_TRUE(may_export());
    fhir::Caller job = must(decisions_->caller(manager));
    manager.authenticated_at = ago(std::chrono::minutes(6));
    EXPECT_EQ(wanted_proof_age(may_export().error()), std::chrono::seconds(300));
    must(job.renew());
    EXPECT_TRUE(job.access->allow(fhir::Right::bulk_export, "Observation")) << "it has begun";
    // Who may not at all is told that, and not sent to prove anything.
    EXPECT_EQ(caller.access->allow(fhir::Right::bulk_export, "Observation").error().category,
              Category::forbidden);

    Subject engine = subject(Role::system_client, "Device/e");
    engine.authenticated_at = {};
    must(write(must(decisions_->caller(engine)), prescription("m")));
}

TEST_F(Decided, ReviewsWaitInTheOrderOfTheirDeadlines) {
    EXPECT_TRUE(
        must(decisions_->pending_reviews(subject(Role::audit_admin, "Person/a"))).reviews.empty());
    EXPECT_EQ(decisions_->pending_reviews(doctor_).error().category, Category::forbidden);
    const auto first = must(decisions_->break_glass(doctor_, "p1", "unconscious, no contact"));
    const auto second = must(decisions_->break_glass(doctor_, "p2", "unconscious, no contact"));
    put(R"({"resourceType":"Task","id":"other","status":"requested","intent":"order"})");
    const Subject reviewer = subject(Role::audit_admin, "Person/a", "HCOMPL");
    auto pending = must(decisions_->pending_reviews(reviewer));
    ASSERT_EQ(pending.reviews.size(), 2u);
    EXPECT_EQ("Task/" + pending.reviews[0].task, first.task);
    EXPECT_EQ(pending.reviews[0].patient, "Patient/p1");
    EXPECT_EQ(pending.reviews[0].person, "Practitioner/d");
    EXPECT_EQ(pending.reviews[0].reason, "unconscious, no contact");
    EXPECT_EQ(pending.reviews[0].ends, first.ends);
    EXPECT_EQ((pending.reviews[0].review_by.milliseconds - pending.reviews[0].opened.milliseconds),
              72LL * 3'600'000);
    must(decisions_->review(reviewer, pending.reviews[0].task, "it was none",
                            Verdict::not_justified));
    pending = must(decisions_->pending_reviews(reviewer));
    ASSERT_EQ(pending.reviews.size(), 1u);
    EXPECT_EQ("Task/" + pending.reviews[0].task, second.task);
    const auto closed =
        must(repository_->read(fhir::Caller::system("t"), "Task", first.task.substr(5)));
    EXPECT_NE(closed.json.find("\"not-justified\""), std::string::npos) << closed.json;
}

TEST_F(Decided, NobodyWritesThemselvesAnEmergency) {
    team(1, "Practitioner/d");
    const auto caller = must(decisions_->caller(doctor_));
    const auto task = [](std::string_view code) {
        return fmt::format(
            R"({{"resourceType":"Task","status":"requested","intent":"order","for":{{"reference":"Patient/p1"}},"requester":{{"reference":"Practitioner/d"}},"code":{{"coding":[{{"system":"urn:meridian:task-kind","code":"{}"}}]}},"executionPeriod":{{"end":"2999-01-01"}}}})",
            code);
    };
    EXPECT_TRUE(write(caller, task("other")));
    const auto forged = write(caller, task("break-glass"));
    ASSERT_FALSE(forged);
    EXPECT_EQ(forged.error().category, Category::forbidden);
}

TEST_F(Decided, WritesAreCheckedBeforeAndAfter) {
    team(1, "Practitioner/d");
    const auto caller = must(decisions_->caller(doctor_));
    const auto observation = [](std::string_view id, int patient, std::string_view label = "") {
        return fmt::format(
            R"({{"resourceType":"Observation"{}{},"status":"final","code":{{"text":"x"}},"subject":{{"reference":"Patient/p{}"}}}})",
            id.empty() ? "" : fmt::format(R"(,"id":"{}")", id),
            label.empty()
                ? ""
                : fmt::format(
                      R"(,"meta":{{"security":[{{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"{}"}}]}})",
                      label),
            patient);
    };
    EXPECT_TRUE(write(caller, observation("o1", 1)));
    EXPECT_TRUE(write(caller, observation("", 1)));
    // Not into another record, not out of sight, not over what is hidden, not under an own id.
    EXPECT_EQ(write(caller, observation("o1", 2)).error().category, Category::forbidden);
    EXPECT_EQ(write(caller, observation("", 2)).error().category, Category::forbidden);
    EXPECT_EQ(write(caller, observation("o1", 1, "PSY")).error().category, Category::forbidden);
    const auto hidden = write(caller, observation("o2", 1));
    const auto nothing = write(caller, observation("o99", 1));
    EXPECT_EQ(hidden.error().category, Category::not_found);
    EXPECT_EQ(hidden.error().message, nothing.error().message);
}

TEST_F(Decided, ScopesNarrowTheRole) {
    team(1, "Practitioner/d");
    team(2, "Practitioner/d");
    put(R"({"resourceType":"Observation","id":"o1","category":[{"coding":[{"code":"laboratory"}]}],"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p1"}})");
    Subject app = doctor_;
    app.scopes = {"user/Observation.rs?category=laboratory"};
    EXPECT_EQ(found(app), "o1");
    EXPECT_EQ(found(app, "Patient"), "error: your role may not do this with Patient: search");
    app.scopes = {"patient/Observation.rs"};
    app.patient = "Patient/p2";
    EXPECT_EQ(found(app), "o2");
    app.scopes = {"patient/Observation.r"};
    EXPECT_EQ(found(app), "error: your role may not do this with Observation: search");
    app.scopes = {"openid", "fhirUser"};
    EXPECT_EQ(found(app), "error: your role may not do this with Observation: search");
    // More than the role has is not given.
    app.scopes = {"system/*.cruds"};
    EXPECT_EQ(found(app), "o1 o2");
}

TEST_F(Decided, WhatIsMaskedIsAbsentEverywhereAndNotSearched) {
    put(R"({"resourceType":"Observation","id":"o1","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">F1</div>"},"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p1","display":"F1"},"contained":[{"resourceType":"Patient","id":"c","name":[{"family":"F1"}]}]})");
    const Subject regulator = subject(Role::regulator, "Practitioner/d", "HCOMPL");
    const auto caller = must(decisions_->caller(regulator));
    for (const auto& [type, id] : {std::pair{"Patient", "p1"}, std::pair{"Observation", "o1"}}) {
        const auto read = must(repository_->read(caller, type, id));
        EXPECT_EQ(read.json.find("F1"), std::string::npos) << read.json;
        EXPECT_NE(read.json.find("SUBSETTED"), std::string::npos) << read.json;
        EXPECT_EQ(must(repository_->read_version(caller, type, id, 1)).json.find("F1"),
                  std::string::npos);
        fhir::HistoryRequest history;
        history.type = type;
        for (const auto& entry : must(repository_->history(caller, history)).entries)
            EXPECT_EQ(entry.resource.json.find("F1"), std::string::npos);
    }
    const auto page = must(repository_->search(
        caller, "Observation", {{"_id", "o1"}, {"_include", "Observation:subject"}}, {}));
    ASSERT_EQ(page.entries.size(), 2u);
    for (const auto& entry : page.entries)
        EXPECT_EQ(entry.resource.json.find("F1"), std::string::npos) << entry.resource.json;
    std::set<std::string> refusals;
    for (const fhir::QueryParameters& query : {fhir::QueryParameters{{"family", "F1"}},
                                               {{"family", "nobody"}},
                                               {{"family:missing", "true"}}})
        refusals.insert(found(regulator, "Patient", query));
    EXPECT_EQ(refusals, std::set<std::string>{"error: \"family\" of Patient would tell of elements "
                                              "that are withheld from you"});
    for (const auto& [type, name] :
         {std::pair{"Patient", "_sort"}, std::pair{"Patient", "_filter"},
          std::pair{"Observation", "patient.name"},
          std::pair{"Encounter", "_has:Observation:encounter:patient.birthdate"},
          std::pair{"Observation", "_content"}, std::pair{"Observation", "subject:identifier"},
          std::pair{"Patient", "name:exact"}}) {
        const std::string value = std::string_view(name) == "_sort"                ? "birthdate"
                                  : std::string_view(name) == "_filter"            ? "family eq F1"
                                  : std::string_view(name) == "subject:identifier" ? "urn:mrn|1"
                                                                                   : "1980";
        EXPECT_NE(found(regulator, type, {{name, value}}).find("withheld from you"),
                  std::string::npos)
            << name << ": " << found(regulator, type, {{name, value}});
    }
}

TEST_F(Decided, AnInsurerSeesOwnClaimsAndNoClinicalRecord) {
    for (int i = 1; i <= 2; ++i) {
        put(fmt::format(
            R"({{"resourceType":"Coverage","id":"v{0}","status":"active","beneficiary":{{"reference":"Patient/p{0}"}},"payor":[{{"reference":"Organization/o{0}"}}]}})",
            i));
        put(fmt::format(
            R"({{"resourceType":"Claim","id":"cl{0}","status":"active","type":{{"text":"x"}},"use":"claim","patient":{{"reference":"Patient/p{0}"}},"created":"2020-01-01","insurer":{{"reference":"Organization/o{0}"}},"provider":{{"reference":"Practitioner/d"}},"priority":{{"text":"x"}},"insurance":[{{"sequence":1,"focal":true,"coverage":{{"reference":"Coverage/v{0}"}}}}]}})",
            i));
    }
    const Subject insurer = subject(Role::insurer, "Practitioner/i", "HPAYMT");
    EXPECT_EQ(found(insurer, "Claim"), "cl1");
    EXPECT_EQ(found(insurer, "Coverage"), "v1");
    EXPECT_EQ(found(insurer, "Patient"), "p1");
    EXPECT_EQ(found(insurer), "error: your role may not do this with Observation: search");
}

TEST_F(Decided, ASystemClientHasTheWholeRecordWithoutAskingForMore) {
    const auto caller = must(decisions_->caller(subject(Role::system_client, "Device/d")));
    EXPECT_TRUE(caller.access->sees_everything());
    EXPECT_TRUE(caller.access->writes_everything());
    for (const Role role : all_roles()) {
        if (role == Role::system_client) continue;
        const auto other = must(decisions_->caller(subject(role, "Practitioner/d")));
        EXPECT_FALSE(other.access->sees_everything()) << trust::name_of(role);
    }
}

}  // namespace
}  // namespace meridian::trust::policy

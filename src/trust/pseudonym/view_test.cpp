// SPDX-License-Identifier: Apache-2.0
#include "trust/pseudonym/view.hpp"

#include <gtest/gtest.h>

#include "base/testing.hpp"
#include "fhir/caller.hpp"
#include "store/testing.hpp"
#include "trust/keys/body_cipher.hpp"
#include "trust/keys/erasure.hpp"
#include "trust/testing/memory_vault.hpp"
#include "trust/testing/one_update.hpp"

namespace meridian::trust::pseudonym {
namespace {

using meridian::testing::Folder;
using meridian::testing::must;

const fhir::Caller caller = fhir::Caller::system("test");

constexpr const char* policy_text =
    "policy = \"test\"\nversion = 1\n[labels]\n"
    "psychiatry = [\"http://terminology.hl7.org/CodeSystem/v3-ActCode|PSY\"]\n";

/// A record with two patients, and the view of a project for one of them.
class ViewTest : public ::testing::Test {
 protected:
    ViewTest() {
        record_store_ =
            must(store::open_for_test({.folder = folder_.path(), .cache_bytes = 16 << 20}));
        ring_ = must(KeyRing::open(key_rows_of(*record_store_), file_keks(folder_.path()),
                                   {.background = true}));
        fhir::Repository::Options options;
        options.cipher = body_cipher(ring_);
        record_ = must(fhir::Repository::open(*record_store_, options));
        for (const char* patient : {"li-mei", "wang"}) {
            write(fmt::format(R"({{"resourceType":"Patient","id":"{}","gender":"female",)"
                              R"("name":[{{"family":"Whitfield"}}],"birthDate":"1990-03-07"}})",
                              patient));
            write(observation(fmt::format("o-{}", patient), patient, "2024-05-01"));
        }
        cohort({"li-mei"});
    }

    void write(std::string_view json) { must(record_->commit(caller, testing::one_update(json))); }
    static std::string observation(std::string_view id, std::string_view patient,
                                   std::string_view date, std::string_view more = {}) {
        return fmt::format(
            R"({{"resourceType":"Observation","id":"{}","status":"final",)"
            R"("code":{{"coding":[{{"system":"http://loinc.org","code":"2039-6"}}]}},)"
            R"("subject":{{"reference":"Patient/{}"}},"effectiveDateTime":"{}",)"
            R"("valueQuantity":{{"value":4.2,"code":"ng/mL","system":"http://unitsofmeasure.org"}}{}}})",
            id, patient, date, more);
    }
    void cohort(const std::vector<std::string>& patients) {
        std::string members;
        for (const std::string& patient : patients)
            members += fmt::format(R"({}{{"entity":{{"reference":"Patient/{}"}}}})",
                                   members.empty() ? "" : ",", patient);
        write(fmt::format(R"({{"resourceType":"Group","id":"g","type":"person","actual":true{}}})",
                          members.empty() ? "" : ",\"member\":[" + members + "]"));
    }
    void consent(std::string_view id, std::string_view patient, std::string_view type,
                 std::string_view status = "active") {
        write(fmt::format(
            R"({{"resourceType":"Consent","id":"{}","status":"{}",)"
            R"("scope":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"research"}}]}},)"
            R"("category":[{{"coding":[{{"system":"http://loinc.org","code":"59284-0"}}]}}],)"
            R"("patient":{{"reference":"Patient/{}"}},"policyRule":{{"coding":[{{"code":"OPTIN"}}]}},)"
            R"("provision":{{"type":"{}"}}}})",
            id, status, patient, type));
    }
    /// Opens the view (again) as a project of these terms and follows to the end.
    void open(policy::ConsentRule rule = policy::ConsentRule::opt_out,
              std::vector<std::string> labels = {}) {
        view_.reset();
        if (!view_repository_) {
            view_store_ =
                must(store::open({.folder = folder_.path() + "/view", .cache_bytes = 16 << 20}));
            view_repository_ = must(fhir::Repository::open(*view_store_, {.validate = false}));
        }
        if (project_.id.empty()) {
            project_ = must(ProjectList(vault_).add(
                {.id = "lung", .cohort = "Group/g", .reference_day = "2026-06-30"}));
        }
        project_.consent = rule;
        project_.labels = std::move(labels);
        view_ = std::make_unique<View>(
            *record_, *view_repository_, project_,
            must(policy_of_entry(project_, {{.name = "test", .text = policy_text}})));
        follow();
    }
    void follow() {
        while (must(view_->advance())) {
        }
    }
    std::size_t found(std::string_view type, const fhir::QueryParameters& parameters = {}) {
        return must(view_repository_->search(caller, type, parameters, {})).entries.size();
    }
    ProjectKey key() const { return ProjectKey(project_.secret); }
    std::string moved(std::string_view date) const {
        return *shifted(date, key().shift_days("li-mei"));
    }

    Folder folder_;
    testing::MemoryVault vault_;
    std::unique_ptr<store::Store> record_store_, view_store_;
    std::shared_ptr<KeyRing> ring_;
    std::unique_ptr<fhir::Repository> record_, view_repository_;
    Project project_;
    std::unique_ptr<View> view_;
};

TEST_F(ViewTest, HoldsTheCohortAndIsSearchedByMovedDates) {
    open();
    EXPECT_EQ(found("Patient"), 1u);
    EXPECT_EQ(found("Observation"), 1u);
    EXPECT_EQ(found("Observation", {{"date", moved("2024-05-01")}}), 1u);
    EXPECT_EQ(found("Observation", {{"date", "2024-05-01"}}), 0u);
    const std::string pseudonym = key().pseudonym("Patient", "li-mei");
    EXPECT_EQ(found("Observation", {{"patient", pseudonym}, {"code", "http://loinc.org|2039-6"}}),
              1u);
    EXPECT_EQ(found("Observation", {{"patient", "li-mei"}}), 0u);
    EXPECT_EQ(found("Observation", {{"subject:Patient.gender", "female"}}), 1u);
    EXPECT_EQ(found("Patient", {{"family", "Whitfield"}}), 0u);
    EXPECT_EQ(must(view_->patient_of(pseudonym)), "li-mei");
    EXPECT_FALSE(view_->patient_of(key().pseudonym("Patient", "wang")));
}

TEST_F(ViewTest, FollowsNewVersionsAndDeletions) {
    open();
    write(observation("o-li-mei", "li-mei", "2024-06-10"));
    write(observation("second", "li-mei", "2024-06-20"));
    follow();
    EXPECT_EQ(found("Observation", {{"date", moved("2024-06-10")}}), 1u);
    EXPECT_EQ(found("Observation"), 2u);
    fhir::Transaction removal;
    removal.operations.push_back(
        {.kind = fhir::Operation::Kind::remove, .type = "Observation", .id = "second"});
    must(record_->commit(caller, std::move(removal)));
    // One that is somebody else's from now on.
    write(observation("o-li-mei", "wang", "2024-06-10"));
    follow();
    EXPECT_EQ(found("Observation"), 0u);
}

TEST_F(ViewTest, FollowsTheCohortAlsoAfterARestart) {
    open();
    cohort({"li-mei", "wang"});
    follow();
    EXPECT_EQ(found("Patient"), 2u);
    EXPECT_EQ(found("Observation"), 2u);
    view_.reset();
    cohort({"wang"});
    open();
    EXPECT_EQ(found("Patient"), 1u);
    EXPECT_EQ(found("Patient", {{"_id", key().pseudonym("Patient", "wang")}}), 1u);
    EXPECT_EQ(found("Observation"), 1u);
}

TEST_F(ViewTest, ShowsWhoPermitsItAndNobodyWhoWithdraws) {
    open(policy::ConsentRule::opt_in);
    EXPECT_EQ(found("Patient") + found("Observation"), 0u);
    consent("c", "li-mei", "permit");
    follow();
    EXPECT_EQ(found("Patient"), 1u);
    EXPECT_EQ(found("Observation"), 1u);
    consent("c", "li-mei", "permit", "inactive");
    follow();
    EXPECT_EQ(found("Patient") + found("Observation"), 0u);
}

TEST_F(ViewTest, LearnsOfAConsentThatCameWhileNobodyFollowed) {
    open();
    EXPECT_EQ(found("Observation"), 1u);
    view_.reset();
    consent("no", "li-mei", "deny");
    open();
    EXPECT_EQ(found("Patient") + found("Observation"), 0u);
}

TEST_F(ViewTest, LeavesOutWhatCarriesALabelThatTheProjectDoesNotShow) {
    write(observation("secret", "li-mei", "2024-07-01",
                      R"(,"meta":{"security":[{"system":)"
                      R"("http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"PSY"}]})"));
    open();
    EXPECT_EQ(found("Observation"), 1u);
    open(policy::ConsentRule::opt_out, {"psychiatry"});
    EXPECT_EQ(found("Observation"), 2u) << "other terms make the view anew";
}

TEST_F(ViewTest, CopiesDefinitionsAsTheyAre) {
    write(R"({"resourceType":"Questionnaire","id":"q","status":"active","title":"Cough"})");
    open();
    EXPECT_EQ(found("Questionnaire", {{"title", "Cough"}}), 1u);
    EXPECT_EQ(found("Group"), 0u);
}

TEST_F(ViewTest, ForgetsWhoWasErased) {
    open();
    EXPECT_FALSE(view_->is_to_be_made_anew());
    must(erase_person(*record_, *ring_, folder_.path(),
                      {.subject = "Patient/li-mei",
                       .reason = "asked for it",
                       .by = "Practitioner/1",
                       .override_retention = true,
                       .approvers = {"Practitioner/2", "Practitioner/3"}}));
    follow();
    EXPECT_EQ(found("Patient") + found("Observation"), 0u);
    EXPECT_TRUE(view_->is_to_be_made_anew());
    EXPECT_FALSE(view_->patient_of(key().pseudonym("Patient", "li-mei")));
}

TEST(ProjectListTest, KeepsProjectsSealedAndTheirSecretsApart) {
    testing::MemoryVault vault;
    ProjectList projects(vault);
    const Project lung = must(projects.add({.id = "lung", .cohort = "Group/g"}));
    const Project kidney = must(projects.add({.id = "kidney", .cohort = "Group/g"}));
    EXPECT_NE(lung.secret, kidney.secret);
    EXPECT_EQ(lung.actor, "Group/g");
    EXPECT_EQ(projects.add({.id = "lung", .cohort = "Group/g"}).error().category,
              Category::conflict);
    EXPECT_FALSE(projects.add({.id = "Lung 7", .cohort = "Group/g"}));
    EXPECT_FALSE(projects.add({.id = "x", .cohort = "Patient/7"}));
    EXPECT_FALSE(projects.add({.id = "x", .cohort = "Group/g", .purpose = "\"], may=[\""}));
    must(projects.change("lung", [](Project& project) -> Result<void> {
        project.members.push_back("r");
        return {};
    }));
    EXPECT_EQ(must(projects.find("lung")).members, std::vector<std::string>{"r"});
    EXPECT_EQ(must(projects.find("lung")).secret, lung.secret);
    must(projects.remove("lung"));
    EXPECT_EQ(must(projects.all()).size(), 1u);
}

}  // namespace
}  // namespace meridian::trust::pseudonym

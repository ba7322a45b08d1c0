// SPDX-License-Identifier: Apache-2.0
#include "trust/keys/erasure.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "base/testing.hpp"
#include "fhir/body_reader.hpp"
#include "fhir/repository.hpp"
#include "store/maintain.hpp"
#include "store/testing.hpp"
#include "trust/audit/log_audit.hpp"
#include "trust/audit/trail.hpp"
#include "trust/keys/body_cipher.hpp"
#include "trust/keys/certificate.hpp"
#include "trust/keys/key_backup.hpp"
#include "trust/keys/retention.hpp"
#include "trust/keys/sealing.hpp"
#include "trust/testing/one_update.hpp"

namespace meridian::trust {
namespace {

using meridian::testing::Folder;
using meridian::testing::must;

const fhir::Caller caller = fhir::Caller::system("test");

/// Files below `folder` that hold `text`.
std::vector<std::string> files_with(const std::string& folder, const std::string& text) {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
        if (!entry.is_regular_file()) continue;
        std::ifstream file(entry.path(), std::ios::binary);
        const std::string content((std::istreambuf_iterator<char>(file)), {});
        if (content.find(text) != std::string::npos) found.push_back(entry.path().string());
    }
    return found;
}

/// A record in a folder, with its keys, open.
struct Record {
    explicit Record(const std::string& folder)
        : store(must(store::open_for_test({.folder = folder, .cache_bytes = 16 << 20}))),
          ring(must(KeyRing::open(key_rows_of(*store), file_keks(folder), {.background = true}))) {
        fhir::Repository::Options options;
        options.cipher = body_cipher(ring);
        options.audit = std::make_shared<audit::LogAudit>(*store, [this](std::string_view text) {
            return ring->keyed_hash("audit query", text);
        });
        repository = must(fhir::Repository::open(*store, options));
    }
    void write(const std::string& json) {
        must(repository->commit(caller, testing::one_update(json)));
    }
    std::size_t found(std::string_view type, const fhir::QueryParameters& parameters) {
        return must(repository->search(caller, type, parameters, {})).entries.size();
    }

    std::unique_ptr<store::Store> store;
    std::shared_ptr<KeyRing> ring;
    std::unique_ptr<fhir::Repository> repository;
};

/// One person who is two patients, and another.
void fill(Record& record) {
    record.write(
        R"({"resourceType":"Patient","id":"li-1","active":true,)"
        R"("identifier":[{"system":"urn:id","value":"110101199003070011"}],)"
        R"("name":[{"family":"Zxqunmistakable","given":["Mei"]}],)"
        R"("telecom":[{"system":"phone","value":"13912345678"}],)"
        R"("text":{"status":"additional","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">)"
        R"(Zxqunmistakable writes</div>"}})");
    record.write(R"({"resourceType":"Patient","id":"li-2","name":[{"family":"Zxqunmistakable"}],)"
                 R"("link":[{"other":{"reference":"Patient/li-1"},"type":"seealso"}]})");
    record.write(R"({"resourceType":"Patient","id":"li-3","name":[{"family":"Zxqunmistakable"}]})");
    record.write(R"({"resourceType":"Person","id":"li","name":[{"family":"Zxqunmistakable"}],)"
                 R"("link":[{"target":{"reference":"Patient/li-1"}},)"
                 R"({"target":{"reference":"Patient/li-3"}}]})");
    record.write(R"({"resourceType":"Patient","id":"wang","name":[{"family":"Stays"}]})");
    for (const char* patient : {"li-1", "li-2", "wang"}) {
        for (int version = 0; version < 2; ++version) {
            record.write(
                fmt::format(R"({{"resourceType":"Observation","id":"of-{}","status":"final",)"
                            R"("code":{{"text":"seen {}"}},"subject":{{"reference":"Patient/{}"}},)"
                            R"("valueString":"{} was here"}})",
                            patient, version, patient,
                            std::string(patient) == "wang" ? "Stays" : "Zxqunmistakable"));
        }
    }
    // Somebody else's resource that mentions the person.
    record.write(R"({"resourceType":"Observation","id":"shared","status":"final",)"
                 R"("code":{"text":"c"},"subject":{"reference":"Patient/wang"},)"
                 R"("performer":[{"reference":"Patient/li-1"}]})");
    record.write(R"({"resourceType":"Group","id":"g","type":"person","actual":true,)"
                 R"("member":[{"entity":{"reference":"Patient/li-1"}},)"
                 R"({"entity":{"reference":"Patient/wang"}}]})");
}

ErasureRequest request(std::string subject) {
    return {.subject = std::move(subject),
            .reason = "asked for it",
            .by = "Practitioner/1",
            .override_retention = true,
            .approvers = {"Practitioner/2", "Practitioner/3"}};
}

// Numbers of identity and telephones are looked up by keyed hashes.
TEST(KeyedHashes, OfIdentifiersAreAllThatLiesInTheIndex) {
    const Folder folder;
    Record record(folder.path());
    record.write(
        R"({"resourceType":"Patient","id":"li",)"
        R"("identifier":[{"system":"urn:id","value":"110101199003070011"}],)"
        R"("telecom":[{"system":"phone","value":"13912345678"}],)"
        R"("text":{"status":"additional","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">)"
        R"(Li Mei, 110101199003070011, call 13912345678, Zxqnarrative</div>"}})");
    EXPECT_EQ(record.found("Patient", {{"identifier", "urn:id|110101199003070011"}}), 1u);
    EXPECT_EQ(record.found("Patient", {{"identifier", "110101199003070011"}}), 1u);
    EXPECT_EQ(record.found("Patient", {{"phone", "13912345678"}}), 1u);
    EXPECT_EQ(record.found("Patient", {{"_text", "Zxqnarrative"}}), 1u);
    if (store::postgres::tests_use_postgres()) return;
    EXPECT_FALSE(files_with(folder.path(), "xqnarrative").empty()) << "words lie in the clear";
    EXPECT_TRUE(files_with(folder.path(), "110101199003070011").empty());
    EXPECT_TRUE(files_with(folder.path(), "13912345678").empty());
}

TEST(Erasure, LeavesNothingOfAPerson) {
    const Folder folder;
    {
        Record record(folder.path());
        fill(record);
        ASSERT_EQ(record.found("Patient", {{"family", "Zxqunmistakable"}}), 3u);
        ASSERT_EQ(record.found("Patient", {{"_content", "Zxqunmistakable"}}), 1u);
        const std::string certificate = must(
            erase_person(*record.repository, *record.ring, folder.path(), request("person/li")));

        const auto checked =
            must(check_certificate(certificate, must(certificate_key(folder.path()))));
        const JsonDocument document = must(JsonDocument::parse(checked.statement));
        EXPECT_EQ(document.root()["patients"].size(), 3u) << checked.statement;
        EXPECT_EQ(document.root()["resources"].text(), "6") << checked.statement;
        EXPECT_NE(checked.statement.find(
                      R"("stays":[{"resource":"Observation/shared","mentions":"Patient/li-1"}])"),
                  std::string::npos)
            << checked.statement;
        EXPECT_NE(checked.statement.find(R"("staysWithoutThePerson":["Group/g"])"),
                  std::string::npos)
            << checked.statement;
        EXPECT_EQ(checked.statement.find("Zxqunmistakable"), std::string::npos);

        // As for what was deleted.
        fhir::Repository& repository = *record.repository;
        for (const char* id : {"li-1", "li-2", "li-3"})
            EXPECT_EQ(repository.read(caller, "Patient", id).error().category, Category::gone);
        EXPECT_EQ(repository.read(caller, "Observation", "of-li-1").error().category,
                  Category::gone);
        EXPECT_EQ(repository.read_version(caller, "Observation", "of-li-1", 1).error().category,
                  Category::gone);
        EXPECT_EQ(record.found("Patient", {{"family", "Zxqunmistakable"}}), 0u);
        EXPECT_EQ(record.found("Patient", {{"_content", "Zxqunmistakable"}}), 0u);
        EXPECT_EQ(record.found("Patient", {}), 1u);
        // Histories tell the deletion and no version before it; those of others are whole.
        const auto history = must(repository.history(caller, {.type = "Patient", .id = "li-1"}));
        ASSERT_EQ(history.entries.size(), 1u);
        EXPECT_TRUE(history.entries.front().resource.deleted);
        EXPECT_TRUE(repository.history(caller, {}));
        EXPECT_TRUE(repository.read(caller, "Observation", "shared"));
        EXPECT_TRUE(repository.read(caller, "Observation", "of-wang"));
        // Nobody writes about them again.
        EXPECT_EQ(
            repository
                .commit(caller, testing::one_update(R"({"resourceType":"Patient","id":"li-1"})"))
                .error()
                .category,
            Category::gone);
        // While it is open: not in the log before it is copied back either.
        if (!store::postgres::tests_use_postgres()) {
            EXPECT_TRUE(files_with(folder.path(), "xqunmistakable").empty())
                << files_with(folder.path(), "xqunmistakable").front();
            EXPECT_TRUE(files_with(folder.path(), "13912345678").empty());
        }
    }
    if (!store::postgres::tests_use_postgres()) {
        EXPECT_FALSE(files_with(folder.path(), "li-1").empty()) << "the search itself finds things";
        EXPECT_TRUE(files_with(folder.path(), "xqunmistakable").empty())
            << files_with(folder.path(), "xqunmistakable").front();
        const auto store = std::shared_ptr(
            must(store::open({.folder = folder.path(), .create = false, .read_only = true})));
        const auto reader = fhir::body_reader(must(cipher_of(store, folder.path())));
        const auto report = must(store::check(folder.path(), reader));
        EXPECT_TRUE(report.clean()) << report.first_problem;
    }
}

TEST(Erasure, ARestoredOldBackupDoesNotBringThemBack) {
    if (store::postgres::tests_use_postgres()) GTEST_SKIP() << "restores into a folder";
    const Folder folder, elsewhere;
    const std::string backup = elsewhere.path() + "/backup";
    const std::string old_keys = elsewhere.path() + "/old.keys";
    const std::string new_keys = elsewhere.path() + "/new.keys";
    {
        Record record(folder.path());
        fill(record);
        must(export_keys(*record.ring, old_keys));
    }
    must(store::backup(folder.path(), backup));
    EXPECT_TRUE(files_with(backup, "xqunmistakable").empty());
    {
        Record record(folder.path());
        must(erase_person(*record.repository, *record.ring, folder.path(), request("Person/li")));
        must(export_keys(*record.ring, new_keys));
    }
    // The record is lost; what is left are its keys' folder, the old backup and a file of keys.
    for (const std::string& keys : {new_keys, old_keys}) {
        const std::string restored = elsewhere.path() + "/restored-" + keys.substr(keys.size() - 8);
        std::filesystem::create_directories(restored);
        std::filesystem::copy(folder.path() + "/keys", restored + "/keys");
        const auto erased = must(erased_keys(restored));
        EXPECT_EQ(erased.size(), 4u) << "three patients, and the versions of one group";
        const KeyFile file = must(read_key_backup(keys, erased));
        const std::shared_ptr<KeyRing> of_file = must(ring_of(file, file_keks(restored)));
        must(store::restore(backup, restored, fhir::body_reader(body_cipher(of_file))));
        {
            const auto store = must(store::open({.folder = restored, .create = false}));
            must(import_keys(file, file_keks(restored), key_rows_of(*store), erased));
        }
        Record record(restored);
        EXPECT_EQ(must(sweep_erased(*record.repository, *record.ring)), 7)
            << "the group as it was then named the person";
        EXPECT_TRUE(record.repository->read(caller, "Observation", "of-wang"));
        EXPECT_EQ(record.found("Patient", {{"family", "Stays"}}), 1u);
        EXPECT_EQ(record.found("Patient", {{"family", "Zxqunmistakable"}}), 0u);
        EXPECT_EQ(record.found("Patient", {}), 1u);
        EXPECT_EQ(record.repository->read(caller, "Patient", "li-1").error().category,
                  Category::gone);
        EXPECT_TRUE(files_with(restored, "xqunmistakable").empty());
    }
}

TEST(Erasure, AKeyFileThatWasAlteredIsRefused) {
    const Folder folder;
    Record record(folder.path());
    fill(record);
    const std::string path = folder.path() + "/a.keys";
    must(export_keys(*record.ring, path));
    EXPECT_EQ(export_keys(*record.ring, path).error().category, Category::conflict);
    KeyFile file = must(read_key_backup(path, {}));
    EXPECT_TRUE(ring_of(file, file_keks(folder.path())));
    file.text += "data/00 AAAA\n";
    EXPECT_EQ(ring_of(file, file_keks(folder.path())).error().category, Category::forbidden);
}

TEST(Erasure, ThatWasKilledOnTheWayGoesOn) {
    const Folder folder;
    Record record(folder.path());
    fill(record);
    // As far as it had come: the keys are gone, and with them whom it is about.
    ASSERT_TRUE(must(record.store->save_private(
        {{.space = "erasure", .key = "Person/li", .value = "Patient/li-1\nPatient/li-2\n"}})));
    must(record.ring->shred(
        {record.ring->id_of("Patient/li-1"), record.ring->id_of("Patient/li-2")}));
    EXPECT_EQ(record.repository->read(caller, "Person", "li").error().category, Category::gone);
    EXPECT_EQ(record.found("Patient", {}), 2u) << "a search passes over what cannot be read";
    const auto certificate =
        must(erase_person(*record.repository, *record.ring, folder.path(), request("Person/li")));
    EXPECT_NE(certificate.find(R"("resources":5)"), std::string::npos) << certificate;
    EXPECT_NE(certificate.find(R"("staysWithoutThePerson":["Group/g"])"), std::string::npos);
    EXPECT_FALSE(must(record.store->private_row("erasure", "Person/li")));
    EXPECT_EQ(record.found("Patient", {{"family", "Zxqunmistakable"}}), 1u) << "li-3 was not meant";
}

TEST(Erasure, ClocksAndHoldsForbidIt) {
    const Folder folder;
    Record record(folder.path());
    fill(record);
    ErasureRequest plain = request("Patient/li-1");
    plain.override_retention = false;
    const auto refused = erase_person(*record.repository, *record.ring, folder.path(), plain);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().category, Category::conflict);
    EXPECT_NE(refused.error().message.find(to_text(now()).substr(0, 2)), std::string::npos)
        << refused.error().message;
    must(hold_patient(*record.store, *record.ring, "Patient/li-3", "Practitioner/9",
                      "case 12 of the court"));
    EXPECT_EQ(must(record.store->private_row("hold", "Patient/li-3"))->value.find("court"),
              std::string::npos);
    const auto held = erase_person(*record.repository, *record.ring, folder.path(), plain);
    EXPECT_NE(held.error().message.find("case 12 of the court"), std::string::npos)
        << held.error().message << ": a hold on one of a person's patients holds all";
    EXPECT_TRUE(record.repository->read(caller, "Patient", "li-1"));
    EXPECT_TRUE(must(release_patient(*record.store, "Patient/li-3")));
    EXPECT_FALSE(must(release_patient(*record.store, "Patient/li-3")));
    // Two others have to approve.
    for (const std::vector<std::string>& approvers : std::vector<std::vector<std::string>>{
             {}, {"a"}, {"a", "a"}, {"a", "Practitioner/1"}, {"a", ""}}) {
        ErasureRequest lone = request("Patient/li-1");
        lone.approvers = approvers;
        EXPECT_EQ(
            erase_person(*record.repository, *record.ring, folder.path(), lone).error().category,
            Category::incorrect);
    }
    ErasureRequest silent = request("Patient/li-1");
    silent.reason.clear();
    EXPECT_FALSE(erase_person(*record.repository, *record.ring, folder.path(), silent));
    EXPECT_FALSE(erase_person(*record.repository, *record.ring, folder.path(), request("Group/g")));
    EXPECT_EQ(
        erase_person(*record.repository, *record.ring, folder.path(), request("Patient/nobody"))
            .error()
            .category,
        Category::not_found);
}

TEST(Erasure, WhatWasNeverSealedIsNotClaimedToBeErased) {
    const Folder folder;
    {
        const auto store = must(store::open_for_test({.folder = folder.path()}));
        const auto plain = must(fhir::Repository::open(*store, {}));
        must(plain->commit(caller,
                           testing::one_update(R"({"resourceType":"Patient","id":"li-1"})")));
    }
    Record record(folder.path());
    fill(record);
    const auto refused =
        erase_person(*record.repository, *record.ring, folder.path(), request("Patient/li-1"));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().category, Category::unsupported) << "the first version lies open";
    while (!must(seal_some(*record.repository, *body_cipher(record.ring), {})).is_done) {
    }
    EXPECT_TRUE(
        erase_person(*record.repository, *record.ring, folder.path(), request("Patient/li-1")));
}

std::string group(std::string_view id, const std::vector<std::string>& patients) {
    std::string members;
    for (const std::string& patient : patients)
        members += fmt::format(
            R"({}{{"entity":{{"reference":"Patient/{}","display":"Zxqunmistakable {}"}}}})",
            members.empty() ? "" : ",", patient, patient);
    return fmt::format(
        R"({{"resourceType":"Group","id":"{}","type":"person","actual":true,"member":[{}]}})", id,
        members);
}

TEST(Erasure, LeavesToOthersWhatIsAboutSeveral) {
    const Folder folder;
    Record record(folder.path());
    fhir::Repository& repository = *record.repository;
    for (const char* id : {"li", "wang", "zhao"})
        record.write(fmt::format(R"({{"resourceType":"Patient","id":"{}"}})", id));
    // In one the person comes and goes and comes again, in another they were once, one is theirs.
    for (const auto& members : std::vector<std::vector<std::string>>{
             {"li", "wang"}, {"wang", "zhao"}, {"wang", "zhao", "li"}})
        record.write(group("g", members));
    record.write(group("was", {"li", "wang"}));
    record.write(group("was", {"wang", "zhao"}));
    record.write(group("only", {"li"}));
    record.write(R"({"resourceType":"Account","id":"a","status":"active","subject":[)"
                 R"({"reference":"Patient/li"},{"reference":"Patient/wang"}]})");
    const auto certificate = must(check_certificate(
        must(erase_person(repository, *record.ring, folder.path(), request("Patient/li"))), ""));
    EXPECT_NE(certificate.statement.find(R"("staysWithoutThePerson":["Account/a","Group/g"])"),
              std::string::npos)
        << certificate.statement;
    EXPECT_NE(certificate.statement.find(R"("byType":{"Group":1,"Patient":1})"), std::string::npos)
        << certificate.statement;
    const auto now = must(repository.read(caller, "Group", "g"));
    EXPECT_EQ(now.version, 4);
    EXPECT_EQ(now.json.find("Patient/li"), std::string::npos) << now.json;
    EXPECT_NE(now.json.find("Patient/zhao"), std::string::npos) << now.json;
    EXPECT_NE(must(repository.read(caller, "Account", "a")).json.find("Patient/wang"),
              std::string::npos);
    EXPECT_EQ(repository.read(caller, "Group", "only").error().category, Category::gone);
    // Of the versions only those can be read that never named the person.
    for (const store::Version version : {1, 3})
        EXPECT_EQ(repository.read_version(caller, "Group", "g", version).error().category,
                  Category::gone);
    EXPECT_TRUE(repository.read_version(caller, "Group", "g", 2));
    EXPECT_EQ(repository.read_version(caller, "Group", "was", 1).error().category, Category::gone)
        << "found by the audit: nothing in the index tells of it";
    EXPECT_TRUE(repository.read_version(caller, "Group", "was", 2));
    EXPECT_EQ(record.found("Group", {{"member", "Patient/wang"}}), 2u);
    EXPECT_EQ(record.found("Group", {{"member", "Patient/li"}}), 0u);
    // The others go on with it; nobody brings the person back into what was read with them.
    record.write(group("g", {"wang"}));
    EXPECT_EQ(
        repository.commit(caller, testing::one_update(group("g", {"li", "wang"}))).error().category,
        Category::gone);
}

TEST(Erasure, IsToldByTheAuditAlsoWhenItWasRefused) {
    const Folder folder;
    Record record(folder.path());
    fill(record);
    ErasureRequest plain = request("Patient/li-1");
    plain.override_retention = false;
    EXPECT_FALSE(erase_person(*record.repository, *record.ring, folder.path(), plain));
    const auto newest = [&] {
        return must(audit::accesses_of(*record.store, "li-2", 1'000'000, 1)).front().entry;
    };
    EXPECT_EQ(newest().query, "erasure");
    EXPECT_EQ(newest().outcome, fhir::AuditOutcome::refused);
    EXPECT_EQ(newest().account, "Practitioner/1");
    must(erase_person(*record.repository, *record.ring, folder.path(), request("Patient/li-1")));
    EXPECT_EQ(newest().query, "erasure");
    EXPECT_EQ(newest().outcome, fhir::AuditOutcome::success);
    EXPECT_EQ(newest().type + "/" + newest().id, "Patient/li-1");
}

TEST(Erasure, LeavesNothingInTheQueriesOfTheAudit) {
    if (store::postgres::tests_use_postgres()) GTEST_SKIP() << "looks into the files of a folder";
    const Folder folder;
    Record record(folder.path());
    fill(record);
    fhir::Caller doctor = fhir::Caller::system("test");
    doctor.actor = "Practitioner/1";
    doctor.is_background = false;
    for (const auto& [name, value] :
         {std::pair("identifier", "110101199003070011"), std::pair("phone", "13912345678"),
          std::pair("family", "Zxqunmistakable"), std::pair("name", "Zxqunmistakable nobody")})
        must(record.repository->search(doctor, "Patient", {{name, value}}, {}));
    const auto asked =
        must(audit::accesses_of(*record.store, "li-1", 1'000'000, 1)).front().entry.query;
    EXPECT_TRUE(asked.starts_with("family=~")) << asked;
    must(erase_person(*record.repository, *record.ring, folder.path(), request("person/li")));
    EXPECT_FALSE(files_with(folder.path(), "family=~").empty()) << "the search itself finds things";
    for (const char* text : {"xqunmistakable", "13912345678", "110101199003070011"})
        EXPECT_TRUE(files_with(folder.path(), text).empty()) << text;
}

TEST(Certificate, SaysWhoSignedItAndThatItIsWhole) {
    const Folder folder, other;
    const std::string signed_text = must(sign_certificate(folder.path(), R"({"a":1})"));
    const std::string key = must(certificate_key(folder.path()));
    EXPECT_EQ(must(check_certificate(signed_text, key)).statement, R"({"a":1})");
    EXPECT_EQ(must(check_certificate(signed_text, "")).key, key);
    std::string forged = signed_text;
    forged.replace(forged.find(":1"), 2, ":2");
    EXPECT_EQ(check_certificate(forged, key).error().category, Category::forbidden);
    must(sign_certificate(other.path(), "{}"));
    EXPECT_EQ(check_certificate(signed_text, must(certificate_key(other.path()))).error().category,
              Category::forbidden);
    EXPECT_EQ(check_certificate("{}", key).error().category, Category::incorrect);
    EXPECT_EQ(must(sign_certificate(folder.path(), R"({"a":1})")), signed_text)
        << "the key is kept";
}

TEST(Retention, CountsFromTheLastEntryOfEachKind) {
    const auto json = [](std::string_view text) { return must(JsonDocument::parse(text)); };
    const JsonDocument plain = json(R"({"id":"1"})");
    const auto day = [](int year, unsigned month, unsigned date) {
        return Instant{days_from_civil(year, month, date) * 86'400'000};
    };
    RetentionClock clock({});
    EXPECT_FALSE(clock.allowed_from());
    clock.see("Media", day(2024, 2, 29), plain.root());
    EXPECT_EQ(to_text(*clock.allowed_from()).substr(0, 10), "2027-03-01");
    clock.see("Observation", day(2020, 5, 1), plain.root());
    clock.see("Observation", day(2010, 5, 1), plain.root());
    EXPECT_EQ(to_text(*clock.allowed_from()).substr(0, 10), "2035-05-01");
    const Folder folder;
    std::ofstream(folder.path() + "/retention.toml")
        << "[records]\nyears = 30\n[hold]\nlabels = [\"urn:x|hold\"]\n";
    RetentionClock stricter(must(read_retention(folder.path())));
    const JsonDocument held =
        json(R"({"id":"7","meta":{"security":[{"system":"urn:x","code":"hold"}]}})");
    stricter.see("Observation", day(2020, 5, 1), held.root());
    EXPECT_EQ(to_text(*stricter.allowed_from()).substr(0, 10), "2050-05-01");
    EXPECT_EQ(stricter.hold(), "Observation/7 is labelled urn:x|hold");
    std::ofstream(folder.path() + "/retention.toml") << "[records]\nyears = 0\n";
    EXPECT_FALSE(read_retention(folder.path()));
}

}  // namespace
}  // namespace meridian::trust

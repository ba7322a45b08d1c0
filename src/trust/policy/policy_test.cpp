// SPDX-License-Identifier: Apache-2.0
#include "trust/policy/policy.hpp"

#include <gtest/gtest.h>

#include "base/file.hpp"
#include "base/testing.hpp"
#include "fhir/definitions/definitions.hpp"

namespace meridian::trust::policy {
namespace {

using meridian::testing::must;

std::string shipped() {
    return must(read_file(MERIDIAN_SOURCE_DIR "/data/policy/default.toml", 1 << 20));
}

std::shared_ptr<const Policy> shipped_policy() {
    return must(parse({{"default.toml", shipped()}}));
}

bool may(const Policy& policy, Role role, fhir::Right interaction, std::string_view type) {
    const auto& rules = policy.of(role).rules;
    return std::any_of(rules.begin(), rules.end(), [&](const Rule& rule) {
        return rule.covers(type) && rule.allows(interaction);
    });
}

TEST(PolicyFiles, TheShippedOneNamesEveryRole) {
    const auto policy = shipped_policy();
    for (const Role role : all_roles()) {
        EXPECT_TRUE(policy->roles.contains(role)) << trust::name_of(role);
        EXPECT_FALSE(policy->of(role).summary.empty()) << trust::name_of(role);
    }
    EXPECT_EQ(policy->version().substr(0, 20), "meridian default 1 #");
}

TEST(PolicyFiles, AdministratorsResearchersAndFollowUpReachNoPatient) {
    const auto policy = shipped_policy();
    const auto& compartment = *fhir::definitions().compartment("Patient");
    for (const Role role : {Role::system_admin, Role::security_admin, Role::audit_admin,
                            Role::researcher, Role::follow_up}) {
        for (const auto& member : compartment.members) {
            // The audit names patients, and the directory's schedules may name a person.
            if (member.params.empty() || member.type == "AuditEvent" || member.type == "Schedule")
                continue;
            EXPECT_FALSE(may(*policy, role, fhir::Right::read, member.type))
                << trust::name_of(role) << " " << member.type;
        }
        EXPECT_FALSE(may(*policy, role, fhir::Right::read, "Patient"));
    }
}

TEST(PolicyFiles, TheRegulatorNeverWritesAndOnlySystemsDelete) {
    const auto policy = shipped_policy();
    for (const fhir::Type* type : fhir::definitions().resources()) {
        for (const auto write : {fhir::Right::create, fhir::Right::update, fhir::Right::remove})
            EXPECT_FALSE(may(*policy, Role::regulator, write, type->name)) << type->name;
        EXPECT_TRUE(may(*policy, Role::system_client, fhir::Right::remove, type->name));
        EXPECT_FALSE(may(*policy, Role::doctor, fhir::Right::remove, type->name));
    }
}

TEST(PolicyFiles, TheDocumentIsNotStale) {
    const std::string path = MERIDIAN_SOURCE_DIR "/docs/policy.md";
    const std::string document = must(read_file(path, 1 << 20));
    const std::string_view begin = "<!-- generated from data/policy/default.toml -->\n";
    const std::size_t at = document.find(begin);
    ASSERT_NE(at, std::string::npos);
    const std::string expected =
        document.substr(0, at + begin.size()) + document_of(*shipped_policy());
    if (document != expected && std::getenv("MERIDIAN_WRITE_POLICY_DOCUMENT") != nullptr)
        must(write_file_atomically(path, expected));
    EXPECT_TRUE(document == expected)
        << "docs/policy.md does not show data/policy/default.toml as it is: run trust_test "
           "--gtest_filter=PolicyFiles.TheDocumentIsNotStale with "
           "MERIDIAN_WRITE_POLICY_DOCUMENT=1";
}

TEST(PolicyFiles, ALaterFileReplacesARoleAndChangesTheHash) {
    const auto policy = must(parse({{"default.toml", shipped()}, {"house.toml", R"(
policy = "st-anne"
version = 4
[roles.nurse]
summary = "Reads the directory."
[[roles.nurse.allow]]
clause = "directory"
types = ["@directory"]
may = ["read"]
relations = ["region"]
purposes = ["*"]
consent = "not-asked"
)"}}));
    EXPECT_EQ(policy->name, "meridian default 1 + st-anne 4");
    EXPECT_NE(policy->hash, shipped_policy()->hash);
    EXPECT_FALSE(may(*policy, Role::nurse, fhir::Right::read, "Patient"));
    EXPECT_TRUE(may(*policy, Role::doctor, fhir::Right::read, "Patient"));
}

/// A file with one clause, of which one line is replaced.
std::string with(std::string_view line, std::string_view in_its_place) {
    std::string text = R"(policy = "p"
version = 1
[labels]
psychiatry = ["urn:a|PSY"]
[roles.doctor]
summary = "s"
[[roles.doctor.allow]]
clause = "c"
types = ["Patient"]
may = ["read", "search"]
relations = ["care-team"]
purposes = ["TREAT"]
consent = "opt-out"
)";
    const std::size_t at = text.find(line);
    EXPECT_NE(at, std::string::npos) << line;
    return text.replace(at, line.size(), in_its_place);
}

TEST(PolicyFiles, WhatIsNotUnderstoodIsRefusedWithItsLine) {
    EXPECT_TRUE(parse({{"f", with("version = 1", "version = 1")}}));
    const std::pair<std::string, std::string> faults[] = {
        {with("version = 1", "version = \"1\""), "f:2: version is a text: expected a whole number"},
        {with("version = 1", "verison = 1"), "f:2: \"verison\" is not known here"},
        {with("roles.doctor]", "roles.doktor]"), "is no role: expected one of system-admin"},
        {with("types = [\"Patient\"]", "types = [\"Patiant\"]"),
         "f:9: \"Patiant\" is no FHIR R4 resource type"},
        {with("types = [\"Patient\"]", "types = [\"@care\"]"), "there is no group \"@care\""},
        {with("types = [\"Patient\"]\n", ""), "\"types\" is missing here"},
        {with("\"search\"]", "\"serach\"]"),
         "f:10: \"serach\" is no interaction: expected one of read, search"},
        {with("\"read\", \"search\"", "\"search\""), "\"search\" needs \"read\" beside it"},
        {with("care-team", "careteam"), "\"careteam\" is no relation: expected one of region"},
        {with("opt-out", "optout"), "\"optout\" is no consent rule: expected one of not-asked"},
        {with("consent = \"opt-out\"\n", ""), "\"consent\" is missing here"},
        {with("consent = \"opt-out\"", "consent = \"opt-out\"\nwithheld = [\"hiv\"]"),
         "there is no label \"hiv\""},
        {with("urn:a|PSY", "PSY"), "\"PSY\" is no label: expected \"system|code\""},
        {with("summary = \"s\"", "summary = \"s\"\nmasked = [\"Patient.adress\"]"),
         "there is no \"adress\""},
        {with("summary = \"s\"", "summary = \"s\"\nmasked = [\"Observation.status\"]"),
         "is mandatory in R4"},
        {with("may = [\"read\", \"search\"]", "may = [\"read\", \"update\"]") +
             "[roles.nurse]\nsummary = \"\"\nmasked = 1\n",
         "masked is a whole number: expected a list"},
        {with("[roles.doctor]", "[label_codes]\nhiv = [\"a|b\"]\n[roles.doctor]"),
         "there is no label \"hiv\""},
        {with("[roles.doctor]", "[approvals.payment]\nask = []\n[roles.doctor]"),
         "nothing called \"payment\" takes two people"},
        {with("[roles.doctor]", "[approvals.lower-label]\nask = [\"doktor\"]\n[roles.doctor]"),
         "\"doktor\" is no role"},
        {with("summary = \"s\"", "summary = \"s\"\nfree_text = \"hidden\""),
         "free_text is \"hidden\": expected shown or masked"},
        {"policy = ", "f:1:"},
        {"", "\"policy\" is missing here"},
    };
    for (const auto& [text, expected] : faults) {
        const auto policy = parse({{"f", text}});
        ASSERT_FALSE(policy) << text;
        EXPECT_EQ(policy.error().category, Category::incorrect);
        EXPECT_NE(policy.error().message.find(expected), std::string::npos)
            << policy.error().message << "\n  expected " << expected;
    }
}

TEST(PolicyFiles, WhoIsShownLessMayNotWriteItBack) {
    std::string text = with("may = [\"read\", \"search\"]", "may = [\"read\", \"update\"]");
    std::string other = text;
    other.replace(other.find("summary = \"s\""), 13, "summary = \"s\"\nfree_text = \"masked\"");
    EXPECT_NE(parse({{"f", other}}).error().message.find("they would erase it"), std::string::npos);
    text.replace(text.find("summary = \"s\""), 13, "summary = \"s\"\nmasked = [\"Patient.name\"]");
    const auto policy = parse({{"f", text}});
    ASSERT_FALSE(policy);
    EXPECT_NE(policy.error().message.find("they would erase what is masked"), std::string::npos)
        << policy.error().message;
}

}  // namespace
}  // namespace meridian::trust::policy

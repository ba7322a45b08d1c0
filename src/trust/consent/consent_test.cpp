// SPDX-License-Identifier: Apache-2.0
#include "trust/consent/consent.hpp"

#include <gtest/gtest.h>

#include "base/testing.hpp"

namespace meridian::trust::consent {
namespace {

using meridian::testing::must;

std::optional<Document> of(std::string provision, std::string more = "") {
    const auto json = must(JsonDocument::parse(fmt::format(
        R"({{"resourceType":"Consent","status":"active","scope":{{"coding":[{{"code":"patient-privacy"}}]}},)"
        R"("patient":{{"reference":"Patient/1"}}{}{}}})",
        more, provision.empty() ? "" : fmt::format(R"(,"provision":{})", provision))));
    return read(json.root());
}

Question question(std::string purpose = "TREAT") {
    return {{"Practitioner/1", "Organization/1"},
            std::move(purpose),
            must(parse_date("2024-06-01")).lower()};
}

/// "permit", "deny", or nothing, of a Consent whose provision has no bounds left.
std::string said(const std::optional<Document>& document, const Question& asked,
                 Instant* changes_at = nullptr) {
    Instant unused{std::numeric_limits<std::int64_t>::max()};
    const auto all = answer(document.value(), asked, changes_at != nullptr ? *changes_at : unused);
    if (all.empty()) return "";
    return all.front().permits ? "permit" : "deny";
}

TEST(Consent, OnlyWhatIsInForceAndAboutDataSpeaks) {
    EXPECT_TRUE(of(R"({"type":"deny"})"));
    for (
        const char* other :
        {R"({"resourceType":"Consent","status":"draft","scope":{"coding":[{"code":"patient-privacy"}]},"patient":{"reference":"Patient/1"}})",
         R"({"resourceType":"Consent","status":"active","scope":{"coding":[{"code":"treatment"}]},"patient":{"reference":"Patient/1"}})",
         R"({"resourceType":"Consent","status":"active","scope":{"coding":[{"code":"patient-privacy"}]}})"})
        EXPECT_FALSE(read(must(JsonDocument::parse(other)).root())) << other;
}

TEST(Consent, IsAskedByActorAndPurpose) {
    EXPECT_EQ(said(of(R"({"type":"deny"})"), question()), "deny");
    const auto for_one =
        of(R"({"type":"deny","actor":[{"reference":{"reference":"Practitioner/1"}}]})");
    EXPECT_EQ(said(for_one, question()), "deny");
    EXPECT_EQ(said(for_one, {{"Practitioner/2"}, "TREAT", question().at}), "");
    const auto research = of(R"({"type":"permit","purpose":[{"code":"HRESCH"}]})");
    EXPECT_EQ(said(research, question()), "");
    EXPECT_EQ(said(research, question("HRESCH")), "permit");
    EXPECT_EQ(said(research, question("CLINTRCH")), "permit");
}

TEST(Consent, KnowsWhenItsAnswerChanges) {
    Instant changes{std::numeric_limits<std::int64_t>::max()};
    const auto bounded =
        of(R"({"type":"permit","period":{"start":"2024-01-01","end":"2024-07-01"}})");
    EXPECT_EQ(said(bounded, question(), &changes), "permit");
    EXPECT_EQ(changes, must(parse_date("2024-07-02")).lower());
    Question later = question();
    later.at = must(parse_date("2024-07-02")).lower();
    EXPECT_EQ(said(bounded, later), "");
    Question before = question();
    before.at = must(parse_date("2023-12-31")).lower();
    changes = Instant{std::numeric_limits<std::int64_t>::max()};
    EXPECT_EQ(said(bounded, before, &changes), "");
    EXPECT_EQ(changes, must(parse_date("2024-01-01")).lower());
}

TEST(Consent, ThePolicyRuleSpeaksWhereTheProvisionDoesNot) {
    const std::string out = R"(,"policyRule":{"coding":[{"code":"OPTOUT"}]})";
    const std::string in = R"(,"policyRule":{"coding":[{"code":"OPTIN"}]})";
    EXPECT_EQ(said(of("", out), question()), "deny");
    EXPECT_EQ(said(of("", in), question()), "permit");
    EXPECT_EQ(said(of(""), question()), "");
    EXPECT_EQ(said(of(R"({"type":"permit"})", out), question()), "permit");
}

TEST(Consent, ExceptionsKeepTheirBoundsAndTurnTheRuleAround) {
    Instant unused{std::numeric_limits<std::int64_t>::max()};
    const auto document = of(
        R"({"type":"permit","provision":[{"class":[{"system":"http://hl7.org/fhir/resource-types","code":"Condition"}]},)"
        R"({"type":"deny","actor":[{"reference":{"reference":"Practitioner/9"}}]}]})");
    const auto all = answer(*document, question(), unused);
    ASSERT_EQ(all.size(), 1u);
    ASSERT_EQ(all.front().exceptions.size(), 1u);  // the other is about somebody else
    EXPECT_FALSE(all.front().exceptions.front().permits);
    EXPECT_EQ(all.front().exceptions.front().classes.front().code, "Condition");
    EXPECT_NE(shape_of(all), shape_of({Provision{.permits = true}}));
}

TEST(Consent, ProvisionsNestedTooDeepGrantNothing) {
    std::string provision = R"({"type":"permit"})";
    for (int i = 0; i < 40; ++i)
        provision = fmt::format(R"({{"type":"{}","provision":[{}]}})",
                                i % 2 == 0 ? "deny" : "permit", provision);
    Instant unused{std::numeric_limits<std::int64_t>::max()};
    const auto all = answer(*of(provision), question(), unused);
    const Provision* deepest = &all.front();
    while (!deepest->exceptions.empty()) deepest = &deepest->exceptions.front();
    EXPECT_FALSE(deepest->permits);
}

}  // namespace
}  // namespace meridian::trust::consent

// SPDX-License-Identifier: Apache-2.0
// What trust/pseudonym makes of every resource of a synthetic region.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/instant.hpp"
#include "base/testing.hpp"
#include "fhir/validate/validator.hpp"
#include "generate/region.hpp"
#include "trust/pseudonym/transform.hpp"

namespace meridian::server {
namespace {

using meridian::testing::must;
using namespace trust::pseudonym;

Transformation transformation(unsigned char project) {
    trust::SecretKey secret{};
    secret.fill(project);
    return Transformation(ProjectKey(secret), {.project = fmt::format("project-{}", project),
                                               .reference_day = "2026-06-30",
                                               .base_url = "https://record.example/fhir"});
}

/// All texts of a tree.
void gather(const Json& node, std::vector<std::string>& texts) {
    if (node.is_string()) texts.emplace_back(node.text());
    for (const Json& item : node.items()) gather(item, texts);
    for (const JsonMember& member : node.members()) gather(member.value, texts);
}

/// Dates of a copy that are what they were in the original at the same place.
void compare_dates(const Json& in, const Json& out, std::set<std::int64_t>& days, int& unmoved) {
    if (out.is_object()) {
        for (const JsonMember& member : out.members())
            if (const Json* before = in.find(member.key))
                compare_dates(*before, member.value, days, unmoved);
    } else if (out.is_array() && in.size() == out.size()) {
        for (std::size_t i = 0; i < out.size(); ++i)
            compare_dates(in.items()[i], out.items()[i], days, unmoved);
    } else if (out.is_string() && out.text().size() >= 10 && out.text()[4] == '-') {
        const auto before = parse_date(in.text()), after = parse_date(out.text());
        if (!before || !after) return;
        if (in.text() == out.text()) ++unmoved;
        days.insert((after->lower().milliseconds - before->lower().milliseconds) / 86'400'000);
    }
}

/// Makes every shown resource of a region pseudonymous, patient by patient.
class Examination final : public generate::Sink {
 public:
    Result<void> resource(const generate::Item& item) override {
        const JsonDocument in = TRY(JsonDocument::parse(item.json));
        const Json& root = in.root();
        // Who works there must not be named either.
        if (item.type == "Practitioner")
            for (const Json& name : root["name"].items()) forbid(name.string_at("text"), staff_);
        if (item.type == "Practitioner" || item.type == "Organization" || item.type == "Location")
            for (const Json& each : root["telecom"].items())
                forbid(each.string_at("value"), staff_);
        if (item.type == "Patient") begin(root);
        if (!is_shown(item.type) || item.patient == 0) return {};
        const std::string copy = TRY(one_.of(root, person_));
        look(item, root, copy);
        return {};
    }

    std::map<std::string, int> copies;
    std::vector<std::string> findings;

 private:
    static void forbid(std::string_view text, std::set<std::string>& words) {
        if (text.size() >= 6) words.emplace(text);
    }
    void begin(const Json& patient) {
        person_ = person_of(patient);
        words_.clear();
        std::vector<std::string> texts;
        for (const char* part : {"name", "identifier", "telecom", "contact", "birthDate"})
            gather(patient[part], texts);
        for (const Json& address : patient["address"].items()) {
            for (const Json& line : address["line"].items()) texts.emplace_back(line.text());
            for (const char* part : {"text", "city", "district", "postalCode"})
                texts.emplace_back(address.string_at(part));
        }
        for (const std::string& text : texts) {
            // Systems and uses are codes.
            if (text.find("://") == std::string::npos && !text.starts_with("urn:"))
                forbid(text, words_);
        }
        for (const char* code : {"official", "mobile", "mother", "father", "spouse"})
            words_.erase(code);
        days_.clear();
    }
    void look(const generate::Item& item, const Json& in, const std::string& copy) {
        ++copies[std::string(item.type)];
        const std::string place = fmt::format("{}/{}", item.type, item.id);
        for (const auto* words : {&words_, &staff_})
            for (const std::string& word : *words)
                if (copy.find(word) != std::string::npos) tell(place + " holds " + word);
        if (copy.find(person_.id) != std::string::npos) tell(place + " holds the patient's id");
        if (copy.find(fmt::format("\"{}\"", item.id)) != std::string::npos)
            tell(place + " holds its own id");
        const JsonDocument out = must(JsonDocument::parse(copy));
        int unmoved = 0;
        compare_dates(in, out.root(), days_, unmoved);
        if (unmoved > 0) tell(place + " holds a date as it was");
        if (days_.size() > 1) tell(place + " moves dates by other days than the rest");
        std::vector<Issue> issues;
        fhir::validate_structure(out.root(), issues);
        for (const Issue& issue : issues)
            if (issue.severity == Severity::error)
                tell(fmt::format("{}: {} {}", place, issue.path, issue.message));
        if (copy != must(one_.of(in, person_))) tell(place + " is another at each time");
        const JsonDocument elsewhere = must(JsonDocument::parse(must(other_.of(in, person_))));
        if (elsewhere.root().string_at("id") == out.root().string_at("id"))
            tell(place + " is called the same in two projects");
    }
    void tell(std::string finding) {
        if (findings.size() < 20) findings.push_back(std::move(finding));
    }

    Transformation one_ = transformation(1), other_ = transformation(2);
    Person person_;
    std::set<std::string> words_, staff_;
    std::set<std::int64_t> days_;
};

TEST(Pseudonyms, LetNothingOfAPersonThroughInAWholeRegion) {
    Examination examination;
    must(generate::generate({.patients = 40, .seed = 3}, examination));
    for (const std::string& finding : examination.findings) ADD_FAILURE() << finding;
    EXPECT_GT(examination.copies["Observation"], 1'000);
    EXPECT_GT(examination.copies["DocumentReference"], 50);
    EXPECT_EQ(examination.copies["Patient"], 40);
}

}  // namespace
}  // namespace meridian::server

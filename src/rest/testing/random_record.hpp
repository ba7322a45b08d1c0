// SPDX-License-Identifier: Apache-2.0
// For tests only.
#pragma once

#include <fmt/format.h>

#include <random>
#include <string>
#include <vector>

namespace meridian::rest::testing {

/// Resources of a small region in which every relation of the policy occurs, the same for the same
/// seed: two organisations, staff, patients in and out of care, labels, consents, claims.
class RandomRecord {
 public:
    struct Resource {
        std::string type, id, json;
    };
    static constexpr int patients = 14;
    static constexpr int practitioners = 4;

    explicit RandomRecord(unsigned seed) : random_(seed) {
        people();
        care();
        for (int i = 0; i < 90; ++i) add_clinical(fmt::format("x{}", i), any(patients));
        payment();
        consents();
    }

    const std::vector<Resource>& resources() const { return resources_; }

    /// A resource of the same kind with other values; the same patient and labels.
    static constexpr const char* changeable[] = {
        "Observation", "Condition",          "MedicationRequest", "DiagnosticReport",
        "Procedure",   "AllergyIntolerance", "DocumentReference"};
    std::string clinical(std::string_view type, const std::string& id, int patient,
                         const std::string& label) {
        const std::string head = fmt::format(
            R"({{"resourceType":"{}","id":"{}"{},"subject":{{"reference":"Patient/p{}","display":"Name {}"}})",
            type, id,
            label.empty()
                ? fmt::format(R"(,"meta":{{"tag":[{{"system":"urn:tag","code":"t{}"}}]}})", any(4))
                : fmt::format(R"(,"meta":{{"security":[{{"system":"{}","code":"{}"}}],)"
                              R"("tag":[{{"system":"urn:tag","code":"t{}"}}]}})",
                              label == "V"
                                  ? "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
                                  : "http://terminology.hl7.org/CodeSystem/v3-ActCode",
                              label, any(4)),
            patient, patient);
        const std::string text =
            any(3) == 0
                ? fmt::format(
                      R"(,"text":{{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">{} note</div>"}})",
                      word())
                : "";
        const std::string code = fmt::format(
            R"("code":{{"coding":[{{"system":"urn:codes","code":"c{}"}}],"text":"{}"}})", any(6),
            word());
        const std::string date =
            fmt::format("20{:02}-{:02}-{:02}", 10 + any(15), 1 + any(12), 1 + any(28));
        if (type == "Observation")
            return fmt::format(
                R"({}{},"status":"{}",{},"category":[{{"coding":[{{"system":"urn:cat","code":"{}"}}]}}],)"
                R"("effectiveDateTime":"{}","valueQuantity":{{"value":{},"unit":"mg","system":"http://unitsofmeasure.org","code":"mg"}},)"
                R"("performer":[{{"reference":"Practitioner/d{}"}}]{}{}}})",
                head, text, any(2) == 0 ? "final" : "amended", code,
                any(2) == 0 ? "laboratory" : "vital-signs", date, any(200), any(practitioners),
                encounter_of(patient),
                last_observation_.empty() || any(4) == 0
                    ? ""
                    : fmt::format(R"(,"derivedFrom":[{{"reference":"Observation/{}"}}])",
                                  last_observation_));
        if (type == "Condition")
            return fmt::format(
                R"({}{},{},"clinicalStatus":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}}]}},)"
                R"("recordedDate":"{}","recorder":{{"reference":"Practitioner/d{}"}}{}}})",
                head, text, code, date, any(practitioners), encounter_of(patient));
        if (type == "MedicationRequest")
            return fmt::format(
                R"({}{},"status":"active","intent":"order","medicationCodeableConcept":{{"coding":[{{"system":"urn:drugs","code":"m{}"}}]}},)"
                R"("authoredOn":"{}","requester":{{"reference":"Practitioner/d{}"}},"dispenseRequest":{{"performer":{{"reference":"Organization/o{}"}}}}}})",
                head, text, any(4), date, any(practitioners), any(3));
        if (type == "DiagnosticReport")
            return fmt::format(
                R"({}{},"status":"final",{},"effectiveDateTime":"{}","result":[{{"reference":"Observation/{}"}}]}})",
                head, text, code, date, last_observation_.empty() ? "x0" : last_observation_);
        if (type == "Procedure")
            return fmt::format(
                R"({}{},"status":"completed",{},"performedDateTime":"{}","performer":[{{"actor":{{"reference":"Practitioner/d{}"}}}}]}})",
                head, text, code, date, any(practitioners));
        if (type == "DocumentReference")
            return fmt::format(
                R"({}{},"status":"current","type":{{"coding":[{{"system":"urn:codes","code":"c{}"}}]}},"date":"{}T08:00:00Z",)"
                R"("content":[{{"attachment":{{"contentType":"text/plain","title":"{}"}}}}]}})",
                head, text, any(6), date, word());
        // AllergyIntolerance names its patient in another element.
        std::string allergy = head;
        allergy.replace(allergy.find("\"subject\""), 9, "\"patient\"");
        return fmt::format(R"({}{},{},"recordedDate":"{}"}})", allergy, text, code, date);
    }

    int any(int below) { return static_cast<int>(random_() % static_cast<unsigned>(below)); }
    std::string word() {
        static constexpr const char* words[] = {"fever", "cough", "stroke", "anaemia", "asthma"};
        return words[any(5)];
    }

    /// One more; the ids of all clinical ones begin with a letter and end with a number.
    Resource make_clinical(const std::string& id, int patient) {
        const std::string type = changeable[any(static_cast<int>(std::size(changeable)))];
        static constexpr const char* labels[] = {"", "", "", "", "PSY", "V", "HIV"};
        return {type, id, clinical(type, id, patient, labels[any(7)])};
    }

 private:
    void add(std::string type, std::string id, std::string json) {
        resources_.push_back({std::move(type), std::move(id), std::move(json)});
    }
    void add_clinical(const std::string& id, int patient) {
        Resource made = make_clinical(id, patient);
        if (made.type == "Observation") last_observation_ = id;
        resources_.push_back(std::move(made));
    }
    std::string encounter_of(int patient) {
        return any(2) == 0 ? fmt::format(R"(,"encounter":{{"reference":"Encounter/e{}"}})", patient)
                           : "";
    }

    void people() {
        for (int i = 0; i < 3; ++i)
            add("Organization", fmt::format("o{}", i),
                fmt::format(R"({{"resourceType":"Organization","id":"o{0}","name":"Org {0}"{1}}})",
                            i, i > 0 ? R"(,"partOf":{"reference":"Organization/o0"})" : ""));
        for (int i = 0; i < practitioners; ++i)
            add("Practitioner", fmt::format("d{}", i),
                fmt::format(
                    R"({{"resourceType":"Practitioner","id":"d{0}","name":[{{"family":"Doc{0}"}}]}})",
                    i));
        for (int i = 0; i < patients; ++i)
            add("Patient", fmt::format("p{}", i),
                fmt::format(
                    R"({{"resourceType":"Patient","id":"p{0}","identifier":[{{"system":"urn:mrn","value":"{0}"}}],)"
                    R"("name":[{{"family":"Family{1}","given":["Given{0}"]}}],"gender":"{2}","birthDate":"19{3}-0{4}-11","active":true,)"
                    R"("address":[{{"city":"City{1}"}}],"telecom":[{{"system":"phone","value":"555{0}"}}],)"
                    R"("managingOrganization":{{"reference":"Organization/o{5}"}}{6}}})",
                    i, i % 4, i % 2 == 0 ? "male" : "female", 50 + i, 1 + i % 9, i % 3,
                    i % 5 == 4 ? R"(,"generalPractitioner":[{"reference":"Practitioner/d0"}])"
                               : ""));
        for (int i = 0; i < 4; ++i)
            add("RelatedPerson", fmt::format("r{}", i),
                fmt::format(
                    R"({{"resourceType":"RelatedPerson","id":"r{0}","patient":{{"reference":"Patient/p{0}"}},)"
                    R"("relationship":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v3-RoleCode","code":"{1}"}}]}}],"name":[{{"family":"Kin{0}"}}]}})",
                    i, i == 2 ? "GUARD" : "MTH"));
    }

    void care() {
        for (int i = 0; i < patients; ++i)
            add("Encounter", fmt::format("e{}", i),
                fmt::format(
                    R"({{"resourceType":"Encounter","id":"e{0}","status":"{1}","class":{{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"AMB"}},)"
                    R"("subject":{{"reference":"Patient/p{0}"}},"participant":[{{"individual":{{"reference":"Practitioner/d{2}"}}}}],)"
                    R"("period":{{"start":"2015-01-0{3}","end":"2015-02-01"}},"serviceProvider":{{"reference":"Organization/o{4}"}}}})",
                    i, i % 6 == 0 ? "in-progress" : "finished", i % practitioners, 1 + i % 9,
                    (i + 1) % 3));
        for (int i = 0; i < patients; ++i) {
            if (i % 3 == 1) continue;
            add("CareTeam", fmt::format("t{}", i),
                fmt::format(
                    R"({{"resourceType":"CareTeam","id":"t{0}","status":"active","subject":{{"reference":"Patient/p{0}"}},)"
                    R"("participant":[{{"member":{{"reference":"Practitioner/d{1}"}}}},{{"member":{{"reference":"Practitioner/d{2}"}}}}]}})",
                    i, i % practitioners, (i * 3 + 1) % practitioners));
        }
        for (int i = 0; i < 6; ++i) {
            add("Task", fmt::format("k{}", i),
                fmt::format(
                    R"({{"resourceType":"Task","id":"k{0}","status":"{1}","intent":"order","for":{{"reference":"Patient/p{2}"}},"owner":{{"reference":"Practitioner/d{3}"}}}})",
                    i, i % 2 == 0 ? "in-progress" : "completed", (i * 5) % patients,
                    i % practitioners));
            add("Appointment", fmt::format("a{}", i),
                fmt::format(
                    R"({{"resourceType":"Appointment","id":"a{0}","status":"booked","start":"2024-05-01T08:00:00Z","end":"2024-05-01T09:00:00Z",)"
                    R"("participant":[{{"actor":{{"reference":"Patient/p{1}"}},"status":"accepted"}},{{"actor":{{"reference":"Patient/p{2}"}},"status":"accepted"}},{{"actor":{{"reference":"Practitioner/d{3}"}},"status":"accepted"}}]}})",
                    i, i, patients - 1 - i, i % practitioners));
            add("List", fmt::format("l{}", i),
                fmt::format(
                    R"({{"resourceType":"List","id":"l{0}","status":"current","mode":"working","subject":{{"reference":"Patient/p{1}"}},)"
                    R"("entry":[{{"item":{{"reference":"Patient/p{1}"}}}},{{"item":{{"reference":"Patient/p{2}"}}}},{{"item":{{"reference":"Encounter/e{2}"}}}}]}})",
                    i, i, (i + 5) % patients));
        }
        add("Group", "g0",
            R"({"resourceType":"Group","id":"g0","type":"person","actual":true,"member":[{"entity":{"reference":"Patient/p0"}},{"entity":{"reference":"Patient/p7"}},{"entity":{"reference":"Patient/p4"}}]})");
    }

    void payment() {
        for (int i = 0; i < patients; ++i) {
            add("Coverage", fmt::format("v{}", i),
                fmt::format(
                    R"({{"resourceType":"Coverage","id":"v{0}","status":"active","beneficiary":{{"reference":"Patient/p{0}"}},"payor":[{{"reference":"Organization/o{1}"}}]}})",
                    i, i % 3));
            if (i % 2 == 0) continue;
            add("Claim", fmt::format("cl{}", i),
                fmt::format(
                    R"({{"resourceType":"Claim","id":"cl{0}","status":"active","type":{{"text":"x"}},"use":"claim","patient":{{"reference":"Patient/p{0}"}},"created":"2020-01-0{1}",)"
                    R"("insurer":{{"reference":"Organization/o{2}"}},"provider":{{"reference":"Practitioner/d0"}},"priority":{{"text":"normal"}},)"
                    R"("insurance":[{{"sequence":1,"focal":true,"coverage":{{"reference":"Coverage/v{0}"}}}}]}})",
                    i, 1 + i % 9, i % 3));
        }
    }

    void consents() {
        const auto consent = [&](int patient, std::string provision) {
            add("Consent", fmt::format("n{}", patient),
                fmt::format(
                    R"({{"resourceType":"Consent","id":"n{0}","status":"active","scope":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}}]}},)"
                    R"("category":[{{"text":"privacy"}}],"policyRule":{{"text":"house"}},"patient":{{"reference":"Patient/p{0}"}},"provision":{1}}})",
                    patient, provision));
        };
        consent(
            0,
            R"({"type":"permit","provision":[{"type":"deny","class":[{"system":"http://hl7.org/fhir/resource-types","code":"Condition"}]}]})");
        consent(
            3,
            R"({"type":"deny","actor":[{"role":{"text":"x"},"reference":{"reference":"Practitioner/d0"}}]})");
        consent(5, R"({"type":"deny","purpose":[{"code":"HRESCH"}]})");
        consent(6, R"({"type":"permit"})");
        consent(8, R"({"type":"deny","period":{"end":"2020-01-01"}})");
        consent(
            9,
            R"({"type":"permit","provision":[{"type":"deny","code":[{"coding":[{"system":"urn:codes","code":"c1"}]}]}]})");
        consent(12, R"({"type":"permit","dataPeriod":{"start":"2015-01-01"}})");
    }

    std::mt19937 random_;
    std::vector<Resource> resources_;
    std::string last_observation_;
};

}  // namespace meridian::rest::testing

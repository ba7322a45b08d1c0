// SPDX-License-Identifier: Apache-2.0
// For tests only.
#pragma once

#include "net/http.hpp"
#include "rest/testing/random_record.hpp"

namespace meridian::rest::testing {

/// One request of a test: what a client would send.
struct Asked {
    net::Method method = net::Method::get;
    std::string target{};  ///< below the base: "Patient/p1?_format=json"
    std::string body{};
    bool is_json_patch = false;
    std::string if_match{}, if_none_match{}, if_none_exist{};
    bool lenient = false;

    std::string text() const {
        std::string out = fmt::format("{} /{}", net::name_of(method), target);
        if (!if_match.empty()) out += "\n  If-Match: " + if_match;
        if (!if_none_match.empty()) out += "\n  If-None-Match: " + if_none_match;
        if (!if_none_exist.empty()) out += "\n  If-None-Exist: " + if_none_exist;
        if (lenient) out += "\n  Prefer: handling=lenient";
        if (!body.empty()) out += "\n  " + body;
        return out;
    }
};

/// Requests of every kind that the server answers, about what is there and what is not.
class RandomRequests {
 public:
    /// About the resources of `record` and those that a test adds (y0 … y19). `are_copies`: both
    /// stores have the same times and the same numbers for systems, so that an order by them says
    /// nothing of its own.
    RandomRequests(const RandomRecord& record, unsigned seed, bool are_copies)
        : dice_(seed), are_copies_(are_copies) {
        for (const auto& one : record.resources()) {
            if (one.id.starts_with('x')) clinical_.emplace_back(one.type, one.id);
        }
        for (int i = 0; i < 20; ++i)
            clinical_.emplace_back(RandomRecord::changeable[i % 7], fmt::format("y{}", i));
    }

    Asked next() {
        const int kind = any(100);
        if (kind < 48) return get(search());
        if (kind < 56) return conditional_read();
        if (kind < 60) return get(fmt::format("{}/_history/{}", someone(), 1 + any(3)));
        if (kind < 65) return get(history());
        if (kind < 70) return get(operation());
        if (kind < 75) return get(compartment());
        if (kind < 80) return batch();
        return write();
    }

    int any(int below) { return dice_.any(below); }

 private:
    template <std::size_t N>
    std::string one(const char* const (&list)[N]) {
        return list[any(static_cast<int>(N))];
    }
    static Asked get(std::string target) { return {.target = std::move(target)}; }

    std::string patient() { return fmt::format("p{}", any(RandomRecord::patients + 2)); }
    /// One that is or was there, somewhere; now and then one that never was.
    std::pair<std::string, std::string> some_clinical() {
        auto found = clinical_[static_cast<std::size_t>(any(static_cast<int>(clinical_.size())))];
        if (any(8) == 0) found.second += "0";
        return found;
    }
    std::string clinical_id() {
        return fmt::format("{}{}", any(3) == 0 ? "y" : "x", any(any(2) == 0 ? 20 : 95));
    }

    /// "Type/id" of something that is there, is hidden, was removed or never was.
    std::string someone() {
        switch (any(9)) {
            case 0:
            case 1:
                return "Patient/" + patient();
            case 2:
                return fmt::format("Encounter/e{}", any(RandomRecord::patients));
            case 3:
                return fmt::format("{}/{}", one({"Coverage", "CareTeam", "Consent", "Task"}),
                                   fmt::format("{}{}", one({"v", "t", "n", "k"}), any(14)));
            case 4:
                return fmt::format("List/l{}", any(7));
            default: {
                const auto [type, id] = some_clinical();
                return fmt::format("{}/{}", type, id);
            }
        }
    }

    std::string date() {
        return fmt::format("{}20{:02}-{:02}-{:02}",
                           one({"", "ge", "lt", "gt", "le", "ne", "sa", "eb", "ap"}), 10 + any(15),
                           1 + any(12), 1 + any(28));
    }
    std::string code() { return fmt::format("{}c{}", one({"", "urn:codes|", "|"}), any(7)); }

    std::string patient_criterion() {
        switch (any(14)) {
            case 0:
                return fmt::format("family{}=Family{}", one({"", ":exact", ":contains"}), any(4));
            case 1:
                return fmt::format("gender{}={}", one({"", ":not"}), one({"male", "female"}));
            case 2:
                return "birthdate=" + fmt::format("{}19{}", one({"ge", "lt", ""}), 50 + any(14));
            case 3:
                return fmt::format("identifier=urn:mrn|{}", any(16));
            case 4:
                return fmt::format("_id={},{}", patient(), patient());
            case 5:
                return fmt::format("general-practitioner=Practitioner/d{}", any(4));
            case 6:
                return fmt::format("organization=Organization/o{}", any(3));
            case 7:
                return fmt::format("address-city=City{}", any(4));
            case 8:
                return fmt::format("{}:missing={}",
                                   one({"general-practitioner", "gender", "phone"}),
                                   one({"true", "false"}));
            case 9:
                return fmt::format("_has:Observation:patient:{}",
                                   clinical_criterion("Observation"));
            case 10:
                return fmt::format("_has:{}:patient:_id={}",
                                   one({"Condition", "Encounter", "Consent", "Coverage",
                                        "RelatedPerson", "CareTeam"}),
                                   one({"n3", "e1", "e7", "v2", "x3", "r1", "t9"}));
            case 11:
                return fmt::format("_has:Encounter:subject:_has:Observation:encounter:{}",
                                   clinical_criterion("Observation"));
            case 12:
                return fmt::format("_has:Observation:patient:_has:DiagnosticReport:result:code={}",
                                   code());
            default:
                return fmt::format("_filter=gender eq {} and birthdate ge 19{}",
                                   one({"male", "female"}), 50 + any(14));
        }
    }

    std::string clinical_criterion(const std::string& type) {
        if (any(3) == 0) {
            // Over references that lead from what is seen to what is not.
            if (type == "Observation")
                return fmt::format("derived-from{}.{}", one({"", ":Observation"}),
                                   linked_criterion());
            if (type == "DiagnosticReport") return "result." + linked_criterion();
        }
        switch (any(19)) {
            case 0:
                return (type == "MedicationRequest" ? "code=m1" : "code=" + code());
            case 1:
                return "patient=" + patient();
            case 2:
                return fmt::format("patient={},{}", patient(), patient());
            case 3:
                return fmt::format("patient.{}", patient_criterion());
            case 4:
                return fmt::format("_security={}",
                                   one({"PSY", "V", "HIV",
                                        "http://terminology.hl7.org/CodeSystem/v3-ActCode|PSY"}));
            case 5:
                return fmt::format("_tag{}=urn:tag|t{}", one({"", ":not"}), any(4));
            case 6:
                return fmt::format("_id={},{},{}", clinical_id(), clinical_id(), clinical_id());
            case 7:
                return fmt::format("_lastUpdated={}",
                                   one({"gt2000", "lt2000", "gt2100", "ge1999-01-01"}));
            case 8:
                return "_text=" + dice_.word();
            case 9:
                return "_content=" + dice_.word();
            case 10:
                return fmt::format("_list=l{}", any(7));
            case 11:
                return "date=" + date();
            case 12:
                return fmt::format("patient:missing={}", one({"true", "false"}));
            case 13:
                return fmt::format("code:text={}", dice_.word());
            case 14:
                return fmt::format("_filter=code eq {} or patient eq Patient/{}", code(),
                                   patient());
            case 15:
                if (type == "Observation")
                    return fmt::format("value-quantity={}{}", one({"gt", "lt", "ge", "ap"}),
                                       any(200));
                return "_profile:missing=true";
            case 16:
                if (type == "Observation")
                    return fmt::format("encounter.participant=Practitioner/d{}", any(4));
                return fmt::format("encounter.status={}", one({"finished", "in-progress"}));
            case 17:
                if (type == "Observation") return fmt::format("derived-from.code={}", code());
                if (type == "DiagnosticReport")
                    return fmt::format("result.value-quantity=gt{}", any(200));
                return fmt::format("patient:Patient._has:Encounter:patient:_id=e{}", any(14));
            default:
                if (type == "Observation")
                    return fmt::format("code-value-quantity={}$gt{}", code(), any(200));
                return fmt::format("patient.organization.name=Org {}", any(3));
        }
    }

    std::string linked_criterion() {
        switch (any(5)) {
            case 0:
                return fmt::format("value-quantity={}{}", one({"gt", "lt"}), any(200));
            case 1:
                return fmt::format("_tag=urn:tag|t{}", any(4));
            case 2:
                return fmt::format("status={}", one({"final", "amended"}));
            case 3:
                return fmt::format("derived-from.code={}", code());
            default:
                return "code=" + code();
        }
    }

    std::string other_criterion(const std::string& type) {
        if (any(3) == 0) return fmt::format("patient=Patient/{}", patient());
        if (any(3) == 0) return fmt::format("patient.{}", patient_criterion());
        if (type == "Appointment") return fmt::format("actor=Patient/{}", patient());
        if (type == "Encounter") return fmt::format("participant.family=Doc{}", any(4));
        if (type == "Coverage") return fmt::format("payor=Organization/o{}", any(3));
        if (type == "Claim") return fmt::format("insurer.name=Org {}", any(3));
        return "_lastUpdated=gt2000";
    }

    std::string result_parameter(const std::string& type) {
        switch (any(15)) {
            case 0:
                return fmt::format("_count={}", any(6));
            case 1:
                return fmt::format("_sort={}{}", one({"", "-"}), sort_key(type));
            case 2:
                return fmt::format("_total={}", one({"accurate", "estimate", "none"}));
            case 3:
                return "_summary=" + one({"count", "true", "text", "data", "false"});
            case 4:
                return "_elements=" +
                       one({"code", "name,birthDate", "subject", "status,date", "address"});
            case 5:
            case 6:
                return fmt::format(
                    "_include{}={}", one({"", ":iterate"}),
                    one({"*", "Observation:patient", "Observation:derived-from",
                         "Observation:encounter", "Condition:patient", "DiagnosticReport:result",
                         "Encounter:participant", "Patient:general-practitioner",
                         "Patient:organization", "Appointment:actor", "List:item", "Coverage:payor",
                         "Claim:*"}));
            case 7:
            case 8:
                return fmt::format(
                    "_revinclude{}={}", one({"", ":iterate"}),
                    one({"*", "Observation:patient", "Observation:derived-from",
                         "Encounter:patient", "DiagnosticReport:result", "List:item",
                         "Consent:patient", "CareTeam:patient", "Appointment:actor",
                         "RelatedPerson:patient", "Coverage:beneficiary", "Provenance:target",
                         "Group:member", "Condition:encounter"}));
            case 9:
                return fmt::format("_count={}&_sort={}{}", 1 + any(3), one({"", "-"}), time_key());
            case 10:
                return fmt::format("_count={}&_sort={}_id&_total=accurate", 1 + any(4),
                                   one({"", "-"}));
            default:
                return fmt::format("_count={}", 1 + any(20));
        }
    }

    /// Records that were written one after the other have times of their own.
    const char* time_key() const { return are_copies_ ? "_lastUpdated" : "_id"; }

    std::string sort_key(const std::string& type) {
        if (type == "Patient")
            return one({"family", "birthdate", "_id", time_key(), "address-city"});
        if (type == "Observation" && any(3) == 0) return "value-quantity";
        if (are_copies_ && any(3) == 0) return "code";
        return one({"date", "_id", time_key(), "patient"});
    }

    std::string search() {
        if (any(20) == 0)
            return fmt::format("?_type={},{}&{}", one(RandomRecord::changeable),
                               one({"Patient", "Encounter"}), result_parameter("Condition"));
        std::string type =
            any(3) == 0 ? "Patient"
            : any(3) == 0
                ? one({"Encounter", "Appointment", "List", "CareTeam", "Consent", "Coverage",
                       "Claim", "Task", "RelatedPerson", "Organization", "Group", "Practitioner"})
                : one(RandomRecord::changeable);
        std::string target = type + "?";
        const bool is_clinical =
            std::find(std::begin(RandomRecord::changeable), std::end(RandomRecord::changeable),
                      type) != std::end(RandomRecord::changeable);
        for (int i = any(3); i >= 0; --i) {
            if (!target.ends_with('?')) target += '&';
            target += type == "Patient" ? patient_criterion()
                      : is_clinical     ? clinical_criterion(type)
                                        : other_criterion(type);
        }
        for (int i = any(3); i > 0; --i) target += "&" + result_parameter(type);
        return target;
    }

    Asked conditional_read() {
        Asked asked = get(someone());
        if (any(3) == 0) asked.if_none_match = fmt::format("W/\"{}\"", 1 + any(2));
        if (any(6) == 0) asked.target += "?_summary=text";
        if (any(8) == 0) asked.target += "?_elements=code,name";
        if (any(8) == 0) asked.method = net::Method::head;
        return asked;
    }

    std::string history() {
        std::string target =
            any(2) == 0   ? someone() + "/_history"
            : any(3) == 0 ? "_history"
                          : one({"Observation", "Patient", "Condition", "Encounter"}) + "/_history";
        target += fmt::format("?_count={}", any(8));
        if (any(5) == 0) target += "&_since=2001-01-01T00:00:00Z";
        if (any(8) == 0) target += fmt::format("&_list=l{}", any(7));
        return target;
    }

    std::string operation() {
        switch (any(9)) {
            case 0:
            case 1:
                return fmt::format("Patient/{}/$everything?_count={}", patient(), 1 + any(30));
            case 2:
                return fmt::format("Patient/$everything?_count={}", 1 + any(30));
            case 3:
                return fmt::format("Encounter/e{}/$everything", any(RandomRecord::patients));
            case 4:
                return fmt::format("Observation/$lastn?patient={}&max={}", patient(), 1 + any(2));
            case 5:
                return fmt::format("{}/$meta", any(2) == 0
                                                   ? someone()
                                                   : one({"Observation", "Patient", "Condition"}));
            case 6:
                return "$meta";
            case 7:
                return fmt::format("{}/$validate?mode=delete", someone());
            default:
                return "Group/g0/$everything?_count=10";
        }
    }

    std::string compartment() {
        const std::string tail = any(2) == 0 ? "" : "?" + result_parameter("Observation");
        if (any(4) == 0)
            return fmt::format("Encounter/e{}/{}{}", any(14), one({"Observation", "Condition"}),
                               tail);
        if (any(4) == 0)
            return fmt::format("Practitioner/d{}/{}{}", any(4),
                               one({"Observation", "Encounter", "Appointment"}), tail);
        return fmt::format(
            "Patient/{}/{}{}", patient(),
            one({"Observation", "Condition", "Encounter", "*", "CareTeam", "AllergyIntolerance"}),
            tail);
    }

    Asked batch() {
        std::string entries;
        for (int i = 1 + any(3); i >= 0; --i) {
            std::string url = any(2) == 0 ? search() : someone();
            std::string quoted;
            for (const char c : url) (quoted += c == '"' ? "\\\"" : std::string(1, c));
            entries += fmt::format(R"({}{{"request":{{"method":"GET","url":"{}"}}}})",
                                   entries.empty() ? "" : ",", quoted);
        }
        if (any(3) == 0)
            entries += fmt::format(R"(,{{"request":{{"method":"DELETE","url":"{}"}}}})", someone());
        return {.method = net::Method::post,
                .body = fmt::format(R"({{"resourceType":"Bundle","type":"batch","entry":[{}]}})",
                                    entries)};
    }

    std::string condition() {
        switch (any(4)) {
            case 0:
                return fmt::format("identifier=urn:mrn|{}", any(16));
            case 1:
                return "_id=" + patient();
            case 2:
                return fmt::format("family=Family{}&gender=male", any(4));
            default:
                return fmt::format("phone=555{}", any(16));
        }
    }
    std::string some_patient(const std::string& id) {
        return fmt::format(
            R"({{"resourceType":"Patient"{},"active":true,"name":[{{"family":"New{}"}}],"managingOrganization":{{"reference":"Organization/o{}"}}}})",
            id.empty() ? "" : fmt::format(R"(,"id":"{}")", id), any(4), any(3));
    }

    Asked write() {
        Asked asked;
        asked.lenient = any(10) == 0;
        const auto [type, id] = some_clinical();
        const int whom = any(RandomRecord::patients);
        switch (any(13)) {
            case 0:
                asked.method = net::Method::post;
                asked.target = type;
                asked.body = dice_.clinical(type, "ignored", whom, any(6) == 0 ? "PSY" : "");
                break;
            case 1:
            case 2:
                asked.method = net::Method::put;
                asked.target = fmt::format("{}/{}", type, id);
                asked.body = dice_.clinical(type, id, whom, any(6) == 0 ? "V" : "");
                if (any(3) == 0) asked.if_match = fmt::format("W/\"{}\"", 1 + any(2));
                if (any(5) == 0) asked.if_none_match = "*";
                break;
            case 3:
                asked.method = net::Method::delete_;
                asked.target = any(3) == 0 ? someone() : fmt::format("{}/{}", type, id);
                if (any(3) == 0) asked.if_match = "W/\"1\"";
                break;
            case 4:
                asked.method = net::Method::patch;
                asked.target = fmt::format("{}/{}", type, id);
                asked.is_json_patch = true;
                asked.body = fmt::format(R"([{{"op":"{}","path":"/status","value":"final"}}])",
                                         one({"test", "replace", "add"}));
                break;
            case 5:
                asked.method = net::Method::post;
                asked.target = "Patient";
                asked.if_none_exist = condition();
                asked.body = some_patient("");
                break;
            case 6: {
                asked.method = net::Method::put;
                asked.target = "Patient?" + condition();
                asked.body = some_patient(any(2) == 0 ? patient() : "");
                break;
            }
            case 7:
                asked.method = net::Method::delete_;
                asked.target = any(2) == 0 ? "Patient?" + condition()
                                           : fmt::format("{}?patient={}&code=c1", type, patient());
                break;
            case 8:
                asked.method = net::Method::patch;
                asked.target = "Patient?" + condition();
                asked.is_json_patch = true;
                asked.body = R"([{"op":"add","path":"/active","value":true}])";
                break;
            case 9:
            case 10:
                asked.method = net::Method::post;
                asked.body = fmt::format(
                    R"({{"resourceType":"Bundle","type":"transaction","entry":[{{"fullUrl":"urn:uuid:0b8e7a52-0000-4000-8000-000000000001","resource":{},"request":{{"method":"POST","url":"Observation"}}}},)"
                    R"({{"request":{{"method":"GET","url":"{}"}}}}]}})",
                    any(2) == 0
                        ? dice_.clinical("Observation", "ignored", whom, "")
                        : fmt::format(
                              R"({{"resourceType":"Observation","status":"final","code":{{"text":"x"}},"subject":{{"reference":"Patient?{}"}}}})",
                              condition()),
                    someone());
                break;
            case 11:
                asked.method = net::Method::post;
                asked.target = one({"Task", "CareTeam", "Encounter", "Consent"});
                asked.body = assigning(asked.target, whom);
                break;
            default:
                asked.method = net::Method::post;
                asked.target = fmt::format("{}/$meta-add", someone());
                asked.body =
                    R"({"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"system":"urn:tag","code":"t9"}]}}]})";
                break;
        }
        return asked;
    }

    std::string assigning(const std::string& type, int whom) {
        if (type == "Task")
            return fmt::format(
                R"({{"resourceType":"Task","status":"requested","intent":"order","for":{{"reference":"Patient/p{}"}},"owner":{{"reference":"Practitioner/d3"}}}})",
                whom);
        if (type == "CareTeam")
            return fmt::format(
                R"({{"resourceType":"CareTeam","status":"active","subject":{{"reference":"Patient/p{}"}},"participant":[{{"member":{{"reference":"Practitioner/d3"}}}}]}})",
                whom);
        if (type == "Consent")
            return fmt::format(
                R"({{"resourceType":"Consent","status":"draft","scope":{{"text":"x"}},"category":[{{"text":"x"}}],"policyRule":{{"text":"x"}},"patient":{{"reference":"Patient/p{}"}}}})",
                whom);
        return fmt::format(
            R"({{"resourceType":"Encounter","status":"planned","class":{{"code":"AMB"}},"subject":{{"reference":"Patient/p{}"}}}})",
            whom);
    }

    RandomRecord dice_;
    bool are_copies_;
    std::vector<std::pair<std::string, std::string>> clinical_;  ///< type and id
};

}  // namespace meridian::rest::testing

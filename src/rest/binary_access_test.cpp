// SPDX-License-Identifier: Apache-2.0
// Binary.securityContext: FHIR R4
// https://hl7.org/fhir/R4/binary-definitions.html#Binary.securityContext
#include "rest/bulk/export.hpp"
#include "rest/testing/policed.hpp"

namespace meridian::rest {
namespace {

using net::Method;
using testing::must;

std::string binary(std::string_view id, std::string_view context) {
    return fmt::format(
        R"({{"resourceType":"Binary"{},"contentType":"text/plain"{},"data":"aGVsbG8="}})",
        id.empty() ? "" : fmt::format(R"(,"id":"{}")", id),
        context.empty() ? "" : fmt::format(R"(,"securityContext":{{"reference":"{}"}})", context));
}

/// Two patients with a letter each; the doctor cares for the first.
class BinaryAccess : public testing::Policed {
 protected:
    explicit BinaryAccess(std::string_view more = {}) : Policed(more) {
        for (const char* id : {"mine", "theirs"}) {
            put(fmt::format(
                R"({{"resourceType":"Patient","id":"{}","managingOrganization":{{"reference":"Organization/{}"}}}})",
                id, std::string_view(id) == "mine" ? "o" : "other"));
            put(fmt::format(
                R"({{"resourceType":"DocumentReference","id":"letter-{0}","status":"current","subject":{{"reference":"Patient/{0}"}},"content":[{{"attachment":{{"url":"Binary/b-{0}"}}}}]}})",
                id));
            put(binary(fmt::format("b-{}", id), fmt::format("DocumentReference/letter-{}", id)));
        }
        put(binary("b-none", ""));
        put(binary("b-missing", "DocumentReference/never"));
        put(R"({"resourceType":"CareTeam","id":"t","status":"active","subject":{"reference":"Patient/mine"},"participant":[{"member":{"reference":"Practitioner/d"}}]})");
    }
    /// The same answer as for what never was.
    void expect_hidden(const trust::Subject& who, std::string_view id) {
        for (const char* way : {"", "/_history/1", "/_history", "/$meta"}) {
            const Answer hidden = get(who, fmt::format("Binary/{}{}", id, way));
            std::string expected = get(who, fmt::format("Binary/b-nobody{}", way)).json;
            for (std::size_t at; (at = expected.find("b-nobody")) != std::string::npos;)
                expected.replace(at, 8, id);
            EXPECT_EQ(hidden.json, expected) << id << way;
            EXPECT_EQ(hidden.json.find("aGVsbG8="), std::string::npos) << id << way;
        }
        EXPECT_EQ(ids(who, fmt::format("Binary?_id={}", id)), "") << id;
    }
    void expect_shown(const trust::Subject& who, std::string_view id) {
        for (const char* way : {"", "/_history/1", "/_history"}) {
            const Answer shown = get(who, fmt::format("Binary/{}{}", id, way));
            EXPECT_EQ(shown.status, 200) << id << way << shown.json;
            EXPECT_NE(shown.json.find("aGVsbG8="), std::string::npos) << id << way;
        }
        EXPECT_EQ(ids(who, fmt::format("Binary?_id={}", id)), id);
    }

    const trust::Subject doctor_ = subject(trust::Role::doctor, "d");
    const trust::Subject client_ = subject(trust::Role::system_client, "integration");
};

TEST_F(BinaryAccess, ItIsReadExactlyByWhoReadsItsContext) {
    expect_shown(doctor_, "b-mine");
    for (const char* id : {"b-theirs", "b-none", "b-missing"}) expect_hidden(doctor_, id);
    EXPECT_EQ(ids(doctor_, "Binary?_sort=_id"), "b-mine");
    EXPECT_EQ(ids(doctor_, "Binary?security-context=DocumentReference/letter-mine"), "b-mine");
    EXPECT_EQ(ids(doctor_, "Binary?security-context=DocumentReference/letter-theirs"), "");
    EXPECT_EQ(ids(client_, "Binary?_sort=_id"), "b-mine b-missing b-none b-theirs");
}

TEST_F(BinaryAccess, WhatHappensToTheContextHappensToIt) {
    put(R"({"resourceType":"Consent","id":"c","status":"active","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},"category":[{"text":"x"}],"patient":{"reference":"Patient/mine"},"policyRule":{"text":"x"},"provision":{"type":"deny"}})");
    expect_hidden(doctor_, "b-mine");
    EXPECT_EQ(send(client_, Method::delete_, "Consent/c").status, 204);
    expect_shown(doctor_, "b-mine");
    // A label of the context withholds it too.
    put(R"({"resourceType":"DocumentReference","id":"letter-mine","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"PSY"}]},"status":"current","subject":{"reference":"Patient/mine"},"content":[{"attachment":{"url":"Binary/b-mine"}}]})");
    expect_hidden(doctor_, "b-mine");
}

TEST_F(BinaryAccess, AVersionThatBelongedToAnotherStaysHidden) {
    put(binary("b-theirs", "DocumentReference/letter-mine"));
    EXPECT_EQ(get(doctor_, "Binary/b-theirs").status, 200);
    EXPECT_EQ(get(doctor_, "Binary/b-theirs/_history/2").status, 200);
    EXPECT_EQ(get(doctor_, "Binary/b-theirs/_history/1").status, 404);
}

TEST_F(BinaryAccess, OthersByTheirRolesAndScopes) {
    const trust::Subject regulator = subject(trust::Role::regulator, "r");
    EXPECT_EQ(get(regulator, "DocumentReference/letter-mine").status, 200);
    EXPECT_EQ(get(regulator, "Binary/b-mine").status, 403) << "nothing can be masked in bytes";
    trust::Subject patient = subject(trust::Role::patient, "x");
    patient.person = "Patient/theirs";
    expect_shown(patient, "b-theirs");
    expect_hidden(patient, "b-mine");
    trust::Subject app = patient;
    app.patient = "Patient/theirs";
    app.scopes = {"patient/Binary.rs"};
    EXPECT_EQ(get(app, "Binary/b-theirs").status, 404) << "its context is not in the scopes";
    app.scopes = {"patient/Binary.rs", "patient/DocumentReference.r"};
    EXPECT_EQ(get(app, "Binary/b-theirs").status, 200);
    app.scopes = {"patient/DocumentReference.rs"};
    EXPECT_EQ(get(app, "Binary/b-theirs").status, 403);
}

TEST_F(BinaryAccess, WhoMayChangeTheContextMayGiveItContent) {
    EXPECT_EQ(post(doctor_, "Binary", binary("", "DocumentReference/letter-mine")).status, 201);
    EXPECT_EQ(send(doctor_, Method::put, "Binary/b-mine",
                   binary("b-mine", "DocumentReference/letter-mine"))
                  .status,
              200);
    EXPECT_EQ(post(doctor_, "Binary", binary("", "DocumentReference/letter-theirs")).status, 403);
    EXPECT_EQ(post(doctor_, "Binary", binary("", "")).status, 403);
    // Not out of the record that it belongs to.
    EXPECT_EQ(send(doctor_, Method::put, "Binary/b-mine", binary("b-mine", "")).status, 403);
    EXPECT_EQ(send(doctor_, Method::put, "Binary/b-theirs",
                   binary("b-theirs", "DocumentReference/letter-mine"))
                  .status,
              404);
}

TEST_F(BinaryAccess, AnExportGivesWhatIsReadable) {
    const trust::Subject manager = subject(trust::Role::data_manager, "m");
    ExportRequest request;
    request.types = {"Binary"};
    const std::string folder = folder_.path() + "/export";
    const auto exported =
        must(export_to_folder(*repository_, must(decisions_->caller(manager)), request, folder,
                              [](const ExportProgress&) { return true; }));
    ASSERT_EQ(exported.output.size(), 1u);
    const std::string lines =
        must(read_file(fmt::format("{}/{}", folder, exported.output.front().name), 1 << 20));
    EXPECT_NE(lines.find("b-mine"), std::string::npos) << lines;
    for (const char* id : {"b-theirs", "b-none", "b-missing"})
        EXPECT_EQ(lines.find(id), std::string::npos) << id;
}

/// A house whose doctors read every Binary that names no context.
class BinaryOfTheHouse : public BinaryAccess {
 protected:
    BinaryOfTheHouse()
        : BinaryAccess(R"(
policy = "house"
version = 1
[roles.doctor]
summary = "Reads letters of patients in care, and forms."
[[roles.doctor.allow]]
clause = "letters"
types = ["DocumentReference"]
may = ["read", "search", "history", "operations"]
relations = ["care-team"]
purposes = ["*"]
consent = "not-asked"
[[roles.doctor.allow]]
clause = "forms"
types = ["Binary"]
may = ["read", "search", "history", "operations"]
relations = ["region"]
purposes = ["*"]
consent = "not-asked"
)") {}
};

TEST_F(BinaryOfTheHouse, ThePolicyDecidesWithoutAContextAndNeverBesideOne) {
    expect_shown(doctor_, "b-none");
    expect_shown(doctor_, "b-mine");
    expect_hidden(doctor_, "b-theirs");
    expect_hidden(doctor_, "b-missing");
}

}  // namespace
}  // namespace meridian::rest

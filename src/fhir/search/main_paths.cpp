// SPDX-License-Identifier: Apache-2.0
#include "fhir/search/main_paths.hpp"

#include <array>

namespace meridian::fhir::search {
namespace {

struct Row {
    std::string_view type;
    MainPath path;
};

constexpr std::array<Row, 62> rows{{
    {"Account", {"type", "period"}},
    {"AdverseEvent", {"event", "date"}},
    {"AllergyIntolerance", {"code", "date"}},
    {"Appointment", {"service-type", "date"}},
    {"AuditEvent", {"type", "date"}},
    {"Basic", {"code", "created"}},
    {"BodyStructure", {"location", ""}},
    {"CarePlan", {"category", "date"}},
    {"CareTeam", {"category", "date"}},
    {"ChargeItem", {"code", "occurrence"}},
    {"Claim", {"use", "created"}},
    {"ClaimResponse", {"use", "created"}},
    {"ClinicalImpression", {"", "date"}},
    {"Communication", {"category", "sent"}},
    {"CommunicationRequest", {"category", "authored"}},
    {"Composition", {"type", "date"}},
    {"Condition", {"code", "onset-date"}},
    {"Consent", {"category", "date"}},
    {"Coverage", {"type", ""}},
    {"CoverageEligibilityRequest", {"", "created"}},
    {"CoverageEligibilityResponse", {"", "created"}},
    {"DetectedIssue", {"code", "identified"}},
    {"DeviceRequest", {"code", "authored-on"}},
    {"DiagnosticReport", {"code", "date"}},
    {"DocumentManifest", {"type", "created"}},
    {"DocumentReference", {"type", "date"}},
    {"Encounter", {"type", "date"}},
    {"EpisodeOfCare", {"type", "date"}},
    {"ExplanationOfBenefit", {"", "created"}},
    {"FamilyMemberHistory", {"code", "date"}},
    {"Flag", {"", "date"}},
    {"Goal", {"category", "start-date"}},
    {"ImagingStudy", {"modality", "started"}},
    {"Immunization", {"vaccine-code", "date"}},
    {"ImmunizationEvaluation", {"target-disease", "date"}},
    {"ImmunizationRecommendation", {"vaccine-type", "date"}},
    {"Invoice", {"type", "date"}},
    {"List", {"code", "date"}},
    {"MeasureReport", {"", "date"}},
    {"Media", {"type", "created"}},
    {"MedicationAdministration", {"code", "effective-time"}},
    {"MedicationDispense", {"code", "whenhandedover"}},
    {"MedicationRequest", {"code", "authoredon"}},
    {"MedicationStatement", {"code", "effective"}},
    {"MolecularSequence", {"type", ""}},
    {"NutritionOrder", {"", "datetime"}},
    {"Observation", {"code", "date"}},
    {"Person", {"", ""}},
    {"Procedure", {"code", "date"}},
    {"Provenance", {"", "recorded"}},
    {"QuestionnaireResponse", {"", "authored"}},
    {"RelatedPerson", {"relationship", ""}},
    {"RequestGroup", {"code", "authored"}},
    {"ResearchSubject", {"", "date"}},
    {"RiskAssessment", {"method", "date"}},
    {"Schedule", {"service-type", "date"}},
    {"ServiceRequest", {"code", "authored"}},
    {"Specimen", {"type", "collected"}},
    {"SupplyDelivery", {"", ""}},
    {"SupplyRequest", {"category", "date"}},
    {"Task", {"code", "authored-on"}},
    {"VisionPrescription", {"", "datewritten"}},
}};

}  // namespace

MainPath main_path(std::string_view type) {
    for (const Row& row : rows) {
        if (row.type == type) return row.path;
    }
    return {};
}

std::string_view corrected_expression(std::string_view type, std::string_view code) {
    if (type != "Patient") return {};
    // The published expression names an extension that does not exist; this is the one of the R4
    // extension registry.
    if (code == "mothersMaidenName") {
        return "Patient.extension('http://hl7.org/fhir/StructureDefinition/"
               "patient-mothersMaidenName')";
    }
    // Published without an expression.
    if (code == "birthOrderBoolean") return "(Patient.multipleBirth as boolean)";
    return {};
}

}  // namespace meridian::fhir::search

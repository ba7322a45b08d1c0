// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "generate/detail/json_writer.hpp"

namespace meridian::generate {

namespace systems {
inline constexpr std::string_view loinc = "http://loinc.org";
inline constexpr std::string_view icd10 = "http://hl7.org/fhir/sid/icd-10";
inline constexpr std::string_view icd9_procedures = "http://hl7.org/fhir/sid/icd-9-cm";
inline constexpr std::string_view snomed = "http://snomed.info/sct";
inline constexpr std::string_view atc = "http://www.whocc.no/atc";
inline constexpr std::string_view cvx = "http://hl7.org/fhir/sid/cvx";
inline constexpr std::string_view dicom = "http://dicom.nema.org/resources/ontology/DCM";
// The region's own systems live under a name that RFC 2606 reserves for examples.
inline constexpr std::string_view region = "https://yunting.example/fhir";
inline constexpr std::string_view encounter_type =
    "https://yunting.example/fhir/CodeSystem/encounter-type";
inline constexpr std::string_view department = "https://yunting.example/fhir/CodeSystem/department";
inline constexpr std::string_view procedure = "https://yunting.example/fhir/CodeSystem/procedure";
inline constexpr std::string_view finding = "https://yunting.example/fhir/CodeSystem/finding";
inline constexpr std::string_view service = "https://yunting.example/fhir/CodeSystem/service";
inline constexpr std::string_view resident_id = "https://yunting.example/id/resident";
inline constexpr std::string_view insured_id = "https://yunting.example/id/insured";
inline constexpr std::string_view record_number = "https://yunting.example/id/record";
inline constexpr std::string_view licence = "https://yunting.example/id/licence";
inline constexpr std::string_view institution = "https://yunting.example/id/institution";
}  // namespace systems

/// A diagnosis: ICD-10 (WHO) and, where certain, SNOMED CT.
struct Diagnosis {
    Code icd10;
    Code snomed{};
};

/// One laboratory test with its SI form, its form in conventional (US) units, and reference limits
/// in SI.
struct Lab {
    Code code;              ///< LOINC of the SI result
    std::string_view unit;  ///< UCUM
    int places;
    double low_male, high_male;  ///< reference limits; low < 0: none
    double low_female, high_female;
    std::string_view us_loinc{};  ///< empty: the SI form serves everywhere
    std::string_view us_unit{};
    double us_factor = 1;  ///< conventional = SI × factor
    int us_places = 0;
};

enum LabId : std::uint8_t {
    lab_wbc,
    lab_rbc,
    lab_hemoglobin,
    lab_hematocrit,
    lab_platelet,
    lab_glucose,
    lab_hba1c,
    lab_creatinine,
    lab_egfr,
    lab_urea,
    lab_urate,
    lab_potassium,
    lab_sodium,
    lab_chloride,
    lab_calcium,
    lab_phosphate,
    lab_albumin,
    lab_alt,
    lab_ast,
    lab_bilirubin,
    lab_cholesterol,
    lab_ldl,
    lab_hdl,
    lab_triglyceride,
    lab_crp,
    lab_pth,
    lab_ferritin,
    lab_uacr,
    lab_cea,
    lab_ca153,
    lab_ca199,
    lab_nse,
    lab_tsh,
    lab_count
};
const Lab& lab(LabId id);

enum PanelId : std::uint8_t {
    panel_cbc,
    panel_renal,
    panel_lipid,
    panel_liver,
    panel_diabetes,
    panel_metabolic,
    panel_markers_lung,
    panel_markers_breast,
    panel_markers_bowel,
    panel_mineral,
    panel_count
};
struct Panel {
    Code code;
    std::span<const LabId> labs;
    int price_fen;
};
const Panel& panel(PanelId id);

enum DrugId : std::uint8_t {
    drug_amlodipine,
    drug_nifedipine,
    drug_valsartan,
    drug_losartan,
    drug_irbesartan,
    drug_enalapril,
    drug_metoprolol,
    drug_hydrochlorothiazide,
    drug_metformin,
    drug_gliclazide,
    drug_acarbose,
    drug_sitagliptin,
    drug_dapagliflozin,
    drug_insulin_glargine,
    drug_atorvastatin,
    drug_rosuvastatin,
    drug_aspirin,
    drug_clopidogrel,
    drug_furosemide,
    drug_amoxicillin,
    drug_cefuroxime,
    drug_ceftriaxone,
    drug_azithromycin,
    drug_levofloxacin,
    drug_ibuprofen,
    drug_paracetamol,
    drug_omeprazole,
    drug_loratadine,
    drug_ambroxol,
    drug_smectite,
    drug_salbutamol,
    drug_tiotropium,
    drug_budesonide,
    drug_celecoxib,
    drug_calcitriol,
    drug_epoetin,
    drug_roxadustat,
    drug_iron_sucrose,
    drug_sevelamer,
    drug_calcium_carbonate,
    drug_tacrolimus,
    drug_mycophenolate,
    drug_prednisone,
    drug_gefitinib,
    drug_osimertinib,
    drug_alectinib,
    drug_pemetrexed,
    drug_cisplatin,
    drug_carboplatin,
    drug_oxaliplatin,
    drug_paclitaxel,
    drug_docetaxel,
    drug_etoposide,
    drug_capecitabine,
    drug_irinotecan,
    drug_fluorouracil,
    drug_leucovorin,
    drug_cyclophosphamide,
    drug_epirubicin,
    drug_trastuzumab,
    drug_bevacizumab,
    drug_pembrolizumab,
    drug_letrozole,
    drug_tamoxifen,
    drug_ondansetron,
    drug_dexamethasone,
    drug_morphine,
    drug_folic_acid,
    drug_heparin,
    drug_febuxostat,
    drug_count
};
struct Drug {
    std::string_view id;  ///< as in Medication/med-<id>; the international non-proprietary name
    std::string_view atc;
    std::string_view en, zh;
    double dose;             ///< usual single dose
    std::string_view unit;   ///< UCUM
    int times_per_day;       ///< 0: given as an infusion on the day
    std::string_view route;  ///< "oral", "iv", "sc", "inhaled"
    std::string_view form_en, form_zh;
    int price_fen;  ///< of one dose
};
const Drug& drug(DrugId id);

enum ProcedureId : std::uint8_t {
    proc_none,
    proc_hemodialysis,
    proc_peritoneal_dialysis,
    proc_av_fistula,
    proc_hd_catheter,
    proc_pd_catheter,
    proc_kidney_transplant,
    proc_kidney_biopsy,
    proc_lung_lobectomy,
    proc_bronchoscopy,
    proc_lung_needle_biopsy,
    proc_breast_biopsy,
    proc_breast_conserving,
    proc_mastectomy,
    proc_colonoscopy,
    proc_colon_biopsy,
    proc_polypectomy,
    proc_right_hemicolectomy,
    proc_left_hemicolectomy,
    proc_sigmoidectomy,
    proc_anterior_resection,
    proc_chemotherapy,
    proc_radiotherapy,
    proc_appendectomy,
    proc_cholecystectomy,
    proc_cataract,
    proc_fracture_fixation,
    proc_hip_replacement,
    proc_pci,
    proc_cesarean,
    proc_delivery,
    proc_gastroscopy,
    proc_count
};
struct ProcedureKind {
    Code local;   ///< the region's own procedure code
    Code icd9{};  ///< ICD-9-CM volume 3
    Code snomed{};
    int price_fen = 0;
    std::string_view variable{};  ///< value of the data point `surgery`, empty when it is none
};
const ProcedureKind& procedure(ProcedureId id);

enum ImagingId : std::uint8_t {
    image_chest_ct,
    image_chest_xray,
    image_mammography,
    image_breast_ultrasound,
    image_abdomen_ct,
    image_abdomen_ultrasound,
    image_head_ct,
    image_pet_ct,
    image_brain_mri,
    image_bone_xray,
    image_kidney_ultrasound,
    image_count
};
struct ImagingKind {
    Code local;
    std::string_view modality;  ///< DICOM modality
    Code site;                  ///< SNOMED CT body structure
    int instances;
    int price_fen;
};
const ImagingKind& imaging(ImagingId id);

/// Everyday illness seen in primary care and out-patient departments.
struct AcuteIllness {
    Diagnosis diagnosis;
    double weight_child, weight_adult, weight_old;
    int duration_days;
    DrugId drugs[2];
    int drug_count;
    bool blood_count;  ///< a blood count is usual
    bool fever;
    bool community;  ///< treated in the community centre
    std::uint8_t department;
    bool female_only = false;
};
std::span<const AcuteIllness> acute_illnesses();

/// All diagnoses that the region writes, for its value sets and code checks.
std::span<const Diagnosis* const> diagnoses();

namespace dx {
extern const Diagnosis hypertension, diabetes, diabetic_kidney, dyslipidaemia, coronary, copd, gout,
    ckd1, ckd2, ckd3, ckd4, ckd5, glomerulonephritis, iga_nephropathy, hypertensive_kidney,
    renal_anaemia, secondary_hyperparathyroidism, transplant_status, dialysis_dependence,
    lung_nodule, breast_finding, lung_upper, lung_middle, lung_lower, breast, caecum,
    ascending_colon, transverse_colon, descending_colon, sigmoid, rectum, metastasis_brain,
    metastasis_bone, metastasis_liver, metastasis_lung, chemotherapy_session, health_check,
    immunisation, pneumonia, appendicitis, gallstones, stroke, infarction, angina, radius_fracture,
    hip_fracture, copd_exacerbation, cataract, delivery, cesarean, polyp, hematochezia,
    kidney_failure_infection;
}

/// Vaccines of the national programme: CVX code, names, ages in months at which they are given.
struct Vaccine {
    Code code;
    std::span<const int> months;
};
std::span<const Vaccine> vaccines();
extern const Code influenza_vaccine;
extern const Code pneumococcal_vaccine;

/// Kinds of encounters: the region's code beside a SNOMED CT one.
struct EncounterKind {
    Code local;
    Code snomed;
    std::string_view actclass;  ///< v3-ActCode
};
enum EncounterKindId : std::uint8_t {
    visit_outpatient,
    visit_followup,
    visit_checkup,
    visit_vaccination,
    visit_inpatient,
    visit_emergency,
    visit_dialysis,
    visit_chemotherapy,
    visit_screening,
    visit_kind_count
};
const EncounterKind& encounter_kind(EncounterKindId id);

}  // namespace meridian::generate

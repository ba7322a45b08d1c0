// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "generate/detail/city.hpp"
#include "generate/detail/codes.hpp"
#include "generate/detail/names.hpp"
#include "generate/detail/random.hpp"

namespace meridian::generate {

enum class Site : std::uint8_t { none, lung, breast, bowel };
enum class Histology : std::uint8_t { adenocarcinoma, squamous, small_cell, ductal, lobular };
enum class Driver : std::uint8_t { wild, exon19, l858r, alk };
enum class Response : std::uint8_t { none, complete, partial, stable, progression };
enum class Spread : std::uint8_t { none, brain, bone, liver, lung, pleura, lymph_node };
enum class Lobe : std::uint8_t { right_upper, right_middle, right_lower, left_upper, left_lower };

enum class TreatmentKind : std::uint8_t {
    surgery,
    chemotherapy,
    targeted,
    radiotherapy,
    endocrine
};
struct Treatment {
    TreatmentKind kind;
    Day start, end;         ///< end: last day planned, or progression
    std::string_view line;  ///< "neoadjuvant", "adjuvant", "1L", "2L"
    DrugId drugs[3] = {};
    int drug_count = 0;
    int cycles = 0;  ///< of chemotherapy, 21 days apart
    ProcedureId procedure = proc_none;
    bool recurrent = false;  ///< given for recurrence or progression
};
/// One measurement of the target lesion under treatment; the response follows from the sizes
/// (RECIST 1.1).
struct Assessment {
    Day day;
    int size_mm, baseline_mm, nadir_mm;
    Response response;
    std::size_t treatment;
};
struct NoduleScan {
    Day day;
    int size_mm;
};

struct CancerCourse {
    Site site = Site::none;
    bool screened = false;
    Day found = never, diagnosed = never;
    Lobe lobe = Lobe::right_upper;
    bool left = false;
    Histology histology = Histology::adenocarcinoma;
    const Diagnosis* diagnosis = nullptr;
    int grade = 2;
    int size_mm = 20, width_mm = 16;
    std::string_view t, n, m, group;  ///< clinical category, without the prefix c
    std::string_view pt, pn, pgroup;  ///< pathological; empty when never resected
    int nodes_examined = 0, nodes_positive = 0;
    Driver driver = Driver::wild;
    int er = 0, pr = 0, ki67 = 20;
    std::string_view her2 = "0";
    int ecog = 0;
    Spread spread = Spread::none;  ///< at diagnosis
    Spread recurrence_site = Spread::none;
    std::vector<NoduleScan> scans;  ///< screening and follow-up before the diagnosis
    std::vector<Treatment> treatments;
    std::vector<Assessment> assessments;
    std::vector<Day> surveillance;
    Day operated = never, recurrence = never, death = never;
    double recurrence_share = -1;  ///< set by the cast: 0 cured, 1 recurs; otherwise by stage

    bool any() const { return site != Site::none; }
    bool metastatic() const { return m != "0" && !m.empty(); }
};

enum class KidneyCause : std::uint8_t { none, diabetic, hypertensive, glomerulonephritis, iga };
struct KidneyCourse {
    Day onset = never;
    KidneyCause cause = KidneyCause::none;
    double start_gfr = 90, loss_per_year = 1;  ///< mL/min/1.73 m²
    double albuminuria = 60;                   ///< mg/g at onset
    bool peritoneal = false;
    Day fistula = never, dialysis = never, transplant = never;
    bool living_donor = false;
    double graft_gfr = 55;
};

enum class AdmissionKind : std::uint8_t {
    pneumonia,
    appendicitis,
    gallstones,
    stroke,
    infarction,
    angina,
    radius_fracture,
    hip_fracture,
    copd_exacerbation,
    cataract,
    delivery,
    cesarean,
    diabetes_control,
    cancer_workup,
    cancer_surgery,
    cancer_recurrence,
    kidney_biopsy,
    fistula,
    dialysis_start,
    transplant,
    terminal_cancer,
    terminal
};

enum class VisitKind : std::uint8_t {
    acute,
    followup,
    checkup,
    vaccination,
    admission,
    nodule_scan,
    day_chemotherapy,
    targeted_followup,
    radiotherapy,
    restaging,
    surveillance,
    endocrine_followup,
    nephrology,
    dialysis_month,
    transplant_followup
};
struct Visit {
    Day day;
    VisitKind kind;
    std::uint8_t detail = 0;  ///< index of the illness or vaccine, AdmissionKind
    std::uint16_t index =
        0;  ///< into the course's treatments, scans, assessments; cycle in the high byte
};

/// One person's life as decided beforehand; the record is written from it.
struct Person {
    std::uint64_t number = 0;
    Random random{0, 0};  ///< what is left of the person's stream when the life is decided
    bool male = true, english = false;
    Name name;
    Day birth = 0, death = never;
    int district = 0, community = 0, hospital = 0, cancer_hospital = 2;
    std::string street, story;  ///< story: why this person is in the cast, empty for others
    enum class Smoking : std::uint8_t { none, former, current } smoking = Smoking::none;
    int cigarettes_per_day = 0, smoked_years = 0;
    int height_cm = 165;
    double mass_index = 23;
    double pressure_level = 0, sugar_level = 0;  ///< personal deviation of control, about −1 … 1
    bool penicillin_allergy = false, contrast_allergy = false, family_cancer = false;
    Day hypertension = never, diabetes = never, dyslipidaemia = never, coronary = never,
        copd = never, gout = never;
    DrugId pressure_drugs[2] = {drug_amlodipine, drug_valsartan};
    int pressure_drug_count = 1;
    KidneyCourse kidney;
    CancerCourse cancer;
    std::vector<Visit> visits;  ///< sorted by day

    /// The operation is on the day after the admission.
    bool transplanted(Day day) const { return kidney.transplant < day - 1; }
    bool dialysed(Day day) const { return kidney.dialysis <= day && !transplanted(day); }
    bool alive(Day day) const { return day < death; }
    int age(Day day) const { return years_between(birth, day); }
    double exact_age(Day day) const { return (day - birth) / days_per_year; }
    double gfr(Day day) const;                         ///< true filtration rate
    double creatinine_for(double gfr, Day day) const;  ///< µmol/L, inverse of CKD-EPI 2009
    double gfr_of(double creatinine_umol, Day day) const;
    int tumour_mm(Day day) const;  ///< 0: nothing visible
    bool has(Day onset, Day day) const { return onset <= day; }
};

/// CKD-EPI 2009 without the race term (Levey et al., Ann Intern Med 2009;150:604): creatinine in
/// mg/dL.
double ckd_epi_2009(double creatinine_mg_dl, double age, bool male);
/// KDIGO 2012 category of a filtration rate: "G1" … "G5".
std::string_view gfr_category(double gfr);
/// Stage group of a lung cancer, TNM 8th edition (Goldstraw et al., J Thorac Oncol 2016;11:39).
std::string_view lung_stage_group(std::string_view t, std::string_view n, std::string_view m);
std::string_view lung_t_of_size(int size_mm);
/// RECIST 1.1 (Eisenhauer et al., Eur J Cancer 2009;45:228) for one target lesion.
Response recist(int size_mm, int baseline_mm, int nadir_mm);
std::string_view code_of(Response response);

/// Decides the life of patient `number` between `start` and `end`. A pure function of the options
/// and the number.
Person live(const RegionOptions& options, std::uint64_t number);
/// Derives treatments, responses and surveillance of a lung cancer from its diagnosis; used by
/// chance and cast alike.
void treat_lung_cancer(Person& person, Random& random, Day end);
/// Fills `visits` from the decided life.
void plan_visits(Person& person, Random& random, Day start, Day end);

}  // namespace meridian::generate

// SPDX-License-Identifier: Apache-2.0
// What happens at each kind of visit.
#include "generate/detail/record.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace meridian::generate {
namespace {

using K = DepartmentKind;

constexpr Code admission_type{systems::loinc, "47039-3",
                              "Hospital admission history and physical note", "入院记录"};
constexpr Code discharge_type{systems::loinc, "18842-5", "Discharge summary", "出院记录"};
constexpr Code pathology_type{systems::loinc, "11526-1", "Pathology study", "病理报告"};

}  // namespace

Record::Record(const City& city, Person& person, Day as_of, Sink& sink)
    : city_(city),
      person_(person),
      random_(person.random),
      as_of_(as_of),
      sink_(sink),
      patient_id_(fmt::format("p{:06}", person.number)),
      patient_reference_("Patient/" + patient_id_) {}

Result<void> Record::write() {
    patient();
    coverage();
    for (const auto& next : person_.visits) {
        visit(next);
        if (error_) return std::unexpected(*std::move(error_));
    }
    if (person_.death == never &&
        (!hypertension_.empty() || !diabetes_.empty() || cancer_.size() > 0 || !kidney_.empty()))
        next_appointment();
    if (error_) return std::unexpected(*std::move(error_));
    return {};
}

void Record::visit(const Visit& next) {
    switch (next.kind) {
        case VisitKind::acute:
            acute_visit(next);
            break;
        case VisitKind::followup:
            followup_visit(next);
            break;
        case VisitKind::checkup:
            checkup_visit(next);
            break;
        case VisitKind::vaccination:
            vaccination_visit(next);
            break;
        case VisitKind::admission:
            admission(next);
            break;
        case VisitKind::nodule_scan:
            nodule_scan(next);
            break;
        case VisitKind::day_chemotherapy:
            day_chemotherapy(next);
            break;
        case VisitKind::targeted_followup:
            targeted_followup(next);
            break;
        case VisitKind::radiotherapy:
            radiotherapy(next);
            break;
        case VisitKind::restaging:
            restaging(next);
            break;
        case VisitKind::surveillance:
            surveillance(next);
            break;
        case VisitKind::endocrine_followup:
            endocrine_followup(next);
            break;
        case VisitKind::nephrology:
            nephrology_visit(next);
            break;
        case VisitKind::dialysis_month:
            dialysis_month(next);
            break;
        case VisitKind::transplant_followup:
            transplant_followup(next);
            break;
    }
    close_visit();
}

Scene Record::scene() const {
    Scene scene;
    scene.person = &person_;
    scene.hospital = now_.hospital;
    scene.department = now_.department;
    scene.doctor = now_.doctor;
    scene.day = now_.start.day;
    scene.inpatient = now_.stay.has_value();
    if (now_.stay) scene.kind = *now_.stay;
    scene.admitted = now_.start.day;
    scene.discharged = now_.open ? never : now_.end.day;
    scene.systolic = systolic_;
    scene.diastolic = diastolic_;
    scene.pulse = pulse_;
    scene.labs = &results_;
    scene.drugs = prescribed_;
    scene.performed = performed_;
    scene.number = fmt::format("{}{:06}", 20 + encounters_ % 70, person_.number);
    return scene;
}

void Record::acute_visit(const Visit& next) {
    const auto& illness = acute_illnesses()[next.detail];
    const bool centre = illness.community && random_.chance(0.7);
    const Time start = office_hour(next.day);
    const bool child = person_.age(next.day) < 14;
    const auto kind = child && !centre ? K::paediatrics : static_cast<K>(illness.department);
    open_visit(visit_outpatient, centre ? person_.community : person_.hospital,
               centre ? K::general_practice : kind, start, start.plus(45), illness.diagnosis);
    const Day onset = std::max(person_.birth, next.day - random_.between(0, 4));
    const std::string found = condition(illness.diagnosis, onset, next.day + illness.duration_days);
    if (illness.fever) {
        const bool fever = random_.chance(0.55);
        if (fever || child)
            quantity({systems::loinc, "8310-5", "Body temperature", "体温"}, "vital-signs",
                     fever ? random_.uniform(37.6, 39.4) : random_.uniform(36.2, 37.2), 1, "Cel",
                     4);
    }
    if (!child && random_.chance(0.3)) blood_pressure(5);
    if (illness.blood_count && random_.chance(0.22))
        run_panel(panel_cbc, 15, {illness.fever, false, false});
    for (int i = 0; i < illness.drug_count; ++i) {
        const bool penicillin = illness.drugs[i] == drug_amoxicillin && person_.penicillin_allergy;
        prescribe(penicillin ? drug_azithromycin : illness.drugs[i],
                  std::min(14, std::max(3, illness.duration_days)), found);
    }
}

void Record::chronic_drugs(int days) {
    if (!hypertension_.empty())
        for (int i = 0; i < person_.pressure_drug_count; ++i)
            prescribe(person_.pressure_drugs[i], days, hypertension_);
    if (!diabetes_.empty()) {
        const Day day = now_.start.day;
        const double years = (day - person_.diabetes) / days_per_year;
        const double rate = person_.gfr(day);
        // Metformin stops below 30 mL/min; SGLT2 inhibitors came into the formulary in 2019.
        if (rate >= 30) prescribe(drug_metformin, days, diabetes_);
        if (years > 4 && rate >= 25)
            prescribe(day >= day_of(2019, 6, 1) ? drug_dapagliflozin : drug_gliclazide, days,
                      diabetes_);
        if (years > 9 || rate < 30) prescribe(drug_insulin_glargine, days, diabetes_);
    }
    if (!dyslipidaemia_.empty())
        prescribe(person_.number % 2 ? drug_atorvastatin : drug_rosuvastatin, days, dyslipidaemia_);
    if (!coronary_.empty()) prescribe(drug_aspirin, days, coronary_);
    if (!copd_.empty()) prescribe(drug_tiotropium, days, copd_);
    if (!gout_.empty()) prescribe(drug_febuxostat, days, gout_);
}

void Record::followup_visit(const Visit& next) {
    const bool sugar = person_.diabetes <= next.day, vessels = person_.coronary <= next.day;
    const bool centre = random_.chance(0.65);
    const K kind = centre                     ? K::general_practice
                   : vessels                  ? K::cardiology
                   : sugar                    ? K::endocrinology
                   : person_.copd <= next.day ? K::respiratory
                                              : K::internal;
    const int place = centre ? person_.community : person_.hospital;
    const Time start = office_hour(next.day);
    if (random_.chance(0.35)) {
        const auto& hospital = city_.hospitals[static_cast<std::size_t>(place)];
        const auto& department = hospital.department(kind);
        appointment(start, hospital, department, department.doctors[0], false);
    }
    const Diagnosis& reason = person_.hypertension <= next.day ? dx::hypertension
                              : sugar                          ? dx::diabetes
                              : vessels                        ? dx::coronary
                              : person_.copd <= next.day       ? dx::copd
                              : person_.gout <= next.day       ? dx::gout
                                                               : dx::dyslipidaemia;
    const std::string known = person_.hypertension <= next.day ? hypertension_
                              : sugar                          ? diabetes_
                              : vessels                        ? coronary_
                                                               : "";
    open_visit(visit_followup, place, kind, start, start.plus(60), reason, known);
    ensure_chronic(next.day);
    if (!chronic_plan_) {
        chronic_plan_ = true;
        smoking_status();
        static constexpr std::string_view zh[] = {"每季度随访一次", "低盐饮食，每日步行30分钟",
                                                  "家庭自测血压"};
        static constexpr std::string_view en[] = {"Follow-up every three months",
                                                  "Low-salt diet and 30 minutes of walking a day",
                                                  "Home blood pressure measurement"};
        care_plan("慢性病管理计划", "Chronic disease management plan", now_.condition, zh, en);
    }
    if (followups_ % 4 == 0)
        vital_signs(true);
    else
        blood_pressure(5);
    if (sugar) {
        if (followups_ % 3 == 0)
            run_panel(panel_diabetes, 12);
        else
            laboratory(lab_glucose, lab_value(lab_glucose, next.day, {}), 10);
    }
    // Blood tests once a year, twice with diabetes.
    if (followups_ % (sugar ? 3 : 5) == 0) {
        run_panel(panel_renal, 12);
        run_panel(panel_lipid, 12);
        if (person_.kidney.onset <= next.day || sugar)
            laboratory(lab_uacr, lab_value(lab_uacr, next.day, {}), 12);
    }
    ++followups_;
    if (person_.kidney.onset <= next.day && results_[lab_creatinine].known)
        ensure_kidney_stage(next.day);
    chronic_drugs(60);
}

void Record::checkup_visit(const Visit& next) {
    const Time start = office_hour(next.day);
    const int age = person_.age(next.day);
    const bool centre = age >= 65 || age < 18 || random_.chance(0.4);
    open_visit(visit_checkup, centre ? person_.community : person_.hospital,
               centre ? K::general_practice : K::internal, start, start.plus(210),
               dx::health_check);
    vital_signs(true);
    if (age >= 18) smoking_status();
    if (age >= 2) run_panel(panel_cbc, 20);
    if (age >= 18) {
        run_panel(panel_lipid, 20);
        for (LabId test : {lab_glucose, lab_creatinine, lab_egfr, lab_alt})
            laboratory(test, lab_value(test, next.day, {}), 20);
        // A known tumour is followed by its own clinic.
        const bool tumour = person_.tumour_mm(next.day) > 0;
        if (!centre && !tumour && random_.chance(0.55))
            document_and_image(image_chest_xray, 0, 0, Response::none);
        if (!centre && !tumour && random_.chance(0.4))
            document_and_image(image_abdomen_ultrasound, 0, 0, Response::none);
    }
}

void Record::vaccination_visit(const Visit& next) {
    const Time start = office_hour(next.day);
    open_visit(visit_vaccination, person_.community, K::preventive, start, start.plus(30),
               dx::immunisation);
    if (next.detail == 100)
        immunization(influenza_vaccine, 1);
    else if (next.detail == 101)
        immunization(pneumococcal_vaccine, 1);
    else
        immunization(vaccines()[next.detail].code, next.index + 1);
    charges_.clear();  // the programme's vaccines are free
}

void Record::next_appointment() {
    const auto& hospital = city_.hospitals[static_cast<std::size_t>(person_.hospital)];
    const K kind = person_.cancer.any() ? K::oncology
                   : !kidney_.empty()   ? K::nephrology
                   : !diabetes_.empty() ? K::endocrinology
                                        : K::cardiology;
    const auto& department = hospital.department(kind);
    now_ = {};
    now_.english = hospital.english;
    appointment(office_hour(as_of_ + random_.between(6, 45)), hospital, department,
                department.doctors[0], true);
}

// --- imaging, with its text
// ------------------------------------------------------------------------------------------

void Record::document_and_image(ImagingId image, int size_mm, int previous_mm, Response response,
                                Spread spread) {
    Scene view = scene();
    view.image = image;
    view.size_mm = size_mm;
    view.previous_mm = previous_mm;
    view.response = response;
    view.spread = spread;
    view.day = std::max(view.day, moment(120).day);
    const Document text = write_imaging_report(view, random_);
    image_and_report(image, moment(120), text.title, &text);
}

PanelId Record::tumour_panel() const {
    return person_.cancer.site == Site::lung     ? panel_markers_lung
           : person_.cancer.site == Site::breast ? panel_markers_breast
                                                 : panel_markers_bowel;
}

ImagingId Record::tumour_image() const {
    return person_.cancer.site == Site::lung     ? image_chest_ct
           : person_.cancer.site == Site::breast ? image_breast_ultrasound
                                                 : image_abdomen_ct;
}

K Record::surgery_department() const {
    return person_.cancer.site == Site::lung     ? K::thoracic_surgery
           : person_.cancer.site == Site::breast ? K::breast_surgery
                                                 : K::general_surgery;
}

// --- hospital stays
// --------------------------------------------------------------------------------------------------

namespace {
struct StayKind {
    AdmissionKind kind;
    const Diagnosis* diagnosis;
    K department;
};
const StayKind stay_kinds[] = {
    {AdmissionKind::pneumonia, &dx::pneumonia, K::respiratory},
    {AdmissionKind::appendicitis, &dx::appendicitis, K::general_surgery},
    {AdmissionKind::gallstones, &dx::gallstones, K::general_surgery},
    {AdmissionKind::stroke, &dx::stroke, K::neurology},
    {AdmissionKind::infarction, &dx::infarction, K::cardiology},
    {AdmissionKind::angina, &dx::angina, K::cardiology},
    {AdmissionKind::radius_fracture, &dx::radius_fracture, K::orthopaedics},
    {AdmissionKind::hip_fracture, &dx::hip_fracture, K::orthopaedics},
    {AdmissionKind::copd_exacerbation, &dx::copd_exacerbation, K::respiratory},
    {AdmissionKind::cataract, &dx::cataract, K::ophthalmology},
    {AdmissionKind::delivery, &dx::delivery, K::gynaecology},
    {AdmissionKind::cesarean, &dx::cesarean, K::gynaecology},
    {AdmissionKind::diabetes_control, &dx::diabetes, K::endocrinology},
    {AdmissionKind::cancer_workup, nullptr, K::oncology},
    {AdmissionKind::cancer_surgery, nullptr, K::thoracic_surgery},
    {AdmissionKind::cancer_recurrence, nullptr, K::oncology},
    {AdmissionKind::kidney_biopsy, nullptr, K::nephrology},
    {AdmissionKind::fistula, &dx::ckd5, K::nephrology},
    {AdmissionKind::dialysis_start, &dx::ckd5, K::nephrology},
    {AdmissionKind::transplant, &dx::ckd5, K::nephrology},
    {AdmissionKind::terminal_cancer, nullptr, K::oncology},
    {AdmissionKind::terminal, &dx::pneumonia, K::internal}};
}  // namespace

void Record::admission(const Visit& next) {
    const auto kind = static_cast<AdmissionKind>(next.detail);
    const StayKind& shape = stay_kinds[next.detail];
    const bool cancer =
        person_.cancer.any() &&
        (kind == AdmissionKind::cancer_workup || kind == AdmissionKind::cancer_surgery ||
         kind == AdmissionKind::cancer_recurrence || kind == AdmissionKind::terminal_cancer);
    const Diagnosis& reason =
        cancer ? (kind == AdmissionKind::cancer_workup && person_.cancer.site == Site::lung
                      ? dx::lung_nodule
                      : *person_.cancer.diagnosis)
        : shape.diagnosis                          ? *shape.diagnosis
        : person_.kidney.cause == KidneyCause::iga ? dx::iga_nephropathy
                                                   : dx::glomerulonephritis;
    const K department =
        kind == AdmissionKind::cancer_surgery ? surgery_department() : shape.department;
    const bool terminal = kind == AdmissionKind::terminal || kind == AdmissionKind::terminal_cancer;
    const bool transplant = kind == AdmissionKind::transplant;
    const int place = cancer                           ? person_.cancer_hospital
                      : transplant && !person_.english ? City::university
                                                       : person_.hospital;
    const Time start{next.day, 8 * 60 + random_.between(0, 110) * 5};
    const Time last =
        terminal ? death_time() : Time{next.day + next.index, 9 * 60 + random_.between(0, 60) * 5};
    open_visit(visit_inpatient, place, department, start, last, reason,
               cancer ? std::string_view(cancer_) : std::string_view());
    now_.stay = kind;
    ensure_chronic(next.day);
    if (cancer && kind != AdmissionKind::cancer_workup) ensure_cancer(next.day);
    if (!family_done_) family_history();
    vital_signs(kind >= AdmissionKind::cancer_workup);
    admission_content(kind);
    if (now_.open) return;
    Scene view = scene();
    view.day = now_.end.day;
    const Document summary = write_discharge_summary(view, random_);
    document(summary, discharge_type, terminal ? now_.end : now_.end.plus(-30), *now_.doctor);
}

void Record::admission_content(AdmissionKind kind) {
    using A = AdmissionKind;
    const bool infection = kind == A::pneumonia || kind == A::appendicitis ||
                           kind == A::copd_exacerbation || kind == A::terminal;
    const Circumstances circumstances{infection, kind == A::terminal_cancer,
                                      kind == A::diabetes_control};
    run_panel(panel_cbc, 90, circumstances);
    run_panel(panel_metabolic, 90, circumstances);
    if (infection && before_end(moment(90)))
        laboratory(lab_crp, lab_value(lab_crp, now_.start.day, circumstances), 90);
    if (kind == A::diabetes_control) run_panel(panel_diabetes, 95, circumstances);
    if (person_.cancer.any() && now_.start.day >= person_.cancer.found - 1 &&
        kind >= A::cancer_workup)
        run_panel(tumour_panel(), 95, circumstances);
    if (kind == A::kidney_biopsy || kind == A::fistula || kind == A::dialysis_start ||
        kind == A::transplant) {
        run_panel(panel_renal, 100);
        if (before_end(moment(100)))
            laboratory(lab_uacr, lab_value(lab_uacr, now_.start.day, {}), 100);
        if (kind != A::kidney_biopsy) run_panel(panel_mineral, 100);
    }
    Scene view = scene();
    const Document note = write_admission_note(view, random_);
    document(note, admission_type, moment(150), *now_.doctor);
    switch (kind) {
        case A::cancer_workup:
            cancer_workup();
            break;
        case A::cancer_surgery:
            cancer_surgery();
            break;
        case A::cancer_recurrence:
            cancer_recurrence();
            break;
        case A::kidney_biopsy:
        case A::fistula:
        case A::dialysis_start:
        case A::transplant:
            kidney_stay(kind);
            break;
        default:
            acute_stay(kind);
    }
}

/// Operates so many hours after nine o'clock of the day of admission, but neither in the first
/// hour nor after the stay.
void Record::operate(ProcedureId id, int hours_later) {
    const Time start =
        std::max(now_.start.plus(60), Time{now_.start.day, 9 * 60}.plus(hours_later * 60));
    if (start.day < now_.end.day || (!now_.open && start <= now_.end))
        perform(id, start, start.plus(80), now_.condition);
}

void Record::terminal_cancer_stay() {
    prescribe(drug_morphine, 7, cancer_);
    document_and_image(tumour_image() == image_breast_ultrasound ? image_chest_ct : tumour_image(),
                       person_.tumour_mm(now_.start.day), 0, Response::none);
}

/// Stays without an operation; another kind is left to treat_by_operation().
void Record::treat_with_drugs(AdmissionKind kind, std::string_view reason) {
    using A = AdmissionKind;
    switch (kind) {
        case A::pneumonia:
        case A::terminal:
        case A::copd_exacerbation:
            document_and_image(kind == A::copd_exacerbation ? image_chest_xray : image_chest_ct, 0,
                               0, Response::none);
            prescribe(person_.penicillin_allergy ? drug_levofloxacin : drug_ceftriaxone, 7, reason);
            prescribe(drug_ambroxol, 7, reason);
            break;
        case A::stroke:
            document_and_image(image_head_ct, 0, 0, Response::none);
            prescribe(drug_aspirin, 30, reason);
            prescribe(drug_atorvastatin, 30, reason);
            break;
        case A::diabetes_control:
            document_and_image(image_kidney_ultrasound, 0, 0, Response::none);
            prescribe(drug_insulin_glargine, 30, reason);
            prescribe(drug_metformin, 30, reason);
            break;
        default:
            break;
    }
}

/// Stays for an operation or a delivery, each at the hour that its urgency allows.
void Record::treat_by_operation(AdmissionKind kind, std::string_view reason) {
    using A = AdmissionKind;
    switch (kind) {
        case A::appendicitis:
            document_and_image(image_abdomen_ct, 0, 0, Response::none);
            operate(proc_appendectomy, 6);
            prescribe(person_.penicillin_allergy ? drug_levofloxacin : drug_cefuroxime, 5, reason);
            break;
        case A::gallstones:
            document_and_image(image_abdomen_ultrasound, 0, 0, Response::none);
            operate(proc_cholecystectomy, 26);
            break;
        case A::infarction:
        case A::angina:
            operate(proc_pci, kind == A::infarction ? 3 : 28);
            prescribe(drug_aspirin, 30, reason);
            prescribe(drug_clopidogrel, 30, reason);
            prescribe(drug_rosuvastatin, 30, reason);
            break;
        case A::radius_fracture:
        case A::hip_fracture:
            document_and_image(image_bone_xray, 0, 0, Response::none);
            operate(kind == A::hip_fracture ? proc_hip_replacement : proc_fracture_fixation, 30);
            prescribe(drug_celecoxib, 10, reason);
            break;
        case A::cataract:
            operate(proc_cataract, 4);
            break;
        case A::delivery:
            operate(proc_delivery, 8);
            break;
        case A::cesarean:
            operate(proc_cesarean, 5);
            break;
        default:
            break;
    }
}

/// Acute illness, and the last stay of a cancer. Each kind is treated by drugs or by an operation:
/// the other of the two does nothing for it.
void Record::acute_stay(AdmissionKind kind) {
    using A = AdmissionKind;
    if (kind == A::terminal_cancer) {
        terminal_cancer_stay();
        return;
    }
    const Day day = now_.start.day;
    const Day resolved = now_.open ? never : now_.end.day + 10;
    const bool lasting =
        kind == A::diabetes_control || kind == A::stroke || kind == A::copd_exacerbation;
    const std::string main = kind == A::diabetes_control
                                 ? diabetes_
                                 : condition(*now_.reason, day, lasting ? never : resolved);
    now_.condition = main;
    treat_with_drugs(kind, main);
    treat_by_operation(kind, main);
    if (!now_.open && now_.end.day - day > 5 && kind != A::terminal)
        run_panel(panel_cbc, (now_.end.day - day - 1) * 1440);
}

void Record::cancer_workup() {
    auto& cancer = person_.cancer;
    const Day day = now_.start.day;
    const bool lung = cancer.site == Site::lung;
    if (lung) {
        document_and_image(image_chest_ct, cancer.size_mm,
                           cancer.scans.empty() ? 0 : cancer.scans.back().size_mm, Response::none);
        document_and_image(image_pet_ct, cancer.size_mm, 0, Response::none);
        if (cancer.n != "0" || cancer.metastatic())
            document_and_image(image_brain_mri, cancer.spread == Spread::brain ? 14 : 0, 0,
                               Response::none, Spread::brain);
    } else if (cancer.site == Site::breast) {
        document_and_image(image_mammography, cancer.size_mm, 0, Response::none);
    } else {
        document_and_image(image_abdomen_ct, cancer.size_mm, 0, Response::none);
    }
    const ProcedureId biopsy =
        lung ? (cancer.size_mm > 30 ? proc_bronchoscopy : proc_lung_needle_biopsy)
        : cancer.site == Site::breast ? proc_breast_biopsy
                                      : proc_colon_biopsy;
    const Time at{day + 2, 10 * 60};
    perform(biopsy, at, at.plus(40), "");
    cancer_ = condition(
        *cancer.diagnosis, cancer.diagnosed, never,
        fmt::format("c{} T{} N{} M{} ({})", cancer.group, cancer.t, cancer.n, cancer.m, "TNM 8"));
    now_.condition = cancer_;
    Scene view = scene();
    view.day = day + 4;
    view.surgical_specimen = false;
    const Document report = write_pathology_report(view, random_);
    const auto& readers = now_.hospital->department(K::pathology).doctors;
    document(report, pathology_type, {day + 4, 15 * 60}, readers[random_.next() % readers.size()]);
    auto stage = [&](std::string_view loinc, std::string_view en, std::string_view zh,
                     std::string value) {
        text_observation({systems::loinc, loinc, en, zh}, value, 4 * 1440 + 400);
    };
    stage("21905-5", "Primary tumor.clinical", "临床T分期", fmt::format("cT{}", cancer.t));
    stage("21906-3", "Regional lymph nodes.clinical", "临床N分期", fmt::format("cN{}", cancer.n));
    stage("21907-1", "Distant metastases.clinical", "临床M分期", fmt::format("cM{}", cancer.m));
    stage("21908-9", "Stage group.clinical", "临床分期", std::string(cancer.group));
    molecular_findings();
    quantity({systems::loinc, "89247-1", "ECOG performance status score", "ECOG评分"}, "survey",
             cancer.ecog, 0, "{score}", 200);
    if (cancer.spread != Spread::none && cancer.spread != Spread::pleura &&
        cancer.spread != Spread::lymph_node) {
        const Diagnosis& spread = cancer.spread == Spread::brain   ? dx::metastasis_brain
                                  : cancer.spread == Spread::bone  ? dx::metastasis_bone
                                  : cancer.spread == Spread::liver ? dx::metastasis_liver
                                                                   : dx::metastasis_lung;
        condition(spread, cancer.diagnosed, never);
    }
    static constexpr std::string_view zh[] = {"多学科讨论", "按指南治疗", "每3个月复查"};
    static constexpr std::string_view en[] = {
        "Multidisciplinary tumour board", "Guideline-based treatment", "Review every three months"};
    care_plan("肿瘤综合治疗计划", "Cancer treatment plan", cancer_, zh, en);
}

void Record::molecular_findings() {
    const auto& cancer = person_.cancer;
    const int minutes = 4 * 1440 + 410;
    if (cancer.site == Site::lung && cancer.histology == Histology::adenocarcinoma) {
        text_observation({systems::finding, "egfr-mutation", "EGFR mutation", "EGFR基因突变"},
                         cancer.driver == Driver::exon19  ? "19del"
                         : cancer.driver == Driver::l858r ? "L858R"
                                                          : "wild type",
                         minutes);
        text_observation({systems::finding, "alk-fusion", "ALK fusion", "ALK融合"},
                         cancer.driver == Driver::alk ? "positive" : "negative", minutes);
    }
    if (cancer.site == Site::breast) {
        quantity(
            {systems::loinc, "85329-1", "Estrogen receptor cells by immune stain", "雌激素受体"},
            "laboratory", cancer.er, 0, "%", minutes);
        quantity({systems::loinc, "85325-9", "Progesterone receptor cells by immune stain",
                  "孕激素受体"},
                 "laboratory", cancer.pr, 0, "%", minutes);
        quantity({systems::loinc, "85330-9", "Ki-67 cells by immune stain", "Ki-67"}, "laboratory",
                 cancer.ki67, 0, "%", minutes);
        text_observation({systems::loinc, "85319-2", "HER2 by immune stain", "HER2"}, cancer.her2,
                         minutes);
    }
}

void Record::cancer_surgery() {
    auto& cancer = person_.cancer;
    const Day day = cancer.operated;
    const Treatment* surgery = nullptr;
    for (const auto& treatment : cancer.treatments)
        if (treatment.kind == TreatmentKind::surgery) surgery = &treatment;
    if (!surgery || !before_end({day, 0})) return;
    const Time at{day, 9 * 60 + 30};
    perform(surgery->procedure, at, at.plus(random_.between(110, 190)), cancer_);
    if (!before_end({day + 5, 0})) return;
    Scene view = scene();
    view.day = day + 5;
    view.surgical_specimen = true;
    const Document report = write_pathology_report(view, random_);
    const auto& readers = now_.hospital->department(K::pathology).doctors;
    document(report, pathology_type, {day + 5, 15 * 60}, readers[random_.next() % readers.size()]);
    auto stage = [&](std::string_view loinc, std::string_view en, std::string_view zh,
                     std::string value) {
        text_observation({systems::loinc, loinc, en, zh}, value,
                         (day + 5 - now_.start.day) * 1440 + 300);
    };
    stage("21899-0", "Primary tumor.pathology", "病理T分期", fmt::format("pT{}", cancer.pt));
    stage("21900-6", "Regional lymph nodes.pathology", "病理N分期", fmt::format("pN{}", cancer.pn));
    stage("21902-2", "Stage group.pathology", "病理分期", std::string(cancer.pgroup));
    quantity({systems::loinc, "21889-1", "Size tumor", "肿瘤大小"}, "laboratory", cancer.size_mm, 0,
             "mm", (day + 5 - now_.start.day) * 1440 + 300);
    run_panel(panel_cbc, (day + 2 - now_.start.day) * 1440);
    prescribe(drug_celecoxib, 7, cancer_);
}

void Record::cancer_recurrence() {
    const auto& cancer = person_.cancer;
    const Spread site = cancer.recurrence_site;
    document_and_image(site == Spread::brain   ? image_brain_mri
                       : site == Spread::bone  ? image_pet_ct
                       : site == Spread::liver ? image_abdomen_ct
                                               : image_chest_ct,
                       person_.tumour_mm(now_.start.day), 0, Response::none, site);
    const Diagnosis& spread = site == Spread::brain   ? dx::metastasis_brain
                              : site == Spread::bone  ? dx::metastasis_bone
                              : site == Spread::liver ? dx::metastasis_liver
                                                      : dx::metastasis_lung;
    condition(spread, now_.start.day, never);
}

void Record::kidney_drugs(int days) {
    const Day day = now_.start.day;
    const double rate = person_.gfr(day);
    if (!hypertension_.empty())
        for (int i = 0; i < person_.pressure_drug_count; ++i)
            prescribe(person_.pressure_drugs[i], days, hypertension_);
    if (rate < 60 && rate >= 20 && day >= day_of(2021, 6, 1))
        prescribe(drug_dapagliflozin, days, kidney_);
    if (rate < 30)
        prescribe(day >= day_of(2019, 12, 1) ? drug_roxadustat : drug_epoetin, days, kidney_);
    if (rate < 25) prescribe(drug_calcium_carbonate, days, kidney_);
    if (rate < 20) prescribe(drug_calcitriol, days, kidney_);
    if (rate < 12) prescribe(drug_sevelamer, days, kidney_);
    if (!diabetes_.empty())
        prescribe(rate >= 30 ? drug_metformin : drug_insulin_glargine, days, diabetes_);
}

void Record::kidney_stay(AdmissionKind kind) {
    using A = AdmissionKind;
    const Day day = now_.start.day;
    ensure_kidney_stage(day);
    const Time at{day + 1, 9 * 60};
    document_and_image(image_kidney_ultrasound, 0, 0, Response::none);
    switch (kind) {
        case A::kidney_biopsy:
            perform(proc_kidney_biopsy, at, at.plus(30), kidney_cause_);
            prescribe(drug_valsartan, 30, kidney_);
            if (person_.kidney.cause == KidneyCause::iga)
                prescribe(drug_prednisone, 30, kidney_cause_);
            break;
        case A::fistula:
            perform(proc_av_fistula, at, at.plus(75), kidney_);
            kidney_drugs(30);
            break;
        case A::dialysis_start:
            perform(person_.kidney.peritoneal ? proc_pd_catheter : proc_hd_catheter, at,
                    at.plus(45), kidney_);
            for (int session = 0; session < 3; ++session) {
                const Time start{day + 2 + session * 2, 13 * 60};
                if (before_end(start))
                    perform(
                        person_.kidney.peritoneal ? proc_peritoneal_dialysis : proc_hemodialysis,
                        start, start.plus(180), kidney_);
            }
            condition(dx::dialysis_dependence, day + 2, person_.kidney.transplant);
            kidney_drugs(30);
            break;
        default:
            perform(proc_kidney_transplant, {day + 1, 8 * 60}, {day + 1, 12 * 60 + 20}, kidney_);
            transplant_ = condition(dx::transplant_status, day + 1, never);
            prescribe(drug_tacrolimus, 30, transplant_);
            prescribe(drug_mycophenolate, 30, transplant_);
            prescribe(drug_prednisone, 30, transplant_);
            for (int after : {3, 7, 12}) run_panel(panel_renal, after * 1440);
    }
}

// --- cancer out-patients
// ---------------------------------------------------------------------------------------------

void Record::nodule_scan(const Visit& next) {
    const auto& cancer = person_.cancer;
    const auto& scan = cancer.scans[next.index];
    const Time start = office_hour(next.day);
    const bool lung = cancer.site == Site::lung;
    const Diagnosis& reason = lung                          ? dx::lung_nodule
                              : cancer.site == Site::breast ? dx::breast_finding
                                                            : dx::hematochezia;
    open_visit(cancer.screened ? visit_screening : visit_outpatient, person_.hospital,
               lung ? K::respiratory : surgery_department(), start, start.plus(240), reason);
    ensure_chronic(next.day);
    if (next.index == 0) {
        smoking_status();
        condition(reason, next.day, cancer.diagnosed);
    }
    const int previous = next.index > 0 ? cancer.scans[next.index - 1u].size_mm : 0;
    if (cancer.site == Site::bowel) {
        perform(proc_colonoscopy, start.plus(60), start.plus(100), now_.condition);
        run_panel(panel_cbc, 30);
        return;
    }
    document_and_image(lung ? image_chest_ct : image_breast_ultrasound, scan.size_mm, previous,
                       Response::none);
    run_panel(tumour_panel(), 40);
}

void Record::day_chemotherapy(const Visit& next) {
    const auto& treatment = person_.cancer.treatments[next.index / 64u];
    const int cycle = next.index % 64 + 1;
    const Time start{next.day, 8 * 60 + 30};
    open_visit(visit_chemotherapy, person_.cancer_hospital, K::oncology, start, start.plus(360),
               dx::chemotherapy_session, cancer_);
    ensure_cancer(next.day);
    vital_signs(cycle == 1);
    run_panel(panel_cbc, 30, {false, cycle > 1, false});
    run_panel(panel_metabolic, 30, {false, cycle > 1, false});
    if (cycle % 2 == 1) run_panel(tumour_panel(), 30);
    for (int i = 0; i < treatment.drug_count; ++i)
        prescribe(treatment.drugs[i], drug(treatment.drugs[i]).times_per_day > 0 ? 14 : 1, cancer_);
    prescribe(drug_ondansetron, 1, cancer_);
    prescribe(drug_dexamethasone, 1, cancer_);
    perform(proc_chemotherapy, start.plus(90), start.plus(300), cancer_);
}

void Record::targeted_followup(const Visit& next) {
    const auto& treatment = person_.cancer.treatments[next.index / 64u];
    const Time start = office_hour(next.day);
    open_visit(visit_followup, person_.cancer_hospital, K::oncology, start, start.plus(30),
               *person_.cancer.diagnosis, cancer_);
    ensure_cancer(next.day);
    vital_signs(false);
    run_panel(panel_cbc, 15);
    run_panel(panel_liver, 15);
    run_panel(tumour_panel(), 15);
    for (int i = 0; i < treatment.drug_count; ++i) prescribe(treatment.drugs[i], 30, cancer_);
}

void Record::radiotherapy(const Visit& next) {
    const Time start{next.day, 10 * 60};
    open_visit(visit_outpatient, person_.cancer_hospital, K::oncology, start,
               {next.day + 42, 11 * 60}, *person_.cancer.diagnosis, cancer_);
    ensure_cancer(next.day);
    if (now_.open) return;
    perform(proc_radiotherapy, start, {next.day + 42, 10 * 60 + 30}, cancer_);
}

void Record::restaging(const Visit& next) {
    const auto& cancer = person_.cancer;
    const auto& assessment = cancer.assessments[next.index];
    const Time start = office_hour(next.day);
    open_visit(visit_followup, person_.cancer_hospital, K::oncology, start, start.plus(200),
               *cancer.diagnosis, cancer_);
    ensure_cancer(next.day);
    const int previous =
        next.index > 0 ? cancer.assessments[next.index - 1u].size_mm : assessment.baseline_mm;
    const bool far = cancer.recurrence <= next.day && cancer.recurrence_site != Spread::lung;
    document_and_image(cancer.site == Site::lung && !far ? image_chest_ct
                       : cancer.site == Site::lung || cancer.recurrence_site == Spread::bone
                           ? image_pet_ct
                           : image_abdomen_ct,
                       assessment.size_mm, previous, assessment.response,
                       cancer.recurrence <= next.day ? cancer.recurrence_site : Spread::none);
    run_panel(tumour_panel(), 30);
    static constexpr Code response_code{systems::finding, "recist-response",
                                        "Tumour response (RECIST 1.1)", "疗效评价（RECIST 1.1）"};
    text_observation(response_code, code_of(assessment.response), 190);
}

void Record::surveillance(const Visit& next) {
    const auto& cancer = person_.cancer;
    const Time start = office_hour(next.day);
    open_visit(visit_followup, person_.cancer_hospital, surgery_department(), start,
               start.plus(150), *cancer.diagnosis, cancer_);
    ensure_cancer(next.day);
    vital_signs(false);
    run_panel(tumour_panel(), 20);
    run_panel(panel_cbc, 20);
    if (next.index % 2 == 1 || cancer.site == Site::lung)
        document_and_image(tumour_image(), 0, 0, Response::none);
    if (cancer.site == Site::bowel && next.index % 4 == 3)
        perform(proc_colonoscopy, start.plus(60), start.plus(95), cancer_);
}

void Record::endocrine_followup(const Visit& next) {
    const auto& treatment = person_.cancer.treatments[next.index / 64u];
    const Time start = office_hour(next.day);
    open_visit(visit_followup, person_.cancer_hospital, K::breast_surgery, start, start.plus(20),
               *person_.cancer.diagnosis, cancer_);
    ensure_cancer(next.day);
    vital_signs(false);
    prescribe(treatment.drugs[0], 90, cancer_);
}

// --- kidneys
// ---------------------------------------------------------------------------------------------------------

void Record::nephrology_visit(const Visit& next) {
    const Time start = office_hour(next.day);
    open_visit(visit_followup, person_.hospital, K::nephrology, start, start.plus(30),
               person_.kidney.cause == KidneyCause::iga ? dx::iga_nephropathy : dx::ckd3, kidney_);
    ensure_chronic(next.day);
    vital_signs(true);
    run_panel(panel_renal, 15);
    run_panel(panel_cbc, 15);
    laboratory(lab_uacr, lab_value(lab_uacr, next.day, {}), 15);
    if (person_.gfr(next.day) < 45) run_panel(panel_mineral, 15);
    ensure_kidney_stage(next.day);
    if (!kidney_plan_) {
        kidney_plan_ = true;
        static constexpr std::string_view zh[] = {"低盐优质低蛋白饮食", "每3个月复查肾功能",
                                                  "避免肾毒性药物"};
        static constexpr std::string_view en[] = {"Low-salt, protein-adjusted diet",
                                                  "Kidney function every three months",
                                                  "Avoid nephrotoxic drugs"};
        care_plan("慢性肾脏病管理计划", "Kidney disease management plan", kidney_, zh, en);
    }
    kidney_drugs(60);
}

void Record::dialysis_month(const Visit& next) {
    const Time start{next.day, 7 * 60 + 30};
    const Time last{next.day + 27, 17 * 60};
    open_visit(visit_dialysis, person_.hospital, K::nephrology, start, last, dx::ckd5, kidney_);
    ensure_chronic(next.day);
    ensure_kidney_stage(next.day);
    vital_signs(dialysis_months_ % 3 == 0);
    run_panel(panel_renal, 10);
    run_panel(panel_cbc, 10);
    if (dialysis_months_ % 2 == 0) run_panel(panel_mineral, 10);
    ++dialysis_months_;
    const bool peritoneal = person_.kidney.peritoneal;
    for (int session = 0; session < (peritoneal ? 1 : 12); ++session) {
        const Time at{next.day + session * 7 / 3, 7 * 60 + 45};
        if (!before_end(at)) break;
        perform(peritoneal ? proc_peritoneal_dialysis : proc_hemodialysis, at, at.plus(240),
                kidney_);
    }
    if (!peritoneal) prescribe(drug_heparin, 28, kidney_);
    kidney_drugs(28);
}

void Record::transplant_followup(const Visit& next) {
    const Time start = office_hour(next.day);
    open_visit(visit_followup, person_.hospital, K::nephrology, start, start.plus(25),
               dx::transplant_status, transplant_);
    ensure_chronic(next.day);
    ensure_kidney_stage(next.day);
    vital_signs(false);
    run_panel(panel_renal, 15);
    run_panel(panel_cbc, 15);
    prescribe(drug_tacrolimus, 60, transplant_);
    prescribe(drug_mycophenolate, 60, transplant_);
    prescribe(drug_prednisone, 60, transplant_);
    if (!hypertension_.empty()) prescribe(person_.pressure_drugs[0], 60, hypertension_);
}

}  // namespace meridian::generate

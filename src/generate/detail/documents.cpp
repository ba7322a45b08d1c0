// SPDX-License-Identifier: Apache-2.0
// Admission notes, discharge summaries, imaging and pathology reports in the manner of five
// hospitals.
#include <fmt/format.h>

#include <algorithm>

#include "generate/detail/author.hpp"

namespace meridian::generate {
namespace {

constexpr Symptom cough{"cough", "咳嗽", "cough"}, sputum{"sputum", "咳痰", "sputum"},
    fever{"fever", "发热", "fever"}, dyspnea{"dyspnea", "气促", "dyspnea"},
    hemoptysis{"hemoptysis", "痰中带血", "hemoptysis"},
    chest_pain{"chest_pain", "胸痛", "chest pain"},
    chest_tightness{"chest_tightness", "胸闷", "chest tightness"},
    abdominal_pain{"abdominal_pain", "腹痛", "abdominal pain"}, nausea{"nausea", "恶心", "nausea"},
    vomiting{"vomiting", "呕吐", "vomiting"}, diarrhea{"diarrhea", "腹泻", "diarrhea"},
    jaundice{"jaundice", "黄疸", "jaundice"},
    limb_weakness{"limb_weakness", "肢体无力", "limb weakness"},
    dizziness{"dizziness", "头晕", "dizziness"}, headache{"headache", "头痛", "headache"},
    palpitation{"palpitation", "心悸", "palpitations"}, fatigue{"fatigue", "乏力", "fatigue"},
    weight_loss{"weight_loss", "体重下降", "weight loss"}, numbness{"numbness", "麻木", "numbness"},
    breast_lump{"breast_lump", "乳房肿块", "breast lump"},
    breast_pain{"breast_pain", "乳房疼痛", "breast pain"},
    discharge{"nipple_discharge", "乳头溢液", "nipple discharge"},
    hematochezia{"hematochezia", "便血", "rectal bleeding"},
    constipation{"constipation", "便秘", "constipation"}, melena{"melena", "黑便", "melena"},
    bone_pain{"bone_pain", "骨痛", "bone pain"}, anorexia{"anorexia", "纳差", "anorexia"},
    edema{"edema", "双下肢水肿", "edema"}, foamy_urine{"foamy_urine", "泡沫尿", "foamy urine"},
    gross_hematuria{"gross_hematuria", "肉眼血尿", "gross hematuria"};

constexpr Symptom of_pneumonia[] = {cough, sputum, fever},
                  not_pneumonia[] = {hemoptysis, chest_pain};
constexpr Symptom of_abdomen[] = {abdominal_pain, nausea}, not_abdomen[] = {diarrhea, hematochezia};
constexpr Symptom of_gall[] = {abdominal_pain}, not_gall[] = {fever, jaundice};
constexpr Symptom of_stroke[] = {limb_weakness, dizziness}, not_stroke[] = {headache, vomiting};
constexpr Symptom of_heart[] = {chest_pain, chest_tightness}, not_heart[] = {dyspnea, palpitation};
constexpr Symptom not_injury[] = {headache, vomiting};
constexpr Symptom of_copd[] = {cough, sputum, dyspnea}, not_copd[] = {fever, hemoptysis};
constexpr Symptom not_eye[] = {headache};
constexpr Symptom not_birth[] = {headache, dizziness};
constexpr Symptom of_sugar[] = {fatigue}, not_sugar[] = {numbness, weight_loss};
constexpr Symptom of_lung[] = {cough, hemoptysis}, not_lung[] = {fever, chest_pain},
                  not_nodule[] = {cough, hemoptysis, chest_pain};
constexpr Symptom of_breast[] = {breast_lump}, not_breast[] = {breast_pain, discharge};
constexpr Symptom of_bowel[] = {hematochezia}, not_bowel[] = {constipation, melena};
constexpr Symptom of_bone[] = {bone_pain}, of_brain[] = {headache, dizziness},
                  of_liver[] = {anorexia, fatigue}, of_far_lung[] = {cough};
constexpr Symptom not_far[] = {fever, weight_loss};
constexpr Symptom of_kidney[] = {foamy_urine}, not_kidney[] = {gross_hematuria, edema};
constexpr Symptom of_uremia[] = {edema, anorexia, nausea}, not_uremia[] = {chest_pain, fever};
constexpr Symptom of_fistula[] = {fatigue}, not_fistula[] = {nausea, dyspnea};
constexpr Symptom not_transplant[] = {cough, fever};
constexpr Symptom of_last_cancer[] = {anorexia, fatigue, dyspnea}, not_last_cancer[] = {fever};
constexpr Symptom of_last[] = {fever, dyspnea}, not_last[] = {chest_pain};

struct PlannedOperation {
    AdmissionKind kind;
    ProcedureId procedure;
};
constexpr PlannedOperation planned[] = {{AdmissionKind::appendicitis, proc_appendectomy},
                                        {AdmissionKind::gallstones, proc_cholecystectomy},
                                        {AdmissionKind::infarction, proc_pci},
                                        {AdmissionKind::angina, proc_pci},
                                        {AdmissionKind::fistula, proc_av_fistula},
                                        {AdmissionKind::kidney_biopsy, proc_kidney_biopsy},
                                        {AdmissionKind::transplant, proc_kidney_transplant},
                                        {AdmissionKind::cesarean, proc_cesarean}};

std::string duration_words(const Author& author, int days) {
    const bool weeks = days >= 14;
    const int count = weeks ? days / 7 : days;
    if (!author.english()) return fmt::format("{}{}", count, weeks ? "周" : "天");
    if (author.style() == Style::en_short) return fmt::format("{}{}", count, weeks ? "w" : "d");
    return fmt::format("{} {}{}", count, weeks ? "week" : "day", count == 1 ? "" : "s");
}

void chief_complaint(Author& author, const Presentation& shape, int days) {
    author.heading("主诉", "Chief complaint", "CC");
    if (shape.present.empty()) {
        author.say(shape.complaint_zh, shape.complaint_en);
    } else {
        author.symptoms(shape.present, false);
        if (author.english())
            author.note.say(author.style() == Style::en_short ? " x" : " for ")
                .say(duration_words(author, days));
        else
            author.note.say(duration_words(author, days));
    }
    author.stop();
    author.line();
}

void tumour_on_image(Author& author) {
    const auto& cancer = author.person().cancer;
    if (author.scene().kind != AdmissionKind::cancer_workup &&
        author.scene().kind != AdmissionKind::cancer_surgery)
        return;
    author.say(cancer.site == Site::bowel    ? "肠镜示"
               : cancer.site == Site::breast ? "超声示"
                                             : "胸部CT示",
               cancer.site == Site::bowel    ? "Colonoscopy showed a "
               : cancer.site == Site::breast ? "Ultrasound showed a "
                                             : "Chest CT showed a ");
    if (author.english()) {
        author.size(cancer.size_mm, cancer.width_mm);
        author.note.say(cancer.site == Site::lung && cancer.size_mm <= 30 ? " nodule in the "
                                                                          : " mass in the ");
        author.site();
    } else {
        author.site();
        author.size(cancer.size_mm, cancer.width_mm);
        author.note.say(cancer.site == Site::lung && cancer.size_mm <= 30 ? "结节" : "肿物");
    }
    author.stop();
}

void present_illness(Author& author, const Presentation& shape, int days) {
    const auto kind = author.scene().kind;
    author.heading("现病史", "History of present illness", "HPI");
    if (author.english()) {
        const bool brief = author.style() == Style::en_short;
        if (!shape.present.empty()) {
            author.note.say(brief ? "Presents with " : "The patient presented with ");
            author.symptoms(shape.present, false);
            author.note.say(brief ? " over " : " that began ")
                .say(duration_words(author, days))
                .say(brief ? "" : " ago");
        } else {
            author.note.say(shape.complaint_en);
        }
        author.note.say(". ").say(brief ? "Denies " : "There was no ");
        author.symptoms(shape.denied, true);
    } else {
        if (!shape.present.empty()) {
            author.note.say("患者")
                .say(duration_words(author, days))
                .say(author.style() == Style::zh_brackets ? "前无明显诱因出现" : "前出现");
            author.symptoms(shape.present, false);
        } else {
            author.note.say(shape.complaint_zh);
        }
        author.comma();
        if (author.style() != Style::zh_terse)
            author.note.say(author.style() == Style::zh_classic ? "无" : "不伴");
        author.symptoms(shape.denied, true);
    }
    author.stop();
    tumour_on_image(author);
    if (kind == AdmissionKind::cancer_surgery) {
        const auto& words = author.person().cancer;
        author.say("已行", "")
            .surgery(words.site == Site::lung
                         ? (words.size_mm > 30 ? proc_bronchoscopy : proc_lung_needle_biopsy)
                     : words.site == Site::breast ? proc_breast_biopsy
                                                  : proc_colon_biopsy,
                     "present");
        author.say("，诊断明确", " confirmed the diagnosis");
        author.stop();
    }
    if (kind == AdmissionKind::cancer_recurrence || kind == AdmissionKind::terminal_cancer)
        author.oncology_history(author.scene().admitted);
    if (kind == AdmissionKind::transplant || kind == AdmissionKind::dialysis_start ||
        kind == AdmissionKind::fistula)
        author.kidney_history(author.scene().admitted);
    author.line();
}

void plan(Author& author) {
    const auto kind = author.scene().kind;
    author.heading("诊疗计划", "Plan", "Plan");
    ProcedureId operation = proc_none;
    for (const auto& item : planned)
        if (item.kind == kind) operation = item.procedure;
    if (kind == AdmissionKind::cancer_surgery)
        for (const auto& treatment : author.person().cancer.treatments)
            if (treatment.kind == TreatmentKind::surgery) operation = treatment.procedure;
    if (operation != proc_none) {
        author.say(author.style() == Style::zh_classic ? "完善检查，拟行" : "拟行",
                   author.style() == Style::en_short ? "For " : "We plan ");
        author.surgery(operation, "hypothetical");
    } else if (kind == AdmissionKind::cancer_workup) {
        author.say("拟行", author.style() == Style::en_short ? "For " : "We plan ");
        author.note.fact("surgery", "biopsy", author.english() ? "biopsy" : "活检", "hypothetical");
        author.say("明确诊断", " to establish the diagnosis");
    } else {
        author.say("完善相关检查，对症支持治疗", author.style() == Style::en_short
                                                     ? "Bloods, imaging, supportive care"
                                                     : "Further tests and supportive treatment");
    }
    author.stop();
    author.line();
}

void diagnoses_section(Author& author, std::string_view zh, std::string_view en,
                       std::string_view abbreviation, bool pathological) {
    author.heading(zh, en, abbreviation);
    author.main_diagnoses(pathological);
    author.line();
}

void examination_section(Author& author) {
    author.heading("体格检查", "Examination", "O/E");
    author.examination();
    author.line();
}

void laboratory_section(Author& author) {
    author.heading("辅助检查", "Investigations", "Ix");
    author.laboratory();
    author.line();
}

void history_section(Author& author) {
    author.heading("既往史", "Past medical history", "PMH");
    author.history();
    author.line();
}

void habits_section(Author& author) {
    if (author.person().age(author.scene().admitted) >= 18) {
        author.heading("个人史", "Social history", "SH");
        author.habits();
        author.line();
    }
    author.heading("家族史", "Family history", "FH");
    author.family();
    author.line();
}

int complaint_days(AdmissionKind kind, Random& random) {
    using A = AdmissionKind;
    const bool slow = kind == A::cancer_workup || kind == A::cancer_surgery ||
                      kind == A::cancer_recurrence || kind == A::kidney_biopsy ||
                      kind == A::dialysis_start || kind == A::fistula ||
                      kind == A::terminal_cancer || kind == A::gallstones;
    return slow ? random.between(14, 60) : random.between(2, 8);
}

/// A tumour that comes back is met by the complaints of the organ it went to.
Presentation presentation_of_recurrence(Spread site) {
    switch (site) {
        case Spread::bone:
            return {of_bone, not_far, {}, {}};
        case Spread::brain:
            return {of_brain, not_far, {}, {}};
        case Spread::liver:
            return {of_liver, not_far, {}, {}};
        default:
            return {of_far_lung, not_far, {}, {}};
    }
}

/// The primary tumour; a nodule found by screening has not been felt yet.
Presentation presentation_of_tumour(const CancerCourse& cancer) {
    if (cancer.site == Site::breast) return {of_breast, not_breast, {}, {}};
    if (cancer.site != Site::lung) return {of_bowel, not_bowel, {}, {}};
    if (cancer.screened)
        return {{}, not_nodule, "体检发现肺结节", "Lung nodule found on screening"};
    return {of_lung, not_lung, {}, {}};
}

}  // namespace

Presentation presentation_of(const Scene& scene) {
    using A = AdmissionKind;
    switch (scene.kind) {
        case A::pneumonia:
            return {of_pneumonia, not_pneumonia, {}, {}};
        case A::appendicitis:
            return {of_abdomen, not_abdomen, {}, {}};
        case A::gallstones:
            return {of_gall, not_gall, {}, {}};
        case A::stroke:
            return {of_stroke, not_stroke, {}, {}};
        case A::infarction:
        case A::angina:
            return {of_heart, not_heart, {}, {}};
        case A::radius_fracture:
            return {{}, not_injury, "摔伤后腕部肿痛1天", "Painful swollen wrist after a fall"};
        case A::hip_fracture:
            return {{},
                    not_injury,
                    "摔伤后髋部疼痛、活动受限1天",
                    "Painful hip after a fall, unable to walk"};
        case A::copd_exacerbation:
            return {of_copd, not_copd, {}, {}};
        case A::cataract:
            return {{}, not_eye, "视物模糊半年", "Blurred vision for half a year"};
        case A::delivery:
            return {{},
                    not_birth,
                    "停经39周，规律宫缩2小时",
                    "39 weeks pregnant, regular contractions"};
        case A::cesarean:
            return {{}, not_birth, "停经38周，待产", "38 weeks pregnant, admitted for delivery"};
        case A::diabetes_control:
            return {of_sugar, not_sugar, {}, {}};
        case A::kidney_biopsy:
            return {of_kidney, not_kidney, {}, {}};
        case A::fistula:
            return {of_fistula, not_fistula, {}, {}};
        case A::dialysis_start:
            return {of_uremia, not_uremia, {}, {}};
        case A::transplant:
            return {{},
                    not_transplant,
                    "规律透析，择期入院",
                    "On regular dialysis, elective admission"};
        case A::terminal_cancer:
            return {of_last_cancer, not_last_cancer, {}, {}};
        case A::terminal:
            return {of_last, not_last, {}, {}};
        case A::cancer_recurrence:
            return presentation_of_recurrence(scene.person->cancer.recurrence_site);
        default:
            return presentation_of_tumour(scene.person->cancer);
    }
}

Document write_admission_note(const Scene& scene, Random& random) {
    Author author(scene, random);
    const Presentation shape = presentation_of(scene);
    const int days = complaint_days(scene.kind, random);
    author.title("入院记录", "Admission note");
    author.person_line();
    author.heading("入院日期", "Date of admission", "Adm");
    author.date("admission_date", scene.admitted);
    author.line();
    switch (author.style()) {
        case Style::zh_terse:
            diagnoses_section(author, "入院诊断", "", "", false);
            chief_complaint(author, shape, days);
            present_illness(author, shape, days);
            history_section(author);
            laboratory_section(author);
            examination_section(author);
            habits_section(author);
            plan(author);
            break;
        case Style::zh_brackets:
            chief_complaint(author, shape, days);
            present_illness(author, shape, days);
            history_section(author);
            habits_section(author);
            laboratory_section(author);
            examination_section(author);
            diagnoses_section(author, "诊断", "", "", false);
            plan(author);
            break;
        case Style::en_short:
            chief_complaint(author, shape, days);
            present_illness(author, shape, days);
            history_section(author);
            habits_section(author);
            examination_section(author);
            laboratory_section(author);
            diagnoses_section(author, "", "", "Imp", false);
            plan(author);
            break;
        default:
            chief_complaint(author, shape, days);
            present_illness(author, shape, days);
            history_section(author);
            habits_section(author);
            examination_section(author);
            laboratory_section(author);
            diagnoses_section(author, "初步诊断", "Assessment", "Imp", false);
            plan(author);
    }
    author.signature("医师：", "Physician: ");
    return author.finish("入院记录", "Admission note");
}

namespace {

/// Small-cell carcinoma is always undifferentiated and has no grade.
void grade_fact(Author& author) {
    static constexpr std::string_view grades_zh[] = {"", "高分化", "中分化", "低分化"},
                                      grades_en[] = {"", "well differentiated",
                                                     "moderately differentiated",
                                                     "poorly differentiated"};
    static constexpr std::string_view grades[] = {"", "G1", "G2", "G3"};
    const auto& cancer = author.person().cancer;
    const bool short_lists = author.style() == Style::zh_terse || author.style() == Style::en_short;
    if (cancer.histology != Histology::small_cell)
        author.note.fact("grade", grades[cancer.grade],
                         short_lists        ? grades[cancer.grade]
                         : author.english() ? grades_en[cancer.grade]
                                            : grades_zh[cancer.grade]);
}

void margin_and_vessels(Author& author) {
    author.say("切缘", "Margins ");
    const std::size_t start = author.note.here();
    author.say(author.style() == Style::zh_terse ? "(-)" : "阴性",
               author.style() == Style::en_short ? "clear" : "negative");
    author.note.mark("margin", "negative", start);
    author.comma();
    const bool invasion = author.person().cancer.nodes_positive > 0;
    author.note.fact("lymphovascular_invasion", "invasion",
                     author.english() ? (invasion ? "lymphovascular invasion present"
                                                  : "no lymphovascular invasion")
                     : invasion       ? "可见脉管癌栓"
                                      : "未见脉管癌栓",
                     invasion ? "present" : "absent");
    author.stop();
}

/// "2/14": one wording that states two data points, the nodes taken and those with tumour.
void lymph_nodes(Author& author) {
    const auto& cancer = author.person().cancer;
    author.say("淋巴结", "Lymph nodes ");
    const std::size_t nodes = author.note.here();
    author.note.say(
        author.english() && author.style() == Style::en_prose
            ? fmt::format("{} of {} positive", cancer.nodes_positive, cancer.nodes_examined)
            : fmt::format("{}/{}", cancer.nodes_positive, cancer.nodes_examined));
    author.note.mark("lymph_nodes_examined", fmt::format("{}", cancer.nodes_examined), nodes,
                     "present", {}, true);
    author.note.mark("lymph_nodes_positive", fmt::format("{}", cancer.nodes_positive), nodes,
                     "present", {}, true);
    author.stop();
}

/// Type and grade can be read from any specimen; size, margins, nodes and stage only from a
/// resection.
void pathology_facts(Author& author, bool surgical) {
    const auto& cancer = author.person().cancer;
    const HistologyWords histology = histology_words(cancer);
    if (!author.english()) author.note.say("（");
    author.site();
    author.say(surgical ? "切除标本）" : "穿刺标本）",
               surgical ? " resection specimen: " : " biopsy: ");
    author.note.fact("histology", histology.code, author.english() ? histology.en : histology.zh);
    author.comma();
    grade_fact(author);
    if (!surgical) {
        author.stop();
        return;
    }
    author.comma();
    author.say("大小", "size ");
    author.size(cancer.size_mm, cancer.width_mm);
    author.stop();
    margin_and_vessels(author);
    lymph_nodes(author);
    author.pathological_stage();
    author.stop();
}

void molecular_facts(Author& author) {
    const auto& cancer = author.person().cancer;
    const bool terse = author.style() == Style::zh_terse || author.style() == Style::zh_classic;
    if (cancer.site == Site::lung && cancer.histology == Histology::adenocarcinoma) {
        author.say("基因检测：", "Molecular: ");
        if (cancer.driver == Driver::exon19)
            author.note.fact("gene_egfr", "19del",
                             author.english() ? "EGFR exon 19 deletion" : "EGFR 19外显子缺失");
        else if (cancer.driver == Driver::l858r)
            author.note.fact("gene_egfr", "L858R", "EGFR L858R");
        else
            author.note.fact("gene_egfr", "mutation",
                             author.english() ? "EGFR wild type" : "EGFR野生型", "absent");
        author.comma();
        if (cancer.driver == Driver::alk)
            author.note.fact("gene_alk", "fusion",
                             author.english() ? "ALK rearrangement positive"
                             : terse          ? "ALK(+)"
                                              : "ALK融合阳性");
        else
            author.note.fact("gene_alk", "fusion",
                             author.english() ? "ALK negative"
                             : terse          ? "ALK(-)"
                                              : "ALK阴性",
                             "absent");
        author.stop();
    }
    if (cancer.site == Site::breast) {
        author.say("免疫组化：", "Immunohistochemistry: ");
        auto percent = [&](std::string_view variable, std::string_view name, int value) {
            author.note.measure(variable, fmt::format("{}", value), "%",
                                author.english() || !terse ? fmt::format("{} {}%", name, value)
                                                           : fmt::format("{}({}%)", name, value));
            author.comma();
        };
        percent("er_percent", "ER", cancer.er);
        percent("pr_percent", "PR", cancer.pr);
        author.note.fact(
            "her2", cancer.her2,
            terse ? fmt::format("HER2({})", cancer.her2) : fmt::format("HER2 {}", cancer.her2));
        author.comma();
        author.note.measure(
            "ki67_percent", fmt::format("{}", cancer.ki67), "%",
            terse ? fmt::format("Ki-67({}%)", cancer.ki67) : fmt::format("Ki-67 {}%", cancer.ki67));
        author.stop();
    }
}

void hospital_course(Author& author) {
    const Scene& scene = author.scene();
    using A = AdmissionKind;
    author.heading("诊疗经过", "Hospital course", "Course");
    author.say("入院后完善检查", author.style() == Style::en_short
                                     ? "Bloods and imaging done"
                                     : "Tests were completed after admission");
    author.stop();
    author.laboratory();
    bool modality = false;
    for (const auto& [procedure_id, day] : scene.performed) {
        const bool dialysis =
            procedure_id == proc_hemodialysis || procedure_id == proc_peritoneal_dialysis;
        if (dialysis && modality) continue;
        if (dialysis) {
            modality = true;
            const std::size_t start = author.note.here();
            author.date("", day);
            author.note.mark("dialysis_start", date_text(day), start);
            author.say("起行", " started ");
        } else {
            const bool listed =
                !procedure(procedure_id).variable.empty() || procedure_id == proc_kidney_transplant;
            author.date(procedure_id == proc_kidney_transplant                   ? "transplant_date"
                        : listed && procedure(procedure_id).variable != "biopsy" ? "surgery_date"
                                                                                 : "",
                        day);
            author.say("行", " ");
        }
        author.surgery(procedure_id, "present");
        author.stop();
    }
    if (scene.kind == A::cancer_workup) {
        author.say("病理：", "Pathology: ");
        pathology_facts(author, false);
        molecular_facts(author);
    }
    if (scene.kind == A::cancer_surgery && !author.person().cancer.pt.empty()) {
        author.say("术后病理：", "Pathology: ");
        pathology_facts(author, true);
    }
    if (scene.kind == A::cancer_recurrence) author.oncology_history(scene.discharged);
    if (scene.kind == A::terminal_cancer || scene.kind == A::terminal) {
        author.say("病情恶化，抢救无效，于", "Despite treatment the patient deteriorated. On ");
        author.date("death_date", scene.discharged);
        author.say("", " the patient ");
        author.note.fact("vital_status", "dead", author.english() ? "died" : "死亡");
    } else {
        author.say("病情好转",
                   author.style() == Style::en_short ? "Improved" : "The patient improved");
    }
    author.stop();
    author.line();
}

}  // namespace

Document write_discharge_summary(const Scene& scene, Random& random) {
    Author author(scene, random);
    const bool died =
        scene.kind == AdmissionKind::terminal || scene.kind == AdmissionKind::terminal_cancer;
    author.title(died ? "死亡记录" : "出院记录", died ? "Death summary" : "Discharge summary");
    author.person_line();
    author.heading("入院日期", "Date of admission", "Adm");
    author.date("admission_date", scene.admitted);
    author.line();
    if (!died) {
        author.heading("出院日期", "Date of discharge", "Disch");
        author.date("discharge_date", scene.discharged);
        author.line();
    }
    if (author.style() == Style::zh_brackets || author.style() == Style::en_prose) {
        hospital_course(author);
        diagnoses_section(author, died ? "死亡诊断" : "出院诊断",
                          died ? "Final diagnosis" : "Discharge diagnosis", "Dx", true);
    } else {
        diagnoses_section(author, died ? "死亡诊断" : "出院诊断", "Discharge diagnosis", "Dx",
                          true);
        hospital_course(author);
    }
    if (!died) {
        if (!scene.drugs.empty()) {
            author.heading("出院带药", "Discharge medication", "Meds");
            author.drug_list();
            author.line();
        }
        author.heading("出院医嘱", "Advice", "F/U");
        author.say(author.style() == Style::zh_terse ? "定期复查" : "注意休息，定期门诊随访",
                   author.style() == Style::en_short
                       ? "OPD review"
                       : "Rest and regular review in the out-patient department");
        author.stop();
        author.line();
    }
    author.signature("医师：", "Physician: ");
    return author.finish(died ? "死亡记录" : "出院记录",
                         died ? "Death summary" : "Discharge summary");
}

Document write_pathology_report(const Scene& scene, Random& random) {
    Author author(scene, random);
    author.title("病理检查报告", "Pathology report");
    author.person_line();
    author.heading("报告日期", "Date of report", "Date");
    author.date("", scene.day);
    author.line();
    author.heading("病理诊断", "Diagnosis", "Dx");
    pathology_facts(author, scene.surgical_specimen);
    author.line();
    if (!scene.surgical_specimen) {
        molecular_facts(author);
        author.line();
    }
    author.signature("申请医师：", "Requested by: ");
    return author.finish("病理检查报告", "Pathology report");
}

namespace {

void sentence(Author& author, std::string_view zh, std::string_view en) {
    author.say(zh, en);
    author.stop();
}

/// "未见胸腔积液": a disease that the image rules out.
void ruled_out(Author& author, std::string_view code, std::string_view zh, std::string_view en) {
    author.say("未见", "No ").note.fact("comorbidity", code, author.english() ? en : zh, "absent");
    author.stop();
}

/// "考虑肺炎": a disease that the image suggests and cannot prove.
void suspected(Author& author, std::string_view code, std::string_view zh, std::string_view en) {
    author.say("考虑", "Probable ")
        .note.fact("comorbidity", code, author.english() ? en : zh, "possible");
    author.stop();
}

void no_pleural_effusion(Author& author) {
    ruled_out(author, "J90", "胸腔积液", "pleural effusion");
}

/// The second diameter is known of the tumour at diagnosis only.
void primary_lesion(Author& author) {
    const Scene& scene = author.scene();
    const auto& cancer = author.person().cancer;
    const bool nodule = cancer.site == Site::lung && scene.size_mm <= 30;
    const int width_mm = scene.size_mm == cancer.size_mm ? cancer.width_mm : 0;
    if (author.english()) {
        author.note.say("There is a ");
        author.size(scene.size_mm, width_mm);
        author.note.say(nodule ? " nodule in the " : " mass in the ");
        author.site();
    } else {
        author.site();
        author.note.say("见");
        author.size(scene.size_mm, width_mm);
        author.note.say(nodule ? "结节" : "肿物");
    }
}

void compared_with_previous(Author& author) {
    const Scene& scene = author.scene();
    const int change = scene.size_mm - scene.previous_mm;
    author.comma();
    author.say("前次", "previously ");
    author.size(scene.previous_mm);
    author.comma();
    author.say(change > 1    ? "较前增大"
               : change < -1 ? "较前缩小"
                             : "大致同前",
               change > 1    ? "larger"
               : change < -1 ? "smaller"
                             : "unchanged");
}

void lesion(Author& author) {
    const Scene& scene = author.scene();
    const auto& cancer = author.person().cancer;
    if (scene.spread != Spread::none) {
        author.say("见", "").metastasis(scene.spread).say("灶，大小", " measuring ");
        author.size(scene.size_mm);
    } else {
        primary_lesion(author);
    }
    // The whole-body scan of the work-up is the one that finds distant disease.
    if (scene.image == image_pet_ct && scene.inpatient &&
        scene.kind == AdmissionKind::cancer_workup && cancer.spread != Spread::none) {
        author.stop();
        author.say("另见", "Uptake consistent with ").metastasis(cancer.spread).say("灶", "");
    }
    if (scene.previous_mm > 0) compared_with_previous(author);
    author.stop();
}

void chest_without_lesion(Author& author) {
    const Scene& scene = author.scene();
    if (scene.inpatient &&
        (scene.kind == AdmissionKind::pneumonia || scene.kind == AdmissionKind::terminal)) {
        sentence(author, "双肺见斑片影", "Patchy opacities in both lungs");
        suspected(author, "J18", "肺炎", "pneumonia");
        return;
    }
    sentence(author, "双肺纹理清晰", "The lungs are clear");
    no_pleural_effusion(author);
}

void abdomen_ultrasound(Author& author) {
    if (author.scene().inpatient && author.scene().kind == AdmissionKind::gallstones) {
        sentence(author, "胆囊内见强回声", "Echogenic foci in the gallbladder");
        author.note.fact("comorbidity", "K80", author.english() ? "Gallstones" : "胆囊结石");
        author.stop();
        return;
    }
    sentence(author, "肝、胰、脾未见明显异常", "Liver, pancreas and spleen are normal");
    ruled_out(author, "K80", "胆囊结石", "gallstones");
}

void abdomen_ct(Author& author) {
    if (author.scene().inpatient && author.scene().kind == AdmissionKind::appendicitis)
        sentence(author, "阑尾增粗，周围渗出",
                 "The appendix is thickened with surrounding stranding");
    else
        sentence(author, "肝、胆、胰、脾未见占位", "No mass in liver, pancreas or spleen");
}

/// A rate below 45 mL/min/1.73 m² shows: such kidneys have shrunk.
void kidney_ultrasound(Author& author) {
    if (author.person().gfr(author.scene().day) < 45)
        sentence(author, "双肾缩小，皮质回声增强",
                 "Both kidneys are small with increased cortical echo");
    else
        sentence(author, "双肾形态大小正常", "Both kidneys are of normal size and shape");
    ruled_out(author, "N20", "肾结石", "kidney stone");
}

void findings_without_lesion(Author& author) {
    switch (author.scene().image) {
        case image_chest_ct:
        case image_chest_xray:
            chest_without_lesion(author);
            break;
        case image_abdomen_ultrasound:
            abdomen_ultrasound(author);
            break;
        case image_head_ct:
            sentence(author, "基底节区见低密度影", "Low density in the basal ganglia");
            suspected(author, "I63", "脑梗死", "cerebral infarction");
            break;
        case image_brain_mri:
            author.say("未见", "No ").metastasis(Spread::brain, "absent").stop();
            break;
        case image_abdomen_ct:
            abdomen_ct(author);
            break;
        case image_bone_xray:
            sentence(author, "可见骨折线，断端移位", "A displaced fracture is seen");
            break;
        case image_kidney_ultrasound:
            kidney_ultrasound(author);
            break;
        default:
            sentence(author, "未见明显异常", "No abnormality");
    }
}

/// With a lesion under treatment the impression is the response, otherwise an advice.
void impression(Author& author) {
    const Scene& scene = author.scene();
    author.heading("诊断意见", "Impression", "Imp");
    if (scene.response != Response::none) {
        author.say("疗效评价：", "Response (RECIST 1.1): ")
            .note.fact("response", code_of(scene.response), code_of(scene.response));
        author.stop();
    } else if (scene.size_mm > 0) {
        sentence(author, "请结合临床，随访复查", "Clinical correlation and follow-up advised");
    } else {
        sentence(author, "请结合临床", "Clinical correlation advised");
    }
    author.line();
}

}  // namespace

Document write_imaging_report(const Scene& scene, Random& random) {
    Author author(scene, random);
    const ImagingKind& kind = imaging(scene.image);
    const std::string zh = fmt::format("{}检查报告", kind.local.zh),
                      en = fmt::format("{} report", kind.local.en);
    author.title(zh, en);
    author.person_line();
    author.heading("检查日期", "Date of examination", "Date");
    author.date("", scene.day);
    author.line();
    author.heading("检查所见", "Findings", "Findings");
    if (scene.size_mm > 0) {
        lesion(author);
        if (scene.image == image_chest_ct) no_pleural_effusion(author);
    } else {
        findings_without_lesion(author);
    }
    author.line();
    impression(author);
    author.signature("申请医师：", "Requested by: ");
    return author.finish(zh, en);
}

}  // namespace meridian::generate
